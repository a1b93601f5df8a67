"""A set of slot copies, as the model keeps them, seen as the set of slots of the specification.

It lets the specification and the model run on the same arbitrary set. Logs are left out: a copy only has the address of
its bitmap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from model.memslots.protocol import SlotCopy, slot_of
from proofs.sets import every_pair
from proofs.symbolic.boolean import all_of, any_of
from spec.memslots.slot import Slot
from spec.sets import every, only, removed, some


class AsSlots:
    """The slots that a set of copies stands for, and slots that were added since."""

    def __init__(self, copies: Any, new: tuple[Slot, ...] = (), seen: tuple[tuple[Slot, SlotCopy], ...] = ()) -> None:
        self.copies, self.new, self.seen = copies, new, list(seen)

    def every(self, holds: Callable[[Slot], Any]) -> Any:
        return all_of(every(self.copies, lambda copy: holds(slot_of(copy))), *(holds(slot) for slot in self.new))

    def some(self, holds: Callable[[Slot], Any]) -> Any:
        return any_of(some(self.copies, lambda copy: holds(slot_of(copy))), *(holds(slot) for slot in self.new))

    def every_pair(self, holds: Callable[[Slot, Slot], Any]) -> Any:
        """To be asked only before slots are added."""
        assert not self.new
        return every_pair(self.copies, lambda one, other: holds(slot_of(one), slot_of(other)))

    def only(self, holds: Callable[[Slot], Any]) -> Slot | None:
        for slot in self.new:
            if holds(slot):
                return slot
        copy = only(self.copies, lambda copy: holds(slot_of(copy)))
        if copy is None:
            return None
        for slot, known in self.seen:
            if known is copy:
                return slot
        self.seen.append((slot_of(copy), copy))
        return self.seen[-1][0]

    def added(self, slot: Slot) -> AsSlots:
        return AsSlots(self.copies, (*self.new, slot), tuple(self.seen))

    def removed(self, slot: Slot) -> AsSlots:
        copy = next(copy for known, copy in self.seen if known is slot)
        return AsSlots(removed(self.copies, copy), self.new, tuple(self.seen))
