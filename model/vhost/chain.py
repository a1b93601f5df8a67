"""How a queue takes a chain: descriptor by descriptor, into one row of segments.

Facts: drivers/vhost/vhost.c vhost_get_vq_desc, get_indirect.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from model.vhost.device import KernelDevice
from spec.outcome import Broken, Event, Faulted, Segment
from spec.units import U16_MAX
from spec.vhost.address_map import READ, WRITE
from spec.vhost.chain import DESCRIPTOR_BYTES, NESTED, READ_FIRST, TABLE_COUNT, TABLE_LENGTH, TABLE_SIZE
from spec.vhost.device import Chain, Descriptor
from spec.vhost.translate import MOST_SEGMENTS


@dataclass
class Taken:
    """A chain as far as it was taken: segments to read from, then segments to write to.

    `log` has the guest address and the length of each buffer that may be written.
    """

    out: list[Segment] = field(default_factory=list)
    into: list[Segment] = field(default_factory=list)
    log: list[tuple[int, int]] = field(default_factory=list)


def get_chain(device: KernelDevice, number: int, chain: Chain) -> Taken | Event:
    """A whole chain, or what the queue does where it stops."""
    taken = Taken()
    for one in chain:
        get = get_direct if one.table is None else get_indirect
        event = get(device, number, one, taken)
        if event is not None:
            return event
    return taken


def get_direct(device: KernelDevice, number: int, one: Descriptor, taken: Taken) -> Event | None:
    """Append a descriptor's segments, in the room that is left."""
    access = WRITE if one.writable else READ
    room = MOST_SEGMENTS - len(taken.out) - len(taken.into)
    answer = device.translate(one.addr, one.length, access, room)
    if isinstance(answer, Faulted):
        return device.event_of(number, answer, access)
    if one.writable:
        taken.into += answer.segments
        taken.log.append((one.addr, one.length))
        return None
    if taken.into:
        return Broken(READ_FIRST)
    taken.out += answer.segments
    return None


def get_indirect(device: KernelDevice, number: int, one: Descriptor, taken: Taken) -> Event | None:
    """Translate the table, in room of its own, and append the segments of its descriptors."""
    assert one.table is not None
    if one.length % DESCRIPTOR_BYTES != 0:
        return Broken(TABLE_LENGTH)
    answer = device.translate(one.addr, one.length, READ, MOST_SEGMENTS)
    if isinstance(answer, Faulted):
        return device.event_of(number, answer, READ)
    count = one.length // DESCRIPTOR_BYTES
    if count > U16_MAX + 1:
        return Broken(TABLE_SIZE)
    if count == 0:  # the first is looked for before anything says that there is one
        return Broken(TABLE_COUNT)
    for found, inner in enumerate(one.table, 1):
        if found > count:
            return Broken(TABLE_COUNT)
        if inner.table is not None:
            return Broken(NESTED)
        event = get_direct(device, number, inner, taken)
        if event is not None:
            return event
    return None
