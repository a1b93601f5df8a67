"""An arbitrary array: of any length below 2^64, of ranges that are known only as far as somebody has looked.

Only with linear integers: an index is any integer there, and none is another's wrapped one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import z3

from proofs.symbolic.boolean import SymBool, all_of, implies
from proofs.symbolic.explorer import Unsupported, current, truth
from proofs.symbolic.integer import SymInt
from proofs.symbolic.linear import LINEAR
from proofs.symbolic.terms import both, implied
from proofs.world import FewWorld, World
from spec.units import U64_MAX

FEW = 2  # how many members more than sets an array may have in a small world


@dataclass(frozen=True)
class Piece:
    """A member of an array: the range first..last, `size` long."""

    first: int
    last: int
    size: int


class AnyArray:
    """An array of any length. With `most`, of no more members, so that it can become a plain one."""

    def __init__(self, name: str, most: int | None) -> None:
        if current().arithmetic is not LINEAR:
            raise Unsupported("an arbitrary array, with bit-vectors")
        self.most = most
        self.length = SymInt(z3.Int(f"{name}.length"), 0, U64_MAX)
        current().learn(LINEAR.in_range(self.length.term, 0, U64_MAX if most is None else most))
        self._of = {field: z3.Function(f"{name}.{field}", z3.IntSort(), z3.IntSort()) for field in ("first", "last")}

    def __getitem__(self, index: Any) -> Piece:
        at = LINEAR.term(index, 0, U64_MAX)
        for field in self._of.values():
            current().learn(both(field(at) >= 0, field(at) <= U64_MAX))
        return self._piece(at)

    def _piece(self, at: Any) -> Piece:
        first, last = (SymInt(field(at), 0, U64_MAX) for field in self._of.values())
        made: Any = (first, last, last - first + 1)
        return Piece(*made)

    def every(self, holds: Callable[[Any, Piece], Any]) -> Any:
        """Whether something is true of each index and the member there."""
        if self.most is not None:
            return all_of(*(implies(self.length > i, holds(i, self[i])) for i in range(self.most)))
        at = z3.Int("index!bound")
        inside = both(at >= 0, at < self.length.term)
        claim = truth(holds(SymInt(at, 0, U64_MAX), self._piece(at)))
        return SymBool(z3.ForAll([at], implied(inside, claim)))

    def every_two(self, holds: Callable[[Piece, Piece], Any]) -> Any:
        """Whether something is true of each two members, the one with the lower index first."""
        if self.most is not None:
            pairs = [(i, j) for j in range(self.most) for i in range(j)]
            return all_of(*(implies(self.length > j, holds(self[i], self[j])) for i, j in pairs))
        one, other = z3.Int("index!one"), z3.Int("index!other")
        inside = both(one >= 0, one < other, other < self.length.term)
        claim = truth(holds(self._piece(one), self._piece(other)))
        return SymBool(z3.ForAll([one, other], implied(inside, claim)))

    def as_plain(self, holds: Any, plain: Any) -> tuple[Piece, ...]:
        """The plain array that it is in a solver's model."""
        return tuple(plain(self[i]) for i in range(plain(self.length)))


def any_array(world: World, name: str) -> AnyArray:
    """An arbitrary array."""
    return AnyArray(name, world.count - 1 + FEW if isinstance(world, FewWorld) else None)


class Read:
    """An array that remembers at which indexes it was read."""

    def __init__(self, pieces: Any) -> None:
        self.pieces, self.indexes = pieces, []  # type: ignore[var-annotated]

    def __getitem__(self, index: Any) -> Piece:
        self.indexes.append(index)
        piece: Piece = self.pieces[index]
        return piece


def length_of(pieces: Any) -> Any:
    """How many members there are."""
    if isinstance(pieces, Read):
        return length_of(pieces.pieces)
    return pieces.length if isinstance(pieces, AnyArray) else len(pieces)


def every(pieces: Any, holds: Callable[[Any, Piece], Any]) -> Any:
    """Whether something is true of each index and the member there."""
    if isinstance(pieces, AnyArray):
        return pieces.every(holds)
    return all(holds(i, piece) for i, piece in enumerate(pieces))


def every_two(pieces: Any, holds: Callable[[Piece, Piece], Any]) -> Any:
    """Whether something is true of each two members, the one with the lower index first."""
    if isinstance(pieces, AnyArray):
        return pieces.every_two(holds)
    return all(holds(one, other) for j, other in enumerate(pieces) for one in pieces[:j])
