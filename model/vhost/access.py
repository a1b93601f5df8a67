"""What a device may be given: a walk through the list of a table, and the three parts of a ring.

Facts: drivers/vhost/vhost.c vq_memory_access_ok, memory_access_ok, vq_access_ok, vq_log_used_access_ok, log_access_ok.
"""

from __future__ import annotations

from model.vhost.device import KernelDevice
from model.vhost.iotlb import Map, Regions
from model.vhost.queue import Virtqueue
from spec.rule import Rule
from spec.vhost.device import NO_LOG, is_host_range, is_log_range


class GuardedDevice(KernelDevice):
    """A device that looks at what it is given."""

    def is_active(self) -> bool:
        """Whether a backend is attached to any queue."""
        return any(queue.backend for queue in self.queues)

    def bad_memory(self, table: Regions | None, log_all: bool, log_base: int | None) -> str:
        """Walk the list: "host" if an entry is no user memory or there is no table, "log" if the log has no room for
        one, "" if all is well. The first kind counts also where the second comes earlier in the list.
        """
        if table is None:
            return "host"
        found = ""
        for entry in table.in_list():
            bad = self.bad_entry(entry, log_all, log_base)
            if bad == "host":
                return "host"
            if bad == "log":
                found = "log"
        return found

    def bad_entry(self, entry: Map, log_all: bool, log_base: int | None) -> str:
        """The same of one entry."""
        if not is_host_range(self.profile, entry.host, entry.size):
            return "host"
        if log_all and not is_log_range(self.profile, log_base, entry.first, entry.size):
            return "log"
        return ""

    def table_trouble(self, table: Regions, host: Rule, log: Rule) -> Rule | None:
        """What is wrong with a table for a device that is active."""
        if not self.is_active():
            return None
        bad = self.bad_memory(table, self.settings.logs_all(), self.settings.log_base)
        return {"": None, "host": host, "log": log}[bad]

    def ring_is_user_memory(self, queue: Virtqueue, addresses: tuple[int, int, int]) -> bool:
        """Whether the ring's three parts are user memory. With an IOTLB that is found out at prefetch."""
        if queue.iotlb is not None:
            return True
        sizes = (queue.desc_size(), queue.avail_size(), queue.used_size())
        return all(is_host_range(self.profile, address, size) for address, size in zip(addresses, sizes, strict=True))

    def ring_is_loggable(self, queue: Virtqueue, log_addr: int, log_base: int | None) -> bool:
        """Whether the log has room for the used ring. With an IOTLB it is logged where it lives."""
        if queue.iotlb is not None or log_addr == NO_LOG:
            return True
        return is_log_range(self.profile, log_base, log_addr, queue.used_size())
