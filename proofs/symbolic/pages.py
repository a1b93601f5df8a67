"""Arbitrary sets of pages: what stands in for `spec.pages.Pages` in a proof.

A set of pages is known by the question whether it contains a page. The edits of `Pages` are edits of that question.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import z3

from proofs.symbolic.boolean import SymBool
from proofs.symbolic.integer import integer, term_of


class SymPages:
    """A set of page numbers, given by a formula for "page is in it"."""

    def __init__(self, holds: Callable[[Any], Any], listed: tuple[tuple[Any, Any], ...] | None = None) -> None:
        self.holds = holds
        self.listed = listed  # (is it there, page) of a set that is to become plain again

    def contains(self, page: Any) -> SymBool:
        """Whether the page is in the set."""
        return SymBool(self.holds(term_of(page)))

    def with_page(self, page: Any) -> SymPages:
        """The set with one more page."""
        return SymPages(lambda asked: z3.Or(self.holds(asked), asked == term_of(page)))

    def without(self, cleared: Any) -> SymPages:
        """The set without the pages of another."""
        return SymPages(lambda asked: z3.And(self.holds(asked), z3.Not(holds_page(cleared, asked))))

    def below(self, end: Any) -> SymPages:
        """The pages of the set that are smaller than `end`."""
        return SymPages(lambda asked: z3.And(self.holds(asked), asked < term_of(end)))

    def moved_up(self, distance: Any) -> SymPages:
        """The set with every page number larger by `distance`."""
        return SymPages(lambda asked: self.holds(asked - term_of(distance)))


def holds_page(pages: Any, asked: Any) -> Any:
    """The formula for "the page is in the set", of symbolic and of plain sets."""
    if isinstance(pages, SymPages):
        return pages.holds(asked)
    ranges = [z3.And(term_of(first) <= asked, asked <= term_of(last)) for first, last in pages.ranges]
    return z3.Or(*ranges) if ranges else z3.BoolVal(False)


def any_pages(name: str) -> SymPages:
    """A set of pages of which nothing is known, but that pages are numbered from 0."""
    is_in = z3.Function(name, z3.IntSort(), z3.BoolSort())
    return SymPages(lambda asked: z3.And(asked >= 0, is_in(asked)))


def few_pages(name: str, count: int, highest: int) -> SymPages:
    """A set of at most `count` pages among 0 .. highest."""
    listed = tuple((z3.Bool(f"{name}.has{i}"), integer(f"{name}.page{i}", 0, highest).term) for i in range(count))
    return SymPages(lambda asked: z3.Or(*(z3.And(there, asked == page) for there, page in listed)), listed)
