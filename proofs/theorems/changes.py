"""What a change of slots may touch: the slot that it names, as its rule says, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import spec.memslots.set_region
import spec.step
from proofs import claims
from proofs.bugs import with_check, with_effect
from proofs.claims import accepted, after, is_one_outcome, others_are_untouched, seen
from proofs.invariants import MODES, same_but_log, same_log_at, valid
from proofs.requests import set_region
from proofs.symbolic.boolean import all_of, implies, merged, negation
from proofs.theorem import Bug, Patch, Theorem
from proofs.world import LAST_PAGE, World
from spec.memslots.set_region import (
    MAX_SLOT_PAGES,
    PAGES,
    SET_REGION,
    SetRegion,
    is_create,
    is_delete,
    is_move,
)
from spec.memslots.set_region import effect as set_region_effect
from spec.memslots.slot import GUEST_MEMFD, Slot, Vm, has_flag, id_of, slot_named, space_of
from spec.outcome import Done, Outcome, Rejected
from spec.pages import NO_PAGES
from spec.profile import Profile
from spec.rule import Check, Rule
from spec.sets import added, removed
from spec.step import operation_of
from spec.units import PAGE_SIZE, U16_MAX, U64, page_of

SPACES_AT_MOST = U16_MAX + 1  # the upper half of a slot word names the address space
NUMBERS_AT_MOST = 2**15 - 1  # a slot number is a positive signed 16-bit int in the kernel


def any_change(world: World) -> dict[str, Any]:
    """A change, something that may be a slot before it, and some page of a slot."""
    vm = world.vm()
    return {
        "profile": world.profile(),
        "vm": vm,
        "request": set_region(world),
        "other": world.candidate(vm.slots, "other"),
        "page": world.integer("page", 0, LAST_PAGE),
    }


def is_accepted_in_a_valid_vm(profile: Profile, vm: Vm, request: SetRegion, **rest: Any) -> Any:
    """The VM is valid, and the request breaks no rule."""
    return all_of(valid(profile, vm), accepted(profile, vm, request))


def is_accepted(asked: Callable[[Vm, SetRegion], Any]) -> Callable[..., Any]:
    """The hypotheses: a valid VM, an accepted request, and that it is of one kind."""

    def given(profile: Profile, vm: Vm, request: SetRegion, **rest: Any) -> Any:
        """The VM is valid, the request breaks no rule, and is of this kind:"""
        return all_of(is_accepted_in_a_valid_vm(profile, vm, request), merged(asked)(vm, request))

    return given


def deletes(vm: Vm, request: SetRegion) -> bool:
    """The request deletes a slot."""
    return is_delete(request)


def changes_flags(vm: Vm, request: SetRegion) -> bool:
    """The request changes nothing of its slot but the flags."""
    old = slot_named(vm, request.slot)
    return not is_delete(request) and old is not None and not is_move(vm, request) and request.flags != old.flags


def changes_nothing(vm: Vm, request: SetRegion) -> bool:
    """The request asks for what is there already."""
    old = slot_named(vm, request.slot)
    return not is_delete(request) and old is not None and not is_move(vm, request) and request.flags == old.flags


def is_rejected_in_a_valid_vm(profile: Profile, vm: Vm, request: SetRegion, **rest: Any) -> Any:
    """The VM is valid, and the request breaks a rule."""
    return all_of(valid(profile, vm), negation(accepted(profile, vm, request)))


def is_valid(profile: Profile, vm: Vm, **rest: Any) -> Any:
    """The VM is valid. The request is any."""
    return valid(profile, vm)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def state_is_the_same(profile: Profile, vm: Vm, request: SetRegion, **rest: Any) -> Any:
    changed, answer = claims.step(profile, vm, request)
    return changed is vm and isinstance(answer, Rejected)


def outcome_is_the_first_broken_rule(profile: Profile, vm: Vm, request: SetRegion, **rest: Any) -> Any:
    was = seen(profile, vm, request)
    return all_of(isinstance(was.outcome, Done | Rejected), is_one_outcome(was, profile, vm, request))


def modes_and_files_are_untouched(profile: Profile, vm: Vm, request: SetRegion, **rest: Any) -> Any:
    changed = after(profile, vm, request)
    return all_of(changed.memfds is vm.memfds, *(getattr(changed, mode) == getattr(vm, mode) for mode in MODES))


def slot_is_gone(profile: Profile, vm: Vm, request: SetRegion, **rest: Any) -> Any:
    return slot_named(after(profile, vm, request), request.slot) is None


def slot_is_as_asked(profile: Profile, vm: Vm, request: SetRegion, **rest: Any) -> Any:
    slot = slot_named(after(profile, vm, request), request.slot)
    if slot is None:
        return False
    return all_of(
        slot.base_gfn * PAGE_SIZE == request.gpa,
        slot.npages * PAGE_SIZE == request.size,
        slot.hva == request.hva,
        slot.flags == request.flags,
        implies(
            has_flag(request.flags, GUEST_MEMFD),
            all_of(slot.memfd == request.memfd, slot.memfd_page * PAGE_SIZE == request.memfd_offset),
        ),
    )


def move_keeps_what_it_must(profile: Profile, vm: Vm, request: SetRegion, page: int, **rest: Any) -> Any:
    old = slot_named(vm, request.slot)
    new = slot_named(after(profile, vm, request), request.slot)
    if old is None or new is None:
        return False
    return all_of(
        new.base_gfn == page_of(request.gpa),
        new.npages == old.npages,
        new.hva == old.hva,
        new.is_read_only() == old.is_read_only(),
        new.memfd == old.memfd,
        implies(all_of(old.logs_dirty_pages(), new.logs_dirty_pages()), same_log_at(old, new, page)),
    )


def flags_keep_the_rest(profile: Profile, vm: Vm, request: SetRegion, **rest: Any) -> Any:
    old = slot_named(vm, request.slot)
    new = slot_named(after(profile, vm, request), request.slot)
    if old is None or new is None:
        return False
    return all_of(
        new.base_gfn == old.base_gfn,
        new.npages == old.npages,
        new.hva == old.hva,
        new.is_read_only() == old.is_read_only(),
        new.memfd == old.memfd,
        new.flags == request.flags,
    )


def nothing_is_different(profile: Profile, vm: Vm, request: SetRegion, page: int, other: Slot) -> Any:
    old = slot_named(vm, request.slot)
    new = slot_named(after(profile, vm, request), request.slot)
    if old is None or new is None:
        return False
    rest = others_are_untouched(profile, vm, request, other)
    return all_of(same_but_log(old, new), same_log_at(old, new, page), rest)


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def effect_before_checks(profile: Profile, vm: Vm, request: SetRegion) -> tuple[Vm, Outcome]:
    operation = operation_of(request)
    changed = vm if slot_named(vm, request.slot) is None else operation.effect(profile, vm, request)[0]
    for check in operation.checks:
        if check.is_broken(profile, vm, request):
            return changed, Rejected(check.rule)
    return operation.effect(profile, vm, request)


def last_broken(checks: tuple[Check, ...], profile: Profile, vm: Vm, request: Any) -> Rule | None:
    broken = None
    for check in reversed(checks[-8:]):
        if broken is None and check.is_broken(profile, vm, request):
            broken = check.rule
    return broken


def space_is_forgotten(profile: Profile, vm: Vm, request: SetRegion) -> tuple[Vm, Done]:
    if not is_delete(request):
        return set_region_effect(profile, vm, request)
    other = slot_named(vm, id_of(request.slot))
    return (vm if other is None else replace(vm, slots=removed(vm.slots, other))), Done()


def modes_are_reset(profile: Profile, vm: Vm, request: SetRegion) -> tuple[Vm, Done]:
    changed, answer = set_region_effect(profile, vm, request)
    return replace(changed, manual_protect=False), answer


def delete_only_takes_the_flags(profile: Profile, vm: Vm, request: SetRegion) -> tuple[Vm, Done]:
    old = slot_named(vm, request.slot)
    if old is None or not is_delete(request):
        return set_region_effect(profile, vm, request)
    return replace(vm, slots=added(removed(vm.slots, old), replace(old, flags=0, dirty=None))), Done()


def size_is_rounded_up(profile: Profile, vm: Vm, request: SetRegion) -> tuple[Vm, Done]:
    return set_region_effect(profile, vm, replace(request, size=request.size + PAGE_SIZE))


def log_starts_anew(vm: Vm, old: Slot | None, flags: int, npages: int) -> Any:
    return NO_PAGES if has_flag(flags, 1) else None


def hva_follows_the_move(profile: Profile, vm: Vm, request: SetRegion) -> tuple[Vm, Done]:
    old = slot_named(vm, request.slot)
    if old is None or is_delete(request):
        return set_region_effect(profile, vm, request)
    distance = (page_of(request.gpa) - old.base_gfn) * PAGE_SIZE
    return set_region_effect(profile, vm, replace(request, hva=request.hva + distance))


def npages_is_off_by_one(profile: Profile, vm: Vm, request: SetRegion) -> tuple[Vm, Done]:
    old = slot_named(vm, request.slot)
    changed, answer = set_region_effect(profile, vm, request)
    new = slot_named(changed, request.slot)
    if old is None or new is None:
        return changed, answer
    return replace(changed, slots=added(removed(changed.slots, new), replace(new, npages=new.npages - 1))), answer


# THE TOTAL OF ALL PAGES ------------------------------------------------------------------------------------------


def any_total(world: World) -> dict[str, Any]:
    """A change, how many slots there are beside the one that it names, and how many pages these have together."""
    return {
        "profile": world.profile(),
        "vm": world.vm(),
        "request": set_region(world),
        "count": world.integer("count", 0, 2**64),
        "total": world.integer("total", 0, 2**128),
    }


def fits_the_names(profile: Profile, vm: Vm, request: SetRegion, count: int, total: int) -> Any:
    """The request breaks no rule. Names are unique (MEMSLOT.UNIQUE), so that the other slots are fewer than there are
    names; and they have no more pages than slots can have.
    """
    return all_of(
        accepted(profile, vm, request),
        count < SPACES_AT_MOST * NUMBERS_AT_MOST,
        total <= count * MAX_SLOT_PAGES,
    )


def total_stays_below(profile: Profile, vm: Vm, request: SetRegion, count: int, total: int) -> Any:
    """With the pages that are asked for the total is below 2^64, and no more than one more slot can have; the name is
    one of those that were counted.
    """
    more = page_of(request.size)
    return all_of(
        total + more < U64,
        total + more <= (count + 1) * MAX_SLOT_PAGES,
        space_of(request.slot) < SPACES_AT_MOST,
        id_of(request.slot) < NUMBERS_AT_MOST,
    )


def nobody_counts(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return False


# THEOREMS --------------------------------------------------------------------------------------------------------


def about_changes(
    suffix: str,
    sentence: str,
    rules: tuple[str, ...],
    invariant: str,
    given: Callable[..., Any],
    holds: Callable[..., Any],
    bug: Bug,
) -> Theorem:
    return Theorem(f"CHANGE.{suffix}", sentence, rules, ("set_region",), invariant, any_change, given, holds, bug)


SLOT_CHECKS = tuple(check.rule.id for check in SET_REGION.checks)

THEOREMS = (
    about_changes(
        "FAILED",
        "A rejected change leaves the VM as it was.",
        ("KVM.SLOT.NO_MEMORY", "KVM.CALL.OWNER", "KVM.CALL.POINTER"),
        "a failure changes nothing",
        is_rejected_in_a_valid_vm,
        state_is_the_same,
        Bug("the effect comes before the checks", (Patch(claims, "step", effect_before_checks),)),
    ),
    about_changes(
        "ONE_OUTCOME",
        "A request that breaks a rule is rejected by the first that it breaks and changes nothing; any other is done, "
        "and the VM after it is that of its effect.",
        SLOT_CHECKS,
        "one outcome",
        is_valid,
        outcome_is_the_first_broken_rule,
        Bug("only the last eight rules are checked", (Patch(spec.step, "first_broken", last_broken),)),
    ),
    about_changes(
        "OTHERS",
        "A change leaves every slot alone but the one that it names, and adds no other.",
        ("KVM.SLOT.DELETE_EXISTS",),
        "others untouched",
        is_accepted_in_a_valid_vm,
        others_are_untouched,
        Bug(
            "a delete always looks for the number in address space 0",
            (with_effect(SET_REGION, space_is_forgotten),),
        ),
    ),
    about_changes(
        "MODES",
        "A change of slots leaves the VM's modes and its guest memory files alone.",
        (),
        "others untouched",
        is_accepted_in_a_valid_vm,
        modes_and_files_are_untouched,
        Bug("a change resets manual protection", (with_effect(SET_REGION, modes_are_reset),)),
    ),
    about_changes(
        "DELETE",
        "After a delete, no slot has the number.",
        ("KVM.SLOT.DELETE_EXISTS",),
        "effect",
        is_accepted(deletes),
        slot_is_gone,
        Bug("a delete only takes the flags off", (with_effect(SET_REGION, delete_only_takes_the_flags),)),
    ),
    about_changes(
        "CREATE",
        "A new slot has the guest address, size, host address, flags and file that were asked for.",
        (),
        "effect",
        is_accepted(is_create),
        slot_is_as_asked,
        Bug("a new slot gets a page too many", (with_effect(SET_REGION, size_is_rounded_up),)),
    ),
    about_changes(
        "MOVE",
        "A move changes where the slot is for the guest: size, host address, file, read-only and the pages of a log "
        "that stays on are kept.",
        ("KVM.SLOT.HVA_FIXED", "KVM.SLOT.SIZE_FIXED", "KVM.SLOT.READONLY_FIXED", "KVM.SLOT.MEMFD_FIXED"),
        "effect",
        is_accepted(is_move),
        move_keeps_what_it_must,
        Bug("the host address moves with the guest address", (with_effect(SET_REGION, hva_follows_the_move),)),
    ),
    about_changes(
        "FLAGS_ONLY",
        "A change of flags keeps the guest address, size, host address, file and read-only.",
        ("KVM.SLOT.HVA_FIXED", "KVM.SLOT.SIZE_FIXED", "KVM.SLOT.READONLY_FIXED", "KVM.SLOT.MEMFD_FIXED"),
        "effect",
        is_accepted(changes_flags),
        flags_keep_the_rest,
        Bug("the slot loses its last page", (with_effect(SET_REGION, npages_is_off_by_one),)),
    ),
    about_changes(
        "NO_OP",
        "A request that asks for what is there changes nothing, not even the log.",
        (),
        "effect",
        is_accepted(changes_nothing),
        nothing_is_different,
        Bug("the log starts anew", (Patch(spec.memslots.set_region, "dirty_log_after", log_starts_anew),)),
    ),
    Theorem(
        "CHANGE.TOTAL_PAGES",
        "The pages of all slots together stay below 2^64: a change that is accepted names one of fewer than 2^31 "
        "names, and asks for fewer than 2^31 pages, so that as many pages as slots can have stay as many.",
        ("KVM.SLOT.TOTAL_PAGES",),
        ("set_region",),
        "total of pages",
        any_total,
        fits_the_names,
        total_stays_below,
        Bug("nobody asks how many pages a slot has", (with_check(SET_REGION, PAGES, nobody_counts),)),
    ),
)
