"""Measure: contestants take turns, round after round, each time with questions that were not asked before."""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping

import numpy as np

from bench.maps.abi import Map, Numbers, Work
from bench.maps.results import Series
from bench.maps.workloads import QUERIES

SMALLEST, LARGEST = 512, 2**16  # questions in a round
WARM = 4  # before each measurement each region is asked for once, and then a quarter of the questions
ENOUGH = 1_000_000  # ns that a measurement should last, where LARGEST allows
FEWEST = 128  # questions of a translation, each of which has many segments


class WrongAnswer(Exception):
    """A contestant answered wrong; the text says what."""


def check(maps: Mapping[str, Map], judge: str, work: Work, what: str) -> None:
    """All contestants answer all questions as the judge does. Raises WrongAnswer for the first that does not."""
    expected = maps[judge].answers(work)
    for name, one in maps.items():
        compare(name, one, work, expected, what)


def compare(name: str, one: Map, work: Work, expected: Numbers, what: str) -> None:
    found = one.answers(work)
    wrong = np.flatnonzero(found != expected)
    if len(wrong):
        at = wrong[0]
        raise WrongAnswer(
            f"{name} answers {len(wrong)} of {len(found)} questions wrong ({what}): the first is address "
            f"{int(work.addresses[at]):#x}, which lives at {int(expected[at]):#x}, and it says {int(found[at]):#x}"
        )


def check_translations(maps: Mapping[str, Map], judge: str, work: Work, length: int, what: str) -> float:
    """All find the judge's segments. Their mean number; raises WrongAnswer."""
    expected = translated(maps[judge], work, length)
    for name, one in maps.items():
        found = translated(one, work, length)
        if found != expected:
            raise WrongAnswer(
                f"{name} translates wrong ({what}): {found[0]} segments in {TRANSLATED} translations of {length} bytes "
                f"(sum {found[1]:#x}), and {expected[0]} (sum {expected[1]:#x}) is right"
            )
    return expected[0] / TRANSLATED


TRANSLATED = 4096
TIMED_NOTHING = 401  # times that the clock is timed


def translated(one: Map, work: Work, length: int) -> tuple[int, int]:
    """Segments, and the sum over all of them, of the first TRANSLATED questions."""
    part = work.part(0, TRANSLATED)
    part.length = length
    one.ops.translate(one.made, part)
    return int(part.found), int(part.sum)


def questions_for(one: Map, work: Work, loop: str, length: int) -> int:
    """How many questions a round of this contestant has: so many that it lasts long enough to be measured."""
    fewest = FEWEST if length else SMALLEST
    for _ in range(2):
        part = work.part(0, fewest)
        part.length = length
        took = max(1, getattr(one.ops, loop)(one.made, part))
    return max(fewest, min(LARGEST, int(ENOUGH * fewest / took)))


def clock_overhead(one: Map, loop: str, work: Work) -> float:
    """What it takes to time no questions at all, in ns."""
    nothing = work.part(0, 0)
    return statistics.median(int(getattr(one.ops, loop)(one.made, nothing)) for _ in range(TIMED_NOTHING))


def rounds_of(
    maps: Mapping[str, Map], work: Work, once: Work, loop: str, rounds: int, length: int = 0, seed: int = 3
) -> dict[str, Series]:
    """Time a loop ("throughput", "latency", "translate") of each contestant, in each round in another order.

    `once` asks for each region: what the others have pushed out of the caches comes back.
    """
    turns = random.Random(seed)
    counts = {name: questions_for(one, work, loop, length) for name, one in maps.items()}
    overhead = {name: clock_overhead(one, loop, work) for name, one in maps.items()}
    series = {name: Series() for name in maps}
    for number in range(rounds):
        names = list(maps)
        turns.shuffle(names)
        first = number * LARGEST * 5 // 4 % (QUERIES - 2 * LARGEST)
        for name in names:
            one, count = maps[name], counts[name]
            run = getattr(one.ops, loop)
            warm, timed = work.part(first, count // WARM), work.part(first + LARGEST // WARM, count)
            warm.length = timed.length = length
            one.ops.throughput(one.made, once.part(0, len(once.addresses)))
            run(one.made, warm)
            series[name].ns.append(max(1, run(one.made, timed) - overhead[name]) / count)
    return series
