"""The memory table before there was a tree (until 2016): an array, **highest guest address first**.

It is searched by halving, and the search looks at one region: the one with the highest start at or below the address.
Where regions do not overlap that is the only one that can hold the address, and array and tree find the same. Where
they do, they differ (`differences`).

A device of that time has no IOTLB, and no call adds a region to its table. Here one is added and taken out as the table
is replaced: a copy is made, changed and published, and the old array freed.

Facts: drivers/vhost/vhost.c vhost_set_memory, vhost_memory_reg_sort_cmp, find_region before the change "vhost: new
device IOTLB API" and the one before it, which brought the tree.
"""

from __future__ import annotations

from collections.abc import Iterator

from model.vhost.iotlb import Iotlb, Map, Regions, entry_of
from model.vhost.machine import DeviceMachine
from spec.units import U64
from spec.vhost.address_map import AddressMap


class SortedArray:
    """A container of regions. Nothing is ever given up."""

    def __init__(self) -> None:
        self.entries: list[Map] = []
        self.clock = 0
        self.freed = False

    def add(self, first: int, last: int, host: int, perm: int) -> bool:
        """One more region, at its place. Of those with the same start any may come first in kernels; here the last."""
        if last < first:
            return False
        entry = Map(first, last, host, perm, self.tick())
        self.entries.insert(self.place_of(first), entry)
        return True

    def place_of(self, address: int) -> int:
        """The index of the first region that starts at or below an address; their number when none does."""
        return self.place_between(address, 0, len(self.entries))

    def place_between(self, address: int, start: int, end: int) -> int:
        """The same, where it is known to be one of start..end: one step of halving, and the next."""
        if start >= end:
            return start
        middle = start + (end - start) // 2
        if address >= self.entries[middle].first:
            return self.place_between(address, start, middle)
        return self.place_between(address, middle + 1, end)

    def find(self, first: int, last: int) -> Map | None:
        """The region that holds `first`, as far as the search sees it: `last` plays no part.

        Kernels look at the region behind the last one when all start above the address, and their end of a region that
        ends at the last address is 0: it is never found (`found_by_kernels`).
        """
        assert not self.freed, "a container was used after it was freed"
        place = self.place_of(first)
        if place < len(self.entries) and self.entries[place].last >= first:
            return self.entries[place]
        return None

    def remove(self, entry: Map) -> None:
        """Take out one region."""
        self.entries.remove(entry)
        entry.freed = True

    def delete_range(self, first: int, last: int) -> None:
        """Take out every region that has a byte in first..last: all are looked at."""
        for entry in list(self.entries):
            if entry.first <= last and first <= entry.last:
                self.remove(entry)

    def tick(self) -> int:
        """The clock's number; it goes on by one."""
        self.clock += 1
        return self.clock - 1

    def free(self) -> None:
        for entry in list(self.entries):
            self.remove(entry)
        self.freed = True

    def in_list(self) -> Iterator[Map]:
        assert not self.freed, "a container was used after it was freed"
        return iter(self.entries)

    def in_order(self) -> Iterator[Map]:
        return reversed(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def has_room_for_one(self, most: int) -> bool:
        return len(self.entries) < most

    def address_map(self) -> AddressMap:
        return AddressMap(frozenset(entry_of(one) for one in self.entries), self.clock)

    def overlap(self) -> tuple[Map, Map] | None:
        """Two regions that share a byte, or None: in order, neighbours are enough."""
        for upper, lower in zip(self.entries, self.entries[1:], strict=False):
            if lower.last >= upper.first:
                return lower, upper
        return None


def found_by_kernels(array: SortedArray, address: int) -> Map | None:
    """The search with the arithmetic of kernels: 64 bits, in which a region up to the last address ends at 0."""
    place = array.place_of(address)
    if place == len(array.entries):
        return None
    entry = array.entries[place]
    return entry if (entry.first + entry.size) % U64 > address else None


class NoIotlb(Exception):
    """The device was asked to go into IOTLB mode. Kernels with an array had none."""


class ArrayDeviceMachine(DeviceMachine):
    """A device whose memory table is a sorted array."""

    def new_table(self) -> Regions:
        return SortedArray()

    def new_iotlb(self) -> Iotlb:
        raise NoIotlb

    def overlap(self) -> tuple[Map, Map] | None:
        """Two regions of the table that share a byte: from then on array and tree may answer differently."""
        return self.table.overlap() if isinstance(self.table, SortedArray) else None
