"""Symbolic integers as linear integer arithmetic: fast, and good for sums, comparisons and plain divisors.

Products of two symbols are refused, and so are `&` and `^` of two. Of `|` of two symbols is known only that it is
neither smaller than either nor larger than their sum: what is proved with that is true, and a case that is found with
it may turn out to be none. Where bits matter, take `bits`.
"""

from __future__ import annotations

from typing import Any

import z3

from proofs.symbolic.arithmetic import Number, Unsupported, bounds
from proofs.symbolic.terms import at_least, at_most, both, chosen, difference, equal, less, total
from proofs.symbolic.terms import number as plain

FEW_QUOTIENTS = 4  # up to so many, x % m is written as a choice between x, x - m, x - 2m, …


def _term(number: Number) -> Any:
    return plain(number) if type(number) is int else number.term


class LinearIntegers:
    """Terms that are integers of any size. Bounds play no role in them."""

    name = "linear"

    def sort(self, low: int, high: int) -> Any:
        return z3.IntSort()

    def in_range(self, term: Any, low: int, high: int) -> Any:
        return both(at_least(term, plain(low)), at_most(term, plain(high)))

    def term(self, number: Number, low: int, high: int) -> Any:
        return _term(number)

    def value(self, numeral: Any, low: int, high: int) -> int:
        return int(numeral.as_long())

    def add(self, one: Number, other: Number, low: int, high: int) -> Any:
        return total(_term(one), _term(other))

    def subtract(self, one: Number, other: Number, low: int, high: int) -> Any:
        return -_term(other) if type(one) is int and one == 0 else difference(_term(one), _term(other))

    def multiply(self, one: Number, other: Number, low: int, high: int) -> Any:
        if type(one) is not int and type(other) is not int:
            raise Unsupported("a product of two symbolic integers")
        return _term(one) * _term(other)

    def quotient(self, number: Number, divisor: int, low: int, high: int) -> Any:
        return _term(number) / z3.IntVal(divisor)  # z3 rounds towards minus infinity, as Python does

    def rest(self, number: Number, divisor: int) -> Any:
        lowest, highest = (bound // divisor for bound in bounds(number))
        term = _term(number)
        if highest - lowest > FEW_QUOTIENTS:
            return term % z3.IntVal(divisor)
        rest = difference(term, plain(highest * divisor))
        for quotient in range(highest - 1, lowest - 1, -1):
            is_smaller = less(term, plain((quotient + 1) * divisor))
            rest = chosen(is_smaller, difference(term, plain(quotient * divisor)), rest)
        return rest

    def bitwise(self, operator: str, one: Number, other: Number, low: int, high: int) -> tuple[Any, list[Any]]:
        is_plain = type(other) is int and other >= 0
        if operator == "&" and is_plain:
            return _term(_masked(one, other)), []
        if operator == "|" and is_plain and low >= 0:
            return _term(one + other - _masked(one, other)), []
        if operator == "|" and low >= 0:
            either: Any = _or()(*sorted((one.term, other.term), key=lambda term: term.get_id()))
            sides = both(either >= one.term, either >= other.term, either <= one.term + other.term)
            return either, [sides, either <= high]
        raise Unsupported(f"{operator} of two symbolic integers, in linear arithmetic")

    def is_less(self, one: Number, other: Number) -> Any:
        return less(_term(one), _term(other))

    def is_at_most(self, one: Number, other: Number) -> Any:
        return at_most(_term(one), _term(other))

    def is_equal(self, one: Number, other: Number) -> Any:
        return equal(_term(one), _term(other))


def _masked(number: Number, mask: int) -> Number:
    """`number & mask`: each run of ones in the mask is a quotient and a rest."""
    kept: Number = 0
    place = 0
    while mask >> place:
        ones = _trailing_ones(mask >> place)
        if ones:
            kept = number // (1 << place) % (1 << ones) * (1 << place) + kept
        place += max(1, ones)
    return kept


def _trailing_ones(mask: int) -> int:
    return (mask ^ (mask + 1)).bit_length() - 1


def _or() -> Any:
    return z3.Function("either", z3.IntSort(), z3.IntSort(), z3.IntSort())


LINEAR = LinearIntegers()
