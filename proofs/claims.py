"""Words that theorems share: accepted, rejected, the state after a step."""

from __future__ import annotations

from typing import Any

import spec.step
from proofs.symbolic.boolean import all_of, negation
from proofs.symbolic.record import kind_of
from spec.operation import Operation
from spec.outcome import Outcome
from spec.profile import Profile
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
