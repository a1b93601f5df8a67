"""The C test programs, compiled with each compiler there is and run under the sanitizers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from conformance.targets.c import build

from .planted import CONCURRENCY_BUGS, Bug, planted_base

pytestmark = pytest.mark.slow  # minutes in all: not for the inner loop

PROGRAMS = Path(__file__).parent / "programs"
SANITIZERS = {"memory": "address,undefined", "threads": "thread"}
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]


def compiled(name: str, sanitizer: str, compiler: str, base: Path = build.HERE) -> Path:
    flags = (f"-fsanitize={SANITIZERS[sanitizer]}", "-fno-sanitize-recover=all", "-pthread")
    return build.program(PROGRAMS / f"{name}.c", flags, shutil.which(compiler), base)


def ended(program: Path, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program], capture_output=True, text=True, timeout=seconds, check=False)


def test_there_is_a_compiler() -> None:
    assert COMPILERS


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("sanitizer", SANITIZERS)
@pytest.mark.parametrize("name", ["transactions", "allocation", "stress", "device_allocation", "tables"])
def test_program(name: str, sanitizer: str, compiler: str) -> None:
    done = ended(compiled(name, sanitizer, compiler))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("bug", CONCURRENCY_BUGS, ids=lambda bug: bug.name)
def test_the_stress_program_finds_what_readers_would_see(bug: Bug) -> None:
    """What no vector can show, since vectors have one caller: a reader beside the writer sees it."""
    compiler = COMPILERS[0]
    with planted_base(bug) as base:
        programs = [compiled("stress", sanitizer, compiler, base) for sanitizer in SANITIZERS]
    # Which thread runs when is chance: a run may miss it.
    assert any(ended(program).returncode != 0 for _ in range(15) for program in programs)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_library_compiles_without_a_warning(compiler: str, tmp_path: Path) -> None:
    strict = [*build.WARNINGS, "-Wpedantic", "-Wconversion", "-Wshadow", "-Wstrict-prototypes"]
    for level in ("-O0", "-O3"):
        command = [compiler, *strict, level, "-fPIC", "-shared", f"-I{build.HERE / 'include'}"]
        command += ["-o", str(tmp_path / "out.so"), *map(str, build.sources())]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
@pytest.mark.parametrize(
    ("header", "call"), [("gpamap.h", "gpamap_destroy"), ("gpamap_vhost.h", "gpamap_device_destroy")]
)
def test_the_header_is_cxx(header: str, call: str, tmp_path: Path) -> None:
    user = tmp_path / "user.cc"
    user.write_text(f'#include "{header}"\nint main() {{ {call}(nullptr); }}\n')
    command = ["g++", "-Wall", "-Wextra", "-Werror", f"-I{build.HERE / 'include'}", "-c", str(user), "-o"]
    done = subprocess.run([*command, str(tmp_path / "user.o")], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
