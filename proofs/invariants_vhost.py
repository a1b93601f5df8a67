"""What is true of every address map and every device that can be reached."""

from __future__ import annotations

from typing import Any

from proofs.sets import every_pair
from proofs.symbolic.boolean import all_merged, all_of, any_of, implies
from spec.profile import Profile
from spec.sets import count, every
from spec.vhost.access import is_active, table_is_loggable, table_is_user_memory
from spec.vhost.address_map import READ, WRITE, AddressMap, Entry
from spec.vhost.device import Device, Queue


def is_in_order(entry: Entry, clock: int) -> Any:
    """The entry has a byte, and is older than the map's next tick."""
    return all_of(entry.first <= entry.last, entry.born < clock, entry.used < clock, entry.born <= entry.used)


def map_is_in_order(table: AddressMap) -> Any:
    """Each entry is in order, and no two were added, or used, at the same tick."""
    return all_of(
        every(table.entries, lambda entry: is_in_order(entry, table.clock)),
        every_pair(table.entries, lambda one, other: all_of(one.born != other.born, one.used != other.used)),
    )


def is_fifo(profile: Profile, table: AddressMap) -> Any:
    """Where the first that came is the first to go, an entry's use is its birth."""
    return implies(profile.retirement == "fifo", every(table.entries, lambda entry: entry.used == entry.born))


def map_is_within_limit(profile: Profile, table: AddressMap) -> Any:
    """The map has no more entries than may be held."""
    return count(table.entries) <= profile.iotlb_limit


def may_both(entry: Entry) -> Any:
    """The device may read and write there."""
    return entry.perm == READ + WRITE


def ring_is_a_ring(queue: Queue) -> Any:
    """A ring's size is a power of two."""
    return any_of(*(queue.size == 2**exponent for exponent in range(16)))


def table_is_valid(profile: Profile, device: Device) -> Any:
    """The memory table, if there is one, is in order and lets the device read and write."""
    if device.table is None:
        return True
    return all_of(map_is_in_order(device.table), every(device.table.entries, may_both))


def iotlb_is_valid(profile: Profile, device: Device) -> Any:
    """The IOTLB, if there is one, is in order and no larger than it may be."""
    if device.iotlb is None:
        return True
    return all_of(
        map_is_in_order(device.iotlb), map_is_within_limit(profile, device.iotlb), is_fifo(profile, device.iotlb)
    )


def rings_are_rings(profile: Profile, device: Device) -> Any:
    """Each ring's size is a power of two."""
    return all_of(*(ring_is_a_ring(queue) for queue in device.queues))


def valid_device(profile: Profile, device: Device) -> Any:
    """The device is as every reachable device is, as far as its maps and its rings go."""
    return all_merged((table_is_valid, iotlb_is_valid, rings_are_rings), profile, device)


def active_is_set_up(profile: Profile, device: Device) -> Any:
    """A queue is attached only to a device that has an owner and a table, and what the table maps stays user memory."""
    return not is_active(device) or all_of(device.owned, table_is_user_memory(profile, device.table))


def active_log_has_room(profile: Profile, device: Device) -> Any:
    """While a queue is attached and writes are logged, the log has room for all that the table maps."""
    if not is_active(device) or not device.logs_all():
        return True
    return table_is_loggable(profile, device.table, device.log_base)


def can_be_reached(profile: Profile, device: Device) -> Any:
    """The device is as every device is that requests lead to: maps are in order, and what an active one maps is user
    memory and, where writes are logged, in the log.
    """
    return all_merged((valid_device, active_is_set_up, active_log_has_room), profile, device)
