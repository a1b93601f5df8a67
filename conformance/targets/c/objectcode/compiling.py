"""Object code of the library: one file, compiled in several ways, for proofs and to be run.

A compiler puts functions that only their own file knows (static ones) into their callers. So that each can be looked
at, and called, `static` is left out here, and nothing else is changed. The same object is proved and linked into a
shared library: what is run natively are the bytes that were proved.
"""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from conformance.target import TargetUnavailable
from conformance.targets.c.build import version_of
from conformance.targets.c.checking import HERE, library_with
from conformance.targets.c.verify.harness import Plant
from conformance.targets.linux.cache import cache_directory
from proofs.objectcode.elf import ObjectFile, read_object

OWN = Path(__file__).parent
SECONDS = 60
FLAGS = (
    "-std=c11",
    "-fPIC",
    "-fno-semantic-interposition",
    "-fgnu89-inline",
    "-fcf-protection=none",
    "-mno-red-zone",
    "-Dstatic=",
    "-w",
)


@dataclass(frozen=True)
class Build:
    """A compiler and how much it optimizes."""

    compiler: str
    level: str

    def __str__(self) -> str:
        return f"{self.compiler} {self.level}"


BUILDS = (Build("gcc", "-O0"), Build("gcc", "-O2"), Build("gcc", "-O3"), Build("clang", "-O2"))


def builds() -> tuple[tuple[Build, ...], tuple[str, ...]]:
    """The builds that can be made here, and a sentence for each compiler that is missing.

    Raises TargetUnavailable where there is none at all.
    """
    missing = sorted({one.compiler for one in BUILDS if shutil.which(one.compiler) is None})
    told = tuple(f"Object code of {name} is not looked at: install {name}." for name in missing)
    found = tuple(one for one in BUILDS if one.compiler not in missing)
    if not found:
        raise TargetUnavailable("Proofs about object code need a compiler: install gcc or clang.")
    return found, told


def compiled(build: Build, source: str, plant: Plant | None = None) -> Path:
    """An object file of a file of `src` or of this directory, of the library or of it with a bug; from the cache if
    nothing changed. Beside it lies the shared library. Raises TargetUnavailable, PlantDoesNotApply.
    """
    with library_with(plant) as library:
        command = [build.compiler, build.level, *FLAGS, *(f"-I{library / part}" for part in ("include", "src"))]
        file = library / "src" / source if (library / "src" / source).is_file() else OWN / source
        read = _run([*command, "-E", "-P", str(file)])
        also = [one for one in (OWN / f"{file.stem}_native.c",) if one.is_file()]
        how = repr((command[:-2], version_of(build.compiler), _rest().name)).encode()
        parts = (read, Path(__file__).read_bytes(), *(one.read_bytes() for one in also), how)
        key = hashlib.sha256(b"".join(parts)).hexdigest()[:32]
        kept = cache_directory("objectcode") / f"{file.stem}-{key}.o"
        if not kept.with_suffix(".so").is_file():
            with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
                made = Path(scratch) / "made.o"
                _run([*command, "-c", str(file), "-o", str(made)])
                shared = [
                    build.compiler,
                    *FLAGS[:2],
                    *command[-2:],
                    "-shared",
                    str(made),
                    *map(str, also),
                    str(_rest()),
                ]
                _run([*shared, "-o", str(made.with_suffix(".so"))])
                made.replace(kept)
                made.with_suffix(".so").replace(kept.with_suffix(".so"))
    return kept


def object_file(path: Path) -> ObjectFile:
    return read_object(path.read_bytes())


def native(path: Path) -> ctypes.CDLL:
    """The same code, to be called."""
    return ctypes.CDLL(str(path.with_suffix(".so")))


@cache
def _rest() -> Path:
    """The whole library in an archive, as it is: for what one file calls of others when it is run."""
    compiler = builds()[0][0].compiler
    files = sorted((HERE / "src").glob("*.[ch]")) + sorted((HERE / "include").glob("*.h"))
    key = hashlib.sha256(b"".join(one.read_bytes() for one in files)).hexdigest()[:32]
    kept = cache_directory("objectcode") / f"rest-{key}.a"
    if not kept.is_file():
        with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
            for one in files:
                if one.suffix == ".c":
                    made = str(Path(scratch) / f"{one.stem}.o")
                    includes = (f"-I{HERE / 'include'}", f"-I{HERE / 'src'}")
                    _run([compiler, "-std=c11", "-O1", "-fPIC", "-w", *includes, "-c", str(one), "-o", made])
            archive = Path(scratch) / "rest.a"
            _run(["ar", "rcs", str(archive), *map(str, sorted(Path(scratch).glob("*.o")))])
            archive.replace(kept)
    return kept


@cache
def layout() -> dict[str, int]:
    """Where the fields of the library's structures are, by the compiler: `struct.field` and `struct.size`."""
    path = compiled(builds()[0][0], "layout.c")
    library = native(path)
    names = ctypes.c_char_p.in_dll(library, "layout_names").value
    assert names is not None
    numbers = (ctypes.c_uint64 * len(names.split())).in_dll(library, "layout_numbers")
    return dict(zip(names.decode().split(), numbers, strict=True))


def _run(command: list[str]) -> bytes:
    with suppress(subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
        if done.returncode == 0:
            return done.stdout
        said = done.stderr.decode(errors="replace")[:500]
        raise TargetUnavailable(f"{command[0]} cannot compile the library for proofs: {said}")
    raise TargetUnavailable(f"{command[0]} did not come to an end within {SECONDS} s: try again.")


__all__ = ["BUILDS", "HERE", "Build", "builds", "compiled", "layout", "native", "object_file"]
