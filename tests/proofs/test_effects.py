"""Steps and effects that are wrong in one point each are refuted by the theorems that say what the effect is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import spec.memslots.lookup
import spec.step
from proofs.bugs import with_effect
from proofs.catalogue import theorem_named
from proofs.prover import REFUTED, judge
from proofs.theorem import Patch, patched
from spec.memslots.create_guest_memfd import CREATE_GUEST_MEMFD
from spec.memslots.dirty_ring import ENABLE_DIRTY_RING, LARGEST_RING
from spec.memslots.lookup import LOOKUP
from spec.memslots.manual_protect import ENABLE_MANUAL_PROTECT
from spec.memslots.set_region import SET_REGION
from spec.memslots.slot import Slot, Vm
from spec.outcome import Done, Located, Outcome, Rejected, SlotView
from spec.profile import Profile
from spec.sets import added, kept, some
from spec.vhost.call import OWNER

STEP = spec.step.step


def ring_of_the_largest_size(profile: Profile, vm: Vm, request: Any) -> tuple[Vm, Done]:
    return replace(vm, dirty_ring=LARGEST_RING), Done()


def other_files_are_forgotten(profile: Profile, vm: Vm, request: Any) -> tuple[Vm, Outcome]:
    changed, answer = CREATE_GUEST_MEMFD.effect(profile, vm, request)
    return replace(changed, memfds=kept(changed.memfds, lambda memfd: memfd.file == request.file)), answer


def there_is_a_vcpu_now(profile: Profile, vm: Vm, request: Any) -> tuple[Vm, Outcome]:
    changed, answer = ENABLE_MANUAL_PROTECT.effect(profile, vm, request)
    return replace(changed, has_vcpu=True), answer


def is_never_done(profile: Profile, vm: Vm, request: Any) -> tuple[Vm, Outcome]:
    return ENABLE_DIRTY_RING.effect(profile, vm, request)[0], Rejected(OWNER)


def a_slot_comes_in_another_space(profile: Profile, vm: Vm, request: Any) -> tuple[Vm, Outcome]:
    """Where no slot is in the next address space, one comes with the one that was asked for."""
    changed, answer = SET_REGION.effect(profile, vm, request)
    made = Slot(space=request.slot // 2**16 + 1, id=7, base_gfn=0, npages=1, hva=0, flags=0)
    if some(vm.slots, lambda slot: slot.space == made.space):
        return changed, answer
    return replace(changed, slots=added(changed.slots, made)), answer


def is_shown_elsewhere(slot: Slot) -> SlotView:
    return replace(VIEW(slot), host=0, flags=0)


def is_shown_without_log(slot: Slot) -> SlotView:
    return replace(VIEW(slot), dirty=None)


def ends_where_it_was_asked(profile: Profile, vm: Vm, request: Any) -> tuple[Vm, Outcome]:
    vm, answer = LOOKUP.effect(profile, vm, request)
    return vm, replace(answer, last=request.gpa) if isinstance(answer, Located) else answer


VIEW = spec.memslots.lookup.view

EFFECTS = (
    ("CHANGE.OTHERS", with_effect(SET_REGION, a_slot_comes_in_another_space)),
    ("LOOKUP.NAMED", Patch(spec.memslots.lookup, "view", is_shown_elsewhere)),
    ("LOOKUP.NAMED", Patch(spec.memslots.lookup, "view", is_shown_without_log)),
    ("LOOKUP.CONTIGUOUS", with_effect(LOOKUP, ends_where_it_was_asked)),
    ("VM.ENABLEDIRTYRING.EFFECT", with_effect(ENABLE_DIRTY_RING, ring_of_the_largest_size)),
    ("VM.ENABLEDIRTYRING.EFFECT", with_effect(ENABLE_DIRTY_RING, is_never_done)),
    ("VM.CREATEGUESTMEMFD.EFFECT", with_effect(CREATE_GUEST_MEMFD, other_files_are_forgotten)),
    ("VM.ENABLEMANUALPROTECT.EFFECT", with_effect(ENABLE_MANUAL_PROTECT, there_is_a_vcpu_now)),
)


@pytest.mark.parametrize(("theorem_id", "patch"), EFFECTS)
def test_a_wrong_effect_is_refuted(theorem_id: str, patch: Patch) -> None:
    with patched((patch,)):
        assert judge(theorem_named(theorem_id)).status == REFUTED


def keeps_the_old_state(profile: Profile, state: Any, request: Any) -> tuple[Any, Outcome]:
    return state, STEP(profile, state, request)[1]


def is_always_rejected(profile: Profile, state: Any, request: Any) -> tuple[Any, Outcome]:
    changed, answer = STEP(profile, state, request)
    return changed, answer if isinstance(answer, Rejected) else Rejected(OWNER)


def works_although_rejected(profile: Profile, state: Any, request: Any) -> tuple[Any, Outcome]:
    changed, answer = STEP(profile, state, request)
    if isinstance(answer, Rejected):
        changed, _ = spec.step.operation_of(request).effect(profile, state, request)
    return changed, answer


@pytest.mark.parametrize("step", [keeps_the_old_state, is_always_rejected, works_although_rejected])
@pytest.mark.parametrize(
    "theorem_id", ["VM.ENABLEDIRTYRING.ONE_OUTCOME", "DEVICE.SETRINGSIZE.ONE_OUTCOME", "CHANGE.ONE_OUTCOME"]
)
def test_a_wrong_step_is_refuted(theorem_id: str, step: Callable[..., Any]) -> None:
    with patched((Patch(spec.step, "step", step),)):
        assert judge(theorem_named(theorem_id)).status == REFUTED
