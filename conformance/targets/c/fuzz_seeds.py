"""Vectors in the form that the fuzzer reads: where it begins.

One input is one byte for the subject, its configuration and its operations; `fuzz/slots.c` and `fuzz/devices.c` say
which byte is which operation. Requests that the fuzzer has no operation for are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from conformance.vector import Vector
from spec.memslots.access import GuestWrite, VcpuRead, VcpuWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import FindSlot, HvaRange, Lookup, Observe
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import SetRegion
from spec.profile import Profile, with_switches
from spec.step import MEMSLOTS, subject_of
from spec.units import PAGE_SIZE, U64, U64_MAX
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import SetMemTable
from spec.vhost.messages import MESSAGE_BYTES, ReadMessage, WriteMessage
from spec.vhost.observe import ObserveMaps
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.regions import AddRegion, RemoveRange, RemoveRegion
from spec.vhost.translate import Translate

SLOTS, TABLE, DEVICE = 0, 1, 2
WRITTEN_OUT = 0xFF  # the next number, size, word, … follows as it is
STRANGER, UNREADABLE, NO_BUFFER = 25, 26, 27  # before an operation
RETIREMENTS = {"fifo": 1, "lru": 2}
MOST_SEGMENTS = 1030  # as in fuzz/fuzz.h
LONGEST = 4096
RANDOM_INPUTS = 150


def u8(value: int) -> bytes:
    return bytes([value % 256])


def u32(value: int) -> bytes:
    return (value % 2**32).to_bytes(4, "little")


def u64(value: int) -> bytes:
    return (value % U64).to_bytes(8, "little")


def number(value: int) -> bytes:
    """For take_number."""
    page, rest = divmod(value, PAGE_SIZE)
    if rest == 0 and page < 0x80:
        return u8(page)
    if rest == 0 and page < 2**16:
        return u8(0xF0) + page.to_bytes(2, "little")
    return u8(0xFC) + u64(value)


def size(value: int) -> bytes:
    """For take_size."""
    page, rest = divmod(value, PAGE_SIZE)
    return u8(page) if rest == 0 and page < 0x40 else u8(WRITTEN_OUT) + number(value)


def word(value: int) -> bytes:
    """For take_word."""
    return u8(value) if value < 0x60 else u8(WRITTEN_OUT) + u32(value)


def flags(value: int) -> bytes:
    return u8(value) if value < 4 else u8(WRITTEN_OUT) + u32(value)


def access(gpa: int, length: int, write: bool) -> bytes:
    return u8(17) + u8(0) + number(gpa) + size(length) + u8(write)


# Slots ------------------------------------------------------------------------------------------------------------


def set_region(request: SetRegion) -> bytes:
    place = number(request.gpa) + size(request.size) + number(request.hva)
    named = word(request.slot) + flags(request.flags)
    return u8(0) + named + place if request.version == 1 else u8(30) + named + u32(request.version) + place


def clear_dirty_log(request: ClearDirtyLog) -> bytes:
    first, last = request.cleared.ranges[0] if request.cleared.ranges else (U64_MAX, U64_MAX)
    counts = u8(WRITTEN_OUT) + number(request.first_page) + u8(WRITTEN_OUT) + number(request.num_pages)
    return u8(14) + word(request.slot) + counts + u32(first) + u32(last - first)


def hva_range(request: HvaRange) -> bytes:
    return u8(21) + u8(0) + number(request.first) + size((request.last - request.first + 1) % U64) + u8(0)


# Devices ----------------------------------------------------------------------------------------------------------


def set_mem_table(request: SetMemTable) -> bytes:
    regions = b"".join(number(one.gpa) + size(one.size) + number(one.hva) for one in request.regions[:126])
    if request.padding:
        return u8(4) + u8(WRITTEN_OUT) + u32(request.padding) + regions
    return u8(4) + u8(min(len(request.regions), 126)) + regions


def write_message(request: WriteMessage) -> bytes:
    ranges = number(request.iova) + size(request.size) + u8(request.framing) + u8(request.asid) + number(request.uaddr)
    length = u8(request.length) if request.length < 0x80 else u8(WRITTEN_OUT)
    return u8(16) + u8(0xF0) + ranges + u8(request.perm) + u8(request.kind) + length


def read_message(request: ReadMessage) -> bytes:
    return u8(17) + u8(0 if request.length >= MESSAGE_BYTES else 0x80 + request.length)


def translate(request: Translate) -> bytes:
    asked = number(request.addr) + size(request.length) + u8(0xF8) + u32(request.access)
    return u8(19) + u8(request.queue) + asked + min(request.room, MOST_SEGMENTS).to_bytes(2, "little")


ENCODERS: dict[type, Callable[[Any], bytes]] = {
    SetRegion: set_region,
    CreateGuestMemfd: lambda one: u8(29),
    GetDirtyLog: lambda one: u8(13) + word(one.slot),
    ClearDirtyLog: clear_dirty_log,
    EnableManualProtect: lambda one: u8(15) + u8(WRITTEN_OUT if one.flags else 0) + number(one.options),
    EnableDirtyRing: lambda one: u8(16) + u8(0) + number(one.size),
    GuestWrite: lambda one: access(one.gpa, one.length, True),
    VcpuRead: lambda one: access(one.gpa, 1, False),
    VcpuWrite: lambda one: access(one.gpa, 1, True),
    Lookup: lambda one: (
        u8(18)
        + u8(0)
        + (u8(one.space) if one.space < 4 else u8(WRITTEN_OUT) + u32(one.space))
        + number(one.gpa)
        + u8(one.write)
    ),
    FindSlot: lambda one: u8(19) + u8(0) + word(one.slot),
    HvaRange: hva_range,
    Observe: lambda one: u8(31),
    SetOwner: lambda one: u8(0),
    ResetOwner: lambda one: u8(1),
    SetFeatures: lambda one: u8(2) + u8(WRITTEN_OUT) + u64(one.features),
    SetBackendFeatures: lambda one: u8(3) + u8(WRITTEN_OUT) + u64(one.features),
    SetMemTable: set_mem_table,
    AddRegion: lambda one: u8(6) + number(one.gpa) + size(one.size) + number(one.hva),
    RemoveRegion: lambda one: u8(10) + number(one.gpa) + size(one.size) + number(one.hva),
    RemoveRange: lambda one: u8(11) + number(one.first) + size((one.last - one.first + 1) % U64),
    WriteMessage: write_message,
    ReadMessage: read_message,
    Translate: translate,
    ObserveMaps: lambda one: u8(31),
}


def encoded(profile: Profile, requests: Sequence[Any]) -> bytes:
    """A sequence of requests as an input of the fuzzer."""
    if subject_of(tuple(requests)) is MEMSLOTS:
        last = U64_MAX if profile.max_gfn is None else profile.max_gfn
        head = u8(SLOTS) + u8(WRITTEN_OUT) + u32(profile.user_slots) + u32(profile.address_spaces)
        head += u64(profile.user_limit) + u64(last) + u8(profile.dirty_ring) + u32(profile.smallest_dirty_ring)
    else:
        head = u8(DEVICE) + u8(WRITTEN_OUT) + u32(profile.max_regions) + u32(profile.iotlb_limit)
        head += u64(profile.user_limit) + u64(profile.features)
        head += u8(RETIREMENTS[profile.retirement]) + u8(profile.iotlb_mode == "follows")
    content = b"".join(operation(request) for request in requests)
    return head + u8(len(content) % 15) + content  # blocks of one size or another


def operation(request: Any) -> bytes:
    """One request, and before it how it is made; nothing for one that the fuzzer has no operation for."""
    encoder = ENCODERS.get(type(request))
    if encoder is None:
        return b""
    manner = b"" if getattr(request, "from_owner", True) else u8(STRANGER)
    manner += b"" if getattr(request, "readable", True) else u8(UNREADABLE)
    if not getattr(request, "buffer_ok", True) or not getattr(request, "regions_readable", True):
        manner += u8(NO_BUFFER)
    return manner + encoder(request)


def seeds(vectors: Sequence[Vector]) -> Iterator[tuple[str, bytes]]:
    """An input for each vector, with the vector's id."""
    for vector in vectors:
        profile = with_switches(Profile(), dict(vector.switches))
        content = encoded(profile, [step.request for step in vector.steps])
        if len(content) <= LONGEST:
            yield vector.id, content


def write_seeds(vectors: Sequence[Vector], directory: Path) -> int:
    """One file for each vector, and some inputs of random bytes: those have operations that no vector has.

    Returns the number of vectors.
    """
    directory.mkdir(parents=True, exist_ok=True)
    random = Random(1)
    for number in range(RANDOM_INPUTS):
        content = u8(number) + random.randbytes(random.randrange(40, 600))
        (directory / f"random-{number:03}").write_bytes(content)
    count = 0
    for name, content in seeds(vectors):
        (directory / name).write_bytes(content)
        count += 1
    return count
