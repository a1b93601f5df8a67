"""KVM_SET_USER_MEMORY_REGION and …REGION2: create, move, delete a slot, or change whether it logs dirty pages.

One request does one of five things. Which one follows from the slot that already has this number:

    no such slot, size > 0            create
    size 0                            delete
    other guest address               move (and take the new flags)
    other flags                       change the flags
    all the same                      nothing
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from spec.memslots.call import CALL_CHECKS, Call
from spec.memslots.slot import (
    FILE_OF_ANOTHER_VM,
    GUEST_MEMFD,
    LOG_DIRTY_PAGES,
    NO_FILE,
    NOT_A_GUEST_MEMFD,
    READONLY,
    GuestMemfd,
    Slot,
    Vm,
    has_flag,
    id_of,
    slot_named,
    space_of,
)
from spec.operation import Operation
from spec.outcome import Done
from spec.pages import NO_PAGES, Pages, all_pages
from spec.profile import Profile
from spec.rule import Check, Rule
from spec.sets import added, only, removed, some
from spec.units import U64, is_page_aligned, page_of, ranges_touch

MAX_SLOT_PAGES = 2**31 - 1

# REQUEST ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetRegion(Call):
    """The fields of struct kvm_userspace_memory_region: sizes and addresses in bytes.

    `slot` is the slot word (address space in the upper half). REGION2 adds the guest memory file (`memfd`, a file
    number, and an offset into it in bytes), which count only with the GUEST_MEMFD flag.
    """

    slot: int = 0
    flags: int = 0
    gpa: int = 0
    size: int = 0
    hva: int = 0
    version: int = 1
    memfd: int = NO_FILE
    memfd_offset: int = 0


def is_delete(request: SetRegion) -> bool:
    return request.size == 0


def is_create(vm: Vm, request: SetRegion) -> bool:
    """Whether the request makes a slot that is not there yet."""
    return request.size > 0 and slot_named(vm, request.slot) is None


def is_move(vm: Vm, request: SetRegion) -> bool:
    """Whether the request puts a slot to another guest address."""
    old = slot_named(vm, request.slot)
    return request.size > 0 and old is not None and page_of(request.gpa) != old.base_gfn


def wants_memfd(request: SetRegion) -> bool:
    return has_flag(request.flags, GUEST_MEMFD)


# RULES -----------------------------------------------------------------------------------------------------------

REGION2 = Rule(
    id="KVM.SLOT.REGION2",
    sentence="The second form of the call must exist.",
    errno="ENOTTY",
    source="virt/kvm/kvm_main.c kvm_vm_ioctl (KVM_SET_USER_MEMORY_REGION2, from 6.8)",
)
FIRST_FORM_FLAGS = Rule(
    id="KVM.SLOT.FIRST_FORM_FLAGS",
    sentence="The first form of the call knows two flags, LOG_DIRTY_PAGES and READONLY; "
    "others are refused before anything else in the request is looked at.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c kvm_vm_ioctl (KVM_SET_USER_MEMORY_REGION_V1_FLAGS, from 6.8)",
)
NUMBER = Rule(
    id="KVM.SLOT.NUMBER",
    sentence="The slot number must be one that userspace may use.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c kvm_vm_ioctl_set_memory_region",
)
FLAGS = Rule(
    id="KVM.SLOT.FLAGS",
    sentence="No flag may be set that this VM does not know.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c check_memory_region_flags",
)
MEMFD_FLAGS = Rule(
    id="KVM.SLOT.MEMFD_FLAGS",
    sentence="A slot on a guest memory file can neither log dirty pages nor be read-only.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c check_memory_region_flags",
)
SIZE_ALIGNED = Rule(
    id="KVM.SLOT.SIZE_ALIGNED",
    sentence="The size must be a multiple of the page size.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c __kvm_set_memory_region (7.2: kvm_set_memory_region)",
)
GPA_ALIGNED = Rule(
    id="KVM.SLOT.GPA_ALIGNED",
    sentence="The guest address must be a multiple of the page size, even when the slot is deleted.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c __kvm_set_memory_region (7.2: kvm_set_memory_region)",
)
HVA_ALIGNED = Rule(
    id="KVM.SLOT.HVA_ALIGNED",
    sentence="The host address must be a multiple of the page size, even when the slot is deleted.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c __kvm_set_memory_region (7.2: kvm_set_memory_region)",
)
HVA_LIMIT = Rule(
    id="KVM.SLOT.HVA_LIMIT",
    sentence="The host range must end at or below the user address limit, even when the slot is deleted; "
    "it need not be mapped, and an address with a tag is past the limit.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c __kvm_set_memory_region (untagged_addr, access_ok)",
)
MEMFD_OFFSET = Rule(
    id="KVM.SLOT.MEMFD_OFFSET",
    sentence="The offset into a guest memory file must be a multiple of the page size, and offset + size below 2^64.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c __kvm_set_memory_region (from 6.8; 7.2: kvm_set_memory_region)",
)
SPACE = Rule(
    id="KVM.SLOT.SPACE",
    sentence="The address space must be one that the VM has.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c __kvm_set_memory_region (7.2: kvm_set_memory_region)",
)
GPA_WRAP = Rule(
    id="KVM.SLOT.GPA_WRAP",
    sentence="Guest address + size must be below 2^64: the very last guest page can never be mapped.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c __kvm_set_memory_region (7.2: kvm_set_memory_region)",
)
PAGES = Rule(
    id="KVM.SLOT.PAGES",
    sentence="A slot has at most 2^31 - 1 pages.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c __kvm_set_memory_region (KVM_MEM_MAX_NR_PAGES)",
)
DELETE_EXISTS = Rule(
    id="KVM.SLOT.DELETE_EXISTS",
    sentence="Only a slot that exists can be deleted.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c __kvm_set_memory_region (7.2: kvm_set_memory_region)",
)
TOTAL_KEPT = Rule(
    id="KVM.SLOT.TOTAL_KEPT",
    sentence="A deleted slot's pages must be among the pages of all slots.",
    errno="EIO",
    source="virt/kvm/kvm_main.c __kvm_set_memory_region (nr_memslot_pages, from 5.17)",
    no_vector="It guards the kernel against itself: the sum is that of the slots, as long as the kernel can add.",
)
TOTAL_PAGES = Rule(
    id="KVM.SLOT.TOTAL_PAGES",
    sentence="The pages of all slots together must be fewer than 2^64.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c __kvm_set_memory_region (nr_memslot_pages, from 5.17)",
    no_vector="It takes more than 2^33 slots of 2^31 - 1 pages, and a VM has fewer than 2^17: a theorem instead.",
)
MEMFD_FIXED = Rule(
    id="KVM.SLOT.MEMFD_FIXED",
    sentence="A slot cannot be put onto a guest memory file, nor taken off it, nor changed on it, once it exists.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c __kvm_set_memory_region (from 6.8; 7.2: kvm_set_memory_region)",
)
HVA_FIXED = Rule(
    id="KVM.SLOT.HVA_FIXED",
    sentence="The host address of an existing slot cannot change.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c __kvm_set_memory_region (7.2: kvm_set_memory_region)",
)
SIZE_FIXED = Rule(
    id="KVM.SLOT.SIZE_FIXED",
    sentence="The size of an existing slot cannot change.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c __kvm_set_memory_region (7.2: kvm_set_memory_region)",
)
READONLY_FIXED = Rule(
    id="KVM.SLOT.READONLY_FIXED",
    sentence="Whether an existing slot is read-only cannot change.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c __kvm_set_memory_region (7.2: kvm_set_memory_region)",
)
OVERLAP = Rule(
    id="KVM.SLOT.OVERLAP",
    sentence="A new or moved slot must not share a guest page with another slot of its address space; "
    "a moved slot may overlap where it was.",
    errno="EEXIST",
    source="virt/kvm/kvm_main.c kvm_check_memslot_overlap (5.10: the loop in __kvm_set_memory_region)",
)
MEMFD_OPEN = Rule(
    id="KVM.SLOT.MEMFD_OPEN",
    sentence="The guest memory file must be open.",
    errno="EBADF",
    source="virt/kvm/guest_memfd.c kvm_gmem_bind",
)
MEMFD_KIND = Rule(
    id="KVM.SLOT.MEMFD_KIND",
    sentence="The file must be a guest memory file, made for this VM.",
    errno="EINVAL",
    source="virt/kvm/guest_memfd.c kvm_gmem_bind",
)
MEMFD_RANGE = Rule(
    id="KVM.SLOT.MEMFD_RANGE",
    sentence="The slot must lie within the guest memory file.",
    errno="EINVAL",
    source="virt/kvm/guest_memfd.c kvm_gmem_bind",
)
MEMFD_BOUND = Rule(
    id="KVM.SLOT.MEMFD_BOUND",
    sentence="A page of a guest memory file belongs to at most one slot.",
    errno="EEXIST",
    source="virt/kvm/guest_memfd.c kvm_gmem_bind (7.2)",
)
MEMFD_BOUND_EINVAL = Rule(
    id="KVM.SLOT.MEMFD_BOUND_EINVAL",
    sentence="A page of a guest memory file belongs to at most one slot (kernels that say so with EINVAL).",
    errno="EINVAL",
    source="virt/kvm/guest_memfd.c kvm_gmem_bind (6.12)",
)
MOVE_TRACKED = Rule(
    id="KVM.SLOT.MOVE_TRACKED",
    sentence="No slot can be moved while a device driver follows the guest's page writes.",
    errno="EINVAL",
    source="arch/x86/kvm/x86.c kvm_arch_prepare_memory_region (kvm_page_track_has_external_user, from 6.6)",
    no_vector="It takes an Intel graphics device that is shared with the guest (KVMGT).",
)
GFN_LIMIT = Rule(
    id="KVM.SLOT.GFN_LIMIT",
    sentence="A new or moved slot must end within the guest's physical address width.",
    errno="EINVAL",
    source="arch/x86/kvm/x86.c kvm_arch_prepare_memory_region (absent in 5.10)",
)
GFN_ALIAS = Rule(
    id="KVM.SLOT.GFN_ALIAS",
    sentence="In a VM whose guest addresses carry a shared bit, no slot may reach into the addresses that have it.",
    errno="EINVAL",
    source="arch/x86/kvm/x86.c kvm_arch_prepare_memory_region (kvm_is_gfn_alias, 7.2)",
    no_vector="Only confidential VMs (TDX) have such a bit.",
)
NO_MEMORY = Rule(
    id="KVM.SLOT.NO_MEMORY",
    sentence="A change for which the kernel finds no memory fails and leaves everything as it was.",
    errno="ENOMEM",
    source="virt/kvm/kvm_main.c __kvm_set_memory_region, kvm_set_memslot; "
    "arch/x86/kvm/x86.c kvm_alloc_memslot_metadata",
    no_vector="Whether a request provokes it depends on the machine's memory; the models and the C library have every "
    "allocation fail in turn.",
)


def needs_the_second_form(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return request.version == 2 and not profile.region2


def has_flags_of_the_second_form(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return profile.region2 and request.version == 1 and request.flags > LOG_DIRTY_PAGES + READONLY


def number_is_not_for_users(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return id_of(request.slot) >= profile.user_slots


def has_unknown_flags(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    known = LOG_DIRTY_PAGES + READONLY
    if profile.guest_memfd == "bind":
        known = known + GUEST_MEMFD
    return request.flags > known


def mixes_memfd_with_other_flags(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return wants_memfd(request) and (has_flag(request.flags, LOG_DIRTY_PAGES) or has_flag(request.flags, READONLY))


def size_is_unaligned(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return not is_page_aligned(request.size)


def gpa_is_unaligned(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return not is_page_aligned(request.gpa)


def hva_is_unaligned(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return not is_page_aligned(request.hva)


def hva_passes_the_limit(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return request.hva + request.size > profile.user_limit


def memfd_offset_is_bad(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return wants_memfd(request) and (
        not is_page_aligned(request.memfd_offset) or request.memfd_offset + request.size >= U64
    )


def space_is_missing(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return space_of(request.slot) >= profile.address_spaces


def gpa_wraps(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return request.gpa + request.size >= U64


def has_too_many_pages(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return page_of(request.size) > MAX_SLOT_PAGES


def deletes_nothing(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return is_delete(request) and slot_named(vm, request.slot) is None


def total_is_never_reached(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    # Following the sum would make every check look at all slots, for an answer that is always the same.
    return False


def total_is_always_kept(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return False


def page_writes_are_followed(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    # VMs with such a device are not specified here.
    return False


def gfn_carries_the_shared_bit(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    # Confidential VMs are not specified here.
    return False


def changes_a_memfd_slot(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    old = slot_named(vm, request.slot)
    return request.size > 0 and old is not None and (wants_memfd(request) or has_flag(old.flags, GUEST_MEMFD))


def changes_the_hva(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    old = slot_named(vm, request.slot)
    return request.size > 0 and old is not None and request.hva != old.hva


def changes_the_size(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    old = slot_named(vm, request.slot)
    return request.size > 0 and old is not None and page_of(request.size) != old.npages


def changes_read_only(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    old = slot_named(vm, request.slot)
    return request.size > 0 and old is not None and has_flag(request.flags, READONLY) != old.is_read_only()


def touches_another_slot(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    if not (is_create(vm, request) or is_move(vm, request)):
        return False
    space, slot_id = space_of(request.slot), id_of(request.slot)
    first = page_of(request.gpa)
    last = first + page_of(request.size) - 1
    return some(
        vm.slots,
        lambda slot: slot.space == space and slot.id != slot_id and slot.touches(first, last),
    )


def binds_memfd(vm: Vm, request: SetRegion) -> bool:
    """Whether the request would bind a new slot to a guest memory file."""
    return wants_memfd(request) and is_create(vm, request)


def memfd_is_of_another_kind(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return binds_memfd(vm, request) and request.memfd in (NOT_A_GUEST_MEMFD, FILE_OF_ANOTHER_VM)


def memfd_is_not_open(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    if not binds_memfd(vm, request) or memfd_is_of_another_kind(profile, vm, request):
        return False
    return not some(vm.memfds, lambda memfd: memfd.file == request.memfd)


def memfd_is_too_short(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    file: GuestMemfd | None = only(vm.memfds, lambda memfd: memfd.file == request.memfd)
    if not binds_memfd(vm, request) or file is None:
        return False
    return page_of(request.memfd_offset) + page_of(request.size) > file.npages


def memfd_range_is_taken(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    if not binds_memfd(vm, request) or request.memfd < 0:
        return False
    first = page_of(request.memfd_offset)
    last = first + page_of(request.size) - 1
    return some(
        vm.slots,
        lambda slot: (
            slot.memfd == request.memfd
            and ranges_touch(slot.memfd_page, slot.memfd_page + slot.npages - 1, first, last)
        ),
    )


def memfd_is_taken_says_eexist(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return profile.memfd_rebind_errno == "EEXIST" and memfd_range_is_taken(profile, vm, request)


def memfd_is_taken_says_einval(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return profile.memfd_rebind_errno == "EINVAL" and memfd_range_is_taken(profile, vm, request)


def passes_the_last_gfn(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    if profile.max_gfn is None or not (is_create(vm, request) or is_move(vm, request)):
        return False
    return page_of(request.gpa) + page_of(request.size) - 1 > profile.max_gfn


def memory_is_always_found(profile: Profile, vm: Vm, request: SetRegion) -> bool:
    return False


CHECKS = (
    CALL_CHECKS[0],
    Check(REGION2, needs_the_second_form),
    CALL_CHECKS[1],
    Check(FIRST_FORM_FLAGS, has_flags_of_the_second_form),
    Check(NUMBER, number_is_not_for_users),
    Check(FLAGS, has_unknown_flags),
    Check(MEMFD_FLAGS, mixes_memfd_with_other_flags),
    Check(SIZE_ALIGNED, size_is_unaligned),
    Check(GPA_ALIGNED, gpa_is_unaligned),
    Check(HVA_ALIGNED, hva_is_unaligned),
    Check(HVA_LIMIT, hva_passes_the_limit),
    Check(MEMFD_OFFSET, memfd_offset_is_bad),
    Check(SPACE, space_is_missing),
    Check(GPA_WRAP, gpa_wraps),
    Check(PAGES, has_too_many_pages),
    Check(DELETE_EXISTS, deletes_nothing),
    Check(TOTAL_KEPT, total_is_always_kept),
    Check(TOTAL_PAGES, total_is_never_reached),
    Check(MEMFD_FIXED, changes_a_memfd_slot),
    Check(HVA_FIXED, changes_the_hva),
    Check(SIZE_FIXED, changes_the_size),
    Check(READONLY_FIXED, changes_read_only),
    Check(OVERLAP, touches_another_slot),
    Check(MEMFD_OPEN, memfd_is_not_open),
    Check(MEMFD_KIND, memfd_is_of_another_kind),
    Check(MEMFD_RANGE, memfd_is_too_short),
    Check(MEMFD_BOUND, memfd_is_taken_says_eexist),
    Check(MEMFD_BOUND_EINVAL, memfd_is_taken_says_einval),
    Check(MOVE_TRACKED, page_writes_are_followed),
    Check(GFN_LIMIT, passes_the_last_gfn),
    Check(GFN_ALIAS, gfn_carries_the_shared_bit),
    Check(NO_MEMORY, memory_is_always_found),
)

# EFFECT ----------------------------------------------------------------------------------------------------------


def dirty_log_after(vm: Vm, old: Slot | None, flags: int, npages: int) -> Pages | None:
    """The log of a slot with these flags: kept where one is kept already, else fresh, or none."""
    if not has_flag(flags, LOG_DIRTY_PAGES):
        return None
    if old is not None and old.dirty is not None:
        return old.dirty
    if vm.dirty_ring > 0:
        return None
    return all_pages(npages) if vm.initially_dirty else NO_PAGES


def effect(profile: Profile, vm: Vm, request: SetRegion) -> tuple[Vm, Done]:
    """The slot is created, moved, changed, deleted or left; every other slot stays as it is.

    The log belongs to the slot: it moves with it (page for page of the slot, not of the guest), survives every
    change that keeps it on, and is lost when it is turned off or the slot deleted.
    """
    old = slot_named(vm, request.slot)
    if is_delete(request):
        return replace(vm, slots=removed(vm.slots, old)), Done()

    npages = page_of(request.size)
    new = Slot(
        space=space_of(request.slot),
        id=id_of(request.slot),
        base_gfn=page_of(request.gpa),
        npages=npages,
        hva=request.hva,
        flags=request.flags,
        dirty=dirty_log_after(vm, old, request.flags, npages),
        memfd=request.memfd if wants_memfd(request) else NO_FILE,
        memfd_page=page_of(request.memfd_offset) if wants_memfd(request) else 0,
    )
    others = vm.slots if old is None else removed(vm.slots, old)
    return replace(vm, slots=added(others, new)), Done()


SET_REGION = Operation("set_region", SetRegion, CHECKS, effect, changes_state=True)
