"""Lookups: where a guest byte lives, which slot has a number, which guest bytes live in a host range.

They change nothing. Userspace cannot ask a kernel for them; it sees their answers in what reads and writes reach.
"""

from __future__ import annotations

from dataclasses import dataclass

from spec.memslots.slot import Slot, Vm, slot_named
from spec.operation import Operation
from spec.outcome import GuestRange, GuestRanges, Located, Slots, SlotView
from spec.profile import Profile
from spec.rule import Check, Rule
from spec.sets import only
from spec.units import page_of, ranges_touch

# REQUEST ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lookup:
    """Where does the byte at `gpa` of this address space live, for a read or for a write?"""

    space: int = 0
    gpa: int = 0
    write: bool = False


@dataclass(frozen=True)
class FindSlot:
    """Which slot has this slot word?"""

    slot: int = 0


@dataclass(frozen=True)
class HvaRange:
    """Which guest bytes, of all address spaces, live at host bytes first..last (first <= last)?"""

    first: int = 0
    last: int = 0


@dataclass(frozen=True)
class Observe:
    """All slots, with everything about them that can be seen."""


# RULES -----------------------------------------------------------------------------------------------------------

MAPPED = Rule(
    id="KVM.ACCESS.MAPPED",
    sentence="Memory can be reached only where a slot is.",
    errno="EFAULT",
    source="virt/kvm/kvm_main.c __gfn_to_hva_many (KVM_HVA_ERR_BAD)",
)
WRITABLE = Rule(
    id="KVM.ACCESS.WRITABLE",
    sentence="A read-only slot cannot be written.",
    errno="EACCES",
    source="virt/kvm/kvm_main.c __gfn_to_hva_many (KVM_HVA_ERR_RO_BAD; EACCES is this specification's name for it)",
)
NAMED = Rule(
    id="KVM.LOOKUP.NAMED",
    sentence="A slot can be found by its number only while it exists.",
    errno="ENOENT",
    source="include/linux/kvm_host.h id_to_memslot",
)


def slot_holding(vm: Vm, space: int, gpa: int) -> Slot | None:
    """The slot of an address space that a guest byte belongs to, or None. There is at most one."""
    gfn = page_of(gpa)
    found: Slot | None = only(vm.slots, lambda slot: slot.space == space and slot.contains(gfn))
    return found


def access_stops_at(vm: Vm, space: int, gpa: int, write: bool) -> Rule | None:
    """The rule that keeps an access from reaching a guest byte, or None."""
    slot = slot_holding(vm, space, gpa)
    if slot is None:
        return MAPPED
    if write and slot.is_read_only():
        return WRITABLE
    return None


def is_not_mapped(profile: Profile, vm: Vm, request: Lookup) -> bool:
    return slot_holding(vm, request.space, request.gpa) is None


def is_not_writable(profile: Profile, vm: Vm, request: Lookup) -> bool:
    slot = slot_holding(vm, request.space, request.gpa)
    return slot is not None and request.write and slot.is_read_only()


def is_not_named(profile: Profile, vm: Vm, request: FindSlot) -> bool:
    return slot_named(vm, request.slot) is None


LOOKUP_CHECKS = (Check(MAPPED, is_not_mapped), Check(WRITABLE, is_not_writable))
FIND_CHECKS = (Check(NAMED, is_not_named),)

# EFFECT ----------------------------------------------------------------------------------------------------------


def view(slot: Slot) -> SlotView:
    """A slot as seen from outside."""
    return SlotView(
        space=slot.space,
        id=slot.id,
        first=slot.first_gpa(),
        last=slot.last_gpa(),
        host=slot.hva,
        flags=slot.flags,
        dirty=slot.dirty,
    )


def in_order(vm: Vm) -> list[Slot]:
    """The slots in order of address space and guest address."""
    return sorted(vm.slots, key=lambda slot: (slot.space, slot.base_gfn))


def locate(profile: Profile, vm: Vm, request: Lookup) -> tuple[Vm, Located]:
    slot = slot_holding(vm, request.space, request.gpa)
    assert slot is not None
    return vm, Located(slot.hva_of(request.gpa), slot.last_gpa())


def find(profile: Profile, vm: Vm, request: FindSlot) -> tuple[Vm, Slots]:
    slot = slot_named(vm, request.slot)
    assert slot is not None
    return vm, Slots((view(slot),))


def guest_ranges_in(profile: Profile, vm: Vm, request: HvaRange) -> tuple[Vm, GuestRanges]:
    """The part of each slot that lies in the host range. Slots may share host memory: then each has its own."""
    found = []
    for slot in in_order(vm):
        if ranges_touch(slot.hva, slot.last_hva(), request.first, request.last):
            first = slot.first_gpa() + max(request.first - slot.hva, 0)
            last = slot.last_gpa() - max(slot.last_hva() - request.last, 0)
            found.append(GuestRange(slot.space, slot.id, first, last))
    return vm, GuestRanges(tuple(found))


def observe(profile: Profile, vm: Vm, request: Observe) -> tuple[Vm, Slots]:
    return vm, Slots(tuple(view(slot) for slot in in_order(vm)))


LOOKUP = Operation("lookup", Lookup, LOOKUP_CHECKS, locate, changes_state=False)
FIND_SLOT = Operation("find_slot", FindSlot, FIND_CHECKS, find, changes_state=False)
HVA_RANGE = Operation("hva_range", HvaRange, (), guest_ranges_in, changes_state=False)
OBSERVE = Operation("observe", Observe, (), observe, changes_state=False)
