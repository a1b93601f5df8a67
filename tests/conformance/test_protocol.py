"""Adapters that break the protocol: each fault has one clear error, and costs no answer that was given before it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conformance.protocol import RESTARTS, AdapterTarget
from conformance.selftest import selftest
from conformance.target import Answer, Crashed, Results, Skipped, TargetFailed, TargetUnavailable, Trial
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.lookup import Observe
from spec.memslots.set_region import SetRegion
from spec.outcome import Done

BAD = Path(__file__).parent / "bad_adapter.py"
ROOT = Path(__file__).parent.parent.parent
TRIALS = [Trial(f"t{n}", (SetRegion(slot=n, gpa=4096, size=4096), Observe())) for n in range(6)]


@contextmanager
def adapter(
    fault: str = "", name: str | None = "example", seconds: float = 5.0, at: int = 2
) -> Iterator[AdapterTarget]:
    target = AdapterTarget([sys.executable, str(BAD), fault, str(at)], name, seconds)
    try:
        yield target
    finally:
        target.stop()


def answers_until_it_fails(target: AdapterTarget) -> tuple[list[Answer], str]:
    answers: list[Answer] = []
    try:
        for answer in target.run(TRIALS):
            answers.append(answer)
    except TargetFailed as error:
        return answers, str(error)
    return answers, ""


def test_one_that_is_in_order() -> None:
    with adapter() as target:
        environment = target.start()
        assert environment.name == "example"
        answers, failure = answers_until_it_fails(target)
        target.farewell()
    assert not failure
    assert [answer.id for answer in answers] == [trial.id for trial in TRIALS]
    assert all(isinstance(answer, Results) and answer.steps[0] == Done() for answer in answers)


def test_operations_that_it_does_not_offer_are_not_sent() -> None:
    with adapter() as target:
        target.start()
        answers = list(target.run([TRIALS[0], Trial("ring", (EnableDirtyRing(),)), TRIALS[1]]))
    assert isinstance(answers[1], Skipped) and answers[1].reason == "needs enable_dirty_ring"
    assert isinstance(answers[0], Results) and isinstance(answers[2], Results)


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ("wrong name", "was run as 'example' but says that its name is 'linux'"),
        ("wrong protocol", "speaks protocol 2, this runner speaks 1"),
        ("wrong operation", "offers an unknown operation 'frobnicate'"),
        ("wrong profile", "the member 'user_slots' is missing"),
        ("gone", "ended when it was started (exited with status 3)"),
        ("operation is a list", "broke the protocol at $.start.operations[0]: "),
        ("environment is a list", "broke the protocol at $.start.environment: expected an object, found [1]"),
        ("environment of numbers", "broke the protocol at $.start.environment.cores: "),
        ("half a version", "wrote text with half of a surrogate pair after start"),
        ("version is a list", "broke the protocol at $.start.version: "),
    ],
)
def test_a_bad_start(fault: str, what: str) -> None:
    with adapter(fault) as target, pytest.raises(TargetFailed) as caught:
        target.start()
    assert what in str(caught.value)


@pytest.mark.slow
def test_a_silent_start() -> None:
    began = time.monotonic()
    with adapter("silent", seconds=1.0) as target, pytest.raises(TargetFailed, match="said nothing for 1 s"):
        target.start()
    assert time.monotonic() - began < 10


def test_the_name_of_another_target_is_not_taken() -> None:
    with (
        adapter("wrong name", name=None) as target,
        pytest.raises(TargetFailed, match="the name of a target of gpaspec"),
    ):
        target.start()


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(TargetUnavailable, match="cannot start the adapter /no/such/thing: No such file"):
        AdapterTarget("/no/such/thing").start()


@pytest.mark.parametrize(
    ("fault", "kept", "what"),
    [
        ("garbage", 2, "wrote a line that is no JSON when vector t2 was to be answered: this is no JSON"),
        ("unknown id", 2, "answered 'nobody' (which it was never asked) when t2 was next"),
        ("twice", 2, "answered 't0' (out of order or twice) when t2 was next"),
        ("out of order", 2, "answered 't3' (out of order or twice) when t2 was next"),
        ("too few results", 2, "gave 1 results for the 2 steps of vector t2"),
        ("bad result", 2, "broke the protocol at $.results[0]: no outcome has the members gone"),
        ("half a character", 2, "wrote text with half of a surrogate pair when vector t2 was to be answered"),
        ("id is a list", 2, "broke the protocol at $.id: "),
        ("own crash", 2, "reports its own crash at t2"),
        ("early footer", 2, "ended batch 1 before it answered vector t2"),
        ("long line", 2, "wrote a line of more than 16777216 bytes"),
        ("flood", 3, "answered 't2' (out of order or twice) when t3 was next"),
        ("no footer", 6, "before the footer of batch 1: the answers of this batch cannot be trusted"),
        ("other name", 6, "was 'example' when it started and calls itself 'somebody' now"),
        ("wrong count", 6, "closed batch 1 with 1 answers; it was batch 1 with 6"),
        ("one more", 6, "answered more than it was asked in batch 1"),
    ],
)
def test_a_fault_ends_the_run_and_keeps_what_was_answered(fault: str, kept: int, what: str) -> None:
    with adapter(fault) as target:
        target.start()
        answers, failure = answers_until_it_fails(target)
        assert target.process is None, "the adapter is ended"
    assert what in failure and failure.startswith("adapter example: ")
    assert [answer.id for answer in answers] == [f"t{n}" for n in range(kept)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ("exit", "exited with status 7\nout of cheese"),
        ("kill", "killed by signal SIGKILL"),
        ("real-time signal", "killed by signal 40"),
        ("half a line", "exited with status 0"),
        ("hang", "no answer for 1 s"),
    ],
)
def test_a_death_costs_one_vector_and_the_rest_goes_on(fault: str, what: str) -> None:
    """It dies at the third vector of each batch: of six vectors at t2 and, started anew, at t5."""
    with adapter(fault, seconds=1.0 if fault == "hang" else 5.0) as target:
        target.start()
        answers, failure = answers_until_it_fails(target)
    assert not failure
    assert [answer.id for answer in answers] == [trial.id for trial in TRIALS]
    crashes = {answer.id: answer.report for answer in answers if isinstance(answer, Crashed)}
    assert set(crashes) == {"t2", "t5"}
    assert all(report.startswith(what) for report in crashes.values())


def test_one_that_dies_again_and_again_is_given_up() -> None:
    with adapter("exit", at=0) as target:
        target.start()
        answers, failure = answers_until_it_fails(target)
    assert len(answers) == RESTARTS + 1 == len([a for a in answers if isinstance(a, Crashed)])
    assert f"had to be started anew more than {RESTARTS} times" in failure


def test_the_example_passes_the_selftest() -> None:
    command = f"{sys.executable} {ROOT / 'conformance' / 'examples' / 'adapter.py'}"
    findings = list(selftest(command))
    assert len(findings) == 8
    assert [finding.problem for finding in findings] == [""] * 8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ("gone", "exited with status 3"),
        ("deaf", "said nothing for 1 s after stop"),
        ("talks on", "wrote more after stop"),
        ("bad status", "ended with status 5 after stop"),
        ("other name", "calls itself 'somebody' now"),
    ],
)
def test_the_selftest_finds_what_is_wrong(fault: str, what: str) -> None:
    findings = list(selftest(f"{sys.executable} {BAD} '{fault}'", seconds=1.0))
    assert what in findings[-1].problem


@pytest.mark.parametrize(
    ("command", "what"),
    [("python3 'a", "cannot be read: No closing quotation"), ("  ", "the adapter's command is empty")],
)
def test_the_selftest_of_a_command_that_is_none(command: str, what: str) -> None:
    (finding,) = selftest(command)
    assert what in finding.problem


def test_the_selftest_ends_the_adapter_also_when_it_is_left_early(tmp_path: Path) -> None:
    checks = selftest(f"{sys.executable} {BAD} deaf")
    next(checks)
    children = [pid for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())]
    mine = [pid for pid in children if str(BAD) in command_line(pid)]
    assert len(mine) == 1
    checks.close()  # type: ignore[attr-defined]
    assert not Path(f"/proc/{mine[0]}").exists()


def command_line(pid: int) -> str:
    """The command of a child of this process, or nothing."""
    try:
        parent = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        return Path(f"/proc/{pid}/cmdline").read_text() if parent == os.getpid() else ""
    except OSError:
        return ""


def test_adapters_end_with_the_runner() -> None:
    """Also one that ignores everything: nothing that was started is left."""
    with adapter("deaf") as target:
        target.start()
        assert target.process is not None
        pid = target.process.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_c_library_through_the_protocol() -> None:
    target = AdapterTarget([sys.executable, "-m", "conformance.targets.c.adapter"], "c", seconds=60.0)
    try:
        target.start()
        answers, failure = answers_until_it_fails(target)
        target.farewell()
    finally:
        target.stop()
    assert not failure and len(answers) == len(TRIALS)


def test_the_example_imports_nothing_of_this_program() -> None:
    source = (ROOT / "conformance" / "examples" / "adapter.py").read_text()
    assert not [line for line in source.splitlines() if line.startswith(("import", "from")) and "conformance" in line]
    # -I: no current directory, no environment; -S: no installed packages
    path = ROOT / "conformance" / "examples" / "adapter.py"
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(path)],
        input='{"cmd":"stop"}\n',
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == '{"stop": "ok"}\n'
