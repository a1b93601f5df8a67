"""VHOST_SET_FEATURES and VHOST_SET_BACKEND_FEATURES: what the two sides agreed on, and with it the device's mode.

The feature ACCESS_PLATFORM puts the device into IOTLB mode: all its addresses, those of the rings too, are I/O virtual
and go through an IOTLB, which starts empty.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from spec.operation import Operation
from spec.outcome import Done
from spec.profile import Profile
from spec.rule import Check, Rule
from spec.vhost.access import is_active, table_is_loggable
from spec.vhost.address_map import EMPTY_MAP
from spec.vhost.call import POINTER_CHECK
from spec.vhost.device import ACCESS_PLATFORM, LOG_ALL, NO_LOG, Device, Queue, has_feature

MESSAGE_V2 = 2  # backend feature: the device writes its misses in the second framing

# REQUEST ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetFeatures:
    """Agree on these feature bits.

    This line is written for a device with VERSION_1 and any of the other bits in `spec.vhost.device`. Some of the rest
    change the shape of rings or packets (EVENT_IDX, MRG_RXBUF, IN_ORDER, the header that vhost supplies): with those
    agreed on, what queues do is not specified.
    """

    features: int = 0
    readable: bool = True


@dataclass(frozen=True)
class SetBackendFeatures:
    """Agree on these features of the message channel."""

    features: int = 0
    readable: bool = True


# RULES -----------------------------------------------------------------------------------------------------------

OFFERED = Rule(
    id="VHOST.FEATURES.OFFERED",
    sentence="Only features that the device offers can be agreed on.",
    errno="EOPNOTSUPP",
    source="drivers/vhost/net.c vhost_net_ioctl (VHOST_SET_FEATURES)",
)
LOGGABLE = Rule(
    id="VHOST.FEATURES.LOGGABLE",
    sentence="Logging can begin only where the log has room for all that an active queue's memory table maps.",
    errno="EFAULT",
    source="drivers/vhost/net.c vhost_net_set_features, drivers/vhost/vhost.c vhost_log_access_ok",
)
MESSAGES_OFFERED = Rule(
    id="VHOST.FEATURES.MESSAGES",
    sentence="Only message features that the device offers can be agreed on.",
    errno="EOPNOTSUPP",
    source="drivers/vhost/net.c vhost_net_ioctl (VHOST_SET_BACKEND_FEATURES)",
)


def are_not_offered(profile: Profile, device: Device, request: SetFeatures) -> bool:
    return (profile.features | request.features) != profile.features


def cannot_log(profile: Profile, device: Device, request: SetFeatures) -> bool:
    if not has_feature(request.features, LOG_ALL) or not is_active(device):
        return False
    return not table_is_loggable(profile, device.table, device.log_base)


def messages_are_not_offered(profile: Profile, device: Device, request: SetBackendFeatures) -> bool:
    return request.features not in (0, MESSAGE_V2)


FEATURES_CHECKS = (POINTER_CHECK, Check(OFFERED, are_not_offered), Check(LOGGABLE, cannot_log))
MESSAGES_CHECKS = (POINTER_CHECK, Check(MESSAGES_OFFERED, messages_are_not_offered))

# EFFECT ----------------------------------------------------------------------------------------------------------


def without_ring(queue: Queue) -> Queue:
    """The queue with its ring's addresses forgotten."""
    return replace(queue, desc=0, avail=0, used=0, log=NO_LOG)


def set_features(profile: Profile, device: Device, request: SetFeatures) -> tuple[Device, Done]:
    """Agreeing on ACCESS_PLATFORM, also again, gives an empty IOTLB. What leaving it out does is a switch."""
    wanted = has_feature(request.features, ACCESS_PLATFORM)
    changes_mode = wanted != (device.iotlb is not None)
    after = replace(device, features=request.features)
    if wanted:
        after = replace(after, iotlb=EMPTY_MAP)
    elif profile.iotlb_mode == "follows" and changes_mode:
        after = replace(after, iotlb=None, unread=(), pending=())
    if profile.iotlb_mode == "follows" and changes_mode:
        receive, transmit = after.queues
        after = replace(after, queues=(without_ring(receive), without_ring(transmit)))
    return after, Done()


def set_backend_features(profile: Profile, device: Device, request: SetBackendFeatures) -> tuple[Device, Done]:
    return replace(device, message_version=2 if request.features == MESSAGE_V2 else 1), Done()


SET_FEATURES = Operation("set_features", SetFeatures, FEATURES_CHECKS, set_features, changes_state=True)
SET_BACKEND_FEATURES = Operation(
    "set_backend_features", SetBackendFeatures, MESSAGES_CHECKS, set_backend_features, changes_state=True
)
