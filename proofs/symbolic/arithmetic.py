"""What a symbolic integer is made of: the two kinds of solver's terms, and what both must be able to do.

`linear` has terms that are integers, `bits` has bit-vectors. An explorer has one of them for all its values. Both are
exact: an operation is told the bounds of its result, both included, and gives a term whose value is the one that Python
computes. What one of them has no exact term for, it refuses with `Unsupported`.
"""

from __future__ import annotations

from typing import Any, Protocol

# An int, plain or symbolic. A symbolic one is a `SymInt`: a term and bounds.
Number = Any


class Unsupported(TypeError):
    """A symbolic value was used in a way that the engine has no exact meaning for."""


class Arithmetic(Protocol):
    """One kind of terms. `low` and `high` are the bounds of what is asked for; formulas are z3's."""

    name: str

    def sort(self, low: int, high: int) -> Any:
        """The sort of the terms for low .. high."""

    def in_range(self, term: Any, low: int, high: int) -> Any:
        """The formula for "the value of a term of that sort is among low .. high"."""

    def term(self, number: Number, low: int, high: int) -> Any:
        """A number among low .. high as a term of their sort."""

    def value(self, numeral: Any, low: int, high: int) -> int:
        """The int that a term without variables is."""

    def add(self, one: Number, other: Number, low: int, high: int) -> Any:
        """The sum."""

    def subtract(self, one: Number, other: Number, low: int, high: int) -> Any:
        """The difference."""

    def multiply(self, one: Number, other: Number, low: int, high: int) -> Any:
        """The product."""

    def quotient(self, number: Number, divisor: int, low: int, high: int) -> Any:
        """`number // divisor`, rounded towards minus infinity, for a positive divisor."""

    def rest(self, number: Number, divisor: int) -> Any:
        """`number % divisor`, among 0 .. divisor - 1, for a positive divisor."""

    def bitwise(self, operator: str, one: Number, other: Number, low: int, high: int) -> tuple[Any, list[Any]]:
        """`one & other`, `one | other`, `one ^ other`; and facts, which hold always, where the term says too little."""

    def is_less(self, one: Number, other: Number) -> Any:
        """The formula for `one < other`."""

    def is_at_most(self, one: Number, other: Number) -> Any:
        """The formula for `one <= other`."""

    def is_equal(self, one: Number, other: Number) -> Any:
        """The formula for `one == other`."""


def bounds(number: Number) -> tuple[int, int]:
    """The least and the greatest value that an int may have."""
    return (number, number) if type(number) is int else (number.low, number.high)


def bounds_of_both(one: Number, other: Number) -> tuple[int, int]:
    """The bounds of two ints together."""
    lows, highs = zip(bounds(one), bounds(other), strict=True)
    return min(lows), max(highs)
