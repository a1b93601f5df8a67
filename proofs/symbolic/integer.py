"""Symbolic exact integers.

A `SymInt` behaves like Python's int: it never wraps, so that `(a + b) % 2**64` means what it means for ints. It knows
bounds for its value, both included. What it is made of is the business of the explorer's arithmetic: `linear` integers,
or `bits` just wide enough. The same code runs on either; what one cannot do exactly is refused with `Unsupported`.
Divisors and the counts of shifts are plain ints.

Bounds are worked out here, from those of the inputs. That an input is within its bounds is a fact of the proof.
"""

from __future__ import annotations

from typing import Any

import z3

from proofs.symbolic.arithmetic import Arithmetic, bounds, bounds_of_both
from proofs.symbolic.boolean import SymBool
from proofs.symbolic.explorer import Unsupported, current, truth
from proofs.symbolic.terms import any_one, both, chosen, opposite


class SymInt:
    """Any integer among low .. high, both included. Without an `arithmetic`, that of the proof that runs."""

    __slots__ = ("arithmetic", "high", "low", "term")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, term: Any, low: int, high: int, arithmetic: Arithmetic | None = None) -> None:
        self.term, self.low, self.high = term, low, high
        self.arithmetic = current().arithmetic if arithmetic is None else arithmetic

    def __repr__(self) -> str:
        return f"SymInt({self.term}, {self.low}..{self.high})"

    # ARITHMETIC --------------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        if not is_integer(other):
            return NotImplemented
        low, high = bounds(other)
        low, high = self.low + low, self.high + high
        return SymInt(self.arithmetic.add(self, other, low, high), low, high, self.arithmetic)

    __radd__ = __add__

    def __neg__(self) -> SymInt:
        low, high = -self.high, -self.low
        return SymInt(self.arithmetic.subtract(0, self, low, high), low, high, self.arithmetic)

    def __sub__(self, other: Any) -> Any:
        if not is_integer(other):
            return NotImplemented
        low, high = bounds(other)
        low, high = self.low - high, self.high - low
        return SymInt(self.arithmetic.subtract(self, other, low, high), low, high, self.arithmetic)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        if not is_integer(other):
            return NotImplemented
        corners = [mine * theirs for mine in (self.low, self.high) for theirs in bounds(other)]
        low, high = min(corners), max(corners)
        return SymInt(self.arithmetic.multiply(self, other, low, high), low, high, self.arithmetic)

    __rmul__ = __mul__

    def __floordiv__(self, divisor: Any) -> Any:
        require_positive(divisor)
        if divisor == 1:
            return self
        low, high = self.low // divisor, self.high // divisor
        if low == high:
            return low
        return SymInt(self.arithmetic.quotient(self, divisor, low, high), low, high, self.arithmetic)

    def __mod__(self, divisor: Any) -> Any:
        require_positive(divisor)
        lowest, highest = self.low // divisor, self.high // divisor
        if lowest == highest:
            return self - lowest * divisor
        return SymInt(self.arithmetic.rest(self, divisor), 0, divisor - 1, self.arithmetic)

    def __invert__(self) -> Any:
        return -self - 1

    def __lshift__(self, count: Any) -> Any:
        if type(count) is not int:
            raise Unsupported("a shift by a symbolic count")
        return self * (1 << count)

    def __rshift__(self, count: Any) -> Any:
        if type(count) is not int:
            raise Unsupported("a shift by a symbolic count")
        return self // (1 << count)

    def _refuse(self, *_: Any) -> Any:
        raise Unsupported("an operation on symbolic integers that has no exact meaning here")

    __rlshift__ = __rrshift__ = __rfloordiv__ = __rmod__ = __divmod__ = __rdivmod__ = _refuse
    __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __abs__ = __round__ = __float__ = _refuse

    # BITS --------------------------------------------------------------------------------------------------------

    def _bitwise(self, operator: str, other: Any, low: int, high: int) -> SymInt:
        term, facts = self.arithmetic.bitwise(operator, self, other, low, high)
        if facts:
            current().ground.extend(facts)
        return SymInt(term, low, high, self.arithmetic)

    def __and__(self, other: Any) -> Any:
        if not is_integer(other):
            return NotImplemented
        if type(other) is int and self.low >= 0:
            other &= _ones(self.high)  # what is above is 0 anyway
            if other == 0:
                return 0
        # Of two of which one is not negative, no more than that one is left.
        highs = [high for low, high in (bounds(self), bounds(other)) if low >= 0]
        return self._bitwise("&", other, *((0, min(highs)) if highs else _signed_like(self, other)))

    __rand__ = __and__

    def __or__(self, other: Any) -> Any:
        if not is_integer(other):
            return NotImplemented
        least, highest = bounds_of_both(self, other)
        if least >= 0:
            return self._bitwise("|", other, max(self.low, bounds(other)[0]), _ones(highest))
        return self._bitwise("|", other, *_signed_like(self, other))

    __ror__ = __or__

    def __xor__(self, other: Any) -> Any:
        if not is_integer(other):
            return NotImplemented
        least, highest = bounds_of_both(self, other)
        return self._bitwise("^", other, *((0, _ones(highest)) if least >= 0 else _signed_like(self, other)))

    __rxor__ = __xor__

    # QUESTIONS ---------------------------------------------------------------------------------------------------

    def __lt__(self, other: Any) -> Any:
        if not is_integer(other):
            return NotImplemented
        low, high = bounds(other)
        if self.high < low or self.low >= high:
            return SymBool(z3.BoolVal(self.high < low))
        return SymBool(self.arithmetic.is_less(self, other))

    def __le__(self, other: Any) -> Any:
        if not is_integer(other):
            return NotImplemented
        low, high = bounds(other)
        if self.high <= low or self.low > high:
            return SymBool(z3.BoolVal(self.high <= low))
        return SymBool(self.arithmetic.is_at_most(self, other))

    def __gt__(self, other: Any) -> Any:
        if not is_integer(other):
            return NotImplemented
        return negated(self <= other)

    def __ge__(self, other: Any) -> Any:
        if not is_integer(other):
            return NotImplemented
        return negated(self < other)

    def __eq__(self, other: object) -> Any:
        if not is_integer(other):
            return NotImplemented
        return SymBool(self.arithmetic.is_equal(self, other))

    def __ne__(self, other: object) -> Any:
        if not is_integer(other):
            return NotImplemented
        return negated(self == other)

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __index__(self) -> int:
        raise Unsupported("a symbolic integer where Python needs a plain one")

    __int__ = __index__


def negated(claim: SymBool) -> SymBool:
    """The opposite of a comparison."""
    return SymBool(opposite(claim.formula))


def integer(name: str, low: int, high: int) -> SymInt:
    """A new symbolic integer among low .. high, both included."""
    variable = unbound_integer(name, low, high)
    current().ground.append(current().arithmetic.in_range(variable.term, low, high))
    return variable


def unbound_integer(name: str, low: int, high: int) -> SymInt:
    """A symbolic integer by its name. That it is among low .. high is for others to say."""
    return SymInt(z3.Const(name, current().arithmetic.sort(low, high)), low, high)


def either(condition: Any, when_true: Any, when_false: Any) -> SymInt:
    """One of two ints, plain or symbolic, by a formula."""
    low, high = bounds_of_both(when_true, when_false)
    term = current().arithmetic.term
    return SymInt(chosen(condition, term(when_true, low, high), term(when_false, low, high)), low, high)


def same(one: Any, other: Any) -> Any:
    """The formula for "two ints are equal", whichever of them is plain."""
    return truth(one == other)


def is_integer(value: object) -> bool:
    """Whether a value is an int, plain or symbolic (a bool is none)."""
    return type(value) is int or isinstance(value, SymInt)


def _ones(number: int) -> int:
    """The least 2**k - 1 that is no smaller."""
    return (1 << number.bit_length()) - 1


def _signed_like(one: Any, other: Any) -> tuple[int, int]:
    """The bounds of all that has the bits of two ints, a sign among them."""
    low, high = bounds_of_both(one, other)
    ones = _ones(max(~low, high))
    return -ones - 1, ones


def require_positive(divisor: Any) -> None:
    """Raise Unsupported unless a divisor is a plain positive int."""
    if type(divisor) is not int or divisor <= 0:
        raise Unsupported(f"division by {divisor!r}; only plain positive ints are supported")


def substituted(value: Any, *pairs: tuple[Any, Any]) -> Any:
    """An int with things in its term replaced."""
    if type(value) is int:
        return value
    return SymInt(z3.substitute(value.term, *pairs), value.low, value.high, value.arithmetic)


def ranks_before(one: tuple[Any, ...], other: tuple[Any, ...]) -> Any:
    """The formula for "one rank is smaller than another", as Python compares tuples of ints: the first part in which
    they differ decides.
    """
    smaller: Any = z3.BoolVal(False)
    for mine, theirs in reversed(list(zip(one, other, strict=True))):
        smaller = any_one(truth(mine < theirs), both(same(mine, theirs), smaller))
    return smaller
