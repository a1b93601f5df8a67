"""Random sequences of requests: the C library's device and the spec say the same after each."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.targets.c.binding import Library
from conformance.targets.c.device import HANDLERS
from spec.outcome import Faulted, Rejected
from spec.step import VHOST, step
from spec.vhost.device import NEW_DEVICE
from spec.vhost.translate import RULES

from .device_differential import device_difference
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
