"""Records (frozen dataclasses) of arbitrary values, and words from a fixed vocabulary.

A field that may be None cannot be a formula: Python asks `is None`. Nor can one that Python uses as an index or divides
by. Such a field is *lazy*: it is worked out when it is read, which is a branch like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import z3

from proofs.symbolic.boolean import SymBool, all_of
from proofs.symbolic.explorer import Unsupported
from proofs.symbolic.integer import SymInt, integer, same
from proofs.symbolic.shape import Shape
from proofs.symbolic.terms import opposite


def record(kind: type, values: dict[str, Any], lazy: dict[str, Callable[[], Any]]) -> Any:
    """An instance of a frozen dataclass. `lazy` fields are computed each time they are read.

    What `dataclasses.replace` makes of it is an ordinary instance of `kind`.
    """

    def ordinary(_: type, **fields: Any) -> Any:
        return kind(**fields)

    members: dict[str, Any] = {name: _property(read) for name, read in lazy.items()}
    made: Any = object.__new__(type(kind.__name__, (kind,), {**members, "__new__": ordinary}))
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made


def kind_of(value: Any) -> type:
    """The class of a dataclass instance, as it was asked for: a record with lazy fields is of a class of its own."""
    kind = type(value)
    return kind.__mro__[1] if "__new__" in vars(kind) else kind


def are_twins(shape: Shape, one: Any, other: Any) -> Any:
    """Whether two records of this shape have the same values in all fields, so that a frozenset has but one of them."""
    if shape.pages:
        raise Unsupported("whether two records have the same pages")
    return all_of(*(getattr(one, field.name) == getattr(other, field.name) for field in fields(shape.kind)))


def _property(read: Callable[[], Any]) -> property:
    return property(lambda _: read())


def optional(present: Any, make: Callable[[], Any]) -> Callable[[], Any]:
    """A lazy field that is None unless the formula `present` holds."""
    return lambda: make() if SymBool(present) else None


def one_of(name: str, choices: tuple[int, ...], otherwise: Any = None) -> Callable[[], Any]:
    """A lazy field that is one of a few plain ints, or `otherwise` (None: the last choice is what is left)."""
    chosen = [(z3.Bool(f"{name}.is{choice}"), choice) for choice in choices]
    if otherwise is None:
        chosen, otherwise = chosen[:-1], choices[-1]

    def read() -> Any:
        return next((choice for is_chosen, choice in chosen if SymBool(is_chosen)), otherwise)

    return read


class SymWord:
    """Any word of a fixed vocabulary."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str, vocabulary: tuple[str, ...]) -> None:
        self.vocabulary = vocabulary
        self.place: SymInt = integer(name, 0, len(vocabulary) - 1)

    def __eq__(self, other: object) -> SymBool:  # type: ignore[override]
        if other not in self.vocabulary:
            return SymBool(z3.BoolVal(False))
        return SymBool(same(self.place, self.vocabulary.index(str(other))))

    def __ne__(self, other: object) -> SymBool:  # type: ignore[override]
        return SymBool(opposite((self == other).formula))
