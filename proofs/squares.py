"""The commuting square: a machine's step ends in the state, and with the answer, that the specification's step has.

What theorems about the refinement share: any idle machine, what is true of it, and the comparison of both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

from model.memslots.machine import Machine
from model.memslots.protocol import NO_BITMAP, SlotCopy
from proofs.claims import accepted, after, operation_of, outcome
from proofs.invariants import MODES, valid
from proofs.machines import FIELDS, Start, copies_after, made_since, ran, slot_with_log, vm_of
from proofs.requests import REQUESTS
from proofs.sets import every_pair, has
from proofs.symbolic.bitmaps import AnyBitmaps, FewBitmaps, bitmap_at, in_a_run, is_bitmap, is_page_set
from proofs.symbolic.boolean import all_of, any_of, implies, merged, negation
from proofs.symbolic.record import kind_of
from proofs.theorems.two_sets import COPY_SHAPE
from proofs.world import LAST_PAGE, MEMFD_SHAPE, FewWorld, World
from spec.memslots.slot import Slot, Vm
from spec.outcome import Rejected
from spec.sets import every, only, some
from spec.units import U32_MAX

HIGHEST_ADDRESS = 2**63  # of what has been allocated so far: there is room for more

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_start(world: World) -> Start:
    """Any machine that is between two requests."""
    is_few = isinstance(world, FewWorld)
    settings = Vm(
        manual_protect=world.boolean("vm.manual_protect"),  # type: ignore[arg-type]
        initially_dirty=world.boolean("vm.initially_dirty"),  # type: ignore[arg-type]
        dirty_ring=world.integer("vm.dirty_ring", 0, U32_MAX),
        has_vcpu=world.boolean("vm.has_vcpu"),  # type: ignore[arg-type]
        memfds=world.set_of("memfd", MEMFD_SHAPE),
    )
    return Start(
        profile=world.profile(),
        copies=world.set_of("copy", COPY_SHAPE),
        settings=settings,
        bitmaps=FewBitmaps("bitmap", world.count) if is_few else AnyBitmaps("bitmap"),  # type: ignore[attr-defined]
        last_address=world.integer("last_address", 0, HIGHEST_ADDRESS),
        generation=world.integer("generation", 0, 2**62),
    )


def any_request(operation: str) -> Callable[[World], dict[str, Any]]:
    """Any machine, a request for it, and what is asked after it: any slot, a page, an address."""

    def inputs(world: World) -> dict[str, Any]:
        start = any_start(world)
        return {
            "start": start,
            "request": REQUESTS[operation](world),
            "other": world.candidate(start.copies, "other"),
            "page": world.integer("page", 0, LAST_PAGE),
            "address": world.integer("address", 1, HIGHEST_ADDRESS + 10),
        }

    return inputs


def is_idle(start: Start, address: int, **rest: Any) -> Any:
    """The VM that the machine stands for is valid; each copy has an address and a bitmap of its own, if it has one."""
    return all_of(valid(start.profile, vm_of(start)), memory_is_in_order(start, address))


def memory_is_in_order(start: Start, address: int) -> Any:
    """Nothing is used that was not allocated, no two copies share an address or a bitmap, and none is left over."""
    bitmaps = in_a_run(start.bitmaps)
    return all_of(
        every(start.copies, lambda copy: is_allocated(copy, start.last_address, bitmaps)),
        every_pair(start.copies, share_nothing),
        is_bitmap(bitmaps, address) == some(start.copies, lambda copy: copy.bitmap == address),
    )


def is_allocated(copy: SlotCopy, last_address: int, bitmaps: Any) -> Any:
    """A copy's address and that of its bitmap, if it has one, were allocated, and the bitmap is there."""
    return all_of(
        copy.address <= last_address,
        copy.bitmap <= last_address,
        any_of(copy.bitmap == NO_BITMAP, is_bitmap(bitmaps, copy.bitmap)),
    )


def share_nothing(one: SlotCopy, other: SlotCopy) -> Any:
    """Two copies have addresses and bitmaps of their own."""
    return all_of(one.address != other.address, any_of(one.bitmap == NO_BITMAP, one.bitmap != other.bitmap))


def is_accepted(start: Start, request: Any, **rest: Any) -> Any:
    """The machine is idle, and the specification accepts the request."""
    return all_of(is_idle(start, **rest), accepted(start.profile, vm_of(start), request))


def is_rejected(start: Start, request: Any, **rest: Any) -> Any:
    """The machine is idle, and the specification rejects the request."""
    return all_of(is_idle(start, **rest), negation(accepted(start.profile, vm_of(start), request)))


# CLAIMS ----------------------------------------------------------------------------------------------------------


def is_first_broken(start: Start, request: Any, answer: Any) -> Any:
    """Whether an answer rejects by the first rule that is broken."""
    if not isinstance(answer, Rejected):
        return False
    vm, checks = vm_of(start), operation_of(request).checks
    place = next(i for i, check in enumerate(checks) if check.rule is answer.rule)
    earlier = [negation(check.is_broken(start.profile, vm, request)) for check in checks[:place]]
    return all_of(*earlier, checks[place].is_broken(start.profile, vm, request))


def square(kind: str, start: Start, request: Any, other: SlotCopy, page: int, address: int, **rest: Any) -> Any:
    """The same answer, the same settings, and the same slots with the same logs; the memory is in order."""
    machine, answer = ran(kind, start, request)
    vm = vm_of(start)
    changed, expected = after(start.profile, vm, request), outcome(start.profile, vm, request)
    return all_of(
        merged(is_same_answer)(answer, expected, page),
        are_same_settings(machine.settings, changed, start.settings),
        are_same_slots(machine, start, changed.slots, other, page),
        is_memory_in_order(machine, start, address),
    )


def nothing_changes(
    kind: str, start: Start, request: Any, other: SlotCopy, page: int, address: int, **rest: Any
) -> Any:
    """Rejected by the first rule that is broken, and all is as it was; the memory is in order."""
    machine, answer = ran(kind, start, request)
    return all_of(
        is_first_broken(start, request, answer),
        slots_are_as_before(machine, start, other, page),
        is_memory_in_order(machine, start, address),
    )


def are_same_slots(machine: Machine, start: Start, slots: Any, other: SlotCopy, page: int) -> Any:
    """Whether a machine has these slots. Those that were made since are compared one by one. Where the specification
    made a slot anew and the machine kept its copy, the copy with that name must be the same slot now. Of all others,
    the same are there, with the logs that they had.
    """
    copies, bitmaps = copies_after(machine, start), machine.memory.bitmaps
    made = made_since(copies, start.copies)
    is_kept = len(made) == 0 and len(slots.new) > 0
    if is_kept:
        made = [copy_named(copies, slot.space, slot.id) for slot in slots.new]
    if len(made) != len(slots.new) or any(copy is None for copy in made):
        return False
    pairs = list(zip(made, slots.new, strict=True))
    is_another = all_of(*(any_of(other.space != copy.space, other.id != copy.id) for copy in made)) if is_kept else True
    stays = all_of(
        has(copies, other) == has(slots.copies, other),
        implies(has(copies, other), log_stays(start, bitmaps, other, page)),
    )
    return all_of(
        *(is_same_slot(slot_with_log(copy, bitmaps), slot, page) for copy, slot in pairs),
        implies(is_another, stays),
        has(copies, other) == has(start.copies, other) if is_kept else True,
    )


def copy_named(copies: Any, space: int, number: int) -> SlotCopy | None:
    found: SlotCopy | None = only(copies, lambda copy: copy.space == space and copy.id == number)
    return found


def slots_are_as_before(machine: Machine, start: Start, other: SlotCopy, page: int) -> Any:
    """Whether no slot came or went, none lost or got a page in its log, and the settings are what they were."""
    copies = copies_after(machine, start)
    return all_of(
        len(made_since(copies, start.copies)) == 0,
        are_same_settings(machine.settings, start.settings, start.settings),
        has(copies, other) == has(start.copies, other),
        implies(has(start.copies, other), log_stays(start, machine.memory.bitmaps, other, page)),
    )


def log_stays(start: Start, bitmaps: Any, copy: SlotCopy, page: int) -> Any:
    """Whether a copy's bitmap, if it has one, has this page exactly if it had it before."""
    before = bitmap_at(in_a_run(start.bitmaps), copy.bitmap)
    same = is_page_set(bitmap_at(bitmaps, copy.bitmap), page) == is_page_set(before, page)
    return any_of(copy.bitmap == NO_BITMAP, all_of(is_bitmap(bitmaps, copy.bitmap), same))


def is_same_slot(one: Slot | None, other: Slot | None, page: int) -> Any:
    """Whether two slots are the same, or both none, as far as this page of their logs."""
    if one is None or other is None:
        return one is other
    same = all_of(*(getattr(one, field) == getattr(other, field) for field in FIELDS))
    return all_of(same, is_same_log(one.dirty, other.dirty, page))


def is_same_log(one: Any, other: Any, page: int) -> Any:
    if one is None or other is None:
        return one is other
    return is_page_set(one, page) == is_page_set(other, page)


def are_same_settings(one: Vm, other: Vm, before: Vm) -> Any:
    """Whether two VMs agree in all but their slots: switches and guest memory files, those made since one by one."""
    mine, theirs = (made_since(vm.memfds, before.memfds) for vm in (one, other))
    if len(mine) != len(theirs):
        return False
    pairs = zip(mine, theirs, strict=True)
    return all_of(
        *(getattr(one, mode) == getattr(other, mode) for mode in MODES),
        *(all_of(file.file == another.file, file.npages == another.npages) for file, another in pairs),
    )


def is_same_answer(one: Any, other: Any, page: int) -> Any:
    """Whether two answers are the same, as far as this page of logs in them."""
    if kind_of(one) is not kind_of(other):
        return False
    claims = []
    for field in fields(one):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if field.name in ("pages", "dirty"):
            claims.append(is_same_log(mine, theirs, page))
        elif isinstance(mine, tuple):
            if len(mine) != len(theirs):
                return False
            claims += [is_same_answer(a, b, page) for a, b in zip(mine, theirs, strict=True)]
        elif is_dataclass(mine) or mine is None:
            claims.append(mine is theirs)  # a rule
        else:
            claims.append(mine == theirs)
    return all_of(*claims)


def is_memory_in_order(machine: Machine, start: Start, address: int) -> Any:
    """Whether a machine has exactly the bitmaps that its slots have, each its own. A bitmap's address is asked for."""
    bitmaps = machine.memory.bitmaps
    copies = copies_after(machine, start)
    last_address = machine.memory._last_address
    return all_of(
        every(copies, lambda copy: is_allocated(copy, last_address, bitmaps)),
        every_pair(copies, share_nothing),
        is_bitmap(bitmaps, address) == some(copies, lambda copy: copy.bitmap == address),
    )
