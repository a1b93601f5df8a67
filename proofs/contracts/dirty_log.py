"""Contracts of the dirty log: bitmap sizes, and the arithmetic of a clear's range."""

from __future__ import annotations

from spec.memslots.dirty_log import bitmap_bytes
from spec.memslots.dirty_ring import EnableDirtyRing, ring_size
from spec.pages import Pages, all_pages
from spec.units import U32_MAX, U64_MAX  # noqa: F401 - the contracts name it

MAX_PAGES = 2**31 - 1


def bitmap_is_whole_words(npages: int) -> int:
    """
    pre: 1 <= npages <= MAX_PAGES
    post: __return__ % 8 == 0 and npages <= __return__ * 8 < npages + 64
    """
    return bitmap_bytes(npages)


def a_full_log_has_the_slots_pages(npages: int, page: int) -> bool:
    """
    pre: 1 <= npages <= MAX_PAGES and 0 <= page <= U32_MAX
    post: __return__ == (page < npages)
    """
    return all_pages(npages).contains(page)


def moving_up_moves_each_page(first: int, last: int, distance: int, page: int) -> bool:
    """
    pre: 0 <= first <= last <= MAX_PAGES and 0 <= distance <= U64_MAX and 0 <= page <= U64_MAX
    post: __return__
    """
    pages = Pages(((first, last),))
    return pages.moved_up(distance).contains(page) == pages.contains(page - distance)


def taking_a_range_out(first: int, last: int, gone_first: int, gone_last: int, page: int) -> bool:
    """
    pre: 0 <= first <= last <= MAX_PAGES and 0 <= gone_first <= gone_last <= MAX_PAGES and 0 <= page <= MAX_PAGES
    post: __return__
    """
    left = Pages(((first, last),)).without(Pages(((gone_first, gone_last),)))
    return left.contains(page) == (first <= page <= last and not gone_first <= page <= gone_last)


def marking_a_page(first: int, last: int, marked: int, page: int) -> bool:
    """
    pre: 0 <= first <= last <= MAX_PAGES and 0 <= marked <= MAX_PAGES and 0 <= page <= MAX_PAGES
    post: __return__
    """
    after = Pages(((first, last),)).with_page(marked)
    return after.contains(page) == (first <= page <= last or page == marked)


def the_ring_has_the_lower_half(size: int) -> bool:
    """
    pre: 0 <= size <= U64_MAX
    post: __return__
    """
    taken = ring_size(EnableDirtyRing(size=size))
    return 0 <= taken <= U32_MAX and (size - taken) % 2**32 == 0
