"""Both machines are the spec: the same outcome and the same state for every request, in every profile."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.memslots.array import ArrayMachine
from model.memslots.machine import Machine
from model.memslots.tree import TreeMachine
from spec.memslots.access import GuestWrite, VcpuRead
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.lookup import HvaRange
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import GFN_LIMIT, MEMFD_BOUND, NO_MEMORY, SetRegion
from spec.memslots.slot import EMPTY_VM, LOG_DIRTY_PAGES
from spec.outcome import Done, Rejected
from spec.pages import pages_in
from spec.profile import Profile
from spec.step import step
from spec.units import PAGE_SIZE
from tests.model.model_checks import assert_idle
from tests.model.model_requests import MEMFD_CHANGE, PROFILE, REQUESTS

MACHINES = pytest.mark.parametrize("machine_of", [TreeMachine, ArrayMachine])


@pytest.mark.slow
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


@pytest.mark.slow
@MACHINES
@settings(max_examples=200, deadline=None)
@given(rebind=st.sampled_from(["EEXIST", "EINVAL"]), requests=st.lists(MEMFD_CHANGE, min_size=10, max_size=40))
def test_bindings_to_a_guest_memory_file(
    machine_of: type[TreeMachine | ArrayMachine], rebind: str, requests: list[Any]
) -> None:
    """Bound, refused, given back by a delete and by a create that fails late, bound again."""
    profile = Profile(region2=True, guest_memfd="bind", memfd_rebind_errno=rebind, max_gfn=6)
    machine, vm = machine_of(profile), EMPTY_VM
    for request in [CreateGuestMemfd(file=0, size=4 * PAGE_SIZE), *requests]:
        vm, expected = step(profile, vm, request)
        assert machine.apply(request) == expected
        assert machine.vm() == vm


@MACHINES
@pytest.mark.parametrize("undone_by", ["delete", "physical limit", "no memory"])
def test_a_range_of_a_file_is_free_again(machine_of: type[TreeMachine | ArrayMachine], undone_by: str) -> None:
    machine = machine_of(Profile(region2=True, guest_memfd="bind", max_gfn=6))
    bind = SetRegion(version=2, flags=4, size=PAGE_SIZE, memfd=0)
    assert machine.apply(CreateGuestMemfd(file=0, size=PAGE_SIZE)) == Done()
    if undone_by == "delete":
        assert machine.apply(bind) == Done()
        assert machine.apply(replace(bind, slot=1, gpa=PAGE_SIZE)) == Rejected(MEMFD_BOUND)
        assert machine.apply(SetRegion()) == Done()
    elif undone_by == "physical limit":
        assert machine.apply(replace(bind, gpa=7 * PAGE_SIZE)) == Rejected(GFN_LIMIT)
    else:
        machine.memory.fail_at = 2
        assert machine.apply(bind) == Rejected(NO_MEMORY)
    assert machine.apply(replace(bind, slot=1)) == Done()


@MACHINES
@pytest.mark.parametrize("npages", [1, 63, 64, 65, 128])
def test_clearing_at_the_edges_of_a_log(machine_of: type[TreeMachine | ArrayMachine], npages: int) -> None:
    machine, vm = machine_of(Profile()), EMPTY_VM
    setup = [EnableManualProtect(options=3), SetRegion(flags=LOG_DIRTY_PAGES, size=npages * PAGE_SIZE)]
    edges = (0, 1, 63, 64, 65, 127, 128, 129, 192)
    clears = [
        ClearDirtyLog(first_page=first, num_pages=count, buffer_ok=readable, cleared=pages_in(((0, 0), (62, 70))))
        for first in edges
        for count in edges
        for readable in (False, True)
    ]
    for request in [*setup, *clears]:
        vm, expected = step(Profile(), vm, request)
        assert machine.apply(request) == expected
        assert machine.vm() == vm


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
