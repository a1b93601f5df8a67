"""The sorted array that was the memory table until 2016, of any length: what it finds, and where it reads.

Highest guest address first. The steps of `model.vhost.sorted_array` run on an arbitrary array; a step that ends in
another one is not followed: what is true there is what the next step relies on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import model.vhost.sorted_array as sorted_array
from model.vhost.sorted_array import SortedArray
from proofs.symbolic.arrays import Piece, Read, any_array, every, every_two, length_of
from proofs.symbolic.boolean import all_of, implies, negation
from proofs.theorem import Bug, Patch, Theorem, patched
from proofs.world import World
from spec.units import U64, U64_MAX

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_search(world: World) -> dict[str, Any]:
    """An array, an address, and what the search knows: the place is one of start..end."""
    numbers = {name: world.integer(name, 0, U64_MAX) for name in ("address", "start", "end")}
    return {"pieces": any_array(world, "piece"), **numbers}


def any_found(world: World) -> dict[str, Any]:
    """An array, an address, and the place that was found for it."""
    numbers = {name: world.integer(name, 0, U64_MAX) for name in ("address", "place")}
    return {"pieces": any_array(world, "piece"), **numbers}


def is_sorted(pieces: Any) -> Any:
    """Highest start first."""
    return every_two(pieces, lambda upper, lower: lower.first <= upper.first)


def is_among(pieces: Any, address: Any, start: Any, end: Any) -> Any:
    """All before `start` begin above the address, all from `end` on at it or below."""
    return all_of(
        start >= 0,
        start <= end,
        end <= length_of(pieces),
        every(pieces, lambda i, piece: implies(i < start, piece.first > address)),
        every(pieces, lambda i, piece: implies(i >= end, piece.first <= address)),
    )


def is_being_searched(pieces: Any, address: Any, start: Any, end: Any) -> Any:
    """The array is sorted, and the region looked for is between the bounds of the search, if it is there."""
    return all_of(is_sorted(pieces), is_among(pieces, address, start, end))


def are_apart(upper: Piece, lower: Piece) -> Any:
    """Two regions share no byte."""
    return lower.last < upper.first


def is_found_among_disjoint(pieces: Any, address: Any, place: Any) -> Any:
    """No two regions overlap, and this is the place of the address."""
    return all_of(is_found(pieces, address, place), every_two(pieces, are_apart))


def is_found(pieces: Any, address: Any, place: Any) -> Any:
    """The array is sorted, no region ends before it begins, and the search has come down to one place."""
    ends = every(pieces, lambda i, piece: piece.first <= piece.last)
    return all_of(is_sorted(pieces), ends, is_among(pieces, address, place, place))


def is_found_below_the_end(pieces: Any, address: Any, place: Any) -> Any:
    """No region ends at the last address."""
    return all_of(is_found(pieces, address, place), every(pieces, lambda i, piece: piece.last < U64_MAX))


# RUNNING ONE STEP ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Halved:
    """The search goes on between these."""

    start: Any
    end: Any


def array_of(pieces: Any) -> SortedArray:
    """The array, which remembers where it is read."""
    array = SortedArray()
    array.entries = Read(pieces)  # type: ignore[assignment]
    return array


def reads(array: SortedArray) -> list[Any]:
    seen: list[Any] = array.entries.indexes  # type: ignore[attr-defined]
    return seen


@contextmanager
def with_place(place: Any) -> Iterator[None]:
    """The search for a place finds this one; the length of an array of any length can be asked for."""
    sorted_array.len = length_of  # type: ignore[attr-defined]
    try:
        with patched((Patch(SortedArray, "place_of", lambda array, address: place),)):
            yield
    finally:
        del sorted_array.len  # type: ignore[attr-defined]


# CLAIMS ----------------------------------------------------------------------------------------------------------


def is_halved(pieces: Any, address: Any, start: Any, end: Any) -> Any:
    """It is at the place; or it read one region between, and goes on with less, which has the place."""
    array, step = array_of(pieces), SortedArray.place_between
    with patched((Patch(SortedArray, "place_between", lambda array, address, start, end: Halved(start, end)),)):
        found: Any = step(array, address, start, end)
    if not isinstance(found, Halved):
        return all_of(len(reads(array)) == 0, is_among(pieces, address, found, found))
    [middle] = reads(array)
    return all_of(
        start <= middle,
        middle < end,
        found.end - found.start < end - start,
        is_among(pieces, address, found.start, found.end),
    )


def covers(piece: Piece, address: Any) -> Any:
    return all_of(piece.first <= address, address <= piece.last)


def finds_the_only_one(pieces: Any, address: Any, place: Any) -> Any:
    """Found: it holds the byte, and no other does. None: none does."""
    with with_place(place):
        found = array_of(pieces).find(address, address)
    if found is None:
        return every(pieces, lambda i, piece: negation(covers(piece, address)))
    others = every(pieces, lambda i, piece: implies(i != place, negation(covers(piece, address))))
    return all_of(covers(found, address), others)  # type: ignore[arg-type]


def reads_inside(pieces: Any, address: Any, place: Any) -> Any:
    """Only members are read; none where all begin above the address."""
    array = array_of(pieces)
    with with_place(place):
        sorted_array.found_by_kernels(array, address)
    are_all_above = every(pieces, lambda i, piece: piece.first > address)
    inside = all_of(*(index < length_of(pieces) for index in reads(array)))
    return all_of(inside, are_all_above == (len(reads(array)) == 0))


def finds_the_same(pieces: Any, address: Any, place: Any) -> Any:
    with with_place(place):
        exactly = array_of(pieces).find(address, address)
        in_64_bits = sorted_array.found_by_kernels(array_of(pieces), address)
    return (exactly is None) == (in_64_bits is None)


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def keeps_the_middle(self: SortedArray, address: int, start: int, end: int) -> int:
    if start >= end:
        return start
    middle = start + (end - start) // 2
    if address >= self.entries[middle].first:
        return self.place_between(address, start, middle)
    return self.place_between(address, middle, end)


def reads_whatever_is_there(array: SortedArray, address: int) -> Any:
    entry = array.entries[array.place_of(address)]
    return entry if (entry.first + entry.size) % U64 > address else None


def takes_one_byte_more(array: SortedArray, address: int) -> Any:
    place = array.place_of(address)
    if place == length_of(array.entries):
        return None
    entry = array.entries[place]
    return entry if (entry.first + entry.size) % U64 >= address else None


def ends_one_byte_early(self: SortedArray, first: int, last: int) -> Any:
    place = self.place_of(first)
    if place < length_of(self.entries) and self.entries[place].last > first:
        return self.entries[place]
    return None


# THEOREMS --------------------------------------------------------------------------------------------------------


def about(name: str, sentence: str, inputs: Any, given: Any, holds: Any, bug: Bug) -> Theorem:
    return Theorem(f"ARRAY2016.{name}", sentence, (), ("search",), "array and tree", inputs, given, holds, bug)


THEOREMS = (
    about(
        "PLACE",
        "A step of the search by halving reads one region between its bounds, and goes on with less of the array, "
        "which has the place: the first region that starts at the address or below. So it ends, and finds the place.",
        any_search,
        is_being_searched,
        is_halved,
        Bug("the region that was read stays in", (Patch(SortedArray, "place_between", keeps_the_middle),)),
    ),
    about(
        "DISJOINT",
        "Where no two regions overlap, the array finds the region that holds a byte, which is the only one, and "
        "nothing if none does, as the tree does.",
        any_found,
        is_found_among_disjoint,
        finds_the_only_one,
        Bug("the last byte of a region is not found", (Patch(SortedArray, "find", ends_one_byte_early),)),
    ),
    about(
        "IN_BOUNDS",
        "The search reads only regions that are there, if it asks first whether one starts at the address or below. "
        "Kernels did not ask.",
        any_found,
        is_found,
        reads_inside,
        Bug(
            "the region at the place is read also behind the last, as kernels did until 2016",
            (Patch(sorted_array, "found_by_kernels", reads_whatever_is_there),),
        ),
    ),
    about(
        "IN_64_BITS",
        "The search with the arithmetic of kernels, whose end of a region is a number of 64 bits, finds something "
        "exactly where the exact one does, if no region ends at the last address.",
        any_found,
        is_found_below_the_end,
        finds_the_same,
        Bug(
            "a region also holds the byte behind its last",
            (Patch(sorted_array, "found_by_kernels", takes_one_byte_more),),
        ),
    ),
)
