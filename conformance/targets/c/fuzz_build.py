"""The fuzzer compiled: the library, the naive model under other names, and what compares them, as one program."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from conformance.target import TargetUnavailable
from conformance.targets.c import build

NAIVE = build.HERE / "naive"
FUZZ = build.HERE / "fuzz"
SANITIZERS = "address,undefined"
HOW_TO_GET_IT = "install clang and libclang-rt-dev"
SECONDS_TO_TRY = 60


@dataclass(frozen=True)
class Program:
    """The fuzzer, and what drives it: libFuzzer, or random bytes where there is none."""

    path: Path
    libfuzzer: bool
    note: str = ""  # why it is not what it could be


def renamed() -> list[str]:
    """Compiler flags that give each function of the headers another name."""
    names: set[str] = set()
    for header in sorted((build.HERE / "include").glob("*.h")):
        declared = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.DOTALL)
        names.update(re.findall(r"\b(gpamap_\w+)\(", declared))
    return [f"-D{name}=naive_{name}" for name in sorted(names)]


@cache
def clang_with_libfuzzer() -> str | None:
    """A clang that can link a fuzzer, or None."""
    clang = shutil.which("clang")
    if clang is None:
        return None
    return (
        clang
        if links(clang, f"-fsanitize=fuzzer,{SANITIZERS}", "int LLVMFuzzerTestOneInput(void){return 0;}")
        else None
    )


def links(cc: str, flag: str, text: str) -> bool:
    with tempfile.TemporaryDirectory(prefix="gpaspec-fuzz-") as directory:
        source = Path(directory) / "a.c"
        source.write_text(text + "\n")
        command = [cc, flag, "-o", str(source.with_suffix("")), str(source)]
        done = subprocess.run(command, capture_output=True, timeout=SECONDS_TO_TRY, check=False)
    return done.returncode == 0


def fuzz_program(base: Path = build.HERE, libfuzzer: bool = True) -> Program:
    """The fuzzer for the library in `base`. Raises TargetUnavailable without a compiler that has the sanitizers.

    `libfuzzer` False asks for the random driver even where libFuzzer is.
    """
    clang = clang_with_libfuzzer() if libfuzzer else None
    if clang is not None:
        return Program(
            linked(clang, base, ("-fsanitize=fuzzer-no-link", "-fno-sanitize-coverage=trace-cmp"), True), True
        )
    cc = build.compiler()
    if not links(cc, f"-fsanitize={SANITIZERS}", "int main(void){return 0;}"):
        raise TargetUnavailable(f"{cc} has no address and undefined behaviour sanitizers: {HOW_TO_GET_IT}.")
    note = f"without libFuzzer inputs are random and no coverage guides them; for libFuzzer {HOW_TO_GET_IT}"
    return Program(linked(cc, base, (), False), False, note)


def linked(cc: str, base: Path, library_flags: tuple[str, ...], libfuzzer: bool) -> Path:
    sanitized = (f"-fsanitize={SANITIZERS}", "-fno-sanitize-recover=all")
    common = (*build.WARNINGS, "-D_GNU_SOURCE", "-O2", "-g", "-fno-omit-frame-pointer", *sanitized, "-c")
    naive = (*common, *renamed())
    headers = base / "include"
    parts: list[tuple[str, tuple[str, ...], Path, tuple[Path, ...]]] = []
    for source in build.sources(base):
        parts.append((f"library_{source.stem}.o", (*common, *library_flags), source, (headers, base / "src")))
    for source in build.sources(NAIVE):
        parts.append((f"naive_{source.stem}.o", naive, source, (headers, NAIVE / "src")))
    for source in sorted(FUZZ.glob("*.c")):
        if source.stem == "calls":
            for side, flags in (("library", common), ("naive", naive)):
                parts.append((f"calls_{side}.o", (*flags, f"-DIMPLEMENTATION={side}"), source, (headers, FUZZ)))
        elif source.stem != "standalone" or not libfuzzer:
            parts.append((f"fuzz_{source.stem}.o", common, source, (headers, FUZZ)))
    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(lambda part: build.compile_cached(part[0], cc, part[1], [part[2]], part[3]), parts))
    driver = ("-fsanitize=fuzzer",) if libfuzzer else ()
    return build.compile_cached("gpamap-fuzz", cc, (*sanitized, *driver), objects, ())
