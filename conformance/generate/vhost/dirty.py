"""Stories of the dirty log: which guest pages what a device writes marks, with and without an IOTLB."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from conformance import rings
from conformance.backings import place
from conformance.generate.build import Draft
from conformance.generate.vhost import scene
from conformance.generate.vhost.scene import (
    FEATURES,
    IOTLB_FEATURES,
    LOW,
    RECEIVED,
    RING_REGION,
    RING_UPDATE,
    P,
    read,
    send,
    table,
    update,
    update_of,
    written,
)
from conformance.generate.vhost.story import story
from spec.profile import Profile
from spec.vhost.device import LOG_ALL, RECEIVE, TRANSMIT
from spec.vhost.features import SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.owner import SetOwner
from spec.vhost.queue_io import Offer, Packet
from spec.vhost.ring import SetLogBase

LOOK = send(read(LOW.gpa, 64))
BASE = SetLogBase(base=rings.dirty_log())
INTO = RECEIVED.gpa
ON, OFF = SetFeatures(features=FEATURES + LOG_ALL), SetFeatures(features=FEATURES)


def drafts(p: Profile) -> Iterator[Draft]:
    for group in (packets, used_rings, changes, through_an_iotlb):
        for draft in group(p):
            yield replace(draft, generator="log")


def receiving(*regions: Region) -> tuple[Any, ...]:
    return scene.logging(rings.dirty_log(), *(regions or (RECEIVED,)), queue=RECEIVE)


def packets(p: Profile) -> Iterator[Draft]:
    """Pages that a received packet marks: those that hold a byte of it, not those of the chain."""
    far = Region(2**34, 2 * P, place("D", 0x3000))
    last = Region(2**35 - P, P, place("D", 0x8000))
    places: dict[str, tuple[tuple[Any, ...], int]] = {
        "inside a page": ((written(INTO + 100, 200),), 60),
        "up to a page's last byte": ((written(INTO + P - 60, 200),), 60),
        "from a page's last byte on": ((written(INTO + P - 1, 200),), 60),
        "from a page's first byte on": ((written(INTO + P, 200),), 60),
        "over three pages": ((written(INTO + P - 30, 2 * P),), 1500),
        "in a chain with room to spare": ((written(INTO, 4 * P),), 60),
        "in parts of two pages": ((written(INTO, 30), written(INTO + 2 * P, 100)), 60),
        "in parts of one page": ((written(INTO, 30), written(INTO + 200, 100)), 60),
        "with a last part that is not reached": ((written(INTO, 60), written(INTO + 2 * P, 100)), 60),
    }
    for what, (parts, length) in places.items():
        requests = (*receiving(), Offer(parts), Packet(length))
        yield story(p, "VHOST.LOG", f"a packet {what}", requests, "exactly the pages with a byte of it are marked")
    for what, region in (("far up", far), ("at the last page that the log has a bit for", last)):
        requests = (*receiving(region), Offer((written(region.gpa + 50, 2000),)), Packet(60))
        yield story(p, "VHOST.LOG", f"a packet {what}", requests, "exactly the pages with a byte of it are marked")
    if min(p.max_regions, p.iotlb_limit) < 3:
        return
    apart = (Region(0x40800, 0x800, place("C", 0x4000)), Region(0x41000, 0x10, place("D", 0x100)))
    requests = (*receiving(*apart), Offer((written(0x40FF0, 0x20),)), Packet(32))
    yield story(p, "VHOST.LOG", "a packet over two regions", requests, "guest pages are marked, wherever they live")
    twice = (Region(0x40000, P, place("C", 0x4000)), Region(0x50000, P, place("C", 0x4000)))
    requests = (*receiving(*twice), Offer((written(0x50000, 200),)), Packet(60))
    yield story(
        p, "VHOST.LOG", "a packet into memory that is mapped twice", requests, "the guest address that was given counts"
    )
    late = (*receiving(), Offer((written(INTO, 59),)), Packet(60), Packet(50))
    yield story(
        p, "VHOST.LOG", "a packet that is discarded, and one that is not", late, "only what is written is marked"
    )


def used_rings(p: Profile) -> Iterator[Draft]:
    """A used ring that is logged: its flags, its index and the element of each chain."""
    for queue, regions in ((TRANSMIT, LOW), (RECEIVE, RECEIVED)):
        act: tuple[Any, ...] = (LOOK, LOOK, LOOK)
        if queue == RECEIVE:
            act = (Offer((written(INTO, 100),)), Offer((written(INTO + P, 100),)), Packet(60), Packet(70))
        for log in (0, 0x5000, 0x6000 - 4, 0x6000 - 8, 0x6000 - 12, 0x6000 - 16, 2**35 - P):
            stopped = (SetOwner(), ON, BASE, table(regions), *scene.ring(queue)[:1])
            addresses = scene.ring_addresses(queue, flags=scene.USED_LOGGED, log=log)
            requests = (*stopped, addresses, scene.attach(queue), *act)
            title = f"a used ring logged at {log:#x}, queue {queue}"
            yield story(p, "VHOST.LOG", title, requests, "each write to it marks the pages it touches")
    addresses = scene.ring_addresses(TRANSMIT, flags=scene.USED_LOGGED, log=0x5000)
    quiet = (SetOwner(), OFF, BASE, table(LOW), *scene.ring(TRANSMIT)[:1], addresses, scene.attach(TRANSMIT), LOOK)
    yield story(p, "VHOST.LOG", "a used ring logged without the feature", quiet, "the flag alone decides")
    unset = (SetOwner(), ON, BASE, table(LOW), *scene.ring(TRANSMIT)[:1], replace(addresses, flags=0))
    requests = (*unset, scene.attach(TRANSMIT), LOOK)
    yield story(p, "VHOST.LOG", "a log address without its flag", requests, "it says nothing")


def changes(p: Profile) -> Iterator[Draft]:
    """Logging that begins and ends while a queue is at work."""
    start = (SetOwner(), OFF, BASE, table(RECEIVED), *scene.ring(RECEIVE), scene.attach(RECEIVE))
    other = table(replace(RECEIVED, hva=place("D", 0x20000)))
    offers = [Offer((written(INTO + n * P, 200),)) for n in range(4)]
    addresses = scene.ring_addresses(RECEIVE, flags=scene.USED_LOGGED, log=0x7000)
    stories: dict[str, tuple[Any, ...]] = {
        "begins": (*offers, Packet(60), ON, Packet(60)),
        "begins and ends": (*offers, ON, Packet(60), OFF, Packet(60)),
        "begins again": (*offers, ON, Packet(60), OFF, Packet(60), ON, Packet(60)),
        "is not asked for": (*offers, Packet(60)),
        "of the used ring begins": (*offers, Packet(60), addresses, Packet(60)),
        "of the used ring ends": (*offers, addresses, Packet(60), scene.ring_addresses(RECEIVE), Packet(60)),
        "goes on with another table": (
            *offers[:2],
            ON,
            Packet(60),
            other,
            Packet(60),
        ),
        "goes on after a base is refused": (*offers, ON, Packet(60), SetLogBase(base=p.user_limit), Packet(60)),
        "goes on after a base is given again": (*offers, ON, Packet(60), BASE, Packet(60)),
    }
    for what, requests in stories.items():
        yield story(p, "VHOST.LOG", f"logging {what}", (*start, *requests), "what is written from then on is marked")


def through_an_iotlb(p: Profile) -> Iterator[Draft]:
    """With an IOTLB only the host address is known: each region of the table that maps it has its page marked."""
    if min(p.max_regions, p.iotlb_limit) < 8:
        return
    iova = 0x7000000
    entry = update(iova, 4 * P, RECEIVED.hva)
    twin = replace(RECEIVED, gpa=0x90000)
    tables: dict[str, tuple[Region, ...]] = {
        "one region": (RECEIVED,),
        "two regions of the same memory": (RECEIVED, twin),
        "a region of half of it": (RECEIVED, Region(0xA0000, P, RECEIVED.hva + P)),
        "a region at no page's border": (replace(RECEIVED, gpa=0x40123),),
        "regions apart": (
            Region(0x40000, P, RECEIVED.hva),
            Region(0x80000, 3 * P, RECEIVED.hva + P),
        ),
    }
    for what, regions in tables.items():
        setup = (
            SetOwner(),
            SetFeatures(features=IOTLB_FEATURES + LOG_ALL),
            BASE,
            SetMemTable(regions=(RING_REGION, *regions)),
            RING_UPDATE,
            entry,
            *scene.ring(RECEIVE, True),
            scene.attach(RECEIVE),
        )
        for offset, length in ((0, 60), (P - 30, 60), (P, 60), (2 * P - 10, 1500)):
            requests = (*setup, Offer((written(iova + offset, 2 * P),)), Packet(length))
            title = f"{length} bytes at {offset:#x} through an IOTLB, with {what}"
            yield story(p, "VHOST.LOG", title, requests, "every page that has a written byte is marked")
    for log in (0, 0x5000):
        flags = replace(scene.ring_addresses(TRANSMIT, True), flags=scene.USED_LOGGED, log=log)
        setup = (
            SetOwner(),
            SetFeatures(features=IOTLB_FEATURES + LOG_ALL),
            BASE,
            SetMemTable(regions=(RING_REGION, LOW)),
            RING_UPDATE,
            update_of(LOW),
            *scene.ring(TRANSMIT, True)[:1],
            flags,
            scene.attach(TRANSMIT),
        )
        title = f"a used ring logged at {log:#x} through an IOTLB"
        yield story(p, "VHOST.LOG", title, (*setup, LOOK, LOOK), "it is logged where it lives")
    into = (SetOwner(), SetFeatures(features=IOTLB_FEATURES), BASE, SetMemTable(regions=(RING_REGION, RECEIVED)))
    plain = (*into, RING_UPDATE, entry, *scene.ring(RECEIVE, True), scene.attach(RECEIVE))
    requests = (*plain, Offer((written(iova, 2 * P),)), Packet(60))
    yield story(p, "VHOST.LOG", "a packet through an IOTLB, not logged", requests, "nothing is marked")
