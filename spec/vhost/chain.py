"""A chain of descriptors as host segments, in order, descriptor by descriptor.

What the device reads comes before what it writes. A descriptor may be indirect: then the memory it names holds a table
of descriptors, which is read through the same translation. All segments of a chain share the room for one.
"""

from __future__ import annotations

from dataclasses import dataclass

from spec.outcome import Broken, Event, Faulted, Missed, Segment
from spec.profile import Profile
from spec.rule import Rule
from spec.units import U16_MAX
from spec.vhost.address_map import READ, WRITE
from spec.vhost.device import Chain, Descriptor, Device
from spec.vhost.translate import IN_IOTLB, MOST_SEGMENTS, after_miss, translation

DESCRIPTOR_BYTES = 16

TABLE_LENGTH = Rule(
    id="VHOST.CHAIN.TABLE_LENGTH",
    sentence="An indirect table is a whole number of descriptors long.",
    errno="EINVAL",
    source="drivers/vhost/vhost.c get_indirect",
)
TABLE_SIZE = Rule(
    id="VHOST.CHAIN.TABLE_SIZE",
    sentence="An indirect table has at most 2^16 descriptors: a descriptor names the next by 16 bits.",
    errno="E2BIG",
    source="drivers/vhost/vhost.c get_indirect",
)
TABLE_COUNT = Rule(
    id="VHOST.CHAIN.TABLE_COUNT",
    sentence="All descriptors of an indirect table, at least one, lie within its length.",
    errno="EINVAL",
    source="drivers/vhost/vhost.c get_indirect",
)
NESTED = Rule(
    id="VHOST.CHAIN.NESTED",
    sentence="A descriptor in an indirect table is not indirect.",
    errno="EINVAL",
    source="drivers/vhost/vhost.c get_indirect",
)
READ_FIRST = Rule(
    id="VHOST.CHAIN.READ_FIRST",
    sentence="In a chain, what the device reads comes before what it writes.",
    errno="EINVAL",
    source="drivers/vhost/vhost.c vhost_get_vq_desc, get_indirect",
)

RULES = (TABLE_LENGTH, TABLE_SIZE, TABLE_COUNT, NESTED, READ_FIRST)


@dataclass(frozen=True)
class Buffers:
    """What a chain came to: host segments to read from, then host segments to write to."""

    readable: tuple[Segment, ...] = ()
    writable: tuple[Segment, ...] = ()


def event_of(device: Device, fault: Faulted, access: int, queue: int) -> tuple[Device, Event]:
    """What a queue does when a translation stops: it waits for a miss, or reports the error."""
    device = after_miss(device, fault, access, queue)
    if fault.rule is IN_IOTLB:
        return device, Missed(fault.at, access)
    return device, Broken(fault.rule, fault.at)


def with_descriptor(
    profile: Profile, device: Device, queue: int, one: Descriptor, buffers: Buffers
) -> tuple[Device, Buffers | Event]:
    """The buffers with those of one more descriptor that is not indirect."""
    access = WRITE if one.writable else READ
    room = MOST_SEGMENTS - len(buffers.readable) - len(buffers.writable)
    device, answer = translation(profile, device, one.addr, one.length, access, room)
    if isinstance(answer, Faulted):
        return event_of(device, answer, access, queue)
    if one.writable:
        return device, Buffers(buffers.readable, buffers.writable + answer.segments)
    if len(buffers.writable) > 0:
        return device, Broken(READ_FIRST)
    return device, Buffers(buffers.readable + answer.segments)


def with_table(
    profile: Profile, device: Device, queue: int, one: Descriptor, buffers: Buffers
) -> tuple[Device, Buffers | Event]:
    """The buffers with those of all descriptors of an indirect one's table."""
    assert one.table is not None
    if one.length % DESCRIPTOR_BYTES != 0:
        return device, Broken(TABLE_LENGTH)
    device, answer = translation(profile, device, one.addr, one.length, READ, MOST_SEGMENTS)
    if isinstance(answer, Faulted):
        return event_of(device, answer, READ, queue)
    if one.length // DESCRIPTOR_BYTES > U16_MAX + 1:
        return device, Broken(TABLE_SIZE)
    if one.length == 0:
        return device, Broken(TABLE_COUNT)
    for number, inner in enumerate(one.table):
        if number >= one.length // DESCRIPTOR_BYTES:
            return device, Broken(TABLE_COUNT)
        if inner.table is not None:
            return device, Broken(NESTED)
        device, after = with_descriptor(profile, device, queue, inner, buffers)
        if not isinstance(after, Buffers):
            return device, after
        buffers = after
    return device, buffers


def buffers_of(profile: Profile, device: Device, queue: int, chain: Chain) -> tuple[Device, Buffers | Event]:
    """A whole chain, or what the queue does where it stops."""
    buffers = Buffers()
    for one in chain:
        add = with_descriptor if one.table is None else with_table
        device, after = add(profile, device, queue, one, buffers)
        if not isinstance(after, Buffers):
            return device, after
        buffers = after
    return device, buffers


def bytes_in(segments: tuple[Segment, ...]) -> int:
    """How many bytes the segments have together."""
    return sum(segment.last - segment.first + 1 for segment in segments)


def first_bytes(segments: tuple[Segment, ...], length: int) -> tuple[Segment, ...]:
    """The segments of the first `length` bytes."""
    taken: list[Segment] = []
    for segment in segments:
        if length == 0:
            break
        size = min(length, segment.last - segment.first + 1)
        taken.append(Segment(segment.first, segment.first + size - 1, segment.host))
        length -= size
    return tuple(taken)
