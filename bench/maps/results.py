"""What was measured: for each cell the series of all contestants, and how they compare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

ROUNDS = 31  # of a whole run; what had fewer says so

CHANGES = ("insert", "remove", "move")
GROWTHS = ("growth, random", "growth, ascending")
ALLOCATING = (*CHANGES, *GROWTHS)


@dataclass
class Series:
    """What one contestant did in all rounds: ns for one lookup, translation or change."""

    ns: list[float] = field(default_factory=list)

    def p10(self) -> float:
        return float(np.percentile(self.ns, 10))

    def p90(self) -> float:
        return float(np.percentile(self.ns, 90))

    def median(self) -> float:
        return float(np.median(self.ns))


@dataclass(frozen=True)
class Ratio:
    """How often one fits into another: median, and the spread from p10 to p90, of the ratios of all rounds."""

    median: float
    low: float
    high: float
    rounds: int


def ratio(slower: Series, faster: Series) -> Ratio:
    """Round by round, as many as both have."""
    rounds = min(len(slower.ns), len(faster.ns))
    each = np.array(slower.ns[:rounds]) / np.array(faster.ns[:rounds])
    low, median, high = np.percentile(each, (10, 50, 90))
    return Ratio(float(median), float(low), float(high), rounds)


@dataclass(frozen=True)
class Key:
    """One cell. `subject` is lookups, translations or changes; `kind` the queries, the bytes, or the change; `measure`
    says what of it: throughput or latency where there are two."""

    subject: str
    layout: str
    size: int
    kind: str
    measure: str = ""


@dataclass(frozen=True)
class Rate:
    """How many a second: median, and the spread from p10 to p90, of the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, rates: Sequence[float]) -> Rate:
        low, median, high = np.percentile(rates, (10, 50, 90))
        return cls(float(median), float(low), float(high))


@dataclass(frozen=True)
class Beside:
    """One reader beside one writer: lookups and moves, and the reader's lookups while nothing is written."""

    lookups: Rate
    moves: Rate
    alone: Rate


@dataclass(frozen=True)
class Counted:
    """Of one lookup or change: instructions, wrong guesses, allocations; the functions that have most of the
    instructions, with their shares; and reads that the first of the simulated caches does not have, and the last.
    None: not counted."""

    instructions: float
    guesses: float | None = None
    allocations: float | None = None
    functions: dict[str, float] = field(default_factory=dict)
    misses: tuple[float, float] | None = None


@dataclass
class Results:
    """All of a run. `memory` is bytes a region, by layout, size and contestant; `absent` says who did not take part,
    and why; `cannot` who took part but not in some layout."""

    machine: dict[str, Any] = field(default_factory=dict)
    cells: dict[Key, dict[str, Series]] = field(default_factory=dict)
    memory: dict[tuple[str, int], dict[str, float]] = field(default_factory=dict)
    beside: dict[tuple[str, int], dict[str, Beside]] = field(default_factory=dict)
    instructions: dict[tuple[str, int], dict[str, dict[str, Counted]]] = field(default_factory=dict)
    segments: dict[Key, float] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    cannot: dict[str, str] = field(default_factory=dict)

    def ratio(self, key: Key, slower: str, faster: str) -> Ratio | None:
        """None where one of them was not measured."""
        cell = self.cells.get(key, {})
        return ratio(cell[slower], cell[faster]) if slower in cell and faster in cell else None

    def sizes(self, subject: str) -> list[int]:
        return sorted({key.size for key in self.cells if key.subject == subject})

    def layouts(self, subject: str) -> list[str]:
        return list(dict.fromkeys(key.layout for key in self.cells if key.subject == subject))

    def kinds(self, subject: str) -> list[str]:
        return list(dict.fromkeys(key.kind for key in self.cells if key.subject == subject))

    def as_json(self, yardstick: str, library: str, titles: dict[str, str]) -> dict[str, Any]:
        """Medians, p10 and p90 in ns; ratios to the yardstick, and of the library to each other, with their spread."""
        return {
            "machine": self.machine,
            "yardstick": yardstick,
            "contestants": titles,
            "absent": self.absent,
            "cannot": self.cannot,
            "cells": [
                {**asdict(key), "contestants": dict(self.entries(key, yardstick, library))}
                | ({"segments": self.segments[key]} if key in self.segments else {})
                for key in self.cells
            ],
            "memory": [
                {"layout": layout, "size": size, "bytes": found} for (layout, size), found in self.memory.items()
            ],
            "beside": [
                {"layout": layout, "size": size, "contestants": {name: asdict(one) for name, one in found.items()}}
                for (layout, size), found in self.beside.items()
            ],
            "instructions": [
                {"layout": layout, "size": size, "contestants": {name: counts(one) for name, one in found.items()}}
                for (layout, size), found in self.instructions.items()
            ],
        }

    def reduced(self) -> list[dict[str, Any]]:
        """Each cell: of every contestant p10, median, p90, and the number of rounds; of translations the segments."""
        return [
            {**asdict(key), "ns": {name: summed_up(series) for name, series in cell.items()}}
            | ({"segments": round(self.segments[key], 2)} if key in self.segments else {})
            for key, cell in self.cells.items()
        ]

    def entries(self, key: Key, yardstick: str, library: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, series in self.cells[key].items():
            entry: dict[str, Any] = {
                "median": round(series.median(), 3),
                "p10": round(series.p10(), 3),
                "p90": round(series.p90(), 3),
                "rounds": len(series.ns),
            }
            for part, slower, faster in (("ratio", yardstick, name), ("library's ratio", name, library)):
                compared = self.ratio(key, slower, faster)
                if compared is not None and slower != faster:
                    entry[part] = {what: round(value, 3) for what, value in asdict(compared).items()}
            yield name, entry


def summed_up(series: Series) -> list[float]:
    return [*(round(value, 3) for value in (series.p10(), series.median(), series.p90())), len(series.ns)]


def counts(found: dict[str, Counted]) -> dict[str, dict[str, Any]]:
    """As it is written: what is counted, with two digits behind the point."""
    return {
        what: {
            "instructions": round(one.instructions, 1),
            **({"wrong guesses": round(one.guesses, 2)} if one.guesses is not None else {}),
            **({"misses": [round(misses, 2) for misses in one.misses]} if one.misses else {}),
            **({"allocations": round(one.allocations or 0, 2)} if what in ALLOCATING else {}),
            **({"in": {name: round(share, 3) for name, share in one.functions.items()}} if one.functions else {}),
        }
        for what, one in found.items()
    }
