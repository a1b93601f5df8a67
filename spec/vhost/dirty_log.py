"""The dirty log of a vhost device: which guest pages its writes mark.

Marked are the pages that hold a byte which was written, and no other. Without an IOTLB the device knows the guest
address that it wrote to. With one it knows only the host address; every region of the memory table that maps a written
host byte has its page marked. The used ring is logged when its addresses were given with a log address.
"""

from __future__ import annotations

from spec.outcome import Segment, Translated
from spec.pages import NO_PAGES, Pages, pages_in
from spec.profile import Profile
from spec.sets import gathered
from spec.units import page_of
from spec.vhost.address_map import WRITE, Entry
from spec.vhost.device import NO_LOG, Device, Queue
from spec.vhost.translate import MOST_RING_SEGMENTS, translation

USED_FLAGS = (0, 2)  # parts of a used ring: offset and length in bytes
USED_INDEX = (2, 2)


def used_element(queue: Queue) -> tuple[int, int]:
    """The element of the used ring that is written next, as offset and length in bytes."""
    return 4 + 8 * (queue.done % queue.size), 8


def pages_of(address: int, length: int) -> Pages:
    """The guest pages that hold `length` (at least 1) bytes from an address on."""
    return pages_in(((page_of(address), page_of(address + length - 1)),))


def union(one: Pages, other: Pages) -> Pages:
    """All pages of both sets."""
    return pages_in(one.ranges + other.ranges)


def pages_through(entry: Entry, segment: Segment) -> Pages:
    """The guest pages that an entry has for the host bytes of this segment; none where it maps none of them."""
    first = max(entry.host, segment.host)
    last = min(entry.host + entry.last - entry.first, segment.host + segment.last - segment.first)
    if last < first:
        return NO_PAGES
    return pages_of(entry.first + first - entry.host, last - first + 1)


def pages_mapped_to(device: Device, segment: Segment) -> Pages:
    """The guest pages of all regions of the memory table that map a host byte of this segment."""
    assert device.table is not None  # a queue that runs has a backend, and that needs a table
    found: Pages = gathered(device.table.entries, lambda entry: pages_through(entry, segment))
    return found


def marked_by(device: Device, segments: tuple[Segment, ...]) -> Pages:
    """The guest pages that a write to these segments marks."""
    found = NO_PAGES
    for segment in segments:
        if device.iotlb is None:
            found = union(found, pages_of(segment.first, segment.last - segment.first + 1))
        else:
            found = union(found, pages_mapped_to(device, segment))
    return found


def marked_by_packet(device: Device, segments: tuple[Segment, ...]) -> Pages:
    """The guest pages that a received packet marks."""
    if not device.logs_all() or device.log_base is None:
        return NO_PAGES
    return marked_by(device, segments)


def marked_by_ring(profile: Profile, device: Device, queue: Queue, offset: int, length: int) -> Pages:
    """The guest pages that a write to a part of the used ring marks."""
    if queue.log == NO_LOG or device.log_base is None:
        return NO_PAGES
    if device.iotlb is None:
        return pages_of(queue.log + offset, length)
    answer = translation(profile, device, queue.used + offset, length, WRITE, MOST_RING_SEGMENTS)[1]
    return marked_by(device, answer.segments) if isinstance(answer, Translated) else NO_PAGES
