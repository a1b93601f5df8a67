"""The targets that can be named on the command line, and how each is made."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from conformance.generate.build import MAIN_PROFILES, VARIANTS, VHOST_PROFILES
from conformance.protocol import AdapterTarget, name_is_unfit, words_of
from conformance.runner import Plan
from conformance.target import Answer, Environment, Results, StepResult, Target, Trial
from spec.profile import Profile
from spec.step import OPERATIONS, step, subject_of

TARGETS: tuple[tuple[str, str], ...] = (
    ("model", "both reference models: model-tree (Linux 5.17 on), model-array (before)"),
    ("c", "our C library, in this process"),
    ("c-protocol", "our C library, through the protocol for adapters"),
    ("linux", "Debian kernels in virtual machines; linux-6.12: that one"),
    ("linux-source", "the kernel's own vhost code in user space; linux-source-6.12: of that version"),
    ("linux-host", "the kernel that runs here, through /dev/kvm"),
    ("spec", "the specification judged by its own vectors: are runner and vectors in order?"),
    ("NAME=COMMAND", "an adapter of yours that calls itself NAME (docs/protocol.md)"),
)

KERNELS = ("6.1", "5.10")  # Debian kernels that the main job boots
ALL_PROFILES: tuple[Profile, ...] = tuple(dict.fromkeys((*MAIN_PROFILES, *VARIANTS, *VHOST_PROFILES)))
VERSION = re.compile(r"[0-9]+(\.[0-9]+)+")
HOST_DEVICE = Path("/dev/kvm")


class UnknownTarget(Exception):
    """No target has this name; the text says which there are."""


@dataclass(frozen=True)
class Choice:
    """What the user chose about kernels: versions to boot, or an image of their own and its modules."""

    versions: tuple[str, ...] = KERNELS
    image: Path | None = None
    modules: Path | None = None
    name: str = ""  # of the target that an image is; by default it is named after its file


class SpecTarget:
    """The specification as a target. It can only pass: it shows that runner and vectors are in order."""

    name = "spec"

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    def start(self) -> Environment:
        return Environment(self.name, "1", self.profile, tuple(operation.name for operation in OPERATIONS))

    def run(self, trials: Sequence[Trial]) -> Iterator[Answer]:
        for trial in trials:
            state = subject_of(trial.requests).fresh
            results: list[StepResult] = []
            for request in trial.requests:
                state, outcome = step(self.profile, state, request)
                results.append(outcome)
            yield Results(trial.id, tuple(results))

    def stop(self) -> None:
        pass


def imported(module: str) -> Any:
    """A part that another room or target provides, loaded when it is asked for."""
    return importlib.import_module(module)


def is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def with_each(make: Callable[[Profile], Target], profiles: Sequence[Profile] = ALL_PROFILES) -> Any:
    """One instance for each profile, in the order in which vectors are given to them."""
    return tuple(partial(make, profile) for profile in profiles)


def model_tree(profile: Profile) -> Target:
    return imported("conformance.targets.model").tree_target(profile)  # type: ignore[no-any-return]


def model_array(profile: Profile) -> Target:
    return imported("conformance.targets.model").array_target(profile)  # type: ignore[no-any-return]


def c_library(profile: Profile) -> Target:
    return imported("conformance.targets.c.target").CInProcess(profile)  # type: ignore[no-any-return]


def c_by_protocol() -> Target:
    return AdapterTarget([sys.executable, "-m", "conformance.targets.c.adapter"], name="c")


# How a kernel's modules are loaded: as they come; then with the limits of the published variants, for the vectors that
# the others left.
MODULE_PARAMETERS: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (("vhost", "max_iotlb_entries=4"),),
    (("vhost", "max_mem_regions=3"),),
)


def linux_vm(
    version: str, modules: Path | None, jobs: int, name: str, parameters: tuple[tuple[str, str], ...] = ()
) -> Target:
    linux = imported("conformance.targets.linux.vm")
    options = linux.MachineOptions(module_parameters=parameters)
    return linux.LinuxVm(version, modules=modules, jobs=jobs, options=options, name=name)  # type: ignore[no-any-return]


def own_kernel(image: Path, modules: Path | None, name: str, parameters: tuple[tuple[str, str], ...] = ()) -> Target:
    linux = imported("conformance.targets.linux.vm")
    options = linux.MachineOptions(module_parameters=parameters)
    return linux.LinuxVm(kernel=image, modules=modules, jobs=2, options=options, name=name)  # type: ignore[no-any-return]


def linux_host() -> Target:
    return imported("conformance.targets.linux.host").LinuxHost()  # type: ignore[no-any-return]


LIBRARY_PROFILES = tuple(profile for profile in ALL_PROFILES if not profile.region2 and profile.guest_memfd == "absent")

ARRAY_FIRST = tuple(sorted(ALL_PROFILES, key=lambda profile: profile.user_slots))


def plans_for(name: str, choice: Choice | None = None) -> list[Plan]:
    """The targets that a name on the command line stands for. Raises UnknownTarget."""
    choice = choice or Choice()
    if "=" in name:
        return [adapter_plan(*name.split("=", 1))]
    if name == "model":
        return [*plans_for("model-tree"), *plans_for("model-array")]
    if name == "linux":
        return linux_plans(choice)
    if name == "linux-source":
        return [source_plan(version) for version in choice.versions]
    if name.startswith("linux-source-"):
        return [source_plan(name.removeprefix("linux-source-"))]
    if name.startswith("linux-") and name != "linux-host":
        version = name.removeprefix("linux-")
        if not VERSION.fullmatch(version):
            raise UnknownTarget(f"{name!r}: a kernel is named by its version, such as linux-6.1")
        return [debian_plan(version, choice.modules, jobs=2)]
    single: dict[str, Plan] = {
        "spec": Plan("spec", with_each(SpecTarget)),
        "model-tree": Plan("model-tree", with_each(model_tree)),
        "model-array": Plan("model-array", with_each(model_array, ARRAY_FIRST)),
        "c": Plan("c", with_each(c_library, LIBRARY_PROFILES)),
        "c-protocol": Plan("c-protocol", (c_by_protocol,), says="c", own_process=True),
        "linux-host": Plan("linux-host", (linux_host,), own_process=True),
    }
    if name not in single:
        names = ", ".join((*single, "model", "linux", "linux-VERSION", "linux-source"))
        raise UnknownTarget(f"there is no target {name!r}; there are {names}, or NAME=COMMAND for an adapter of yours")
    return [single[name]]


def adapter_plan(name: str, command: str) -> Plan:
    """An adapter of the user's. Raises UnknownTarget for a name or a command that cannot be one."""
    unfit = name_is_unfit(name)
    if unfit:
        raise UnknownTarget(f"an adapter cannot be called {name!r}, {unfit}")
    try:
        words = words_of(command)
    except ValueError as error:
        raise UnknownTarget(f"adapter {name}: {error}") from error
    if not words:
        raise UnknownTarget(f"adapter {name} has no command: it is named as NAME=COMMAND")
    return Plan(name, (partial(AdapterTarget, words, name),), own_process=True)


def debian_plan(version: str, modules: Path | None, jobs: int) -> Plan:
    known = imported("conformance.targets.linux.fetch").VERSIONS
    if version not in known:
        raise UnknownTarget(
            f"no Debian kernel {version!r} is known; there are {', '.join(known)}. Your own is --kernel path/to/bzImage"
        )
    # With modules of the user's it is another kernel: nobody knows yet which of the deviations it shows.
    name = f"linux-{version}" if modules is None else f"linux-{version}-own-modules"
    instances = tuple(partial(linux_vm, version, modules, jobs, name, told) for told in MODULE_PARAMETERS)
    return Plan(name, instances, own_process=True)


def source_plan(version: str) -> Plan:
    """The code of one kernel version in user space. Raises UnknownTarget."""
    target = imported("conformance.targets.linux_source.target")
    if version not in target.VERSIONS:
        raise UnknownTarget(f"no sources of {version!r} are known; there are those of {', '.join(target.VERSIONS)}")
    makes = tuple(partial(target.LinuxSource, version, profile) for profile in target.profiles_of(version))
    return Plan(f"linux-source-{version}", makes, own_process=True)


def linux_plans(choice: Choice) -> list[Plan]:
    if choice.image is not None:
        name = choice.name or image_names([choice.image])[0]
        instances = tuple(partial(own_kernel, choice.image, choice.modules, name, told) for told in MODULE_PARAMETERS)
        return [Plan(name, instances, own_process=True)]
    jobs = 2 if len(choice.versions) == 1 else 1
    return [debian_plan(version, choice.modules, jobs) for version in choice.versions]


def image_names(images: Sequence[Path]) -> list[str]:
    """The names of targets that are kernel images: after the file, with directories where files are called the same.

    Raises UnknownTarget for an image that is there twice.
    """
    paths = [image.resolve() for image in images]
    for path in paths:
        if paths.count(path) > 1:
            raise UnknownTarget(f"the kernel image {path} is named twice")
    for parts in range(1, max((len(path.parts) for path in paths), default=1) + 1):
        names = [re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(path.parts[-parts:])).strip("-") for path in paths]
        if len(set(names)) == len(names):
            return [f"linux-own-{name}" for name in names]
    return [f"linux-own-{name}-{number}" for number, name in enumerate(names, 1)]


def default_names() -> list[str]:
    """What the main job checks: everything that is there."""
    names = []
    for name, module in (
        ("model", "conformance.targets.model"),
        ("c", "conformance.targets.c.target"),
        ("linux-source", "conformance.targets.linux_source.target"),
        ("linux", "conformance.targets.linux.vm"),
    ):
        if is_there(module):
            names.append(name)
    if HOST_DEVICE.exists() and is_there("conformance.targets.linux.host"):
        names.append("linux-host")
    return names
