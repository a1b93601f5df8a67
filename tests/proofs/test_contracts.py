"""CrossHair is believed only where it says "Confirmed", and it refutes what is false."""

from __future__ import annotations

import pytest

from proofs import crosshair
from proofs.crosshair import CONFIRMED, check_contracts, contract_modules, contracts_of


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
    import importlib

    names = set(contracts_of(module))
    assert names
    for name in names:
        called = set(getattr(importlib.import_module(module), name).__code__.co_names)
        assert not called & names
