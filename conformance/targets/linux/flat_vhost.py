"""The flat form of the vhost line: requests as steps, and what a kernel's device showed."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import Any

from conformance.target import ErrorSeen, MissSeen, ReceivedAt, SentBytes, StepResult
from conformance.targets.linux.flat_step import (
    BUFFER_OK,
    FROM_OWNER,
    READABLE,
    FlatStep,
    Garbled,
    errno_name,
    fits,
    words32,
)
from spec.outcome import MessageTaken, MissRead, NothingRead, Ran
from spec.pages import pages_in
from spec.vhost.backend import NO_SOCKET, NONE, TAP, SetBackend
from spec.vhost.call import OwnerCall
from spec.vhost.device import Chain, Descriptor
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import ReadMessage, WriteMessage
from spec.vhost.observe import ObserveMaps
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.queue_io import Kick, Offer, Packet, Transmit
from spec.vhost.regions import AddRegion, RemoveRange, RemoveRegion
from spec.vhost.ring import SetLogBase, SetRingAddresses, SetRingSize
from spec.vhost.translate import Translate

RAN, MESSAGE_TAKEN, MISS_READ, NOTHING_READ = 7, 8, 9, 10
SENT_BYTES, RECEIVED_AT, MISS_SEEN, ERROR_SEEN = 1, 2, 3, 4
WRITABLE, HAS_TABLE, INNER_COUNT = 1, 2, 2**16
BACKENDS = (TAP, NONE, NO_SOCKET)
ANY_OPERATION = 29  # a query that userspace has no way to ask

Pairs = tuple[tuple[int, int], ...]

# REQUESTS --------------------------------------------------------------------------------------------------------


def bits_of(request: Any) -> int:
    """The bits that say how the request reaches the kernel."""
    from_owner = request.from_owner if isinstance(request, OwnerCall) else True
    return FROM_OWNER * from_owner + READABLE * getattr(request, "readable", True)


def set_mem_table(r: SetMemTable) -> FlatStep:
    words32(r, "padding")
    pairs = [pair for region in r.regions for pair in ((region.gpa, region.size), (region.hva, 0))]
    return FlatStep(18, bits_of(r) + BUFFER_OK * r.regions_readable, v=(r.padding,), ranges=tuple(pairs))


def set_ring_addresses(r: SetRingAddresses) -> FlatStep:
    words32(r, "queue", "flags")
    return FlatStep(21, bits_of(r), r.queue, v=(r.flags, r.desc, r.used, r.avail, r.log))


def set_ring_size(r: SetRingSize) -> FlatStep:
    words32(r, "queue", "size")
    return FlatStep(20, bits_of(r), r.queue, v=(r.size,))


def set_backend(r: SetBackend) -> FlatStep:
    words32(r, "queue")
    return FlatStep(22, bits_of(r), r.queue, v=(BACKENDS.index(r.backend),))


def write_message(r: WriteMessage) -> FlatStep:
    words32(r, "length", "asid", "framing")
    kinds = fits("kind", r.kind, 8) + 2**8 * fits("perm", r.perm, 8)
    return FlatStep(23, v=(r.iova, r.size, r.uaddr, r.length + 2**32 * r.asid, r.framing + 2**32 * kinds))


def descriptor_pairs(one: Descriptor) -> Iterator[tuple[int, int]]:
    """A descriptor as two pairs, then those of its table."""
    bits = WRITABLE * one.writable
    if one.table is not None:
        bits += HAS_TABLE + INNER_COUNT * len(one.table)
    yield one.addr, fits("length", one.length, 32)
    yield bits, one.table_host
    for inner in one.table or ():
        yield from descriptor_pairs(inner)


def chain_pairs(chain: Chain) -> Pairs:
    return tuple(pair for one in chain for pair in descriptor_pairs(one))


def kick(r: Kick) -> FlatStep:
    words32(r, "queue")
    return FlatStep(28, slot=r.queue)


ENCODERS: dict[type, Callable[[Any], FlatStep]] = {
    SetOwner: lambda r: FlatStep(14),
    ResetOwner: lambda r: FlatStep(15, bits_of(r)),
    SetFeatures: lambda r: FlatStep(16, bits_of(r), v=(r.features,)),
    SetBackendFeatures: lambda r: FlatStep(17, bits_of(r), v=(r.features,)),
    SetMemTable: set_mem_table,
    SetLogBase: lambda r: FlatStep(19, bits_of(r), v=(r.base,)),
    SetRingSize: set_ring_size,
    SetRingAddresses: set_ring_addresses,
    SetBackend: set_backend,
    WriteMessage: write_message,
    ReadMessage: lambda r: FlatStep(24, v=(r.length,)),
    Transmit: lambda r: FlatStep(25, ranges=chain_pairs(r.chain)),
    Offer: lambda r: FlatStep(26, ranges=chain_pairs(r.chain)),
    Packet: lambda r: FlatStep(27, v=(r.length,)),
    Kick: kick,
    ObserveMaps: lambda r: FlatStep(ANY_OPERATION),
}
# Calls that Linux does not have.
FOREIGN: tuple[type, ...] = (AddRegion, RemoveRegion, RemoveRange, Translate)


def descriptor_from(pairs: Pairs, at: int) -> tuple[Descriptor, int]:
    """The descriptor whose pairs begin at an index, and the index behind it and its table."""
    (addr, length), (bits, table_host) = pairs[at], pairs[at + 1]
    at += 2
    table = None
    if bits & HAS_TABLE:
        inner = []
        for _ in range(bits // INNER_COUNT):
            one, at = descriptor_from(pairs, at)
            inner.append(one)
        table = tuple(inner)
    return Descriptor(addr, length, bool(bits & WRITABLE), table, table_host), at


def chain_from(pairs: Pairs) -> Chain:
    chain = []
    at = 0
    while at < len(pairs):
        one, at = descriptor_from(pairs, at)
        chain.append(one)
    return tuple(chain)


def regions_from(pairs: Pairs) -> tuple[Region, ...]:
    return tuple(Region(*pairs[at], pairs[at + 1][0]) for at in range(0, len(pairs), 2))


def how(s: FlatStep) -> tuple[bool, bool]:
    return bool(s.bits & FROM_OWNER), bool(s.bits & READABLE)


def message_from(s: FlatStep) -> WriteMessage:
    iova, size, uaddr, length, rest = s.v
    kinds = rest // 2**32
    return WriteMessage(rest % 2**32, length % 2**32, kinds % 256, iova, size, uaddr, kinds // 256, length // 2**32)


DECODERS: dict[int, Callable[[FlatStep], Any]] = {
    14: lambda s: SetOwner(),
    15: lambda s: ResetOwner(how(s)[0]),
    16: lambda s: SetFeatures(s.v[0], how(s)[1]),
    17: lambda s: SetBackendFeatures(s.v[0], how(s)[1]),
    18: lambda s: SetMemTable(*how(s), regions_from(s.ranges), s.v[0], bool(s.bits & BUFFER_OK)),
    19: lambda s: SetLogBase(*how(s), s.v[0]),
    20: lambda s: SetRingSize(*how(s), s.slot, s.v[0]),
    21: lambda s: SetRingAddresses(*how(s), s.slot, *s.v),
    22: lambda s: SetBackend(*how(s), s.slot, BACKENDS[s.v[0]]),
    23: message_from,
    24: lambda s: ReadMessage(s.v[0]),
    25: lambda s: Transmit(chain_from(s.ranges)),
    26: lambda s: Offer(chain_from(s.ranges)),
    27: lambda s: Packet(s.v[0]),
    28: lambda s: Kick(s.slot),
    ANY_OPERATION: lambda s: ObserveMaps(),
}

# RESULTS ---------------------------------------------------------------------------------------------------------


def event_from(numbers: list[int]) -> Any:
    """Take one event from the front."""
    kind = numbers.pop(0)
    if kind == SENT_BYTES:
        return SentBytes(numbers.pop(0), numbers.pop(0))
    if kind == RECEIVED_AT:
        return ReceivedAt(tuple((numbers.pop(0), numbers.pop(0)) for _ in range(numbers.pop(0))))
    if kind == MISS_SEEN:
        return MissSeen()
    if kind == ERROR_SEEN:
        number, times = numbers.pop(0), numbers.pop(0)
        return ErrorSeen(errno_name(number) if number else None, times)
    raise Garbled(f"no event has kind {kind}")


def ran_from(numbers: tuple[int, ...]) -> Ran:
    """A run: how many events, the events, then pairs of pages that were marked. Raises Garbled."""
    left = list(numbers)
    try:
        events = tuple(event_from(left) for _ in range(left.pop(0)))
    except IndexError:
        raise Garbled("the events of a run are cut off") from None
    if len(left) % 2 != 0:
        raise Garbled("half a range of marked pages")
    return Ran(events, pages_in(tuple(zip(left[::2], left[1::2], strict=True))))


def decode_result(kind: int, numbers: tuple[int, ...]) -> StepResult | None:
    """A step result of the vhost line, or None for any other. Raises Garbled."""
    if kind == RAN:
        return ran_from(numbers)
    if kind == MESSAGE_TAKEN and numbers:
        return MessageTaken(numbers[0], ran_from(numbers[1:]))
    if kind == MISS_READ and len(numbers) == 3:
        return MissRead(*numbers)
    if kind == NOTHING_READ and not numbers:
        return NothingRead()
    return None


def event_numbers(event: Any) -> tuple[int, ...]:
    match event:
        case SentBytes(length, digest):
            return (SENT_BYTES, length, digest)
        case ReceivedAt(pieces):
            return (RECEIVED_AT, len(pieces), *(number for piece in pieces for number in piece))
        case MissSeen():
            return (MISS_SEEN,)
        case ErrorSeen(name, times):
            return (ERROR_SEEN, 0 if name is None else getattr(errno, name), times)
    raise TypeError(f"{type(event).__name__} is nothing that a kernel shows")


def ran_numbers(ran: Ran) -> tuple[int, ...]:
    events = [number for event in ran.events for number in event_numbers(event)]
    return (len(ran.events), *events, *(page for pair in ran.marked.ranges for page in pair))


def encode_result(result: StepResult) -> tuple[int, tuple[int, ...]]:
    """The kind and the numbers of a step result; the inverse of `decode_result`."""
    match result:
        case Ran():
            return RAN, ran_numbers(result)
        case MessageTaken(length, ran):
            return MESSAGE_TAKEN, (length, *ran_numbers(ran))
        case MissRead(version, iova, access):
            return MISS_READ, (version, iova, access)
        case NothingRead():
            return NOTHING_READ, ()
    raise TypeError(f"{type(result).__name__} is no result of a kernel")
