"""Random vhost requests: the same again from the same seed, fit for a kernel where that is asked, and not in vain."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from conformance import rings
from conformance.backings import place
from conformance.generate.vhost.random_requests import operations_of_kernels, sequence
from conformance.generate.vhost.runnable import all_runnable, is_runnable
from spec.outcome import MessageTaken, Ran, Rejected, Sent
from spec.profile import Profile
from spec.step import VHOST, operation_of, step
from spec.vhost.device import NEW_DEVICE, Descriptor, Device
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.owner import SetOwner
from spec.vhost.queue_io import Kick, Transmit

TINY = Profile(iotlb_limit=4, max_regions=3)
PROFILES = (Profile(), TINY, Profile(iotlb_mode="follows", features=0x10B3D008000))
SEEDS = range(40)


def events_of(outcome: Any) -> tuple[Any, ...]:
    ran = outcome.ran if isinstance(outcome, MessageTaken) else outcome
    return ran.events if isinstance(ran, Ran) else ()


def shown(profile: Profile, kernel: bool) -> Counter[str]:
    """How often each outcome and each event came."""
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        device: Any = NEW_DEVICE
        for request in sequence(profile, seed, kernel=kernel):
            device, outcome = step(profile, device, request)
            seen[operation_of(request).name] += 1
            seen[outcome.rule.id if isinstance(outcome, Rejected) else type(outcome).__name__] += 1
            seen.update(type(event).__name__ for event in events_of(outcome))
    return seen


def test_a_seed_gives_the_same_requests_in_another_process() -> None:
    program = (
        "from conformance.generate.vhost.random_requests import sequence; from spec.profile import Profile; "
        "print([sequence(Profile(), seed, kernel=seed % 2 == 1) for seed in range(6)])"
    )
    texts = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60).stdout
        for _ in range(2)
    }
    assert len(texts) == 1 and "Transmit" in texts.pop()


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_for_a_kernel_is_runnable_and_only_what_it_has_calls_for(profile: Profile) -> None:
    for seed in SEEDS:
        requests = sequence(profile, seed, kernel=True)
        assert all_runnable(profile, requests)
        assert {operation_of(request).name for request in requests} <= operations_of_kernels()
        assert len(requests) == 60


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("kernel", [True, False])
def test_packets_flow_and_things_go_wrong(profile: Profile, kernel: bool) -> None:
    seen = shown(profile, kernel)
    for name in ("Sent", "Received", "Missed", "Broken", "MissRead", "VHOST.CALL.OWNER"):
        assert seen[name] > 0, name
    assert seen["Sent"] > 20


def test_all_operations_occur_where_all_are_allowed() -> None:
    seen = shown(Profile(), kernel=False)
    assert all(seen[operation.name] > 0 for operation in VHOST.operations)


def test_only_the_operations_that_are_named_occur() -> None:
    names = {"set_owner", "set_features", "set_mem_table", "write_message", "read_message", "translate"}
    for seed in SEEDS:
        assert {operation_of(request).name for request in sequence(Profile(), seed, operations=names)} <= names


def test_what_is_unwanted_does_not_occur() -> None:
    def big_table(profile: Profile, device: Device, request: Any) -> bool:
        return isinstance(request, SetMemTable) and len(request.regions) > 2

    for seed in SEEDS:
        for request in sequence(Profile(), seed, unwanted=big_table):
            assert not (isinstance(request, SetMemTable) and len(request.regions) > 2)


def ready(*more: Region) -> Device:
    """A device that can send, without an IOTLB."""
    requests = next(
        requests
        for requests in (sequence(Profile(), seed, kernel=True) for seed in range(200))
        if any(events_of(outcome) and isinstance(events_of(outcome)[0], Sent) for outcome in outcomes(requests))
        and final(requests).iotlb is None
        and final(requests).queues[1].attached
        and not final(requests).queues[1].chains
    )
    device: Any = final(requests)
    table = SetMemTable(regions=(Region(2**34, 2**20, place("R", 0)), *more))
    return step(Profile(), device, table)[0]  # type: ignore[no-any-return]


def outcomes(requests: tuple[Any, ...]) -> list[Any]:
    device: Any = NEW_DEVICE
    found = []
    for request in requests:
        device, outcome = step(Profile(), device, request)
        found.append(outcome)
    return found


def final(requests: tuple[Any, ...]) -> Device:
    device: Any = NEW_DEVICE
    for request in requests:
        device, _ = step(Profile(), device, request)
    return device  # type: ignore[no-any-return]


HEADER = Descriptor(2**34 + rings.packet_header() - place("R", 0), rings.FRAME_HEADER_BYTES)


def test_a_packet_is_the_header_and_data_that_stays_as_it_is() -> None:
    device = ready(Region(0, 4096, place("A", 0)), Region(4096, 4096, place("C", 0)), Region(8192, 4096, 2**45))
    good = Transmit((HEADER, Descriptor(100, 50)))
    assert is_runnable(Profile(), device, good)
    assert not is_runnable(Profile(), device, Transmit((Descriptor(100, 50),))), "no header"
    assert not is_runnable(Profile(), device, Transmit((HEADER, Descriptor(4096, 50)))), "packets are received there"
    assert not is_runnable(Profile(), device, Transmit((HEADER, Descriptor(8192, 50)))), "nobody has memory there"
    assert not is_runnable(Profile(), device, Transmit((HEADER, *[Descriptor(0, 9)] * 300))), "the ring is smaller"
    assert is_runnable(Profile(), device, Transmit((HEADER, Descriptor(2**40, 50)))), "an error, and nothing is sent"


def test_what_lets_some_kernel_search_without_end_is_not_runnable() -> None:
    device, _ = step(Profile(), NEW_DEVICE, SetOwner())
    assert not is_runnable(Profile(), device, SetMemTable(regions=(Region(0, 0, place("A", 0)),)))
    assert is_runnable(Profile(), device, SetMemTable(regions=(Region(1, 0, place("A", 0)),)))


def test_a_queue_without_a_ring_may_be_kicked() -> None:
    assert is_runnable(Profile(), NEW_DEVICE, Kick(0))
