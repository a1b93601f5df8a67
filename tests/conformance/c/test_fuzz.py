"""The fuzzer: nothing is found in the library as it is, and planted bugs are found in seconds."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.files import load_vectors
from conformance.target import TargetUnavailable
from conformance.targets.c import fuzz_build, fuzzing
from conformance.targets.c.fuzz_build import fuzz_program
from conformance.targets.c.fuzz_replay import Differs, operations_in, replay
from conformance.targets.c.fuzz_seeds import seeds
from conformance.targets.c.fuzzing import SPEC, account, main, run, shortened

from .planted import BUGS, Bug, planted_base
from .planted_blocks import BLOCK_BUGS
from .planted_device import DEVICE_BUGS
from .planted_table import TABLE_BUGS

OPERATIONS = 1_000_000
SECONDS = 300  # of a busy machine; alone it takes a tenth
EVERY = 20  # of the bugs that are planted for the vectors one in so many is looked for here


@pytest.fixture(scope="module")
def program() -> fuzz_build.Program:
    return fuzz_program()


def told(program: fuzz_build.Program, tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "input"
    path.write_bytes(content)
    return account(program, path)


def inputs_of_vectors(number: int) -> Iterator[bytes]:
    """A few of each subject."""
    contents = [content for _, content in seeds(load_vectors())]
    yield from contents[:: len(contents) // number]


@pytest.mark.slow
def test_a_million_operations(tmp_path: Path) -> None:
    result = run(OPERATIONS, jobs=2, out=tmp_path, replays=50)
    assert not result.findings and not result.troubles, (
        result.troubles,
        [shortened(x.account) for x in result.findings],
    )
    assert result.operations >= OPERATIONS and result.replay.compared > 500
    # Random bytes do not pass for what coverage leads to, where clang has libFuzzer.
    assert result.program.libfuzzer == (fuzz_build.clang_with_libfuzzer() is not None)


@pytest.mark.skipif(not shutil.which("clang"), reason="clang is not here: install it")
def test_libfuzzer_is_used_where_clang_has_its_runtime() -> None:
    asked = subprocess.run(["clang", "-print-runtime-dir"], capture_output=True, text=True, timeout=60, check=True)
    names = (f"libclang_rt.fuzzer-{platform.machine()}.a", "libclang_rt.fuzzer.a")
    has_runtime = any((Path(asked.stdout.strip()) / name).exists() for name in names)
    assert (fuzz_build.clang_with_libfuzzer() is not None) == has_runtime


@pytest.mark.slow
def test_random_bytes_where_there_is_no_libfuzzer(tmp_path: Path) -> None:
    result = run(100_000, out=tmp_path, libfuzzer=False)
    assert not result.program.libfuzzer and "libclang-rt" in result.program.note
    assert result.exit_code() == 0 and result.operations >= 100_000


@pytest.mark.slow
@pytest.mark.parametrize("bug", (*BLOCK_BUGS, *(*BUGS, *TABLE_BUGS, *DEVICE_BUGS)[::EVERY]), ids=lambda bug: bug.name)
def test_a_planted_bug_is_found_and_told(bug: Bug, tmp_path: Path) -> None:
    with planted_base(bug) as base:
        result = run(20_000_000, SECONDS, base=base, out=tmp_path)
    assert result.exit_code() == 1, bug.sentence
    for finding in result.findings:
        assert finding.path.parent == tmp_path and finding.path.is_file()
        assert (
            "DIFFERENCE in operation" in finding.account
            or "Sanitizer" in finding.account
            or "runtime error" in finding.account
        )


@pytest.mark.slow
def test_random_bytes_find_a_planted_bug(tmp_path: Path) -> None:
    with planted_base(BUGS[0]) as base:
        result = run(3_000_000, SECONDS, base=base, out=tmp_path, libfuzzer=False)
    assert result.exit_code() == 1 and "DIFFERENCE in operation" in result.findings[0].account


@pytest.mark.slow
def test_what_vectors_become_is_told_and_done_on_the_spec(program: fuzz_build.Program, tmp_path: Path) -> None:
    names = set()
    compared = 0
    for content in inputs_of_vectors(60):
        text = told(program, tmp_path, content)
        compared += replay(text, SPEC).compared
        names |= {one.name for one in operations_in(text)}
    assert compared > 300
    assert {"map", "device", "set_region", "write", "device_translate", "get_dirty_log", "set_mem_table"} <= names


@pytest.mark.slow
def test_a_replay_sees_what_is_not_so(program: fuzz_build.Program, tmp_path: Path) -> None:
    """Each number that was answered, changed by one."""
    seen = 0
    for content in inputs_of_vectors(30):
        lines = told(program, tmp_path, content).splitlines()
        lines = lines[: lines.index("end") + 1]  # libFuzzer does it a second time
        last = max((k for k, line in enumerate(lines) if line.startswith("  = ")), default=None)
        if last is None or lines[last] != "  = 0":
            continue
        lines[last] = "  = -5"
        with pytest.raises(Differs):
            replay("\n".join(lines), SPEC)
        seen += 1
    assert seen > 3


def test_without_a_compiler_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(*_: object) -> fuzz_build.Program:
        raise TargetUnavailable("cc has no sanitizers: install clang.")

    monkeypatch.setattr(fuzzing, "fuzz_program", none)
    assert main(["--operations", "1", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "cc has no sanitizers: install clang.\n"


def test_each_function_of_the_headers_is_renamed() -> None:
    flags = fuzz_build.renamed()
    assert "-Dgpamap_set_region=naive_gpamap_set_region" in flags and len(flags) > 40
    assert not any("gpamap_piece=" in flag for flag in flags)


def test_an_account_is_shortened_to_its_ends() -> None:
    text = "\n".join([*(f"line {k}" for k in range(100)), "DIFFERENCE in operation 3:", "what", "==1== stack"])
    short = shortened(text).splitlines()
    assert short[0] == "line 0" and len(short) < 60 and "DIFFERENCE in operation 3:" in short
