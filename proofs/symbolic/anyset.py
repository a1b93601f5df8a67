"""An arbitrary set of records: of any size, known only by what is asked of it.

Its members are the things of an uninterpreted sort for which `member` holds; each field is a function of the thing.
`every` and `some` become quantifiers, so what is proved about this set is proved of every finite set, however large.
Two things may have the same values in all fields; a real set has no such twins, so the proof covers more than it must.

An edited set is the original, with things taken out, put back or left behind since, in order, plus records that were
made since. How many members it has is a number of which is known what the edits do to it, and whether it is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import z3

from proofs.symbolic.boolean import SymBool, all_of, identity, negation
from proofs.symbolic.explorer import Unsupported, current, truth
from proofs.symbolic.integer import SymInt, integer, ranks_before, same, substituted
from proofs.symbolic.pages import SymPages, asked_of, holds_page, page_question
from proofs.symbolic.record import are_twins, optional, record
from proofs.symbolic.shape import Shape
from proofs.symbolic.terms import any_one, both, implied, opposite

MOST_MEMBERS = 2**128  # of a set that is counted


Edit = Callable[[Any, Any], Any]  # (thing, whether it was a member) -> whether it is one after


class Universe:
    """The things that an arbitrary set draws from: the sort, the fields as functions, and the things with a name."""

    def __init__(self, name: str, shape: Shape) -> None:
        self.name, self.shape = name, shape
        self.sort = z3.DeclareSort(name)
        self.member = z3.Function(f"{name}.member", self.sort, z3.BoolSort())
        arithmetic = current().arithmetic
        self.field = {
            field: z3.Function(f"{name}.{field}", self.sort, arithmetic.sort(low, high))
            for field, (low, high) in shape.ranges.items()
        }
        self.keeps = {field: z3.Function(f"{name}.keeps_{field}", self.sort, z3.BoolSort()) for field in shape.pages}
        self.has_page = {field: page_question(f"{name}.{field}", self.sort) for field in shape.pages}
        self.named: list[tuple[Any, Any]] = []  # (record, thing)
        thing = z3.Const(f"{name}!any", self.sort)
        current().quantified.append(z3.ForAll([thing], self._in_ranges(thing)))

    def _in_ranges(self, thing: Any) -> Any:
        return both(
            *(
                current().arithmetic.in_range(self.field[field](thing), low, high)
                for field, (low, high) in self.shape.ranges.items()
            )
        )

    def record_of(self, thing: Any) -> Any:
        """The thing as a record, as the spec sees it; the same one each time."""
        key = ("record", id(self), thing.get_id())
        made: Any = current().remember(key, lambda: self._record_of(thing), self, thing)
        return made

    def _record_of(self, thing: Any) -> Any:
        values = {
            field: SymInt(self.field[field](thing), low, high) for field, (low, high) in self.shape.ranges.items()
        }
        lazy = {field: optional(self.keeps[field](thing), self._pages_of(field, thing)) for field in self.shape.pages}
        return record(self.shape.kind, values, lazy)

    def _pages_of(self, field: str, thing: Any) -> Callable[[], SymPages]:
        return lambda: SymPages(asked_of(lambda page: self.has_page[field](thing, page)))

    def name_thing(self, name: str) -> Any:
        """The record of a new thing with a name. It may be a member of the set or not."""
        thing = z3.Const(f"{self.name}!{name}", self.sort)
        current().ground.append(self._in_ranges(thing))
        made = self.record_of(thing)
        self.named.append((made, thing))
        return made

    def thing_of(self, member: Any) -> Any | None:
        """The thing that a record stands for, None if it was made since."""
        return next((thing for known, thing in self.named if known is member), None)


def _taken_out(thing: Any) -> Edit:
    return lambda asked, is_member: both(is_member, asked != thing)


def _put_back(thing: Any) -> Edit:
    return lambda asked, is_member: any_one(is_member, asked == thing)


class AnySet:
    """A set of any size. It answers the questions of `spec.sets` and `proofs.sets`."""

    def __init__(
        self,
        universe: Universe,
        edits: tuple[Edit, ...] = (),
        new: tuple[Any, ...] = (),
        counted: Callable[[], Any] | None = None,
    ) -> None:
        self.universe, self.new = universe, new
        self.edits = edits  # the latest last
        self.counted = counted  # how many members there are, None for the original set

    def _is_member(self, thing: Any) -> Any:
        is_member = self.universe.member(thing)
        for edit in self.edits:
            is_member = edit(thing, is_member)
        return is_member

    def _bound_thing(self) -> Any:
        return z3.Const(f"{self.universe.name}!bound{current().quantifier_depth}", self.universe.sort)

    def _formula(self, holds: Callable[..., Any], *members: Any) -> Any:
        explorer = current()
        explorer.quantifier_depth += max(1, len(members))
        try:
            return explorer.formula(lambda: holds(*members))
        finally:
            explorer.quantifier_depth -= max(1, len(members))

    def every(self, holds: Callable[[Any], Any]) -> SymBool:
        """Whether `holds` is true of each member."""
        thing = self._bound_thing()
        claim = implied(self._is_member(thing), self._formula(holds, self.universe.record_of(thing)))
        return SymBool(both(z3.ForAll([thing], claim), *(self._formula(holds, member) for member in self.new)))

    def some(self, holds: Callable[[Any], Any]) -> SymBool:
        """Whether `holds` is true of at least one member."""
        thing = self._bound_thing()
        claim = both(self._is_member(thing), self._formula(holds, self.universe.record_of(thing)))
        return SymBool(any_one(z3.Exists([thing], claim), *(self._formula(holds, member) for member in self.new)))

    def every_pair(self, holds: Callable[[Any, Any], Any]) -> SymBool:
        """Whether `holds` is true of each two different members, in either order."""
        one, explorer = self._bound_thing(), current()
        explorer.quantifier_depth += 1
        other = self._bound_thing()
        explorer.quantifier_depth -= 1
        record_of = self.universe.record_of
        old = implied(
            both(self._is_member(one), self._is_member(other), one != other),
            self._formula(holds, record_of(one), record_of(other)),
        )
        claims = [z3.ForAll([one, other], old)]
        for member in self.new:
            mixed = [
                self._formula(holds, member, record_of(one)),
                self._formula(holds, record_of(one), member),
            ]
            claims.append(z3.ForAll([one], implied(self._is_member(one), both(*mixed))))
            claims.extend(self._formula(holds, member, second) for second in self.new if second is not member)
        return SymBool(both(*claims))

    def only(self, holds: Callable[[Any], Any]) -> Any:
        """The member of which `holds` is true, or None.

        Among the original members it is a witness: a named thing of which "it is a member and `holds` is true" is true
        if it is true of any thing at all. The same question has the same witness.
        """
        if current().quantifier_depth:
            raise Unsupported("`only` inside a question about each member")
        for member in self.new:
            if SymBool(self._formula(holds, member)):
                return member
        thing = self._bound_thing()
        found = both(self._is_member(thing), self._formula(holds, self.universe.record_of(thing)))
        witness = current().remember(("only", found.get_id()), lambda: self._witness(thing, found), found)
        is_there = z3.substitute(found, (thing, self.universe.thing_of(witness)))
        return witness if SymBool(is_there) else None

    def _witness(self, thing: Any, found: Any) -> Any:
        witness = self.universe.name_thing(f"only{len(self.universe.named)}")
        is_there = z3.substitute(found, (thing, self.universe.thing_of(witness)))
        current().quantified.append(z3.ForAll([thing], implied(found, is_there)))
        return witness

    def least(self, holds: Callable[[Any], Any], rank: Callable[[Any], tuple[Any, ...]]) -> Any:
        """Of the members of which `holds` is true the one of smallest rank, or None.

        Among the original members it is a witness, as in `only`, and no other member has a smaller rank.
        """
        if current().quantifier_depth:
            raise Unsupported("`least` inside a question about each member")
        thing = self._bound_thing()
        found = both(self._is_member(thing), self._formula(holds, self.universe.record_of(thing)))
        ranks = rank(self.universe.record_of(thing))
        key = ("least", found.get_id(), *(identity(part) for part in ranks))
        witness = current().remember(key, lambda: self._first(thing, found, ranks), found, ranks)
        is_there = z3.substitute(found, (thing, self.universe.thing_of(witness)))
        best = witness if SymBool(is_there) else None
        for member in self.new:
            if SymBool(self._formula(holds, member)) and (
                best is None or SymBool(ranks_before(rank(member), rank(best)))
            ):
                best = member
        return best

    def _first(self, thing: Any, found: Any, ranks: tuple[Any, ...]) -> Any:
        witness = self.universe.name_thing(f"least{len(self.universe.named)}")
        named = (thing, self.universe.thing_of(witness))
        is_there = z3.substitute(found, named)
        none_before = opposite(ranks_before(ranks, tuple(substituted(part, named) for part in ranks)))
        current().quantified.append(z3.ForAll([thing], implied(found, both(is_there, none_before))))
        return witness

    def gathered(self, pages_of: Callable[[Any], Any]) -> SymPages:
        """All pages that any member has, of those that `pages_of` says it has."""
        return SymPages(lambda asked: self.some(lambda member: SymBool(holds_page(pages_of(member), asked))).formula)

    def added(self, member: Any) -> AnySet:
        """The set with one more record."""
        thing = self.universe.thing_of(member)
        if thing is not None:
            is_more = opposite(self._is_member(thing))
            return AnySet(self.universe, (*self.edits, _put_back(thing)), self.new, lambda: self._count_and(1, is_more))
        after = AnySet(self.universe, self.edits, (*self.new, member))
        after.counted = lambda: self._count_and(1, opposite(self._has_twin(member)), member)
        return after

    def removed(self, member: Any) -> AnySet:
        """The set without this member. None, the answer to a search that found nothing, is never one.

        Of a record that was made since, what goes is all that is equal to it, as from a frozenset. Records with sets of
        pages are not compared: of these, it goes alone, and one that is not there cannot be taken out.
        """
        if member is None:
            return self
        thing = self.universe.thing_of(member)
        if thing is not None:
            is_less = self._is_member(thing)
            return AnySet(
                self.universe, (*self.edits, _taken_out(thing)), self.new, lambda: self._count_and(-1, is_less)
            )
        rest = tuple(known for known in self.new if known is not member)
        if len(rest) == len(self.new) or not self.universe.shape.pages:
            return self.kept(lambda one: negation(are_twins(self.universe.shape, one, member)))
        after = AnySet(self.universe, self.edits, rest)
        after.counted = lambda: self._count_and(-1, opposite(after._has_twin(member)), member)
        return after

    def kept(self, holds: Callable[[Any], Any]) -> AnySet:
        """The set of those members of which `holds` is true."""

        def left_behind(asked: Any, is_member: Any) -> Any:
            return both(is_member, self._formula(holds, self.universe.record_of(asked)))

        new = tuple(member for member in self.new if SymBool(self._formula(holds, member)))
        after = AnySet(self.universe, (*self.edits, left_behind), new)
        after.counted = lambda: self._count_of_some(after)
        return after

    # COUNTING ----------------------------------------------------------------------------------------------------

    def count(self) -> Any:
        """How many members there are."""
        return self._count_of_original() if self.counted is None else self.counted()

    def _count_of_original(self) -> SymInt:
        name = f"{self.universe.name}.count"

        def make() -> SymInt:
            number = integer(name, 0, MOST_MEMBERS)
            self._settle_zero(number)
            return number

        number: SymInt = current().remember(name, make)
        return number

    def _count_and(self, change: int, is_changed: Any, *keep: Any) -> SymInt:
        """The number after an edit that makes one more or one less, if it changes anything."""
        before = self.count()

        def make() -> SymInt:
            number = integer(f"{self.universe.name}.count{len(current().memory)}", 0, before.high + 1)
            counted = z3.If(is_changed, same(number, before + change), same(number, before))
            current().quantified.append(counted)
            return number

        key = ("count", before.term.get_id(), change, is_changed.get_id())
        number: SymInt = current().remember(key, make, before, is_changed, keep)
        return number

    def _count_of_some(self, after: AnySet) -> SymInt:
        """The number of those that were kept: at most as many as before."""
        before = self.count()
        thing = self._bound_thing()
        question = after._is_member(thing)
        made_since = tuple(id(member) for member in after.new)

        def make() -> SymInt:
            number = integer(f"{self.universe.name}.kept{len(current().memory)}", 0, before.high)
            current().ground.append((number <= before).formula)
            after._settle_zero(number)
            return number

        key = ("kept", question.get_id(), before.term.get_id(), made_since)
        number: SymInt = current().remember(key, make, question, before, after)
        return number

    def _settle_zero(self, number: SymInt) -> None:
        """A set is counted as 0 exactly if it has no members."""
        is_empty = self.every(lambda member: False)
        current().quantified.append(same(number, 0) == is_empty.formula)

    def _has_twin(self, asked: Any) -> Any:
        """Whether a member has the same values in all fields."""
        names = tuple(self.universe.shape.ranges)
        return self.some(
            lambda member: all_of(*(getattr(member, name) == getattr(asked, name) for name in names))
        ).formula

    def has(self, member: Any) -> SymBool:
        """Whether this very record is a member."""
        thing = self.universe.thing_of(member)
        if thing is not None:
            return SymBool(self._is_member(thing))
        return SymBool(z3.BoolVal(any(known is member for known in self.new)))

    def equals(self, other: AnySet) -> SymBool:
        """Whether two sets that came from one by edits are the same, member by member; of records that were made since,
        one after the other.
        """
        if self.universe is not other.universe or len(self.new) != len(other.new):
            return SymBool(z3.BoolVal(False))
        thing, names = self._bound_thing(), tuple(self.universe.shape.ranges)
        twins = zip(self.new, other.new, strict=True)
        made = [truth(all_of(*(getattr(a, name) == getattr(b, name) for name in names))) for a, b in twins]
        return SymBool(both(z3.ForAll([thing], self._is_member(thing) == other._is_member(thing)), *made))

    def candidate(self, name: str) -> Any:
        """Something that may be a member or not: what is proved of it is proved of everything."""
        return self.universe.name_thing(name)
