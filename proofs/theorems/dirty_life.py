"""The whole life of a dirty page: whatever is asked of a VM, a page that is in a log is still there after, or was
reported, or was cleared, or its log is gone because somebody asked for that.

One theorem for each operation, so none of them, and no sequence of them, loses a page. A write puts its page there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import spec.memslots.access
import spec.memslots.set_region
import spec.step
from proofs.bugs import with_effect
from proofs.claims import step
from proofs.invariants import is_logged, valid
from proofs.sets import has
from proofs.symbolic.boolean import all_of, any_of, merged, negation
from proofs.theorem import UNBOUNDED, Bug, Patch, Theorem
from proofs.theorems.dirty import any_request
from spec.memslots.access import GUEST_SPACE, GuestWrite, VcpuWrite
from spec.memslots.clear_dirty_log import CLEAR_DIRTY_LOG, ClearDirtyLog
from spec.memslots.get_dirty_log import GET_DIRTY_LOG, GetDirtyLog
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import LOG_DIRTY_PAGES, Slot, Vm, has_flag, id_of, slot_named, space_of
from spec.operation import Operation
from spec.outcome import DirtyPages, Done, Outcome, Touched, Written
from spec.pages import NO_PAGES, Pages
from spec.profile import Profile
from spec.sets import added, removed
from spec.step import OPERATIONS
from spec.units import page_of

BY_NAME = {operation.name: operation for operation in OPERATIONS}
TWO_PAGES = "writes of at most 12 bytes: so many the kernel writes for the guest's clock, into two pages at most"

# HYPOTHESES ------------------------------------------------------------------------------------------------------


def a_page_is_logged(profile: Profile, vm: Vm, request: Any, other: Slot, page: int) -> Any:
    """The VM is valid, and this page is in the log of one of its slots."""
    return all_of(valid(profile, vm), has(vm.slots, other), merged(is_logged)(other, page))


def a_slot_is_logged(profile: Profile, vm: Vm, request: Any, other: Slot, page: int) -> Any:
    """The VM is valid, one of its slots keeps a log, and there is no dirty ring."""
    return all_of(valid(profile, vm), has(vm.slots, other), merged(keeps_a_log)(other), vm.dirty_ring == 0)


def keeps_a_log(slot: Slot) -> bool:
    """The slot keeps a log."""
    return slot.dirty is not None


# CLAIMS ----------------------------------------------------------------------------------------------------------


def is_never_lost(profile: Profile, vm: Vm, request: Any, other: Slot, page: int) -> Any:
    """The page is still in the log, or the request is one that takes it out, and it was told so."""
    changed, answer = step(profile, vm, request)
    return any_of(
        merged(is_logged_under)(changed, other.space * 2**16 + other.id, page),
        all_of(is_about(request, other), merged(was_taken_out)(request, answer, page)),
    )


def is_logged_under(vm: Vm, slot_word: int, page: int) -> Any:
    """Whether the slot with this name has a page in its log."""
    slot = slot_named(vm, slot_word)
    return False if slot is None else is_logged(slot, page)


def is_about(request: Any, slot: Slot) -> Any:
    """Whether a request names a slot."""
    if not isinstance(request, SetRegion | GetDirtyLog | ClearDirtyLog):
        return False
    return all_of(space_of(request.slot) == slot.space, id_of(request.slot) == slot.id)


def was_taken_out(request: Any, answer: Outcome, page: int) -> Any:
    """Whether a request that was done reported the page, cleared it, or ended the log."""
    if isinstance(answer, DirtyPages):
        return answer.pages.contains(page)
    if not isinstance(answer, Done):
        return False
    if isinstance(request, SetRegion):
        return any_of(request.size == 0, negation(has_flag(request.flags, LOG_DIRTY_PAGES)))
    if isinstance(request, ClearDirtyLog):
        words = (request.num_pages + 63) // 64 * 64
        bit = page - request.first_page
        return all_of(bit >= 0, bit < words, request.cleared.contains(bit))
    return False


def is_logged_if_written(profile: Profile, vm: Vm, request: Any, other: Slot, page: int) -> Any:
    """After a write the log has what it had, and the pages of this slot that were written; nothing else."""
    changed, answer = step(profile, vm, request)
    after = merged(is_logged_under)(changed, other.space * 2**16 + other.id, page)
    written = any_of(*(gfn == other.base_gfn + page for gfn in pages_written(request, answer)))
    here = all_of(other.space == GUEST_SPACE, page < other.npages, written)
    return after == any_of(merged(is_logged)(other, page), here)


def pages_written(request: Any, answer: Outcome) -> list[Any]:
    """The guest pages that a write reached, as its answer says."""
    if isinstance(request, VcpuWrite):
        return [page_of(request.gpa)] if isinstance(answer, Touched) else []
    assert isinstance(request, GuestWrite) and isinstance(answer, Written)
    return [page_of(segment.first) for segment in answer.segments]


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def every_change_starts_anew(vm: Vm, old: Slot | None, flags: int, npages: int) -> Pages | None:
    return NO_PAGES if has_flag(flags, LOG_DIRTY_PAGES) and vm.dirty_ring == 0 else None


def reports_nothing(profile: Profile, vm: Vm, request: GetDirtyLog) -> tuple[Vm, Outcome]:
    changed, answer = GET_DIRTY_LOG.effect(profile, vm, request)
    assert isinstance(answer, DirtyPages)
    return changed, replace(answer, pages=NO_PAGES)


def clears_one_word_more(profile: Profile, vm: Vm, request: ClearDirtyLog) -> tuple[Vm, Outcome]:
    slot = slot_named(vm, request.slot)
    assert slot is not None and slot.dirty is not None
    dirty = slot.dirty.without(request.cleared.moved_up(request.first_page))
    return replace(vm, slots=added(removed(vm.slots, slot), replace(slot, dirty=dirty))), Done()


def forgets_all_slots(operation: Operation) -> Callable[..., Any]:
    """An effect after which the slot with number 0 has an empty log, or none."""

    def effect(profile: Profile, vm: Vm, request: Any) -> tuple[Vm, Outcome]:
        changed, answer = operation.effect(profile, vm, request)
        slot = slot_named(changed, 0)
        if slot is None:
            return changed, answer
        return replace(changed, slots=added(removed(changed.slots, slot), replace(slot, dirty=None))), answer

    return effect


def marks_only_clean_logs(vm: Vm, slot: Slot, gpa: int) -> Vm:
    if slot.dirty is None or vm.dirty_ring > 0:
        return vm
    logged = replace(slot, dirty=NO_PAGES.with_page(page_of(gpa) - slot.base_gfn))
    return replace(vm, slots=added(removed(vm.slots, slot), logged))


ONLY_THE_LAST = Bug(
    "a log has only the page that was written last", (Patch(spec.memslots.access, "written_to", marks_only_clean_logs),)
)
BUGS = {
    "set_region": Bug(
        "every change starts a new log", (Patch(spec.memslots.set_region, "dirty_log_after", every_change_starts_anew),)
    ),
    "get_dirty_log": Bug("nothing is reported", (with_effect(GET_DIRTY_LOG, reports_nothing),)),
    "clear_dirty_log": Bug(
        "bits behind the words that are read are cleared too", (with_effect(CLEAR_DIRTY_LOG, clears_one_word_more),)
    ),
    "guest_write": ONLY_THE_LAST,
    "vcpu_write": ONLY_THE_LAST,
}

# THEOREMS --------------------------------------------------------------------------------------------------------

LOSING_NOTHING = {
    "set_region": "A change of slots leaves each page in its log, unless the slot is deleted or its log turned off by "
    "this very change.",
    "get_dirty_log": "Reading a log leaves each page of each log there, or reports it.",
    "clear_dirty_log": "Clearing a log leaves each page of each log there, unless its bit was set in what was read.",
    "enable_manual_protect": "Changing who clears logs leaves each page in its log.",
    "enable_dirty_ring": "Choosing a dirty ring leaves each page in its log.",
    "create_guest_memfd": "A new guest memory file leaves each page in its log.",
    "vcpu_read": "A virtual CPU's read leaves each page in its log.",
    "vcpu_write": "A virtual CPU's write leaves each page in its log.",
    "guest_write": "A write by the kernel leaves each page in its log.",
}


def never_lost(operation: str, sentence: str) -> Theorem:
    lost = Bug("the log of slot 0 is lost", (with_effect(BY_NAME[operation], forgets_all_slots(BY_NAME[operation])),))
    return Theorem(
        f"DIRTY.LIFE.{operation.upper()}",
        sentence,
        tuple(check.rule.id for check in BY_NAME[operation].checks),
        (operation,),
        "no page lost",
        any_request(operation),
        a_page_is_logged,
        is_never_lost,
        BUGS.get(operation, lost),
        TWO_PAGES if operation == "guest_write" else UNBOUNDED,
    )


def marked(operation: str, sentence: str, bound: str = UNBOUNDED) -> Theorem:
    return Theorem(
        f"DIRTY.WRITTEN.{operation.upper()}",
        sentence,
        ("KVM.ACCESS.MAPPED", "KVM.ACCESS.WRITABLE"),
        (operation,),
        "no page lost",
        any_request(operation),
        a_slot_is_logged,
        is_logged_if_written,
        ONLY_THE_LAST,
        bound,
    )


THEOREMS = (
    *(never_lost(operation, sentence) for operation, sentence in LOSING_NOTHING.items()),
    marked(
        "vcpu_write",
        "After a virtual CPU's write, each log has what it had and the page that was reached, and nothing else.",
    ),
    marked(
        "guest_write",
        "After a write by the kernel, each log has what it had and the pages that were reached, also where the write "
        "was stopped, and nothing else.",
        TWO_PAGES,
    ),
)
