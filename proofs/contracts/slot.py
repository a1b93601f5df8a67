"""Contracts of `spec.memslots.slot`: slot words, flags, and where a slot's bytes are."""

from __future__ import annotations

from spec.memslots.slot import Slot, has_flag, id_of, space_of
from spec.units import U16_MAX, U32_MAX  # noqa: F401 - the contracts name it

MAX_PAGES = 2**31 - 1
LAST_PAGE = 2**52 - 1


def slot_word_has_two_halves(word: int) -> bool:
    """
    pre: 0 <= word <= U32_MAX
    post: __return__
    """
    space, number = space_of(word), id_of(word)
    return 0 <= space <= U16_MAX and 0 <= number <= U16_MAX and space * 2**16 + number == word


def flags_add_up(flags: int) -> bool:
    """
    pre: 0 <= flags <= 7
    post: __return__
    """
    return flags == sum(flag for flag in (1, 2, 4) if has_flag(flags, flag))


def a_gfn_is_in_the_slot_or_beside_it(base_gfn: int, npages: int, gfn: int) -> bool:
    """
    pre: 0 <= base_gfn <= LAST_PAGE and 1 <= npages <= MAX_PAGES and 0 <= gfn <= LAST_PAGE
    post: __return__ == (0 <= gfn - base_gfn < npages)
    """
    return Slot(0, 0, base_gfn, npages, 0, 0).contains(gfn)


def the_slots_own_ends_are_in_it(base_gfn: int, npages: int) -> bool:
    """
    pre: 0 <= base_gfn <= LAST_PAGE and 1 <= npages <= MAX_PAGES
    post: __return__
    """
    slot = Slot(0, 0, base_gfn, npages, 0, 0)
    return slot.contains(slot.base_gfn) and slot.contains(slot.last_gfn()) and not slot.contains(slot.last_gfn() + 1)


def first_and_last_byte(base_gfn: int, npages: int, hva: int) -> bool:
    """
    pre: 0 <= base_gfn <= LAST_PAGE and 1 <= npages <= MAX_PAGES and 0 <= hva < 2**63
    post: __return__
    """
    slot = Slot(0, 0, base_gfn, npages, hva, 0)
    return (
        slot.hva_of(slot.first_gpa()) == slot.hva
        and slot.hva_of(slot.last_gpa()) == slot.last_hva()
        and slot.last_hva() - slot.hva == slot.last_gpa() - slot.first_gpa()
    )


def host_bytes_follow_guest_bytes(base_gfn: int, npages: int, hva: int, distance: int) -> bool:
    """
    pre: 0 <= base_gfn <= LAST_PAGE and 1 <= npages <= MAX_PAGES and 0 <= hva < 2**63
    pre: 0 <= distance < npages * 4096
    post: __return__
    """
    slot = Slot(0, 0, base_gfn, npages, hva, 0)
    host = slot.hva_of(slot.first_gpa() + distance)
    return host == hva + distance and host <= slot.last_hva()


def a_slot_touches_where_it_has_a_page(base_gfn: int, npages: int, first: int, last: int) -> bool:
    """
    pre: 0 <= base_gfn <= LAST_PAGE and 1 <= npages <= MAX_PAGES and 0 <= first <= last <= LAST_PAGE
    post: __return__
    """
    slot, later = Slot(0, 0, base_gfn, npages, 0, 0), max(base_gfn, first)
    return slot.touches(first, last) == (slot.contains(later) and later <= last)


def each_flag_says_one_thing(flags: int) -> bool:
    """
    pre: 0 <= flags <= 7
    post: __return__
    """
    slot = Slot(0, 0, 0, 1, 0, flags)
    return slot.logs_dirty_pages() == (flags in (1, 3, 5, 7)) and slot.is_read_only() == (flags in (2, 3, 6, 7))
