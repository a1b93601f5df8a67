"""VHOST_SET_OWNER and VHOST_RESET_OWNER: whose guest the device works for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spec.operation import Operation
from spec.outcome import Done
from spec.profile import Profile
from spec.rule import Check, Rule
from spec.vhost.address_map import EMPTY_MAP
from spec.vhost.call import OWNER_CHECK, OwnerCall
from spec.vhost.device import Device, Queue

# REQUEST ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetOwner:
    """Make the caller the owner: from now on addresses of its memory are meant."""


@dataclass(frozen=True)
class ResetOwner(OwnerCall):
    """Give the device up: it forgets all that it was told."""


# RULES -----------------------------------------------------------------------------------------------------------

FREE = Rule(
    id="VHOST.OWNER.FREE",
    sentence="A device that has an owner cannot be taken.",
    errno="EBUSY",
    source="drivers/vhost/net.c vhost_net_set_owner",
)


def has_an_owner(profile: Profile, device: Device, request: SetOwner) -> bool:
    return device.owned


SET_CHECKS = (Check(FREE, has_an_owner),)
RESET_CHECKS = (OWNER_CHECK,)

# EFFECT ----------------------------------------------------------------------------------------------------------


def set_owner(profile: Profile, device: Device, request: SetOwner) -> tuple[Device, Done]:
    return replace(device, owned=True), Done()


def reset_owner(profile: Profile, device: Device, request: ResetOwner) -> tuple[Device, Done]:
    """As new, but with an empty memory table instead of none. Packets wait in the tap, which is not the device's."""
    receive, transmit = device.queues
    return Device(table=EMPTY_MAP, queues=(Queue(packets=receive.packets), Queue(packets=transmit.packets))), Done()


SET_OWNER = Operation("set_owner", SetOwner, SET_CHECKS, set_owner, changes_state=True)
RESET_OWNER = Operation("reset_owner", ResetOwner, RESET_CHECKS, reset_owner, changes_state=True)
