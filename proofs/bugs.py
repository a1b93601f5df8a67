"""Ways to plant a bug into the spec's operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import spec.step
from proofs.theorem import Patch
from spec.operation import Operation
from spec.rule import Check, Rule


def _with(operation: Operation, changed: Operation) -> Patch:
    """`spec.step` with one operation replaced."""
    operations = tuple(changed if known is operation else known for known in spec.step.OPERATIONS)
    return Patch(spec.step, "OPERATIONS", operations)


def without_check(operation: Operation, *rules: Rule) -> Patch:
    """The operation no longer checks these rules."""
    return _with(
        operation, replace(operation, checks=tuple(check for check in operation.checks if check.rule not in rules))
    )


def with_check(operation: Operation, rule: Rule, is_broken: Callable[[Any, Any, Any], bool]) -> Patch:
    """The operation asks another question for this rule."""
    checks = tuple(Check(rule, is_broken) if check.rule is rule else check for check in operation.checks)
    return _with(operation, replace(operation, checks=checks))


def with_effect(operation: Operation, effect: Callable[[Any, Any, Any], Any]) -> Patch:
    """The operation does something else once nothing is broken."""
    return _with(operation, replace(operation, effect=effect))
