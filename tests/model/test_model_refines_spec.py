"""Both machines are the spec: the same outcome and the same state for every request, in every profile."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings

from model.memslots.array import ArrayMachine
from model.memslots.machine import Machine
from model.memslots.tree import TreeMachine
from spec.memslots.access import GuestWrite, VcpuRead
from spec.memslots.lookup import HvaRange
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import EMPTY_VM
from spec.outcome import Done
from spec.profile import Profile
from spec.step import step
from spec.units import PAGE_SIZE
from tests.model.checks import assert_idle
from tests.model.requests import PROFILE, REQUESTS

MACHINES = pytest.mark.parametrize("machine_of", [TreeMachine, ArrayMachine])


@MACHINES
@settings(max_examples=400, deadline=None)
@given(profile=PROFILE, requests=REQUESTS)
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


@MACHINES
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_with_many_slots(machine_of: type[TreeMachine | ArrayMachine], seed: int) -> None:
    """Deep trees and long arrays: about a hundred slots at a time."""
    profile = Profile(user_slots=200)
    machine, vm, dice, accepted, most = machine_of(profile), EMPTY_VM, random.Random(seed), 0, 0
    for number in range(900):
        slot, gfn = dice.randrange(200), dice.randrange(1200)
        size = dice.choice([1, 2, 5, 5]) if number < 500 else dice.choice([0, 0, 5])
        hva = slot % 16 * PAGE_SIZE
        for request in (
            SetRegion(slot=slot, gpa=gfn * PAGE_SIZE, size=size * PAGE_SIZE, hva=hva),
            GuestWrite(gpa=dice.randrange(1200) * PAGE_SIZE - 6 + PAGE_SIZE),
            VcpuRead(gpa=dice.randrange(1200) * PAGE_SIZE),
            HvaRange(first=dice.randrange(20) * PAGE_SIZE, last=dice.randrange(20) * PAGE_SIZE),
        ):
            vm, expected = step(profile, vm, request)
            assert machine.apply(request) == expected
            accepted += isinstance(request, SetRegion) and expected == Done()
        if number % 10 == 0:
            assert machine.vm() == vm
            assert_idle(machine)
        most = max(most, len(vm.slots))
    assert accepted > 300 and most > 80
