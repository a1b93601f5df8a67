"""What each rule of a VM demands, in words of its own: an accepted request and the VM are as the rule says.

A rule's question is not asked here; what is demanded is written down once more. The planted bug of each is that the
rule is not asked. Rules that other theorems speak about by name are left to those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from proofs.bugs import without_check
from proofs.claims import accepted
from proofs.invariants import valid
from proofs.requests import REQUESTS
from proofs.symbolic.boolean import all_of, any_of, negation
from proofs.theorem import UNBOUNDED, Bug, Theorem
from proofs.world import World
from spec.memslots.slot import Vm
from spec.operation import Operation
from spec.profile import Profile
from spec.step import OPERATIONS

BY_NAME = {operation.name: operation for operation in OPERATIONS}

Demand = tuple[str, str, str, Callable[..., Any]]  # operation, rule, what it demands: in words, and as a claim

# INPUTS AND HYPOTHESES -----------------------------------------------------------------------------------------------


def any_request(operation: str) -> Callable[[World], dict[str, Any]]:
    """Any VM and any request of an operation."""

    def inputs(world: World) -> dict[str, Any]:
        return {"profile": world.profile(), "vm": world.vm(), "request": REQUESTS[operation](world)}

    return inputs


def is_accepted(profile: Profile, vm: Vm, request: Any) -> Any:
    """The VM is valid, and the request breaks no rule."""
    return all_of(valid(profile, vm), accepted(profile, vm, request))


# CLAIMS --------------------------------------------------------------------------------------------------------------


def is_one_of(value: Any, *values: Any) -> Any:
    return any_of(*(value == one for one in values))


def word_is_good(profile: Profile, request: Any) -> Any:
    return all_of(request.slot // 2**16 < profile.address_spaces, request.slot % 2**16 < profile.user_slots)


def ring_bytes(request: Any) -> Any:
    return request.size % 2**32


def is_from_the_owner(profile: Profile, vm: Vm, request: Any) -> Any:
    return request.from_owner


def is_readable(profile: Profile, vm: Vm, request: Any) -> Any:
    return request.readable


CALLS = (
    "set_region",
    "create_guest_memfd",
    "get_dirty_log",
    "clear_dirty_log",
    "enable_manual_protect",
    "enable_dirty_ring",
)

VM_DEMANDS: tuple[Demand, ...] = (
    *((call, "KVM.CALL.OWNER", "the owner asks", is_from_the_owner) for call in CALLS),
    *((call, "KVM.CALL.POINTER", "the request could be read", is_readable) for call in CALLS),
    (
        "set_region",
        "KVM.SLOT.REGION2",
        "the second form of the call is used only where it exists",
        lambda profile, vm, request: any_of(request.version != 2, profile.region2),
    ),
    (
        "create_guest_memfd",
        "KVM.MEMFD.EXISTS",
        "the kernel has guest memory files",
        lambda profile, vm, request: negation(profile.guest_memfd == "absent"),
    ),
    ("create_guest_memfd", "KVM.MEMFD.FLAGS", "no flag is set", lambda profile, vm, request: request.flags == 0),
    (
        "create_guest_memfd",
        "KVM.MEMFD.SIZE",
        "the file has whole pages, at least one, and fewer than 2^63 bytes",
        lambda profile, vm, request: all_of(request.size % 4096 == 0, request.size >= 1, request.size < 2**63),
    ),
    (
        "get_dirty_log",
        "KVM.DIRTY.SLOT_WORD",
        "address space and number are ones that userspace may use",
        lambda profile, vm, request: word_is_good(profile, request),
    ),
    (
        "clear_dirty_log",
        "KVM.DIRTY.SLOT_WORD",
        "address space and number are ones that userspace may use",
        lambda profile, vm, request: word_is_good(profile, request),
    ),
    (
        "get_dirty_log",
        "KVM.DIRTY.BUFFER",
        "the bitmap is memory of the caller",
        lambda profile, vm, request: request.buffer_ok,
    ),
    (
        "clear_dirty_log",
        "KVM.DIRTY.BUFFER",
        "the bitmap is memory of the caller, or no page is named",
        lambda profile, vm, request: any_of(request.buffer_ok, request.num_pages == 0),
    ),
    ("enable_manual_protect", "KVM.MANUAL.FLAGS", "no flag is set", lambda profile, vm, request: request.flags == 0),
    (
        "enable_dirty_ring",
        "KVM.RING.EXISTS",
        "the kernel has dirty rings",
        lambda profile, vm, request: profile.dirty_ring,
    ),
    (
        "enable_dirty_ring",
        "KVM.RING.POWER_OF_TWO",
        "the lower 32 bits of the size are a power of two",
        lambda profile, vm, request: is_one_of(ring_bytes(request), *(2**bit for bit in range(32))),
    ),
    (
        "enable_dirty_ring",
        "KVM.RING.SMALLEST",
        "the ring has at least the smallest size",
        lambda profile, vm, request: ring_bytes(request) >= profile.smallest_dirty_ring,
    ),
    (
        "enable_dirty_ring",
        "KVM.RING.LARGEST",
        "the ring has at most 1 MiB",
        lambda profile, vm, request: ring_bytes(request) <= 2**20,
    ),
    ("enable_dirty_ring", "KVM.RING.ONCE", "there was no ring", lambda profile, vm, request: vm.dirty_ring == 0),
    (
        "enable_dirty_ring",
        "KVM.RING.BEFORE_VCPUS",
        "there is no virtual CPU yet",
        lambda profile, vm, request: negation(vm.has_vcpu),
    ),
)

# THEOREMS ------------------------------------------------------------------------------------------------------------

# Where another rule demands more, both are left out in the planted bug.
STRONGER = {
    "IOTLB.MESSAGE.FRAMING_WORD": ("IOTLB.MESSAGE.WHOLE",),
    "KVM.DIRTY.SLOT_WORD": ("KVM.DIRTY.LOGGED",),
}


def not_asked(operation: Operation, rule: str) -> Bug:
    names = (rule, *STRONGER.get(rule, ()))
    rules = [check.rule for check in operation.checks if check.rule.id in names]
    return Bug(
        f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not asked", (without_check(operation, *rules),)
    )


def all_about(
    demands: tuple[Demand, ...],
    inputs: Callable[[str], Callable[[World], dict[str, Any]]],
    given: Callable[..., Any],
    bounds: dict[str, str],
) -> tuple[Theorem, ...]:
    """A theorem for each demand, named after its rule and, where several are about one rule, after its operation."""
    rules = [rule for _, rule, _, _ in demands]
    return tuple(
        Theorem(
            f"DEMAND.{rule}" + (f".{name.upper().replace('_', '')}" if rules.count(rule) > 1 else ""),
            f"Where {name} is accepted, {words}.",
            (rule,),
            (name,),
            "demands",
            inputs(name),
            given,
            holds,
            not_asked(BY_NAME[name], rule),
            bounds.get(name, UNBOUNDED),
        )
        for name, rule, words, holds in demands
    )


THEOREMS = all_about(VM_DEMANDS, any_request, is_accepted, {})
