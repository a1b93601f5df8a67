"""VHOST_NET_SET_BACKEND: a queue gets a tap to work for, or loses it. From then on the device moves bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spec.operation import Operation
from spec.outcome import Ran, Translated
from spec.pages import NO_PAGES
from spec.profile import Profile
from spec.rule import Check, Rule
from spec.vhost.access import ring_is_loggable, ring_is_user_memory, table_is_loggable, table_is_user_memory
from spec.vhost.address_map import READ, WRITE
from spec.vhost.call import OWNER_CHECK, POINTER_CHECK, QUEUE_CHECK, QueueCall
from spec.vhost.device import RECEIVE, TRANSMIT, Device, with_queue
from spec.vhost.dirty_log import USED_FLAGS, USED_INDEX, marked_by_ring, union
from spec.vhost.ring import queue_named
from spec.vhost.run import run_queue
from spec.vhost.translate import MOST_RING_SEGMENTS, translation

TAP = "tap"
NONE = "none"
NO_SOCKET = "no-socket"  # an open file that is neither a tap nor a packet socket

# REQUEST ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetBackend(QueueCall):
    """Attach the queue to `backend`: TAP, NO_SOCKET, or NONE to detach it."""

    backend: str = TAP


# RULES -----------------------------------------------------------------------------------------------------------

TABLE = Rule(
    id="VHOST.BACKEND.TABLE",
    sentence="A memory table must have been given, and all that it maps must be user memory.",
    errno="EFAULT",
    source="drivers/vhost/vhost.c vhost_vq_access_ok, vq_memory_access_ok (in IOTLB mode too)",
)
LOG = Rule(
    id="VHOST.BACKEND.LOG",
    sentence="The log must have room for all that is to be logged.",
    errno="EFAULT",
    source="drivers/vhost/vhost.c vq_log_access_ok",
)
RING = Rule(
    id="VHOST.BACKEND.RING",
    sentence="The ring must be in user memory.",
    errno="EFAULT",
    source="drivers/vhost/vhost.c vhost_vq_access_ok, vq_access_ok",
)
SOCKET = Rule(
    id="VHOST.BACKEND.SOCKET",
    sentence="The backend is a tap or a packet socket.",
    errno="ENOTSOCK",
    source="drivers/vhost/net.c get_socket",
)
USED = Rule(
    id="VHOST.BACKEND.USED",
    sentence="A ring was given, and its used flags can be written and its used index read, each in one piece.",
    errno="EFAULT",
    source="drivers/vhost/vhost.c vhost_vq_init_access; kernels ask only whether the flags may be read",
)


def table_is_bad(profile: Profile, device: Device, request: SetBackend) -> bool:
    return not table_is_user_memory(profile, device.table)


def log_is_too_small(profile: Profile, device: Device, request: SetBackend) -> bool:
    if device.logs_all() and not table_is_loggable(profile, device.table, device.log_base):
        return True
    return not ring_is_loggable(profile, device, queue_named(device, request), device.log_base)


def ring_is_foreign_memory(profile: Profile, device: Device, request: SetBackend) -> bool:
    return not ring_is_user_memory(profile, device, queue_named(device, request))


def is_no_socket(profile: Profile, device: Device, request: SetBackend) -> bool:
    return request.backend == NO_SOCKET


def attaches(device: Device, request: SetBackend) -> bool:
    """Whether the request gives the queue a backend that it does not have already."""
    return request.backend == TAP and not queue_named(device, request).attached


def used_ring_is_out_of_reach(profile: Profile, device: Device, request: SetBackend) -> bool:
    if not attaches(device, request):
        return False
    if queue_named(device, request).has_no_ring():
        return True
    if device.iotlb is None:
        return False
    used = queue_named(device, request).used
    for (offset, length), access in ((USED_FLAGS, WRITE), (USED_INDEX, READ)):
        if field_is_out_of_reach(profile, device, used + offset, length, access):
            return True
    return False


def field_is_out_of_reach(profile: Profile, device: Device, address: int, length: int, access: int) -> bool:
    """Whether a field of a ring cannot be had, or not in one piece."""
    answer = translation(profile, device, address, length, access, MOST_RING_SEGMENTS)[1]
    return not isinstance(answer, Translated) or len(answer.segments) > 1


CHECKS = (
    POINTER_CHECK,
    OWNER_CHECK,
    QUEUE_CHECK,
    Check(TABLE, table_is_bad),
    Check(LOG, log_is_too_small),
    Check(RING, ring_is_foreign_memory),
    Check(SOCKET, is_no_socket),
    Check(USED, used_ring_is_out_of_reach),
)

# EFFECT ----------------------------------------------------------------------------------------------------------


def effect(profile: Profile, device: Device, request: SetBackend) -> tuple[Device, Ran]:
    """A queue that is attached writes its used ring's flags, and runs if it has something to do: to send is always
    possible, to receive needs a packet. Detaching a queue forgets all misses, of both queues. Attaching again what is
    attached changes nothing.
    """
    queue = queue_named(device, request)
    if attaches(device, request):
        marked = marked_by_ring(profile, device, queue, *USED_FLAGS)
        device = with_queue(device, request.queue, replace(queue, attached=True, listening=request.queue == RECEIVE))
        if request.queue == TRANSMIT or queue.packets:
            device, ran = run_queue(profile, device, request.queue)
            return device, Ran(ran.events, union(marked, ran.marked))
        return device, Ran((), marked)
    if request.backend == TAP:
        return device, Ran((), NO_PAGES)
    device = with_queue(device, request.queue, replace(queue, attached=False, listening=False))
    return replace(device, unread=(), pending=()), Ran((), NO_PAGES)


SET_BACKEND = Operation("set_backend", SetBackend, CHECKS, effect, changes_state=True)
