"""Arbitrary requests of the vhost line: every field over the whole range that the interface has room for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from proofs.symbolic.record import SymWord, one_of, record
from proofs.symbolic.sequence import Untouched
from proofs.world import World
from proofs.world_vhost import LONGEST_PACKET, any_access, any_queue_number
from spec.units import U32_MAX, U64_MAX
from spec.vhost.backend import NO_SOCKET, NONE, TAP, SetBackend
from spec.vhost.device import QUEUES, RECEIVE, TRANSMIT
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import ReadMessage, WriteMessage
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.queue_io import SHORTEST_PACKET, Kick, Offer, Packet, Transmit
from spec.vhost.regions import AddRegion, RemoveRange, RemoveRegion
from spec.vhost.ring import SetLogBase, SetRingAddresses, SetRingSize
from spec.vhost.translate import Translate

FEW_REGIONS = 2  # of a memory table that is given


def _u64(world: World, *names: str) -> dict[str, Any]:
    return {name: world.integer(f"request.{name}", 0, U64_MAX) for name in names}


def _u32(world: World, *names: str) -> dict[str, Any]:
    return {name: world.integer(f"request.{name}", 0, U32_MAX) for name in names}


def _call(world: World) -> dict[str, Any]:
    return {name: world.boolean(f"request.{name}") for name in ("from_owner", "readable")}


def _queue(world: World) -> dict[str, Callable[[], Any]]:
    """A queue that the device has, or another number."""
    other = world.integer("request.queue", QUEUES, U32_MAX)
    return {"queue": one_of("request.queue", (RECEIVE, TRANSMIT), other)}


def _made(kind: type, values: dict[str, Any], lazy: dict[str, Any] | None = None) -> Any:
    return record(kind, values, lazy or {})


def any_region(world: World, name: str) -> Region:
    """Any region."""
    return Region(*(world.integer(f"{name}.{field}", 0, U64_MAX) for field in ("gpa", "size", "hva")))


def set_owner(world: World) -> SetOwner:
    return SetOwner()


def reset_owner(world: World) -> ResetOwner:
    return ResetOwner(from_owner=world.boolean("request.from_owner"))  # type: ignore[arg-type]


def set_features(world: World) -> SetFeatures:
    return SetFeatures(**_u64(world, "features"), readable=world.boolean("request.readable"))  # type: ignore[arg-type]


def set_backend_features(world: World) -> SetBackendFeatures:
    readable: Any = world.boolean("request.readable")
    return SetBackendFeatures(**_u64(world, "features"), readable=readable)


def set_mem_table(world: World, most: int = FEW_REGIONS) -> SetMemTable:
    regions: Any = world.sequence("request.regions", tuple(any_region(world, f"region{i}") for i in range(most)))
    readable: Any = world.boolean("request.regions_readable")
    return SetMemTable(**_call(world), **_u32(world, "padding"), regions=regions, regions_readable=readable)


def add_region(world: World) -> AddRegion:
    return AddRegion(**_from_owner(world), **_u64(world, "gpa", "size", "hva"))


def remove_region(world: World) -> RemoveRegion:
    return RemoveRegion(**_from_owner(world), **_u64(world, "gpa", "size", "hva"))


def remove_range(world: World) -> RemoveRange:
    return RemoveRange(**_from_owner(world), **_u64(world, "first", "last"))


def _from_owner(world: World) -> dict[str, Any]:
    return {"from_owner": world.boolean("request.from_owner")}


def set_log_base(world: World) -> SetLogBase:
    return SetLogBase(**_call(world), **_u64(world, "base"))


def set_ring_size(world: World) -> SetRingSize:
    made: SetRingSize = _made(SetRingSize, {**_call(world), **_u32(world, "size")}, _queue(world))
    return made


def set_ring_addresses(world: World) -> SetRingAddresses:
    values = {**_call(world), **_u32(world, "flags"), **_u64(world, "desc", "used", "avail", "log")}
    made: SetRingAddresses = _made(SetRingAddresses, values, _queue(world))
    return made


def set_backend(world: World) -> SetBackend:
    values = {**_call(world), "backend": SymWord("request.backend", (TAP, NONE, NO_SOCKET))}
    made: SetBackend = _made(SetBackend, values, _queue(world))
    return made


def write_message(world: World) -> WriteMessage:
    return WriteMessage(
        **_u32(world, "framing", "length", "asid"),
        **_u64(world, "iova", "size", "uaddr"),
        kind=world.integer("request.kind", 0, 255),
        perm=world.integer("request.perm", 0, 255),
    )


def read_message(world: World) -> ReadMessage:
    return ReadMessage(**_u32(world, "length"))


def translate(world: World) -> Translate:
    """Any translation, of up to 4 GiB less a byte."""
    values = {**_u64(world, "addr"), **_u32(world, "length", "room")}
    lazy = {"access": any_access("request.access"), "queue": any_queue_number("request.queue")}
    made: Translate = _made(Translate, values, lazy)
    return made


def transmit(world: World) -> Transmit:
    return Transmit(chain=Untouched("request.chain"))  # type: ignore[arg-type]


def offer(world: World) -> Offer:
    return Offer(chain=Untouched("request.chain"))  # type: ignore[arg-type]


def packet(world: World) -> Packet:
    return Packet(length=world.integer("request.length", SHORTEST_PACKET, LONGEST_PACKET))


def kick(world: World) -> Kick:
    made: Kick = _made(Kick, {}, {"queue": any_queue_number("request.queue")})
    return made


# How to make any request of an operation, by the operation's name.
VHOST_REQUESTS: dict[str, Callable[[World], Any]] = {
    "set_owner": set_owner,
    "reset_owner": reset_owner,
    "set_features": set_features,
    "set_backend_features": set_backend_features,
    "set_mem_table": set_mem_table,
    "add_region": add_region,
    "remove_region": remove_region,
    "remove_range": remove_range,
    "set_log_base": set_log_base,
    "set_ring_size": set_ring_size,
    "set_ring_addresses": set_ring_addresses,
    "set_backend": set_backend,
    "write_message": write_message,
    "read_message": read_message,
    "translate": translate,
    "transmit": transmit,
    "offer": offer,
    "packet": packet,
    "kick": kick,
}
