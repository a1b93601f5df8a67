"""The dirty log, for an arbitrary page: no write is lost, no page is reported that was not written, the rest stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import spec.memslots.access
import spec.memslots.clear_dirty_log
import spec.memslots.set_region
from proofs.bugs import with_effect
from proofs.claims import accepted, after, others_are_untouched, outcome
from proofs.invariants import is_logged, logs_stay_inside, same_but_log, same_log_at, valid
from proofs.requests import REQUESTS
from proofs.symbolic.boolean import all_of, any_of, merged, negation
from proofs.theorem import Bug, Patch, Theorem
from proofs.world import LAST_PAGE, World
from spec.memslots.access import GUEST_SPACE, GUEST_WRITE, VcpuWrite
from spec.memslots.clear_dirty_log import CLEAR_DIRTY_LOG, ClearDirtyLog
from spec.memslots.get_dirty_log import GET_DIRTY_LOG, GetDirtyLog
from spec.memslots.lookup import access_stops_at, slot_holding
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import Slot, Vm, has_flag, slot_named
from spec.outcome import DirtyPages, Done, Outcome
from spec.pages import NO_PAGES, Pages
from spec.profile import Profile
from spec.sets import added, removed
from spec.units import page_of

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_request(operation: str) -> Callable[[World], dict[str, Any]]:
    """A request of this operation, something that may be a slot before it, and some page of a slot."""

    def inputs(world: World) -> dict[str, Any]:
        vm = world.vm()
        return {
            "profile": world.profile(),
            "vm": vm,
            "request": REQUESTS[operation](world),
            "other": world.candidate(vm.slots, "other"),
            "page": world.integer("page", 0, LAST_PAGE),
        }

    return inputs


def is_accepted_in_a_valid_vm(profile: Profile, vm: Vm, request: Any, **rest: Any) -> Any:
    """The VM is valid, and the request breaks no rule."""
    return all_of(valid(profile, vm), accepted(profile, vm, request))


def keeps_logging(profile: Profile, vm: Vm, request: SetRegion, page: int, **rest: Any) -> Any:
    """The change is accepted, is no delete, asks for a log, and the page is in the log that there is."""
    return all_of(
        is_accepted_in_a_valid_vm(profile, vm, request),
        request.size > 0,
        has_flag(request.flags, 1),
        merged(page_is_logged)(vm, request, page),
    )


def page_is_logged(vm: Vm, request: SetRegion, page: int) -> Any:
    """The page is in the log of the slot that the request names."""
    old = slot_named(vm, request.slot)
    return False if old is None else is_logged(old, page)


def starts_to_log(profile: Profile, vm: Vm, request: SetRegion, **rest: Any) -> Any:
    """The VM is valid, the request is accepted and asks for a log, and the slot has none yet."""
    return all_of(
        is_accepted_in_a_valid_vm(profile, vm, request),
        request.size > 0,
        has_flag(request.flags, 1),
        merged(no_log_yet)(vm, request),
    )


def no_log_yet(vm: Vm, request: SetRegion) -> bool:
    """The slot that the request names keeps no log, or does not exist yet."""
    old = slot_named(vm, request.slot)
    return old is None or old.dirty is None


def logs_are_inside_before(profile: Profile, vm: Vm, request: Any, page: int, **rest: Any) -> Any:
    """Before the request, the page is in no log of a slot that does not have it."""
    return all_of(is_accepted_in_a_valid_vm(profile, vm, request), logs_stay_inside(vm, page))


def clear_within_the_words(profile: Profile, vm: Vm, request: ClearDirtyLog, page: int, **rest: Any) -> Any:
    """A page that is not one of those in the words that are read."""
    words = (request.num_pages + 63) // 64 * 64
    return all_of(
        is_accepted_in_a_valid_vm(profile, vm, request),
        any_of(page < request.first_page, page >= request.first_page + words),
    )


# CLAIMS ----------------------------------------------------------------------------------------------------------


def page_is_still_logged(profile: Profile, vm: Vm, request: SetRegion, page: int, **rest: Any) -> Any:
    new = slot_named(after(profile, vm, request), request.slot)
    return False if new is None else is_logged(new, page)


def fresh_log_is_all_or_nothing(profile: Profile, vm: Vm, request: SetRegion, page: int, **rest: Any) -> Any:
    new = slot_named(after(profile, vm, request), request.slot)
    if new is None:
        return False
    if vm.dirty_ring > 0:
        return new.dirty is None
    if new.dirty is None:
        return False
    return is_logged(new, page) == all_of(vm.initially_dirty, page < new.npages)


def report_is_the_log(profile: Profile, vm: Vm, request: GetDirtyLog, page: int, **rest: Any) -> Any:
    """The answer has exactly the pages of the log; the log is empty after, or untouched if userspace clears."""
    slot = slot_named(vm, request.slot)
    answer = outcome(profile, vm, request)
    left = slot_named(after(profile, vm, request), request.slot)
    if slot is None or left is None or left.dirty is None or not isinstance(answer, DirtyPages):
        return False
    return all_of(
        answer.pages.contains(page) == is_logged(slot, page),
        is_logged(left, page) == all_of(vm.manual_protect, is_logged(slot, page)),
        answer.bitmap_bytes % 8 == 0,
        answer.bitmap_bytes * 8 >= slot.npages,
        answer.bitmap_bytes * 8 < slot.npages + 64,
        same_but_log(slot, left),
    )


def clear_is_exact(profile: Profile, vm: Vm, request: ClearDirtyLog, page: int, **rest: Any) -> Any:
    slot = slot_named(vm, request.slot)
    left = slot_named(after(profile, vm, request), request.slot)
    if slot is None or left is None or left.dirty is None:
        return False
    bit = page - request.first_page
    words = (request.num_pages + 63) // 64 * 64
    asked = all_of(request.cleared.contains(bit), bit < words)
    return all_of(is_logged(left, page) == all_of(is_logged(slot, page), negation(asked)), same_but_log(slot, left))


def page_keeps_its_state(profile: Profile, vm: Vm, request: ClearDirtyLog, page: int, **rest: Any) -> Any:
    slot = slot_named(vm, request.slot)
    left = slot_named(after(profile, vm, request), request.slot)
    return slot is not None and left is not None and same_log_at(slot, left, page)


def mark_is_exact(profile: Profile, vm: Vm, request: VcpuWrite, page: int, other: Slot) -> Any:
    """The page written is logged if its slot keeps a log and may be written; no other page is."""
    slot = slot_holding(vm, GUEST_SPACE, request.gpa)
    changed = after(profile, vm, request)
    if slot is None or slot.is_read_only() or slot.dirty is None or vm.dirty_ring > 0:
        return changed.slots is vm.slots
    left = slot_holding(changed, GUEST_SPACE, request.gpa)
    if left is None or left.dirty is None:
        return False
    written = page_of(request.gpa) - slot.base_gfn
    return all_of(is_logged(left, page) == any_of(is_logged(slot, page), page == written), same_but_log(slot, left))


def logs_are_inside_after(profile: Profile, vm: Vm, request: Any, page: int, **rest: Any) -> Any:
    return logs_stay_inside(after(profile, vm, request), page)


def stopped_write_changes_no_slot(profile: Profile, vm: Vm, request: Any, **rest: Any) -> Any:
    """A write whose first byte cannot be reached leaves all slots as they are."""
    if access_stops_at(vm, GUEST_SPACE, request.gpa, write=True) is None:
        return True
    return after(profile, vm, request).slots is vm.slots


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def every_change_starts_anew(vm: Vm, old: Slot | None, flags: int, npages: int) -> Pages | None:
    return NO_PAGES if has_flag(flags, 1) and vm.dirty_ring == 0 else None


def starts_one_page_short(vm: Vm, old: Slot | None, flags: int, npages: int) -> Pages | None:
    if not has_flag(flags, 1):
        return None
    if old is not None and old.dirty is not None:
        return old.dirty
    if vm.dirty_ring > 0:
        return None
    return Pages(((0, npages - 2),)) if vm.initially_dirty else NO_PAGES


def starts_one_page_long(vm: Vm, old: Slot | None, flags: int, npages: int) -> Pages | None:
    log = starts_one_page_short(vm, old, flags, npages + 2)
    return log


def manual_mode_is_ignored(profile: Profile, vm: Vm, request: GetDirtyLog) -> tuple[Vm, Outcome]:
    changed, answer = GET_DIRTY_LOG.effect(profile, replace(vm, manual_protect=False), request)
    return replace(changed, manual_protect=vm.manual_protect), answer


def clear_forgets_the_first_page(profile: Profile, vm: Vm, request: ClearDirtyLog) -> tuple[Vm, Outcome]:
    return CLEAR_DIRTY_LOG.effect(profile, vm, replace(request, first_page=0))


def clear_empties_the_log(profile: Profile, vm: Vm, request: ClearDirtyLog) -> tuple[Vm, Outcome]:
    slot = slot_named(vm, request.slot)
    assert slot is not None
    return replace(vm, slots=added(removed(vm.slots, slot), replace(slot, dirty=NO_PAGES))), Done()


def log_counts_guest_pages(vm: Vm, slot: Slot, gpa: int) -> Vm:
    if slot.dirty is None or vm.dirty_ring > 0:
        return vm
    logged = replace(slot, dirty=slot.dirty.with_page(page_of(gpa)))
    return replace(vm, slots=added(removed(vm.slots, slot), logged))


def get_forgets_the_slot(profile: Profile, vm: Vm, request: GetDirtyLog) -> tuple[Vm, Outcome]:
    changed, answer = GET_DIRTY_LOG.effect(profile, vm, request)
    neighbour = slot_named(vm, (request.slot + 2**16) % 2**32)
    return (changed if neighbour is None else replace(changed, slots=removed(changed.slots, neighbour))), answer


def clear_forgets_the_neighbour(profile: Profile, vm: Vm, request: ClearDirtyLog) -> tuple[Vm, Outcome]:
    changed, answer = CLEAR_DIRTY_LOG.effect(profile, vm, request)
    neighbour = slot_named(vm, (request.slot + 2**16) % 2**32)
    return (changed if neighbour is None else replace(changed, slots=removed(changed.slots, neighbour))), answer


def marks_before_it_looks(profile: Profile, vm: Vm, request: Any) -> tuple[Vm, Outcome]:
    slot = slot_holding(vm, GUEST_SPACE, request.gpa)
    marked = vm if slot is None else spec.memslots.access.written_to(vm, slot, request.gpa)
    return GUEST_WRITE.effect(profile, marked, request)


# THEOREMS --------------------------------------------------------------------------------------------------------


def about(
    operation: str,
    name: str,
    sentence: str,
    rules: tuple[str, ...],
    invariant: str,
    given: Callable[..., Any],
    holds: Callable[..., Any],
    bug: Bug,
) -> Theorem:
    return Theorem(f"DIRTY.{name}", sentence, rules, (operation,), invariant, any_request(operation), given, holds, bug)


GET_RULES = tuple(check.rule.id for check in GET_DIRTY_LOG.checks)
CLEAR_RULES = tuple(check.rule.id for check in CLEAR_DIRTY_LOG.checks)

THEOREMS = (
    about(
        "set_region",
        "KEPT",
        "A change that keeps logging on loses no page of the log, wherever the slot moves.",
        ("KVM.DIRTY.LOGGED",),
        "log exact",
        keeps_logging,
        page_is_still_logged,
        Bug(
            "every change starts a new log",
            (Patch(spec.memslots.set_region, "dirty_log_after", every_change_starts_anew),),
        ),
    ),
    about(
        "set_region",
        "FRESH",
        "A log that is turned on starts empty, or with exactly the slot's pages where the VM asked for that; with a "
        "dirty ring there is none.",
        ("KVM.MANUAL.OPTIONS", "KVM.DIRTY.RING_EXCLUDES"),
        "log exact",
        starts_to_log,
        fresh_log_is_all_or_nothing,
        Bug(
            "the last page is forgotten",
            (Patch(spec.memslots.set_region, "dirty_log_after", starts_one_page_short),),
        ),
    ),
    about(
        "get_dirty_log",
        "GET_EXACT",
        "Reading the log reports exactly its pages in whole 64-bit words, and empties it unless "
        "userspace clears by hand.",
        GET_RULES,
        "log exact",
        is_accepted_in_a_valid_vm,
        report_is_the_log,
        Bug("manual protection is ignored", (with_effect(GET_DIRTY_LOG, manual_mode_is_ignored),)),
    ),
    about(
        "clear_dirty_log",
        "CLEAR_EXACT",
        "Clearing takes exactly the pages out of the log whose bits were set, counted from the first page.",
        CLEAR_RULES,
        "log exact",
        is_accepted_in_a_valid_vm,
        clear_is_exact,
        Bug("bits count from page 0", (with_effect(CLEAR_DIRTY_LOG, clear_forgets_the_first_page),)),
    ),
    about(
        "clear_dirty_log",
        "CLEAR_RANGE",
        "Clearing leaves every page outside of the request's whole words as it was.",
        ("KVM.CLEAR.FIRST_ALIGNED", "KVM.CLEAR.COUNT_ALIGNED", "KVM.CLEAR.FIRST_INSIDE", "KVM.CLEAR.COUNT_INSIDE"),
        "others untouched",
        clear_within_the_words,
        page_keeps_its_state,
        Bug("the whole log is emptied", (with_effect(CLEAR_DIRTY_LOG, clear_empties_the_log),)),
    ),
    about(
        "vcpu_write",
        "MARK_EXACT",
        "A virtual CPU's write puts exactly the page that it wrote into the log, and none where nothing was written.",
        ("KVM.ACCESS.MAPPED", "KVM.ACCESS.WRITABLE"),
        "log exact",
        is_accepted_in_a_valid_vm,
        mark_is_exact,
        Bug(
            "the log counts guest pages instead of the slot's",
            (Patch(spec.memslots.access, "written_to", log_counts_guest_pages),),
        ),
    ),
    about(
        "guest_write",
        "STOPPED",
        "A write by the kernel whose first byte cannot be reached changes no slot and no log.",
        ("KVM.ACCESS.MAPPED", "KVM.ACCESS.WRITABLE"),
        "a failure changes nothing",
        is_accepted_in_a_valid_vm,
        stopped_write_changes_no_slot,
        Bug("the page is marked before the slot is checked", (with_effect(GUEST_WRITE, marks_before_it_looks),)),
    ),
    about(
        "get_dirty_log",
        "GET_OTHERS",
        "Reading a log leaves every slot alone but the one that it names.",
        (),
        "others untouched",
        is_accepted_in_a_valid_vm,
        others_are_untouched,
        Bug("the neighbour in the next address space is lost", (with_effect(GET_DIRTY_LOG, get_forgets_the_slot),)),
    ),
    about(
        "clear_dirty_log",
        "CLEAR_OTHERS",
        "Clearing a log leaves every slot alone but the one that it names.",
        (),
        "others untouched",
        is_accepted_in_a_valid_vm,
        others_are_untouched,
        Bug(
            "the neighbour in the next address space is lost",
            (with_effect(CLEAR_DIRTY_LOG, clear_forgets_the_neighbour),),
        ),
    ),
    about(
        "set_region",
        "INSIDE",
        "After any accepted change, a log has no page past its slot's end.",
        ("KVM.SLOT.SIZE_FIXED",),
        "log inside",
        logs_are_inside_before,
        logs_are_inside_after,
        Bug(
            "a new log has one page too many",
            (Patch(spec.memslots.set_region, "dirty_log_after", starts_one_page_long),),
        ),
    ),
    about(
        "vcpu_write",
        "MARK_INSIDE",
        "After a virtual CPU's write, a log has no page past its slot's end.",
        ("KVM.ACCESS.MAPPED",),
        "log inside",
        logs_are_inside_before,
        logs_are_inside_after,
        Bug(
            "the log counts guest pages instead of the slot's",
            (Patch(spec.memslots.access, "written_to", log_counts_guest_pages),),
        ),
    ),
)
