"""How entries can lie to each other: apart, beside, over each other, at the ends of the address space.

Each layout is a memory table's regions, or the updates of an IOTLB, in the order in which they are added. All data is
in the backings A and B; no two entries share host bytes, so that a packet tells by which it came.
"""

from __future__ import annotations

from dataclasses import dataclass

from conformance.backings import place
from spec.units import U64_MAX
from spec.vhost.mem_table import Region

BASE = 0x200000
TOP = 2**64


@dataclass(frozen=True)
class Layout:
    """Regions in the order of their addition, and what they show."""

    name: str
    regions: tuple[Region, ...]


def at(first: int, last: int, number: int, offset: int = 0) -> Region:
    """A region by its guest bytes; `number` chooses its host memory, `offset` the place in a page there."""
    return Region(first, last - first + 1, place("AB"[number % 2], 0x20000 * (1 + number // 2) + offset))


def low(*ranges: tuple[int, int]) -> tuple[Region, ...]:
    """Regions at BASE, by the distances of their first and last bytes from it."""
    return tuple(at(BASE + first, BASE + last, n, offset=n * 4) for n, (first, last) in enumerate(ranges))


def high(*ranges: tuple[int, int]) -> tuple[Region, ...]:
    """Regions at the end of the space, by the distances of their first and last bytes from 2^64."""
    return tuple(at(TOP - first, TOP - last, n, offset=n * 4) for n, (first, last) in enumerate(ranges))


def continued() -> tuple[Region, ...]:
    """Two regions that continue each other in host memory too: still two segments."""
    first = at(BASE, BASE + 0xFFF, 0)
    return (first, Region(BASE + 0x1000, 0x1000, first.hva + 0x1000))


SIMPLE = (
    Layout("one entry", low((0, 0xFFF))),
    Layout("an entry at no page's border", low((5, 0x7A3))),
    Layout("an entry of one byte", low((7, 7))),
    Layout("an entry at address 0", (at(0, 0xFFF, 0),)),
    Layout("two entries beside each other", low((0, 0x7FF), (0x800, 0xFFF))),
    Layout("two entries beside each other, the second added first", low((0x800, 0xFFF), (0, 0x7FF))),
    Layout("two entries that also continue in host memory", continued()),
    Layout("two entries with a byte between them", low((0, 0x7FE), (0x800, 0xFFF))),
    Layout("two entries far apart", low((0, 0xFFF), (0x40000, 0x40FFF))),
    Layout("three entries in a row", low((0, 0x3FF), (0x400, 0x400), (0x401, 0x7FF))),
    Layout(
        "four entries in a row, added last to first", low((0xC00, 0xFFF), (0x800, 0xBFF), (0x400, 0x7FF), (0, 0x3FF))
    ),
)

OVERLAPS = (
    Layout("an entry over the end of one before it", low((0, 0x7FF), (0x400, 0xBFF))),
    Layout("an entry over the end of one before it, added first", low((0x400, 0xBFF), (0, 0x7FF))),
    Layout("an entry inside another", low((0, 0xFFF), (0x400, 0x7FF))),
    Layout("an entry inside another, added first", low((0x400, 0x7FF), (0, 0xFFF))),
    Layout("two entries of one start, the shorter first", low((0, 0x3FF), (0, 0xFFF))),
    Layout("two entries of one start, the longer first", low((0, 0xFFF), (0, 0x3FF))),
    Layout("two entries of one end", low((0, 0xFFF), (0x400, 0xFFF))),
    Layout("two entries of one end, the shorter first", low((0x400, 0xFFF), (0, 0xFFF))),
    Layout("the same range twice", low((0, 0xFFF), (0, 0xFFF))),
    Layout("the same range three times", low((0x10, 0x10F), (0x10, 0x10F), (0x10, 0x10F))),
    Layout("entries that share one byte", low((0, 0x400), (0x400, 0x7FF))),
    Layout("entries nested three deep", low((0x500, 0x5FF), (0x400, 0xBFF), (0, 0xFFF))),
    Layout("a chain of overlaps", low((0, 0x4FF), (0x400, 0x8FF), (0x800, 0xCFF))),
    Layout("a chain of overlaps, last to first", low((0x800, 0xCFF), (0x400, 0x8FF), (0, 0x4FF))),
    Layout("two short entries over a long one", low((0, 0xFFF), (0x100, 0x1FF), (0x800, 0x8FF))),
)

ENDS = (
    Layout("the last byte of the space", high((1, 1))),
    Layout("an entry up to the last byte", high((0x1000, 1))),
    Layout("an entry up to the byte before the last", high((0x1000, 2))),
    Layout("two entries at the end of the space", high((0x2000, 0x1001), (0x1000, 1))),
    Layout("two entries at the end of the space, the last first", high((0x1000, 1), (0x2000, 0x1001))),
    Layout("three entries at the end of the space", high((0x300, 0x201), (0x200, 0x101), (0x100, 1))),
    Layout("overlapping entries at the end of the space", high((0x800, 1), (0x400, 1))),
    Layout("entries at both ends of the space", (at(TOP - 0x800, U64_MAX, 0), at(0, 0x7FF, 1))),
    Layout("entries on both sides of 2^63", (at(2**63 - 0x800, 2**63 - 1, 0), at(2**63, 2**63 + 0x7FF, 1))),
    Layout("entries on both sides of 2^32", (at(2**32 - 0x800, 2**32 - 1, 0), at(2**32, 2**32 + 0x7FF, 1))),
)

LAYOUTS = (*SIMPLE, *OVERLAPS, *ENDS)


def points(layout: Layout) -> list[int]:
    """The ends of all entries, and the byte to either side of them."""
    near = {
        address
        for region in layout.regions
        for end in (region.gpa, region.gpa + region.size - 1)
        for address in (end - 1, end, end + 1)
    }
    return sorted(address for address in near if 0 <= address < TOP)
