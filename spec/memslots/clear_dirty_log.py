"""KVM_CLEAR_DIRTY_LOG: take pages that userspace has dealt with out of a slot's log.

It works whether or not userspace asked to clear by hand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from spec.memslots.call import CALL_CHECKS
from spec.memslots.dirty_log import (
    BUFFER,
    LOGGED_CHECK,
    RING_CHECK,
    SLOT_WORD_CHECK,
    LogCall,
)
from spec.memslots.slot import Vm, slot_named
from spec.operation import Operation
from spec.outcome import Done
from spec.pages import NO_PAGES, Pages
from spec.profile import Profile
from spec.rule import Check, Rule
from spec.sets import added, removed
from spec.units import PAGES_PER_WORD, rounded_up

# REQUEST ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClearDirtyLog(LogCall):
    """Clear pages among first_page .. first_page + num_pages - 1 of the slot.

    `cleared` are the bits set in the caller's bitmap; bit 0 of it stands for `first_page`. The bitmap is read in whole
    64-bit words, so bits up to the next multiple of 64 after `num_pages` count; any past them are not read.
    """

    first_page: int = 0
    num_pages: int = 0
    cleared: Pages = NO_PAGES


# RULES -----------------------------------------------------------------------------------------------------------

FIRST_ALIGNED = Rule(
    id="KVM.CLEAR.FIRST_ALIGNED",
    sentence="The first page must be a multiple of 64.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c kvm_clear_dirty_log_protect",
)
FIRST_INSIDE = Rule(
    id="KVM.CLEAR.FIRST_INSIDE",
    sentence="The first page must not be past the slot's end.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c kvm_clear_dirty_log_protect",
)
COUNT_INSIDE = Rule(
    id="KVM.CLEAR.COUNT_INSIDE",
    sentence="The pages must not reach past the slot's end.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c kvm_clear_dirty_log_protect",
)
COUNT_ALIGNED = Rule(
    id="KVM.CLEAR.COUNT_ALIGNED",
    sentence="The number of pages must be a multiple of 64, unless they reach to the slot's end.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c kvm_clear_dirty_log_protect",
)


def first_is_unaligned(profile: Profile, vm: Vm, request: ClearDirtyLog) -> bool:
    return request.first_page % PAGES_PER_WORD != 0


def first_is_outside(profile: Profile, vm: Vm, request: ClearDirtyLog) -> bool:
    slot = slot_named(vm, request.slot)
    return slot is not None and request.first_page > slot.npages


def count_is_outside(profile: Profile, vm: Vm, request: ClearDirtyLog) -> bool:
    slot = slot_named(vm, request.slot)
    return slot is not None and request.first_page + request.num_pages > slot.npages


def count_is_unaligned(profile: Profile, vm: Vm, request: ClearDirtyLog) -> bool:
    slot = slot_named(vm, request.slot)
    return (
        slot is not None
        and request.num_pages % PAGES_PER_WORD != 0
        and request.first_page + request.num_pages != slot.npages
    )


def has_nowhere_to_read(profile: Profile, vm: Vm, request: ClearDirtyLog) -> bool:
    # Nothing is read for no pages.
    return not request.buffer_ok and request.num_pages > 0


CHECKS = (
    *CALL_CHECKS,
    RING_CHECK,
    SLOT_WORD_CHECK,
    Check(FIRST_ALIGNED, first_is_unaligned),
    LOGGED_CHECK,
    Check(FIRST_INSIDE, first_is_outside),
    Check(COUNT_INSIDE, count_is_outside),
    Check(COUNT_ALIGNED, count_is_unaligned),
    Check(BUFFER, has_nowhere_to_read),
)

# EFFECT ----------------------------------------------------------------------------------------------------------


def bits_read(request: ClearDirtyLog) -> Pages:
    """Those of the caller's bits that are in the words that are read."""
    end = rounded_up(request.num_pages, PAGES_PER_WORD)
    return request.cleared.below(end)


def effect(profile: Profile, vm: Vm, request: ClearDirtyLog) -> tuple[Vm, Done]:
    """The pages whose bits were read as set are clean, all others stay as they are."""
    slot = slot_named(vm, request.slot)
    assert slot is not None and slot.dirty is not None
    dirty = slot.dirty.without(bits_read(request).moved_up(request.first_page))
    slots = added(removed(vm.slots, slot), replace(slot, dirty=dirty))
    return replace(vm, slots=slots), Done()


CLEAR_DIRTY_LOG = Operation("clear_dirty_log", ClearDirtyLog, CHECKS, effect, changes_state=True)
