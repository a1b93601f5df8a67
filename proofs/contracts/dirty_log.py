"""Contracts of the dirty log: bitmap sizes, sets of pages, the range of a clear, rings and options."""

from __future__ import annotations

from dataclasses import replace

from spec.memslots.clear_dirty_log import (
    ClearDirtyLog,
    count_is_outside,
    count_is_unaligned,
    first_is_outside,
    first_is_unaligned,
    has_nowhere_to_read,
)
from spec.memslots.dirty_log import LogCall, bitmap_bytes, vm_has_a_ring
from spec.memslots.dirty_ring import (
    EnableDirtyRing,
    has_a_ring,
    is_no_power_of_two,
    is_too_large,
    is_too_small,
    ring_size,
)
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.get_dirty_log import effect as get_dirty_log_effect
from spec.memslots.manual_protect import EnableManualProtect, options_are_unknown
from spec.memslots.slot import EMPTY_VM, Slot, Vm
from spec.pages import NO_PAGES, Pages, all_pages
from spec.profile import Profile
from spec.units import U32_MAX, U64_MAX, rounded_up  # noqa: F401 - the contracts name it

ANY = Profile()
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


def a_ring_has_one_of_nine_sizes(size: int) -> bool:
    """
    pre: 0 <= size <= U64_MAX
    post: __return__ == (size % 2**32 in (2**12, 2**13, 2**14, 2**15, 2**16, 2**17, 2**18, 2**19, 2**20))
    """
    request = EnableDirtyRing(size=size)
    questions = (is_no_power_of_two, is_too_small, is_too_large)
    return not any(question(ANY, EMPTY_VM, request) for question in questions)


def a_ring_that_passes_is_there_afterwards(size: int, smallest: int) -> bool:
    """
    pre: 0 <= size <= U64_MAX and 1 <= smallest <= U32_MAX
    post: __return__
    """
    request = EnableDirtyRing(size=size)
    if is_too_small(Profile(smallest_dirty_ring=smallest), EMPTY_VM, request):
        return ring_size(request) < smallest
    after = Vm(dirty_ring=ring_size(request))
    return has_a_ring(ANY, after, request) and vm_has_a_ring(ANY, after, LogCall())


def no_ring_is_no_ring_to_anybody(ring: int) -> bool:
    """
    pre: 0 <= ring <= U32_MAX
    post: __return__
    """
    vm = Vm(dirty_ring=ring)
    return has_a_ring(ANY, vm, EnableDirtyRing()) == vm_has_a_ring(ANY, vm, LogCall()) == (ring != 0)


def a_first_page_that_passes_begins_a_word(first_page: int) -> bool:
    """
    pre: 0 <= first_page <= U64_MAX
    post: __return__
    """
    request = ClearDirtyLog(first_page=first_page)
    return first_is_unaligned(ANY, EMPTY_VM, request) != (rounded_up(first_page, 64) == first_page)


def clearing_nothing_reads_nothing(num_pages: int, buffer_ok: bool) -> bool:
    """
    pre: 0 <= num_pages <= U32_MAX
    post: __return__
    """
    request = ClearDirtyLog(num_pages=num_pages, buffer_ok=buffer_ok)
    return has_nowhere_to_read(ANY, EMPTY_VM, request) == (not buffer_ok and bitmap_bytes(num_pages) > 0)


def logs_begin_full_only_where_userspace_clears(options: int) -> bool:
    """
    pre: 0 <= options <= U64_MAX
    post: __return__
    """
    unknown = options_are_unknown(ANY, EMPTY_VM, EnableManualProtect(options=options))
    clears_by_hand, begins_full = options % 2 == 1, options // 2 % 2 == 1
    return unknown == (options >= 4 or (begins_full and not clears_by_hand))


LOGGED = Vm(slots=frozenset({Slot(space=0, id=0, base_gfn=5, npages=100, hva=0, flags=1, dirty=all_pages(70))}))


def a_clear_that_passes_ends_with_a_word_or_with_the_slot(first_page: int, num_pages: int) -> bool:
    """
    pre: 0 <= first_page <= U64_MAX and 0 <= num_pages <= U32_MAX
    post: __return__
    """
    request = ClearDirtyLog(first_page=first_page, num_pages=num_pages)
    questions = (first_is_outside, count_is_outside, count_is_unaligned)
    refused = any(question(ANY, LOGGED, request) for question in questions)
    end = first_page + num_pages
    return refused != (end == 100 or (end < 100 and num_pages in (0, 64)))


def a_log_that_was_read_is_one_log(by_hand: bool) -> bool:
    """
    post: __return__
    """
    after, answer = get_dirty_log_effect(ANY, replace(LOGGED, manual_protect=by_hand), GetDirtyLog())
    logs = [slot.dirty for slot in after.slots]
    return answer.pages == all_pages(70) and logs == [all_pages(70) if by_hand else NO_PAGES]
