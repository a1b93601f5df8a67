"""Formulas over integers say what the formulas over bits say: random ones, of few bits, asked both ways."""

from __future__ import annotations

import random
from typing import Any

import pytest
import z3

import proofs.objectcode.integers as integers
from proofs.objectcode.integers import Solver, Translator

BITS = 5
COUNT = 250


class Writer:
    """Writes random formulas over a few unknowns of five bits."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.unknowns = z3.BitVecs("a b c", BITS)

    def term(self, depth: int) -> Any:
        pick = self.random.choice
        if depth == 0:
            return pick([*self.unknowns, z3.BitVecVal(self.random.getrandbits(BITS), BITS)])
        one, other = self.term(depth - 1), self.term(depth - 1)
        low = self.random.randrange(BITS - 1)
        mask = z3.BitVecVal(self.random.getrandbits(BITS), BITS)
        return pick(
            [
                one + other,
                one - other,
                -one,
                ~one,
                one * z3.BitVecVal(self.random.getrandbits(BITS), BITS),
                z3.If(self.comparison(depth - 1), one, other),
                z3.Extract(BITS - 1, 0, z3.ZeroExt(3, one) + z3.SignExt(3, other)),
                z3.Extract(BITS + 1, 2, z3.ZeroExt(3, one) - z3.ZeroExt(3, other)),
                z3.Concat(z3.Extract(low, 0, one), z3.Extract(BITS - 2 - low, 0, other)),
                one & mask,
                one | mask,
                one & z3.If(self.comparison(depth - 1), z3.BitVecVal(1, BITS), z3.BitVecVal(6, BITS)),
            ]
        )

    def comparison(self, depth: int) -> Any:
        one, other = self.term(depth), self.term(depth)
        wide = self.random.choice([z3.ZeroExt, z3.SignExt])
        return self.random.choice(
            [
                one == other,
                one != other,
                z3.ULT(one, other),
                z3.UGE(one, other),
                one < other,
                one >= other,
                wide(2, one) <= z3.ZeroExt(2, other),
            ]
        )

    def formulas(self) -> list[Any]:
        return [self.comparison(2) for _ in range(4)] + [z3.Or(self.comparison(1), z3.Not(self.comparison(1)))]


def verdicts(seed: int) -> tuple[Any, Any, bool]:
    """What is said over integers, and over bits; and whether it was said over integers."""
    formulas = Writer(seed).formulas()
    plain = z3.SolverFor("QF_BV")
    plain.add(*formulas)
    solver = Solver(20_000)
    solver.add(*formulas[:2])
    verdict, case = solver.decide(formulas[2:], 20_000)
    assert (case is not None) == (verdict == z3.sat)
    return verdict, plain.check(), solver._is_linear


@pytest.mark.slow
def test_random_formulas_have_the_same_verdict() -> None:
    found = [verdicts(seed) for seed in range(COUNT)]
    assert all(one == other for one, other, _ in found)
    assert {str(one) for one, _, is_linear in found if is_linear} == {"sat", "unsat"}
    assert sum(is_linear for _, _, is_linear in found) > COUNT / 2


def taken_back(seed: int) -> tuple[Any, Any]:
    """What is said where others were added before and taken back, and over bits without those."""
    writer = Writer(seed)
    formulas, others = writer.formulas(), writer.formulas()
    plain = z3.SolverFor("QF_BV")
    plain.add(*formulas)
    solver = Solver(20_000)
    solver.add(formulas[0])
    for one in others[:2]:
        solver.push()
        solver.add(one)
        solver.check(others[2])
    solver.pop(2)
    solver.push()
    solver.add(formulas[1])
    return solver.check(*formulas[2:]), plain.check()


@pytest.mark.slow
def test_what_is_taken_back_changes_no_verdict() -> None:
    found = [taken_back(seed) for seed in range(COUNT)]
    assert all(one == other for one, other in found)
    assert {str(one) for one, _ in found} == {"sat", "unsat"}


def test_a_product_of_two_unknowns_is_asked_over_bits() -> None:
    one, other = z3.BitVecs("one other", 8)
    solver = Solver(20_000)
    solver.add(one * other == 15, z3.ULT(one, other), one != 1)
    verdict, case = solver.decide([z3.ULT(other, 16)], 20_000)
    assert verdict == z3.sat and case is not None
    assert case.eval(one).as_long() * case.eval(other).as_long() % 256 == 15


FAULTS = {
    "a sum that wraps is not cut": ("_rest", lambda self, one, bits: one),
    "a sign is forgotten": ("_signed", lambda self, one: self.fitted(one)),
    "~x is -x": ("invert", lambda self, one, parts: self.negate(one, parts)),
    "high bits are low bits": ("extract", lambda self, one, parts: self.whole(parts[0])),
    "a mask is too wide": ("_masked", lambda self, other, mask: MASKED(self, other, mask | mask << 1)),
    "joined the other way round": ("join", lambda self, one, parts: JOIN(self, one, parts[::-1])),
}
MASKED, JOIN = Translator._masked, Translator.join


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_translation_is_noticed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, faulty = FAULTS[fault]
    monkeypatch.setattr(Translator, name, faulty)
    for kind, made in list(integers.TERMS.items()):
        if made.__name__ == name:
            monkeypatch.setitem(integers.TERMS, kind, faulty)

    def differs(seed: int) -> bool:
        try:
            one, other, _ = verdicts(seed)
        except (AssertionError, z3.Z3Exception):
            return True
        return bool(one != other)

    assert any(differs(seed) for seed in range(COUNT))
