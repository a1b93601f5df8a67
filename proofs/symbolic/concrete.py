"""From a solver's model back to plain Python values, which the spec can be run on."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import z3

from proofs.symbolic.arrays import AnyArray
from proofs.symbolic.bitmaps import FewBitmaps
from proofs.symbolic.boolean import SymBool
from proofs.symbolic.explorer import Explorer, Unsupported, exploring
from proofs.symbolic.fewset import FewSet
from proofs.symbolic.integer import SymInt
from proofs.symbolic.pages import SymPages
from proofs.symbolic.record import SymWord, kind_of
from proofs.symbolic.sequence import FewSequence, Untouched
from proofs.symbolic.trees import AnyAbove, AnyTree
from spec.pages import Pages, pages_in


def plain(model: Any, value: Any) -> Any:
    """The plain value that a symbolic value has in a model: ints, bools, words, page sets, frozensets, dataclasses."""
    if isinstance(value, SymInt):
        return plain_number(model, value)
    if isinstance(value, SymBool):
        return holds(model, value.formula)
    if isinstance(value, SymWord):
        return value.vocabulary[plain(model, value.place)]
    if isinstance(value, SymPages):
        return plain_pages(model, value)
    if isinstance(value, FewSet):
        return frozenset(plain(model, member) for there, member in value.members if holds(model, there))
    if isinstance(value, FewSequence):
        return tuple(plain(model, member) for member in value.members[: plain(model, value.length)])
    if isinstance(value, Untouched):
        return value.stands_for
    if isinstance(value, AnyTree | AnyAbove | AnyArray | FewBitmaps):
        return value.as_plain(lambda formula: holds(model, formula), lambda part: plain(model, part))
    if isinstance(value, tuple):
        return tuple(plain(model, part) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        return plain_record(model, value)
    return value


class _ModelDecides(Explorer):
    """Every branch goes the way that a model says."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def decide(self, formula: Any) -> bool:
        return holds(self.model, formula)


def holds(model: Any, formula: Any) -> bool:
    """Whether a formula is true in a model."""
    return bool(z3.is_true(model.eval(formula, model_completion=True)))


def plain_number(model: Any, number: SymInt) -> int:
    """The plain int that a symbolic one is in a model."""
    return number.arithmetic.value(model.eval(number.term, model_completion=True), number.low, number.high)


def plain_pages(model: Any, pages: SymPages) -> Pages:
    """A set of pages that was made as a list, as the plain set that it is in a model."""
    if pages.listed is None:
        raise Unsupported("a set of pages that was not made as a list")
    there = [plain_number(model, page) for has, page in pages.listed if holds(model, has)]
    return pages_in(tuple((page, page) for page in there))


def plain_record(model: Any, value: Any) -> Any:
    """A record of symbolic values as one of plain values. A lazy field is decided by the model."""
    ordinary = kind_of(value)
    with exploring(_ModelDecides(model)):
        read = {field.name: getattr(value, field.name) for field in fields(value)}
    return ordinary(**{name: plain(model, part) for name, part in read.items()})
