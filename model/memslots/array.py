"""The slots as one sorted array (Linux 5.10): copy, modify, publish, free.

Readers use the array that is published. The writer makes a copy, changes it, publishes it, waits until no reader is
left in the array before, and frees that. A delete or move publishes a copy with the slot marked INVALID first, and
then uses the array from before it again, as nobody reads that any more.

Seen from outside these are the two sets of `model.memslots.protocol`, except that the second one exists only while a
change is under way.

Facts: virt/kvm/kvm_main.c kvm_set_memslot, install_new_memslots, update_memslots; include/linux/kvm_host.h
search_memslots (5.10).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from model.memslots.machine import Machine
from model.memslots.memory import OutOfMemory
from model.memslots.protocol import (
    DELETE,
    MOVE,
    NO_BITMAP,
    PREPARE,
    REPLACE,
    Change,
    OneSet,
    SlotCopy,
    Steps,
    TwoSets,
    Writer,
    invalid_copy,
    shown,
)
from spec.profile import Profile
from spec.rule import Rule
from spec.units import address_of, ranges_touch

COPY = "copy the array"
FREE = "free the array that nobody reads"


class SortedArray:
    """The slots of one address space, **highest guest page first**.

    `used` entries count; a copy has room for no others. `index_of` finds a slot's entry by its number. `last_used`
    is the entry that the last search found.
    """

    def __init__(self) -> None:
        self.entries: list[SlotCopy] = []
        self.used = 0
        self.index_of: dict[int, int] = {}
        self.last_used = 0

    def copied(self) -> SortedArray:
        """The same array in other memory."""
        copy = SortedArray()
        copy.entries = self.in_use()
        copy.used = self.used
        copy.index_of = dict(self.index_of)
        copy.last_used = self.last_used
        return copy

    # Changing: only while no reader can reach the array -----------------------------------------------------------

    def exchanged(self, old: SlotCopy | None, new: SlotCopy | None) -> SortedArray:
        """Put `new` where it belongs, instead of `old`."""
        if new is None:
            assert old is not None
            self._delete(old)
            return self
        if old is None:
            self.entries[self.used :] = [new]
            index = self.used
            self.used += 1
        else:
            index = self._moved_backward(new, self.index_of[old.id])
        index = self._moved_forward(new, index)
        self._put(index, new)
        return self

    def _put(self, index: int, copy: SlotCopy) -> None:
        self.entries[index] = copy
        self.index_of[copy.id] = index

    def _delete(self, old: SlotCopy) -> None:
        """Close the gap. The cache must not point behind the end."""
        self.used -= 1
        if self.last_used >= self.used:
            self.last_used = 0
        free = self.index_of.pop(old.id)
        while free < self.used:
            free = self.from_behind(free)

    def _moved_backward(self, new: SlotCopy, index: int) -> int:
        """Let the slots above `new` pass to the front: the entry that is free then."""
        while self.is_too_far_in_front(new, index):
            index = self.from_behind(index)
        return index

    def _moved_forward(self, new: SlotCopy, index: int) -> int:
        """Let the slots below `new` pass to the back: the entry that is free then."""
        while self.is_too_far_behind(new, index):
            index = self.from_the_front(index)
        return index

    # One step each, of the loops above

    def is_too_far_in_front(self, new: SlotCopy, index: int) -> bool:
        """Whether the entry behind this one belongs in front of `new`."""
        return index < self.used - 1 and self.entries[index + 1].base_gfn >= new.base_gfn

    def is_too_far_behind(self, new: SlotCopy, index: int) -> bool:
        """Whether the entry in front of this one belongs behind `new`."""
        return index > 0 and self.entries[index - 1].base_gfn <= new.base_gfn

    def from_behind(self, free: int) -> int:
        """Fill a free entry with the one behind it, which is free then."""
        self._put(free, self.entries[free + 1])
        return free + 1

    def from_the_front(self, free: int) -> int:
        """Fill a free entry with the one in front of it, which is free then."""
        self._put(free, self.entries[free - 1])
        return free - 1

    # Asking ----------------------------------------------------------------------------------------------------

    def in_use(self) -> list[SlotCopy]:
        """The entries that count."""
        return self.entries[: self.used]

    def by_id(self, slot_id: int) -> SlotCopy | None:
        """The slot with this number."""
        index = self.index_of.get(slot_id)
        return None if index is None else self.entries[index]

    def searched(self, gfn: int) -> tuple[SlotCopy | None, int | None]:
        """The slot that holds a guest page, and its entry where that is to be remembered."""
        if self.used == 0:
            return None, None
        if self.entries[self.last_used].contains(gfn):
            return self.entries[self.last_used], None
        place = self.place_between(gfn, 0, self.used)
        if place < self.used and self.entries[place].contains(gfn):
            return self.entries[place], place
        return None, None

    def place_between(self, gfn: int, first: int, end: int) -> int:
        """The first entry that begins at or below a page, where it is known to be one of first..end (the entry behind
        the last stands for none): one step of halving, and the next.
        """
        if first >= end:
            return first
        middle = first + (end - first) // 2
        if self.entries[middle].base_gfn <= gfn:
            return self.place_between(gfn, first, middle)
        return self.place_between(gfn, middle + 1, end)

    def in_gfn_range(self, first: int, last: int) -> Iterator[SlotCopy]:
        """The slots with a guest page in first..last: all are looked at."""
        for copy in self.in_use():
            if ranges_touch(copy.base_gfn, copy.base_gfn + copy.npages - 1, first, last):
                yield copy

    def in_hva_range(self, first: int, last: int) -> Iterator[SlotCopy]:
        """The slots with a host byte in first..last: all are looked at."""
        for copy in self.in_use():
            if ranges_touch(copy.hva, copy.hva + address_of(copy.npages) - 1, first, last):
                yield copy

    def in_gfn_order(self) -> list[SlotCopy]:
        """All slots, lowest guest page first."""
        return self.in_use()[::-1]

    def __iter__(self) -> Iterator[SlotCopy]:
        return iter(self.in_use())


def no_array(number: int) -> OneSet:
    """The second set while there is none; `number` is the one that it will get."""
    return OneSet(number, SortedArray(), 0)


class ArrayWriter(Writer):
    """Copies the published array, and drops the one that is no longer read."""

    def copy(self, state: TwoSets) -> TwoSets:
        """A copy of the published array, that only the writer knows."""
        members = state.active.members.copied()
        return replace(state, inactive=OneSet(state.inactive.number, members, state.active.generation))

    def free(self, state: TwoSets) -> TwoSets:
        """There is one array again. The next gets a number that none of these has."""
        number = max(state.active.number, state.inactive.number) + 1
        return replace(state, inactive=no_array(number))

    def set_slot(self, state: TwoSets, change: Change) -> Steps:
        """All steps of a change, or of a failed one."""
        state = self.copy(state)
        state = yield from shown(COPY, state)
        if change.goes_through_invalid():
            state = yield from self.invalidate(state, change)
        if change.prepare_fails:
            if change.goes_through_invalid():
                state = yield from self.swap(state)
        else:
            state = yield from shown(PREPARE, state)
            state = self.replace(state, change.old, change.new)
            state = yield from shown(REPLACE, state)
            state = yield from self.swap(state)
        state = self.free(state)
        return (yield from shown(FREE, state))


class ArrayMachine(Machine):
    """A VM of a kernel with arrays. Virtual CPUs have no caches of their own."""

    def __init__(self, profile: Profile, writer: Writer | None = None) -> None:
        spaces = [TwoSets(OneSet(0, SortedArray(), space), no_array(1)) for space in range(profile.address_spaces)]
        super().__init__(profile, writer or ArrayWriter(profile.address_spaces), spaces)

    def search(self, looked_in: OneSet, gfn: int) -> tuple[SlotCopy | None, Any]:
        found: tuple[SlotCopy | None, int | None] = looked_in.members.searched(gfn)
        return found

    def remember(self, space: int, number: int, found: Any) -> None:
        self.numbered(space, number).members.last_used = found

    def caches(self, space: int) -> tuple[Any, Any]:
        return self.spaces[space].active.members.last_used, self.spaces[space].inactive.members.last_used

    def planned(self, kind: str, old: SlotCopy | None, new: SlotCopy | None) -> tuple[Change, Rule | None]:
        """The bitmap first, then the copy of the array, then the processor's part, which may fail."""
        bitmap = NO_BITMAP if new is None else self.bitmap_for(old, new)
        try:
            array = self.memory.allocate()
        except OutOfMemory:
            self.free_fresh_bitmap(old, bitmap)
            raise
        stand_in = None
        if kind in (DELETE, MOVE):
            assert old is not None
            stand_in = invalid_copy(old, array)
        if new is None:
            return Change(kind, old, None, stand_in), None
        new = replace(new, bitmap=bitmap)
        rule = self.arch_prepare(kind, new)
        if rule is not None:
            self.free_fresh_bitmap(old, bitmap)
        return Change(kind, old, new, stand_in, prepare_fails=rule is not None), rule
