"""The device machine is the spec: the same outcome and the same state for every request, in every profile."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from conformance.generate.vhost.random_requests import sequence
from model.vhost.machine import DeviceMachine
from spec.outcome import Faulted, MessageTaken, MissRead, Ran
from spec.profile import Profile
from spec.step import VHOST_OPERATIONS, operation_of, step
from spec.vhost.device import NEW_DEVICE
from tests.model.vhost_checks import assert_between
from tests.model.vhost_requests import small_requests

LIMITS = (1, 2, 3, 4, 5, 6, 7, 8, 2048)
RETIREMENTS = ("fifo", "lru")
MODES = ("stays", "follows")


def profiles() -> list[Profile]:
    """Every limit from 1 to 8 and the usual one, both ways to retire, both modes."""
    return [
        Profile(iotlb_limit=limit, retirement=retirement, iotlb_mode=mode, max_regions=3 if limit == 5 else 64)
        for limit in LIMITS
        for retirement in RETIREMENTS
        for mode in MODES
    ]


def judged(profile: Profile, requests: Any, often: int = 1) -> Counter[str]:
    """Run both, compare after each request, look into the machine after every `often`-th. What was seen, counted."""
    machine, device = DeviceMachine(profile), NEW_DEVICE
    seen: Counter[str] = Counter()
    for number, request in enumerate(requests):
        device, expected = step(profile, device, request)
        assert machine.apply(request) == expected, (number, request)
        if number % often == 0:
            assert machine.device() == device, (number, request)
            assert_between(machine)
        seen[operation_of(request).name] += 1
        seen[type(expected).__name__] += 1
        if isinstance(expected, Faulted):
            seen[expected.rule.id] += 1
        ran = expected.ran if isinstance(expected, MessageTaken) else expected
        if isinstance(ran, Ran):
            seen.update(type(event).__name__ for event in ran.events)
            seen["woken"] += isinstance(expected, MessageTaken) and len(ran.events) > 0
            seen["marked"] += len(ran.marked.ranges) > 0
    assert machine.device() == device
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("kernel", [False, True])
def test_outcome_and_state_are_those_of_the_spec(kernel: bool) -> None:
    """The sequences that vectors are made of."""
    seen: Counter[str] = Counter()
    for number, profile in enumerate(profiles()):
        for seed in range(5):
            seen += judged(profile, sequence(profile, seed * 100 + number, kernel=kernel))
    assert all(seen[operation.name] >= 10 for operation in VHOST_OPERATIONS if not kernel)
    for what in ("Sent", "Received", "Missed", "Blocked", "Broken", "woken", "marked", MissRead.__name__):
        assert seen[what] >= 5, what


@pytest.mark.slow
def test_small_worlds() -> None:
    """A few bytes, few entries: everything overlaps everything, fields of rings lie in pieces, all is retired soon."""
    seen: Counter[str] = Counter()
    for number, profile in enumerate(profiles()):
        for seed in range(7):
            seen += judged(profile, small_requests(random.Random(seed * 1000 + number), 120))
    assert all(seen[operation.name] > 100 for operation in VHOST_OPERATIONS)
    for what in ("Sent", "Received", "Missed", "Blocked", "Broken", "Discarded", "woken", "marked"):
        assert seen[what] >= 10, what


@pytest.mark.slow
def test_many_operations() -> None:
    """Sequences of thousands, looked into now and then."""
    for number, profile in enumerate(profiles()):
        judged(profile, small_requests(random.Random(number), 4000), often=37)
