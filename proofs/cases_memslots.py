"""What the search for cases knows of memslots: VMs that requests lead to, and which of them are easy to read."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from proofs.invariants import MODES, bound_ranges_fit, valid
from proofs.symbolic.boolean import all_of, any_of, implies, negation
from spec.memslots.dirty_ring import LARGEST_RING
from spec.memslots.slot import GUEST_MEMFD, NO_FILE, Slot, Vm
from spec.profile import PROFILES, Profile
from spec.sets import every, some
from spec.units import PAGE_SIZE

HOSTS = (2**44, 2**44 + 2**20 - 1)  # host addresses, first and last, that examples use where they have a choice
# The named profiles, and that of kernels whose guest memory files say EINVAL where later ones say EEXIST.
COVERED = (*PROFILES.values(), replace(PROFILES["guest-memfd"], memfd_rebind_errno="EINVAL"))
LOW_MEMORY = 2**28  # guest addresses below are preferred
FEW_BYTES = 16 * PAGE_SIZE


def is_sensible(profile: Profile) -> Any:
    """Guest memory files come with the second form of the call, and the smallest ring is no larger than the largest."""
    return all_of(
        any_of(profile.guest_memfd == "absent", profile.region2),
        profile.smallest_dirty_ring <= LARGEST_RING,
    )


def fits(profile: Profile, vm: Vm) -> Any:
    """The VM has nothing that it could not get in this profile."""
    return all_of(
        implies(vm.dirty_ring > 0, profile.dirty_ring),
        every(vm.memfds, lambda memfd: profile.guest_memfd != "absent"),
        every(vm.slots, lambda slot: fits_the_profile(profile, slot)),
        every(
            vm.slots,
            lambda slot: any_of(slot.memfd == NO_FILE, some(vm.memfds, lambda memfd: memfd.file == slot.memfd)),
        ),
    )


def can_be_set_up(profile: Profile, vm: Vm) -> Any:
    """The VM is valid and has only what can be had in this profile; its logs are as they start."""
    return all_of(
        valid(profile, vm),
        fits(profile, vm),
        bound_ranges_fit(vm),
        every(vm.memfds, lambda memfd: all_of(memfd.file == 0, memfd.npages >= 1, memfd.npages <= 64)),
        negation(vm.initially_dirty),
        any_of(vm.dirty_ring == 0, vm.dirty_ring == LARGEST_RING),
    )


def can_be(profile: Profile, vm: Vm) -> Any:
    """What is true of every VM that can be reached in this profile."""
    return all_of(valid(profile, vm), fits(profile, vm))


def fits_the_profile(profile: Profile, slot: Slot) -> Any:
    """The slot could be created in this profile."""
    within = True if profile.max_gfn is None else slot.last_gfn() <= profile.max_gfn
    return all_of(within, any_of(slot.flags < GUEST_MEMFD, profile.guest_memfd == "bind"))


def plainness(vm: Vm, request: Any) -> list[Any]:
    """What makes an example easy to read: low and small numbers, host memory of one place, modes at rest."""
    wishes = [negation(getattr(vm, mode)) if mode != "dirty_ring" else vm.dirty_ring == 0 for mode in MODES]
    first, last = HOSTS
    wishes.append(every(vm.slots, lambda slot: all_of(slot.hva >= first, slot.last_hva() <= last, slot.flags <= 1)))
    wishes.append(every(vm.slots, lambda slot: all_of(slot.npages <= 16, slot.last_gfn() < LOW_MEMORY // PAGE_SIZE)))
    named = {field.name: getattr(request, field.name) for field in fields(request)}
    if "hva" in named:
        wishes += [all_of(named["hva"] >= first, named["hva"] + named["size"] <= last + 1), named["version"] == 1]
        wishes += [named["gpa"] < LOW_MEMORY, named["memfd_offset"] == 0, named["memfd"] == NO_FILE]
    if "size" in named:
        wishes.append(named["size"] <= FEW_BYTES)
    return wishes
