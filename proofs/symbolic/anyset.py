"""An arbitrary set of records: of any size, known only by what is asked of it.

Its members are the things of an uninterpreted sort for which `member` holds; each field is a function of the thing.
`every` and `some` become quantifiers, so what is proved about this set is proved of every finite set, however large.
Two things may have the same values in all fields; a real set has no such twins, so the proof covers more than it must.

An edited set is the original, with things taken out or put back since, in order, plus records that were made since.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import z3

from proofs.symbolic.boolean import SymBool
from proofs.symbolic.explorer import Unsupported, current
from proofs.symbolic.integer import SymInt
from proofs.symbolic.pages import SymPages
from proofs.symbolic.record import optional, record
from proofs.symbolic.shape import Shape


class Universe:
    """The things that an arbitrary set draws from: the sort, the fields as functions, and the things with a name."""

    def __init__(self, name: str, shape: Shape) -> None:
        self.name, self.shape = name, shape
        self.sort = z3.DeclareSort(name)
        self.member = z3.Function(f"{name}.member", self.sort, z3.BoolSort())
        self.field = {field: z3.Function(f"{name}.{field}", self.sort, z3.IntSort()) for field in shape.ranges}
        self.keeps = {field: z3.Function(f"{name}.keeps_{field}", self.sort, z3.BoolSort()) for field in shape.pages}
        self.has_page = {
            field: z3.Function(f"{name}.{field}", self.sort, z3.IntSort(), z3.BoolSort()) for field in shape.pages
        }
        self.named: list[tuple[Any, Any]] = []  # (record, thing)
        thing = z3.Const(f"{name}!any", self.sort)
        current().quantified.append(z3.ForAll([thing], self._in_ranges(thing)))

    def _in_ranges(self, thing: Any) -> Any:
        return z3.And(
            *(
                z3.And(self.field[field](thing) >= low, self.field[field](thing) <= high)
                for field, (low, high) in self.shape.ranges.items()
            )
        )

    def record_of(self, thing: Any) -> Any:
        """The thing as a record, as the spec sees it."""
        values = {
            field: SymInt(self.field[field](thing), low, high) for field, (low, high) in self.shape.ranges.items()
        }
        lazy = {field: optional(self.keeps[field](thing), self._pages_of(field, thing)) for field in self.shape.pages}
        return record(self.shape.kind, values, lazy)

    def _pages_of(self, field: str, thing: Any) -> Callable[[], SymPages]:
        return lambda: SymPages(lambda page: self.has_page[field](thing, page))

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


class AnySet:
    """A set of any size. It answers the questions of `spec.sets` and `proofs.sets`."""

    def __init__(self, universe: Universe, edits: tuple[tuple[Any, bool], ...] = (), new: tuple[Any, ...] = ()) -> None:
        self.universe, self.new = universe, new
        self.edits = edits  # (thing, whether it was put back or taken out), the latest last

    def _is_member(self, thing: Any) -> Any:
        is_member = self.universe.member(thing)
        for edited, is_back in self.edits:
            is_member = z3.Or(is_member, thing == edited) if is_back else z3.And(is_member, thing != edited)
        return is_member

    def _bound_thing(self) -> Any:
        return z3.Const(f"{self.universe.name}!bound{current().quantifier_depth}", self.universe.sort)

    def _formula(self, holds: Callable[..., Any], *members: Any) -> Any:
        explorer = current()
        explorer.quantifier_depth += 1
        try:
            return explorer.formula(lambda: holds(*members))
        finally:
            explorer.quantifier_depth -= 1

    def every(self, holds: Callable[[Any], Any]) -> SymBool:
        """Whether `holds` is true of each member."""
        thing = self._bound_thing()
        claim = z3.Implies(self._is_member(thing), self._formula(holds, self.universe.record_of(thing)))
        return SymBool(z3.And(z3.ForAll([thing], claim), *(self._formula(holds, member) for member in self.new)))

    def some(self, holds: Callable[[Any], Any]) -> SymBool:
        """Whether `holds` is true of at least one member."""
        thing = self._bound_thing()
        claim = z3.And(self._is_member(thing), self._formula(holds, self.universe.record_of(thing)))
        return SymBool(z3.Or(z3.Exists([thing], claim), *(self._formula(holds, member) for member in self.new)))

    def every_pair(self, holds: Callable[[Any, Any], Any]) -> SymBool:
        """Whether `holds` is true of each two different members, in either order."""
        one, explorer = self._bound_thing(), current()
        explorer.quantifier_depth += 1
        other = self._bound_thing()
        explorer.quantifier_depth -= 1
        record_of = self.universe.record_of
        old = z3.Implies(
            z3.And(self._is_member(one), self._is_member(other), one != other),
            self._formula(holds, record_of(one), record_of(other)),
        )
        claims = [z3.ForAll([one, other], old)]
        for member in self.new:
            mixed = [
                self._formula(holds, member, record_of(one)),
                self._formula(holds, record_of(one), member),
            ]
            claims.append(z3.ForAll([one], z3.Implies(self._is_member(one), z3.And(*mixed))))
            claims.extend(self._formula(holds, member, second) for second in self.new if second is not member)
        return SymBool(z3.And(*claims))

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
        found = z3.And(self._is_member(thing), self._formula(holds, self.universe.record_of(thing)))
        witness = current().remember(("only", found.get_id()), lambda: self._witness(thing, found), found)
        is_there = z3.substitute(found, (thing, self.universe.thing_of(witness)))
        return witness if SymBool(is_there) else None

    def _witness(self, thing: Any, found: Any) -> Any:
        witness = self.universe.name_thing(f"only{len(self.universe.named)}")
        is_there = z3.substitute(found, (thing, self.universe.thing_of(witness)))
        current().quantified.append(z3.ForAll([thing], z3.Implies(found, is_there)))
        return witness

    def added(self, member: Any) -> AnySet:
        """The set with one more record."""
        thing = self.universe.thing_of(member)
        if thing is not None:
            return AnySet(self.universe, (*self.edits, (thing, True)), self.new)
        return AnySet(self.universe, self.edits, (*self.new, member))

    def removed(self, member: Any) -> AnySet:
        """The set without this member."""
        thing = self.universe.thing_of(member)
        if thing is not None:
            return AnySet(self.universe, (*self.edits, (thing, False)), self.new)
        kept = tuple(known for known in self.new if known is not member)
        if len(kept) == len(self.new):
            raise Unsupported("removing a record that is no member")
        return AnySet(self.universe, self.edits, kept)

    def has(self, member: Any) -> SymBool:
        """Whether this very record is a member."""
        thing = self.universe.thing_of(member)
        if thing is not None:
            return SymBool(self._is_member(thing))
        return SymBool(z3.BoolVal(any(known is member for known in self.new)))

    def candidate(self, name: str) -> Any:
        """Something that may be a member or not: what is proved of it is proved of everything."""
        return self.universe.name_thing(name)
