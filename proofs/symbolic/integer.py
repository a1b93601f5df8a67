"""Symbolic exact integers.

A `SymInt` behaves like Python's int: it never wraps, so that `(a + b) % 2**64` means what it means for ints. It knows
bounds for its value, both included, which keep the formulas for `%` and `//` small. The formulas are linear integer
arithmetic: products of two symbols, divisors that are not plain positive ints, and `&` of two symbols are refused with
`Unsupported`. Of `|` of two symbols is known only that it is neither smaller than either nor larger than their sum:
what is proved with that is true, and a case that is found with it may turn out to be none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import z3

from proofs.symbolic.boolean import SymBool
from proofs.symbolic.explorer import Unsupported, current

FEW_QUOTIENTS = 4  # up to so many, x % m is written as a choice between x, x - m, x - 2m, …


class SymInt:
    """Any integer among low .. high, both included."""

    __slots__ = ("high", "low", "term")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, term: Any, low: int, high: int) -> None:
        self.term, self.low, self.high = term, low, high

    def __repr__(self) -> str:
        return f"SymInt({self.term}, {self.low}..{self.high})"

    # ARITHMETIC --------------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        if not is_integer(other):
            return NotImplemented
        low, high = bounds(other)
        return SymInt(self.term + term_of(other), self.low + low, self.high + high)

    __radd__ = __add__

    def __neg__(self) -> SymInt:
        return SymInt(-self.term, -self.high, -self.low)

    def __sub__(self, other: Any) -> Any:
        if not is_integer(other):
            return NotImplemented
        low, high = bounds(other)
        return SymInt(self.term - term_of(other), self.low - high, self.high - low)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, factor: Any) -> Any:
        if type(factor) is not int:
            raise Unsupported("a product of two symbolic integers")
        low, high = sorted((self.low * factor, self.high * factor))
        return SymInt(self.term * factor, low, high)

    __rmul__ = __mul__

    def __floordiv__(self, divisor: Any) -> Any:
        require_positive(divisor)
        if divisor == 1:
            return self
        low, high = self.low // divisor, self.high // divisor
        if low == high:
            return low
        return SymInt(self.term / z3.IntVal(divisor), low, high)  # z3 rounds towards minus infinity, as Python does

    def __mod__(self, divisor: Any) -> Any:
        require_positive(divisor)
        lowest, highest = self.low // divisor, self.high // divisor
        if lowest == highest:
            return self - lowest * divisor
        if highest - lowest > FEW_QUOTIENTS:
            return SymInt(self.term % z3.IntVal(divisor), 0, divisor - 1)
        rest = self.term - highest * divisor
        for quotient in range(highest - 1, lowest - 1, -1):
            rest = z3.If(self.term < (quotient + 1) * divisor, self.term - quotient * divisor, rest)
        return SymInt(rest, 0, divisor - 1)

    def __lshift__(self, count: Any) -> Any:
        if type(count) is not int:
            raise Unsupported("a shift by a symbolic count")
        return self * (1 << count)

    def __rshift__(self, count: Any) -> Any:
        if type(count) is not int:
            raise Unsupported("a shift by a symbolic count")
        return self // (1 << count)

    def __and__(self, mask: Any) -> Any:
        if type(mask) is not int or mask < 0:
            raise Unsupported("& with anything but a plain mask")
        kept: Any = 0
        for bit in range(mask.bit_length()):
            if mask >> bit & 1:
                kept = (self // (1 << bit)) % 2 * (1 << bit) + kept
        return kept

    __rand__ = __and__

    def __or__(self, other: Any) -> Any:
        if not is_integer(other):
            return NotImplemented
        low, high = bounds(other)
        if min(low, self.low) < 0:
            raise Unsupported("| of what may be negative")
        if type(other) is int:
            return self + other - (self & other)
        either: Any = _or()(*sorted((self.term, other.term), key=lambda term: term.get_id()))
        most = 2 ** max(high, self.high).bit_length() - 1
        current().ground.append(z3.And(either >= self.term, either >= other.term, either <= self.term + other.term))
        current().ground.append(either <= most)
        return SymInt(either, 0, most)

    __ror__ = __or__

    # QUESTIONS ---------------------------------------------------------------------------------------------------

    def _compared(self, other: Any, compare: Callable[[Any, Any], Any]) -> Any:
        if not is_integer(other):
            return NotImplemented
        return SymBool(compare(self.term, term_of(other)))

    def __lt__(self, other: Any) -> Any:
        if is_integer(other) and (self.high < bounds(other)[0] or self.low >= bounds(other)[1]):
            return SymBool(z3.BoolVal(self.high < bounds(other)[0]))
        return self._compared(other, lambda mine, theirs: mine < theirs)

    def __le__(self, other: Any) -> Any:
        if is_integer(other) and (self.high <= bounds(other)[0] or self.low > bounds(other)[1]):
            return SymBool(z3.BoolVal(self.high <= bounds(other)[0]))
        return self._compared(other, lambda mine, theirs: mine <= theirs)

    def __gt__(self, other: Any) -> Any:
        if not is_integer(other):
            return NotImplemented
        return negated(self <= other)

    def __ge__(self, other: Any) -> Any:
        if not is_integer(other):
            return NotImplemented
        return negated(self < other)

    def __eq__(self, other: object) -> Any:
        return self._compared(other, lambda mine, theirs: mine == theirs)

    def __ne__(self, other: object) -> Any:
        return self._compared(other, lambda mine, theirs: mine != theirs)

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __index__(self) -> int:
        raise Unsupported("a symbolic integer where Python needs a plain one")

    __int__ = __index__


def _or() -> Any:
    return z3.Function("or", z3.IntSort(), z3.IntSort(), z3.IntSort())


def negated(claim: SymBool) -> SymBool:
    """The opposite of a comparison."""
    return SymBool(z3.Not(claim.formula))


def integer(name: str, low: int, high: int) -> SymInt:
    """A new symbolic integer among low .. high, both included."""
    variable = z3.Int(name)
    current().ground.append(z3.And(variable >= low, variable <= high))
    return SymInt(variable, low, high)


def is_integer(value: object) -> bool:
    """Whether a value is an int, plain or symbolic (a bool is none)."""
    return type(value) is int or isinstance(value, SymInt)


def bounds(value: Any) -> tuple[int, int]:
    """The least and the greatest value that an int may have."""
    return (value.low, value.high) if isinstance(value, SymInt) else (value, value)


def term_of(value: Any) -> Any:
    """An int, plain or symbolic, as a solver's term."""
    return value.term if isinstance(value, SymInt) else z3.IntVal(value)


def require_positive(divisor: Any) -> None:
    """Raise Unsupported unless a divisor is a plain positive int."""
    if type(divisor) is not int or divisor <= 0:
        raise Unsupported(f"division by {divisor!r}; only plain positive ints are supported")


def ranks_before(one: tuple[Any, ...], other: tuple[Any, ...]) -> Any:
    """The formula for "one rank is smaller than another", as Python compares tuples of ints."""
    return comes_before([term_of(part) for part in one], [term_of(part) for part in other])


def comes_before(one: list[Any], other: list[Any]) -> Any:
    """The same of solver's terms: the first part in which they differ decides."""
    smaller: Any = z3.BoolVal(False)
    for mine, theirs in reversed(list(zip(one, other, strict=True))):
        smaller = z3.Or(mine < theirs, z3.And(mine == theirs, smaller))
    return smaller
