"""`gpaspec explain`: targets that are run now, and those of which only results are there."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from conformance.cli import main
from conformance.files import load_vectors
from conformance.lastrun import last_run

pytestmark = pytest.mark.slow  # each starts the command: not for the inner loop

BAD = Path(__file__).parent / "bad_adapter.py"
HEAD = {"target": "linux-own-bzImage", "version": "6.1.0-mine", "profile": {}, "environment": {}}


def gpaspec(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def results(out: Path, target: str, *lines: object) -> None:
    (out / "results").mkdir(parents=True, exist_ok=True)
    (out / "results" / f"{target}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


@pytest.fixture(scope="module")
def vector() -> str:
    return load_vectors()[0].id


def test_the_hint_of_a_check_can_be_followed(tmp_path: Path) -> None:
    """An adapter of the user's, with results somewhere else: the command that is printed shows the step."""
    command = f"mylib={sys.executable} {BAD} 'markup in a trace'"
    checked = gpaspec("check", command.replace("mylib", "example"), "--out", str(tmp_path / "my results"))
    hint = next(line for line in checked.output.splitlines() if line.startswith("  gpaspec explain "))
    result = gpaspec(*shlex.split(hint.partition("   shows")[0])[1:])
    assert result.exit_code == 0 and "example: unexplained (errored: [/dev/kvm] is [bold]gone)" in result.output


def test_a_kernel_of_the_users_is_shown_from_its_results(tmp_path: Path, vector: str) -> None:
    entry = {"id": vector, "family": "KVM.SLOT", "verdict": "passed"}
    results(tmp_path, "linux-own-bzImage", HEAD, entry, {"end": True})
    result = gpaspec("explain", vector, "--target", "linux-own-bzImage", "--out", str(tmp_path))
    assert result.exit_code == 0
    assert "linux-own-bzImage: passed  [the run of 2" in result.output and "of version 6.1.0-mine]" in result.output


def test_an_unfinished_run_is_said_to_be_one(tmp_path: Path, vector: str) -> None:
    results(tmp_path, "linux-own-bzImage", HEAD, {"id": vector, "verdict": "passed"})
    assert (
        "of version 6.1.0-mine, which did not finish (1 results)]"
        in gpaspec("explain", vector, "--out", str(tmp_path)).output
    )
    document = json.loads(gpaspec("explain", vector, "--json", "--out", str(tmp_path)).output)
    assert document["origins"]["linux-own-bzImage"].endswith("which did not finish (1 results)")


def test_results_that_are_damaged_are_read_as_far_as_they_go(tmp_path: Path, vector: str) -> None:
    results(tmp_path, "x", HEAD, {"id": vector, "verdict": "passed"}, 5)
    with (tmp_path / "results" / "x.jsonl").open("ab") as file:
        file.write(b'\xff{"id": "')
    run = last_run("x", tmp_path)
    assert set(run.entries) == {vector} and not run.finished and run.versions == ["6.1.0-mine"]
    assert last_run("y", tmp_path).about() == "no run"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--target", "mylib"), "there is no target 'mylib'"),
        (("--target", "../mylib"), "there is no target '../mylib'"),
        (("--target", "linux-own-other"), "linux-own-other: the run of 2"),
        (("--target", "model-tree", "--kernel", "6.1"), "name the target `linux` as well"),
        (("--target", "linux", "--kernel", "/no/such/bzImage"), "there is no kernel image /no/such/bzImage"),
    ],
)
def test_what_cannot_be_shown(tmp_path: Path, vector: str, arguments: tuple[str, ...], what: str) -> None:
    results(tmp_path, "linux-own-other", HEAD)
    result = gpaspec("explain", vector, *arguments, "--out", str(tmp_path))
    assert result.exit_code == 2 and what in result.output


def test_a_target_that_can_be_run_is_run_now(tmp_path: Path, vector: str) -> None:
    results(tmp_path, "model-tree", HEAD, {"id": vector, "verdict": "unexplained", "reason": "long ago"})
    result = gpaspec("explain", vector, "--target", "model-tree", "--out", str(tmp_path))
    assert result.exit_code == 0 and "model-tree: passed  [run now]" in result.output
    assert "long ago" not in result.output
