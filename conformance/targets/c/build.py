"""Compile libgpamap with the system's C compiler, into a cache outside the checkout.

What is compiled is found again by a hash over the sources, the flags and the compiler's own version.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from conformance.target import TargetUnavailable

HERE = Path(__file__).parent
WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Werror")
SECONDS_TO_COMPILE = 120


def compiler() -> str:
    """The C compiler: $CC, or the first of cc, gcc, clang. Raises TargetUnavailable when there is none."""
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise TargetUnavailable("The C target needs a C compiler: install gcc or clang, or name one in $CC.")


def cache_directory() -> Path:
    """Where compiled files are kept: `gpaspec/c` in the XDG cache directory."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "gpaspec" / "c"


def sources(base: Path = HERE) -> list[Path]:
    """The C files of the library, in order."""
    return sorted((base / "src").glob("*.c"))


@cache
def version_of(cc: str) -> str:
    """What the compiler says of itself."""
    asked = subprocess.run([cc, "--version"], capture_output=True, text=True, timeout=30, check=False)
    return asked.stdout


def compile_cached(name: str, cc: str, flags: Sequence[str], files: Sequence[Path], includes: Sequence[Path]) -> Path:
    """Compile C files to `name`, unless that was done before. Returns the compiled file.

    `includes` are directories whose headers count for the hash. Raises TargetUnavailable with the compiler's first
    words when it fails.
    """
    headers = sorted(header for directory in includes for header in directory.glob("*.h"))
    digest = hashlib.sha256(repr((cc, version_of(cc), tuple(flags))).encode())
    for file in (*files, *headers):
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)}\n".encode() + content)
    target = cache_directory() / digest.hexdigest()[:24] / name
    if target.exists():
        return target
    # Built under another name and then renamed: nobody ever finds half a file.
    unfinished = target.with_name(f"{name}.{os.getpid()}")
    command = [cc, *flags, *(f"-I{directory}" for directory in includes), "-o", str(unfinished), *map(str, files)]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_TO_COMPILE, check=False)
        if done.returncode != 0:
            raise TargetUnavailable(f"The C compiler failed ({' '.join(command)}):\n{done.stderr[:2000]}")
        unfinished.replace(target)
    except OSError as error:
        raise TargetUnavailable(f"The C library cannot be compiled into {target.parent}: {error}.") from error
    except subprocess.TimeoutExpired as error:
        raise TargetUnavailable(f"The C compiler did not end within {SECONDS_TO_COMPILE} s.") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()
    return target


def shared_library(base: Path = HERE, sanitizers: str = "") -> Path:
    """libgpamap as a shared library, compiled from `base`/src and `base`/include.

    `sanitizers` is what -fsanitize is given; a process that loads the library then needs their runtime preloaded.
    """
    checked = (f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all") if sanitizers else ()
    flags = (*WARNINGS, "-O2", "-g", "-fPIC", "-shared", *checked)
    return compile_cached("libgpamap.so", compiler(), flags, sources(base), (base / "include", base / "src"))


def program(main: Path, flags: Sequence[str] = (), cc: str | None = None, base: Path = HERE) -> Path:
    """A program from one C file together with the library, for example with a sanitizer among the flags."""
    files = (main, *sources(base))
    includes = (base / "include", base / "src")
    return compile_cached(main.stem, cc or compiler(), (*WARNINGS, "-O1", "-g", *flags), files, includes)
