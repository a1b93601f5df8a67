"""The flat binary form: vectors for programs that refuse to parse JSON, and the results that come back.

Everything is little endian; `docs/linux.md` has the layout, `guest/flat.h` is the other end. A file holds requests
only, never expectations.
"""

from __future__ import annotations

import errno
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.backings import BACKING_PAGES, BASES, DATA
from conformance.target import Refused, StepResult, Trial, Unobservable
from conformance.targets.linux import flat_vhost
from conformance.targets.linux.flat_step import (
    BUFFER_OK,
    FROM_OWNER,
    READABLE,
    SECOND_FORM,
    FlatStep,
    Garbled,
    Unsuitable,
    errno_name,
    words32,
)
from spec.memslots.access import GuestWrite, VcpuRead, VcpuWrite
from spec.memslots.call import Call
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_log import LogCall
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import FindSlot, HvaRange, Lookup, Observe
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import SetRegion
from spec.outcome import DirtyPages, Done, Mmio, Segment, Touched, Written
from spec.pages import Pages, pages_in

MAGIC = b"GPAFLAT\0"
VERSION = 2

HEADER = struct.Struct("<8sIIQII6Q")
VECTOR = struct.Struct("<IIII")
STEP = struct.Struct("<BBHIIi5Q")
RANGE = struct.Struct("<QQ")

FRAME_MAGIC = b"GPAR"
FRAME = struct.Struct("<4sIII")
CHECKSUM = struct.Struct("<I")
RESULT = struct.Struct("<BBHI")
HELLO, BEGIN, RESULTS, SKIPPED, ERRORED, END, FATAL, OUTPUT = range(1, 9)
DONE, REFUSED, DIRTY_PAGES, WRITTEN, TOUCHED, MMIO, UNOBSERVABLE = range(7)
BACKING_ORDER = (*DATA, "R", "L")
LARGEST_FRAME = 2**28

NO_QUERY = "userspace cannot ask a kernel for this"


# VECTORS ---------------------------------------------------------------------------------------------------------


def call_bits(request: Any) -> int:
    """The bits that say how the request reaches the kernel."""
    bits = 0
    if isinstance(request, Call):
        bits += FROM_OWNER * request.from_owner + READABLE * request.readable
    if isinstance(request, LogCall):
        bits += BUFFER_OK * request.buffer_ok
    if isinstance(request, SetRegion):
        bits += SECOND_FORM * (request.version == 2)
    return bits


def set_region(r: SetRegion) -> FlatStep:
    words32(r, "slot", "flags")
    if r.version not in (1, 2):
        raise Unsuitable(f"there is no form {r.version} of the call")
    return FlatStep(1, call_bits(r), r.slot, r.memfd, (r.flags, r.gpa, r.size, r.hva, r.memfd_offset))


def clear_dirty_log(r: ClearDirtyLog) -> FlatStep:
    words32(r, "slot", "num_pages")
    return FlatStep(4, call_bits(r), r.slot, v=(r.first_page, r.num_pages), ranges=r.cleared.ranges)


def get_dirty_log(r: GetDirtyLog) -> FlatStep:
    words32(r, "slot")
    return FlatStep(3, call_bits(r), r.slot)


def enable_manual_protect(r: EnableManualProtect) -> FlatStep:
    words32(r, "flags")
    return FlatStep(5, call_bits(r), v=(r.options, r.flags))


def lookup(r: Lookup) -> FlatStep:
    words32(r, "space")
    return FlatStep(10, slot=r.space, v=(r.gpa, int(r.write)))


def find_slot(r: FindSlot) -> FlatStep:
    words32(r, "slot")
    return FlatStep(11, slot=r.slot)


ENCODERS: dict[type, Callable[[Any], FlatStep]] = {
    SetRegion: set_region,
    CreateGuestMemfd: lambda r: FlatStep(2, call_bits(r), file=r.file, v=(r.size, r.flags)),
    GetDirtyLog: get_dirty_log,
    ClearDirtyLog: clear_dirty_log,
    EnableManualProtect: enable_manual_protect,
    EnableDirtyRing: lambda r: FlatStep(6, call_bits(r), v=(r.size,)),
    GuestWrite: lambda r: FlatStep(7, v=(r.gpa, r.length)),
    VcpuRead: lambda r: FlatStep(8, v=(r.gpa,)),
    VcpuWrite: lambda r: FlatStep(9, v=(r.gpa,)),
    Lookup: lookup,
    FindSlot: find_slot,
    HvaRange: lambda r: FlatStep(12, v=(r.first, r.last)),
    Observe: lambda r: FlatStep(13),
    **flat_vhost.ENCODERS,
}


def decode_set_region(s: FlatStep) -> SetRegion:
    return SetRegion(
        *how_called(s),
        slot=s.slot,
        flags=s.v[0],
        gpa=s.v[1],
        size=s.v[2],
        hva=s.v[3],
        version=2 if s.bits & SECOND_FORM else 1,
        memfd=s.file,
        memfd_offset=s.v[4],
    )


def how_called(s: FlatStep) -> tuple[bool, bool]:
    return bool(s.bits & FROM_OWNER), bool(s.bits & READABLE)


def buffer_ok(s: FlatStep) -> bool:
    return bool(s.bits & BUFFER_OK)


DECODERS: dict[int, Callable[[FlatStep], Any]] = {
    1: decode_set_region,
    2: lambda s: CreateGuestMemfd(*how_called(s), file=s.file, size=s.v[0], flags=s.v[1]),
    3: lambda s: GetDirtyLog(*how_called(s), slot=s.slot, buffer_ok=buffer_ok(s)),
    4: lambda s: ClearDirtyLog(
        *how_called(s),
        slot=s.slot,
        buffer_ok=buffer_ok(s),
        first_page=s.v[0],
        num_pages=s.v[1],
        cleared=Pages(s.ranges),
    ),
    5: lambda s: EnableManualProtect(*how_called(s), options=s.v[0], flags=s.v[1]),
    6: lambda s: EnableDirtyRing(*how_called(s), size=s.v[0]),
    7: lambda s: GuestWrite(s.v[0], s.v[1]),
    8: lambda s: VcpuRead(s.v[0]),
    9: lambda s: VcpuWrite(s.v[0]),
    10: lambda s: Lookup(s.slot, s.v[0], bool(s.v[1])),
    11: lambda s: FindSlot(s.slot),
    12: lambda s: HvaRange(s.v[0], s.v[1]),
    13: lambda s: Observe(),
    **flat_vhost.DECODERS,
}


def encode_step(request: Any) -> bytes:
    """The record of one request. Raises Unsuitable for what the kernel's structures have no room for."""
    encoder = ENCODERS.get(type(request))
    if isinstance(request, flat_vhost.FOREIGN):
        raise Unsuitable(f"Linux has no call for {type(request).__name__}")
    if encoder is None:
        raise Unsuitable(f"{type(request).__name__} is not the request of any operation")
    step = encoder(request)
    v = (*step.v, *[0] * (5 - len(step.v)))
    try:
        head = STEP.pack(step.operation, step.bits, 0, len(step.ranges), step.slot, step.file, *v)
        return head + b"".join(RANGE.pack(first, last) for first, last in step.ranges)
    except struct.error as misfit:
        raise Unsuitable(f"a field of {request} does not fit ({misfit})") from None


def encode_vector(index: int, trial: Trial) -> bytes:
    """The record of one vector; `index` is what results will be named by."""
    steps = b"".join(encode_step(request) for request in trial.requests)
    name = trial.id.encode()
    name += b"\0" * (-len(name) % 8)
    length = VECTOR.size + len(name) + len(steps)
    return VECTOR.pack(index, len(trial.requests), len(name), length) + name + steps


def encode_file(records: Sequence[bytes]) -> bytes:
    """A whole file of the records that `encode_vector` made."""
    body = b"".join(records)
    bases = tuple(BASES[name] for name in BACKING_ORDER)
    return HEADER.pack(MAGIC, VERSION, len(records), HEADER.size + len(body), len(bases), BACKING_PAGES, *bases) + body


def encode(trials: Sequence[Trial]) -> bytes:
    """The flat file of these trials, numbered from 0."""
    return encode_file([encode_vector(index, trial) for index, trial in enumerate(trials)])


def decode(data: bytes) -> list[Trial]:
    """The trials of a flat file. Raises Garbled, saying where, for anything else."""
    if len(data) < HEADER.size:
        raise Garbled("shorter than a header")
    magic, version, vectors, length, *_ = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise Garbled("not a file of flat vectors")
    if version != VERSION:
        raise Garbled(f"version {version}; this program knows version {VERSION}")
    if length != len(data):
        raise Garbled(f"{length} bytes announced, {len(data)} there")
    trials = []
    at = HEADER.size
    for number in range(vectors):
        trial, at = decode_vector(data, at, number)
        trials.append(trial)
    if at != len(data):
        raise Garbled(f"{len(data) - at} bytes after the last vector")
    return trials


def decode_vector(data: bytes, at: int, number: int) -> tuple[Trial, int]:
    """The vector whose record starts at a byte, and where the next one starts."""
    try:
        _, steps, name_bytes, length = VECTOR.unpack_from(data, at)
        end = at + length
        at += VECTOR.size
        name = data[at : at + name_bytes].rstrip(b"\0").decode()
        at += name_bytes
        requests = []
        for _ in range(steps):
            operation, bits, _, ranges, slot, file, *v = STEP.unpack_from(data, at)
            at += STEP.size
            pairs = tuple(RANGE.unpack_from(data, at + 16 * pair) for pair in range(ranges))
            at += RANGE.size * ranges
            requests.append(DECODERS[operation](FlatStep(operation, bits, slot, file, tuple(v), pairs)))
    except (struct.error, UnicodeDecodeError) as broken:
        raise Garbled(f"vector {number} is cut off ({broken})") from None
    except KeyError as unknown:
        raise Garbled(f"vector {number}: unknown operation {unknown}") from None
    if at != end:
        raise Garbled(f"vector {number}: {length} bytes announced, its steps have {length + at - end}")
    return Trial(name, tuple(requests)), at


# RESULTS ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frame:
    """One message of the guest program."""

    kind: int
    index: int
    payload: bytes


def encode_frame(frame: Frame) -> bytes:
    """The bytes of a frame, as the guest program sends them."""
    head = FRAME.pack(FRAME_MAGIC, frame.kind, frame.index, len(frame.payload))
    return head + frame.payload + CHECKSUM.pack(zlib.crc32(head + frame.payload))


class FrameReader:
    """Takes bytes as they come and gives whole frames."""

    def __init__(self) -> None:
        self.buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete now. Raises Garbled."""
        self.buffer += data
        while len(self.buffer) >= FRAME.size:
            magic, kind, index, length = FRAME.unpack_from(self.buffer)
            if magic != FRAME_MAGIC or not HELLO <= kind <= OUTPUT or length > LARGEST_FRAME:
                raise Garbled(f"no frame starts here: {bytes(self.buffer[:16]).hex()}")
            end = FRAME.size + length
            if len(self.buffer) < end + CHECKSUM.size:
                return
            (checksum,) = CHECKSUM.unpack_from(self.buffer, end)
            if checksum != zlib.crc32(self.buffer[:end]):
                raise Garbled(f"the frame for vector {index} has a wrong checksum")
            payload = bytes(self.buffer[FRAME.size : end])
            del self.buffer[: end + CHECKSUM.size]
            yield Frame(kind, index, payload)

    def pending(self) -> int:
        """How many bytes of a frame that is not complete are waiting."""
        return len(self.buffer)


def decode_results(payload: bytes) -> tuple[StepResult, ...]:
    """The step results in the payload of a RESULTS frame. Raises Garbled."""
    results: list[StepResult] = []
    at = 0
    while at < len(payload):
        try:
            kind, stopped, _, count = RESULT.unpack_from(payload, at)
            numbers = struct.unpack_from(f"<{count}Q", payload, at + RESULT.size)
        except struct.error as broken:
            raise Garbled(f"result {len(results)} is cut off ({broken})") from None
        at += RESULT.size + 8 * count
        results.append(decode_result(kind, bool(stopped), numbers))
    return tuple(results)


def decode_result(kind: int, stopped: bool, numbers: tuple[int, ...]) -> StepResult:
    """One step result from its record. Raises Garbled."""
    count = len(numbers)
    if kind == DONE and count == 0:
        return Done()
    if kind == REFUSED and count == 1:
        return Refused(errno_name(numbers[0]))
    if kind == DIRTY_PAGES and count % 2 == 1:
        return DirtyPages(pages_in(tuple(zip(numbers[1::2], numbers[2::2], strict=True))), numbers[0])
    if kind == WRITTEN and count % 3 == 0:
        segments = tuple(Segment(*numbers[i : i + 3]) for i in range(0, count, 3))
        # The kernel says only that it stopped, not why.
        return Written(segments, Refused("EFAULT") if stopped else None)  # type: ignore[arg-type]
    if kind == TOUCHED and count == 1:
        return Touched(numbers[0])
    if kind == MMIO and count == 1:
        return Mmio(numbers[0])
    if kind == UNOBSERVABLE and count == 0:
        return Unobservable(NO_QUERY)
    device_result = flat_vhost.decode_result(kind, numbers)
    if device_result is not None:
        return device_result
    raise Garbled(f"no result has kind {kind} and {count} numbers")


def encode_result(result: StepResult) -> bytes:
    """The record of a step result; the inverse of `decode_results`."""
    stopped = False
    numbers: tuple[int, ...]
    match result:
        case Done():
            kind, numbers = DONE, ()
        case Refused(name):
            kind, numbers = REFUSED, (getattr(errno, name),)
        case DirtyPages(pages, size):
            kind, numbers = DIRTY_PAGES, (size, *(page for pair in pages.ranges for page in pair))
        case Written(segments, stopped_by):
            kind, stopped = WRITTEN, stopped_by is not None
            numbers = tuple(n for s in segments for n in (s.first, s.last, s.host))
        case Touched(host):
            kind, numbers = TOUCHED, (host,)
        case Mmio(gpa):
            kind, numbers = MMIO, (gpa,)
        case Unobservable():
            kind, numbers = UNOBSERVABLE, ()
        case _:
            kind, numbers = flat_vhost.encode_result(result)
    return RESULT.pack(kind, int(stopped), 0, len(numbers)) + struct.pack(f"<{len(numbers)}Q", *numbers)
