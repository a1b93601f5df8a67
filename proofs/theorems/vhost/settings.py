"""What setting a device up changes: what was asked for, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import spec.vhost.address_map
import spec.vhost.backend
import spec.vhost.features
import spec.vhost.mem_table
import spec.vhost.regions
from proofs.bugs import with_check, with_effect
from proofs.claims import accepted
from proofs.invariants_vhost import valid_device
from proofs.requests_vhost import VHOST_REQUESTS, set_mem_table
from proofs.sets import are_equal
from proofs.symbolic.boolean import all_of, any_of, implies, merged, negation
from proofs.theorem import Bug, Patch, Theorem
from proofs.theorems.vhost.devices import about, after_without_runs
from proofs.theorems.vhost.translations import byte_is_the_same
from proofs.world import World
from proofs.world_vhost import any_device
from spec.outcome import Done
from spec.profile import Profile
from spec.sets import added, count, every, kept, removed
from spec.units import U64_MAX
from spec.vhost.access import table_is_loggable, table_is_user_memory
from spec.vhost.address_map import EMPTY_MAP, READ, WRITE, AddressMap, Entry, entry_at, oldest
from spec.vhost.backend import NONE, SET_BACKEND, SetBackend
from spec.vhost.device import ACCESS_PLATFORM, NO_LOG, RECEIVE, TRANSMIT, Device, Queue, has_feature, with_queue
from spec.vhost.features import SET_FEATURES, SetFeatures
from spec.vhost.mem_table import HOST, SET_MEM_TABLE, Region, SetMemTable
from spec.vhost.owner import RESET_OWNER, ResetOwner
from spec.vhost.regions import ADD_REGION, REMOVE_RANGE, REMOVE_REGION, AddRegion, RemoveRange, RemoveRegion
from spec.vhost.ring import (
    LOG_USED_RING,
    SET_LOG_BASE,
    SET_RING_ADDRESSES,
    SET_RING_SIZE,
    SetLogBase,
    SetRingAddresses,
    SetRingSize,
)

MEM_TABLE, REGIONS, FEATURES = spec.vhost.mem_table, spec.vhost.regions, spec.vhost.features
SOME_REGIONS = 2  # of a memory table that is looked at region by region
OF_DEVICE = tuple(field.name for field in fields(Device))
TABLE_CHANGES = ("set_mem_table", "add_region", "remove_region", "remove_range")

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_request_and_a_byte(operation: str) -> Callable[[World], dict[str, Any]]:
    """Any device, any request, an entry of the table and a guest byte."""

    def inputs(world: World) -> dict[str, Any]:
        return {
            "profile": world.profile(),
            "device": any_device(world),
            "request": VHOST_REQUESTS[operation](world),
            "byte": world.integer("byte", 0, U64_MAX),
        }

    return inputs


def some_regions_and_a_byte(world: World) -> dict[str, Any]:
    request = set_mem_table(world, SOME_REGIONS)
    return {**any_request_and_a_byte("set_mem_table")(world), "request": request}


def any_request_with_chains(operation: str) -> Callable[[World], dict[str, Any]]:
    """Any device, with any chains that wait in its queues, and any request of an operation."""

    def inputs(world: World) -> dict[str, Any]:
        device = any_device(world, has_chains=True)
        return {"profile": world.profile(), "device": device, "request": VHOST_REQUESTS[operation](world)}

    return inputs


def is_accepted(profile: Profile, device: Device, request: Any, **rest: Any) -> Any:
    """The device is valid, and the request breaks no rule."""
    return all_of(valid_device(profile, device), accepted(profile, device, request))


def is_accepted_in_iotlb_mode(profile: Profile, device: Device, request: Any, **rest: Any) -> Any:
    """The device is valid and in IOTLB mode, and the request breaks no rule."""
    return all_of(is_accepted(profile, device, request), merged(is_in_iotlb_mode)(device))


def is_in_iotlb_mode(device: Device) -> bool:
    """The device has an IOTLB."""
    return device.iotlb is not None


def is_active_after(profile: Profile, device: Device, request: Any, **rest: Any) -> Any:
    """The device is valid, the request breaks no rule, and a queue has a backend."""
    attached = any_of(*(queue.attached for queue in device.queues))
    return all_of(is_accepted(profile, device, request), attached)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def others_are_the_same(before: Device, after: Device, *names: str) -> Any:
    """All fields but these are the very same, or equal where they are plain numbers."""
    rest = [name for name in OF_DEVICE if name not in names]
    return all_of(True, *(is_same(getattr(before, name), getattr(after, name)) for name in rest))


def is_same(one: Any, other: Any) -> Any:
    """Whether two values are the same thing or, where they are values, equal."""
    if one is other:
        return True
    if one is None or other is None:
        return False
    return one == other


def table_is_the_regions(profile: Profile, device: Device, request: SetMemTable, byte: int) -> Any:
    """The byte is where the region has it that starts first, and of those that start together is listed first."""
    after = after_without_runs(profile, device, request)
    if after.table is None:
        return False
    found = entry_at(after.table, byte)
    best: Region | None = None
    for region in request.regions:
        if region.gpa <= byte <= region.gpa + region.size - 1 and (best is None or region.gpa < best.gpa):
            best = region
    others = others_are_the_same(device, after, "table")
    if best is None or found is None:
        return all_of(best is None and found is None, others)
    is_there = found.host_of(byte) == (best.hva + byte - best.gpa) % (U64_MAX + 1)
    return all_of(is_there, found.perm == 3, others)


def active_table_is_fit(profile: Profile, device: Device, request: Any, **rest: Any) -> Any:
    """What an active device maps is user memory and, where writes are logged, in the log."""
    after = after_without_runs(profile, device, request)
    return all_of(
        table_is_user_memory(profile, after.table),
        implies(device.logs_all(), table_is_loggable(profile, after.table, after.log_base)),
    )


def table_is_no_matter(profile: Profile, device: Device, request: Any, byte: int) -> Any:
    """In IOTLB mode every byte is translated as before the change of the table."""
    return merged(byte_is_the_same)(device, after_without_runs(profile, device, request), byte)


def region_is_added(profile: Profile, device: Device, request: AddRegion, **rest: Any) -> Any:
    """The table has all entries that it had and the region, which is one more, and is still within both limits."""
    after = after_without_runs(profile, device, request)
    before = spec.vhost.address_map.EMPTY_MAP if device.table is None else device.table
    if after.table is None:
        return False
    born = before.clock
    region = Entry(request.gpa, request.gpa + request.size - 1, request.hva, READ + WRITE, born=born, used=born)
    held = count(after.table.entries)
    return all_of(
        are_equal(after.table.entries, added(before.entries, region)),
        after.table.clock == before.clock + 1,
        held == count(before.entries) + 1,
        held <= profile.max_regions,
        held <= profile.iotlb_limit,
        others_are_the_same(device, after, "table"),
    )


def region_is_removed(profile: Profile, device: Device, request: RemoveRegion, **rest: Any) -> Any:
    """The table has all entries but one, which has the three values of the request, and is the first that had them."""
    after = after_without_runs(profile, device, request)
    if device.table is None or after.table is None:
        return False
    gone = REGIONS.entry_of(device, request)
    return gone is not None and all_of(
        count(after.table.entries) == count(device.table.entries) - 1,
        gone.first == request.gpa,
        gone.last == request.gpa + request.size - 1,
        gone.host == request.hva,
        are_equal(after.table.entries, removed(device.table.entries, gone)),
        every(after.table.entries, lambda entry: any_of(negation(is_named(request, entry)), gone.born < entry.born)),
        after.table.clock == device.table.clock,
        others_are_the_same(device, after, "table"),
    )


def is_named(request: RemoveRegion, entry: Entry) -> Any:
    """The entry has the three values of the request."""
    last = request.gpa + request.size - 1
    return all_of(entry.first == request.gpa, entry.last == last, entry.host == request.hva)


def range_is_removed(profile: Profile, device: Device, request: RemoveRange, byte: int) -> Any:
    """The table has exactly the entries that end before the range or begin behind it, and so no byte of the range; a
    device without a table still has none.
    """
    after = after_without_runs(profile, device, request)
    others = others_are_the_same(device, after, "table")
    if device.table is None or after.table is None:
        return all_of(device.table is None and after.table is None, others)
    outside = kept(device.table.entries, lambda entry: any_of(entry.last < request.first, request.last < entry.first))
    is_asked = all_of(request.first <= byte, byte <= request.last)
    return all_of(
        are_equal(after.table.entries, outside),
        after.table.clock == device.table.clock,
        implies(is_asked, entry_at(after.table, byte) is None),
        others,
    )


def mode_is_as_agreed(profile: Profile, device: Device, request: SetFeatures, **rest: Any) -> Any:
    """Agreeing on the feature gives an empty IOTLB; leaving it out removes it or not, as the profile says."""
    after = after_without_runs(profile, device, request)
    common = [
        after.features == request.features,
        others_are_the_same(device, after, "features", *FORGOTTEN),
        *(rest_is_the_same(*pair, *RING) for pair in zip(device.queues, after.queues, strict=True)),
    ]
    if has_feature(request.features, ACCESS_PLATFORM):
        if after.iotlb is None:
            return False
        is_empty = every(after.iotlb.entries, lambda entry: False)
        return all_of(*common, is_empty, after.unread is device.unread, after.pending is device.pending)
    if profile.iotlb_mode == "stays":
        return all_of(*common, after.iotlb is device.iotlb, after.queues == device.queues)
    if device.iotlb is None:
        return all_of(*common, after.iotlb is None, after.unread is device.unread, after.pending is device.pending)
    return all_of(*common, after.iotlb is None, after.unread == (), after.pending == ())


FORGOTTEN = ("iotlb", "unread", "pending", "queues")  # what a change of mode may take
RING = ("desc", "avail", "used", "log")  # and of a queue


def rest_is_the_same(before: Queue, after: Queue, *names: str) -> Any:
    """All fields of the queue but these are the very same, or equal."""
    rest = [field.name for field in fields(Queue) if field.name not in names]
    return all_of(True, *(is_same(getattr(before, name), getattr(after, name)) for name in rest))


def rings_are_forgotten_with_the_mode(profile: Profile, device: Device, request: SetFeatures, **rest: Any) -> Any:
    """Where the mode follows the features, rings are forgotten exactly by going in or out; all else stays."""
    after = after_without_runs(profile, device, request)
    goes = has_feature(request.features, ACCESS_PLATFORM) != (device.iotlb is not None)
    claims = []
    for queue, changed in zip(device.queues, after.queues, strict=True):
        claims.append(rest_is_the_same(queue, changed, *RING))
        if goes and profile.iotlb_mode == "follows":
            claims += [changed.desc == 0, changed.avail == 0, changed.used == 0, changed.log == NO_LOG]
        else:
            claims += [changed.desc == queue.desc, changed.avail == queue.avail, changed.used == queue.used]
            claims += [changed.log == queue.log]
    return all_of(*claims)


def detaching_forgets_misses(profile: Profile, device: Device, request: SetBackend, **rest: Any) -> Any:
    """A queue that loses its backend does not listen; no queue's miss is left; the rest of it and of all stays."""
    after = after_without_runs(profile, device, request)
    if request.backend != NONE:
        return True
    queue, other = after.queues[request.queue], after.queues[1 - request.queue]
    return all_of(
        negation(queue.attached),
        negation(queue.listening),
        rest_is_the_same(device.queues[request.queue], queue, "attached", "listening"),
        after.unread == () and after.pending == (),
        other is device.queues[1 - request.queue],
        others_are_the_same(device, after, "unread", "pending", "queues"),
    )


def reset_forgets_all(profile: Profile, device: Device, request: ResetOwner, **rest: Any) -> Any:
    """The device is as new, but for an empty memory table and packets that wait in the tap."""
    after = after_without_runs(profile, device, request)
    fresh = Queue()
    names = ("size", "desc", "avail", "used", "log", "attached", "done", "quiet", "listening", "chains")
    rings = [getattr(queue, name) == getattr(fresh, name) for queue in after.queues for name in names]
    return (
        after.table is not None
        and after.iotlb is None
        and after.log_base is None
        and all_of(
            every(after.table.entries, lambda entry: False),
            negation(after.owned),
            after.features == 0,
            after.message_version == 1,
            after.unread == () and after.pending == (),
            *rings,
            *(after.queues[number].packets is device.queues[number].packets for number in (RECEIVE, TRANSMIT)),
        )
    )


def only_this_ring_changes(profile: Profile, device: Device, request: Any, **rest: Any) -> Any:
    """The queue that was named has what was asked for; its rest, the other, and the rest of the device are the same."""
    after = after_without_runs(profile, device, request)
    queue, before = after.queues[request.queue], device.queues[request.queue]
    asked = ("size",) if isinstance(request, SetRingSize) else RING
    return all_of(
        after.queues[1 - request.queue] is device.queues[1 - request.queue],
        others_are_the_same(device, after, "queues"),
        rest_is_the_same(before, queue, *asked),
        as_asked(queue, request),
    )


def as_asked(queue: Queue, request: SetRingSize | SetRingAddresses) -> Any:
    if isinstance(request, SetRingSize):
        return queue.size == request.size
    return all_of(
        queue.desc == request.desc,
        queue.avail == request.avail,
        queue.used == request.used,
        any_of(
            all_of(request.flags == LOG_USED_RING, queue.log == request.log),
            all_of(request.flags == 0, queue.log == NO_LOG),
        ),
    )


def log_is_where_asked(profile: Profile, device: Device, request: SetLogBase, **rest: Any) -> Any:
    after = after_without_runs(profile, device, request)
    return all_of(after.log_base == request.base, others_are_the_same(device, after, "log_base"))


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def gives_up_without_regions(profile: Profile, device: Device, request: SetMemTable) -> Any:
    """A table without regions takes the log and the owner with it."""
    after, answer = SET_MEM_TABLE.effect(profile, device, request)
    return (after, answer) if len(request.regions) > 0 else (replace(after, log_base=None, owned=False), answer)


def nothing_is_foreign(profile: Profile, device: Device, request: Any) -> bool:
    return False


def into_the_iotlb(operation: Any) -> Patch:
    """The change goes to the map that is in use."""

    def effect(profile: Profile, device: Device, request: Any) -> tuple[Device, Done]:
        after, answer = operation.effect(profile, device, request)
        return replace(after, iotlb=EMPTY_MAP), answer

    return with_effect(operation, effect)


def host_is_forgotten(table: AddressMap, region: Region) -> AddressMap:
    return MEM_TABLE.with_region(table, replace(region, hva=0))


def removes_the_oldest(profile: Profile, device: Device, request: RemoveRegion) -> tuple[Device, Done]:
    table = device.table
    if table is None:
        return device, Done()
    return replace(device, table=replace(table, entries=removed(table.entries, oldest(table)))), Done()


def empties_the_table(profile: Profile, device: Device, request: RemoveRange) -> tuple[Device, Done]:
    if device.table is None:
        return device, Done()
    return replace(device, table=replace(device.table, entries=kept(device.table.entries, lambda entry: False))), Done()


def keeps_the_iotlb(profile: Profile, device: Device, request: SetFeatures) -> tuple[Device, Done]:
    """Agreeing again keeps what is in the IOTLB."""
    after, answer = FEATURES.set_features(profile, device, request)
    return (after if device.iotlb is None else replace(after, iotlb=device.iotlb)), answer


def queues_stop(profile: Profile, device: Device, request: SetFeatures) -> tuple[Device, Done]:
    """A queue no longer listens, and what waits in it is lost."""
    after, answer = FEATURES.set_features(profile, device, request)
    receive, transmit = after.queues
    return replace(after, queues=(stopped(receive), stopped(transmit))), answer


def stopped(queue: Queue) -> Queue:
    return replace(queue, quiet=True, listening=False, chains=())


def detaches_only(profile: Profile, device: Device, request: SetBackend) -> Any:
    if request.backend != NONE:
        return SET_BACKEND.effect(profile, device, request)
    queue = replace(device.queues[request.queue], attached=False, listening=False)
    return with_queue(device, request.queue, queue), Done()


def keeps_the_features(profile: Profile, device: Device, request: ResetOwner) -> Any:
    after, answer = RESET_OWNER.effect(profile, device, request)
    return replace(after, features=device.features), answer


def other_queue(operation: Any) -> Patch:
    """The other queue is changed."""

    def effect(profile: Profile, device: Device, request: Any) -> tuple[Device, Done]:
        after, answer = operation.effect(profile, device, request)
        receive, transmit = after.queues
        return replace(after, queues=(transmit, receive)), answer

    return with_effect(operation, effect)


def log_on_the_next_page(profile: Profile, device: Device, request: SetLogBase) -> tuple[Device, Done]:
    return replace(device, log_base=request.base + 4096), Done()


# THEOREMS --------------------------------------------------------------------------------------------------------


THEOREMS: tuple[Theorem, ...] = (
    about(
        "set_mem_table",
        "REPLACED",
        "A table that is given takes the old one's place as a whole: each byte is where the new regions have it, the "
        "one that starts first before others, of those that start together the one listed first; nothing else changes.",
        "as asked",
        is_accepted,
        table_is_the_regions,
        Bug("without regions the log and the owner go too", (with_effect(SET_MEM_TABLE, gives_up_without_regions),)),
        f"requests of at most {SOME_REGIONS} regions, tables before it of any number: regions are taken one by one",
        some_regions_and_a_byte,
    ),
    *(
        about(
            operation.name,
            "USER_MEMORY",
            f"While a backend is attached, all that is mapped after {operation.name} is user memory, and in the log "
            "where writes are logged.",
            "user memory",
            is_active_after,
            active_table_is_fit,
            Bug("nobody asks where the memory is", (with_check(operation, HOST, nothing_is_foreign),)),
            rules=("VHOST.TABLE.HOST", "VHOST.TABLE.LOG"),
        )
        for operation in (SET_MEM_TABLE, ADD_REGION)
    ),
    *(
        about(
            operation.name,
            "IOTLB_MODE",
            f"In IOTLB mode {operation.name} changes the translation of no byte.",
            "modes apart",
            is_accepted_in_iotlb_mode,
            table_is_no_matter,
            Bug("the change goes to the IOTLB too", (into_the_iotlb(operation),)),
            inputs=any_request_and_a_byte(operation.name),
        )
        for operation in (SET_MEM_TABLE, ADD_REGION, REMOVE_REGION, REMOVE_RANGE)
    ),
    about(
        "add_region",
        "EFFECT",
        "A region that is added is one more entry of the table, the youngest, with its bytes, its host address and "
        "both permissions; every other entry stays, the table is within both limits, and nothing else changes.",
        "as asked",
        is_accepted,
        region_is_added,
        Bug("its host address is forgotten", (Patch(REGIONS, "with_region", host_is_forgotten),)),
    ),
    about(
        "remove_region",
        "EFFECT",
        "A region that is removed had the three values that were named, of several the first that was added, and is "
        "the only one that goes; nothing else changes.",
        "as asked",
        is_accepted,
        region_is_removed,
        Bug("the oldest goes", (with_effect(REMOVE_REGION, removes_the_oldest),)),
    ),
    about(
        "remove_range",
        "EFFECT",
        "After a range was removed from the table, the table has exactly the entries that it had and that have no byte "
        "of the range, so none of its bytes is mapped there; nothing else changes.",
        "as asked",
        is_accepted,
        range_is_removed,
        Bug("the whole table goes", (with_effect(REMOVE_RANGE, empties_the_table),)),
        inputs=any_request_and_a_byte("remove_range"),
    ),
    about(
        "set_features",
        "MODE",
        "Agreeing on ACCESS_PLATFORM, also again, gives an empty IOTLB and forgets no miss; leaving it out removes the "
        "IOTLB, with all misses, exactly where the profile says so; nothing else changes, but for where rings are "
        "(`DEVICE.SETFEATURES.RINGS`).",
        "as asked",
        is_accepted,
        mode_is_as_agreed,
        Bug("agreeing again keeps what is there", (with_effect(SET_FEATURES, keeps_the_iotlb),)),
        inputs=any_request_with_chains("set_features"),
    ),
    about(
        "set_features",
        "RINGS",
        "Rings are forgotten exactly by going into IOTLB mode or out of it, where the profile says so; of each queue "
        "nothing else changes, neither its backend nor what waits in it.",
        "as asked",
        is_accepted,
        rings_are_forgotten_with_the_mode,
        Bug("both queues stop and lose their chains", (with_effect(SET_FEATURES, queues_stop),)),
        inputs=any_request_with_chains("set_features"),
    ),
    about(
        "set_backend",
        "DETACH",
        "Detaching a queue forgets the misses of both queues, read or not, and leaves the rest of the device alone.",
        "as asked",
        is_accepted,
        detaching_forgets_misses,
        Bug("misses stay", (with_effect(SET_BACKEND, detaches_only),)),
        inputs=any_request_with_chains("set_backend"),
    ),
    about(
        "reset_owner",
        "EFFECT",
        "After a reset the device is as new, but has an empty memory table, and packets still wait in the tap.",
        "as asked",
        is_accepted,
        reset_forgets_all,
        Bug("features stay", (with_effect(RESET_OWNER, keeps_the_features),)),
    ),
    *(
        about(
            operation.name,
            "EFFECT",
            f"After {operation.name} the queue that was named has what was asked for; the rest of it, the other queue "
            "and the rest of the device are the same.",
            "as asked",
            is_accepted,
            only_this_ring_changes,
            Bug("the queues are mixed up", (other_queue(operation),)),
            inputs=any_request_with_chains(operation.name),
        )
        for operation in (SET_RING_SIZE, SET_RING_ADDRESSES)
    ),
    about(
        "set_log_base",
        "EFFECT",
        "After set_log_base the log is where it was asked for, and nothing else has changed.",
        "as asked",
        is_accepted,
        log_is_where_asked,
        Bug("the log is a page further", (with_effect(SET_LOG_BASE, log_on_the_next_page),)),
    ),
)
