"""Random sequences of requests: the C library's device and the spec say the same after each."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.targets.c.binding import Library
from conformance.targets.c.device import HANDLERS, VhostDevice
from spec.outcome import Faulted, MapsView, Rejected
from spec.profile import Profile
from spec.step import VHOST, step
from spec.vhost.address_map import READ
from spec.vhost.device import ACCESS_PLATFORM, NEW_DEVICE, VERSION_1
from spec.vhost.features import SetFeatures
from spec.vhost.messages import INVALIDATE, UPDATE, WriteMessage
from spec.vhost.observe import ObserveMaps
from spec.vhost.translate import RULES, Translate

from .device_differential import as_a_target_sees_it, device_difference
from .device_requests import random_device_case

pytestmark = pytest.mark.slow  # minutes in all: not for the inner loop

# Rules that a device without backends never comes to: then no queue is active.
NEEDS_A_BACKEND = {"VHOST.FEATURES.LOGGABLE", "VHOST.TABLE.HOST", "VHOST.TABLE.LOG"}


@pytest.fixture(scope="module")
def library() -> Library:
    return Library()


def test_many_sequences(library: Library) -> None:
    """Fast, from a fixed seed."""
    random = Random(20160622)
    for number in range(6000):
        profile, requests = random_device_case(random)
        assert device_difference(library, profile, requests) is None, f"sequence {number}"


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=False))
def test_sequences_that_shrink(library: Library, random: Random) -> None:
    assert device_difference(library, *random_device_case(random)) is None


@pytest.mark.parametrize("retirement", ["fifo", "lru"])
def test_an_iotlb_as_large_as_that_of_linux(library: Library, retirement: str) -> None:
    """More entries than fit, of many sizes, one over the other. Compared at the end: the spec takes its time."""
    random = Random(2048)
    profile = Profile(retirement=retirement)
    requests: list[Any] = [SetFeatures(features=VERSION_1 + ACCESS_PLATFORM)]
    for number in range(2300):
        iova, size = random.randrange(2**32), 2 ** random.randrange(24)
        requests.append(WriteMessage(kind=UPDATE, iova=iova, size=size, uaddr=iova % 2**20, perm=3))
        if number % 10 == 0:
            requests.append(Translate(addr=iova, length=random.randrange(2**20), access=READ))
        if number % 200 == 0:
            requests.append(WriteMessage(kind=INVALIDATE, iova=iova, size=2**22))
    requests.append(ObserveMaps())
    device = NEW_DEVICE
    with VhostDevice(library, profile) as one:
        for request in requests:
            device, outcome = step(profile, device, request)
            assert one.do(request) == as_a_target_sees_it(outcome)
    assert isinstance(outcome, MapsView) and outcome.iotlb is not None and len(outcome.iotlb) == profile.iotlb_limit


def test_the_sequences_meet_every_rule() -> None:
    """A generator that never gets anywhere would find nothing."""
    random = Random(1)
    met: Counter[str] = Counter()
    for _ in range(2000):
        profile, requests = random_device_case(random)
        device = NEW_DEVICE
        for request in requests:
            device, outcome = step(profile, device, request)
            met[outcome.rule.id if isinstance(outcome, Rejected | Faulted) else type(outcome).__name__] += 1
    operations = [operation for operation in VHOST.operations if operation.request in HANDLERS]
    possible = {check.rule.id for operation in operations for check in operation.checks} | {rule.id for rule in RULES}
    assert possible - NEEDS_A_BACKEND - set(met) == set()
    for answer in ("Done", "Translated", "MessageTaken", "MissRead", "NothingRead", "MapsView"):
        assert met[answer] > met.total() / 400, answer
