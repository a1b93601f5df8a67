"""What each rule of a device demands, in words of its own: an accepted request and the device are as the rule says."""

from __future__ import annotations

from typing import Any

from proofs.symbolic.boolean import all_of, any_of, implies, negation
from proofs.theorems.demands import Demand, all_about, is_one_of
from proofs.theorems.vhost.devices import BOUNDS, any_request, is_accepted
from spec.profile import Profile
from spec.sets import count, every, some
from spec.vhost.backend import NONE, TAP

U64 = 2**64
BYTES_OF_A_LOG_BYTE = 8 * 4096  # of guest memory
LOG_ALL = 2**26
MESSAGE_BYTES = 72

# WHAT SEVERAL RULES DEMAND -------------------------------------------------------------------------------------------


def is_in_log(profile: Profile, base: Any, last: Any) -> Any:
    """The log's byte for a guest byte is user memory; a log that was never given begins at 0."""
    return (0 if base is None else base) + last // BYTES_OF_A_LOG_BYTE < profile.user_limit


def table_is_in_log(profile: Profile, device: Any, base: Any) -> Any:
    if device.table is None:
        return True
    return every(device.table.entries, lambda entry: is_in_log(profile, base, entry.last))


def used_ring_is_in_log(profile: Profile, device: Any, base: Any, log: Any, size: Any) -> Any:
    """Outside IOTLB mode, and where the ring's writes are logged."""
    if device.iotlb is not None:
        return True
    return implies(log >= 0, is_in_log(profile, base, log + 4 + 8 * size - 1))


def ring_is_user_memory(profile: Profile, device: Any, ring: Any, size: Any) -> Any:
    """Outside IOTLB mode all three parts of a ring end where user memory ends, or before."""
    if device.iotlb is not None:
        return True
    ends = (ring.desc + 16 * size, ring.avail + 4 + 2 * size, ring.used + 4 + 8 * size)
    return all_of(*(end <= profile.user_limit for end in ends))


def named(device: Any, request: Any) -> Any:
    return device.queues[request.queue]


def logs_all(features: Any) -> Any:
    return features // LOG_ALL % 2 == 1


# CLAIMS --------------------------------------------------------------------------------------------------------------


def there_is_room(profile: Profile, device: Any, request: Any) -> Any:
    held = 0 if device.table is None else count(device.table.entries)
    return all_of(held + 1 <= profile.max_regions, held + 1 <= profile.iotlb_limit)


def it_is_there(profile: Profile, device: Any, request: Any) -> Any:
    if device.table is None:
        return False
    last = request.gpa + request.size - 1
    return some(
        device.table.entries,
        lambda entry: all_of(entry.first == request.gpa, entry.last == last, entry.host == request.hva),
    )


def log_can_begin(profile: Profile, device: Any, request: Any) -> Any:
    is_asked = all_of(logs_all(request.features), any_of(*(queue.attached for queue in device.queues)))
    return implies(is_asked, table_is_in_log(profile, device, device.log_base))


def log_has_room(profile: Profile, device: Any, request: Any) -> Any:
    base = request.base
    table = implies(logs_all(device.features), table_is_in_log(profile, device, base))
    rings = ((queue, used_ring_is_in_log(profile, device, base, queue.log, queue.size)) for queue in device.queues)
    return all_of(*(implies(queue.attached, all_of(table, ring)) for queue, ring in rings))


def moved_ring_is_user_memory(profile: Profile, device: Any, request: Any) -> Any:
    queue = named(device, request)
    return implies(queue.attached, ring_is_user_memory(profile, device, request, queue.size))


def moved_ring_is_in_log(profile: Profile, device: Any, request: Any) -> Any:
    queue = named(device, request)
    in_log = used_ring_is_in_log(profile, device, device.log_base, request.log, queue.size)
    return implies(all_of(queue.attached, request.flags == 1), in_log)


def all_is_in_log(profile: Profile, device: Any, request: Any) -> Any:
    queue, base = named(device, request), device.log_base
    table = implies(logs_all(device.features), table_is_in_log(profile, device, base))
    return all_of(table, used_ring_is_in_log(profile, device, base, queue.log, queue.size))


def own_ring_is_user_memory(profile: Profile, device: Any, request: Any) -> Any:
    queue = named(device, request)
    return ring_is_user_memory(profile, device, queue, queue.size)


def is_from_the_owner(profile: Profile, device: Any, request: Any) -> Any:
    return all_of(device.owned, request.from_owner)


def a_miss_waits(profile: Profile, device: Any, request: Any) -> Any:
    return True if device.unread else request.length < MESSAGE_BYTES


def is_readable(profile: Profile, device: Any, request: Any) -> Any:
    return request.readable


def names_a_queue(profile: Profile, device: Any, request: Any) -> Any:
    return request.queue < 2


CALLS = ("set_features", "set_backend_features", "set_mem_table", "set_log_base")
OWNER_CALLS = ("reset_owner", "set_mem_table", "add_region", "remove_region", "remove_range", "set_log_base")
QUEUE_CALLS = ("set_ring_size", "set_ring_addresses", "set_backend")

DEVICE_DEMANDS: tuple[Demand, ...] = (
    *(
        (call, "VHOST.CALL.OWNER", "the device has an owner, who asks", is_from_the_owner)
        for call in OWNER_CALLS + QUEUE_CALLS
    ),
    *((call, "VHOST.CALL.POINTER", "the request could be read", is_readable) for call in CALLS + QUEUE_CALLS),
    *((call, "VHOST.CALL.QUEUE", "the device has the queue that is named", names_a_queue) for call in QUEUE_CALLS),
    (
        "set_owner",
        "VHOST.OWNER.FREE",
        "the device had no owner",
        lambda profile, device, request: negation(device.owned),
    ),
    (
        "set_features",
        "VHOST.FEATURES.LOGGABLE",
        "and writes are logged from then on while a queue has a backend, the log has room for all that the table maps",
        log_can_begin,
    ),
    (
        "set_backend_features",
        "VHOST.FEATURES.MESSAGES",
        "no bit but that of the second framing is set",
        lambda profile, device, request: is_one_of(request.features, 0, 2),
    ),
    (
        "set_mem_table",
        "VHOST.TABLE.PADDING",
        "the header's second word is 0",
        lambda profile, device, request: request.padding == 0,
    ),
    (
        "set_mem_table",
        "VHOST.TABLE.COUNT",
        "there are no more regions than the administrator allows",
        lambda profile, device, request: len(request.regions) <= profile.max_regions,
    ),
    (
        "set_mem_table",
        "VHOST.TABLE.POINTER",
        "the regions could be read, or there are none",
        lambda profile, device, request: any_of(request.regions_readable, len(request.regions) == 0),
    ),
    (
        "set_mem_table",
        "VHOST.TABLE.FITS",
        "there are no more regions than can be held",
        lambda profile, device, request: len(request.regions) <= profile.iotlb_limit,
    ),
    (
        "set_mem_table",
        "VHOST.TABLE.EMPTY",
        "each region has a byte",
        lambda profile, device, request: all_of(True, *(region.size >= 1 for region in request.regions)),
    ),
    (
        "set_mem_table",
        "VHOST.TABLE.WRAPS",
        "each region ends with the last address, or before",
        lambda profile, device, request: all_of(True, *(one.gpa + one.size <= U64 for one in request.regions)),
    ),
    ("add_region", "VHOST.TABLE.EMPTY", "the region has a byte", lambda profile, device, request: request.size >= 1),
    (
        "add_region",
        "VHOST.TABLE.WRAPS",
        "the region ends with the last address, or before",
        lambda profile, device, request: request.gpa + request.size <= U64,
    ),
    ("add_region", "VHOST.REGION.ROOM", "there is room for one more region within both limits", there_is_room),
    ("remove_region", "VHOST.REGION.THERE", "the table has an entry with the three values", it_is_there),
    (
        "remove_range",
        "VHOST.REGION.ORDERED",
        "the range ends at or after the byte where it begins",
        lambda profile, device, request: request.first <= request.last,
    ),
    (
        "set_log_base",
        "VHOST.LOG.BASE",
        "the log has room for the used ring of each queue that has a backend and, where writes are logged, for all "
        "that the table maps",
        log_has_room,
    ),
    (
        "set_ring_size",
        "VHOST.RING.STOPPED",
        "the queue has no backend",
        lambda profile, device, request: negation(named(device, request).attached),
    ),
    (
        "set_ring_size",
        "VHOST.RING.SIZE",
        "the size is a power of two up to 2^15",
        lambda profile, device, request: is_one_of(request.size, *(2**bit for bit in range(16))),
    ),
    (
        "set_ring_addresses",
        "VHOST.RING.FLAGS",
        "no flag but that of the log is set",
        lambda profile, device, request: is_one_of(request.flags, 0, 1),
    ),
    (
        "set_ring_addresses",
        "VHOST.RING.ALIGNED",
        "the available ring is at a multiple of 2, the others of 4",
        lambda profile, device, request: all_of(request.avail % 2 == 0, request.used % 4 == 0, request.log % 4 == 0),
    ),
    (
        "set_ring_addresses",
        "VHOST.RING.HOST",
        "the new ring of a queue that has a backend is user memory, but for IOTLB mode",
        moved_ring_is_user_memory,
    ),
    (
        "set_ring_addresses",
        "VHOST.RING.LOG",
        "the log has room for the new used ring of a queue that has a backend, if it is to be logged, but for IOTLB "
        "mode",
        moved_ring_is_in_log,
    ),
    (
        "set_backend",
        "VHOST.BACKEND.LOG",
        "the log has room for the queue's used ring and, where writes are logged, for all that the table maps",
        all_is_in_log,
    ),
    (
        "set_backend",
        "VHOST.BACKEND.RING",
        "the queue's ring is user memory, but for IOTLB mode",
        own_ring_is_user_memory,
    ),
    (
        "set_backend",
        "VHOST.BACKEND.SOCKET",
        "the backend is a tap, or none",
        lambda profile, device, request: is_one_of(request.backend, TAP, NONE),
    ),
    (
        "write_message",
        "IOTLB.MESSAGE.FRAMING_WORD",
        "the message has the word that names its framing",
        lambda profile, device, request: request.length >= 4,
    ),
    (
        "write_message",
        "IOTLB.MESSAGE.FRAMING",
        "the framing is the first or the second",
        lambda profile, device, request: is_one_of(request.framing, 1, 2),
    ),
    (
        "write_message",
        "IOTLB.MESSAGE.WHOLE",
        "40 bytes of the message are there",
        lambda profile, device, request: request.length >= 40,
    ),
    (
        "write_message",
        "IOTLB.MESSAGE.MODE",
        "the device is in IOTLB mode",
        lambda profile, device, request: device.iotlb is not None,
    ),
    ("read_message", "IOTLB.MISS.WAITING", "a miss waits to be read, or there is no room for one", a_miss_waits),
)

# THEOREMS ------------------------------------------------------------------------------------------------------------

THEOREMS = all_about(DEVICE_DEMANDS, any_request, is_accepted, BOUNDS)
