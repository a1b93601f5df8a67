"""The machines do to slots what the specification does: the commuting square of a change of slots, for both machines.

The machine's own code runs from the request to the outcome: it decides what kind of change a request is, allocates,
binds, walks through all steps, rolls back, gives back. For any number of slots in any number of address spaces, all
logs included; what trees and arrays answer is theirs to prove (`proofs/machines.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from model.memslots import machine
from model.memslots.array import ArrayWriter
from model.memslots.machine import REGION_ARGUMENTS, Machine
from model.memslots.memory import Memory
from model.memslots.protocol import NO_BITMAP, Change, SlotCopy, TwoSets, Writer
from proofs.machines import Start, copies_after, ran, vm_of
from proofs.squares import (
    any_request,
    copy_named,
    is_accepted,
    is_idle,
    is_memory_in_order,
    is_rejected,
    nothing_changes,
    slots_are_as_before,
    square,
)
from proofs.symbolic.boolean import all_of, merged, negation
from proofs.theorem import Bug, Patch, Theorem
from proofs.world import World
from spec.memslots import set_region as region
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import LOG_DIRTY_PAGES, has_flag, id_of, space_of
from spec.outcome import Rejected
from spec.pages import NO_PAGES
from spec.sets import only
from spec.step import operation_of
from spec.units import U16_MAX, address_of

LATEST_FAILURE = 2**63  # far more allocations than any change makes: one that is not reached does not fail

DECIDED_BY_KIND = (
    region.DELETE_EXISTS,
    region.MEMFD_FIXED,
    region.HVA_FIXED,
    region.SIZE_FIXED,
    region.READONLY_FIXED,
)

# HYPOTHESES AND CLAIMS -------------------------------------------------------------------------------------------


def has_good_arguments(start: Start, request: SetRegion, **rest: Any) -> Any:
    """Nothing is wrong with the request as such: the slot is looked up next."""
    vm = vm_of(start)
    broken = (merged(check.is_broken)(start.profile, vm, request) for check in REGION_ARGUMENTS)
    return all_of(is_idle(start, **rest), *(negation(claim) for claim in broken))


def kind_says_what_the_rules_say(start: Start, request: SetRegion, **rest: Any) -> Any:
    """The model rejects by a rule about the existing slot exactly if the specification does, and by the same rule."""
    vm = vm_of(start)
    space, number = space_of(request.slot), id_of(request.slot)
    old = only(start.copies, lambda copy: copy.space == space and copy.id == number)
    kind = machine.kind_of(request, old)
    broken = {check.rule: check.is_broken(start.profile, vm, request) for check in operation_of(request).checks}
    rules = [rule for rule in broken if rule in DECIDED_BY_KIND]
    if not isinstance(kind, Rejected):
        return all_of(*(negation(broken[rule]) for rule in rules))
    place = rules.index(kind.rule)
    return all_of(broken[kind.rule], *(negation(broken[rule]) for rule in rules[:place]))


def any_request_and_name(world: World) -> dict[str, Any]:
    """Any machine and request, and the name of a slot."""
    names = {name: world.integer(name, 0, U16_MAX) for name in ("space", "number")}
    return SAME_INPUTS(world) | names


def bindings_are_those_of_the_slots(start: Start, request: SetRegion, space: int, number: int, **rest: Any) -> Any:
    """The trees of the guest memory files hold of each slot the range that it is bound to, and the index knows it."""
    made, _ = ran("tree", start, request)
    return merged(is_bound_as_it_says)(made, start, space, number)


def is_bound_as_it_says(made: Machine, start: Start, space: int, number: int) -> Any:
    bindings: Any = made.bindings
    held, place = bindings.range_of((space, number)), bindings.place_of((space, number))
    copy = copy_named(copies_after(made, start), space, number)
    if copy is None or copy.memfd < 0:
        return held is None and place is None
    if held is None or place is None:
        return False
    first = copy.memfd_page
    return all_of(held[0] == copy.memfd, held[1] == first, held[2] == first + copy.npages - 1)


def any_failing_request(world: World) -> dict[str, Any]:
    """Any machine and request, and which allocation from now on fails: one that the change makes, or a later one."""
    return any_request_and_name(world) | {"fail_at": world.integer("fail_at", 1, LATEST_FAILURE)}


def nothing_is_lost_or_left(kind: str, start: Start, request: SetRegion, fail_at: int, **rest: Any) -> Any:
    """For want of memory the change is refused, nothing is different after it, and nothing is left allocated."""
    start = replace(start, fail_at=fail_at)
    made, answer = ran(kind, start, request)
    if not isinstance(answer, Rejected):
        return made.memory.fail_at is not None  # it did not need that much
    return all_of(
        answer.rule is region.NO_MEMORY,
        slots_are_as_before(made, start, rest["other"], rest["page"]),
        is_memory_in_order(made, start, rest["address"]),
        merged(is_bound_as_it_says)(made, start, rest["space"], rest["number"]),
    )


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def size_may_change(request: SetRegion, old: SlotCopy | None) -> Any:
    if old is not None and request.size > 0:
        return KIND_OF(SetRegion(**{**vars(request), "size": address_of(old.npages)}), old)
    return KIND_OF(request, old)


def nothing_is_in_the_way(self: Machine, request: SetRegion) -> bool:
    return False


def every_change_gets_a_new_bitmap(self: Machine, old: SlotCopy | None, new: SlotCopy) -> int:
    if not has_flag(new.flags, LOG_DIRTY_PAGES) or self.settings.dirty_ring > 0:
        return NO_BITMAP
    return self.memory.allocate_bitmap(NO_PAGES)


def rolls_nothing_back(self: Writer, state: TwoSets, change: Change) -> Any:
    return state
    yield  # a generator of no steps


def array_is_published_all_the_same(self: Any, state: TwoSets, change: Change) -> Any:
    return (yield from ARRAY_SET_SLOT(self, state, replace(change, prepare_fails=False)))


def keeps_what_it_should_free(self: Memory, address: int) -> None:
    return None


KIND_OF = machine.kind_of
ARRAY_SET_SLOT = ArrayWriter.set_slot
IN_THE_WAY = Bug("what is in the way is not looked for", (Patch(Machine, "_is_in_the_way", nothing_is_in_the_way),))
NEW_BITMAP = Bug(
    "every change that logs gets a new, empty bitmap",
    (Patch(Machine, "bitmap_for", every_change_gets_a_new_bitmap),),
)
ROLLS_NOTHING_BACK = Bug("nothing is rolled back", (Patch(Writer, "roll_back", rolls_nothing_back),))
PUBLISHED_ALL_THE_SAME = Bug(
    "the changed array is published although the preparation failed",
    (Patch(ArrayWriter, "set_slot", array_is_published_all_the_same),),
)
UNBOUND = Bug("what a slot was bound to stays bound", (Patch(Machine, "_unbind", lambda self, space, number: None),))
NOT_FREED = Bug(
    "the bitmap of a failed change is not given back",
    (Patch(Machine, "free_fresh_bitmap", lambda self, old, bitmap: None),),
)
LEAK = Bug("no bitmap is given back", (Patch(Memory, "free_bitmap", keeps_what_it_should_free),))

# THEOREMS --------------------------------------------------------------------------------------------------------

RULES = tuple(check.rule.id for check in region.CHECKS)
SAME_INPUTS = any_request("set_region")


def about(
    name: str,
    sentence: str,
    given: Callable[..., Any],
    holds: Callable[..., Any],
    bug: Bug,
    inputs: Callable[[World], dict[str, Any]] = SAME_INPUTS,
) -> Theorem:
    return Theorem(
        f"REFINES.SET_REGION.{name}",
        sentence,
        RULES,
        ("set_region",),
        "refines the spec",
        inputs,
        given,
        holds,
        bug,
    )


def for_a_machine(kind: str, accepted: Bug, rejected: Bug, no_memory: Bug) -> tuple[Theorem, ...]:
    return (
        about(
            f"ACCEPTED.{kind.upper()}",
            f"Where the specification accepts a change so does the {kind} machine; after all its steps the slots are "
            "the specification's, in every address space, each with its log page for page, and it has exactly the "
            "bitmaps that its slots have.",
            is_accepted,
            partial(square, kind),
            accepted,
        ),
        about(
            f"REJECTED.{kind.upper()}",
            f"Where the specification rejects a change so does the {kind} machine, by the same rule, the first that is "
            "broken; slots, logs and bitmaps are then what they were, also where half of it was done.",
            is_rejected,
            partial(nothing_changes, kind),
            rejected,
        ),
        about(
            f"NO_MEMORY.{kind.upper()}",
            f"Whichever allocation fails, the {kind} machine refuses the change for want of memory; slots, logs and "
            "bindings are then what they were, and no bitmap is left over.",
            is_accepted,
            partial(nothing_is_lost_or_left, kind),
            no_memory,
            any_failing_request,
        ),
    )


THEOREMS = (
    *for_a_machine("tree", LEAK, ROLLS_NOTHING_BACK, NOT_FREED),
    *for_a_machine("array", NEW_BITMAP, IN_THE_WAY, PUBLISHED_ALL_THE_SAME),
    about(
        "BINDINGS",
        "After any change, accepted or not, guest memory files hold exactly the ranges that slots are bound to (of the "
        "tree machine: kernels with arrays have no such files).",
        is_idle,
        bindings_are_those_of_the_slots,
        UNBOUND,
        any_request_and_name,
    ),
    replace(
        about(
            "KIND",
            "The models reject a request for what it would change of its slot exactly where the specification does, by "
            "the same rule.",
            has_good_arguments,
            kind_says_what_the_rules_say,
            Bug("the size may change", (Patch(machine, "kind_of", size_may_change),)),
        ),
        id="REFINES.KIND",
    ),
)
