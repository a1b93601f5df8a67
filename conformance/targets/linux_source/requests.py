"""Requests as the calls that userspace makes and what the driver does, and the answers to them as outcomes."""

from __future__ import annotations

import errno
import struct
from typing import Any

from conformance.target import ErrorSeen, Refused, StepResult
from conformance.targets.linux_source.process import (
    FAULT,
    IOCTL,
    KICK,
    OBSERVE,
    OFFER,
    PACKET,
    RAN,
    READ,
    REFUSED,
    TRANSLATE,
    WRITE,
    WRONG,
    Reply,
    request,
    request_with_bytes,
)
from conformance.targets.linux_source.runs import Chains, ran
from spec.outcome import (
    Done,
    EntryView,
    Faulted,
    MapsView,
    MessageTaken,
    Missed,
    MissRead,
    NothingRead,
    Segment,
    Translated,
)
from spec.units import U32_MAX, U64, U64_MAX
from spec.vhost.backend import NO_SOCKET, TAP, SetBackend
from spec.vhost.device import RECEIVE, TRANSMIT, Chain, Descriptor
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import SetMemTable
from spec.vhost.messages import MESSAGE_BYTES, MISS, ReadMessage, WriteMessage
from spec.vhost.observe import ObserveMaps
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.queue_io import Kick, Offer, Packet, Transmit
from spec.vhost.regions import AddRegion, RemoveRange, RemoveRegion
from spec.vhost.ring import SetLogBase, SetRingAddresses, SetRingSize
from spec.vhost.translate import MOST_SEGMENTS, Translate

# Calls of <linux/vhost.h>.
VHOST_SET_FEATURES = 0x4008AF00
VHOST_SET_OWNER = 0xAF01
VHOST_RESET_OWNER = 0xAF02
VHOST_SET_MEM_TABLE = 0x4008AF03
VHOST_SET_LOG_BASE = 0x4008AF04
VHOST_SET_VRING_NUM = 0x4008AF10
VHOST_SET_VRING_ADDR = 0x4028AF11
VHOST_SET_BACKEND_FEATURES = 0x4008AF25
VHOST_NET_SET_BACKEND = 0x4008AF30

# Files as tap.c numbers them.
FILES = {TAP: 1, NO_SOCKET: 2}
NO_FILE = -1

WITHOUT_CALL = (AddRegion, RemoveRegion, RemoveRange)


def why_not(one: Any) -> str:
    """Why the kernel's code cannot be asked for this, or nothing."""
    if isinstance(one, WITHOUT_CALL):
        return f"Linux has no call for {type(one).__name__}"
    if isinstance(one, Translate) and one.length > U32_MAX:
        return "a translation of more than 2^32 - 1 bytes: the kernel's has a length of 32 bits"
    if isinstance(one, Translate) and one.room > MOST_SEGMENTS:
        return "room for more than 1024 segments: the kernel has no more"
    return ""


def ioctl(call: int, argument: bytes = b"", readable: int | None = None, from_owner: bool = True) -> bytes:
    """A call with its argument, of which only the first `readable` bytes can be read (all, if it is None)."""
    size = len(argument) if readable is None else readable
    return request_with_bytes(IOCTL, (int(from_owner), size, call), argument)


def descriptor_words(one: Descriptor) -> list[int]:
    """A descriptor as driver.c reads it: address, length, kind (1: for the device to write, 2: indirect)."""
    return [one.addr, one.length, int(one.writable) + 2 * int(one.table is not None)]


def chain_words(chain: Chain) -> list[int]:
    words = [len(chain)]
    for one in chain:
        words += descriptor_words(one)
        if one.table is not None:
            words += [one.table_host, len(one.table)]
            for inner in one.table:
                words += descriptor_words(inner)
    return words


def encoded(one: Any) -> bytes:
    """What the process is told for a request."""
    size = None if getattr(one, "readable", True) else 0
    owner = getattr(one, "from_owner", True)
    match one:
        case SetOwner():
            return ioctl(VHOST_SET_OWNER)
        case ResetOwner():
            return ioctl(VHOST_RESET_OWNER, from_owner=owner)
        case SetFeatures(features):
            return ioctl(VHOST_SET_FEATURES, struct.pack("<Q", features), size)
        case SetBackendFeatures(features):
            return ioctl(VHOST_SET_BACKEND_FEATURES, struct.pack("<Q", features), size)
        case SetMemTable():
            head = struct.pack("<II", len(one.regions), one.padding)
            body = b"".join(struct.pack("<4Q", r.gpa, r.size, r.hva, 0) for r in one.regions)
            if size is None and not one.regions_readable:
                size = len(head)
            return ioctl(VHOST_SET_MEM_TABLE, head + body, size, owner)
        case SetLogBase():
            return ioctl(VHOST_SET_LOG_BASE, struct.pack("<Q", one.base), size, owner)
        case SetRingSize():
            return ioctl(VHOST_SET_VRING_NUM, struct.pack("<II", one.queue, one.size), size, owner)
        case SetRingAddresses():
            places = (one.desc, one.used, one.avail, one.log)
            return ioctl(VHOST_SET_VRING_ADDR, struct.pack("<II4Q", one.queue, one.flags, *places), size, owner)
        case SetBackend():
            file = FILES.get(one.backend, NO_FILE)
            return ioctl(VHOST_NET_SET_BACKEND, struct.pack("<Ii", one.queue, file), size, owner)
        case WriteMessage():
            body = struct.pack("<QQQBB6x", one.iova, one.size, one.uaddr, one.perm, one.kind)
            whole = struct.pack("<II", one.framing, one.asid) + body
            return request_with_bytes(WRITE, (), (whole + bytes(max(0, one.length - len(whole))))[: one.length])
        case ReadMessage(length):
            return request(READ, (length,))
        case Translate(addr, length, access, room, queue):
            return request(TRANSLATE, (addr, length, access, room, queue))
        case ObserveMaps():
            return request(OBSERVE, ())
        case Transmit(chain):
            return request(OFFER, (TRANSMIT, 1, *chain_words(chain)))
        case Offer(chain):
            return request(OFFER, (RECEIVE, 0, *chain_words(chain)))
        case Packet(length):
            return request(PACKET, (length,))
        case Kick(queue):
            return request(KICK, (queue,))
    raise TypeError(f"{type(one).__name__} is not for this target")


class Wrong(Exception):
    """The device did what no result can tell: what it reports is not what it did, or a message is not as it must be."""


def decoded(one: Any, reply: Reply, chains: Chains) -> StepResult:
    """What the process's answer to a request says. `chains` are those that were offered up to this request.

    Raises Wrong.
    """
    if reply.kind == WRONG:
        queue, expected, found = reply.words
        raise Wrong(
            f"the used ring of queue {queue} does not say what the device did: index or element "
            f"(head, and bytes written above 32 bits) should be {expected:#x} and is {found:#x}"
        )
    if reply.kind == REFUSED:
        happened = ran(reply.words[1:], chains)
        events: tuple[Any, ...] = happened.events
        if isinstance(one, SetBackend):
            # A backend is refused by what its queue does: it asks for what it misses (which is read later), and signals
            # once that it cannot go on.
            events = tuple(event for event in events if not isinstance(event, Missed))
            events = () if events == (ErrorSeen(None),) else events
        return happened if events or happened.marked.ranges else Refused(errno_name(reply.words[0]))
    if reply.kind == RAN:
        return ran(reply.words[1:], chains)
    match one:
        case WriteMessage():
            return MessageTaken(reply.words[0], ran(reply.words[1:], chains))
        case SetBackend() | Transmit() | Offer() | Packet() | Kick():
            return ran(reply.words[1:], chains)
        case ReadMessage():
            return message_read(reply)
        case Translate():
            if reply.kind == FAULT:
                # The first byte that was not had, after those that were. (Past the last address comes none.)
                at = one.addr + (reply.words[1] - one.addr) % U64
                return Faulted(Refused(errno_name(reply.words[0])), at)  # type: ignore[arg-type]
            return Translated(segments(one.addr, reply.words))
        case ObserveMaps():
            return maps(reply.words)
    happened = ran(reply.words[1:], chains)
    return happened if happened.events or happened.marked.ranges else Done()


def errno_name(number: int) -> str:
    """An errno by its name; of two names for one number the one that the specification uses."""
    return "EOPNOTSUPP" if number == errno.EOPNOTSUPP else errno.errorcode.get(number, str(number))


def segments(address: int, words: tuple[int, ...]) -> tuple[Segment, ...]:
    """Segments that follow each other from `address` on, of pairs of host address and length."""
    found = []
    for host, length in zip(words[::2], words[1::2], strict=True):
        found.append(Segment(address, address + length - 1, host))
        address += length
    return tuple(found)


def message_read(reply: Reply) -> StepResult:
    """A message of the device: 72 bytes in either framing, about a miss. Raises Wrong for any other."""
    length = reply.words[0]
    if length == 0:
        return NothingRead()
    content = struct.pack(f"<{len(reply.words) - 1}Q", *reply.words[1:])
    framing, asid, iova, size, uaddr, perm, kind = struct.unpack_from("<IIQQQBB", content)
    if length != MESSAGE_BYTES or kind != MISS or asid or size or uaddr:
        raise Wrong(f"a message of {length} bytes that is none about a miss: {content.hex()}")
    return MissRead(framing, iova, perm)


def maps(words: tuple[int, ...]) -> MapsView:
    """Both maps: the number of entries (2^64 - 1: there is no map), and the entries."""
    found: list[tuple[EntryView, ...] | None] = []
    at = 0
    for _ in range(2):
        count, at = words[at], at + 1
        if count == U64_MAX:
            found.append(None)
            continue
        entries = [words[at + 4 * i : at + 4 * i + 4] for i in range(count)]
        # Bits of a permission other than READ and WRITE are kept by the kernel, and say nothing.
        found.append(tuple(EntryView(first, last, host, perm % 4) for first, last, host, perm in entries))
        at += 4 * count
    return MapsView(*found)
