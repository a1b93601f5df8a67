"""The values of the memslot line: a slot, a guest memory file, a virtual machine.

A *slot* says that a run of guest pages lives at a run of host addresses. A VM has one set of slots for each
*address space*; slots are named by a number within it. In requests both come as one 32-bit word: the address
space in the upper half, the number in the lower.
"""

from __future__ import annotations

from dataclasses import dataclass

from spec.pages import Pages
from spec.sets import only
from spec.units import U16_MAX, address_of, ranges_touch

LOG_DIRTY_PAGES = 1
READONLY = 2
GUEST_MEMFD = 4

NO_FILE = -1  # a file number that names no open file
NOT_A_GUEST_MEMFD = -2  # an open file of another kind
FILE_OF_ANOTHER_VM = -3  # a guest memory file that was made for another VM


def has_flag(flags: int, flag: int) -> bool:
    """Whether one of the flags above is set."""
    return flags // flag % 2 == 1


def space_of(slot_word: int) -> int:
    """The address space that a request's slot word names: its upper half."""
    return slot_word // (U16_MAX + 1)


def id_of(slot_word: int) -> int:
    """The slot number that a request's slot word names: its lower half."""
    return slot_word % (U16_MAX + 1)


@dataclass(frozen=True)
class Slot:
    """Guest pages base_gfn .. base_gfn + npages - 1 live at host bytes hva, hva + 1, …

    `dirty` holds the pages (relative to the slot) that are marked in its log: by a write, or because the log began
    with every page set, and not taken out since. It is None when no log is kept. A slot bound to a guest memory file
    names it in `memfd`, from page `memfd_page` of it on; otherwise `memfd` is NO_FILE.
    """

    space: int
    id: int
    base_gfn: int
    npages: int
    hva: int
    flags: int
    dirty: Pages | None = None
    memfd: int = NO_FILE
    memfd_page: int = 0

    def last_gfn(self) -> int:
        """The last guest page of the slot."""
        return self.base_gfn + self.npages - 1

    def contains(self, gfn: int) -> bool:
        """Whether a guest page belongs to the slot."""
        return self.base_gfn <= gfn <= self.last_gfn()

    def touches(self, first_gfn: int, last_gfn: int) -> bool:
        """Whether the slot has a guest page in first_gfn..last_gfn."""
        return ranges_touch(self.base_gfn, self.last_gfn(), first_gfn, last_gfn)

    def first_gpa(self) -> int:
        """The guest address of the slot's first byte."""
        return address_of(self.base_gfn)

    def last_gpa(self) -> int:
        """The guest address of the slot's last byte."""
        return address_of(self.base_gfn + self.npages) - 1

    def last_hva(self) -> int:
        """The host address of the slot's last byte."""
        return self.hva + address_of(self.npages) - 1

    def hva_of(self, gpa: int) -> int:
        """The host address of a guest byte of the slot."""
        return self.hva + (gpa - self.first_gpa())

    def is_read_only(self) -> bool:
        """Whether guest writes are kept out of the slot's memory."""
        return has_flag(self.flags, READONLY)

    def logs_dirty_pages(self) -> bool:
        """Whether the slot was asked to log which pages are written."""
        return has_flag(self.flags, LOG_DIRTY_PAGES)


@dataclass(frozen=True)
class GuestMemfd:
    """A guest memory file of this VM: its number and its size in pages.

    Files stay open: what closing one does to the slots on it is not specified here.
    """

    file: int
    npages: int


@dataclass(frozen=True)
class Vm:
    """All that a VM's memory slots depend on.

    `slots` is a set of Slot over all address spaces. `manual_protect` says that reading the dirty log leaves it as
    it is (userspace clears it), `initially_dirty` that a new log starts with all pages set. `dirty_ring` is
    the size in bytes of the ring that replaces the bitmaps, 0 for none; it can be chosen until the first
    virtual CPU exists (`has_vcpu`). `memfds` is a set of GuestMemfd.
    """

    slots: frozenset[Slot] = frozenset()
    manual_protect: bool = False
    initially_dirty: bool = False
    dirty_ring: int = 0
    has_vcpu: bool = False
    memfds: frozenset[GuestMemfd] = frozenset()


EMPTY_VM = Vm()


def slot_named(vm: Vm, slot_word: int) -> Slot | None:
    """The slot of this address space and number, or None. There is at most one."""
    space, slot_id = space_of(slot_word), id_of(slot_word)
    found: Slot | None = only(vm.slots, lambda slot: slot.space == space and slot.id == slot_id)
    return found
