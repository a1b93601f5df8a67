"""Where a guest byte lives: in at most one slot, inside the slot's host range, and never past the end of anything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import spec.memslots.lookup
from proofs.bugs import with_check, with_effect
from proofs.claims import accepted, after, outcome
from proofs.invariants import same_but_log, same_log_at, valid
from proofs.requests import find_slot, lookup
from proofs.sets import has
from proofs.symbolic.boolean import all_of, merged, negation
from proofs.theorem import Bug, Patch, Theorem
from proofs.world import LAST_PAGE, World
from spec.memslots.lookup import FIND_SLOT, LOOKUP, WRITABLE, FindSlot, Lookup, slot_holding
from spec.memslots.slot import READONLY, Slot, Vm, has_flag, id_of, slot_named, space_of
from spec.outcome import Located, Rejected, Slots
from spec.profile import Profile
from spec.sets import every
from spec.units import PAGE_SIZE, U64, U64_MAX, address_of

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def a_slot_and_a_gfn(world: World) -> dict[str, Any]:
    vm = world.vm()
    return {
        "profile": world.profile(),
        "vm": vm,
        "one": world.candidate(vm.slots, "one"),
        "gfn": world.integer("gfn", 0, LAST_PAGE),
    }


def any_lookup(world: World) -> dict[str, Any]:
    """A lookup, and another guest byte of the same address space."""
    return {
        "profile": world.profile(),
        "vm": world.vm(),
        "request": lookup(world),
        "byte": world.integer("byte", 0, U64_MAX),
    }


def any_find(world: World) -> dict[str, Any]:
    """A slot word, and some page of a slot."""
    page = world.integer("page", 0, LAST_PAGE)
    return {"profile": world.profile(), "vm": world.vm(), "request": find_slot(world), "page": page}


def it_holds_the_gfn(profile: Profile, vm: Vm, one: Slot, gfn: int) -> Any:
    """The VM is valid, and one of its slots has the guest page."""
    return all_of(valid(profile, vm), has(vm.slots, one), merged(slot_contains)(one, gfn))


def slot_contains(slot: Slot, gfn: int) -> bool:
    """The guest page belongs to the slot."""
    return slot.contains(gfn)


def is_answered(profile: Profile, vm: Vm, request: Any, **rest: Any) -> Any:
    """The VM is valid, and the request breaks no rule."""
    return all_of(valid(profile, vm), accepted(profile, vm, request))


def is_valid(profile: Profile, vm: Vm, **rest: Any) -> Any:
    """The VM is valid. The request is any."""
    return valid(profile, vm)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def no_other_holds_it(profile: Profile, vm: Vm, one: Slot, gfn: int) -> Any:
    found = slot_holding(vm, one.space, address_of(gfn))
    return found is not None and all_of(
        every(vm.slots, lambda slot: slot.space != one.space or not slot.contains(gfn) or same_but_log(slot, one)),
        same_but_log(found, one),
    )


def host_byte_is_inside(profile: Profile, vm: Vm, request: Lookup, **rest: Any) -> Any:
    answer = outcome(profile, vm, request)
    slot = slot_holding(vm, request.space, request.gpa)
    if not isinstance(answer, Located) or slot is None:
        return False
    return all_of(
        slot.hva <= answer.host,
        answer.host <= slot.last_hva(),
        answer.host < profile.user_limit,
        answer.host < U64,
        answer.host % PAGE_SIZE == request.gpa % PAGE_SIZE,
    )


def bytes_up_to_last_follow(profile: Profile, vm: Vm, request: Lookup, byte: int) -> Any:
    """A byte between the one asked for and `last` lives as far from its host address as it is from itself."""
    answer = outcome(profile, vm, request)
    if not isinstance(answer, Located):
        return False
    if byte < request.gpa or byte > answer.last:
        return request.gpa <= answer.last
    there = outcome(profile, vm, replace(request, gpa=byte))
    slot = slot_holding(vm, request.space, request.gpa)
    return isinstance(there, Located) and all_of(
        there.host - answer.host == byte - request.gpa,
        there.last == answer.last,
        slot is not None and answer.last == slot.last_gpa(),
    )


def rejection_says_why(profile: Profile, vm: Vm, request: Lookup, **rest: Any) -> Any:
    """No slot there: MAPPED. A read-only slot and a write: WRITABLE. Else an answer. Nothing changes in any case."""
    answer = outcome(profile, vm, request)
    slot = slot_holding(vm, request.space, request.gpa)
    if after(profile, vm, request) is not vm:
        return False
    if slot is None:
        return isinstance(answer, Rejected) and answer.rule is spec.memslots.lookup.MAPPED
    blocked = all_of(request.write, has_flag(slot.flags, READONLY))
    if isinstance(answer, Rejected):
        return all_of(blocked, answer.rule is WRITABLE)
    return all_of(isinstance(answer, Located), negation(blocked))


def found_slot_is_shown(profile: Profile, vm: Vm, request: FindSlot, page: int) -> Any:
    answer = outcome(profile, vm, request)
    slot = slot_named(vm, request.slot)
    if slot is None or not isinstance(answer, Slots) or len(answer.slots) != 1:
        return False
    (view,) = answer.slots
    return all_of(
        after(profile, vm, request) is vm,
        view.space == space_of(request.slot),
        view.id == id_of(request.slot),
        view.first == slot.base_gfn * PAGE_SIZE,
        view.last == (slot.base_gfn + slot.npages) * PAGE_SIZE - 1,
        view.first <= view.last,
        view.last < U64 - PAGE_SIZE,
        view.host == slot.hva,
        view.flags == slot.flags,
        same_log_at(view, slot, page),
    )


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def contains_one_page_more(self: Slot, gfn: int) -> bool:
    return self.base_gfn <= gfn <= self.base_gfn + self.npages


def hva_wraps_at_32_bits(self: Slot, gpa: int) -> int:
    return self.hva + (gpa - self.first_gpa()) % 2**32


def hva_counts_from_the_gfn_above(self: Slot, gpa: int) -> int:
    return self.hva + (gpa - self.first_gpa()) + PAGE_SIZE


def read_only_is_forgotten(profile: Profile, vm: Vm, request: Lookup) -> bool:
    return False


def finds_in_space_0(profile: Profile, vm: Vm, request: FindSlot) -> tuple[Vm, Slots]:
    slot = slot_named(vm, id_of(request.slot))
    return (vm, Slots(())) if slot is None else (vm, Slots((spec.memslots.lookup.view(slot),)))


# THEOREMS --------------------------------------------------------------------------------------------------------

THEOREMS = (
    Theorem(
        "LOOKUP.ONE_SLOT",
        "A guest page belongs to at most one slot of an address space, and a lookup finds that one.",
        ("KVM.ACCESS.MAPPED",),
        ("lookup",),
        "one slot a gfn",
        a_slot_and_a_gfn,
        it_holds_the_gfn,
        no_other_holds_it,
        Bug("a slot also answers for the page after its last", (Patch(Slot, "contains", contains_one_page_more),)),
    ),
    Theorem(
        "LOOKUP.INSIDE",
        "The host address of a guest byte lies in the host range of its slot, below the user limit; the sum never "
        "wraps.",
        ("KVM.ACCESS.MAPPED", "KVM.SLOT.HVA_LIMIT"),
        ("lookup",),
        "gfn to hva inside",
        any_lookup,
        is_answered,
        host_byte_is_inside,
        Bug("the host address is a page too high", (Patch(Slot, "hva_of", hva_counts_from_the_gfn_above),)),
    ),
    Theorem(
        "LOOKUP.CONTIGUOUS",
        "Up to the last byte that a lookup reports, the slot's last, guest bytes follow each other in host memory.",
        ("KVM.ACCESS.MAPPED",),
        ("lookup",),
        "gfn to hva inside",
        any_lookup,
        is_answered,
        bytes_up_to_last_follow,
        Bug("the distance is computed in 32 bits", (Patch(Slot, "hva_of", hva_wraps_at_32_bits),)),
    ),
    Theorem(
        "LOOKUP.WHY_NOT",
        "A lookup is refused exactly where no slot is, or for a write to a read-only slot; it changes nothing.",
        ("KVM.ACCESS.MAPPED", "KVM.ACCESS.WRITABLE"),
        ("lookup",),
        "one outcome",
        any_lookup,
        is_valid,
        rejection_says_why,
        Bug("writes to read-only slots get through", (with_check(LOOKUP, WRITABLE, read_only_is_forgotten),)),
    ),
    Theorem(
        "LOOKUP.NAMED",
        "The slot found for a slot word is the one of that address space and number, shown with its pages, host "
        "address, flags and log; finding it changes nothing.",
        ("KVM.LOOKUP.NAMED",),
        ("find_slot",),
        "unique names",
        any_find,
        is_answered,
        found_slot_is_shown,
        Bug("the number is always looked for in address space 0", (with_effect(FIND_SLOT, finds_in_space_0),)),
    ),
)
