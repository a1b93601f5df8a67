"""`gpaspec prove --second-opinion`: its exit status, and what it says where it cannot work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from conformance.cli import main
from proofs import second_opinion, second_solver
from proofs.obligations import SAT, UNSAT, Obligation
from proofs.second_opinion import AGREES, DISAGREES, Checked, Opinion


def opinion(*statuses: tuple[str, str]) -> Callable[..., Opinion]:
    checked = tuple(
        Checked(Obligation("LOOKUP.INSIDE", "claim", answer, f"LOOKUP.INSIDE.claim.{i}.smt2"), status, "unsat")
        for i, (answer, status) in enumerate(statuses)
    )
    return lambda theorems, directory, on_progress: Opinion("cvc5 0", 1, len(checked), checked, (), 0.1)


def run(monkeypatch: pytest.MonkeyPatch, found: Callable[..., Opinion], *options: str) -> Any:
    monkeypatch.setattr(second_solver, "is_there", lambda: True)
    monkeypatch.setattr(second_opinion, "second_opinion", found)
    return CliRunner().invoke(main, ["prove", "LOOKUP.INSIDE", "--second-opinion", *options])


def test_agreement_is_exit_status_0(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, opinion((UNSAT, AGREES), (SAT, AGREES)))
    assert result.exit_code == 0
    assert "cvc5 0 agrees" in result.output


def test_disagreement_is_exit_status_1_and_names_theorem_and_file(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, opinion((UNSAT, AGREES), (SAT, AGREES), (SAT, DISAGREES)))
    assert result.exit_code == 1
    assert "LOOKUP.INSIDE: LOOKUP.INSIDE.claim.2.smt2: z3 says sat, cvc5 0 says unsat" in result.output


def test_scripts_get_json(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, opinion((UNSAT, AGREES), (SAT, AGREES), (SAT, DISAGREES)), "--json")
    document = json.loads(result.output)
    assert document["disagreements"][0]["theorem"] == "LOOKUP.INSIDE"
    assert document["agreed"] == {"unsat": 1, "sat": 1} and document["passed"] is False


def test_without_the_second_solver_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_solver, "is_there", lambda: False)
    result = CliRunner().invoke(main, ["prove", "LOOKUP.INSIDE", "--second-opinion"])
    assert result.exit_code == 2
    assert "needs cvc5" in result.output


def test_files_are_not_mixed_with_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "old.smt2").write_text("")
    result = run(monkeypatch, opinion((UNSAT, AGREES), (SAT, AGREES)), "--export", str(tmp_path))
    assert result.exit_code == 2
    assert "is not empty" in result.output
