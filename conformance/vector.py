"""Vectors in memory: what the runner hands to targets. `conformance.codec` reads and writes them as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spec.outcome import Outcome

SwitchValue = int | bool | str | None


@dataclass(frozen=True)
class Step:
    """One operation (a request of `spec.step.OPERATIONS`) and the outcome that the spec expects of it."""

    request: Any
    expected: Outcome


@dataclass(frozen=True)
class Vector:
    """One test: a fresh VM, then these steps in order.

    `id` is a hash of the content. `rules` are the ids of the rules that it is about. `switches` are the profile
    switches that the expected outcomes depend on, with the value they were computed for; a switch that is not
    named makes no difference to it. `because` says why the vector exists.
    """

    id: str
    title: str
    family: str
    rules: tuple[str, ...]
    switches: tuple[tuple[str, SwitchValue], ...]
    steps: tuple[Step, ...]
    because: str
    generator: str
    seed: int
    repair: tuple[tuple[str, Any], ...] = ()
