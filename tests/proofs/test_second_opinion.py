"""A second solver is asked what z3 was asked, from files; who says the same whatever is asked is found out."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import z3

from proofs import second_solver
from proofs.catalogue import theorem_named
from proofs.obligations import BUG, SAT, UNSAT, WITNESS, record, smt_lib
from proofs.second_opinion import DISAGREES, UNDECIDED, Opinion, as_json, lines, second_opinion
from proofs.second_solver import ERROR, Answer, answer_of
from proofs.symbolic.explorer import BRANCH, CLAIM

A_THEOREM = "ENTRY.COUNTS"

needs_cvc5 = pytest.mark.skipif(importlib.util.find_spec("cvc5") is None, reason="cvc5 is not installed here")


def always_unsat(path: Path) -> Answer:
    return answer_of(path.name, "unsat")


def always_sat(path: Path) -> Answer:
    return answer_of(path.name, "sat")


def never_sure(path: Path) -> Answer:
    return answer_of(path.name, "unknown (TIMEOUT)")


def confused(path: Path) -> Answer:
    return answer_of(path.name, "(error: what is this?)")


def by_z3(path: Path) -> Answer:
    """z3 itself, from the file, as a solver that can be had everywhere."""
    solver = z3.Solver()
    solver.from_file(str(path))
    return answer_of(path.name, str(solver.check()))


def wrong_once(path: Path) -> Answer:
    """Right, but for the planted bug's case."""
    return always_unsat(path) if BUG.replace(" ", "-") in path.name else by_z3(path)


def opinion_of(ask: Callable[[Path], Answer], directory: Path, theorem_id: str = A_THEOREM) -> Opinion:
    return second_opinion([theorem_named(theorem_id)], directory, jobs=1, ask=ask, solver="a stand-in")


def test_what_is_asked_is_written_down(tmp_path: Path) -> None:
    recorded = record(A_THEOREM, tmp_path)
    assert not recorded.complaint
    kinds = {(one.kind, one.answer) for one in recorded.obligations}
    assert {(CLAIM, UNSAT), (WITNESS, SAT), (BUG, SAT)} <= kinds
    assert {one.file for one in recorded.obligations} == {path.name for path in tmp_path.iterdir()}
    for one in recorded.obligations:
        assert by_z3(tmp_path / one.file).verdict == one.answer


@pytest.mark.slow
def test_every_path_and_every_branch_that_was_cut_off_is_an_obligation(tmp_path: Path) -> None:
    """Counted anew: with all but those left out, z3 would have been asked less often."""
    from proofs.prover import prove
    from proofs.symbolic.explorer import heard_by

    heard: list[str] = []
    theorem = theorem_named("XLATE.WHY")
    with heard_by(lambda kind, formulas, answer: heard.append(kind) if answer == z3.unsat else None):
        verdict = prove(theorem)
    assert heard.count(CLAIM) == verdict.paths
    written = [one for one in record(theorem.id, tmp_path).obligations if one.answer == UNSAT]
    assert {one.kind for one in written} == {CLAIM, BRANCH}
    assert 0.9 * len(heard) < len(written) <= len(heard), "more than a few were the same"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (always_unsat, "says unsat"),
        (always_sat, "says sat"),
        (never_sure, "that is no opinion"),
        (confused, "fails"),
        (wrong_once, "z3 says sat, a stand-in says unsat"),
    ],
)
def test_a_solver_that_lies_is_found_out(ask: Callable[[Path], Answer], what: str, tmp_path: Path) -> None:
    opinion = opinion_of(ask, tmp_path)
    assert not opinion.passed()
    assert any(what in complaint for complaint in opinion.complaints())
    for one in opinion.having(DISAGREES):
        assert any(A_THEOREM in complaint and one.obligation.file in complaint for complaint in opinion.complaints())
        assert (tmp_path / one.obligation.file).exists()


@pytest.mark.slow
def test_a_solver_that_agrees_passes(tmp_path: Path) -> None:
    opinion = opinion_of(by_z3, tmp_path)
    assert opinion.passed(), opinion.complaints()
    assert opinion.asked >= len(opinion.checked) == len(list(tmp_path.glob("*.smt2")))
    document = as_json(opinion)
    assert document["passed"] and document["agreed"]["unsat"] and document["agreed"]["sat"] >= 2
    index = json.loads((tmp_path / "index.json").read_text())["obligations"]
    assert {one["file"] for one in index} == {path.name for path in tmp_path.glob("*.smt2")}
    assert any("a stand-in agrees" in line for line in lines(opinion))


def sure_of_little(path: Path) -> Answer:
    return never_sure(path) if CLAIM in path.name else by_z3(path)


@pytest.mark.slow
def test_what_was_not_decided_is_listed_and_no_agreement(tmp_path: Path) -> None:
    opinion = opinion_of(sure_of_little, tmp_path, "LOOKUP.INSIDE")
    undecided = opinion.having(UNDECIDED)
    assert undecided and all(one.obligation.kind == CLAIM for one in undecided)
    assert len(as_json(opinion)["undecided"]) == len(undecided)
    assert any("undecided" in line and "LOOKUP.INSIDE" in line for line in lines(opinion))


def test_a_theorem_that_is_not_proved_is_a_complaint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proofs.symbolic.explorer.Explorer.check", lambda *_, **__: (None, z3.unknown))
    recorded = record(A_THEOREM, tmp_path)
    assert "unknown" in recorded.complaint
    assert not recorded.obligations


def test_files_are_plain_smt_lib(tmp_path: Path) -> None:
    a, b = z3.Ints("a b")
    text = smt_lib([z3.And(), z3.Or(a < b, z3.Or()), z3.ForAll([a], z3.Or(z3.And(), a > b))])
    path = tmp_path / "question.smt2"
    path.write_text(text)
    assert text.startswith("(set-info :smt-lib-version 2.6)\n(set-logic ALL)\n")
    assert text.endswith("(check-sat)\n(exit)\n")
    assert by_z3(path).verdict == SAT
    if second_solver.is_there():
        assert second_solver.ask(path).verdict != ERROR


@needs_cvc5
@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("(set-logic ALL)(declare-const a Int)(assert (= (* 2 a) 7))(check-sat)", UNSAT),
        ("(set-logic ALL)(declare-const a Int)(assert (= (mod a 5) 2))(assert (< a 0))(check-sat)", SAT),
        ("(set-logic ALL)(declare-const a (_ BitVec 8))(assert (distinct (bvor a a) a))(check-sat)", UNSAT),
        ("(set-logic ALL)(assert (frobnicate))(check-sat)", ERROR),
        ("(set-logic ALL)", ERROR),
    ],
)
def test_cvc5_answers_from_a_file(text: str, verdict: str, tmp_path: Path) -> None:
    path = tmp_path / "question.smt2"
    path.write_text(text)
    assert second_solver.ask(path).verdict == verdict


@pytest.mark.slow
@needs_cvc5
def test_cvc5_agrees_about_theorems_of_both_arithmetics(tmp_path: Path) -> None:
    """Whether it decides the one or the other question is its business; what it says must not be the opposite."""
    for theorem_id in (A_THEOREM, "DEVICE.SETFEATURES.OFFERED"):
        opinion = second_opinion([theorem_named(theorem_id)], tmp_path / theorem_id)
        assert opinion.passed(), opinion.complaints()
