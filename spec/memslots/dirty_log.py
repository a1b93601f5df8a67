"""What reading and clearing a dirty log have in common: whose log it is, and the errors on the way to it."""

from __future__ import annotations

from dataclasses import dataclass

from spec.memslots.call import Call
from spec.memslots.slot import Vm, id_of, slot_named, space_of
from spec.profile import Profile
from spec.rule import Check, Rule
from spec.units import PAGES_PER_WORD, rounded_up


@dataclass(frozen=True)
class LogCall(Call):
    """A call about the dirty log of the slot with this slot word.

    `buffer_ok` is False for a bitmap pointer that leads nowhere.
    """

    slot: int = 0
    buffer_ok: bool = True


RING_EXCLUDES = Rule(
    id="KVM.DIRTY.RING_EXCLUDES",
    sentence="A VM that reports dirty pages through a ring has no bitmaps to read or clear.",
    errno="ENXIO",
    source="virt/kvm/kvm_main.c kvm_get_dirty_log_protect, kvm_clear_dirty_log_protect",
)
SLOT_WORD = Rule(
    id="KVM.DIRTY.SLOT_WORD",
    sentence="The address space and the slot number must be ones that userspace may use.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c kvm_get_dirty_log_protect, kvm_clear_dirty_log_protect",
)
LOGGED = Rule(
    id="KVM.DIRTY.LOGGED",
    sentence="The slot must exist and keep a log.",
    errno="ENOENT",
    source="virt/kvm/kvm_main.c kvm_get_dirty_log_protect, kvm_clear_dirty_log_protect",
)
BUFFER = Rule(
    id="KVM.DIRTY.BUFFER",
    sentence="The bitmap must be memory of the caller; a call that finds it is not leaves the log as it was.",
    errno="EFAULT",
    source="virt/kvm/kvm_main.c kvm_get_dirty_log_protect, kvm_clear_dirty_log_protect; that nothing is lost is this "
    "specification's demand, which kernels meet for CLEAR and under manual protection",
)


def vm_has_a_ring(profile: Profile, vm: Vm, request: LogCall) -> bool:
    return vm.dirty_ring > 0


def slot_word_is_bad(profile: Profile, vm: Vm, request: LogCall) -> bool:
    return space_of(request.slot) >= profile.address_spaces or id_of(request.slot) >= profile.user_slots


def keeps_no_log(profile: Profile, vm: Vm, request: LogCall) -> bool:
    slot = slot_named(vm, request.slot)
    return slot is None or slot.dirty is None


def bitmap_bytes(npages: int) -> int:
    """The size in bytes of a bitmap for this many pages: whole 64-bit words."""
    return rounded_up(npages, PAGES_PER_WORD) // 8


RING_CHECK: Check = Check(RING_EXCLUDES, vm_has_a_ring)
SLOT_WORD_CHECK: Check = Check(SLOT_WORD, slot_word_is_bad)
LOGGED_CHECK: Check = Check(LOGGED, keeps_no_log)
