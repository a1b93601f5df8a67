"""One step: the only way in which an operation meets a state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spec.memslots.access import GUEST_WRITE, VCPU_READ, VCPU_WRITE
from spec.memslots.clear_dirty_log import CLEAR_DIRTY_LOG
from spec.memslots.create_guest_memfd import CREATE_GUEST_MEMFD
from spec.memslots.dirty_ring import ENABLE_DIRTY_RING
from spec.memslots.get_dirty_log import GET_DIRTY_LOG
from spec.memslots.lookup import FIND_SLOT, HVA_RANGE, LOOKUP, OBSERVE
from spec.memslots.manual_protect import ENABLE_MANUAL_PROTECT
from spec.memslots.set_region import SET_REGION
from spec.memslots.slot import EMPTY_VM
from spec.operation import Operation, Subject
from spec.outcome import Outcome, Rejected
from spec.profile import Profile
from spec.rule import Rule, first_broken
from spec.vhost import chain, run, translate
from spec.vhost.backend import SET_BACKEND
from spec.vhost.device import NEW_DEVICE
from spec.vhost.features import SET_BACKEND_FEATURES, SET_FEATURES
from spec.vhost.mem_table import SET_MEM_TABLE
from spec.vhost.messages import READ_MESSAGE, WRITE_MESSAGE
from spec.vhost.observe import OBSERVE_MAPS
from spec.vhost.owner import RESET_OWNER, SET_OWNER
from spec.vhost.queue_io import KICK, OFFER_CHAIN, PACKET_COMES, TRANSMIT_CHAIN
from spec.vhost.regions import ADD_REGION, REMOVE_RANGE, REMOVE_REGION
from spec.vhost.ring import SET_LOG_BASE, SET_RING_ADDRESSES, SET_RING_SIZE
from spec.vhost.translate import TRANSLATE

MEMSLOT_OPERATIONS: tuple[Operation, ...] = (
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
VHOST_OPERATIONS: tuple[Operation, ...] = (
    SET_OWNER,
    RESET_OWNER,
    SET_FEATURES,
    SET_BACKEND_FEATURES,
    SET_MEM_TABLE,
    ADD_REGION,
    REMOVE_REGION,
    REMOVE_RANGE,
    SET_LOG_BASE,
    SET_RING_SIZE,
    SET_RING_ADDRESSES,
    SET_BACKEND,
    WRITE_MESSAGE,
    READ_MESSAGE,
    TRANSLATE,
    TRANSMIT_CHAIN,
    OFFER_CHAIN,
    PACKET_COMES,
    KICK,
    OBSERVE_MAPS,
)

MEMSLOTS = Subject("memslots", MEMSLOT_OPERATIONS, EMPTY_VM)
VHOST = Subject("vhost", VHOST_OPERATIONS, NEW_DEVICE)
SUBJECTS = (MEMSLOTS, VHOST)
OPERATIONS: tuple[Operation, ...] = MEMSLOT_OPERATIONS + VHOST_OPERATIONS


def operation_of(request: Any) -> Operation:
    """The operation that a request belongs to. Raises TypeError for anything that is no request."""
    for operation in OPERATIONS:
        if type(request) is operation.request:
            return operation
    raise TypeError(f"{type(request).__name__} is not the request of any operation")


def subject_of(requests: Sequence[Any]) -> Subject:
    """The subject that these requests are about. Raises TypeError where they are about none or about several."""
    for subject in SUBJECTS:
        if requests and all(operation_of(request) in subject.operations for request in requests):
            return subject
    raise TypeError("these requests are not all about one subject")


def step(profile: Profile, state: Any, request: Any) -> tuple[Any, Outcome]:
    """Apply one operation: the first broken rule rejects it and nothing changes, else its effect is the answer."""
    operation = operation_of(request)
    rule = first_broken(operation.checks, profile, state, request)
    if rule is not None:
        return state, Rejected(rule)
    return operation.effect(profile, state, request)


def all_rules() -> tuple[Rule, ...]:
    """Every rule of the spec, each once, in the order in which the operations check them."""
    from spec.memslots.lookup import MAPPED, WRITABLE

    in_order = [check.rule for operation in OPERATIONS for check in operation.checks] + [
        MAPPED,
        WRITABLE,
        *translate.RULES,
        *chain.RULES,
        *run.RULES,
    ]
    return tuple(dict.fromkeys(in_order))
