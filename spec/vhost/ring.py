"""VHOST_SET_VRING_NUM, VHOST_SET_VRING_ADDR, VHOST_SET_LOG_BASE: how large a ring is, where it is, where the log is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spec.operation import Operation
from spec.outcome import Done
from spec.profile import Profile
from spec.rule import Check, Rule
from spec.vhost.access import ring_is_loggable, ring_is_user_memory, table_is_loggable
from spec.vhost.call import OWNER_CHECK, POINTER_CHECK, QUEUE_CHECK, DeviceCall, QueueCall
from spec.vhost.device import NO_LOG, QUEUES, Device, Queue, with_queue

LOG_USED_RING = 1  # flag: writes to the used ring are logged
LARGEST_RING = 2**15  # descriptors

# REQUEST ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetRingSize(QueueCall):
    """The queue's ring has `size` descriptors."""

    size: int = 0


@dataclass(frozen=True)
class SetRingAddresses(QueueCall):
    """The queue's ring is here: host addresses or, in IOTLB mode, I/O virtual ones. `log` is the guest address that
    stands for the used ring in the dirty log.
    """

    flags: int = 0
    desc: int = 0
    used: int = 0
    avail: int = 0
    log: int = 0


@dataclass(frozen=True)
class SetLogBase(DeviceCall):
    """The dirty log is here in host memory: one bit for each guest page."""

    base: int = 0


# RULES -----------------------------------------------------------------------------------------------------------

STOPPED = Rule(
    id="VHOST.RING.STOPPED",
    sentence="The size of a ring can change only while no backend is attached to its queue.",
    errno="EBUSY",
    source="drivers/vhost/vhost.c vhost_vring_set_num",
)
SIZE = Rule(
    id="VHOST.RING.SIZE",
    sentence="A ring's size is a power of two and at most 2^15.",
    errno="EINVAL",
    source="drivers/vhost/vhost.c vhost_vring_set_num",
)
FLAGS = Rule(
    id="VHOST.RING.FLAGS",
    sentence="No flag other than that for logging may be set.",
    errno="EOPNOTSUPP",
    source="drivers/vhost/vhost.c vhost_vring_set_addr",
)
ALIGNED = Rule(
    id="VHOST.RING.ALIGNED",
    sentence="The available ring is aligned to 2 bytes, the used ring and its log address to 4.",
    errno="EINVAL",
    source="drivers/vhost/vhost.c vhost_vring_set_addr",
)
HOST = Rule(
    id="VHOST.RING.HOST",
    sentence="A ring that moves while a backend is attached stays in user memory.",
    errno="EINVAL",
    source="drivers/vhost/vhost.c vhost_vring_set_addr, vq_access_ok",
)
LOG = Rule(
    id="VHOST.RING.LOG",
    sentence="A ring that moves while a backend is attached stays where the log has room for it.",
    errno="EINVAL",
    source="drivers/vhost/vhost.c vhost_vring_set_addr, vq_log_used_access_ok",
)
LOG_BASE = Rule(
    id="VHOST.LOG.BASE",
    sentence="While a backend is attached the log has room for all that is to be logged.",
    errno="EFAULT",
    source="drivers/vhost/vhost.c vhost_dev_ioctl (VHOST_SET_LOG_BASE), vq_log_access_ok",
)


def is_power_of_two(number: int) -> bool:
    """Whether a number is 1, 2, 4, …, LARGEST_RING."""
    return number <= LARGEST_RING and any(number == 2**exponent for exponent in range(16))


def queue_named(device: Device, request: QueueCall) -> Queue:
    """The queue that a request names; for a number that names none, one that nothing was said of."""
    return device.queues[request.queue] if request.queue < QUEUES else Queue()


def with_addresses(queue: Queue, request: SetRingAddresses) -> Queue:
    """The queue with its ring where the request says."""
    log = request.log if request.flags % 2 == LOG_USED_RING else NO_LOG
    return replace(queue, desc=request.desc, avail=request.avail, used=request.used, log=log)


def has_a_backend(profile: Profile, device: Device, request: SetRingSize) -> bool:
    return queue_named(device, request).attached


def size_is_bad(profile: Profile, device: Device, request: SetRingSize) -> bool:
    return not is_power_of_two(request.size)


def has_unknown_flags(profile: Profile, device: Device, request: SetRingAddresses) -> bool:
    return request.flags not in (0, LOG_USED_RING)


def is_unaligned(profile: Profile, device: Device, request: SetRingAddresses) -> bool:
    return request.avail % 2 != 0 or request.used % 4 != 0 or request.log % 4 != 0


def moves_out_of_user_memory(profile: Profile, device: Device, request: SetRingAddresses) -> bool:
    queue = queue_named(device, request)
    return queue.attached and not ring_is_user_memory(profile, device, with_addresses(queue, request))


def moves_out_of_the_log(profile: Profile, device: Device, request: SetRingAddresses) -> bool:
    queue = queue_named(device, request)
    return queue.attached and not ring_is_loggable(profile, device, with_addresses(queue, request), device.log_base)


def log_is_too_small(profile: Profile, device: Device, request: SetLogBase) -> bool:
    for queue in device.queues:
        if not queue.attached:
            continue
        if device.logs_all() and not table_is_loggable(profile, device.table, request.base):
            return True
        if not ring_is_loggable(profile, device, queue, request.base):
            return True
    return False


SIZE_CHECKS = (OWNER_CHECK, POINTER_CHECK, QUEUE_CHECK, Check(STOPPED, has_a_backend), Check(SIZE, size_is_bad))
ADDRESS_CHECKS = (
    OWNER_CHECK,
    POINTER_CHECK,
    QUEUE_CHECK,
    Check(FLAGS, has_unknown_flags),
    Check(ALIGNED, is_unaligned),
    Check(HOST, moves_out_of_user_memory),
    Check(LOG, moves_out_of_the_log),
)
LOG_BASE_CHECKS = (OWNER_CHECK, POINTER_CHECK, Check(LOG_BASE, log_is_too_small))

# EFFECT ----------------------------------------------------------------------------------------------------------


def set_size(profile: Profile, device: Device, request: SetRingSize) -> tuple[Device, Done]:
    queue = queue_named(device, request)
    return with_queue(device, request.queue, replace(queue, size=request.size)), Done()


def set_addresses(profile: Profile, device: Device, request: SetRingAddresses) -> tuple[Device, Done]:
    """The ring is elsewhere from the next run on. What was looked up for its old addresses does not serve the new."""
    queue = queue_named(device, request)
    return with_queue(device, request.queue, with_addresses(queue, request)), Done()


def set_log_base(profile: Profile, device: Device, request: SetLogBase) -> tuple[Device, Done]:
    return replace(device, log_base=request.base), Done()


SET_RING_SIZE = Operation("set_ring_size", SetRingSize, SIZE_CHECKS, set_size, changes_state=True)
SET_RING_ADDRESSES = Operation(
    "set_ring_addresses", SetRingAddresses, ADDRESS_CHECKS, set_addresses, changes_state=True
)
SET_LOG_BASE = Operation("set_log_base", SetLogBase, LOG_BASE_CHECKS, set_log_base, changes_state=True)
