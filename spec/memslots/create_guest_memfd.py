"""KVM_CREATE_GUEST_MEMFD: make a file of memory that only guests of this VM can reach."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spec.memslots.call import CALL_CHECKS, Call
from spec.memslots.slot import GuestMemfd, Vm
from spec.operation import Operation
from spec.outcome import Done
from spec.profile import Profile
from spec.rule import Check, Rule
from spec.sets import added
from spec.units import is_page_aligned, page_of

LARGEST_FILE = 2**63 - 1

# REQUEST ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CreateGuestMemfd(Call):
    """Ask for a file of `size` bytes, to be known as number `file` (0, 1, 2, … each used once) from then on."""

    file: int = 0
    size: int = 0
    flags: int = 0


# RULES -----------------------------------------------------------------------------------------------------------

EXISTS = Rule(
    id="KVM.MEMFD.EXISTS",
    sentence="Guest memory files must exist on this kernel.",
    errno="ENOTTY",
    source="virt/kvm/kvm_main.c kvm_vm_ioctl (KVM_CREATE_GUEST_MEMFD, from 6.8)",
)
FLAGS = Rule(
    id="KVM.MEMFD.FLAGS",
    sentence="No flag may be set that a guest memory file does not know.",
    errno="EINVAL",
    source="virt/kvm/guest_memfd.c kvm_gmem_create",
)
SIZE = Rule(
    id="KVM.MEMFD.SIZE",
    sentence="The size must be a multiple of the page size, more than 0 and less than 2^63.",
    errno="EINVAL",
    source="virt/kvm/guest_memfd.c kvm_gmem_create",
)


def files_do_not_exist(profile: Profile, vm: Vm, request: CreateGuestMemfd) -> bool:
    return profile.guest_memfd == "absent"


def has_unknown_flags(profile: Profile, vm: Vm, request: CreateGuestMemfd) -> bool:
    # From 6.18 on the two lowest flags are known (mappable, initially shared). They also change where the guest's
    # memory comes from, which is not specified here: vectors do not set them.
    return request.flags != 0


def size_is_bad(profile: Profile, vm: Vm, request: CreateGuestMemfd) -> bool:
    return request.size == 0 or request.size > LARGEST_FILE or not is_page_aligned(request.size)


CHECKS = (
    CALL_CHECKS[0],
    Check(EXISTS, files_do_not_exist),
    CALL_CHECKS[1],
    Check(FLAGS, has_unknown_flags),
    Check(SIZE, size_is_bad),
)

# EFFECT ----------------------------------------------------------------------------------------------------------


def effect(profile: Profile, vm: Vm, request: CreateGuestMemfd) -> tuple[Vm, Done]:
    """There is one more file, bound to no slot."""
    new = GuestMemfd(request.file, page_of(request.size))
    return replace(vm, memfds=added(vm.memfds, new)), Done()


CREATE_GUEST_MEMFD = Operation("create_guest_memfd", CreateGuestMemfd, CHECKS, effect, changes_state=True)
