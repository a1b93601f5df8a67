"""Sequences: short ones of arbitrary records, and ones that a proof never looks into.

The specification walks through its sequences (misses, regions) with Python's own loops, so a proof that looks into one
is bounded by its length. That it was looked into is noted: such a theorem has to state its bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
        while taken < len(self.members) and SymBool(self.length.term > taken):
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


class Untouched:
    """A sequence of any length of which nothing may be asked. In a case it is the value given here."""

    def __init__(self, name: str, stands_for: Any = ()) -> None:
        self.name, self.stands_for = name, stands_for

    def _refuse(self, *_: Any) -> Any:
        raise Unsupported(f"{self.name}: a sequence that this proof says nothing about")

    __iter__ = __len__ = __getitem__ = __eq__ = _refuse
    __hash__ = None  # type: ignore[assignment]
