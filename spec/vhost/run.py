"""A queue's run: what the device does when it is kicked, or woken, or a packet comes.

First it looks up the whole ring, so that nothing is begun that cannot be reported. Then it takes chains until none is
left, or one cannot be had. A chain that waits for a miss, or that is in error, stays: the next run finds it.
"""

from __future__ import annotations

from dataclasses import replace

from spec.outcome import Blocked, Broken, Discarded, Event, Faulted, Ran, Received, Sent, Translated
from spec.pages import NO_PAGES, Pages
from spec.profile import Profile
from spec.rule import Rule
from spec.vhost.address_map import READ, WRITE
from spec.vhost.chain import Buffers, buffers_of, bytes_in, event_of, first_bytes
from spec.vhost.device import RECEIVE, Device, Queue, with_queue
from spec.vhost.dirty_log import (
    USED_FLAGS,
    USED_INDEX,
    marked_by_packet,
    marked_by_ring,
    union,
    used_element,
)
from spec.vhost.translate import IN_IOTLB, MOST_RING_SEGMENTS, translation

WHOLE_FIELD = Rule(
    id="VHOST.RING.WHOLE_FIELD",
    sentence="A two-byte field of a ring lies in a single entry of the IOTLB, so that it is read and written at once.",
    errno="EFAULT",
    source="drivers/vhost/vhost.c __vhost_get_user_slow",
)
SENDS = Rule(
    id="VHOST.CHAIN.SENDS",
    sentence="A chain of the transmit queue has bytes for the device to read, and none to write.",
    errno="EFAULT",
    source="drivers/vhost/net.c get_tx_bufs; kernels take the chain and never report it",
)
RECEIVES = Rule(
    id="VHOST.CHAIN.RECEIVES",
    sentence="A chain of the receive queue has bytes for the device to write, and none to read.",
    errno="EINVAL",
    source="drivers/vhost/net.c get_rx_bufs; kernels take the chain and never report it",
)

RULES = (WHOLE_FIELD, SENDS, RECEIVES)


def ring_looked_up(profile: Profile, device: Device, number: int) -> tuple[Device, Event | None]:
    """Look up all bytes of a ring. The first missing one is asked for; one that is not permitted blocks the queue."""
    if device.iotlb is None:
        return device, None
    for address, size, access in device.queues[number].parts():
        device, answer = translation(profile, device, address, size, access, room=size)
        if isinstance(answer, Faulted) and answer.rule is IN_IOTLB:
            return event_of(device, answer, access, number)
        if isinstance(answer, Faulted):
            return device, Blocked()
    return device, None


Fields = tuple[tuple[int, int], ...]  # two-byte fields of a ring, as (address, access)


def flags_field(queue: Queue) -> Fields:
    """The field in which the device tells the driver whether to kick."""
    return ((queue.used + USED_FLAGS[0], WRITE),)


def next_fields(queue: Queue) -> Fields:
    """The fields that the device needs next: how many chains there are and, if one waits, which it is and where its
    being used is counted.
    """
    how_many = (queue.avail + 2, READ)
    if len(queue.chains) == 0:
        return (how_many,)
    return (how_many, (queue.avail + 4 + 2 * (queue.done % queue.size), READ), (queue.used + USED_INDEX[0], WRITE))


def field_in_pieces(profile: Profile, device: Device, fields: Fields) -> int | None:
    """The address of the first of these fields that does not lie in a single entry, or None."""
    if device.iotlb is None:
        return None
    for address, access in fields:
        answer = translation(profile, device, address, 2, access, MOST_RING_SEGMENTS)[1]
        if isinstance(answer, Translated) and len(answer.segments) > 1:
            return address
    return None


def hushed(profile: Profile, device: Device, number: int) -> tuple[Device, Pages]:
    """The device tells the driver, in the used ring, not to kick, unless it has told it already."""
    queue = device.queues[number]
    if queue.quiet:
        return device, NO_PAGES
    return with_queue(device, number, replace(queue, quiet=True)), marked_by_ring(profile, device, queue, *USED_FLAGS)


def unhushed(profile: Profile, device: Device, number: int) -> tuple[Device, Pages]:
    """The device has taken all chains and tells the driver to kick again."""
    queue = device.queues[number]
    return with_queue(device, number, replace(queue, quiet=False)), marked_by_ring(profile, device, queue, *USED_FLAGS)


def reported(profile: Profile, device: Device, number: int) -> tuple[Device, Pages]:
    """The queue's first chain is taken and reported as used: an element and the index of the used ring are written."""
    queue = device.queues[number]
    marked = union(
        marked_by_ring(profile, device, queue, *used_element(queue)),
        marked_by_ring(profile, device, queue, *USED_INDEX),
    )
    after = replace(queue, chains=queue.chains[1:], done=queue.done + 1)
    return with_queue(device, number, after), marked


def without_packet(device: Device) -> Device:
    """The device without the packet that came first."""
    queue = device.queues[RECEIVE]
    return with_queue(device, RECEIVE, replace(queue, packets=queue.packets[1:]))


def send_one(profile: Profile, device: Device, number: int) -> tuple[Device, Event, Pages]:
    """Take the first chain of the transmit queue and send its bytes."""
    device, buffers = buffers_of(profile, device, number, device.queues[number].chains[0])
    if not isinstance(buffers, Buffers):
        return device, buffers, NO_PAGES
    if len(buffers.writable) > 0 or len(buffers.readable) == 0:
        return device, Broken(SENDS), NO_PAGES
    device, marked = reported(profile, device, number)
    return device, Sent(buffers.readable), marked


def receive_one(profile: Profile, device: Device, number: int) -> tuple[Device, Event, Pages]:
    """Take the first chain of the receive queue and write the first packet into it."""
    queue = device.queues[number]
    device, buffers = buffers_of(profile, device, number, queue.chains[0])
    if not isinstance(buffers, Buffers):
        return device, buffers, NO_PAGES
    if len(buffers.readable) > 0 or len(buffers.writable) == 0:
        return device, Broken(RECEIVES), NO_PAGES
    device = without_packet(device)
    length = queue.packets[0]
    if length > bytes_in(buffers.writable):
        return device, Discarded(), NO_PAGES
    written = first_bytes(buffers.writable, length)
    device, marked = reported(profile, device, number)
    return device, Received(written), union(marked, marked_by_packet(device, written))


def run_queue(profile: Profile, device: Device, number: int) -> tuple[Device, Ran]:
    """One run of a queue, to its end."""
    queue = device.queues[number]
    if not queue.attached or queue.has_no_ring():
        return device, Ran((), NO_PAGES)
    device, trouble = ring_looked_up(profile, device, number)
    if trouble is not None:
        return device, Ran((trouble,), NO_PAGES)
    address = field_in_pieces(profile, device, flags_field(queue))
    if address is not None:
        return device, Ran((Broken(WHOLE_FIELD, address),), NO_PAGES)
    device, marked = hushed(profile, device, number)
    if number == RECEIVE:
        device = with_queue(device, number, replace(device.queues[number], listening=False))
    events: list[Event] = []
    while True:
        queue = device.queues[number]
        if number == RECEIVE and len(queue.packets) == 0:
            device = with_queue(device, number, replace(queue, listening=True))
            break
        address = field_in_pieces(profile, device, next_fields(queue))
        if address is not None:
            events.append(Broken(WHOLE_FIELD, address))
            break
        if len(queue.chains) == 0:
            device, more = unhushed(profile, device, number)
            marked = union(marked, more)
            break
        take = receive_one if number == RECEIVE else send_one
        device, event, more = take(profile, device, number)
        marked = union(marked, more)
        events.append(event)
        if not isinstance(event, Sent | Received | Discarded):
            break
    return device, Ran(tuple(events), marked)


def run_queues(profile: Profile, device: Device, numbers: tuple[int, ...]) -> tuple[Device, Ran]:
    """Runs of several queues, one after the other."""
    events: tuple[Event, ...] = ()
    marked = NO_PAGES
    for number in numbers:
        device, ran = run_queue(profile, device, number)
        events, marked = events + ran.events, union(marked, ran.marked)
    return device, Ran(events, marked)
