"""Compile contestants into the cache. What a contestant misses is said in one sentence."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.maps import kernel
from conformance.target import TargetUnavailable
from conformance.targets.c import build as library
from conformance.targets.linux.cache import cache_directory, cache_lock

HERE = Path(__file__).parent
C = HERE / "c"
FLAGS = ("-O2", "-g", "-fPIC", "-shared", "-fvisibility=hidden", "-Wl,-Bsymbolic", "-pthread")
STRICT = ("-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function")
KERNEL = ("-std=gnu11", "-w", "-fno-strict-aliasing", "-fwrapv", "-include", str(kernel.SHIM))
CARGO_SECONDS = 300


def own(file: str, flags: Sequence[str] = (), base: Path = C) -> Path:
    """A contestant that needs nothing but a C compiler."""
    name = f"{Path(file).stem}.so"
    return library.compile_cached(name, library.compiler(), (*STRICT, *FLAGS, *flags), [base / file], [C])


def cplusplus(file: str, extra: Sequence[str] = ()) -> Path:
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        raise TargetUnavailable("it needs a C++ compiler: install the package g++")
    flags = ("-std=c++17", "-Wall", "-Wextra", "-Wno-unused-function", *FLAGS, *extra)
    return library.compile_cached(f"{Path(file).stem}.so", compiler, flags, [C / file], [C])


def in_short(error: TargetUnavailable) -> str:
    """The reason in one sentence: of a compiler's words, its first error."""
    text = str(error)
    first = re.search(r"^\S*?([^/\s]+:\d+:\d+: (?:fatal )?error: .*)$", text, flags=re.MULTILINE)
    return f"it does not compile: {first[1]}" if first else text


# ---- The kernel's ----


def with_trees(file: str, flags: Sequence[str] = ()) -> Path:
    tree = kernel.trees()
    files = [C / file, tree.code / "rbtree.c"]
    flags = (*KERNEL, *FLAGS, *flags)
    name = f"{Path(file).stem}.so"
    return library.compile_cached(name, library.compiler(), flags, files, [C, tree.include, tree.code])


def maple() -> Path:
    tree = kernel.maple()
    includes = [C, tree.include, tree.code]
    return library.compile_cached("maple.so", library.compiler(), (*KERNEL, *FLAGS), [C / "maple.c"], includes)


# ---- Others ----


def glib() -> Path:
    try:
        said = subprocess.run(
            ["pkg-config", "--cflags", "--libs", "glib-2.0"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        raise TargetUnavailable(
            "it needs GLib: install the package libglib2.0-dev (or run tools/setup bench)"
        ) from None
    return own("glib.c", ("-Wl,--no-as-needed", *said.stdout.split()))


def icl() -> Path:
    try:
        return cplusplus("icl.cpp")
    except TargetUnavailable as error:
        if "boost/icl" not in str(error):
            raise
        raise TargetUnavailable("it needs Boost: install the package libboost-dev (or run tools/setup bench)") from None


def vm_memory() -> Path:
    """The crate comes from where cargo gets its crates; it is built in a copy: nothing is left in the checkout."""
    cargo = shutil.which("cargo")
    if cargo is None:
        raise TargetUnavailable("it needs Rust: install the package cargo (or run tools/setup bench)")
    files = [HERE / "rust" / "Cargo.toml", HERE / "rust" / "src" / "lib.rs"]
    version = subprocess.run([cargo, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    digest = hashlib.sha256((version + "".join(file.read_text() for file in files)).encode()).hexdigest()[:24]
    archive = cache_directory("bench") / f"vm-memory-{digest}.a"
    with cache_lock("bench-vm-memory"):
        if not archive.exists():
            with tempfile.TemporaryDirectory(prefix="gpaspec-") as scratch:
                work = Path(scratch)
                shutil.copytree(HERE / "rust", work / "rust")
                command = [cargo, "build", "--release", "--quiet", "--target-dir", str(work / "target")]
                try:
                    done = subprocess.run(
                        command, cwd=work / "rust", capture_output=True, text=True, timeout=CARGO_SECONDS, check=False
                    )
                except subprocess.TimeoutExpired:
                    raise TargetUnavailable(f"cargo did not end within {CARGO_SECONDS} s") from None
                if done.returncode != 0:
                    raise TargetUnavailable(f"cargo cannot build the crate vm-memory: {done.stderr.strip()[:600]}")
                shutil.copy(work / "target" / "release" / "libbench_vm_memory.a", archive)
    return own("vm_memory.c", (f"-Wl,--whole-archive,{archive},--no-whole-archive", "-Wl,--exclude-libs,ALL"))


# ---- libgpamap ----


def includes() -> list[Path]:
    return [C, library.HERE / "include", library.HERE / "src"]


def inlined(name: str, file: str, flags: Sequence[str] = ()) -> Path:
    """With the library's sources, by link-time optimization: as a program that takes them into its own build."""
    files = [C / file, *library.sources()]
    return library.compile_cached(name, library.compiler(), (*STRICT, *FLAGS, "-flto", *flags), files, includes())


def slots() -> Path:
    """Lookups can be inlined."""
    return inlined("gpamap.so", "gpamap_slots.c")


def table() -> Path:
    return inlined("gpamap-table.so", "gpamap_table.c")


def slots_in_large_blocks() -> Path:
    """For sets that seldom change."""
    return inlined("gpamap-512.so", "gpamap_slots.c", ("-DLARGEST_BLOCK=512",))


def index() -> Path:
    """By the library's own headers."""
    return inlined("gpamap-index.so", "gpamap_index.c")


def slots_again() -> Path:
    """By the entry point that remembers the last hit of a reader."""
    return inlined("gpamap-again.so", "gpamap_slots.c", ("-DLOOKUP_AGAIN",))


def slots_called() -> Path:
    shared = library.shared_library()
    flags = (*STRICT, *FLAGS, f"-Wl,-rpath,{shared.parent}", f"-L{shared.parent}")
    linked = (*flags, "-Wl,--no-as-needed", "-lgpamap")
    return library.compile_cached("gpamap-call.so", library.compiler(), linked, [C / "gpamap_slots.c"], includes())
