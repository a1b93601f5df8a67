"""All interleavings of one writer with any number of readers.

Between any two steps of the writer any reader may act: begin (and so choose the active set), search, remember what it
found, search again, be done. The writer's only right over readers is to wait: at the end of a grace period every
reader that began before the sets changed places is done.

What a reader must find follows from the spec and from when it began. A change shows its address space as it was
before; then, if the slot is deleted or moved, without that slot; then as it is after. Each publication goes one
*stage* further. A reader that began at a stage finds exactly that stage, whatever the writer does meanwhile.

Readers change nothing but the caches of the two sets. So all of them that are possible so far are kept together (each
stands for any number of alike ones), and only what they put into a cache makes a new branch. That makes the
enumeration exact, complete and small: a few hundred branches for a change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from model.memslots.machine import Machine
from model.memslots.protocol import GRACE_PERIOD, NO_BITMAP, PUBLISH, OneSet, SlotCopy, Step, VcpuCache
from model.memslots.tree import TreeMachine
from spec.memslots.lookup import slot_holding
from spec.memslots.set_region import NO_MEMORY, SetRegion, is_delete, is_move
from spec.memslots.slot import Slot, Vm, slot_named, space_of
from spec.outcome import Outcome, Rejected
from spec.sets import removed
from spec.step import step as spec_step
from spec.units import PAGE_SIZE, U64_MAX, address_of

DONE = "done"  # what `World.advance` calls the end of a request


@dataclass(frozen=True)
class Planned:
    """One change, and which allocation on the way fails (1 for the first; None for none)."""

    request: SetRegion
    fail_at: int | None = None


@dataclass(frozen=True)
class Reader:
    """A reader between two of its actions. `number` is that of the set it uses, None when it uses none.

    `stage` and `generation` are those at which it began. Kernel threads (`is_vcpu` False) use the cache of the set, and
    put into it what they found (`to_remember`) in an action of its own; virtual CPUs have a cache of their own, which
    they keep when they are done. `story` says how it came here: what came before, the step, and the action.
    """

    is_vcpu: bool
    space: int = 0
    number: int | None = None
    stage: int = 0
    generation: int = 0
    cache: VcpuCache = field(default_factory=VcpuCache)
    to_remember: Any = None
    story: Any = field(default=None, compare=False)


@dataclass(frozen=True)
class Finding:
    """Something that a reader must never see, or that must never happen, and how it came about."""

    what: str
    story: tuple[str, ...]


@dataclass
class Report:
    """What an enumeration found, and how much it looked at."""

    findings: list[Finding]
    branches: int = 0
    searches: int = 0


# What a guest page is to a reader: slot number, host address, flags. None where nothing is mapped.
Mapping = tuple[int, int, int] | None


def mapping_in(vm: Vm, space: int, gfn: int) -> Mapping:
    """What the spec says about a guest page."""
    slot = slot_holding(vm, space, address_of(gfn))
    if slot is None:
        return None
    return slot.id, slot.hva_of(address_of(gfn)), slot.flags


def whole(slot: Slot | SlotCopy) -> tuple[int, int, int, int, int]:
    """All that readers want to know of a slot."""
    return slot.id, slot.base_gfn, slot.npages, slot.hva, slot.flags


def mapping_of(found: SlotCopy | None, gfn: int) -> Mapping:
    """What a reader makes of the copy that it found."""
    if found is None:
        return None
    return found.id, found.hva + (gfn - found.base_gfn) * PAGE_SIZE, found.flags


def stages_of(before: Vm, after: Vm, request: SetRegion, outcome: Outcome) -> list[Vm]:
    """What a change publishes, one after the other, and before it what was published already."""
    slot = slot_named(before, request.slot)
    goes_through_invalid = slot is not None and (is_delete(request) or is_move(before, request))
    hole = [replace(before, slots=removed(before.slots, slot))] if goes_through_invalid else []
    if isinstance(outcome, Rejected) and not hole:
        return [before]
    return [before, *hole, after]


class World:
    """A machine at some point of a sequence of changes, and what its readers have to find there.

    `stages` has for each address space the states that were published in it up to the end of the present change, and
    `stage` which of them is the published one.
    """

    def __init__(
        self, machine_of: Callable[[], Machine], changes: Sequence[Planned], outcomes: Sequence[Outcome]
    ) -> None:
        self.machine = machine_of()
        vm = self.machine.vm()
        self.stages = [[vm] for _ in self.machine.spaces]
        self.stage = [0 for _ in self.machine.spaces]
        self.space = 0  # the one that is being changed
        self.position = 0  # how many steps the writer has done
        self._vm = vm
        self._coming = list(zip(changes, outcomes, strict=True))
        self._steps: Iterator[Step] | None = None

    def advance(self) -> str | None:
        """Let the writer do one step: its name, DONE at the end of a change, None when nothing is left to do."""
        self.position += 1
        if self._steps is None:
            if not self._coming:
                return None
            self._steps = self._begun(*self._coming.pop(0))
        step = next(self._steps, None)
        if step is None:
            self._steps = None
            self.stage[self.space] = len(self.stages[self.space]) - 1
            return DONE
        if step.name == PUBLISH:
            self.stage[self.space] += 1
            if self.stage[self.space] == len(self.stages[self.space]):
                raise AssertionError("a change published more often than it has anything to publish")
        return step.name

    def _begun(self, change: Planned, outcome: Outcome) -> Iterator[Step]:
        """The steps of the next change, after its stages were written down."""
        before = self._vm
        if not isinstance(outcome, Rejected):
            self._vm, _ = spec_step(self.machine.profile, before, change.request)
        self.space = space_of(change.request.slot)
        self.stages[self.space] += stages_of(before, self._vm, change.request, outcome)[1:]
        self.machine.memory.fail_at = change.fail_at
        return self.machine.steps(change.request)


def outcomes_of(machine_of: Callable[[], Machine], changes: Sequence[Planned]) -> list[Outcome]:
    """The outcome of each change when nobody is reading. Raises AssertionError where the spec has another."""
    machine = machine_of()
    vm, outcomes = machine.vm(), []
    for change in changes:
        machine.memory.fail_at = change.fail_at
        outcome = machine.apply(change.request)
        after, expected = spec_step(machine.profile, vm, change.request)
        if outcome == Rejected(NO_MEMORY) and change.fail_at is not None:
            after, expected = vm, outcome
        assert outcome == expected, f"{change.request}: {outcome}, and by the spec {expected}"
        vm = after
        outcomes.append(outcome)
    return outcomes


# A branch: the writer's steps (None) and what readers put into caches (address space, set, what), in order.
History = tuple[tuple[int, int, Any] | None, ...]


class Enumeration:
    """Every interleaving of a sequence of changes with readers that look at these guest pages."""

    def __init__(
        self,
        machine_of: Callable[[], Machine],
        changes: Sequence[Planned],
        gfns: Sequence[int],
        most_findings: int = 1,
    ) -> None:
        self.machine_of = machine_of
        self.changes = changes
        self.gfns = gfns
        self.most_findings = most_findings
        self.report = Report([])
        self._seen: dict[Any, list[frozenset[Reader]]] = {}
        self._known: dict[tuple[int, int, int], Mapping] = {}

    def run(self) -> Report:
        """Follow all branches, or as many as it takes for `most_findings`."""
        try:
            outcomes = outcomes_of(self.machine_of, self.changes)
        except AssertionError as error:
            return Report([Finding(f"without readers: {error}", ())])
        waiting: list[tuple[History, frozenset[Reader]]] = [((), frozenset())]
        while waiting and len(self.report.findings) < self.most_findings:
            history, readers = waiting.pop()
            world = World(self.machine_of, self.changes, outcomes)
            try:
                for event in history:
                    do(world, event)
                waiting += self._followed(world, history, readers)
            except (AssertionError, LookupError) as error:
                self.report.findings.append(Finding(f"{type(error).__name__}: {error}", told(history)))
        return self.report

    def _followed(
        self, world: World, history: History, readers: frozenset[Reader]
    ) -> list[tuple[History, frozenset[Reader]]]:
        """Let the writer go on to its end while readers act in between: the branches that their caching opens."""
        branches: list[tuple[History, frozenset[Reader]]] = []
        while len(self.report.findings) < self.most_findings:
            readers = self._all_reachable(world, readers)
            if self._was_here(world, readers):
                break
            self.report.branches += 1
            self._walk_all_indexes(world, readers)
            branches += [((*history, event), readers) for event in stores_of(readers)]
            name = world.advance()
            if name is None:
                break
            history = (*history, None)
            if name == GRACE_PERIOD:
                readers = frozenset(r for r in readers if not began_before_publication(world, r))
        return branches

    def _was_here(self, world: World, readers: frozenset[Reader]) -> bool:
        """Whether this point was reached before, with the same caches and at least these readers."""
        caches = tuple(world.machine.caches(space) for space, _ in enumerate(world.stage))
        before = self._seen.setdefault((world.position, caches), [])
        if any(readers <= others for others in before):
            return True
        before.append(readers)
        return False

    def _walk_all_indexes(self, world: World, readers: frozenset[Reader]) -> None:
        """What each reader finds when it walks a whole index, as those do who look for a host range or a number."""
        for space, number, stage in {(r.space, r.number, r.stage) for r in readers if r.number is not None}:
            members = world.machine.numbered(space, number).members
            expected = {whole(slot) for slot in world.stages[space][stage].slots if slot.space == space}
            ids = {slot.id for vm in world.stages[space] for slot in vm.slots if slot.space == space}
            for index, copies in (
                ("guest pages", members.in_gfn_order()),
                ("host addresses", members.in_hva_range(0, U64_MAX)),
                ("slot numbers", [members.by_id(slot_id) for slot_id in ids]),
            ):
                used = [copy for copy in copies if world.machine.usable(copy) is not None]
                if {whole(copy) for copy in used} != expected or len(used) != len(expected):
                    what = f"index of {index}, set {number} of address space {space}: found {used}, right is {expected}"
                    self._report(what, (None, world.position, f"walk it, as a reader that began at stage {stage}"))

    def _all_reachable(self, world: World, readers: frozenset[Reader]) -> frozenset[Reader]:
        """All readers that there can be now, when each acts as often as it likes without touching a shared cache."""
        reached = {reader: reader for reader in (*readers, Reader(is_vcpu=False), Reader(is_vcpu=True))}
        if not isinstance(world.machine, TreeMachine):
            del reached[Reader(is_vcpu=True)]
        todo = list(reached)
        while todo:
            for after in self._actions(world, todo.pop()):
                if after not in reached:
                    reached[after] = after
                    todo.append(after)
        return frozenset(reached)

    def _actions(self, world: World, reader: Reader) -> Iterable[Reader]:
        """The reader after each single thing that it can do now."""
        if reader.number is None:
            return [begun(world, reader, space) for space, _ in enumerate(world.stage)]
        looked_in = world.machine.numbered(reader.space, reader.number)
        if reader.is_vcpu and looked_in.generation != reader.generation:
            looked_in = replace(looked_in, generation=reader.generation)  # it read that when it began
        return [done(reader), *(self._searched(world, reader, looked_in, gfn) for gfn in self.gfns)]

    def _searched(self, world: World, reader: Reader, looked_in: OneSet, gfn: int) -> Reader:
        """The reader after it searched for a guest page. What it found is judged."""
        machine, cache, to_remember = world.machine, reader.cache, None
        if reader.is_vcpu:
            assert isinstance(machine, TreeMachine)
            cache, copy = machine.vcpu_search(cache, looked_in, gfn)
        else:
            copy, to_remember = machine.search(looked_in, gfn)
        self.report.searches += 1
        story = (reader.story, world.position, f"search for page {gfn:#x}")

        used = machine.usable(copy)
        if used is not None and used.bitmap != NO_BITMAP and used.bitmap not in machine.memory.bitmaps:
            self._report(f"page {gfn:#x} of address space {reader.space}: its dirty bitmap was freed", story)
        found = mapping_of(used, gfn)
        expected = self._expected(world, reader, gfn)
        if found != expected:
            self._report(f"page {gfn:#x} of address space {reader.space}: found {found}, right is {expected}", story)
        return Reader(
            reader.is_vcpu, reader.space, reader.number, reader.stage, reader.generation, cache, to_remember, story
        )

    def _report(self, what: str, story: Any) -> None:
        if len(self.report.findings) < self.most_findings:
            self.report.findings.append(Finding(what, in_words(story)))

    def _expected(self, world: World, reader: Reader, gfn: int) -> Mapping:
        """What the spec says about a guest page at the reader's stage. Stages are the same in all branches."""
        asked = (reader.space, reader.stage, gfn)
        if asked not in self._known:
            self._known[asked] = mapping_in(world.stages[reader.space][reader.stage], reader.space, gfn)
        return self._known[asked]


def begun(world: World, reader: Reader, space: int) -> Reader:
    """A reader that has chosen the active set of an address space."""
    active = world.machine.spaces[space].active
    return replace(
        reader,
        space=space,
        number=active.number,
        stage=world.stage[space],
        generation=active.generation,
        story=(reader.story, world.position, f"begin in set {active.number} of address space {space}"),
    )


def in_words(story: Any) -> tuple[str, ...]:
    """A reader's story, first action first."""
    words: list[str] = []
    while story is not None:
        story, position, action = story
        words.append(f"after step {position} of the writer: {action}")
    return tuple(reversed(words))


def stores_of(readers: frozenset[Reader]) -> set[tuple[int, int, Any]]:
    """What these readers may put into the cache of the set that they use."""
    return {
        (reader.space, reader.number, reader.to_remember)
        for reader in readers
        if reader.number is not None and reader.to_remember is not None
    }


def done(reader: Reader) -> Reader:
    """A reader that uses no set any more; a virtual CPU keeps its cache."""
    return Reader(reader.is_vcpu, cache=reader.cache, story=reader.story)


def began_before_publication(world: World, reader: Reader) -> bool:
    """Whether the end of a grace period means that this reader is done."""
    return reader.number is not None and reader.space == world.space and reader.stage < world.stage[world.space]


def do(world: World, event: tuple[int, int, Any] | None) -> None:
    """One event of a branch."""
    if event is None:
        world.advance()
    else:
        world.machine.remember(*event)


def told(history: History) -> tuple[str, ...]:
    """A branch in words."""
    return tuple(
        "the writer does a step" if event is None else f"set {event[1]} of address space {event[0]} caches {event[2]}"
        for event in history
    )


def enumerate_readers(
    machine_of: Callable[[], Machine], changes: Sequence[Planned], gfns: Sequence[int], most_findings: int = 1
) -> Report:
    """All interleavings of these changes, made one after the other on a fresh machine, with readers of these pages."""
    return Enumeration(machine_of, changes, gfns, most_findings).run()
