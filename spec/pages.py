"""A set of pages, as the dirty log needs it: mark one, clear some, report all.

Kept as ranges (first, last), both ends included, in order and never touching each other, so that two
equal sets are equal values and a slot of 2^31 - 1 dirty pages costs one range.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pages:
    """A set of page numbers. Build it with `NO_PAGES`, `all_pages` or `pages_in`."""

    ranges: tuple[tuple[int, int], ...]

    def contains(self, page: int) -> bool:
        """Whether the page is in the set."""
        return any(first <= page <= last for first, last in self.ranges)

    def with_page(self, page: int) -> Pages:
        """The set with one more page."""
        if self.contains(page):
            return self
        return pages_in((*self.ranges, (page, page)))

    def without(self, cleared: Pages) -> Pages:
        """The set without the pages of another."""
        kept = self.ranges
        for gone_first, gone_last in cleared.ranges:
            pieces = []
            for first, last in kept:
                pieces.append((first, min(last, gone_first - 1)))
                pieces.append((max(first, gone_last + 1), last))
            kept = tuple((first, last) for first, last in pieces if first <= last)
        return pages_in(kept)

    def below(self, end: int) -> Pages:
        """The pages of the set that are smaller than `end`."""
        return Pages(tuple((first, min(last, end - 1)) for first, last in self.ranges if first < end))

    def moved_up(self, distance: int) -> Pages:
        """The set with every page number larger by `distance`."""
        return Pages(tuple((first + distance, last + distance) for first, last in self.ranges))


NO_PAGES = Pages(())


def all_pages(count: int) -> Pages:
    """The pages 0 .. count - 1, for a count of at least 1."""
    return Pages(((0, count - 1),))


def pages_in(ranges: tuple[tuple[int, int], ...]) -> Pages:
    """The set of all pages in these ranges, which may overlap and come in any order."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return Pages(tuple(joined))
