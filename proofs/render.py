"""Cases in field terms: a profile by its switches, a VM by its slots, a request by the fields that are not at rest."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from spec.pages import Pages

SMALL = 4096  # below, numbers are shown in decimal


def case_lines(case: dict[str, Any] | None) -> list[str] | None:
    """One line for each input of a case, one more for each member of a set; None for no case."""
    if case is None:
        return None
    lines = []
    for name, value in case.items():
        members = [f"  {shown(member)}" for member in in_order(value)]
        lines += [f"{name}: {shown(value)}", *members]
    return lines


def in_order(value: Any) -> list[Any]:
    """The members of the sets of a record, in an order that does not depend on hashes."""
    if not is_dataclass(value) or isinstance(value, type):
        return []
    sets = [getattr(value, field.name) for field in fields(value)]
    return [member for members in sets if isinstance(members, frozenset) for member in sorted(members, key=repr)]


def shown(value: Any) -> str:
    """A value on one line: numbers from a page on in hexadecimal, fields at rest and sets left out."""
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int):
        return hex(value) if value >= SMALL else str(value)
    if isinstance(value, Pages):
        return "{" + ", ".join(f"{shown(first)}..{shown(last)}" for first, last in value.ranges) + "}"
    if is_dataclass(value) and not isinstance(value, type):
        parts = [
            f"{field.name}={shown(getattr(value, field.name))}"
            for field in fields(value)
            if not isinstance(getattr(value, field.name), frozenset)
            and (field.default is MISSING or getattr(value, field.name) != field.default)
        ]
        return f"{type(value).__name__}({', '.join(parts)})"
    return str(value)
