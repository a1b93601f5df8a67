"""One step: the only way in which an operation meets a state."""

from __future__ import annotations

from typing import Any

from spec.memslots.access import GUEST_WRITE, VCPU_READ, VCPU_WRITE
from spec.memslots.clear_dirty_log import CLEAR_DIRTY_LOG
from spec.memslots.create_guest_memfd import CREATE_GUEST_MEMFD
from spec.memslots.dirty_ring import ENABLE_DIRTY_RING
from spec.memslots.get_dirty_log import GET_DIRTY_LOG
from spec.memslots.lookup import FIND_SLOT, HVA_RANGE, LOOKUP, OBSERVE
from spec.memslots.manual_protect import ENABLE_MANUAL_PROTECT
from spec.memslots.set_region import SET_REGION
from spec.memslots.slot import Vm
from spec.operation import Operation
from spec.outcome import Outcome, Rejected
from spec.profile import Profile
from spec.rule import Rule, first_broken

OPERATIONS: tuple[Operation, ...] = (
    SET_REGION,
    CREATE_GUEST_MEMFD,
    GET_DIRTY_LOG,
    CLEAR_DIRTY_LOG,
    ENABLE_MANUAL_PROTECT,
    ENABLE_DIRTY_RING,
    GUEST_WRITE,
    VCPU_READ,
    VCPU_WRITE,
    LOOKUP,
    FIND_SLOT,
    HVA_RANGE,
    OBSERVE,
)


def operation_of(request: Any) -> Operation:
    """The operation that a request belongs to. Raises TypeError for anything that is no request."""
    for operation in OPERATIONS:
        if type(request) is operation.request:
            return operation
    raise TypeError(f"{type(request).__name__} is not the request of any operation")


def step(profile: Profile, vm: Vm, request: Any) -> tuple[Vm, Outcome]:
    """Apply one operation: the first broken rule rejects it and nothing changes, else its effect is the answer."""
    operation = operation_of(request)
    rule = first_broken(operation.checks, profile, vm, request)
    if rule is not None:
        return vm, Rejected(rule)
    return operation.effect(profile, vm, request)


def all_rules() -> tuple[Rule, ...]:
    """Every rule of the spec, each once, in the order in which the operations check them."""
    from spec.memslots.lookup import MAPPED, WRITABLE

    in_order = [check.rule for operation in OPERATIONS for check in operation.checks] + [MAPPED, WRITABLE]
    return tuple(dict.fromkeys(in_order))
