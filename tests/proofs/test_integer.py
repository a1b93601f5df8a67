"""Symbolic ints mean what Python's ints mean, with either arithmetic; what has no exact meaning is refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import z3

import proofs.symbolic.bits
from proofs.symbolic.arithmetic import Arithmetic
from proofs.symbolic.bits import BITS, low_bits, signed, unsigned, width
from proofs.symbolic.boolean import merged
from proofs.symbolic.explorer import Explorer, TooManyPaths, Unsupported, exploring
from proofs.symbolic.integer import integer, same, substituted
from proofs.symbolic.linear import LINEAR
from spec.units import U64
from tests.proofs.judging import ARITHMETICS, NAMES, agrees, is_true, walks_agree, worked_out
from tests.proofs.programs import BOTH, ONLY_BITS, random_inputs, random_program

RANDOM_PROGRAMS = 1_500  # of each kind
WALKED_PROGRAMS = 40
SEED = 20_260_729

either_arithmetic = pytest.mark.parametrize("arithmetic", ARITHMETICS, ids=NAMES)


@pytest.mark.slow
@either_arithmetic
def test_programs_give_what_they_give_on_ints(arithmetic: Arithmetic) -> None:
    chance = random.Random(SEED)
    for _ in range(RANDOM_PROGRAMS):
        program = random_program(chance, BOTH)
        inputs = random_inputs(chance)
        assert agrees(program, inputs, arithmetic), (program, inputs)


@pytest.mark.slow
def test_programs_about_bits_give_what_they_give_on_ints() -> None:
    chance = random.Random(SEED)
    for _ in range(RANDOM_PROGRAMS):
        program = random_program(chance, BOTH | ONLY_BITS)
        inputs = random_inputs(chance)
        assert agrees(program, inputs, BITS), (program, inputs)


@either_arithmetic
def test_paths_lead_where_python_goes(arithmetic: Arithmetic) -> None:
    chance = random.Random(SEED)
    for _ in range(WALKED_PROGRAMS):
        program = random_program(chance, BOTH, most_lines=3)
        inputs = random_inputs(chance)
        assert walks_agree(program, inputs, arithmetic), (program, inputs)


@pytest.mark.parametrize("operator", sorted(BOTH | ONLY_BITS))
@pytest.mark.parametrize("ends", [(0, 3), (-4, 3), (-3, -1), (5, 6)])
def test_every_operator_is_exact_for_small_ints(operator: str, ends: tuple[int, int]) -> None:
    """All pairs of small ints, put into what comes out for variables."""
    compute = (BOTH | ONLY_BITS)[operator]
    for arithmetic in (BITS,) if operator in ONLY_BITS else ARITHMETICS:
        with exploring(Explorer(arithmetic)) as explorer:
            a, b = integer("a", *ends), integer("b", *ends)
            paths = explorer.all_paths(lambda a=a, b=b: compute(a, b))
            assert len(paths) == 1 or operator in ("min(a, b)", "max(a, b)"), "arithmetic that branches"
        for one, other in product(range(ends[0], ends[1] + 1), repeat=2):
            numerals = [(symbol.term, arithmetic.term(n, *ends)) for symbol, n in ((a, one), (b, other))]
            found = [
                worked_out(substituted(path.value, *numerals))
                for path in paths
                if all(is_true(z3.substitute(formula, *numerals)) for formula in path.conditions())
            ]
            assert found == [compute(one, other)], (arithmetic.name, one, other)


BOTH_REFUSE: dict[str, Callable[[Any, Any], Any]] = {
    "a // b": lambda a, b: a // b,
    "a % -3": lambda a, b: a % -3,
    "7 // a": lambda a, b: 7 // a,
    "7 % a": lambda a, b: 7 % a,
    "a << b": lambda a, b: a << b,
    "1 << a": lambda a, b: 1 << a,
    "a ** 2": lambda a, b: a**2,
    "a / 2": lambda a, b: a / 2,
    "abs(a)": lambda a, b: abs(a),
    "index": lambda a, b: [1, 2, 3][a],
    "range": lambda a, b: range(a),
    "int": lambda a, b: int(a),
}
LINEAR_REFUSES: dict[str, Callable[[Any, Any], Any]] = {
    "a * b": lambda a, b: a * b,
    "a & b": lambda a, b: a & b,
    "a ^ b": lambda a, b: a ^ b,
    "(a - 20) & -8": lambda a, b: (a - 20) & -8,
    "(a - 20) | b": lambda a, b: (a - 20) | b,
}


@pytest.mark.parametrize(
    ("arithmetic", "misuse"),
    [
        *((arithmetic, misuse) for arithmetic in ARITHMETICS for misuse in BOTH_REFUSE.values()),
        *((LINEAR, misuse) for misuse in LINEAR_REFUSES.values()),
    ],
)
def test_what_has_no_exact_meaning_is_refused(arithmetic: Arithmetic, misuse: Callable[[Any, Any], Any]) -> None:
    explorer = Explorer(arithmetic)
    with exploring(explorer):
        a, b = integer("a", 0, 10), integer("b", 0, 10)
        with pytest.raises(Unsupported):
            list(explorer.paths(lambda: misuse(a, b)))


def test_of_or_linear_arithmetic_knows_only_what_is_true() -> None:
    """The value that Python computes is never ruled out."""
    chance = random.Random(SEED)
    for _ in range(50):
        one, other = chance.choice((0, 1, 5, 2**63, U64 - 1)), chance.randrange(U64)
        explorer = Explorer(LINEAR)
        with exploring(explorer):
            a, b = integer("a", 0, U64 - 1), integer("b", 0, U64 - 1)
            both = a | b
            _, answer = explorer.check([a.term == one, b.term == other, both.term == one | other])
            assert answer == z3.sat
            assert both.low <= one | other <= both.high


@pytest.mark.parametrize(
    ("low", "high", "bits"),
    [
        *((0, 0, 1), (0, 1, 1), (0, 2, 2), (0, U64 - 1, 64), (0, U64, 65), (5, 7, 3)),
        *((-1, 0, 1), (-1, 1, 2), (-2, 1, 2), (-2, 2, 3), (-128, 127, 8), (-129, 0, 9), (-3, -2, 3)),
    ],
)
def test_bit_vectors_are_just_wide_enough(low: int, high: int, bits: int) -> None:
    assert width(low, high) == bits


def test_bits_come_from_a_machine_and_go_back_to_it() -> None:
    register = z3.BitVec("register", 8)
    explorer = Explorer(BITS)
    with exploring(explorer):
        without, with_sign = unsigned(register), signed(register)
        assert (without.low, without.high, with_sign.low, with_sign.high) == (0, 255, -128, 127)
        for number in (0, 1, 127, 128, 255):
            explorer.assumed = [register == number]
            twos = number - 256 if number > 127 else number
            claims = [same(without, number), same(with_sign, twos), same(without - with_sign, number - twos)]
            claims += [low_bits(without + 1, 8) == register + 1, low_bits(with_sign, 16) == z3.SignExt(8, register)]
            claims += [low_bits(without, 16) == z3.ZeroExt(8, register), low_bits(twos, 8) == register]
            for claim in claims:
                assert explorer.check([z3.Not(claim)])[1] == z3.unsat


def test_the_same_bits_with_and_without_a_sign_are_two_arguments() -> None:
    """Answers are remembered; those about one must not be given for the other."""
    register = z3.BitVec("register", 8)
    with exploring(Explorer(BITS)) as explorer:
        is_negative = merged(lambda number: number < 0)
        answers = [is_negative(number(register)).formula for number in (signed, unsigned, signed)]
        assert answers[0].eq(answers[2])
        assert explorer.check([answers[0]])[1] == z3.sat
        assert explorer.check([answers[1]])[1] == z3.unsat


def test_linear_integers_have_no_bits() -> None:
    with exploring(Explorer(LINEAR)):
        with pytest.raises(Unsupported):
            unsigned(z3.BitVec("register", 8))
        with pytest.raises(Unsupported):
            low_bits(integer("a", 0, 10), 4)


def test_the_example_in_the_documentation_is_right() -> None:
    import doctest

    found = doctest.testmod(proofs.symbolic.bits)
    assert found.attempted and not found.failed


def test_a_symbolic_value_cannot_be_decided_outside_of_a_proof() -> None:
    with exploring(Explorer()):
        a = integer("a", 0, 10)
    with pytest.raises(Unsupported):
        bool(a == 3)


def test_a_branch_that_is_not_decided_may_go_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    explorer = Explorer()
    with exploring(explorer):
        a = integer("a", 0, 100)
        explorer.assume((a + a == 8).formula)
        assert len(list(explorer.paths(lambda: bool(a > 4)))) == 1
        monkeypatch.setattr(z3.Solver, "check", lambda *_: z3.unknown)
        assert len(list(explorer.paths(lambda: bool(a > 4)))) == 2


def test_too_many_paths_are_an_error_and_not_a_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proofs.symbolic.explorer.MOST_PATHS", 3)
    explorer = Explorer()
    with exploring(explorer):
        a = integer("a", 0, 100)
        with pytest.raises(TooManyPaths):
            list(explorer.paths(lambda: sum(1 for i in range(9) if a > i)))
