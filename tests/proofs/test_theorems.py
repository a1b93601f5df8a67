"""The judge judges right: what is true is proved, and vacuous, false, undecided and badly planted theorems fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proofs import prover, values
from proofs.catalogue import theorem_named
from proofs.prover import BUG_MISSED, ERROR, PROVED, REFUTED, UNKNOWN, VACUOUS, judge
from proofs.run import Report, prove
from proofs.show import as_json, explanation, matrix_table
from proofs.symbolic.explorer import is_exploring
from proofs.theorem import Bug, Patch, Theorem, patched
from proofs.theorems import slots
from spec.memslots.slot import Slot, Vm

A_FEW = ("MEMSLOT.DISJOINT", "LOOKUP.INSIDE", "DIRTY.CLEAR_EXACT", "TWOSETS.READER.DELETE", "VM.ENABLEDIRTYRING.EFFECT")


@pytest.fixture(scope="module")
def a_report() -> Report:
    return prove("LOOKUP.")


@pytest.mark.slow
@pytest.mark.parametrize("theorem_id", A_FEW)
def test_a_theorem_is_proved_with_a_witness_and_a_bug_that_is_caught(theorem_id: str) -> None:
    verdict = judge(theorem_named(theorem_id))
    assert verdict.status == PROVED
    theorem = theorem_named(theorem_id)
    assert verdict.witness is not None
    assert theorem.given(**verdict.witness) is True
    assert theorem.holds(**verdict.witness) is True
    assert verdict.bug_case is not None
    with patched(theorem.bug.patches):
        assert not theorem.holds(**verdict.bug_case)
    assert theorem.given(**verdict.bug_case) is False or theorem.holds(**verdict.bug_case) is True


@pytest.mark.slow
def test_the_whole_catalogue_is_proved() -> None:
    report = prove()
    bad = [verdict for verdict in report.verdicts if verdict.status != PROVED]
    bad_contracts = [contract for contract in report.contracts if contract.status != "confirmed"]
    assert not bad
    assert not bad_contracts
    assert report.passed()
    # Whatever is proved can be kept, so that a second run proves only what changed.
    for verdict in report.verdicts:
        cases = (verdict.witness, verdict.bug_case)
        assert tuple(values.from_json(values.as_json(case)) for case in cases) == cases, verdict.id


def changed(**fields: Any) -> Theorem:
    return replace(theorem_named("MEMSLOT.DISJOINT"), **fields)


def never(**inputs: Any) -> bool:
    return False


def always(**inputs: Any) -> bool:
    return True


def raises(**inputs: Any) -> bool:
    raise ValueError("a claim that raises")


def true_in_the_engine_only(**inputs: Any) -> bool:
    return is_exploring()


def valid_before(profile: Any, vm: Vm, request: Any) -> Any:
    return slots.valid(profile, vm)


HARMLESS = Bug("nothing is different", (Patch(Slot, "contains", Slot.contains),))


def test_contradictory_hypotheses_fail() -> None:
    assert judge(changed(given=never)).status == VACUOUS


def test_a_claim_that_python_denies_of_the_witness_fails() -> None:
    verdict = judge(changed(holds=true_in_the_engine_only))
    assert verdict.status == ERROR and "false of the witness" in verdict.detail


@pytest.mark.slow
def test_a_planted_bug_that_makes_no_difference_fails() -> None:
    assert judge(changed(bug=HARMLESS)).status == BUG_MISSED


def test_a_claim_that_cannot_fail_is_noticed_by_its_planted_bug() -> None:
    assert judge(changed(holds=always)).status == BUG_MISSED


def test_a_false_theorem_is_refuted_with_a_case_that_python_confirms() -> None:
    theorem = changed(given=valid_before, holds=never)
    verdict = judge(theorem)
    assert verdict.status == REFUTED
    assert verdict.counterexample is not None
    assert theorem.given(**verdict.counterexample) is True


def test_a_hypothesis_that_is_missing_is_noticed() -> None:
    """Without a valid VM to start from, slots need not be disjoint after."""

    def accepted_only(profile: Any, vm: Vm, request: Any) -> Any:
        return slots.accepted(profile, vm, request)

    assert judge(changed(given=accepted_only)).status == REFUTED


def test_a_claim_that_raises_is_refuted() -> None:
    assert judge(changed(holds=raises)).status == REFUTED


def test_inputs_that_raise_are_an_error() -> None:
    verdict = judge(changed(inputs=lambda world: 1 // 0))
    assert verdict.status == ERROR
    assert "ZeroDivisionError" in verdict.detail


def test_an_undecided_question_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    import z3

    monkeypatch.setattr(prover.Explorer, "check", lambda self, formulas, timeout_ms=0: (None, z3.unknown))
    assert judge(changed()).status == UNKNOWN


def test_an_engine_that_disagrees_with_python_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A counterexample is run again on plain values; one that is none there is the engine's fault."""
    monkeypatch.setattr(prover, "_fails", lambda theorem, case: False)
    verdict = judge(changed(given=valid_before, holds=never))
    assert verdict.status == ERROR
    assert "disagree" in verdict.detail


def test_an_unknown_theorem_is_named_with_those_near_it() -> None:
    with pytest.raises(KeyError, match=r"LOOKUP\.INSIDE"):
        theorem_named("LOOKUP.OUTSIDE")


def test_the_report_has_the_shape_that_scripts_rely_on(a_report: Report) -> None:
    document = as_json(a_report)
    wanted = {"id", "sentence", "rules", "status", "bound", "seconds", "witness", "planted_bug_refuted"}
    assert document["theorems"]
    for theorem in document["theorems"]:
        assert wanted <= set(theorem)
        assert theorem["planted_bug_refuted"] is True
        assert theorem["witness"]


def test_the_matrix_and_the_explanation_can_be_shown(a_report: Report) -> None:
    from rich.console import Console

    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(matrix_table(a_report))
    assert "gfn to hva inside" in console.export_text()
    text = explanation(judge(theorem_named("LOOKUP.INSIDE")))
    assert "planted bug" in text
    assert "KVM.SLOT.HVA_LIMIT" in text


def test_nothing_selected_is_not_passed() -> None:
    assert not prove("no theorem has this in its sentence").passed()
