"""Arbitrary address maps and devices, as `world` has arbitrary VMs."""

from __future__ import annotations

from typing import Any

import z3

from proofs.symbolic.record import one_of, optional, record
from proofs.symbolic.sequence import Untouched
from proofs.symbolic.shape import Shape
from proofs.world import World
from spec.units import U64_MAX
from spec.vhost.address_map import READ, WRITE, AddressMap, Entry
from spec.vhost.device import NO_LOG, QUEUES, RECEIVE, TRANSMIT, Device, Miss, Queue
from spec.vhost.ring import LARGEST_RING

LAST_TICK = 2**128  # of a map's clock, which counts additions
MANY_CHAINS = 2**128  # that a queue has reported
LONGEST_PACKET = 2**16
FEW_MISSES = 2  # of a kind that is walked through

ENTRY_SHAPE = Shape(
    kind=Entry,
    ranges={
        "first": (0, U64_MAX),
        "last": (0, U64_MAX),
        "host": (0, U64_MAX),
        "perm": (0, READ + WRITE),
        "born": (0, LAST_TICK),
        "used": (0, LAST_TICK),
    },
)


def any_map(world: World, name: str) -> AddressMap:
    """Any address map at all, in order or not."""
    return AddressMap(entries=world.set_of(name, ENTRY_SHAPE), clock=world.integer(f"{name}.clock", 0, LAST_TICK))


def any_access(name: str) -> Any:
    """READ or WRITE, as a lazy field."""
    return one_of(name, (READ, WRITE))


def any_queue_number(name: str) -> Any:
    """The number of a queue that the device has, as a lazy field."""
    return one_of(name, (RECEIVE, TRANSMIT))


def any_miss(world: World, name: str) -> Miss:
    """Any miss."""
    values = {"iova": world.integer(f"{name}.iova", 0, U64_MAX), "version": world.integer(f"{name}.version", 1, 2)}
    lazy = {"queue": any_queue_number(f"{name}.queue"), "access": any_access(f"{name}.access")}
    made: Miss = record(Miss, values, lazy)
    return made


def any_queue(world: World, name: str, has_chains: bool = False) -> Queue:
    """Any queue. Which chains wait is left open: a proof that looks there is refused, or may only move them."""
    chains: Any = world.long_sequence(f"{name}.chains", ((),)) if has_chains else Untouched(f"{name}.chains")
    packets: Any = world.long_sequence(f"{name}.packets", (world.integer(f"{name}.packet", 0, LONGEST_PACKET),))
    return Queue(
        size=world.integer(f"{name}.size", 1, LARGEST_RING),
        desc=world.integer(f"{name}.desc", 0, U64_MAX),
        avail=world.integer(f"{name}.avail", 0, U64_MAX),
        used=world.integer(f"{name}.used", 0, U64_MAX),
        log=world.integer(f"{name}.log", NO_LOG, U64_MAX),
        attached=world.boolean(f"{name}.attached"),  # type: ignore[arg-type]
        done=world.integer(f"{name}.done", 0, MANY_CHAINS),
        quiet=world.boolean(f"{name}.quiet"),  # type: ignore[arg-type]
        listening=world.boolean(f"{name}.listening"),  # type: ignore[arg-type]
        chains=chains,
        packets=packets,
    )


def any_device(world: World, walked: str = "", has_chains: bool = False, iotlb: AddressMap | None = None) -> Device:
    """Any device at all, valid or not. The misses of the kind that is `walked` through are few. Its IOTLB, if it has
    one, is any, or this one.
    """
    table, iotlb = any_map(world, "table"), any_map(world, "iotlb") if iotlb is None else iotlb
    log_base = world.integer("device.log_base", 0, U64_MAX)
    unread, pending = (
        (world.sequence if name == walked else world.long_sequence)(
            f"device.{name}", tuple(any_miss(world, f"device.{name}{i}") for i in range(FEW_MISSES))
        )
        for name in ("unread", "pending")
    )
    values = {
        "owned": world.boolean("device.owned"),
        "features": world.integer("device.features", 0, U64_MAX),
        "message_version": world.integer("device.message_version", 1, 2),
        "unread": unread,
        "pending": pending,
        "queues": tuple(any_queue(world, f"device.queue{number}", has_chains) for number in range(QUEUES)),
    }
    lazy = {
        "table": optional(z3.Bool("device.has_table"), lambda: table),
        "iotlb": optional(z3.Bool("device.has_iotlb"), lambda: iotlb),
        "log_base": optional(z3.Bool("device.has_log_base"), lambda: log_base),
    }
    made: Device = record(Device, values, lazy)
    return made
