"""Which two rules of an operation can one request break together, and an example for each pair: which error wins?

For each pair the spec's own checks are asked, with the solver, in this order:

    any sensible profile, any number of slots          unsatisfiable: proved impossible
    a profile that is covered, at most three slots     satisfiable: an example, run again in plain Python

A pair for which neither comes out is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from itertools import combinations
from typing import Any

import z3

from proofs.invariants import MODES, bound_ranges_fit, valid
from proofs.prover import checks_as_formulas, find_case
from proofs.reach import setup_for
from proofs.requests import REQUESTS
from proofs.symbolic.boolean import all_of, any_of, implies, negation
from proofs.symbolic.explorer import Explorer, exploring, forget_everything
from proofs.workers import run_all
from proofs.world import AnyWorld, FewWorld, World
from spec.memslots.dirty_ring import LARGEST_RING
from spec.memslots.slot import GUEST_MEMFD, NO_FILE, Slot, Vm
from spec.operation import Operation
from spec.profile import PROFILES, Profile
from spec.rule import first_broken
from spec.sets import every, some
from spec.step import OPERATIONS, operation_of
from spec.units import PAGE_SIZE

IMPOSSIBLE = "impossible"
SLOTS = (1, 2, 3)
HOSTS = (2**44, 2**44 + 2**20 - 1)  # host addresses, first and last, that examples use where they have a choice
# The named profiles, and that of kernels whose guest memory files say EINVAL where later ones say EEXIST.
COVERED = (*PROFILES.values(), replace(PROFILES["guest-memfd"], memfd_rebind_errno="EINVAL"))
LOW_MEMORY = 2**28  # guest addresses below are preferred
FEW_BYTES = 16 * PAGE_SIZE

Pair = tuple[str, str, str]  # operation, the rule checked first, the rule checked later


@dataclass(frozen=True)
class Example:
    """A request that breaks both rules after this setup. `alone` says that it breaks no other rule."""

    profile: Profile
    setup: tuple[Any, ...]
    request: Any
    alone: bool


def pairs() -> list[Pair]:
    """Every two rules of each operation, in the order in which they are checked."""
    return [
        (operation.name, first.rule.id, second.rule.id)
        for operation in OPERATIONS
        for first, second in combinations(operation.checks, 2)
    ]


def jointly_violable(jobs: int = 2) -> dict[Pair, Example | str]:
    """For each pair of rules an example, or "impossible". Raises ArithmeticError for a pair that stays undecided."""
    found = dict(run_all(pairs(), jobs, _decided, _given_up))
    undecided = [
        f"{pair}: {answer}" for pair, answer in found.items() if answer != IMPOSSIBLE and isinstance(answer, str)
    ]
    if undecided:
        raise ArithmeticError("undecided rule pairs: " + "; ".join(undecided))
    return {pair: found[pair] for pair in pairs()}


def _decided(pair: Pair) -> tuple[Pair, Example | str]:
    return pair, decide(pair)


def _given_up(pair: Pair, why: str) -> tuple[Pair, str]:
    return pair, why


def decide(pair: Pair) -> Example | str:
    """An example, IMPOSSIBLE, or why it could not be decided."""
    forget_everything()
    if not _can_be_broken_together(pair):
        return IMPOSSIBLE
    for example in _examples(pair):
        return example
    return "no example with at most three slots in a covered profile, and no proof that there is none"


def _operation(name: str) -> Operation:
    return next(operation for operation in OPERATIONS if operation.name == name)


def _both_broken(pair: Pair, profile: Profile, vm: Vm, request: Any) -> Any:
    checks = operation_of(request).checks
    return all_of(*(check.is_broken(profile, vm, request) for check in checks if check.rule.id in pair[1:]))


def _can_be_broken_together(pair: Pair) -> bool:
    """False only if it is proved that they cannot, in any profile with any slots."""
    explorer = Explorer()
    with checks_as_formulas(), exploring(explorer):
        world = AnyWorld()
        profile, vm, request = world.profile(), world.vm(), REQUESTS[pair[0]](world)
        explorer.assume(
            explorer.formula(
                lambda: all_of(
                    is_sensible(profile),
                    valid(profile, vm),
                    fits(profile, vm),
                    _both_broken(pair, profile, vm, request),
                )
            )
        )
        _, answer = explorer.check([], timeout_ms=1_000)
        return bool(answer != z3.unsat)


# EXAMPLES --------------------------------------------------------------------------------------------------------


def _examples(pair: Pair) -> Iterator[Example]:
    for count in SLOTS:
        for first_wins in (True, False):
            for profile in COVERED:
                example = _example(pair, profile, count, first_wins)
                if example is not None:
                    yield example


def _example(pair: Pair, profile: Profile, count: int, first_wins: bool) -> Example | None:
    """An example in this profile; with `first_wins` one in which no rule is broken before the first of the pair."""
    checks = _operation(pair[0]).checks
    before = [check.rule.id for check in checks][: [check.rule.id for check in checks].index(pair[1])]

    def inputs(world: World) -> dict[str, Any]:
        return {"vm": world.vm(), "request": REQUESTS[pair[0]](world)}

    def given(vm: Vm, request: Any) -> Any:
        asked = {check.rule.id: check for check in operation_of(request).checks}
        unbroken = [negation(asked[rule].is_broken(profile, vm, request)) for rule in before if first_wins]
        return all_of(can_be_set_up(profile, vm), _both_broken(pair, profile, vm, request), *unbroken)

    def wishes(vm: Vm, request: Any) -> list[Any]:
        asked = [check for check in operation_of(request).checks if check.rule.id not in pair]
        return [*(negation(check.is_broken(profile, vm, request)) for check in asked), *plainness(vm, request)]

    case = find_case(FewWorld(count, most_pages=0), inputs, given, wishes)
    if case is None:
        return None
    setup = setup_for(profile, case["vm"])
    if setup is None:
        return None
    broken = {c.rule.id for c in checks if c.is_broken(profile, case["vm"], case["request"])}
    if first_wins and first_broken(checks, profile, case["vm"], case["request"]) is None:
        raise ArithmeticError(f"the example for {pair} breaks nothing")
    return Example(profile, setup, case["request"], alone=broken == set(pair[1:]))


def is_sensible(profile: Profile) -> Any:
    """Guest memory files come with the second form of the call, and the smallest ring is no larger than the largest."""
    return all_of(
        any_of(profile.guest_memfd == "absent", profile.region2),
        profile.smallest_dirty_ring <= LARGEST_RING,
    )


def fits(profile: Profile, vm: Vm) -> Any:
    """The VM has nothing that it could not get in this profile."""
    return all_of(
        implies(vm.dirty_ring > 0, profile.dirty_ring),
        every(vm.memfds, lambda memfd: profile.guest_memfd != "absent"),
        every(vm.slots, lambda slot: fits_the_profile(profile, slot)),
        every(
            vm.slots,
            lambda slot: any_of(slot.memfd == NO_FILE, some(vm.memfds, lambda memfd: memfd.file == slot.memfd)),
        ),
    )


def can_be_set_up(profile: Profile, vm: Vm) -> Any:
    """The VM is valid and has only what can be had in this profile; its logs are as they start."""
    return all_of(
        valid(profile, vm),
        fits(profile, vm),
        bound_ranges_fit(vm),
        every(vm.memfds, lambda memfd: all_of(memfd.file == 0, memfd.npages >= 1, memfd.npages <= 64)),
        negation(vm.initially_dirty),
        any_of(vm.dirty_ring == 0, vm.dirty_ring == LARGEST_RING),
    )


def fits_the_profile(profile: Profile, slot: Slot) -> Any:
    """The slot could be created in this profile."""
    within = True if profile.max_gfn is None else slot.last_gfn() <= profile.max_gfn
    return all_of(within, any_of(slot.flags < GUEST_MEMFD, profile.guest_memfd == "bind"))


def plainness(vm: Vm, request: Any) -> list[Any]:
    """What makes an example easy to read: low and small numbers, host memory of one place, modes at rest."""
    wishes = [negation(getattr(vm, mode)) if mode != "dirty_ring" else vm.dirty_ring == 0 for mode in MODES]
    first, last = HOSTS
    wishes.append(every(vm.slots, lambda slot: all_of(slot.hva >= first, slot.last_hva() <= last, slot.flags <= 1)))
    wishes.append(every(vm.slots, lambda slot: all_of(slot.npages <= 16, slot.last_gfn() < LOW_MEMORY // PAGE_SIZE)))
    named = {field.name: getattr(request, field.name) for field in fields(request)}
    if "hva" in named:
        wishes += [all_of(named["hva"] >= first, named["hva"] + named["size"] <= last + 1), named["version"] == 1]
        wishes += [named["gpa"] < LOW_MEMORY, named["memfd_offset"] == 0, named["memfd"] == NO_FILE]
    if "size" in named:
        wishes.append(named["size"] <= FEW_BYTES)
    return wishes
