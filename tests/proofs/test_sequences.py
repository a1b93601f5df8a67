"""Sequences: short ones answer as tuples, a theorem that looks into one says so, and what is left open stays open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proofs.catalogue import theorem_named
from proofs.prover import UNKNOWN, judge
from proofs.symbolic.concrete import plain
from proofs.symbolic.explorer import Explorer, Unsupported, exploring
from proofs.symbolic.integer import integer
from proofs.symbolic.record import one_of
from proofs.symbolic.sequence import AnySequence, FewSequence, Untouched
from proofs.theorem import UNBOUNDED


def test_a_short_sequence_has_every_length_and_becomes_a_tuple() -> None:
    explorer = Explorer()
    with exploring(explorer):
        numbers = FewSequence("numbers", tuple(integer(f"n{i}", i, i) for i in range(2)))
        lengths = set()
        for path in explorer.paths(lambda: len(numbers)):
            solver, _ = explorer.check(path.conditions())
            lengths.add((path.value, plain(solver.model(), numbers)))
    assert lengths == {(0, ()), (1, (0,)), (2, (0, 1))}
    assert explorer.looked_into == {"numbers"}


@pytest.mark.slow
def test_a_theorem_that_looks_into_a_sequence_must_state_its_bound() -> None:
    theorem = theorem_named("DEVICE.SETMEMTABLE.ONE_OUTCOME")
    verdict = judge(replace(theorem, bound=UNBOUNDED))
    assert verdict.status == UNKNOWN
    assert "state the bound" in verdict.detail


def test_what_is_left_open_cannot_be_asked() -> None:
    chains = Untouched("chains")
    for ask in (len, list, lambda it: it[0], lambda it: it == ()):
        with pytest.raises(Unsupported):
            ask(chains)


def test_one_of_a_few_is_each_of_them() -> None:
    explorer = Explorer()
    with exploring(explorer):
        read = one_of("queue", (0, 1))
        assert {path.value for path in explorer.paths(read)} == {0, 1}


def test_a_long_sequence_moves_as_a_whole_and_shows_only_its_front() -> None:
    explorer = Explorer()
    with exploring(explorer):
        numbers = AnySequence("numbers", integer("first", 7, 7))
        seen = {bool(path.value) for path in explorer.paths(lambda: bool(numbers))}
        longer = (*numbers, 9)
        assert longer == (numbers.members, 9)
        assert numbers[0] is numbers.first
        assert numbers[1:] is numbers[1:]
        assert numbers[1:] is not numbers
        for ask in (len, lambda it: it[1], lambda it: it[-1], lambda it: it[:1], lambda it: next(iter(it)).iova):
            with pytest.raises(Unsupported):
                ask(numbers)
    assert seen == {True, False}
