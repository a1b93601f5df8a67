"""What every call on a VM's file descriptor is checked for before it is looked at."""

from __future__ import annotations

from dataclasses import dataclass

from spec.memslots.slot import Vm
from spec.profile import Profile
from spec.rule import Check, Rule


@dataclass(frozen=True)
class Call:
    """How the request reached the kernel.

    `from_owner` is False when the caller does not have the address space of the process that made the VM (a forked
    child, say). `readable` is False when the pointer to the request leads nowhere.
    """

    from_owner: bool = True
    readable: bool = True


OWNER = Rule(
    id="KVM.CALL.OWNER",
    sentence="Only the process that made the VM may use it, and only while the VM is alive.",
    errno="EIO",
    source="virt/kvm/kvm_main.c kvm_vm_ioctl (kvm->mm, vm_dead; 5.10: vm_bugged)",
)
POINTER = Rule(
    id="KVM.CALL.POINTER",
    sentence="The request must be readable memory of the caller.",
    errno="EFAULT",
    source="virt/kvm/kvm_main.c kvm_vm_ioctl (copy_from_user)",
)


def comes_from_a_stranger(profile: Profile, vm: Vm, request: Call) -> bool:
    return not request.from_owner


def cannot_be_read(profile: Profile, vm: Vm, request: Call) -> bool:
    return not request.readable


CALL_CHECKS = (
    Check(OWNER, comes_from_a_stranger),
    Check(POINTER, cannot_be_read),
)
