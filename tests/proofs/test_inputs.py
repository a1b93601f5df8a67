"""Inputs of a theorem have names of their own: two of one name would be one, and the proof would be about less."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import z3

from proofs.catalogue import THEOREMS
from proofs.prover import checks_as_formulas
from proofs.symbolic.explorer import Explorer, exploring
from proofs.theorem import Theorem
from proofs.world import AnyWorld

# Names that are given twice in a theorem, and why nothing is lost.
TWICE = {
    "DEVICE.SETMEMTABLE.REPLACED": "the request of two regions is thrown away for one of three",
    "REFINES.SETMEMTABLE": "the request of two regions is thrown away for one of one",
    "LOG.WRITTEN": "the device that a write brings along is thrown away",
    "CACHE.KEPT.SET_MEM_TABLE": "the request to add a region is thrown away",
}
SAID_AGAIN = ".is_there"  # whether a tree is there is said again where the tree is measured


def names_made(theorem: Theorem, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all symbols that the inputs are made of."""
    names: list[str] = []

    def noted(make: Callable[..., Any]) -> Callable[..., Any]:
        def noting(name: Any, *rest: Any) -> Any:
            names.append(str(name))
            return make(name, *rest)

        return noting

    with monkeypatch.context() as patched:
        for make in ("Int", "Bool", "Function", "DeclareSort", "Const"):
            patched.setattr(z3, make, noted(getattr(z3, make)))
        with checks_as_formulas(), exploring(Explorer(theorem.arithmetic)):
            theorem.inputs(theorem.proved_in() if theorem.proved_in else AnyWorld())
    return names


@pytest.mark.parametrize("theorem", THEOREMS, ids=lambda theorem: theorem.id)
def test_each_input_has_a_name_of_its_own(theorem: Theorem, monkeypatch: pytest.MonkeyPatch) -> None:
    names = names_made(theorem, monkeypatch)
    assert names
    again = {name for name, times in Counter(names).items() if times > 1 and not name.endswith(SAID_AGAIN)}
    assert not {name for name in again if "!" not in name} or theorem.id in TWICE, again


def test_names_that_are_given_twice_are_still_there() -> None:
    assert set(TWICE) <= {theorem.id for theorem in THEOREMS}


def test_a_name_that_is_given_twice_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    doubled = replace(THEOREMS[0], inputs=lambda world: {"a": world.integer("a", 0, 1), "b": world.integer("a", 0, 1)})
    assert Counter(names_made(doubled, monkeypatch))["a"] == 2
