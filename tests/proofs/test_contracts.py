"""CrossHair is believed only where it says "Confirmed", and it refutes what is false."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest

from proofs import crosshair
from proofs.crosshair import CONFIRMED, check_contracts, contract_modules, contracts_of
from proofs.without_contract import WITHOUT_CONTRACT
from tests.proofs.contract_faults import FAULTS
from tests.proofs.fixed_arity import ROOT, with_fixed_arity
from tests.proofs.twins import TRUE, function_and_owner, twins_of


def test_the_contracts_of_a_module_are_confirmed() -> None:
    verdicts = check_contracts("proofs.contracts.units")
    assert len(verdicts) == len(contracts_of("proofs.contracts.units"))
    assert {verdict.status for verdict in verdicts} == {CONFIRMED}


def test_false_contracts_are_refuted() -> None:
    verdicts = check_contracts("tests.proofs.false_contracts")
    assert len(verdicts) == 3
    for verdict in verdicts:
        assert verdict.status != CONFIRMED
        assert "false when calling" in verdict.status or "ZeroDivisionError" in verdict.status


def test_a_contract_that_is_not_mentioned_is_not_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crosshair, "REPORT", crosshair.re.compile("never"))
    verdicts = check_contracts("proofs.contracts.access")
    assert {verdict.status for verdict in verdicts} == {"not reported"}


def test_no_answer_in_time_is_not_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crosshair, "SECONDS_MODULE", 0.01)
    assert all("no answer" in verdict.status for verdict in check_contracts("proofs.contracts.access"))


@pytest.mark.parametrize("module", contract_modules())
def test_contracts_do_not_call_functions_with_contracts(module: str) -> None:
    """CrossHair swallows the violated contract of a function that is called."""
    names = set(contracts_of(module))
    assert names
    for name in names:
        called = set(getattr(importlib.import_module(module), name).__code__.co_names)
        assert not called & names


@pytest.mark.slow
def test_each_function_of_fixed_arity_has_a_contract_or_a_reason() -> None:
    """A contract is about a function if it is false once that function has a fault."""
    functions, broken = set(with_fixed_arity()), {fault.broken for fault in FAULTS}
    assert len(functions) > 100
    assert functions - broken - set(WITHOUT_CONTRACT) == set()
    assert set(WITHOUT_CONTRACT) <= functions - broken
    assert all(reason.endswith(".") for reason in WITHOUT_CONTRACT.values())


@pytest.mark.slow
def test_what_looks_at_sets_or_sequences_is_not_of_fixed_arity() -> None:
    functions = with_fixed_arity()
    for name in ("spec.memslots.set_region.touches_another_slot", "spec.vhost.chain.bytes_in", "spec.pages.pages_in"):
        function_and_owner(name)
        assert name not in functions
    for name in ("spec.memslots.set_region.gpa_wraps", "spec.memslots.slot.Slot.touches", "spec.units.page_of"):
        assert name in functions


def test_each_contract_has_a_fault() -> None:
    contracts = {
        f"{module.rpartition('.')[2]}.{name}" for module in contract_modules() for name in contracts_of(module)
    }
    assert {fault.contract for fault in FAULTS} == contracts


@pytest.mark.slow
@pytest.mark.parametrize("module", contract_modules())
def test_each_contract_is_refuted_once_the_fault_is_there(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is confirmed in the same surroundings without one."""
    short = module.rpartition(".")[2]
    faults = [(number, fault) for number, fault in enumerate(FAULTS) if fault.contract.startswith(f"{short}.")]
    (tmp_path / f"twins_of_{short}.py").write_text(twins_of(module, faults))
    monkeypatch.setattr(crosshair, "SECONDS_MODULE", 500)  # many, and maybe on a busy machine
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), str(tmp_path))))
    verdicts = {verdict.id.partition(".")[2]: verdict.status for verdict in check_contracts(f"twins_of_{short}")}
    true = [verdicts.pop(name) for name in list(verdicts) if name.endswith(TRUE)]
    assert true == [CONFIRMED]
    assert len(verdicts) == len(faults)
    assert {name: status for name, status in verdicts.items() if "false when calling" not in status} == {}
