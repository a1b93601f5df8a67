"""Vectors in memory: what the runner hands to targets. `conformance.codec` reads and writes them as JSON."""

from __future__ import annotations

from collections.abc import Sequence
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


class NoSuchVectors(Exception):
    """What was asked for is not there: which family or id, and what there is."""


def named_in_full(vectors: Sequence[Vector], name: str) -> str:
    """How a vector is named, for one who named none."""
    longer = [vector.id for vector in vectors if name and vector.id.startswith(name)]
    if longer:
        return f"ids are given in full; {', '.join(longer[:5])} begin{'s' if len(longer) == 1 else ''} so"
    example = f", such as {vectors[0].id}" if vectors else ""
    return f"an id is the hash that reports and vector files name{example}"


def chosen(vectors: Sequence[Vector], families: Sequence[str], ids: Sequence[str]) -> list[Vector]:
    """The vectors of these families (of all, if none is named) that have these ids (any, if none is named).

    Raises NoSuchVectors for a family or an id that no vector has, and where nothing is left.
    """
    there = sorted({vector.family for vector in vectors})
    for family in families:
        if family not in there:
            raise NoSuchVectors(f"there is no family {family!r}; there are {', '.join(there)}")
    known = {vector.id for vector in vectors}
    for name in ids:
        if name not in known:
            raise NoSuchVectors(f"there is no vector {name!r}: {named_in_full(vectors, name)}")
    found = [v for v in vectors if (not families or v.family in families) and (not ids or v.id in ids)]
    if not found:
        raise NoSuchVectors("no vector is left to run: none of these ids is of these families")
    return found
