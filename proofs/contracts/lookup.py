"""Contracts of `spec.memslots.lookup`: which slot an access finds."""

from __future__ import annotations

from spec.memslots.lookup import MAPPED, WRITABLE, access_stops_at, slot_holding
from spec.memslots.slot import READONLY, Slot, Vm
from spec.units import U64_MAX  # noqa: F401 - the contracts name it

LOW = Slot(space=0, id=1, base_gfn=5, npages=4, hva=2**20, flags=0)
SYSTEM = Slot(space=1, id=1, base_gfn=5, npages=2, hva=2**30, flags=READONLY)
BOTH = Vm(slots=frozenset({LOW, SYSTEM}))  # at the same guest pages, in different address spaces


def a_lookup_finds_the_slot_of_its_own_space(space: int, gpa: int) -> bool:
    """
    pre: 0 <= space <= 2 and 0 <= gpa <= U64_MAX
    post: __return__
    """
    found = slot_holding(BOTH, space, gpa)
    if space == 0:
        return (found is not None) == (5 * 4096 <= gpa < 9 * 4096) and found in (None, LOW)
    return (found is not None) == (space == 1 and 5 * 4096 <= gpa < 7 * 4096) and found in (None, SYSTEM)


def only_writes_are_kept_out_of_a_read_only_slot(space: int, gpa: int, write: bool) -> bool:
    """
    pre: 0 <= space <= 1 and 0 <= gpa <= U64_MAX
    post: __return__
    """
    rule = access_stops_at(BOTH, space, gpa, write)
    if not 5 * 4096 <= gpa < (7 if space == 1 else 9) * 4096:
        return rule is MAPPED
    return rule is (WRITABLE if write and space == 1 else None)
