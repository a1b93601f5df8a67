"""Documented behaviour of a vhost device, by example."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from spec.outcome import (
    Blocked,
    Broken,
    Discarded,
    Done,
    Faulted,
    MessageTaken,
    Missed,
    MissRead,
    NothingRead,
    Ran,
    Received,
    Segment,
    Sent,
    Translated,
)
from spec.pages import NO_PAGES, Pages
from spec.profile import Profile
from spec.step import step
from spec.units import U64
from spec.vhost.address_map import READ, WRITE
from spec.vhost.backend import NO_SOCKET, NONE, SetBackend
from spec.vhost.device import ACCESS_PLATFORM, LOG_ALL, RECEIVE, TRANSMIT, VERSION_1, Descriptor
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import INVALIDATE, ReadMessage, WriteMessage
from spec.vhost.observe import ObserveMaps
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.queue_io import Kick, Offer, Packet, Transmit
from spec.vhost.regions import AddRegion, RemoveRange, RemoveRegion
from spec.vhost.ring import SetLogBase, SetRingAddresses, SetRingSize
from spec.vhost.translate import Translate
from tests.spec.vhost_examples import (
    FEATURES,
    FIRST,
    HEADER,
    HEADER_REGION,
    HOST,
    PAGE,
    RING_HOST,
    SECOND,
    iotlb_mode,
    rule_of,
    run,
    table_mode,
    update,
)

TABLE = SetMemTable(regions=(FIRST, SECOND))
SMALL = Profile(iotlb_limit=4, max_regions=3)
HEADER_SENT = Segment(HEADER.addr, HEADER.addr + 25, HEADER_REGION.hva)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"from_owner": False}, "VHOST.CALL.OWNER"),
        ({"readable": False}, "VHOST.CALL.POINTER"),
        ({"padding": 1}, "VHOST.TABLE.PADDING"),
        ({"regions": (FIRST,) * 65}, "VHOST.TABLE.COUNT"),
        ({"regions_readable": False}, "VHOST.TABLE.POINTER"),
        ({"regions": (Region(0x5000, 0, HOST),)}, "VHOST.TABLE.EMPTY"),
        ({"regions": (Region(0, 0, HOST),)}, "VHOST.TABLE.EMPTY"),
        ({"regions": (FIRST, Region(U64 - 1, 2, HOST))}, "VHOST.TABLE.WRAPS"),
    ],
)
def test_one_wrong_field_of_a_table_breaks_one_rule(change: dict[str, Any], rule: str) -> None:
    assert rule_of(SetOwner(), replace(TABLE, **change)) == rule


def test_a_table_is_checked_against_user_memory_only_where_a_backend_is_attached() -> None:
    foreign = SetMemTable(regions=(Region(0, PAGE, Profile().user_limit - PAGE + 1),))
    assert run(SetOwner(), foreign)[1] == Done()
    assert rule_of(*table_mode(FIRST), foreign) == "VHOST.TABLE.HOST"
    assert rule_of(SetOwner(), SetFeatures(FEATURES), foreign, SetBackend(queue=1)) == "VHOST.BACKEND.TABLE"
    fits = SetMemTable(regions=(Region(0, PAGE, Profile().user_limit - PAGE),))
    assert run(*table_mode(FIRST), fits)[1] == Done()


def test_no_region_is_given_up_for_another() -> None:
    five = tuple(Region(n * PAGE, PAGE, HOST) for n in range(5))
    profile = Profile(iotlb_limit=4)
    assert rule_of(SetOwner(), SetMemTable(regions=five), profile=profile) == "VHOST.TABLE.FITS"
    assert run(SetOwner(), SetMemTable(regions=five[:4]), profile=profile)[1] == Done()


def test_of_overlapping_regions_the_first_byte_decides_then_the_order() -> None:
    late, early = Region(0x1000, 0x3000, HOST + 0x100000), Region(0, 0x2000, HOST)
    setup = [SetOwner(), SetMemTable(regions=(late, early, replace(early, hva=HOST + 0x50000)))]
    assert run(*setup, Translate(0x1800, 0x1000))[1] == Translated(
        (Segment(0x1800, 0x1FFF, HOST + 0x1800), Segment(0x2000, 0x27FF, HOST + 0x101000))
    )


@pytest.mark.parametrize(
    ("addr", "length", "room", "answer"),
    [
        (0x10, 0, 0, Translated(())),
        (U64 - 1, 0, 1, Translated(())),
        (0x10, 1, 0, ("XLATE.ROOM", 0x10)),
        (0xFFF, 2, 1, ("XLATE.ROOM", 0x1000)),
        (0x1FFF, 2, 9, ("XLATE.MAPPED", 0x2000)),
        (0x3000, 1, 9, ("XLATE.MAPPED", 0x3000)),
        (U64 - 1, 1, 9, Translated((Segment(U64 - 1, U64 - 1, HOST + 0xFFF),))),
        (U64 - 1, 2, 9, ("XLATE.LAST_ADDRESS", U64)),
    ],
)
def test_translation_stops_at_the_first_byte(addr: int, length: int, room: int, answer: Any) -> None:
    table = SetMemTable(regions=(FIRST, SECOND, Region(U64 - PAGE, PAGE, HOST)))
    outcome = run(SetOwner(), table, Translate(addr, length, READ, room))[1]
    if isinstance(outcome, Faulted):
        assert (outcome.rule.id, outcome.at) == answer
    else:
        assert outcome == answer


def test_regions_can_be_added_and_taken_out() -> None:
    setup = [SetOwner(), AddRegion(gpa=0, size=PAGE, hva=HOST), AddRegion(gpa=PAGE, size=PAGE, hva=HOST)]
    assert rule_of(*setup, RemoveRegion(gpa=0, size=PAGE, hva=HOST + 1)) == "VHOST.REGION.THERE"
    assert rule_of(*setup, RemoveRange(first=1, last=0)) == "VHOST.REGION.ORDERED"
    assert rule_of(*setup, AddRegion(gpa=0, size=1), AddRegion(gpa=9, size=1), profile=SMALL) == "VHOST.REGION.ROOM"
    device, _ = run(*setup, RemoveRegion(gpa=0, size=PAGE, hva=HOST))
    assert run(ObserveMaps(), device=device)[1].table == run(*setup[:1], setup[2], ObserveMaps())[1].table  # type: ignore[union-attr]
    assert run(*setup, RemoveRange(first=PAGE - 1, last=PAGE), ObserveMaps())[1].table == ()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"length": 3}, "IOTLB.MESSAGE.FRAMING_WORD"),
        ({"framing": 0}, "IOTLB.MESSAGE.FRAMING"),
        ({"framing": 3, "length": 39}, "IOTLB.MESSAGE.FRAMING"),
        ({"length": 39}, "IOTLB.MESSAGE.WHOLE"),
        ({"size": 0}, "IOTLB.UPDATE.EMPTY"),
        ({"kind": 1}, "IOTLB.MESSAGE.KIND"),
        ({"uaddr": U64 - 1}, "IOTLB.UPDATE.HOST_WRAPS"),
        ({"uaddr": 2**62}, "IOTLB.UPDATE.HOST"),
        ({"iova": U64 - 1}, "IOTLB.UPDATE.WRAPS"),
    ],
)
def test_one_wrong_field_of_an_update_breaks_one_rule(change: dict[str, Any], rule: str) -> None:
    assert rule_of(SetOwner(), SetFeatures(FEATURES + ACCESS_PLATFORM), replace(update(0, 2, HOST), **change)) == rule


def test_a_message_is_72_bytes_whatever_was_written() -> None:
    taken = MessageTaken(72, Ran((), NO_PAGES))
    for length in (40, 72, 73):
        assert run(*iotlb_mode(), replace(update(0, 1, HOST), length=length))[1] == taken
    assert rule_of(SetOwner(), update(0, 1, HOST)) == "IOTLB.MESSAGE.MODE"


def test_a_full_iotlb_gives_up_the_first_or_the_least_used() -> None:
    entries = [update(n * PAGE, PAGE, HOST + n * PAGE) for n in range(4)]
    setup = [SetOwner(), SetFeatures(FEATURES + ACCESS_PLATFORM), *entries, Translate(0, 1)]
    for retirement, gone in (("fifo", 0), ("lru", PAGE)):
        profile = Profile(iotlb_limit=4, retirement=retirement)
        device, _ = run(*setup, update(0x10000, 1, HOST), profile=profile)
        for address in (0, PAGE, 2 * PAGE, 3 * PAGE):
            found = step(profile, device, Translate(address, 1))[1]
            assert isinstance(found, Faulted) == (address == gone)


def test_an_invalidation_takes_whole_entries_and_wraps_as_addresses_do() -> None:
    low, high = update(0, PAGE, HOST), update(U64 - PAGE, PAGE, HOST)
    setup = [SetOwner(), SetFeatures(FEATURES + ACCESS_PLATFORM), low, high]

    def left(iova: int, size: int) -> int:
        message = WriteMessage(kind=INVALIDATE, iova=iova, size=size)
        return len(run(*setup, message, ObserveMaps())[1].iotlb)  # type: ignore[union-attr, arg-type]

    assert left(5, 0) == left(0, 0) == left(PAGE, PAGE) == 2
    assert left(PAGE - 1, 1) == left(U64 - 1, 1) == 1
    assert left(U64 - 1, 2) == 0


def test_a_miss_is_asked_for_read_answered_and_retried() -> None:
    setup = [*iotlb_mode(update(0x100000, PAGE, HOST))]
    device, outcome = run(*setup, Transmit((HEADER, Descriptor(0xFF0, 0x20))))
    assert outcome == Ran((Missed(0xFF0, READ),), NO_PAGES)
    _, outcome = run(update(0xFF0, 1, HOST), device=device)
    assert outcome == MessageTaken(72, Ran((), NO_PAGES))  # nobody has read the miss: nobody is woken
    read, outcome = run(ReadMessage(), device=device)
    assert outcome == MissRead(1, 0xFF0, READ)
    assert run(update(0xFF1, 0x100, HOST), device=read)[1] == MessageTaken(72, Ran((), NO_PAGES))
    _, outcome = run(update(0xFF0, 0x20, HOST + 5), device=read)
    sent = Sent((Segment(0x100000, 0x100019, HOST), Segment(0xFF0, 0x100F, HOST + 5)))
    assert outcome == MessageTaken(72, Ran((sent,), NO_PAGES))
    assert run(ReadMessage(71), device=device)[1] == NothingRead()
    assert rule_of(*setup, ReadMessage()) == "IOTLB.MISS.WAITING"


def test_misses_come_in_the_framing_that_was_agreed_on() -> None:
    setup = [*iotlb_mode(), SetBackendFeatures(2), Kick(TRANSMIT), Transmit((HEADER,)), ReadMessage()]
    assert run(*setup)[1] == MissRead(2, HEADER.addr, READ)
    assert rule_of(SetBackendFeatures(1)) == "VHOST.FEATURES.MESSAGES"


def test_detaching_forgets_misses() -> None:
    setup = [*iotlb_mode(), Transmit((HEADER,)), SetBackend(queue=RECEIVE, backend=NONE)]
    assert rule_of(*setup, ReadMessage()) == "IOTLB.MISS.WAITING"


def test_the_ring_is_looked_up_before_anything_is_done() -> None:
    part = {"desc": 0x40000000, "avail": 0x40001000, "used": 0x40002000}
    for name, access in (("desc", READ), ("avail", READ), ("used", WRITE)):
        gone = WriteMessage(kind=INVALIDATE, iova=part[name], size=1)
        setup = [*iotlb_mode(), gone, *(update(at, PAGE, RING_HOST) for at in part.values() if at != part[name])]
        assert run(*setup, Transmit((HEADER,)))[1] == Ran((Missed(part[name], access),), NO_PAGES)
        forbidden = update(part[name], PAGE, RING_HOST, perm=WRITE if access == READ else READ)
        assert run(*setup, forbidden, Kick(TRANSMIT))[1] == Ran((Blocked(),), NO_PAGES)


def test_a_two_byte_field_is_in_one_piece() -> None:
    pieces = [update(0x40000000, 0x1003, RING_HOST), update(0x40001003, 0x1FFD, RING_HOST + 0x1003)]
    gone = WriteMessage(kind=INVALIDATE, iova=0x40000000, size=1)
    ran = run(*iotlb_mode(), gone, *pieces, Transmit((HEADER,)))[1]
    assert isinstance(ran, Ran) and [(e.rule.id, e.at) for e in ran.events] == [("VHOST.RING.WHOLE_FIELD", 0x40001002)]  # type: ignore[union-attr]


def test_packets_are_sent_in_order_and_one_that_fails_stays() -> None:
    setup = table_mode(FIRST, HEADER_REGION)
    device, outcome = run(*setup, Transmit((HEADER, Descriptor(0xFFF, 1))))
    assert outcome == Ran((Sent((HEADER_SENT, Segment(0xFFF, 0xFFF, HOST + 0xFFF))),), NO_PAGES)
    device, outcome = run(Transmit((HEADER, Descriptor(0xFFF, 2))), device=device)
    assert isinstance(outcome, Ran) and outcome.events[0].at == 0x1000  # type: ignore[union-attr]
    device, _ = run(SetMemTable(regions=(FIRST, SECOND, HEADER_REGION)), device=device)
    _, outcome = run(Transmit((HEADER,)), device=device)
    pieces = (HEADER_SENT, Segment(0xFFF, 0xFFF, HOST + 0xFFF), Segment(0x1000, 0x1000, SECOND.hva))
    assert outcome == Ran((Sent(pieces), Sent((HEADER_SENT,))), NO_PAGES)


def broken(*chain: Descriptor) -> str:
    ran = run(*table_mode(FIRST, HEADER_REGION), Transmit(chain))[1]
    assert isinstance(ran, Ran) and len(ran.events) == 1 and isinstance(ran.events[0], Broken)
    return ran.events[0].rule.id


def test_chains_and_their_tables() -> None:
    def indirect(*inner: Descriptor, length: int | None = None) -> Descriptor:
        return Descriptor(0, 16 * len(inner) if length is None else length, table=inner)

    one = Descriptor(0, 1)
    assert broken(HEADER, indirect(one, length=15)) == "VHOST.CHAIN.TABLE_LENGTH"
    assert broken(HEADER, indirect(one, one, length=16)) == "VHOST.CHAIN.TABLE_COUNT"
    assert broken(HEADER, indirect(length=0)) == "VHOST.CHAIN.TABLE_COUNT"
    assert broken(HEADER, indirect(indirect(one))) == "VHOST.CHAIN.NESTED"
    assert broken(HEADER, Descriptor(0, 1, writable=True), one) == "VHOST.CHAIN.READ_FIRST"
    assert broken(HEADER, Descriptor(0, 1, writable=True)) == "VHOST.CHAIN.SENDS"
    assert broken(Descriptor(5, 0)) == "VHOST.CHAIN.SENDS"
    ran = run(*table_mode(FIRST, HEADER_REGION), Transmit((HEADER, indirect(one, one), one)))[1]
    assert ran == Ran((Sent((HEADER_SENT, *(Segment(0, 0, HOST) for _ in range(3)))),), NO_PAGES)


def test_a_chain_has_room_for_1024_segments() -> None:
    tiny = tuple(Region(n, 1, HOST + n) for n in range(63))
    chain = [Descriptor(0, 63) for _ in range(16)]
    setup = table_mode(*tiny, HEADER_REGION)
    assert isinstance(run(*setup, Transmit((HEADER, *chain, Descriptor(0, 15))))[1].events[0], Sent)  # type: ignore[union-attr]
    event = run(*setup, Transmit((HEADER, *chain, Descriptor(0, 16))))[1].events[0]  # type: ignore[union-attr]
    assert isinstance(event, Broken) and (event.rule.id, event.at) == ("XLATE.ROOM", 15)


def test_a_packet_is_received_discarded_or_waits() -> None:
    setup = table_mode(FIRST, SECOND)
    device, outcome = run(*setup, Offer((Descriptor(0xFF0, 0x20, writable=True),)))
    assert outcome == Ran((), NO_PAGES)
    device, outcome = run(Packet(0x21), device=device)
    assert outcome == Ran((Discarded(),), NO_PAGES)
    device, outcome = run(Packet(0x1C), device=device)
    assert outcome == Ran(
        (Received((Segment(0xFF0, 0xFFF, HOST + 0xFF0), Segment(0x1000, 0x100B, SECOND.hva))),), NO_PAGES
    )
    device, outcome = run(Packet(0x1C), Offer((Descriptor(0, 0x100, writable=True),)), Kick(RECEIVE), device=device)
    assert outcome == Ran((Received((Segment(0, 0x1B, HOST),)),), NO_PAGES)


def logging(*more: Any) -> list[Any]:
    log = SetRingAddresses(
        queue=RECEIVE, flags=1, desc=RING_HOST, avail=RING_HOST + PAGE, used=RING_HOST + 8192, log=0x77000
    )
    setup = [SetOwner(), SetFeatures(FEATURES + LOG_ALL), SetMemTable(regions=(FIRST, SECOND)), SetLogBase(base=HOST)]
    return [*setup, SetRingSize(queue=RECEIVE, size=16), log, SetBackend(queue=RECEIVE), *more]


def test_every_written_page_is_marked_and_no_other() -> None:
    assert run(*logging())[1] == Ran((), Pages(((0x77, 0x77),)))
    ran = run(*logging(Offer((Descriptor(0xFF0, 0x100, writable=True),)), Packet(0x1C)))[1]
    assert ran.marked == Pages(((0, 1), (0x77, 0x77)))  # type: ignore[union-attr]
    ran = run(*logging(Offer((Descriptor(0xFE0, 0x100, writable=True),)), Packet(0x20)))[1]
    assert ran.marked == Pages(((0, 0), (0x77, 0x77)))  # type: ignore[union-attr]
    far = SetMemTable(regions=(Region(2**62, PAGE, HOST),))
    assert rule_of(*logging(), far) == "VHOST.TABLE.LOG"


def test_with_an_iotlb_the_memory_table_says_which_pages_a_host_byte_is() -> None:
    regions = (Region(0x5000, PAGE, HOST), Region(0x9000, PAGE, HOST))
    setup = [*iotlb_mode(update(0, 2 * PAGE, HOST)), SetMemTable(regions=regions), SetLogBase(base=HOST)]
    after = [
        replace(request, features=request.features + LOG_ALL) if isinstance(request, SetFeatures) else request
        for request in setup
    ]
    ran = run(*after, Offer((Descriptor(0xFF0, 0x100, writable=True),)), Packet(0x1C))[1]
    assert ran.marked == Pages(((5, 5), (9, 9)))  # type: ignore[union-attr]


def test_owners_come_and_go() -> None:
    assert rule_of(SetOwner(), SetOwner()) == "VHOST.OWNER.FREE"
    assert rule_of(ResetOwner()) == "VHOST.CALL.OWNER"
    device, _ = run(*table_mode(FIRST), ResetOwner())
    assert device.table is not None and device.table.entries == frozenset() and not device.owned


@pytest.mark.parametrize("mode", ["stays", "follows"])
def test_modes_of_a_device(mode: str) -> None:
    profile = Profile(iotlb_mode=mode)
    setup = [*table_mode(FIRST)[:-2], SetFeatures(FEATURES + ACCESS_PLATFORM)]
    device, _ = run(*setup, profile=profile)
    assert device.iotlb is not None and (device.queues[1].desc == 0) == (mode == "follows")
    again, _ = run(update(0, 1, HOST), SetFeatures(FEATURES + ACCESS_PLATFORM), profile=profile, device=device)
    assert again.iotlb is not None and again.iotlb.entries == frozenset()
    left, _ = run(SetFeatures(FEATURES), profile=profile, device=device)
    assert (left.iotlb is None) == (mode == "follows")


def test_rings_and_backends_are_checked() -> None:
    setup = [SetOwner(), SetFeatures(VERSION_1), TABLE, SetRingSize(queue=1, size=16)]
    good = SetRingAddresses(queue=TRANSMIT, desc=HOST, avail=HOST, used=HOST)
    for change, rule in (
        ({"flags": 2}, "VHOST.RING.FLAGS"),
        ({"avail": HOST + 1}, "VHOST.RING.ALIGNED"),
        ({"used": HOST + 2}, "VHOST.RING.ALIGNED"),
        ({"log": 2}, "VHOST.RING.ALIGNED"),
        ({"queue": 2}, "VHOST.CALL.QUEUE"),
    ):
        assert rule_of(*setup, replace(good, **change)) == rule  # type: ignore[arg-type]
    beyond = replace(good, desc=Profile().user_limit - 255)
    assert rule_of(*setup, beyond, SetBackend(queue=1)) == "VHOST.BACKEND.RING"
    assert rule_of(*setup, good, SetBackend(queue=1), beyond) == "VHOST.RING.HOST"
    assert rule_of(*setup, good, SetBackend(queue=1), SetRingSize(queue=1, size=8)) == "VHOST.RING.STOPPED"
    assert rule_of(*setup, good, SetBackend(queue=1, backend=NO_SOCKET)) == "VHOST.BACKEND.SOCKET"
    assert rule_of(SetOwner(), SetBackend(queue=1, backend=NONE)) == "VHOST.BACKEND.TABLE"
    for size in (0, 3, 2**16):
        assert rule_of(*setup, SetRingSize(queue=1, size=size)) == "VHOST.RING.SIZE"


def test_a_used_ring_must_be_writable_and_its_index_readable() -> None:
    for perm in (READ, WRITE):
        gone = WriteMessage(kind=INVALIDATE, iova=0x40000000, size=1)
        again = update(0x40000000, 3 * PAGE, RING_HOST, perm)
        setup = [*iotlb_mode(), SetBackend(queue=TRANSMIT, backend=NONE), gone, again]
        assert rule_of(*setup, SetBackend(queue=TRANSMIT)) == "VHOST.BACKEND.USED"
