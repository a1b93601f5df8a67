"""Where kernels are known to do otherwise than the specification: what a random request must not be to tell more.

`deviations.json` has the vectors that show each of these, with the reason and the kernels. Random requests that run
into one would show it again and again; after it the kernel is in another state than the specification, and all that
follows says nothing.
"""

from __future__ import annotations

from typing import Any

from spec.outcome import Broken, Event, MessageTaken, Missed, Outcome, Ran, Received, Rejected
from spec.profile import Profile
from spec.step import step
from spec.units import U64
from spec.vhost import backend, mem_table, ring
from spec.vhost.address_map import READ, WRITE
from spec.vhost.device import Chain, Device
from spec.vhost.messages import INVALIDATE, UPDATE, WriteMessage
from spec.vhost.run import RECEIVES, SENDS


def known_difference(profile: Profile, device: Device, request: Any) -> str:
    """The id of the deviation that some kernel in this state may show at this request, or nothing."""
    if isinstance(request, WriteMessage):
        found = of_message(request)
        if found:
            return found
    after, outcome = step(profile, device, request)
    if isinstance(outcome, Rejected):
        return of_rejection(device, outcome)
    return of_run(device, after, outcome)


def is_unwanted(profile: Profile, device: Device, request: Any) -> bool:
    """Whether a random request would only show what is known."""
    return known_difference(profile, device, request) != ""


def of_message(request: WriteMessage) -> str:
    if request.kind == INVALIDATE and request.size == 0:
        return "an-empty-invalidation-takes-entries"
    if request.kind == INVALIDATE and request.iova + request.size > U64:
        return "an-invalidation-that-wraps-takes-nothing"
    if request.kind == UPDATE and request.size == 0:
        return "an-empty-update"
    return ""


def of_rejection(device: Device, outcome: Rejected) -> str:
    if outcome.rule is backend.USED and device.iotlb is not None:
        return "a-backend-only-needs-to-read-the-used-flags"  # and a refused one may ask for a miss
    if outcome.rule is mem_table.FITS:
        return "a-table-gives-up-its-first-regions"
    if outcome.rule is ring.LOG_BASE:
        return "a-log-base-that-fails-half-way"
    return ""


def of_run(device: Device, after: Device, outcome: Outcome) -> str:
    ran = outcome.ran if isinstance(outcome, MessageTaken) else outcome
    if not isinstance(ran, Ran):
        return ""
    for event in ran.events:
        found = of_event(after, event)
        if found:
            return found
    if device.iotlb is not None and any(isinstance(event, Broken | Missed) for event in ran.events):
        first = [queue.chains[0] for queue in after.queues if queue.attached and queue.chains]
        if any(wraps(chain) for chain in first):
            return "a-descriptor-that-wraps-asks-for-a-miss"
    if any(queue.attached and not is_read_and_written(after, queue.used, queue.used_bytes()) for queue in after.queues):
        return "used-fields-are-written-where-they-may-be-read"
    return ""


def of_event(device: Device, event: Event) -> str:
    if isinstance(event, Broken) and event.rule in (SENDS, RECEIVES):
        return "a-chain-of-the-wrong-kind-is-lost"
    if isinstance(event, Received) and device.iotlb is not None and device.logs_all():
        return "all-of-a-buffer-is-marked"
    return ""


def wraps(chain: Chain) -> bool:
    """Whether a descriptor of a chain, or of its tables, goes on past the last address."""
    return any(one.addr + one.length > U64 or wraps(one.table or ()) for one in chain)


def is_read_and_written(device: Device, address: int, length: int) -> bool:
    """Whether no entry of the IOTLB with a byte of this range permits only one of reading and writing."""
    if device.iotlb is None:
        return True
    touching = [entry for entry in device.iotlb.entries if entry.touches(address, address + length - 1)]
    return all(entry.perm in (0, READ + WRITE) for entry in touching)
