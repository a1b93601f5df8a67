"""What the device did: the words of the process as events, with the guest addresses that the driver gave."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.target import ErrorSeen
from conformance.targets.linux_source.process import BLOCKED, DISCARDED, ERROR, MISSED, RECEIVED, SENT
from spec.outcome import Blocked, Discarded, Missed, Ran, Received, Segment, Sent
from spec.pages import pages_in
from spec.vhost.device import QUEUES, RECEIVE, TRANSMIT, Chain
from spec.vhost.queue_io import Offer, Transmit


@dataclass
class Chains:
    """The chains that the driver offered in each queue, in order."""

    offered: list[list[Chain]] = field(default_factory=lambda: [[] for _ in range(QUEUES)])

    def note(self, request: Any) -> None:
        """One more request that the device was asked."""
        if isinstance(request, Transmit):
            self.offered[TRANSMIT].append(request.chain)
        elif isinstance(request, Offer):
            self.offered[RECEIVE].append(request.chain)

    def forget(self) -> None:
        """The device was given up: the driver begins again."""
        self.offered = [[] for _ in range(QUEUES)]


def guest_ranges(chain: Chain) -> list[tuple[int, int]]:
    """The (address, bytes) of all descriptors of a chain that have bytes, those of indirect tables in their place."""
    found: list[tuple[int, int]] = []
    for one in chain:
        for inner in (one,) if one.table is None else one.table:
            if inner.length > 0:
                found.append((inner.addr, inner.length))
    return found


def with_guest_addresses(chain: Chain, pieces: list[tuple[int, int]]) -> tuple[Segment, ...]:
    """Pieces of host memory, which follow the chain's bytes from its first on, as segments."""
    ranges = guest_ranges(chain)
    segments = []
    number, done = 0, 0
    for host, size in pieces:
        if number < len(ranges) and done == ranges[number][1]:
            number, done = number + 1, 0
        address = ranges[number][0] + done
        segments.append(Segment(address, address + size - 1, host))
        done += size
    return tuple(segments)


def ran(words: tuple[int, ...], chains: Chains) -> Ran:
    """Events and marked pages: the number of words of events, the events, and ranges of pages."""
    count, words = words[0], words[1:]
    events: list[Any] = []
    at = 0
    last_error: int | None = None  # the queue whose error the last event is
    while at < count:
        kind = words[at]
        if kind in (SENT, RECEIVED):
            queue = TRANSMIT if kind == SENT else RECEIVE
            number, length = words[at + 1], words[at + 2]
            flat = words[at + 3 : at + 3 + 2 * length]
            pieces = list(zip(flat[::2], flat[1::2], strict=True))
            segments = with_guest_addresses(chains.offered[queue][number], pieces)
            events.append(Sent(segments) if kind == SENT else Received(segments))
            at += 3 + 2 * length
        elif kind == MISSED:
            events.append(Missed(words[at + 1], words[at + 2]))
            at += 3
        elif kind in (DISCARDED, BLOCKED):
            events.append(Discarded() if kind == DISCARDED else Blocked())
            at += 1
        elif kind == ERROR:
            queue, number, again = words[at + 1 : at + 4]
            if again and last_error == queue and events[-1].times == 1:
                # What goes wrong in an indirect table, or at a field of a ring, is signalled a second time.
                events[-1] = replace(events[-1], times=2)
            else:
                events.append(ErrorSeen(errno.errorcode[number] if number else None))
            at += 4
        else:
            raise ValueError(f"the process tells of an event {kind}, which there is not")
        last_error = queue if kind == ERROR else None
    marked = words[count:]
    return Ran(tuple(events), pages_in(tuple(zip(marked[::2], marked[1::2], strict=True))))
