"""Requests for a device in a world of a few hundred bytes around a page border, and as many at the end of the space.

Nothing is aligned, so entries begin and end inside rings and fields; few places, so they meet.
"""

from __future__ import annotations

import random
from typing import Any

from spec.units import PAGE_SIZE, U64, U64_MAX
from spec.vhost.address_map import READ, WRITE
from spec.vhost.backend import NO_SOCKET, NONE, TAP, SetBackend
from spec.vhost.device import ACCESS_PLATFORM, LOG_ALL, QUEUES, RECEIVE, TRANSMIT, Chain, Descriptor
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import INVALIDATE, MISS, UPDATE, ReadMessage, WriteMessage
from spec.vhost.observe import ObserveMaps
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.queue_io import Kick, Offer, Packet, Transmit
from spec.vhost.regions import AddRegion, RemoveRange, RemoveRegion
from spec.vhost.ring import LOG_USED_RING, SetLogBase, SetRingAddresses, SetRingSize
from spec.vhost.translate import MOST_SEGMENTS, Translate

LOW = PAGE_SIZE - 100
BYTES = 300  # of each of the two places
USER_LIMIT = 2**47 - PAGE_SIZE


class Dice:
    """Chooses requests. It remembers what it asked for, so that some of it is asked for again, or taken back."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.regions: list[tuple[int, int, int]] = [(LOW, BYTES, LOW)]
        self.asked: list[int] = [LOW]
        self.rings: dict[int, SetRingAddresses] = {}
        self.rare = dice.random() < 0.2  # a sequence in which the unusual is usual
        self.calm = not self.rare and dice.random() < 0.5  # one in which packets flow

    def rarely(self, usual: Any, unusual: Any) -> Any:
        """The usual, mostly."""
        return unusual if self.dice.random() < (0.2 if self.rare else 0.02) else usual

    def address(self) -> int:
        """A guest byte."""
        if self.dice.random() < 0.2:
            return self.dice.choice(self.asked)
        place = LOW + self.dice.randrange(BYTES)
        if self.dice.random() < (0.01 if self.calm else 0.15):
            place = U64 - 1 - self.dice.randrange(BYTES)
        self.asked = [*self.asked[-6:], place]
        return place

    def size(self) -> int:
        """How many bytes."""
        size: int = self.dice.choice((1, 2, 3, 8, 20, 60, 150, 300))
        return (
            size if self.dice.random() < 0.95 else self.dice.choice((0, U64_MAX, U64 - LOW, PAGE_SIZE, 3 * PAGE_SIZE))
        )

    def host(self) -> int:
        """A host byte."""
        usual = self.dice.choice((LOW, 2 * PAGE_SIZE - 40)) + self.dice.randrange(BYTES)
        unusual = self.dice.choice((0, USER_LIMIT - 20, USER_LIMIT, U64 - 10, U64_MAX))
        return self.rarely(usual, unusual)  # type: ignore[no-any-return]

    def access(self) -> int:
        return self.dice.choice((READ, WRITE))

    def region(self) -> Region:
        region = (self.address(), self.size(), self.host())
        if self.dice.random() < 0.2:
            region = self.dice.choice(self.regions)
        self.regions = [*self.regions[-4:], region]
        return Region(*region)

    def update(self) -> WriteMessage:
        at = self.address()
        before = self.dice.choice((0, 0, 1, 5, 50, 200))
        return WriteMessage(
            framing=self.rarely(self.dice.choice((1, 2)), 3),
            length=self.rarely(72, self.dice.choice((3, 4, 39, 40, 100))),
            kind=self.rarely(UPDATE, self.dice.choice((MISS, 4, 9))),
            iova=max(at - before, 0),
            size=self.size() + before,
            uaddr=self.host(),
            perm=3 if self.calm else self.dice.choice((1, 2, 3, 3, 3, self.rarely(3, 4), self.rarely(3, 7))),
        )

    def whole(self) -> WriteMessage:
        """Everything low is mapped at once."""
        return WriteMessage(
            kind=UPDATE, iova=self.dice.randrange(LOW), size=2 * PAGE_SIZE, uaddr=PAGE_SIZE, perm=self.rarely(3, 1)
        )

    def invalidate(self) -> WriteMessage:
        return WriteMessage(kind=INVALIDATE, iova=self.address(), size=self.size(), length=self.rarely(72, 20))

    def descriptor(self, writable: bool) -> Descriptor:
        size = self.dice.choice((0, 1, 12, 40, 90, 200))
        return Descriptor(self.address(), size, self.rarely(writable, not writable))

    def chain(self, writable: bool) -> Chain:
        chain = tuple(self.descriptor(writable) for _ in range(self.rarely(self.dice.choice((1, 1, 2, 2, 3)), 0)))
        if self.dice.random() < 0.2:
            inner = tuple(self.descriptor(writable) for _ in range(self.rarely(self.dice.choice((1, 2, 3)), 0)))
            length = self.rarely(16 * len(inner), self.dice.choice((0, 15, 16, 48)))
            indirect = Descriptor(self.address(), length, table=inner)
            if self.rarely(False, True):
                indirect = Descriptor(self.address(), 32, table=(indirect, *inner))
            chain = (indirect, *chain) if self.dice.random() < 0.5 else (*chain, indirect)
        return chain

    def queue(self) -> int:
        return self.rarely(self.dice.randrange(QUEUES), QUEUES)  # type: ignore[no-any-return]

    def features(self, iotlb: bool) -> SetFeatures:
        log = LOG_ALL if self.dice.random() < 0.4 else 0
        return SetFeatures(
            features=log + (ACCESS_PLATFORM if iotlb else 0) + self.rarely(0, 1), readable=self.rare_no()
        )

    def rare_no(self) -> bool:
        return self.rarely(True, False)  # type: ignore[no-any-return]

    def ring_addresses(self, queue: int) -> SetRingAddresses:
        log = LOW // 4 * 4 + 4 * self.dice.randrange(60)
        self.rings[queue] = SetRingAddresses(
            queue=queue,
            from_owner=self.rare_no(),
            readable=self.rare_no(),
            flags=self.rarely(self.dice.choice((0, LOG_USED_RING)), 2),
            desc=self.address(),
            avail=(self.address() // 2 * 2) + self.rarely(0, 1),
            used=(self.address() // 4 * 4) + self.rarely(0, 2),
            log=self.rarely(log, self.dice.choice((log + 1, 2**62, U64 - 4))),
        )
        return self.rings[queue]

    def tight(self, queue: int) -> list[WriteMessage]:
        """The parts of a ring, each mapped by an entry of its own that ends soon behind it."""
        ring, num = self.rings.get(queue, SetRingAddresses()), self.dice.choice((1, 2, 4))
        return [
            WriteMessage(kind=UPDATE, iova=at, size=size + self.dice.choice((0, 0, 1, 8)), uaddr=self.host(), perm=3)
            for at, size in ((ring.desc, 16 * num), (ring.avail, 4 + 2 * num), (ring.used, 4 + 8 * num))
        ]

    def table(self) -> SetMemTable:
        regions = tuple(self.region() for _ in range(self.dice.choice((0, 1, 1, 2, 3))))
        if self.calm:
            regions = (*regions[:1], Region(self.dice.randrange(LOW), 2 * PAGE_SIZE, LOW))
        return SetMemTable(
            regions=regions,
            from_owner=self.rare_no(),
            readable=self.rare_no(),
            regions_readable=self.rare_no(),
            padding=self.rarely(0, 1),
        )

    def set_up(self) -> list[Any]:
        """A device that runs, or nearly."""
        iotlb = self.dice.random() < 0.6
        made: list[Any] = [SetOwner(), self.features(iotlb), self.table()]
        for queue in range(QUEUES):
            made += [SetRingSize(queue=queue, size=self.dice.choice((1, 2, 4))), self.ring_addresses(queue)]
        if iotlb:
            made += [self.whole()] if self.dice.random() < 0.7 else [*self.tight(RECEIVE), *self.tight(TRANSMIT)]
        if self.dice.random() < 0.6:
            made.append(SetLogBase(base=self.host()))
        return [*made, SetBackend(queue=RECEIVE), SetBackend(queue=TRANSMIT)]

    def resized(self, queue: int) -> list[Any]:
        """A ring that becomes another size while its queue is stopped."""
        return [
            SetBackend(queue=queue, backend=NONE),
            SetRingSize(queue=queue, size=self.dice.choice((1, 4, 16, 64))),
            SetBackend(queue=queue),
            Kick(queue),
        ]

    def request(self) -> list[Any]:
        """One request, or a few that belong together."""
        dice = self.dice
        weighted = (
            (14, lambda: [self.update()]),
            (3, lambda: [self.whole()]),
            (4, lambda: [self.invalidate()]),
            (8, lambda: [ReadMessage(length=self.rarely(72, 71))]),
            (4, lambda: [ReadMessage(), self.whole()]),
            (8, lambda: [Translate(self.address(), self.size(), self.access(), dice.choice((MOST_SEGMENTS, 1, 2)))]),
            (3, lambda: [Translate(self.address(), self.size(), self.access(), queue=dice.randrange(QUEUES))]),
            (8, lambda: [Transmit(self.chain(writable=False))]),
            (7, lambda: [Offer(self.chain(writable=True))]),
            (7, lambda: [Packet(dice.choice((26, 30, 60, 100, 300)))]),
            (4, lambda: [Kick(dice.randrange(2))]),
            (3, lambda: [self.table()]),
            (3, lambda: [AddRegion(gpa=r.gpa, size=r.size, hva=r.hva) for r in [self.region()]]),
            (2, lambda: [RemoveRegion(gpa=r[0], size=r[1], hva=r[2]) for r in [dice.choice(self.regions)]]),
            (2, lambda: [RemoveRange(first=self.address(), last=self.address())]),
            (2, lambda: [SetLogBase(base=self.host(), from_owner=self.rare_no())]),
            (
                2,
                lambda: [
                    SetRingSize(queue=self.queue(), size=self.rarely(dice.choice((1, 2, 4)), dice.choice((0, 3))))
                ],
            ),
            (3, lambda: [self.ring_addresses(self.queue())]),
            (3, lambda: [SetBackend(queue=self.queue(), backend=dice.choice((TAP, TAP, NONE)))]),
            (1, lambda: self.tight(dice.randrange(QUEUES))),
            (2, lambda: self.resized(dice.randrange(QUEUES))),
            (1, lambda: [SetBackend(queue=self.queue(), backend=NO_SOCKET, readable=self.rare_no())]),
            (2, lambda: [self.features(dice.random() < 0.7)]),
            (2, lambda: [SetBackendFeatures(features=self.rarely(dice.choice((0, 2)), 1))]),
            (1, lambda: [ResetOwner(from_owner=self.rare_no()), *self.set_up()]),
            (1, lambda: [SetOwner()]),
            (1, lambda: [ObserveMaps()]),
        )
        (made,) = dice.choices([make for _, make in weighted], [weight for weight, _ in weighted])
        return made()


def small_requests(dice: random.Random, length: int) -> list[Any]:
    """At least `length` requests that begin with setting a device up."""
    choose = Dice(dice)
    made = choose.set_up()
    while len(made) < length:
        made += choose.request()
    return made
