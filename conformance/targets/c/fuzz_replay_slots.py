"""The fuzzer's operations on slots, done on the spec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.targets.c.fuzz_replay import Leave, Told, expect
from spec.memslots.access import GuestWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_log import bitmap_bytes
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import FindSlot, HvaRange, Lookup, Observe
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import EMPTY_VM, id_of, space_of
from spec.outcome import DirtyPages, GuestRanges, Located, Outcome, Rejected, Segment, SlotView, Written
from spec.outcome import Slots as SlotsSeen
from spec.pages import Pages, pages_in
from spec.profile import Profile
from spec.step import step
from spec.units import PAGE_SIZE, U64_MAX

LARGEST_LOG = 2**23  # pages: the fuzzer sets bits up to this one
STOPPED = 77  # what the fuzzer's callback returns at the piece where it stops
MOST_RUNS = 70  # of dirty pages, that are told of a slot


def error_of(outcome: Outcome) -> str | None:
    return outcome.rule.errno if isinstance(outcome, Rejected) else None


class Slots:
    """A VM of the spec that follows the fuzzer's map."""

    def __init__(self, fields: dict[str, int]) -> None:
        last = fields["last_gfn"]
        self.profile = Profile(
            user_slots=fields["user_slots"],
            address_spaces=fields["address_spaces"],
            user_limit=fields["user_limit"],
            max_gfn=None if last == U64_MAX else last,
            dirty_ring=bool(fields["dirty_ring"]),
            smallest_dirty_ring=fields["smallest_dirty_ring"],
        )
        self.vm: Any = EMPTY_VM
        self.handlers: dict[str, Callable[[Told], object]] = {
            "set_region": self.set_region,
            "create_guest_memfd": lambda told: self.same_error(told, CreateGuestMemfd(size=PAGE_SIZE, **calling(told))),
            "get_dirty_log": self.get_dirty_log,
            "clear_dirty_log": self.clear_dirty_log,
            "enable_manual_protect": self.enable_manual_protect,
            "enable_dirty_ring": lambda told: self.same_error(
                told, EnableDirtyRing(size=told.fields["option"], **calling(told))
            ),
            "access": self.access,
            "lookup": self.lookup,
            "find_slot": lambda told: self.same_error(told, FindSlot(told.fields["slot"])),
            "slots": self.observe,
            "observe": self.observe,
            "end": self.observe,
            "hva_range": self.hva_range,
            "next_dirty": self.next_dirty,
        }

    def do(self, told: Told) -> None:
        if told.name in ("begin", "commit", "abort") and told.answer == 0:
            raise Leave
        handler = self.handlers.get(told.name)
        if handler is not None:
            handler(told)

    def step(self, request: Any) -> Outcome:
        self.vm, outcome = step(self.profile, self.vm, request)
        return outcome

    def same_error(self, told: Told, request: Any) -> Outcome:
        outcome = self.step(request)
        expect(told, "error", error_of(outcome), told.error)
        return outcome

    # Calls.

    def set_region(self, told: Told) -> None:
        fields: dict[str, Any] = dict(told.fields)
        version = fields.pop("version")
        if told.answer is None or version not in (1, 2):  # more memory than the fuzzer has, or no call of the spec
            return
        self.same_error(told, SetRegion(version=version, **fields, **calling(told)))

    def get_dirty_log(self, told: Told) -> None:
        request = GetDirtyLog(slot=told.fields["slot"], buffer_ok="no_buffer" not in told.manners, **calling(told))
        outcome = self.same_error(told, request)
        if isinstance(outcome, DirtyPages):
            words = [(one["at"] * 64, one["is"]) for one in told.all_of("word")]
            pages = [(base + bit, base + bit) for base, word in words for bit in range(64) if word >> bit & 1]
            expect(told, "pages", outcome.pages, pages_in(tuple(pages)))

    def clear_dirty_log(self, told: Told) -> None:
        first, last, count = told.fields["first"], told.fields["last"], told.fields["num_pages"]
        last = min(last, bitmap_bytes(min(count, LARGEST_LOG)) * 8 - 1)
        request = ClearDirtyLog(
            slot=told.fields["slot"],
            first_page=told.fields["first_page"],
            num_pages=count,
            cleared=Pages(((first, last),) if first <= last else ()),
            buffer_ok="no_buffer" not in told.manners,
            **calling(told),
        )
        self.same_error(told, request)

    def enable_manual_protect(self, told: Told) -> None:
        fields = told.fields
        self.same_error(told, EnableManualProtect(options=fields["option"], flags=fields["flags"], **calling(told)))

    # Accesses and questions.

    def access(self, told: Told) -> None:
        gpa, length, write = told.fields["gpa"], told.fields["length"], bool(told.fields["write"])
        pieces = [Segment(one["first"], one["last"], one["host"]) for one in told.all_of("segment")]
        if told.answer == STOPPED:  # the callback refused the last one: it was found, and not marked
            pieces.pop()
        done = sum(one.last - one.first + 1 for one in pieces)
        if write:
            # Where it stops is told by one byte more; the length may be 2^64 bytes.
            wanted = done if told.answer in (0, STOPPED) else min(done + 1, length)
            outcome = self.step(GuestWrite(gpa, wanted))
            assert isinstance(outcome, Written)
            expect(told, "pieces", outcome.segments, tuple(pieces))
            stopped = None if outcome.stopped_by is None else outcome.stopped_by.errno
            expect(told, "error", stopped, None if told.answer == STOPPED else told.error)
            return
        self.step(GuestWrite(gpa, 0))
        for piece in pieces:
            found = self.step(Lookup(0, piece.first, False))
            assert isinstance(found, Located)
            expect(told, "host", found.host, piece.host)
        if told.error:
            expect(told, "error", error_of(self.step(Lookup(0, gpa + done, False))), told.error)

    def lookup(self, told: Told) -> None:
        fields = told.fields
        outcome = self.same_error(told, Lookup(fields["space"], fields["gpa"], bool(fields["write"])))
        if isinstance(outcome, Located):
            found = told.all_of("segment")
            expected = [(outcome.host, outcome.last)] * len(found)
            expect(told, "found", expected, [(one["host"], one["last"]) for one in found])

    def hva_range(self, told: Told) -> None:
        outcome = self.step(HvaRange(told.fields["first"], told.fields["last"]))
        assert isinstance(outcome, GuestRanges)
        ranges = {(one.space, one.id, one.first, one.last) for one in outcome.ranges}
        seen = {(space_of(one["slot"]), id_of(one["slot"]), one["first"], one["last"]) for one in told.all_of("range")}
        if seen < ranges and len(seen) < told.fields["room"] % 16 + 1:  # there was no room for more
            return
        expect(told, "ranges", ranges, seen)

    def next_dirty(self, told: Told) -> None:
        outcome = self.step(FindSlot(told.fields["slot"]))
        pages = outcome.slots[0].dirty if isinstance(outcome, SlotsSeen) else None
        for run in told.all_of("dirty"):
            ranges = () if pages is None else pages.ranges
            inside = any(first <= run["first"] and run["last"] == last for first, last in ranges)
            expect(told, "dirty pages", inside, True)

    def observe(self, told: Told) -> None:
        outcome = self.step(Observe())
        assert isinstance(outcome, SlotsSeen)
        seen = told.all_of("slot")
        room = told.fields.get("room", len(outcome.slots))
        expect(told, "number of slots", len(seen), min(len(outcome.slots), room))
        for mine, its in zip(outcome.slots, seen, strict=False):
            expect(told, "slot", plain(mine), its)
            runs = [(one["first"], one["last"]) for one in told.all_of("dirty") if one["slot"] == its["slot"]]
            kept = () if mine.dirty is None else mine.dirty.ranges
            expect(told, "dirty pages", list(kept[:MOST_RUNS]), runs)


def plain(slot: SlotView) -> dict[str, int]:
    """A slot in the fuzzer's words."""
    return {
        "slot": slot.space * 65536 + slot.id,
        "flags": slot.flags,
        "first": slot.first,
        "last": slot.last,
        "host": slot.host,
        "logged": int(slot.dirty is not None),
    }


def calling(told: Told) -> dict[str, bool]:
    return {"from_owner": "stranger" not in told.manners, "readable": "unreadable" not in told.manners}
