"""A machine of the memslot model with any slots at all, and the VM of the specification that it stands for.

The machine's own code runs, from the request to the outcome. What it keeps its slots in is replaced by arbitrary sets,
which answer as the theorems about the containers say that trees and arrays do: the copies of all address spaces are one
arbitrary set, of which an address space has its part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from model.memslots import array, machine, tree
from model.memslots.memory import Memory
from model.memslots.protocol import NO_BITMAP, OneSet, SlotCopy, TwoSets, VcpuCache, Writer, slot_of
from proofs.as_slots import AsSlots
from proofs.symbolic.bitmaps import bitmap_at, in_a_run
from proofs.symbolic.boolean import merged
from proofs.symbolic.explorer import current, is_exploring, truth
from proofs.symbolic.fewset import FewSet
from proofs.symbolic.record import optional, record
from proofs.theorem import Patch, patched
from spec.memslots.slot import Slot, Vm
from spec.outcome import Outcome
from spec.profile import Profile
from spec.rule import Check
from spec.sets import added, every, only, removed, some
from spec.units import ranges_touch

NOTHING_CACHED = VcpuCache()
FIELDS = ("space", "id", "base_gfn", "npages", "hva", "flags", "memfd", "memfd_page")

# THE CONTAINERS --------------------------------------------------------------------------------------------------


class SlotsOfSpace:
    """The copies of one address space, as one of its two sets has them."""

    def __init__(self, copies: Any, space: int) -> None:
        self.copies, self.space = copies, space

    def _here(self, holds: Callable[[SlotCopy], Any]) -> Callable[[SlotCopy], Any]:
        return lambda copy: copy.space == self.space and holds(copy)

    def every(self, holds: Callable[[SlotCopy], Any]) -> Any:
        return every(self.copies, lambda copy: copy.space != self.space or holds(copy))

    def some(self, holds: Callable[[SlotCopy], Any]) -> Any:
        return some(self.copies, self._here(holds))

    def only(self, holds: Callable[[SlotCopy], Any]) -> Any:
        return only(self.copies, self._here(holds))

    # What trees and arrays are asked

    def by_id(self, number: int) -> SlotCopy | None:
        found: SlotCopy | None = self.only(lambda copy: copy.id == number)
        return found

    def at_gfn(self, gfn: int) -> SlotCopy | None:
        found: SlotCopy | None = self.only(lambda copy: copy.contains(gfn))
        return found

    def searched(self, gfn: int) -> tuple[SlotCopy | None, None]:
        """As an array is searched. Its cache makes no difference (`ARRAY.SEARCH`)."""
        return self.at_gfn(gfn), None

    def in_gfn_range(self, first: int, last: int) -> Found:
        return Found(self, lambda copy: ranges_touch(copy.base_gfn, copy.base_gfn + copy.npages - 1, first, last))

    # Changing

    def exchanged(self, old: SlotCopy | None, new: SlotCopy | None) -> SlotsOfSpace:
        copies = self.copies if old is None else removed(self.copies, old)
        return SlotsOfSpace(copies if new is None else added(copies, new), self.space)

    def copied(self) -> SlotsOfSpace:
        return self


@dataclass(frozen=True)
class Found:
    """The copies that an index finds."""

    members: SlotsOfSpace
    is_meant: Callable[[SlotCopy], Any]

    def some(self, holds: Callable[[SlotCopy], Any]) -> Any:
        return self.members.some(lambda copy: self.is_meant(copy) and holds(copy))


class Spaces:
    """The address spaces of an idle machine: each has its part of the copies, in both sets, or in the only one."""

    def __init__(self, idle: Callable[[int], TwoSets]) -> None:
        self.idle = idle
        self.changed: list[tuple[int, TwoSets]] = []

    def __getitem__(self, space: int) -> TwoSets:
        for known, state in reversed(self.changed):
            if known == space:
                return state
        return self.idle(space)

    def __setitem__(self, space: int, state: TwoSets) -> None:
        if self.changed and self.changed[-1][0] is space:
            self.changed.pop()
        self.changed.append((space, state))


class Bindings:
    """Which range of which guest memory file each slot holds: the trees of all files, and the index of places in them.

    At first both have just what the slots say.
    """

    def __init__(self, copies: Any) -> None:
        self.copies = copies
        self.in_trees: list[tuple[tuple[int, int], tuple[int, int, int] | None]] = []  # (slot, range), the latest last
        self.in_index: list[tuple[tuple[int, int], Any]] = []  # (slot, place)

    def setdefault(self, file: int, empty: Any) -> RangesOfFile:
        """The tree of a file."""
        return RangesOfFile(self, file)

    def __setitem__(self, slot: tuple[int, int], place: Any) -> None:
        self.in_index.append((slot, place))

    def pop(self, slot: tuple[int, int], default: Any) -> Any:
        """The tree and the place in it of a slot's range; the index has it no longer."""
        place = self.place_of(slot)
        self.in_index.append((slot, None))
        return default if place is None else place

    def place_of(self, slot: tuple[int, int]) -> Any:
        """What the index says of a slot."""
        for known, place in reversed(self.in_index):
            if is_same_name(known, slot):
                return place
        copy = self._bound(slot)
        return None if copy is None else (RangesOfFile(self, copy.memfd), slot)

    def range_of(self, slot: tuple[int, int]) -> tuple[int, int, int] | None:
        """What the trees have of a slot: (file, first page, last page)."""
        for known, held in reversed(self.in_trees):
            if is_same_name(known, slot):
                return held
        copy = self._bound(slot)
        return None if copy is None else (copy.memfd, copy.memfd_page, copy.memfd_page + copy.npages - 1)

    def _bound(self, slot: tuple[int, int]) -> SlotCopy | None:
        space, number = slot
        copy: SlotCopy | None = only(self.copies, lambda copy: copy.space == space and copy.id == number)
        return None if copy is None or copy.memfd < 0 else copy


@dataclass(frozen=True)
class RangesOfFile:
    """The ranges of one guest memory file that slots hold."""

    bindings: Bindings
    file: int

    def first_touching(self, first: int, last: int) -> Any:
        return only(
            self.bindings.copies,
            lambda copy: (
                copy.memfd == self.file
                and ranges_touch(copy.memfd_page, copy.memfd_page + copy.npages - 1, first, last)
            ),
        )

    def insert(self, interval: Any) -> Any:
        self.bindings.in_trees.append((interval.of, (self.file, interval.first, interval.last)))
        return interval.of

    def remove(self, place: Any) -> None:
        self.bindings.in_trees.append((place, None))


def is_same_name(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two (address space, number) are of one slot."""
    return one is other or (bool(one[0] == other[0]) and bool(one[1] == other[1]))


# THE MACHINE AND THE VM ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Start:
    """All that a machine is made of, and the VM that it stands for.

    `settings` is the VM without slots. `last_address` is the last that was allocated; the allocation number `fail_at`
    from now on fails (None: none does). `last_used` is in the caches of both sets of address space 0, `vcpu` in the
    virtual CPU's.
    """

    profile: Profile
    copies: Any
    settings: Vm
    bitmaps: Any
    last_address: int
    generation: int = 0
    fail_at: int | None = None
    last_used: SlotCopy | None = None
    vcpu: VcpuCache = NOTHING_CACHED


def tree_machine(start: Start) -> tree.TreeMachine:
    """A machine with trees, idle."""

    def idle(space: int) -> TwoSets:
        members = SlotsOfSpace(start.copies, space)
        one, other = (OneSet(number, members, start.generation, start.last_used) for number in (0, 1))
        return TwoSets(one, other)

    made: tree.TreeMachine = _machine(tree.TreeMachine, start, Writer(start.profile.address_spaces), idle)
    made.vcpu = start.vcpu
    return made


def array_machine(start: Start) -> array.ArrayMachine:
    """A machine with sorted arrays, idle."""

    def idle(space: int) -> TwoSets:
        return TwoSets(OneSet(0, SlotsOfSpace(start.copies, space), start.generation), array.no_array(1))

    made: array.ArrayMachine = _machine(
        array.ArrayMachine, start, array.ArrayWriter(start.profile.address_spaces), idle
    )
    return made


MACHINES: dict[str, Callable[[Start], Any]] = {"tree": tree_machine, "array": array_machine}


def _machine(kind: Any, start: Start, writer: Writer, idle: Callable[[int], TwoSets]) -> Any:
    made = object.__new__(kind)
    made.profile, made.writer, made.settings = start.profile, writer, start.settings
    made.spaces = Spaces(idle)
    made.memory = Memory()
    made.memory.bitmaps = in_a_run(start.bitmaps)
    made.memory._last_address = start.last_address
    made.memory.fail_at = start.fail_at
    made.bound = made.bindings = Bindings(start.copies)
    return made


def slot_with_log(copy: SlotCopy, bitmaps: Any) -> Slot:
    """A copy as the specification has it, with the log that its bitmap stands for."""
    if not is_exploring():
        return slot_of(copy, None if copy.bitmap == NO_BITMAP else bitmap_at(bitmaps, copy.bitmap))
    keeps = truth(copy.bitmap != NO_BITMAP)
    pages = bitmap_at(bitmaps, copy.bitmap)
    made: Slot = record(
        Slot, {field: getattr(copy, field) for field in FIELDS}, {"dirty": optional(keeps, lambda: pages)}
    )
    return made


def vm_of(start: Start) -> Vm:
    """The VM that a machine stands for; in a proof, always the same one for the same slots."""

    def make() -> Vm:
        bitmaps = in_a_run(start.bitmaps)
        slots: Any = AsSlots(start.copies, as_slot=lambda copy: slot_with_log(copy, bitmaps))
        return replace(start.settings, slots=slots)

    if not is_exploring():
        return make()
    vm: Vm = current().remember(("vm of", id(start.copies)), make, start.copies)
    return vm


@contextmanager
def arguments_as_formulas() -> Iterator[None]:
    """A machine asks the rules about the request alone each as one formula, as `proofs.prover` lets the specification
    ask all of them. On plain values nothing is different.
    """
    asked = {
        name: tuple(Check(check.rule, merged(check.is_broken)) for check in getattr(machine, name))
        for name in ("REGION_ARGUMENTS", "LOG_CHECKS")
    }
    others = {name: merged(getattr(machine, name)) for name in ("ends_too_high", "first_is_unaligned")}
    with patched(tuple(Patch(machine, name, value) for name, value in (asked | others).items())):
        yield


def ran(kind: str, start: Start, request: Any) -> tuple[machine.Machine, Outcome]:
    """A machine after a request, and its answer."""
    made: machine.Machine = MACHINES[kind](start)
    with arguments_as_formulas():
        answer = made.apply(request)
    return made, answer


def copies_after(made: machine.Machine, start: Start) -> Any:
    """The copies of all address spaces, after a request that may have changed one."""
    changed = made.spaces.changed  # type: ignore[attr-defined]
    return changed[-1][1].active.members.copies if changed else start.copies


def made_since(after: Any, before: Any) -> list[Any]:
    """The members of a set that were made after another one was."""
    if isinstance(after, frozenset):
        return list(after - before)
    if isinstance(after, FewSet):
        known = {id(member) for _, member in before.members}
        return [member for _, member in after.members if id(member) not in known]
    return list(after.new)
