"""The C library's device called from Python: one `VhostDevice`, and requests of the spec done on it.

The library has no rings: requests about them are none of `HANDLERS`, and a queue that is woken has nothing to run.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass
from typing import Any

from conformance.target import Refused, StepResult
from conformance.targets.c.binding import OWNER, STRANGER, Library, errno_name
from spec.outcome import (
    Done,
    EntryView,
    Faulted,
    MapsView,
    MessageTaken,
    MissRead,
    NothingRead,
    Ran,
    Segment,
    Translated,
)
from spec.pages import NO_PAGES
from spec.profile import Profile
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import SetMemTable
from spec.vhost.messages import MESSAGE_BYTES, MISS, ReadMessage, WriteMessage
from spec.vhost.observe import ObserveMaps
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.regions import AddRegion, RemoveRange, RemoveRegion
from spec.vhost.translate import Translate

RETIREMENTS = {"fifo": 1, "lru": 2}  # GPAMAP_FIFO, GPAMAP_LRU
MESSAGE = struct.Struct("=IIQQQBB38x")  # framing, address space, iova, size, uaddr, perm, kind


class UnexpectedMessage(Exception):
    """The library gave out a message that is no miss, or has something where there is to be nothing."""


@dataclass(frozen=True)
class WaitingMiss:
    """A miss as the library keeps it."""

    queue: int
    iova: int
    access: int
    version: int


class VhostDevice:
    """One device in the library. Close it, or use it in a `with` statement."""

    def __init__(self, library: Library, profile: Profile, largest_block: int = 0) -> None:
        """`largest_block` is how many entries are kept together, 0..512; 0 is the library's choice.

        Raises ValueError for a profile that the library refuses, MemoryError when there is no memory.
        """
        self.ffi, self.lib = library.ffi, library.functions
        self.caller = OWNER
        self.who = self.ffi.callback("uint64_t(void *)", lambda _context: self.caller)
        # No translation has more segments than there are entries: room for more is as good as this.
        self.most_segments = max(profile.max_regions, profile.iotlb_limit) + 1
        self.woken: tuple[int, ...] = ()  # the queues that the last message woke
        config = self.ffi.new(
            "struct gpamap_device_config *",
            {
                "max_regions": profile.max_regions,
                "iotlb_limit": profile.iotlb_limit,
                "user_limit": profile.user_limit,
                "features": profile.features,
                "retirement": RETIREMENTS[profile.retirement],
                "iotlb_follows": profile.iotlb_mode == "follows",
                "caller": self.who,
                "largest_block": largest_block,
            },
        )
        made = self.ffi.new("struct gpamap_device **")
        error = self.lib.gpamap_device_create(config, made)
        if error == -errno.ENOMEM:
            raise MemoryError("the library found no memory for a device")
        if error:
            raise ValueError(f"the library refuses the profile {profile}: {errno.errorcode[-error]}")
        self.device = made[0]

    def close(self) -> None:
        """Free the device. Safe to call twice."""
        if self.device:
            self.lib.gpamap_device_destroy(self.device)
            self.device = self.ffi.NULL

    def __enter__(self) -> VhostDevice:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def do(self, request: Any) -> StepResult:
        """Do one request of the spec. Raises TypeError for what the library has no call for, OverflowError for a number
        that its fields cannot hold."""
        handler = HANDLERS.get(type(request))
        if handler is None:
            raise TypeError(f"the library has no call for {type(request).__name__}")
        self.caller = OWNER if getattr(request, "from_owner", True) else STRANGER
        try:
            return handler(self, request)  # type: ignore[no-any-return]
        finally:
            self.caller = OWNER

    # Calls. The library takes a pointer that leads nowhere as NULL.

    def set_owner(self, request: SetOwner) -> StepResult:
        return self.done(self.lib.gpamap_device_set_owner(self.device))

    def reset_owner(self, request: ResetOwner) -> StepResult:
        return self.done(self.lib.gpamap_device_reset_owner(self.device))

    def set_features(self, request: SetFeatures) -> StepResult:
        return self.done(self.lib.gpamap_device_set_features(self.device, self.word(request)))

    def set_backend_features(self, request: SetBackendFeatures) -> StepResult:
        return self.done(self.lib.gpamap_device_set_backend_features(self.device, self.word(request)))

    def set_mem_table(self, request: SetMemTable) -> StepResult:
        fields = [{"gpa": one.gpa, "size": one.size, "hva": one.hva} for one in request.regions]
        regions = self.ffi.NULL
        if request.regions_readable:
            regions = self.ffi.new("struct gpamap_memory_region[]", fields)
        table = self.ffi.NULL
        if request.readable:
            header = {"nregions": len(fields), "padding": request.padding, "regions": regions}
            table = self.ffi.new("struct gpamap_memory_table *", header)
        return self.done(self.lib.gpamap_device_set_mem_table(self.device, table))

    def add_region(self, request: AddRegion) -> StepResult:
        error = self.lib.gpamap_device_add_region(self.device, request.gpa, request.size, request.hva)
        return self.done(error)

    def remove_region(self, request: RemoveRegion) -> StepResult:
        error = self.lib.gpamap_device_remove_region(self.device, request.gpa, request.size, request.hva)
        return self.done(error)

    def remove_range(self, request: RemoveRange) -> StepResult:
        return self.done(self.lib.gpamap_device_remove_range(self.device, request.first, request.last))

    # Messages.

    def write_message(self, request: WriteMessage) -> StepResult:
        packed = MESSAGE.pack(
            request.framing, request.asid, request.iova, request.size, request.uaddr, request.perm, request.kind
        )
        # What is not written is not there to be read.
        written = self.ffi.new("uint8_t[]", packed[: request.length])
        woken: Any = self.ffi.new("struct gpamap_woken *")
        answer = self.lib.gpamap_device_write(self.device, written, request.length, woken)
        self.woken = tuple(woken.queues[0 : woken.count])
        return self.refused(answer) if answer < 0 else MessageTaken(answer, Ran((), NO_PAGES))

    def read_message(self, request: ReadMessage) -> StepResult:
        """Raises UnexpectedMessage."""
        read = self.ffi.new("uint8_t[]", MESSAGE_BYTES)
        answer = self.lib.gpamap_device_read(self.device, read, request.length)
        if answer < 0:
            return self.refused(answer)
        if answer == 0:
            return NothingRead()
        framing, asid, iova, size, uaddr, perm, kind = MESSAGE.unpack(self.ffi.buffer(read))
        if answer != MESSAGE_BYTES or kind != MISS or asid or size or uaddr:
            raise UnexpectedMessage(bytes(self.ffi.buffer(read)).hex())
        return MissRead(framing, iova, perm)

    # Translation, and queries.

    def translate(self, request: Translate) -> StepResult:
        room = min(request.room, self.most_segments)
        # One more than it is told of: a library that takes it is wrong, and does not write where it may not.
        found: Any = self.ffi.new("struct gpamap_segment[]", room + 1)
        reach: Any = self.ffi.new("struct gpamap_reach *")
        error = self.lib.gpamap_device_translate(
            self.device, request.queue, request.addr, request.length, request.access, found, room, reach
        )
        if error in (-errno.EINVAL, -errno.ENOMEM):
            return self.refused(error)
        if error:
            return Faulted(self.refused(error), request.addr + reach.bytes)  # type: ignore[arg-type]
        return Translated(tuple(Segment(one.first, one.last, one.host) for one in found[0 : reach.segments]))

    def observe_maps(self, request: ObserveMaps) -> StepResult:
        table = self.lib.gpamap_device_table(self.device)
        iotlb = self.lib.gpamap_device_iotlb(self.device)
        return MapsView(self.entries(table), self.entries(iotlb))

    def misses(self, read: bool) -> tuple[WaitingMiss, ...]:
        """The misses that were not read, or those that were read and not answered. No vector can ask for them."""
        count = self.lib.gpamap_device_misses(self.device, read, self.ffi.NULL, 0)
        found: Any = self.ffi.new("struct gpamap_miss[]", count)
        self.lib.gpamap_device_misses(self.device, read, found, count)
        return tuple(WaitingMiss(one.queue, one.iova, one.access, one.framing) for one in found)

    # Between C and the values of the spec.

    def word(self, request: SetFeatures | SetBackendFeatures) -> Any:
        return self.ffi.new("uint64_t *", request.features) if request.readable else self.ffi.NULL

    def entries(self, table: Any) -> tuple[EntryView, ...] | None:
        if not table:
            return None
        count = self.lib.gpamap_table_entries(table, self.ffi.NULL, 0)
        found: Any = self.ffi.new("struct gpamap_entry[]", count)
        self.lib.gpamap_table_entries(table, found, count)
        return tuple(EntryView(one.first, one.last, one.host, one.perm) for one in found)

    def refused(self, error: int) -> Refused:
        return Refused(errno_name(error))

    def done(self, error: int) -> StepResult:
        return self.refused(error) if error else Done()


HANDLERS: dict[type, Any] = {
    SetOwner: VhostDevice.set_owner,
    ResetOwner: VhostDevice.reset_owner,
    SetFeatures: VhostDevice.set_features,
    SetBackendFeatures: VhostDevice.set_backend_features,
    SetMemTable: VhostDevice.set_mem_table,
    AddRegion: VhostDevice.add_region,
    RemoveRegion: VhostDevice.remove_region,
    RemoveRange: VhostDevice.remove_range,
    WriteMessage: VhostDevice.write_message,
    ReadMessage: VhostDevice.read_message,
    Translate: VhostDevice.translate,
    ObserveMaps: VhostDevice.observe_maps,
}
