"""The questions that the spec asks of a set: every, some, only, least, count, gathered; and the edits: added, removed,
kept.

A finite set (a frozenset) is searched. Anything else answers for itself: that is how the same
spec runs over an arbitrary set of unbounded size when it is proved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spec.pages import pages_in


def every(members: Any, holds: Callable[[Any], bool]) -> bool:
    """Whether `holds` is true of each member."""
    if isinstance(members, frozenset):
        return all(holds(member) for member in members)
    return members.every(holds)  # type: ignore[no-any-return]


def some(members: Any, holds: Callable[[Any], bool]) -> bool:
    """Whether `holds` is true of at least one member."""
    if isinstance(members, frozenset):
        return any(holds(member) for member in members)
    return members.some(holds)  # type: ignore[no-any-return]


def only(members: Any, holds: Callable[[Any], bool]) -> Any:
    """The member of which `holds` is true, or None. To be asked only where there is at most one."""
    if isinstance(members, frozenset):
        return next((member for member in members if holds(member)), None)
    return members.only(holds)


def added(members: Any, member: Any) -> Any:
    """The set with one more member."""
    if isinstance(members, frozenset):
        return members | {member}
    return members.added(member)


def removed(members: Any, member: Any) -> Any:
    """The set without this member."""
    if isinstance(members, frozenset):
        return members - {member}
    return members.removed(member)


def least(members: Any, holds: Callable[[Any], bool], rank: Callable[[Any], tuple[int, ...]]) -> Any:
    """Of the members of which `holds` is true the one of smallest rank, or None. No two members have equal ranks."""
    if isinstance(members, frozenset):
        return min((member for member in members if holds(member)), key=rank, default=None)
    return members.least(holds, rank)


def kept(members: Any, holds: Callable[[Any], bool]) -> Any:
    """The set of those members of which `holds` is true."""
    if isinstance(members, frozenset):
        return frozenset(member for member in members if holds(member))
    return members.kept(holds)


def count(members: Any) -> Any:
    """How many members there are."""
    if isinstance(members, frozenset):
        return len(members)
    return members.count()


def gathered(members: Any, pages_of: Callable[[Any], Any]) -> Any:
    """All pages that any member has, of those that `pages_of` says it has."""
    if isinstance(members, frozenset):
        return pages_in(tuple(pages for member in members for pages in pages_of(member).ranges))
    return members.gathered(pages_of)
