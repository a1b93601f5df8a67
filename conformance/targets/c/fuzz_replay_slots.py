"""The fuzzer's operations on slots, done on the spec.

The spec has no transactions. Here one is a second VM, on which its changes are steps of the spec; what the header says
of begin, commit and abort is said in `Draft` and in the three handlers of these names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from conformance.targets.c.fuzz_replay import Told, Unreadable, expect
from spec.memslots.access import GuestWrite, pieces_by_page
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_log import bitmap_bytes
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import FindSlot, HvaRange, Lookup, Observe
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import EMPTY_VM, Slot, Vm
from spec.outcome import DirtyPages, GuestRanges, Located, Outcome, Rejected, Segment, SlotView, Written
from spec.outcome import Slots as SlotsSeen
from spec.pages import Pages, pages_in
from spec.profile import Profile
from spec.step import step
from spec.units import PAGE_SIZE, U64_MAX

LARGEST_LOG = 2**23  # pages: the fuzzer sets bits up to this one
STOPPED = 77  # what the fuzzer's callback returns at the piece where it stops
MOST_RUNS = 70  # of dirty pages, that are told of a slot
MUCH_ROOM = 128  # from here on the fuzzer's number for the room of a host range says how little there is


NOT_FOUND = "ENOENT"


def error_of(outcome: Outcome) -> str | None:
    return outcome.rule.errno if isinstance(outcome, Rejected) else None


def slot_word(slot: Slot | SlotView) -> int:
    return slot.space * 65536 + slot.id


def words_with_log(vm: Vm) -> frozenset[int]:
    return frozenset(slot_word(slot) for slot in vm.slots if slot.dirty is not None)


@dataclass(frozen=True)
class Draft:
    """A transaction: the VM as it will be, and the slots (their words) that still keep the log that readers see."""

    vm: Vm
    heirs: frozenset[int]

    def with_change(self, vm: Vm) -> Draft:
        """A log that was turned off goes, also if another is begun for the same slot later."""
        return Draft(vm, self.heirs & words_with_log(vm))

    def with_settings_of(self, published: Vm) -> Draft:
        """What is no slot is chosen for both."""
        return replace(self, vm=replace(published, slots=self.vm.slots))

    def committed(self, published: Vm) -> Vm:
        """Meanwhile readers have written, and the log was read and cleared: of the slots that they see."""
        logs = {slot_word(slot): slot.dirty for slot in published.slots}
        slots = (
            replace(slot, dirty=logs[slot_word(slot)]) if slot_word(slot) in self.heirs else slot
            for slot in self.vm.slots
        )
        return replace(published, slots=frozenset(slots))


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
        self.vm: Vm = EMPTY_VM
        self.draft: Draft | None = None
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
            "find_slot": self.find_slot,
            "slots": self.observe,
            "observe": self.observe,
            "end": self.observe,
            "inside": self.observe,
            "hva_range": self.hva_range,
            "lookup_hva": self.lookup_hva,
            "next_slot": self.next_slot,
            "next_dirty": self.next_dirty,
            "slots_translate": self.translate,
            "begin": self.begin,
            "commit": self.commit,
            "abort": self.abort,
        }

    def do(self, told: Told) -> None:
        if told.name not in self.handlers:
            raise Unreadable(f"{told.name} is no operation on slots")
        self.handlers[told.name](told)

    def step(self, request: Any) -> Outcome:
        """A step of the VM that readers see."""
        outcome: Outcome
        self.vm, outcome = step(self.profile, self.vm, request)
        if self.draft is not None:
            self.draft = self.draft.with_settings_of(self.vm)
        return outcome

    def slots(self) -> tuple[SlotView, ...]:
        outcome = self.step(Observe())
        assert isinstance(outcome, SlotsSeen)
        return outcome.slots

    def same_error(self, told: Told, request: Any) -> Outcome:
        outcome = self.step(request)
        expect(told, "error", error_of(outcome), told.error)
        return outcome

    # Calls.

    def set_region(self, told: Told) -> None:
        fields: dict[str, Any] = dict(told.fields)
        version = fields.pop("version")
        if told.answer is None:  # it needs more memory than the fuzzer has
            return
        if version not in (1, 2):  # no call of the spec
            expect(told, "error", "ENOTTY" if is_owner(told) else "EIO", told.error)
            return
        request = SetRegion(version=version, **fields, **calling(told))
        if self.draft is None:
            self.same_error(told, request)
            return
        vm, outcome = step(self.profile, self.draft.vm, request)
        expect(told, "error", error_of(outcome), told.error)
        self.draft = self.draft.with_change(vm)

    def begin(self, told: Told) -> None:
        error = "EIO" if not is_owner(told) else "EBUSY" if self.draft is not None else None
        expect(told, "error", error, told.error)
        if error is None:
            self.draft = Draft(self.vm, words_with_log(self.vm))

    def commit(self, told: Told) -> None:
        draft = self.ended(told)
        if draft is not None:
            self.vm, self.draft = draft.committed(self.vm), None

    def abort(self, told: Told) -> None:
        if self.ended(told) is not None:
            self.draft = None

    def ended(self, told: Told) -> Draft | None:
        """The transaction that the call ends, or None."""
        error = "EIO" if not is_owner(told) else "EINVAL" if self.draft is None else None
        expect(told, "error", error, told.error)
        return None if error else self.draft

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
        done = sum(one.last - one.first + 1 for one in pieces)
        if told.answer == 0:
            expect(told, "bytes", length, done)
        by_page = [Segment(first, last, 0) for first, last in pieces_by_page(gpa, done)]
        expect(told, "borders", borders(by_page), borders(pieces))
        self.step(GuestWrite(gpa, 0))
        for piece in pieces:
            found = self.step(Lookup(0, piece.first, write))
            expect(told, "host", found.host if isinstance(found, Located) else error_of(found), piece.host)
        if told.error:
            expect(told, "error", error_of(self.step(Lookup(0, gpa + done, write))), told.error)
        if write:
            # The callback refused the last one: it was found, and not marked.
            marked = pieces[:-1] if told.answer == STOPPED else pieces
            outcome = self.step(GuestWrite(gpa, sum(one.last - one.first + 1 for one in marked)))
            assert isinstance(outcome, Written)
            expect(told, "pieces", outcome.segments, tuple(marked))

    def lookup(self, told: Told) -> None:
        fields = told.fields
        outcome = self.same_error(told, Lookup(fields["space"], fields["gpa"], bool(fields["write"])))
        if isinstance(outcome, Located):
            found = told.all_of("segment")
            expected = [(outcome.host, outcome.last)] * len(found)
            expect(told, "found", expected, [(one["host"], one["last"]) for one in found])

    def find_slot(self, told: Told) -> None:
        outcome = self.same_error(told, FindSlot(told.fields["slot"]))
        found = [plain(one) for one in outcome.slots] if isinstance(outcome, SlotsSeen) else []
        expect(told, "slot", found, told.all_of("found"))

    def next_slot(self, told: Told) -> None:
        space, gpa = told.fields["space"], told.fields["gpa"]
        after = [plain(one) for one in self.slots() if one.space == space and one.last >= gpa]
        expect(told, "error", None if after else NOT_FOUND, told.error)
        expect(told, "slot", after[:1], told.all_of("next"))

    def ranges_at(self, first: int, last: int) -> list[dict[str, int]]:
        """The ranges of HvaRange in the library's order: by host address of the slot, then by slot word."""
        outcome = self.step(HvaRange(first, last))
        assert isinstance(outcome, GuestRanges)
        hosts = {slot_word(slot): slot.hva for slot in self.vm.slots}
        ranges = [{"slot": one.space * 65536 + one.id, "first": one.first, "last": one.last} for one in outcome.ranges]
        return sorted(ranges, key=lambda one: (hosts[one["slot"]], one["slot"]))

    def hva_range(self, told: Told) -> None:
        room = told.fields["room"]
        ranges = self.ranges_at(told.fields["first"], told.fields["last"])
        expect(told, "ranges", ranges[: room % 16] if room >= MUCH_ROOM else ranges, told.all_of("range"))

    def lookup_hva(self, told: Told) -> None:
        hva = told.fields["hva"]
        ranges = self.ranges_at(hva, hva)
        expect(told, "error", None if ranges else NOT_FOUND, told.error)
        if ranges:
            last = {slot_word(slot): slot.last_gpa() for slot in self.vm.slots}[ranges[0]["slot"]]
            expect(told, "range", [{**ranges[0], "last": last}], told.all_of("range"))

    def translate(self, told: Told) -> None:
        """Segment by segment, each where a lookup finds its first byte."""
        fields = told.fields
        at, end = fields["gpa"], fields["gpa"] + fields["length"]
        segments: list[Segment] = []
        error: str | None = None
        while at < end and error is None:
            if len(segments) >= fields["room"]:
                error = "ENOBUFS"
                break
            found = self.step(Lookup(fields["space"], at, bool(fields["write"])))
            error = error_of(found)
            if isinstance(found, Located):
                segments.append(Segment(at, min(found.last, end - 1), found.host))
                at = segments[-1].last + 1
        expect(told, "error", error, told.error)
        expect(told, "segments", segments, [Segment(**one) for one in told.all_of("segment")])
        (reach,) = told.all_of("reach")
        expect(told, "bytes", at - fields["gpa"], reach["bytes"])
        expect(told, "number of segments", len(segments), reach["segments"])

    def next_dirty(self, told: Told) -> None:
        word, start = told.fields["slot"], told.fields["from"]
        outcome = self.step(FindSlot(word))
        pages = outcome.slots[0].dirty if isinstance(outcome, SlotsSeen) else None
        runs = () if pages is None else pages.ranges
        after = [{"slot": word, "first": max(first, start), "last": last} for first, last in runs if last >= start]
        expect(told, "dirty pages", after[:1], told.all_of("dirty"))

    def observe(self, told: Told) -> None:
        slots, seen = self.slots(), told.all_of("slot")
        room = told.fields.get("room", len(slots))
        expect(told, "slots", [plain(slot) for slot in slots[:room]], seen)
        runs = [
            {"slot": slot_word(slot), "first": first, "last": last}
            for slot in slots[:room]
            for first, last in (() if slot.dirty is None else slot.dirty.ranges[:MOST_RUNS])
        ]
        expect(told, "dirty pages", runs, told.all_of("dirty"))
        if told.name != "slots":
            expect(told, "ranges", self.ranges_at(0, U64_MAX), told.all_of("range"))


def borders(pieces: list[Segment]) -> list[tuple[int, int]]:
    return [(one.first, one.last) for one in pieces]


def plain(slot: SlotView) -> dict[str, int]:
    """A slot in the fuzzer's words."""
    return {
        "slot": slot_word(slot),
        "flags": slot.flags,
        "first": slot.first,
        "last": slot.last,
        "host": slot.host,
        "logged": int(slot.dirty is not None),
    }


def is_owner(told: Told) -> bool:
    return "stranger" not in told.manners


def calling(told: Told) -> dict[str, bool]:
    return {"from_owner": is_owner(told), "readable": "unreadable" not in told.manners}
