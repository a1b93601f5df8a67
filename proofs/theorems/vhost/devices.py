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
from proofs.bugs import with_check, with_effect
from proofs.claims import accepted, after, is_one_outcome, seen
from proofs.invariants_vhost import active_is_set_up, active_log_has_room, can_be_reached, valid_device
from proofs.requests_vhost import FEW_REGIONS, VHOST_REQUESTS
from proofs.symbolic.boolean import all_merged, all_of
from proofs.theorem import UNBOUNDED, Bug, Patch, Theorem, patched
from proofs.world import World
from proofs.world_vhost import any_device
from spec.operation import Operation
from spec.outcome import Outcome, Ran
from spec.pages import NO_PAGES
from spec.profile import Profile
from spec.rule import Check, Rule
from spec.sets import added
from spec.step import VHOST_OPERATIONS
from spec.vhost.address_map import AddressMap, Entry
from spec.vhost.device import Device, Queue

BY_NAME = {operation.name: operation for operation in VHOST_OPERATIONS}
WITH_RULES = tuple(operation.name for operation in VHOST_OPERATIONS if operation.checks)

# What the proofs of an operation look into, and how far.
BOUNDS = {
    "set_mem_table": f"requests of at most {FEW_REGIONS} regions, tables before them of any: they are taken one by one",
}

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_request(operation: str) -> Callable[[World], dict[str, Any]]:
    """Any device and any request of an operation."""

    def inputs(world: World) -> dict[str, Any]:
        return {"profile": world.profile(), "device": any_device(world), "request": VHOST_REQUESTS[operation](world)}

    return inputs


def is_valid(profile: Profile, device: Device, request: Any, **rest: Any) -> Any:
    """The device is valid. The request is any."""
    return valid_device(profile, device)


def is_accepted(profile: Profile, device: Device, request: Any, **rest: Any) -> Any:
    """The device is valid, and the request breaks no rule."""
    return all_of(valid_device(profile, device), accepted(profile, device, request))


def is_accepted_where_active(profile: Profile, device: Device, request: Any, **rest: Any) -> Any:
    """The device is as every device is that requests lead to, and the request breaks no rule."""
    return all_of(can_be_reached(profile, device), accepted(profile, device, request))


# A RUN THAT DOES NOTHING -----------------------------------------------------------------------------------------


def no_run(profile: Profile, device: Device, numbers: Any) -> tuple[Device, Ran]:
    return device, Ran((), NO_PAGES)


def no_marks(*_: Any) -> Any:
    return NO_PAGES


def nobody_is_woken(pending: Any, request: Any) -> tuple[Any, tuple[int, ...]]:
    """Which misses an update answers is the subject of `WAKES`. It decides only which queues run."""
    return pending, ()


@contextmanager
def without_runs() -> Iterator[None]:
    """Operations end where a queue would start to run."""
    patches = (
        Patch(spec.vhost.backend, "run_queue", no_run),
        Patch(spec.vhost.backend, "marked_by_ring", no_marks),
        Patch(spec.vhost.messages, "run_queues", no_run),
        Patch(spec.vhost.messages, "answered", nobody_is_woken),
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
    with without_runs():
        was = seen(profile, device, request)
    return is_one_outcome(was, profile, device, request)


def is_valid_after(profile: Profile, device: Device, request: Any) -> Any:
    return valid_device(profile, after_without_runs(profile, device, request))


def is_set_up_if_active_after(profile: Profile, device: Device, request: Any) -> Any:
    after = after_without_runs(profile, device, request)
    return all_merged((active_is_set_up, active_log_has_room), profile, after)


def any_profile_will_do(profile: Profile) -> bool:
    """Nothing: any profile."""
    return True


def new_device_is_valid(profile: Profile) -> Any:
    return can_be_reached(profile, spec.step.VHOST.fresh)


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


def leaving_a_queue_without_owner(operation: Operation) -> Bug:
    """The operation leaves queues attached to a device that nobody owns."""

    def effect(profile: Profile, device: Device, request: Any) -> tuple[Device, Outcome]:
        changed, answer = operation.effect(profile, device, request)
        queues = tuple(replace(queue, attached=True) for queue in changed.queues)
        return replace(changed, owned=False, queues=queues), answer

    return Bug("it leaves queues attached to a device that nobody owns", (with_effect(operation, effect),))


def nobody_asks(profile: Profile, device: Device, request: Any) -> bool:
    return False


def without_rule(operation: str, number: str, sentence: str) -> Bug:
    """A rule of the operation is not asked."""
    (rule,) = (check.rule for check in BY_NAME[operation].checks if check.rule.id == number)
    return Bug(sentence, (with_check(BY_NAME[operation], rule, nobody_asks),))


# Rules that keep an active device as it has to be.
KEEPERS = {
    "set_mem_table": ("VHOST.TABLE.HOST", "nobody asks whether regions are user memory"),
    "add_region": ("VHOST.TABLE.HOST", "nobody asks whether the region is user memory"),
    "set_features": ("VHOST.FEATURES.LOGGABLE", "nobody asks whether the log has room for what the table maps"),
    "set_log_base": ("VHOST.LOG.BASE", "nobody asks whether the new log has room for what the table maps"),
    "set_backend": ("VHOST.BACKEND.LOG", "nobody asks whether the log has room for what the table maps"),
}

WITH_A_RING_OF_3 = replace(spec.step.VHOST, fresh=Device(queues=(Queue(size=3), Queue(size=3))))


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
            f"Each {operation} that breaks a rule is rejected by the first that it breaks and changes nothing; state "
            "and answer after any other are those of its effect on the state before.",
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
    *(
        about(
            operation,
            "ACTIVE",
            f"After any {operation}, a device with an attached queue has an owner and a table; what the table maps is "
            "user memory, and in the log if writes are logged.",
            "active",
            is_accepted_where_active,
            is_set_up_if_active_after,
            without_rule(operation, *KEEPERS[operation])
            if operation in KEEPERS
            else leaving_a_queue_without_owner(BY_NAME[operation]),
        )
        for operation in WITH_RULES
    ),
    Theorem(
        "DEVICE.NEW",
        "Of the device that all begins with, all is true that operations are proved to keep (`DEVICE.*.VALID`, "
        "`DEVICE.*.ACTIVE`).",
        (),
        WITH_RULES,
        "valid",
        lambda world: {"profile": world.profile()},
        any_profile_will_do,
        new_device_is_valid,
        Bug("its rings have three places", (Patch(spec.step, "VHOST", WITH_A_RING_OF_3),)),
    ),
)
