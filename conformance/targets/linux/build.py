"""Compile the guest program once for each state of its sources."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from conformance.target import TargetFailed, TargetUnavailable
from conformance.targets.linux.cache import cache_directory, cache_lock

SOURCES = Path(__file__).parent / "guest"
FLAGS = (
    "-std=c11",
    "-D_GNU_SOURCE",
    "-O2",
    "-fno-tree-vectorize",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-static",
    "-pthread",
)
COMPILE_SECONDS = 120


def compiler() -> str:
    """The C compiler to use: $CC, or gcc. Raises TargetUnavailable."""
    name = os.environ.get("CC") or "gcc"
    found = shutil.which(name)
    if found is None:
        raise TargetUnavailable(f"{name} is not here: install a C compiler (apt-get install gcc libc6-dev)")
    return found


def guest_program() -> Path:
    """The static guest program, compiled unless the cache has it. Raises TargetUnavailable or TargetFailed."""
    files = sorted([*SOURCES.glob("*.c"), *SOURCES.glob("*.h")])
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    program = cache_directory("guest") / f"gpaspec-guest-{digest.hexdigest()[:16]}"
    with cache_lock("guest"):
        if program.is_file():
            return program
        compile_static([file for file in files if file.suffix == ".c"], program)
    return program


def compile_static(sources: list[Path], program: Path, flags: tuple[str, ...] = FLAGS) -> None:
    """Compile and put the program in place in one step, so that two runs do not meet half a file."""
    temporary = program.with_name(f"{program.name}.{os.getpid()}")
    command = [compiler(), *flags, "-o", str(temporary), *map(str, sources)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=COMPILE_SECONDS)
    if done.returncode != 0:
        temporary.unlink(missing_ok=True)
        first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[-300:])
        if "linux/kvm.h" in done.stderr or "stdio.h" in done.stderr:
            raise TargetUnavailable(f"C headers are missing ({first}): install libc6-dev and linux-libc-dev")
        raise TargetFailed(f"the guest program does not compile: {first}")
    temporary.rename(program)
