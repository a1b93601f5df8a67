"""Attaching a backend: what the device does there at once, it may do.

The flags of the used ring are written, and its index is read. In IOTLB mode a mapping must permit it for each of these
bytes.
"""

from __future__ import annotations

from typing import Any

from proofs.bugs import with_check
from proofs.claims import accepted
from proofs.invariants_vhost import valid_device
from proofs.requests_vhost import VHOST_REQUESTS
from proofs.symbolic.boolean import all_of, implies, merged
from proofs.theorem import Bug, Theorem
from proofs.world import World
from proofs.world_vhost import any_device
from spec.outcome import Translated
from spec.profile import Profile
from spec.units import U64_MAX
from spec.vhost.address_map import READ, WRITE, entry_at, may
from spec.vhost.backend import SET_BACKEND, USED, SetBackend, attaches
from spec.vhost.device import QUEUES, Device
from spec.vhost.ring import queue_named
from spec.vhost.translate import translation

FLAGS_BYTES, INDEX_BYTES = 2, 2  # of the used ring: its flags, and its index behind them

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_backend_and_a_byte(world: World) -> dict[str, Any]:
    """A device, a request for a backend, and a guest byte."""
    return {
        "profile": world.profile(),
        "device": any_device(world),
        "request": VHOST_REQUESTS["set_backend"](world),
        "byte": world.integer("byte", 0, U64_MAX),
    }


def attaches_in_iotlb_mode(profile: Profile, device: Device, request: SetBackend, **rest: Any) -> Any:
    """The device is valid and has an IOTLB; the request breaks no rule and gives a backend to a queue that had none."""
    return all_of(
        valid_device(profile, device),
        request.queue < QUEUES,
        merged(is_a_new_backend)(device, request),
        accepted(profile, device, request),
    )


def is_a_new_backend(device: Device, request: SetBackend) -> bool:
    """The queue had no backend, and the device has an IOTLB."""
    return device.iotlb is not None and attaches(device, request)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def used_ring_can_be_had(profile: Profile, device: Device, request: SetBackend, byte: int) -> Any:
    """Each byte of the flags is mapped and may be written, each byte of the index is mapped and may be read."""
    used = queue_named(device, request).used
    index = used + FLAGS_BYTES
    is_of_flags = all_of(used <= byte, byte < index)
    is_of_index = all_of(index <= byte, byte < index + INDEX_BYTES)
    return all_of(
        implies(is_of_flags, merged(permits)(device, byte, WRITE)),
        implies(is_of_index, merged(permits)(device, byte, READ)),
    )


def permits(device: Device, byte: int, access: int) -> bool:
    """Whether the IOTLB has the byte, for this access."""
    if device.iotlb is None:
        return False
    entry = entry_at(device.iotlb, byte)
    return entry is not None and may(entry.perm, access)


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def flags_are_only_read(profile: Profile, device: Device, request: SetBackend) -> bool:
    """As kernels ask: whether flags and index may be read."""
    if not attaches(device, request):
        return False
    if queue_named(device, request).has_no_ring():
        return True
    if device.iotlb is None:
        return False
    answer = translation(profile, device, queue_named(device, request).used, FLAGS_BYTES + INDEX_BYTES, READ, 1)[1]
    return not isinstance(answer, Translated)


# THEOREMS --------------------------------------------------------------------------------------------------------

THEOREMS = (
    Theorem(
        "DEVICE.SETBACKEND.USED",
        "When a backend is attached in IOTLB mode, each byte of the used ring's flags may be written, and each byte of "
        "its index may be read.",
        ("VHOST.BACKEND.USED",),
        ("set_backend",),
        "user memory",
        any_backend_and_a_byte,
        attaches_in_iotlb_mode,
        used_ring_can_be_had,
        Bug("it is only asked whether they may be read", (with_check(SET_BACKEND, USED, flags_are_only_read),)),
    ),
)
