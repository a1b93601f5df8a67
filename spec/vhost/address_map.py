"""The values that translate: an entry, and the address map that holds entries.

An *entry* says that a run of guest bytes lives at a run of host bytes, and what a device may do there. Two maps are
made of entries: the memory table (guest-physical addresses, given by userspace as a whole) and the device IOTLB (I/O
virtual addresses, given one by one as they are missed). Entries may overlap. Of those that cover a byte the one that
starts first counts, and of those that start at the same byte the one that was added first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from spec.profile import Profile
from spec.sets import added, count, every, kept, least, removed
from spec.units import U64, ranges_touch

READ = 1  # the device may read: a buffer on its way out
WRITE = 2  # the device may write: a buffer on its way in


def may(perm: int, access: int) -> bool:
    """Whether a permission word (READ, WRITE or both) allows an access (READ or WRITE)."""
    return perm // access % 2 == 1


@dataclass(frozen=True)
class Entry:
    """Guest bytes first..last live at host bytes host, host + 1, …; a device may do there what `perm` says.

    `born` is the entry's place in the order in which the map's entries were added. `used` is when it was added or,
    where the map retires what is least recently used, when it was last used; both count the map's own ticks.
    """

    first: int
    last: int
    host: int
    perm: int
    born: int
    used: int

    def covers(self, address: int) -> bool:
        """Whether a guest byte belongs to the entry."""
        return self.first <= address <= self.last

    def touches(self, first: int, last: int) -> bool:
        """Whether the entry has a guest byte in first..last."""
        return ranges_touch(self.first, self.last, first, last)

    def host_of(self, address: int) -> int:
        """The host address of a guest byte of the entry. Host addresses wrap at 2^64, as pointers do."""
        return (self.host + address - self.first) % U64


@dataclass(frozen=True)
class AddressMap:
    """A set of entries, and the next tick of its clock: no entry is as young as `clock`."""

    entries: Any = frozenset()
    clock: int = 0


EMPTY_MAP = AddressMap()


def search_rank(entry: Entry) -> tuple[int, ...]:
    """The order in which entries count: by first byte, then by age."""
    return (entry.first, entry.born)


def retirement_rank(entry: Entry) -> tuple[int, ...]:
    """The order in which entries are given up."""
    return (entry.used,)


def entry_at(table: AddressMap, address: int) -> Entry | None:
    """The entry that a guest byte is translated by, or None where no entry covers it."""
    found: Entry | None = least(table.entries, lambda entry: entry.covers(address), search_rank)
    return found


def oldest(table: AddressMap) -> Entry | None:
    """The entry that would be given up next, or None in an empty map."""
    found: Entry | None = least(table.entries, lambda entry: True, retirement_rank)
    return found


def is_full(profile: Profile, table: AddressMap) -> bool:
    """Whether one more entry would be one too many."""
    return bool(count(table.entries) >= profile.iotlb_limit)


def with_entry(table: AddressMap, first: int, last: int, host: int, perm: int) -> AddressMap:
    """The map with one more entry, the youngest. What it overlaps stays."""
    entry = Entry(first, last, host, perm, born=table.clock, used=table.clock)
    return AddressMap(added(table.entries, entry), table.clock + 1)


def with_room(profile: Profile, table: AddressMap) -> AddressMap:
    """The map, without the entry that is to be given up if it is full."""
    if not is_full(profile, table):
        return table
    entry = oldest(table)
    return replace(table, entries=removed(table.entries, entry))


def without_range(table: AddressMap, first: int, last: int) -> AddressMap:
    """The map without every entry that has a byte in first..last. Entries go as a whole, also their other bytes."""
    return replace(table, entries=kept(table.entries, lambda entry: not entry.touches(first, last)))


def after_use(profile: Profile, table: AddressMap, entry: Entry) -> AddressMap:
    """The map after a translation by one of its entries."""
    if profile.retirement == "fifo":
        return table
    entries = added(removed(table.entries, entry), replace(entry, used=table.clock))
    return AddressMap(entries, table.clock + 1)


def nothing_in(table: AddressMap, first: int, last: int) -> bool:
    """Whether no byte of first..last can be translated."""
    return every(table.entries, lambda entry: not entry.touches(first, last))
