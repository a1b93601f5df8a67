"""One pass of the loop that translates, in the code of vhost.ko (`translate_desc`) and in the model.

The model's pass is `model.vhost.translate.one_pass`: what is proved of it are the theorems LOOP.* and XLATE.*. The loop
is cut where the tree is searched: there the model asks for an entry, too. What the search finds is not run but said: an
entry that touches the range asked for, or none.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import z3

from conformance.targets.linux.proved.hypothesis import Hypothesis
from conformance.targets.linux.proved.layout import Layout
from model.vhost.translate import Made, last_asked, one_pass
from proofs.objectcode.calls import KERNEL_HOOKS, recorded
from proofs.objectcode.cannot import Cannot
from proofs.objectcode.flow import calls_of, graph_of, is_cut
from proofs.objectcode.image import Image
from proofs.objectcode.machine import Machine
from proofs.objectcode.memory import STACK
from proofs.objectcode.models import Names, as_bits, as_int, ways_of
from proofs.objectcode.passes import Claim, GoesOn, Way
from proofs.objectcode.relations import Fact, Template
from proofs.objectcode.state import State
from proofs.objectcode.terms import split
from spec.outcome import Faulted
from spec.vhost.address_map import READ, WRITE
from spec.vhost.translate import IN_IOTLB, MAPPED

NAME, SEARCH, MISS = "translate_desc", "vhost_iotlb_itree_first", "vhost_iotlb_miss"
PASS = "one_pass"
ENTRY_FIELDS = ("first", "last", "size", "host")
EXAMPLE = 0x1000_0000_0000  # where objects are in a case that is shown: far from any section of the file
SEGMENT = 16  # bytes of a struct iovec
LARGEST = 2**47  # bytes of an entry: no more user memory than that is behind one


@dataclass(frozen=True)
class Ended:
    """The loop is over: what it returns (32 bits), the segment that the last pass made, the byte that userspace is
    asked for, and the range that was searched in that pass.
    """

    code: Any
    segment: tuple[Any, Any] | None = None
    missed: Any = None
    asked: tuple[Any, Any] | None = None


@dataclass(frozen=True)
class Continued(GoesOn):
    """The loop goes on, behind this segment; this range was searched."""

    segment: tuple[Any, Any] | None = None
    asked: tuple[Any, Any] | None = None


class AskedError(Exception):
    """The model asks for an entry: the pass is over."""


@dataclass(frozen=True)
class Entry:
    """An entry as the loop sees it."""

    first: int
    last: int
    size: int
    host: int
    perm: int


IN_RANGE = Hypothesis(
    "the range ends at the last address, or before", "else kernels search up to an address that has wrapped"
)
SMALL = Hypothesis(
    "no entry has more than 2^47 bytes", "the bytes behind it are user memory: access_ok is asked when it is added"
)
HAS_MAP = Hypothesis("there is a map", "a queue whose device has none is not served")
HYPOTHESES = (IN_RANGE, SMALL)


class Translation:
    """`translate_desc` beside the model's loop. `without` are hypotheses that are not taken."""

    def __init__(
        self, image: Image, layout: Layout, names: Names | None = None, without: Sequence[Hypothesis] = ()
    ) -> None:
        self.layout, self.without = layout, without
        self.names = names or Names()
        self.function = image.function(NAME)
        self.miss = image.function(MISS).name
        self.cuts: Sequence[int] = calls_of(image, self.function, SEARCH)
        if not self.cuts:
            raise Cannot(f"{NAME} does not call {SEARCH}: the search was inlined, and its loop is not the model's pass")
        if not is_cut(graph_of(image, self.function), self.function.start, self.cuts):
            raise Cannot(f"{NAME} has a loop in which {SEARCH} is not called")
        term = self.names.term
        found = term("found")
        self.variables: Mapping[str, Any] = {
            "addr": term("at.addr"),
            "done": term("at.done"),
            "used": term("at.used", 32),
        }
        self.machine = Machine(
            image,
            {
                **KERNEL_HOOKS,
                SEARCH: recorded(SEARCH, (64, 64, 64), lambda state: found),
                self.miss: recorded(MISS, (64, 64, 32)),
            },
            given=self.given(),
        )
        self._declare()
        self.constants: Sequence[Any] = [
            *map(term, ("queue", "addr", "segments", "queue.dev", "dev.iotlb", "dev.umem")),
            term("writes", 1),
            *(term(name, 32) for name in ("length", "room", "above length", "above room", "above access")),
        ]
        self.templates: Sequence[Template] = self._templates()
        self.facts: Sequence[Fact] = self._facts()
        self.examples: Sequence[Any] = self._examples()

    # WHAT IS GIVEN -----------------------------------------------------------------------------------------------

    def length(self) -> Any:
        return z3.ZeroExt(32, self.names.term("length", 32))

    def last(self) -> Any:
        """Where the search ends: in 64 bits."""
        return self.names.term("addr") + self.length() - 1

    def access(self) -> Any:
        """What callers ask for: to read or to write."""
        return z3.If(self.names.term("writes", 1) == 1, z3.BitVecVal(WRITE, 32), z3.BitVecVal(READ, 32))

    def map_in_use(self) -> Any:
        iotlb = self.names.term("dev.iotlb")
        return z3.If(iotlb != 0, iotlb, self.names.term("dev.umem"))

    def place(self) -> Any:
        """Where the next segment is to be written."""
        return self.names.term("segments") + SEGMENT * z3.ZeroExt(32, self.names.term("at.used", 32))

    def given(self) -> list[Any]:
        """The arguments are what callers give; what the search finds is an entry, and touches the range."""
        term = self.names.term
        first, last, size = term("found.first"), term("found.last"), term("found.size")
        given = [
            self.map_in_use() != 0,
            z3.ULT(term("room", 32), z3.BitVecVal(2**31, 32)),
            z3.ULE(first, last),
            size == last - first + 1,
            size != 0,
            z3.ULE(first, self.last()),
            z3.ULE(term("at.addr"), last),
        ]
        if IN_RANGE not in self.without:
            given.append(z3.Or(self.length() == 0, z3.UGE(self.last(), term("addr"))))
        if SMALL not in self.without:
            given.append(z3.ULE(size, z3.BitVecVal(LARGEST, 64)))
        return given

    def _declare(self) -> None:
        world, term, offset = self.machine.world, self.names.term, self.layout.offset
        separate = frozenset({"the segments"})
        world.declare(term("queue"), "queue", {"dev": (offset("queue.dev"), term("queue.dev"))}, separate)
        devices = {one: (offset(f"dev.{one}"), term(f"dev.{one}")) for one in ("iotlb", "umem")}
        world.declare(term("queue.dev"), "dev", devices, separate)
        fields = {one: (offset(f"entry.{one}"), term(f"found.{one}")) for one in ENTRY_FIELDS}
        fields["perm"] = (offset("entry.perm"), term("found.perm", 32))
        world.declare(term("found"), "found", fields, separate)
        world.declare(self.place(), "the segments", {}, frozenset())

    def start(self) -> State:
        term = self.names.term

        def half(name: str, value: Any) -> Any:
            return z3.Concat(term(f"above {name}", 32), value)

        arguments = {"RDI": term("queue"), "RSI": term("addr"), "RCX": term("segments")}
        arguments |= {"RDX": half("length", term("length", 32)), "R8": half("room", term("room", 32))}
        return self.machine.start(self.function, {**arguments, "R9": half("access", self.access())})

    # WHAT MAY HOLD AT THE CUT ------------------------------------------------------------------------------------

    def _templates(self) -> list[Template]:
        addr, done, used = self.variables.values()
        room = self.names.term("room", 32)
        return [
            Template("addr", addr),
            Template("done", done),
            Template("used", used),
            Template("segments + 16 used", self.place()),
            Template("segments + 16 used + 8", self.place() + 8),
            Template("segments + 16 used + 16", self.place() + 16),
            Template("length - done", self.length() - done),
            Template("room - used", room - used),
            Template("the map in use", self.map_in_use()),
            Template("addr - done", addr - done),
        ]

    def _facts(self) -> list[Fact]:
        addr, done, used = self.variables.values()
        return [
            Fact("done < length", z3.ULT(done, self.length())),
            Fact("used < room", used < self.names.term("room", 32)),
            Fact("0 <= used", used >= 0),
            Fact("addr is the first addr + done", addr == self.names.term("addr") + done),
        ]

    def _examples(self) -> list[Any]:
        """Pointers that lead to objects apart from each other, and, best of all, a first pass."""
        term = self.names.term
        pointers = ("queue", "queue.dev", "segments", "dev.iotlb", "dev.umem", "found")
        apart = [_is_none_or(term(name), EXAMPLE * (at + 1)) for at, name in enumerate(pointers)]
        first = [term("at.done") == 0, term("at.used", 32) == 0, term("at.addr") == term("addr")]
        return [z3.And(*apart), z3.And(*first)]

    # MODEL -------------------------------------------------------------------------------------------------------

    def ways(self, step: str) -> list[Way]:
        term, ways = self.names.term, []
        cases = product((READ, WRITE), (False, True), (False, True) if step == PASS else (False,))
        for access, has_iotlb, is_found in cases:

            def run(access: int = access, has_iotlb: bool = has_iotlb, is_found: bool = is_found) -> Any:
                return self._run(step, access, IN_IOTLB if has_iotlb else MAPPED, self._entry() if is_found else None)

            conditions = [term("writes", 1) == (1 if access == WRITE else 0), (term("dev.iotlb") != 0) == has_iotlb]
            conditions += [(term("found") != 0) == is_found] if step == PASS else []
            ways += ways_of(run, [*self.machine.given, *conditions])
        return ways

    def _entry(self) -> Entry:
        term = self.names.term
        first, last, size, host = (as_int(term(f"found.{one}")) for one in ENTRY_FIELDS)
        return Entry(first, last, size, host, as_int(term("found.perm", 32)))

    def _run(self, step: str, access: int, missing: Any, entry: Entry | None) -> Any:
        """A pass of the model, and what it does before it asks for the next entry."""
        term = self.names.term
        addr, length, room = as_int(term("addr")), as_int(self.length()), as_int(term("room", 32))
        last = last_asked(addr, length)
        done, used, segment, asked = 0, 0, None, None

        def find(first: Any, last: Any) -> Entry | None:
            nonlocal asked
            asked = as_bits(first), as_bits(last)
            return entry

        def go_on(find: Any) -> Any:
            return one_pass(find, missing, addr, done, used, last, length, access, room)

        if step == PASS:
            addr, done, used = (as_int(one) for one in self.variables.values())
            made = go_on(find)
            if not isinstance(made, Made):
                return self._ended(made, used, None, asked)
            addr, done, used = made.addr, made.done, used + 1
            segment = as_bits(made.segment.host), as_bits(made.segment.last - made.segment.first + 1)
        try:
            return self._ended(go_on(self._ask), used, segment, asked)
        except AskedError as next_one:
            values = {"addr": as_bits(next_one.args[0]), "done": as_bits(done), "used": as_bits(used, 32)}
            return Continued(PASS, values, segment, asked)

    def _ask(self, first: Any, last: Any) -> Any:
        raise AskedError(first, last)

    def _ended(self, made: Faulted | None, used: Any, segment: Any, asked: Any) -> Ended:
        if made is None:
            return Ended(as_bits(used, 32), segment, None, asked)
        code = as_bits(-getattr(errno, made.rule.errno), 32)
        return Ended(code, segment, as_bits(made.at) if made.rule is IN_IOTLB else None, asked)

    # CLAIMS ------------------------------------------------------------------------------------------------------

    def claims(self, step: str, state: State, way: Way) -> list[Claim]:
        outcome = way.outcome
        claims = [*self._searched(state, outcome.asked), *self._written(state, outcome.segment)]
        if isinstance(outcome, Ended):
            code = z3.Extract(31, 0, state.get("RAX"))
            claims.append(Claim("another number is returned", code == outcome.code))
            claims += self._missed(state, outcome.missed)
        else:
            claims += self._missed(state, None)
        return claims

    def _searched(self, state: State, searched: tuple[Any, Any] | None) -> list[Claim]:
        """In each pass, one search: of the map in use, from the next byte to the last."""
        asked = [one.arguments for one in state.events if one.callee == SEARCH]
        wanted = [] if searched is None else [(self.map_in_use(), *searched)]
        names = ("another map is searched", "the search begins elsewhere", "the search ends elsewhere")
        claims = [Claim("there is another number of searches", z3.BoolVal(len(asked) == len(wanted)))]
        for got, want in zip(asked, wanted, strict=False):
            claims += [Claim(name, one == other) for name, one, other in zip(names, got, want, strict=True)]
        return claims

    def _written(self, state: State, segment: tuple[Any, Any] | None) -> list[Claim]:
        """The segment, in its place, and nothing else outside of the stack."""
        world, size = self.machine.world, self.layout.places["segment.host"].size
        places = {self.layout.offset(f"segment.{one}"): one for one in ("host", "length")}
        stores = [one for one in state.memory.stores if world.name(one.base) != STACK]
        base = split(self.place())[0]
        mine = [one for one in stores if str(one.base) == str(base)]
        wanted = set(places) if segment is not None else set()
        start = split(self.place())[1]
        got = {one.distance - start for one in mine}
        claims = [
            Claim("something else is written", z3.BoolVal(len(mine) == len(stores) and got <= wanted)),
            Claim("the segment is not written", z3.BoolVal(wanted <= got and all(one.size() == size for one in mine))),
        ]
        if segment is not None and got == wanted:
            for (offset, name), value in zip(places.items(), segment, strict=True):
                there = self.machine.load(state, self.place() + offset, size)
                claims.append(Claim(f"the segment's {name} is another", there == value))
        return claims

    def _missed(self, state: State, missed: Any) -> list[Claim]:
        """Userspace is asked for the byte that nothing maps, once, in IOTLB mode."""
        asked = [one.arguments for one in state.events if one.callee == MISS]
        if missed is None:
            return [Claim("userspace is asked for an entry", z3.BoolVal(not asked))]
        wanted = (self.names.term("queue"), missed, self.access())
        names = ("another queue asks", "another byte is asked for", "another access is asked for")
        claims = [Claim("userspace is not asked for an entry", z3.BoolVal(len(asked) == 1))]
        for got in asked:
            claims += [Claim(name, one == other) for name, one, other in zip(names, got, wanted, strict=True)]
        return claims

    def described(self, outcome: Any) -> str:
        made = "" if outcome.segment is None else " behind a segment"
        if isinstance(outcome, Ended):
            code = z3.simplify(outcome.code)
            return f"returns {code.as_signed_long() if z3.is_bv_value(code) else 'the number of segments'}{made}"
        return f"searches again{made}"


def _is_none_or(pointer: Any, value: int) -> Any:
    return z3.Or(pointer == 0, pointer == value)
