"""Stories of the IOTLB: misses and what answers them, invalidations, the limit, the framing of messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from conformance.backings import place
from conformance.generate.build import Draft, state_after
from conformance.generate.vhost import scene
from conformance.generate.vhost.answering import answered
from conformance.generate.vhost.layouts import at
from conformance.generate.vhost.scene import (
    IOTLB_LIVE,
    IOTLB_READY,
    LOW,
    P,
    invalidate,
    iotlb_live,
    read,
    send,
    update,
    update_of,
)
from conformance.generate.vhost.story import story
from spec.profile import Profile
from spec.units import U32_MAX, U64_MAX
from spec.vhost.address_map import READ, WRITE
from spec.vhost.device import RECEIVE, TRANSMIT
from spec.vhost.features import SetBackendFeatures
from spec.vhost.mem_table import Region
from spec.vhost.messages import ReadMessage, WriteMessage
from spec.vhost.owner import SetOwner
from spec.vhost.queue_io import Kick, Offer, Packet
from spec.vhost.translate import Translate

MISSED = LOW.gpa + 0x100
LOOK = send(read(MISSED, 64))
HOST = LOW.hva + 0x100
NEXT = ReadMessage()
LIBRARY: tuple[Any, ...] = IOTLB_READY[:3]
ASK = Translate(addr=MISSED, length=64)


def drafts(p: Profile) -> Iterator[Draft]:
    for group in (misses, progress, two_queues, invalidations, framing, reading, limits, retirement):
        yield from group(p)


def misses(p: Profile) -> Iterator[Draft]:
    """Which misses an update answers: those that were read, and whose byte it maps."""
    kick = Kick(queue=TRANSMIT)
    answers: dict[str, tuple[Any, ...]] = {
        "exactly that byte": (update(MISSED, 1, HOST),),
        "a range that begins with it": (update(MISSED, 64, HOST),),
        "a range that ends with it": (update(MISSED - 63, 64, HOST - 63),),
        "a range with it inside": (update_of(LOW),),
        "a range that ends before it": (update(MISSED - 64, 64, HOST - 64),),
        "a range that begins behind it": (update(MISSED + 1, 64, HOST + 1),),
        "it, for the wrong access": (update(MISSED, 64, HOST, WRITE),),
        "it, for no access": (update(MISSED, 64, HOST, 0),),
        "it, in a message of the second framing": (replace(update(MISSED, 64, HOST), framing=2),),
        "it, in a message that is refused": (update(MISSED, 64, p.user_limit),),
        "the last byte of the space": (update(U64_MAX, 1, HOST),),
        "an invalidation of it": (invalidate(MISSED, 64),),
        "a range that ends before it, then it": (update(MISSED - 64, 64, HOST - 64), update(MISSED, 64, HOST)),
    }
    for what, requests in answers.items():
        for was_read in (True, False):
            when = "read" if was_read else "not read"
            told = (NEXT,) if was_read else ()
            title = f"a miss that was {when}, answered by {what}"
            start = (*IOTLB_LIVE, LOOK, *told, *requests)
            device = state_after(p, start)
            yield story(
                p, "IOTLB.MISS", title, (*start, *answered(p, device)), "an update wakes those whose byte it maps"
            )
            asked = (
                *LIBRARY,
                ASK,
                *told,
                *requests,
                ASK,
                *answered(p, state_after(p, (*LIBRARY, ASK, *told, *requests))),
            )
            yield story(p, "IOTLB.MISS", f"{title}, for a library", asked, "as much for those who translate")
    stories: dict[str, tuple[Any, ...]] = {
        "that was not read is no longer answered by a later kick": (update_of(LOW), kick),
        "stays when its queue goes on": (update_of(LOW), kick, NEXT, update_of(replace(LOW, gpa=0x90000))),
    }
    for what, requests in stories.items():
        yield story(p, "IOTLB.MISS", f"a miss {what}", (*IOTLB_LIVE, LOOK, *requests), "what was missed is there")
    twice = (*LIBRARY, ASK, ASK, NEXT, NEXT, update_of(LOW), ASK)
    yield story(
        p, "IOTLB.MISS", "a byte is missed twice", twice, "each is a message of its own; one update answers all"
    )
    for access in (READ, WRITE):
        asked = (*LIBRARY, replace(ASK, access=access), replace(ASK, access=access, queue=RECEIVE), NEXT, NEXT)
        yield story(p, "IOTLB.MISS", f"misses for access {access}", asked, "a miss says what the byte is needed for")


def progress(p: Profile) -> Iterator[Draft]:
    """Step by step: what was missed is mapped, and the queue gets as far as the next byte that it misses."""
    sends = {
        "a range": send(read(MISSED, 0x300)),
        "several descriptors": send(read(MISSED, 16), read(0x70000, 16), read(0x50010, 16)),
        "the end of the space": send(read(2**64 - 0x180, 0x180)),
        "address 0": send(read(0, 32)),
        "an indirect table": send(scene.indirect(read(MISSED, 16), read(0x70000, 16))),
    }
    for what, request in sends.items():
        start = (*IOTLB_LIVE, request)
        requests = (*start, *answered(p, state_after(p, start)))
        yield story(p, "IOTLB.MISS", f"misses of {what} are answered one by one", requests, "each answer gets further")
    if p.iotlb_limit < 8:
        return
    bytewise: list[Any] = [*IOTLB_LIVE, send(read(MISSED, 3))]
    for n in range(3):
        bytewise += [NEXT, update(MISSED + n, 1, place("AB"[n % 2], 0x3000 + 9 * n))]
    yield story(p, "IOTLB.MISS", "three bytes are answered byte by byte", bytewise, "each answer gets further")
    hole = (*iotlb_live(update(MISSED, 16, HOST), update(MISSED + 32, 16, HOST + 32)), LOOK, NEXT)
    hole = (*hole, update(MISSED + 16, 16, HOST + 16))
    yield story(
        p,
        "IOTLB.MISS",
        "a hole between two entries",
        (
            *hole,
            update(MISSED + 16, 16, HOST + 16),
            *answered(p, state_after(p, (*hole, update(MISSED + 16, 16, HOST)))),
        ),
        "the first byte that nothing maps is asked for",
    )
    lost = (*iotlb_live(update_of(LOW)), LOOK, invalidate(scene.RINGS, 1), LOOK)
    requests = (*lost, *answered(p, state_after(p, lost)))
    yield story(p, "IOTLB.MISS", "the ring's own entry is taken back", requests, "the ring is looked up anew")
    tiny = (
        *iotlb_live(),
        send(read(MISSED, 1)),
        NEXT,
        update(MISSED, 1, HOST),
        LOOK,
        NEXT,
        update(MISSED + 1, 63, HOST),
    )
    yield story(p, "IOTLB.MISS", "the byte behind one that was answered", tiny, "an answer is for its bytes only")


def two_queues(p: Profile) -> Iterator[Draft]:
    """Both queues wait; one update may be an answer to both."""
    into = Region(0x50000, P, place("C", 0x8000))
    both = (
        *IOTLB_READY,
        *scene.ring(RECEIVE, True),
        *scene.ring(TRANSMIT, True),
        scene.attach(RECEIVE),
        scene.attach(TRANSMIT),
    )
    chain = Offer((scene.written(into.gpa, 2048),))
    rings_gone = (*both, update_of(LOW), update_of(into), chain, invalidate(scene.RINGS, 1))
    stories: dict[str, Sequence[Any]] = {
        "miss their rings, one update answers both": (*rings_gone, LOOK, Packet(60), NEXT, NEXT, scene.RING_UPDATE),
        "miss their rings the other way round": (*rings_gone, Packet(60), LOOK, NEXT, NEXT, scene.RING_UPDATE),
        "miss their rings, one miss was read": (*rings_gone, LOOK, Packet(60), NEXT, scene.RING_UPDATE),
        "miss different bytes": (*both, chain, LOOK, Packet(60), NEXT, NEXT, update_of(into), update_of(LOW)),
        "miss different bytes, answered in order": (
            *both,
            chain,
            LOOK,
            Packet(60),
            NEXT,
            NEXT,
            update_of(LOW),
            update_of(into),
        ),
        "miss different bytes, one was read": (*both, chain, LOOK, Packet(60), NEXT, update_of(into), update_of(LOW)),
        "share an IOTLB": (*both, chain, update_of(LOW), update_of(into), LOOK, Packet(100), LOOK),
    }
    for what, requests in stories.items():
        yield story(p, "IOTLB.MISS", f"two queues {what}", requests, "misses know their queue")


def invalidations(p: Profile) -> Iterator[Draft]:
    """What an invalidation takes: every entry that has a byte of its range, whole."""
    if p.iotlb_limit < 8:
        return
    entries = (at(0x10000, 0x10FFF, 0), at(0x11000, 0x11FFF, 1), at(0x13000, 0x13000, 2), at(0x10800, 0x147FF, 3))
    high = at(2**64 - 0x1000, U64_MAX, 4)
    ranges: dict[str, tuple[int, int]] = {
        "nothing": (0x20000, 0x1000),
        "no bytes": (0x10800, 0),
        "no bytes at 0": (0, 0),
        "the byte before an entry": (0xFFFF, 1),
        "the first byte of an entry": (0x10000, 1),
        "the last byte of an entry": (0x147FF, 1),
        "the byte behind an entry": (0x14800, 1),
        "one byte inside": (0x10400, 1),
        "exactly an entry": (0x10000, 0x1000),
        "an entry of one byte, and what is over it": (0x13000, 1),
        "two entries by their borders": (0x10FFF, 2),
        "all low entries": (0x10000, 0x5000),
        "all but the last byte of the space": (0, U64_MAX),
        "the last byte of the space": (U64_MAX, 1),
        "the end of the space and the beginning": (2**64 - 0x1000, 0x11001),
        "the end of the space and a beginning with nothing in it": (2**64 - 0x1000, 0x2000),
        "from the middle around to the middle": (2**63, U64_MAX),
    }
    for what, (iova, size) in ranges.items():
        for framing in (1, 2):
            request = replace(invalidate(iova, size), framing=framing)
            updates = tuple(update_of(one) for one in (*entries, high))
            looks = [Translate(addr=one.gpa, length=one.size) for one in (*entries, high)]
            title = f"an invalidation of {what}, framing {framing}"
            because = "entries go as a whole; bytes that are left come from others"
            yield story(p, "IOTLB.INVALIDATE", title, (*LIBRARY, *updates, request, *looks), because)
            sent = [send(read(one.gpa, 16)) for one in (entries[0], entries[1], high)]
            spared = (*IOTLB_READY, *scene.ring(TRANSMIT, True), scene.attach(TRANSMIT), *updates, request)
            for look in (sent[0], send(read(0x12000, 16)), sent[2]) if framing == 1 else sent[:1]:
                start = (*spared, look)
                requests = (*start, *answered(p, state_after(p, start)))
                yield story(p, "IOTLB.INVALIDATE", f"{title}, and a packet", requests, because)
    stories: dict[str, tuple[Any, ...]] = {
        "twice": (update_of(LOW), invalidate(LOW.gpa, 1), invalidate(LOW.gpa, 1), ASK),
        "of one of two equal ranges takes both": (update_of(LOW), update_of(LOW), invalidate(LOW.gpa, 1), ASK),
        "and an update": (update_of(LOW), invalidate(LOW.gpa, 1), update_of(LOW), ASK),
        "under an older entry": (update_of(LOW), update(MISSED, 16, HOST + 0x5000), invalidate(MISSED, 1), ASK),
        "answers no miss": (ASK, NEXT, invalidate(LOW.gpa, P), update_of(LOW), ASK),
    }
    for what, requests in stories.items():
        yield story(p, "IOTLB.INVALIDATE", f"an invalidation {what}", (*LIBRARY, *requests), "the life of an entry")


def framing(p: Profile) -> Iterator[Draft]:
    """Messages in either framing, of every length near the limits, with fields that say nothing."""
    for version in (1, 2):
        good = replace(update_of(LOW), framing=version)
        for length in (40, 41, 64, 71, 72, 73, 200):
            requests = (*IOTLB_LIVE, replace(good, length=length), LOOK)
            yield story(
                p, "IOTLB.MESSAGE", f"an update of {length} bytes, framing {version}", requests, "what is taken"
            )
            gone = replace(invalidate(LOW.gpa, 1), framing=version, length=length)
            asked = (*LIBRARY, update_of(LOW), gone, ASK)
            title = f"an invalidation of {length} bytes, framing {version}"
            yield story(p, "IOTLB.MESSAGE", title, asked, "what is taken")
        lengths = [*range(0, 8), *range(36, 44), *range(70, 75)]
        tries: list[Any] = []
        for n, length in enumerate(lengths):
            tries.append(replace(good, length=length, iova=0x100000 + n * P))
            tries.append(Translate(addr=0x100000 + n * P, length=16))
        if p.iotlb_limit > len(lengths):
            title = f"updates of every length near the limits, framing {version}"
            yield story(p, "IOTLB.MESSAGE", title, (*LIBRARY, *tries), "boundary values")
    words: list[WriteMessage] = [replace(update_of(LOW), framing=2, asid=asid) for asid in (1, 2**16, U32_MAX)]
    words += [replace(update_of(LOW), perm=perm) for perm in (4, 5, 6, 7, 8, 0x80, 0xFD, 0xFE, 0xFF)]
    for word in words:
        what = f"asid {word.asid:#x}" if word.asid else f"permission {word.perm:#x}"
        yield story(p, "IOTLB.MESSAGE", f"an update with {what}", (*IOTLB_LIVE, word, LOOK), "words that say nothing")
        asked = (*LIBRARY, word, ASK, replace(ASK, access=WRITE))
        yield story(p, "IOTLB.MESSAGE", f"an update with {what}, translated", asked, "words that say nothing")
    odd = replace(invalidate(LOW.gpa, 1), uaddr=2**63, perm=255, asid=7, framing=2)
    requests = (*IOTLB_LIVE, update_of(LOW), LOOK, odd, LOOK)
    yield story(p, "IOTLB.MESSAGE", "an invalidation with all fields set", requests, "only its range counts")
    nowhere = (*IOTLB_LIVE, replace(update_of(LOW), uaddr=2**63, perm=0), LOOK)
    yield story(p, "IOTLB.MESSAGE", "an entry of no use that maps foreign memory", nowhere, "it permits nothing")


def reading(p: Profile) -> Iterator[Draft]:
    """Reading misses: of every length, in either framing, in order."""
    for version in (0, 2):
        start = (SetOwner(), SetBackendFeatures(features=version), *IOTLB_LIVE[1:], LOOK)
        reads = [ReadMessage(length=length) for length in (0, 1, 4, 40, 71, 72, 72)]
        title = f"a miss read in pieces, message features {version}"
        yield story(p, "IOTLB.MISS", title, (*start, *reads), "a message is read as a whole or not at all")
        for length in (73, 128, 4096):
            title = f"a miss read into {length} bytes, message features {version}"
            yield story(p, "IOTLB.MISS", title, (*start, ReadMessage(length=length), NEXT), "one message at a time")
    several = [replace(ASK, addr=0x1000 * n, access=1 + n % 2, queue=n // 2 % 2) for n in range(1, 7)]
    asked = (*LIBRARY, *several, *(NEXT for _ in range(7)), update(0x1000, 0x6000, place("A", 0)))
    yield story(p, "IOTLB.MISS", "misses are read in order", asked, "the oldest first")
    mixed = (*LIBRARY, ASK, SetBackendFeatures(features=2), replace(ASK, addr=0), NEXT, NEXT)
    yield story(p, "IOTLB.MISS", "misses of either framing", mixed, "a miss has the framing of when it was made")


def row(count: int) -> tuple[Region, ...]:
    """Regions of 16 bytes, apart, each with host bytes of its own."""
    return tuple(at(0x100000 + 32 * n, 0x100000 + 32 * n + 15, n % 2, offset=16 * n) for n in range(count))


def limits(p: Profile) -> Iterator[Draft]:
    """As many entries as there can be, and more."""
    most = p.iotlb_limit
    if most > 100 and p != Profile():
        return  # many steps; once is enough
    entries = row(most + 2)
    fill = tuple(update_of(one) for one in entries)
    few = (*range(3), most - 2, most - 1, most, most + 1)
    asks = [Translate(addr=entries[n].gpa, length=16) for n in dict.fromkeys(n for n in few if 0 <= n < most + 2)]
    for count in (most - 1, most, most + 1, most + 2) if most < 100 else (most, most + 1):
        requests = (*LIBRARY, *fill[:count], *asks)
        yield story(p, "IOTLB.LIMIT", f"{count} entries where {most} fit", requests, "the limit is never exceeded")
    live = (*IOTLB_READY, *scene.ring(TRANSMIT, True), scene.attach(TRANSMIT))
    whole = (*live, *fill[: most - 1], send(*(read(one.gpa, 16) for one in (*entries[:3], entries[most - 2]))))
    yield story(p, "IOTLB.LIMIT", f"{most} entries, the ring's too", whole, "all that fit are there")
    for more in (most, most + 1):
        look = send(read(entries[most - 1].gpa, 16), read(entries[0].gpa, 16))
        over = (*live, *fill[:more], look)
        requests = (*over, *answered(p, state_after(p, over), 8))
        title = f"{more + 1} entries where {most} fit, the ring's first"
        yield story(p, "IOTLB.LIMIT", title, requests, "the ring's entry is given up like any other")


def retirement(p: Profile) -> Iterator[Draft]:
    """Which entry is given up, after which uses."""
    if p.iotlb_limit > 8:
        return
    most = p.iotlb_limit
    entries = row(most + 3)
    fill = [update_of(one) for one in entries]
    uses = [Translate(addr=one.gpa, length=16) for one in entries]
    for used in range(most):
        for more in (1, 2):
            requests = (*LIBRARY, *fill[:most], uses[used], *fill[most : most + more], *uses[: most + more])
            title = f"entry {used} of {most} is used before {more} more come"
            yield story(p, "IOTLB.LIMIT", title, requests, "the order in which entries are given up")
    stories: dict[str, Sequence[Any]] = {
        "all used, last to first": (*fill[:most], *reversed(uses[:most]), *fill[most : most + 2], *uses),
        "one used twice": (*fill[:most], uses[0], uses[1], uses[0], *fill[most : most + 2], *uses),
        "a use that fails": (*fill[:most], replace(uses[0], length=17), fill[most], *uses),
        "a use of two entries": (
            update(0, 16, place("A", 0)),
            update(16, 16, place("A", 64)),
            *fill[: most - 2],
            Translate(addr=8, length=16),
            *fill[most - 2 : most],
            Translate(addr=8, length=16),
        ),
        "an update of a range that is there": (*fill[:most], fill[0], *uses),
        "the same update over and over": (*fill[: most - 1], fill[0], fill[0], fill[0], *uses),
        "room after an invalidation": (*fill[:most], invalidate(entries[1].gpa, 1), fill[most], *uses),
        "an update that is refused": (*fill[:most], replace(fill[most], size=0), *uses, fill[most], *uses),
        "an update that wraps": (*fill[:most], replace(fill[most], iova=U64_MAX), *uses, fill[most], *uses),
        "an update of foreign memory": (*fill[:most], replace(fill[most], uaddr=2**63), *uses, fill[most], *uses),
        "a hidden entry": (
            update(0, 64, place("A", 0)),
            update(16, 16, place("A", 0x100)),
            *fill[: most - 2],
            Translate(addr=16, length=16),
            *fill[most - 2 : most],
            Translate(addr=16, length=16),
        ),
    }
    for what, steps in stories.items():
        title = f"a full IOTLB and {what}"
        yield story(p, "IOTLB.LIMIT", title, (*LIBRARY, *steps), "the order in which entries are given up")
    # The same for a device: ring, header and table share an entry, which every run uses.
    live = (*IOTLB_READY, *scene.ring(TRANSMIT, True), scene.attach(TRANSMIT))
    for used in range(most - 1):
        start = (
            *live,
            *fill[: most - 1],
            send(read(entries[used].gpa, 16)),
            fill[most - 1],
            send(read(entries[used].gpa, 16)),
        )
        whole = (*start, *answered(p, state_after(p, start), 4))
        title = f"a queue uses entry {used} of {most} before one more comes"
        yield story(p, "IOTLB.LIMIT", title, whole, "the order in which entries are given up")
