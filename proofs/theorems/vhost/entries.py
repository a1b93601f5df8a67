"""Which entry of an address map counts for a guest byte, and what adding and removing entries may touch.

Of any number of entries, which may overlap.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import spec.vhost.address_map
from proofs.invariants_vhost import map_is_in_order
from proofs.sets import has
from proofs.symbolic.boolean import all_of, any_of, implies, merged, negation
from proofs.theorem import Bug, Patch, Theorem
from proofs.world import World
from proofs.world_vhost import any_map
from spec.sets import every, kept
from spec.units import U64_MAX
from spec.vhost.address_map import (
    AddressMap,
    Entry,
    entry_at,
    nothing_in,
    with_entry,
    without_range,
)

ADDRESS_MAP = spec.vhost.address_map
THIS = sys.modules[__name__]

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def a_map_and_a_byte(world: World) -> dict[str, Any]:
    """Any map, something that may be an entry of it, and any guest byte, also one past the last."""
    table = any_map(world, "map")
    return {
        "table": table,
        "other": world.candidate(table.entries, "other"),
        "address": world.integer("address", 0, U64_MAX + 1),
    }


def a_map_and_a_range(world: World) -> dict[str, Any]:
    """The same, and a range of guest bytes with a host address and permissions."""
    return {
        **a_map_and_a_byte(world),
        "first": world.integer("first", 0, U64_MAX),
        "last": world.integer("last", 0, U64_MAX),
        "host": world.integer("host", 0, U64_MAX),
        "perm": world.integer("perm", 0, 3),
    }


def is_in_order_map(table: AddressMap, **rest: Any) -> Any:
    """The map is in order."""
    return map_is_in_order(table)


def range_is_ordered(table: AddressMap, first: int, last: int, **rest: Any) -> Any:
    """The map is in order, and the range does not end before it begins."""
    return all_of(map_is_in_order(table), first <= last)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def the_one_that_counts(table: AddressMap, other: Entry, address: int) -> Any:
    """It is a member, it covers the byte, and any other that covers the byte starts later, or there and is younger."""
    found = entry_at(table, address)
    if found is None:
        return every(table.entries, lambda entry: negation(merged(Entry.covers)(entry, address)))
    return all_of(
        has(table.entries, found),
        found.first <= address,
        address <= found.last,
        any_of(
            negation(has(table.entries, other)),
            negation(merged(Entry.covers)(other, address)),
            other.first > found.first,
            all_of(other.first == found.first, other.born >= found.born),
        ),
    )


def order_is_kept_by_adding(table: AddressMap, first: int, last: int, host: int, perm: int, **rest: Any) -> Any:
    return map_is_in_order(with_entry(table, first, last, host, perm))


def order_is_kept_by_removing(table: AddressMap, first: int, last: int, **rest: Any) -> Any:
    return map_is_in_order(without_range(table, first, last))


def same_place(one: Entry | None, other: Entry | None, address: int) -> Any:
    """Two answers say the same of a byte: none, or the same host byte and permissions."""
    if one is None or other is None:
        return one is None and other is None
    return all_of(one.host_of(address) == other.host_of(address), one.perm == other.perm)


def adding_touches_only_its_own(
    table: AddressMap, address: int, first: int, last: int, host: int, perm: int, **rest: Any
) -> Any:
    """The new entry counts for a byte exactly where it covers it and no entry that starts at or before it does."""
    before = entry_at(table, address)
    after = entry_at(with_entry(table, first, last, host, perm), address)
    if first <= address <= last and (before is None or before.first > first):
        return after is not None and all_of(
            after.host_of(address) == (host + address - first) % (U64_MAX + 1), after.perm == perm
        )
    return same_place(before, after, address)


def removing_touches_only_what_was_covered(table: AddressMap, address: int, first: int, last: int, **rest: Any) -> Any:
    """A byte keeps its place unless the entry that it had has a byte in the range, and then that entry is gone."""
    before = entry_at(table, address)
    after = entry_at(without_range(table, first, last), address)
    if before is None:
        return after is None
    if before.touches(first, last):
        return after is None or any_of(after.first > before.first, after.born > before.born)
    return same_place(before, after, address)


def removal_is_exact(table: AddressMap, other: Entry, first: int, last: int, **rest: Any) -> Any:
    """Afterwards no byte of the range is covered, and each entry that has no byte in it is still there."""
    after = without_range(table, first, last)
    return all_of(
        nothing_in(after, first, last),
        implies(
            has(table.entries, other),
            has(after.entries, other) == negation(merged(Entry.touches)(other, first, last)),
        ),
        implies(has(after.entries, other), has(table.entries, other)),
        after.clock == table.clock,
    )


def no_byte_of_the_range_is_had(table: AddressMap, address: int, first: int, last: int, **rest: Any) -> Any:
    return implies(
        all_of(first <= address, address <= last), entry_at(without_range(table, first, last), address) is None
    )


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def youngest_first(entry: Entry) -> tuple[int, ...]:
    return (entry.first, -entry.born)


def touches_not_at_its_last_byte(self: Entry, first: int, last: int) -> bool:
    return self.first <= last and first < self.last  # `first <= self.last` it should be


def takes_what_starts_after(table: AddressMap, first: int, last: int) -> AddressMap:
    return replace(table, entries=kept(table.entries, lambda entry: entry.last < first))


def clock_stands_still(table: AddressMap, first: int, last: int, host: int, perm: int) -> AddressMap:
    return replace(ADDRESS_MAP.with_entry(table, first, last, host, perm), clock=table.clock)


def removes_and_turns_back(table: AddressMap, first: int, last: int) -> AddressMap:
    return replace(ADDRESS_MAP.without_range(table, first, last), clock=table.clock - 1)


# THEOREMS --------------------------------------------------------------------------------------------------------


def about(
    suffix: str,
    sentence: str,
    inputs: Callable[[World], dict[str, Any]],
    given: Callable[..., Any],
    holds: Callable[..., Any],
    bug: Bug,
    rules: tuple[str, ...] = ("XLATE.MAPPED", "XLATE.IN_IOTLB"),
    operations: tuple[str, ...] = ("translate",),
) -> Theorem:
    return Theorem(f"ENTRY.{suffix}", sentence, rules, operations, "entries", inputs, given, holds, bug)


THEOREMS = (
    about(
        "COUNTS",
        "The entry that counts for a guest byte covers it, every other that covers it starts later, or there and is "
        "younger, and there is one exactly if some entry covers the byte.",
        a_map_and_a_byte,
        is_in_order_map,
        the_one_that_counts,
        Bug("of entries that start together the youngest counts", (Patch(ADDRESS_MAP, "search_rank", youngest_first),)),
    ),
    about(
        "ADD_ORDER",
        "Adding an entry keeps a map in order: ages differ, and none is as young as the clock.",
        a_map_and_a_range,
        range_is_ordered,
        order_is_kept_by_adding,
        Bug("the clock stands still", (Patch(THIS, "with_entry", clock_stands_still),)),
        operations=("set_mem_table", "add_region", "write_message"),
    ),
    about(
        "REMOVE_ORDER",
        "Removing a range keeps a map in order.",
        a_map_and_a_range,
        range_is_ordered,
        order_is_kept_by_removing,
        Bug("the clock goes back", (Patch(THIS, "without_range", removes_and_turns_back),)),
        operations=("remove_range", "write_message"),
    ),
    about(
        "ADD_TOUCHES",
        "A new entry counts for the bytes that it covers and no entry that starts at or before it does; every other "
        "byte keeps its place and its permissions, also where the new entry covers it.",
        a_map_and_a_range,
        range_is_ordered,
        adding_touches_only_its_own,
        Bug("of entries that start together the youngest counts", (Patch(ADDRESS_MAP, "search_rank", youngest_first),)),
        operations=("set_mem_table", "add_region", "write_message"),
    ),
    about(
        "REMOVE_TOUCHES",
        "Removing a range changes nothing for a byte whose entry has no byte in the range; where that entry goes, one "
        "that starts later, or there and is younger, may count instead.",
        a_map_and_a_range,
        range_is_ordered,
        removing_touches_only_what_was_covered,
        Bug("entries that start after the range go too", (Patch(THIS, "without_range", takes_what_starts_after),)),
        operations=("remove_range", "write_message"),
    ),
    about(
        "REMOVE_EXACT",
        "Removing a range takes exactly the entries that have a byte in it.",
        a_map_and_a_range,
        range_is_ordered,
        removal_is_exact,
        Bug("entries that start after the range go too", (Patch(THIS, "without_range", takes_what_starts_after),)),
        operations=("remove_range", "write_message"),
    ),
    about(
        "REMOVE_NOTHING_LEFT",
        "After a range was removed none of its bytes is translated, by whatever entry.",
        a_map_and_a_range,
        range_is_ordered,
        no_byte_of_the_range_is_had,
        Bug(
            "an entry whose last byte is the first of the range stays",
            (Patch(Entry, "touches", touches_not_at_its_last_byte),),
        ),
        operations=("remove_range", "write_message"),
    ),
)
