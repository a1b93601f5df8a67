"""Symbolic ints mean what Python's ints mean; and faults planted in them are noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import z3
from hypothesis import given, settings

from proofs.symbolic.concrete import plain
from proofs.symbolic.explorer import Explorer, TooManyPaths, Unsupported, exploring
from proofs.symbolic.integer import SymInt, integer
from spec.units import U64_MAX
from tests.proofs.programs import Program, programs, u64

RANDOM_PROGRAMS = 300


def outcomes(program: Program, inputs: tuple[int, ...]) -> list[tuple[Any, bool]]:
    """What a program gives on symbolic ints that are then fixed to these values: one outcome for each feasible path."""
    explorer = Explorer()
    found = []
    with exploring(explorer):
        symbols = [integer(name, 0, U64_MAX) for name in "pqr"]
        fixed = [symbol.term == value for symbol, value in zip(symbols, inputs, strict=True)]
        for path in explorer.paths(lambda: program.run(*symbols)):
            assert path.raised is None
            solver, answer = explorer.check([*path.conditions(), *fixed])
            if answer == z3.sat:
                found.append(plain(solver.model(), path.value))
            else:
                assert answer == z3.unsat
    return found


def agrees(program: Program, inputs: tuple[int, ...]) -> bool:
    return outcomes(program, inputs) == [program.run(*inputs)]


@settings(max_examples=RANDOM_PROGRAMS, deadline=None)
@given(programs, u64, u64, u64)
def test_programs_give_what_they_give_on_ints(program: Program, p: int, q: int, r: int) -> None:
    assert agrees(program, (p, q, r))


def _wraps(self: SymInt, other: Any) -> Any:
    return SymInt((self.term + getattr(other, "term", other)) % 2**64, 0, U64_MAX)


def _rounds_up(self: SymInt, divisor: int) -> Any:
    return SymInt((self.term + divisor - 1) / z3.IntVal(divisor), self.low // divisor, self.high // divisor + 1)


def _forgets_the_sign(self: SymInt) -> Any:
    return SymInt(self.term, self.low, self.high)


def _strict(self: SymInt, other: Any) -> Any:
    return self._compared(other, lambda mine, theirs: mine < theirs)


def _loose_bounds(self: SymInt, divisor: int) -> Any:
    return self if self.low >= 0 else SymInt(self.term % z3.IntVal(divisor), 0, divisor - 1)


@pytest.mark.parametrize(
    ("method", "fault", "lines", "question", "inputs"),
    [
        ("__add__", _wraps, [("a + b", 0, 1)], ("a < b", 3, 0), (U64_MAX, 1, 0)),
        ("__floordiv__", _rounds_up, [("a // 4096", 0, 0)], ("a < b", 0, 1), (1, 2, 3)),
        ("__neg__", _forgets_the_sign, [("-a", 0, 0)], ("a < b", 0, 1), (5, 2, 3)),
        ("__le__", _strict, [("a + b", 0, 1)], ("a <= b", 0, 1), (4, 4, 0)),
        ("__mod__", _loose_bounds, [("a % 4096", 0, 0)], ("a < b", 0, 1), (4097, 0, 0)),
    ],
)
def test_a_fault_in_the_engine_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    fault: Callable[..., Any],
    lines: list[tuple[str, int, int]],
    question: tuple[str, int, int],
    inputs: tuple[int, int, int],
) -> None:
    program = Program(tuple(lines), question)
    assert agrees(program, inputs)
    monkeypatch.setattr(SymInt, method, fault)
    assert not agrees(program, inputs)


@pytest.mark.parametrize(
    "misuse",
    [
        lambda a, b: a * b,
        lambda a, b: a // b,
        lambda a, b: a % -3,
        lambda a, b: a & b,
        lambda a, b: a << b,
        lambda a, b: [1, 2, 3][a],
        lambda a, b: range(a),
        lambda a, b: int(a),
    ],
)
def test_what_has_no_exact_meaning_is_refused(misuse: Callable[[Any, Any], Any]) -> None:
    explorer = Explorer()
    with exploring(explorer):
        a, b = integer("a", 0, 10), integer("b", 0, 10)
        with pytest.raises(Unsupported):
            list(explorer.paths(lambda: misuse(a, b)))


def test_a_symbolic_value_cannot_be_decided_outside_of_a_proof() -> None:
    with exploring(Explorer()):
        a = integer("a", 0, 10)
    with pytest.raises(Unsupported):
        bool(a == 3)


def test_too_many_paths_are_an_error_and_not_a_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proofs.symbolic.explorer.MOST_PATHS", 3)
    explorer = Explorer()
    with exploring(explorer):
        a = integer("a", 0, 100)
        with pytest.raises(TooManyPaths):
            list(explorer.paths(lambda: sum(1 for i in range(9) if a > i)))
