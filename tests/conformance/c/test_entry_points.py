"""What no vector asks: translations, host bytes and the next slot of a map, and the last hit.

The model is the linear definition: the slots that the spec has, looked through from the first on.
"""

from __future__ import annotations

import errno
from random import Random
from typing import Any

import pytest

from conformance.targets.c.binding import Library, Map
from spec.memslots.lookup import Observe
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import EMPTY_VM, READONLY, Vm
from spec.outcome import Slots, SlotView
from spec.profile import Profile
from spec.step import step
from spec.units import PAGE_SIZE, U64, U64_MAX

from .planted import Bug, bug, planted_base
from .requests import SMALL, Requests

SEQUENCES = 150
ROOM = 6
READ, WRITE = 1, 2

Segments = tuple[tuple[int, int, int], ...]
Walked = tuple[int, Segments]  # 0 or an error, and what came before it


def holder(slots: list[SlotView], gpa: int) -> SlotView | None:
    return next((slot for slot in slots if slot.first <= gpa <= slot.last), None)


def translated(slots: list[SlotView], gpa: int, length: int, write: bool, room: int) -> Walked:
    """`length` bytes from gpa on, one slot after the other."""
    segments: list[tuple[int, int, int]] = []
    while length:
        if len(segments) == room:
            return -errno.ENOBUFS, tuple(segments)
        slot = holder(slots, gpa)
        if slot is None:
            return -errno.EFAULT, tuple(segments)
        if write and slot.flags & READONLY:
            return -errno.EACCES, tuple(segments)
        last = min(slot.last, gpa + length - 1)
        segments.append((gpa, last, slot.host + gpa - slot.first))
        gpa, length = last + 1, length - (last - gpa + 1)
    return 0, tuple(segments)


class Asked:
    """The calls on a map, with answers that can be compared."""

    def __init__(self, one: Map, view: Any) -> None:
        self.ffi, self.lib, self.reader, self.view = one.ffi, one.lib, one.reader, view

    def translate(self, space: int, gpa: int, length: int, write: bool, room: int) -> Walked:
        found: Any = self.ffi.new("struct gpamap_segment[]", room + 1)
        reach: Any = self.ffi.new("struct gpamap_reach *")
        error = self.lib.gpamap_translate(self.view, space, gpa, length, write, found, room, reach)
        segments = tuple((one.first, one.last, one.host) for one in found[0 : reach.segments])
        assert reach.bytes == sum(last - first + 1 for first, last, _ in segments)
        return error, segments

    def lookup(self, space: int, gpa: int, write: bool, again: bool) -> tuple[int, ...]:
        found: Any = self.ffi.new("struct gpamap_segment *")
        if again:
            error = self.lib.gpamap_lookup_again(self.reader, self.view, space, gpa, write, found)
        else:
            error = self.lib.gpamap_lookup(self.view, space, gpa, write, found)
        return (error,) if error else (0, found.first, found.last, found.host)

    def next_slot(self, space: int, gpa: int) -> tuple[int, ...]:
        found: Any = self.ffi.new("struct gpamap_slot_info *")
        error = self.lib.gpamap_next_slot(self.view, space, gpa, found)
        return (error,) if error else (found.slot, found.flags, found.first, found.last, found.host, found.logged)

    def lookup_hva(self, hva: int) -> tuple[int, ...]:
        found: Any = self.ffi.new("struct gpamap_guest_range *")
        error = self.lib.gpamap_lookup_hva(self.view, hva, found)
        return (error,) if error else (found.slot, found.first, found.last)


def word(slot: SlotView) -> int:
    return slot.space * 65536 + slot.id


def by_host(slots: tuple[SlotView, ...], hva: int) -> tuple[int, ...]:
    for slot in sorted(slots, key=lambda slot: (slot.host, word(slot))):
        if slot.host <= hva <= slot.host + slot.last - slot.first:
            return (word(slot), slot.first + hva - slot.host, slot.last)
    return (-errno.ENOENT,)


def following(slots: list[SlotView], gpa: int) -> tuple[int, ...]:
    for slot in slots:
        if slot.last >= gpa:
            return (word(slot), slot.flags, slot.first, slot.last, slot.host, slot.dirty is not None)
    return (-errno.ENOENT,)


def differs(asked: Asked, slots: tuple[SlotView, ...], random: Random) -> str | None:
    """Where the library says something else than the slots, or None."""
    edges = [edge for slot in slots for edge in (slot.first - 1, slot.first, slot.last, slot.last + 1)]
    hosts = [slot.host + offset for slot in slots for offset in (-1, 0, 1, slot.last - slot.first)]
    edges += [0, U64_MAX, random.randrange(2**21)]
    for _ in range(6):
        space, gpa, write = random.randrange(3), random.choice(edges) % U64, random.random() < 0.5
        here = sorted((slot for slot in slots if slot.space == space), key=lambda slot: slot.first)
        length = random.choice([0, 1, 2, PAGE_SIZE, 20 * PAGE_SIZE, U64_MAX])
        room = random.randrange(ROOM)
        found, expected = asked.translate(space, gpa, length, write, room), translated(here, gpa, length, write, room)
        if found != expected:
            return f"translation of {length} bytes at {gpa:#x} in {space}: {found} instead of {expected}"
        plain, again = asked.lookup(space, gpa, write, again=False), asked.lookup(space, gpa, write, again=True)
        if plain != again:
            return f"{gpa:#x} in {space} again: {again} instead of {plain}"
        if asked.next_slot(space, gpa) != following(here, gpa):
            return f"next slot from {gpa:#x} on in {space}: {asked.next_slot(space, gpa)}"
        hva = random.choice([*hosts, 0, U64_MAX]) % U64
        if asked.lookup_hva(hva) != by_host(slots, hva):
            return f"host byte {hva:#x}: {asked.lookup_hva(hva)} instead of {by_host(slots, hva)}"
    return None


def first_difference(library: Library, seed: int, sequences: int) -> str | None:
    random = Random(seed)
    profile: Profile = SMALL
    for _ in range(sequences):
        requests = Requests(random, profile)
        vm: Vm = EMPTY_VM
        with Map(library, profile, largest_block=random.choice([0, 1, 2, 3])) as one:
            for _ in range(20):
                requests.vm = vm
                request: SetRegion = requests.set_region()
                vm, _outcome = step(profile, vm, request)
                one.do(request)
                _, slots = step(profile, vm, Observe())
                assert isinstance(slots, Slots)
                asked = Asked(one, one.lib.gpamap_enter(one.reader))
                found = differs(asked, slots.slots, random)
                one.lib.gpamap_leave(one.reader)
                if found is not None:
                    return found
    return None


@pytest.mark.slow
def test_a_map_answers_as_its_slots_say() -> None:
    assert first_difference(Library(), 1, SEQUENCES) is None


BUGS = (
    bug("hit-outlives-its-view", "x", "x", ("lookup.c", "hit->version != view->version || ", "")),
    bug("version-stays", "x", "x", ("publish.c", "view->version = other->version + 1;", "view->version = 1;")),
    bug("hit-of-any-space", "x", "x", ("lookup.c", " || hit->space != space", "")),
    bug("hit-past-its-end", "x", "x", ("lookup.c", "gpa - hit->start > hit->span ||", "gpa < hit->start ||")),
    bug(
        "next-slot-holds", "x", "x", ("lookup.c", "index_entry(index, index_seek(index, gpa))", "index_at(index, gpa)")
    ),
    bug(
        "host-range-of-a-byte", "x", "x", ("lookup.c", "hva + entry->delta, last_of", "hva + entry->delta + 1, last_of")
    ),
    bug(
        "refusal-of-tables",
        "x",
        "x",
        ("lookup.c", "denial(write), -EACCES, segments", "denial(write), -EPERM, segments"),
    ),
    bug("no-space-no-room", "x", "x", ("lookup.c", "return room ? -EFAULT : -ENOBUFS;", "return -EFAULT;")),
)


@pytest.mark.slow
@pytest.mark.parametrize("one", BUGS, ids=lambda one: one.name)
def test_planted_bugs_are_found(one: Bug) -> None:
    with planted_base(one) as base:
        library = Library(base)
    assert first_difference(library, 2, 4 * SEQUENCES) is not None
