"""What both machines share: requests come in, outcomes go out, and in between every visible step can be watched.

A machine decides about slots with lookups of its own: which slot has this number, what is in the way, what holds this
guest page. Checks that look at the request alone, and the VM's switches, are those of the spec.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from dataclasses import replace
from itertools import takewhile
from typing import Any, Protocol

from model.interval_tree import Interval, IntervalTree
from model.memslots.memory import Memory, OutOfMemory
from model.memslots.protocol import (
    CREATE,
    DELETE,
    FLAGS_ONLY,
    MOVE,
    NO_BITMAP,
    Change,
    OneSet,
    SlotCopy,
    Step,
    TwoSets,
    Writer,
    slot_of,
    some_of,
    usable,
)
from model.rbtree import Node
from spec.memslots import dirty_log, lookup
from spec.memslots import set_region as region
from spec.memslots.access import GUEST_SPACE, GuestWrite, VcpuRead, VcpuWrite, pieces_by_page
from spec.memslots.call import CALL_CHECKS
from spec.memslots.clear_dirty_log import (
    COUNT_ALIGNED,
    COUNT_INSIDE,
    FIRST_ALIGNED,
    FIRST_INSIDE,
    ClearDirtyLog,
    first_is_unaligned,
    has_nowhere_to_read,
)
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import FindSlot, HvaRange, Lookup, Observe
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import (
    EMPTY_VM,
    FILE_OF_ANOTHER_VM,
    LOG_DIRTY_PAGES,
    NO_FILE,
    NOT_A_GUEST_MEMFD,
    READONLY,
    GuestMemfd,
    Slot,
    Vm,
    has_flag,
    id_of,
    space_of,
)
from spec.outcome import (
    DirtyPages,
    Done,
    GuestRange,
    GuestRanges,
    Located,
    Mmio,
    Outcome,
    Rejected,
    Segment,
    Slots,
    Touched,
    Written,
)
from spec.pages import NO_PAGES, all_pages
from spec.profile import Profile
from spec.rule import Rule, first_broken
from spec.sets import only
from spec.step import step as spec_step
from spec.units import PAGES_PER_WORD, address_of, page_of

Watched = Generator[Step, None, Outcome]  # yields the visible steps of a request, returns its outcome

# The rules about the request alone: all that come before the slot is looked up.
REGION_ARGUMENTS = tuple(takewhile(lambda check: check.rule is not region.DELETE_EXISTS, region.CHECKS))
LOG_CHECKS = (*CALL_CHECKS, dirty_log.RING_CHECK, dirty_log.SLOT_WORD_CHECK)


class Members(Protocol):
    """What a machine asks of the slots of one set."""

    def by_id(self, slot_id: int) -> SlotCopy | None:
        """The copy with this number."""

    def in_gfn_range(self, first: int, last: int) -> Iterator[SlotCopy]:
        """The copies with a guest page in first..last. To be asked with `some_of`, or walked."""

    def in_hva_range(self, first: int, last: int) -> Iterator[SlotCopy]:
        """The copies with a host byte in first..last."""

    def in_gfn_order(self) -> list[SlotCopy]:
        """All copies, lowest guest page first."""


class Machine(ABC):
    """A VM's memory slots as one kind of kernel keeps them."""

    def __init__(self, profile: Profile, writer: Writer, spaces: list[TwoSets]) -> None:
        self.profile = profile
        self.writer = writer
        self.spaces = spaces
        self.memory = Memory()
        self.settings = EMPTY_VM  # the VM without its slots: switches and guest memory files
        self.bound: dict[int, IntervalTree] = {}  # of each guest memory file, the ranges that slots hold
        self.bindings: dict[tuple[int, int], tuple[IntervalTree, Node]] = {}  # by address space and slot number

    # What kernels do differently ---------------------------------------------------------------------------------

    @abstractmethod
    def search(self, looked_in: OneSet, gfn: int) -> tuple[SlotCopy | None, Any]:
        """The copy in a set that holds a guest page, and what to remember of the search (None for nothing)."""

    @abstractmethod
    def remember(self, space: int, number: int, found: Any) -> None:
        """Put what a search found into the cache of the set with this number, where it still exists."""

    @abstractmethod
    def caches(self, space: int) -> tuple[Any, Any]:
        """What the caches of the active and of the other set hold: all that readers can change of a set."""

    @abstractmethod
    def planned(self, kind: str, old: SlotCopy | None, new: SlotCopy | None) -> tuple[Change, Rule | None]:
        """Allocate what a change needs, in this kernel's order: the change, and the rule it will fail by.

        Raises OutOfMemory when there is nothing to undo yet.
        """

    # Requests ----------------------------------------------------------------------------------------------------

    def apply(self, request: Any) -> Outcome:
        """One request from start to end."""
        watched = self.steps(request)
        while True:
            try:
                next(watched)
            except StopIteration as done:
                outcome: Outcome = done.value
                return outcome

    def steps(self, request: Any) -> Watched:
        """One request step by step: readers may look whenever it yields. Run it to its end."""
        if isinstance(request, SetRegion):
            return (yield from self._set_region(request))
        return self._at_once(request)

    def _at_once(self, request: Any) -> Outcome:
        """A request that changes no set of slots."""
        match request:
            case GetDirtyLog():
                return self._get_dirty_log(request)
            case ClearDirtyLog():
                return self._clear_dirty_log(request)
            case GuestWrite():
                return self._guest_write(request)
            case VcpuRead():
                return self._vcpu_read(request)
            case VcpuWrite():
                return self._vcpu_write(request)
            case Lookup():
                return self._lookup(request)
            case FindSlot():
                return self._find_slot(request)
            case HvaRange():
                return self._hva_range(request)
            case Observe():
                return Slots(tuple(lookup.view(slot) for slot in lookup.in_order(self.vm())))
        self.settings, outcome = spec_step(self.profile, self.settings, request)
        return outcome

    def vm(self) -> Vm:
        """The state as the spec has it. To be asked only between requests."""
        slots = [self._abstract(copy) for space in self.spaces for copy in space.active.members.in_gfn_order()]
        return replace(self.settings, slots=frozenset(slots))

    def _abstract(self, copy: SlotCopy) -> Slot:
        """A copy as the spec has it."""
        assert not copy.invalid, "a slot is INVALID although no request is under way"
        return slot_of(copy, None if copy.bitmap == NO_BITMAP else self.memory.bitmaps[copy.bitmap])

    # Readers -----------------------------------------------------------------------------------------------------

    def begin(self, space: int) -> int:
        """A reader begins: the number of the set that it uses until it is done."""
        return self.spaces[space].active.number

    def numbered(self, space: int, number: int) -> OneSet:
        """The set with this number. Raises LookupError when it is gone."""
        for one in (self.spaces[space].active, self.spaces[space].inactive):
            if one.number == number:
                return one
        raise LookupError(f"set {number} of address space {space} was freed while a reader was using it")

    def look_up(self, space: int, gfn: int) -> SlotCopy | None:
        """The copy that an access to a guest page finds, by way of the set's cache; None also for an INVALID one."""
        if space >= self.profile.address_spaces:
            return None
        looked_in = self.spaces[space].active
        found, to_remember = self.search(looked_in, gfn)
        if to_remember is not None:
            self.remember(space, looked_in.number, to_remember)
        return self.usable(found)

    def vcpu_look_up(self, gfn: int) -> SlotCopy | None:
        """The same for the virtual CPU that requests run on, which may have a cache of its own."""
        return self.look_up(GUEST_SPACE, gfn)

    def usable(self, found: SlotCopy | None) -> SlotCopy | None:
        """What an access makes of a search's answer: None for an INVALID copy."""
        return usable(found)

    # Slots -------------------------------------------------------------------------------------------------------

    def _named(self, slot_word: int) -> SlotCopy | None:
        space = space_of(slot_word)
        if space >= self.profile.address_spaces:
            return None
        members: Members = self.spaces[space].active.members
        return members.by_id(id_of(slot_word))

    def _set_region(self, request: SetRegion) -> Watched:
        rule = first_broken(REGION_ARGUMENTS, self.profile, EMPTY_VM, request)
        if rule is not None:
            return Rejected(rule)
        old = self._named(request.slot)
        kind = kind_of(request, old)
        if not isinstance(kind, str):
            return kind
        if kind in (CREATE, MOVE) and self._is_in_the_way(request):
            return Rejected(region.OVERLAP)
        try:
            new = None if kind == DELETE else self._new_copy(request)
            rule = self._bind(request) if kind == CREATE else None
            if rule is not None:
                return Rejected(rule)
            change, rule = self.planned(kind, old, new)
        except OutOfMemory:
            self._undo_bind(kind, request)
            return Rejected(region.NO_MEMORY)

        yield from self._change(space_of(request.slot), change)
        if rule is not None:
            self._undo_bind(kind, request)
            return Rejected(rule)
        self._commit(change)
        return Done()

    def _change(self, space: int, change: Change) -> Generator[Step, None, None]:
        """Let the writer work. What readers did to the caches between two steps is part of the state."""
        steps = self.writer.set_slot(self.spaces[space], change)
        try:
            step = next(steps)
            while True:
                self.spaces[space] = step.state
                yield step
                step = steps.send(self.spaces[space])
        except StopIteration as done:
            self.spaces[space] = done.value

    def _is_in_the_way(self, request: SetRegion) -> bool:
        """Whether another slot has a guest page of the request's range."""
        members: Members = self.spaces[space_of(request.slot)].active.members
        first = page_of(request.gpa)
        found = members.in_gfn_range(first, first + page_of(request.size) - 1)
        return some_of(found, lambda copy: copy.id != id_of(request.slot))

    def _new_copy(self, request: SetRegion) -> SlotCopy:
        wants_memfd = region.wants_memfd(request)
        return SlotCopy(
            address=self.memory.allocate(),
            space=space_of(request.slot),
            id=id_of(request.slot),
            base_gfn=page_of(request.gpa),
            npages=page_of(request.size),
            hva=request.hva,
            flags=request.flags,
            memfd=request.memfd if wants_memfd else NO_FILE,
            memfd_page=page_of(request.memfd_offset) if wants_memfd else 0,
        )

    def bitmap_for(self, old: SlotCopy | None, new: SlotCopy) -> int:
        """The bitmap that a new copy gets: the old one's while logging stays on, else a new one, or none."""
        if not has_flag(new.flags, LOG_DIRTY_PAGES):
            return NO_BITMAP
        if old is not None and old.bitmap != NO_BITMAP:
            return old.bitmap
        if self.settings.dirty_ring > 0:
            return NO_BITMAP
        return self.memory.allocate_bitmap(all_pages(new.npages) if self.settings.initially_dirty else NO_PAGES)

    def arch_prepare(self, kind: str, new: SlotCopy | None) -> Rule | None:
        """The processor's part of the preparation: the rule that a new or moved slot breaks, or None."""
        if new is None or kind == FLAGS_ONLY:
            return None
        if ends_too_high(self.profile, new):
            return region.GFN_LIMIT
        try:
            self.memory.allocate()  # metadata for each page
        except OutOfMemory:
            return region.NO_MEMORY
        return None

    def free_fresh_bitmap(self, old: SlotCopy | None, bitmap: int) -> None:
        """A change failed: give back the bitmap that was allocated for it, if one was."""
        if bitmap != NO_BITMAP and (old is None or bitmap != old.bitmap):
            self.memory.free_bitmap(bitmap)

    def _commit(self, change: Change) -> None:
        """The change is visible to all: free what only the old copy had."""
        old, new = change.old, change.new
        if old is not None and old.bitmap != NO_BITMAP and (new is None or new.bitmap != old.bitmap):
            self.memory.free_bitmap(old.bitmap)
        if old is not None and new is None:
            self._unbind(old.space, old.id)

    # Guest memory files ------------------------------------------------------------------------------------------

    def _bind(self, request: SetRegion) -> Rule | None:
        """Bind a new slot to its guest memory file, if it asks for one: the rule that forbids it, or None."""
        if not region.wants_memfd(request):
            return None
        if request.memfd in (NOT_A_GUEST_MEMFD, FILE_OF_ANOTHER_VM):
            return region.MEMFD_KIND
        file: GuestMemfd | None = only(self.settings.memfds, lambda file: file.file == request.memfd)
        if file is None:
            return region.MEMFD_OPEN
        first = page_of(request.memfd_offset)
        last = first + page_of(request.size) - 1
        if last >= file.npages:
            return region.MEMFD_RANGE
        held = self.bound.setdefault(request.memfd, IntervalTree())
        if held.first_touching(first, last) is not None:
            says_eexist = self.profile.memfd_rebind_errno == "EEXIST"
            return region.MEMFD_BOUND if says_eexist else region.MEMFD_BOUND_EINVAL
        slot = (space_of(request.slot), id_of(request.slot))
        self.bindings[slot] = (held, held.insert(Interval(first, last, slot)))
        return None

    def _unbind(self, space: int, slot_id: int) -> None:
        binding = self.bindings.pop((space, slot_id), None)
        if binding is not None:
            held, node = binding
            held.remove(node)

    def _undo_bind(self, kind: str, request: SetRegion) -> None:
        if kind == CREATE:
            self._unbind(space_of(request.slot), id_of(request.slot))

    # Dirty log ---------------------------------------------------------------------------------------------------

    def _get_dirty_log(self, request: GetDirtyLog) -> Outcome:
        rule = self._log_rule(request)
        if rule is not None:
            return Rejected(rule)
        copy = self._named(request.slot)
        if copy is None or copy.bitmap == NO_BITMAP:
            return Rejected(dirty_log.LOGGED)
        if not request.buffer_ok:
            return Rejected(dirty_log.BUFFER)
        pages = self.memory.bitmaps[copy.bitmap]
        if not self.settings.manual_protect:
            self.memory.bitmaps[copy.bitmap] = NO_PAGES
        return DirtyPages(pages, dirty_log.bitmap_bytes(copy.npages))

    def _clear_dirty_log(self, request: ClearDirtyLog) -> Outcome:
        rule = self._log_rule(request)
        if rule is not None:
            return Rejected(rule)
        if first_is_unaligned(self.profile, EMPTY_VM, request):
            return Rejected(FIRST_ALIGNED)
        copy = self._named(request.slot)
        if copy is None or copy.bitmap == NO_BITMAP:
            return Rejected(dirty_log.LOGGED)
        if request.first_page > copy.npages:
            return Rejected(FIRST_INSIDE)
        left = copy.npages - request.first_page
        if request.num_pages > left:
            return Rejected(COUNT_INSIDE)
        if request.num_pages < left and request.num_pages % PAGES_PER_WORD != 0:
            return Rejected(COUNT_ALIGNED)
        if has_nowhere_to_read(self.profile, EMPTY_VM, request):
            return Rejected(dirty_log.BUFFER)
        words = (request.num_pages + PAGES_PER_WORD - 1) // PAGES_PER_WORD
        cleared = request.cleared.below(words * PAGES_PER_WORD).moved_up(request.first_page)
        self.memory.bitmaps[copy.bitmap] = self.memory.bitmaps[copy.bitmap].without(cleared)
        return Done()

    def _log_rule(self, request: dirty_log.LogCall) -> Rule | None:
        """What GET and CLEAR refuse before they look for the slot."""
        return first_broken(LOG_CHECKS, self.profile, self.settings, request)

    def _mark_dirty(self, copy: SlotCopy, gfn: int) -> None:
        if copy.bitmap != NO_BITMAP and self.settings.dirty_ring == 0:
            bitmap = self.memory.bitmaps[copy.bitmap]
            self.memory.bitmaps[copy.bitmap] = bitmap.with_page(gfn - copy.base_gfn)

    # Accesses and lookups ----------------------------------------------------------------------------------------

    def _guest_write(self, request: GuestWrite) -> Outcome:
        self.settings = replace(self.settings, has_vcpu=True)
        done: list[Segment] = []
        for first, last in pieces_by_page(request.gpa, request.length):
            found = self.look_up(GUEST_SPACE, page_of(first))
            if found is None:
                return Written(tuple(done), stopped_by=lookup.MAPPED)
            if has_flag(found.flags, READONLY):
                return Written(tuple(done), stopped_by=lookup.WRITABLE)
            done.append(Segment(first, last, host_of(found, first)))
            self._mark_dirty(found, page_of(first))
        return Written(tuple(done))

    def _vcpu_read(self, request: VcpuRead) -> Outcome:
        self.settings = replace(self.settings, has_vcpu=True)
        found = self.vcpu_look_up(page_of(request.gpa))
        return Mmio(request.gpa) if found is None else Touched(host_of(found, request.gpa))

    def _vcpu_write(self, request: VcpuWrite) -> Outcome:
        self.settings = replace(self.settings, has_vcpu=True)
        found = self.vcpu_look_up(page_of(request.gpa))
        if found is None or has_flag(found.flags, READONLY):
            return Mmio(request.gpa)
        self._mark_dirty(found, page_of(request.gpa))
        return Touched(host_of(found, request.gpa))

    def _lookup(self, request: Lookup) -> Outcome:
        found = self.look_up(request.space, page_of(request.gpa))
        if found is None:
            return Rejected(lookup.MAPPED)
        if request.write and has_flag(found.flags, READONLY):
            return Rejected(lookup.WRITABLE)
        return Located(host_of(found, request.gpa), address_of(found.base_gfn + found.npages) - 1)

    def _find_slot(self, request: FindSlot) -> Outcome:
        found = self._named(request.slot)
        if found is None:
            return Rejected(lookup.NAMED)
        return Slots((lookup.view(self._abstract(found)),))

    def _hva_range(self, request: HvaRange) -> Outcome:
        """Each slot's part of the host range, put in guest order: the index has them in host order."""
        ranges = []
        for space in self.spaces:
            for copy in space.active.members.in_hva_range(request.first, request.last):
                first = max(copy.hva, request.first)
                last = min(copy.hva + address_of(copy.npages) - 1, request.last)
                ranges.append(GuestRange(copy.space, copy.id, guest_of(copy, first), guest_of(copy, last)))
        return GuestRanges(tuple(sorted(ranges, key=lambda found: (found.space, found.first))))


def kind_of(request: SetRegion, old: SlotCopy | None) -> str | Outcome:
    """The kind of change that a request asks for, or the outcome when there is nothing to change."""
    if request.size == 0:
        return Rejected(region.DELETE_EXISTS) if old is None else DELETE
    if old is None:
        return CREATE
    if region.wants_memfd(request) or old.memfd != NO_FILE:
        return Rejected(region.MEMFD_FIXED)
    if request.hva != old.hva:
        return Rejected(region.HVA_FIXED)
    if page_of(request.size) != old.npages:
        return Rejected(region.SIZE_FIXED)
    if has_flag(request.flags, READONLY) != has_flag(old.flags, READONLY):
        return Rejected(region.READONLY_FIXED)
    if page_of(request.gpa) != old.base_gfn:
        return MOVE
    return Done() if request.flags == old.flags else FLAGS_ONLY


def ends_too_high(profile: Profile, new: SlotCopy) -> bool:
    """Whether a slot ends past the guest's physical address width."""
    return profile.max_gfn is not None and new.base_gfn + new.npages - 1 > profile.max_gfn


def host_of(copy: SlotCopy, gpa: int) -> int:
    """The host address of a guest byte of a slot."""
    return copy.hva + gpa - address_of(copy.base_gfn)


def guest_of(copy: SlotCopy, hva: int) -> int:
    """The guest address of a host byte of a slot."""
    return address_of(copy.base_gfn) + hva - copy.hva
