"""Get a Debian kernel without touching the machine's own apt setup.

The mirror and its keys are the machine's; lists and downloads live in the cache directory. A kernel is kept unpacked
as `kernels/<package>_<version>_<checksum>/` with `vmlinuz`, `modules/` and `kernel.json`, so that a run needs no
network once the kernel is there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from conformance.target import TargetUnavailable
from conformance.targets.linux.cache import cache_directory, cache_lock
from conformance.targets.linux.modules import in_load_order, index, module_name
from conformance.targets.linux.sources import Source, debian_mirror, machine_sources, security_mirror

UPDATE_SECONDS = 180
DOWNLOAD_SECONDS = 600

# All that is kept of a distribution's modules: these and what they depend on.
WANTED_MODULES = ("kvm", "kvm_amd", "kvm_intel", "tun", "tap", "vhost", "vhost_net")


@dataclass(frozen=True)
class Distribution:
    """Where a kernel version is found: the Debian suite, the package that always depends on the newest build, and
    whether the suite has a security archive."""

    suite: str
    package: str
    has_security: bool


VERSIONS: dict[str, Distribution] = {
    "5.10": Distribution("bullseye", "linux-image-amd64", True),
    "6.1": Distribution("bookworm", "linux-image-cloud-amd64", True),
    "6.12": Distribution("trixie", "linux-image-amd64", True),
    "7.2": Distribution("sid", "linux-image-amd64", False),
    "7.3": Distribution("experimental", "linux-image-amd64", False),
}


@dataclass(frozen=True)
class Kernel:
    """A kernel ready to boot: the image, the directory of its modules (None: built in), and what it is."""

    image: Path
    modules: Path | None
    description: str


def kernel_for(version: str, refresh: bool = False) -> Kernel:
    """The kernel of this version, from the cache if it is there (unless `refresh` asks for the newest build).

    Raises TargetUnavailable with one sentence when neither cache nor network has it.
    """
    if version not in VERSIONS:
        raise TargetUnavailable(f"no Debian kernel {version!r} is known; there are {', '.join(VERSIONS)}")
    with cache_lock(f"kernel-{version}"):
        if not refresh:
            cached = cached_kernel(version)
            if cached is not None:
                return cached
        return download(version)


def kernels_directory() -> Path:
    return cache_directory("kernels")


def cached_kernel(version: str) -> Kernel | None:
    """The kernel of this version that was fetched last and is complete, or None."""
    pointer = kernels_directory() / f"{version}.json"
    try:
        name = json.loads(pointer.read_text())["directory"]
        directory = kernels_directory() / name
        described = json.loads((directory / "kernel.json").read_text())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not (directory / "vmlinuz").is_file():
        return None
    return Kernel(directory / "vmlinuz", directory / "modules", described["description"])


def download(version: str) -> Kernel:
    """Fetch the newest build of a version into the cache."""
    distribution = VERSIONS[version]
    otherwise = "or pass your own kernel with --kernel bzImage"
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise TargetUnavailable(
                f"kernel {version} is fetched with {tool}, which is not here: use Debian, {otherwise}"
            )
    mirror = debian_mirror(machine_sources())
    if mirror is None:
        raise TargetUnavailable(f"this machine's apt has no Debian mirror to fetch kernel {version} from: {otherwise}")
    try:
        with cache_lock(f"apt-{distribution.suite}"):
            apt = Apt(distribution, mirror)
            apt.update()
            return unpack(version, apt, apt.packages_to_take())
    except subprocess.TimeoutExpired as late:
        raise TargetUnavailable(
            f"kernel {version} did not arrive within {late.timeout:.0f} s: try again, {otherwise}"
        ) from None
    except (OSError, subprocess.CalledProcessError) as error:
        raise TargetUnavailable(
            f"kernel {version} cannot be unpacked in {kernels_directory()} ({error}): make room there, {otherwise}"
        ) from None
    except AptFailed as failed:
        raise TargetUnavailable(
            f"kernel {version} is not in the cache ({kernels_directory()}) and cannot be fetched from {mirror.uri}"
            f" ({failed}): connect to the network once, {otherwise}"
        ) from None


class AptFailed(Exception):
    """An apt command failed; the text is its last complaint."""


@dataclass(frozen=True)
class Package:
    """One binary package: exactly what is to be downloaded."""

    name: str
    version: str
    sha256: str
    depends: tuple[str, ...]


class Apt:
    """apt with private lists for one Debian suite. Two at a time for one suite would be in each other's way: whoever
    uses it holds the cache's lock `apt-<suite>`."""

    def __init__(self, distribution: Distribution, mirror: Source) -> None:
        self.distribution = distribution
        self.directory = cache_directory("apt", distribution.suite)
        for part in ("lists/partial", "cache/archives/partial"):
            (self.directory / part).mkdir(parents=True, exist_ok=True)
        option = f"[arch=amd64 signed-by={mirror.signed_by}] " if mirror.signed_by else "[arch=amd64] "
        lines = [f"deb {option}{mirror.uri} {distribution.suite} main"]
        if distribution.has_security:
            security = security_mirror(machine_sources())
            uri = security.uri if security else f"{mirror.uri}-security"
            lines.append(f"deb {option}{uri} {distribution.suite}-security main")
        (self.directory / "sources.list").write_text("\n".join(lines) + "\n")

    def run(self, command: list[str], seconds: float, cwd: Path | None = None) -> str:
        """Run an apt command with the private lists; its output."""
        options = {
            "Dir::Etc::sourcelist": str(self.directory / "sources.list"),
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State::Lists": str(self.directory / "lists"),
            "Dir::State::status": "/dev/null",
            "Dir::Cache": str(self.directory / "cache"),
            "APT::Architecture": "amd64",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            "Acquire::Retries": "2",
            "Acquire::http::Timeout": "30",
        }
        arguments = [command[0], "-q"]
        for name, value in options.items():
            arguments += ["-o", f"{name}={value}"]
        done = subprocess.run(
            arguments + command[1:],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            check=False,
            capture_output=True,
            text=True,
            timeout=seconds,
            env={**os.environ, "LC_ALL": "C"},
        )
        complaints = [line for line in done.stderr.splitlines() if line.startswith(("E:", "Err"))]
        if done.returncode != 0:
            raise AptFailed(complaints[-1] if complaints else f"{command[0]} ended with {done.returncode}")
        return done.stdout

    def update(self) -> None:
        self.run(["apt-get", "update", "-o", "APT::Update::Error-Mode=any"], UPDATE_SECONDS)

    def show(self, name: str) -> Package:
        """The newest version of a package."""
        text = self.run(["apt-cache", "show", "--no-all-versions", name], 60)
        fields: dict[str, str] = {}
        for line in text.splitlines():
            if line and not line[0].isspace() and ":" in line:
                field, value = line.split(":", 1)
                fields.setdefault(field, value.strip())
        try:
            depends = ", ".join(fields.get(field, "") for field in ("Pre-Depends", "Depends"))
            wanted = tuple(part.split("|")[0].split("(")[0].strip() for part in depends.split(",") if part.strip())
            return Package(fields["Package"], fields["Version"], fields["SHA256"], wanted)
        except KeyError as missing:
            raise AptFailed(f"apt-cache says nothing about {missing} of {name}") from None

    def packages_to_take(self) -> list[Package]:
        """The packages that hold the newest kernel: one up to 6.12, later image and modules apart."""
        meta = self.show(self.distribution.package)
        names = [name for name in meta.depends if name.startswith("linux-image-")]
        if not names:
            raise AptFailed(f"{meta.name} depends on no kernel package")
        taken = [self.show(names[0])]
        for package in taken:
            for name in package.depends:
                if name.startswith(("linux-binary-", "linux-modules-")) and name not in [other.name for other in taken]:
                    taken.append(self.show(name))
        return taken


def unpack(version: str, apt: Apt, packages: list[Package]) -> Kernel:
    """Download packages and keep what is needed of them; whole or not at all."""
    main = packages[0]
    directory = kernels_directory() / f"{main.name}_{main.version}_{main.sha256[:16]}".replace("/", "_").replace(
        ":", "_"
    )
    if not (directory / "kernel.json").is_file():
        with tempfile.TemporaryDirectory(dir=kernels_directory(), prefix="unpack-") as scratch:
            work = Path(scratch)
            for package in packages:
                apt.run(["apt-get", "download", f"{package.name}={package.version}"], DOWNLOAD_SECONDS, cwd=work)
            for archive in work.glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", str(archive), str(work / "tree")], check=True, timeout=120)
                archive.unlink()
            ready = work / "ready"
            keep(work / "tree", ready)
            described = {
                "description": f"Debian {apt.distribution.suite} {main.name} {main.version}",
                "packages": [{"name": p.name, "version": p.version, "sha256": p.sha256} for p in packages],
            }
            (ready / "kernel.json").write_text(json.dumps(described, indent=1))
            shutil.rmtree(directory, ignore_errors=True)
            ready.rename(directory)
    pointer = kernels_directory() / f"{version}.json"
    temporary = pointer.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps({"directory": directory.name}))
    temporary.rename(pointer)
    found = cached_kernel(version)
    assert found is not None
    return found


def keep(tree: Path, ready: Path) -> None:
    """Copy the kernel image and the wanted modules of an unpacked package."""
    images = [
        *tree.glob("boot/vmlinuz-*"),
        *tree.glob("usr/lib/modules/*/vmlinuz"),
        *tree.glob("lib/modules/*/vmlinuz"),
    ]
    if not images:
        raise AptFailed("the packages contain no vmlinuz")
    available = index(tree)
    (ready / "modules").mkdir(parents=True)
    shutil.copyfile(images[0], ready / "vmlinuz")
    for module in in_load_order(WANTED_MODULES, available):
        path = available[module.name] if module.name in available else available[module_name(Path(module.name))]
        shutil.copyfile(path, ready / "modules" / path.name)
