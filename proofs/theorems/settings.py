"""Operations other than a change of slots: the VM stays valid, each request has one outcome, the rest is untouched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import spec.memslots.access
import spec.step
from proofs.bugs import with_check, with_effect
from proofs.claims import accepted, after, is_one_outcome, seen
from proofs.invariants import MODES, valid, well_placed
from proofs.requests import REQUESTS
from proofs.sets import has
from proofs.symbolic.boolean import all_of, any_of, implies, negation
from proofs.theorem import Bug, Patch, Theorem
from proofs.world import LAST_PAGE, World
from spec.memslots.create_guest_memfd import CREATE_GUEST_MEMFD, SIZE, CreateGuestMemfd
from spec.memslots.dirty_ring import ENABLE_DIRTY_RING, LARGEST, LARGEST_RING, EnableDirtyRing
from spec.memslots.manual_protect import ENABLE_MANUAL_PROTECT, OPTIONS, EnableManualProtect
from spec.memslots.slot import GUEST_MEMFD, GuestMemfd, Slot, Vm
from spec.operation import Operation
from spec.outcome import Done, Outcome
from spec.profile import Profile
from spec.rule import Check, Rule
from spec.sets import added, every, kept, removed, some
from spec.step import OPERATIONS
from spec.units import PAGE_SIZE, address_of, page_of

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


def any_request_and_a_page(operation: str) -> Callable[[World], dict[str, Any]]:
    def inputs(world: World) -> dict[str, Any]:
        return {**any_request(operation)(world), "page": world.integer("page", 0, LAST_PAGE)}

    return inputs


def any_page(world: World) -> dict[str, Any]:
    return {"profile": world.profile(), "page": world.integer("page", 0, LAST_PAGE)}


def any_profile_will_do(profile: Profile, page: int) -> bool:
    """Nothing: any profile, any page."""
    return True


def is_well_placed(profile: Profile, vm: Vm, request: Any, page: int) -> Any:
    """Before the request, slots end within the width, a file's page belongs to one slot at most, files of slots exist
    and have the slots' pages, and the page is in no log of a slot that does not have it.
    """
    return all_of(is_accepted(profile, vm, request), well_placed(profile, vm, page))


def any_file_request(world: World) -> dict[str, Any]:
    """Any request for a guest memory file, and what may be a file before or after it."""
    made = any_request("create_guest_memfd")(world)
    return made | {"other": world.candidate(made["vm"].memfds, "other")}


def is_valid(profile: Profile, vm: Vm, request: Any) -> Any:
    """The VM is valid. The request is any."""
    return valid(profile, vm)


def is_accepted(profile: Profile, vm: Vm, request: Any, **rest: Any) -> Any:
    """The VM is valid, the request accepted, and a new file gets a number that none has."""
    claims = [valid(profile, vm), accepted(profile, vm, request)]
    if isinstance(request, CreateGuestMemfd):
        claims.append(every(vm.memfds, lambda memfd: memfd.file != request.file))
    return all_of(*claims)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def is_valid_after(profile: Profile, vm: Vm, request: Any) -> Any:
    return valid(profile, after(profile, vm, request))


def is_well_placed_after(profile: Profile, vm: Vm, request: Any, page: int) -> Any:
    return well_placed(profile, after(profile, vm, request), page)


def empty_vm_is_in_order(profile: Profile, page: int) -> Any:
    empty = spec.step.MEMSLOTS.fresh
    return all_of(valid(profile, empty), well_placed(profile, empty, page))


def has_one_outcome(profile: Profile, vm: Vm, request: Any, **rest: Any) -> Any:
    return is_one_outcome(seen(profile, vm, request), profile, vm, request)


def modes_are_as_asked(profile: Profile, vm: Vm, request: EnableManualProtect) -> Any:
    changed, answer = spec.step.step(profile, vm, request)
    return all_of(
        isinstance(answer, Done),
        changed.manual_protect == any_of(request.options == 1, request.options == 3),
        changed.initially_dirty == (request.options == 3),
        changed.dirty_ring == vm.dirty_ring,
        changed.has_vcpu == vm.has_vcpu,
        changed.slots is vm.slots,
        changed.memfds is vm.memfds,
    )


def ring_is_as_asked(profile: Profile, vm: Vm, request: EnableDirtyRing) -> Any:
    changed, answer = spec.step.step(profile, vm, request)
    return all_of(
        isinstance(answer, Done),
        changed.dirty_ring == request.size % 2**32,
        any_of(*(changed.dirty_ring == 2**bit for bit in range(21))),
        changed.dirty_ring >= profile.smallest_dirty_ring,
        changed.dirty_ring <= LARGEST_RING,
        negation(vm.has_vcpu),
        vm.dirty_ring == 0,
        *(getattr(changed, mode) == getattr(vm, mode) for mode in MODES if mode != "dirty_ring"),
        changed.slots is vm.slots,
        changed.memfds is vm.memfds,
    )


def file_is_as_asked(profile: Profile, vm: Vm, request: CreateGuestMemfd, other: GuestMemfd) -> Any:
    """One file has the new number, with the size that was asked for; of others those are there that were."""
    changed, answer = spec.step.step(profile, vm, request)
    return all_of(
        isinstance(answer, Done),
        some(changed.memfds, lambda file: file.file == request.file),
        every(
            changed.memfds,
            lambda file: implies(file.file == request.file, address_of(file.npages) == request.size),
        ),
        implies(other.file != request.file, has(changed.memfds, other) == has(vm.memfds, other)),
        request.size >= PAGE_SIZE,
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


def leaving_a_slot_on_no_file(operation: Operation) -> Bug:
    """The operation leaves a slot on a file that nobody made."""

    def effect(profile: Profile, vm: Vm, request: Any) -> tuple[Vm, Outcome]:
        changed, answer = operation.effect(profile, vm, request)
        bound = Slot(space=0, id=0, base_gfn=0, npages=1, hva=0, flags=GUEST_MEMFD, memfd=2**32)
        return replace(changed, slots=added(changed.slots, bound)), answer

    return Bug("it leaves a slot on a file that was never made", (with_effect(operation, effect),))


def other_files_are_closed(profile: Profile, vm: Vm, request: CreateGuestMemfd) -> tuple[Vm, Outcome]:
    changed, answer = CREATE_GUEST_MEMFD.effect(profile, vm, request)
    return replace(changed, memfds=kept(changed.memfds, lambda memfd: memfd.file == request.file)), answer


def log_counts_guest_pages(vm: Vm, slot: Slot, gpa: int) -> Vm:
    if slot.dirty is None or vm.dirty_ring > 0:
        return vm
    logged = replace(slot, dirty=slot.dirty.with_page(page_of(gpa)))
    return replace(vm, slots=added(removed(vm.slots, slot), logged))


MISPLACED = {
    "create_guest_memfd": Bug(
        "a new file closes all others", (with_effect(CREATE_GUEST_MEMFD, other_files_are_closed),)
    ),
    **{
        operation: Bug(
            "the log counts guest pages instead of the slot's",
            (Patch(spec.memslots.access, "written_to", log_counts_guest_pages),),
        )
        for operation in ("guest_write", "vcpu_write")
    },
}
SLOT_WITHOUT_PAGES = Slot(space=0, id=0, base_gfn=0, npages=0, hva=0, flags=0)
NOT_EMPTY = replace(spec.step.MEMSLOTS, fresh=Vm(slots=frozenset({SLOT_WITHOUT_PAGES})))


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


def about(
    operation: str,
    suffix: str,
    sentence: str,
    invariant: str,
    holds: Callable[..., Any],
    bug: Bug,
    inputs: Callable[[World], dict[str, Any]] | None = None,
) -> Theorem:
    name = operation.upper().replace("_", "")
    hypotheses: dict[Any, Callable[..., Any]] = {has_one_outcome: is_valid, is_well_placed_after: is_well_placed}
    given = hypotheses.get(holds, is_accepted)
    rules = rules_of(operation)
    others = any_request_and_a_page(operation) if given is is_well_placed else any_request(operation)
    made = inputs or others
    return Theorem(f"VM.{name}.{suffix}", sentence, rules, (operation,), invariant, made, given, holds, bug)


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
            "PLACED",
            f"After any {operation}, slots end within the guest's physical address width, a page of a file belongs to "
            "at most one slot, the file of a slot exists and has the slot's pages, and no log has a page past its "
            "slot's end.",
            "well placed",
            is_well_placed_after,
            MISPLACED.get(operation) or leaving_a_slot_on_no_file(BY_NAME[operation]),
        )
        for operation in (*WITH_RULES, *ACCESSES)
    ),
    Theorem(
        "VM.EMPTY",
        "Of the VM that all begins with, all is true that operations are proved to keep (`VM.*.VALID`, `VM.*.PLACED`).",
        (),
        ("set_region", *WITH_RULES, *ACCESSES),
        "valid",
        any_page,
        any_profile_will_do,
        empty_vm_is_in_order,
        Bug("it has a slot without pages", (Patch(spec.step, "MEMSLOTS", NOT_EMPTY),)),
    ),
    *(
        about(
            operation,
            "ONE_OUTCOME",
            f"Each {operation} that breaks a rule is rejected by the first that it breaks and changes nothing; state "
            "and answer after any other are those of its effect on the state before.",
            "one outcome",
            has_one_outcome,
            Bug("the first rule is not checked", (Patch(spec.step, "first_broken", all_but_the_first),)),
        )
        for operation in WITH_RULES
    ),
    about(
        "enable_manual_protect",
        "EFFECT",
        "Enabling manual protection sets the two modes that its options name, and touches nothing else: no slot, no "
        "log, no file and no other mode.",
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
        "A dirty ring has the size that was asked for, of which 32 bits count: a power of two between the smallest and "
        "the largest size. It is chosen once and before the first virtual CPU; nothing else is touched: no slot, no "
        "log, no file and no other mode.",
        "effect",
        ring_is_as_asked,
        Bug("there is no largest size", (with_check(ENABLE_DIRTY_RING, LARGEST, any_size_will_do),)),
    ),
    about(
        "create_guest_memfd",
        "EFFECT",
        "After a guest memory file was made there are exactly the files that there were and the new one, which has the "
        "number and the size that were asked for, at least a page; no slot and no mode is touched.",
        "effect",
        file_is_as_asked,
        Bug("any size will do", (with_check(CREATE_GUEST_MEMFD, SIZE, any_size_will_do),)),
        any_file_request,
    ),
)
