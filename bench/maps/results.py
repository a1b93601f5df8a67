"""What was measured: for each cell the series of all contestants, and how they compare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np


@dataclass
class Series:
    """What one contestant did in all rounds: ns for one lookup, translation or change."""

    ns: list[float] = field(default_factory=list)

    def p10(self) -> float:
        return float(np.percentile(self.ns, 10))

    def median(self) -> float:
        return float(np.median(self.ns))


@dataclass(frozen=True)
class Ratio:
    """How often one fits into another: median, and the spread from p10 to p90, of the ratios of all rounds."""

    median: float
    low: float
    high: float


def ratio(slower: Series, faster: Series) -> Ratio:
    """Round by round, as many as both have."""
    rounds = min(len(slower.ns), len(faster.ns))
    each = np.array(slower.ns[:rounds]) / np.array(faster.ns[:rounds])
    low, median, high = np.percentile(each, (10, 50, 90))
    return Ratio(float(median), float(low), float(high))


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
class Beside:
    """One reader beside one writer: per second, and the reader's lookups while nothing is written."""

    lookups: float
    moves: float
    alone: float


@dataclass
class Results:
    """All of a run. `memory` is bytes a region, by layout, size and contestant; `absent` says who did not take part,
    and why; `cannot` who took part but not in some layout."""

    machine: dict[str, Any] = field(default_factory=dict)
    cells: dict[Key, dict[str, Series]] = field(default_factory=dict)
    memory: dict[tuple[str, int], dict[str, float]] = field(default_factory=dict)
    beside: dict[tuple[str, int], dict[str, Beside]] = field(default_factory=dict)
    instructions: dict[tuple[str, int], dict[str, float]] = field(default_factory=dict)
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

    def as_json(self, yardstick: str, titles: dict[str, str]) -> dict[str, Any]:
        """Medians and p10 in ns, ratios to the yardstick with their spread."""
        return {
            "machine": self.machine,
            "yardstick": yardstick,
            "contestants": titles,
            "absent": self.absent,
            "cannot": self.cannot,
            "cells": [
                {**asdict(key), "contestants": dict(self.entries(key, yardstick))}
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
                {"layout": layout, "size": size, "a lookup": found}
                for (layout, size), found in self.instructions.items()
            ],
        }

    def entries(self, key: Key, yardstick: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, series in self.cells[key].items():
            entry: dict[str, Any] = {
                "median": round(series.median(), 3),
                "p10": round(series.p10(), 3),
                "rounds": len(series.ns),
            }
            compared = self.ratio(key, yardstick, name)
            if compared is not None and name != yardstick:
                entry["ratio"] = {part: round(value, 3) for part, value in asdict(compared).items()}
            yield name, entry
