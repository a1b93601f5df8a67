"""The dirty log: each page that holds a written byte is marked, and no other, with and without an IOTLB.

Of tables of any number of regions, which may overlap, and of writes of any number of segments: what is marked for one
more segment is proved on top of any pages that were marked before. `LOG.PAGES`, `LOG.REGION` and `LOG.ROUNDS` say that
the loops of the model, page by page and region by region, mark what the specification says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import model.vhost.log as loops
import spec.vhost.dirty_log
from model.vhost.iotlb import Map, entry_of
from proofs.rounds import AfterOneRound, after_one_round
from proofs.symbolic.boolean import SymBool, all_of, any_of, implies, merged
from proofs.symbolic.explorer import is_exploring, truth
from proofs.symbolic.pages import SymPages, holds_page
from proofs.theorem import Bug, Patch, Theorem, patched
from proofs.world import World
from proofs.world_vhost import ENTRY_SHAPE, any_device
from spec.outcome import Segment
from spec.pages import Pages
from spec.sets import every, some
from spec.units import PAGE_SIZE, U64_MAX, page_of
from spec.vhost.address_map import Entry
from spec.vhost.device import Device
from spec.vhost.dirty_log import marked_by, pages_through

LOG = spec.vhost.dirty_log
UNION = LOG.union
LAST_PAGE = page_of(U64_MAX)

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def a_write(world: World) -> dict[str, Any]:
    """Any device, the pages that are marked already, one segment of a write, and a page."""
    return {
        "device": any_device(world),
        "marked": world.pages("marked"),
        "segment": Segment(*(world.integer(f"segment.{name}", 0, U64_MAX) for name in ("first", "last", "host"))),
        "page": world.integer("page", 0, LAST_PAGE),
    }


def a_written_byte(world: World) -> dict[str, Any]:
    """A segment of a write, one byte of it, and something that may be a region of the table."""
    device = any_device(world)
    region = world.record("region", ENTRY_SHAPE)
    return {**a_write(world), "device": device, "region": region, "byte": world.integer("byte", 0, U64_MAX)}


def some_pages(world: World) -> dict[str, Any]:
    """A run of guest bytes; how far marking has come, if it has begun; and a page."""
    return {
        "address": world.integer("address", 0, U64_MAX),
        "length": world.integer("length", 0, U64_MAX),
        "begun": world.boolean("begun"),
        "next_page": world.integer("next_page", 0, LAST_PAGE + 1),
        "left": world.integer("left", -PAGE_SIZE, U64_MAX + PAGE_SIZE),
        "page": world.integer("page", 0, LAST_PAGE + 1),
    }


def a_region(world: World) -> dict[str, Any]:
    """A region, a run of host bytes, the shortest piece of the regions before it, and a page."""
    return {
        "region": world.record("region", ENTRY_SHAPE),
        "hva": world.integer("hva", 0, U64_MAX),
        "length": world.integer("length", 1, U64_MAX),
        "shortest": world.integer("shortest", 1, U64_MAX),
        "page": world.integer("page", 0, LAST_PAGE + 1),
    }


def host_bytes(world: World) -> dict[str, Any]:
    """A run of host bytes, and the shortest piece of it that a region has, or one that none has."""
    return {
        "hva": world.integer("hva", 0, U64_MAX),
        "length": world.integer("length", 0, U64_MAX),
        "piece": world.integer("piece", 1, U64_MAX),
    }


def is_a_write(device: Device, segment: Segment, **rest: Any) -> Any:
    """The segment has a byte. A device with an IOTLB was given a memory table, whose regions have bytes."""
    if device.iotlb is None:
        return segment.first <= segment.last
    if device.table is None:
        return False
    return all_of(segment.first <= segment.last, every(device.table.entries, lambda one: one.first <= one.last))


def is_a_byte_of_the_write(device: Device, segment: Segment, region: Entry, byte: int, **rest: Any) -> Any:
    """The byte is written; with an IOTLB, the region is one of the table and maps the host byte."""
    sane = is_a_write(device=device, segment=segment)
    if device.iotlb is None or device.table is None:
        return all_of(sane, device.iotlb is None, segment.first <= byte, byte <= segment.last)
    host = region.host + byte - region.first
    return all_of(
        sane,
        region.first <= byte,
        byte <= region.last,
        segment.host <= host,
        host <= segment.host + segment.last - segment.first,
        some(device.table.entries, lambda one: are_the_same_place(one, region)),
    )


def are_the_same_place(one: Entry, other: Entry) -> Any:
    """Two regions have the same guest and host bytes."""
    return all_of(one.first == other.first, one.last == other.last, one.host == other.host)


def has_marked_so_far(address: int, length: int, begun: Any, next_page: int, left: int, **rest: Any) -> Any:
    """The run ends at the last address or before. Whole pages were marked so far, and what is left is behind them."""
    so_far = all_of(
        next_page > page_of(address),
        left == address + length - next_page * PAGE_SIZE,
        left > -PAGE_SIZE,
        length > 0,
    )
    return all_of(address + length <= U64_MAX + 1, implies(begun, so_far))


def is_walked(region: Entry, length: int, shortest: int, **rest: Any) -> Any:
    """The region has bytes, and the shortest piece is one of the run."""
    return all_of(region.first <= region.last, shortest <= length)


def is_a_piece(length: int, piece: int, **rest: Any) -> Any:
    """The piece is one of the run, which has bytes."""
    return all_of(piece <= length)


# RUNNING THE MODEL -----------------------------------------------------------------------------------------------


class Noted:
    """Stands in for the model's marks: it notes which pages were marked, one by one or as runs."""

    def __init__(self) -> None:
        self.runs: list[tuple[Any, Any]] = []

    def set_bit(self, page: Any) -> None:
        self.runs.append((page, page))

    def note(self, address: Any, length: Any) -> None:
        """The pages of a run of bytes."""
        self.runs.append((page_of(address), page_of(address + length - 1)))

    def has(self, page: Any) -> Any:
        return any_of(False, *(all_of(first <= page, page <= last) for first, last in self.runs))


def note_write(marks: Any, address: Any, length: Any) -> None:
    """What `LOG.PAGES` says of `log_write`."""
    if length > 0:
        marks.note(address, length)


def map_of(region: Entry) -> Map:
    """The region as the model has it."""
    return Map(region.first, region.last, region.host, region.perm, region.born)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def either(one: Any, other: Any) -> Any:
    """All pages of both sets, arbitrary or plain."""
    if not is_exploring():
        return UNION(one, other)
    return SymPages(lambda asked: truth(any_of(SymBool(holds_page(one, asked)), SymBool(holds_page(other, asked)))))


def marked_after(device: Device, marked: Any, segment: Segment) -> Any:
    """The pages that are marked after one more segment: `marked` were when it was looked at."""
    with patched((Patch(LOG, "NO_PAGES", marked), Patch(LOG, "union", either))):
        return either(marked_by(device, (segment,)), marked)


def marks_are_exact(device: Device, marked: Any, segment: Segment, page: int) -> Any:
    """A page is marked exactly if it was, or a byte of it was written; with an IOTLB: if a region of the table has a
    byte of it at a host byte that was written.
    """
    after = marked_after(device, marked, segment)
    start, end = page * PAGE_SIZE, page * PAGE_SIZE + PAGE_SIZE - 1
    if device.iotlb is None or device.table is None:
        is_written = all_of(segment.first <= end, start <= segment.last)
    else:
        is_written = some(device.table.entries, lambda region: shares_a_byte(region, segment, start, end))
    return after.contains(page) == any_of(marked.contains(page), is_written)


def shares_a_byte(region: Entry, segment: Segment, start: int, end: int) -> Any:
    """Whether a guest byte of start..end is one of the region and lives at a host byte of the segment."""
    first = segment.host - region.host + region.first  # the guest byte of the segment's first host byte
    lows = (start, region.first, first)
    highs = (end, region.last, first + segment.last - segment.first)
    return all_of(*(low <= high for low in lows for high in highs))


def its_page_is_marked(device: Device, marked: Any, segment: Segment, page: int, region: Entry, byte: int) -> Any:
    """The page of the byte is marked."""
    return marked_after(device, marked, segment).contains(page_of(byte))


def pages_are_marked(address: int, length: int, begun: Any, next_page: int, left: int, page: int) -> Any:
    """At its end the pages of the run are marked and no other; else those before the next, and less is left."""
    marks: Any = Noted()
    had = None
    if begun:
        marks.runs.append((page_of(address), next_page - 1))
        had = (next_page, left)
    after: AfterOneRound = after_one_round(loops, "mark_page", lambda: loops.log_write(marks, address, length), had)
    if after.asked_next is None:
        return marks.has(page) == all_of(length > 0, page_of(address) <= page, page <= page_of(address + length - 1))
    _, then, left_then = after.asked_next
    before = left if begun else length + address % PAGE_SIZE
    return all_of(
        then > page_of(address),
        left_then == address + length - then * PAGE_SIZE,
        left_then > 0,
        left_then < before,
        marks.has(page) == all_of(page_of(address) <= page, page < then),
    )


def region_is_marked(region: Entry, hva: int, length: int, shortest: int, page: int) -> Any:
    """What a region has of the run is marked, as the specification says; what goes on is shorter, and not nothing."""
    marks: Any = Noted()
    with patched((Patch(loops, "log_write", note_write),)):
        shorter = loops.mark_region(marks, map_of(region), hva, length, shortest)
    wanted: Pages = pages_through(entry_of(map_of(region)), Segment(0, length - 1, hva))
    return all_of(marks.has(page) == merged(Pages.contains)(wanted, page), shorter >= 1, shorter <= shortest)


class OneRegion:
    """Stands in for a table: one region stands for all."""

    def in_list(self) -> Any:
        return iter(("a region",))


def rest_is_looked_at(hva: int, length: int, piece: int) -> Any:
    """A round is about all that is left, and each leaves less: the end of the run. So the first marks all there is."""
    asked: list[tuple[Any, Any]] = []

    def mark_region(marks: Any, region: Any, hva: Any, length: Any, shortest: Any) -> Any:
        if asked:
            asked.append((hva, length))
            raise StopIteration
        asked.append((hva, length))
        return piece

    with patched((Patch(loops, "mark_region", mark_region),)):
        try:
            loops.log_write_hva(loops.Marks(), OneRegion(), hva, length)  # type: ignore[arg-type]
        except StopIteration:
            (first, whole), (start, rest) = asked
            is_the_rest = all_of(start + rest == hva + length, rest > 0, rest < length)
            return all_of(first == hva, whole == length, is_the_rest)
    if not asked:
        return length == 0
    [(first, whole)] = asked
    return all_of(first == hva, whole == length, piece == length)


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def pages_of_the_first_byte(address: int, length: int) -> Pages:
    """Only the page where the write begins."""
    return Pages(((address // PAGE_SIZE, address // PAGE_SIZE),))


def all_of_the_region(entry: Entry, segment: Segment) -> Pages:
    """A region that maps a written byte has all its pages marked."""
    through = pages_through(entry, segment)
    return LOG.pages_of(entry.first, entry.last - entry.first + 1) if len(through.ranges) > 0 else through


def a_page_at_most(marks: Any, page: int, left: int) -> tuple[int, int]:
    """What goes on from the last byte of a page is left out."""
    marks.set_bit(page)
    return page + 1, left - PAGE_SIZE - 1


def from_its_start(marks: Any, region: Map, hva: int, length: int, shortest: int) -> int:
    """Where in the region the run begins is forgotten."""
    moved = Map(region.first, region.last, region.host, region.perm, region.born)
    moved.first = region.first - max(region.host, hva) + region.host
    return MARK_REGION(marks, moved, hva, length, shortest)


def goes_on_by_a_page(marks: Any, umem: Any, hva: int, length: int) -> None:
    """Each round goes on by a page, whatever was found."""
    while length > 0:
        for region in umem.in_list():
            loops.mark_region(marks, region, hva, length, length)
        length -= PAGE_SIZE
        hva += PAGE_SIZE


MARK_REGION = loops.mark_region

# THEOREMS --------------------------------------------------------------------------------------------------------


def about(
    suffix: str,
    sentence: str,
    inputs: Callable[[World], dict[str, Any]],
    given: Callable[..., Any],
    holds: Callable[..., Any],
    bug: Bug,
    operations: tuple[str, ...] = ("transmit", "packet", "kick"),
) -> Theorem:
    return Theorem(f"LOG.{suffix}", sentence, (), operations, "dirty log", inputs, given, holds, bug)


THEOREMS = (
    about(
        "EXACT",
        "Without an IOTLB a write marks exactly the pages that hold a byte of it; with one, exactly those that hold a "
        "byte which some region of the memory table has at a written host byte.",
        a_write,
        is_a_write,
        marks_are_exact,
        Bug("a region that is touched is marked as a whole", (Patch(LOG, "pages_through", all_of_the_region),)),
    ),
    about(
        "WRITTEN",
        "The page of each written byte is marked; with an IOTLB, the page of each byte that any region has there.",
        a_written_byte,
        is_a_byte_of_the_write,
        its_page_is_marked,
        Bug("only the page of a segment's first byte is marked", (Patch(LOG, "pages_of", pages_of_the_first_byte),)),
    ),
    about(
        "PAGES",
        "The model's loop over the pages of a run of bytes ends, and then has marked each of them and no other.",
        some_pages,
        has_marked_so_far,
        pages_are_marked,
        Bug("what goes on from the last byte of a page is left out", (Patch(loops, "mark_page", a_page_at_most),)),
    ),
    about(
        "REGION",
        "For each region that it walks past, the model marks the pages that the specification says, and the piece by "
        "which it goes on has a byte and is no longer than before.",
        a_region,
        is_walked,
        region_is_marked,
        Bug("where in the region the run begins is forgotten", (Patch(loops, "mark_region", from_its_start),)),
    ),
    about(
        "ROUNDS",
        "The model's first round is about all host bytes of a write, each later one about fewer, at the end of them. "
        "So the walk ends, and marks nothing that the first round has not marked.",
        host_bytes,
        is_a_piece,
        rest_is_looked_at,
        Bug("each round goes on by a page", (Patch(loops, "log_write_hva", goes_on_by_a_page),)),
    ),
)
