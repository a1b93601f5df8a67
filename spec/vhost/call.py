"""What calls on a vhost device's file descriptor are checked for before they are looked at."""

from __future__ import annotations

from dataclasses import dataclass

from spec.profile import Profile
from spec.rule import Check, Rule
from spec.vhost.device import QUEUES, Device


@dataclass(frozen=True)
class OwnerCall:
    """Who makes the request. `from_owner` is False when the caller does not have the address space of the process that
    owns the device (a forked child, say).
    """

    from_owner: bool = True


@dataclass(frozen=True)
class DeviceCall(OwnerCall):
    """A request in memory. `readable` is False when the pointer to it leads nowhere."""

    readable: bool = True


@dataclass(frozen=True)
class QueueCall(DeviceCall):
    """A call about one queue, by number."""

    queue: int = 0


OWNER = Rule(
    id="VHOST.CALL.OWNER",
    sentence="Only the process that owns the device may set it up.",
    errno="EPERM",
    source="drivers/vhost/vhost.c vhost_dev_check_owner",
)
POINTER = Rule(
    id="VHOST.CALL.POINTER",
    sentence="The request must be readable memory of the caller.",
    errno="EFAULT",
    source="drivers/vhost/vhost.c vhost_set_memory, vhost_get_vq_from_user; drivers/vhost/net.c vhost_net_ioctl",
)
QUEUE = Rule(
    id="VHOST.CALL.QUEUE",
    sentence="A queue is named by a number that the device has.",
    errno="ENOBUFS",
    source="drivers/vhost/vhost.c vhost_get_vq_from_user; drivers/vhost/net.c vhost_net_set_backend",
)


def comes_from_a_stranger(profile: Profile, device: Device, request: OwnerCall) -> bool:
    return not device.owned or not request.from_owner


def cannot_be_read(profile: Profile, device: Device, request: DeviceCall) -> bool:
    return not request.readable


def names_no_queue(profile: Profile, device: Device, request: QueueCall) -> bool:
    return request.queue >= QUEUES


OWNER_CHECK = Check(OWNER, comes_from_a_stranger)
POINTER_CHECK = Check(POINTER, cannot_be_read)
QUEUE_CHECK = Check(QUEUE, names_no_queue)
