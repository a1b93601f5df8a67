"""How many entries an IOTLB holds, and which one it gives up.

Of any number of entries and any limit of at least 1, for both policies of retirement.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import spec.vhost.address_map
import spec.vhost.messages
from proofs.invariants_vhost import is_fifo, map_is_in_order, map_is_within_limit
from proofs.requests_vhost import write_message
from proofs.sets import has
from proofs.symbolic.boolean import all_of, any_of, implies, negation
from proofs.theorem import Bug, Patch, Theorem
from proofs.theorems.vhost.entries import same_place
from proofs.world import World
from proofs.world_vhost import any_map
from spec.profile import Profile
from spec.sets import added, count, every, least, removed, some
from spec.units import U64, U64_MAX
from spec.vhost.address_map import (
    AddressMap,
    Entry,
    after_use,
    entry_at,
    is_full,
    oldest,
    with_entry,
    without_range,
)
from spec.vhost.messages import WriteMessage, updated

ADDRESS_MAP, MESSAGES, THIS = spec.vhost.address_map, spec.vhost.messages, sys.modules[__name__]

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def an_update(world: World) -> dict[str, Any]:
    """An IOTLB, an update for it, and something that may be an entry."""
    table = any_map(world, "iotlb")
    return {
        "profile": world.profile(),
        "table": table,
        "request": write_message(world),
        "other": world.candidate(table.entries, "other"),
    }


def a_use(world: World) -> dict[str, Any]:
    """A map, an entry that is used, another, and a guest byte."""
    table = any_map(world, "iotlb")
    return {
        "profile": world.profile(),
        "table": table,
        "used": world.candidate(table.entries, "used"),
        "other": world.candidate(table.entries, "other"),
        "address": world.integer("address", 0, U64_MAX),
    }


def a_removal(world: World) -> dict[str, Any]:
    table = any_map(world, "iotlb")
    first, last = world.integer("first", 0, U64_MAX), world.integer("last", 0, U64_MAX)
    return {"profile": world.profile(), "table": table, "first": first, "last": last}


def is_a_range(request: WriteMessage) -> Any:
    """The update names at least one byte and does not wrap, as its rules demand."""
    return all_of(request.size >= 1, request.iova + request.size <= U64)


def is_sane(profile: Profile, table: AddressMap, request: WriteMessage, **rest: Any) -> Any:
    """The map is in order and within its limit, and what is added is a range."""
    return all_of(
        map_is_in_order(table), map_is_within_limit(profile, table), is_fifo(profile, table), is_a_range(request)
    )


def is_full_and_sane(profile: Profile, table: AddressMap, request: WriteMessage, **rest: Any) -> Any:
    """The IOTLB has as many entries as it may have, before it gets one more."""
    return all_of(is_sane(profile, table, request), count(table.entries) >= profile.iotlb_limit)


def one_is_used(profile: Profile, table: AddressMap, used: Entry, other: Entry, **rest: Any) -> Any:
    """The IOTLB is in order, whichever policy it has, and one of its entries is used."""
    return all_of(
        map_is_in_order(table), is_fifo(profile, table), has(table.entries, used), any_of(other is used, True)
    )


def is_within_limit(profile: Profile, table: AddressMap, first: int, last: int) -> Any:
    """The IOTLB is in order and within its limit; the range does not end before it begins."""
    return all_of(map_is_in_order(table), map_is_within_limit(profile, table), first <= last)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def is_at_its_limit(profile: Profile, table: AddressMap) -> Any:
    """Whether there are as many entries as there may be, whatever the specification calls full."""
    return count(table.entries) >= profile.iotlb_limit


def is_within_limit_after(profile: Profile, table: AddressMap, request: WriteMessage, **rest: Any) -> Any:
    """The map after the update is within its limit, in order, and still first-in first-out where it was."""
    after = updated(profile, table, request)
    return all_of(map_is_within_limit(profile, after), map_is_in_order(after), is_fifo(profile, after))


def only_the_oldest_goes(profile: Profile, table: AddressMap, request: WriteMessage, other: Entry) -> Any:
    """What was there is still there, unless the map was full and no other was used longer ago."""
    after = updated(profile, table, request)
    is_oldest = every(table.entries, lambda entry: entry.used >= other.used)
    was_full = is_at_its_limit(profile, table)
    return implies(has(table.entries, other), has(after.entries, other) == negation(all_of(was_full, is_oldest)))


def one_goes_for_one_that_comes(profile: Profile, table: AddressMap, request: WriteMessage, **rest: Any) -> Any:
    """A full map has as many entries after as before; another one has one more."""
    after = updated(profile, table, request)
    if is_at_its_limit(profile, table):
        return count(after.entries) == count(table.entries)
    return count(after.entries) == count(table.entries) + 1


def the_new_one_is_there(profile: Profile, table: AddressMap, request: WriteMessage, **rest: Any) -> Any:
    return some(
        updated(profile, table, request).entries,
        lambda entry: all_of(
            entry.born == table.clock,
            entry.first == request.iova,
            entry.last == request.iova + request.size - 1,
            entry.host == request.uaddr,
            entry.perm == request.perm % 4,
        ),
    )


def the_first_that_came_goes(profile: Profile, table: AddressMap, request: WriteMessage, other: Entry) -> Any:
    """Under first-in first-out an entry is there no more after the update exactly if all others were added after it."""
    if profile.retirement != "fifo":
        return True
    after = updated(profile, table, request)
    came_first = every(table.entries, lambda entry: entry.born >= other.born)
    return implies(has(table.entries, other), has(after.entries, other) == negation(came_first))


def lookups_leave_fifo_alone(profile: Profile, table: AddressMap, used: Entry, **rest: Any) -> Any:
    return implies(profile.retirement == "fifo", after_use(profile, table, used) is table)


def use_changes_no_translation(profile: Profile, table: AddressMap, used: Entry, address: int, **rest: Any) -> Any:
    after = after_use(profile, table, used)
    return all_of(
        same_place(entry_at(table, address), entry_at(after, address), address),
        count(after.entries) == count(table.entries),
    )


def use_keeps_order(profile: Profile, table: AddressMap, used: Entry, **rest: Any) -> Any:
    return map_is_in_order(after_use(profile, table, used))


def what_was_just_used_is_youngest(profile: Profile, table: AddressMap, used: Entry, other: Entry, **rest: Any) -> Any:
    """Under least-recently-used what was used stays, where anything else is there, when room is made for an entry."""
    if profile.retirement == "fifo":
        return True
    after = ADDRESS_MAP.with_room(profile, after_use(profile, table, used))
    is_another = all_of(has(table.entries, other), other.born != used.born)
    return implies(is_another, some(after.entries, lambda entry: entry.born == used.born))


def removal_makes_no_more(profile: Profile, table: AddressMap, first: int, last: int) -> Any:
    after = without_range(table, first, last)
    return all_of(count(after.entries) <= count(table.entries), map_is_within_limit(profile, after))


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def full_one_too_late(profile: Profile, table: AddressMap) -> bool:
    return bool(count(table.entries) > profile.iotlb_limit)


def youngest_goes(entry: Entry) -> tuple[int, ...]:
    return (-entry.used,)


def room_by_two(profile: Profile, table: AddressMap) -> AddressMap:
    """Gives up two."""
    smaller = ADDRESS_MAP.with_room(profile, table)
    if smaller is table:
        return table
    more = oldest(smaller)
    return smaller if more is None else replace(smaller, entries=removed(smaller.entries, more))


def adds_before_it_makes_room(profile: Profile, iotlb: AddressMap, request: WriteMessage) -> AddressMap:
    """The new entry, if it is the lowest, is given up at once."""
    last = request.iova + request.size - 1
    grown = with_entry(iotlb, request.iova, last, request.uaddr, request.perm % 4)
    if not is_full(profile, iotlb):
        return grown
    lowest = least(grown.entries, lambda entry: True, lambda entry: (entry.first, entry.born))
    return replace(grown, entries=removed(grown.entries, lowest))


def last_in_first_out(table: AddressMap) -> Entry | None:
    found: Entry | None = least(table.entries, lambda entry: True, lambda entry: (entry.first, entry.born))
    return found


def lookups_count_always(profile: Profile, table: AddressMap, entry: Entry) -> AddressMap:
    entries = added(removed(table.entries, entry), replace(entry, used=table.clock))
    return AddressMap(entries, table.clock + 1)


def use_makes_young(profile: Profile, table: AddressMap, entry: Entry) -> AddressMap:
    """A used entry is taken out and added again, at the end of all orders."""
    if profile.retirement == "fifo":
        return table
    anew = replace(entry, used=table.clock, born=table.clock)
    return AddressMap(added(removed(table.entries, entry), anew), table.clock + 1)


def use_without_a_tick(profile: Profile, table: AddressMap, entry: Entry) -> AddressMap:
    return replace(ADDRESS_MAP.after_use(profile, table, entry), clock=table.clock)


def use_is_forgotten(profile: Profile, table: AddressMap, entry: Entry) -> AddressMap:
    return table


def removes_and_adds_one(table: AddressMap, first: int, last: int) -> AddressMap:
    after = ADDRESS_MAP.without_range(table, first, last)
    return with_entry(after, last, last, 0, 0)


# THEOREMS --------------------------------------------------------------------------------------------------------

LIMIT = "limit"
WRITE_RULES = ("IOTLB.UPDATE.EMPTY", "IOTLB.UPDATE.WRAPS")


def about(
    suffix: str,
    sentence: str,
    inputs: Callable[[World], dict[str, Any]],
    given: Callable[..., Any],
    holds: Callable[..., Any],
    bug: Bug,
    operations: tuple[str, ...] = ("write_message",),
    rules: tuple[str, ...] = WRITE_RULES,
) -> Theorem:
    return Theorem(f"LIMIT.{suffix}", sentence, rules, operations, LIMIT, inputs, given, holds, bug)


THEOREMS = (
    about(
        "KEPT",
        "An update never makes an IOTLB larger than its limit, and keeps it in order.",
        an_update,
        is_sane,
        is_within_limit_after,
        Bug("an IOTLB is full one entry too late", (Patch(ADDRESS_MAP, "is_full", full_one_too_late),)),
    ),
    about(
        "OLDEST_GOES",
        "An update takes an entry out only if the IOTLB is full, and then the one whose use is longest ago.",
        an_update,
        is_sane,
        only_the_oldest_goes,
        Bug("the youngest goes", (Patch(ADDRESS_MAP, "retirement_rank", youngest_goes),)),
    ),
    about(
        "ONE_GOES",
        "For an entry that comes exactly one goes if the IOTLB is full, and none if it is not.",
        an_update,
        is_sane,
        one_goes_for_one_that_comes,
        Bug("two go", (Patch(MESSAGES, "with_room", room_by_two),)),
    ),
    about(
        "NEW_STAYS",
        "What an update says is in the IOTLB after it, whatever was given up for it.",
        an_update,
        is_sane,
        the_new_one_is_there,
        Bug(
            "the entry that goes is chosen after the new one came", (Patch(THIS, "updated", adds_before_it_makes_room),)
        ),
    ),
    about(
        "FIFO",
        "Under first-in first-out, an update of a full IOTLB gives up exactly the entry that was added first.",
        an_update,
        is_full_and_sane,
        the_first_that_came_goes,
        Bug("the one with the lowest address goes", (Patch(ADDRESS_MAP, "oldest", last_in_first_out),)),
    ),
    about(
        "FIFO_USE",
        "Under first-in first-out a lookup changes nothing.",
        a_use,
        one_is_used,
        lookups_leave_fifo_alone,
        Bug("lookups make entries young", (Patch(THIS, "after_use", lookups_count_always),)),
        ("translate",),
        (),
    ),
    about(
        "USE_SAME",
        "Using an entry changes no translation of a byte and not the number of entries, under either policy.",
        a_use,
        one_is_used,
        use_changes_no_translation,
        Bug(
            "a used entry becomes the youngest in the order of search, too",
            (Patch(THIS, "after_use", use_makes_young),),
        ),
        ("translate",),
        (),
    ),
    about(
        "USE_ORDER",
        "Using an entry keeps a map in order.",
        a_use,
        one_is_used,
        use_keeps_order,
        Bug("the clock stands still", (Patch(THIS, "after_use", use_without_a_tick),)),
        ("translate",),
        (),
    ),
    about(
        "LRU",
        "Under least-recently-used the entry used last is given up only where there is no other.",
        a_use,
        one_is_used,
        what_was_just_used_is_youngest,
        Bug("uses are forgotten", (Patch(THIS, "after_use", use_is_forgotten),)),
        ("translate",),
        (),
    ),
    about(
        "REMOVE",
        "Removing a range never makes a map larger.",
        a_removal,
        is_within_limit,
        removal_makes_no_more,
        Bug(
            "what is taken out leaves an entry without permissions",
            (Patch(THIS, "without_range", removes_and_adds_one),),
        ),
        ("write_message", "remove_range"),
        (),
    ),
)
