"""The misses of a device: a list of those that userspace has not read, and a list of those it has.

Facts: drivers/vhost/vhost.c vhost_iotlb_miss, vhost_enqueue_msg, vhost_dequeue_msg, vhost_chr_read_iter,
vhost_iotlb_notify_vq, vhost_clear_msg.
"""

from __future__ import annotations

from spec.vhost.device import Miss


class MissQueue:
    """Two lists, each with the oldest first. Nothing is taken for a repetition of another: each attempt asks again."""

    def __init__(self) -> None:
        self.read_list: list[Miss] = []
        self.pending_list: list[Miss] = []

    def ask(self, miss: Miss) -> None:
        """The device asks for a byte."""
        self.read_list.append(miss)

    def read(self) -> Miss | None:
        """Userspace reads the oldest miss, which can be answered from now on. None when none waits."""
        if not self.read_list:
            return None
        miss = self.read_list.pop(0)
        self.pending_list.append(miss)
        return miss

    def answer(self, first: int, last: int) -> list[int]:
        """An update maps first..last: the misses there are answered. Returns the queues to wake, in order of misses."""
        woken: list[int] = []
        for miss in list(self.pending_list):
            if first <= miss.iova <= last:
                if miss.queue not in woken:  # a queue that is to run already is not queued again
                    woken.append(miss.queue)
                self.pending_list.remove(miss)  # of equal ones the first: which one goes cannot be seen
        return woken

    def clear(self) -> None:
        """Forget all of them."""
        self.read_list.clear()
        self.pending_list.clear()
