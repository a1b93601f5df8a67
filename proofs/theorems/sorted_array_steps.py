"""The sorted array of the older kernels, of any length: each step of a change and of a search, and what follows.

A change leaves one entry free, lets others pass it one by one, and puts the new slot where the free entry is then.
`place` is the entry that was free at first: where the old slot was, or behind the last. What has been moved since is
known: between `place` and the free entry each one is a neighbour's. A step runs as it is on an arbitrary array.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from model.memslots.array import SortedArray
from model.memslots.protocol import SlotCopy
from proofs.symbolic.arrays import Piece, any_array, every, every_two, length_of
from proofs.symbolic.boolean import all_of, any_of, implies, negation
from proofs.symbolic.choice import choose
from proofs.theorem import Bug, Patch, Theorem, patched
from proofs.theorems.sorted_array_vhost import Halved
from proofs.world import World
from spec.units import U64_MAX

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_change(world: World) -> dict[str, Any]:
    """An array of slots, a new slot, the entry that was free at first, and the one that is free now."""
    numbers = {name: world.integer(name, 0, U64_MAX) for name in ("new_first", "new_last", "place", "free")}
    return {"pieces": any_array(world, "slot"), **numbers}


def any_search(world: World) -> dict[str, Any]:
    """An array of slots, a page, what the search knows: the place is one of start..end; and the cached entry."""
    numbers = {name: world.integer(name, 0, U64_MAX) for name in ("gfn", "start", "end", "used")}
    return {"pieces": any_array(world, "slot"), **numbers}


def is_sorted(pieces: Any) -> Any:
    """Highest first, no two slots share a page, each has one."""
    return all_of(every_two(pieces, is_above), every(pieces, lambda i, piece: piece.first <= piece.last))


def is_above(upper: Piece, lower: Piece) -> Any:
    """The upper one begins behind the end of the lower one."""
    return lower.last < upper.first


def moves_backward(pieces: Any, new_first: Any, new_last: Any, place: Any, free: Any) -> Any:
    """The array is sorted; each slot that has passed to the front begins at the new slot's first page or above."""
    return all_of(
        is_sorted(pieces),
        new_first <= new_last,
        place <= free,
        free < length_of(pieces),
        every(pieces, lambda i, piece: implies(all_of(i > place, i <= free), piece.first >= new_first)),
    )


def moves_forward(pieces: Any, new_first: Any, new_last: Any, place: Any, free: Any) -> Any:
    """The array is sorted; each slot that has passed to the back begins at the new slot's first page or below."""
    return all_of(
        is_sorted(pieces),
        new_first <= new_last,
        free <= place,
        place <= length_of(pieces),
        every(pieces, lambda i, piece: implies(all_of(i >= free, i < place), piece.first <= new_first)),
    )


def has_moved_backward(pieces: Any, new_first: Any, new_last: Any, place: Any, free: Any) -> Any:
    """Slots have passed to the front, and the new slot shares no page with any but the old one."""
    moving = moves_backward(pieces, new_first, new_last, place, free)
    return all_of(moving, place < free, is_clear(pieces, new_first, new_last, place))


def is_clear(pieces: Any, new_first: Any, new_last: Any, place: Any) -> Any:
    """No slot but the one at `place` has a page of the new one."""
    return every(
        pieces,
        lambda i, piece: implies(i != place, negation(all_of(piece.first <= new_last, new_first <= piece.last))),
    )


def is_where_it_belongs(pieces: Any, new_first: Any, new_last: Any, place: Any, free: Any) -> Any:
    """Both loops have ended: all slots in front of the free entry, but the old one, begin above the new slot and all
    behind it below.
    """
    return all_of(
        is_sorted(pieces),
        new_first <= new_last,
        place <= length_of(pieces),
        free <= length_of(pieces),
        implies(place < length_of(pieces), free < length_of(pieces)),
        is_clear(pieces, new_first, new_last, place),
        every(pieces, lambda i, piece: implies(all_of(i < free, i != place), piece.first >= new_first)),
        every(pieces, lambda i, piece: implies(all_of(i > free, i != place), piece.first <= new_first)),
        implies(free > place, every(pieces, lambda i, piece: implies(i == free, piece.first >= new_first))),
        implies(free < place, every(pieces, lambda i, piece: implies(i == free, piece.first <= new_first))),
    )


def has_a_gap(pieces: Any, new_first: Any, new_last: Any, place: Any, free: Any) -> Any:
    """A slot is taken out, and the gap is not yet at the end."""
    return all_of(is_sorted(pieces), place <= free, free + 1 < length_of(pieces))


def is_among(pieces: Any, gfn: Any, start: Any, end: Any) -> Any:
    """All before `start` begin above the page, all from `end` on at it or below."""
    return all_of(
        start <= end,
        end <= length_of(pieces),
        every(pieces, lambda i, piece: implies(i < start, piece.first > gfn)),
        every(pieces, lambda i, piece: implies(i >= end, piece.first <= gfn)),
    )


def is_being_searched(pieces: Any, gfn: Any, start: Any, end: Any, used: Any) -> Any:
    """The array is sorted, and the place of the page is one of start..end."""
    return all_of(is_sorted(pieces), is_among(pieces, gfn, start, end))


def is_found(pieces: Any, gfn: Any, start: Any, end: Any, used: Any) -> Any:
    """The place of the page is found, and the cache points into the array."""
    return all_of(
        is_sorted(pieces), start == end, is_among(pieces, gfn, start, end), implies(used != 0, used < length_of(pieces))
    )


# RUNNING ONE STEP ------------------------------------------------------------------------------------------------


class Entries:
    """The entries of an array. What is written is kept; nothing that is written is read again in one step."""

    def __init__(self, pieces: Any) -> None:
        self.pieces = pieces
        self.written: list[tuple[Any, SlotCopy]] = []
        self.read: list[Any] = []

    def __getitem__(self, index: Any) -> SlotCopy:
        self.read.append(index)
        piece = self.pieces[index]
        return copy_of(index, piece.first, piece.last)

    def __setitem__(self, index: Any, copy: SlotCopy) -> None:
        self.written.append((index, copy))


class Numbers:
    """The index of numbers: what is written into it, and where the slot is that is asked for."""

    def __init__(self, place: Any = None) -> None:
        self.place = place
        self.written: list[tuple[Any, Any]] = []

    def __getitem__(self, number: Any) -> Any:
        return self.place

    def __setitem__(self, number: Any, index: Any) -> None:
        self.written.append((number, index))


def copy_of(number: Any, first: Any, last: Any) -> SlotCopy:
    """A slot by its pages. Its number is the entry that it was in at first."""
    return SlotCopy(address=1, space=0, id=number, base_gfn=first, npages=last - first + 1, hva=0, flags=0)


def array_of(pieces: Any) -> tuple[SortedArray, Entries, Numbers]:
    array, entries, numbers = SortedArray(), Entries(pieces), Numbers()
    array.entries, array.index_of = entries, numbers  # type: ignore[assignment]
    array.used = length_of(pieces)
    return array, entries, numbers


# CLAIMS ----------------------------------------------------------------------------------------------------------


def moved_one(entries: Entries, numbers: Numbers, free: Any, after: Any) -> Any:
    """The entry that was free now has what was in the other one, the index says so, and nothing else was written."""
    if len(entries.written) != 1 or len(numbers.written) != 1:
        return False
    [(index, copy)], [(number, where)] = entries.written, numbers.written
    return all_of(index == free, copy.id == after, number == after, where == free)


def backward_is_right(pieces: Any, new_first: Any, new_last: Any, place: Any, free: Any) -> Any:
    """A slot passes to the front and fewer are behind; or none has to, as all behind begin below the new one."""
    array, entries, numbers = array_of(pieces)
    new = copy_of(length_of(pieces), new_first, new_last)
    if not array.is_too_far_in_front(new, free):
        return every(pieces, lambda i, piece: implies(i > free, piece.first < new_first))
    after = array.from_behind(free)
    return all_of(
        moved_one(entries, numbers, free, after),
        length_of(pieces) - after < length_of(pieces) - free,
        moves_backward(pieces, new_first, new_last, place, after),
    )


def forward_is_right(pieces: Any, new_first: Any, new_last: Any, place: Any, free: Any) -> Any:
    """A slot passes to the back and fewer are in front; or none has to, as all in front begin above the new one."""
    array, entries, numbers = array_of(pieces)
    new = copy_of(length_of(pieces), new_first, new_last)
    if not array.is_too_far_behind(new, free):
        return every(pieces, lambda i, piece: implies(i < free, piece.first > new_first))
    after = array.from_the_front(free)
    return all_of(
        moved_one(entries, numbers, free, after),
        after < free,
        moves_forward(pieces, new_first, new_last, place, after),
    )


def nothing_passes_back(pieces: Any, new_first: Any, new_last: Any, place: Any, free: Any) -> Any:
    """What has passed to the front stays there: in front of the free entry is now what was in it."""
    array, entries, _ = array_of(pieces)
    entries.pieces = Shifted(pieces)
    return negation(array.is_too_far_behind(copy_of(length_of(pieces), new_first, new_last), free))


class Shifted:
    """An array in which each slot has passed one entry to the front."""

    def __init__(self, pieces: Any) -> None:
        self.pieces = pieces

    def __getitem__(self, index: Any) -> Piece:
        piece: Piece = self.pieces[index + 1]
        return piece


def order_is_kept(pieces: Any, new_first: Any, new_last: Any, place: Any, free: Any) -> Any:
    """When all that must has passed and the new slot is put, each entry is above the next."""
    array, entries, numbers = array_of(pieces)
    numbers.place = place
    old = None if place == length_of(pieces) else copy_of(place, 0, 0)
    stays = (Patch(SortedArray, name, lambda array, new, index: free) for name in ("_moved_backward", "_moved_forward"))
    with patched(tuple(stays)):
        array.exchanged(old, copy_of(length_of(pieces), new_first, new_last))
    put, new = entries.written[-1]
    now = After(pieces, place, free, put, new)

    def is_above_the_next(at: Any, piece: Piece) -> Any:
        is_last = at + 1 >= array.used
        return True if is_last is True else any_of(is_last, now.pages(at + 1)[1] < now.pages(at)[0])

    return every(pieces, is_above_the_next)


@dataclass(frozen=True)
class After:
    """An array in which all that must has passed, and the new slot is put: each entry between is a neighbour's."""

    pieces: Any
    place: Any
    free: Any
    put: Any
    new: SlotCopy

    def pages(self, at: Any) -> tuple[Any, Any]:
        """The first and the last page of the slot in an entry."""
        first, last = self.new.base_gfn, self.new.base_gfn + self.new.npages - 1
        is_new = at == self.put
        if is_new is True:
            return first, last
        from_front = choose(all_of(self.free < at, at <= self.place), at - 1, at)
        piece = self.pieces[choose(all_of(self.place <= at, at < self.free), at + 1, from_front)]
        return choose(is_new, first, piece.first), choose(is_new, last, piece.last)


def gap_moves(pieces: Any, new_first: Any, new_last: Any, place: Any, free: Any) -> Any:
    """The gap is filled with the next entry, which is the gap then: nearer to the end."""
    array, entries, numbers = array_of(pieces)
    after = array.from_behind(free)
    return all_of(moved_one(entries, numbers, free, after), after == free + 1)


def is_halved(pieces: Any, gfn: Any, start: Any, end: Any, used: Any) -> Any:
    """It is at the place; or it read one entry between, and goes on with less, which has the place."""
    array, entries, _ = array_of(pieces)
    step = SortedArray.place_between
    with patched((Patch(SortedArray, "place_between", lambda array, gfn, start, end: Halved(start, end)),)):
        found: Any = step(array, gfn, start, end)
    if not isinstance(found, Halved):
        return all_of(len(entries.read) == 0, is_among(pieces, gfn, found, found))
    [middle] = entries.read
    return all_of(
        start <= middle,
        middle < end,
        found.end - found.start < end - start,
        is_among(pieces, gfn, found.start, found.end),
    )


def finds_the_only_one(pieces: Any, gfn: Any, start: Any, end: Any, used: Any) -> Any:
    """Found, in the cache or at the place: it has the page. None: no slot has."""
    array, _, _ = array_of(pieces)
    array.last_used = used
    with patched((Patch(SortedArray, "place_between", lambda array, gfn, first, end: start),)):
        found, remembered = array.searched(gfn)
    if found is None:
        return every(pieces, lambda i, piece: negation(all_of(piece.first <= gfn, gfn <= piece.last)))
    return all_of(
        found.contains(gfn),
        found.id < length_of(pieces),
        found.id == (used if remembered is None else remembered),
    )


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def only_what_is_far_above(self: SortedArray, new: SlotCopy, index: int) -> Any:
    return index < self.used - 1 and self.entries[index + 1].base_gfn >= new.base_gfn + new.npages


def looks_at_the_free_one(self: SortedArray, new: SlotCopy, index: int) -> Any:
    return index > 0 and self.entries[index].base_gfn <= new.base_gfn


def puts_it_behind(self: SortedArray, free: int) -> int:
    self._put(free + 1, self.entries[free + 1])
    return free + 1


def keeps_the_middle(self: SortedArray, gfn: int, first: int, end: int) -> int:
    if first >= end:
        return first
    middle = first + (end - first) // 2
    if self.entries[middle].base_gfn <= gfn:
        return self.place_between(gfn, first, middle)
    return self.place_between(gfn, middle, end)


def cache_by_its_first_page(self: SortedArray, gfn: int) -> tuple[SlotCopy | None, int | None]:
    if self.used == 0:
        return None, None
    if self.entries[self.last_used].base_gfn <= gfn:
        return self.entries[self.last_used], None
    place = self.place_between(gfn, 0, self.used)
    if place < self.used and self.entries[place].contains(gfn):
        return self.entries[place], place
    return None, None


def puts_it_in_front(self: SortedArray, index: int, copy: SlotCopy) -> None:
    self.entries[index - 1] = copy
    self.index_of[copy.id] = index - 1


# THEOREMS --------------------------------------------------------------------------------------------------------


def about(
    name: str,
    sentence: str,
    operation: str,
    given: Callable[..., Any],
    holds: Callable[..., Any],
    bug: Bug,
) -> Theorem:
    inputs = any_search if operation == "lookup" else any_change
    return Theorem(f"ARRAY.{name}", sentence, (), (operation,), "array sorted", inputs, given, holds, bug)


THEOREMS = (
    about(
        "BACKWARD",
        "A step of a change lets the next slot behind pass to the front if it begins above the new one, and fewer are "
        "behind then; else all behind begin below the new one.",
        "move",
        moves_backward,
        backward_is_right,
        Bug(
            "a slot that begins within the new one does not pass",
            (Patch(SortedArray, "is_too_far_in_front", only_what_is_far_above),),
        ),
    ),
    about(
        "FORWARD",
        "A step of a change lets the next slot in front pass to the back if it begins below the new one, and fewer are "
        "in front then; else all in front begin above the new one.",
        "move",
        moves_forward,
        forward_is_right,
        Bug(
            "the free entry is compared, not the one in front of it",
            (Patch(SortedArray, "is_too_far_behind", looks_at_the_free_one),),
        ),
    ),
    about(
        "PASSED",
        "A slot that has passed to the front does not pass to the back again.",
        "move",
        has_moved_backward,
        nothing_passes_back,
        Bug(
            "the entry behind is compared, not the one in front",
            (
                Patch(
                    SortedArray,
                    "is_too_far_behind",
                    lambda self, new, index: index > 0 and self.entries[index - 1].base_gfn >= new.base_gfn,
                ),
            ),
        ),
    ),
    about(
        "ORDER",
        "With the new slot in the entry that is free when all that must has passed, each slot of the array is above "
        "the next.",
        "move",
        is_where_it_belongs,
        order_is_kept,
        Bug("the new slot is put one entry too far in front", (Patch(SortedArray, "_put", puts_it_in_front),)),
    ),
    about(
        "GAP",
        "A step that closes the gap of a deleted slot fills it with the next slot, and is nearer to the end.",
        "delete",
        has_a_gap,
        gap_moves,
        Bug("the next slot is put where it is", (Patch(SortedArray, "from_behind", puts_it_behind),)),
    ),
    about(
        "PLACE",
        "A step of the search by halving reads one entry between its bounds, and goes on with less of the array, which "
        "has the place: the first slot that begins at the page or below. So it ends, and finds the place.",
        "lookup",
        is_being_searched,
        is_halved,
        Bug("the entry that was read stays in", (Patch(SortedArray, "place_between", keeps_the_middle),)),
    ),
    about(
        "FOUND",
        "A search, by way of its cache or of the place, finds the slot of a guest page if there is one, and no other; "
        "what it remembers is the entry of that slot.",
        "lookup",
        is_found,
        finds_the_only_one,
        Bug(
            "of the cached slot only the first page is compared",
            (Patch(SortedArray, "searched", cache_by_its_first_page),),
        ),
    ),
)
