"""What a kernel knows of one queue, and what waits in it: chains of the driver, packets of the tap.

Facts: drivers/vhost/vhost.h struct vhost_virtqueue; drivers/vhost/vhost.c vhost_vq_reset.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from model.vhost.iotlb import Iotlb, Regions
from model.vhost.metadata import AVAIL, DESC, USED, MetadataCache
from spec.vhost.device import NO_LOG, Chain, Queue


class Virtqueue:
    """One queue. `umem` and `iotlb` are the containers as this queue sees them: it is told after the device is."""

    def __init__(self, packets: Iterable[int] = ()) -> None:
        self.num = 1
        self.desc = 0
        self.avail = 0
        self.used = 0
        self.log_addr = NO_LOG
        self.backend = False
        self.last_avail_idx = 0  # chains taken
        self.last_used_idx = 0  # chains reported
        self.no_notify = False  # the flag in the used ring: the driver need not kick
        self.polls_socket = False  # a packet that comes makes the queue run
        self.umem: Regions | None = None
        self.iotlb: Iotlb | None = None
        self.metadata = MetadataCache()
        self.chains: deque[Chain] = deque()
        self.packets: deque[int] = deque(packets)

    def desc_size(self) -> int:
        """Bytes of the descriptor table."""
        return 16 * self.num

    def avail_size(self) -> int:
        """Bytes of the available ring."""
        return 4 + 2 * self.num

    def used_size(self) -> int:
        """Bytes of the used ring."""
        return 4 + 8 * self.num

    def areas(self) -> tuple[tuple[int, int, int], ...]:
        """The ring's parts as (part, address, bytes), in the order in which they are looked up."""
        return (
            (DESC, self.desc, self.desc_size()),
            (AVAIL, self.avail, self.avail_size()),
            (USED, self.used, self.used_size()),
        )

    def has_no_ring(self) -> bool:
        """Whether no address was given, or all were forgotten."""
        return self.desc == 0 and self.avail == 0 and self.used == 0

    def forget_ring(self) -> None:
        """Forget where the ring is."""
        self.desc = self.avail = self.used = 0
        self.log_addr = NO_LOG

    def as_spec(self) -> Queue:
        """The queue as the specification has it."""
        assert self.last_avail_idx == self.last_used_idx, "a chain was taken and not reported"
        return Queue(
            size=self.num,
            desc=self.desc,
            avail=self.avail,
            used=self.used,
            log=self.log_addr,
            attached=self.backend,
            done=self.last_used_idx,
            quiet=self.no_notify,
            listening=self.polls_socket,
            chains=tuple(self.chains),
            packets=tuple(self.packets),
        )
