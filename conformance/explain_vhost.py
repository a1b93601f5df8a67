"""A vhost device in field terms: its table, its IOTLB, its misses, its queues; and what a run ended by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conformance.backings import name
from spec.outcome import Broken, EntryView, Faulted, MessageTaken, Missed, Ran
from spec.vhost.address_map import READ, WRITE, may
from spec.vhost.device import ACCESS_PLATFORM, INDIRECT, LOG_ALL, NO_LOG, VERSION_1, Device, Miss, Queue, has_feature
from spec.vhost.observe import view

QUEUE_NAMES = ("receive", "transmit")
FEATURE_NAMES = {
    VERSION_1: "version 1",
    INDIRECT: "indirect",
    LOG_ALL: "log all",
    ACCESS_PLATFORM: "access platform",
}
MOST_ENTRIES = 12  # shown of one map


def place_text(host: int) -> str:
    """A host address by backing and offset where it is in one."""
    named = name(host)
    return hex(host) if named is None else f"{named[0]}+{named[1]:#x}"


def access_text(perm: int) -> str:
    return "/".join(word for access, word in ((READ, "read"), (WRITE, "write")) if may(perm, access)) or "nothing"


def entry_text(entry: EntryView) -> str:
    return f"{entry.first:#x}..{entry.last:#x} -> {place_text(entry.host)} ({access_text(entry.perm)})"


def map_lines(title: str, entries: tuple[EntryView, ...] | None) -> Iterator[str]:
    if entries is None:
        return
    yield f"{title}: {len(entries) or 'no'} {'entry' if len(entries) == 1 else 'entries'}"
    yield from (f"  {entry_text(entry)}" for entry in entries[:MOST_ENTRIES])
    if len(entries) > MOST_ENTRIES:
        yield f"  … and {len(entries) - MOST_ENTRIES} more"


def miss_text(miss: Miss) -> str:
    return f"{miss.iova:#x} to {access_text(miss.access)} for the {QUEUE_NAMES[miss.queue]} queue"


def queue_text(number: int, queue: Queue) -> str:
    log = "" if queue.log == NO_LOG else f" log {queue.log:#x}"
    words = [
        f"{QUEUE_NAMES[number]} queue: {queue.size} descriptors at {place_text(queue.desc)}",
        f"avail {place_text(queue.avail)} used {place_text(queue.used)}{log}",
        "attached" if queue.attached else "no backend",
        f"{queue.done} chains done, {len(queue.chains)} waiting",
    ]
    if queue.packets:
        words.append(f"packets of {', '.join(str(length) for length in queue.packets)} bytes waiting")
    return "; ".join(words)


def device_lines(device: Device) -> list[str]:
    """The state for people."""
    if not device.owned:
        lines = ["no owner"]
    else:
        named = [word for bit, word in FEATURE_NAMES.items() if has_feature(device.features, bit)]
        lines = [f"owned; features {device.features:#x}{' (' + ', '.join(named) + ')' if named else ''}"]
    lines += map_lines("memory table", view(device.table))
    lines += map_lines("IOTLB", view(device.iotlb))
    lines += [f"miss, not read: {miss_text(miss)}" for miss in device.unread]
    lines += [f"miss, read: {miss_text(miss)}" for miss in device.pending]
    if device.log_base is not None:
        lines.append(f"dirty log at {place_text(device.log_base)}")
    return lines + [queue_text(n, queue) for n, queue in enumerate(device.queues) if queue != Queue()]


def notes(outcome: Any) -> Iterator[str]:
    """Why a translation or a run stopped where it did."""
    if isinstance(outcome, MessageTaken):
        outcome = outcome.ran
    if isinstance(outcome, Faulted):
        yield f"stops at  {outcome.at:#x} by {outcome.rule.id}: {outcome.rule.sentence} ({outcome.rule.source})"
    for event in outcome.events if isinstance(outcome, Ran) else ():
        if isinstance(event, Broken):
            at = "" if event.at is None else f"at {event.at:#x} "
            yield f"error     {at}by {event.rule.id}: {event.rule.sentence} ({event.rule.source})"
        if isinstance(event, Missed):
            yield f"waits     for {event.at:#x}, to {access_text(event.access)} it"
