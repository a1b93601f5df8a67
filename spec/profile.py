"""Profiles: where implementations legitimately differ, each difference a named switch.

A target states (or is probed for) its profile when it starts. An expectation may depend on a switch,
never on a kernel's name or version: stable kernels take behaviour over from later ones.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from spec.units import PAGE_SIZE


@dataclass(frozen=True)
class Profile:
    """The switches of one implementation. `SWITCHES` has a sentence and a source for each."""

    user_slots: int = 32764
    address_spaces: int = 2
    user_limit: int = 2**47 - PAGE_SIZE
    max_gfn: int | None = 2**28 - 1
    region2: bool = False
    guest_memfd: str = "absent"
    memfd_rebind_errno: str = "EEXIST"
    dirty_ring: bool = True
    smallest_dirty_ring: int = PAGE_SIZE
    max_regions: int = 64
    iotlb_limit: int = 2048
    retirement: str = "fifo"
    features: int = 0x33D008000
    iotlb_mode: str = "stays"


@dataclass(frozen=True)
class Switch:
    """What one field of `Profile` means, where it comes from, and the values that published vectors cover."""

    name: str
    sentence: str
    source: str
    published: tuple[int | bool | str | None, ...]


SWITCHES: tuple[Switch, ...] = (
    Switch(
        "user_slots",
        "How many slot numbers an address space offers to userspace: 0 .. user_slots - 1.",
        "KVM_CAP_NR_MEMSLOTS; include/linux/kvm_host.h KVM_USER_MEM_SLOTS (32764 from 5.12); "
        "509 in 5.10, arch/x86/include/asm/kvm_host.h",
        (32764, 509),
    ),
    Switch(
        "address_spaces",
        "How many address spaces a VM has; slots of different address spaces never conflict.",
        "KVM_CAP_MULTI_ADDRESS_SPACE; arch/x86/include/asm/kvm_host.h (2 where SMM is built in)",
        (2, 1),
    ),
    Switch(
        "user_limit",
        "The first byte address that a user mapping may not reach.",
        "arch/x86/include/asm/page_64_types.h TASK_SIZE_MAX (2^47 - 4096, or 2^56 - 4096 with 5-level paging)",
        (2**47 - PAGE_SIZE, 2**56 - PAGE_SIZE),
    ),
    Switch(
        "max_gfn",
        "The last page that a slot may contain; None where a slot is not checked against the physical address width.",
        "arch/x86/kvm/x86.c kvm_arch_prepare_memory_region, arch/x86/kvm/mmu.h kvm_mmu_max_gfn (absent in 5.10)",
        (2**28 - 1, None, 2**40 - 1),
    ),
    Switch(
        "region2",
        "Whether KVM_SET_USER_MEMORY_REGION2 exists.",
        "virt/kvm/kvm_main.c kvm_vm_ioctl (from 6.8)",
        (False, True),
    ),
    Switch(
        "guest_memfd",
        "Whether guest memory files exist for an ordinary VM: 'absent', 'create_only' "
        "(files can be made, slots refuse the flag) or 'bind'.",
        "virt/kvm/kvm_main.c check_memory_region_flags (6.12: only for VMs with private memory; later: every VM)",
        ("absent", "create_only", "bind"),
    ),
    Switch(
        "memfd_rebind_errno",
        "The error for a range of a guest memory file that another slot already holds.",
        "virt/kvm/guest_memfd.c kvm_gmem_bind (EINVAL in 6.12, EEXIST in 7.2)",
        ("EEXIST", "EINVAL"),
    ),
    Switch(
        "dirty_ring",
        "Whether dirty pages can be reported through a ring instead of bitmaps.",
        "virt/kvm/kvm_main.c kvm_vm_ioctl_enable_dirty_log_ring (from 5.11)",
        (True, False),
    ),
    Switch(
        "smallest_dirty_ring",
        "The smallest ring, in bytes: a page, or more where the hardware's own log needs reserved entries.",
        "virt/kvm/dirty_ring.c kvm_dirty_ring_get_rsvd_entries",
        (PAGE_SIZE, 4 * PAGE_SIZE),
    ),
    Switch(
        "max_regions",
        "How many regions a memory table may have.",
        "drivers/vhost/vhost.c module parameter max_mem_regions (64, a VMM's host often sets more)",
        (64, 3),
    ),
    Switch(
        "iotlb_limit",
        "How many entries a memory table or a device IOTLB can hold.",
        "drivers/vhost/vhost.c module parameter max_iotlb_entries (2048)",
        (2048, 4),
    ),
    Switch(
        "retirement",
        "Which entry a full IOTLB gives up for a new one: 'fifo', the one that came first, or 'lru', the one whose "
        "last use is longest ago.",
        "drivers/vhost/iotlb.c vhost_iotlb_add_range_ctx (the head of the list, which no lookup changes); the change "
        "that brought the limit speaks of the least recently used",
        ("fifo", "lru"),
    ),
    Switch(
        "features",
        "The feature bits that the device offers, as one word.",
        "drivers/vhost/net.c vhost_net_bits (VHOST_GET_FEATURES; 6.12 adds RING_RESET, 7.2 also IN_ORDER)",
        (0x33D008000, 0x1033D008000, 0x10B3D008000),
    ),
    Switch(
        "iotlb_mode",
        "What VHOST_SET_FEATURES does to a device's mode: 'stays' where a device that once had an IOTLB keeps one for "
        "good; 'follows' where leaving the feature out removes the IOTLB, and going in or out forgets the rings.",
        "drivers/vhost/net.c vhost_net_set_features, drivers/vhost/vhost.c vhost_clear_device_iotlb (7.2: follows)",
        ("stays", "follows"),
    ),
)

# Names for the combinations that the distribution kernels showed when they were probed.
PROFILES: dict[str, Profile] = {
    "tree": Profile(),
    "array": Profile(user_slots=509, max_gfn=None, dirty_ring=False),
    "region2": Profile(region2=True, guest_memfd="create_only", memfd_rebind_errno="EINVAL"),
    "guest-memfd": Profile(region2=True, guest_memfd="bind"),
}


def with_switches(profile: Profile, switches: dict[str, int | bool | str | None]) -> Profile:
    """The profile with some switches set otherwise. Raises KeyError for a name that is no switch."""
    known = {field.name for field in fields(Profile)}
    for name in switches:
        if name not in known:
            raise KeyError(f"{name} is not a profile switch; there are: {', '.join(sorted(known))}")
    return replace(profile, **switches)  # type: ignore[arg-type]
