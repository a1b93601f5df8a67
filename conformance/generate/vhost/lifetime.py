"""Lifetimes of memory tables, of the IOTLB mode, and of what is stuck meanwhile: directed stories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from typing import Any

from conformance.backings import place
from conformance.generate.build import Draft
from conformance.generate.vhost import scene
from conformance.generate.vhost.layouts import at
from conformance.generate.vhost.scene import (
    FEATURES,
    IOTLB_FEATURES,
    IOTLB_LIVE,
    IOTLB_READY,
    LIVE,
    LOW,
    OWNED,
    READY,
    P,
    iotlb_live,
    live,
    read,
    send,
    table,
    update_of,
)
from conformance.generate.vhost.story import story
from spec.profile import Profile
from spec.vhost.address_map import WRITE
from spec.vhost.device import RECEIVE, TRANSMIT
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import ReadMessage
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.queue_io import Kick
from spec.vhost.regions import AddRegion, RemoveRange, RemoveRegion
from spec.vhost.ring import SetRingSize
from spec.vhost.translate import Translate

MOVED = replace(LOW, hva=place("B", 0x2000))
ELSEWHERE = replace(LOW, gpa=0x30000, hva=place("B", 0x12000))
LOOK = send(read(LOW.gpa, 64))
EDGE = send(read(LOW.gpa + LOW.size - 32, 64))  # reaches past LOW
BEYOND = Region(LOW.gpa + LOW.size, P, place("B", 0x20000))
RESTART: tuple[Any, ...] = (*scene.ring(TRANSMIT), scene.attach(TRANSMIT))
IOTLB_RESTART: tuple[Any, ...] = (*scene.ring(TRANSMIT, True), scene.attach(TRANSMIT))


def drafts(p: Profile) -> Iterator[Draft]:
    for group in (tables, single_regions, orders, owners, modes, backends):
        yield from group(p)


def tables(p: Profile) -> Iterator[Draft]:
    """Memory tables that take each other's place."""
    stories: dict[str, tuple[Any, ...]] = {
        "is used by what is sent": (*LIVE, LOOK, LOOK),
        "takes the place of another": (*LIVE, LOOK, table(MOVED), LOOK),
        "maps the same elsewhere": (*LIVE, LOOK, table(ELSEWHERE), send(read(ELSEWHERE.gpa, 64)), LOOK),
        "is given again": (*LIVE, LOOK, table(LOW), LOOK),
        "grows": (*LIVE, table(LOW, ELSEWHERE), LOOK, send(read(ELSEWHERE.gpa, 64))),
        "shrinks": (*live(LOW, ELSEWHERE), LOOK, table(LOW), LOOK, send(read(ELSEWHERE.gpa, 64))),
        "is cleared": (*LIVE, LOOK, SetMemTable(), LOOK),
        "is cleared and given again": (*LIVE, LOOK, SetMemTable(), table(MOVED), LOOK),
        "frees a chain that was stuck": (*LIVE, EDGE, table(LOW, BEYOND), Kick(queue=TRANSMIT)),
        "frees a chain, and the one behind it": (
            *LIVE,
            EDGE,
            table(LOW, BEYOND),
            Kick(queue=TRANSMIT),
            LOOK,
        ),
        "moves under a chain that was stuck": (
            *LIVE,
            EDGE,
            table(MOVED, replace(BEYOND, hva=place("A", 0x30000))),
            Kick(queue=TRANSMIT),
        ),
        "leaves a chain stuck": (*LIVE, EDGE, table(MOVED)),
        "is cleared under a chain that was stuck": (*LIVE, EDGE, SetMemTable(), Kick(queue=TRANSMIT)),
        "that is refused changes nothing": (
            *LIVE,
            LOOK,
            replace(table(MOVED), padding=1),
            LOOK,
            replace(table(MOVED), regions_readable=False),
            LOOK,
            table(MOVED, replace(BEYOND, gpa=2**64 - P + 1)),
            LOOK,
            table(MOVED, replace(BEYOND, hva=p.user_limit)),
            LOOK,
        ),
        "that is refused leaves a chain stuck": (
            *LIVE,
            EDGE,
            replace(table(LOW, BEYOND), padding=1),
            Kick(queue=TRANSMIT),
            table(LOW, BEYOND),
            Kick(queue=TRANSMIT),
        ),
        "may map the same memory twice": (*live(LOW, replace(LOW, gpa=0x60000)), LOOK, send(read(0x60000, 64))),
        "may map memory of the kernel while no backend is attached": (
            *READY,
            SetMemTable(regions=(replace(LOW, hva=2**63),)),
            table(LOW),
            *RESTART,
            LOOK,
        ),
        "gives one packet bytes of three regions": (
            *live(LOW, BEYOND, ELSEWHERE),
            send(read(ELSEWHERE.gpa, 8), read(LOW.gpa + LOW.size - 8, 16), read(ELSEWHERE.gpa + 100, 8)),
        )
        if p.max_regions > 3
        else LIVE,
    }
    for what, requests in stories.items():
        yield story(p, "VHOST.TABLE", f"a memory table {what}", requests, "the lifetime of a table")
    most = min(p.max_regions, p.iotlb_limit)
    many = tuple(Region(0x100000 + n * 0x100, 0x100, place("AB"[n % 2], n * 0x208)) for n in range(most - 1))
    across = send(read(many[0].gpa + 8, 0x100 * len(many) - 16))
    title = f"a memory table of {most} regions"
    yield story(p, "VHOST.TABLE", title, (*live(*many), across), "the largest table, each region in one packet")
    gone = tuple(many[n] for n in range(0, len(many), 2))
    yield story(
        p, "VHOST.TABLE", f"{title}, and then half of them", (*live(*many), table(*gone), across), "as many are gone"
    )


def single_regions(p: Profile) -> Iterator[Draft]:
    """Regions added and removed one by one, for those who can; and a large range that takes regions of all sizes."""
    base: tuple[Any, ...] = (*OWNED, SetMemTable(regions=(LOW,)))

    def add(region: Region) -> AddRegion:
        return AddRegion(gpa=region.gpa, size=region.size, hva=region.hva)

    def remove(region: Region) -> RemoveRegion:
        return RemoveRegion(gpa=region.gpa, size=region.size, hva=region.hva)

    twin = replace(LOW, hva=place("B", 0x8000))
    over = Translate(addr=LOW.gpa, length=LOW.size + P)
    whole = Translate(addr=LOW.gpa, length=LOW.size)
    stories: dict[str, tuple[Any, ...]] = {
        "is added to no table": (*OWNED, add(LOW), whole),
        "is added behind another": (*base, over, add(BEYOND), over),
        "is added before another": (*OWNED, SetMemTable(regions=(BEYOND,)), over, add(LOW), over),
        "is added over another": (*base, add(replace(BEYOND, gpa=LOW.gpa + P)), whole),
        "is added twice": (*base, add(LOW), whole),
        "is added over the same range": (*base, add(twin), whole),
        "is removed": (*base, whole, remove(LOW), whole),
        "is removed from under another": (*base, add(twin), whole, remove(LOW), whole, remove(twin), whole),
        "that is hidden is removed": (*base, add(twin), remove(twin), whole),
        "is removed once of twice": (*base, add(LOW), remove(LOW), whole, remove(LOW), whole, remove(LOW)),
        "is removed and added again": (*base, add(twin), remove(LOW), add(LOW), whole),
        "is removed, and not one that overlaps it": (
            *base,
            add(replace(BEYOND, gpa=LOW.gpa + P)),
            remove(replace(BEYOND, gpa=LOW.gpa + P)),
            whole,
        ),
        "is added to a table that replaced another": (*base, SetMemTable(regions=(ELSEWHERE,)), add(LOW), whole),
        "is gone after a table without it": (*base, add(BEYOND), SetMemTable(regions=(LOW,)), over),
    }
    for what, requests in stories.items():
        yield story(p, "VHOST.REGION", f"a region {what}", requests, "one region at a time")
    if min(p.max_regions, p.iotlb_limit) < 8:
        return
    row = [at(0x1000, 0x1000, 0), at(0x1001, 0x1FFF, 1), at(0x2000, 0x5FFF, 2), at(0x3000, 0x30FF, 3)]
    row += [at(0x6000, 0x6000, 4), at(0x8000, 0x8FFF, 5), at(0, 0xFFF, 6)]
    ends = sorted({end for one in row for end in (one.gpa - 1, one.gpa, one.gpa + one.size - 1, one.gpa + one.size)})
    ranges = [(first, last) for first in ends for last in ends if 0 <= first <= last]
    ranges += [(0, 2**64 - 1), (2**63, 2**64 - 1), (0, 0)]
    for first, last in ranges[:: max(1, len(ranges) // 48)] + ranges[-3:]:
        requests = (*OWNED, SetMemTable(regions=tuple(row)), RemoveRange(first=first, last=last))
        yield story(
            p,
            "VHOST.REGION",
            f"removing {first:#x}..{last:#x} from regions of all sizes",
            (*requests, Translate(addr=0x800, length=0x6000), Translate(addr=0x3080, length=0x10)),
            "regions go as a whole, and no other",
        )


def orders(p: Profile) -> Iterator[Draft]:
    """The same entries added in every order: the one that starts first counts, of equal starts the one added first."""
    shapes = {
        "overlap in a chain": (at(0x1000, 0x17FF, 0), at(0x1400, 0x1BFF, 1), at(0x1800, 0x1FFF, 2)),
        "begin together": (at(0x1000, 0x13FF, 0), at(0x1000, 0x17FF, 1), at(0x1000, 0x1FFF, 2)),
        "are nested": (at(0x1000, 0x1FFF, 0), at(0x1400, 0x1BFF, 1), at(0x1600, 0x17FF, 2)),
        "end together": (at(0x1000, 0x1FFF, 0), at(0x1400, 0x1FFF, 1), at(0x1800, 0x1FFF, 2)),
    }
    if min(p.max_regions, p.iotlb_limit) < 4:
        return
    for what, regions in shapes.items():
        for order in permutations(regions):
            look = (send(read(0x1000, 0x1000)), send(read(0x17F0, 0x20)), send(read(0x1400, 1), read(0x1BFF, 1)))
            yield story(p, "VHOST.TABLE", f"three regions that {what}", (*live(*order), *look), "in every order")
            updates = tuple(update_of(region) for region in order)
            yield story(
                p, "IOTLB.UPDATE", f"three updates that {what}", (*iotlb_live(*updates), *look), "in every order"
            )
            asked = (Translate(addr=0x1000, length=0x1000), Translate(addr=0x1400, length=0x400), Translate(0x17FF, 2))
            maps = (*OWNED, SetMemTable(regions=order), *asked)
            yield story(p, "VHOST.TABLE", f"three regions that {what}, translated", maps, "in every order")


def owners(p: Profile) -> Iterator[Draft]:
    """What a device forgets when it is given up."""
    again = (SetOwner(), SetFeatures(features=FEATURES))
    stories: dict[str, tuple[Any, ...]] = {
        "has an empty table": (*LIVE, LOOK, ResetOwner(), *again, *RESTART, LOOK),
        "forgets its table": (*LIVE, ResetOwner(), *again, table(MOVED), *RESTART, LOOK),
        "forgets that a backend was attached": (*LIVE, ResetOwner(), SetOwner(), SetRingSize(queue=TRANSMIT, size=16)),
        "forgets a chain that was stuck": (*LIVE, EDGE, ResetOwner(), *again, table(LOW, BEYOND), *RESTART, LOOK),
        "forgets its features": (
            *IOTLB_LIVE,
            ResetOwner(),
            SetOwner(),
            scene.update_of(LOW),
            SetFeatures(features=IOTLB_FEATURES),
            scene.update_of(LOW),
        ),
        "forgets its misses": (*IOTLB_LIVE, LOOK, ResetOwner(), ReadMessage()),
        "forgets what it waited for": (
            *IOTLB_LIVE,
            LOOK,
            ReadMessage(),
            ResetOwner(),
            *IOTLB_LIVE,
            scene.update(0x70000, 0x1000, LOW.hva, WRITE),
            scene.send(scene.read(0x70000, 16)),  # stuck: if its queue were woken, it would fail once more
            scene.update_of(LOW),
        ),
        "can be taken by nobody": (*LIVE, SetOwner(), LOOK),
        "can be set up anew, as if it were new": (*LIVE, LOOK, ResetOwner(), *LIVE, LOOK),
        "counts its ring from the start": (*LIVE, LOOK, LOOK, LOOK, ResetOwner(), *LIVE, LOOK, LOOK),
    }
    for what, requests in stories.items():
        yield story(p, "VHOST.OWNER", f"a device that was given up {what}", requests, "all is as new")


def modes(p: Profile) -> Iterator[Draft]:
    """Into the IOTLB mode, into it again, and out of it."""
    into, out = SetFeatures(features=IOTLB_FEATURES), SetFeatures(features=FEATURES)
    low = update_of(LOW)
    ready = (*IOTLB_READY, low)
    stories: dict[str, tuple[Any, ...]] = {
        "begins empty": (*OWNED, into, SetMemTable(), *scene.ring(TRANSMIT, True), scene.attach(TRANSMIT)),
        "does not use the memory table": (
            SetOwner(),
            into,
            table(MOVED),
            scene.RING_UPDATE,
            low,
            *IOTLB_RESTART,
            LOOK,
        ),
        "begins empty again": (*ready, *IOTLB_RESTART, LOOK, into, LOOK),
        "begins empty again, and is filled": (*ready, into, scene.RING_UPDATE, update_of(MOVED), *IOTLB_RESTART, LOOK),
        "is not entered by features that are refused": (
            *LIVE,
            SetFeatures(features=IOTLB_FEATURES + 2**63),
            low,
            LOOK,
        ),
        "is not entered by features that cannot be read": (*LIVE, replace(into, readable=False), low, LOOK),
        "is left, or stays": (*ready, out, low, *scene.ring(TRANSMIT, True)),
        "is left, or stays, and is entered again": (*ready, out, into, low),
        "is left, or stays, with rings that were set": (*ready, *IOTLB_RESTART, LOOK, scene.detach(TRANSMIT), out, low),
        "is entered with rings that were set": (
            *READY,
            table(LOW),
            *scene.ring(TRANSMIT),
            into,
            scene.RING_UPDATE,
            low,
        ),
        "keeps its misses when it is entered again": (*IOTLB_LIVE, LOOK, into, ReadMessage()),
        "keeps what is waited for when it is entered again": (
            *IOTLB_LIVE,
            LOOK,
            ReadMessage(),
            into,
            scene.RING_UPDATE,
            low,
        ),
        "keeps a message version": (SetOwner(), SetBackendFeatures(features=2), *IOTLB_LIVE[1:], LOOK, ReadMessage()),
        "forgets a message version": (
            SetOwner(),
            SetBackendFeatures(features=2),
            SetBackendFeatures(features=0),
            *IOTLB_LIVE[1:],
            LOOK,
            ReadMessage(),
        ),
        "has messages of either version": (*IOTLB_LIVE, LOOK, SetBackendFeatures(features=2), ReadMessage()),
        "needs a table, though it is not used": (
            *IOTLB_READY[:2],
            scene.RING_UPDATE,
            *IOTLB_RESTART,
            SetMemTable(),
            scene.attach(TRANSMIT),
        ),
    }
    for what, requests in stories.items():
        yield story(p, "VHOST.FEATURES", f"IOTLB mode {what}", requests, "the lifetime of the mode")
    for features in (0, 2**27, 2**33, 2**33 + 2**27, p.features):
        requests = (SetOwner(), SetFeatures(features=features), SetFeatures(features=0), SetFeatures(features=features))
        yield story(p, "VHOST.FEATURES", f"features {features:#x}, none, and again", requests, "what is kept")


def backends(p: Profile) -> Iterator[Draft]:
    """Queues that are attached and detached."""
    off, on = scene.detach(TRANSMIT), scene.attach(TRANSMIT)
    stories: dict[str, tuple[Any, ...]] = {
        "stops": (*LIVE, LOOK, off, Kick(queue=TRANSMIT)),
        "stops and goes on": (*LIVE, LOOK, off, on, LOOK),
        "goes on with what was offered meanwhile": (*LIVE, LOOK, off, LOOK, on),
        "goes on with a chain that was stuck": (*LIVE, EDGE, off, table(LOW, BEYOND), on),
        "that was never attached is detached": (*READY, table(LOW), off, *RESTART, LOOK),
        "is detached twice": (*LIVE, off, off, on, LOOK),
        "is refused no socket and goes on": (*LIVE, LOOK, replace(on, backend="no-socket"), LOOK),
        "changes its table meanwhile": (*LIVE, LOOK, off, table(MOVED), on, LOOK),
        "changes its ring's size meanwhile": (
            *LIVE,
            off,
            SetRingSize(queue=TRANSMIT, size=64),
            on,
            LOOK,
        ),
        "forgets misses that were not read": (*IOTLB_LIVE, LOOK, off, ReadMessage(), update_of(LOW), on),
        "forgets misses that were read": (*IOTLB_LIVE, LOOK, ReadMessage(), off, update_of(LOW), on),
        "asks again after it was detached": (*IOTLB_LIVE, LOOK, ReadMessage(), off, on, ReadMessage(), update_of(LOW)),
        "and the other are detached one by one": (*scene.BOTH_LIVE, LOOK, scene.detach(RECEIVE), LOOK, off),
    }
    for what, requests in stories.items():
        yield story(p, "VHOST.BACKEND", f"a queue {what}", requests, "the lifetime of a backend")
    both = (*IOTLB_READY, *scene.ring(RECEIVE, True), *scene.ring(TRANSMIT, True), scene.attach(RECEIVE), on)
    requests = (*both, LOOK, ReadMessage(), scene.detach(RECEIVE), update_of(LOW), Kick(queue=TRANSMIT))
    title = "a queue's misses are forgotten with the other queue's backend"
    yield story(p, "VHOST.BACKEND", title, requests, "misses of both queues are forgotten")
