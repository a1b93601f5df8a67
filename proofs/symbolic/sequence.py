"""Sequences: short ones of arbitrary records, long ones that are seen at their front, and ones that nobody looks into.

The specification walks through its sequences (misses, regions) with Python's own loops, so a proof that looks into
one is bounded by its length. That it was looked into is noted: such a theorem has to state its bound. Where members are
only taken from the front and put behind the last, the sequence may be of any length.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import z3

from proofs.symbolic.boolean import SymBool
from proofs.symbolic.explorer import Unsupported, current
from proofs.symbolic.integer import integer


class FewSequence:
    """A tuple of at most as many members as are given. How many there are is a branch, taken when it is looked into."""

    def __init__(self, name: str, members: tuple[Any, ...]) -> None:
        self.name, self.members = name, members
        self.length = integer(f"{name}.length", 0, len(members))

    def _taken(self) -> tuple[Any, ...]:
        current().looked_into.add(self.name)
        taken = 0
        while taken < len(self.members) and self.length > taken:
            taken += 1
        return self.members[:taken]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._taken())

    def __len__(self) -> int:
        return len(self._taken())

    def __getitem__(self, place: Any) -> Any:
        return self._taken()[place]

    def __eq__(self, other: object) -> bool:
        return self is other or self._taken() == other

    __hash__ = None  # type: ignore[assignment]


class AnySequence:
    """A tuple of any length of which the first member is known, if there is one, and the rest only moves as a whole.

    It may be asked whether it has a member (a branch), for the first, and for what is behind the first. Who puts its
    members into another tuple puts there one thing that stands for them all.
    """

    def __init__(self, name: str, first: Any) -> None:
        self.name, self.first = name, first
        self.members = Members(self)
        self._has_member = SymBool(z3.Bool(f"{name}.has_member"))

    def __bool__(self) -> bool:
        return bool(self._has_member)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.members,))

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            if (place.start, place.stop, place.step) != (1, None, None):
                raise Unsupported(f"{self.name}: any part but what is behind the first member")
            return current().remember(("behind", id(self)), lambda: AnySequence(f"{self.name}.behind", None), self)
        if place != 0 or self.first is None:
            raise Unsupported(f"{self.name}: any member but the first")
        return self.first

    def __len__(self) -> int:
        raise Unsupported(f"{self.name}: its length")

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None  # type: ignore[assignment]


class Members:
    """All members of a sequence, in their order, as one thing."""

    def __init__(self, of: AnySequence) -> None:
        self._of = of

    def __getattr__(self, name: str) -> Any:
        raise Unsupported(f"{name} of all members at once")


class Untouched:
    """A sequence of any length of which nothing may be asked. In a case it is the value given here."""

    def __init__(self, name: str, stands_for: Any = ()) -> None:
        self.name, self.stands_for = name, stands_for

    def _refuse(self, *_: Any) -> Any:
        raise Unsupported(f"{self.name}: a sequence that this proof says nothing about")

    __iter__ = __len__ = __getitem__ = __eq__ = _refuse
    __hash__ = None  # type: ignore[assignment]
