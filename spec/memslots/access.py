"""Accesses to guest memory: by the kernel on the guest's behalf, and by a virtual CPU that runs guest code.

Both use address space 0 (the other one is for system management mode). Both write through `written_to`, so both mark
the page in the slot's log. The host memory behind a slot is taken to be there: an access to host addresses that nothing
is mapped at fails in ways that are not specified here. The kernel's reads fall into the same pieces as its writes, each
where `spec.memslots.lookup` finds it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from spec.memslots.lookup import access_stops_at, slot_holding
from spec.memslots.slot import Slot, Vm
from spec.operation import Operation
from spec.outcome import Mmio, Segment, Touched, Written
from spec.profile import Profile
from spec.sets import added, removed
from spec.units import PAGE_SIZE, page_of

GUEST_SPACE = 0

# REQUEST ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GuestWrite:
    """The kernel writes `length` bytes at guest address `gpa`, as it does for the guest's clock."""

    gpa: int = 0
    length: int = 12


@dataclass(frozen=True)
class VcpuRead:
    """Guest code reads the byte at `gpa`."""

    gpa: int = 0


@dataclass(frozen=True)
class VcpuWrite:
    """Guest code writes the byte at `gpa`."""

    gpa: int = 0


# RULES: an access is never refused as a whole. It reaches what it reaches, or is stopped at a byte by a rule of
# `spec.memslots.lookup`.

# EFFECT ----------------------------------------------------------------------------------------------------------


def pieces_by_page(gpa: int, length: int) -> list[tuple[int, int]]:
    """The ranges first..last into which an access falls at page borders, in order."""
    end = gpa + length
    pieces = []
    while gpa < end:
        next_page = (page_of(gpa) + 1) * PAGE_SIZE
        pieces.append((gpa, min(next_page, end) - 1))
        gpa = next_page
    return pieces


def written_to(vm: Vm, slot: Slot, gpa: int) -> Vm:
    """The VM after a write to a guest byte of this slot: the page is in the log, where one is kept and used."""
    if slot.dirty is None or vm.dirty_ring > 0:
        return vm
    page = page_of(gpa) - slot.base_gfn
    logged = replace(slot, dirty=slot.dirty.with_page(page))
    return replace(vm, slots=added(removed(vm.slots, slot), logged))


def guest_write(profile: Profile, vm: Vm, request: GuestWrite) -> tuple[Vm, Written]:
    """Page by page, each looked up on its own. What was written before the access is stopped stays written."""
    vm = replace(vm, has_vcpu=True)
    done: list[Segment] = []
    for first, last in pieces_by_page(request.gpa, request.length):
        rule = access_stops_at(vm, GUEST_SPACE, first, write=True)
        if rule is not None:
            return vm, Written(tuple(done), stopped_by=rule)
        slot = slot_holding(vm, GUEST_SPACE, first)
        assert slot is not None
        done.append(Segment(first, last, slot.hva_of(first)))
        vm = written_to(vm, slot, first)
    return vm, Written(tuple(done))


def vcpu_read(profile: Profile, vm: Vm, request: VcpuRead) -> tuple[Vm, Touched | Mmio]:
    vm = replace(vm, has_vcpu=True)
    slot = slot_holding(vm, GUEST_SPACE, request.gpa)
    if slot is None:
        return vm, Mmio(request.gpa)
    return vm, Touched(slot.hva_of(request.gpa))


def vcpu_write(profile: Profile, vm: Vm, request: VcpuWrite) -> tuple[Vm, Touched | Mmio]:
    """A write to a read-only slot leaves to userspace as a write to no memory does, and changes nothing."""
    vm = replace(vm, has_vcpu=True)
    slot = slot_holding(vm, GUEST_SPACE, request.gpa)
    if slot is None or slot.is_read_only():
        return vm, Mmio(request.gpa)
    return written_to(vm, slot, request.gpa), Touched(slot.hva_of(request.gpa))


GUEST_WRITE = Operation("guest_write", GuestWrite, (), guest_write, changes_state=True)
VCPU_READ = Operation("vcpu_read", VcpuRead, (), vcpu_read, changes_state=True)
VCPU_WRITE = Operation("vcpu_write", VcpuWrite, (), vcpu_write, changes_state=True)
