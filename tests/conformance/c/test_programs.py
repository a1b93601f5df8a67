"""The C test programs, compiled with each compiler there is and run under the sanitizers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from conformance.targets.c import build

from .planted import CONCURRENCY_BUGS, DIRTY_RUN_BUGS, TABLE_READER_BUGS, Bug, planted_base
from .planted_index import HARMLESS, INDEX_BUGS
from .planted_publication import MEMORY_BUGS, READER_BUGS

pytestmark = pytest.mark.slow  # minutes in all: not for the inner loop

PROGRAMS = Path(__file__).parent / "programs"
SANITIZERS = {"memory": "address,undefined", "threads": "thread"}
PROGRAMS_ALONE = ("transactions", "allocation", "stress", "device_allocation", "tables", "table_stress", "index")
PROGRAMS_ALONE += ("dirty_runs",)
EDITS = "1500000"  # at most: most bugs are found by a tenth of them
RARE = {"entries-before-stay-without-hints": "19516"}  # a seed that finds what the first thousand do not
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]


def compiled(name: str, sanitizer: str, compiler: str, base: Path = build.HERE) -> Path:
    flags = (f"-fsanitize={SANITIZERS[sanitizer]}", "-fno-sanitize-recover=all", "-pthread")
    return build.program(PROGRAMS / f"{name}.c", flags, shutil.which(compiler), base)


def ended(program: Path, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=seconds, check=False)


def test_there_is_a_compiler() -> None:
    assert COMPILERS


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("sanitizer", SANITIZERS)
@pytest.mark.parametrize("name", PROGRAMS_ALONE)
def test_program(name: str, sanitizer: str, compiler: str) -> None:
    done = ended(compiled(name, sanitizer, compiler))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("bug", (*CONCURRENCY_BUGS, *READER_BUGS), ids=lambda bug: bug.name)
def test_the_stress_program_finds_what_readers_would_see(bug: Bug) -> None:
    """What no vector can show, since vectors have one caller: a reader beside the writer sees it."""
    compiler = COMPILERS[0]
    with planted_base(bug) as base:
        programs = [compiled("stress", sanitizer, compiler, base) for sanitizer in SANITIZERS]
    # Which thread runs when is chance: a run may miss it.
    assert any(ended(program).returncode != 0 for _ in range(15) for program in programs)


@pytest.mark.parametrize("bug", DIRTY_RUN_BUGS, ids=lambda bug: bug.name)
def test_a_log_that_is_taken_between_two_loads_finds_what_reads_a_page_twice(bug: Bug) -> None:
    with planted_base(bug) as base:
        program = compiled("dirty_runs", "memory", COMPILERS[0], base)
    assert ended(program).returncode != 0, bug.sentence


@pytest.mark.parametrize("bug", TABLE_READER_BUGS, ids=lambda bug: bug.name)
def test_the_stress_program_of_a_table_finds_what_its_readers_would_see(bug: Bug) -> None:
    with planted_base(bug) as base:
        programs = [compiled("table_stress", sanitizer, COMPILERS[0], base) for sanitizer in SANITIZERS]
    assert any(ended(program).returncode != 0 for _ in range(15) for program in programs)


@pytest.mark.parametrize("bug", INDEX_BUGS, ids=lambda bug: bug.name)
def test_the_index_program_finds_what_maps_of_vectors_are_too_small_for(bug: Bug) -> None:
    with planted_base(bug) as base:
        program = compiled("index", "memory", COMPILERS[0], base)
    assert ended(program, EDITS, RARE.get(bug.name, "1")).returncode != 0, bug.sentence


@pytest.mark.parametrize("bug", HARMLESS, ids=lambda bug: bug.name)
def test_wrong_hints_change_no_answer(bug: Bug) -> None:
    with planted_base(bug) as base:
        program = compiled("index", "memory", COMPILERS[0], base)
    done = ended(program, "100000", "1", "hints may be wrong")
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_many_bugs_of_the_index() -> None:
    assert len({bug.name for bug in INDEX_BUGS}) == len(INDEX_BUGS) >= 40


@pytest.mark.parametrize("bug", MEMORY_BUGS, ids=lambda bug: bug.name)
def test_failing_allocations_find_what_is_lost_or_half_done(bug: Bug) -> None:
    with planted_base(bug) as base:
        programs = [compiled(name, "memory", COMPILERS[0], base) for name in ("allocation", "device_allocation")]
    assert any(ended(program).returncode != 0 for program in programs)
