"""What a reader of the sorted array finds while the writer copies, changes and publishes it, step by step.

As `TWOSETS.*`, for the writer of the older kernels. There a reader is in the published array, or, until the grace
period is over, in the one that was published before. Nobody is in the copy that the writer changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import model.memslots.protocol as protocol
from model.memslots import array
from model.memslots.array import ArrayWriter
from model.memslots.protocol import OneSet, SlotCopy, Steps, TwoSets, searched
from proofs.copyable import Copyable
from proofs.symbolic.boolean import all_of, any_of, implies, merged
from proofs.theorem import Bug, Patch, Theorem
from proofs.theorems.two_sets import (
    FAILED_AT_ONCE,
    KINDS,
    Kind,
    any_idle_sets,
    change_of,
    finds,
    finds_stand_in,
    has_another_number,
    hypotheses,
    run,
)

# CLAIMS ----------------------------------------------------------------------------------------------------------


def reader_finds_old_new_or_invalid(
    kind: Kind, members: Any, old: SlotCopy, new: SlotCopy, stand_in: int, generation: int, gfn: int, **rest: Any
) -> Any:
    """In the published array, and in the one before while a reader may be in it; at the end what was asked for."""
    start = TwoSets(OneSet(0, Copyable(members), generation), array.no_array(1))
    change = change_of(kind, old, new, stand_in)
    steps, end = run(ArrayWriter(rest["spaces"]).set_slot(start, change))
    before = searched(members, gfn)
    after = searched(protocol.exchanged(members, change.old, change.new), gfn)
    is_other = before is not None and merged(has_another_number)(before, change)
    claims = []
    for one in readable(start, *(step.state for step in steps), end):
        as_before, as_after = (merged(finds)(one, gfn, wanted) for wanted in (before, after))
        claims.append(any_of(as_before, as_after, merged(finds_stand_in)(one, gfn, change)))
        claims.append(implies(is_other, as_before))
    claims.append(merged(finds)(end.active, gfn, before if change.fails() else after))
    return all_of(not end.waiting, *claims)


def readable(*states: TwoSets) -> list[OneSet]:
    """The arrays in which a reader may be, each once."""
    ones = [one for state in states for one in ((state.active, state.inactive) if state.waiting else (state.active,))]
    return list({id(one.members): one for one in ones}.values())


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def one_page_too_long(self: Any, state: TwoSets, old: SlotCopy | None, new: SlotCopy | None) -> TwoSets:
    longer = None if new is None else replace(new, npages=new.npages + 1)
    return REPLACE(self, state, old, longer)


def deletes_nothing(self: Any, state: TwoSets, old: SlotCopy | None, new: SlotCopy | None) -> TwoSets:
    return state if new is None else REPLACE(self, state, old, new)


def goes_on_all_the_same(self: Any, state: TwoSets, change: Any) -> Steps:
    return (yield from SET_SLOT(self, state, replace(change, prepare_fails=False)))


REPLACE, SET_SLOT = ArrayWriter.replace, ArrayWriter.set_slot
TOO_LONG = Bug("what is published is a page too long", (Patch(ArrayWriter, "replace", one_page_too_long),))
DELETES_NOTHING = Bug("a deleted slot stays", (Patch(ArrayWriter, "replace", deletes_nothing),))
GOES_ON = Bug("a change whose preparation failed goes on", (Patch(ArrayWriter, "set_slot", goes_on_all_the_same),))

# THEOREMS --------------------------------------------------------------------------------------------------------


def about(kind: Kind, bug: Bug, given: Callable[..., Any]) -> Theorem:
    return Theorem(
        f"ARRAY.READER.{kind.name.upper().replace(' ', '_')}",
        f"{kind.name.capitalize()}: at any step a reader of an array finds the slot as it was, as it will be, or "
        "INVALID where it was, and every other slot as it is; at the end the change is there if it succeeded and not "
        "if it failed.",
        ("KVM.SLOT.NO_MEMORY", "KVM.SLOT.GFN_LIMIT") if kind.fails else (),
        (kind.name,),
        "what a reader finds",
        any_idle_sets,
        given,
        partial(reader_finds_old_new_or_invalid, kind),
        bug,
    )


THEOREMS = tuple(
    about(kind, GOES_ON if kind.fails else DELETES_NOTHING if kind.name == "delete" else TOO_LONG, hypotheses(kind))
    for kind in (*KINDS, *FAILED_AT_ONCE)
)
