"""The search for requests that break two rules together. Shared by the subjects.

Requests are built from a good one by changing a few fields to values of a small pool, in several situations. For each
pair of rules the request that breaks the fewest others is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from conformance.generate.build import broken_rules, state_after
from spec.profile import Profile
from spec.step import operation_of, subject_of

MOST_FIELDS = 2  # changed at the same time


@dataclass(frozen=True)
class Situation:
    """Where to start from: what was done before, and a request that could be done next."""

    setup: tuple[Any, ...]
    good: Any


@dataclass(frozen=True)
class Search:
    """What a subject searches: its situations, the values of a field, and a request as it can be asked for."""

    situations: Callable[[Profile], Sequence[Situation]]
    values: Callable[[Profile, str, Any], Sequence[Any]]
    tidied: Callable[[Any], Any] = lambda request: request


Pair = tuple[str, str, str]  # operation and two rules, the one that is checked first in front
Example = tuple[int, int, tuple[Any, ...], Any]  # rules broken, fields changed, what was done before, the request


def requests_from(p: Profile, search: Search, good: Any, most_fields: int) -> Iterator[Any]:
    """The good request with up to so many fields changed."""
    names = [name for name in vars(good) if search.values(p, name, good)]
    for count in range(most_fields + 1):
        for chosen in combinations(names, count):
            yield from with_values(p, search, good, chosen)


def with_values(p: Profile, search: Search, request: Any, names: Sequence[str]) -> Iterator[Any]:
    if not names:
        yield request
        return
    for value in search.values(p, names[0], request):
        if value != getattr(request, names[0]):
            yield from with_values(p, search, replace(request, **{names[0]: value}), names[1:])


def pairs_in(operation: str, broken: Sequence[str]) -> Iterator[Pair]:
    for first, second in combinations(broken, 2):
        yield operation, first, second


def examples(p: Profile, search: Search, most_fields: int = MOST_FIELDS) -> dict[Pair, Example]:
    """For each pair of rules that requests of these situations break together, the request that breaks fewest."""
    found: dict[Pair, Example] = {}
    for situation in search.situations(p):
        state = state_after(p, situation.setup, subject_of((situation.good,)).fresh)
        for request in requests_from(p, search, situation.good, most_fields):
            consider(p, state, situation, search.tidied(request), found)
    return found


def consider(p: Profile, state: Any, situation: Situation, request: Any, found: dict[Pair, Example]) -> None:
    broken = tuple(rule.id for rule in broken_rules(p, state, request))
    if len(broken) < 2:
        return
    changed = sum(1 for name in vars(request) if getattr(situation.good, name) != getattr(request, name))
    for pair in pairs_in(operation_of(request).name, broken):
        best = found.get(pair)
        if best is None or (len(broken), changed) < best[:2]:
            found[pair] = (len(broken), changed, situation.setup, request)
