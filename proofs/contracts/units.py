"""Contracts of `spec.units`: alignment, pages, rounding, ranges."""

from __future__ import annotations

from spec.units import (  # noqa: F401 - the contracts name U64_MAX
    PAGE_SIZE,
    U64_MAX,
    address_of,
    is_page_aligned,
    page_of,
    ranges_touch,
    rounded_up,
)


def aligned_is_the_start_of_its_page(number: int) -> bool:
    """
    pre: 0 <= number <= U64_MAX
    post: __return__
    """
    return is_page_aligned(number) == (address_of(page_of(number)) == number)


def page_holds_its_bytes(address: int) -> bool:
    """
    pre: 0 <= address <= U64_MAX
    post: __return__
    """
    first = address_of(page_of(address))
    return first <= address <= first + PAGE_SIZE - 1


def rounding_up_to_words(number: int) -> int:
    """
    pre: 0 <= number <= U64_MAX
    post: __return__ % 64 == 0 and number <= __return__ < number + 64
    """
    return rounded_up(number, 64)


def touching_is_sharing(first: int, last: int, other_first: int, other_last: int) -> bool:
    """
    pre: 0 <= first <= last <= U64_MAX and 0 <= other_first <= other_last <= U64_MAX
    post: __return__ == (max(first, other_first) <= min(last, other_last))
    """
    return ranges_touch(first, last, other_first, other_last)
