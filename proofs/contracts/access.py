"""Contracts of accesses: how a write of up to two pages falls into pieces."""

from __future__ import annotations

from itertools import pairwise

from spec.memslots.access import pieces_by_page
from spec.units import U64_MAX, page_of  # noqa: F401 - the contracts name it


def pieces_cover_the_access(gpa: int, length: int) -> bool:
    """
    pre: 0 <= gpa <= U64_MAX - 4096 and 1 <= length <= 4096
    post: __return__
    """
    pieces = pieces_by_page(gpa, length)
    follows = all(one[1] + 1 == other[0] for one, other in pairwise(pieces))
    return pieces[0][0] == gpa and pieces[-1][1] == gpa + length - 1 and follows


def pieces_stay_in_their_page(gpa: int, length: int) -> bool:
    """
    pre: 0 <= gpa <= U64_MAX - 4096 and 1 <= length <= 4096
    post: __return__
    """
    return all(first <= last and page_of(first) == page_of(last) for first, last in pieces_by_page(gpa, length))
