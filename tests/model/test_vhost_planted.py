"""Bugs planted into the device machine, of every kind: random requests find each of them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from conformance.generate.vhost.random_requests import sequence
from model.vhost.machine import DeviceMachine
from spec.step import step
from spec.vhost.device import NEW_DEVICE
from tests.model.test_vhost_refines_spec import profiles
from tests.model.vhost_checks import assert_between
from tests.model.vhost_device_bugs import DEVICE_BUGS
from tests.model.vhost_map_bugs import MAP_BUGS
from tests.model.vhost_requests import small_requests

pytestmark = pytest.mark.slow

MOST_SEQUENCES = 900  # until a bug counts as not found


def difference() -> str | None:
    """What random requests show first: another outcome, another state, a structure that is broken; None if nothing."""
    possible = profiles()
    for seed in range(MOST_SEQUENCES):
        profile = possible[seed % len(possible)]
        requests: Any = small_requests(random.Random(seed), 80) if seed % 3 else sequence(profile, seed)
        machine, device = DeviceMachine(profile), NEW_DEVICE
        for number, request in enumerate(requests):
            device, expected = step(profile, device, request)
            try:
                found = machine.apply(request)
                if found != expected:
                    return f"sequence {seed}, step {number}: {request} gives {found} and not {expected}"
                if machine.device() != device:
                    return f"sequence {seed}, step {number}: {request} leaves another state"
                assert_between(machine)
            except (AssertionError, LookupError, AttributeError) as error:
                return f"sequence {seed}, step {number}: {request}: {type(error).__name__} {error}"
    return None


BUGS = MAP_BUGS | DEVICE_BUGS


@pytest.mark.parametrize("name", BUGS)
def test_it_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    BUGS[name](monkeypatch)
    assert difference() is not None


def test_without_a_bug_nothing_is_found() -> None:
    assert difference() is None
