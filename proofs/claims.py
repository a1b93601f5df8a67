"""Words that theorems share: accepted, rejected, the state after a step."""

from __future__ import annotations

from typing import Any

from proofs.symbolic.boolean import all_of, negation
from spec.memslots.slot import Vm
from spec.outcome import Outcome
from spec.profile import Profile
from spec.step import operation_of
from spec.step import step as step


def accepted(profile: Profile, vm: Vm, request: Any) -> Any:
    """Whether the request breaks no rule: each rule is asked, and none is broken."""
    return all_of(*(negation(check.is_broken(profile, vm, request)) for check in operation_of(request).checks))


def after(profile: Profile, vm: Vm, request: Any) -> Vm:
    """The state after the step."""
    return step(profile, vm, request)[0]


def outcome(profile: Profile, vm: Vm, request: Any) -> Outcome:
    """The outcome of the step."""
    return step(profile, vm, request)[1]
