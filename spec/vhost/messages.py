"""Messages on the device's file: userspace writes updates and invalidations of the IOTLB, and reads misses.

A message is 72 bytes in either of two framings: a word that names the framing, a word that is padding (or the address
space, which this device does not have), the message itself (32 bytes), and padding that need not be written.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from spec.operation import Operation
from spec.outcome import MessageTaken, MissRead, NothingRead, Ran
from spec.pages import NO_PAGES
from spec.profile import Profile
from spec.rule import Check, Rule
from spec.units import U64, U64_MAX
from spec.vhost.address_map import READ, WRITE, AddressMap, may, with_entry, with_room, without_range
from spec.vhost.device import Device, Miss, is_host_range
from spec.vhost.run import run_queues

MISS = 1  # what a message says, in its type byte
UPDATE = 2
INVALIDATE = 3

FRAMINGS = (1, 2)
FRAMING_BYTES = 4  # the word that names the framing
NEEDED_BYTES = 40  # up to the end of the message itself
MESSAGE_BYTES = 72

# REQUEST ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WriteMessage:
    """Write `length` bytes that begin with this message.

    An update says that `size` bytes from `iova` on live at host address `uaddr`, and that the device may do there what
    `perm` says (READ, WRITE or both; other bits say nothing). An invalidation takes back what is said of its range;
    `uaddr` and `perm` say nothing in it, nor does `asid`, the address space, in either.
    """

    framing: int = 1
    length: int = MESSAGE_BYTES
    kind: int = UPDATE
    iova: int = 0
    size: int = 0
    uaddr: int = 0
    perm: int = 0
    asid: int = 0


@dataclass(frozen=True)
class ReadMessage:
    """Read a message, without waiting for one, into `length` bytes."""

    length: int = MESSAGE_BYTES


# RULES -----------------------------------------------------------------------------------------------------------

FRAMING_WORD = Rule(
    id="IOTLB.MESSAGE.FRAMING_WORD",
    sentence="A message has at least the word that names its framing.",
    errno="EINVAL",
    source="drivers/vhost/vhost.c vhost_chr_write_iter",
)
FRAMING = Rule(
    id="IOTLB.MESSAGE.FRAMING",
    sentence="The framing is one of those that exist.",
    errno="EINVAL",
    source="drivers/vhost/vhost.c vhost_chr_write_iter",
)
WHOLE = Rule(
    id="IOTLB.MESSAGE.WHOLE",
    sentence="The message is written as a whole; only the padding behind it may be missing.",
    errno="EINVAL",
    source="drivers/vhost/vhost.c vhost_chr_write_iter",
)
EMPTY = Rule(
    id="IOTLB.UPDATE.EMPTY",
    sentence="An update has at least one byte.",
    errno="EINVAL",
    source="drivers/vhost/vhost.c vhost_chr_write_iter (not in 5.10)",
)
KIND = Rule(
    id="IOTLB.MESSAGE.KIND",
    sentence="Userspace may write updates and invalidations; no misses, and no batches, which the device has not.",
    errno="EFAULT",
    source="drivers/vhost/vhost.c vhost_process_iotlb_msg",
)
MODE = Rule(
    id="IOTLB.MESSAGE.MODE",
    sentence="Messages can be taken only in IOTLB mode.",
    errno="EFAULT",
    source="drivers/vhost/vhost.c vhost_process_iotlb_msg",
)
HOST_WRAPS = Rule(
    id="IOTLB.UPDATE.HOST_WRAPS",
    sentence="The host range of an update ends at or before the last host address.",
    errno="EFAULT",
    source="drivers/vhost/vhost.c umem_access_ok, vhost_overflow",
)
HOST = Rule(
    id="IOTLB.UPDATE.HOST",
    sentence="What the device may read or write is user memory.",
    errno="EFAULT",
    source="drivers/vhost/vhost.c umem_access_ok",
)
WRAPS = Rule(
    id="IOTLB.UPDATE.WRAPS",
    sentence="An update ends at or before the last I/O virtual address.",
    errno="EFAULT",
    source="drivers/vhost/iotlb.c vhost_iotlb_add_range_ctx",
)
WAITING = Rule(
    id="IOTLB.MISS.WAITING",
    sentence="A miss can be read only when there is one that was not read.",
    errno="EAGAIN",
    source="drivers/vhost/vhost.c vhost_chr_read_iter",
)


def has_no_framing_word(profile: Profile, device: Device, request: WriteMessage) -> bool:
    return request.length < FRAMING_BYTES


def has_no_known_framing(profile: Profile, device: Device, request: WriteMessage) -> bool:
    return request.framing not in FRAMINGS


def is_cut_short(profile: Profile, device: Device, request: WriteMessage) -> bool:
    return request.length < NEEDED_BYTES


def is_an_empty_update(profile: Profile, device: Device, request: WriteMessage) -> bool:
    return request.kind == UPDATE and request.size == 0


def is_of_no_known_kind(profile: Profile, device: Device, request: WriteMessage) -> bool:
    return request.kind not in (UPDATE, INVALIDATE)


def has_no_iotlb(profile: Profile, device: Device, request: WriteMessage) -> bool:
    return device.iotlb is None


def host_range_wraps(profile: Profile, device: Device, request: WriteMessage) -> bool:
    return request.kind == UPDATE and request.uaddr + request.size > U64


def maps_foreign_memory(profile: Profile, device: Device, request: WriteMessage) -> bool:
    if request.kind != UPDATE or not (may(request.perm, READ) or may(request.perm, WRITE)):
        return False
    return not is_host_range(profile, request.uaddr, request.size)


def range_wraps(profile: Profile, device: Device, request: WriteMessage) -> bool:
    return request.kind == UPDATE and request.iova + request.size > U64


def no_miss_waits(profile: Profile, device: Device, request: ReadMessage) -> bool:
    return request.length >= MESSAGE_BYTES and not device.unread


WRITE_CHECKS = (
    Check(FRAMING_WORD, has_no_framing_word),
    Check(FRAMING, has_no_known_framing),
    Check(WHOLE, is_cut_short),
    Check(EMPTY, is_an_empty_update),
    Check(KIND, is_of_no_known_kind),
    Check(MODE, has_no_iotlb),
    Check(HOST_WRAPS, host_range_wraps),
    Check(HOST, maps_foreign_memory),
    Check(WRAPS, range_wraps),
)
READ_CHECKS = (Check(WAITING, no_miss_waits),)

# EFFECT ----------------------------------------------------------------------------------------------------------


def updated(profile: Profile, iotlb: AddressMap, request: WriteMessage) -> AddressMap:
    """The IOTLB with one more entry; a full one gives up another for it."""
    last = request.iova + request.size - 1
    return with_entry(with_room(profile, iotlb), request.iova, last, request.uaddr, request.perm % 4)


def invalidated(iotlb: AddressMap, request: WriteMessage) -> AddressMap:
    """The IOTLB without any entry that has a byte of the range. A range of no bytes takes nothing, one that goes on
    past the last address goes on at 0.
    """
    if request.size == 0:
        return iotlb
    last = request.iova + request.size - 1
    if last <= U64_MAX:
        return without_range(iotlb, request.iova, last)
    return without_range(without_range(iotlb, request.iova, U64_MAX), 0, last - U64)


def is_answered(miss: Miss, request: WriteMessage) -> bool:
    """Whether an update maps the byte that a miss asks for."""
    return request.iova <= miss.iova <= request.iova + request.size - 1


def answered(pending: tuple[Miss, ...], request: WriteMessage) -> tuple[tuple[Miss, ...], tuple[int, ...]]:
    """The misses that an update leaves, and the queues that it wakes, in the order of the misses that it answers."""
    left = tuple(miss for miss in pending if not is_answered(miss, request))
    woken = dict.fromkeys(miss.queue for miss in pending if is_answered(miss, request))
    return left, tuple(woken)


def write_message(profile: Profile, device: Device, request: WriteMessage) -> tuple[Device, MessageTaken]:
    """An update wakes the queues whose misses it answers: those that userspace has read. The others it does not."""
    assert device.iotlb is not None
    if request.kind == INVALIDATE:
        after = replace(device, iotlb=invalidated(device.iotlb, request))
        return after, MessageTaken(MESSAGE_BYTES, Ran((), NO_PAGES))
    pending, woken = answered(device.pending, request)
    after = replace(device, iotlb=updated(profile, device.iotlb, request), pending=pending)
    after, ran = run_queues(profile, after, woken)
    return after, MessageTaken(MESSAGE_BYTES, ran)


def read_message(profile: Profile, device: Device, request: ReadMessage) -> tuple[Device, MissRead | NothingRead]:
    """The oldest miss that was not read. From now on an update can answer it."""
    if request.length < MESSAGE_BYTES:
        return device, NothingRead()
    miss = device.unread[0]
    after = replace(device, unread=device.unread[1:], pending=(*device.pending, miss))
    return after, MissRead(miss.version, miss.iova, miss.access)


WRITE_MESSAGE = Operation("write_message", WriteMessage, WRITE_CHECKS, write_message, changes_state=True)
READ_MESSAGE = Operation("read_message", ReadMessage, READ_CHECKS, read_message, changes_state=True)
