"""Rules by their ids."""

from __future__ import annotations

from typing import Any

from conformance.fields import FormatError
from spec.rule import Rule
from spec.step import all_rules

RULES: dict[str, Rule] = {rule.id: rule for rule in all_rules()}


def rule_named(where: str, value: Any) -> Rule:
    """The rule with this id. Raises FormatError."""
    if not isinstance(value, str) or value not in RULES:
        raise FormatError(where, f"there is no rule {value!r}")
    return RULES[value]
