"""`object-walk`: the proof, and small maps on which compiled code and specification are run side by side."""

from __future__ import annotations

import ctypes
import errno
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from conformance.targets.c.objectcode.compiling import layout
from conformance.targets.c.objectcode.verdict import Difference, Shown
from conformance.targets.c.objectcode.walk import Walk
from conformance.targets.c.verify.harness import Plant
from proofs.objectcode.cannot import Cannot
from proofs.objectcode.image import Image
from proofs.objectcode.passes import Prover
from spec.outcome import Translated
from spec.profile import Profile
from spec.vhost.address_map import READ, WRITE, AddressMap, Entry
from spec.vhost.device import Device
from spec.vhost.translate import PERMITTED, translation

REFUSAL = -errno.EACCES  # another number than any that the walk itself returns
CASES = 4000  # of small maps, always the same
MOST = 6  # segments that there is room for
ACCESSES = (0, READ, WRITE)  # what an entry may deny
SPAN = 8  # addresses that a map is about: from 0 on, or up to the last


@dataclass(frozen=True)
class Case:
    """A map (first, last, host - guest address, what is denied), in blocks of so many entries, and what is asked:
    an access of 0 is one that nothing denies.
    """

    entries: tuple[tuple[int, int, int, int], ...]
    each: int
    addr: int
    length: int
    access: int
    room: int

    def named(self) -> dict[str, int]:
        fields = {
            f"{name}[{at}]": value
            for at, entry in enumerate(self.entries)
            for name, value in zip(("first", "last", "delta", "denies"), entry, strict=True)
        }
        return {**fields, "addr": self.addr, "length": self.length, "access": self.access, "room": self.room}


Said = tuple[int, int, tuple[tuple[int, int, int], ...]]  # what is returned, how many bytes, in which segments


def cases() -> Iterator[Case]:
    """Small maps at both ends of the addresses. Most entries follow each other, some overlap or leave a hole."""
    choose = random.Random(1)
    for _ in range(CASES):
        base = choose.choice((0, 2**64 - SPAN))
        entries: list[tuple[int, int, int, int]] = []
        first = choose.randrange(3)
        while first < SPAN and len(entries) < 5:
            last = min(first + choose.randrange(4), SPAN - 1)
            denies = choose.choice((0, 0, 0, 0, 1, 2))
            entries.append((base + first, base + last, choose.randrange(2**64), denies))
            first = max(first, last + choose.choice((1, 1, 1, 1, 1, 0, 2)))
        addr, length = base + choose.randrange(SPAN), choose.randrange(SPAN + 3)
        if base and not choose.randrange(4):  # what comes behind the last address would find something at address 0
            entries = [(0, 2**64 - 1, 0, 0), (0, choose.randrange(SPAN), 1, 0)]
        access, room = choose.choice(ACCESSES), choose.randrange(MOST)
        yield Case(tuple(entries), choose.randrange(1, 4), addr, length, access, room)


def specified(case: Case) -> Said:
    """What the specification says; of the bytes before one that cannot be had: their segments."""
    entries = (
        Entry(first, last, (first + delta) % 2**64, 3 - denied if case.access else READ + WRITE, at, at)
        for at, (first, last, delta, denied) in enumerate(case.entries)
    )
    device, code, length = Device(table=AddressMap(frozenset(entries))), 0, case.length
    access = case.access or READ
    _, answer = translation(Profile(), device, case.addr, length, access, case.room)
    if not isinstance(answer, Translated):
        code = REFUSAL if answer.rule is PERMITTED else -getattr(errno, answer.rule.errno)
        length = answer.at - case.addr
        _, answer = translation(Profile(), device, case.addr, length, access, case.room)
        assert isinstance(answer, Translated), "a byte before the first that cannot be had"
    return code, length, tuple((one.first, one.last, one.host) for one in answer.segments)


def compiled(library: ctypes.CDLL, case: Case) -> Said:
    size, places = layout()["entry.sizeof"], [layout()[f"entry.{one}"] for one in ("start", "reach", "delta", "item")]
    content = bytearray(size * max(1, len(case.entries)))
    for number, entry in enumerate(case.entries):
        for at, value in zip(places, entry, strict=True):
            content[number * size + at : number * size + at + 8] = value.to_bytes(8, "little")
    segments, reach = (ctypes.c_uint64 * (3 * MOST))(), (ctypes.c_uint64 * 2)()
    entries = ctypes.create_string_buffer(bytes(content), len(content))
    wide = [ctypes.c_uint64(one) for one in (len(case.entries), case.each, case.addr, case.length, case.access)]
    code = int(library.walk_case(entries, *wide, REFUSAL, segments, ctypes.c_uint64(case.room), reach))
    many = min(reach[1], MOST)
    triples = tuple((segments[3 * at], segments[3 * at + 1], segments[3 * at + 2]) for at in range(many))
    return code, reach[0], triples


def tried(library: ctypes.CDLL) -> Difference | None:
    """The first small case in which the two differ."""
    for case in cases():
        machine, said = compiled(library, case), specified(case)
        if machine != said:
            return Difference(case.named(), str(machine), str(said))
    return None


def witnesses() -> int:
    """How many of the cases there are of each kind that must be among them. Raises Cannot for one that is not."""
    kinds: dict[Any, int] = {}
    for case in cases():
        code, _, segments = specified(case)
        kinds[code, len(segments) > 1] = kinds.get((code, len(segments) > 1), 0) + 1
    for code in (0, REFUSAL, -errno.EFAULT, -errno.ENOBUFS):
        for several in (False, True):
            if (code, several) not in kinds:
                raise Cannot(f"no small case returns {code} {'behind' if several else 'without'} several segments")
    return sum(kinds.values())


@dataclass(frozen=True)
class Walked:
    """See `straight.Straight`: a function with a loop, which calls others."""

    name: str = "object-walk"
    shows: str = (
        "Object code walks over any number of entries and segments as the specification's translation does: the same "
        "segments, up to the same byte, for the same reason."
    )
    source: str = "walk.c"
    plants: tuple[Plant, ...] = (
        Plant(
            "behind the last address the walk goes on at address 0",
            "translate.c",
            "if (count == room || (count && !address))",
            "if (count == room)",
        ),
        Plant(
            "only the first entry is asked whether it denies the access",
            "translate.c",
            "if (step.entry->item & denied)",
            "if (!count && step.entry->item & denied)",
        ),
        Plant(
            "the host address is that of the first byte that was asked for",
            "translate.c",
            "{address, last, address + step.entry->delta}",
            "{address, last, addr + step.entry->delta}",
        ),
    )

    def prove(self, image: Image, library: ctypes.CDLL) -> Shown:
        """Raises Cannot."""
        machine_ways = model_ways = 0
        differs, found = "", tried(library)
        for denied in ACCESSES:
            proof = Prover(Walk(image, denied)).prove()
            machine_ways, model_ways = machine_ways + proof.machine_paths, model_ways + proof.model_ways
            if proof.difference is not None:
                differs = proof.difference.sentence
                break
        if differs and found is None:
            raise Cannot(f"machine and model differ ({differs}), but no small map shows it")
        if found is not None and not differs:
            raise Cannot(f"proved equal, and yet {found}")
        return Shown(machine_ways, model_ways, 0 if found else witnesses(), found)


PROBLEMS = (Walked(),)
