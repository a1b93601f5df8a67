"""Which memory a device may be given: user memory only, and where writes are logged only what the log has room for.

A queue without a backend moves no bytes, so nothing is checked for it until a backend is attached.
"""

from __future__ import annotations

from spec.profile import Profile
from spec.sets import every
from spec.vhost.address_map import EMPTY_MAP, AddressMap
from spec.vhost.device import NO_LOG, Device, Queue, is_host_range, is_log_range


def is_active(device: Device) -> bool:
    """Whether a backend is attached to any queue."""
    return any(queue.attached for queue in device.queues)


def table_is_user_memory(profile: Profile, table: AddressMap | None) -> bool:
    """Whether there is a memory table, and all that it maps is user memory."""
    if table is None:
        return False
    return every(table.entries, lambda entry: is_host_range(profile, entry.host, entry.last - entry.first + 1))


def table_is_loggable(profile: Profile, table: AddressMap | None, log_base: int | None) -> bool:
    """Whether a log at this address has room for all that a memory table maps. None maps nothing."""
    return every(
        (table or EMPTY_MAP).entries,
        lambda entry: is_log_range(profile, log_base, entry.first, entry.last - entry.first + 1),
    )


def ring_is_user_memory(profile: Profile, device: Device, queue: Queue) -> bool:
    """Whether a queue's ring is user memory. In IOTLB mode that is seen when the ring is used."""
    if device.iotlb is not None:
        return True
    return all(is_host_range(profile, address, size) for address, size, access in queue.parts())


def ring_is_loggable(profile: Profile, device: Device, queue: Queue, log_base: int | None) -> bool:
    """Whether a log at this address has room for a queue's used ring. In IOTLB mode it is logged where it lives."""
    if device.iotlb is not None or queue.log == NO_LOG:
        return True
    return is_log_range(profile, log_base, queue.log, queue.used_bytes())
