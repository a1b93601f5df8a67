"""The two sets of slots of an address space: what readers find while the writer changes one slot, step by step.

These theorems run the code of `model.memslots.protocol` itself, over a set of any size. Each is about one kind of
change; `run` collects what can be seen after each of its steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import model.memslots.protocol as protocol
from model.memslots.protocol import (
    CREATE,
    DELETE,
    FLAGS_ONLY,
    IN_PROGRESS,
    MOVE,
    Change,
    OneSet,
    SlotCopy,
    Step,
    Steps,
    TwoSets,
    VcpuCache,
    Writer,
    searched,
)
from proofs.sets import every_pair, has
from proofs.symbolic.boolean import all_of, any_of, implies, merged, negation
from proofs.symbolic.shape import Shape
from proofs.theorem import UNBOUNDED, Bug, Patch, Theorem
from proofs.world import LAST_PAGE, NEVER_A_FILE, World
from spec.memslots.set_region import MAX_SLOT_PAGES
from spec.sets import added, every, some
from spec.units import U16_MAX, U32_MAX, U64_MAX

HIGHEST_ADDRESS = U64_MAX

COPY_SHAPE = Shape(
    kind=SlotCopy,
    ranges={
        "address": (1, HIGHEST_ADDRESS),
        "space": (0, U16_MAX),
        "id": (0, U16_MAX),
        "base_gfn": (0, LAST_PAGE),
        "npages": (1, MAX_SLOT_PAGES),
        "hva": (0, U64_MAX),
        "flags": (0, U32_MAX),
        "bitmap": (0, HIGHEST_ADDRESS),
        "memfd": (NEVER_A_FILE, U32_MAX),
        "memfd_page": (0, LAST_PAGE),
    },
)


@dataclass(frozen=True)
class Kind:
    """A kind of change, and whether its preparation fails."""

    name: str
    kind: str
    fails: bool = False


KINDS = (
    Kind("create", CREATE),
    Kind("flags only", FLAGS_ONLY),
    Kind("delete", DELETE),
    Kind("move", MOVE),
    Kind("failed delete", DELETE, fails=True),
    Kind("failed move", MOVE, fails=True),
)

FAILED_AT_ONCE = (
    Kind("failed create", CREATE, fails=True),
    Kind("failed flags only", FLAGS_ONLY, fails=True),
)

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_idle_sets(world: World) -> dict[str, Any]:
    """The slots of an address space, the old and the new copy of one of them, the caches, pages, an address."""
    members = world.set_of("copy", COPY_SHAPE)
    return {
        "members": members,
        "old": world.candidate(members, "old"),
        "new": world.record("new", COPY_SHAPE),
        "stand_in": world.integer("stand_in", 1, HIGHEST_ADDRESS),
        "address": world.integer("address", 1, HIGHEST_ADDRESS),
        "used": world.candidate(members, "used"),
        "is_used": world.boolean("is_used"),
        "generation": world.integer("generation", 0, IN_PROGRESS // 2),
        "spaces": world.integer("spaces", 1, U16_MAX + 1),
        "gfn": world.integer("gfn", 0, LAST_PAGE),
    }


def are_apart(one: SlotCopy, other: SlotCopy) -> Any:
    """Two copies share no guest page."""
    return any_of(one.base_gfn + one.npages <= other.base_gfn, other.base_gfn + other.npages <= one.base_gfn)


def are_sane(members: Any) -> Any:
    """The copies of one address space differ in address and number, and share no guest page."""
    return every_pair(
        members,
        lambda one, other: all_of(one.address != other.address, one.id != other.id, are_apart(one, other)),
    )


def can_be_changed(
    kind: Kind, members: Any, old: SlotCopy, new: SlotCopy, stand_in: int, used: SlotCopy, is_used: Any, **rest: Any
) -> Any:
    """The sets are idle and sane, the change is one that the rules admit, new copies have addresses of their own."""
    fresh = every(members, lambda copy: all_of(copy.address != new.address, copy.address != stand_in))
    others_are_clear = every(members, lambda copy: any_of(copy.id == new.id, are_apart(copy, new)))
    claims = [are_sane(members), fresh, new.address != stand_in, implies(is_used, has(members, used))]
    if kind.kind == CREATE:
        claims += [others_are_clear, every(members, lambda copy: copy.id != new.id)]
    else:
        claims += [has(members, old), new.id == old.id]
    if kind.kind == MOVE:
        claims += [others_are_clear, new.npages == old.npages, new.base_gfn != old.base_gfn]
    if kind.kind == FLAGS_ONLY:
        claims += [new.npages == old.npages, new.base_gfn == old.base_gfn]
    return all_of(*claims)


def has_two_spaces(spaces: int, **rest: Any) -> Any:
    """The VM has two address spaces."""
    return spaces == 2


# RUNNING THE PROTOCOL --------------------------------------------------------------------------------------------


def idle(members: Any, used: SlotCopy, is_used: Any, generation: int) -> TwoSets:
    """Both sets alike; the cache of either has what was found in it last, if anything was."""
    last_used = used if is_used else None
    return TwoSets(OneSet(0, members, generation, last_used), OneSet(1, members, generation, last_used))


def change_of(kind: Kind, old: SlotCopy, new: SlotCopy, stand_in: int) -> Change:
    return Change(
        kind.kind,
        old=None if kind.kind == CREATE else old,
        new=None if kind.kind == DELETE else new,
        invalid=protocol.invalid_copy(old, stand_in) if kind.kind in (MOVE, DELETE) else None,
        prepare_fails=kind.fails,
    )


def run(steps: Steps) -> tuple[list[Step], TwoSets]:
    """Each step, and the last state."""
    seen: list[Step] = []
    try:
        while True:
            seen.append(next(steps))
    except StopIteration as done:
        return seen, done.value


@dataclass(frozen=True)
class Run:
    """A change of one slot: how it began, its parts, and what could be seen after each step."""

    start: TwoSets
    change: Change
    seen: list[TwoSets]
    end: TwoSets
    names: list[str]

    def states(self) -> list[TwoSets]:
        return [self.start, *self.seen, self.end]

    def active_sets(self) -> list[OneSet]:
        """What readers use, from the start to the end, each once."""
        used = [self.start.active]
        for state in self.states():
            if state.active is not used[-1]:
                used.append(state.active)
        return used

    def searched_sets(self) -> list[OneSet]:
        """Every set that can be searched on the way, each once: a new generation makes no difference to a search."""
        both = [one for state in self.states() for one in (state.active, state.inactive)]
        return list({(id(one.members), id(one.last_used)): one for one in both}.values())

    def final_members(self) -> Any:
        """What the members are when the change has succeeded."""
        return protocol.exchanged(self.start.active.members, self.change.old, self.change.new)

    def copies(self) -> list[SlotCopy]:
        """The copies that the change is about."""
        return [copy for copy in (self.change.old, self.change.new, self.change.invalid) if copy is not None]


def run_of(kind: Kind, inputs: dict[str, Any]) -> Run:
    start = idle(inputs["members"], inputs["used"], inputs["is_used"], inputs["generation"])
    change = change_of(kind, inputs["old"], inputs["new"], inputs["stand_in"])
    steps, end = run(Writer(inputs["spaces"]).set_slot(start, change))
    return Run(start, change, [step.state for step in steps], end, [step.name for step in steps])


# CLAIMS ----------------------------------------------------------------------------------------------------------


def has_address(members: Any, address: int) -> Any:
    """Whether a set has a copy at this address."""
    return some(members, lambda copy: copy.address == address)


def sets_agree_when_idle(run: Run, address: int, **rest: Any) -> Any:
    """At the end both sets are alike, and are what the change makes of them (what they were, if it fails)."""
    wanted = run.start.active.members if run.change.fails() else run.final_members()
    return all_of(
        not run.end.waiting,
        has_address(run.end.active.members, address) == has_address(wanted, address),
        has_address(run.end.inactive.members, address) == has_address(wanted, address),
    )


def sets_differ_in_one_slot(run: Run, address: int, **rest: Any) -> Any:
    """At each step, each set has every other slot and nothing foreign, and at most one copy of the changed slot."""
    is_changed = any_of(*(address == copy.address for copy in run.copies()))
    before = has_address(run.start.active.members, address)
    claims = []
    for one in run.searched_sets():
        claims.append(any_of(is_changed, has_address(one.members, address) == before))
        there = [has_address(one.members, copy.address) for copy in run.copies()]
        claims += [negation(all_of(a, b)) for i, a in enumerate(there) for b in there[:i]]
    return all_of(*claims)


def reader_finds_old_new_or_invalid(run: Run, gfn: int, **rest: Any) -> Any:
    """In either set, at each step, by a plain search and by way of the set's cache."""
    before = searched(run.start.active.members, gfn)
    after = searched(run.final_members(), gfn)
    is_other = before is not None and merged(has_another_number)(before, run.change)
    claims = []
    for looked_in in run.searched_sets():
        claims.append(merged(cache_agrees)(looked_in, gfn))
        as_before = merged(finds)(looked_in, gfn, before)
        as_after = merged(finds)(looked_in, gfn, after)
        in_between = merged(finds_stand_in)(looked_in, gfn, run.change)
        claims += [any_of(as_before, as_after, in_between), implies(is_other, as_before)]
    return all_of(*claims)


def nobody_finds_it_while_it_is_prepared(run: Run, gfn: int, **rest: Any) -> Any:
    """While the writer prepares, no reader is left that finds a copy of the slot that it could use."""
    prepared = [state for name, state in zip(run.names, run.seen, strict=True) if name == protocol.PREPARE]
    claims = [merged(finds_no_usable)(state.active, gfn, run.change) for state in prepared]
    return all_of(
        len(prepared) == 1, *(all_of(not state.waiting, claim) for state, claim in zip(prepared, claims, strict=True))
    )


def finds_no_usable(looked_in: OneSet, gfn: int, change: Change) -> Any:
    """Whether what a search finds, if it is of the changed slot, maps nothing."""
    found = protocol.usable(protocol.slot_at(looked_in, gfn)[1])
    return True if found is None else has_another_number(found, change)


def is_same(one: SlotCopy | None, other: SlotCopy | None) -> Any:
    """Whether two answers are the same copy, or both none."""
    if one is None or other is None:
        return one is other
    return one.address == other.address


def finds(looked_in: OneSet, gfn: int, wanted: SlotCopy | None) -> Any:
    """Whether a search in a set finds this copy (None: nothing)."""
    return is_same(searched(looked_in.members, gfn), wanted)


def cache_agrees(looked_in: OneSet, gfn: int) -> Any:
    """Whether a lookup by way of the set's cache finds what a search finds."""
    return is_same(protocol.slot_at(looked_in, gfn)[1], searched(looked_in.members, gfn))


def finds_stand_in(looked_in: OneSet, gfn: int, change: Change) -> Any:
    """Whether a search finds the INVALID copy of the slot, which stands where the slot stood and maps nothing."""
    found = searched(looked_in.members, gfn)
    if found is None or change.old is None:
        return False
    same_place = all_of(found.base_gfn == change.old.base_gfn, found.npages == change.old.npages)
    return all_of(found.invalid, same_place, protocol.usable(found) is None)


def has_another_number(found: SlotCopy, change: Change) -> Any:
    """Whether a copy is of another slot than the one that is changed."""
    return found.id != changed_id(change)


def changed_id(change: Change) -> int:
    present = change.new if change.old is None else change.old
    assert present is not None
    return present.id


def vcpu_cache_is_right(run: Run, gfn: int, used: SlotCopy, **rest: Any) -> Any:
    """Whatever a virtual CPU cached: if in this set, a member of it; if in an earlier one, anything at all."""
    sets = run.active_sets()
    claims = []
    for place, looked_in in enumerate(sets):
        for cached in (used, *run.copies()):
            cache = VcpuCache(cached, looked_in.generation)
            claims.append(implies(has(looked_in.members, cached), merged(answers_as_a_search)(cache, looked_in, gfn)))
        others = (VcpuCache(), *(VcpuCache(used, earlier.generation) for earlier in sets[:place]))
        claims += [merged(answers_as_a_search)(cache, looked_in, gfn) for cache in others]
    return all_of(*claims)


def answers_as_a_search(cache: VcpuCache, looked_in: OneSet, gfn: int) -> Any:
    """By way of its cache a virtual CPU finds what a search finds; a member or nothing is in the cache then."""
    left, answer = protocol.vcpu_slot_at(cache, looked_in, gfn)
    if not is_same(answer, searched(looked_in.members, gfn)):
        return False
    return all_of(left.generation == looked_in.generation, left.slot is None or has(looked_in.members, left.slot))


def generations_grow(run: Run, generation: int, spaces: int, **rest: Any) -> Any:
    """Each swap adds the number of address spaces; on the way the in-progress bit is set; none is ever seen twice."""
    swaps = 2 if run.change.goes_through_invalid() else 1
    used = [one.generation for one in run.active_sets()]
    own = [generation + i * spaces for i in range(swaps + 1)]
    return all_of(
        run.end.active.generation == own[-1],
        *(any_of(*(any_of(seen == one, seen == one + IN_PROGRESS) for one in own)) for seen in used),
        *(seen != earlier for i, seen in enumerate(used) for earlier in used[:i]),
    )


def generation_tells_the_space(run: Run, **rest: Any) -> Any:
    """With two address spaces, the remainder by two of what readers see is the address space's number."""
    space = run.start.active.generation % 2
    return all_of(*(one.generation % 2 == space for one in run.active_sets()))


def search_keeps_the_cache_right(members: Any, used: SlotCopy, is_used: Any, gfn: int, **rest: Any) -> Any:
    """A lookup by way of a cache that holds a member finds what a search finds, and leaves a member in the cache."""
    looked_in = OneSet(0, members, 0, used if is_used else None)
    left, found = protocol.slot_at(looked_in, gfn)
    if not is_same(found, searched(members, gfn)):
        return False
    return left.last_used is None or has(members, left.last_used)


def replacing_keeps_the_cache_right(
    kind: Kind, members: Any, old: SlotCopy, new: SlotCopy, stand_in: int, used: SlotCopy, is_used: Any, **rest: Any
) -> Any:
    """After a replacement in a set, its cache holds a member or nothing."""
    state = idle(members, used, is_used, 0)
    change = change_of(kind, old, new, stand_in)
    edited = Writer(1).replace(state, change.old, change.new).inactive
    return edited.last_used is None or has(edited.members, edited.last_used)


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def leaves_the_other_set(self: Writer, state: TwoSets, old: SlotCopy | None, new: SlotCopy | None) -> Steps:
    return (yield from self.swap(state))


def leaves_the_cache(self: Writer, state: TwoSets, old: SlotCopy | None, new: SlotCopy | None) -> TwoSets:
    members = protocol.exchanged(state.inactive.members, old, new)
    return replace(state, inactive=replace(state.inactive, members=members))


def keeps_the_old_beside_the_new(members: Any, old: SlotCopy | None, new: SlotCopy | None) -> Any:
    return members if new is None else added(members, new)


def adds_a_stranger(members: Any, old: SlotCopy | None, new: SlotCopy | None) -> Any:
    if new is None:
        return members
    return added(added(members, new), replace(new, address=new.address + 1))


def grows_only_by_the_bit(self: Writer, state: TwoSets) -> TwoSets:
    generation = state.active.generation - IN_PROGRESS
    return replace(state, active=replace(state.active, generation=generation))


def grows_by_one(self: Writer, state: TwoSets) -> TwoSets:
    generation = state.active.generation - IN_PROGRESS + 1
    return replace(state, active=replace(state.active, generation=generation))


def cache_ignores_the_generation(cache: VcpuCache, looked_in: OneSet, gfn: int) -> tuple[VcpuCache, SlotCopy | None]:
    if cache.slot is not None and cache.slot.contains(gfn):
        return cache, cache.slot
    found = searched(looked_in.members, gfn)
    return (cache, None) if found is None else (VcpuCache(found, looked_in.generation), found)


def vcpu_asks_by_the_first_page(cache: VcpuCache, looked_in: OneSet, gfn: int) -> tuple[VcpuCache, SlotCopy | None]:
    if cache.slot is not None and cache.slot.base_gfn <= gfn and cache.generation == looked_in.generation:
        return cache, cache.slot
    found = searched(looked_in.members, gfn)
    return (cache, None) if found is None else (VcpuCache(found, looked_in.generation), found)


def goes_on_all_the_same(self: Writer, state: TwoSets, change: Change) -> Steps:
    return (yield from SET_SLOT(self, state, replace(change, prepare_fails=False)))


def stand_in_that_maps(old: SlotCopy, address: int) -> SlotCopy:
    return replace(old, address=address)


def cache_is_asked_by_its_first_page(looked_in: OneSet, gfn: int) -> tuple[OneSet, SlotCopy | None]:
    if looked_in.last_used is not None and looked_in.last_used.base_gfn <= gfn:
        return looked_in, looked_in.last_used
    found = searched(looked_in.members, gfn)
    return (looked_in, None) if found is None else (replace(looked_in, last_used=found), found)


SET_SLOT = Writer.set_slot
FORGETS_THE_OTHER_SET = Bug(
    "the other set is not brought up to date", (Patch(Writer, "activate", leaves_the_other_set),)
)
KEEPS_BOTH = Bug("the old copy stays beside the new one", (Patch(protocol, "exchanged", keeps_the_old_beside_the_new),))
STALE_CACHE = Bug("a set's cache keeps the copy that was replaced", (Patch(Writer, "replace", leaves_the_cache),))
OLD_GENERATION = Bug("the generation never grows", (Patch(Writer, "new_generation", grows_only_by_the_bit),))
SHARED_GENERATION = Bug(
    "the generation grows by one, not by the number of address spaces", (Patch(Writer, "new_generation", grows_by_one),)
)
HALF_CHECKED_VCPU = Bug(
    "of the copy that a virtual CPU cached only the first page is compared",
    (Patch(protocol, "vcpu_slot_at", vcpu_asks_by_the_first_page),),
)
GOES_ON = Bug("a change whose preparation failed goes on", (Patch(Writer, "set_slot", goes_on_all_the_same),))
BLIND_VCPU = Bug(
    "a virtual CPU's cache does not look at the generation",
    (Patch(protocol, "vcpu_slot_at", cache_ignores_the_generation),),
)
HALF_CHECKED_CACHE = Bug(
    "of the cached copy only the first page is compared",
    (Patch(protocol, "slot_at", cache_is_asked_by_its_first_page),),
)

# THEOREMS --------------------------------------------------------------------------------------------------------


def hypotheses(kind: Kind, also: Callable[..., Any] | None = None) -> Callable[..., Any]:
    def can_be_changed_so(**inputs: Any) -> Any:
        """Nothing is being changed, and then one change of this kind begins."""
        sane = can_be_changed(kind, **inputs)
        return sane if also is None else all_of(sane, also(**inputs))

    return can_be_changed_so


def claim(kind: Kind, holds: Callable[..., Any], sets_cache: bool) -> Callable[..., Any]:
    """The claim about a run. Without `sets_cache` the caches of the two sets, which play no part in it, stay empty."""

    def holds_of_the_run(**inputs: Any) -> Any:
        is_used = inputs["is_used"] if sets_cache else False
        return holds(run=run_of(kind, {**inputs, "is_used": is_used}), **inputs)

    holds_of_the_run.__wrapped__ = holds  # type: ignore[attr-defined]
    return holds_of_the_run


def for_each_kind(
    name: str,
    sentence: str,
    invariant: str,
    holds: Callable[..., Any],
    bug: Bug,
    *other_bugs: tuple[str, Bug],
    kinds: tuple[Kind, ...] = KINDS,
    bound: str = UNBOUNDED,
    also: Callable[..., Any] | None = None,
    sets_cache: bool = True,
) -> tuple[Theorem, ...]:
    """One theorem for each kind of change. `other_bugs` are for kinds in which `bug` makes no difference."""
    return tuple(
        Theorem(
            id=f"TWOSETS.{name}.{kind.name.upper().replace(' ', '_')}",
            sentence=f"{kind.name.capitalize()}: {sentence}",
            rules=("KVM.SLOT.NO_MEMORY", "KVM.SLOT.GFN_LIMIT") if kind.fails else (),
            operations=(kind.name,),
            invariant=invariant,
            inputs=any_idle_sets,
            given=hypotheses(kind, also),
            holds=claim(kind, holds, sets_cache),
            bug=dict(other_bugs).get(kind.name, bug),
            bound=bound,
        )
        for kind in kinds
    )


THEOREMS = (
    *for_each_kind(
        "AGREE",
        "both sets are alike again at the end, with the change if it succeeded and without it if it failed.",
        "sets alike when idle",
        sets_agree_when_idle,
        FORGETS_THE_OTHER_SET,
        *((kind.name, GOES_ON) for kind in FAILED_AT_ONCE),
        kinds=(*KINDS, *FAILED_AT_ONCE),
    ),
    *for_each_kind(
        "DIFFER",
        "at each step both sets have every other slot and nothing foreign, and one copy at most of the changed slot.",
        "sets differ in one slot",
        sets_differ_in_one_slot,
        KEEPS_BOTH,
        ("create", Bug("an edit adds a copy of no slot", (Patch(protocol, "exchanged", adds_a_stranger),))),
        ("delete", KEEPS_BOTH),
    ),
    *for_each_kind(
        "READER",
        "at any step a reader finds the slot as it was, as it will be, or INVALID where it was, and every other "
        "slot as it is; the cache of its set makes no difference.",
        "what a reader finds",
        reader_finds_old_new_or_invalid,
        STALE_CACHE,
        ("create", HALF_CHECKED_CACHE),
    ),
    *for_each_kind(
        "PREPARE",
        "while the writer prepares, no reader is left that finds a copy of the slot that maps anything.",
        "what a reader finds",
        nobody_finds_it_while_it_is_prepared,
        Bug("the stand-in is not marked INVALID", (Patch(protocol, "invalid_copy", stand_in_that_maps),)),
        kinds=KINDS[2:4],
    ),
    *for_each_kind(
        "VCPU",
        "a virtual CPU that fills its cache at any step never gets a stale answer from it at a later one.",
        "caches",
        vcpu_cache_is_right,
        BLIND_VCPU,
        ("create", HALF_CHECKED_VCPU),
        sets_cache=False,
    ),
    *for_each_kind(
        "GENERATION",
        "the generation grows by the number of address spaces with each swap, and readers never see one again.",
        "generations",
        generations_grow,
        OLD_GENERATION,
    ),
    *for_each_kind(
        "SPACES",
        "with two address spaces, a generation tells the address space, so that none equals another's.",
        "generations",
        generation_tells_the_space,
        SHARED_GENERATION,
        bound="two address spaces: x86 has no more",
        also=has_two_spaces,
    ),
    Theorem(
        "TWOSETS.SEARCH",
        "A lookup by way of a set's cache finds what a search finds, and leaves a member of the set in the cache.",
        (),
        ("lookup",),
        "caches",
        any_idle_sets,
        hypotheses(KINDS[1]),
        search_keeps_the_cache_right,
        HALF_CHECKED_CACHE,
    ),
    *(
        Theorem(
            f"TWOSETS.CACHE.{kind.name.upper().replace(' ', '_')}",
            f"{kind.name.capitalize()}: after the replacement in a set, its cache holds one of its members or nothing.",
            (),
            (kind.name,),
            "caches",
            any_idle_sets,
            hypotheses(kind),
            partial(replacing_keeps_the_cache_right, kind),
            STALE_CACHE,
        )
        for kind in KINDS[1:4]
    ),
)
