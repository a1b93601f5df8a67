"""Packets through the kernel's own loops, and random sequences: the kernel's code does as specified, or as is known."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance import fuzz, rings
from conformance.backings import place
from conformance.fuzz import SOURCE, Stream
from conformance.target import ErrorSeen, Results, Skipped, Trial
from conformance.targets.linux_source.runs import with_guest_addresses
from conformance.targets.linux_source.sources import sources_for
from conformance.targets.linux_source.target import LinuxSource
from conformance.verdict import agrees
from spec.outcome import Blocked, Discarded, Missed, Ran, Received, Segment, Sent
from spec.pages import NO_PAGES, Pages
from spec.step import step
from spec.vhost.address_map import READ, WRITE
from spec.vhost.backend import SetBackend
from spec.vhost.device import (
    ACCESS_PLATFORM,
    INDIRECT,
    LOG_ALL,
    NEW_DEVICE,
    RECEIVE,
    TRANSMIT,
    VERSION_1,
    Descriptor,
)
from spec.vhost.features import SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import INVALIDATE, ReadMessage, WriteMessage
from spec.vhost.owner import SetOwner
from spec.vhost.queue_io import Kick, Offer, Packet, Transmit
from spec.vhost.ring import SetLogBase, SetRingAddresses, SetRingSize

from .versions import parameter

pytestmark = pytest.mark.slow

R = place("R", 0)
HEADER = Descriptor(rings.packet_header() - R, 26)  # where the table maps backing R to guest address 0


def set_up(features: int = VERSION_1 + INDIRECT, shift: int = 0) -> list[Any]:
    """Both queues with 8 descriptors, and tables that map R at 0, A at 2^24, C at 2^25; rings `shift` bytes on."""
    regions = (Region(0, 2**20, R), Region(2**24, 2**20, place("A", 0)), Region(2**25, 2**20, place("C", 0)))
    requests: list[Any] = [SetOwner(), SetFeatures(features), SetMemTable(regions=regions)]
    for queue in (RECEIVE, TRANSMIT):
        parts = (rings.desc_of(queue), rings.used_of(queue), rings.avail_of(queue))
        desc, used, avail = (one + shift for one in parts)
        requests += [
            SetRingSize(queue=queue, size=8),
            SetRingAddresses(queue=queue, desc=desc, used=used, avail=avail),
        ]
    return requests


ATTACH = [SetBackend(queue=TRANSMIT), SetBackend(queue=RECEIVE)]


def last(target: LinuxSource, requests: list[Any]) -> Any:
    """What the device did because of the last request; all before it is as specified."""
    answer = next(target.run([Trial("1", tuple(requests))]))
    assert isinstance(answer, Results), answer
    device: Any = NEW_DEVICE
    for request, seen in list(zip(requests, answer.steps, strict=True))[:-1]:
        device, outcome = step(target.profile, device, request)
        assert agrees(request, outcome, seen), (request, outcome, seen)
    return answer.steps[-1]


def test_a_packet_is_sent_from_where_its_descriptors_lead(target: LinuxSource) -> None:
    table = rings.table_of(TRANSMIT, 0)
    inner = (Descriptor(2**24 + 5, 7), Descriptor(2**24 + 100, 1))
    chain = (HEADER, Descriptor(table - R, 32, False, inner, table))
    header = Segment(HEADER.addr, HEADER.addr + 25, rings.packet_header())
    wanted = Ran(
        (
            Sent(
                (
                    header,
                    Segment(2**24 + 5, 2**24 + 11, place("A", 5)),
                    Segment(2**24 + 100, 2**24 + 100, place("A", 100)),
                )
            ),
        ),
        NO_PAGES,
    )
    assert last(target, [*set_up(), *ATTACH, Transmit(chain)]) == wanted


def test_packets_are_received_in_order_and_marked(target: LinuxSource) -> None:
    requests = [
        *set_up(VERSION_1 + LOG_ALL),
        SetLogBase(base=rings.dirty_log()),
        *ATTACH,
        Packet(60),
        Packet(4000),
        Packet(100),
        Offer((Descriptor(2**25 + 4090, 100, True),)),
        Offer((Descriptor(2**25 + 9000, 100, True),)),
        Kick(RECEIVE),
    ]
    wanted = (
        Received((Segment(2**25 + 4090, 2**25 + 4149, place("C", 4090)),)),
        Discarded(),
        Received((Segment(2**25 + 9000, 2**25 + 9099, place("C", 9000)),)),
    )
    assert last(target, requests) == Ran(wanted, Pages(((2**13, 2**13 + 2),)))


def test_a_queue_that_misses_is_woken_by_the_update_and_says_what_is_wrong_then(target: LinuxSource) -> None:
    requests: list[Any] = [*set_up(VERSION_1 + ACCESS_PLATFORM, shift=2**40 - R)]
    requests += [WriteMessage(iova=2**40, size=2**20, uaddr=R, perm=3), SetBackend(queue=TRANSMIT)]
    header = replace(HEADER, addr=HEADER.addr + 2**40)
    requests.append(Transmit((header, Descriptor(4096, 8))))
    assert last(target, requests) == Ran((Missed(4096, READ),), NO_PAGES)
    requests += [ReadMessage(), WriteMessage(iova=4096, size=4, uaddr=place("A", 0), perm=READ)]
    assert last(target, requests).ran == Ran((Missed(4100, READ),), NO_PAGES)
    requests += [ReadMessage(), WriteMessage(iova=4100, size=4, uaddr=place("A", 0), perm=WRITE)]
    assert last(target, requests).ran.events == (ErrorSeen("EPERM"),)


def test_more_than_the_ring_has_room_for_is_not_asked(target: LinuxSource) -> None:
    answer = next(target.run([Trial("1", (*set_up(), Transmit((HEADER,) * 9)))]))
    assert isinstance(answer, Skipped) and "no room" in answer.reason


def test_random_sequences_are_as_specified_or_as_is_known(target: LinuxSource) -> None:
    for limits in fuzz.LIMITS:
        stream = Stream(SOURCE, replace(target.profile, **limits), (target.name,))  # type: ignore[arg-type]
        try:
            tally = fuzz.run_chunk(stream, range(40))
        finally:
            fuzz.stop_all()
        assert tally.findings == []
        assert tally.compared[target.name] > 1500


def test_guest_addresses_follow_the_chain() -> None:
    table = (Descriptor(50, 0), Descriptor(1000, 4))
    chain = (Descriptor(10, 3), Descriptor(0, 32, False, table, 0), Descriptor(2**63, 2))
    pieces = [(100, 1), (200, 2), (300, 4), (400, 1)]
    assert with_guest_addresses(chain, pieces) == (
        Segment(10, 10, 100),
        Segment(11, 12, 200),
        Segment(1000, 1003, 300),
        Segment(2**63, 2**63, 400),
    )


def test_a_queue_that_may_not_reach_its_ring_says_nothing_and_is_told_so(target: LinuxSource) -> None:
    requests: list[Any] = [*set_up(VERSION_1 + ACCESS_PLATFORM, shift=2**40 - R)]
    requests += [WriteMessage(iova=2**40, size=2**20, uaddr=R, perm=3), SetBackend(queue=TRANSMIT)]
    requests.append(WriteMessage(kind=INVALIDATE, iova=2**40, size=2**20))
    requests += [WriteMessage(iova=2**40, size=2**20, uaddr=R, perm=WRITE), Kick(TRANSMIT)]
    assert last(target, requests) == Ran((Blocked(),), NO_PAGES)


def test_what_is_wrong_in_an_indirect_table_is_signalled_twice(target: LinuxSource) -> None:
    table = rings.table_of(TRANSMIT, 0)
    inner = (Descriptor(2**24, 8, True), Descriptor(2**24, 8))
    for chain, times in (((HEADER, *inner), 1), ((HEADER, Descriptor(table - R, 32, False, inner, table)), 2)):
        assert last(target, [*set_up(), *ATTACH, Transmit(chain)]).events == (ErrorSeen(None, times),)


VHOST, NET, IOTLB = "drivers/vhost/vhost.c", "drivers/vhost/net.c", "drivers/vhost/iotlb.c"
USED_RING = "vq->used = (void __user *)(unsigned long)a.used_user_addr;"
REFUSED = "if (!umem_access_ok(msg->uaddr, msg->size, msg->perm)) {"
INDEX = "if (vhost_put_used_idx(vq)) {"
PLANTED = (
    (IOTLB, "list_add_tail(", "list_add(", "a full IOTLB gives up its youngest entry"),
    (IOTLB, "iotlb->nmaps >= iotlb->limit", "iotlb->nmaps > iotlb->limit", "one entry more than allowed"),
    (VHOST, "map->start > addr", "map->start > addr + 1", "a byte before an entry belongs to it"),
    (VHOST, "write_page += 1;", "write_page += 2;", "every other page is marked"),
    (NET, ".id = cpu_to_vhost32(vq, head);", ".id = 7;", "the chain that was sent is reported as another"),
    (NET, "heads[nvq->done_idx].len = 0;", "heads[nvq->done_idx].len = 9;", "a packet that was sent has written bytes"),
    (VHOST, "if (vhost_put_used(vq, heads, start, count)) {", "if (0) {", "the used ring has no elements"),
    (VHOST, INDEX, "if (0) {", "the used ring's index stays"),
    (
        NET,
        "cpu_to_vhost32(vq, len + datalen)",
        "cpu_to_vhost32(vq, len + datalen + 4)",
        "four bytes too many are reported",
    ),
    (VHOST, INDEX, f"if (!vq->iotlb) ((char *)vq->used)[0x7000]++; {INDEX}", "a byte behind the used ring is written"),
    (VHOST, USED_RING, f"{USED_RING} vhost_poll_queue(&vq->poll);", "a queue runs when its ring moves"),
    (VHOST, REFUSED, f"{REFUSED} vhost_iotlb_notify_vq(dev, msg);", "a refused update wakes who waits"),
    (VHOST, 'vq_err(vq, "Indirect d', 'vq_err(vq, "x"); vq_err(vq, "Indirect d', "an error is signalled three times"),
    (VHOST, 'vq_err(vq, "Descriptor', 'vq_err(vq, "x"); vq_err(vq, "Descriptor', "an error is signalled twice"),
    (VHOST, "msg->perm = access;", "msg->perm = access; msg->size = 4096;", "a miss has a size"),
    (VHOST, "vhost_poll_queue(&node->vq->poll);", "", "an update wakes nobody"),
)


@pytest.mark.parametrize("target", [parameter("6.1")], indirect=True)
@pytest.mark.parametrize(("file", "right", "wrong", "what"), PLANTED, ids=[one[3] for one in PLANTED])
def test_a_bug_planted_in_the_kernels_code_is_found(
    target: LinuxSource, tmp_path: Path, file: str, right: str, wrong: str, what: str
) -> None:
    own = tmp_path / "linux"
    shutil.copytree(sources_for(target.version).directory, own)
    text = (own / file).read_text()
    assert right in text
    # (More than one place is changed only where the bug is in all of them.)
    (own / file).write_text(text.replace(right, wrong))
    profile = replace(target.profile, iotlb_limit=4)
    broken = LinuxSource(target.version, profile, own)
    broken.start()
    fuzz.STARTED[broken.name, broken.profile] = broken
    try:
        assert found_in(Stream(SOURCE, broken.profile, (broken.name,))), what
    finally:
        fuzz.stop_all()


def found_in(stream: Stream) -> bool:
    return any(fuzz.run_chunk(stream, range(first, first + 40)).findings for first in range(0, 400, 40))
