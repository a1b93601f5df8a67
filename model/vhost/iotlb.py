"""The container that kernels keep address maps in: the memory table is one, the device IOTLB another.

Each entry is in a tree, where lookups find it, and in a list, oldest first. A container that is full gives up the head
of its list for a new entry. Kernels never move what is in the list (first in, first out); with retirement 'lru' an
entry that is used goes to the end.

Facts: drivers/vhost/iotlb.c; drivers/vhost/vhost.c iotlb_alloc.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from model.interval_tree import Interval, IntervalTree
from model.rbtree import Node
from spec.units import U64_MAX
from spec.vhost.address_map import AddressMap, Entry


class Map:
    """One entry: guest bytes first..last, `size` of them, at host bytes host, host + 1, …; `perm` is READ, WRITE or
    both.

    `born` and `used` are ticks of the container's clock. No lookup reads them: they say what tree and list must be in
    order of. `freed` is True when the entry's memory was given back: whoever still holds it must not look.
    """

    __slots__ = ("born", "first", "freed", "host", "last", "node", "perm", "size", "used")

    def __init__(self, first: int, last: int, host: int, perm: int, tick: int) -> None:
        self.first = first
        self.last = last
        self.size = last - first + 1
        self.host = host
        self.perm = perm
        self.born = tick
        self.used = tick
        self.freed = False
        self.node: Node | None = None


class Regions(Protocol):
    """What a device asks of a container, however it is made."""

    def add(self, first: int, last: int, host: int, perm: int) -> bool:
        """One more entry. False for a range that ends before it begins."""

    def find(self, first: int, last: int) -> Map | None:
        """The entry that a translation from `first` on, of bytes up to `last`, looks at; None when there is none."""

    def remove(self, entry: Map) -> None:
        """Take out one entry."""

    def delete_range(self, first: int, last: int) -> None:
        """Take out every entry that has a byte in first..last."""

    def free(self) -> None:
        """Give the container back with all that is in it."""

    def in_list(self) -> Iterator[Map]:
        """All entries, in the order of the list."""

    def in_order(self) -> Iterator[Map]:
        """All entries, in the order in which lookups prefer them."""

    def __len__(self) -> int:
        """How many entries there are."""

    def has_room_for_one(self, most: int) -> bool:
        """Whether there are fewer entries than `most`."""

    def address_map(self) -> AddressMap:
        """The container as the specification has it."""


class Iotlb:
    """A container with a tree and a list, for at most `limit` entries (at least 1)."""

    def __init__(self, limit: int, lru: bool = False) -> None:
        self.limit = limit
        self.lru = lru
        self.tree = IntervalTree()
        self.list: dict[Map, None] = {}  # a list from which any member goes at once, as from the kernel's
        self.clock = 0
        self.freed = False
        self.retired = 0  # how many entries were given up for others, for measurements

    # Changing --------------------------------------------------------------------------------------------------

    def add(self, first: int, last: int, host: int, perm: int) -> bool:
        """One more entry, which may overlap others. A full container gives up the head of its list.

        The size of the whole 64-bit space is no 64-bit number. It becomes two entries.
        """
        if last < first:
            return False
        if first == 0 and last == U64_MAX:
            middle = last // 2
            self.add(first, middle, host, perm)
            first, host = middle + 1, host + middle + 1
        if len(self.list) == self.limit:
            self.remove(next(iter(self.list)))
            self.retired += 1
        entry = Map(first, last, host, perm, self.tick())
        entry.node = self.tree.insert(Interval(first, last, entry))
        self.list[entry] = None
        return True

    def remove(self, entry: Map) -> None:
        """Take out one entry, from tree and list, and give its memory back."""
        assert entry.node is not None
        self.tree.remove(entry.node)
        del self.list[entry]
        entry.freed = True

    def delete_range(self, first: int, last: int) -> None:
        """Take out the leftmost entry in the way until none is: also one that lies in the range only in part."""
        while (node := self.tree.first_touching(first, last)) is not None:
            self.remove(node.value.of)

    def free(self) -> None:
        """Take everything out. The container must not be asked any more."""
        self.delete_range(0, U64_MAX)
        self.freed = True

    def touch(self, entry: Map) -> None:
        """With retirement 'lru', the entry goes to the end of the list."""
        if self.lru:
            entry.used = self.tick()
            del self.list[entry]
            self.list[entry] = None

    def tick(self) -> int:
        """The clock's number; it goes on by one."""
        self.clock += 1
        return self.clock - 1

    # Asking ----------------------------------------------------------------------------------------------------

    def find(self, first: int, last: int) -> Map | None:
        """The leftmost entry that has a byte in first..last."""
        assert not self.freed, "a container was used after it was freed"
        node = self.tree.first_touching(first, last)
        if node is None:
            return None
        found: Map = node.value.of
        return found

    def in_list(self) -> Iterator[Map]:
        assert not self.freed, "a container was used after it was freed"
        return iter(self.list)

    def in_order(self) -> Iterator[Map]:
        return (node.value.of for node in self.tree.tree.in_order())

    def __len__(self) -> int:
        return len(self.list)

    def has_room_for_one(self, most: int) -> bool:
        return len(self.list) < most

    def address_map(self) -> AddressMap:
        return AddressMap(frozenset(entry_of(one) for one in self.list), self.clock)


def entry_of(one: Map) -> Entry:
    """An entry as the specification has it."""
    return Entry(one.first, one.last, one.host, one.perm, one.born, one.used)
