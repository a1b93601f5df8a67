"""Translation, byte by byte: where each byte lives, where it stops and why, and that it ends.

Through a map of any number of entries, of any length and at any address. A whole translation is steps of
`next_segment`; what is proved of one step, for any state that steps lead to, is true of each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import spec.vhost.address_map
import spec.vhost.translate
from proofs.invariants_vhost import iotlb_is_valid, map_is_in_order
from proofs.symbolic.boolean import all_merged, all_of, any_of, implies, merged, negation
from proofs.symbolic.record import one_of
from proofs.theorem import Bug, Patch, Theorem, patched
from proofs.world import World
from proofs.world_vhost import any_device
from spec.outcome import Faulted, Segment, Translated
from spec.profile import Profile
from spec.rule import Rule
from spec.units import U64, U64_MAX
from spec.vhost.address_map import READ, WRITE, AddressMap, Entry, entry_at, may
from spec.vhost.device import Device
from spec.vhost.translate import (
    IN_IOTLB,
    LAST_ADDRESS,
    MAPPED,
    PERMITTED,
    ROOM,
    byte_stops_at,
    map_in_use,
    next_segment,
    translation,
)

TRANSLATE, THIS = spec.vhost.translate, sys.modules[__name__]
LONGEST = 2**64  # bytes of a translation
MUCH_ROOM = 2**32

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def an_access(world: World) -> Any:
    """READ or WRITE, decided when it is read."""
    return one_of("access", (READ, WRITE))


def a_step(world: World) -> dict[str, Any]:
    """Any device, any range that is still to do, and any byte."""
    return {
        "profile": world.profile(),
        "device": any_device(world),
        "address": world.integer("address", 0, U64),
        "end": world.integer("end", 0, U64_MAX + LONGEST),
        "writes": world.boolean("writes"),
        "room": world.integer("room", 0, MUCH_ROOM),
        "byte": world.integer("byte", 0, U64_MAX),
    }


def a_translation(world: World) -> dict[str, Any]:
    """Any device, any range, and any byte; and how far the translation has come, if it has begun.

    What it did until then is one segment here, of bytes from `addr` to before `address`. Of these only `byte` is looked
    at, so that it does not matter where one segment ended and the next began. `room` counts this one and what is left.
    """
    return {
        "profile": world.profile(),
        "device": any_device(world),
        "addr": world.integer("addr", 0, U64_MAX),
        "length": world.integer("length", 0, LONGEST),
        "writes": world.boolean("writes"),
        "room": world.integer("room", 0, MUCH_ROOM),
        "byte": world.integer("byte", 0, U64_MAX),
        "begun": world.boolean("begun"),
        "address": world.integer("address", 0, U64),
        "host": world.integer("host", 0, U64_MAX),
    }


def nothing_to_do(world: World) -> dict[str, Any]:
    return {
        "profile": world.profile(),
        "device": any_device(world),
        "addr": world.integer("addr", 0, U64_MAX),
        "writes": world.boolean("writes"),
        "room": world.integer("room", 0, MUCH_ROOM),
    }


def access_of(writes: Any) -> int:
    """The access that a translation asks for."""
    return WRITE if writes else READ


def maps_are_in_order(profile: Profile, device: Device) -> Any:
    """The map in use is in order."""
    return map_is_in_order(map_in_use(device))


def is_a_step(profile: Profile, device: Device, address: int, end: int, **rest: Any) -> Any:
    """The maps are in order and something is left to do."""
    return all_of(all_merged((maps_are_in_order, iotlb_is_valid), profile, device), address < end)


def is_in_order(profile: Profile, device: Device, **rest: Any) -> Any:
    """Both maps are in order."""
    return all_merged((maps_are_in_order, iotlb_is_valid), profile, device)


def is_right_so_far(
    profile: Profile, device: Device, addr: int, length: int, writes: Any, begun: Any, address: int, **rest: Any
) -> Any:
    """The maps are in order, and what is done lies in the range and has `byte` where it is, if it has it."""
    done = all_of(addr < address, address <= addr + length, merged(done_is_right)(device, address, addr, writes, rest))
    return all_of(is_in_order(profile, device), implies(begun, done))


def done_is_right(device: Device, address: int, addr: int, writes: Any, rest: dict[str, Any]) -> Any:
    """What was translated so far is where the segment says."""
    segment = Segment(addr, address - 1, rest["host"])
    return all_of(rest["room"] >= 1, is_where_it_says(device, segment, rest["byte"], access_of(writes)))


# CLAIMS ----------------------------------------------------------------------------------------------------------


def step_is_right(profile: Profile, device: Device, address: int, end: int, writes: Any, room: int, byte: int) -> Any:
    """The segment begins at the address, ends before `end`, and each of its bytes can be had and is where it says."""
    access = access_of(writes)
    _, answer = next_segment(profile, device, address, end, access, room)
    if isinstance(answer, Faulted):
        return True
    return all_of(
        answer.first == address,
        address <= answer.last,
        answer.last < end,
        answer.last <= U64_MAX,
        merged(is_where_it_says)(device, answer, byte, access),
    )


def step_stays_in_an_entry(
    profile: Profile, device: Device, address: int, end: int, writes: Any, room: int, byte: int
) -> Any:
    """A segment lies within the entry that counts for its first byte, and goes on to its end or to the request's."""
    _, answer = next_segment(profile, device, address, end, access_of(writes), room)
    if isinstance(answer, Faulted):
        return True
    entry = entry_at(map_in_use(device), address)
    return entry is not None and all_of(
        entry.first <= answer.first,
        answer.last <= entry.last,
        any_of(answer.last == entry.last, answer.last == end - 1),
        may(entry.perm, access_of(writes)),
    )


def fault_says_why(profile: Profile, device: Device, address: int, end: int, writes: Any, room: int, byte: int) -> Any:
    """A step stops where it stands: for room, past the last address, where nothing is, or where it is not permitted."""
    access = access_of(writes)
    after, answer = next_segment(profile, device, address, end, access, room)
    entry = entry_at(map_in_use(device), address) if address <= U64_MAX else None
    if not isinstance(answer, Faulted):
        return room > 0 and entry is not None and may(entry.perm, access)
    return all_of(answer.at == address, after is device, _is_why(answer.rule, device, address, access, room, entry))


def _is_why(rule: Rule, device: Device, address: int, access: int, room: int, entry: Entry | None) -> Any:
    if room == 0:
        return rule is ROOM
    if address > U64_MAX:
        return rule is LAST_ADDRESS
    if entry is None:
        return rule is (MAPPED if device.iotlb is None else IN_IOTLB)
    return rule is PERMITTED and not may(entry.perm, access)


def step_gets_on(profile: Profile, device: Device, address: int, end: int, writes: Any, room: int, byte: int) -> Any:
    """What is left becomes less with each segment, so there are no more steps than bytes."""
    _, answer = next_segment(profile, device, address, end, access_of(writes), room)
    if isinstance(answer, Faulted):
        return True
    left_before, left_after = end - address, end - (answer.last + 1)
    return all_of(left_after < left_before, left_after >= 0)


def step_changes_no_byte(
    profile: Profile, device: Device, address: int, end: int, writes: Any, room: int, byte: int
) -> Any:
    """After a step the maps are in order and every byte is where it was, to be had for what it could be had."""
    access = access_of(writes)
    after, answer = next_segment(profile, device, address, end, access, room)
    if isinstance(answer, Faulted):
        return after is device
    return all_of(
        merged(byte_is_the_same)(device, after, byte),
        merged(maps_are_in_order)(profile, after),
        merged(iotlb_is_valid)(profile, after),
    )


def byte_is_the_same(before: Device, after: Device, byte: int) -> Any:
    """The byte is translated as before: by no entry, or to the same place, with the same permissions, up to the same
    end.
    """
    one, other = entry_at(map_in_use(before), byte), entry_at(map_in_use(after), byte)
    if one is None or other is None:
        return one is None and other is None
    return all_of(one.host_of(byte) == other.host_of(byte), one.perm == other.perm, one.last == other.last)


class Again(Exception):
    """The loop of a translation comes to a second step."""


@dataclass(frozen=True)
class Progress:
    """A translation that goes on: what it has, and what it asks for next."""

    segments: tuple[Segment, ...]
    address: int
    end: int
    room: int


def followed(
    profile: Profile, device: Device, addr: int, length: int, access: int, room: int, done: Segment | None
) -> Translated | Faulted | Progress:
    """What becomes of a translation that has done this, if anything, after one more step: it ends or goes on."""
    take, had = TRANSLATE.next_segment, [] if done is None else [done]
    first, real = list(had), []  # type: ignore[var-annotated]

    def one_step(profile: Profile, device: Device, address: int, end: int, access: int, room: int) -> Any:
        if first:
            return device, first.pop()
        if real:
            reached.append(Progress((*had, *real), address, end, room))
            raise Again
        device, answer = take(profile, device, address, end, access, room)
        real.append(answer)
        return device, answer

    reached: list[Progress] = []
    with patched((Patch(TRANSLATE, "next_segment", one_step),)):
        try:
            return translation(profile, device, addr, length, access, room)[1]
        except Again:
            return reached[0]


def whole_is_right(
    profile: Profile,
    device: Device,
    addr: int,
    length: int,
    writes: Any,
    room: int,
    byte: int,
    begun: Any,
    address: int,
    host: int,
) -> Any:
    """Segments cover the range without a gap, no more than there is room for; or the byte is named where it stopped,
    the first that cannot be had or for which there is no segment left, and each before it can be had; or the
    translation goes on, and all is right so far.
    """
    access = access_of(writes)
    done = Segment(addr, address - 1, host) if begun else None
    answer = followed(profile, device, addr, length, access, room, done)
    if isinstance(answer, Faulted):
        taken = 0 if done is None else 1
        is_full = room <= taken
        why = is_full if answer.rule is ROOM else byte_stops_at(device, answer.at, access) is answer.rule
        return all_of(
            answer.at == (addr if done is None else address),
            answer.at < addr + length,
            why,
            any_of(answer.rule is ROOM, negation(is_full)),
            implies(all_of(addr <= byte, byte < answer.at), merged(can_be_had)(device, byte, access)),
        )
    right = [merged(is_where_it_says)(device, segment, byte, access) for segment in answer.segments]
    if isinstance(answer, Progress):
        next_one = [answer.address < addr + length, answer.end == addr + length]
        left = answer.room == room - len(answer.segments)
        return all_of(*right, *next_one, left, covers_exactly(answer.segments, addr, answer.address))
    return all_of(*right, len(answer.segments) <= room, covers_exactly(answer.segments, addr, addr + length))


def can_be_had(device: Device, byte: int, access: int) -> bool:
    return byte_stops_at(device, byte, access) is None


def is_where_it_says(device: Device, segment: Segment, byte: int, access: int) -> Any:
    """If the segment has the byte, it can be had and lives there."""
    entry = entry_at(map_in_use(device), byte)
    is_right = entry is not None and all_of(
        merged(may)(entry.perm, access), entry.host_of(byte) == (segment.host + byte - segment.first) % U64
    )
    return implies(all_of(segment.first <= byte, byte <= segment.last), is_right)


def covers_exactly(segments: tuple[Segment, ...], addr: int, end: int) -> Any:
    """The segments follow each other from the first byte to the one before `end`."""
    claims, at = [], addr
    for segment in segments:
        claims += [segment.first == at, segment.first <= segment.last]
        at = segment.last + 1
    return all_of(*claims, at == end)


def no_bytes_no_segments(profile: Profile, device: Device, addr: int, writes: Any, room: int) -> Any:
    after, answer = translation(profile, device, addr, 0, access_of(writes), room)
    return after is device and answer == Translated(())


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def host_counts_from_the_entry(
    profile: Profile, device: Device, address: int, end: int, access: int, room: int
) -> tuple[Device, Segment | Faulted]:
    """The offset into the entry is forgotten."""
    after, answer = TRANSLATE.next_segment(profile, device, address, end, access, room)
    entry = entry_at(map_in_use(device), address)
    if isinstance(answer, Faulted) or entry is None:
        return after, answer
    return after, replace(answer, host=entry.host)


def goes_on_past_the_entry(
    profile: Profile, device: Device, address: int, end: int, access: int, room: int
) -> tuple[Device, Segment | Faulted]:
    """A segment takes all that is asked for."""
    after, answer = TRANSLATE.next_segment(profile, device, address, end, access, room)
    return after, answer if isinstance(answer, Faulted) else replace(answer, last=end - 1)


def asks_other_entries(device: Device, address: int, access: int) -> Rule | None:
    """What is not permitted counts as not there."""
    rule = byte_stops_at(device, address, access)
    return MAPPED if rule is PERMITTED else rule


def ends_a_byte_early(
    profile: Profile, device: Device, address: int, end: int, access: int, room: int
) -> tuple[Device, Segment | Faulted]:
    after, answer = TRANSLATE.next_segment(profile, device, address, end, access, room)
    return after, answer if isinstance(answer, Faulted) else replace(answer, last=answer.last - 1)


def use_makes_young(profile: Profile, table: AddressMap, entry: Entry) -> AddressMap:
    """A lookup that loses the entry that it used."""
    return replace(table, entries=spec.sets.removed(table.entries, entry))


def never_too_many(
    profile: Profile, device: Device, address: int, end: int, access: int, room: int
) -> tuple[Device, Segment | Faulted]:
    return next_segment(profile, device, address, end, access, 1)


def asks_for_the_first_byte(
    profile: Profile, device: Device, addr: int, length: int, access: int, room: int
) -> tuple[Device, Translated | Faulted]:
    """A range of no bytes is looked up as if it had one."""
    rule = byte_stops_at(device, addr, access)
    if rule is not None:
        return device, Faulted(rule, addr)
    return TRANSLATE.translation(profile, device, addr, length, access, room)


# THEOREMS --------------------------------------------------------------------------------------------------------

ALL_RULES = tuple(rule.id for rule in spec.vhost.translate.RULES)


def about(
    suffix: str,
    sentence: str,
    rules: tuple[str, ...],
    inputs: Callable[[World], dict[str, Any]],
    given: Callable[..., Any],
    holds: Callable[..., Any],
    bug: Bug,
    **rest: Any,
) -> Theorem:
    return Theorem(f"XLATE.{suffix}", sentence, rules, ("translate",), "translation", inputs, given, holds, bug, **rest)


THEOREMS = (
    about(
        "STEP",
        "A segment begins at the byte that is next, ends within the range and at or before the last guest address, and "
        "each of its bytes may be had and is at the host address that the byte itself has.",
        ("XLATE.MAPPED", "XLATE.IN_IOTLB", "XLATE.PERMITTED", "XLATE.LAST_ADDRESS"),
        a_step,
        is_a_step,
        step_is_right,
        Bug("the offset into the entry is forgotten", (Patch(THIS, "next_segment", host_counts_from_the_entry),)),
    ),
    about(
        "WITHIN",
        "A segment never leaves the entry that counts for its first byte, goes on to the end of the entry or of the "
        "range, and that entry permits the access.",
        ("XLATE.PERMITTED",),
        a_step,
        is_a_step,
        step_stays_in_an_entry,
        Bug("a segment takes all that is asked for", (Patch(THIS, "next_segment", goes_on_past_the_entry),)),
    ),
    about(
        "WHY",
        "A translation stops at the byte that is next, by the first of these that is true: no room, past the last "
        "address, no entry, no permission; and only then.",
        ALL_RULES,
        a_step,
        is_a_step,
        fault_says_why,
        Bug("what is not permitted counts as not mapped", (Patch(TRANSLATE, "byte_stops_at", asks_other_entries),)),
    ),
    about(
        "ENDS",
        "Each segment leaves less to do, so that a translation ends after no more segments than bytes.",
        ("XLATE.ROOM",),
        a_step,
        is_a_step,
        step_gets_on,
        Bug("a segment ends a byte early", (Patch(THIS, "next_segment", ends_a_byte_early),)),
    ),
    about(
        "USE",
        "What a translation does to its map changes no byte's place or permission, also under least-recently-used.",
        (),
        a_step,
        is_a_step,
        step_changes_no_byte,
        Bug("the entry that was used is lost", (Patch(TRANSLATE, "after_use", use_makes_young),)),
    ),
    about(
        "WHOLE",
        "A whole translation covers the range exactly, byte by byte right, with no more segments than there is room "
        "for; or it names the first byte that cannot be had, by the rule of that byte, or that no segment is left for. "
        "(By induction: after any number of right steps, one more is right, and the loop ends or goes on behind it.)",
        ALL_RULES,
        a_translation,
        is_right_so_far,
        whole_is_right,
        Bug("room is never too small", (Patch(TRANSLATE, "next_segment", never_too_many),)),
    ),
    about(
        "EMPTY",
        "A translation of no bytes takes no segments and uses no entry, at any address, whatever is mapped there.",
        ("XLATE.MAPPED",),
        nothing_to_do,
        is_in_order,
        no_bytes_no_segments,
        Bug("the first byte is looked up", (Patch(THIS, "translation", asks_for_the_first_byte),)),
    ),
)
