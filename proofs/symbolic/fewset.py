"""A set of at most k records: what witnesses and counterexamples are looked for in.

The same questions as `anyset`, answered without quantifiers, so that the solver always comes to a verdict, and a model
of it can be turned into a plain frozenset on which the statement is run again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import z3

from proofs.symbolic.boolean import SymBool
from proofs.symbolic.explorer import Unsupported, current
from proofs.symbolic.integer import SymInt, integer, ranks_before, term_of
from proofs.symbolic.pages import few_pages
from proofs.symbolic.record import optional, record
from proofs.symbolic.shape import Shape

FEW_PAGES = 2
HIGHEST_PAGE = 2**31 - 2


def few_record(name: str, shape: Shape, most_pages: int = FEW_PAGES) -> Any:
    """A record of symbolic values that can become plain ones. Its page sets have at most so many pages."""
    values: dict[str, Any] = {
        field: integer(f"{name}.{field}", low, high) for field, (low, high) in shape.ranges.items()
    }
    lazy = {}
    for field in shape.pages:
        pages = few_pages(f"{name}.{field}", most_pages, HIGHEST_PAGE)
        lazy[field] = optional(z3.Bool(f"{name}.keeps_{field}"), lambda pages=pages: pages)  # type: ignore[misc]
    return record(shape.kind, values, lazy)


class FewSet:
    """A set of at most k members: a tuple of (whether it is there, record)."""

    def __init__(self, members: tuple[tuple[Any, Any], ...], shape: Shape, name: str) -> None:
        self.members, self.shape, self.name = members, shape, name

    @staticmethod
    def of(name: str, shape: Shape, count: int, most_pages: int = FEW_PAGES) -> FewSet:
        """A new set of at most `count` members."""
        members = tuple((z3.Bool(f"{name}.has{i}"), few_record(f"{name}{i}", shape, most_pages)) for i in range(count))
        return FewSet(members, shape, name)

    def _formula(self, holds: Callable[..., Any], *members: Any) -> Any:
        return current().formula(lambda: holds(*members))

    def every(self, holds: Callable[[Any], Any]) -> SymBool:
        """Whether `holds` is true of each member."""
        return SymBool(z3.And(*(z3.Implies(there, self._formula(holds, one)) for there, one in self.members)))

    def some(self, holds: Callable[[Any], Any]) -> SymBool:
        """Whether `holds` is true of at least one member."""
        return SymBool(z3.Or(*(z3.And(there, self._formula(holds, one)) for there, one in self.members)))

    def every_pair(self, holds: Callable[[Any, Any], Any]) -> SymBool:
        """Whether `holds` is true of each two different members, in either order."""
        claims = [
            z3.Implies(z3.And(there, other_there), self._formula(holds, one, other))
            for there, one in self.members
            for other_there, other in self.members
            if one is not other
        ]
        return SymBool(z3.And(*claims))

    def only(self, holds: Callable[[Any], Any]) -> Any:
        """The member of which `holds` is true, or None: a branch for each member."""
        for there, one in self.members:
            if SymBool(z3.And(there, self._formula(holds, one))):
                return one
        return None

    def least(self, holds: Callable[[Any], Any], rank: Callable[[Any], tuple[Any, ...]]) -> Any:
        """Of the members of which `holds` is true the one of smallest rank, or None: branches for each member."""
        best = None
        for there, one in self.members:
            asked = SymBool(z3.And(there, self._formula(holds, one)))
            if asked and (best is None or SymBool(ranks_before(rank(one), rank(best)))):
                best = one
        return best

    def kept(self, holds: Callable[[Any], Any]) -> FewSet:
        """The set of those members of which `holds` is true."""
        members = tuple((z3.And(there, self._formula(holds, one)), one) for there, one in self.members)
        return FewSet(members, self.shape, self.name)

    def count(self) -> Any:
        """How many members there are. Two that are equal are one, as in any set."""
        number: Any = 0
        for place, (there, one) in enumerate(self.members):
            twins = [z3.And(other_there, self._are_equal(one, other)) for other_there, other in self.members[:place]]
            number = SymInt(z3.If(z3.And(there, z3.Not(z3.Or(*twins))), 1, 0), 0, 1) + number
        return number

    def _are_equal(self, one: Any, other: Any) -> Any:
        names = self.shape.ranges
        return z3.And(*(term_of(getattr(one, name)) == term_of(getattr(other, name)) for name in names))

    def added(self, member: Any) -> FewSet:
        """The set with one more record."""
        return FewSet((*self.members, (z3.BoolVal(True), member)), self.shape, self.name)

    def removed(self, member: Any) -> FewSet:
        """The set without this member. None, the answer to a search that found nothing, is never one."""
        if member is None:
            return self
        rest = tuple((there, one) for there, one in self.members if one is not member)
        if len(rest) == len(self.members):
            raise Unsupported("removing a record that is no member")
        return FewSet(rest, self.shape, self.name)

    def has(self, member: Any) -> SymBool:
        """Whether this very record is a member."""
        return SymBool(z3.Or(*(there for there, one in self.members if one is member)))

    def candidate(self, name: str) -> Any:
        """Something that may be a member or not. Each name takes the next, from the first on again after the last."""
        if not self.members:
            return few_record(name, self.shape)
        taken: list[str] = current().remember(("candidates of", self.name), list)
        taken.append(name)
        return self.members[(len(taken) - 1) % len(self.members)][1]
