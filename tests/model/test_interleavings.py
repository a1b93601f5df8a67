"""No reader ever sees anything but what it may; and each of these planted bugs makes one see something else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from model.memslots.array import COPY, FREE, ArrayMachine, ArrayWriter
from model.memslots.interleavings import Planned, enumerate_readers
from model.memslots.machine import Machine
from model.memslots.protocol import (
    IN_PROGRESS,
    MARK,
    NEW_GENERATION,
    PREPARE,
    PUBLISH,
    REPLACE,
    Change,
    OneSet,
    SlotCopy,
    Steps,
    TwoSets,
    VcpuCache,
    Writer,
    exchanged,
    searched,
    shown,
    two_empty_sets,
)
from model.memslots.tree import TreeMachine, TreeSet
from spec.memslots.set_region import SetRegion
from spec.outcome import Done
from spec.profile import Profile
from spec.rule import Rule
from spec.units import PAGE_SIZE

pytestmark = pytest.mark.slow  # minutes in all: not for the inner loop

SPACES = 2
PROFILE = Profile(address_spaces=SPACES, max_gfn=40)
PAGES = (1, 2, 3, 4, 5, 6, 7)


def region(slot: int, gfn: int, npages: int, hva: int, flags: int = 0) -> SetRegion:
    """A request in pages."""
    return SetRegion(slot=slot, flags=flags, gpa=gfn * PAGE_SIZE, size=npages * PAGE_SIZE, hva=hva * PAGE_SIZE)


# The other address space has a slot at the same pages, and elsewhere in the host.
# Slot 1 has a dirty log.
THERE = (region(0, 2, 2, 0x100), region(1, 6, 2, 0x200, flags=1), region(0x10000, 2, 3, 0x300))

CREATE = Planned(region(2, 4, 2, 0x400))
FLAGS = Planned(region(0, 2, 2, 0x100, flags=1))
END_OF_LOG = Planned(region(1, 6, 2, 0x200))
MOVE = Planned(region(0, 3, 2, 0x100))  # onto a page of its own
DELETE = Planned(region(0, 0, 0, 0))
MOVE_TOO_FAR = Planned(region(0, 40, 2, 0x100))  # fails when it is prepared
MOVE_WITHOUT_METADATA = Planned(region(0, 3, 2, 0x100), fail_at=3)
DELETE_WITHOUT_MEMORY = Planned(region(0, 0, 0, 0), fail_at=1)
CREATE_WITHOUT_METADATA = Planned(region(2, 4, 2, 0x400), fail_at=2)

SEQUENCES = {
    "create": (CREATE,),
    "flags": (FLAGS,),
    "flags: end of a log": (END_OF_LOG,),
    "move": (MOVE,),
    "delete": (DELETE,),
    "move that cannot be prepared": (MOVE_TOO_FAR,),
    "move for which there is no memory": (MOVE_WITHOUT_METADATA,),
    "delete for which there is no memory": (DELETE_WITHOUT_MEMORY,),
    "create for which there is no memory": (CREATE_WITHOUT_METADATA,),
    "flags, then a move": (FLAGS, MOVE),
    "failed move, then a delete": (MOVE_TOO_FAR, DELETE),
    "delete, then a create at the same place": (DELETE, Planned(region(0, 2, 1, 0x500))),
}


def machine_with(machine_of: Callable[[], Machine], writer: Writer | None = None) -> Callable[[], Machine]:
    """Machines that have the slots of `THERE`, and from then on the given writer."""

    def made() -> Machine:
        machine = machine_of()
        for request in THERE:
            assert machine.apply(request) == Done()
        machine.writer = writer or machine.writer
        return machine

    return made


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("machine_of", [TreeMachine, ArrayMachine])
def test_every_reader_sees_the_stage_at_which_it_began(machine_of: type[TreeMachine | ArrayMachine], name: str) -> None:
    report = enumerate_readers(machine_with(lambda: machine_of(PROFILE)), SEQUENCES[name], PAGES)
    assert report.findings == []
    assert report.branches > len(SEQUENCES[name]) and report.searches > 100


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


class ForgetsTheSecondReplace(Writer):
    def activate(self, state: TwoSets, old: SlotCopy | None, new: SlotCopy | None) -> Steps:
        return (yield from self.swap(state))


class PublishesBeforeItReplaces(Writer):
    def set_slot(self, state: TwoSets, change: Change) -> Steps:
        state = yield from self.swap(state)
        state = self.replace(state, change.old, change.new)
        state = yield from shown(REPLACE, state)
        return state


class EditsTheActiveSet(Writer):
    def replace(self, state: TwoSets, old: SlotCopy | None, new: SlotCopy | None) -> TwoSets:
        active = replace(state.active, members=exchanged(state.active.members, old, new))
        return replace(state, active=active)


class KeepsTheGeneration(Writer):
    def new_generation(self, state: TwoSets) -> TwoSets:
        return replace(state, active=replace(state.active, generation=state.active.generation - IN_PROGRESS))


class ForgetsTheInProgressBit(Writer):
    def mark(self, state: TwoSets) -> TwoSets:
        return replace(state, inactive=replace(state.inactive, generation=state.active.generation))

    def new_generation(self, state: TwoSets) -> TwoSets:
        return replace(state, active=replace(state.active, generation=state.active.generation + self.spaces))


class CountsGenerationsByOne(Writer):
    def new_generation(self, state: TwoSets) -> TwoSets:
        return replace(state, active=replace(state.active, generation=state.active.generation - IN_PROGRESS + 1))


class LeavesTheCacheOfTheSet(Writer):
    def replace(self, state: TwoSets, old: SlotCopy | None, new: SlotCopy | None) -> TwoSets:
        members = exchanged(state.inactive.members, old, new)
        return replace(state, inactive=replace(state.inactive, members=members))


class DoesNotWaitForReaders(Writer):
    def swap(self, state: TwoSets) -> Steps:
        state = yield from shown(MARK, self.mark(state))
        state = yield from shown(PUBLISH, self.publish(state))
        return (yield from shown(NEW_GENERATION, self.new_generation(self.grace_period(state))))


class WaitsBeforeItPublishes(Writer):
    def swap(self, state: TwoSets) -> Steps:
        state = yield from shown(MARK, self.mark(state))
        state = yield from shown("grace period over: no reader is left in the inactive set", state)
        state = yield from shown(PUBLISH, self.publish(state))
        return (yield from shown(NEW_GENERATION, self.new_generation(state)))


class RollsNothingBack(Writer):
    def roll_back(self, state: TwoSets, change: Change) -> Steps:
        return (yield from shown(PREPARE, state))


class RollsOneSetBack(Writer):
    def roll_back(self, state: TwoSets, change: Change) -> Steps:
        return (yield from self.swap(state))


class MovesWithoutInvalid(Writer):
    def set_slot(self, state: TwoSets, change: Change) -> Steps:
        state = self.replace(state, change.old, change.new)
        state = yield from shown(REPLACE, state)
        return (yield from self.activate(state, change.old, change.new))


class UsesInvalidCopies(TreeMachine):
    def usable(self, found: SlotCopy | None) -> SlotCopy | None:
        return found


class TrustsItsCacheForEver(TreeMachine):
    def vcpu_search(self, cache: VcpuCache, looked_in: OneSet, gfn: int) -> tuple[VcpuCache, SlotCopy | None]:
        if cache.slot is not None and cache.slot.contains(gfn):
            return cache, cache.slot
        found = searched(looked_in.members, gfn)
        return VcpuCache(found, looked_in.generation), found


class TrustsTheCacheOfTheSetBlindly(TreeMachine):
    def search(self, looked_in: OneSet, gfn: int) -> tuple[SlotCopy | None, SlotCopy | None]:
        if looked_in.last_used is not None:
            return looked_in.last_used, None
        found = searched(looked_in.members, gfn)
        return found, found


class FreesTheBitmapTooEarly(TreeMachine):
    def planned(self, kind: str, old: SlotCopy | None, new: SlotCopy | None) -> tuple[Change, Rule | None]:
        change, rule = super().planned(kind, old, new)
        self._commit(change)
        return change, rule

    def _commit(self, change: Change) -> None:
        if self.spaces[0].active.members.by_id(1) is change.old:
            super()._commit(change)


class ForgetfulSet(TreeSet):
    """Leaves the host index as it is when a slot keeps its place."""

    def exchanged(self, old: SlotCopy | None, new: SlotCopy | None) -> TreeSet:
        if old is None or new is None or old.base_gfn != new.base_gfn:
            return super().exchanged(old, new)
        place = self.hva_nodes[old.address]
        super().exchanged(old, new)
        self.hva_tree.remove(self.hva_nodes[new.address])
        self.hva_nodes[new.address] = self.hva_tree.insert(place.value)
        return self


class HasForgetfulSets(TreeMachine):
    def __init__(self, profile: Profile) -> None:
        super().__init__(profile)
        self.spaces = [two_empty_sets(space, ForgetfulSet(), ForgetfulSet()) for space in range(SPACES)]


class FreesTheArrayAtOnce(ArrayWriter):
    def swap(self, state: TwoSets) -> Steps:
        state = yield from shown(MARK, self.mark(state))
        state = yield from shown(PUBLISH, self.publish(state))
        return (yield from shown(NEW_GENERATION, self.new_generation(self.grace_period(state))))


class MarksInThePublishedArray(ArrayWriter):
    def invalidate(self, state: TwoSets, change: Change) -> Steps:
        exchanged(state.active.members, change.old, change.invalid)
        return (yield from super().invalidate(state, change))


class KeepsTheInvalidArray(ArrayWriter):
    def set_slot(self, state: TwoSets, change: Change) -> Steps:
        if not change.prepare_fails:
            return (yield from super().set_slot(state, change))
        state = yield from shown(COPY, self.copy(state))
        state = yield from self.invalidate(state, change)
        return (yield from shown(FREE, self.free(state)))


def plant(writer: Writer) -> Callable[[], Machine]:
    """Machines that were right until this writer came."""
    kind = ArrayMachine if isinstance(writer, ArrayWriter) else TreeMachine
    return machine_with(lambda: kind(PROFILE), writer)


FLAGS_IN_THE_OTHER_SPACE = Planned(region(0x10000, 2, 3, 0x300, flags=1))
PLANTED: list[tuple[str, Callable[[], Machine], Sequence[Planned]]] = [
    ("second replace forgotten: flags", plant(ForgetsTheSecondReplace(SPACES)), (FLAGS, CREATE)),
    ("second replace forgotten: create", plant(ForgetsTheSecondReplace(SPACES)), (CREATE, FLAGS)),
    ("published before it is replaced", plant(PublishesBeforeItReplaces(SPACES)), (FLAGS,)),
    ("active set edited", plant(EditsTheActiveSet(SPACES)), (FLAGS,)),
    ("generation kept: flags", plant(KeepsTheGeneration(SPACES)), (FLAGS,)),
    ("generation kept: delete", plant(KeepsTheGeneration(SPACES)), (DELETE,)),
    ("in-progress bit forgotten", plant(ForgetsTheInProgressBit(SPACES)), (FLAGS,)),
    ("generations of address spaces meet", plant(CountsGenerationsByOne(SPACES)), (FLAGS_IN_THE_OTHER_SPACE,)),
    ("cache of the set left as it was: move", plant(LeavesTheCacheOfTheSet(SPACES)), (MOVE,)),
    ("cache of the set left as it was: flags", plant(LeavesTheCacheOfTheSet(SPACES)), (FLAGS, CREATE)),
    ("no grace period: create", plant(DoesNotWaitForReaders(SPACES)), (CREATE,)),
    ("no grace period: move", plant(DoesNotWaitForReaders(SPACES)), (MOVE,)),
    ("grace period before publication", plant(WaitsBeforeItPublishes(SPACES)), (FLAGS,)),
    ("no roll-back", plant(RollsNothingBack(SPACES)), (MOVE_TOO_FAR,)),
    ("roll-back of one set", plant(RollsOneSetBack(SPACES)), (MOVE_TOO_FAR, CREATE)),
    ("move without INVALID", plant(MovesWithoutInvalid(SPACES)), (MOVE,)),
    ("INVALID copy used", machine_with(lambda: UsesInvalidCopies(PROFILE)), (DELETE,)),
    ("virtual CPU's cache across generations", machine_with(lambda: TrustsItsCacheForEver(PROFILE)), (FLAGS,)),
    ("cache hit not checked", machine_with(lambda: TrustsTheCacheOfTheSetBlindly(PROFILE)), (CREATE,)),
    (
        "dirty bitmap freed before readers are done",
        machine_with(lambda: FreesTheBitmapTooEarly(PROFILE)),
        (END_OF_LOG,),
    ),
    ("host index left as it was", machine_with(lambda: HasForgetfulSets(PROFILE)), (FLAGS,)),
    ("array freed at once", plant(FreesTheArrayAtOnce(SPACES)), (FLAGS,)),
    ("INVALID set in the published array", plant(MarksInThePublishedArray(SPACES)), (DELETE,)),
    ("array with INVALID kept", plant(KeepsTheInvalidArray(SPACES)), (MOVE_TOO_FAR,)),
]


@pytest.mark.parametrize(("machine_of", "changes"), [p[1:] for p in PLANTED], ids=[p[0] for p in PLANTED])
def test_planted_bugs_are_found(machine_of: Callable[[], Machine], changes: Sequence[Planned]) -> None:
    report = enumerate_readers(machine_of, changes, PAGES)
    (finding,) = report.findings
    assert "found" in finding.what or "freed" in finding.what, f"not seen by a reader: {finding}"
