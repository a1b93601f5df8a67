"""The shape that all operations share: a name, a request, rules in order, an effect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spec.outcome import Outcome
from spec.rule import Check


@dataclass(frozen=True)
class Operation:
    """One operation.

    `name` is what vectors call it; `request` is its class. `checks` are asked in order, and the first broken
    rule is the outcome. `effect` is the new state and the answer of a request that breaks none.
    `changes_state` is False for a query; a target that has no way to answer a query may say so.
    """

    name: str
    request: type
    checks: tuple[Check, ...]
    effect: Callable[[Any, Any, Any], tuple[Any, Outcome]]
    changes_state: bool


@dataclass(frozen=True)
class Subject:
    """One line of the specification: its operations, and the state that each of its vectors starts from."""

    name: str
    operations: tuple[Operation, ...]
    fresh: Any
