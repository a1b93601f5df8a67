"""The set of slots stays a sane set of slots under every change of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import spec.memslots.set_region
from proofs.bugs import with_check, with_effect, without_check
from proofs.claims import accepted, after
from proofs.invariants import (
    MODES,
    bound_files_exist,
    bound_ranges_are_apart,
    bound_ranges_fit,
    logs_are_kept_where_asked,
    memfd_fields_agree,
    names_are_unique,
    slots_are_disjoint,
    slots_are_well_formed,
    slots_are_within_the_width,
    valid,
)
from proofs.requests import set_region
from proofs.symbolic.boolean import all_of
from proofs.theorem import Bug, Patch, Theorem
from proofs.world import World
from spec.memslots.set_region import (
    GFN_LIMIT,
    GPA_WRAP,
    MEMFD_BOUND,
    MEMFD_BOUND_EINVAL,
    MEMFD_RANGE,
    OVERLAP,
    SET_REGION,
    SetRegion,
    binds_memfd,
    is_create,
    is_move,
)
from spec.memslots.set_region import effect as set_region_effect
from spec.memslots.slot import LOG_DIRTY_PAGES, Slot, Vm, has_flag, id_of, slot_named, space_of
from spec.outcome import Done
from spec.pages import NO_PAGES, Pages
from spec.profile import Profile
from spec.sets import added, kept, only, some
from spec.units import U64, page_of


def any_change(world: World) -> dict[str, Any]:
    return {"profile": world.profile(), "vm": world.vm(), "request": set_region(world)}


def is_accepted_in_a_valid_vm(profile: Profile, vm: Vm, request: SetRegion) -> Any:
    """The VM is valid, and the request breaks no rule."""
    return all_of(valid(profile, vm), accepted(profile, vm, request))


def slots_are_disjoint_after(profile: Profile, vm: Vm, request: SetRegion) -> Any:
    return slots_are_disjoint(after(profile, vm, request))


def names_are_unique_after(profile: Profile, vm: Vm, request: SetRegion) -> Any:
    return names_are_unique(after(profile, vm, request))


def slots_are_well_formed_after(profile: Profile, vm: Vm, request: SetRegion) -> Any:
    return slots_are_well_formed(profile, after(profile, vm, request))


def valid_and_within_the_width(profile: Profile, vm: Vm, request: SetRegion) -> Any:
    """Before the change, every slot ends within the guest's physical address width, where there is one."""
    return all_of(is_accepted_in_a_valid_vm(profile, vm, request), slots_are_within_the_width(profile, vm))


def slots_are_within_the_width_after(profile: Profile, vm: Vm, request: SetRegion) -> Any:
    return slots_are_within_the_width(profile, after(profile, vm, request))


def logs_are_kept_where_asked_after(profile: Profile, vm: Vm, request: SetRegion) -> Any:
    return logs_are_kept_where_asked(after(profile, vm, request))


def valid_with_memfds_apart(profile: Profile, vm: Vm, request: SetRegion) -> Any:
    """Before the change, no page of a guest memory file belongs to two slots."""
    return all_of(is_accepted_in_a_valid_vm(profile, vm, request), bound_ranges_are_apart(vm))


def memfds_are_right_after(profile: Profile, vm: Vm, request: SetRegion) -> Any:
    changed = after(profile, vm, request)
    return all_of(memfd_fields_agree(changed), bound_ranges_are_apart(changed))


def valid_with_memfds_long_enough(profile: Profile, vm: Vm, request: SetRegion) -> Any:
    """Before the change, every slot on a guest memory file lies within the file, and the file exists."""
    return all_of(is_accepted_in_a_valid_vm(profile, vm, request), bound_files_exist(vm), bound_ranges_fit(vm))


def bound_ranges_fit_after(profile: Profile, vm: Vm, request: SetRegion) -> Any:
    changed = after(profile, vm, request)
    return all_of(bound_files_exist(changed), bound_ranges_fit(changed))


def only_slots_change(profile: Profile, vm: Vm, request: SetRegion) -> Any:
    changed = after(profile, vm, request)
    return all_of(changed.memfds is vm.memfds, *(getattr(changed, mode) == getattr(vm, mode) for mode in MODES))


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def overlap_misses_the_last_page(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    if not (is_create(vm, request) or is_move(vm, request)):
        return False
    space, slot_id = space_of(request.slot), id_of(request.slot)
    first = page_of(request.gpa)
    last = first + page_of(request.size) - 2
    return some(vm.slots, lambda slot: slot.space == space and slot.id != slot_id and slot.touches(first, last))


def old_slot_stays(profile: Profile, vm: Vm, request: SetRegion) -> tuple[Vm, Done]:
    changed, answer = set_region_effect(profile, vm, request)
    if not is_move(vm, request):
        return changed, answer
    new = slot_named(changed, request.slot)
    return replace(vm, slots=added(vm.slots, new)), answer


def last_gfn_may_be_mapped(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return request.gpa + request.size > U64


def only_the_first_gfn_counts(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return profile.max_gfn is not None and request.size > 0 and page_of(request.gpa) > profile.max_gfn


def log_is_never_dropped(vm: Vm, old: Slot | None, flags: int, npages: int) -> Pages | None:
    if old is not None and old.dirty is not None:
        return old.dirty
    return NO_PAGES if has_flag(flags, LOG_DIRTY_PAGES) and vm.dirty_ring == 0 else None


def offset_is_forgotten(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    file = only(vm.memfds, lambda memfd: memfd.file == request.memfd)
    if not binds_memfd(vm, request) or file is None:
        return False
    return bool(page_of(request.size) > file.npages)


def files_are_forgotten(profile: Profile, vm: Vm, request: SetRegion) -> tuple[Vm, Done]:
    changed, answer = set_region_effect(profile, vm, request)
    return replace(changed, memfds=kept(vm.memfds, lambda memfd: False)), answer


# THEOREMS --------------------------------------------------------------------------------------------------------


def about_set_region(
    suffix: str,
    sentence: str,
    rules: tuple[str, ...],
    invariant: str,
    given: Callable[..., Any],
    holds: Callable[..., Any],
    bug: Bug,
) -> Theorem:
    return Theorem(f"MEMSLOT.{suffix}", sentence, rules, ("set_region",), invariant, any_change, given, holds, bug)


THEOREMS = (
    about_set_region(
        "DISJOINT",
        "After any accepted change, no two slots of one address space share a guest page.",
        ("KVM.SLOT.OVERLAP",),
        "disjoint",
        is_accepted_in_a_valid_vm,
        slots_are_disjoint_after,
        Bug(
            "the overlap check stops one page before the new slot's last page",
            (with_check(SET_REGION, OVERLAP, overlap_misses_the_last_page),),
        ),
    ),
    about_set_region(
        "UNIQUE",
        "After any accepted change, no two slots have the same address space and number.",
        ("KVM.SLOT.NUMBER",),
        "unique names",
        is_accepted_in_a_valid_vm,
        names_are_unique_after,
        Bug("a moved slot is put to its new place and the old one stays", (with_effect(SET_REGION, old_slot_stays),)),
    ),
    about_set_region(
        "WELL_FORMED",
        "After any accepted change, every slot has 1 to 2^31 - 1 pages, aligned addresses, a number, an address space "
        "and flags that exist, ends below 2^64 on the guest's side and below the user limit on the host's.",
        (
            "KVM.SLOT.NUMBER",
            "KVM.SLOT.FLAGS",
            "KVM.SLOT.FIRST_FORM_FLAGS",
            "KVM.SLOT.SIZE_ALIGNED",
            "KVM.SLOT.GPA_ALIGNED",
            "KVM.SLOT.HVA_ALIGNED",
            "KVM.SLOT.HVA_LIMIT",
            "KVM.SLOT.SPACE",
            "KVM.SLOT.GPA_WRAP",
            "KVM.SLOT.PAGES",
        ),
        "well formed",
        is_accepted_in_a_valid_vm,
        slots_are_well_formed_after,
        Bug(
            "guest address + size may be 2^64 exactly, so that the very last guest page can be mapped",
            (with_check(SET_REGION, GPA_WRAP, last_gfn_may_be_mapped),),
        ),
    ),
    about_set_region(
        "WITHIN_WIDTH",
        "After any accepted change, every slot ends within the guest's physical address width, where there is one.",
        ("KVM.SLOT.GFN_LIMIT",),
        "within the width",
        valid_and_within_the_width,
        slots_are_within_the_width_after,
        Bug(
            "only the first page is compared with the limit",
            (with_check(SET_REGION, GFN_LIMIT, only_the_first_gfn_counts),),
        ),
    ),
    about_set_region(
        "LOG_WHERE_ASKED",
        "After any accepted change, a slot keeps a dirty log only if its flag asks for one, and always if the flag "
        "asks and the VM has no dirty ring.",
        ("KVM.DIRTY.LOGGED",),
        "log where asked",
        is_accepted_in_a_valid_vm,
        logs_are_kept_where_asked_after,
        Bug(
            "turning the flag off leaves the log in place",
            (Patch(spec.memslots.set_region, "dirty_log_after", log_is_never_dropped),),
        ),
    ),
    about_set_region(
        "MEMFD_APART",
        "After any accepted change, a page of a guest memory file belongs to at most one slot, and a slot names a file "
        "exactly if it has the flag for it.",
        (
            "KVM.SLOT.MEMFD_FLAGS",
            "KVM.SLOT.MEMFD_FIXED",
            "KVM.SLOT.MEMFD_KIND",
            "KVM.SLOT.MEMFD_OPEN",
            "KVM.SLOT.MEMFD_BOUND",
            "KVM.SLOT.MEMFD_BOUND_EINVAL",
        ),
        "memfd bindings",
        valid_with_memfds_apart,
        memfds_are_right_after,
        Bug(
            "a range of a file that another slot holds is not looked for",
            (without_check(SET_REGION, MEMFD_BOUND, MEMFD_BOUND_EINVAL),),
        ),
    ),
    about_set_region(
        "MEMFD_INSIDE",
        "After any accepted change, every slot on a guest memory file lies within the file, and the file exists.",
        ("KVM.SLOT.MEMFD_RANGE", "KVM.SLOT.MEMFD_OFFSET"),
        "memfd bindings",
        valid_with_memfds_long_enough,
        bound_ranges_fit_after,
        Bug(
            "the offset into the file is forgotten when its end is checked",
            (with_check(SET_REGION, MEMFD_RANGE, offset_is_forgotten),),
        ),
    ),
    about_set_region(
        "ONLY_SLOTS",
        "A change of slots changes no guest memory file and no mode of the VM.",
        (),
        "others untouched",
        is_accepted_in_a_valid_vm,
        only_slots_change,
        Bug("the files are forgotten", (with_effect(SET_REGION, files_are_forgotten),)),
    ),
)
