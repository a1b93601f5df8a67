"""What a real vhost device can be asked to do: which requests reach real memory only, and have one possible course.

A device with real memory reads and writes where its maps lead. A request is *runnable* if, of what runs because of it,
 - rings, indirect tables and packet headers are at their places (`conformance.rings`) and nowhere else;
 - packets are sent from the backings A and B, behind the header, and received into C and D, no byte twice in one run;
 - pages marked in the dirty log have a bit in backing L;
 - a queue that waits for a miss is not kicked again, since each kick would ask again, and some kicks come unasked;
 - one queue runs at a time;
 - there is room in the ring for what is offered.
All that is refused is runnable, but for what some kernel takes and then dies of.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from conformance import backings, rings
from spec.outcome import Blocked, Broken, MessageTaken, Ran, Received, Rejected, Segment, Sent, Translated
from spec.profile import Profile
from spec.step import step
from spec.units import PAGE_SIZE
from spec.vhost.address_map import READ, WRITE
from spec.vhost.backend import SetBackend
from spec.vhost.chain import DESCRIPTOR_BYTES, bytes_in
from spec.vhost.device import NEW_DEVICE, NO_LOG, QUEUES, RECEIVE, TRANSMIT, Chain, Device, Queue, has_feature
from spec.vhost.device import VERSION_1 as VERSION_1_FEATURE
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import SetMemTable
from spec.vhost.messages import UPDATE, ReadMessage, WriteMessage, is_answered
from spec.vhost.observe import ObserveMaps
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.queue_io import SHORTEST_PACKET, Kick, Offer, Packet, Transmit
from spec.vhost.ring import SetLogBase, SetRingAddresses, SetRingSize
from spec.vhost.run import WHOLE_FIELD
from spec.vhost.translate import MOST_SEGMENTS, Translate, translation

SENT_FROM = ("A", "B")
RECEIVED_INTO = ("C", "D")
LONGEST_SENT = 20_000  # bytes
LONGEST_RECEIVED = 1514 + 12  # bytes: what a network card takes by default, and the header
MOST_WAITING = 8  # packets in the tap
LOGGED_PAGES = 2**23  # that the dirty log has a bit for

# What a kernel has a call for, or the driver can do.
KERNEL_REQUESTS = (
    SetOwner,
    ResetOwner,
    SetFeatures,
    SetBackendFeatures,
    SetMemTable,
    SetLogBase,
    SetRingSize,
    SetRingAddresses,
    SetBackend,
    WriteMessage,
    ReadMessage,
    Transmit,
    Offer,
    Packet,
    Kick,
)
SOURCE_REQUESTS = (Translate, ObserveMaps)  # what only its code can be asked


def is_runnable(profile: Profile, device: Device, request: Any, in_source: bool = False) -> bool:
    """Whether a real device in this state can be asked for this. Of a device that only ever did what is runnable.

    With `in_source` it is the kernel's code in user space that is asked: it can be asked for its maps and translations
    too, it has rings and tables, but a packet's bytes need not exist, and nothing comes unasked.
    """
    known = (*KERNEL_REQUESTS, *SOURCE_REQUESTS) if in_source else KERNEL_REQUESTS
    if not isinstance(request, known) or kills_kernels(request) or not offers_room(device, request):
        return False
    if not in_source and asks_a_waiting_queue(device, request):
        return False
    after, outcome = step(profile, device, request)
    if isinstance(outcome, Rejected):
        return True
    return (
        is_ready(after, request)
        and all(ring_is_in_place(profile, after, number) for number in range(QUEUES) if after.queues[number].attached)
        and all(
            tables_are_in_place(profile, after, chain)
            for number, queue in enumerate(device.queues)
            for chain in (*queue.chains, *new_chains(request, number))
        )
        and what_ran_is_in_place(after, outcome, in_source)
    )


def all_runnable(profile: Profile, requests: list[Any] | tuple[Any, ...]) -> bool:
    """Whether a real device can be asked for all of this, one after the other."""
    device: Any = NEW_DEVICE
    for request in requests:
        if not is_runnable(profile, device, request):
            return False
        device, _ = step(profile, device, request)
    return True


def kills_kernels(request: Any) -> bool:
    """Whether some kernel takes, instead of refusing, what then lets it search without end or write anywhere."""
    if isinstance(request, SetMemTable):
        return any(region.size == 0 and region.gpa == 0 for region in request.regions)
    return isinstance(request, WriteMessage) and request.kind == UPDATE and request.size == 0 == request.iova


# Queues ------------------------------------------------------------------------------------------------------------


def new_chains(request: Any, queue: int) -> tuple[Chain, ...]:
    """The chain that a request offers in a queue, if it does."""
    offers = (queue == TRANSMIT and isinstance(request, Transmit)) or (queue == RECEIVE and isinstance(request, Offer))
    return (request.chain,) if offers else ()


def descriptors_waiting(queue: Queue) -> int:
    """How many of the ring's descriptors are in use. Those of a chain that the device took and lost are free again."""
    return sum(len(chain) for chain in queue.chains)


def offers_room(device: Device, request: Any) -> bool:
    """Whether the ring has a descriptor for each that is offered, and what waits in it stays where it is."""
    for number, queue in enumerate(device.queues):
        for chain in new_chains(request, number):
            if not chain or descriptors_waiting(queue) + len(chain) > queue.size or queue.size > rings.LARGEST_RING:
                return False
    if isinstance(request, Packet):
        waiting = len(device.queues[RECEIVE].packets)
        return SHORTEST_PACKET <= request.length <= LONGEST_RECEIVED and waiting < MOST_WAITING
    if isinstance(request, SetRingSize) and request.queue < QUEUES:
        return not device.queues[request.queue].chains
    return True


def is_waiting(device: Device, queue: int) -> bool:
    """Whether a queue waits for a miss."""
    return any(miss.queue == queue for miss in (*device.unread, *device.pending))


def asks_a_waiting_queue(device: Device, request: Any) -> bool:
    """Whether a kick comes to a queue that waits for a miss, or a chain behind one that is stuck; or whether both
    queues are woken at once, of which nobody outside sees in which order they ran.
    """
    if isinstance(request, WriteMessage) and request.kind == UPDATE:
        return len({miss.queue for miss in device.pending if is_answered(miss, request)}) > 1
    if isinstance(request, Kick):
        return is_waiting(device, request.queue)
    if isinstance(request, Transmit):
        return is_waiting(device, TRANSMIT) or len(device.queues[TRANSMIT].chains) > 0
    if isinstance(request, SetBackend):
        queues = device.queues[request.queue] if request.queue < QUEUES else None
        return request.backend == "tap" and queues is not None and queues.attached
    return False


def is_ready(device: Device, request: Any) -> bool:
    """Whether both sides agree on how headers look, and attached queues have their rings and their log."""
    if isinstance(request, SetFeatures) and not has_feature(request.features, VERSION_1_FEATURE):
        return False
    active = [queue for queue in device.queues if queue.attached]
    if active and not has_feature(device.features, VERSION_1_FEATURE):
        return False
    if any(queue.has_no_ring() or queue.size > rings.LARGEST_RING for queue in active):
        return False
    logs = device.logs_all() or any(queue.log != NO_LOG for queue in active)
    return not (active and logs) or device.log_base == rings.dirty_log()


# Places ------------------------------------------------------------------------------------------------------------


def leads_to(profile: Profile, device: Device, address: int, length: int, access: int, host: int) -> bool:
    """Whether these guest bytes, if they can be had, live at these host bytes."""
    answer = translation(profile, device, address, length, access, max(length, MOST_SEGMENTS))[1]
    if not isinstance(answer, Translated):
        return True
    return all(segment.host == host + segment.first - address for segment in answer.segments)


def ring_is_in_place(profile: Profile, device: Device, number: int) -> bool:
    """Whether a queue's ring is where the driver has it, or cannot be had."""
    queue = device.queues[number]
    places = (rings.desc_of(number), rings.avail_of(number), rings.used_of(number))
    if device.iotlb is None:
        return (queue.desc, queue.avail, queue.used) == places
    used = queue.used
    parts = [
        *((*part, place) for part, place in zip(queue.parts(), places, strict=True)),
        (used, 2, WRITE, places[2]),  # these two are used when a backend comes, also where the rest cannot be had
        (used + 2, 2, READ, places[2] + 2),
    ]
    return all(leads_to(profile, device, *part) for part in parts)


def tables_are_in_place(profile: Profile, device: Device, chain: Chain) -> bool:
    """Whether the indirect tables of a chain are where the driver wrote them, or cannot be had."""
    for one in chain:
        if one.table is None:
            continue
        if len(one.table) * DESCRIPTOR_BYTES > PAGE_SIZE or one.length >= 2**16:
            return False
        whole = one.length % DESCRIPTOR_BYTES == 0
        if whole and not leads_to(profile, device, one.addr, one.length, READ, one.table_host):
            return False
        if whole and one.length // DESCRIPTOR_BYTES > len(one.table) and one.length > PAGE_SIZE:
            return False
    return True


def what_ran_is_in_place(device: Device, outcome: Any, in_source: bool) -> bool:
    """Whether all that was sent, received and marked has memory for it. (In the source what is sent is not read.)"""
    ran = outcome.ran if isinstance(outcome, MessageTaken) else outcome
    if not isinstance(ran, Ran):
        return True
    written: list[tuple[int, int]] = []
    for event in ran.events:
        if isinstance(event, Broken) and event.rule is WHOLE_FIELD:
            return False
        if isinstance(event, Sent) and bytes_in(event.segments) > LONGEST_SENT:
            return False
        if isinstance(event, Sent) and not in_source and not is_packet(event.segments):
            return False
        if isinstance(event, Received):
            written += [(one.host, one.host + one.last - one.first) for one in event.segments]
    if len(ran.events) > 1 and any(isinstance(event, Blocked) for event in ran.events):
        return False  # of which nobody is told: it is missing among the others
    written.sort()
    if not all(is_within(first, last, backings.DATA if in_source else RECEIVED_INTO) for first, last in written):
        return False
    if not in_source and any(after[0] <= before[1] for before, after in pairwise(written)):
        return False
    if any(last >= LOGGED_PAGES for _, last in ran.marked.ranges):
        return False
    return device.iotlb is None or all_is_in_table(device, written)


def is_within(first: int, last: int, names: tuple[str, ...]) -> bool:
    """Whether host bytes first..last lie in one backing of these names."""
    named, end = backings.name(first), backings.name(last)
    return named is not None and end is not None and named[0] == end[0] and named[0] in names


def is_packet(segments: tuple[Segment, ...]) -> bool:
    """Whether these bytes are the header and then data."""
    at = 0
    for one in segments:
        length = one.last - one.first + 1
        header = min(length, rings.FRAME_HEADER_BYTES - at) if at < rings.FRAME_HEADER_BYTES else 0
        if header and one.host != rings.packet_header() + at:
            return False
        if length > header and not is_within(one.host + header, one.host + length - 1, SENT_FROM):
            return False
        at += length
    return at >= SHORTEST_PACKET


def all_is_in_table(device: Device, written: list[tuple[int, int]]) -> bool:
    """Whether the memory table maps all host bytes that are logged, so that there is a guest page to mark for each."""
    logged = list(written) if device.logs_all() else []
    for number, queue in enumerate(device.queues):
        if queue.attached and queue.log != NO_LOG:
            logged.append((rings.used_of(number), rings.used_of(number) + queue.used_bytes() - 1))
    entries = device.table.entries if device.table is not None else ()
    regions = sorted((one.host, one.host + one.last - one.first) for one in entries)
    for first, last in logged:
        at = first
        for start, end in regions:
            if start <= at <= end:
                at = end + 1
        if at <= last:
            return False
    return True
