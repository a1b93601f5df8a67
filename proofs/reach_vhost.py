"""From a new device to a given one: requests that may lead there.

What a run leaves behind (counts of chains, flags in the used ring) is not built. Who takes a setup looks at the device
that it leads to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from spec.profile import Profile
from spec.vhost.address_map import AddressMap, Entry
from spec.vhost.backend import SetBackend
from spec.vhost.device import NEW_DEVICE, NO_LOG, Device, Miss, Queue
from spec.vhost.features import MESSAGE_V2, SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import UPDATE, ReadMessage, WriteMessage
from spec.vhost.owner import SetOwner
from spec.vhost.ring import LOG_USED_RING, SetLogBase, SetRingAddresses, SetRingSize
from spec.vhost.translate import Translate


def in_order_of_birth(table: AddressMap) -> list[Entry]:
    """A map's entries as they were added."""
    return sorted(table.entries, key=lambda entry: entry.born)


def table_request(table: AddressMap) -> SetMemTable:
    """The request that gives this table."""
    regions = (Region(entry.first, entry.last - entry.first + 1, entry.host) for entry in in_order_of_birth(table))
    return SetMemTable(regions=tuple(regions))


def update_request(entry: Entry) -> WriteMessage:
    """The message that adds this entry."""
    return WriteMessage(
        kind=UPDATE, iova=entry.first, size=entry.last - entry.first + 1, uaddr=entry.host, perm=entry.perm
    )


def miss_request(miss: Miss) -> Translate:
    """A translation that misses this byte while the IOTLB is empty."""
    return Translate(addr=miss.iova, length=1, access=miss.access, queue=miss.queue)


def ring_requests(number: int, queue: Queue) -> list[Any]:
    """The requests that put a queue's ring where it is."""
    fresh, requests = NEW_DEVICE.queues[number], list[Any]()
    if queue.size != fresh.size:
        requests.append(SetRingSize(queue=number, size=queue.size))
    if (queue.desc, queue.avail, queue.used, queue.log) != (fresh.desc, fresh.avail, fresh.used, fresh.log):
        requests.append(
            SetRingAddresses(
                queue=number,
                flags=0 if queue.log == NO_LOG else LOG_USED_RING,
                desc=queue.desc,
                avail=queue.avail,
                used=queue.used,
                log=0 if queue.log == NO_LOG else queue.log,
            )
        )
    return requests


def setups_of_device(profile: Profile, device: Device) -> Iterator[tuple[Any, ...]]:
    """Requests that may lead to a device like this: the IOTLB before the queues are attached, or after."""
    owner = [SetOwner()] if device.owned else []
    features = [SetFeatures(features=device.features)] if device.features else []
    framing = [SetBackendFeatures(features=MESSAGE_V2)] if device.message_version == 2 else []
    table = [] if device.table is None else [table_request(device.table)]
    log = [] if device.log_base is None else [SetLogBase(base=device.log_base)]
    rings = [request for number, queue in enumerate(device.queues) for request in ring_requests(number, queue)]
    attached = [SetBackend(queue=number) for number, queue in enumerate(device.queues) if queue.attached]
    misses = [
        *(request for miss in device.pending for request in (miss_request(miss), ReadMessage())),
        *(miss_request(miss) for miss in device.unread),
    ]
    updates = [] if device.iotlb is None else [update_request(entry) for entry in in_order_of_birth(device.iotlb)]
    yield (*owner, *features, *framing, *misses, *table, *log, *rings, *updates, *attached)
    yield (*owner, *table, *log, *rings, *attached, *features, *framing, *misses, *updates)
