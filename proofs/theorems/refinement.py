"""The models' steps end where the specification's effect does: for the same slots and the same request.

The model's own code decides what kind of change a request is, makes the new copy and walks through all steps. Logs are
left out here; that a machine keeps them right is tested against the specification.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from model.memslots import array, machine
from model.memslots.machine import REGION_ARGUMENTS, Machine
from model.memslots.protocol import DELETE, MOVE, Change, OneSet, SlotCopy, TwoSets, Writer, invalid_copy, searched
from proofs.as_slots import AsSlots
from proofs.claims import accepted, after
from proofs.copyable import Copyable
from proofs.invariants import memfd_fields_agree, names_are_unique, slots_are_disjoint, slots_are_well_formed
from proofs.requests import set_region
from proofs.symbolic.boolean import all_of, merged, negation
from proofs.symbolic.explorer import current, is_exploring
from proofs.theorem import Bug, Patch, Theorem
from proofs.theorems.two_sets import COPY_SHAPE, HIGHEST_ADDRESS, are_sane, run
from proofs.world import LAST_PAGE, World
from spec.memslots import set_region as region
from spec.memslots.lookup import slot_holding
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import Slot, Vm, id_of, slot_named, space_of
from spec.outcome import Done, Rejected
from spec.profile import Profile
from spec.sets import every, only
from spec.step import operation_of
from spec.units import address_of, page_of

FIELDS = ("space", "id", "base_gfn", "npages", "hva", "flags", "memfd", "memfd_page")
DECIDED_BY_KIND = (
    region.DELETE_EXISTS,
    region.MEMFD_FIXED,
    region.HVA_FIXED,
    region.SIZE_FIXED,
    region.READONLY_FIXED,
)

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_request(world: World) -> dict[str, Any]:
    """The copies of an address space, a request for it, addresses for new copies, a page, a slot number."""
    return {
        "profile": world.profile(),
        "members": world.set_of("copy", COPY_SHAPE),
        "files": world.vm().memfds,
        "request": set_region(world),
        "address": world.integer("address", 1, HIGHEST_ADDRESS),
        "stand_in": world.integer("stand_in", 1, HIGHEST_ADDRESS),
        "gfn": world.integer("gfn", 0, LAST_PAGE),
        "number": world.integer("number", 0, 2**16 - 1),
    }


def vm_of(members: Any, files: Any) -> Vm:
    """The VM that the specification sees; in a proof, always the same one for the same set."""

    def make() -> Vm:
        return Vm(slots=AsSlots(members), memfds=files)  # type: ignore[arg-type]

    if not is_exploring():
        return make()
    vm: Vm = current().remember(("vm", id(members)), make, members)
    return vm


def is_sane(
    profile: Profile, members: Any, files: Any, request: SetRegion, address: int, stand_in: int, **rest: Any
) -> Any:
    """The slots are valid, all of the request's address space, and new copies have addresses of their own."""
    vm = vm_of(members, files)
    space = space_of(request.slot)
    return all_of(
        slots_are_well_formed(profile, vm),
        slots_are_disjoint(vm),
        names_are_unique(vm),
        memfd_fields_agree(vm),
        are_sane(members),
        address != stand_in,
        every(members, lambda copy: all_of(copy.space == space, copy.address != address, copy.address != stand_in)),
    )


def is_accepted(profile: Profile, members: Any, files: Any, request: SetRegion, **rest: Any) -> Any:
    sane = is_sane(profile=profile, members=members, files=files, request=request, **rest)
    return all_of(sane, accepted(profile, vm_of(members, files), request))


def has_good_arguments(profile: Profile, members: Any, files: Any, request: SetRegion, **rest: Any) -> Any:
    """Nothing is wrong with the request as such: the slot is looked up next."""
    sane = is_sane(profile=profile, members=members, files=files, request=request, **rest)
    vm = vm_of(members, files)
    return all_of(sane, *(negation(check.is_broken(profile, vm, request)) for check in REGION_ARGUMENTS))


# CLAIMS ----------------------------------------------------------------------------------------------------------


def copy_named(members: Any, number: int) -> SlotCopy | None:
    found: SlotCopy | None = only(members, lambda copy: copy.id == number)
    return found


def members_after(writer: Writer, start: TwoSets, request: SetRegion, address: int, stand_in: int) -> Any:
    """The active set when the model is done with a request."""
    old = copy_named(start.active.members, id_of(request.slot))
    kind = machine.kind_of(request, old)
    if isinstance(kind, Done):
        return start.active.members
    assert isinstance(kind, str)
    maker: Any = SimpleNamespace(memory=SimpleNamespace(allocate=lambda: address))
    new = None if kind == DELETE else Machine._new_copy(maker, request)
    between = invalid_copy(old, stand_in) if kind in (MOVE, DELETE) and old is not None else None
    _, end = run(writer.set_slot(start, Change(kind, old, new, between)))
    return end.active.members


def same(slot: Slot | None, copy: SlotCopy | None) -> Any:
    """Whether the specification's slot and the model's copy are the same slot."""
    if slot is None or copy is None:
        return slot is None and copy is None
    return all_of(*(getattr(slot, field) == getattr(copy, field) for field in FIELDS), not copy.invalid)


def answers_are_the_same(
    profile: Profile, files: Any, request: SetRegion, gfn: int, number: int, before: Any, changed: Any
) -> Any:
    """Whether the specification's slots after the request answer as the model's: by page and by number."""
    vm = after(profile, vm_of(before, files), request)
    space = space_of(request.slot)
    return all_of(merged(same_by_page)(vm, changed, space, gfn), merged(same_by_number)(vm, changed, space, number))


def same_by_page(vm: Vm, changed: Any, space: int, gfn: int) -> Any:
    return same(slot_holding(vm, space, address_of(gfn)), searched(changed, gfn))


def same_by_number(vm: Vm, changed: Any, space: int, number: int) -> Any:
    return same(slot_named(vm, space * 2**16 + number), copy_named(changed, number))


def two_sets_end_as_the_spec(
    profile: Profile, members: Any, files: Any, request: SetRegion, address: int, stand_in: int, gfn: int, number: int
) -> Any:
    start = TwoSets(OneSet(0, members, 0), OneSet(1, members, 0))
    changed = members_after(Writer(2), start, request, address, stand_in)
    return answers_are_the_same(profile, files, request, gfn, number, members, changed)


def array_ends_as_the_spec(
    profile: Profile, members: Any, files: Any, request: SetRegion, address: int, stand_in: int, gfn: int, number: int
) -> Any:
    start = TwoSets(OneSet(0, Copyable(members), 0), array.no_array(1))
    changed = members_after(array.ArrayWriter(2), start, request, address, stand_in)
    return answers_are_the_same(profile, files, request, gfn, number, members, changed)


def kind_says_what_the_rules_say(profile: Profile, members: Any, files: Any, request: SetRegion, **rest: Any) -> Any:
    """The model rejects by a rule about the existing slot exactly if the specification does, and by the same rule."""
    vm = vm_of(members, files)
    kind = machine.kind_of(request, copy_named(members, id_of(request.slot)))
    broken = {check.rule: check.is_broken(profile, vm, request) for check in operation_of(request).checks}
    rules = [rule for rule in broken if rule in DECIDED_BY_KIND]
    if not isinstance(kind, Rejected):
        return all_of(*(negation(broken[rule]) for rule in rules))
    place = rules.index(kind.rule)
    return all_of(broken[kind.rule], *(negation(broken[rule]) for rule in rules[:place]))


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def copy_of_one_page_more(self: Any, request: SetRegion) -> SlotCopy:
    return SlotCopy(
        address=self.memory.allocate(),
        space=space_of(request.slot),
        id=id_of(request.slot),
        base_gfn=page_of(request.gpa),
        npages=page_of(request.size) + 1,
        hva=request.hva,
        flags=request.flags,
    )


def size_may_change(request: SetRegion, old: SlotCopy | None) -> Any:
    if old is not None and request.size > 0:
        return KIND_OF(SetRegion(**{**vars(request), "size": address_of(old.npages)}), old)
    return KIND_OF(request, old)


KIND_OF = machine.kind_of
TOO_LONG = Bug("a new copy has a page too many", (Patch(Machine, "_new_copy", copy_of_one_page_more),))


# THEOREMS --------------------------------------------------------------------------------------------------------


def about(name: str, sentence: str, given: Callable[..., Any], holds: Callable[..., Any], bug: Bug) -> Theorem:
    rules = tuple(rule.id for rule in DECIDED_BY_KIND)
    bound = "one address space, without logs"
    return Theorem(
        f"REFINES.{name}", sentence, rules, ("set_region",), "refines the spec", any_request, given, holds, bug, bound
    )


THEOREMS = (
    about(
        "TWO_SETS",
        "After all steps of an accepted change, the two sets give for each page and each number the "
        "specification's slot.",
        is_accepted,
        two_sets_end_as_the_spec,
        TOO_LONG,
    ),
    about(
        "ARRAY",
        "After all steps of an accepted change, the published array gives for each page and each number the "
        "specification's slot.",
        is_accepted,
        array_ends_as_the_spec,
        TOO_LONG,
    ),
    about(
        "KIND",
        "The models reject a request for what it would change of its slot exactly where the specification does, by the "
        "same rule.",
        has_good_arguments,
        kind_says_what_the_rules_say,
        Bug("the size may change", (Patch(machine, "kind_of", size_may_change),)),
    ),
)
