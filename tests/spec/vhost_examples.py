"""A device that is set up, in a few words: what the example tests of the vhost line start from."""

from __future__ import annotations

from typing import Any

from spec.outcome import Done, Outcome, Rejected
from spec.profile import Profile
from spec.step import step
from spec.vhost.address_map import READ, WRITE
from spec.vhost.backend import SetBackend
from spec.vhost.device import ACCESS_PLATFORM, INDIRECT, NEW_DEVICE, RECEIVE, TRANSMIT, VERSION_1, Descriptor, Device
from spec.vhost.features import SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import WriteMessage
from spec.vhost.owner import SetOwner
from spec.vhost.ring import SetRingAddresses, SetRingSize

LINUX = Profile()
PAGE = 0x1000
HOST = 2**44
RING_HOST = 2**44 + 2**41
HEADER_GPA = 0x100000
HEADER = Descriptor(HEADER_GPA, 26)
FIRST, SECOND = Region(0, PAGE, HOST), Region(PAGE, PAGE, HOST + 0x8000)
HEADER_REGION = Region(HEADER_GPA, PAGE, HOST + 0x10000)
FEATURES = VERSION_1 + INDIRECT


def ring(
    queue: int, desc: int = RING_HOST, avail: int = RING_HOST + PAGE, used: int = RING_HOST + 2 * PAGE
) -> list[Any]:
    """The requests that give a queue a ring of 16 descriptors."""
    addresses = SetRingAddresses(queue=queue, desc=desc, avail=avail, used=used)
    return [SetRingSize(queue=queue, size=16), addresses]


def table_mode(*regions: Region, features: int = FEATURES) -> list[Any]:
    """A device that works with a memory table; both queues are attached."""
    rings = [*ring(RECEIVE), *ring(TRANSMIT)]
    attached = [SetBackend(queue=RECEIVE), SetBackend(queue=TRANSMIT)]
    return [SetOwner(), SetFeatures(features), SetMemTable(regions=regions), *rings, *attached]


def update(iova: int, size: int, uaddr: int, perm: int = READ + WRITE) -> WriteMessage:
    return WriteMessage(iova=iova, size=size, uaddr=uaddr, perm=perm)


def iotlb_mode(*updates: WriteMessage) -> list[Any]:
    """A device that works with an IOTLB, which has these entries after that of the rings; both queues are attached."""
    rings: list[Any] = []
    for queue in (RECEIVE, TRANSMIT):
        rings += ring(queue, *(0x40000000 + n * PAGE for n in range(3)))
    attached = [SetBackend(queue=RECEIVE), SetBackend(queue=TRANSMIT)]
    mapped = [update(0x40000000, 3 * PAGE, RING_HOST), *updates]
    return [SetOwner(), SetFeatures(FEATURES + ACCESS_PLATFORM), SetMemTable(), *rings, *mapped, *attached]


def run(*requests: Any, profile: Profile = LINUX, device: Device = NEW_DEVICE) -> tuple[Device, Outcome]:
    """The device and the last outcome after these requests; none but the last may be refused."""
    outcome: Outcome = Done()
    for number, request in enumerate(requests):
        device, outcome = step(profile, device, request)
        assert number == len(requests) - 1 or not isinstance(outcome, Rejected), (request, outcome)
    return device, outcome


def rule_of(*requests: Any, profile: Profile = LINUX) -> str:
    """The id of the rule that the last request breaks; it changes nothing."""
    device, _ = run(*requests[:-1], profile=profile)
    after, outcome = step(profile, device, requests[-1])
    assert isinstance(outcome, Rejected), outcome
    assert after == device
    return outcome.rule.id
