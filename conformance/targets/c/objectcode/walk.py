"""The walk over several segments: object code against the loop of `translation`, for any number of turns.

The loop is cut where the next entry is looked up. What is called is not run but said: `walk_once` is what
`object-once` shows, and a search gives the first entry that reaches an address, or none. A segment is what
`next_segment` of the specification says, and the loop around it is that of `translation`.

What the library does besides, where the specification only says that no byte is read or written: segments before the
byte that cannot be had are given, and how many they are.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import z3

from conformance.targets.c.objectcode import once
from conformance.targets.c.objectcode.checks import One
from conformance.targets.c.objectcode.compiling import layout
from proofs.objectcode.calls import argument, lose_registers
from proofs.objectcode.cannot import Cannot
from proofs.objectcode.flow import calls_of, graph_of, is_cut
from proofs.objectcode.image import Image
from proofs.objectcode.machine import STACK_POINTER, Machine
from proofs.objectcode.memory import STACK
from proofs.objectcode.models import Names, as_bits, as_int, ways_of
from proofs.objectcode.passes import ENTRY, Claim, GoesOn, Way
from proofs.objectcode.relations import Fact, Template
from proofs.objectcode.state import Event, State
from proofs.objectcode.terms import key, number, split
from spec.outcome import Faulted, Segment
from spec.profile import Profile
from spec.vhost.address_map import READ, WRITE, AddressMap, Entry
from spec.vhost.device import Device
from spec.vhost.translate import PERMITTED, next_segment

WALK, ONCE, SEEK, TO, ON = "walk", "walk_once", "index_seek", "step_to", "step_on"
TURN = "turn"
SEGMENT, REACH = 24, 16  # bytes of these structures
FIELDS = ("start", "reach", "delta", "item")
STEP = ("place", "entry", "last")


@dataclass(frozen=True)
class Ended:
    """The loop is over: what is returned (32 bits), how many bytes and segments there are, and the last of them if this
    pass made one.
    """

    code: Any
    bytes: Any
    segments: Any
    segment: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Continued(GoesOn):
    """The loop goes on, behind this segment."""

    segment: tuple[Any, ...] | None = None


class AskedError(Exception):
    """The specification looks up the next entry: the pass is over."""


class Asks:
    """Entries that nobody may look up in this pass."""

    def least(self, holds: Callable[[Any], bool], rank: Callable[[Any], tuple[int, ...]]) -> Any:
        raise AskedError


class Walk:
    """See `proofs.objectcode.passes.Problem`. `denied` is what an entry may deny: READ, WRITE, or nothing (0)."""

    examples: Sequence[Any] = ()

    def __init__(self, image: Image, denied: int) -> None:
        self.names = Names()
        term = self.term = self.names.term
        self.function = image.function(WALK)
        self.calls = {callee: calls_of(image, self.function, callee) for callee in (TO, ON)}
        self.cuts: Sequence[int] = sorted(self.calls[TO] + self.calls[ON])
        if not is_cut(graph_of(image, self.function), self.function.start, self.cuts):
            raise Cannot("the walk has a loop in which no entry is looked up")
        self.variables: Mapping[str, Any] = {one: term(f"at.{one}") for one in ("addr", "left", "used", *STEP)}
        self.index, self.segments, self.reach = z3.BitVecs("index segments reach", 64)
        self.spot = z3.BitVecs("spot.place spot.at", 64)
        self.refusal = z3.BitVec("refusal", 32)
        self.denied = denied
        self.machine = Machine(image, {ONCE: self._once, SEEK: self._seek, TO: self._step_to, ON: self._step_on})
        self.machine.given = self._given()
        self.machine.solver.add(*self.machine.given)
        self._declare()
        some = [*self.machine.given, term("length") != 0]  # what `object-once` takes as given, too
        self._once_ways = ways_of(lambda: once.says(self._once_names()), some)
        arguments = (self.index, self.segments, self.reach, *self.spot, self.refusal, z3.BitVec("above", 32))
        self.constants: Sequence[Any] = (*arguments, *map(term, ("addr", "length", "room")))
        self.templates: Sequence[Template] = self._templates()
        self.facts: Sequence[Fact] = self._facts()

    # WHAT IS GIVEN -----------------------------------------------------------------------------------------------

    def _given(self) -> list[Any]:
        """What a search promises; and `walk_once`, which is asked for the first byte."""
        term = self.term
        given = [z3.ULE(term("at.addr"), term("found.reach")), z3.ULE(term("found", 8), 1)]
        given += [z3.ULE(term("first", 8), 1), z3.ULE(term("first.start"), term("addr"))]
        return [*given, z3.ULE(term("addr"), term("first.reach"))]

    def _once_names(self) -> Names:
        """The unknowns of `object-once`, with the first byte's entry."""
        names = Names()
        names.terms = {one: self.term(one) for one in ("addr", "length")} | {"found": self.term("first", 8)}
        names.terms |= {one: self.term(f"first.{one}") for one in FIELDS} | {"access": number(self.denied)}
        return names

    def _declare(self) -> None:
        world, apart = self.machine.world, frozenset({"the segments", "the reach"})
        fields = {one: (layout()[f"entry.{one}"], self.term(f"found.{one}")) for one in FIELDS}
        world.declare(self.term("found.entry"), "entry", fields, apart)
        world.declare(self.segments, "the segments", {}, frozenset())
        world.declare(self.reach, "the reach", {}, frozenset())
        world.declare(STACK_POINTER, STACK, {"room": (8, self.term("room")), "reach": (16, self.reach)}, frozenset())

    def place(self) -> Any:
        """Where the next segment is to be written."""
        return self.segments + SEGMENT * self.term("at.used")

    def start(self) -> State:
        refusal = z3.Concat(z3.BitVec("above", 32), self.refusal)
        arguments = {"RDI": self.index, "RSI": self.term("addr"), "RDX": self.term("length")}
        arguments |= {"RCX": number(self.denied), "R8": refusal, "R9": self.segments}
        return self.machine.start(self.function, arguments)

    # WHAT IS CALLED ----------------------------------------------------------------------------------------------

    def _returned(self, state: State, value: int, *conditions: Any) -> State:
        """The state after a call that returned a C bool: only the low byte is known."""
        one = state.copy()
        one.set("RAX", z3.Concat(z3.Extract(63, 8, one.get("RAX")), z3.BitVecVal(value, 8)))
        for condition in conditions:
            one.assume(condition)
        return one

    def _once(self, machine: Machine, state: State) -> Iterable[State]:
        """`object-once`: the segment and the reach are written where the specification makes one segment."""
        arguments = tuple(argument(state, at) for at in range(6))
        if not machine.is_so(state, arguments[2] != 0):
            raise Cannot(f"{ONCE} may be called for no bytes")
        state.events = (*state.events, Event(ONCE, arguments))
        lose_registers(state)
        for way in self._once_ways:
            done, first, last, host, length, many = way.outcome
            one = self._returned(state, done, *way.conditions)
            for base, values in ((arguments[4], (first, last, host)), (arguments[5], (length, many))):
                for at, value in enumerate(values if done else ()):
                    one.memory.store(base + number(8 * at), as_bits(value))
            if machine.is_feasible(one.conditions):
                yield one

    def _seek(self, machine: Machine, state: State) -> Iterable[State]:
        """A spot, which `step_to` is given; nothing else is done with it."""
        state.events = (*state.events, Event(SEEK, (argument(state, 0), argument(state, 1))))
        lose_registers(state)
        state.set("RAX", self.spot[0])
        state.set("RDX", self.spot[1])
        return [state]

    def _step_to(self, machine: Machine, state: State) -> Iterable[State]:
        state.events = (*state.events, Event(TO, tuple(argument(state, at) for at in range(3))))
        return self._looked_up(state, argument(state, 3))

    def _step_on(self, machine: Machine, state: State) -> Iterable[State]:
        step = argument(state, 2)
        there = [machine.load(state, step + number(layout()[f"step.{one}"]), 8) for one in STEP]
        state.events = (*state.events, Event(ON, (argument(state, 0), argument(state, 1), *there)))
        return self._looked_up(state, step)

    def _looked_up(self, state: State, step: Any) -> Iterable[State]:
        """An entry that is found is written to the step; otherwise any step may be there."""
        if key(split(step)[0]) != key(STACK_POINTER):
            raise Cannot("the step of the walk is not in its stack frame")
        lose_registers(state)
        for found in (0, 1):
            one = self._returned(state, found, self.term("found", 8) == found)
            for field in STEP:
                value = self.term(f"{'found' if found else 'lost'}.{field}")
                one.memory.store(step + number(layout()[f"step.{field}"]), value)
            yield one

    # WHAT MAY HOLD AT A CUT --------------------------------------------------------------------------------------

    def _templates(self) -> list[Template]:
        addr, left, used = (self.variables[one] for one in ("addr", "left", "used"))
        term, place = self.term, self.place()
        return [
            Template("what may be denied", number(self.denied)),  # first: where that is 0, some variables are so, too
            *(Template(name, value) for name, value in self.variables.items()),
            *(Template(f"segments + 24 used + {at}", place + at) for at in range(0, 32, 8)),
            *(Template(f"the given {name}", term(name)) for name in ("addr", "length", "room")),
            Template("segments", self.segments),
            Template("length - left", term("length") - left),
            Template("left - 1", left - 1),
            Template("room - used", term("room") - used),
            Template("addr + left - 1", addr + left - 1),
            Template("the first addr + length - 1", term("addr") + term("length") - 1),
            Template("addr - 1", addr - 1),
        ]

    def _facts(self) -> list[Fact]:
        addr, left, used = (self.variables[one] for one in ("addr", "left", "used"))
        length, room = self.term("length"), self.term("room")
        return [
            Fact("left > 0", left != 0),
            Fact("left <= length", z3.ULE(left, length)),
            Fact("used < room", z3.ULT(used, room)),
            Fact("used > 0", used != 0),
            Fact("addr + left is the first addr + length", addr + left == self.term("addr") + length),
            Fact("addr is the first", addr == self.term("addr")),
        ]

    # MODEL -------------------------------------------------------------------------------------------------------

    def ways(self, step: str) -> list[Way]:
        found, ways = self.term("first" if step == ENTRY else "found", 8), []
        for is_found in (False, True):

            def run(is_found: bool = is_found) -> Any:
                return self._entered() if step == ENTRY else self._turned(is_found)

            ways += ways_of(run, [*self.machine.given, found == (1 if is_found else 0)])
        return ways

    def _entered(self) -> Any:
        """Where one entry holds all bytes, room for one segment is enough; else the loop begins."""
        addr, length, room = (as_int(self.term(one)) for one in ("addr", "length", "room"))
        if length > 0 and room > 0:
            done, first, last, host, bytes_, many = once.says(self._once_names())
            if done:
                return Ended(
                    number(0, 32), as_bits(bytes_), as_bits(many), (as_bits(first), as_bits(last), as_bits(host))
                )
        return self._loop(addr, length, 0, ())

    def _turned(self, is_found: bool) -> Any:
        addr, left, used = (as_int(self.variables[one]) for one in ("addr", "left", "used"))
        start, last, delta, item = (as_int(self.term(f"found.{one}")) for one in FIELDS)
        permitted = 3 - item % 4 if self.denied else READ + WRITE
        entry = Entry(start, last, (start + delta) % 2**64, permitted, 0, 0)
        return self._loop(addr, left, used, (One((entry,) if is_found else ()),))

    def _loop(self, addr: Any, left: Any, used: Any, lookups: tuple[Any, ...]) -> Any:
        """The loop of `translation` with these bytes left, until it looks up what no entry is given for."""
        room, address, end, segments = as_int(self.term("room")), addr, addr + left, list[Segment]()
        access = self.denied or READ
        for entries in (*lookups, Asks()):
            if not address < end:
                return self._ended(number(0, 32), 0, used, segments)
            device = Device(table=AddressMap(entries))
            try:
                _, answer = next_segment(Profile(), device, address, end, access, room - used - len(segments))
            except AskedError:
                break
            if isinstance(answer, Faulted):
                code = self.refusal if answer.rule is PERMITTED else number(-getattr(errno, answer.rule.errno), 32)
                return self._ended(code, end - answer.at, used, segments)
            segments.append(answer)
            address = answer.last + 1
        values = {"addr": as_bits(address), "left": as_bits(end - address), "used": as_bits(used + len(segments))}
        step = {one: self.term(f"found.{one}") if segments else number(0) for one in STEP}
        return Continued(TURN, {**values, **step}, _last(segments))

    def _ended(self, code: Any, left: Any, used: Any, segments: list[Segment]) -> Ended:
        had = self.term("length") - as_bits(left)
        return Ended(code, had, as_bits(used + len(segments)), _last(segments))

    # CLAIMS ------------------------------------------------------------------------------------------------------

    def claims(self, step: str, state: State, way: Way) -> list[Claim]:
        outcome = way.outcome
        claims = [*self._called(step, state, outcome), *self._written(step, state, outcome)]
        if isinstance(outcome, Ended):
            claims.append(Claim("another number is returned", z3.Extract(31, 0, state.get("RAX")) == outcome.code))
        return claims

    def _called(self, step: str, state: State, outcome: Any) -> list[Claim]:
        """In each turn one entry is looked up: the first where the bytes begin, each other behind the last. What
        `walk_once` and a search promise, they promise of these arguments.
        """
        term, at = self.term, self.variables
        wanted: dict[str, tuple[Any, ...]] = {SEEK: (self.index, term("addr"))}
        wanted[ONCE] = (self.index, term("addr"), term("length"), number(self.denied), self.segments, self.reach)
        wanted[TO] = (self.index, *self.spot)
        wanted[ON] = (self.index, at["addr"], *(at[one] for one in STEP))
        got = [one.callee for one in state.events]
        arrived_at = state.end.address if state.end is not None else 0
        seeks = [SEEK] if arrived_at in self.calls[TO] else []
        wanted_calls = ([], [ONCE]) if step == ENTRY else ([TO], [ON])
        is_right = got in [[*one, *seeks] for one in wanted_calls]
        claims = [Claim("something else is called", z3.BoolVal(is_right))]
        for one in state.events:
            same = z3.And(*(mine == want for mine, want in zip(one.arguments, wanted[one.callee], strict=True)))
            claims.append(Claim(f"{one.callee} is called with other arguments", same))
        if TO in got:
            claims.append(Claim("the spot is not that of the first byte", at["addr"] == term("addr")))
        if ON in got:
            claims.append(Claim("a step is made before there is an entry", at["used"] != 0))
        if step != ENTRY and isinstance(outcome, GoesOn):
            behind = z3.And(outcome.values["addr"] == term("found.reach") + 1, outcome.values["addr"] != 0)
            claims.append(Claim("the next byte is not the one behind the entry", behind))
        return claims

    def _written(self, step: str, state: State, outcome: Any) -> list[Claim]:
        """The segment in its place, at the end how far it went, and nothing else outside of the stack."""
        world = self.machine.world
        wanted: list[tuple[Any, Any]] = []
        if outcome.segment is not None:
            place = self.segments if step == ENTRY else self.place()
            wanted += [(place + number(8 * at), value) for at, value in enumerate(outcome.segment)]
        if isinstance(outcome, Ended):
            wanted += [(self.reach, outcome.bytes), (self.reach + number(8), outcome.segments)]
        stores = [one for one in state.memory.stores if world.name(one.base) != STACK]
        claims = [Claim("another number of fields is written", z3.BoolVal(len(stores) == len(wanted)))]
        if len(stores) != len(wanted):
            return claims
        stores.sort(key=lambda one: (world.name(one.base) == "the reach", one.distance % 2**64))
        for one, (address, value) in zip(stores, wanted, strict=True):
            claims.append(Claim("it is written elsewhere", z3.And(one.size() == 8, one.address() == address)))
            if one.size() == 8:
                claims.append(Claim("something else is written", one.value == value))
        return claims

    def described(self, outcome: Any) -> str:
        return "goes on" if isinstance(outcome, GoesOn) else "returns"


def _last(segments: list[Segment]) -> tuple[Any, ...] | None:
    if not segments:
        return None
    return as_bits(segments[-1].first), as_bits(segments[-1].last), as_bits(segments[-1].host)
