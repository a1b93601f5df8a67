"""What the guest program found out about a kernel, as the spec's profile."""

from __future__ import annotations

from conformance.target import Environment, TargetFailed
from spec.profile import Profile
from spec.step import OPERATIONS


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
        )
    except (KeyError, ValueError) as wrong:
        raise TargetFailed(f"{name}: the probe's answer makes no sense ({wrong})") from None
    facts = {key.removeprefix("fact."): value for key, value in said.items() if key.startswith("fact.")}
    facts |= extra_facts | cross_checked(profile, facts)
    return Environment(name, said.get("version", "?"), profile, tuple(op.name for op in OPERATIONS), facts)


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
