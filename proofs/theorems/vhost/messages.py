"""What messages do to an IOTLB: an invalidation leaves nothing of its range, an update answers what was missed."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import spec.step
import spec.vhost.messages
from proofs.bugs import with_effect
from proofs.claims import accepted
from proofs.invariants_vhost import map_is_in_order
from proofs.requests_vhost import write_message
from proofs.sets import has
from proofs.symbolic.boolean import all_of, any_of, implies, merged
from proofs.theorem import Bug, Patch, Theorem, patched
from proofs.theorems.vhost.devices import about, after_without_runs
from proofs.theorems.vhost.settings import others_are_the_same
from proofs.world import World
from proofs.world_vhost import any_map
from spec.outcome import MissRead, NothingRead, Ran
from spec.pages import NO_PAGES
from spec.profile import Profile
from spec.sets import every, some
from spec.units import U64, U64_MAX
from spec.vhost.address_map import READ, WRITE, AddressMap, Entry, entry_at, may, with_entry, without_range
from spec.vhost.device import QUEUES, Device, Miss
from spec.vhost.messages import (
    INVALIDATE,
    MESSAGE_BYTES,
    READ_MESSAGE,
    UPDATE,
    WRITE_MESSAGE,
    ReadMessage,
    WriteMessage,
    invalidated,
    updated,
)

MESSAGES, THIS = spec.vhost.messages, sys.modules[__name__]

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def an_invalidation(world: World) -> dict[str, Any]:
    """An IOTLB, any message, something that may be an entry, and a byte."""
    table = any_map(world, "iotlb")
    return {
        "table": table,
        "request": write_message(world),
        "other": world.candidate(table.entries, "other"),
        "byte": world.integer("byte", 0, U64_MAX),
    }


def an_update(world: World) -> dict[str, Any]:
    """An IOTLB, any update, a byte and an access."""
    return {
        "profile": world.profile(),
        "table": any_map(world, "iotlb"),
        "request": write_message(world),
        "byte": world.integer("byte", 0, U64_MAX),
        "writes": world.boolean("writes"),
    }


def entries_have_bytes(table: AddressMap, other: Entry, **rest: Any) -> Any:
    """No entry ends before it begins."""
    return every(table.entries, lambda entry: entry.first <= entry.last)


def is_an_update(profile: Profile, device: Device, request: WriteMessage) -> Any:
    return all_of(accepted(profile, device, request), request.kind == UPDATE)


def is_an_update_of_a_map(profile: Profile, table: AddressMap, request: WriteMessage, **rest: Any) -> Any:
    """The map is in order, and the update names bytes and does not wrap, as its rules demand."""
    return all_of(map_is_in_order(table), request.size >= 1, request.iova + request.size <= U64)


def answers_a_miss(profile: Profile, table: AddressMap, request: WriteMessage, byte: int, writes: Any) -> Any:
    """The update covers the byte, permits the access, and nothing maps the byte before."""
    return all_of(
        is_an_update_of_a_map(profile, table, request),
        request.iova <= byte,
        byte < request.iova + request.size,
        merged(permits)(request, writes),
        merged(nothing_maps)(table, byte),
    )


def permits(request: WriteMessage, writes: Any) -> bool:
    return may(request.perm, WRITE if writes else READ)


def nothing_maps(table: AddressMap, byte: int) -> bool:
    return entry_at(table, byte) is None


def a_miss_is_read(profile: Profile, device: Device, request: ReadMessage) -> Any:
    return all_of(accepted(profile, device, request))


# CLAIMS ----------------------------------------------------------------------------------------------------------


def is_in_range(request: WriteMessage, byte: int) -> Any:
    """Whether a byte is one of `size` bytes from `iova` on, which go on at 0 after the last address."""
    return (byte - request.iova) % U64 < request.size


def nothing_of_the_range_is_left(table: AddressMap, request: WriteMessage, other: Entry, byte: int) -> Any:
    return implies(is_in_range(request, byte), entry_at(invalidated(table, request), byte) is None)


def only_what_touches_goes(table: AddressMap, request: WriteMessage, other: Entry, byte: int) -> Any:
    """An entry is still there exactly if none of its bytes is in the range.

    Counted from where the range begins, and around at 2^64, the entry begins behind the range and does not come around.
    """
    distance = (other.first - request.iova) % U64
    is_apart = any_of(request.size == 0, all_of(distance >= request.size, distance + (other.last - other.first) < U64))
    after = invalidated(table, request)
    return has(after.entries, other) == all_of(has(table.entries, other), is_apart)


def the_retry_gets_past(profile: Profile, table: AddressMap, request: WriteMessage, byte: int, writes: Any) -> Any:
    """The byte that was missed can now be had, where the update says."""
    entry = entry_at(updated(profile, table, request), byte)
    return entry is not None and all_of(
        merged(may)(entry.perm, WRITE if writes else READ),
        entry.host_of(byte) == (request.uaddr + byte - request.iova) % U64,
    )


def permissions_are_those_given(
    profile: Profile, table: AddressMap, request: WriteMessage, byte: int, writes: Any
) -> Any:
    """A byte can be had after an update only if the update permits it, or an entry that was there and covers it."""
    entry = entry_at(updated(profile, table, request), byte)
    access = WRITE if writes else READ
    if entry is None or not merged(may)(entry.perm, access):
        return True
    is_given = all_of(request.iova <= byte, byte < request.iova + request.size, merged(permits)(request, writes))
    return any_of(is_given, some(table.entries, lambda old: old.covers(byte) and may(old.perm, access)))


def woken_by(profile: Profile, device: Device, request: WriteMessage) -> tuple[Device, tuple[int, ...]]:
    """The device before queues run, and the queues that will. What is done to the IOTLB is left out."""
    asked: list[tuple[int, ...]] = []

    def note(profile: Profile, device: Device, numbers: tuple[int, ...]) -> tuple[Device, Ran]:
        asked.append(numbers)
        return device, Ran((), NO_PAGES)

    def left_out(profile: Profile, iotlb: AddressMap, request: WriteMessage) -> AddressMap:
        return iotlb

    with patched((Patch(MESSAGES, "run_queues", note), Patch(MESSAGES, "updated", left_out))):
        after, _ = spec.step.step(profile, device, request)
    return after, asked[0]


def those_that_wait_are_woken(profile: Profile, device: Device, request: WriteMessage) -> Any:
    """A queue runs exactly if a miss of it was read and lies in the range; that miss is answered, no other is."""
    after, woken = woken_by(profile, device, request)
    last = request.iova + request.size - 1
    answered = [all_of(request.iova <= miss.iova, miss.iova <= last) for miss in device.pending]
    queues = [miss.queue for miss in device.pending]
    claims = []
    for number in range(QUEUES):
        its = [is_answered for is_answered, queue in zip(answered, queues, strict=True) if queue == number]
        claims.append(any_of(False, *its) == (number in woken))
    left = tuple(miss for miss, is_answered in zip(device.pending, answered, strict=True) if not is_answered)
    return all_of(
        *claims, are_the_same(left, after.pending), len(woken) == len(set(woken)), after.unread is device.unread
    )


def are_the_same(one: tuple[Miss, ...], other: tuple[Miss, ...]) -> Any:
    """Whether two rows of misses are equal."""
    return len(one) == len(other) and all_of(True, *(is_same_miss(a, b) for a, b in zip(one, other, strict=True)))


def is_same_miss(one: Miss, other: Miss) -> Any:
    names = ("iova", "version", "queue", "access")
    return one is other or all_of(*(getattr(one, name) == getattr(other, name) for name in names))


def an_invalidation_wakes_nobody(profile: Profile, device: Device, request: WriteMessage) -> Any:
    """It changes the IOTLB and nothing else."""
    after = after_without_runs(profile, device, request)
    return others_are_the_same(device, after, "iotlb")


def is_an_invalidation(profile: Profile, device: Device, request: WriteMessage, **rest: Any) -> Any:
    return all_of(accepted(profile, device, request), request.kind == INVALIDATE)


def the_oldest_is_read(profile: Profile, device: Device, request: ReadMessage) -> Any:
    """The first unread miss is told and waits for an answer, behind those that do already; short reads take none."""
    after, answer = spec.step.step(profile, device, request)
    if request.length < MESSAGE_BYTES:
        return after is device and isinstance(answer, NothingRead)
    if not isinstance(answer, MissRead) or len(device.unread) == 0:
        return False
    told, unread, pending = device.unread[0], tuple(device.unread), tuple(device.pending)
    is_told = all_of(answer.iova == told.iova, answer.access == told.access, answer.version == told.version)
    moved = [are_the_same(after.unread, unread[1:]), are_the_same(after.pending, (*pending, told))]
    return all_of(is_told, *moved, others_are_the_same(device, after, "unread", "pending"))


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def wrap_is_forgotten(iotlb: AddressMap, request: WriteMessage) -> AddressMap:
    """What goes on past the last address ends there."""
    if request.size == 0:
        return iotlb
    return without_range(iotlb, request.iova, min(request.iova + request.size - 1, U64_MAX))


def nothing_is_everything(iotlb: AddressMap, request: WriteMessage) -> AddressMap:
    """A range of no bytes at 0 is taken for the whole space, as `iova + size - 1` has it in 64 bits."""
    if request.size == 0 and request.iova == 0:
        return without_range(iotlb, 0, U64_MAX)
    return MESSAGES.invalidated(iotlb, request)


def reads_only(table: AddressMap, first: int, last: int, host: int, perm: int) -> AddressMap:
    """Every update permits to read, and nothing else."""
    return with_entry(table, first, last, host, READ)


def wakes_up_to_the_end(miss: Miss, request: WriteMessage) -> bool:
    """The byte after the range counts, too."""
    return request.iova <= miss.iova <= request.iova + request.size


def forgets_misses(profile: Profile, device: Device, request: WriteMessage) -> Any:
    after, answer = WRITE_MESSAGE.effect(profile, device, request)
    return replace(after, pending=()), answer


def takes_the_last(profile: Profile, device: Device, request: ReadMessage) -> Any:
    """The miss that came last is told first."""
    after, answer = READ_MESSAGE.effect(profile, device, request)
    if isinstance(answer, NothingRead):
        return after, answer
    miss = device.unread[-1]
    told = MissRead(miss.version, miss.iova, miss.access)
    return replace(device, unread=device.unread[:-1], pending=(*device.pending, miss)), told


# THEOREMS --------------------------------------------------------------------------------------------------------


def about_range(suffix: str, sentence: str, holds: Any, bug: Bug) -> Theorem:
    return Theorem(
        f"INVALIDATE.{suffix}",
        sentence,
        ("IOTLB.MESSAGE.KIND",),
        ("write_message",),
        "invalidation",
        an_invalidation,
        entries_have_bytes,
        holds,
        bug,
    )


def about_update(suffix: str, sentence: str, given: Any, holds: Any, bug: Bug) -> Theorem:
    rules = ("IOTLB.UPDATE.EMPTY", "IOTLB.UPDATE.WRAPS", "XLATE.IN_IOTLB", "XLATE.PERMITTED")
    return Theorem(f"UPDATE.{suffix}", sentence, rules, ("write_message",), "messages", an_update, given, holds, bug)


THEOREMS: tuple[Theorem, ...] = (
    about_range(
        "NOTHING_LEFT",
        "After an invalidation no byte of its range can be translated, whatever its size, and also where the range "
        "goes on past the last address.",
        nothing_of_the_range_is_left,
        Bug("a range that goes on past the last address ends there", (Patch(THIS, "invalidated", wrap_is_forgotten),)),
    ),
    about_range(
        "EXACT",
        "An invalidation takes an entry exactly if one of its bytes is in the range; a range of no bytes takes none.",
        only_what_touches_goes,
        Bug("no bytes at 0 are taken for the whole space", (Patch(THIS, "invalidated", nothing_is_everything),)),
    ),
    about_update(
        "PROGRESS",
        "After an update that covers a missed byte and permits the access the byte can be had, where the update says.",
        answers_a_miss,
        the_retry_gets_past,
        Bug("updates are read-only", (Patch(MESSAGES, "with_entry", reads_only),)),
    ),
    about_update(
        "PERMITTED",
        "After an update a byte can be had only for what the update, or an entry that was there, permits.",
        is_an_update_of_a_map,
        permissions_are_those_given,
        Bug("updates may always be read", (Patch(MESSAGES, "with_entry", reads_only),)),
    ),
    about(
        "write_message",
        "WAKES",
        "An update wakes exactly the queues with a miss that was read and lies in its range, each once; those misses "
        "are answered, all others still wait.",
        "messages",
        is_an_update,
        those_that_wait_are_woken,
        Bug("the byte after the range counts too", (Patch(MESSAGES, "is_answered", wakes_up_to_the_end),)),
    ),
    about(
        "write_message",
        "INVALIDATES",
        "An invalidation changes the IOTLB and nothing else: it answers no miss and wakes no queue.",
        "messages",
        is_an_invalidation,
        an_invalidation_wakes_nobody,
        Bug("it forgets misses", (with_effect(WRITE_MESSAGE, forgets_misses),)),
    ),
    about(
        "read_message",
        "OLDEST",
        "A read tells the oldest miss that was not read, and from then on an update can answer it; a read that has no "
        "room for a message changes nothing.",
        "messages",
        a_miss_is_read,
        the_oldest_is_read,
        Bug("the miss that came last is told first", (with_effect(READ_MESSAGE, takes_the_last),)),
    ),
)
