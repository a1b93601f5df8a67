"""The modules that are compared, a user's own or of a distribution's kernel; and the types that go with them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from conformance.target import TargetUnavailable
from conformance.targets.linux.fetch import Kernel, kernel_for
from conformance.targets.linux.modules import Module, index, load, module_name
from conformance.targets.linux.proved.layout import TABLE_5_10, Layout, from_table, from_types
from conformance.targets.linux.vmlinux import vmlinux_of
from proofs.objectcode.btf import Btf
from proofs.objectcode.cannot import Cannot
from proofs.objectcode.elf import read_object

TYPES = ".BTF"


@dataclass(frozen=True)
class Chosen:
    """A module to be compared: whose it is in words, its kernel's version ("" for one's own), the kernel if known."""

    module: Module
    description: str
    version: str
    kernel: Path | None


def chosen(asked: str, kernels: tuple[str, ...]) -> list[Chosen]:
    """The modules that are meant: a path is a file; a name is that module of each of these distribution's kernels.
    Raises TargetUnavailable with one sentence.
    """
    path = Path(asked)
    if path.is_file():
        if len(kernels) > 1:
            raise TargetUnavailable(f"{asked} is one file: give at most one --kernel with it, for its types")
        kernel = kernel_for(kernels[0]) if kernels else None
        module = load(path)
        image = None if kernel is None else kernel.image
        return [Chosen(module, str(path), kernels[0] if kernels else "", image)]
    if path.is_dir() and ("/" in asked or not kernels):
        raise TargetUnavailable(f"{asked} is a directory: give the module itself, such as {path / 'vhost.ko'}")
    if "/" in asked:
        raise TargetUnavailable(f"{asked} is no regular file" if path.exists() else f"there is no file {asked}")
    if not kernels:
        raise TargetUnavailable(f"there is no file {asked} here: give the path, or --kernel 6.1 for a distribution's")
    return [_of_kernel(module_name(path), version, kernel_for(version)) for version in kernels]


def _of_kernel(name: str, version: str, kernel: Kernel) -> Chosen:
    files = index(kernel.modules) if kernel.modules is not None else {}
    if name not in files:
        raise TargetUnavailable(f"{kernel.description} has no module {name} among those that are kept")
    return Chosen(load(files[name]), kernel.description, version, kernel.image)


def layout_of(one: Chosen) -> Layout:
    """Where the fields of structs are in a module. Raises Cannot, or TargetUnavailable."""
    own = read_object(one.module.image).section(TYPES)
    if own is None:
        if one.module.version.startswith("5.10."):
            return from_table("a table from the headers of 5.10, checked by the proof itself", TABLE_5_10)
        raise Cannot(f"{one.module.name} has no types ({TYPES}): build it with CONFIG_DEBUG_INFO_BTF_MODULES")
    if one.kernel is None:
        raise Cannot(
            f"the types of {one.module.name} go on where those of its kernel ({one.module.version}) end: "
            "give that kernel, with --kernel VERSION or a path to its bzImage or vmlinux in --image"
        )
    types = Btf(own.data, _kernel_types(one.kernel))
    return from_types(types, "the types in the module and its kernel (BTF)", one.module.version)


def _kernel_types(image: Path) -> Btf:
    try:
        section = ELFFile(io.BytesIO(vmlinux_of(image))).get_section_by_name(TYPES)
    except ELFError as broken:
        raise Cannot(f"{image} cannot be read ({broken})") from None
    if section is None:
        raise Cannot(f"{image} has no types ({TYPES}): build it with CONFIG_DEBUG_INFO_BTF")
    return Btf(section.data())
