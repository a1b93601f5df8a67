"""The sorted array of the older kernels: every change keeps it sorted, and its search finds what is there.

The array is real (`model.memslots.array`), its entries are arbitrary. It has at most four slots, numbered 0, 1, … in an
order that does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

from model.memslots.array import SortedArray
from model.memslots.protocol import SlotCopy
from proofs.symbolic.boolean import all_of, any_of, implies, negation
from proofs.theorem import Bug, Patch, Theorem
from proofs.theorems.two_sets import COPY_SHAPE, are_apart
from proofs.world import LAST_PAGE, World

MOST = 4
BOUND = f"at most {MOST} slots in the array: its loops are run as they are"

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_array(world: World) -> dict[str, Any]:
    """Four copies of which the first `count` count, a new copy, an entry to change, a cached entry, a page."""
    return {
        "copies": tuple(world.record(f"copy{i}", COPY_SHAPE) for i in range(MOST)),
        "new": world.record("new", COPY_SHAPE),
        "count": world.integer("count", 0, MOST),
        "place": world.integer("place", 0, MOST - 1),
        "used": world.integer("used", 0, MOST - 1),
        "gfn": world.integer("gfn", 0, LAST_PAGE),
    }


def is_sorted(copies: tuple[SlotCopy, ...], count: int, used: int, **rest: Any) -> Any:
    """Highest guest page first, no two copies share one, and the cache points into the array."""
    claims = [
        implies(i + 1 < count, copies[i + 1].base_gfn + copies[i + 1].npages <= copies[i].base_gfn)
        for i in range(MOST - 1)
    ]
    return all_of(*claims, any_of(used == 0, used < count))


def can_be_added(copies: tuple[SlotCopy, ...], new: SlotCopy, count: int, used: int, **rest: Any) -> Any:
    """The array is sorted and has room, and the new copy shares no page with those that are in use."""
    clear = [implies(i < count, are_apart(copies[i], new)) for i in range(MOST)]
    return all_of(is_sorted(copies, count, used), count < MOST, *clear)


def can_be_replaced(copies: tuple[SlotCopy, ...], new: SlotCopy, count: int, place: int, used: int, **rest: Any) -> Any:
    """The array is sorted, and the new copy shares no page with any but the one in its place."""
    clear = [implies(all_of(i < count, place != i), are_apart(copies[i], new)) for i in range(MOST)]
    return all_of(is_sorted(copies, count, used), place < count, *clear)


def can_be_deleted(copies: tuple[SlotCopy, ...], count: int, place: int, used: int, **rest: Any) -> Any:
    """The array is sorted, and the copy to be deleted is one of those that are in use."""
    return all_of(is_sorted(copies, count, used), place < count)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def fixed(number: int, most: int) -> int:
    """A small number, path by path."""
    return next(i for i in range(most + 1) if number == i)


def array_of(copies: tuple[SlotCopy, ...], count: int, used: int) -> SortedArray:
    """The array with the first `count` copies, numbered by their place."""
    made = SortedArray()
    made.used = fixed(count, MOST)
    made.entries = [replace(copy, id=i) for i, copy in enumerate(copies[: made.used])]
    made.index_of = {i: i for i in range(made.used)}
    made.last_used = fixed(used, MOST)
    return made


def is_in_order(changed: SortedArray, wanted: dict[int, SlotCopy]) -> Any:
    """The array has exactly these copies, sorted; the index of numbers and the cache point to entries."""
    entries = changed.in_use()
    if sorted(copy.id for copy in entries) != sorted(wanted):
        return False
    if any(changed.entries[index].id != number for number, index in changed.index_of.items()):
        return False
    if sorted(changed.index_of) != sorted(wanted) or not (changed.last_used == 0 or changed.last_used < len(entries)):
        return False
    falls = [after.base_gfn < before.base_gfn for before, after in pairwise(entries)]
    return all_of(*falls, *(copy.address == wanted[copy.id].address for copy in entries))


def stays_sorted(
    change: str,
    copies: tuple[SlotCopy, ...],
    new: SlotCopy,
    count: int,
    place: int,
    used: int,
    **rest: Any,
) -> Any:
    array = array_of(copies, count, used)
    wanted = {copy.id: copy for copy in array.in_use()}
    number = array.used if change == "create" else fixed(place, MOST)
    old = wanted.pop(number, None)
    new = replace(new, id=number)
    if change != "delete":
        wanted[number] = new
    return is_in_order(array.exchanged(old, None if change == "delete" else new), wanted)


def search_finds_it(copies: tuple[SlotCopy, ...], count: int, used: int, gfn: int, **rest: Any) -> Any:
    array = array_of(copies, count, used)
    found, _ = array.searched(gfn)
    held = [all_of(copy.base_gfn <= gfn, gfn < copy.base_gfn + copy.npages) for copy in array.in_use()]
    if found is None:
        return all_of(*(negation(holds) for holds in held))
    return held[found.id]


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def stays_where_it_is(self: SortedArray, new: SlotCopy, index: int) -> int:
    return index


def leaves_the_gap(self: SortedArray, old: SlotCopy) -> None:
    self.used -= 1
    self.index_of.pop(old.id)


def looks_only_at_the_cache(self: SortedArray, gfn: int) -> tuple[SlotCopy | None, int | None]:
    return (self.entries[self.last_used], None) if self.used else (None, None)


NOT_MOVED = Bug("a new copy stays at the end of the array", (Patch(SortedArray, "_moved_forward", stays_where_it_is),))
GAP = Bug("the gap that a deleted copy leaves is not closed", (Patch(SortedArray, "_delete", leaves_the_gap),))
CACHE_ONLY = Bug("the cached entry is not checked", (Patch(SortedArray, "searched", looks_only_at_the_cache),))

# THEOREMS --------------------------------------------------------------------------------------------------------


def about(name: str, sentence: str, operation: str, given: Callable[..., Any], bug: Bug) -> Theorem:
    holds = partial(stays_sorted, operation)
    return Theorem(f"ARRAY.{name}", sentence, (), (operation,), "array sorted", any_array, given, holds, bug, BOUND)


THEOREMS = (
    about("CREATE", "A new slot is put where it belongs in the array.", "create", can_be_added, NOT_MOVED),
    about("MOVE", "A moved or changed slot is put where it belongs.", "move", can_be_replaced, NOT_MOVED),
    about("DELETE", "A deleted slot leaves no gap in the array.", "delete", can_be_deleted, GAP),
    Theorem(
        "ARRAY.SEARCH",
        "A search in the array, by way of its cache, finds the slot of a guest page if there is one, and no other.",
        (),
        ("lookup",),
        "array sorted",
        any_array,
        is_sorted,
        search_finds_it,
        CACHE_ONLY,
        BOUND,
    ),
)
