"""KVM_GET_DIRTY_LOG: which pages of a slot were written since the log was last taken."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spec.memslots.call import CALL_CHECKS
from spec.memslots.dirty_log import (
    BUFFER,
    LOGGED_CHECK,
    RING_CHECK,
    SLOT_WORD_CHECK,
    LogCall,
    bitmap_bytes,
)
from spec.memslots.slot import Vm, slot_named
from spec.operation import Operation
from spec.outcome import DirtyPages
from spec.pages import NO_PAGES
from spec.profile import Profile
from spec.rule import Check
from spec.sets import added, removed

# REQUEST ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GetDirtyLog(LogCall):
    """Ask for the log of one slot."""


# RULES -----------------------------------------------------------------------------------------------------------


def has_nowhere_to_write(profile: Profile, vm: Vm, request: GetDirtyLog) -> bool:
    return not request.buffer_ok


CHECKS = (
    *CALL_CHECKS,
    RING_CHECK,
    SLOT_WORD_CHECK,
    LOGGED_CHECK,
    Check(BUFFER, has_nowhere_to_write),
)

# EFFECT ----------------------------------------------------------------------------------------------------------


def effect(profile: Profile, vm: Vm, request: GetDirtyLog) -> tuple[Vm, DirtyPages]:
    """The whole log is reported, bits past the slot's end as 0. It starts anew, unless userspace clears by hand."""
    slot = slot_named(vm, request.slot)
    assert slot is not None and slot.dirty is not None
    answer = DirtyPages(slot.dirty, bitmap_bytes(slot.npages))
    if vm.manual_protect:
        return vm, answer
    slots = added(removed(vm.slots, slot), replace(slot, dirty=NO_PAGES))
    return replace(vm, slots=slots), answer


GET_DIRTY_LOG = Operation("get_dirty_log", GetDirtyLog, CHECKS, effect, changes_state=True)
