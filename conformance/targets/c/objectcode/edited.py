"""The edit of a block's entries, turn by turn: object code against `edits`. See `proofs.objectcode.passes.Problem`.

Memory is said of one entry whose number may be any (`ANY`): each field of it is what Python says, at the end and where
the loop is cut. So no other entry is changed, and nothing else is written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import z3

from conformance.targets.c.objectcode.edits import (
    FIELDS,
    NAMES,
    REACH,
    START,
    is_raised,
    is_stale,
    larger,
    moved_down,
    moved_up,
    put_in,
)
from conformance.targets.c.objectcode.entries import (
    ENTERED,
    ENTRIES,
    MOST,
    SIZE,
    WORD,
    EntriesMachine,
    old,
    was_entered,
)
from proofs.objectcode.calls import lose_registers, recorded
from proofs.objectcode.cannot import Cannot
from proofs.objectcode.flow import cuts_of
from proofs.objectcode.image import Image
from proofs.objectcode.machine import STACK_POINTER, Machine
from proofs.objectcode.memory import STACK
from proofs.objectcode.models import as_bits, as_int, ways_of
from proofs.objectcode.passes import ENTRY, Claim, GoesOn, Way
from proofs.objectcode.relations import Fact, Template
from proofs.objectcode.state import Event, State
from proofs.objectcode.terms import key, number

PUT_IN, TAKE_FROM, ANEW, ITEM_OF = "put_in", "take_from", "reach_anew", "item_of"
TURN = "turn"
COUNT, AT, NEXT, ANY, STALE, GIVEN, SO_FAR = z3.BitVecs("count at next any stale given so_far", 64)
NEW = z3.BitVecs(" ".join(f"new.{name}" for name in NAMES), 64)


@dataclass(frozen=True)
class Ended:
    """It is over. `end`: the first entry behind those whose reach was written. `wrote`: what this pass wrote there."""

    end: Any
    wrote: Any = None


@dataclass(frozen=True)
class Continued(GoesOn):
    wrote: Any = None


class Edit(ABC):
    """What the three functions have in common. `asked` is 1 where a compiler begins the loop behind the question
    whether there are more entries, else 0.
    """

    name = ""
    variables: Mapping[str, Any] = {"next": NEXT}
    examples: Sequence[Any] = ()
    facts: Sequence[Fact] = ()
    first, count = AT + 1, COUNT + 1  # where the loop begins, and the number before which it ends

    def __init__(self, image: Image, asked: int = 0) -> None:
        self.asked = asked
        self.function = image.function(self.name)
        self.cuts: Sequence[int] = cuts_of(image, self.function)
        given = [z3.ULE(AT, COUNT), z3.ULE(COUNT, number(MOST))]
        self.entries = EntriesMachine(image, {ANEW: recorded(ANEW, (64,) * 5), ITEM_OF: self._item_of}, given)
        self.machine: Machine = self.entries
        self.entries.numbers = (NEXT, NEXT + 1, AT + 1, AT - 1, AT)
        self.entries.many, self.entries.bound = (COUNT - AT,), COUNT + 1
        self.entries.content, self.entries.closed_by = self._content, ANEW
        self.constants: Sequence[Any] = (ENTRIES, COUNT, AT, STALE, GIVEN, *NEW)
        self.facts = [
            Fact("next <= count", z3.ULE(NEXT, self.count)),
            Fact("next is not before the first", z3.UGE(NEXT, self.first)),
            *([Fact("there are more", z3.ULT(NEXT, self.count))] if asked else []),
        ]
        self._known = {key(z3.simplify(one)): one for base in (ANY, AT, NEXT) for one in (base, base + 1, base - 1)}
        self.templates: Sequence[Template] = (
            *(Template(name, term) for name, term in self.variables.items()),
            *(Template(f"entry {by:+} bytes", ENTRIES + SIZE * NEXT + by) for by in (0, WORD, -SIZE, WORD - SIZE)),
            Template("those that are left", self.count - NEXT),
        )

    def start(self) -> State:
        arguments = {"RDI": ENTRIES, "RSI": COUNT, "RDX": AT}
        state = self.machine.start(self.function, arguments)
        state.events = (ENTERED,)
        return state

    def described(self, outcome: Any) -> str:
        return "goes on" if isinstance(outcome, GoesOn) else "returns"

    # MEMORY ------------------------------------------------------------------------------------------------------

    def old(self, at: Any, field: int) -> Any:
        """A field of an entry as it was, for Python: the name of the entry's number is the same as for the machine."""
        return as_int(old(self._named(as_bits(at)), field))

    def _named(self, at: Any) -> Any:
        """A number in the form in which it is known. Raises Cannot."""
        at = z3.simplify(at)
        if key(at) not in self._known:
            for one in list(self._known.values()):
                if self.machine.solver.check(at != one) == z3.unsat:
                    self._known[key(at)] = one
                    break
            else:
                raise Cannot(f"an entry is asked for of which no name is known: {at}")
        return self._known[key(at)]

    def _content(self, state: State, at: Any, field: int) -> Any:
        """What is there where the pass begins."""
        if was_entered(state):
            return old(self._named(at), field)
        return self._folded(lambda: self.at_cut(as_int(at), field, as_int(NEXT)), state.conditions)

    def at_cut(self, at: Any, field: int, end: Any) -> Any:
        """What is there where the loop is cut, in Python. Raises Cannot where there is no loop."""
        raise Cannot("the code has a loop, and what it stands for has none")

    def _folded(self, run: Callable[[], Any], conditions: Iterable[Any]) -> Any:
        """What Python says under some conditions, as one term."""
        ways = ways_of(lambda: as_bits(run()), [*self.machine.given, *conditions])
        if not ways:
            return number(0)  # this path is none
        folded = ways[-1].outcome
        for way in reversed(ways[:-1]):
            folded = z3.If(z3.And(*way.conditions), way.outcome, folded)
        return folded

    def remembers(self, state: State, way: Way, says: Callable[[int], Any]) -> list[Claim]:
        """Each field of any entry is what Python says."""
        claims = []
        for field in FIELDS:
            holds = self.entries.holds(state, ANY, field)
            wanted = self._folded(lambda field=field: says(field), way.conditions)  # type: ignore[misc]
            claims.append(Claim(f"the {NAMES[field]} of an entry is another", holds == wanted))
        return claims

    # TURNS -------------------------------------------------------------------------------------------------------

    def ways(self, step: str) -> list[Way]:
        held = [fact.formula for fact in self.facts] if step == TURN else []
        return ways_of(lambda: self._entered() if step == ENTRY else self.turn(), [*self.machine.given, *held])

    def _entered(self) -> Any:
        return self.goes_on(as_int(z3.simplify(self.first)), None, {})

    def turn(self) -> Any:
        """One turn of the loop. Raises Cannot where there is none."""
        raise Cannot("the code has a loop, and what it stands for has none")

    @abstractmethod
    def claims(self, step: str, state: State, way: Way) -> list[Claim]: ...

    def goes_on(self, end: Any, wrote: Any, values: Mapping[str, Any]) -> Any:
        """On with the entry at `end`, if it is not asked before whether there is one, or there is."""
        if self.asked and end >= as_int(z3.simplify(self.count)):
            return Ended(as_bits(end), wrote)
        return Continued(TURN, {"next": as_bits(end), **values}, wrote)

    def _item_of(self, machine: Machine, state: State) -> Iterable[State]:
        raise Cannot(f"{ITEM_OF} is called")


class PutIn(Edit):
    """`put_in`: the entries behind the spot move, the reach of some is raised, the new one is written."""

    name = PUT_IN

    def __init__(self, image: Image, asked: int = 0) -> None:
        super().__init__(image, asked)
        fields = {name: (WORD * (1 + field), NEW[field]) for field, name in enumerate(NAMES)}
        self.machine.world.declare(STACK_POINTER, STACK, fields, frozenset())

    def _numbers(self) -> tuple[Any, Any, Any]:
        return as_int(COUNT), as_int(AT), [as_int(one) for one in NEW]

    def at_cut(self, at: Any, field: int, end: Any) -> Any:
        count, spot, new = self._numbers()
        return moved_up(at, field, self.old, count, spot, new[REACH], end)

    def turn(self) -> Any:
        end, (count, _, new) = as_int(NEXT), self._numbers()
        if not is_raised(end, count, lambda one: self.at_cut(one, REACH, end), new[REACH]):
            return Ended(as_bits(end))
        return self.goes_on(end + 1, None, {})

    def claims(self, step: str, state: State, way: Way) -> list[Claim]:
        outcome = way.outcome

        def says(field: int) -> Any:
            if isinstance(outcome, GoesOn):
                return self.at_cut(as_int(ANY), field, as_int(outcome.values["next"]))
            count, spot, new = self._numbers()
            return put_in(as_int(ANY), field, self.old, count, spot, new, as_int(outcome.end))

        return self.remembers(state, way, says)


class ReachAnew(Edit):
    """`reach_anew`: the entries from `at` to before `count` whose reach is `stale` get another. What earlier turns
    wrote has a name (`anew`); what this one writes is what Python says.
    """

    name = ANEW
    variables: Mapping[str, Any] = {"next": NEXT, "so_far": SO_FAR}
    first, count = AT, COUNT

    def __init__(self, image: Image, asked: int = 0) -> None:
        super().__init__(image, asked)
        self.entries.bound = COUNT

    def start(self) -> State:
        state = super().start()
        for register, value in {"RSI": AT, "RDX": COUNT, "RCX": STALE, "R8": GIVEN}.items():
            state.set(register, value)
        return state

    def _item_of(self, machine: Machine, state: State) -> Iterable[State]:
        """The item of an entry; its second word is how many bytes there are behind the first."""
        at, field = self.entries.place(state, state.get("RDI"))
        if field != START:
            raise Cannot(f"{ITEM_OF} is asked of what is no entry")
        name = self._named(at)
        item = z3.BitVec(f"where the item of {name} is", 64)
        self.entries.elsewhere[key(z3.simplify(item + WORD))] = self._span(name)
        state.events = (*state.events, Event(ITEM_OF, (at,)))
        lose_registers(state)
        state.set("RAX", item)
        return [state]

    def _span(self, at: Any) -> Any:
        return z3.BitVec(f"span[{' '.join(str(at).split())}]", 64)

    def _entered(self) -> Any:
        return self.goes_on(as_int(AT), None, {"so_far": GIVEN})

    def at_cut(self, at: Any, field: int, end: Any) -> Any:
        if field == REACH and at >= as_int(AT) and at < end:
            return as_int(z3.BitVec(f"anew[{self._named(as_bits(at))}]", 64))
        return self.old(at, field)

    def turn(self) -> Any:
        end = as_int(NEXT)
        if not is_stale(end, as_int(COUNT), lambda one: self.old(one, REACH), as_int(STALE)):
            return Ended(as_bits(end))
        last = (self.old(end, START) + as_int(self._span(NEXT))) % 2**64
        reach = as_bits(larger(as_int(SO_FAR), last))
        return self.goes_on(end + 1, reach, {"so_far": reach})

    def claims(self, step: str, state: State, way: Way) -> list[Claim]:
        wrote = way.outcome.wrote

        def says(field: int) -> Any:
            any_, next_ = as_int(ANY), as_int(NEXT)
            if step == ENTRY:
                return self.old(any_, field)
            if field == REACH and wrote is not None and any_ == next_:
                return as_int(wrote)
            return self.at_cut(any_, field, next_)

        return self.remembers(state, way, says)


class TakeFrom(Edit):
    """`take_from`: the entries behind the spot move, and `reach_anew` is asked to do the rest."""

    name = TAKE_FROM

    def __init__(self, image: Image, asked: int = 0) -> None:
        super().__init__(image, asked)
        self.machine.given.append(z3.ULT(AT, COUNT))
        self.machine.solver.add(z3.ULT(AT, COUNT))
        self.entries.many, self.entries.bound = (COUNT - 1 - AT,), COUNT
        if self.cuts:
            raise Cannot(f"{TAKE_FROM} has a loop of its own")

    def _entered(self) -> Any:
        return Ended(number(0))

    def claims(self, step: str, state: State, way: Way) -> list[Claim]:
        asked = [one.arguments for one in state.events if one.callee == ANEW]
        before = z3.If(AT == 0, number(0), old(self._named(AT - 1), REACH))
        wanted = (ENTRIES, AT, COUNT - 1, old(AT, REACH), before)
        is_last = len(asked) == 1 and state.events[-1].callee == ANEW
        claims = [Claim("reaches are not worked out anew, once, at the end", z3.BoolVal(is_last))]
        for one in asked:
            same = z3.And(*(mine == want for mine, want in zip(one, wanted, strict=True)))
            claims.append(Claim("reaches are worked out of something else", same))
        claims.append(Claim("another reach is returned", state.get("RAX") == old(AT, REACH)))

        def says(field: int) -> Any:
            return moved_down(as_int(ANY), field, self.old, as_int(COUNT), as_int(AT))

        return [*claims, *self.remembers(state, way, says)]
