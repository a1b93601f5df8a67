"""Compile the kernel's files together with the shim into a program, in the cache."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from conformance.target import TargetUnavailable
from conformance.targets.c.build import compiler, version_of
from conformance.targets.linux.cache import cache_directory, cache_lock
from conformance.targets.linux_source.sources import CODE, HEADERS, SOME_HEADERS, Sources

HERE = Path(__file__).parent
OURS = ("harness.c", "harness.h", "driver.c", "tap.c", "shim.c", "shim.h", "shim_net.h")
FLAGS = ("-std=gnu11", "-O2", "-g", "-w", "-fno-strict-aliasing", "-fwrapv")
SECONDS_TO_COMPILE = 300

# What differs between versions so that our part must know it: a macro, the file, and words that are in it.
DIFFERENCES = (
    ("HAS_WORKERS", "drivers/vhost/vhost.h", r"struct vhost_worker \{"),
    ("HAS_CLEAR_IOTLB", "drivers/vhost/vhost.h", r"vhost_clear_device_iotlb"),
    ("KCOV_HANDLE_IS_A_STRUCT", "drivers/vhost/vhost.h", r"struct kcov_common_handle_id"),
    ("HAS_SKB_FRAG_PAGE_ORDER", "drivers/vhost/net.c", r"#define SKB_FRAG_PAGE_ORDER"),
)


def differences(sources: Sources) -> list[str]:
    """The macros of those differences that these sources have."""
    return [macro for macro, name, words in DIFFERENCES if re.search(words, (sources.directory / name).read_text())]


def program(sources: Sources, sanitizers: str = "") -> Path:
    """The program, compiled unless that was done before. Raises TargetUnavailable with the compiler's first words."""
    try:
        cc = compiler()
    except TargetUnavailable:
        raise TargetUnavailable("The linux-source target needs a C compiler: install gcc or clang.") from None
    checked = (f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all") if sanitizers else ()
    flags = [*FLAGS, *checked, *(f"-D{macro}" for macro in differences(sources))]
    digest = hashlib.sha256(repr((cc, version_of(cc), flags)).encode())
    taken = [name for name in (*CODE, *HEADERS, *SOME_HEADERS) if (sources.directory / name).is_file()]
    for path in [*(sources.directory / name for name in taken), *(HERE / name for name in OURS)]:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    key = digest.hexdigest()[:24]
    target = cache_directory("linux-source") / key / "linux-source"
    with cache_lock("linux-source"):
        if not target.exists():
            build(cc, flags, sources, taken, target)
    return target


def build(cc: str, flags: list[str], sources: Sources, taken: list[str], target: Path) -> None:
    """Compile in a scratch directory and move the program to its place."""
    with tempfile.TemporaryDirectory(prefix="gpaspec-") as scratch:
        work = Path(scratch)
        include, code = work / "include", work / "code"
        (include / "linux").mkdir(parents=True)
        code.mkdir()
        for name in taken:
            place = include / "linux" if name.startswith("include/") else code
            shutil.copyfile(sources.directory / name, place / Path(name).name)
        leave_out_other_headers(include, code)
        files = [*(HERE / name for name in OURS if name.endswith(".c")), code / "iotlb.c", code / "rbtree.c"]
        command = [cc, *flags, "-include", str(HERE / "shim.h"), f"-I{include}", f"-I{code}", f"-I{HERE}"]
        command += ["-o", str(work / "program"), *map(str, files)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_TO_COMPILE, check=False)
        except subprocess.TimeoutExpired as error:
            raise TargetUnavailable(f"The C compiler did not end within {error.timeout:.0f} s.") from None
        if done.returncode != 0:
            raise TargetUnavailable(
                f"{sources.description} cannot be compiled in user space; the compiler says: {done.stderr[:2000]}"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f"{target.name}.{os.getpid()}")
        shutil.copy(work / "program", unfinished)
        unfinished.replace(target)


def leave_out_other_headers(include: Path, code: Path) -> None:
    """An empty file for each kernel header that is included and was not taken: what is needed of it is in `shim.h`."""
    for path in [*code.glob("*"), *(include / "linux").glob("*")]:
        for name in re.findall(r"#\s*include <([a-z_]+/[^>]+)>", path.read_text()):
            place = include / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                place.write_text("")
