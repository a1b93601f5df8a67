"""A set of pages kept as ranges behaves like a set of ints."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spec.pages import Pages, pages_in

PAGE = st.integers(0, 40)
RANGES = st.lists(st.tuples(PAGE, PAGE).map(lambda r: (min(r), max(r))), max_size=6).map(tuple)


def members(pages: Pages) -> set[int]:
    return {page for first, last in pages.ranges for page in range(first, last + 1)}


def is_canonical(pages: Pages) -> bool:
    gaps = zip(pages.ranges, pages.ranges[1:], strict=False)
    return all(first <= last for first, last in pages.ranges) and all(a[1] + 1 < b[0] for a, b in gaps)


@given(RANGES, RANGES, PAGE)
def test_pages_are_a_set(ranges: tuple[tuple[int, int], ...], gone: tuple[tuple[int, int], ...], page: int) -> None:
    pages, cleared = pages_in(ranges), pages_in(gone)
    assert members(pages) == {p for first, last in ranges for p in range(first, last + 1)}
    assert members(pages.with_page(page)) == members(pages) | {page}
    assert members(pages.without(cleared)) == members(pages) - members(cleared)
    assert members(pages.moved_up(7)) == {p + 7 for p in members(pages)}
    assert members(pages.below(page)) == {p for p in members(pages) if p < page}
    assert pages.contains(page) == (page in members(pages))
    for result in (pages, pages.with_page(page), pages.without(cleared), pages.below(page)):
        assert is_canonical(result)
