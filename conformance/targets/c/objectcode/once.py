"""A translation that is one segment: `walk_once` against `translation` of the specification, with room for one.

The search is replaced by what it promises: the leftmost entry that holds the address, or none. It is called, not put
into the function, and so the same in each build.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import z3

from conformance.targets.c.objectcode.checks import One
from conformance.targets.c.objectcode.compiling import layout
from conformance.targets.c.objectcode.verdict import Difference, Shown, decided, decided_of
from conformance.targets.c.verify.harness import Plant
from proofs.objectcode.calls import argument, lose_registers
from proofs.objectcode.cannot import Cannot
from proofs.objectcode.image import Image
from proofs.objectcode.machine import Machine
from proofs.objectcode.memory import STACK
from proofs.objectcode.models import Names, as_bits, as_int, ways_of
from proofs.objectcode.passes import preserved
from proofs.objectcode.state import RETURNED, Event, State
from spec.outcome import Translated
from spec.profile import Profile
from spec.vhost.address_map import READ, WRITE, AddressMap, Entry
from spec.vhost.device import Device
from spec.vhost.translate import translation

INDEX, ENTRY, SEGMENT, REACH = z3.BitVecs("index entry segment reach", 64)
ASKED = ("addr", "length", "access")
FIELDS = ("start", "reach", "delta", "item")
NOTHING = (0, 0, 0, 0, 0, 0)


def given_of(names: Names) -> list[Any]:
    """A read may be denied, or a write, or neither; there are bytes; an entry that is found holds the first of them."""
    start, reach, addr = (names.term(one) for one in ("start", "reach", "addr"))
    access, found = names.term("access"), names.term("found", 8)
    return [
        z3.ULE(access, WRITE),
        names.term("length") != 0,
        z3.ULE(found, 1),
        z3.ULE(start, addr),
        z3.ULE(addr, reach),
        ENTRY != 0,
    ]


def says(names: Names) -> tuple[Any, ...]:
    """Whether it is one segment, and then its first, last and host byte, how many bytes, and one segment."""
    addr, length = as_int(names.term("addr")), as_int(names.term("length"))
    start, delta = as_int(names.term("start")), as_int(names.term("delta"))
    asked = as_int(names.term("access"))
    access, denied = (READ, 0) if asked == 0 else (READ if asked == READ else WRITE, as_int(names.term("item")) % 4)
    entry = Entry(start, as_int(names.term("reach")), (start + delta) % 2**64, 3 - denied, 0, 0)
    table = AddressMap(One((entry,) if as_int(names.term("found", 8)) == 1 else ()))
    _, answer = translation(Profile(), Device(table=table), addr, length, access, 1)
    if not isinstance(answer, Translated):
        return NOTHING
    (one,) = answer.segments
    return 1, one.first, one.last, one.host, length, 1


def _contract(names: Names) -> Any:
    def index_at(machine: Machine, state: State) -> Iterable[State]:
        state.events = (*state.events, Event("index_at", (argument(state, 0), argument(state, 1))))
        lose_registers(state)
        for found in (0, 1):
            one = state.copy()
            one.assume(names.term("found", 8) == found)
            one.set("RAX", ENTRY if found else z3.BitVecVal(0, 64))
            yield one

    return index_at


@dataclass(frozen=True)
class Once:
    """See `straight.Straight`: this function also writes."""

    name: str = "object-once"
    shows: str = (
        "Object code makes one segment of a translation exactly where the specification does, of the same bytes."
    )
    source: str = "once.c"
    function: str = "walk_once"
    plants: tuple[Plant, ...] = (
        Plant(
            "the bytes that an entry holds are counted, which wraps at 2^64",
            "translate.c",
            "length - 1 > entry->reach - addr)",
            "length > entry->reach - addr + 1)",
        ),
        Plant(
            "it is not looked whether the access is denied",
            "translate.c",
            "if (!entry || entry->item & denied || length - 1",
            "if (!entry || length - 1",
        ),
    )

    def prove(self, image: Image, library: ctypes.CDLL) -> Shown:
        """Raises Cannot."""
        names = Names()
        machine = Machine(image, {"index_at": _contract(names)}, given_of(names))
        apart = frozenset({"segment", "reach"})
        fields = {one: (layout()[f"entry.{one}"], names.term(one)) for one in FIELDS}
        machine.world.declare(ENTRY, "entry", fields, apart)
        machine.world.declare(SEGMENT, "segment", {}, apart)
        machine.world.declare(REACH, "reach", {}, apart)
        asked = dict(zip(("RSI", "RDX", "RCX"), (names.term(one) for one in ASKED), strict=True))
        function = image.function(self.function)
        ended = machine.run(machine.start(function, {"RDI": INDEX, "R8": SEGMENT, "R9": REACH, **asked}))
        ways = ways_of(lambda: says(names), machine.given)
        for path in ended:
            given = [*machine.given, *path.conditions]
            case = decided_of(given, [(way, self._claims(machine, path, way.outcome)) for way in ways])
            if case is not None:
                return Shown(len(ended), len(ways), difference=_replayed(library, names.from_case(case)))
        return Shown(len(ended), len(ways), self._witnesses(names, machine, ways, library))

    def _claims(self, machine: Machine, path: State, outcome: tuple[Any, ...]) -> list[Any]:
        asked = [one.arguments for one in path.events]
        claims = [z3.BoolVal(path.end is not None and path.end.kind == RETURNED and len(asked) == 1)]
        claims += [one.formula for one in preserved(path)]
        claims += [asked[0][0] == INDEX, asked[0][1] == z3.BitVec("addr", 64)]
        claims.append(z3.Extract(7, 0, path.get("RAX")) == outcome[0])
        written = {machine.world.name(one.base) for one in path.memory.stores} - {STACK}
        if not outcome[0]:
            return [*claims, z3.BoolVal(not written)]
        if written != {"segment", "reach"}:
            return [z3.BoolVal(False)]
        sizes = {"segment": 24, "reach": 16}
        for one in path.memory.stores:
            name = machine.world.name(one.base)
            claims.append(z3.BoolVal(name == STACK or 0 <= one.distance <= sizes[name] - one.size()))
        places = [(SEGMENT, 0), (SEGMENT, 8), (SEGMENT, 16), (REACH, 0), (REACH, 8)]
        for (base, distance), value in zip(places, outcome[1:], strict=True):
            claims.append(machine.load(path, base + distance, 8) == as_bits(value))
        return claims

    def _witnesses(self, names: Names, machine: Machine, ways: list[Any], library: ctypes.CDLL) -> int:
        """A case of each way through the specification, on both sides."""
        for way in ways:
            case = decided([*machine.given, *way.conditions])
            found = _replayed(library, names.from_case(case))
            if found.is_real():
                raise Cannot(f"proved equal, and yet {found}")
        if not any(way.outcome[0] for way in ways):
            raise Cannot("the specification never makes a segment here")
        return len(ways)


def _replayed(library: ctypes.CDLL, case: Mapping[str, int]) -> Difference:
    """The case on both sides, as plain numbers."""
    entry = bytearray(layout()["entry.sizeof"])
    for one in FIELDS:
        at = layout()[f"entry.{one}"]
        entry[at : at + 8] = case[one].to_bytes(8, "little")
    memory = ctypes.create_string_buffer(bytes(entry), len(entry))
    ctypes.c_void_p.in_dll(library, "once_entry").value = ctypes.addressof(memory) if case["found"] else None
    segment, reach = (ctypes.c_uint64 * 3)(), (ctypes.c_uint64 * 2)()
    function = library.walk_once
    function.restype = ctypes.c_bool
    done = int(function(None, *(ctypes.c_uint64(case[one]) for one in ASKED), segment, reach))
    machine = (done, *segment, *reach)
    return Difference(dict(case), str(machine), str(tuple(int(one) for one in says(Names(case)))))


PROBLEMS = (Once(),)
