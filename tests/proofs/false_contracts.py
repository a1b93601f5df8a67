"""Contracts that CrossHair must not confirm: two false ones, and one whose function raises."""

from __future__ import annotations

from spec.memslots.slot import Slot
from spec.units import page_of, ranges_touch


def ranges_that_meet_do_not_touch(first: int, last: int, other_first: int, other_last: int) -> bool:
    """
    pre: 0 <= first <= last and 0 <= other_first <= other_last
    post: __return__ == (first < other_last and other_first < last)
    """
    return ranges_touch(first, last, other_first, other_last)


def the_gfn_after_the_last_is_inside(base_gfn: int, npages: int) -> bool:
    """
    pre: 0 <= base_gfn < 2**52 and 1 <= npages < 2**31
    post: __return__
    """
    return Slot(0, 0, base_gfn, npages, 0, 0).contains(base_gfn + npages)


def it_raises(address: int) -> int:
    """
    pre: 0 <= address < 2**64
    post: __return__ >= 0
    """
    return page_of(address) // (address - 4096)
