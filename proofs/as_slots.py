"""A set of slot copies, as the model keeps them, seen as the set of slots of the specification.

It lets the specification and the model run on the same arbitrary set. A copy only has the address of its bitmap: who
knows the bitmaps says how a copy is seen; else logs are left out.
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

    def __init__(
        self,
        copies: Any,
        new: tuple[Slot, ...] = (),
        seen: tuple[tuple[Slot, SlotCopy], ...] = (),
        as_slot: Callable[[SlotCopy], Slot] = slot_of,
    ) -> None:
        self.copies, self.new, self.seen, self.as_slot = copies, new, list(seen), as_slot

    def every(self, holds: Callable[[Slot], Any]) -> Any:
        return all_of(every(self.copies, lambda copy: holds(self.as_slot(copy))), *(holds(slot) for slot in self.new))

    def some(self, holds: Callable[[Slot], Any]) -> Any:
        return any_of(some(self.copies, lambda copy: holds(self.as_slot(copy))), *(holds(slot) for slot in self.new))

    def every_pair(self, holds: Callable[[Slot, Slot], Any]) -> Any:
        """To be asked only before slots are added."""
        assert not self.new
        return every_pair(self.copies, lambda one, other: holds(self.as_slot(one), self.as_slot(other)))

    def only(self, holds: Callable[[Slot], Any]) -> Slot | None:
        for slot in self.new:
            if holds(slot):
                return slot
        copy = only(self.copies, lambda copy: holds(self.as_slot(copy)))
        if copy is None:
            return None
        for slot, known in self.seen:
            if known is copy:
                return slot
        self.seen.append((self.as_slot(copy), copy))
        return self.seen[-1][0]

    def added(self, slot: Slot) -> AsSlots:
        return AsSlots(self.copies, (*self.new, slot), tuple(self.seen), self.as_slot)

    def removed(self, slot: Slot) -> AsSlots:
        rest = tuple(known for known in self.new if known is not slot)
        if len(rest) < len(self.new):
            return AsSlots(self.copies, rest, tuple(self.seen), self.as_slot)
        copy = next(copy for known, copy in self.seen if known is slot)
        return AsSlots(removed(self.copies, copy), self.new, tuple(self.seen), self.as_slot)
