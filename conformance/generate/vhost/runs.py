"""Stories of rings and chains: where a ring is and in how many entries, what chains are made of, what is received."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from conformance import rings
from conformance.backings import BACKING_SIZE, place
from conformance.generate.build import Draft, state_after
from conformance.generate.vhost import scene
from conformance.generate.vhost.answering import answered
from conformance.generate.vhost.layouts import at
from conformance.generate.vhost.scene import (
    HEADER,
    HEADER_ADDRESS,
    IOTLB_READY,
    LIVE,
    LOW,
    RECEIVED,
    RING_UPDATE,
    RINGS,
    P,
    indirect,
    invalidate,
    iotlb_live,
    live,
    read,
    send,
    table,
    update,
    update_of,
    written,
)
from conformance.generate.vhost.story import story
from spec.profile import Profile
from spec.vhost.address_map import READ, WRITE
from spec.vhost.device import RECEIVE, TRANSMIT, Chain, Descriptor
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import ReadMessage, WriteMessage
from spec.vhost.queue_io import Kick, Offer, Packet, Transmit

LOOK = send(read(LOW.gpa, 64))
KICK = Kick(queue=TRANSMIT)
BASE = place("R", 0)
END = LOW.gpa + LOW.size
NEXT = Region(END, P, place("B", 0x5000))


def drafts(p: Profile) -> Iterator[Draft]:
    for group in (sizes, parts, cuts, moves, chains, tables_in_memory, segments, received):
        for draft in group(p):
            yield replace(draft, generator="run")


def sizes(p: Profile) -> Iterator[Draft]:
    """Rings of every size, and more chains than fit at once."""
    for exponent in range(12):
        size = 2**exponent
        chain: Transmit = LOOK if size > 1 else Transmit((HEADER,))
        rounds = min(2 * size + 1, 9)
        title = f"a ring of {size} descriptors"
        yield story(p, "VHOST.RING", title, (*live(LOW, size=size), *(chain for _ in range(rounds))), "around the ring")
        mapped = (*iotlb_live(update_of(LOW), size=size), *(chain for _ in range(min(rounds, 5))))
        yield story(p, "VHOST.RING", f"{title} in an IOTLB", mapped, "all of it must be mapped")
        ring_bytes = (16 * size, 4 + 2 * size, 4 + 8 * size)
        hosts = (rings.desc_of(TRANSMIT), rings.avail_of(TRANSMIT), rings.used_of(TRANSMIT))
        header = update(HEADER_ADDRESS, rings.FRAME_HEADER_BYTES, rings.packet_header(), READ)
        if p.iotlb_limit < 8:
            continue
        for missing in (None, 0, 1, 2):
            lengths = [length - (1 if n == missing else 0) for n, length in enumerate(ring_bytes)]
            exact = [update(scene.in_rings(host), length, host) for host, length in zip(hosts, lengths, strict=True)]
            start = (*IOTLB_READY[:3], *exact, header, update_of(LOW), *scene.ring(TRANSMIT, True, size))
            requests = (*start, chain, scene.attach(TRANSMIT))
            what = "exactly mapped" if missing is None else f"mapped but for the last byte of part {missing}"
            yield story(
                p,
                "VHOST.RING",
                f"{title}, {what}",
                (*requests, *answered(p, state_after(p, requests))),
                "to its last byte, and no further",
            )


def ring_parts(without: int | None = None, perms: Sequence[int] = (READ, READ, 3)) -> list[WriteMessage]:
    """The transmit ring's parts, each by an entry of its own, and the header and tables."""
    starts = (rings.desc_of(TRANSMIT), rings.avail_of(TRANSMIT), rings.used_of(TRANSMIT), rings.table_of(TRANSMIT, 0))
    found = [
        update(scene.in_rings(start), end - start, start, perm)
        for start, end, perm in zip(starts[:3], starts[1:], perms, strict=True)
    ]
    found = [one for number, one in enumerate(found) if number != without]
    return [*found, update(scene.in_rings(starts[3]), BASE + BACKING_SIZE - starts[3], starts[3])]


def parts(p: Profile) -> Iterator[Draft]:
    """A part of the ring that is not there, or that does not permit what the device must do with it."""
    if p.iotlb_limit < 8:
        return
    names = ("descriptors", "available ring", "used ring")
    setup = (*IOTLB_READY[:3], *scene.ring(TRANSMIT, True))
    whole = (*setup, RING_UPDATE, update_of(LOW), scene.attach(TRANSMIT))
    gone = invalidate(RINGS, BACKING_SIZE)
    yield story(
        p,
        "VHOST.RING",
        "each part of a ring in an entry of its own",
        (*setup, *ring_parts(), update_of(LOW), scene.attach(TRANSMIT), LOOK, LOOK),
        "reading two, reading and writing the third, is enough",
    )
    for number, name in enumerate(names):
        lost = (*whole, gone, *ring_parts(without=number), LOOK)
        requests = (*lost, *answered(p, state_after(p, lost)))
        yield story(p, "VHOST.RING", f"the {name} of a ring missed", requests, "all of a ring is looked up first")
        first = (*setup, *ring_parts(without=number), update_of(LOW), LOOK, scene.attach(TRANSMIT))
        requests = (*first, *answered(p, state_after(p, first)))
        yield story(p, "VHOST.RING", f"the {name} of a ring never mapped", requests, "all of a ring is looked up first")
        for perm in (0, WRITE, READ):
            perms = [READ, READ, 3]
            perms[number] = perm
            blocked = (*whole, gone, *ring_parts(perms=perms), LOOK)
            mended = (*blocked, gone, RING_UPDATE, KICK)
            title = f"the {name} of a ring with permission {perm}"
            yield story(p, "VHOST.RING", title, blocked, "a ring that may not be used is not missed")
            yield story(p, "VHOST.RING", f"{title}, then all", mended, "a kick finds what was offered")
    for number, name in enumerate(names):
        for other in range(number):
            perms = [READ, READ, 3]
            perms[other] = 0
            both = (*whole, gone, *ring_parts(without=number, perms=perms), LOOK)
            title = f"the {name} missed, the {names[other]} without permission"
            yield story(p, "VHOST.RING", title, both, "parts are looked up in order")


def pieces(*cut_at: int) -> list[WriteMessage]:
    """Backing R in several entries, cut before these host bytes."""
    ends = [BASE, *cut_at, BASE + BACKING_SIZE]
    return [update(scene.in_rings(a), b - a, a) for a, b in pairwise(ends)]


def cuts(p: Profile) -> Iterator[Draft]:
    """Rings of which a part lies in two entries: descriptors and used elements may be cut anywhere."""
    if p.iotlb_limit < 64:
        return
    desc, avail, used = rings.desc_of(TRANSMIT), rings.avail_of(TRANSMIT), rings.used_of(TRANSMIT)
    places: dict[str, tuple[int, ...]] = {
        "between two descriptors": (desc + 16,),
        "inside a descriptor's address": (desc + 3,),
        "behind a descriptor's address": (desc + 8,),
        "inside a descriptor's flags": (desc + 13,),
        "inside the second descriptor": (desc + 21,),
        "in every byte of a descriptor": tuple(desc + n for n in range(1, 16)),
        "between the available ring's fields": (avail + 2, avail + 4, avail + 6),
        "behind the used ring's index": (used + 4,),
        "between the used ring's fields": (used + 2,),
        "inside a used element": (used + 5,),
        "between a used element's words": (used + 8,),
        "in every byte of a used element": tuple(used + n for n in range(4, 12)),
        "in every part": (desc + 8, avail + 4, used + 8),
        "inside an indirect table": (rings.table_of(TRANSMIT, 0) + 8,),
        "between an indirect table's descriptors": (rings.table_of(TRANSMIT, 0) + 16,),
        "in every byte of an indirect table": tuple(rings.table_of(TRANSMIT, 0) + n for n in range(1, 32)),
        "inside the packet's header": (rings.packet_header() + 5, rings.packet_header() + 12),
    }
    for what, cut_at in places.items():
        start = (
            *IOTLB_READY[:3],
            *scene.ring(TRANSMIT, True),
            *pieces(*cut_at),
            update_of(LOW),
            scene.attach(TRANSMIT),
        )
        look = send(indirect(read(LOW.gpa, 32), read(LOW.gpa + P, 32))) if "indirect" in what else LOOK
        yield story(p, "VHOST.RING", f"a ring cut {what}", (*start, look, look), "only two-byte fields must be whole")


def moves(p: Profile) -> Iterator[Draft]:
    """A ring that moves. What was looked up for its old place does not serve the new."""
    elsewhere = RINGS + 2**24

    def moved(base: int) -> Any:
        one = scene.ring_addresses(TRANSMIT, True)
        return replace(one, desc=one.desc - RINGS + base, avail=one.avail - RINGS + base, used=one.used - RINGS + base)

    second = update(elsewhere, BACKING_SIZE, BASE)
    base = iotlb_live(update_of(LOW))
    stories: dict[str, tuple[Any, ...]] = {
        "to a place that is mapped": (*base, LOOK, second, moved(elsewhere), LOOK),
        "to a place that is not mapped": (*base, LOOK, moved(elsewhere), LOOK, ReadMessage(), second),
        "back to where it was": (*base, LOOK, moved(elsewhere), moved(RINGS), LOOK),
        "before it is used": (*base, moved(elsewhere), second, LOOK),
        "and its old place is taken back": (*base, LOOK, second, moved(elsewhere), invalidate(RINGS, 1)),
        "to its own place": (*base, LOOK, moved(RINGS), LOOK),
    }
    for what, requests in stories.items():
        yield story(p, "VHOST.RING", f"a ring that moves {what}", requests, "nothing old is remembered")
    same = (*LIVE, LOOK, scene.ring_addresses(TRANSMIT), LOOK)
    yield story(p, "VHOST.RING", "a ring that is given again", same, "it goes on where it was")
    foreign = (*LIVE, LOOK, replace(scene.ring_addresses(TRANSMIT), used=p.user_limit), LOOK)
    yield story(p, "VHOST.RING", "a ring whose move is refused", foreign, "it stays where it was")
    twice = (*base, second, LOOK, invalidate(RINGS, 1), LOOK)
    requests = (*twice, *answered(p, state_after(p, twice)))
    yield story(p, "VHOST.RING", "a ring whose memory is mapped twice", requests, "its own address counts")


def chains(p: Profile) -> Iterator[Draft]:
    """What a chain is made of."""
    header = [read(HEADER_ADDRESS, 12), read(HEADER_ADDRESS + 12, 14)]
    bytewise = [read(HEADER_ADDRESS + n, 1) for n in range(26)]
    a, b = read(LOW.gpa + 5, 33), read(LOW.gpa + 2 * P - 7, 29)
    nothing = read(LOW.gpa, 0)
    shapes: dict[str, Chain] = {
        "a header alone": (HEADER,),
        "a header in two descriptors": (*header, a),
        "a header byte by byte": (*bytewise, a),
        "two parts": (HEADER, a, b),
        "the same part twice": (HEADER, a, a),
        "parts that overlap": (HEADER, read(LOW.gpa, 64), read(LOW.gpa + 32, 64)),
        "a part of no bytes": (HEADER, nothing, a),
        "parts of no bytes where nothing is mapped": (HEADER, read(2**63, 0), a, read(0, 0)),
        "a last part of no bytes": (HEADER, a, nothing),
        "all of a region": (HEADER, read(LOW.gpa, LOW.size)),
        "a region byte by byte": (HEADER, *(read(LOW.gpa + n, 1) for n in range(24))),
        "as many descriptors as the ring has": (HEADER, *(read(LOW.gpa + 100 * n, 50 + n) for n in range(31))),
        "an indirect table": (HEADER, indirect(a, b)),
        "the header in an indirect table": (indirect(*header, a),),
        "all in an indirect table": (indirect(HEADER, a, b),),
        "an indirect table of one descriptor": (HEADER, indirect(a)),
        "an indirect table between others": (HEADER, a, indirect(b, a), b),
        "two indirect tables": (indirect(HEADER, a), indirect(b, a, number=1)),
        "an indirect table longer than what is in it": (HEADER, indirect(a, b, length=4096)),
        "an indirect table of many": (HEADER, indirect(*(read(LOW.gpa + 8 * n, 8) for n in range(200)))),
        "an indirect part of no bytes": (HEADER, indirect(nothing, a)),
        "an indirect table with nothing mapped in it": (HEADER, indirect(a, read(2**63, 16))),
        "an indirect table with a part over the end": (HEADER, indirect(a, read(END - 8, 16))),
        "an indirect table that is not mapped": (HEADER, replace(indirect(a), addr=2**62)),
        "a part to be written": (HEADER, a, written(LOW.gpa, 16)),
        "only parts to be written": (written(LOW.gpa, 64),),
        "a part to be written where nothing is mapped": (HEADER, a, written(2**63, 16)),
        "a part that wraps": (HEADER, read(2**64 - 16, 32)),
        "a part of 2^32 - 1 bytes": (HEADER, read(LOW.gpa, 2**32 - 1)),
    }
    for what, chain in shapes.items():
        yield story(p, "VHOST.CHAIN", f"a chain of {what}", (*LIVE, Transmit(chain)), "segments in order")
        if p.iotlb_limit < 4:
            continue
        mapped = (*iotlb_live(update_of(LOW)), Transmit(chain))
        title = f"a chain of {what}, in IOTLB mode"
        answers = 0 if "that is not mapped" in what else 3  # what answers are made of is data, and no table
        requests = (*mapped, *answered(p, state_after(p, mapped), answers))
        yield story(p, "VHOST.CHAIN", title, requests, "segments in order")
    write_only = (*iotlb_live(update_of(LOW, WRITE), update_of(NEXT, READ)), send(read(NEXT.gpa, 8), read(LOW.gpa, 8)))
    yield story(p, "VHOST.CHAIN", "a chain whose second part may not be read", write_only, "the first byte is named")


def tables_in_memory(p: Profile) -> Iterator[Draft]:
    """Indirect tables in memory that is cut, missing or not to be read. Without an IOTLB, by the memory table."""
    if min(p.max_regions, p.iotlb_limit) < 8:
        return
    start = rings.table_of(TRANSMIT, 0)
    look = send(indirect(read(LOW.gpa, 32), read(LOW.gpa + P, 32), read(LOW.gpa + 100, 7)))
    for cut in (1, 8, 15, 16, 17, 32, 47):
        edge = start + cut
        halves = (
            Region(RINGS, edge - BASE, BASE),
            Region(scene.in_rings(edge), BACKING_SIZE - (edge - BASE), edge),
        )
        regions = SetMemTable(regions=(*halves, LOW))
        requests = (*LIVE[:2], regions, *scene.ring(TRANSMIT), scene.attach(TRANSMIT), look)
        title = f"an indirect table cut after {cut} bytes"
        yield story(p, "VHOST.CHAIN", title, requests, "a table is read through the same translation")
        short = SetMemTable(regions=(halves[0], update_region(HEADER_ADDRESS), LOW))
        requests = (*LIVE[:2], short, *scene.ring(TRANSMIT), scene.attach(TRANSMIT), look)
        yield story(p, "VHOST.CHAIN", f"{title}, the rest missing", requests, "the first byte is named")
        tail = update(scene.in_rings(edge), BACKING_SIZE - (edge - BASE), edge)
        head = update(RINGS, edge - BASE, BASE)
        missing = (*IOTLB_READY[:3], *scene.ring(TRANSMIT, True), head, scene.attach(TRANSMIT), update_of(LOW))
        header = update(HEADER_ADDRESS, rings.FRAME_HEADER_BYTES, rings.packet_header(), READ)
        asked = (*missing, header, look, ReadMessage(), tail)
        yield story(p, "VHOST.CHAIN", f"{title}, the rest missed", asked, "a table is missed like all else")
        for perm in (0, WRITE):
            refused = (*missing, replace(tail, perm=perm), header, look)
            yield story(p, "VHOST.CHAIN", f"{title}, the rest with permission {perm}", refused, "a table is to be read")


def update_region(address: int) -> Region:
    """The packet header alone."""
    return Region(address, rings.FRAME_HEADER_BYTES, BASE + address - RINGS)


def segments(p: Profile) -> Iterator[Draft]:
    """As many segments as a chain may have, and one more; by a table of many small regions, and by an IOTLB."""
    if p.max_regions >= 64 and p.iotlb_limit >= 64:
        tiny = tuple(at(0x900000 + n, 0x900000 + n, n % 2, offset=5 * n) for n in range(63))
        sixteen = [read(tiny[0].gpa, 63) for _ in range(16)]
        for more in (14, 15, 16):
            chain = send(*sixteen, read(tiny[0].gpa, more))
            title = f"{1 + 16 * 63 + more} segments of 63 regions"
            yield story(p, "XLATE.ROOM", title, (*live(*tiny), chain), "a chain has room for 1024 segments")
            inner = send(indirect(*sixteen, read(tiny[0].gpa, more)))
            yield story(
                p, "XLATE.ROOM", f"{title}, in a table", (*live(*tiny), inner), "a table has no room of its own"
            )
        last = send(*sixteen, read(tiny[0].gpa, 15), read(tiny[0].gpa, 0))
        yield story(p, "XLATE.ROOM", "1024 segments and a part of no bytes", (*live(*tiny), last), "it needs no room")
    if p.iotlb_limit >= 1100:
        many = tuple(update(0x900000 + n, 1, place("AB"[n % 2], 0x20000 + 3 * n)) for n in range(1025))
        for length in (1023, 1024):
            requests = (*iotlb_live(*many), send(read(0x900000, length)))
            yield story(p, "XLATE.ROOM", f"{length + 1} segments of an IOTLB", requests, "a chain has room for 1024")
        start = rings.table_of(TRANSMIT, 0)
        byte_by_byte = [update(0xA00000 + n, 1, start + n) for n in range(1040)]
        for count in (64, 65):
            wide = replace(indirect(*(read(LOW.gpa + n, 1) for n in range(count))), addr=0xA00000)
            requests = (*iotlb_live(update_of(LOW), *byte_by_byte), send(wide))
            title = f"an indirect table of {16 * count} bytes in as many entries"
            yield story(p, "XLATE.ROOM", title, requests, "a table has room for 1024 segments")


def received(p: Profile) -> Iterator[Draft]:
    """Packets that come."""
    base = live(RECEIVED, queue=RECEIVE)
    into = RECEIVED.gpa
    kick = Kick(queue=RECEIVE)

    def offer(*parts: Descriptor) -> Offer:
        return Offer(tuple(parts))

    whole = offer(written(into, 2048))
    empty = offer(written(into, 0), written(into, 30), written(0, 0), written(into + P, 90))
    inner = offer(indirect(written(into, 30), written(into + P, 90), queue=RECEIVE))
    behind = offer(written(into + 2 * P, 2048))
    stories: dict[str, tuple[Any, ...]] = {
        "of the shortest kind": (whole, Packet(26)),
        "of one byte more": (whole, Packet(27)),
        "of the longest kind": (whole, Packet(1526)),
        "that fits exactly": (offer(written(into, 60)), Packet(60)),
        "that is a byte too long": (offer(written(into, 59)), Packet(60), whole),
        "that is too long, then one that is not": (offer(written(into, 59)), Packet(60), Packet(59)),
        "over two descriptors": (offer(written(into + 10, 20), written(into + P, 100)), Packet(60)),
        "over two descriptors, the second not reached": (offer(written(into, 60), written(into + P, 100)), Packet(60)),
        "over a page's border": (offer(written(into + P - 30, 100)), Packet(60)),
        "byte by byte": (offer(*(written(into + 3 * n, 1) for n in range(30))), Packet(30)),
        "over descriptors of no bytes": (empty, Packet(60)),
        "through an indirect table": (inner, Packet(60)),
        "before there is a chain": (Packet(60), whole, kick),
        "before there is a chain, which nobody kicks": (Packet(60), whole),
        "after the other": (whole, behind, Packet(60), Packet(70)),
        "after the other, with one chain": (whole, Packet(60), Packet(70), behind, kick),
        "when there are chains to spare": (whole, behind, Packet(60)),
        "and nobody waits for it": (scene.detach(RECEIVE), whole, Packet(60), scene.attach(RECEIVE)),
        "over the end of memory": (offer(written(into + RECEIVED.size - 30, 60)), Packet(60)),
        "where nothing is mapped": (offer(written(2**63, 100)), Packet(60)),
        "for a chain to be read": (offer(read(into, 100)), Packet(60)),
        "for a chain that is read and written": (offer(read(into, 16), written(into + P, 100)), Packet(60)),
        "for a chain that is written and read": (offer(written(into + P, 100), read(into, 16)), Packet(60)),
        "for a stuck chain, and memory for it later": (
            offer(written(into + RECEIVED.size - 30, 60)),
            Packet(60),
            table(replace(RECEIVED, size=5 * P)),
            kick,
        ),
    }
    for what, requests in stories.items():
        yield story(p, "VHOST.CHAIN", f"a packet comes {what}", (*base, *requests), "where a packet is written")
    if p.iotlb_limit < 8:
        return
    mapped = iotlb_live(queue=RECEIVE)
    low, high = Region(into, P, place("C", 0x4000)), Region(into + P, P, place("D", 0x9000))
    both = (update_of(low, WRITE), update_of(high, WRITE))
    for what, requests in {
        "into two entries": (*both, offer(written(into + P - 30, 100)), Packet(60)),
        "into an entry that can only be read": (update_of(low, READ), whole, Packet(60)),
        "into what is missed": (whole, Packet(60), ReadMessage(), both[0]),
        "into what is half missed": (both[0], offer(written(into + P - 30, 100)), Packet(60), ReadMessage(), both[1]),
        "into what is mapped before it is asked for": (whole, Packet(60), both[0], kick),
        "while the ring is missed": (*both, whole, invalidate(RINGS, 1), Packet(60), ReadMessage(), RING_UPDATE),
    }.items():
        yield story(p, "VHOST.CHAIN", f"a packet comes {what}", (*mapped, *requests), "where a packet is written")
