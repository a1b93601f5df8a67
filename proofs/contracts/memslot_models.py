"""Contracts of the memslot models: a copy is the slot that it stands for, and what kind of change a request is."""

from __future__ import annotations

from model.memslots.interleavings import mapping_of
from model.memslots.machine import ends_too_high, guest_of, host_of, kind_of
from model.memslots.protocol import (
    CREATE,
    DELETE,
    FLAGS_ONLY,
    MOVE,
    Change,
    SlotCopy,
    invalid_copy,
    slot_of,
    usable,
)
from spec.memslots.set_region import SetRegion, passes_the_last_gfn
from spec.memslots.slot import EMPTY_VM, Slot
from spec.outcome import Done
from spec.profile import Profile
from spec.units import U64_MAX, page_of  # noqa: F401 - the contracts name it

MAX_PAGES = 2**31 - 1
LAST_PAGE = 2**52 - 1


def copy_of(base_gfn: int, npages: int, hva: int, flags: int = 0) -> SlotCopy:
    return SlotCopy(1, 0, 7, base_gfn, npages, hva, flags)


def a_copy_has_the_pages_of_its_slot(base_gfn: int, npages: int, gfn: int) -> bool:
    """
    pre: 0 <= base_gfn <= LAST_PAGE and 1 <= npages <= MAX_PAGES and 0 <= gfn <= LAST_PAGE
    post: __return__
    """
    return copy_of(base_gfn, npages, 0).contains(gfn) == Slot(0, 7, base_gfn, npages, 0, 0).contains(gfn)


def a_copy_has_the_bytes_of_its_slot(base_gfn: int, hva: int, distance: int) -> bool:
    """
    pre: 0 <= base_gfn <= LAST_PAGE and 0 <= hva < 2**63 and 0 <= distance < 4096 * MAX_PAGES
    post: __return__
    """
    copy, gpa = copy_of(base_gfn, MAX_PAGES, hva), base_gfn * 4096 + distance
    return host_of(copy, gpa) == Slot(0, 7, base_gfn, MAX_PAGES, hva, 0).hva_of(gpa)


def a_copy_ends_too_high_where_its_slot_does(base_gfn: int, npages: int, max_gfn: int) -> bool:
    """
    pre: 0 <= base_gfn <= LAST_PAGE and 1 <= npages <= MAX_PAGES and 0 <= max_gfn <= LAST_PAGE
    post: __return__
    """
    profile, request = Profile(max_gfn=max_gfn), SetRegion(gpa=base_gfn * 4096, size=npages * 4096)
    return ends_too_high(profile, copy_of(base_gfn, npages, 0)) == passes_the_last_gfn(profile, EMPTY_VM, request)


def guest_and_host_addresses_lead_back(base_gfn: int, hva: int, distance: int) -> bool:
    """
    pre: 0 <= base_gfn <= LAST_PAGE and 0 <= hva < 2**63 and 0 <= distance < 4096 * MAX_PAGES
    post: __return__
    """
    copy = copy_of(base_gfn, MAX_PAGES, hva)
    return guest_of(copy, hva + distance) == base_gfn * 4096 + distance


def a_reader_sees_the_page_where_the_slot_has_it(base_gfn: int, npages: int, hva: int, gfn: int) -> bool:
    """
    pre: 0 <= base_gfn <= gfn < base_gfn + npages and 1 <= npages <= MAX_PAGES and 0 <= hva < 2**63
    post: __return__
    """
    seen = mapping_of(copy_of(base_gfn, npages, hva, flags=3), gfn)
    return seen == (7, Slot(0, 7, base_gfn, npages, hva, 3).hva_of(gfn * 4096), 3) and mapping_of(None, gfn) is None


def a_stand_in_is_the_old_copy_and_maps_nothing(address: int, npages: int, bitmap: int, invalid: bool) -> bool:
    """
    pre: 2 <= address and 1 <= npages <= MAX_PAGES and 0 <= bitmap
    post: __return__
    """
    old = SlotCopy(1, 0, 7, 5, npages, 0, 1, bitmap=bitmap, invalid=invalid)
    stand_in = invalid_copy(old, address)
    kept = (stand_in.base_gfn, stand_in.npages, stand_in.bitmap, stand_in.id) == (5, npages, bitmap, 7)
    return kept and stand_in.address == address and usable(stand_in) is None and slot_of(stand_in) == slot_of(old)


def only_what_is_marked_maps_nothing(npages: int, invalid: bool) -> bool:
    """
    pre: 1 <= npages <= MAX_PAGES
    post: __return__
    """
    found = SlotCopy(1, 0, 7, 5, npages, 0, 1, invalid=invalid)
    return (usable(found) is None) == invalid and usable(None) is None


def only_what_goes_away_needs_a_stand_in(kind: int, there_is_memory: bool, prepare_fails: bool) -> bool:
    """
    pre: 0 <= kind <= 3
    post: __return__
    """
    old = copy_of(5, 1, 0)
    name = (CREATE, FLAGS_ONLY, DELETE, MOVE)[kind]
    change = Change(name, old, old, invalid_copy(old, 2) if there_is_memory else None, prepare_fails)
    fails = prepare_fails or (kind >= 2 and not there_is_memory)
    return change.goes_through_invalid() == (kind >= 2) and change.fails() == fails


def an_existing_slot_keeps_what_it_may_not_change(gpa: int, size: int, hva: int, flags: int, base_gfn: int) -> bool:
    """
    pre: 0 <= gpa <= U64_MAX and 0 <= size <= U64_MAX and 0 <= hva <= U64_MAX and 0 <= flags <= 3
    pre: 0 <= base_gfn <= LAST_PAGE
    post: __return__
    """
    old = copy_of(base_gfn, 9, 4096, flags=1)
    kind = kind_of(SetRegion(slot=7, gpa=gpa, size=size, hva=hva, flags=flags), old)
    if size == 0 or kind == DELETE:
        return size == 0 and kind == DELETE
    keeps = hva == 4096 and page_of(size) == 9 and flags in (0, 1)
    moves = page_of(gpa) != base_gfn
    wanted = MOVE if moves else Done() if flags == 1 else FLAGS_ONLY
    return kind == wanted if keeps else kind not in (CREATE, MOVE, FLAGS_ONLY, Done())


def what_is_not_there_is_made(gpa: int, size: int, flags: int) -> bool:
    """
    pre: 0 <= gpa <= U64_MAX and 0 <= size <= U64_MAX and 0 <= flags <= 7
    post: __return__
    """
    kind = kind_of(SetRegion(gpa=gpa, size=size, flags=flags), None)
    return (kind == CREATE) == (size > 0) and kind != DELETE
