"""Arbitrary requests: every field over the whole range that the interface has room for."""

from __future__ import annotations

from typing import Any

from proofs.world import NEVER_A_FILE, World
from spec.memslots.access import GuestWrite, VcpuRead, VcpuWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import FindSlot, Lookup
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import SetRegion
from spec.units import U16_MAX, U32_MAX, U64_MAX

HIGHEST_FILE = 2**31 - 1


def _call(world: World) -> dict[str, Any]:
    return {
        "from_owner": world.boolean("request.from_owner"),
        "readable": world.boolean("request.readable"),
    }


def _u64(world: World, *names: str) -> dict[str, Any]:
    return {name: world.integer(f"request.{name}", 0, U64_MAX) for name in names}


def _u32(world: World, *names: str) -> dict[str, Any]:
    return {name: world.integer(f"request.{name}", 0, U32_MAX) for name in names}


def set_region(world: World) -> SetRegion:
    return SetRegion(
        **_call(world),
        **_u32(world, "slot", "flags"),
        **_u64(world, "gpa", "size", "hva", "memfd_offset"),
        version=world.integer("request.version", 1, 2),
        memfd=world.integer("request.memfd", NEVER_A_FILE, HIGHEST_FILE),
    )


def create_guest_memfd(world: World) -> CreateGuestMemfd:
    return CreateGuestMemfd(
        **_call(world), **_u64(world, "size", "flags"), file=world.integer("request.file", 0, HIGHEST_FILE)
    )


def get_dirty_log(world: World) -> GetDirtyLog:
    return GetDirtyLog(**_call(world), **_u32(world, "slot"), buffer_ok=world.boolean("request.buffer_ok"))  # type: ignore[arg-type]


def clear_dirty_log(world: World) -> ClearDirtyLog:
    return ClearDirtyLog(
        **_call(world),
        **_u32(world, "slot", "num_pages"),
        **_u64(world, "first_page"),
        buffer_ok=world.boolean("request.buffer_ok"),  # type: ignore[arg-type]
        cleared=world.pages("request.cleared"),  # type: ignore[arg-type]
    )


def enable_manual_protect(world: World) -> EnableManualProtect:
    return EnableManualProtect(**_call(world), **_u64(world, "options"), **_u32(world, "flags"))


def enable_dirty_ring(world: World) -> EnableDirtyRing:
    return EnableDirtyRing(**_call(world), **_u64(world, "size"))


def guest_write(world: World) -> GuestWrite:
    """A write of at most 12 bytes, as the kernel writes the guest's clock: at most two pages."""
    return GuestWrite(**_u64(world, "gpa"), length=world.integer("request.length", 1, 12))


def vcpu_read(world: World) -> VcpuRead:
    return VcpuRead(**_u64(world, "gpa"))


def vcpu_write(world: World) -> VcpuWrite:
    return VcpuWrite(**_u64(world, "gpa"))


def lookup(world: World) -> Lookup:
    return Lookup(
        **_u64(world, "gpa"),
        space=world.integer("request.space", 0, U16_MAX),
        write=world.boolean("request.write"),  # type: ignore[arg-type]
    )


def find_slot(world: World) -> FindSlot:
    return FindSlot(**_u32(world, "slot"))


# How to make any request of an operation, by the operation's name.
REQUESTS = {
    "set_region": set_region,
    "create_guest_memfd": create_guest_memfd,
    "get_dirty_log": get_dirty_log,
    "clear_dirty_log": clear_dirty_log,
    "enable_manual_protect": enable_manual_protect,
    "enable_dirty_ring": enable_dirty_ring,
    "guest_write": guest_write,
    "vcpu_read": vcpu_read,
    "vcpu_write": vcpu_write,
    "lookup": lookup,
    "find_slot": find_slot,
}
