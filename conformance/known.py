"""Situations in which kernels are known to do otherwise than specified, for requests that nobody has listed.

A list of deviations names published vectors. Random requests have no names; here the same deviations are told by what
is asked of the device in which state. From such a step on nothing is said about that target's answers to the sequence,
since its state may be another one; all before it is judged as ever. Each has the name of an entry of a target's list of
deviations, where its reason and its source are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from spec.outcome import Broken, MessageTaken, Missed, Outcome, Ran, Received, Rejected
from spec.profile import Profile
from spec.step import step
from spec.units import U64
from spec.vhost import backend, mem_table
from spec.vhost.address_map import READ, WRITE
from spec.vhost.backend import SetBackend
from spec.vhost.chain import bytes_in
from spec.vhost.device import GUEST_BYTES_PER_LOG_BYTE, QUEUES, Chain, Device, is_host_range
from spec.vhost.mem_table import SetMemTable
from spec.vhost.messages import FRAMINGS, INVALIDATE, NEEDED_BYTES, UPDATE, WriteMessage, is_answered
from spec.vhost.queue_io import Offer, Transmit
from spec.vhost.ring import LOG_BASE, SetLogBase, SetRingAddresses, SetRingSize, queue_named, with_addresses
from spec.vhost.run import RECEIVES, SENDS, WHOLE_FIELD
from spec.vhost.translate import Translate

KERNELS = ("linux*",)  # booted ones, and their code in user space


@dataclass(frozen=True)
class Known:
    """One situation. `shown` is asked of the profile, the state before the request, the request, and its outcome."""

    id: str
    targets: tuple[str, ...]
    sentence: str
    rule: str
    source: str
    shown: Callable[[Profile, Device, Any, Outcome], bool]

    def is_of(self, target: str) -> bool:
        return any(fnmatchcase(target, pattern) for pattern in self.targets)


def ran(outcome: Outcome) -> Ran | None:
    """What a device did because of a request, where it can do something."""
    found = outcome.ran if isinstance(outcome, MessageTaken) else outcome
    return found if isinstance(found, Ran) else None


def message(request: Any, kind: int) -> bool:
    """Whether a request is a whole message of this kind."""
    whole = isinstance(request, WriteMessage) and request.length >= NEEDED_BYTES and request.framing in FRAMINGS
    return whole and request.kind == kind


def chain_wraps(chain: Chain) -> bool:
    """Whether a descriptor of a chain, or of its tables, goes on past the last guest address."""
    every = [inner for one in chain for inner in (one, *(one.table or ()))]
    return any(one.addr + one.length > U64 for one in every)


def wrapping_translation(profile: Profile, device: Device, request: Any, outcome: Outcome) -> bool:
    if isinstance(request, Translate):
        return request.addr + request.length > U64
    if isinstance(request, Transmit | Offer):
        return chain_wraps(request.chain)
    if isinstance(request, SetRingAddresses | SetRingSize) and not isinstance(outcome, Rejected):
        queue = queue_named(device, request)
        if isinstance(request, SetRingAddresses):
            queue = with_addresses(queue, request)
        return any(address + size > U64 for address, size, _ in queue.parts())
    return False


def wrapping_invalidation(profile: Profile, device: Device, request: Any, outcome: Outcome) -> bool:
    return message(request, INVALIDATE) and request.size > 0 and request.iova + request.size > U64


def empty_invalidation(profile: Profile, device: Device, request: Any, outcome: Outcome) -> bool:
    return message(request, INVALIDATE) and request.size == 0


def empty_update(profile: Profile, device: Device, request: Any, outcome: Outcome) -> bool:
    return message(request, UPDATE) and request.size == 0


def empty_region(profile: Profile, device: Device, request: Any, outcome: Outcome) -> bool:
    return isinstance(request, SetMemTable) and any(region.size == 0 == region.gpa for region in request.regions)


def table_too_large(profile: Profile, device: Device, request: Any, outcome: Outcome) -> bool:
    return isinstance(request, SetMemTable) and isinstance(outcome, Rejected) and outcome.rule is mem_table.FITS


def backend_refused(profile: Profile, device: Device, request: Any, outcome: Outcome) -> bool:
    """A rejected backend: the kernel has then asked for what it missed, and may take a queue that has no ring."""
    return isinstance(request, SetBackend) and isinstance(outcome, Rejected) and outcome.rule is backend.USED


def chain_lost(profile: Profile, device: Device, request: Any, outcome: Outcome) -> bool:
    events = () if (done := ran(outcome)) is None else done.events
    return any(isinstance(event, Broken) and event.rule in (SENDS, RECEIVES) for event in events)


def field_split(profile: Profile, device: Device, request: Any, outcome: Outcome) -> bool:
    events = () if (done := ran(outcome)) is None else done.events
    return any(isinstance(event, Broken) and event.rule is WHOLE_FIELD for event in events)


def whole_chain_logged(profile: Profile, device: Device, request: Any, outcome: Outcome) -> bool:
    done = ran(outcome)
    if done is None or device.iotlb is None or not device.logs_all():
        return False
    return any(isinstance(event, Received) and bytes_in(event.segments) > 0 for event in done.events)


def log_counted_by_size(profile: Profile, device: Device, request: Any, outcome: Outcome) -> bool:
    """A memory table of which one region's log bits end just past user memory."""
    entries = () if device.table is None else device.table.entries
    regions = [(one.first, one.last) for one in entries]
    if isinstance(request, SetMemTable):
        regions += [(one.gpa, one.gpa + one.size - 1) for one in request.regions]
    base = getattr(request, "base", None) or device.log_base or 0
    for first, last in regions:
        start, size = base + first // GUEST_BYTES_PER_LOG_BYTE, last - first + 1
        by_size = -(-size // GUEST_BYTES_PER_LOG_BYTE)
        by_bytes = last // GUEST_BYTES_PER_LOG_BYTE - first // GUEST_BYTES_PER_LOG_BYTE + 1
        if is_host_range(profile, start, by_size) != is_host_range(profile, start, by_bytes):
            return True
    return False


def log_base_in_part(profile: Profile, device: Device, request: Any, outcome: Outcome) -> bool:
    return isinstance(request, SetLogBase) and isinstance(outcome, Rejected) and outcome.rule is LOG_BASE


def used_in_part(profile: Profile, device: Device, request: Any, outcome: Outcome) -> bool:
    """A run while an entry with a byte of a used ring permits only one of reading and writing."""
    if ran(outcome) is None:
        return False
    after: Device = step(profile, device, request)[0]
    if after.iotlb is None:
        return False
    for queue in after.queues:
        if not queue.attached:
            continue
        first, last = queue.used, queue.used + queue.used_bytes() - 1
        if any(one.touches(first, last) and one.perm in (READ, WRITE) for one in after.iotlb.entries):
            return True
    return False


def begins_at_0(profile: Profile, device: Device, request: Any, outcome: Outcome) -> bool:
    """A lookup from address 0 on, while an entry behind it ends at the last address."""
    after: Device = step(profile, device, request)[0]
    table = after.iotlb if after.iotlb is not None else after.table
    if table is None or not any(one.last == U64 - 1 and one.first > 0 for one in table.entries):
        return False
    if isinstance(request, Translate):
        return request.addr == 0
    chains = [chain for queue in after.queues for chain in queue.chains]
    chains += [request.chain] if isinstance(request, Transmit | Offer) else []
    lookups = [inner for chain in chains for one in chain for inner in (one, *(one.table or ()))]
    rings = [address for queue in after.queues for address, _, _ in queue.parts() if queue.attached]
    return any(one.addr == 0 for one in lookups) or (after.iotlb is not None and 0 in rings)


def ring_kept(profile: Profile, device: Device, request: Any, outcome: Outcome) -> bool:
    """A ring that moves or changes while there is an IOTLB. (Of a queue without a ring nothing was looked up.)"""
    moves = isinstance(request, SetRingAddresses | SetRingSize) and request.queue < QUEUES
    return moves and device.iotlb is not None and not queue_named(device, request).has_no_ring()


def asks_again(profile: Profile, device: Device, request: Any, outcome: Outcome) -> bool:
    """A queue misses while a miss waits that this request does not answer."""
    waiting = device.unread + device.pending
    if message(request, UPDATE):
        waiting = device.unread + tuple(miss for miss in device.pending if not is_answered(miss, request))
    events = () if (done := ran(outcome)) is None else done.events
    return len(waiting) > 0 and any(isinstance(event, Missed) for event in events)


KNOWN: tuple[Known, ...] = (
    Known(
        "a-queue-asks-once-7.3",
        ("linux-7.3",),
        "A queue that has asked for a byte asks for none again before that miss is answered or forgotten.",
        "XLATE.IN_IOTLB",
        "drivers/vhost/vhost.c vhost_iotlb_miss (7.3: vq->iotlb_miss)",
        asks_again,
    ),
    Known(
        "a-descriptor-that-wraps-asks-for-a-miss",
        KERNELS,
        "A range that goes on past the last guest address stops at its first byte: in IOTLB mode with a miss that "
        "nothing can answer, else as not mapped. Its last byte is computed as a small number, and nothing is found.",
        "XLATE.LAST_ADDRESS",
        "drivers/vhost/vhost.c translate_desc",
        wrapping_translation,
    ),
    Known(
        "an-invalidation-that-wraps-takes-nothing",
        KERNELS,
        "An invalidation that goes on past the last address takes nothing: its last byte comes before its first, and "
        "no entry is found between them.",
        "IOTLB.MESSAGE.KIND",
        "drivers/vhost/vhost.c vhost_process_iotlb_msg, drivers/vhost/iotlb.c vhost_iotlb_del_range",
        wrapping_invalidation,
    ),
    Known(
        "an-empty-invalidation-takes-entries",
        KERNELS,
        "An invalidation of no bytes takes every entry that has its address and the byte before it; at 0 it takes all "
        "entries, since the byte before 0 is the last.",
        "IOTLB.MESSAGE.KIND",
        "drivers/vhost/vhost.c vhost_process_iotlb_msg, drivers/vhost/iotlb.c vhost_iotlb_del_range",
        empty_invalidation,
    ),
    Known(
        "an-empty-update",
        ("linux*-5.10",),
        "An update of no bytes is not refused as such: it fails later, or (at 0) is taken for the whole space.",
        "IOTLB.UPDATE.EMPTY",
        "drivers/vhost/vhost.c vhost_chr_write_iter (the check came with 5.17 and is not in 5.10)",
        empty_update,
    ),
    Known(
        "an-empty-region-is-everything",
        KERNELS,
        "A region of no bytes at 0 is taken for the whole space: its last byte is computed as the one before 0.",
        "VHOST.TABLE.EMPTY",
        "drivers/vhost/vhost.c vhost_set_memory, drivers/vhost/iotlb.c vhost_iotlb_add_range_ctx",
        empty_region,
    ),
    Known(
        "a-table-gives-up-its-first-regions",
        KERNELS,
        "A memory table with more regions than can be held is taken, and gives up its first ones: it is made of the "
        "same container as the IOTLB, with the same limit and retirement.",
        "VHOST.TABLE.FITS",
        "drivers/vhost/vhost.c iotlb_alloc, drivers/vhost/iotlb.c vhost_iotlb_add_range_ctx",
        table_too_large,
    ),
    Known(
        "a-backend-only-needs-to-read-the-used-flags",
        KERNELS,
        "A queue is attached where its used flags can be read, though they are to be written; where they are missing, "
        "the refused call has asked for a miss; a queue without a ring is attached.",
        "VHOST.BACKEND.USED",
        "drivers/vhost/vhost.c vhost_vq_init_access, vhost_update_used_flags, __vhost_get_user",
        backend_refused,
    ),
    Known(
        "a-chain-of-the-wrong-kind-is-lost",
        KERNELS,
        "A chain that has what its queue cannot use is taken, and never reported.",
        "VHOST.CHAIN.SENDS",
        "drivers/vhost/net.c get_tx_bufs, get_rx_bufs",
        chain_lost,
    ),
    Known(
        "a-field-in-pieces-is-found-late",
        KERNELS,
        "A ring's field that lies in two entries is found out when it is accessed: after a packet was sent, and "
        "without an end of the run where only the flags are concerned.",
        "VHOST.RING.WHOLE_FIELD",
        "drivers/vhost/vhost.c __vhost_get_user_slow, vhost_update_used_flags, __vhost_add_used_n",
        field_split,
    ),
    Known(
        "all-of-a-buffer-is-marked",
        KERNELS,
        "With an IOTLB all buffers of a received chain are marked in the dirty log, also bytes that were not written.",
        "VHOST.FEATURES.LOGGABLE",
        "drivers/vhost/vhost.c vhost_log_write",
        whole_chain_logged,
    ),
    Known(
        "log-counted-by-size",
        KERNELS,
        "The room that a log needs is counted by the size of what it is for, so that its last byte may be left out.",
        "VHOST.LOG.BASE",
        "drivers/vhost/vhost.c log_access_ok",
        log_counted_by_size,
    ),
    Known(
        "a-log-base-that-fails-half-way",
        KERNELS,
        "A log base that is refused for one queue is taken by those that have no objection.",
        "VHOST.LOG.BASE",
        "drivers/vhost/vhost.c vhost_dev_ioctl (VHOST_SET_LOG_BASE)",
        log_base_in_part,
    ),
    Known(
        "used-fields-are-written-where-they-may-be-read",
        KERNELS,
        "Fields of the used ring, which are written, are looked up for reading where no entry has the whole ring.",
        "VHOST.BACKEND.USED",
        "drivers/vhost/vhost.c vhost_put_used_flags, vhost_put_used_idx, __vhost_get_user_slow",
        used_in_part,
    ),
    Known(
        "a-lookup-from-0-goes-round",
        KERNELS,
        "A lookup that begins at 0 and ends in an entry up to the last address counts 2^64 bytes as none, and begins "
        "again: a translation fills all its room, a ring's prefetch never ends.",
        "XLATE.ROOM",
        "drivers/vhost/vhost.c translate_desc, iotlb_access_ok (the sum of the entries' sizes wraps)",
        begins_at_0,
    ),
    Known(
        "a-moved-ring-is-looked-up-at-its-old-place",
        ("linux*-5.10",),
        "What was looked up for a ring stays in use when the ring moves, until the next message.",
        "VHOST.RING.HOST",
        "drivers/vhost/vhost.c vhost_vring_set_addr, vhost_vq_meta_fetch (5.10 keeps the metadata cache)",
        ring_kept,
    ),
)


@cache
def known_of(targets: tuple[str, ...]) -> tuple[tuple[Known, tuple[str, ...]], ...]:
    """The situations of any of these targets, each with those it is of."""
    found = ((one, tuple(filter(one.is_of, targets))) for one in KNOWN)
    return tuple((one, names) for one, names in found if names)


def known_here(
    targets: tuple[str, ...], profile: Profile, device: Device, request: Any, outcome: Outcome
) -> dict[str, Known]:
    """For each of these targets the first situation that a step shows it; those that it shows none are left out."""
    found: dict[str, Known] = {}
    for one, names in known_of(targets):
        if one.shown(profile, device, request, outcome):
            for name in names:
                found.setdefault(name, one)
    return found
