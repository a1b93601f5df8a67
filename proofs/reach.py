"""From a fresh state to a given one: the requests that lead there. For VMs; `reach_vhost` does it for devices."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

from spec.memslots.access import VcpuRead
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.manual_protect import INITIALLY_SET, MANUAL_PROTECT, EnableManualProtect
from spec.memslots.set_region import SetRegion, wants_memfd
from spec.memslots.slot import EMPTY_VM, Slot, Vm
from spec.profile import Profile
from spec.step import step
from spec.units import U16_MAX, address_of


def request_for(slot: Slot) -> SetRegion:
    """The request that creates a slot with these fields."""
    request = SetRegion(
        slot=slot.space * (U16_MAX + 1) + slot.id,
        flags=slot.flags,
        gpa=slot.first_gpa(),
        size=address_of(slot.npages),
        hva=slot.hva,
        memfd=slot.memfd,
        memfd_offset=address_of(slot.memfd_page),
    )
    if not wants_memfd(request):
        return request
    return SetRegion(**{**vars(request), "version": 2})


def setup_for(profile: Profile, vm: Vm) -> tuple[Any, ...] | None:
    """Requests after which an empty VM is this one, or None where none were found."""
    return next(setups_of_vm(profile, vm), None)


def setups_of_vm(profile: Profile, vm: Vm) -> Iterator[tuple[Any, ...]]:
    """Requests after which an empty VM is this one.

    Logs with some pages in them are not built: a VM is found whose logs are as they start.
    """
    files: list[Any] = [
        CreateGuestMemfd(file=memfd.file, size=address_of(memfd.npages))
        for memfd in sorted(vm.memfds, key=lambda memfd: memfd.file)
    ]
    slots = [request_for(slot) for slot in sorted(vm.slots, key=lambda slot: (slot.space, slot.base_gfn))]
    options = MANUAL_PROTECT * vm.manual_protect + INITIALLY_SET * vm.initially_dirty
    modes = [EnableManualProtect(options=options)] if options else []
    ring = [EnableDirtyRing(size=vm.dirty_ring)] if vm.dirty_ring else []
    groups: list[list[Any]] = [slots, modes, ring]
    for parts in permutations(groups):
        setup = [*files, *(request for part in parts for request in part), *([VcpuRead()] if vm.has_vcpu else [])]
        if reached(profile, setup) == vm:
            yield tuple(setup)


def reached(profile: Profile, requests: list[Any], fresh: Any = EMPTY_VM) -> Any:
    """The state after these requests, from a fresh one."""
    state = fresh
    for request in requests:
        state, _ = step(profile, state, request)
    return state
