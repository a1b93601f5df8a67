"""The state of a device as a kernel keeps it, and what its queues ask of it.

The device has the memory table and the IOTLB, and so has each of its queues: translations go through the device's,
prefetch and the dirty log through the queue's. While they are replaced, the two differ for a moment.

Facts: drivers/vhost/vhost.h struct vhost_dev; drivers/vhost/vhost.c translate_desc, vhost_iotlb_miss, log_used.
"""

from __future__ import annotations

from model.vhost.iotlb import Iotlb, Map, Regions
from model.vhost.log import Marks, log_segments, log_write
from model.vhost.misses import MissQueue
from model.vhost.queue import Virtqueue
from model.vhost.translate import nothing, translate
from spec.outcome import Broken, Event, Faulted, Missed, Translated
from spec.profile import Profile
from spec.rule import Rule
from spec.vhost.address_map import WRITE
from spec.vhost.device import NEW_DEVICE, NO_LOG, Device, Miss
from spec.vhost.translate import IN_IOTLB, MAPPED, MOST_RING_SEGMENTS


class KernelDevice:
    """A device with its containers, misses and queues. `settings` is the rest: owner, features, log address."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.settings: Device = NEW_DEVICE
        self.table: Regions | None = None
        self.iotlb: Iotlb | None = None
        self.misses = MissQueue()
        self.queues = (Virtqueue(), Virtqueue())

    def new_iotlb(self) -> Iotlb:
        """An empty IOTLB."""
        return Iotlb(self.profile.iotlb_limit, lru=self.profile.retirement == "lru")

    def new_table(self) -> Regions:
        """An empty memory table: the same container. It never retires anything, as it is refused before it is full."""
        return self.new_iotlb()

    def find(self, first: int, last: int) -> Map | None:
        """The leftmost entry with a byte in first..last, of the container in use."""
        container = self.table if self.iotlb is None else self.iotlb
        return None if container is None else container.find(first, last)

    def missing(self) -> Rule:
        """The rule for a byte that nothing maps."""
        return MAPPED if self.iotlb is None else IN_IOTLB

    def touch(self, entry: Map) -> None:
        """An entry of the container in use was used. A memory table retires nothing, and need not know."""
        if self.iotlb is not None:
            self.iotlb.touch(entry)

    def translate(self, addr: int, length: int, access: int, room: int) -> Translated | Faulted:
        """Translate for a buffer."""
        return translate(self.find, self.missing(), addr, length, access, room, self.touch)

    def translate_for_ring(self, addr: int, length: int, access: int) -> Translated | Faulted:
        """Translate a part of a ring that was looked up as a whole before: that was its use."""
        return translate(self.find, self.missing(), addr, length, access, MOST_RING_SEGMENTS, nothing)

    def ask(self, number: int, fault: Faulted, access: int) -> None:
        """If the IOTLB has nothing there, ask userspace."""
        if fault.rule is IN_IOTLB:
            self.misses.ask(Miss(number, fault.at, access, self.settings.message_version))

    def event_of(self, number: int, fault: Faulted, access: int) -> Event:
        """What a queue does when a translation stops: it waits for an answer, or reports the error."""
        self.ask(number, fault, access)
        if fault.rule is IN_IOTLB:
            return Missed(fault.at, access)
        return Broken(fault.rule, fault.at)

    def log_used(self, marks: Marks, queue: Virtqueue, offset: int, length: int) -> None:
        """Mark the pages of a part of the used ring that was written."""
        if queue.log_addr == NO_LOG or self.settings.log_base is None:
            return
        if queue.iotlb is None:
            log_write(marks, queue.log_addr + offset, length)
            return
        answer = self.translate_for_ring(queue.used + offset, length, WRITE)
        if isinstance(answer, Translated) and queue.umem is not None:
            log_segments(marks, queue.umem, answer.segments)
