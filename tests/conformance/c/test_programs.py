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
