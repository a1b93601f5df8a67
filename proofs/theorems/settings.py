"""Operations other than a change of slots: the VM stays valid, each request has one outcome, the rest is untouched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import spec.step
from proofs.bugs import with_check, with_effect
from proofs.claims import accepted, after
from proofs.invariants import MODES, valid
from proofs.requests import REQUESTS
from proofs.symbolic.boolean import all_of, any_of, negation
from proofs.theorem import Bug, Patch, Theorem
from proofs.world import World
from spec.memslots.create_guest_memfd import CREATE_GUEST_MEMFD, SIZE, CreateGuestMemfd
from spec.memslots.dirty_ring import ENABLE_DIRTY_RING, LARGEST, LARGEST_RING, EnableDirtyRing
from spec.memslots.manual_protect import ENABLE_MANUAL_PROTECT, OPTIONS, EnableManualProtect
from spec.memslots.slot import Slot, Vm
from spec.operation import Operation
from spec.outcome import Done, Outcome, Rejected
from spec.profile import Profile
from spec.rule import Check, Rule
from spec.sets import added, every, some
from spec.step import OPERATIONS, operation_of
from spec.units import PAGE_SIZE, address_of

BY_NAME = {operation.name: operation for operation in OPERATIONS}
WITH_RULES = (
    "get_dirty_log",
    "clear_dirty_log",
    "enable_manual_protect",
    "enable_dirty_ring",
    "create_guest_memfd",
)
ACCESSES = ("guest_write", "vcpu_read", "vcpu_write")

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_request(operation: str) -> Callable[[World], dict[str, Any]]:
    def inputs(world: World) -> dict[str, Any]:
        return {"profile": world.profile(), "vm": world.vm(), "request": REQUESTS[operation](world)}

    return inputs


def is_valid(profile: Profile, vm: Vm, request: Any) -> Any:
    return valid(profile, vm)


def is_accepted(profile: Profile, vm: Vm, request: Any) -> Any:
    """The VM is valid, the request accepted, and a new file gets a number that none has."""
    claims = [valid(profile, vm), accepted(profile, vm, request)]
    if isinstance(request, CreateGuestMemfd):
        claims.append(every(vm.memfds, lambda memfd: memfd.file != request.file))
    return all_of(*claims)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def is_valid_after(profile: Profile, vm: Vm, request: Any) -> Any:
    return valid(profile, after(profile, vm, request))


def has_one_outcome(profile: Profile, vm: Vm, request: Any) -> Any:
    """Rejected with the first rule that is broken and nothing changed, or no rule is broken."""
    changed, answer = spec.step.step(profile, vm, request)
    checks = operation_of(request).checks
    if not isinstance(answer, Rejected):
        return all_of(*(negation(check.is_broken(profile, vm, request)) for check in checks))
    place = next(i for i, check in enumerate(checks) if check.rule is answer.rule)
    earlier = [negation(check.is_broken(profile, vm, request)) for check in checks[:place]]
    return all_of(changed is vm, *earlier, checks[place].is_broken(profile, vm, request))


def modes_are_as_asked(profile: Profile, vm: Vm, request: EnableManualProtect) -> Any:
    changed = after(profile, vm, request)
    return all_of(
        changed.manual_protect == any_of(request.options == 1, request.options == 3),
        changed.initially_dirty == (request.options == 3),
        changed.dirty_ring == vm.dirty_ring,
        changed.slots is vm.slots,
        changed.memfds is vm.memfds,
    )


def ring_is_as_asked(profile: Profile, vm: Vm, request: EnableDirtyRing) -> Any:
    changed = after(profile, vm, request)
    return all_of(
        any_of(*(changed.dirty_ring == 2**bit for bit in range(21))),
        changed.dirty_ring >= profile.smallest_dirty_ring,
        changed.dirty_ring <= LARGEST_RING,
        negation(vm.has_vcpu),
        vm.dirty_ring == 0,
        changed.slots is vm.slots,
        changed.memfds is vm.memfds,
    )


def file_is_as_asked(profile: Profile, vm: Vm, request: CreateGuestMemfd) -> Any:
    changed = after(profile, vm, request)
    return all_of(
        some(changed.memfds, lambda file: all_of(file.file == request.file, address_of(file.npages) == request.size)),
        every(changed.memfds, lambda file: any_of(file.npages >= 1, file.file != request.file)),
        request.size <= 2**63 - PAGE_SIZE,
        changed.slots is vm.slots,
        *(getattr(changed, mode) == getattr(vm, mode) for mode in MODES),
    )


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def leaving_an_empty_slot(operation: Operation) -> Patch:
    """The operation leaves a slot without pages behind."""

    def effect(profile: Profile, vm: Vm, request: Any) -> tuple[Vm, Outcome]:
        changed, answer = operation.effect(profile, vm, request)
        empty = Slot(space=0, id=0, base_gfn=0, npages=0, hva=0, flags=0)
        return replace(changed, slots=added(changed.slots, empty)), answer

    return with_effect(operation, effect)


def all_but_the_first(checks: tuple[Check, ...], profile: Profile, vm: Vm, request: Any) -> Rule | None:
    for check in checks[1:]:
        if check.is_broken(profile, vm, request):
            return check.rule
    return None


def option_2_alone_is_known(profile: Profile, vm: Vm, request: EnableManualProtect) -> bool:
    return request.options > 3


def modes_from_one_bit(profile: Profile, vm: Vm, request: EnableManualProtect) -> tuple[Vm, Outcome]:
    on = request.options > 0
    return replace(vm, manual_protect=on, initially_dirty=on), Done()


def any_size_will_do(profile: Profile, vm: Vm, request: Any) -> bool:
    return False


# THEOREMS --------------------------------------------------------------------------------------------------------


def rules_of(operation: str) -> tuple[str, ...]:
    return tuple(check.rule.id for check in BY_NAME[operation].checks)


def about(operation: str, suffix: str, sentence: str, invariant: str, holds: Callable[..., Any], bug: Bug) -> Theorem:
    name = operation.upper().replace("_", "")
    given = is_valid if holds is has_one_outcome else is_accepted
    rules = rules_of(operation)
    inputs = any_request(operation)
    return Theorem(f"VM.{name}.{suffix}", sentence, rules, (operation,), invariant, inputs, given, holds, bug)


THEOREMS = (
    *(
        about(
            operation,
            "VALID",
            f"After any {operation}, slots are well formed and disjoint, names unique, logs and files in order.",
            "valid",
            is_valid_after,
            Bug("it leaves a slot without pages", (leaving_an_empty_slot(BY_NAME[operation]),)),
        )
        for operation in (*WITH_RULES, *ACCESSES)
    ),
    *(
        about(
            operation,
            "ONE_OUTCOME",
            f"Each {operation} has one outcome: the first rule that it breaks and nothing changed, or its effect.",
            "one outcome",
            has_one_outcome,
            Bug("the first rule is not checked", (Patch(spec.step, "first_broken", all_but_the_first),)),
        )
        for operation in WITH_RULES
    ),
    about(
        "enable_manual_protect",
        "EFFECT",
        "Enabling manual protection sets the two modes that its options name, and touches no slot and no log.",
        "effect",
        modes_are_as_asked,
        Bug("any option sets both modes", (with_effect(ENABLE_MANUAL_PROTECT, modes_from_one_bit),)),
    ),
    about(
        "enable_manual_protect",
        "OPTIONS",
        "New logs can start with every page set only in a VM whose userspace clears them.",
        "effect",
        lambda profile, vm, request: any_of(
            negation(after(profile, vm, request).initially_dirty), after(profile, vm, request).manual_protect
        ),
        Bug("option 2 is accepted alone", (with_check(ENABLE_MANUAL_PROTECT, OPTIONS, option_2_alone_is_known),)),
    ),
    about(
        "enable_dirty_ring",
        "EFFECT",
        "A dirty ring is a power of two between the smallest and the largest size, chosen once and before the first "
        "virtual CPU; choosing it touches no slot and no log.",
        "effect",
        ring_is_as_asked,
        Bug("there is no largest size", (with_check(ENABLE_DIRTY_RING, LARGEST, any_size_will_do),)),
    ),
    about(
        "create_guest_memfd",
        "EFFECT",
        "A new guest memory file has the size that was asked for, at least a page; no slot and no mode is touched.",
        "effect",
        file_is_as_asked,
        Bug("any size will do", (with_check(CREATE_GUEST_MEMFD, SIZE, any_size_will_do),)),
    ),
)
