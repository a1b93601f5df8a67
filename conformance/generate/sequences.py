"""Random sequences of operations, kept only where they show something new, and then made as short as possible.

What a sequence shows are *situations*: the states that slots are in, and what each operation made of the slot that it
met. A walk that reaches a new situation is kept; operations that it does not need for that are taken out again. After
each operation the state is read back.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from conformance.backings import place
from conformance.generate.build import Draft
from conformance.generate.readback import can_be_written, has_real_memory, probes, slot_word
from spec.memslots.access import GUEST_SPACE, GuestWrite, VcpuRead, VcpuWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import FindSlot, HvaRange, Lookup, Observe, in_order, slot_holding
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import EMPTY_VM, GUEST_MEMFD, LOG_DIRTY_PAGES, NO_FILE, Slot, Vm, slot_named
from spec.outcome import Mmio, Outcome, Rejected, Written
from spec.pages import pages_in
from spec.profile import Profile
from spec.step import operation_of, step
from spec.units import PAGE_SIZE

P = PAGE_SIZE
SPACE = 2**16
WALKS = 400  # tried for each profile
LENGTH = 14  # operations in a walk, without reading back

Situation = tuple[Any, ...]


# What a slot is like ---------------------------------------------------------------------------------------------


def kind_of_log(slot: Slot) -> str:
    if slot.dirty is None:
        return "none" if not slot.logs_dirty_pages() else "asked for"
    if not slot.dirty.ranges:
        return "clean"
    return "full" if slot.dirty.ranges == ((0, slot.npages - 1),) else "partly dirty"


def kind_of(slot: Slot | None) -> Situation:
    """What an operation on a slot can depend on: access, log, address space, file."""
    if slot is None:
        return ("no slot",)
    return (slot.is_read_only(), kind_of_log(slot), slot.space, slot.memfd != NO_FILE)


def state_of(vm: Vm, slot: Slot) -> Situation:
    """A state that a slot can be in: its kind, and how it lies to others in guest and in host memory."""
    others = [one for one in vm.slots if one != slot]
    here = [one for one in others if one.space == slot.space]
    before = any(one.last_gfn() + 1 == slot.base_gfn for one in here)
    behind = any(slot.last_gfn() + 1 == one.base_gfn for one in here)
    shares = any(one.hva <= slot.last_hva() and slot.hva <= one.last_hva() for one in others)
    return ("state", *kind_of(slot), before, behind, shares, vm.dirty_ring > 0)


def modes(vm: Vm) -> Situation:
    return (vm.manual_protect, vm.initially_dirty, vm.dirty_ring > 0)


def situation(before: Vm, request: Any, outcome: Outcome, after: Vm) -> Situation:
    """What one operation shows."""
    name = operation_of(request).name
    result = outcome.rule.id if isinstance(outcome, Rejected) else type(outcome).__name__
    if isinstance(outcome, Written):
        result = f"{len(outcome.segments)} pieces, {outcome.stopped_by.id if outcome.stopped_by else 'whole'}"
    if hasattr(request, "slot"):
        old, new = slot_named(before, request.slot), slot_named(after, request.slot)
        moved = old is not None and new is not None and old.base_gfn != new.base_gfn
        return (name, result, kind_of(old), kind_of(new), moved, modes(before))
    if hasattr(request, "gpa") and not isinstance(outcome, Mmio):
        slot = slot_holding(before, GUEST_SPACE, request.gpa)
        return (name, result, kind_of(slot)[:2], modes(before))
    return (name, result, modes(before))


# Walks -----------------------------------------------------------------------------------------------------------

SIZES = (1, 1, 2, 2, 3, 4, 63, 64, 65, 100)
GAPS = (0, 0, 0, 1, 2, 8)


class Walk:
    """Operations chosen at random, each fit for the state it meets."""

    def __init__(self, profile: Profile, seed: int) -> None:
        self.profile = profile
        self.random = random.Random(seed)
        self.vm: Vm = EMPTY_VM
        self.operations: list[Any] = []

    def go(self, length: int) -> list[Any]:
        for _ in range(length):
            request = self.choose()
            self.vm, _outcome = step(self.profile, self.vm, request)
            self.operations.append(request)
        return self.operations

    def choose(self) -> Any:
        r = self.random
        choices: list[tuple[int, Any]] = [
            (6 if len(self.vm.slots) < 5 else 1, self.create),
            (4, self.change),
            (3, self.move),
            (2, self.delete),
            (5, self.write),
            (2, self.run_guest),
            (3, self.read_log),
            (3, self.clear_log),
            (1, self.mode),
            (1, self.break_something),
        ]
        if self.profile.guest_memfd == "bind":
            choices.append((3, self.file))
        if self.profile.dirty_ring and not self.vm.dirty_ring and r.random() < 0.1:
            return EnableDirtyRing(size=2 ** r.randrange(14, 19))
        return r.choices([make for _, make in choices], [weight for weight, _ in choices])[0]()

    def word(self) -> int:
        space = 1 if self.profile.address_spaces > 1 and self.random.random() < 0.15 else 0
        return space * SPACE + self.random.randrange(6)

    def some_slot(self) -> Slot | None:
        slots = in_order(self.vm)
        return self.random.choice(slots) if slots else None

    def place_for(self, npages: int) -> int:
        """A guest page: often right beside a slot, or on top of one."""
        slot = self.some_slot()
        if slot is None or self.random.random() < 0.3:
            return self.random.randrange(0, 400)
        gap = self.random.choice(GAPS)
        below = slot.base_gfn - npages - gap
        spots = [slot.last_gfn() + 1 + gap, below, slot.base_gfn + self.random.choice((-1, 0, 1, slot.npages - 1))]
        return max(0, self.random.choice(spots))

    def create(self) -> Any:
        npages = self.random.choice(SIZES)
        return SetRegion(
            slot=self.word(),
            flags=self.random.choice((0, 0, 1, 1, 1, 2, 3)),
            gpa=self.place_for(npages) * P,
            size=npages * P,
            hva=place(self.random.choice("ABCD"), self.random.choice((0, 0, 1, 64, 128)) * P),
        )

    def same(self, slot: Slot, **changes: Any) -> SetRegion:
        """The request that the slot came from, with some fields otherwise."""
        fields: dict[str, Any] = {
            "slot": slot_word(slot),
            "flags": slot.flags,
            "gpa": slot.first_gpa(),
            "size": slot.npages * P,
            "hva": slot.hva,
        }
        if slot.memfd != NO_FILE:
            fields.update(version=2, memfd=slot.memfd, memfd_offset=slot.memfd_page * P)
        fields.update(changes)
        return SetRegion(**fields)

    def change(self) -> Any:
        slot = self.some_slot()
        if slot is None:
            return self.create()
        log = slot.flags ^ LOG_DIRTY_PAGES if slot.memfd == NO_FILE else slot.flags
        return self.same(slot, flags=self.random.choice((slot.flags, log, log)))

    def move(self) -> Any:
        slot = self.some_slot()
        if slot is None:
            return self.create()
        flags = slot.flags
        if slot.memfd == NO_FILE and self.random.random() < 0.3:
            flags = flags ^ LOG_DIRTY_PAGES
        return self.same(slot, gpa=self.place_for(slot.npages) * P, flags=flags)

    def delete(self) -> Any:
        slot = self.some_slot()
        return SetRegion(slot=self.word() if slot is None or self.random.random() < 0.2 else slot_word(slot))

    def write(self) -> Any:
        """A write at a border of a slot, or inside it."""
        slot = self.some_slot()
        if slot is not None:
            inside = slot.first_gpa() + self.random.randrange(slot.npages) * P
            ends = (slot.first_gpa(), inside, slot.last_gpa() - 11, slot.last_gpa() - 5, slot.first_gpa() - 6)
            gpa = self.random.choice(ends)
            if can_be_written(self.vm, gpa):
                return GuestWrite(gpa=gpa)
        return Lookup(gpa=self.random.randrange(400) * P, write=self.random.random() < 0.5)

    def run_guest(self) -> Any:
        gpa = self.random.randrange(1, 400) * P
        slot = self.some_slot()
        if slot is not None and slot.space == GUEST_SPACE:
            gpa = slot.first_gpa() + self.random.randrange(slot.npages) * P + self.random.choice((0, 8, 4089))
        at = slot_holding(self.vm, GUEST_SPACE, gpa)
        if at is not None and not has_real_memory(at, gpa):
            return FindSlot(slot=self.word())
        if at is not None and at.logs_dirty_pages():
            return VcpuWrite(gpa=gpa)
        return self.random.choice((VcpuRead, VcpuWrite))(gpa=gpa)

    def read_log(self) -> Any:
        slot = self.some_slot()
        ok = self.random.random() < 0.9
        return GetDirtyLog(slot=self.word() if slot is None else slot_word(slot), buffer_ok=ok)

    def clear_log(self) -> Any:
        slot = self.some_slot()
        if slot is None:
            return HvaRange(first=place("A", 0), last=place("D", 0))
        first = self.random.choice((0, 0, 0, 64))
        count = max(0, slot.npages - first) if self.random.random() < 0.7 else 64
        bits = -(-count // 64) * 64
        some = tuple((a, min(a + self.random.randrange(40), bits - 1)) for a in (0, 5, 61, 90) if a < bits)
        chosen = self.random.sample(some, self.random.randrange(len(some) + 1))
        return ClearDirtyLog(slot=slot_word(slot), first_page=first, num_pages=count, cleared=pages_in(tuple(chosen)))

    def mode(self) -> Any:
        return EnableManualProtect(options=self.random.choice((0, 1, 1, 3, 3, 2)))

    def file(self) -> Any:
        if not self.vm.memfds or self.random.random() < 0.2:
            return CreateGuestMemfd(file=len(self.vm.memfds), size=self.random.choice((2, 8, 64)) * P)
        npages = self.random.choice((1, 2, 3))
        return SetRegion(
            slot=self.word(),
            flags=GUEST_MEMFD,
            gpa=self.place_for(npages) * P,
            size=npages * P,
            hva=place(self.random.choice("ABCD"), 0),
            version=2,
            memfd=self.random.randrange(len(self.vm.memfds)),
            memfd_offset=self.random.randrange(8) * P,
        )

    def break_something(self) -> Any:
        """A change of what cannot be changed."""
        slot = self.some_slot()
        if slot is None:
            return SetRegion(slot=self.word())
        broken: list[dict[str, Any]] = [
            {"hva": slot.hva + P},
            {"size": (slot.npages + 1) * P},
            {"flags": slot.flags ^ 2},
            {"gpa": slot.first_gpa() + 1},
            {"size": 0, "hva": slot.hva + 1},
            {"from_owner": False},
            {"readable": False},
        ]
        return self.same(slot, **self.random.choice(broken))


# From a walk to a vector -----------------------------------------------------------------------------------------


def shown(profile: Profile, operations: Sequence[Any]) -> set[Situation]:
    """All situations of a sequence."""
    vm = EMPTY_VM
    found = set()
    for request in operations:
        if not is_suitable(vm, request):
            continue
        after, outcome = step(profile, vm, request)
        found.add(situation(vm, request, outcome, after))
        found.update(state_of(after, slot) for slot in after.slots)
        vm = after
    return found


def is_suitable(vm: Vm, request: Any) -> bool:
    """Whether an access reaches only memory that every target has: it may not, once other operations are left out."""
    if isinstance(request, GuestWrite):
        return can_be_written(vm, request.gpa)
    if isinstance(request, VcpuRead | VcpuWrite):
        slot = slot_holding(vm, GUEST_SPACE, request.gpa)
        if slot is None:
            return True
        return has_real_memory(slot, request.gpa) and not (isinstance(request, VcpuRead) and slot.logs_dirty_pages())
    return True


def shortest(profile: Profile, operations: list[Any], wanted: set[Situation]) -> list[Any]:
    """The operations without those that can be left out, one after another from the end."""
    index = len(operations) - 1
    while index >= 0:
        without = operations[:index] + operations[index + 1 :]
        if wanted <= shown(profile, without):
            operations = without
        index -= 1
    return operations


def with_reading_back(profile: Profile, operations: Sequence[Any]) -> list[Any]:
    """The operations, and after each a look at the slot it was about; a look at all slots now and then."""
    vm = EMPTY_VM
    requests: list[Any] = []
    for request in operations:
        if not is_suitable(vm, request):
            continue
        requests.append(request)
        vm, _ = step(profile, vm, request)
        for question in looks(vm, request):
            requests.append(question)
            vm, _ = step(profile, vm, question)
    return [*requests, Observe()]


def looks(vm: Vm, request: Any) -> list[Any]:
    if isinstance(request, SetRegion):
        slot = slot_named(vm, request.slot)
        if slot is None:
            gone = [GuestWrite(gpa=request.gpa)] if can_be_written(vm, request.gpa) else []
            return [FindSlot(slot=request.slot), *gone]
        near = probes(vm, slot) if slot.space == GUEST_SPACE else []
        return [Observe(), *(GuestWrite(gpa=gpa) for gpa in near[1:])]
    if isinstance(request, ClearDirtyLog):
        return [GetDirtyLog(slot=request.slot)]
    if isinstance(request, GuestWrite | VcpuWrite):
        slot = slot_holding(vm, GUEST_SPACE, request.gpa)
        return [GetDirtyLog(slot=slot_word(slot))] if slot is not None and slot.logs_dirty_pages() else []
    return []


def drafts(profile: Profile, seed: int, seen: set[Situation], walks: int = WALKS) -> Iterator[Draft]:
    """Short sequences that together show every situation that so many walks met and `seen` does not have yet."""
    for number in range(walks):
        walk_seed = seed * 10_000 + number
        operations = Walk(profile, walk_seed).go(LENGTH)
        new = shown(profile, operations) - seen
        if not new:
            continue
        operations = shortest(profile, operations, new)
        seen |= shown(profile, operations)
        yield Draft(
            title=f"sequence of {len(operations)} operations",
            family="KVM.SLOT",
            requests=tuple(with_reading_back(profile, operations)),
            because=f"shows {len(new)} situations that no sequence before it shows",
            generator="sequence",
            seed=walk_seed,
        )
