"""What the guest program found out about a kernel, as the spec's profile; and whether the kernel may be like that.

Vectors are judged by the probed limits. A kernel whose limit is wrong would so be measured with its own measure: each
probed value is therefore compared with what the kernel or the processor announces.
"""

from __future__ import annotations

from typing import Any

from conformance.seen import ERRNO
from conformance.target import Environment, TargetFailed
from conformance.targets.linux.flat_vhost import FOREIGN
from conformance.verdict import published
from spec.profile import Profile
from spec.step import MEMSLOT_OPERATIONS, VHOST_OPERATIONS
from spec.units import PAGE_SIZE
from spec.vhost.device import ACCESS_PLATFORM, INDIRECT, LOG_ALL, VERSION_1, has_feature

UNSEEN = ("Blocked", "Discarded")  # a queue that waits in silence shows nothing to userspace
# Features without which vectors of the vhost line would ask for nothing: every kernel has them.
NEEDED_FEATURES = {
    "LOG_ALL": LOG_ALL,
    "INDIRECT": INDIRECT,
    "VERSION_1": VERSION_1,
    "ACCESS_PLATFORM": ACCESS_PLATFORM,
}
SHADOW_PAGING_BITS = 52  # the width of guest addresses where the processor does not translate them


def environment_from(name: str, hello: bytes, extra_facts: dict[str, str]) -> Environment:
    """The environment that the HELLO frame describes. Raises TargetFailed when a switch is missing or senseless."""
    said: dict[str, str] = {}
    for line in hello.decode(errors="replace").splitlines():
        key, _, value = line.partition("=")
        said[key] = value
    try:
        profile = Profile(
            user_slots=int(said["user_slots"]),
            address_spaces=int(said["address_spaces"]),
            user_limit=int(said["user_limit"]),
            max_gfn=None if said["max_gfn"] == "none" else int(said["max_gfn"]),
            region2=said["region2"] == "1",
            guest_memfd=said["guest_memfd"],
            memfd_rebind_errno=said["memfd_rebind_errno"],
            dirty_ring=said["dirty_ring"] == "1",
            smallest_dirty_ring=int(said["smallest_dirty_ring"]),
            **(device_switches(said) if said.get("vhost") == "1" else {}),
        )
    except (KeyError, ValueError) as wrong:
        raise TargetFailed(f"{name}: the probe's answer makes no sense ({wrong})") from None
    facts = {key.removeprefix("fact."): value for key, value in said.items() if key.startswith("fact.")}
    facts |= extra_facts | cross_checked(profile, facts)
    if said.get("vhost") == "1":
        facts |= facts_of_device(said, profile)
    operations = tuple(op.name for op in MEMSLOT_OPERATIONS)
    if said.get("vhost") == "1":
        operations += tuple(op.name for op in VHOST_OPERATIONS if op.request not in FOREIGN)
    unseen = UNSEEN if said.get("error_numbers", "1") == "1" else (*UNSEEN, ERRNO)
    return Environment(
        name, said.get("version", "?"), profile, operations, facts, contradictions(profile, facts), unseen
    )


def device_switches(said: dict[str, str]) -> dict[str, Any]:
    """The switches of the vhost line. Retirement is not asked for: a kernel that retires otherwise than first in first
    out shows it in the vectors."""
    return {
        "features": int(said["features"]),
        "max_regions": int(said["max_regions"]),
        "iotlb_limit": int(said["iotlb_limit"]),
        "iotlb_mode": said["iotlb_mode"],
    }


def facts_of_device(said: dict[str, str], profile: Profile) -> dict[str, str]:
    """What a reader is to know of a device: what no announcement confirms, and what it cannot be asked for."""
    errors = "the kernel's log has an errno for each failed translation"
    if said.get("error_numbers") != "1":
        errors = "the kernel's log has no errno for a failed translation (no dynamic debug): errors have none"
    return {
        "vhost_features": hex(profile.features),
        "vhost_iotlb_mode": f"{profile.iotlb_mode} as probed; nothing announces it",
        "vhost_errors": errors,
    }


def cross_checked(profile: Profile, facts: dict[str, str]) -> dict[str, str]:
    """The probed limits beside what the processor says of itself: a reader sees at once where they differ."""
    checked = {}
    physical = facts.get("cpuid_physical_bits", "")
    if profile.max_gfn is not None and physical.isdigit():
        same = profile.max_gfn == 2 ** (int(physical) - 12) - 1
        checked["max_gfn_is_physical_width"] = f"{'yes' if same else 'no'} ({physical} bits)"
    linear = facts.get("cpuid_linear_bits", "")
    if linear.isdigit():
        same = profile.user_limit == 2 ** (int(linear) - 1) - 4096
        checked["user_limit_is_linear_width"] = f"{'yes' if same else 'no'} ({linear} bits)"
    return checked


def contradictions(profile: Profile, facts: dict[str, str]) -> tuple[str, ...]:
    """A sentence for each probed value that nothing announces.

    `facts` are those of the guest program: KVM_CHECK_EXTENSION for slots and address spaces, CPUID for widths.
    """
    found = []
    slots = facts.get("kvm_cap_nr_memslots", "nothing")
    if str(profile.user_slots) != slots:
        found.append(f"user_slots is {profile.user_slots} as probed, but KVM_CAP_NR_MEMSLOTS says {slots}")
    spaces = facts.get("kvm_cap_multi_address_space", "nothing")
    if str(profile.address_spaces) != {"0": "1"}.get(spaces, spaces):  # 0: there is no such thing as more than one
        found.append(
            f"address_spaces is {profile.address_spaces} as probed, but KVM_CAP_MULTI_ADDRESS_SPACE says {spaces}"
        )
    limits = [2**47 - PAGE_SIZE]
    if facts.get("cpuid_la57") == "1":  # the processor can; whether it is used was decided at boot
        limits.append(2**56 - PAGE_SIZE)
    if profile.user_limit not in limits:
        found.append(
            f"user_limit is {profile.user_limit:#x} as probed, but user addresses of this processor end at "
            f"{' or '.join(f'{limit:#x}' for limit in limits)}"
        )
    physical = facts.get("cpuid_physical_bits", "")
    widths = [int(physical)] if physical.isdigit() else []
    widths += [SHADOW_PAGING_BITS] if SHADOW_PAGING_BITS not in widths else []
    if profile.max_gfn is not None and profile.max_gfn not in [2 ** (bits - 12) - 1 for bits in widths]:
        found.append(
            f"max_gfn is {profile.max_gfn:#x} as probed, but guest addresses have "
            f"{' or '.join(str(bits) for bits in widths)} bits (CPUID, or shadow paging), or no limit"
        )
    for name, limit, fact in (
        ("max_regions", profile.max_regions, "vhost_max_mem_regions"),
        ("iotlb_limit", profile.iotlb_limit, "vhost_max_iotlb_entries"),
    ):
        if fact in facts and facts[fact] != str(limit):
            found.append(f"{name} is {limit} as probed, but the module's parameter says {facts[fact]}")
    if "vhost_features" in facts:
        missing = [name for name, bit in NEEDED_FEATURES.items() if not has_feature(profile.features, bit)]
        if missing:
            found.append(f"features is {profile.features:#x} as probed, without {', '.join(missing)}")
        elif not published("features", profile.features):
            found.append(f"features is {profile.features:#x} as probed, which no known kernel has")
    # Nothing announces these: the published values are those that the kernel's source has.
    for name, value in (
        ("memfd_rebind_errno", profile.memfd_rebind_errno),
        ("smallest_dirty_ring", profile.smallest_dirty_ring),
    ):
        if not published(name, value):
            found.append(f"{name} is {value} as probed, which no known kernel has")
    return tuple(found)
