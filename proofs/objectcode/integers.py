"""Formulas over bit-vectors as formulas over integers that say the same.

What a machine computes here is mostly sums modulo 2^64, compared with sums that do not wrap. Over bits that is slow to
decide, over linear integers it is fast. The translation is exact: each bit-vector becomes the integer that it is
without a sign, and each wrap a quotient with its bounds. What is not linear is left alone (`NotLinear`), and asked over
bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import z3

FEW_QUOTIENTS = 3


class NotLinear(Exception):
    """The formula has a part that linear integers cannot say."""


@dataclass(frozen=True)
class Whole:
    """An integer that has the low bits of a bit-vector, and bounds for it, both included."""

    term: Any
    low: int
    high: int


@dataclass
class Translator:
    """Translates formulas. `facts` are what is true of the integers that were made: they go with the formulas."""

    facts: list[Any] = field(default_factory=list)
    unknowns: dict[str, Any] = field(default_factory=dict)  # bit-vector unknowns by name
    _wholes: dict[int, tuple[Whole, Any]] = field(default_factory=dict)
    _fitted: dict[int, tuple[Whole, Any]] = field(default_factory=dict)
    _formulas: dict[int, tuple[Any, Any]] = field(default_factory=dict)

    # FORMULAS ----------------------------------------------------------------------------------------------------

    def formula(self, one: Any) -> Any:
        """The same formula over integers. Raises NotLinear."""
        if one.get_id() not in self._formulas:
            self._formulas[one.get_id()] = (self._formula(one), one)
        return self._formulas[one.get_id()][0]

    def _formula(self, one: Any) -> Any:
        kind, parts = one.decl().kind(), one.children()
        if kind in CONNECTIVES or (kind in (z3.Z3_OP_EQ, z3.Z3_OP_DISTINCT) and z3.is_bool(parts[0])):
            return one.decl()(*(self.formula(part) for part in parts))
        if z3.is_const(one):
            self.unknowns[str(one)] = one
            return one
        if kind in (z3.Z3_OP_EQ, z3.Z3_OP_DISTINCT) and z3.is_bv(parts[0]) and len(parts) == 2:
            first, second = (self.fitted(part) for part in parts)
            same = first.term == second.term
            return same if kind == z3.Z3_OP_EQ else z3.Not(same)
        if kind in UNSIGNED:
            first, second = (self.fitted(part) for part in parts)
            return UNSIGNED[kind](first.term, second.term)
        if kind in SIGNED:
            first, second = (self._signed(part) for part in parts)
            return SIGNED[kind](first.term, second.term)
        raise NotLinear(str(one.decl()))

    # TERMS -------------------------------------------------------------------------------------------------------

    def fitted(self, one: Any) -> Whole:
        """A bit-vector as the integer that it is without a sign."""
        if one.get_id() not in self._fitted:
            self._fitted[one.get_id()] = (self._rest(self.whole(one), one.size()), one)
        return self._fitted[one.get_id()][0]

    def _signed(self, one: Any) -> Whole:
        unsigned, half = self.fitted(one), 2 ** (one.size() - 1)
        if unsigned.high < half:
            return unsigned
        return Whole(z3.If(unsigned.term >= half, unsigned.term - 2 * half, unsigned.term), -half, half - 1)

    def _rest(self, one: Whole, bits: int) -> Whole:
        """What is left of an integer modulo 2^bits."""
        span = 2**bits
        lowest, highest = one.low // span, one.high // span
        if lowest == highest:
            return Whole(
                one.term - lowest * span if lowest else one.term, one.low - lowest * span, one.high - lowest * span
            )
        if highest - lowest <= FEW_QUOTIENTS:
            rest = one.term - highest * span
            for quotient in range(highest - 1, lowest - 1, -1):
                rest = z3.If(one.term < (quotient + 1) * span, one.term - quotient * span, rest)
            return Whole(self._named(rest), 0, span - 1)
        quotient = z3.FreshInt("quotient")
        rest = one.term - span * quotient
        self.facts += [rest >= 0, rest < span, quotient >= lowest, quotient <= highest]
        return Whole(rest, 0, span - 1)

    def _named(self, term: Any) -> Any:
        """A name for a term that may be used often."""
        name = z3.FreshInt("value")
        self.facts.append(name == term)
        return name

    def whole(self, one: Any) -> Whole:
        """An integer with the low bits of a bit-vector: sums are not cut yet."""
        if one.get_id() not in self._wholes:
            self._wholes[one.get_id()] = (self._whole(one), one)
        return self._wholes[one.get_id()][0]

    def _whole(self, one: Any) -> Whole:
        kind, parts, bits = one.decl().kind(), one.children(), one.size()
        if z3.is_bv_value(one):
            return Whole(z3.IntVal(one.as_long()), one.as_long(), one.as_long())
        if z3.is_const(one):
            return self._unknown(one)
        if kind == z3.Z3_OP_ITE:
            then, other = self.fitted(parts[1]), self.fitted(parts[2])
            chosen = z3.If(self.formula(parts[0]), then.term, other.term)
            return Whole(chosen, min(then.low, other.low), max(then.high, other.high))
        make = TERMS.get(kind)
        if make is None:
            raise NotLinear(str(one.decl()))
        made = make(self, one, parts)
        if max(abs(made.low), abs(made.high)) > 2 ** (4 * bits + 8):  # bounds that nobody wants to carry on
            return self._rest(made, bits)
        return made

    def _unknown(self, one: Any) -> Whole:
        name = str(one)
        if name not in self.unknowns:
            self.unknowns[name] = one
            self.facts += [z3.Int(name) >= 0, z3.Int(name) < 2 ** one.size()]
        return Whole(z3.Int(name), 0, 2 ** one.size() - 1)

    # OPERATIONS --------------------------------------------------------------------------------------------------

    def add(self, one: Any, parts: list[Any]) -> Whole:
        """Constants near 2^bits count as negative: that keeps what is added small."""
        wholes = [self._constant(part) if z3.is_bv_value(part) else self.whole(part) for part in parts]
        total = z3.Sum([each.term for each in wholes]) if len(wholes) > 1 else wholes[0].term
        return Whole(total, sum(each.low for each in wholes), sum(each.high for each in wholes))

    def _constant(self, part: Any) -> Whole:
        value = part.as_signed_long()
        return Whole(z3.IntVal(value), value, value)

    def subtract(self, one: Any, parts: list[Any]) -> Whole:
        first, second = (self.whole(part) for part in parts)
        return Whole(first.term - second.term, first.low - second.high, first.high - second.low)

    def negate(self, one: Any, parts: list[Any]) -> Whole:
        whole = self.whole(parts[0])
        return Whole(-whole.term, -whole.high, -whole.low)

    def invert(self, one: Any, parts: list[Any]) -> Whole:
        whole = self.whole(parts[0])
        return Whole(-whole.term - 1, -whole.high - 1, -whole.low - 1)

    def multiply(self, one: Any, parts: list[Any]) -> Whole:
        if len(parts) != 2 or not z3.is_bv_value(parts[0]):
            raise NotLinear("a product")
        factor, whole = parts[0].as_signed_long(), self.whole(parts[1])
        low, high = sorted((whole.low * factor, whole.high * factor))
        return Whole(whole.term * factor, low, high)

    def join(self, one: Any, parts: list[Any]) -> Whole:
        total, low, high = z3.IntVal(0), 0, 0
        for part in parts:
            fitted = self.fitted(part)
            by = 2 ** part.size()
            total, low, high = total * by + fitted.term, low * by + fitted.low, high * by + fitted.high
        return Whole(z3.simplify(total), low, high)

    def extract(self, one: Any, parts: list[Any]) -> Whole:
        _, first = one.params()
        inner = parts[0]
        if first == 0:  # low bits of a sum are those of what it is the sum of
            return self.whole(inner)
        fitted = self.fitted(inner)
        by = 2**first
        quotient, rest = z3.FreshInt("high"), z3.FreshInt("low")
        self.facts += [fitted.term == quotient * by + rest, rest >= 0, rest < by]
        return Whole(quotient, fitted.low // by, fitted.high // by)

    def zero_extend(self, one: Any, parts: list[Any]) -> Whole:
        return self.fitted(parts[0])

    def sign_extend(self, one: Any, parts: list[Any]) -> Whole:
        return self._signed(parts[0])

    def both(self, one: Any, parts: list[Any]) -> Whole:
        """`&` with a constant, or with one of two: runs of bits are taken out."""
        for mask, other in (parts, reversed(parts)) if len(parts) == 2 else ():
            if z3.is_bv_value(mask):
                return self._masked(other, mask.as_long())
            if z3.is_app_of(mask, z3.Z3_OP_ITE) and all(map(z3.is_bv_value, mask.children()[1:])):
                condition, *masks = mask.children()
                then, otherwise = (self._masked(other, one.as_long()) for one in masks)
                chosen = z3.If(self.formula(condition), then.term, otherwise.term)
                return Whole(chosen, min(then.low, otherwise.low), max(then.high, otherwise.high))
        raise NotLinear("&")

    def either(self, one: Any, parts: list[Any]) -> Whole:
        """a | b is a + b - (a & b)."""
        if len(parts) != 2:
            raise NotLinear("|")
        both = self._rest(self.both(one, parts), one.size())
        first, second = (self.fitted(part) for part in parts)
        term = first.term + second.term - both.term
        return Whole(term, max(first.low, second.low), min(first.high + second.high, 2 ** one.size() - 1))

    def _masked(self, other: Any, mask: int) -> Whole:
        at, total = 0, Whole(z3.IntVal(0), 0, 0)
        while mask >> at:
            if not mask >> at & 1:
                at += 1
                continue
            end = at
            while mask >> end & 1:
                end += 1
            piece = self.fitted(z3.Extract(end - 1, at, other))
            by = 2**at
            total = Whole(total.term + piece.term * by, total.low + piece.low * by, total.high + piece.high * by)
            at = end
        return total


CONNECTIVES = (
    *(z3.Z3_OP_AND, z3.Z3_OP_OR, z3.Z3_OP_NOT, z3.Z3_OP_IMPLIES, z3.Z3_OP_XOR),
    *(z3.Z3_OP_TRUE, z3.Z3_OP_FALSE),
)
Compare = Callable[[Any, Any], Any]
UNSIGNED: dict[int, Compare] = {
    z3.Z3_OP_ULEQ: lambda one, other: one <= other,
    z3.Z3_OP_ULT: lambda one, other: one < other,
    z3.Z3_OP_UGEQ: lambda one, other: one >= other,
    z3.Z3_OP_UGT: lambda one, other: one > other,
}
SIGNED: dict[int, Compare] = {
    z3.Z3_OP_SLEQ: lambda one, other: one <= other,
    z3.Z3_OP_SLT: lambda one, other: one < other,
    z3.Z3_OP_SGEQ: lambda one, other: one >= other,
    z3.Z3_OP_SGT: lambda one, other: one > other,
}
TERMS: dict[int, Callable[[Translator, Any, list[Any]], Whole]] = {
    z3.Z3_OP_BADD: Translator.add,
    z3.Z3_OP_BSUB: Translator.subtract,
    z3.Z3_OP_BNEG: Translator.negate,
    z3.Z3_OP_BNOT: Translator.invert,
    z3.Z3_OP_BMUL: Translator.multiply,
    z3.Z3_OP_CONCAT: Translator.join,
    z3.Z3_OP_EXTRACT: Translator.extract,
    z3.Z3_OP_ZERO_EXT: Translator.zero_extend,
    z3.Z3_OP_SIGN_EXT: Translator.sign_extend,
    z3.Z3_OP_BAND: Translator.both,
    z3.Z3_OP_BOR: Translator.either,
}


class Case:
    """Values of unknowns, given as (unknown, value), in which formulas hold; what is not given is 0."""

    def __init__(self, values: list[tuple[Any, Any]]) -> None:
        self.values = values

    def eval(self, term: Any, model_completion: bool = True) -> Any:
        """A term or formula with these values in it."""
        found = z3.simplify(z3.substitute(term, *self.values))
        if z3.is_bv_value(found) or z3.is_true(found) or z3.is_false(found):
            return found
        zeros = [
            (one, z3.BoolVal(False) if z3.is_bool(one) else z3.BitVecVal(0, one.size())) for one in unknowns(found)
        ]
        return z3.simplify(z3.substitute(found, *zeros))


def unknowns(term: Any) -> list[Any]:
    """The unknowns in a term."""
    found, open_, seen = [], [term], set()
    while open_:
        one = open_.pop()
        if one.get_id() not in seen:
            seen.add(one.get_id())
            if z3.is_const(one) and one.decl().kind() == z3.Z3_OP_UNINTERPRETED:
                found.append(one)
            open_.extend(one.children())
    return found


class Solver:
    """Asks whether formulas over bit-vectors can hold together: over integers where that says the same, else over bits.
    What was translated once is kept, so that many questions about the same formulas are fast.
    """

    def __init__(self, milliseconds: int) -> None:
        self.milliseconds = milliseconds
        self.given: list[Any] = []
        self._translator = Translator()
        self._solver = self._new()
        self._told = 0  # how many of the translator's facts the solver knows
        self._is_linear = True
        self._open: list[tuple[int, int, bool]] = []  # what there was when `push` was called
        self._simple: dict[int, tuple[Any, Any]] = {}

    def _new(self) -> Any:
        solver = z3.Solver()
        solver.set("timeout", self.milliseconds)
        return solver

    def add(self, *formulas: Any) -> None:
        """Take formulas as given from now on."""
        for one in map(z3.simplify, formulas):
            self.given.append(one)
            try:
                self._solver.add(self._translated(one))
            except NotLinear:
                self._is_linear = False

    def push(self) -> None:
        """What is added from now on is taken back by `pop`."""
        self._open.append((len(self.given), self._told, self._is_linear))
        self._solver.push()

    def pop(self, count: int = 1) -> None:
        """Take back what was added since so many calls of `push`."""
        given, self._told, self._is_linear = self._open[-count]
        del self.given[given:], self._open[-count:]
        self._solver.pop(count)

    def _simplified(self, formula: Any) -> Any:
        found = self._simple.get(formula.get_id())
        if found is None:
            found = self._simple[formula.get_id()] = (z3.simplify(formula), formula)
        return found[0]

    def _translated(self, formula: Any) -> Any:
        translated = self._translator.formula(formula)
        self._solver.add(*self._translator.facts[self._told :])
        self._told = len(self._translator.facts)
        return translated

    def check(self, *formulas: Any) -> Any:
        """z3's verdict about formulas and what is given."""
        return self.decide(formulas, self.milliseconds, wants_case=False)[0]

    def decide(self, formulas: Iterable[Any], milliseconds: int, wants_case: bool = True) -> tuple[Any, Case | None]:
        """The same, and a case in which all hold, if they can (and if it is wanted)."""
        asked = [self._simplified(one) for one in formulas]
        if any(map(z3.is_false, asked)):
            return z3.unsat, None
        try:
            over_integers = [self._translated(one) for one in asked] if self._is_linear else None
        except NotLinear:
            over_integers = None
        if over_integers is None:
            return over_bits([*self.given, *asked], milliseconds)
        self._solver.set("timeout", milliseconds)
        self._solver.push()
        self._solver.add(*over_integers)
        verdict = self._solver.check()
        case = self._case() if verdict == z3.sat and wants_case else None
        self._solver.pop()
        if verdict == z3.unknown:
            return over_bits([*self.given, *asked], milliseconds)
        if case is not None and not z3.is_true(case.eval(z3.And(*self.given, *asked))):
            raise AssertionError("integers and bits say different things of one formula")
        return verdict, case

    def _case(self) -> Case:
        found, values = self._solver.model(), []
        for name, one in self._translator.unknowns.items():
            if z3.is_bool(one):
                values.append((one, z3.BoolVal(z3.is_true(found.eval(one, model_completion=True)))))
            else:
                value = found.eval(z3.Int(name), model_completion=True).as_long()
                values.append((one, z3.BitVecVal(value, one.size())))
        return Case(values)


def over_bits(formulas: list[Any], milliseconds: int) -> tuple[Any, Case | None]:
    """The same, asked over bits."""
    solver = z3.SolverFor("QF_BV")
    solver.set("timeout", milliseconds)
    solver.add(*formulas)
    verdict = solver.check()
    if verdict != z3.sat:
        return verdict, None
    found = solver.model()
    return verdict, Case([(one, found.eval(one, model_completion=True)) for one in unknowns(z3.And(*formulas))])
