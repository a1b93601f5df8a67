"""Words that theorems share: accepted, rejected, the state after a step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import spec.step
from proofs.invariants import same_but_log
from proofs.sets import has
from proofs.symbolic.boolean import all_of, any_of, negation
from proofs.symbolic.record import kind_of
from proofs.theorem import Patch, patched
from spec.memslots.slot import Slot, Vm, id_of, space_of
from spec.operation import Operation
from spec.outcome import Outcome, Rejected
from spec.profile import Profile
from spec.sets import every, some
from spec.step import step as step


def operation_of(request: Any) -> Operation:
    """The operation that a request belongs to, symbolic or plain. Raises TypeError for anything that is no request."""
    for operation in spec.step.OPERATIONS:
        if kind_of(request) is operation.request:
            return operation
    raise TypeError(f"{kind_of(request).__name__} is not the request of any operation")


def accepted(profile: Profile, state: Any, request: Any) -> Any:
    """Whether the request breaks no rule: each rule is asked, and none is broken."""
    return all_of(*(negation(check.is_broken(profile, state, request)) for check in operation_of(request).checks))


def after(profile: Profile, state: Any, request: Any) -> Any:
    """The state after the step."""
    return step(profile, state, request)[0]


def outcome(profile: Profile, state: Any, request: Any) -> Outcome:
    """The outcome of the step."""
    return step(profile, state, request)[1]


def names(word: int, slot: Slot) -> Any:
    """Whether a slot word names the slot."""
    return all_of(slot.space == space_of(word), slot.id == id_of(word))


def others_are_untouched(profile: Profile, vm: Vm, request: Any, other: Slot, **rest: Any) -> Any:
    """Every slot but the one that the request names is still there as it was, and no other came."""
    changed = after(profile, vm, request)
    stays = any_of(negation(has(vm.slots, other)), names(request.slot, other), has(changed.slots, other))

    def was_there(slot: Slot) -> Any:
        return any_of(names(request.slot, slot), some(vm.slots, lambda old: same_but_log(old, slot)))

    return all_of(stays, every(changed.slots, was_there))


@dataclass(frozen=True)
class Seen:
    """What a step came to, and each time that it let the operation's effect work: what it asked, and what it got."""

    state: Any
    outcome: Any
    effects: list[tuple[tuple[Any, ...], tuple[Any, Outcome]]]


def seen(profile: Profile, state: Any, request: Any) -> Seen:
    """A step, with the operation's effect watched. The effect does what it always does."""
    operation = operation_of(request)
    effects: list[tuple[tuple[Any, ...], tuple[Any, Outcome]]] = []

    def effect(*asked: Any) -> tuple[Any, Outcome]:
        got: tuple[Any, Outcome] = operation.effect(*asked)
        effects.append((asked, got))
        return got

    watched = tuple(replace(one, effect=effect) if one is operation else one for one in spec.step.OPERATIONS)
    with patched((Patch(spec.step, "OPERATIONS", watched),)):
        changed, answer = spec.step.step(profile, state, request)
    return Seen(changed, answer, effects)


def is_one_outcome(was: Seen, profile: Profile, state: Any, request: Any) -> Any:
    """Where a rule is broken: Rejected with the first that is, the state as it was, and no effect. Where none is: the
    effect worked once, on this state and this request, and what it gave is what the step gives.
    """
    checks = operation_of(request).checks
    if was.effects:
        asked, (changed, answer) = was.effects[0]
        is_of_this = all(one is other for one, other in zip(asked, (profile, state, request), strict=True))
        is_what_it_gave = was.state is changed and was.outcome is answer
        unbroken = (negation(check.is_broken(profile, state, request)) for check in checks)
        return all_of(len(was.effects) == 1, is_of_this, is_what_it_gave, *unbroken)
    if not isinstance(was.outcome, Rejected) or was.state is not state:
        return False
    rule = was.outcome.rule
    place = next((i for i, check in enumerate(checks) if check.rule is rule), None)
    if place is None:
        return False
    earlier = [negation(check.is_broken(profile, state, request)) for check in checks[:place]]
    return all_of(*earlier, checks[place].is_broken(profile, state, request))
