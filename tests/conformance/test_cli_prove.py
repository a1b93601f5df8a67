"""`gpaspec prove`: what it writes, what it explains, and what it exits with."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import conformance.cli
import conformance.running
import proofs.run
from conformance.cli import main
from proofs.catalogue import THEOREMS
from proofs.prover import UNKNOWN, Verdict

FIRST = THEOREMS[0].id


def prove(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["prove", *arguments])


@pytest.fixture
def undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prover gives up."""
    judge: Callable[[Any], Verdict] = proofs.run.judge
    monkeypatch.setattr(proofs.run, "judge", lambda theorem: dataclasses.replace(judge(theorem), status=UNKNOWN))


def test_without_a_name_the_theorems_are_listed() -> None:
    result = prove("--explain")
    assert result.exit_code == 2 and "None" not in result.output
    for theorem in THEOREMS:
        assert theorem.id in result.output and theorem.sentence in result.output
    assert "`gpaspec prove --explain ID` shows one in full" in result.output


def test_an_exact_id_is_one_theorem() -> None:
    result = prove("--explain", FIRST)
    assert result.exit_code == 0 and result.output.startswith(f"{FIRST}: proved")
    assert "planted bug" in result.output
    document = json.loads(prove("--explain", FIRST, "--json").output)
    assert [one["id"] for one in document["theorems"]] == [FIRST] and document["passed"]


def test_a_part_of_several_ids_lists_those() -> None:
    result = prove("--explain", "REFINES.")
    assert result.exit_code == 2 and "REFINES.KIND" in result.output and FIRST not in result.output


@pytest.mark.usefixtures("undecided")
def test_an_explained_theorem_that_is_not_proved_is_status_1() -> None:
    result = prove("--explain", FIRST)
    assert result.exit_code == 1 and result.output.startswith(f"{FIRST}: {UNKNOWN}")


@pytest.mark.parametrize("arguments", [("nonsense",), ("--explain", "nonsense")])
def test_what_is_no_theorem(arguments: tuple[str, ...]) -> None:
    result = prove(*arguments)
    assert result.exit_code == 2 and "no theorem has 'nonsense'" in result.output


def test_a_part_leaves_the_result_of_all_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "prove.json").write_text("all of them")
    assert prove(FIRST, "--out", str(tmp_path)).exit_code == 0
    assert (tmp_path / "prove.json").read_text() == "all of them"
    assert [one["id"] for one in json.loads((tmp_path / "prove-part.json").read_text())["theorems"]] == [FIRST]


def test_the_result_of_all_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = proofs.run.prove(FIRST)
    monkeypatch.setattr(conformance.cli, "prove_all", lambda pattern, quiet: part)
    assert prove("--out", str(tmp_path)).exit_code == 0
    assert [one["id"] for one in json.loads((tmp_path / "prove.json").read_text())["theorems"]] == [FIRST]


def test_progress_counts_contracts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is reported was expected: the bar ends full."""
    totals: list[float | None] = []
    add_task = conformance.running.Progress.add_task

    def remember(self: Any, description: str, **more: Any) -> Any:
        totals.append(more.get("total"))
        return add_task(self, description, **more)

    monkeypatch.setattr(conformance.running.Progress, "add_task", remember)
    name = proofs.run.contract_modules()[0].removeprefix("proofs.contracts.")
    report = conformance.cli.prove_all(name, quiet=True)
    assert report.contracts and totals == [len(report.verdicts) + len(report.contracts)]
