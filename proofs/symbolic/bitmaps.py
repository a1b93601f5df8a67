"""Arbitrary memory for dirty bitmaps: at which addresses there is one, and which pages are set in it."""

from __future__ import annotations

from typing import Any

import z3

from proofs.symbolic.boolean import SymBool
from proofs.symbolic.explorer import current, is_exploring
from proofs.symbolic.fewset import FEW_PAGES, HIGHEST_PAGE
from proofs.symbolic.integer import integer, same
from proofs.symbolic.pages import SymPages, asked_of, few_pages, holds_page, page_question
from proofs.symbolic.terms import any_one, both, opposite
from spec.pages import NO_PAGES
from spec.units import U64_MAX

HIGHEST_ADDRESS = 2 * U64_MAX  # there is always room behind what was allocated


class AnyBitmaps:
    """Any number of bitmaps, each with any pages set."""

    def __init__(self, name: str) -> None:
        sort = current().arithmetic.sort(0, HIGHEST_ADDRESS)
        self._is_there = z3.Function(f"{name}.is_there", sort, z3.BoolSort())
        self._has_page = page_question(f"{name}.has_page", sort)

    def is_at(self, address: Any) -> Any:
        """The formula for "there is a bitmap at this address"."""
        return self._is_there(_term(address))

    def has_page(self, address: Any, page: Any) -> Any:
        """The formula for "this page is set in the bitmap at this address"."""
        return asked_of(lambda asked: self._has_page(_term(address), asked))(page)


def _term(address: Any) -> Any:
    return current().arithmetic.term(address, 0, HIGHEST_ADDRESS)


class FewBitmaps:
    """At most so many bitmaps, each with few pages: what can become a plain dict."""

    def __init__(self, name: str, count: int) -> None:
        self.entries = tuple(
            (
                z3.Bool(f"{name}{i}.is_there"),
                integer(f"{name}{i}.address", 1, U64_MAX),
                few_pages(f"{name}{i}", FEW_PAGES, HIGHEST_PAGE),
            )
            for i in range(count)
        )
        addresses = [address for _, address, _ in self.entries]
        pairs = [(one, other) for i, one in enumerate(addresses) for other in addresses[:i]]
        current().ground.extend(opposite(same(one, other)) for one, other in pairs)

    def is_at(self, address: Any) -> Any:
        """The formula for "there is a bitmap at this address"."""
        return any_one(*(both(there, same(address, known)) for there, known, _ in self.entries))

    def has_page(self, address: Any, page: Any) -> Any:
        """The formula for "this page is set in the bitmap at this address"."""
        return any_one(*(both(there, same(address, known), pages.holds(page)) for there, known, pages in self.entries))

    def as_plain(self, holds: Any, plain: Any) -> dict[int, Any]:
        """The plain bitmaps that they are in a solver's model."""
        return {plain(address): plain(pages) for there, address, pages in self.entries if holds(there)}


class Bitmaps:
    """The bitmaps of one run, as `model.memslots.memory` uses its dict: read, written, allocated and given back."""

    def __init__(self, at_first: Any) -> None:
        self.at_first = at_first
        self.edits: list[tuple[Any, Any]] = []  # (address, pages or None), the latest last

    def is_at(self, address: Any) -> SymBool:
        """Whether there is a bitmap at this address now."""
        there = self.at_first.is_at(address)
        for edited, pages in self.edits:
            there = z3.If(same(edited, address), z3.BoolVal(pages is not None), there)
        return SymBool(there)

    def at(self, address: Any) -> SymPages:
        """The pages that are set in the bitmap at this address, whether there is one or not."""
        edits = tuple(self.edits)

        def has_page(page: Any) -> Any:
            formula = self.at_first.has_page(address, page)
            for edited, pages in edits:
                is_set_now = z3.BoolVal(False) if pages is None else holds_page(pages, page)
                formula = z3.If(same(edited, address), is_set_now, formula)
            return formula

        return SymPages(has_page)

    def __getitem__(self, address: Any) -> SymPages:
        self._require(address)
        return self.at(address)

    def __setitem__(self, address: Any, pages: Any) -> None:
        self.edits.append((address, pages))

    def __delitem__(self, address: Any) -> None:
        self._require(address)
        self.edits.append((address, None))

    def _require(self, address: Any) -> None:
        if not self.is_at(address):
            raise KeyError(address)


def in_a_run(at_first: Any) -> Any:
    """Bitmaps that one run may change."""
    return dict(at_first) if isinstance(at_first, dict) else Bitmaps(at_first)


def is_bitmap(bitmaps: Any, address: Any) -> Any:
    """Whether there is a bitmap at this address."""
    return address in bitmaps if isinstance(bitmaps, dict) else bitmaps.is_at(address)


def bitmap_at(bitmaps: Any, address: Any) -> Any:
    """The pages of the bitmap at this address, whether there is one or not."""
    return bitmaps.get(address, NO_PAGES) if isinstance(bitmaps, dict) else bitmaps.at(address)


def is_page_set(pages: Any, page: Any) -> Any:
    """Whether a page is in a set of pages, plain or not, without a branch."""
    return SymBool(holds_page(pages, page)) if is_exploring() else pages.contains(page)
