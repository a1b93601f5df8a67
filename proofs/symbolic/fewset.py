"""A set of at most k records: what witnesses and counterexamples are looked for in.

The same questions as `anyset`, answered without quantifiers, so that the solver always comes to a verdict, and a model
of it can be turned into a plain frozenset on which the statement is run again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import z3

from proofs.symbolic.boolean import SymBool, negation
from proofs.symbolic.explorer import current
from proofs.symbolic.integer import either, integer, ranks_before, same
from proofs.symbolic.pages import SymPages, few_pages, holds_page
from proofs.symbolic.record import are_twins, optional, record
from proofs.symbolic.shape import Shape
from proofs.symbolic.terms import any_one, both, implied, opposite

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
        return SymBool(both(*(implied(there, self._formula(holds, one)) for there, one in self.members)))

    def some(self, holds: Callable[[Any], Any]) -> SymBool:
        """Whether `holds` is true of at least one member."""
        return SymBool(any_one(*(both(there, self._formula(holds, one)) for there, one in self.members)))

    def every_pair(self, holds: Callable[[Any, Any], Any]) -> SymBool:
        """Whether `holds` is true of each two different members, in either order."""
        claims = [
            implied(both(there, other_there), self._formula(holds, one, other))
            for there, one in self.members
            for other_there, other in self.members
            if one is not other
        ]
        return SymBool(both(*claims))

    def only(self, holds: Callable[[Any], Any]) -> Any:
        """The member of which `holds` is true, or None: a branch for each member."""
        for there, one in self.members:
            if SymBool(both(there, self._formula(holds, one))):
                return one
        return None

    def least(self, holds: Callable[[Any], Any], rank: Callable[[Any], tuple[Any, ...]]) -> Any:
        """Of the members of which `holds` is true the one of smallest rank, or None: branches for each member."""
        best = None
        for there, one in self.members:
            asked = SymBool(both(there, self._formula(holds, one)))
            if asked and (best is None or SymBool(ranks_before(rank(one), rank(best)))):
                best = one
        return best

    def kept(self, holds: Callable[[Any], Any]) -> FewSet:
        """The set of those members of which `holds` is true."""
        members = tuple((both(there, self._formula(holds, one)), one) for there, one in self.members)
        return FewSet(members, self.shape, self.name)

    def count(self) -> Any:
        """How many members there are. Two that are equal are one, as in any set."""
        number: Any = 0
        for place, (there, one) in enumerate(self.members):
            twins = [both(other_there, self._are_equal(one, other)) for other_there, other in self.members[:place]]
            number = either(both(there, opposite(any_one(*twins))), 1, 0) + number
        return number

    def _are_equal(self, one: Any, other: Any) -> Any:
        names = self.shape.ranges
        return both(*(same(getattr(one, name), getattr(other, name)) for name in names))

    def gathered(self, pages_of: Callable[[Any], Any]) -> SymPages:
        """All pages that any member has, of those that `pages_of` says it has."""
        return SymPages(lambda asked: self.some(lambda member: SymBool(holds_page(pages_of(member), asked))).formula)

    def added(self, member: Any) -> FewSet:
        """The set with one more record."""
        return FewSet((*self.members, (z3.BoolVal(True), member)), self.shape, self.name)

    def removed(self, member: Any) -> FewSet:
        """The set without this member. None, the answer to a search that found nothing, is never one."""
        if member is None:
            return self
        rest = tuple((there, one) for there, one in self.members if one is not member)
        if len(rest) == len(self.members):
            return self.kept(lambda one: negation(are_twins(self.shape, one, member)))
        return FewSet(rest, self.shape, self.name)

    def has(self, member: Any) -> SymBool:
        """Whether this very record is a member."""
        return SymBool(any_one(*(there for there, one in self.members if one is member)))

    def equals(self, other: FewSet) -> SymBool:
        """Whether both have the same members."""
        return SymBool(both(self._is_within(other), other._is_within(self)))

    def _is_within(self, other: FewSet) -> Any:
        return both(
            *(
                implied(there, any_one(*(both(also, self._are_equal(one, two)) for also, two in other.members)))
                for there, one in self.members
            )
        )

    def candidate(self, name: str) -> Any:
        """Something that may be a member or not. Each name takes the next, from the first on again after the last."""
        if not self.members:
            return few_record(name, self.shape)
        taken: list[str] = current().remember(("candidates of", self.name), list)
        taken.append(name)
        return self.members[(len(taken) - 1) % len(self.members)][1]
