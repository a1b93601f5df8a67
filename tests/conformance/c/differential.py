"""The C library beside the spec: the same requests, and after each one the same outcome and the same slots."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conformance.target import Refused, StepResult
from conformance.targets.c.binding import Library, Map
from spec.memslots.lookup import Observe
from spec.memslots.slot import EMPTY_VM
from spec.outcome import Outcome, Rejected, Written
from spec.profile import Profile
from spec.step import step


def as_a_target_sees_it(outcome: Outcome) -> StepResult:
    """A rejection by its errno alone."""
    if isinstance(outcome, Rejected):
        return Refused(outcome.rule.errno)
    if isinstance(outcome, Written) and outcome.stopped_by is not None:
        return replace(outcome, stopped_by=Refused(outcome.stopped_by.errno))  # type: ignore[arg-type]
    return outcome


def difference(library: Library, profile: Profile, requests: tuple[Any, ...], largest_block: int = 0) -> str | None:
    """Where the library first says something else than the spec, or None."""
    vm = EMPTY_VM
    with Map(library, profile, largest_block) as one:
        for number, request in enumerate(requests):
            vm, outcome = step(profile, vm, request)
            _, slots = step(profile, vm, Observe())
            expected, seen = as_a_target_sees_it(outcome), one.do(request)
            if seen != expected:
                return f"step {number}: {request}: the spec says {expected}, the library {seen}"
            seen = one.do(Observe())
            if seen != slots:
                return f"after step {number}: {request}: the spec has {slots}, the library {seen}"
    return None
