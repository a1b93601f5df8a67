"""What the search for cases knows of the vhost line: devices that requests lead to, and which are easy to read."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from proofs.invariants_vhost import can_be_reached
from proofs.symbolic.boolean import all_merged, all_of, any_of, implies, merged, negation
from spec.profile import PROFILES, Profile
from spec.sets import every
from spec.vhost.access import (
    ring_is_loggable,
    ring_is_user_memory,
)
from spec.vhost.address_map import AddressMap, Entry
from spec.vhost.device import ACCESS_PLATFORM, LOG_ALL, NO_LOG, Device, Queue
from spec.vhost.ring import LARGEST_RING

FEATURES = (0, LOG_ALL, ACCESS_PLATFORM, LOG_ALL + ACCESS_PLATFORM)  # that devices of examples have agreed on
HOSTS = (2**44, 2**44 + 2**20 - 1)  # host addresses, first and last, that examples use where they have a choice
LOW_MEMORY = 2**28  # guest addresses below are preferred
FEW_BYTES = 2**16

KERNEL = PROFILES["tree"]
# The smallest limits, so that few members reach them, and each value of the switches that are words.
COVERED = (
    KERNEL,
    replace(KERNEL, max_regions=1),
    replace(KERNEL, iotlb_limit=1),
    replace(KERNEL, max_regions=1, iotlb_limit=1),
    replace(KERNEL, iotlb_mode="follows"),
    replace(KERNEL, retirement="lru"),
)


def is_sensible(profile: Profile) -> Any:
    """User memory has room for the largest ring, wherever else it ends."""
    return profile.user_limit >= 16 * LARGEST_RING


def features_are_few(profile: Profile, device: Device) -> Any:
    """The device has agreed on features that matter here, and that are offered."""
    return all_of(
        any_of(*(device.features == features for features in FEATURES)),
        (profile.features | device.features) == profile.features,
    )


def mode_follows_features(profile: Profile, device: Device) -> Any:
    """There is an IOTLB if the features now agreed on say so."""
    return (device.iotlb is not None) == any_of(*(device.features == features for features in FEATURES[2:]))


def owner_gave_it(profile: Profile, device: Device) -> Any:
    """Only a device with an owner has a table and a log."""
    return any_of(device.owned, device.table is None and device.log_base is None)


def can_be_set_up(profile: Profile, device: Device) -> Any:
    """The device can be reached, and by the requests that `reach_vhost` builds."""
    of_device = (can_be_reached, features_are_few, mode_follows_features, owner_gave_it)
    of_queue = (
        ring_is_aligned,
        ring_has_an_owner,
        attached_ring_was_given,
        attached_ring_is_user_memory,
        attached_ring_is_loggable,
    )
    return all_of(
        all_merged(of_device, profile, device),
        *(all_merged(of_queue, profile, device, queue) for queue in device.queues),
    )


def ring_is_aligned(profile: Profile, device: Device, queue: Queue) -> Any:
    """The ring's addresses are those of a ring."""
    return all_of(queue.avail % 2 == 0, queue.used % 4 == 0, any_of(queue.log == NO_LOG, queue.log % 4 == 0))


def ring_has_an_owner(profile: Profile, device: Device, queue: Queue) -> Any:
    """Only a device with an owner was told of a ring, and only such a ring has a backend."""
    return any_of(device.owned, ring_is_fresh(queue))


def attached_ring_was_given(profile: Profile, device: Device, queue: Queue) -> Any:
    return implies(queue.attached, any_of(queue.desc != 0, queue.avail != 0, queue.used != 0))


def attached_ring_is_user_memory(profile: Profile, device: Device, queue: Queue) -> Any:
    return implies(queue.attached, merged(ring_is_user_memory)(profile, device, queue))


def attached_ring_is_loggable(profile: Profile, device: Device, queue: Queue) -> Any:
    return not queue.attached or ring_is_loggable(profile, device, queue, device.log_base)


def ring_is_fresh(queue: Queue) -> Any:
    """Nothing was said of the queue."""
    fresh = Queue()
    return all_of(
        *(getattr(queue, name) == getattr(fresh, name) for name in ("size", "desc", "avail", "used", "log")),
        negation(queue.attached),
    )


def plainness(device: Device, request: Any) -> list[Any]:
    """What makes an example easy to read: little that was set up, low and small numbers, host memory of one place."""
    first, last = HOSTS

    def is_plain(entry: Entry) -> Any:
        return all_of(entry.last < LOW_MEMORY, entry.host >= first, entry.host + entry.last - entry.first <= last)

    def is_plain_map(table: AddressMap | None) -> Any:
        return True if table is None else every(table.entries, is_plain)

    wishes: list[Any] = [
        lambda: device.iotlb is None,
        lambda: device.features == 0,
        lambda: device.message_version == 1,
        *(lambda queue=queue: negation(queue.attached) for queue in device.queues),
        *(lambda queue=queue: ring_is_fresh(queue) for queue in device.queues),
        *(lambda queue=queue: len(queue.packets) == 0 for queue in device.queues),
        lambda: is_plain_map(device.table),
        lambda: is_plain_map(device.iotlb),
        lambda: device.log_base is None,
    ]
    named = {field.name for field in fields(request)}
    wishes += [lambda: len(device.unread) == 0, lambda: len(device.pending) == 0]
    if "hva" in named:
        wishes += [lambda: all_of(request.hva >= first, request.hva + request.size <= last + 1)]
        wishes += [lambda: request.gpa < LOW_MEMORY]
    if "uaddr" in named:
        wishes += [lambda: all_of(request.uaddr >= first, request.uaddr + request.size <= last + 1)]
        wishes += [lambda: request.iova < LOW_MEMORY, lambda: request.framing == 1, lambda: request.length == 72]
    if "size" in named:
        wishes += [lambda: request.size <= FEW_BYTES]
    if "regions" in named:
        wishes += [lambda: every_region(request, lambda region: region.size <= FEW_BYTES)]
        wishes += [lambda: every_region(request, lambda region: all_of(region.hva >= first, region.hva <= last))]
    return wishes


def every_region(request: Any, holds: Any) -> Any:
    """Whether something is true of each region of a memory table that is given."""
    return all_of(True, *(holds(region) for region in request.regions))
