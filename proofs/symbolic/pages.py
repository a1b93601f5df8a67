"""Arbitrary sets of pages: what stands in for `spec.pages.Pages` in a proof.

A set of pages is known by the question whether it contains a page. The edits of `Pages` are edits of that question.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import z3

from proofs.symbolic.arithmetic import bounds
from proofs.symbolic.boolean import SymBool
from proofs.symbolic.explorer import current, truth
from proofs.symbolic.integer import integer, same
from proofs.symbolic.terms import any_one, both, opposite

MOST_PAGES = 2**64  # pages have smaller numbers


class SymPages:
    """A set of page numbers, given by a formula for "page is in it", of any int, plain or symbolic."""

    def __init__(self, holds: Callable[[Any], Any], listed: tuple[tuple[Any, Any], ...] | None = None) -> None:
        self.holds = holds
        self.listed = listed  # (is it there, page) of a set that is to become plain again

    def contains(self, page: Any) -> SymBool:
        """Whether the page is in the set."""
        return SymBool(self.holds(page))

    def with_page(self, page: Any) -> SymPages:
        """The set with one more page."""
        return SymPages(lambda asked: any_one(self.holds(asked), same(asked, page)))

    def without(self, cleared: Any) -> SymPages:
        """The set without the pages of another."""
        return SymPages(lambda asked: both(self.holds(asked), opposite(holds_page(cleared, asked))))

    def below(self, end: Any) -> SymPages:
        """The pages of the set that are smaller than `end`."""
        return SymPages(lambda asked: both(self.holds(asked), truth(asked < end)))

    def moved_up(self, distance: Any) -> SymPages:
        """The set with every page number larger by `distance`."""
        return SymPages(lambda asked: self.holds(asked - distance))


def holds_page(pages: Any, asked: Any) -> Any:
    """The formula for "the page is in the set", of symbolic and of plain sets."""
    if isinstance(pages, SymPages):
        return pages.holds(asked)
    ranges = [both(truth(first <= asked), truth(asked <= last)) for first, last in pages.ranges]
    return any_one(*ranges) if ranges else z3.BoolVal(False)


def any_pages(name: str) -> SymPages:
    """A set of pages of which nothing is known, but that pages are numbered from 0."""
    return SymPages(asked_of(page_question(name)))


def page_question(name: str, *sorts: Any) -> Any:
    """An unknown question of a page, and of things of other sorts before it."""
    return z3.Function(name, *sorts, current().arithmetic.sort(0, MOST_PAGES - 1), z3.BoolSort())


def asked_of(question: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The question whether an int is in a set of pages, by the unknown question of a term for a page."""

    def holds(asked: Any) -> Any:
        low, high = bounds(asked)
        if high < 0 or low >= MOST_PAGES:
            return z3.BoolVal(False)
        is_in = question(current().arithmetic.term(asked, 0, MOST_PAGES - 1))
        if low >= 0 and high < MOST_PAGES:
            return is_in
        return both(truth(asked >= 0), truth(asked < MOST_PAGES), is_in)

    return holds


def few_pages(name: str, count: int, highest: int) -> SymPages:
    """A set of at most `count` pages among 0 .. highest."""
    listed = tuple((z3.Bool(f"{name}.has{i}"), integer(f"{name}.page{i}", 0, highest)) for i in range(count))
    return SymPages(lambda asked: any_one(*(both(there, same(asked, page)) for there, page in listed)), listed)
