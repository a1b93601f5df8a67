"""Random guest and host addresses, memory tables and messages, each chosen from the state that a device is in."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from conformance.backings import BACKING_SIZE, BASES, place
from spec.profile import Profile
from spec.units import PAGE_SIZE, U64, U64_MAX
from spec.vhost.address_map import READ, WRITE, Entry
from spec.vhost.device import NEW_DEVICE, TRANSMIT, Device, Miss
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import INVALIDATE, ReadMessage, WriteMessage
from spec.vhost.regions import AddRegion, RemoveRange, RemoveRegion

P = PAGE_SIZE

# Where backing R (rings, header, tables) appears in guest addresses: below 2^35, so that it can be logged, across the
# middle of the space, and at its very end.
RING_BASES = (2**34, 2**63 - BACKING_SIZE // 2, 2**64 - BACKING_SIZE)
# Where data is mapped: around these, and beside what is there.
DATA_BASES = (0, 0, 2**20, 2**20, 2**20, 2**32, 2**63, 2**64)
SIZES = (1, 2, 7, 8, 16, 26, 100, P - 1, P, P, P, P + 1, 2 * P, 3 * P, 16 * P, BACKING_SIZE)


def is_in(host: int, names: str) -> bool:
    """Whether a host address is in, or not far behind, one of these backings."""
    return any(BASES[name] <= host < BASES[name] + 2**40 for name in names)


class RandomMaps:
    """A device with a state, and what could be mapped in it next.

    Whether the device is in IOTLB mode, logs, and other things are drawn once.
    """

    def __init__(self, profile: Profile, seed: int, kernel: bool) -> None:
        self.profile = profile
        self.random = random.Random(seed)
        self.kernel = kernel
        self.device: Device = NEW_DEVICE
        r = self.random
        self.iotlb = r.random() < 0.6
        self.logs = r.random() < 0.3
        self.base = r.choice(RING_BASES) if self.iotlb and not self.logs else RING_BASES[0]

    # Addresses --------------------------------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """The entries of the map in use, those of the table too, in an order that is the same each time."""
        maps = [one for one in (self.device.iotlb, self.device.table) if one is not None]
        return [entry for one in maps for entry in sorted(one.entries, key=lambda e: e.born)]

    def border(self) -> int:
        """A guest address at a border of what is mapped, or at one of the space's."""
        r = self.random
        spot: int
        entries = self.entries()
        spot = r.choice(DATA_BASES) + r.randrange(4) * P
        if entries and r.random() < 0.75:
            entry = r.choice(entries)
            spot = r.choice((entry.first, entry.first, entry.last, entry.last + 1, (entry.first + entry.last) // 2))
        return min(max(spot + r.choice((0, 0, 0, 0, 1, -1, 3, -8, -100)), 0), U64_MAX)

    def host(self) -> int:
        """A host address, mostly one with memory."""
        r = self.random
        if not self.kernel and r.random() < 0.1:
            limit = self.profile.user_limit
            return r.choice((0, 1, P, limit - P, limit - 1, limit, 2**63, U64_MAX, 2**47, r.randrange(U64)))
        offset = r.choice((0, 0, r.randrange(256) * P, r.randrange(BACKING_SIZE), BACKING_SIZE - 2 * P))
        return place(r.choice("AAABBCCD"), offset)

    def size(self, at: int) -> int:
        """A size for a range that begins there: mostly one that ends within the space."""
        r = self.random
        size = r.choice(SIZES) if r.random() < 0.97 else r.choice((0, 2**32, 2**63, U64_MAX))
        return size if r.random() < 0.03 else min(size, U64 - at, U64_MAX)

    def buffer(self, writable: bool, length: int) -> int:
        """The address of a buffer: mostly one that is mapped to memory that packets come from, or go to."""
        r = self.random
        table = self.device.table if self.device.iotlb is None else self.device.iotlb
        entries: list[Entry] = sorted(table.entries, key=lambda e: e.born) if table is not None else []
        good = [
            one for one in entries if is_in(one.host, "CD" if writable else "AB") and one.last - one.first >= length
        ]
        if good and r.random() < 0.93:
            entry = r.choice(good)
            inside = entry.first + r.randrange(entry.last - entry.first + 1 - length + 1)
            spots = (entry.first, entry.last - length + 1, (entry.first + entry.last) // 2, inside, inside)
            return min(r.choice(spots), U64_MAX)
        return self.border()

    # Maps -------------------------------------------------------------------------------------------------------

    def region(self) -> Region:
        at = self.border()
        return Region(at, self.size(at), self.host())

    def table(self) -> SetMemTable:
        """A memory table: with the rings' memory first, so that headers can be found."""
        r = self.random
        most = min(self.profile.max_regions, self.profile.iotlb_limit)
        regions = [Region(RING_BASES[0], BACKING_SIZE, place("R", 0))]
        for number, backing in enumerate("ABCD"):
            if r.random() < 0.6:
                shift = r.choice((0, 0, 1, 26))
                regions.append(Region(number * BACKING_SIZE + shift, BACKING_SIZE - shift, place(backing, 0)))
        stuck = self.device.queues[TRANSMIT].chains
        if stuck and self.device.iotlb is None:  # map what it waits for
            regions += [Region(one.addr, max(one.length, 1), place("A", 0)) for one in stuck[0][1:]]
        regions += [self.region() for _ in range(r.choice((0, 0, 1, 2, 5, 12)))]
        r.shuffle(regions)
        if r.random() < 0.95:
            regions = [one for one in regions if one.size and one.gpa + one.size <= U64][:most]
        request = SetMemTable(regions=tuple(regions))
        if r.random() < 0.03:
            request = replace(request, **r.choice(({"padding": 1}, {"regions_readable": False}, {"readable": False})))
        return request

    def update(self, iova: int, size: int, uaddr: int, perm: int) -> WriteMessage:
        r = self.random
        return WriteMessage(
            framing=r.choice((1, 2)),
            length=r.choice((72, 72, 72, 40, 100)),
            iova=iova,
            size=size,
            uaddr=uaddr,
            perm=perm,
        )

    def permission(self) -> int:
        return self.random.choice((3, 3, 3, 3, 3, 1, 2, 0, 7))

    def map_rings(self, whole: bool) -> WriteMessage:
        """An update that maps memory of rings, headers and tables, or a part of it."""
        r = self.random
        offset = 0 if whole else r.randrange(BACKING_SIZE // P) * P
        size = BACKING_SIZE if whole else min(r.choice((P, 16 * P, BACKING_SIZE)), BACKING_SIZE - offset)
        perm = READ + WRITE if r.random() < 0.95 else self.permission()
        return self.update(self.base + offset, size, place("R", offset), perm)

    def any_update(self) -> Any:
        r = self.random
        if r.random() < 0.2:
            return self.map_rings(whole=r.random() < 0.7)
        at = self.border()
        if r.random() < 0.1:
            return self.map_rings(whole=False)
        return self.update(at, self.size(at), self.host(), self.permission())

    def answer(self) -> Any:
        """An update for a miss that was read."""
        r = self.random
        miss = r.choice(self.device.pending)
        if self.base <= miss.iova < self.base + BACKING_SIZE:
            return self.answer_at(miss, self.base, place("R", 0), BACKING_SIZE)
        number = miss.iova // BACKING_SIZE
        if number < 4 and r.random() < 0.5:
            return self.answer_at(miss, number * BACKING_SIZE, place("ABCD"[number], 0), BACKING_SIZE)
        back = r.choice((0, 0, 1, miss.iova % P, 100))
        at = max(miss.iova - back, 0)
        data = "CD" if miss.access == WRITE else "AB"
        uaddr = place(r.choice(data), r.randrange(200) * P + r.choice((0, 0, 1, 5)))
        return self.update(at, self.size(at), uaddr, miss.access if r.random() < 0.5 else self.permission())

    def answer_at(self, miss: Miss, base: int, host: int, size: int) -> WriteMessage:
        """An update for a miss in memory that has its place: all of it, or the page, or from the byte on."""
        r = self.random
        page = miss.iova - miss.iova % P
        first, length = r.choice(((base, size), (base, size), (page, P), (miss.iova, P - miss.iova % P)))
        return self.update(first, length, host + first - base, READ + WRITE if r.random() < 0.95 else self.permission())

    def any_invalidate(self) -> WriteMessage:
        r = self.random
        at = self.border()
        size = self.size(at) if r.random() < 0.9 else r.choice((0, 1, 2**63, U64_MAX))
        if self.kernel and r.random() < 0.7:
            size = min(size, 2 * P)
        return WriteMessage(framing=r.choice((1, 2)), kind=INVALIDATE, iova=at, size=size)

    def strange_message(self) -> WriteMessage:
        r = self.random
        at = self.border()
        request = WriteMessage(iova=at, size=self.size(at), uaddr=self.host(), perm=3, asid=r.choice((0, 1)))
        strange: tuple[dict[str, Any], ...] = (
            {"framing": r.choice((0, 3, 99))},
            {"length": r.choice((0, 3, 4, 39, 40, 71, 73))},
            {"kind": r.choice((0, 1, 4, 5, 6, 9))},
            {"uaddr": r.choice((self.profile.user_limit, U64_MAX, 2**63))},
            {"size": U64_MAX},
        )
        return replace(request, **r.choice(strange))

    def read(self) -> ReadMessage:
        return ReadMessage(length=72 if self.random.random() < 0.95 else self.random.choice((0, 71, 100)))

    def add_region(self) -> AddRegion:
        region = self.region()
        return AddRegion(gpa=region.gpa, size=region.size, hva=region.hva)

    def remove_region(self) -> RemoveRegion:
        table = self.device.table
        if table is None or not table.entries or self.random.random() < 0.2:
            return RemoveRegion(gpa=self.border(), size=P, hva=self.host())
        entry = self.random.choice(sorted(table.entries, key=lambda e: e.born))
        return RemoveRegion(gpa=entry.first, size=min(entry.last - entry.first + 1, U64_MAX), hva=entry.host)

    def remove_range(self) -> RemoveRange:
        at = self.border()
        return RemoveRange(first=at, last=min(max(at + self.random.choice((0, 1, P, 5 * P, -1)), 0), U64_MAX))
