"""Symbolic integers as bit-vectors just wide enough: for `&`, `|`, `^` of two symbols, and for object code.

A term has as many bits as the bounds of its value need, and is read with a sign exactly if the lower bound is negative.
So the value of a term is never in doubt, and nothing ever wraps: an operation first brings what it takes to a width
that has room for its result. The only wrap is `% 2**64`, as in Python.

What a machine does with 64 bits is compared with what a plain Python function says of ints like this:

>>> import z3
>>> from proofs.symbolic.bits import BITS, low_bits, unsigned
>>> from proofs.symbolic.explorer import Explorer, exploring
>>> def rest_of(first, last, addr):  # the specification: how many bytes there are from addr on
...     return last - addr + 1 if first <= addr else 0
>>> first, last, addr = z3.BitVecs("first last addr", 64)  # registers
>>> machine = z3.If(z3.ULT(addr, first), z3.BitVecVal(0, 64), last - addr + 1)  # what the code leaves in rax
>>> explorer = Explorer(arithmetic=BITS)
>>> verdicts = []
>>> with exploring(explorer):
...     numbers = [unsigned(register) for register in (first, last, addr)]
...     explorer.assume((numbers[2] <= numbers[1]).formula)
...     for path in explorer.paths(lambda: rest_of(*numbers)):
...         differ = low_bits(path.value, 64) != machine
...         verdicts.append(explorer.check([*path.conditions(), differ])[1])
>>> verdicts
[unsat, unsat]

There are 2^64 bytes from 0 to the last: the 64 low bits of that are 0. Who cares asks for more of them.
"""

from __future__ import annotations

from typing import Any

import z3

from proofs.symbolic.arithmetic import Number, Unsupported, bounds_of_both
from proofs.symbolic.explorer import current
from proofs.symbolic.integer import SymInt


def width(low: int, high: int) -> int:
    """How many bits a term for low .. high has: with a sign if low is negative, without one if it is not."""
    if low >= 0:
        return max(1, high.bit_length())
    return max((~low).bit_length(), (high if high >= 0 else ~high).bit_length()) + 1


def _resized(number: Number, bits: int) -> Any:
    """The low bits of the two's complement of a number, so many of them."""
    if type(number) is int:
        return z3.BitVecVal(number, bits)
    has = number.term.size()
    if bits < has:
        return z3.Extract(bits - 1, 0, number.term)
    if bits == has:
        return number.term
    return z3.SignExt(bits - has, number.term) if number.low < 0 else z3.ZeroExt(bits - has, number.term)


class BitVectors:
    """Terms that are bit-vectors just wide enough for their bounds."""

    name = "bits"

    def sort(self, low: int, high: int) -> Any:
        return z3.BitVecSort(width(low, high))

    def in_range(self, term: Any, low: int, high: int) -> Any:
        """Only what the width does not say already."""
        bits = term.size()
        least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if low < 0 else (0, (1 << bits) - 1)
        claims = []
        if low > least:
            claims.append(term >= low if low < 0 else z3.UGE(term, low))
        if high < most:
            claims.append(term <= high if low < 0 else z3.ULE(term, high))
        return claims[0] if len(claims) == 1 else z3.And(*claims) if claims else z3.BoolVal(True)

    def term(self, number: Number, low: int, high: int) -> Any:
        return _resized(number, width(low, high))

    def value(self, numeral: Any, low: int, high: int) -> int:
        return int(numeral.as_signed_long() if low < 0 else numeral.as_long())

    # Sums, differences and products are right in the low bits whatever is above, so the width of the result will do.

    def add(self, one: Number, other: Number, low: int, high: int) -> Any:
        bits = width(low, high)
        return _resized(one, bits) + _resized(other, bits)

    def subtract(self, one: Number, other: Number, low: int, high: int) -> Any:
        bits = width(low, high)
        return _resized(one, bits) - _resized(other, bits)

    def multiply(self, one: Number, other: Number, low: int, high: int) -> Any:
        bits = width(low, high)
        return _resized(one, bits) * _resized(other, bits)

    def quotient(self, number: Number, divisor: int, low: int, high: int) -> Any:
        """A shift, or a division of what is not negative: for a negative x, x // m is ~(~x // m)."""
        bits = width(*bounds_of_both(number, divisor))
        term = _resized(number, bits)
        if divisor & (divisor - 1) == 0:
            by = divisor.bit_length() - 1
            shifted = term >> by if number.low < 0 else z3.LShR(term, by)
        else:
            by = z3.BitVecVal(divisor, bits)
            shifted = z3.UDiv(term, by)
            if number.low < 0:
                shifted = z3.If(term < 0, ~z3.UDiv(~term, by), shifted)
        return z3.Extract(width(low, high) - 1, 0, shifted)

    def rest(self, number: Number, divisor: int) -> Any:
        needed = width(0, divisor - 1)
        if divisor & (divisor - 1) == 0:
            return _resized(number, needed)
        bits = width(*bounds_of_both(number, divisor))
        term, by = _resized(number, bits), z3.BitVecVal(divisor, bits)
        rest = term % by if number.low < 0 else z3.URem(term, by)  # % has the sign of the divisor, as in Python
        return z3.Extract(needed - 1, 0, rest)

    def bitwise(self, operator: str, one: Number, other: Number, low: int, high: int) -> tuple[Any, list[Any]]:
        bits = max(width(*bounds_of_both(one, other)), width(low, high))
        left, right = _resized(one, bits), _resized(other, bits)
        result = left & right if operator == "&" else left | right if operator == "|" else left ^ right
        return z3.Extract(width(low, high) - 1, 0, result), []

    def is_less(self, one: Number, other: Number) -> Any:
        left, right, has_sign = self._side_by_side(one, other)
        return left < right if has_sign else z3.ULT(left, right)

    def is_at_most(self, one: Number, other: Number) -> Any:
        left, right, has_sign = self._side_by_side(one, other)
        return left <= right if has_sign else z3.ULE(left, right)

    def is_equal(self, one: Number, other: Number) -> Any:
        left, right, _ = self._side_by_side(one, other)
        return left == right

    def _side_by_side(self, one: Number, other: Number) -> tuple[Any, Any, bool]:
        low, high = bounds_of_both(one, other)
        bits = width(low, high)
        return _resized(one, bits), _resized(other, bits), low < 0


BITS = BitVectors()


def unsigned(term: Any) -> SymInt:
    """A bit-vector as the int that it is without a sign."""
    return _of_bits(term, 0, 2 ** term.size() - 1)


def signed(term: Any) -> SymInt:
    """A bit-vector as the int that it is in two's complement."""
    return _of_bits(term, -(2 ** (term.size() - 1)), 2 ** (term.size() - 1) - 1)


def _of_bits(term: Any, low: int, high: int) -> SymInt:
    if current().arithmetic is not BITS:
        raise Unsupported("a bit-vector in a proof that does not use them")
    return SymInt(term, low, high, BITS)


def low_bits(number: Number, count: int) -> Any:
    """The `count` low bits of an int, plain or symbolic, as a bit-vector: of a negative one those of its two's
    complement. That loses nothing exactly if the int fits into so many bits.
    """
    if type(number) is not int and number.arithmetic is not BITS:
        raise Unsupported("the bits of a symbolic integer that has none")
    return _resized(number, count)
