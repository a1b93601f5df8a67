"""The scenes that vectors of a vhost device begin with, and the things in them.

Whatever a real device needs is there, step by step: an owner, features (before ring addresses, which some kernels
forget with them), a memory table, rings, a backend. Backing R, with rings, packet headers and indirect tables, is
mapped as a whole at RINGS: by a region of the table or, in IOTLB mode, by an update.
"""

from __future__ import annotations

from typing import Any

from conformance import backings, rings
from conformance.backings import place
from spec.units import PAGE_SIZE
from spec.vhost.address_map import READ, WRITE
from spec.vhost.backend import SetBackend
from spec.vhost.device import ACCESS_PLATFORM, INDIRECT, LOG_ALL, RECEIVE, TRANSMIT, VERSION_1, Chain, Descriptor
from spec.vhost.features import SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import INVALIDATE, WriteMessage
from spec.vhost.owner import SetOwner
from spec.vhost.queue_io import Transmit
from spec.vhost.ring import LOG_USED_RING, SetLogBase, SetRingAddresses, SetRingSize

P = PAGE_SIZE
BOTH = READ + WRITE
FEATURES = VERSION_1 + INDIRECT
IOTLB_FEATURES = FEATURES + ACCESS_PLATFORM
RING_SIZE = 32  # descriptors
RINGS = 2**31  # where guest addresses of backing R begin
HEADER_ADDRESS = RINGS + rings.packet_header() - place("R", 0)
LOG_PAGES = 2**23  # that the dirty log has a bit for


def in_rings(host: int) -> int:
    """The guest address of a byte of backing R."""
    return RINGS + host - place("R", 0)


# Memory ----------------------------------------------------------------------------------------------------------

RING_REGION = Region(RINGS, backings.BACKING_SIZE, place("R", 0))
LOW = Region(0x10000, 4 * P, place("A", 0x8000))  # what most vectors look at
RECEIVED = Region(0x40000, 4 * P, place("C", 0x4000))


def table(*regions: Region) -> SetMemTable:
    """A memory table with backing R and these regions behind it."""
    return SetMemTable(regions=(RING_REGION, *regions))


def update(iova: int, size: int, uaddr: int, perm: int = BOTH) -> WriteMessage:
    return WriteMessage(iova=iova, size=size, uaddr=uaddr, perm=perm)


def update_of(region: Region, perm: int = BOTH) -> WriteMessage:
    """The update that says what a region of a memory table would say."""
    return update(region.gpa, region.size, region.hva, perm)


def invalidate(iova: int, size: int) -> WriteMessage:
    return WriteMessage(kind=INVALIDATE, iova=iova, size=size)


RING_UPDATE = update_of(RING_REGION)

# Rings -----------------------------------------------------------------------------------------------------------


def ring_addresses(queue: int, iotlb: bool = False, flags: int = 0, log: int = 0) -> SetRingAddresses:
    """A queue's ring where the driver has it: by host addresses, or where backing R is mapped."""
    desc, used, avail = (rings.desc_of(queue), rings.used_of(queue), rings.avail_of(queue))
    if iotlb:
        desc, used, avail = in_rings(desc), in_rings(used), in_rings(avail)
    return SetRingAddresses(queue=queue, flags=flags, desc=desc, used=used, avail=avail, log=log)


def ring(queue: int, iotlb: bool = False, size: int = RING_SIZE) -> tuple[Any, ...]:
    return (SetRingSize(queue=queue, size=size), ring_addresses(queue, iotlb))


def attach(queue: int) -> SetBackend:
    return SetBackend(queue=queue)


def detach(queue: int) -> SetBackend:
    return SetBackend(queue=queue, backend="none")


# Scenes ----------------------------------------------------------------------------------------------------------

OWNED: tuple[Any, ...] = (SetOwner(),)
READY: tuple[Any, ...] = (SetOwner(), SetFeatures(features=FEATURES))
STOPPED: tuple[Any, ...] = (*READY, table(LOW), *ring(TRANSMIT))
LIVE: tuple[Any, ...] = (*STOPPED, attach(TRANSMIT))


def live(*regions: Region, queue: int = TRANSMIT, size: int = RING_SIZE) -> tuple[Any, ...]:
    """A queue at work over a memory table of these regions."""
    return (*READY, table(*regions), *ring(queue, size=size), attach(queue))


IOTLB_READY: tuple[Any, ...] = (SetOwner(), SetFeatures(features=IOTLB_FEATURES), SetMemTable(), RING_UPDATE)
IOTLB_LIVE: tuple[Any, ...] = (*IOTLB_READY, *ring(TRANSMIT, True), attach(TRANSMIT))


def iotlb_live(*updates: WriteMessage, queue: int = TRANSMIT, size: int = RING_SIZE) -> tuple[Any, ...]:
    """A queue at work in IOTLB mode, after these updates."""
    return (*IOTLB_READY, *ring(queue, True, size), attach(queue), *updates)


BOTH_LIVE: tuple[Any, ...] = (
    *READY,
    table(LOW, RECEIVED),
    *ring(RECEIVE),
    *ring(TRANSMIT),
    attach(RECEIVE),
    attach(TRANSMIT),
)


def logging(base: int = rings.dirty_log(), *regions: Region, queue: int = TRANSMIT) -> tuple[Any, ...]:
    """A queue at work, its writes logged from this base on. Without regions: LOW."""
    return (
        SetOwner(),
        SetFeatures(features=FEATURES + LOG_ALL),
        SetLogBase(base=base),
        table(*(regions or (LOW,))),
        *ring(queue),
        attach(queue),
    )


USED_LOGGED = LOG_USED_RING

# Chains ----------------------------------------------------------------------------------------------------------

HEADER = Descriptor(HEADER_ADDRESS, rings.FRAME_HEADER_BYTES)


def read(addr: int, length: int) -> Descriptor:
    return Descriptor(addr, length)


def written(addr: int, length: int) -> Descriptor:
    return Descriptor(addr, length, writable=True)


def indirect(*inner: Descriptor, number: int = 0, queue: int = TRANSMIT, length: int | None = None) -> Descriptor:
    """An indirect descriptor; its table is at the queue's place of this number."""
    host = rings.table_of(queue, number)
    size = 16 * len(inner) if length is None else length
    return Descriptor(in_rings(host), size, table=tuple(inner), table_host=host)


def packet(*parts: Descriptor) -> Chain:
    """A chain of the transmit queue: a header, and then these."""
    return (HEADER, *parts)


def send(*parts: Descriptor) -> Transmit:
    return Transmit(packet(*parts))
