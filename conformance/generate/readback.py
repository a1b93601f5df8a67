"""Reading the state back: in ways that a real kernel can be asked, and by `observe` for those who can answer it.

A kernel shows where a slot is by what a write reaches, that it ends there by what a write does not reach, and its log
by reporting it. Only backings have real memory, so writes go only where they reach a backing, a read-only slot, or
nothing.
"""

from __future__ import annotations

from typing import Any

from conformance import backings
from spec.memslots.access import GUEST_SPACE, GuestWrite, pieces_by_page
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import Observe, in_order, slot_holding
from spec.memslots.slot import Slot, Vm
from spec.units import PAGE_SIZE, U64

WRITE_LENGTH = 12  # bytes: what the kernel writes for the guest's clock
LAST_OFFSET = 4092  # of such a write within a page


def has_real_memory(slot: Slot, gpa: int) -> bool:
    """Whether the page of a guest byte lies in a backing."""
    page = slot.hva_of(gpa // PAGE_SIZE * PAGE_SIZE)
    return backings.name(page) is not None and backings.name(page + PAGE_SIZE - 1) is not None


def can_be_written(vm: Vm, gpa: int) -> bool:
    """Whether every target can be asked for this write: no page that it reaches is without real memory."""
    if gpa <= 0 or gpa + WRITE_LENGTH > U64 or gpa % PAGE_SIZE > LAST_OFFSET:
        return False
    for first, _ in pieces_by_page(gpa, WRITE_LENGTH):
        slot = slot_holding(vm, GUEST_SPACE, first)
        if slot is not None and not slot.is_read_only() and not has_real_memory(slot, first):
            return False
    return True


def probes(vm: Vm, slot: Slot) -> list[int]:
    """Guest addresses that show where a slot begins and ends."""
    first, last = slot.first_gpa(), slot.last_gpa()
    near = (first, last - WRITE_LENGTH + 1, first - WRITE_LENGTH, last + 1)
    if first == 0:
        near = (0x10, last - WRITE_LENGTH + 1, last + 1, last + 1)
    return [gpa for gpa in dict.fromkeys(near) if can_be_written(vm, gpa)]


def slot_word(slot: Slot) -> int:
    return slot.space * 2**16 + slot.id


def logs(vm: Vm) -> list[Any]:
    return [GetDirtyLog(slot=slot_word(slot)) for slot in in_order(vm) if slot.logs_dirty_pages()]


def read_back(vm: Vm, about: int | None = None) -> list[Any]:
    """Requests that show the state: slots as a whole, where each one is, and what its log says.

    With `about`, a slot word, only that slot is looked for (or the first one, where there is none), and of the others
    only what `observe` and their logs say.
    """
    slots = in_order(vm)[:3]
    if about is not None and slots:
        slots = [slot for slot in vm.slots if slot_word(slot) == about] or slots[:1]
    seen: dict[int, None] = {}
    for slot in slots:
        if slot.space == GUEST_SPACE:
            seen.update(dict.fromkeys(probes(vm, slot)))
    return [Observe(), *(GuestWrite(gpa=gpa) for gpa in seen), *logs(vm)]
