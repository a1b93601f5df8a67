"""Walks through lists, and lists of misses: what the model's refinement above takes for granted.

A walk through a list knows little behind each entry: whether it has ended, and what it has found. With two entries it
goes from each thing that it may know to each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import model.vhost.machine as machines
from model.vhost.access import GuardedDevice
from model.vhost.iotlb import Map
from model.vhost.machine import DeviceMachine
from model.vhost.misses import MissQueue
from proofs.machines_vhost import bad_memory
from proofs.requests_vhost import remove_region, write_message
from proofs.symbolic.boolean import all_of, any_of, negation
from proofs.theorem import Bug, Patch, Theorem
from proofs.theorems.vhost.messages import are_the_same
from proofs.world import World
from proofs.world_vhost import ENTRY_SHAPE, FEW_MISSES, any_miss
from spec.profile import Profile
from spec.units import U64, U64_MAX
from spec.vhost.address_map import Entry, search_rank
from spec.vhost.messages import WriteMessage, answered
from spec.vhost.regions import RemoveRegion
from spec.vhost.ring import LARGEST_RING, is_power_of_two

FEW_ENTRIES = 2

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def few_entries(world: World) -> Any:
    """None to a few entries of a container, in an order."""
    return world.sequence("entries", tuple(world.record(f"entry{i}", ENTRY_SHAPE) for i in range(FEW_ENTRIES)))


def a_list(world: World) -> dict[str, Any]:
    """A list of entries, and whether, and where, writes are logged."""
    return {
        "profile": world.profile(),
        "entries": few_entries(world),
        "logs_all": world.boolean("logs_all"),
        "log_base": world.integer("log_base", 0, U64_MAX),
    }


def a_search(world: World) -> dict[str, Any]:
    """Entries in the order of search, and the values of one that is looked for."""
    return {"entries": few_entries(world), "request": remove_region(world)}


def a_size(world: World) -> dict[str, Any]:
    """A place in the list of sizes."""
    return {"is_tried": world.boolean("is_tried")}


def misses_and_an_update(world: World) -> dict[str, Any]:
    """A few misses that were read, and any message."""
    misses = world.sequence("pending", tuple(any_miss(world, f"pending{i}") for i in range(FEW_MISSES)))
    return {"pending": misses, "request": write_message(world)}


def anything(**case: Any) -> Any:
    """Nothing is taken for granted."""
    return True


def are_in_order(entries: Any, request: RemoveRegion) -> Any:
    """The entries come in the order of search, and the region that is looked for has a byte."""
    ranks = [search_rank(entry) for entry in entries]
    return all_of(request.size >= 1, *(comes_first(one, other) for one, other in pairwise(ranks)))


def comes_first(one: tuple[Any, ...], other: tuple[Any, ...]) -> Any:
    """Whether a rank is smaller than another."""
    return any_of(one[0] < other[0], all_of(one[0] == other[0], one[1] < other[1]))


def is_an_update(pending: Any, request: WriteMessage) -> Any:
    """The update has a byte and does not wrap, as its rules demand."""
    return all_of(request.size >= 1, request.iova + request.size <= U64)


# RUNNING THE MODEL -----------------------------------------------------------------------------------------------


class Listed:
    """A container of few entries: as the model walks through it, and as the contract asks it."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.given = entries
        self.maps = [Map(one.first, one.last, one.host, one.perm, one.born) for one in entries]
        self.entries = self

    def in_list(self) -> Iterator[Map]:
        return iter(self.maps)

    def in_order(self) -> Iterator[Map]:
        return iter(self.maps)

    def every(self, holds: Callable[[Entry], Any]) -> Any:
        return all_of(True, *(holds(one) for one in self.given))


# CLAIMS ----------------------------------------------------------------------------------------------------------


def walk_is_as_said(profile: Profile, entries: Any, logs_all: Any, log_base: Any) -> Any:
    """The walk comes to what the questions about all entries come to: "host" before "log", wherever they lie."""
    listed: Any = Listed(tuple(entries))
    machine = DeviceMachine(profile)
    return WALK(machine, listed, logs_all, log_base) == bad_memory(machine, listed, logs_all, log_base)


def first_is_found(entries: Any, request: RemoveRegion) -> Any:
    """The walk finds the first entry that has the three values, and none exactly if none has."""
    listed: Any = Listed(tuple(entries))
    machine = DeviceMachine(Profile())
    machine.table = listed
    found = machine._region_with(request)
    before = listed.maps if found is None else listed.maps[: listed.maps.index(found)]
    others = [negation(has_the_values(one, request)) for one in before]
    return all_of(True if found is None else has_the_values(found, request), *others)


def has_the_values(entry: Any, request: RemoveRegion) -> Any:
    last = request.gpa + request.size - 1
    return all_of(entry.first == request.gpa, entry.last == last, entry.host == request.hva)


def sizes_are_powers(is_tried: Any) -> Any:
    """For each size from 1 to the largest: the model's test of its bits says what the specification says."""
    return all(machines.has_one_bit(size) == is_power_of_two(size) for size in range(1, LARGEST_RING + 1))


def the_same_are_answered(pending: Any, request: WriteMessage) -> Any:
    """The same misses are left, and the same queues wake, in the same order."""
    misses = MissQueue()
    misses.pending_list = list(pending)
    woken = misses.answer(request.iova, request.iova + request.size - 1)
    left, wanted = answered(pending, request)
    return all_of(tuple(woken) == wanted, are_the_same(left, tuple(misses.pending_list)))


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def ends_at_the_log(machine: GuardedDevice, table: Any, log_all: Any, log_base: Any) -> str:
    """The walk ends at the first entry with which something is wrong."""
    for entry in table.in_list():
        bad = machine.bad_entry(entry, log_all, log_base)
        if bad:
            return bad
    return ""


def looks_at_the_start(entry: Any, first: Any, last: Any, host: Any) -> bool:
    return bool(entry.first == first and entry.host == host)


def wakes_for_each(self: MissQueue, first: Any, last: Any) -> list[int]:
    """A queue is woken once for each of its misses."""
    woken = [miss.queue for miss in self.pending_list if first <= miss.iova <= last]
    self.pending_list = [miss for miss in self.pending_list if not first <= miss.iova <= last]
    return woken


def walk(machine: GuardedDevice, table: Any, log_all: Any, log_base: Any) -> str:
    return GuardedDevice.bad_memory(machine, table, log_all, log_base)


WALK = walk

# THEOREMS --------------------------------------------------------------------------------------------------------

TWO_ENTRIES = f"lists of at most {FEW_ENTRIES} entries: a walk knows no more behind many than behind one"
TWO_MISSES = f"at most {FEW_MISSES} misses that were read: each one before each other"


def about(
    theorem_id: str,
    sentence: str,
    operations: tuple[str, ...],
    inputs: Callable[[World], dict[str, Any]],
    given: Callable[..., Any],
    holds: Callable[..., Any],
    bug: Bug,
    **rest: Any,
) -> Theorem:
    return Theorem(theorem_id, sentence, (), operations, "refines the spec", inputs, given, holds, bug, **rest)


THEOREMS = (
    about(
        "REFINES.ACCESSWALK",
        "The model's walk through a table's list says that something is no user memory exactly if any entry is none, "
        "and else that the log is too small exactly if it is for any.",
        ("set_mem_table", "set_backend"),
        a_list,
        anything,
        walk_is_as_said,
        Bug("it ends at the first entry that is wrong", (Patch(GuardedDevice, "bad_memory", ends_at_the_log),)),
        bound=TWO_ENTRIES,
    ),
    about(
        "REFINES.REGIONWALK",
        "The model's walk in the order of search finds the first region with the three values that are asked for.",
        ("remove_region",),
        a_search,
        are_in_order,
        first_is_found,
        Bug("nobody looks where the region ends", (Patch(machines, "has_values", looks_at_the_start),)),
        bound=TWO_ENTRIES,
    ),
    about(
        "REFINES.ONEBIT",
        "The model's test of a ring's size, bit by bit, says of each size up to 2^15 whether it is a power of two.",
        ("set_ring_size",),
        a_size,
        anything,
        sizes_are_powers,
        Bug("every size will do", (Patch(machines, "has_one_bit", lambda size: True),)),
    ),
    about(
        "REFINES.ANSWER",
        "The model's lists of misses leave and wake, by an update, what the specification leaves and wakes.",
        ("write_message",),
        misses_and_an_update,
        is_an_update,
        the_same_are_answered,
        Bug("a queue is woken for each of its misses", (Patch(MissQueue, "answer", wakes_for_each),)),
        bound=TWO_MISSES,
    ),
)
