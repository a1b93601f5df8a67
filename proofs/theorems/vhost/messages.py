"""What messages do to an IOTLB: an invalidation leaves nothing of its range, an update answers what was missed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import spec.step
import spec.vhost.messages
from proofs.bugs import with_check, with_effect
from proofs.claims import accepted
from proofs.requests_vhost import write_message
from proofs.sets import has
from proofs.symbolic.boolean import all_of, any_of, implies, merged, negation
from proofs.symbolic.sequence import AnySequence
from proofs.theorem import Bug, Patch, Theorem, patched
from proofs.theorems.vhost.devices import about, after_without_runs, is_accepted
from proofs.theorems.vhost.settings import others_are_the_same
from proofs.world import World
from proofs.world_vhost import FEW_MISSES, any_device, any_map
from spec.outcome import MissRead, NothingRead, Ran
from spec.pages import NO_PAGES
from spec.profile import Profile
from spec.sets import some
from spec.units import U64, U64_MAX
from spec.vhost.address_map import READ, WRITE, AddressMap, Entry, entry_at, may, with_entry, without_range
from spec.vhost.device import QUEUES, Device, Miss, is_host_range
from spec.vhost.messages import (
    HOST,
    INVALIDATE,
    MESSAGE_BYTES,
    READ_MESSAGE,
    UPDATE,
    WRITE_MESSAGE,
    ReadMessage,
    WriteMessage,
    invalidated,
)

MESSAGES = spec.vhost.messages

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def an_invalidation(world: World) -> dict[str, Any]:
    """A device, any message, something that may be an entry of its IOTLB, and a byte."""
    iotlb = any_map(world, "iotlb")
    return {
        "profile": world.profile(),
        "device": any_device(world, iotlb=iotlb),
        "request": write_message(world),
        "other": world.candidate(iotlb.entries, "other"),
        "byte": world.integer("byte", 0, U64_MAX),
    }


def an_update(world: World) -> dict[str, Any]:
    """A device, any message, a byte and an access."""
    return {
        "profile": world.profile(),
        "device": any_device(world),
        "request": write_message(world),
        "byte": world.integer("byte", 0, U64_MAX),
        "writes": world.boolean("writes"),
    }


def an_update_and_misses(world: World) -> dict[str, Any]:
    """A device with a few misses that were read, and any message."""
    return {
        "profile": world.profile(),
        "device": any_device(world, walked="pending"),
        "request": write_message(world),
    }


def is_an_update(profile: Profile, device: Device, request: WriteMessage) -> Any:
    """The message is an update and breaks no rule. The device is any."""
    return all_of(accepted(profile, device, request), request.kind == UPDATE)


def is_a_valid_invalidation(profile: Profile, device: Device, request: WriteMessage, **rest: Any) -> Any:
    """The device is valid; the message is an invalidation and breaks no rule."""
    return all_of(is_accepted(profile, device, request), request.kind == INVALIDATE)


def is_a_valid_update(profile: Profile, device: Device, request: WriteMessage, **rest: Any) -> Any:
    """The device is valid; the message is an update and breaks no rule."""
    return all_of(is_accepted(profile, device, request), request.kind == UPDATE)


def answers_a_miss(profile: Profile, device: Device, request: WriteMessage, byte: int, writes: Any) -> Any:
    """The same; the update covers the byte, permits the access, and nothing maps the byte before."""
    return all_of(
        is_a_valid_update(profile, device, request),
        request.iova <= byte,
        byte < request.iova + request.size,
        merged(permits)(request, writes),
        merged(nothing_maps)(device, byte),
    )


def permits(request: WriteMessage, writes: Any) -> bool:
    """The update permits this access."""
    return may(request.perm, WRITE if writes else READ)


def nothing_maps(device: Device, byte: int) -> bool:
    """No entry of the IOTLB has the byte."""
    return device.iotlb is not None and entry_at(device.iotlb, byte) is None


def a_miss_is_read(profile: Profile, device: Device, request: ReadMessage) -> Any:
    """There is a miss to be read: the request breaks no rule. The device is any."""
    return all_of(accepted(profile, device, request))


# CLAIMS ----------------------------------------------------------------------------------------------------------


def is_in_range(request: WriteMessage, byte: int) -> Any:
    """Whether a byte is one of `size` bytes from `iova` on, which go on at 0 after the last address."""
    return (byte - request.iova) % U64 < request.size


def nothing_of_the_range_is_left(
    profile: Profile, device: Device, request: WriteMessage, other: Entry, byte: int
) -> Any:
    after = after_without_runs(profile, device, request).iotlb
    return after is not None and implies(is_in_range(request, byte), entry_at(after, byte) is None)


def only_what_touches_goes(profile: Profile, device: Device, request: WriteMessage, other: Entry, byte: int) -> Any:
    """An entry is still there exactly if none of its bytes is in the range.

    Counted from where the range begins, and around at 2^64, the entry begins behind the range and does not come around.
    """
    distance = (other.first - request.iova) % U64
    is_apart = any_of(request.size == 0, all_of(distance >= request.size, distance + (other.last - other.first) < U64))
    before, after = device.iotlb, after_without_runs(profile, device, request).iotlb
    if before is None or after is None:
        return False
    return has(after.entries, other) == all_of(has(before.entries, other), is_apart)


def the_retry_gets_past(profile: Profile, device: Device, request: WriteMessage, byte: int, writes: Any) -> Any:
    """The byte that was missed can now be had, where the update says."""
    after = after_without_runs(profile, device, request).iotlb
    entry = None if after is None else entry_at(after, byte)
    return entry is not None and all_of(
        merged(may)(entry.perm, WRITE if writes else READ),
        entry.host_of(byte) == (request.uaddr + byte - request.iova) % U64,
    )


def permissions_are_those_given(profile: Profile, device: Device, request: WriteMessage, byte: int, writes: Any) -> Any:
    """A byte can be had after an update only if the update permits it, or an entry that was there and covers it."""
    before, after = device.iotlb, after_without_runs(profile, device, request).iotlb
    if before is None or after is None:
        return False
    entry = entry_at(after, byte)
    access = WRITE if writes else READ
    if entry is None or not merged(may)(entry.perm, access):
        return True
    is_given = all_of(request.iova <= byte, byte < request.iova + request.size, merged(permits)(request, writes))
    return any_of(is_given, some(before.entries, lambda old: old.covers(byte) and may(old.perm, access)))


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
    are_answered = [all_of(request.iova <= miss.iova, miss.iova <= last) for miss in device.pending]
    queues = [miss.queue for miss in device.pending]
    claims = []
    for number in range(QUEUES):
        its = [is_answered for is_answered, queue in zip(are_answered, queues, strict=True) if queue == number]
        claims.append(any_of(False, *its) == (number in woken))
    left = tuple(miss for miss, is_answered in zip(device.pending, are_answered, strict=True) if not is_answered)
    return all_of(
        *claims, are_the_same(left, after.pending), len(woken) == len(set(woken)), after.unread is device.unread
    )


def are_the_same(one: Any, other: Any) -> Any:
    """Whether two rows of misses are equal."""
    if one is other or isinstance(one, AnySequence) or isinstance(other, AnySequence):
        return one is other
    return len(one) == len(other) and all_of(True, *(is_same_miss(a, b) for a, b in zip(one, other, strict=True)))


def is_same_miss(one: Miss, other: Miss) -> Any:
    names = ("iova", "version", "queue", "access")
    return True if one is other else all_of(*(getattr(one, name) == getattr(other, name) for name in names))


def what_it_maps_is_user_memory(profile: Profile, device: Device, request: WriteMessage) -> Any:
    """An update whose bytes can be had for anything names host bytes below the user limit, and below 2^64."""
    of_no_use = all_of(negation(merged(may)(request.perm, READ)), negation(merged(may)(request.perm, WRITE)))
    return any_of(of_no_use, request.uaddr + request.size <= profile.user_limit)


def an_invalidation_wakes_nobody(profile: Profile, device: Device, request: WriteMessage) -> Any:
    """It changes the IOTLB and nothing else."""
    after = after_without_runs(profile, device, request)
    return others_are_the_same(device, after, "iotlb")


def is_an_invalidation(profile: Profile, device: Device, request: WriteMessage, **rest: Any) -> Any:
    """The message is an invalidation and breaks no rule. The device is any."""
    return all_of(accepted(profile, device, request), request.kind == INVALIDATE)


def the_oldest_is_read(profile: Profile, device: Device, request: ReadMessage) -> Any:
    """The first unread miss is told and waits for an answer, behind those that do already; short reads take none."""
    after, answer = spec.step.step(profile, device, request)
    if request.length < MESSAGE_BYTES:
        return after is device and isinstance(answer, NothingRead)
    if not isinstance(answer, MissRead) or not device.unread:
        return False
    told = device.unread[0]
    is_told = all_of(answer.iova == told.iova, answer.access == told.access, answer.version == told.version)
    moved = [are_the_same(after.unread, device.unread[1:]), are_the_same(after.pending, (*device.pending, told))]
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
    return invalidated(iotlb, request)


def reads_only(table: AddressMap, first: int, last: int, host: int, perm: int) -> AddressMap:
    """Every update permits to read, and nothing else."""
    return with_entry(table, first, last, host, READ)


def wakes_up_to_the_end(miss: Miss, request: WriteMessage) -> bool:
    """The byte after the range counts, too."""
    return request.iova <= miss.iova <= request.iova + request.size


def asks_for_writes_only(profile: Profile, device: Device, request: WriteMessage) -> Any:
    """What may only be read may be anywhere."""
    if request.kind != UPDATE or not may(request.perm, WRITE):
        return False
    return not is_host_range(profile, request.uaddr, request.size)


def forgets_misses(profile: Profile, device: Device, request: WriteMessage) -> Any:
    after, answer = WRITE_MESSAGE.effect(profile, device, request)
    return replace(after, pending=()), answer


def tells_it_again(profile: Profile, device: Device, request: ReadMessage) -> Any:
    """The miss that was told is not taken out of those that were not read."""
    after, answer = READ_MESSAGE.effect(profile, device, request)
    return replace(after, unread=device.unread), answer


# THEOREMS --------------------------------------------------------------------------------------------------------


def about_range(suffix: str, sentence: str, holds: Any, bug: Bug) -> Theorem:
    return Theorem(
        f"INVALIDATE.{suffix}",
        sentence,
        ("IOTLB.MESSAGE.KIND",),
        ("write_message",),
        "invalidation",
        an_invalidation,
        is_a_valid_invalidation,
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
        Bug(
            "a range that goes on past the last address ends there",
            (Patch(MESSAGES, "invalidated", wrap_is_forgotten),),
        ),
    ),
    about_range(
        "EXACT",
        "An invalidation takes an entry exactly if one of its bytes is in the range; a range of no bytes takes none.",
        only_what_touches_goes,
        Bug("no bytes at 0 are taken for the whole space", (Patch(MESSAGES, "invalidated", nothing_is_everything),)),
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
        is_a_valid_update,
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
        f"at most {FEW_MISSES} misses that were read: of two, each can be before the other",
        an_update_and_misses,
    ),
    about(
        "write_message",
        "USER_MEMORY",
        "An update that is accepted maps user memory, unless it permits neither reads nor writes.",
        "user memory",
        is_an_update,
        what_it_maps_is_user_memory,
        Bug("only what may be written must be", (with_check(WRITE_MESSAGE, HOST, asks_for_writes_only),)),
        rules=("IOTLB.UPDATE.HOST", "IOTLB.UPDATE.HOST_WRAPS"),
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
        Bug("a miss that was read is told again", (with_effect(READ_MESSAGE, tells_it_again),)),
    ),
)
