"""KVM_ENABLE_CAP of KVM_CAP_DIRTY_LOG_RING: report dirty pages through a ring for each virtual CPU instead of bitmaps.

Only what the ring does to the bitmaps is specified here; reading the ring is not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from spec.memslots.call import CALL_CHECKS, Call
from spec.memslots.slot import Vm
from spec.operation import Operation
from spec.outcome import Done
from spec.profile import Profile
from spec.rule import Check, Rule
from spec.units import U32_MAX

LARGEST_RING = 65536 * 16  # bytes: so many entries of 16 bytes

# REQUEST ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EnableDirtyRing(Call):
    """`size` is the ring's size in bytes, of which the kernel looks at the lower 32 bits only."""

    size: int = 0


# RULES -----------------------------------------------------------------------------------------------------------

EXISTS = Rule(
    id="KVM.RING.EXISTS",
    sentence="The dirty ring must exist on this kernel.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c kvm_vm_ioctl_enable_cap_generic",
)
POWER_OF_TWO = Rule(
    id="KVM.RING.POWER_OF_TWO",
    sentence="The size must be a power of two.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c kvm_vm_ioctl_enable_dirty_log_ring",
)
SMALLEST = Rule(
    id="KVM.RING.SMALLEST",
    sentence="The ring must be at least a page long, and long enough for the entries that are reserved.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c kvm_vm_ioctl_enable_dirty_log_ring",
)
LARGEST = Rule(
    id="KVM.RING.LARGEST",
    sentence="The ring has at most 65536 entries (1 MiB).",
    errno="E2BIG",
    source="virt/kvm/kvm_main.c kvm_vm_ioctl_enable_dirty_log_ring",
)
ONCE = Rule(
    id="KVM.RING.ONCE",
    sentence="The ring is chosen once.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c kvm_vm_ioctl_enable_dirty_log_ring",
)
BEFORE_VCPUS = Rule(
    id="KVM.RING.BEFORE_VCPUS",
    sentence="The ring is chosen before the first virtual CPU is made.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c kvm_vm_ioctl_enable_dirty_log_ring",
)


def ring_size(request: EnableDirtyRing) -> int:
    """The size that the kernel takes from the request."""
    return request.size % (U32_MAX + 1)


def ring_does_not_exist(profile: Profile, vm: Vm, request: EnableDirtyRing) -> bool:
    return not profile.dirty_ring


def is_no_power_of_two(profile: Profile, vm: Vm, request: EnableDirtyRing) -> bool:
    return ring_size(request) not in tuple(2**bit for bit in range(32))


def is_too_small(profile: Profile, vm: Vm, request: EnableDirtyRing) -> bool:
    return ring_size(request) < profile.smallest_dirty_ring


def is_too_large(profile: Profile, vm: Vm, request: EnableDirtyRing) -> bool:
    return ring_size(request) > LARGEST_RING


def has_a_ring(profile: Profile, vm: Vm, request: EnableDirtyRing) -> bool:
    return vm.dirty_ring > 0


def has_a_vcpu(profile: Profile, vm: Vm, request: EnableDirtyRing) -> bool:
    return vm.has_vcpu


CHECKS = (
    *CALL_CHECKS,
    Check(EXISTS, ring_does_not_exist),
    Check(POWER_OF_TWO, is_no_power_of_two),
    Check(SMALLEST, is_too_small),
    Check(LARGEST, is_too_large),
    Check(ONCE, has_a_ring),
    Check(BEFORE_VCPUS, has_a_vcpu),
)

# EFFECT ----------------------------------------------------------------------------------------------------------


def effect(profile: Profile, vm: Vm, request: EnableDirtyRing) -> tuple[Vm, Done]:
    """From now on no slot gets a bitmap, and none can be read."""
    return replace(vm, dirty_ring=ring_size(request)), Done()


ENABLE_DIRTY_RING = Operation("enable_dirty_ring", EnableDirtyRing, CHECKS, effect, changes_state=True)
