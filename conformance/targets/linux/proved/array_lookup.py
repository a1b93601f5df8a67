"""The lookup of a slot in a sorted array (Linux 5.10), in the code of kvm.ko and in the model.

The model's lookup is `model.memslots.array.SortedArray.searched`: first the entry that was found last, then by halves,
one step of which is `place_between`. What is proved of them are the theorems ARRAY.PLACE and ARRAY.FOUND. An entry is
looked at by its number, which the code computes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import z3

from conformance.targets.linux.proved.hypothesis import Hypothesis
from conformance.targets.linux.proved.layout import Layout
from conformance.targets.linux.proved.lookup import Found, Lookup, Searches, StepError
from model.memslots.array import SortedArray
from model.memslots.protocol import SlotCopy
from proofs.objectcode.image import Image
from proofs.objectcode.models import Names, as_bits, as_int, ways_of
from proofs.objectcode.passes import ENTRY, Way
from proofs.objectcode.relations import Fact, Template
from proofs.theorem import Patch, patched

STEP = "place_between"
MOST_ENTRIES = 512  # KVM_MEM_SLOTS_NUM
place_between = SortedArray.place_between


class ArrayLookup(Lookup):
    """A lookup beside the model's, with one step of halving in each pass."""

    model = "searched with place_between"
    more_assumed = ("an array has at most 512 entries in use, and the one that was found last is one of 512",)
    slots = ("cached", "first", "middle", "behind")
    cells = ("set.last entry",)

    def __init__(
        self,
        image: Image,
        layout: Layout,
        name: str,
        as_it_seems: bool,
        names: Names | None = None,
        without: Sequence[Hypothesis] = (),
    ) -> None:
        super().__init__(image, layout, name, as_it_seems, names, without)
        first, end, used = (self.names.term(one, 32) for one in ("at.first", "at.end", "set.used"))
        self.variables: Mapping[str, Any] = {"first": first, "end": end}
        self.templates: Sequence[Template] = [
            Template("first", first),
            Template("end", end),
            Template("the entry in the middle", self.numbers()["middle"]),
            Template("end - first", end - first),
        ]
        self.facts: Sequence[Fact] = [
            Fact("0 <= first", first >= 0),
            Fact("first <= end", first <= end),
            Fact("first < end", first < end),
            Fact("end <= used", end <= used),
        ]

    # MEMORY ------------------------------------------------------------------------------------------------------

    def set_fields(self) -> Iterator[tuple[str, int]]:
        yield from (("used", 32), ("last entry", 32))

    def _declare(self) -> None:
        super()._declare()
        term, offset = self.names.term, self.layout.offset
        for name in self.slots:
            fields = {one: (offset(f"slot.{one}"), term(f"{name}.{one}")) for one in ("first", "pages")}
            self.machine.world.declare_computed(self.pointer(name), name, fields)

    def numbers(self) -> Mapping[str, Any]:
        """The numbers of the entries that a pass may look at."""
        first, end, last = (self.names.term(one, 32) for one in ("at.first", "at.end", "set.last entry"))
        middle = first + z3.LShR(end - first, 1)
        return {"cached": last, "first": first, "middle": middle, "behind": middle + 1}

    def pointer(self, name: str) -> Any:
        number = z3.SignExt(32, self.numbers()[name])
        start = self.names.term("set") + self.layout.offset("set.entries")
        return start + self.layout.places["slot"].size * number

    def pointers(self) -> Iterator[Any]:
        return iter(())

    def given(self) -> list[Any]:
        """An array has room for so many, also for the entry that was found last. Entries of one number are one."""
        term, numbers = self.names.term, self.numbers()
        used, last = term("set.used", 32), term("set.last entry", 32)
        same = [
            z3.Implies(numbers[one] == numbers[other], term(f"{one}.{field}") == term(f"{other}.{field}"))
            for one, other in combinations(self.slots, 2)
            for field in ("first", "pages")
        ]
        return [*super().given(), z3.ULE(used, MOST_ENTRIES), z3.ULT(last, MOST_ENTRIES), *same]

    # MODEL -------------------------------------------------------------------------------------------------------

    def ways(self, step: str) -> list[Way]:
        if step == ENTRY:
            return ways_of(self._looked_up, self.machine.given)
        return ways_of(lambda: self._looked_up(*map(as_int, self.variables.values())), self.machine.given)

    def _looked_up(self, *bounds: int) -> Any:
        """The model's lookup: up to the search, or from a step of the search with these bounds on, by when the entry
        that was found last is known not to hold the page. The step after that is seen and not followed, unless there is
        nothing left between its bounds.
        """
        array, entries = SortedArray(), Entries(self, "" if bounds else "cached")
        array.entries = entries
        array.used = as_int(self.names.term("set.used", 32))
        array.last_used = as_int(self.names.term("set.last entry", 32))
        left = 1 if bounds else 0

        def step(array: SortedArray, gfn: int, first: int, end: int) -> int:
            nonlocal left
            left -= 1
            if left == 0:
                entries.now = "middle" if bounds[0] < bounds[1] else "first"
                return place_between(array, gfn, *bounds)
            if self.asks_first or first < end:
                raise StepError(first, end)
            entries.now = "first" if not bounds or first is bounds[0] else "behind"
            return place_between(array, gfn, first, end)

        with patched((Patch(SortedArray, STEP, step),)):
            try:
                found, place = array.searched(self.gfn())
            except StepError as next_one:
                first, end = (as_bits(one, 32) for one in next_one.args)
                return Searches(STEP, {"first": first, "end": end})
        return Found(self.pointer_of(found), {} if place is None else {"set.last entry": as_bits(place, 32)})


class Entries(list[SlotCopy]):
    """The entry that the model looks at `now`, whatever its number; "" is one without a page."""

    def __init__(self, lookup: ArrayLookup, now: str) -> None:
        super().__init__()
        self.lookup, self.now = lookup, now

    def __getitem__(self, number: Any) -> Any:
        return self.lookup.copy(self.now) if self.now else SlotCopy(0, 0, 0, 1, 0, 0, 0)
