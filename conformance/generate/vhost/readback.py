"""Reading a device's state back: all entries, for those who can show them, and what they lead to.

A library translates, a kernel is sent a packet made of the ends of each entry. Where nothing can be sent - a queue is
not at work, or waits - only the entries are asked for. At the end of all, misses are read until there is none: one too
many, or one that is another than expected, shows there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from conformance.generate.build import Draft, states
from conformance.generate.vhost import scene
from conformance.generate.vhost.runnable import is_runnable
from spec.outcome import EntryView, MessageTaken, Ran, Rejected, Sent, Translated
from spec.profile import Profile
from spec.step import step
from spec.units import U64_MAX
from spec.vhost.address_map import READ, WRITE, may
from spec.vhost.device import TRANSMIT, Descriptor, Device
from spec.vhost.messages import ReadMessage
from spec.vhost.observe import ObserveMaps, view
from spec.vhost.queue_io import Transmit
from spec.vhost.translate import MOST_SEGMENTS, Translate, map_in_use, translation

MOST_ENTRIES = 6  # looked at one by one
MOST_BYTES = 2048  # sent of one entry


def entries_of(device: Device) -> tuple[EntryView, ...]:
    """The entries that count: those of the IOTLB, or of the table."""
    return view(map_in_use(device)) or ()


def observed(profile: Profile, device: Device, request: Any) -> list[Any]:
    """All entries, and what an untouched queue can send of them: for targets with rings and a backend."""
    return [ObserveMaps(), *sending(profile, device)]


def translated(profile: Profile, device: Device, request: Any) -> list[Any]:
    """All entries, and where they lead: for targets that translate."""
    found: dict[Translate, None] = {}
    for entry in entries_of(device)[:MOST_ENTRIES]:
        access = READ if may(entry.perm, READ) else WRITE
        for addr, length in ends_of(entry):
            found[Translate(addr=addr, length=length, access=access)] = None
    return [ObserveMaps(), *found]


def ends_of(entry: EntryView) -> list[tuple[int, int]]:
    """Ranges that show an entry: its bytes, the byte before it, the byte behind it."""
    size = entry.last - entry.first + 1
    found = [(entry.first, size)] if size > 0 else []
    if entry.first > 0:
        found.append((entry.first - 1, 1))
    if entry.last < U64_MAX:
        found.append((entry.last, 2))
    return found


def sending(profile: Profile, device: Device) -> list[Any]:
    """A packet of the ends of each entry that data can be sent from, if one can be sent."""
    queue = device.queues[TRANSMIT]
    if not queue.attached or queue.chains:
        return []
    chosen: list[Descriptor] = []
    for entry in entries_of(device)[: 2 * MOST_ENTRIES]:
        size = entry.last - entry.first + 1
        for part in parts_of(entry, size):
            if len(chosen) < MOST_ENTRIES * 2 and can_be_sent(profile, device, (*chosen, part)):
                chosen.append(part)
    for parts in (tuple(chosen), ()):
        request = scene.send(*parts)
        if is_sent(profile, device, request):
            return [request]
    return []


def parts_of(entry: EntryView, size: int) -> list[Descriptor]:
    if size <= MOST_BYTES:
        return [scene.read(entry.first, size)]
    return [scene.read(entry.first, MOST_BYTES // 2), scene.read(entry.last - MOST_BYTES // 2 + 1, MOST_BYTES // 2)]


def can_be_sent(profile: Profile, device: Device, parts: tuple[Descriptor, ...]) -> bool:
    """Whether the last part can be had; that all are memory that packets are made of is seen when they are sent."""
    part = parts[-1]
    answer = translation(profile, device, part.addr, part.length, READ, MOST_SEGMENTS)[1]
    return isinstance(answer, Translated) and is_sent(profile, device, scene.send(*parts))


def is_sent(profile: Profile, device: Device, request: Transmit) -> bool:
    """Whether a real device would send this, and nothing else would happen."""
    if not is_runnable(profile, device, request):
        return False
    outcome = step(profile, device, request)[1]
    ran = outcome.ran if isinstance(outcome, MessageTaken) else outcome
    return isinstance(ran, Ran) and [type(event) for event in ran.events] == [Sent]


def with_misses_read(drafts: Callable[[Profile], Iterator[Draft]]) -> Callable[[Profile], Iterator[Draft]]:
    """The same drafts; in IOTLB mode they end with reads of all misses, and of one that is not there."""

    def all_drafts(profile: Profile) -> Iterator[Draft]:
        for draft in drafts(profile):
            tail = misses_left(profile, draft.requests)
            yield replace(draft, requests=(*draft.requests, *tail), tail=len(tail))

    return all_drafts


def misses_left(profile: Profile, requests: tuple[Any, ...]) -> tuple[ReadMessage, ...]:
    """The reads that show which misses are left after requests; none where there is no IOTLB, or they end with such."""
    before, outcome = states(profile, requests)[-1]
    device, _ = step(profile, before, requests[-1])
    ends_so = isinstance(requests[-1], ReadMessage) and isinstance(outcome, Rejected)
    if device.iotlb is None or ends_so:
        return ()
    return (ReadMessage(),) * (len(device.unread) + 1)
