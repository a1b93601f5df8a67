"""Translation: a guest range as host memory.

What it means is said byte by byte: the byte at `address` is at the host address that `host_of_byte` gives, or cannot be
had by the rule that `byte_stops_at` names. `translation` says the same in segments: one for each run of bytes of one
entry. It stops at the first byte that cannot be had, and then no byte of the range is read or written. (Entries that
were looked up before that byte were used, for an IOTLB that gives up what is least recently used.)

In IOTLB mode a byte that nothing maps is a *miss*: the device asks userspace for it, and the queue tries again later.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from spec.operation import Operation
from spec.outcome import Faulted, Segment, Translated
from spec.profile import Profile
from spec.rule import Rule
from spec.units import U64_MAX
from spec.vhost.address_map import EMPTY_MAP, READ, AddressMap, after_use, entry_at, may
from spec.vhost.device import TRANSMIT, Device, Miss

MOST_SEGMENTS = 1024  # of one chain, and of one indirect table
MOST_RING_SEGMENTS = 64  # of one access to a ring

# REQUEST ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Translate:
    """The device looks up `length` bytes from guest address `addr` on, to read or to write them, for one of its queues.

    There is room for `room` segments. `access` is READ or WRITE, `queue` one that there is.
    """

    addr: int = 0
    length: int = 0
    access: int = READ
    room: int = MOST_SEGMENTS
    queue: int = TRANSMIT


# RULES: a translation is never refused as a whole. It reaches all bytes, or stops at one by a rule of these. --------

LAST_ADDRESS = Rule(
    id="XLATE.LAST_ADDRESS",
    sentence="No byte comes after the last guest address.",
    errno="EFAULT",
    source="drivers/vhost/vhost.c translate_desc; in IOTLB mode kernels ask for a miss that nothing can answer",
)
ROOM = Rule(
    id="XLATE.ROOM",
    sentence="A translation takes no more segments than there is room for.",
    errno="ENOBUFS",
    source="drivers/vhost/vhost.c translate_desc",
)
MAPPED = Rule(
    id="XLATE.MAPPED",
    sentence="A byte can be reached only where the memory table has a region.",
    errno="EFAULT",
    source="drivers/vhost/vhost.c translate_desc",
)
IN_IOTLB = Rule(
    id="XLATE.IN_IOTLB",
    sentence="In IOTLB mode a byte can be reached only where the IOTLB has an entry; else the device asks for one.",
    errno="EAGAIN",
    source="drivers/vhost/vhost.c translate_desc, vhost_iotlb_miss",
)
PERMITTED = Rule(
    id="XLATE.PERMITTED",
    sentence="A byte can be reached only for what its entry permits; other entries there are not asked.",
    errno="EPERM",
    source="drivers/vhost/vhost.c translate_desc",
)

RULES = (LAST_ADDRESS, ROOM, MAPPED, IN_IOTLB, PERMITTED)

# EFFECT ----------------------------------------------------------------------------------------------------------


def map_in_use(device: Device) -> AddressMap:
    """The map that the device's addresses go through."""
    if device.iotlb is not None:
        return device.iotlb
    return EMPTY_MAP if device.table is None else device.table


def with_map_in_use(device: Device, table: AddressMap) -> Device:
    """The device after its map was used: an IOTLB may remember that, a memory table gives nothing up and need not."""
    return device if device.iotlb is None else replace(device, iotlb=table)


def byte_stops_at(device: Device, address: int, access: int) -> Rule | None:
    """The rule that keeps the device from a guest byte, or None."""
    if address > U64_MAX:
        return LAST_ADDRESS
    entry = entry_at(map_in_use(device), address)
    if entry is None:
        return MAPPED if device.iotlb is None else IN_IOTLB
    if not may(entry.perm, access):
        return PERMITTED
    return None


def host_of_byte(device: Device, address: int) -> int:
    """Where a guest byte lives that some entry covers."""
    entry = entry_at(map_in_use(device), address)
    assert entry is not None
    return entry.host_of(address)


def next_segment(
    profile: Profile, device: Device, address: int, end: int, access: int, room: int
) -> tuple[Device, Segment | Faulted]:
    """The segment that begins at `address`, up to the end of its entry or to the byte before `end`; or why there is
    none. There is room for `room` more segments.
    """
    if room <= 0:
        return device, Faulted(ROOM, address)
    rule = byte_stops_at(device, address, access)
    if rule is not None:
        return device, Faulted(rule, address)
    entry = entry_at(map_in_use(device), address)
    assert entry is not None
    segment = Segment(address, min(entry.last, end - 1), entry.host_of(address))
    return with_map_in_use(device, after_use(profile, map_in_use(device), entry)), segment


def translation(
    profile: Profile, device: Device, addr: int, length: int, access: int, room: int
) -> tuple[Device, Translated | Faulted]:
    """The segments of `length` bytes from `addr` on, or the first byte that cannot be had. No bytes need no entry."""
    segments: list[Segment] = []
    address, end = addr, addr + length
    while address < end:
        device, answer = next_segment(profile, device, address, end, access, room - len(segments))
        if isinstance(answer, Faulted):
            return device, answer
        segments.append(answer)
        address = answer.last + 1
    return device, Translated(tuple(segments))


def after_miss(device: Device, fault: Faulted, access: int, queue: int) -> Device:
    """The device after a translation stopped: in IOTLB mode it has asked for the byte that nothing maps."""
    if fault.rule is not IN_IOTLB:
        return device
    miss = Miss(queue, fault.at, access, device.message_version)
    return replace(device, unread=(*device.unread, miss))


def effect(profile: Profile, device: Device, request: Translate) -> tuple[Device, Translated | Faulted]:
    device, answer = translation(profile, device, request.addr, request.length, request.access, request.room)
    if isinstance(answer, Faulted):
        device = after_miss(device, answer, request.access, request.queue)
    return device, answer


TRANSLATE = Operation("translate", Translate, (), effect, changes_state=True)
