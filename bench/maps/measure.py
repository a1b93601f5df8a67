"""Measure: contestants take turns, round after round, each time with questions that were not asked before."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from bench.maps.abi import Map, Work
from bench.maps.workloads import QUERIES

SMALLEST, LARGEST = 512, 2**16  # questions in a round
WARM = 4  # before each measurement, a quarter of its number of questions is asked to warm the caches
ENOUGH = 1_500_000  # ns that a measurement should last, where LARGEST allows


class WrongAnswer(Exception):
    """A contestant answered wrong; the text says what."""


@dataclass
class Series:
    """What one contestant did in all rounds: ns a lookup."""

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
    each = np.array(slower.ns) / np.array(faster.ns)
    low, median, high = np.percentile(each, (10, 50, 90))
    return Ratio(float(median), float(low), float(high))


def check(maps: Mapping[str, Map], judge: str, work: Work, what: str) -> None:
    """All contestants answer all questions as the judge does. Raises WrongAnswer for the first that does not."""
    expected = maps[judge].answers(work)
    for name, one in maps.items():
        compare(name, one, work, expected, what)


def compare(name: str, one: Map, work: Work, expected: np.ndarray, what: str, count: int | None = None) -> None:
    found = one.answers(work, 0, count)
    wrong = np.flatnonzero(found != expected[: len(found)])
    if len(wrong):
        at = wrong[0]
        raise WrongAnswer(
            f"{name} answers {len(wrong)} of {len(found)} questions wrong ({what}): the first is address "
            f"{int(work.addresses[at]):#x}, which lives at {int(expected[at]):#x}, and it says {int(found[at]):#x}"
        )


def questions_for(one: Map, work: Work, loop: str) -> int:
    """How many questions a round of this contestant has: so many that it lasts long enough to be measured."""
    count = 256
    getattr(one.ops, loop)(one.made, work.part(0, count))
    took = max(1, getattr(one.ops, loop)(one.made, work.part(count, count)))
    wanted = int(ENOUGH * count / took)
    return max(SMALLEST, min(LARGEST, wanted))


def rounds_of(maps: Mapping[str, Map], work: Work, loop: str, rounds: int, seed: int = 3) -> dict[str, Series]:
    """Time a loop ("throughput", "latency") of each contestant. In each round they come in another order."""
    turns = random.Random(seed)
    counts = {name: questions_for(one, work, loop) for name, one in maps.items()}
    series = {name: Series() for name in maps}
    for number in range(rounds):
        names = list(maps)
        turns.shuffle(names)
        first = number * LARGEST * 5 // 4 % (QUERIES - 2 * LARGEST)
        for name in names:
            one, count = maps[name], counts[name]
            run = getattr(one.ops, loop)
            run(one.made, work.part(first, count // WARM))
            took = run(one.made, work.part(first + LARGEST // WARM, count))
            series[name].ns.append(took / count)
    return series
