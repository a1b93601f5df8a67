"""Both machines are the spec: the same outcome and the same state for every request, in every profile."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.memslots.array import ArrayMachine
from model.memslots.machine import Machine
from model.memslots.tree import TreeMachine
from spec.memslots.slot import EMPTY_VM
from spec.profile import Profile
from spec.step import step
from tests.model.checks import assert_idle
from tests.model.requests import PROFILE, REQUEST

MACHINES = pytest.mark.parametrize("machine_of", [TreeMachine, ArrayMachine])


@MACHINES
@settings(max_examples=400, deadline=None)
@given(profile=PROFILE, requests=st.lists(REQUEST, max_size=40))
def test_outcome_and_state_are_those_of_the_spec(
    machine_of: type[TreeMachine | ArrayMachine], profile: Profile, requests: list[Any]
) -> None:
    machine: Machine = machine_of(profile)
    vm = EMPTY_VM
    for request in requests:
        vm, expected = step(profile, vm, request)
        assert machine.apply(request) == expected
        assert machine.vm() == vm
        assert_idle(machine)
