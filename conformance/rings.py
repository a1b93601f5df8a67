"""Where vectors keep what is not packet data: rings, packet headers, indirect tables and dirty logs.

Backing R holds, for each queue, the three parts of its ring and room for indirect tables, and one packet header. In
IOTLB mode a vector maps the ring's I/O virtual addresses to these places: a target with real memory writes
descriptors there. Backing L holds the dirty log. The data backings (A to D) hold the bytes that packets are made of.
"""

from __future__ import annotations

from conformance.backings import place
from spec.vhost.device import HEADER_BYTES

LARGEST_RING = 2048  # descriptors, of a ring in a vector
QUEUE_ROOM = 0x40000  # bytes of backing R for each queue
DESC, AVAIL, USED, TABLES = 0, 0x10000, 0x18000, 0x20000  # places within it
FRAME_HEADER_BYTES = HEADER_BYTES + 14  # the header and an Ethernet header: a whole packet by itself


def desc_of(queue: int) -> int:
    """The host address of a queue's descriptors."""
    return place("R", queue * QUEUE_ROOM + DESC)


def avail_of(queue: int) -> int:
    """The host address of a queue's available ring."""
    return place("R", queue * QUEUE_ROOM + AVAIL)


def used_of(queue: int) -> int:
    """The host address of a queue's used ring."""
    return place("R", queue * QUEUE_ROOM + USED)


def table_of(queue: int, number: int) -> int:
    """The host address of one of a queue's places (4 KiB each, 32 of them) for indirect tables."""
    return place("R", queue * QUEUE_ROOM + TABLES + number * 0x1000)


def packet_header() -> int:
    """The host address of FRAME_HEADER_BYTES bytes that begin a packet: nothing to offload, to everybody."""
    return place("R", 0xF0000)


def dirty_log() -> int:
    """The host address of the dirty log: its 1 MiB has the bits of the guest pages below 2^35."""
    return place("L", 0)
