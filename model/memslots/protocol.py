"""How a kernel with two sets of slots (Linux 5.17 on) changes a slot while virtual CPUs keep looking slots up.

Each address space has two sets. Readers use the *active* one and take no lock. The writer edits the *inactive* one,
publishes it (the two change places), waits until no reader is left in the other, and edits that one too.
A slot that goes away or moves is first replaced by a copy marked INVALID, so that nobody maps it while the
writer prepares.

    change        active | inactive, one replacement or one swap at a time
    create        -|-      -|new    new|-    new|new
    flags only    old|old  old|new  new|old  new|new
    delete        old|old  old|inv  inv|old  inv|-    -|inv    -|-
    move          old|old  old|inv  inv|old  inv|new  new|inv  new|new
    failed delete or move           inv|old  old|inv  old|old
    failed create or flags only: no step at all

A *step* is one thing that another CPU could see. States are values, `Writer` yields one for each step.

Nothing here depends on how a set keeps its slots: a frozenset, a set of trees, and an arbitrary set of any size
(when the protocol is proved) all run this code. They are asked through `spec.sets`, and in three places an index may
answer by a method of its own: `exchanged`, `at_gfn` and `some`.

Facts: virt/kvm/kvm_main.c kvm_replace_memslot, kvm_swap_active_memslots, kvm_set_memslot (5.17 on).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

from spec.memslots.slot import NO_FILE, Slot
from spec.pages import Pages
from spec.sets import added, only, removed

CREATE = "create"
FLAGS_ONLY = "flags_only"
MOVE = "move"
DELETE = "delete"

IN_PROGRESS = 2**63  # the bit of a generation that says: published, but readers may still use the other set
NO_BITMAP = 0

# VALUES ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SlotCopy:
    """One copy of a slot in the kernel's memory.

    `address` is its identity: two copies that exist at the same time never share it, however equal they are
    otherwise. `bitmap` is the address of the dirty bitmap (NO_BITMAP for none); the copies that replace each other
    may share one. `invalid` marks the stand-in of a slot that is being deleted or moved.
    The other fields are those of `spec.memslots.slot.Slot`.
    """

    address: int
    space: int
    id: int
    base_gfn: int
    npages: int
    hva: int
    flags: int
    bitmap: int = NO_BITMAP
    memfd: int = NO_FILE
    memfd_page: int = 0
    invalid: bool = False

    def contains(self, gfn: int) -> bool:
        """Whether a guest page belongs to the slot."""
        return self.base_gfn <= gfn <= self.base_gfn + self.npages - 1


def slot_of(copy: SlotCopy, dirty: Pages | None = None) -> Slot:
    """A copy as the specification has it, with the log that its bitmap stands for."""
    return Slot(
        space=copy.space,
        id=copy.id,
        base_gfn=copy.base_gfn,
        npages=copy.npages,
        hva=copy.hva,
        flags=copy.flags,
        dirty=dirty,
        memfd=copy.memfd,
        memfd_page=copy.memfd_page,
    )


def invalid_copy(old: SlotCopy, address: int) -> SlotCopy:
    """The stand-in for a slot that is being deleted or moved: all as it was, but marked."""
    return replace(old, address=address, invalid=True)


@dataclass(frozen=True)
class OneSet:
    """One of the two sets of an address space.

    `members` is the set of SlotCopy. `last_used` is the copy that the last search found here: None or a member.
    `number` (0 or 1) tells the sets apart, whichever is active.
    """

    number: int
    members: Any
    generation: int
    last_used: SlotCopy | None = None


@dataclass(frozen=True)
class TwoSets:
    """The slots of one address space.

    `waiting` is True from the moment the sets change places until no reader is left that began before: so long may
    readers be in both sets. At any other time they are in the active one only.
    """

    active: OneSet
    inactive: OneSet
    waiting: bool = False


def two_empty_sets(space: int, members: Any = frozenset(), other_members: Any = frozenset()) -> TwoSets:
    """An address space without slots. Its generation is its own number, so that no two ever share one.

    `members` and `other_members` are two empty sets of the caller's kind.
    """
    return TwoSets(OneSet(0, members, space), OneSet(1, other_members, space))


@dataclass(frozen=True)
class Change:
    """What is to be done to one slot.

    `old` is the present copy (None for a create), `new` the copy that takes its place (None for a delete),
    `invalid` the stand-in of a delete or move. `invalid` is None in a delete or move when there was no memory for it.
    `prepare_fails` says that the preparation (dirty bitmap, physical address limit, page metadata) will fail.
    """

    kind: str
    old: SlotCopy | None
    new: SlotCopy | None
    invalid: SlotCopy | None = None
    prepare_fails: bool = False

    def goes_through_invalid(self) -> bool:
        """Whether the slot is marked INVALID first."""
        return self.kind == DELETE or self.kind == MOVE

    def fails(self) -> bool:
        """Whether the change comes to nothing."""
        return (self.goes_through_invalid() and self.invalid is None) or self.prepare_fails


@dataclass(frozen=True)
class Step:
    """One visible step: what the writer did, and all that readers can see of the address space after it."""

    name: str
    state: TwoSets


# The names of the steps. A swap is the four of the middle.
REPLACE = "replace in the inactive set"
MARK = "mark the inactive set's generation as in progress"
PUBLISH = "publish: the sets change places"
GRACE_PERIOD = "grace period over: no reader is left in the inactive set"
NEW_GENERATION = "new generation"
PREPARE = "prepare"

# Yields the steps and returns the last state. Whoever drives it may send back, after each step, the state as readers
# left it (their lookups change `last_used`, nothing else); None stands for no change.
Steps = Generator[Step, TwoSets | None, TwoSets]


def shown(name: str, state: TwoSets) -> Steps:
    """One step: readers may look at the state now. Returns it as they leave it."""
    left = yield Step(name, state)
    return state if left is None else left


# WRITER ----------------------------------------------------------------------------------------------------------


def exchanged(members: Any, old: SlotCopy | None, new: SlotCopy | None) -> Any:
    """The set with `new` instead of `old`; None stands for no slot."""
    if hasattr(members, "exchanged"):
        return members.exchanged(old, new)
    if old is not None:
        members = removed(members, old)
    if new is not None:
        members = added(members, new)
    return members


class Writer:
    """The one writer of a VM, whose address spaces are `spaces` many. It has no state of its own."""

    def __init__(self, spaces: int) -> None:
        self.spaces = spaces

    def replace(self, state: TwoSets, old: SlotCopy | None, new: SlotCopy | None) -> TwoSets:
        """Put `new` in the place of `old` in the inactive set, and see to it that its cache follows."""
        edited = state.inactive
        last_used = edited.last_used
        if old is not None and last_used is not None and last_used.address == old.address:
            last_used = new
        members = exchanged(edited.members, old, new)
        return replace(state, inactive=replace(edited, members=members, last_used=last_used))

    def mark(self, state: TwoSets) -> TwoSets:
        """The inactive set takes over the active one's generation, with the in-progress bit."""
        generation = state.active.generation + IN_PROGRESS
        return replace(state, inactive=replace(state.inactive, generation=generation))

    def publish(self, state: TwoSets) -> TwoSets:
        """From now on readers that begin use the set that was inactive."""
        return TwoSets(active=state.inactive, inactive=state.active, waiting=True)

    def grace_period(self, state: TwoSets) -> TwoSets:
        """All readers that began before the sets changed places are done."""
        return replace(state, waiting=False)

    def new_generation(self, state: TwoSets) -> TwoSets:
        """The in-progress bit goes, and the generation grows by the number of address spaces.

        So an address space only ever has generations that leave its own number as remainder.
        """
        generation = state.active.generation - IN_PROGRESS + self.spaces
        return replace(state, active=replace(state.active, generation=generation))

    def swap(self, state: TwoSets) -> Steps:
        """Make the inactive set the active one, and wait until it is the only one in use."""
        state = self.mark(state)
        state = yield from shown(MARK, state)
        state = self.publish(state)
        state = yield from shown(PUBLISH, state)
        state = self.grace_period(state)
        state = yield from shown(GRACE_PERIOD, state)
        state = self.new_generation(state)
        return (yield from shown(NEW_GENERATION, state))

    def activate(self, state: TwoSets, old: SlotCopy | None, new: SlotCopy | None) -> Steps:
        """Swap, then bring the other set up to date: `old` is what it still has."""
        state = yield from self.swap(state)
        state = self.replace(state, old, new)
        return (yield from shown(REPLACE, state))

    def invalidate(self, state: TwoSets, change: Change) -> Steps:
        """Readers find the stand-in from now on; the old copy stays in the inactive set, to be restored or replaced."""
        state = self.replace(state, change.old, change.invalid)
        state = yield from shown(REPLACE, state)
        return (yield from self.swap(state))

    def roll_back(self, state: TwoSets, change: Change) -> Steps:
        """Make the set that still has the old copy active again."""
        return (yield from self.activate(state, change.invalid, change.old))

    def set_slot(self, state: TwoSets, change: Change) -> Steps:
        """All steps of a change, or of a failed one. Starts and ends with both sets alike."""
        if change.goes_through_invalid():
            if change.invalid is None:
                return state
            state = yield from self.invalidate(state, change)

        if change.prepare_fails:
            if change.goes_through_invalid():
                state = yield from self.roll_back(state, change)
            return state
        state = yield from shown(PREPARE, state)

        state = self.replace(state, change.old, change.new)
        state = yield from shown(REPLACE, state)
        present = change.invalid if change.goes_through_invalid() else change.old
        return (yield from self.activate(state, present, change.new))


# READERS ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class VcpuCache:
    """What a virtual CPU remembers: the copy it found last, and the generation of the set it found it in."""

    slot: SlotCopy | None = None
    generation: int = 0


def searched(members: Any, gfn: int) -> SlotCopy | None:
    """The copy in a set that holds a guest page, or None."""
    if hasattr(members, "at_gfn"):
        found: SlotCopy | None = members.at_gfn(gfn)
        return found
    found = only(members, lambda slot: slot.contains(gfn))
    return found


def some_of(found: Any, holds: Callable[[SlotCopy], bool]) -> bool:
    """Whether `holds` is true of one of the copies that an index found, one after the other."""
    if hasattr(found, "some"):
        return found.some(holds)  # type: ignore[no-any-return]
    return any(holds(copy) for copy in found)


def slot_at(looked_in: OneSet, gfn: int) -> tuple[OneSet, SlotCopy | None]:
    """The copy that holds a guest page, by way of the set's cache; and the set with the cache as it is then.

    An INVALID copy is found too: see `usable`.
    """
    if looked_in.last_used is not None and looked_in.last_used.contains(gfn):
        return looked_in, looked_in.last_used
    found = searched(looked_in.members, gfn)
    if found is None:
        return looked_in, None
    return replace(looked_in, last_used=found), found


def still_good(cache: VcpuCache, generation: int) -> VcpuCache:
    """What a virtual CPU remembers of a generation: nothing if the cache was filled in another."""
    if cache.generation != generation:
        return VcpuCache(None, generation)
    return cache


def vcpu_slot_at(cache: VcpuCache, looked_in: OneSet, gfn: int) -> tuple[VcpuCache, SlotCopy | None]:
    """The same for a virtual CPU: it uses its own cache, and that only for the generation it was filled in."""
    cache = still_good(cache, looked_in.generation)
    if cache.slot is not None and cache.slot.contains(gfn):
        return cache, cache.slot
    found = searched(looked_in.members, gfn)
    if found is None:
        return cache, None
    return replace(cache, slot=found), found


def usable(found: SlotCopy | None) -> SlotCopy | None:
    """What an access makes of a lookup's answer: an INVALID copy maps nothing."""
    if found is None or found.invalid:
        return None
    return found
