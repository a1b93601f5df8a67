"""A run of a queue: prefetch of its ring, then chain after chain.

Facts: drivers/vhost/net.c handle_tx, handle_rx, get_tx_bufs, get_rx_bufs; drivers/vhost/vhost.c vq_meta_prefetch,
iotlb_access_ok, __vhost_get_user, vhost_disable_notify, vhost_enable_notify, vhost_add_used_n.
"""

from __future__ import annotations

from model.vhost.chain import Taken, get_chain
from model.vhost.device import KernelDevice
from model.vhost.log import Marks, log_buffers, log_segments
from model.vhost.metadata import ACCESS_OF, AVAIL, USED
from model.vhost.queue import Virtqueue
from spec.outcome import Blocked, Broken, Discarded, Event, Faulted, Received, Sent, Translated
from spec.units import U64_MAX
from spec.vhost.address_map import READ, WRITE, may
from spec.vhost.chain import bytes_in, first_bytes
from spec.vhost.device import RECEIVE
from spec.vhost.dirty_log import USED_FLAGS, USED_INDEX
from spec.vhost.run import RECEIVES, SENDS, WHOLE_FIELD
from spec.vhost.translate import IN_IOTLB


class Run:
    """What one request makes the queues do: events in order, pages marked."""

    def __init__(self, device: KernelDevice) -> None:
        self.device = device
        self.events: list[Event] = []
        self.marks = Marks()

    def run_queue(self, number: int) -> None:
        """One run of a queue, to its end."""
        queue = self.device.queues[number]
        if not queue.backend or queue.has_no_ring():
            return
        trouble = self.prefetch(number)
        if trouble is not None:
            self.events.append(trouble)
            return
        address = self.field_in_pieces(queue, ((USED, queue.used + USED_FLAGS[0], WRITE),))
        if address is not None:  # kernels signal the error and go on with the run
            self.events.append(Broken(WHOLE_FIELD, address))
            return
        self.disable_notify(queue)
        if number == RECEIVE:
            self.handle_rx(queue)
        else:
            self.handle_tx(number, queue)

    # The ring ----------------------------------------------------------------------------------------------------

    def prefetch(self, number: int) -> Event | None:
        """Look up all parts of the ring, by way of the metadata cache. What keeps the queue from it, or None."""
        queue = self.device.queues[number]
        if queue.iotlb is None:
            return None
        for part, address, size in queue.areas():
            trouble = self.area_trouble(number, part, address, size)
            if trouble is not None:
                return trouble
        return None

    def area_trouble(self, number: int, part: int, address: int, size: int) -> Event | None:
        """Look up one part of the ring, and remember the entry if the whole part lies in it.

        Kernels ask for a miss also where a ring goes on past the last address, though nothing can answer it.
        """
        queue, access = self.device.queues[number], ACCESS_OF[part]
        assert queue.iotlb is not None
        cached = queue.metadata.fetch(part)
        if cached is not None:
            queue.iotlb.touch(cached)  # the lookup that was saved would have
            return None
        at, done, last = address, 0, min(address + size - 1, U64_MAX)
        while size > done:
            if at > U64_MAX:
                return Blocked()
            entry = queue.iotlb.find(at, last)
            if entry is None or entry.first > at:
                return self.device.event_of(number, Faulted(IN_IOTLB, at), access)
            if not may(entry.perm, access):
                return Blocked()
            queue.iotlb.touch(entry)
            length = entry.size - (at - entry.first)
            if at == address and length >= size:
                queue.metadata.update(part, entry)
            done += length
            at += length
        return None

    def next_fields(self, queue: Virtqueue) -> tuple[tuple[int, int, int], ...]:
        """The two-byte fields that the next chain needs; only the available index where none waits."""
        how_many = (AVAIL, queue.avail + 2, READ)
        if not queue.chains:
            return (how_many,)
        ring_entry = queue.avail + 4 + 2 * (queue.last_avail_idx % queue.num)
        return (how_many, (AVAIL, ring_entry, READ), (USED, queue.used + USED_INDEX[0], WRITE))

    def field_in_pieces(self, queue: Virtqueue, fields: tuple[tuple[int, int, int], ...]) -> int | None:
        """The address of the first of these fields that is not in one entry, or None.

        Kernels see it field by field, each when its turn comes, and ask for READ also where they write.
        """
        if queue.iotlb is None:
            return None
        for part, address, access in fields:
            if queue.metadata.fetch(part) is not None:
                continue
            answer = self.device.translate_for_ring(address, 2, access)
            if isinstance(answer, Translated) and len(answer.segments) > 1:
                return address
        return None

    def disable_notify(self, queue: Virtqueue) -> None:
        """Tell the driver not to kick, if that was not said yet."""
        if not queue.no_notify:
            queue.no_notify = True
            self.device.log_used(self.marks, queue, *USED_FLAGS)

    def enable_notify(self, queue: Virtqueue) -> None:
        """Tell the driver to kick again."""
        queue.no_notify = False
        self.device.log_used(self.marks, queue, *USED_FLAGS)

    def add_used(self, queue: Virtqueue) -> None:
        """Report a chain that was taken: an element, then the index."""
        queue.chains.popleft()
        self.device.log_used(self.marks, queue, 4 + 8 * (queue.last_used_idx % queue.num), 8)
        queue.last_used_idx += 1
        self.device.log_used(self.marks, queue, *USED_INDEX)

    def next_chain(self, number: int) -> Taken | None:
        """Take the next chain. None when the run ends here: something is wrong, or no chain waits."""
        queue = self.device.queues[number]
        address = self.field_in_pieces(queue, self.next_fields(queue))
        if address is not None:
            self.events.append(Broken(WHOLE_FIELD, address))
            return None
        if not queue.chains:
            self.enable_notify(queue)
            return None
        taken = get_chain(self.device, number, queue.chains[0])
        if not isinstance(taken, Taken):
            self.events.append(taken)
            return None
        queue.last_avail_idx += 1
        return taken

    def put_back(self, queue: Virtqueue) -> None:
        """The chain that was taken last is not: it will be found again."""
        queue.last_avail_idx -= 1

    # Packets -----------------------------------------------------------------------------------------------------

    def handle_tx(self, number: int, queue: Virtqueue) -> None:
        """Send all chains."""
        while (taken := self.next_chain(number)) is not None:
            if taken.into or not taken.out:
                self.put_back(queue)  # kernels do not: the chain is taken and never reported
                self.events.append(Broken(SENDS))
                return
            self.add_used(queue)
            self.events.append(Sent(tuple(taken.out)))

    def handle_rx(self, queue: Virtqueue) -> None:
        """Receive all packets, as long as there are chains for them."""
        queue.polls_socket = False
        while True:
            if not queue.packets:
                queue.polls_socket = True
                return
            taken = self.next_chain(RECEIVE)
            if taken is None:
                return
            if taken.out or not taken.into:
                self.put_back(queue)  # kernels do not: the chain is taken and never reported
                self.events.append(Broken(RECEIVES))
                return
            length = queue.packets.popleft()
            if length > bytes_in(tuple(taken.into)):
                self.put_back(queue)
                self.events.append(Discarded())
                continue
            self.add_used(queue)
            self.log_packet(queue, taken, length)
            self.events.append(Received(first_bytes(tuple(taken.into), length)))

    def log_packet(self, queue: Virtqueue, taken: Taken, length: int) -> None:
        """Mark the pages of a packet. With an IOTLB kernels mark the whole buffer, also where it was not written."""
        if not self.device.settings.logs_all() or self.device.settings.log_base is None:
            return
        if queue.iotlb is None:
            log_buffers(self.marks, taken.log, length)
        elif queue.umem is not None:
            log_segments(self.marks, queue.umem, first_bytes(tuple(taken.into), length))
