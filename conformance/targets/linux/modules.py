"""Kernel modules: find them, unpack them, and put them in an order in which they load."""

from __future__ import annotations

import gzip
import lzma
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.target import TargetUnavailable
from conformance.targets.linux.elf import NotAModule, modinfo

SUFFIXES = (".ko", ".ko.xz", ".ko.zst", ".ko.gz")


@dataclass(frozen=True)
class Module:
    """One module: its name as the kernel spells it (with underscores), its unpacked bytes, what it depends on."""

    name: str
    image: bytes
    depends: tuple[str, ...]
    version: str  # the release it was built for: first word of vermagic
    path: Path  # the file it was read from


def module_name(path: Path) -> str:
    """The name of a module from its file name: `kvm-amd.ko.xz` is kvm_amd."""
    return path.name.split(".ko")[0].replace("-", "_")


def is_module(path: Path) -> bool:
    return path.name.endswith(SUFFIXES)


def unpacked(path: Path) -> bytes:
    """The ELF bytes of a module file."""
    packed = path.read_bytes()
    if path.name.endswith(".xz"):
        return lzma.decompress(packed)
    if path.name.endswith(".gz"):
        return gzip.decompress(packed)
    if path.name.endswith(".zst"):
        tool = shutil.which("zstd")
        if tool is None:
            raise TargetUnavailable(f"{path.name} is compressed with zstd: install zstd (apt-get install zstd)")
        return subprocess.run([tool, "-dc"], input=packed, stdout=subprocess.PIPE, check=True, timeout=60).stdout
    return packed


def load(path: Path) -> Module:
    """Read one module. Raises TargetUnavailable for a file that is none."""
    try:
        image = unpacked(path)
        fields = modinfo(image)
    except (NotAModule, lzma.LZMAError, OSError, subprocess.SubprocessError) as broken:
        raise TargetUnavailable(f"{path} is not a kernel module: {broken}") from None
    depends = tuple(name.replace("-", "_") for name in ",".join(fields.get("depends", [])).split(",") if name)
    vermagic = (fields.get("vermagic") or [""])[0].split(" ")
    return Module((fields.get("name") or [module_name(path)])[0].replace("-", "_"), image, depends, vermagic[0], path)


def is_kernel(image: Path) -> bool:
    """Whether a file may be one that QEMU starts: with the boot header of x86, or an ELF file."""
    with image.open("rb") as file:
        start = file.read(0x206)
    return start[0x202:] == b"HdrS" or start.startswith(b"\x7fELF")


def release_of(kernel: Path) -> str:
    """The release that an x86 kernel image says of itself in its boot header ("" if it has none)."""
    with kernel.open("rb") as file:
        start = file.read(0x10000)
    if start[0x202:0x206] != b"HdrS":
        return ""
    where = 0x200 + int.from_bytes(start[0x20E:0x210], "little")
    words = start[where : where + 256].split(b"\0")[0].decode(errors="replace").split()
    return words[0] if words else ""


def of_another_release(modules: Sequence[Module], kernel: Path) -> str:
    """Which modules were built for another release than this kernel's, in words; "" if none is known to be.

    Such a module may load all the same: a kernel that keeps versions of symbols looks at those instead.
    """
    release = release_of(kernel)
    others = [f"{one.path} was built for Linux {one.version}" for one in modules if one.version not in ("", release)]
    return f"{'; '.join(others)}; this kernel is {release}" if release and others else ""


def taken_from(directory: Path, modules: Sequence[Module]) -> str:
    """Which of the modules that are loaded came from this directory, in words."""
    taken = [
        f"{one.name} from {one.path} (built for {one.version})" for one in modules if one.path.is_relative_to(directory)
    ]
    return "; ".join(taken) or f"none: nothing in {directory} is needed here"


def index(directory: Path) -> dict[str, Path]:
    """Every module file below a directory, by module name."""
    return {module_name(path): path for path in sorted(directory.rglob("*.ko*")) if is_module(path)}


def in_load_order(roots: tuple[str, ...], available: dict[str, Path]) -> list[Module]:
    """The roots that are available and all that they depend on, dependencies first.

    A name that is not available is left out: it may be built into the kernel, and loading fails loudly if it is not.
    """
    done: dict[str, Module] = {}
    ordered: list[Module] = []

    def visit(name: str) -> None:
        if name in done or name not in available:
            return
        module = load(available[name])
        done[name] = module
        for needed in module.depends:
            visit(needed)
        ordered.append(module)

    for root in roots:
        visit(root)
    return ordered
