"""A queue's metadata cache: what is in it is in the IOTLB, has the whole part of the ring, and is what a lookup finds.

`CACHE.FILL` says so when an entry comes into the cache. `CACHE.KEPT.*` say that no request changes what it depends on
(which container the queue sees, its entries, where the ring is and how large) and leaves the cache full, at any step of
the request. `CACHE.SERVES` says what follows: a cached entry serves each byte of the part as a lookup would.

The model's own code runs: `MetadataCache`, `Run.area_trouble`, `DeviceMachine`. What a search finds is said, not run,
as in `LOOP.*`; a request does not run queues, which is `CACHE.FILL`'s subject.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from model.vhost.iotlb import Map
from model.vhost.machine import DeviceMachine
from model.vhost.metadata import ACCESS_OF, AVAIL, DESC, USED, MetadataCache
from model.vhost.queue import Virtqueue
from model.vhost.run import Run
from proofs.requests_vhost import VHOST_REQUESTS
from proofs.sets import has
from proofs.symbolic.boolean import all_of, implies
from proofs.theorem import Bug, Patch, Theorem, patched
from proofs.theorems.translate_2016 import (
    PASSES,
    SHAPE,
    EnoughError,
    counts_there,
    is_a_table,
    is_leftmost,
)
from proofs.world import World
from spec.profile import Profile
from spec.units import U64_MAX
from spec.vhost.device import RECEIVE, TRANSMIT
from spec.vhost.ring import LARGEST_RING, SetRingSize

PARTS = (DESC, AVAIL, USED)
LARGEST_PART = 16 * LARGEST_RING
SIZES = (0, 1, 2, 3, LARGEST_RING, LARGEST_RING + 1)
REGIONS_BOUND = "tables of no regions: they go into the new container only, for which something stands in"
PASSES_BOUND = "the first two passes of a lookup: no later one is at the part's first byte, as the second is not"
SIZES_BOUND = f"sizes {', '.join(map(str, SIZES))}: the size is looked at only when the cache was dropped"

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_part(world: World) -> dict[str, Any]:
    """An IOTLB; a part of a ring; and what the first two searches for it find, if anything."""
    table = world.set_of("entry", SHAPE)
    return {
        "table": table,
        "addr": world.integer("addr", 0, U64_MAX),
        "length": world.integer("length", 1, LARGEST_PART),
        "part": world.integer("part", DESC, USED),
        "found": tuple(world.candidate(table, f"found{i}") for i in range(PASSES)),
        "is_found": tuple(world.boolean(f"is_found{i}") for i in range(PASSES)),
    }


def any_cached(world: World) -> dict[str, Any]:
    """An IOTLB; a part of a ring, the entry that is cached for it; and an address in the part."""
    table = world.set_of("entry", SHAPE)
    return {
        "table": table,
        "addr": world.integer("addr", 0, U64_MAX),
        "length": world.integer("length", 1, LARGEST_PART),
        "part": world.integer("part", DESC, USED),
        "cached": world.candidate(table, "cached"),
        "address": world.integer("address", 0, U64_MAX),
    }


def any_request(kind: str, world: World) -> dict[str, Any]:
    """A device in any profile, with its rings anywhere, full caches, and a region at `host`; and a request."""
    names = ("desc", "avail", "used")
    return {
        "profile": world.profile(),
        "rings": tuple(tuple(world.integer(f"{n}{q}", 0, U64_MAX) for n in names) for q in (RECEIVE, TRANSMIT)),
        "sizes": tuple(world.integer(f"size{q}", 1, LARGEST_RING) for q in (RECEIVE, TRANSMIT)),
        "attached": tuple(world.boolean(f"attached{q}") for q in (RECEIVE, TRANSMIT)),
        "owned": world.boolean("owned"),
        "has_iotlb": world.boolean("has_iotlb"),
        "host": world.integer("host", 0, U64_MAX),
        "request": VHOST_REQUESTS[kind](world),
    }


def any_table_request(world: World) -> dict[str, Any]:
    request = VHOST_REQUESTS["set_mem_table"](world)
    return {**any_request("add_region", world), "request": replace(request, regions=())}


def any_size_request(world: World) -> dict[str, Any]:
    return {**any_request("set_ring_size", world), "which": world.integer("which", 0, len(SIZES) - 1)}


def anything(**case: Any) -> Any:
    """Nothing is assumed."""
    return True


def fits_in_the_space(table: Any, addr: Any, length: Any, **rest: Any) -> Any:
    """The table is one that a device can have, and the ring's part lies below 2^64."""
    return is_a_table(table, addr, length)


def is_right(table: Any, addr: Any, length: Any, part: Any, cached: Any) -> Any:
    """What is true of a cached entry: a lookup for the whole part finds it, it has the whole part, and permits it."""
    last = addr + length - 1
    return all_of(
        is_leftmost(table, cached, True, addr, last),
        has(table, cached),
        cached.first <= addr,
        last <= cached.last,
        permits(cached, part),
    )


def permits(entry: Any, part: Any) -> Any:
    """Whether an entry permits what the device does to a part."""
    return all_of(*(implies(part == known, permits_access(entry, ACCESS_OF[known])) for known in PARTS))


def permits_access(entry: Any, access: int) -> Any:
    """The entry permits the access."""
    return entry.perm // access % 2 == 1


def is_cached_rightly(table: Any, addr: Any, length: Any, part: Any, cached: Any, address: Any) -> Any:
    """The cached entry is right, and the address lies in the ring's part."""
    in_part = all_of(addr <= address, address <= addr + length - 1)
    return all_of(is_a_table(table, addr, length), is_right(table, addr, length, part, cached), in_part)


# RUNNING THE MODEL -----------------------------------------------------------------------------------------------


class Container:
    """Stands in for a container: it remembers whether it was changed, and has what it is told to have."""

    def __init__(self, find: Callable[[Any, Any], Any] | None = None, members: tuple[Map, ...] = ()) -> None:
        self.changed = False
        self._find, self._members = find, members

    def find(self, first: Any, last: Any) -> Any:
        assert self._find is not None
        return self._find(first, last)

    def add(self, first: Any, last: Any, host: Any, perm: Any) -> bool:
        self.changed = True
        return bool(first <= last)

    def delete_range(self, first: Any, last: Any) -> None:
        self.changed = True

    def free(self) -> None:
        self.changed = True

    def touch(self, entry: Any) -> None:
        pass

    def in_list(self) -> Iterator[Map]:
        return iter(self._members)

    def has_room_for_one(self, most: Any) -> bool:
        return bool(most > len(self._members))


def fixed(number: Any, numbers: tuple[int, ...]) -> int:
    """One of a few numbers, path by path."""
    return next(known for known in numbers if number == known)


class Watched:
    """A machine whose caches are full, and what they depended on."""

    def __init__(
        self, profile: Profile, rings: Any, sizes: Any, attached: Any, owned: Any, has_iotlb: Any, host: Any
    ) -> None:
        self.machine = DeviceMachine(profile)
        self.machine.settings = replace(self.machine.settings, owned=owned)
        container: Any = Container() if has_iotlb else None
        table: Any = Container(members=(Map(0, 0, host, 0, 0),))
        self.machine.iotlb, self.machine.table = container, table
        self.entry = Map(0, U64_MAX, 0, 0, 0)
        for queue, ring, size, is_attached in zip(self.machine.queues, rings, sizes, attached, strict=True):
            queue.desc, queue.avail, queue.used = ring
            queue.num, queue.backend, queue.umem, queue.iotlb = size, is_attached, table, container
            queue.metadata.entries = [self.entry if has_iotlb else None for _ in PARTS]
        self.container: Any = container
        self.rings, self.sizes = rings, sizes

    def is_right(self) -> Any:
        """Each queue's cache is empty, or nothing that it depends on has changed."""
        claims = [
            self._is_as_before(queue, ring, size)
            for queue, ring, size in zip(self.machine.queues, self.rings, self.sizes, strict=True)
            if any(entry is not None for entry in queue.metadata.entries)
        ]
        return all_of(*claims)

    def _is_as_before(self, queue: Virtqueue, ring: Any, size: Any) -> Any:
        seen: Any = queue.iotlb
        if seen is not self.container or seen.changed:
            return False
        desc, avail, used = ring
        return all_of(queue.desc == desc, queue.avail == avail, queue.used == used, queue.num == size)

    def claims(self, request: Any) -> Iterator[Any]:
        """Whether all is right after each step of a request, and at its end."""
        watched = self.machine.steps(request)
        while True:
            try:
                next(watched)
            except StopIteration:
                yield self.is_right()
                return
            yield self.is_right()


# CLAIMS ----------------------------------------------------------------------------------------------------------


def what_is_cached_is_right(table: Any, addr: Any, length: Any, part: Any, found: Any, is_found: Any) -> Any:
    """After a part was looked up: nothing is cached for it, or what is true of a cached entry is true of this one."""
    asked: list[tuple[Any, Any]] = []

    def find(first: Any, last: Any) -> Any:
        if len(asked) == PASSES:
            raise EnoughError
        asked.append((first, last))
        return found[len(asked) - 1] if is_found[len(asked) - 1] else None

    machine, place = DeviceMachine(Profile()), fixed(part, PARTS)
    queue, container = machine.queues[TRANSMIT], Container(find)
    queue.iotlb = machine.iotlb = container  # type: ignore[assignment]
    with suppress(EnoughError):
        Run(machine).area_trouble(TRANSMIT, place, addr, length)
    others = [queue.metadata.entries[other] is None for other in PARTS if other != place]
    right = all_of(*(is_leftmost(table, found[i], is_found[i], *range_) for i, range_ in enumerate(asked)))
    cached = queue.metadata.entries[place]
    is_good = True if cached is None else is_right(table, addr, length, place, cached)
    return all_of(*others, implies(right, is_good))


def serves_as_a_lookup(table: Any, addr: Any, length: Any, part: Any, cached: Any, address: Any) -> Any:
    """The entry that the cache has is the one that the byte lives by, and permits what is done."""
    cache, place = MetadataCache(), fixed(part, PARTS)
    cache.entries[place] = CachedEntry(cached)  # type: ignore[call-overload]
    served: Any = cache.fetch(place)
    return served is not None and all_of(counts_there(table, served.entry, True, address), permits(served.entry, place))


class CachedEntry:
    """An entry as the cache holds it."""

    freed = False

    def __init__(self, entry: Any) -> None:
        self.entry = entry


def request_leaves_no_stale_entry(request: Any, **case: Any) -> Any:
    """After each step of a request: each cache is empty, or nothing that it depends on has changed."""
    stand_ins = (
        Patch(DeviceMachine, "new_iotlb", lambda machine: Container()),
        Patch(DeviceMachine, "new_table", lambda machine: Container()),
        Patch(Run, "run_queue", lambda run, number: None),
    )
    with patched(stand_ins):
        return all_of(*Watched(**case).claims(request))


def size_leaves_no_stale_entry(request: Any, which: Any, **case: Any) -> Any:
    size = SIZES[fixed(which, tuple(range(len(SIZES))))]
    sized = SetRingSize(readable=request.readable, queue=request.queue, size=size)
    return request_leaves_no_stale_entry(sized, **case)


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def without_reset(name: str) -> Patch:
    """A handler of the machine that leaves the caches as they are."""
    handle = getattr(DeviceMachine, name)

    def leaves_the_caches(machine: DeviceMachine, request: Any) -> Any:
        before = [queue.metadata.entries for queue in machine.queues]
        outcome = handle(machine, request)
        for queue, entries in zip(machine.queues, before, strict=True):
            queue.metadata.entries = entries
        return outcome

    return Patch(DeviceMachine, name, leaves_the_caches)


def replaces_and_keeps(machine: DeviceMachine, forget_rings: bool) -> Any:
    before = [queue.metadata.entries for queue in machine.queues]
    yield from REPLACE(machine, forget_rings)
    for queue, entries in zip(machine.queues, before, strict=True):
        queue.metadata.entries = entries


def remembers_the_first(run: Run, number: int, part: int, address: int, size: int) -> Any:
    queue = run.device.queues[number]
    assert queue.iotlb is not None
    entry = queue.iotlb.find(address, address + size - 1)
    if entry is not None and entry.first <= address:
        queue.metadata.update(part, entry)


def serves_the_next_part(cache: MetadataCache, part: int) -> Any:
    return cache.entries[(part + 1) % len(PARTS)]


def changes_the_iotlb(machine: DeviceMachine) -> Any:
    return machine.iotlb if machine.iotlb is not None else machine.table


def removes_from_the_iotlb(machine: DeviceMachine, request: Any) -> Any:
    if machine.iotlb is not None:
        machine.iotlb.delete_range(request.first, request.last)
    return REMOVE_RANGE(machine, request)


def shows_it_as_iotlb(machine: DeviceMachine, new: Any) -> Any:
    for queue in machine.queues:
        queue.iotlb = new
    yield from PUBLISH_TABLE(machine, new)


PUBLISH_TABLE, REMOVE_RANGE = DeviceMachine._publish_table, DeviceMachine._remove_range
REPLACE = DeviceMachine._replace_iotlb
OF_5_10 = "as in 5.10, which does not drop the cache there"

# THEOREMS --------------------------------------------------------------------------------------------------------


def about(name: str, sentence: str, operation: str, **more: Any) -> Theorem:
    return Theorem(f"CACHE.{name}", sentence, (), (operation,), "metadata cache", **more)


def kept(kind: str, sentence: str, bug: Bug, **more: Any) -> Theorem:
    usual = {"inputs": partial(any_request, kind), "holds": request_leaves_no_stale_entry}
    return about(f"KEPT.{kind.upper()}", sentence, kind, given=anything, bug=bug, **{**usual, **more})


THEOREMS = (
    about(
        "FILL",
        "What comes into the cache when a part of the ring is looked up is the entry that a lookup for the whole part "
        "finds, has all of the part, and permits what the device does there; the other parts' entries stay.",
        "look up the ring",
        inputs=any_part,
        given=fits_in_the_space,
        holds=what_is_cached_is_right,
        bug=Bug("an entry is remembered that has the first byte", (Patch(Run, "area_trouble", remembers_the_first),)),
        bound=PASSES_BOUND,
    ),
    about(
        "SERVES",
        "For each byte of a part of the ring, the cached entry is the one that a lookup of that byte finds, and "
        "permits what the device does there.",
        "look up the ring",
        inputs=any_cached,
        given=is_cached_rightly,
        holds=serves_as_a_lookup,
        bug=Bug("the entry of the next part is served", (Patch(MetadataCache, "fetch", serves_the_next_part),)),
    ),
    kept(
        "set_ring_size",
        "A ring that changes its size leaves no entry in its cache.",
        Bug(f"the size changes and the cache stays, {OF_5_10}", (without_reset("_set_ring_size"),)),
        inputs=any_size_request,
        holds=size_leaves_no_stale_entry,
        bound=SIZES_BOUND,
    ),
    kept(
        "set_ring_addresses",
        "A ring that moves leaves no entry in its cache.",
        Bug(f"the ring moves and the cache stays, {OF_5_10}", (without_reset("_set_ring_addresses"),)),
    ),
    kept(
        "write_message",
        "An update or an invalidation leaves no entry in any cache.",
        Bug("an update leaves the caches", (without_reset("_write_message"),)),
    ),
    kept(
        "set_features",
        "A queue that gets another IOTLB, or none, has no entry of the old one, at any step.",
        Bug(
            "a queue gets a new IOTLB and keeps its cache",
            (Patch(DeviceMachine, "_replace_iotlb", replaces_and_keeps),),
        ),
    ),
    kept(
        "reset_owner",
        "A device that is given up leaves no entry in any cache.",
        Bug("its queues keep their caches", (without_reset("_reset_owner"),)),
    ),
    kept(
        "set_mem_table",
        "A new memory table leaves the caches right: their entries are of the IOTLB, which stays as it is.",
        Bug("the new table is shown as the IOTLB", (Patch(DeviceMachine, "_publish_table", shows_it_as_iotlb),)),
        inputs=any_table_request,
        bound=REGIONS_BOUND,
    ),
    kept(
        "add_region",
        "A region that is added leaves the caches right: the IOTLB stays as it is.",
        Bug("the region is added to the IOTLB", (Patch(DeviceMachine, "_table_to_change", changes_the_iotlb),)),
    ),
    kept(
        "remove_range",
        "Regions that are removed leave the caches right: the IOTLB stays as it is.",
        Bug("they are removed from the IOTLB too", (Patch(DeviceMachine, "_remove_range", removes_from_the_iotlb),)),
    ),
)
