"""What holds between any two steps, and that a change that fails at any allocation leaves everything as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.memslots.array import ArrayMachine
from model.memslots.machine import Machine
from model.memslots.protocol import (
    CREATE,
    DELETE,
    FLAGS_ONLY,
    IN_PROGRESS,
    MOVE,
    REPLACE,
    Change,
    OneSet,
    SlotCopy,
    TwoSets,
    VcpuCache,
    Writer,
    invalid_copy,
    slot_at,
    two_empty_sets,
    usable,
    vcpu_slot_at,
)
from model.memslots.tree import TreeMachine, TreeSet
from spec.memslots.access import GuestWrite, VcpuRead, VcpuWrite
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import NO_MEMORY, SetRegion
from spec.memslots.slot import LOG_DIRTY_PAGES
from spec.outcome import Done, Mmio, Rejected, Touched
from spec.pages import pages_in
from spec.profile import Profile
from spec.sets import added, every, only, some
from spec.units import PAGE_SIZE
from tests.model.model_checks import assert_idle, assert_set
from tests.model.model_requests import PROFILE, REQUEST, REQUESTS

MACHINES = pytest.mark.parametrize("machine_of", [TreeMachine, ArrayMachine])
MachineOf = Callable[[Profile], Machine]


def region(slot: int, gfn: int, npages: int, flags: int = 0) -> SetRegion:
    return SetRegion(slot=slot, flags=flags, gpa=gfn * PAGE_SIZE, size=npages * PAGE_SIZE)


def assert_in_between(state: TwoSets) -> None:
    """What holds at every step: sound sets, which differ in at most one slot, and at most one INVALID copy."""
    assert_set(state.active)
    assert_set(state.inactive)
    active = {copy.address: copy for copy in state.active.members.in_gfn_order()}
    inactive = {copy.address: copy for copy in state.inactive.members.in_gfn_order()}
    different = [*(active.keys() - inactive.keys()), *(inactive.keys() - active.keys())]
    assert len({(active | inactive)[address].id for address in different}) <= 1
    assert sum(copy.invalid for copy in (active | inactive).values()) <= 1
    if state.active.generation < IN_PROGRESS:
        assert not state.waiting
    if state.waiting:
        assert state.active.generation >= IN_PROGRESS


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(profile=PROFILE, requests=REQUESTS)
def test_at_every_step_of_the_trees(profile: Profile, requests: list[Any]) -> None:
    machine = TreeMachine(profile)
    for request in requests:
        for step in machine.steps(request):
            assert_in_between(step.state)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(profile=PROFILE, requests=REQUESTS)
def test_both_machines_answer_alike(profile: Profile, requests: list[Any]) -> None:
    tree, array = TreeMachine(profile), ArrayMachine(profile)
    for request in requests:
        assert tree.apply(request) == array.apply(request)
        assert tree.vm() == array.vm()
        for of_trees, of_array in zip(tree.spaces, array.spaces, strict=True):
            assert of_trees.active.generation == of_array.active.generation


# One request of each kind, on a VM with slots 0 (logged) and 1, and how many allocations it makes at most.
SETUP = [region(0, 2, 2, LOG_DIRTY_PAGES), region(1, 8, 2), GuestWrite(gpa=2 * PAGE_SIZE), VcpuRead(gpa=8 * PAGE_SIZE)]
FAILING = {
    "create": region(2, 5, 1),
    "create with a log": region(2, 5, 1, LOG_DIRTY_PAGES),
    "move": region(0, 3, 2, LOG_DIRTY_PAGES),
    "move that starts a log": region(1, 9, 2, LOG_DIRTY_PAGES),
    "flags: start a log": region(1, 8, 2, LOG_DIRTY_PAGES),
    "flags: end a log": region(0, 2, 2),
    "delete": region(0, 0, 0),
}


@MACHINES
@pytest.mark.parametrize("name", FAILING)
def test_a_failed_allocation_leaves_everything_as_it_was(machine_of: MachineOf, name: str) -> None:
    failed = 0
    for fail_at in range(1, 10):
        machine = machine_of(Profile())
        for request in [EnableManualProtect(options=3), *SETUP]:
            machine.apply(request)
        before, bitmaps = machine.vm(), dict(machine.memory.bitmaps)
        machine.memory.fail_at = fail_at
        outcome = machine.apply(FAILING[name])
        assert_idle(machine)
        if outcome == Done():
            assert machine.memory.fail_at is not None, "an allocation failed and nobody noticed"
            break
        failed += 1
        assert outcome == Rejected(NO_MEMORY)
        assert machine.vm() == before and machine.memory.bitmaps == bitmaps
        assert machine.apply(FAILING[name]) == Done()  # and it works once there is memory
        assert_idle(machine)
    assert outcome == Done() and failed >= 1


@pytest.mark.slow
@MACHINES
@settings(max_examples=200, deadline=None)
@given(
    profile=PROFILE,
    requests=st.lists(st.tuples(REQUEST, st.sampled_from([None, None, 1, 2, 3, 4])), min_size=15, max_size=50),
)
def test_allocations_may_fail_anywhere(
    machine_of: MachineOf, profile: Profile, requests: list[tuple[Any, int | None]]
) -> None:
    machine = machine_of(profile)
    for request, fail_at in requests:
        before, bitmaps = machine.vm(), dict(machine.memory.bitmaps)
        machine.memory.fail_at = fail_at
        outcome = machine.apply(request)
        if isinstance(outcome, Rejected):
            assert machine.vm() == before and machine.memory.bitmaps == bitmaps
        assert_idle(machine)


# The published trace of each change, in field terms: (active, inactive) after each replacement and publication.
OLD = SlotCopy(address=1, space=0, id=0, base_gfn=2, npages=2, hva=0, flags=0)
NEW = SlotCopy(address=2, space=0, id=0, base_gfn=2, npages=2, hva=0, flags=1)
MOVED = SlotCopy(address=2, space=0, id=0, base_gfn=3, npages=2, hva=0, flags=0)
MOVED_AWAY = SlotCopy(address=4, space=0, id=1, base_gfn=8, npages=2, hva=0, flags=0)
INVALID = invalid_copy(OLD, address=3)
NAMES = {1: "old", 2: "new", 3: "inv"}

TRACES: dict[str, tuple[Change, str]] = {
    "create": (Change(CREATE, None, NEW), "-|new new|- new|new"),
    "flags": (Change(FLAGS_ONLY, OLD, NEW), "old|new new|old new|new"),
    "delete": (Change(DELETE, OLD, None, INVALID), "old|inv inv|old inv|- -|inv -|-"),
    "move": (Change(MOVE, OLD, MOVED, INVALID), "old|inv inv|old inv|new new|inv new|new"),
    "failed delete": (Change(DELETE, OLD, None, INVALID, True), "old|inv inv|old old|inv old|old"),
    "failed move": (Change(MOVE, OLD, MOVED, INVALID, True), "old|inv inv|old old|inv old|old"),
    "failed create": (Change(CREATE, None, NEW, None, True), ""),
    "failed flags": (Change(FLAGS_ONLY, OLD, NEW, None, True), ""),
    "no memory for the INVALID copy": (Change(DELETE, OLD, None), ""),
}


def copies_in(members: Any) -> list[SlotCopy]:
    return members.in_gfn_order() if isinstance(members, TreeSet) else sorted(members, key=lambda copy: copy.base_gfn)


def pair(state: TwoSets) -> str:
    sides = [copies_in(one.members) for one in (state.active, state.inactive)]
    return "|".join(NAMES[side[0].address] if side else "-" for side in sides)


@pytest.mark.parametrize("kind", [frozenset, TreeSet])
@pytest.mark.parametrize("name", TRACES)
def test_the_trace_of_each_change_over_any_kind_of_set(name: str, kind: type[Any]) -> None:
    change, trace = TRACES[name]
    writer, state = Writer(2), two_empty_sets(0, kind(), kind())
    if change.old is not None:
        state = two_empty_sets(0, added(kind(), change.old), added(kind(), change.old))

    steps, pairs, swaps = writer.set_slot(state, change), [], 0
    try:
        while True:
            step = next(steps)
            if step.name == REPLACE or step.state.waiting:
                pairs.append(pair(step.state))
                swaps += step.state.waiting
    except StopIteration as done:
        state = done.value
    assert " ".join(pairs) == trace
    assert swaps == {"": 0, "-|new new|- new|new": 1, "old|new new|old new|new": 1}.get(trace, 2)
    assert state.active.generation == 2 * swaps
    assert copies_in(state.active.members) == copies_in(state.inactive.members)


@MACHINES
@pytest.mark.parametrize("to", [3, 2**29])  # the second lies past the last page: that move fails
def test_what_is_written_while_a_slot_moves_stays_in_its_log(machine_of: MachineOf, to: int) -> None:
    """All copies of a slot have one bitmap: a page marked through any of them, at any step, stays marked."""
    written_at = []
    for moment in range(40):
        machine = machine_of(Profile())
        machine.apply(region(0, 2, 2, LOG_DIRTY_PAGES))
        log: set[int] = set()
        for number, _ in enumerate(machine.steps(region(0, to, 2, LOG_DIRTY_PAGES))):
            for gfn in (2, to):
                outcome = machine.apply(VcpuWrite(gpa=gfn * PAGE_SIZE)) if number == moment else Mmio(0)
                if isinstance(outcome, Touched):
                    log.add(outcome.host // PAGE_SIZE)
                    written_at.append(number)
        (slot,) = machine.vm().slots
        assert slot.dirty == pages_in(tuple((page, page) for page in log))
    assert len(set(written_at)) > 4, "it was written at too few steps to say anything"


def test_readers_of_plain_sets_use_the_caches() -> None:
    """The same lookups over a frozenset: found by search, then from the cache, which is right or not used."""
    looked_in = OneSet(0, frozenset([OLD, MOVED_AWAY]), 0)
    assert slot_at(looked_in, 1) == (looked_in, None)
    after, found = slot_at(looked_in, 3)
    assert found == OLD and after.last_used == OLD
    assert slot_at(after, 2) == (after, OLD)
    assert slot_at(after, 9) == (replace(after, last_used=MOVED_AWAY), MOVED_AWAY)

    cache, found = vcpu_slot_at(VcpuCache(), looked_in, 2)
    assert found == OLD and cache == VcpuCache(OLD, 0)
    elsewhere = OneSet(1, frozenset([MOVED_AWAY]), 2)
    assert vcpu_slot_at(cache, elsewhere, 2) == (VcpuCache(None, 2), None)
    assert usable(INVALID) is None and usable(None) is None and usable(OLD) == OLD


def test_a_set_of_trees_answers_what_a_frozenset_does() -> None:
    plain, trees = frozenset([OLD, MOVED_AWAY]), TreeSet().added(OLD).added(MOVED_AWAY)
    for question in (lambda c: c.flags == 0, lambda c: c.base_gfn == 8, lambda c: c.base_gfn == 7):
        assert every(trees, question) == every(plain, question)
        assert some(trees, question) == some(plain, question)
    assert only(trees, lambda c: c.base_gfn == 8) == MOVED_AWAY
    assert trees.removed(OLD).in_gfn_order() == [MOVED_AWAY]
    with pytest.raises(AssertionError, match="begin at the same guest page"):
        trees.added(replace(MOVED_AWAY, id=5, address=9))
