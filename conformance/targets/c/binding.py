"""The C library called from Python: one `Map` for one VM, and requests of the spec done on it.

Only the headers are read: the declarations that cffi needs are the headers themselves.
"""

from __future__ import annotations

import errno
import mmap
import re
from pathlib import Path
from typing import Any

from cffi import FFI

from conformance.target import Refused, StepResult
from conformance.targets.c import build
from spec.memslots.access import GuestWrite, VcpuRead, VcpuWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_log import bitmap_bytes
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import FindSlot, HvaRange, Lookup, Observe
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import MAX_SLOT_PAGES, SetRegion
from spec.memslots.slot import id_of, space_of
from spec.outcome import (
    DirtyPages,
    Done,
    GuestRange,
    GuestRanges,
    Located,
    Mmio,
    Segment,
    Slots,
    SlotView,
    Touched,
    Written,
)
from spec.pages import Pages, pages_in
from spec.profile import Profile
from spec.units import U64_MAX, page_of

HEADERS = ("gpamap.h", "gpamap_vhost.h")
OWNER, STRANGER = 1, 2
CHUNK = 4096  # bytes of bitmap that are compared at once
NOTHING, ALL = bytes(CHUNK), b"\xff" * CHUNK


def declarations(header: Path) -> str:
    """What a header declares, for cffi: without its preprocessor lines (but for numbers) and the C++ brackets."""
    text = re.sub(r"#ifdef __cplusplus\n.*?#endif\n", "", header.read_text(), flags=re.DOTALL)
    lines = text.splitlines()
    return "\n".join(line for line in lines if not line.startswith("#") or re.match(r"#define \w+ [0-9]", line))


class Library:
    """libgpamap, compiled from `base` and loaded into this process. Raises TargetUnavailable without a compiler."""

    def __init__(self, base: Path = build.HERE, sanitizers: str = "") -> None:
        self.ffi = FFI()
        for header in HEADERS:
            self.ffi.cdef(declarations(base / "include" / header))
        self.functions: Any = self.ffi.dlopen(str(build.shared_library(base, sanitizers)))


def errno_name(error: int) -> str:
    """The name of an error that the library returned. Where a number has two names, the one that the spec uses."""
    return {errno.EOPNOTSUPP: "EOPNOTSUPP"}.get(-error, errno.errorcode[-error])


def set_bits(bitmap: mmap.mmap, pages: Pages) -> None:
    """Set the bits of these pages (bit 0 of byte 0 is page 0)."""
    for first, last in pages.ranges:
        first_byte, last_byte = first // 8, last // 8
        if last_byte > first_byte + 1:
            bitmap[first_byte + 1 : last_byte] = b"\xff" * (last_byte - first_byte - 1)
        for byte in {first_byte, last_byte}:
            low = max(first - byte * 8, 0)
            high = min(last - byte * 8, 7)
            bitmap[byte] |= (2 << high) - (1 << low)


def pages_of(bitmap: mmap.mmap, size: int) -> Pages:
    """The pages whose bits are set in the first `size` bytes."""
    ranges: list[tuple[int, int]] = []
    for start in range(0, size, CHUNK):
        chunk = bitmap[start : min(start + CHUNK, size)]
        if chunk == NOTHING[: len(chunk)]:
            continue
        page = start * 8
        if chunk == ALL[: len(chunk)]:
            ranges.append((page, page + len(chunk) * 8 - 1))
            continue
        bits = int.from_bytes(chunk, "little")
        while bits:
            skipped = (bits & -bits).bit_length() - 1
            bits >>= skipped
            run = (~bits & (bits + 1)).bit_length() - 1
            bits >>= run
            ranges.append((page + skipped, page + skipped + run - 1))
            page += skipped + run
    return pages_in(tuple(ranges))


class Map:
    """One VM in the library. Close it, or use it in a `with` statement."""

    def __init__(self, library: Library, profile: Profile, largest_block: int = 0) -> None:
        """`largest_block` is how many slots are kept together, 0..512; 0 is the library's choice.

        Raises ValueError for a profile that the library refuses, MemoryError when there is no memory.
        """
        self.ffi, self.lib = library.ffi, library.functions
        self.caller = OWNER
        self.who = self.ffi.callback("uint64_t(void *)", lambda _context: self.caller)
        self.pieces: list[Segment] = []
        self.collect = self.ffi.callback("int(void *, const struct gpamap_segment *)", self.take_piece)
        config = self.ffi.new(
            "struct gpamap_config *",
            {
                "user_slots": profile.user_slots,
                "address_spaces": profile.address_spaces,
                "user_limit": profile.user_limit,
                "last_gfn": U64_MAX if profile.max_gfn is None else profile.max_gfn,
                "dirty_ring": profile.dirty_ring,
                "smallest_dirty_ring": profile.smallest_dirty_ring,
                "caller": self.who,
                "largest_block": largest_block,
            },
        )
        made = self.ffi.new("struct gpamap **")
        error = self.lib.gpamap_create(config, made)
        if error == -errno.ENOMEM:
            raise MemoryError("the library found no memory for a map")
        if error:
            raise ValueError(f"the library refuses the profile {profile}: {errno.errorcode[-error]}")
        self.map = made[0]
        registered = self.ffi.new("struct gpamap_reader **")
        if self.lib.gpamap_reader_create(self.map, registered):
            self.close()
            raise MemoryError("the library found no memory for a reader")
        self.reader = registered[0]

    def close(self) -> None:
        """Free the map. Safe to call twice."""
        if self.map:
            self.lib.gpamap_destroy(self.map)
            self.map = self.ffi.NULL

    def __enter__(self) -> Map:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def do(self, request: Any) -> StepResult:
        """Do one request of the spec. Raises TypeError for what is no request, OverflowError for a number that the
        library's fields cannot hold."""
        handler = HANDLERS.get(type(request))
        if handler is None:
            raise TypeError(f"{type(request).__name__} is not the request of any operation")
        if isinstance(request, GuestWrite | VcpuRead | VcpuWrite | Lookup | FindSlot | HvaRange | Observe):
            view = self.lib.gpamap_enter(self.reader)
            try:
                return handler(self, view, request)  # type: ignore[no-any-return]
            finally:
                self.lib.gpamap_leave(self.reader)
        self.caller = OWNER if request.from_owner else STRANGER
        try:
            return handler(self, request)  # type: ignore[no-any-return]
        finally:
            self.caller = OWNER

    # Calls. The library takes a pointer that leads nowhere as NULL.

    def set_region(self, request: SetRegion) -> StepResult:
        fields = {
            "slot": request.slot,
            "flags": request.flags,
            "gpa": request.gpa,
            "size": request.size,
            "hva": request.hva,
        }
        region = self.pointer("struct gpamap_region *", fields, request.readable)
        return self.done(self.lib.gpamap_set_region(self.map, request.version, region))

    def create_guest_memfd(self, request: CreateGuestMemfd) -> StepResult:
        return self.done(self.lib.gpamap_create_guest_memfd(self.map))

    def get_dirty_log(self, request: GetDirtyLog) -> StepResult:
        size = self.log_bytes(request.slot)
        with mmap.mmap(-1, max(size, 1)) as bitmap:
            buffer = self.ffi.from_buffer("uint64_t[]", bitmap) if request.buffer_ok else self.ffi.NULL
            fields = {"slot": request.slot, "bitmap": buffer}
            log = self.pointer("struct gpamap_get_log *", fields, request.readable)
            error = self.lib.gpamap_get_dirty_log(self.map, log)
            answer = self.refused(error) if error else DirtyPages(pages_of(bitmap, size), size)
            fields.clear()
            if buffer:
                self.ffi.release(buffer)
            return answer

    def clear_dirty_log(self, request: ClearDirtyLog) -> StepResult:
        # More pages than any slot has are refused before a bit is read: no need to have them all.
        pages = min(request.num_pages, MAX_SLOT_PAGES)
        if request.cleared.ranges:
            pages = max(pages, request.cleared.ranges[-1][1] + 1)
        with mmap.mmap(-1, max(bitmap_bytes(pages), 1)) as bitmap:
            set_bits(bitmap, request.cleared)
            buffer = self.ffi.from_buffer("uint64_t[]", bitmap) if request.buffer_ok else self.ffi.NULL
            fields = {
                "slot": request.slot,
                "first_page": request.first_page,
                "num_pages": request.num_pages,
                "bitmap": buffer,
            }
            log = self.pointer("struct gpamap_clear_log *", fields, request.readable)
            answer = self.done(self.lib.gpamap_clear_dirty_log(self.map, log))
            fields.clear()
            if buffer:
                self.ffi.release(buffer)
            return answer

    def enable_manual_protect(self, request: EnableManualProtect) -> StepResult:
        fields = {"flags": request.flags, "option": request.options}
        enable = self.pointer("struct gpamap_enable *", fields, request.readable)
        return self.done(self.lib.gpamap_enable_manual_protect(self.map, enable))

    def enable_dirty_ring(self, request: EnableDirtyRing) -> StepResult:
        enable = self.pointer("struct gpamap_enable *", {"option": request.size}, request.readable)
        return self.done(self.lib.gpamap_enable_dirty_ring(self.map, enable))

    # Accesses.

    def guest_write(self, view: Any, request: GuestWrite) -> StepResult:
        error = self.access(view, request.gpa, request.length, write=True)
        return Written(tuple(self.pieces), self.refused(error) if error else None)  # type: ignore[arg-type]

    def vcpu_read(self, view: Any, request: VcpuRead) -> StepResult:
        return Mmio(request.gpa) if self.access(view, request.gpa, 1, write=False) else Touched(self.pieces[0].host)

    def vcpu_write(self, view: Any, request: VcpuWrite) -> StepResult:
        return Mmio(request.gpa) if self.access(view, request.gpa, 1, write=True) else Touched(self.pieces[0].host)

    # Queries.

    def lookup(self, view: Any, request: Lookup) -> StepResult:
        found: Any = self.ffi.new("struct gpamap_segment *")
        error = self.lib.gpamap_lookup(view, request.space, request.gpa, request.write, found)
        return self.refused(error) if error else Located(found.host, found.last)

    def find_slot(self, view: Any, request: FindSlot) -> StepResult:
        found: Any = self.ffi.new("struct gpamap_slot_info *")
        error = self.lib.gpamap_find_slot(view, request.slot, found)
        return self.refused(error) if error else Slots((self.seen(view, found),))

    def hva_range(self, view: Any, request: HvaRange) -> StepResult:
        count = self.lib.gpamap_hva_range(view, request.first, request.last, self.ffi.NULL, 0)
        found = self.ffi.new("struct gpamap_guest_range[]", count)
        self.lib.gpamap_hva_range(view, request.first, request.last, found, count)
        ranges = [GuestRange(space_of(one.slot), id_of(one.slot), one.first, one.last) for one in found]
        # The library answers in order of host addresses.
        return GuestRanges(tuple(sorted(ranges, key=lambda one: (one.space, one.first))))

    def observe(self, view: Any, request: Observe) -> StepResult:
        count = self.lib.gpamap_slots(view, self.ffi.NULL, 0)
        found: Any = self.ffi.new("struct gpamap_slot_info[]", count)
        self.lib.gpamap_slots(view, found, count)
        return Slots(tuple(self.seen(view, one) for one in found))

    # Between C and the values of the spec.

    def pointer(self, kind: str, fields: dict[str, Any], readable: bool) -> Any:
        return self.ffi.new(kind, fields) if readable else self.ffi.NULL

    def refused(self, error: int) -> Refused:
        return Refused(errno_name(error))

    def done(self, error: int) -> StepResult:
        return self.refused(error) if error else Done()

    def access(self, view: Any, gpa: int, length: int, write: bool) -> int:
        self.pieces = []
        return int(self.lib.gpamap_access(view, gpa, length, write, self.collect, self.ffi.NULL))

    def take_piece(self, _context: Any, piece: Any) -> int:
        self.pieces.append(Segment(piece.first, piece.last, piece.host))
        return 0

    def log_bytes(self, slot: int) -> int:
        """The size of a bitmap for this slot; 0 if there is none."""
        found: Any = self.ffi.new("struct gpamap_slot_info *")
        view = self.lib.gpamap_enter(self.reader)
        error = self.lib.gpamap_find_slot(view, slot, found)
        self.lib.gpamap_leave(self.reader)
        return 0 if error else bitmap_bytes(page_of(found.last - found.first + 1))

    def seen(self, view: Any, info: Any) -> SlotView:
        return SlotView(
            space=space_of(info.slot),
            id=id_of(info.slot),
            first=info.first,
            last=info.last,
            host=info.host,
            flags=info.flags,
            dirty=self.dirty_pages(view, info.slot) if info.logged else None,
        )

    def dirty_pages(self, view: Any, slot: int) -> Pages:
        first: Any = self.ffi.new("uint64_t *")
        last: Any = self.ffi.new("uint64_t *")
        ranges = []
        page = 0
        while self.lib.gpamap_next_dirty(view, slot, page, first, last):
            ranges.append((first[0], last[0]))
            page = last[0] + 1
        return Pages(tuple(ranges))


HANDLERS: dict[type, Any] = {
    SetRegion: Map.set_region,
    CreateGuestMemfd: Map.create_guest_memfd,
    GetDirtyLog: Map.get_dirty_log,
    ClearDirtyLog: Map.clear_dirty_log,
    EnableManualProtect: Map.enable_manual_protect,
    EnableDirtyRing: Map.enable_dirty_ring,
    GuestWrite: Map.guest_write,
    VcpuRead: Map.vcpu_read,
    VcpuWrite: Map.vcpu_write,
    Lookup: Map.lookup,
    FindSlot: Map.find_slot,
    HvaRange: Map.hva_range,
    Observe: Map.observe,
}
