"""What is admitted: a request in which nothing is wrong is accepted, also where slots of other spaces are in the way.

Other theorems say what must not be accepted. These say the rest: hypotheses spell out what the sentences of the rules
demand, without asking the rules, and the claim is that no rule is broken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from proofs.bugs import with_check
from proofs.claims import accepted
from proofs.invariants import valid
from proofs.requests import clear_dirty_log, set_region
from proofs.symbolic.boolean import all_of, any_of, merged
from proofs.theorem import Bug, Theorem
from proofs.world import World
from spec.memslots import set_region as region
from spec.memslots.clear_dirty_log import CLEAR_DIRTY_LOG, FIRST_INSIDE, ClearDirtyLog
from spec.memslots.set_region import MAX_SLOT_PAGES, OVERLAP, SET_REGION, SetRegion
from spec.memslots.slot import (
    GUEST_MEMFD,
    LOG_DIRTY_PAGES,
    READONLY,
    GuestMemfd,
    Slot,
    Vm,
    has_flag,
    id_of,
    slot_named,
    space_of,
)
from spec.profile import Profile
from spec.rule import Rule
from spec.sets import every, only, some
from spec.units import PAGE_SIZE, U64, page_of

PAGES_PER_WORD = 64

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_change(world: World) -> dict[str, Any]:
    """A VM and a request to change its slots."""
    return {"profile": world.profile(), "vm": world.vm(), "request": set_region(world)}


def any_clear(world: World) -> dict[str, Any]:
    """A VM and a request to clear a slot's log."""
    return {"profile": world.profile(), "vm": world.vm(), "request": clear_dirty_log(world)}


def is_well_put(profile: Profile, vm: Vm, request: SetRegion) -> Any:
    """The VM is valid, and its owner asks, by the first form of the call, for a number and a space that exist, with
    whole pages that end where they must: below 2^64, below the user limit, within the guest's address width.
    """
    return all_of(
        valid(profile, vm),
        request.version == 1,
        request.flags <= LOG_DIRTY_PAGES + READONLY,
        is_well_placed(profile, request),
    )


def is_well_placed(profile: Profile, request: SetRegion) -> Any:
    """The VM's owner asks for a number and a space that exist, with whole pages that end where they must."""
    return all_of(
        request.from_owner,
        request.readable,
        id_of(request.slot) < profile.user_slots,
        space_of(request.slot) < profile.address_spaces,
        request.gpa % PAGE_SIZE == 0,
        request.size % PAGE_SIZE == 0,
        request.hva % PAGE_SIZE == 0,
        request.hva + request.size <= profile.user_limit,
        request.gpa + request.size < U64,
        page_of(request.size) <= MAX_SLOT_PAGES,
        merged(is_within_the_width)(profile, request),
    )


def is_within_the_width(profile: Profile, request: SetRegion) -> bool:
    """The last page is one that the guest has addresses for."""
    return profile.max_gfn is None or page_of(request.gpa) + page_of(request.size) - 1 <= profile.max_gfn


def is_named(slot: Slot, request: SetRegion) -> Any:
    """The slot has the number, and the address space, that the request names."""
    return all_of(slot.space == space_of(request.slot), slot.id == id_of(request.slot))


def is_out_of_the_way(slot: Slot, request: SetRegion) -> Any:
    """The slot is of another address space, or has no page that is asked for."""
    first, pages = page_of(request.gpa), page_of(request.size)
    return any_of(
        slot.space != space_of(request.slot), slot.base_gfn + slot.npages <= first, first + pages <= slot.base_gfn
    )


def asks_for_a_new_slot(profile: Profile, vm: Vm, request: SetRegion) -> Any:
    """All is well put; no slot has the number; and no slot of its address space has a page that is asked for."""
    return all_of(is_well_put(profile, vm, request), nothing_is_in_the_way(vm, request))


def nothing_is_in_the_way(vm: Vm, request: SetRegion) -> Any:
    """Bytes are asked for; no slot has the number; no slot of the address space has a page that is asked for."""
    return all_of(
        request.size > 0,
        every(vm.slots, lambda slot: any_of(slot.space != space_of(request.slot), slot.id != id_of(request.slot))),
        every(vm.slots, lambda slot: is_out_of_the_way(slot, request)),
    )


def asks_for_a_new_slot_on_a_file(profile: Profile, vm: Vm, request: SetRegion) -> Any:
    """The VM is valid, and its owner asks, by the second form of the call, for a new slot on pages of a guest memory
    file that is open, has them, and of which no slot has them; its guest pages are free, and all ends where it must.
    """
    first, pages = request.memfd_offset // PAGE_SIZE, page_of(request.size)
    return all_of(
        valid(profile, vm),
        profile.region2,
        profile.guest_memfd == "bind",
        request.version == 2,
        request.flags == GUEST_MEMFD,
        is_well_placed(profile, request),
        nothing_is_in_the_way(vm, request),
        request.memfd >= 0,
        request.memfd_offset % PAGE_SIZE == 0,
        request.memfd_offset + request.size < U64,
        some(vm.memfds, lambda memfd: all_of(memfd.file == request.memfd, first + pages <= memfd.npages)),
        every(vm.slots, lambda slot: has_other_file_pages(slot, request.memfd, first, pages)),
    )


def has_other_file_pages(slot: Slot, file: int, first: int, pages: int) -> Any:
    """The slot has none of these pages of a guest memory file."""
    return any_of(slot.memfd != file, slot.memfd_page + slot.npages <= first, first + pages <= slot.memfd_page)


def is_kept(slot: Slot, request: SetRegion) -> Any:
    """The request keeps what cannot change: size, host address, read-only; and the slot is on no guest memory file."""
    return all_of(
        slot.npages == page_of(request.size),
        slot.hva == request.hva,
        merged(has_flag)(slot.flags, READONLY) == merged(has_flag)(request.flags, READONLY),
        slot.flags < GUEST_MEMFD,
    )


def asks_for_another_place(profile: Profile, vm: Vm, request: SetRegion) -> Any:
    """All is well put; a slot has the number, and keeps what it must; no other of its space has a page there."""
    return all_of(
        is_well_put(profile, vm, request),
        request.size > 0,
        some(vm.slots, lambda slot: all_of(is_named(slot, request), is_kept(slot, request))),
        every(vm.slots, lambda slot: any_of(is_named(slot, request), is_out_of_the_way(slot, request))),
    )


def asks_to_delete(profile: Profile, vm: Vm, request: SetRegion) -> Any:
    """All is well put; no bytes are asked for; and a slot has the number."""
    return all_of(
        is_well_put(profile, vm, request),
        request.size == 0,
        some(vm.slots, lambda slot: is_named(slot, request)),
    )


def asks_to_clear(profile: Profile, vm: Vm, request: ClearDirtyLog) -> Any:
    """The VM is valid, has no dirty ring, and its owner asks for whole words of a log that is kept, or for words and
    what is left up to the slot's end; none at the very end are some, too.
    """
    return all_of(
        valid(profile, vm),
        request.from_owner,
        request.readable,
        request.buffer_ok,
        vm.dirty_ring == 0,
        id_of(request.slot) < profile.user_slots,
        space_of(request.slot) < profile.address_spaces,
        request.first_page % PAGES_PER_WORD == 0,
        merged(is_in_the_named_log)(vm, request),
    )


def is_in_the_named_log(vm: Vm, request: ClearDirtyLog) -> bool:
    """The slot keeps a log, and has the pages; they are whole words, or reach to its end."""
    slot = slot_named(vm, request.slot)
    if slot is None or slot.dirty is None:
        return False
    end = request.first_page + request.num_pages
    return end == slot.npages or (end < slot.npages and request.num_pages % PAGES_PER_WORD == 0)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def is_accepted(profile: Profile, vm: Vm, request: Any) -> Any:
    """No rule is broken."""
    return accepted(profile, vm, request)


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def touches_a_slot_of_any_space(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    if not (region.is_create(vm, request) or region.is_move(vm, request)):
        return False
    first = page_of(request.gpa)
    last = first + page_of(request.size) - 1
    return some(vm.slots, lambda slot: slot.id != id_of(request.slot) and slot.touches(first, last))


def touches_itself(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    if not (region.is_create(vm, request) or region.is_move(vm, request)):
        return False
    first = page_of(request.gpa)
    last = first + page_of(request.size) - 1
    return some(vm.slots, lambda slot: slot.space == space_of(request.slot) and slot.touches(first, last))


def ends_where_the_file_ends(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    """The last page of a file is taken for one behind its end."""
    file: GuestMemfd | None = only(vm.memfds, lambda memfd: memfd.file == request.memfd)
    if not region.binds_memfd(vm, request) or file is None:
        return False
    return page_of(request.memfd_offset) + page_of(request.size) >= file.npages


def deletes_nothing_of_space_0(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return request.size == 0 and slot_named(vm, id_of(request.slot)) is None


def first_is_at_the_end(profile: Profile, vm: Vm, request: ClearDirtyLog) -> bool:
    slot = slot_named(vm, request.slot)
    return slot is not None and request.first_page >= slot.npages


# THEOREMS --------------------------------------------------------------------------------------------------------


def about_changes(name: str, sentence: str, given: Callable[..., Any], rule: Rule, check: Any, bug: str) -> Theorem:
    rules = tuple(check.rule.id for check in SET_REGION.checks)
    planted = Bug(bug, (with_check(SET_REGION, rule, check),))
    return Theorem(
        f"ADMIT.{name}", sentence, rules, ("set_region",), "admission", any_change, given, is_accepted, planted
    )


THEOREMS = (
    about_changes(
        "CREATE",
        "A new slot whose request is well put, in the first form (without a guest memory file), is accepted if its "
        "pages are free in its own address space, whatever slots of others have.",
        asks_for_a_new_slot,
        OVERLAP,
        touches_a_slot_of_any_space,
        "a slot of another address space is in the way",
    ),
    about_changes(
        "MEMFD",
        "A new slot on a guest memory file is accepted, by the second form of the call, if its guest pages are free, "
        "the file is open and has the pages that are asked for, and no slot has them.",
        asks_for_a_new_slot_on_a_file,
        region.MEMFD_RANGE,
        ends_where_the_file_ends,
        "pages up to the file's end are taken for too many",
    ),
    about_changes(
        "CHANGE",
        "A move, a change of flags, or a request for what is there is accepted if it is well put, in the first form, "
        "of a slot without a guest memory file, keeps what cannot change, and no other slot of the address space is "
        "in the way; the slot itself may be.",
        asks_for_another_place,
        OVERLAP,
        touches_itself,
        "a slot that moves by less than its size is in its own way",
    ),
    about_changes(
        "DELETE",
        "A slot that exists can be deleted by every request of the first form that is well put.",
        asks_to_delete,
        region.DELETE_EXISTS,
        deletes_nothing_of_space_0,
        "the number is looked for in address space 0",
    ),
    Theorem(
        "ADMIT.CLEAR",
        "Whole words of a log that is kept, or words up to the slot's end, can be cleared; also none, at the very end.",
        tuple(check.rule.id for check in CLEAR_DIRTY_LOG.checks),
        ("clear_dirty_log",),
        "admission",
        any_clear,
        asks_to_clear,
        is_accepted,
        Bug("none at the very end are outside", (with_check(CLEAR_DIRTY_LOG, FIRST_INSIDE, first_is_at_the_end),)),
    ),
)
