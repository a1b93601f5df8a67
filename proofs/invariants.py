"""What is true of every VM that can be reached: the hypotheses of most theorems, and the claims of the first ones."""

from __future__ import annotations

from typing import Any

from proofs.sets import every_pair
from proofs.symbolic.boolean import all_of, any_of, implies, negation
from spec.memslots.set_region import MAX_SLOT_PAGES
from spec.memslots.slot import GUEST_MEMFD, LOG_DIRTY_PAGES, READONLY, Slot, Vm, has_flag
from spec.outcome import SlotView
from spec.profile import Profile
from spec.sets import every, some
from spec.units import U64, address_of, is_page_aligned

# The fields of a VM that are neither slots nor files.
MODES = ("manual_protect", "initially_dirty", "dirty_ring", "has_vcpu")


def same_but_log(one: Slot, other: Slot) -> Any:
    """Two slots agree in all fields but their log."""
    names = ("space", "id", "base_gfn", "npages", "hva", "flags", "memfd", "memfd_page")
    return all_of(*(getattr(one, name) == getattr(other, name) for name in names))


def is_logged(slot: Slot | SlotView, page: int) -> Any:
    """Whether a page (relative to the slot) is in the slot's log."""
    return False if slot.dirty is None else slot.dirty.contains(page)


def same_log_at(one: Slot | SlotView, other: Slot | SlotView, page: int) -> Any:
    """Two slots agree whether they keep a log, and whether this page is in it."""
    return all_of((one.dirty is None) == (other.dirty is None), is_logged(one, page) == is_logged(other, page))


def is_well_formed(profile: Profile, slot: Slot) -> Any:
    """The slot has pages, lies in range on both sides, is aligned, and has a number and flags that exist."""
    return all_of(
        slot.npages >= 1,
        slot.npages <= MAX_SLOT_PAGES,
        address_of(slot.base_gfn + slot.npages) < U64,
        is_page_aligned(slot.hva),
        slot.last_hva() < profile.user_limit,
        slot.space < profile.address_spaces,
        slot.id < profile.user_slots,
        slot.flags <= LOG_DIRTY_PAGES + READONLY + GUEST_MEMFD,
    )


def lies_within_the_width(profile: Profile, slot: Slot) -> Any:
    """The slot ends within the guest's physical address width, where there is one."""
    return True if profile.max_gfn is None else slot.last_gfn() <= profile.max_gfn


def are_apart(one: Slot, other: Slot) -> Any:
    """Two slots of one address space share no guest page."""
    return any_of(one.space != other.space, one.last_gfn() < other.base_gfn, other.last_gfn() < one.base_gfn)


def have_different_names(one: Slot, other: Slot) -> Any:
    """Two slots differ in address space or number."""
    return any_of(one.space != other.space, one.id != other.id)


def slots_are_well_formed(profile: Profile, vm: Vm) -> Any:
    """Each slot is well formed."""
    return every(vm.slots, lambda slot: is_well_formed(profile, slot))


def slots_are_disjoint(vm: Vm) -> Any:
    """No two slots of one address space share a guest page."""
    return every_pair(vm.slots, are_apart)


def names_are_unique(vm: Vm) -> Any:
    """No two slots have the same address space and number."""
    return every_pair(vm.slots, have_different_names)


def logs_are_kept_where_asked(vm: Vm) -> Any:
    """A slot without the flag has no log, and without a ring each slot with the flag has one."""
    return every(
        vm.slots,
        lambda slot: all_of(
            implies(slot.dirty is not None, has_flag(slot.flags, LOG_DIRTY_PAGES)),
            implies(all_of(has_flag(slot.flags, LOG_DIRTY_PAGES), vm.dirty_ring == 0), slot.dirty is not None),
        ),
    )


def logs_stay_inside(vm: Vm, page: int) -> Any:
    """If this page is in the log of a slot, the slot has it."""
    return every(vm.slots, lambda slot: implies(is_logged(slot, page), page < slot.npages))


def memfd_fields_agree(vm: Vm) -> Any:
    """A slot names a guest memory file exactly if it has the flag for it, and then it has no other flag."""
    return every(
        vm.slots,
        lambda slot: any_of(
            all_of(slot.flags == GUEST_MEMFD, slot.memfd >= 0),
            all_of(negation(has_flag(slot.flags, GUEST_MEMFD)), slot.memfd == -1, slot.memfd_page == 0),
        ),
    )


def bound_ranges_are_apart(vm: Vm) -> Any:
    """A page of a guest memory file belongs to at most one slot."""
    return every_pair(
        vm.slots,
        lambda one, other: any_of(
            one.memfd < 0,
            one.memfd != other.memfd,
            one.memfd_page + one.npages <= other.memfd_page,
            other.memfd_page + other.npages <= one.memfd_page,
        ),
    )


def files_are_numbered(vm: Vm) -> Any:
    """Each guest memory file has a number of its own, from 0 on."""
    return all_of(
        every(vm.memfds, lambda memfd: memfd.file >= 0),
        every_pair(vm.memfds, lambda one, other: one.file != other.file),
    )


def bound_ranges_fit(vm: Vm) -> Any:
    """A slot on a guest memory file lies within the file."""
    return every(
        vm.slots,
        lambda slot: every(
            vm.memfds,
            lambda memfd: implies(memfd.file == slot.memfd, slot.memfd_page + slot.npages <= memfd.npages),
        ),
    )


def bound_files_exist(vm: Vm) -> Any:
    """The file that a slot is bound to is one that was made."""
    return every(
        vm.slots,
        lambda slot: any_of(slot.memfd < 0, some(vm.memfds, lambda memfd: memfd.file == slot.memfd)),
    )


def slots_are_within_the_width(profile: Profile, vm: Vm) -> Any:
    """Each slot ends within the guest's physical address width, where there is one."""
    return every(vm.slots, lambda slot: lies_within_the_width(profile, slot))


def well_placed(profile: Profile, vm: Vm, page: int) -> Any:
    """What is true of every reachable VM beside `valid`, and only some theorems need: slots end within the width, and
    what they bind of files is theirs alone and there; this page is in no log of a slot that does not have it.
    """
    return all_of(
        slots_are_within_the_width(profile, vm),
        bound_ranges_are_apart(vm),
        bound_files_exist(vm),
        bound_ranges_fit(vm),
        logs_stay_inside(vm, page),
    )


def valid(profile: Profile, vm: Vm) -> Any:
    """The VM is as every reachable VM is, as far as slots and their names go."""
    return all_of(
        slots_are_well_formed(profile, vm),
        slots_are_disjoint(vm),
        names_are_unique(vm),
        logs_are_kept_where_asked(vm),
        memfd_fields_agree(vm),
        files_are_numbered(vm),
    )
