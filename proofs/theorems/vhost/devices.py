"""A device under each operation: one outcome, nothing changed by a refusal, and valid after what is accepted.

What queues do when they run is left out here: a run is taken to do nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import spec.step
import spec.vhost.backend
import spec.vhost.messages
from proofs.bugs import with_effect
from proofs.claims import accepted, after, operation_of
from proofs.invariants_vhost import valid_device
from proofs.requests_vhost import FEW_REGIONS, VHOST_REQUESTS
from proofs.symbolic.boolean import all_of, negation
from proofs.theorem import UNBOUNDED, Bug, Patch, Theorem, patched
from proofs.world import World
from proofs.world_vhost import FEW_MISSES, any_device
from spec.operation import Operation
from spec.outcome import Outcome, Ran, Rejected
from spec.pages import NO_PAGES
from spec.profile import Profile
from spec.rule import Check, Rule
from spec.sets import added
from spec.step import VHOST_OPERATIONS
from spec.vhost.address_map import AddressMap, Entry
from spec.vhost.device import Device

BY_NAME = {operation.name: operation for operation in VHOST_OPERATIONS}
WITH_RULES = tuple(operation.name for operation in VHOST_OPERATIONS if operation.checks)

# What the proofs of an operation look into, and how far.
BOUNDS = {
    "set_mem_table": f"requests of at most {FEW_REGIONS} regions; tables before it of any number",
    "write_message": f"at most {FEW_MISSES} misses that were read",
    "read_message": f"at most {FEW_MISSES} misses unread, and as many read",
    "set_backend": "at most one packet waits",
}

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_request(operation: str) -> Callable[[World], dict[str, Any]]:
    """Any device and any request of an operation."""

    def inputs(world: World) -> dict[str, Any]:
        return {"profile": world.profile(), "device": any_device(world), "request": VHOST_REQUESTS[operation](world)}

    return inputs


def is_valid(profile: Profile, device: Device, request: Any, **rest: Any) -> Any:
    return valid_device(profile, device)


def is_accepted(profile: Profile, device: Device, request: Any, **rest: Any) -> Any:
    return all_of(valid_device(profile, device), accepted(profile, device, request))


# A RUN THAT DOES NOTHING -----------------------------------------------------------------------------------------


def no_run(profile: Profile, device: Device, numbers: Any) -> tuple[Device, Ran]:
    return device, Ran((), NO_PAGES)


def no_marks(*_: Any) -> Any:
    return NO_PAGES


@contextmanager
def without_runs() -> Iterator[None]:
    """Operations end where a queue would start to run."""
    patches = (
        Patch(spec.vhost.backend, "run_queue", no_run),
        Patch(spec.vhost.backend, "marked_by_ring", no_marks),
        Patch(spec.vhost.messages, "run_queues", no_run),
    )
    with patched(patches):
        yield


def after_without_runs(profile: Profile, device: Device, request: Any) -> Device:
    """The device after the step, before a queue runs."""
    with without_runs():
        changed: Device = after(profile, device, request)
    return changed


# CLAIMS ----------------------------------------------------------------------------------------------------------


def has_one_outcome(profile: Profile, device: Device, request: Any) -> Any:
    """Rejected with the first rule that is broken and nothing changed, or no rule is broken."""
    with without_runs():
        changed, answer = spec.step.step(profile, device, request)
    checks = operation_of(request).checks
    if not isinstance(answer, Rejected):
        return all_of(True, *(negation(check.is_broken(profile, device, request)) for check in checks))
    place = next(i for i, check in enumerate(checks) if check.rule is answer.rule)
    earlier = [negation(check.is_broken(profile, device, request)) for check in checks[:place]]
    return all_of(changed is device, *earlier, checks[place].is_broken(profile, device, request))


def is_valid_after(profile: Profile, device: Device, request: Any) -> Any:
    return valid_device(profile, after_without_runs(profile, device, request))


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def all_but_the_first(checks: tuple[Check, ...], profile: Profile, device: Device, request: Any) -> Rule | None:
    for check in checks[1:]:
        if check.is_broken(profile, device, request):
            return check.rule
    return None


def leaving_a_reversed_entry(operation: Operation) -> Patch:
    """The operation leaves an entry in the memory table that ends before it begins."""
    reversed_entry = Entry(first=1, last=0, host=0, perm=3, born=0, used=0)

    def effect(profile: Profile, device: Device, request: Any) -> tuple[Device, Outcome]:
        changed, answer = operation.effect(profile, device, request)
        table = AddressMap(clock=1) if changed.table is None else changed.table
        return replace(changed, table=replace(table, entries=added(table.entries, reversed_entry))), answer

    return with_effect(operation, effect)


# THEOREMS --------------------------------------------------------------------------------------------------------


def rules_of(operation: str) -> tuple[str, ...]:
    return tuple(check.rule.id for check in BY_NAME[operation].checks)


def about(
    operation: str,
    suffix: str,
    sentence: str,
    invariant: str,
    given: Callable[..., Any],
    holds: Callable[..., Any],
    bug: Bug,
    bound: str | None = None,
    inputs: Callable[[World], dict[str, Any]] | None = None,
    rules: tuple[str, ...] | None = None,
) -> Theorem:
    """A theorem about one operation; where nothing else is said, about all of its rules and any request."""
    return Theorem(
        f"DEVICE.{operation.upper().replace('_', '')}.{suffix}",
        sentence,
        rules_of(operation) if rules is None else rules,
        (operation,),
        invariant,
        inputs or any_request(operation),
        given,
        holds,
        bug,
        BOUNDS.get(operation, UNBOUNDED) if bound is None else bound,
    )


THEOREMS = (
    *(
        about(
            operation,
            "ONE_OUTCOME",
            f"Each {operation} has one outcome: the first rule that it breaks and nothing changed, or its effect.",
            "one outcome",
            is_valid,
            has_one_outcome,
            Bug("the first rule is not asked", (Patch(spec.step, "first_broken", all_but_the_first),)),
        )
        for operation in WITH_RULES
    ),
    *(
        about(
            operation,
            "VALID",
            f"After any {operation}, both maps are in order, the IOTLB is within its limit, rings have sizes of rings.",
            "valid",
            is_accepted,
            is_valid_after,
            Bug("it leaves a reversed entry", (leaving_a_reversed_entry(BY_NAME[operation]),)),
        )
        for operation in WITH_RULES
    ),
)
