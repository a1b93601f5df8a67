"""What is in the memory that packets are made of, so that a packet's bytes tell where they came from.

Each aligned four-byte word of the data backings has its own content. A target with real memory fills them so, and
reports a packet by its length and digest; the verdict computes both from the segments that the spec expects.
"""

from __future__ import annotations

from conformance import backings
from conformance.rings import FRAME_HEADER_BYTES, packet_header
from spec.outcome import Segment
from spec.units import PAGE_SIZE, U64

FNV_OFFSET, FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3
FRAME_HEADER = bytes(12) + b"\xff" * 6 + b"\x02\x00\x00\x00\x00\x01" + b"\x88\xb5"  # 0x88b5: an experiment's packet


def byte_at(host: int) -> int:
    """The byte at a host address, little endian within its word: 0x5a000000 + page (from A's first) + offset."""
    if packet_header() <= host < packet_header() + FRAME_HEADER_BYTES:
        return FRAME_HEADER[host - packet_header()]
    named = backings.name(host)
    if named is None or named[0] not in backings.DATA:
        raise ValueError(f"{host:#x} is not memory that packets are made of")
    backing, offset = named
    page = backings.DATA.index(backing) * backings.BACKING_PAGES + offset // PAGE_SIZE
    word = 0x5A000000 + page * PAGE_SIZE + offset % PAGE_SIZE // 4 * 4
    return word.to_bytes(4, "little")[offset % 4]


def bytes_of(segments: tuple[Segment, ...]) -> bytes:
    """The bytes of these segments, in order."""
    return bytes(byte_at(one.host + at) for one in segments for at in range(one.last - one.first + 1))


def digest(content: bytes) -> int:
    """FNV-1a, 64 bits."""
    value = FNV_OFFSET
    for byte in content:
        value = (value ^ byte) * FNV_PRIME % U64
    return value
