"""For each rule that stops a translation or a run: requests that it stops and no other rule, and the same repaired.

A library is asked to translate. A device is sent the same as a descriptor of a chain, behind a packet's header.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from conformance import rings
from conformance.backings import place
from conformance.generate import cases
from conformance.generate.build import Draft
from conformance.generate.vhost import readback, scene
from conformance.generate.vhost.scene import (
    IOTLB_READY,
    LIVE,
    LOW,
    OWNED,
    RECEIVED,
    P,
    indirect,
    iotlb_live,
    live,
    read,
    send,
    update_of,
    written,
)
from spec.profile import Profile
from spec.units import U64_MAX
from spec.vhost.address_map import READ, WRITE
from spec.vhost.device import RECEIVE, TRANSMIT
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.queue_io import Offer, Packet
from spec.vhost.translate import Translate

END = LOW.gpa + LOW.size
NEXT = Region(END, P, place("B", 0x5000))  # begins where LOW ends
TOP = Region(2**64 - 2 * P, 2 * P, place("B", 0x9000))
TINY = tuple(Region(0x900000 + n, 1, place("AB"[n % 2], 0x10000 + 5 * n)) for n in range(62))


@dataclass(frozen=True)
class Case(cases.Case):
    """A case about what a device does: unless it says otherwise, its transmit queue is at work."""

    setup: tuple[object, ...] = LIVE


def translations(p: Profile) -> Iterator[Case]:
    """Translations, for targets that are asked for them directly. By a memory table, then by an IOTLB."""
    maps = (*OWNED, SetMemTable(regions=(LOW, TOP)))
    iotlb = (*IOTLB_READY[:3], update_of(LOW), update_of(replace(TOP, gpa=0x40000), READ))
    for setup, rule in ((maps, "XLATE.MAPPED"), (iotlb, "XLATE.IN_IOTLB")):
        good = Translate(addr=LOW.gpa, length=LOW.size)
        for length in (LOW.size + 1, 2 * LOW.size, 2**32, 2**63):
            yield Case(rule, good, "length", length, setup)
        for addr in (LOW.gpa - 1, LOW.gpa + 1, END, 0, 2**63):
            yield Case(rule, good, "addr", addr, setup)
        yield Case(rule, replace(good, addr=END - 1, length=1, access=WRITE), "addr", END, setup)
        yield Case("XLATE.ROOM", replace(good, length=1, room=1), "room", 0, setup)
    last = Translate(addr=U64_MAX, length=1)
    for length in (2, 4095, 4096, 2**32, 2**63, U64_MAX):
        yield Case("XLATE.LAST_ADDRESS", last, "length", length, maps)
    yield Case("XLATE.LAST_ADDRESS", replace(last, addr=2**64 - P, length=P), "addr", 2**64 - P + 1, maps)
    for perm, access, other in ((READ, READ, WRITE), (WRITE, WRITE, READ), (0, READ, None)):
        only = (*IOTLB_READY[:3], scene.update_of(LOW, perm))
        good = Translate(addr=LOW.gpa, length=16, access=access)
        if other is not None:
            yield Case("XLATE.PERMITTED", good, "access", other, only)
        else:
            yield Case("XLATE.PERMITTED", good, setup=only, word="where nothing is permitted")
    three = tuple(replace(LOW, gpa=LOW.gpa + n * P, size=P, hva=place("A", 0x20000 - n * 2 * P)) for n in range(3))
    parts = (*OWNED, SetMemTable(regions=three))
    for length, needed in ((P + 1, 2), (2 * P, 2), (2 * P + 1, 3), (3 * P, 3)):
        yield Case("XLATE.ROOM", Translate(addr=LOW.gpa, length=length, room=needed), "room", needed - 1, parts)


def sent(p: Profile) -> Iterator[Case]:
    """The same in chains that are sent."""
    top = (*live(LOW, TOP),)
    iotlb = iotlb_live(update_of(LOW))
    good = send(read(END - 64, 64))
    for setup, rule in ((LIVE, "XLATE.MAPPED"), (iotlb, "XLATE.IN_IOTLB")):
        for addr, length in ((END - 64, 65), (END, 1), (LOW.gpa - 1, 2), (0, 16), (END - 1, 4096), (2**63, 64)):
            yield Case(rule, good, "chain", send(read(addr, length)).chain, setup)
    for addr, length in ((U64_MAX, 2), (2**64 - P, P + 1), (2**64 - 2 * P, 2 * P + 1), (2**64 - 64, 4096)):
        fits = send(read(addr, 2**64 - addr))
        yield Case("XLATE.LAST_ADDRESS", fits, "chain", send(read(addr, length)).chain, top)
    for perm, word in ((WRITE, "what can only be written"), (0, "what nothing is permitted with"), (WRITE + 4, "")):
        setup = iotlb_live(update_of(LOW, perm), update_of(NEXT, READ))
        fits = send(read(NEXT.gpa, 16))
        yield Case("XLATE.PERMITTED", fits, "chain", send(read(LOW.gpa, 16)).chain, setup, word=word)
        yield Case("XLATE.PERMITTED", fits, "chain", send(read(END - 8, 16)).chain, setup, word=word)
    if p.max_regions < len(TINY) + 1 or p.iotlb_limit < len(TINY) + 1:
        return
    # 1024 segments: the header, 16 times 62 bytes in 62 regions, and 31 of these.
    tiny = live(*TINY)
    many = tuple(read(TINY[0].gpa, len(TINY)) for _ in range(16))
    whole = send(*many, read(TINY[0].gpa, 31))
    yield Case("XLATE.ROOM", whole, "chain", (*whole.chain[:-1], read(TINY[0].gpa, 32)), tiny)
    yield Case("XLATE.ROOM", whole, "chain", (*whole.chain, read(TINY[5].gpa, 1)), tiny)


def chains(p: Profile) -> Iterator[Case]:
    """Chains and indirect tables."""
    part = read(LOW.gpa, 32)
    good = send(indirect(part, read(LOW.gpa + P, 32)))
    for length in (1, 15, 17, 33):
        bad = send(indirect(part, read(LOW.gpa + P, 32), length=length))
        yield Case("VHOST.CHAIN.TABLE_LENGTH", good, "chain", bad.chain)
    for length in (0, 16):
        bad = send(indirect(part, read(LOW.gpa + P, 32), length=length))
        yield Case("VHOST.CHAIN.TABLE_COUNT", good, "chain", bad.chain)
    far = Region(0x10000000, 2**22, rings.table_of(TRANSMIT, 0))  # only its beginning is memory, and that is enough
    for count in (2**16 + 1, 2**17):
        table = replace(indirect(part, read(LOW.gpa + P, 32)), addr=far.gpa)
        large = send(replace(table, length=16 * count))
        yield Case("VHOST.CHAIN.TABLE_SIZE", send(table), "chain", large.chain, live(LOW, far))
    inner = indirect(part, number=1)
    yield Case("VHOST.CHAIN.NESTED", good, "chain", send(indirect(inner)).chain)
    yield Case("VHOST.CHAIN.NESTED", good, "chain", send(indirect(part, inner)).chain)
    wrong = send(written(LOW.gpa, 16), read(LOW.gpa + P, 16))
    yield Case("VHOST.CHAIN.READ_FIRST", send(part, read(LOW.gpa + P, 16)), "chain", wrong.chain)
    yield Case("VHOST.CHAIN.READ_FIRST", good, "chain", send(indirect(written(LOW.gpa, 16), part)).chain)
    yield Case("VHOST.CHAIN.READ_FIRST", good, "chain", send(written(LOW.gpa, 16), indirect(part)).chain)
    yield Case("VHOST.CHAIN.SENDS", send(part), "chain", send(part, written(LOW.gpa + P, 16)).chain)
    yield Case("VHOST.CHAIN.SENDS", send(part), "chain", (written(LOW.gpa + P, 16),))
    yield Case("VHOST.CHAIN.SENDS", send(part), "chain", (read(LOW.gpa, 0),), word="of no bytes")
    into = (written(RECEIVED.gpa, 2048),)
    receiving = live(RECEIVED, queue=RECEIVE)
    for chain in ((read(RECEIVED.gpa, 16), *into), (read(RECEIVED.gpa, 2048),), (written(RECEIVED.gpa, 0),)):
        setup = (*receiving, Offer(chain), Offer(into))
        yield Case("VHOST.CHAIN.RECEIVES", Packet(60), setup=setup, without=len(receiving))


def fields(p: Profile) -> Iterator[Case]:
    """Two-byte fields of a ring that lie in two entries."""
    if p.iotlb_limit < 8:
        return
    base = place("R", 0)
    whole = scene.update(scene.RINGS + P, 2**20 - P, base + P)
    setup = (*IOTLB_READY[:3], *scene.ring(TRANSMIT, True), whole, update_of(LOW), scene.attach(TRANSMIT))
    for host, word in (
        (rings.avail_of(TRANSMIT) + 3, "the available ring's index"),
        (rings.avail_of(TRANSMIT) + 5, "an element of the available ring"),
        (rings.used_of(TRANSMIT) + 1, "the used ring's flags"),
        (rings.used_of(TRANSMIT) + 3, "the used ring's index"),
    ):
        cut = scene.update(scene.RINGS, host - base, base)  # begins before the other, so it is what counts
        request = send(read(LOW.gpa, 16))
        yield Case("VHOST.RING.WHOLE_FIELD", request, setup=(*setup, cut), without=len(setup), word=f"by {word}")


KERNEL_GROUPS: tuple[Callable[[Profile], Iterator[Case]], ...] = (sent, chains, fields)


def drafts(profile: Profile) -> Iterator[Draft]:
    for case in translations(profile):
        yield from cases.drafts_of(profile, case, readback.translated)
    for group in KERNEL_GROUPS:
        for case in group(profile):
            yield from cases.drafts_of(profile, case, readback.observed)
