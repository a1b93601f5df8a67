"""Questions that theorems ask of sets, besides those of `spec.sets`: of frozensets and of symbolic sets alike."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any


def every_pair(members: Any, holds: Callable[[Any, Any], Any]) -> Any:
    """Whether `holds` is true of each two different members, in either order."""
    if isinstance(members, frozenset):
        return all(holds(one, other) for one, other in permutations(members, 2))
    return members.every_pair(holds)


def are_equal(one: Any, other: Any) -> Any:
    """Whether two sets have the same members."""
    if isinstance(one, frozenset) and isinstance(other, frozenset):
        return one == other
    return True if one is other else one.equals(other)


def has(members: Any, member: Any) -> Any:
    """Whether this is a member."""
    if isinstance(members, frozenset):
        return member in members
    return members.has(member)
