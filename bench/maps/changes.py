"""Changes of one layout and size: insert, remove, move, and growth from nothing.

There are twice as many places as regions, all of one size. Half of them are taken at first. In a round some regions are
taken out, put back, moved to free places, and moved back, over and over again.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.maps.abi import FAILED, CannotHold, Indexes, Loaded, Map, Work, ffi, pointer
from bench.maps.contestants import CONTESTANTS, JUDGE, LIBRARY, TWO_SETS
from bench.maps.measure import TIMED_NOTHING, WrongAnswer, check
from bench.maps.results import CHANGES, GROWTHS, Key, Results, Series
from bench.maps.workloads import PAGE, UNIT, Layout, layout

Regions = npt.NDArray[Any]

OPERATIONS = 1024  # of each kind in a round, if that does not last longer than
ENOUGH = 2_000_000  # ns
VERIFIED = 512  # regions that are changed, at most, before anything is timed
GROWN_INSERTS = 1024  # in a round, at least: so many maps grow in it
SECONDS_TO_GROW = 1.5  # of processor time, for all rounds of a contestant; at least FEWEST_GROWTHS
DECIDING = (TWO_SETS, LIBRARY)  # a target is about these: they do all rounds, however long it takes
TOO_LONG = 4  # seconds: a contestant that would take so long for FEWEST_GROWTHS does not grow
FEWEST_GROWTHS = 3


class Places:
    """Regions at half of the places of a layout, and the free places."""

    def __init__(self, which: str, size: int, seed: int = 4) -> None:
        self.random = np.random.default_rng([seed, size])
        all_places = layout(which, 2 * size)
        taken = np.sort(self.random.permutation(2 * size)[:size])
        regions = all_places.regions[taken]
        regions["last"] = regions["start"] + np.uint64((UNIT if which == "A" else PAGE) - 1)
        order = self.random.permutation(size).astype(np.uint32)
        regions["id"][order] = np.arange(size)
        self.layout = Layout(which, regions, order)
        self.free: npt.NDArray[np.uint64] = np.delete(all_places.regions["start"], taken)

    def some(self, count: int) -> tuple[Regions, Regions, npt.NDArray[np.uint64], Regions]:
        """Some regions in random order, and in another; free places for them; and what they are there."""
        size = len(self.layout.regions)
        chosen = self.random.permutation(size)[:count]
        regions = self.layout.regions[chosen]
        to = self.free[self.random.permutation(size)[:count]]
        return regions, self.layout.regions[self.random.permutation(chosen)], to, at_places(regions, to)


def at_places(regions: Regions, to: npt.NDArray[np.uint64]) -> Regions:
    moved = regions.copy()
    moved["start"], moved["last"] = to, to + (regions["last"] - regions["start"])
    return moved


def run(name: str, one: Map, what: str, regions: Regions, to: npt.NDArray[np.uint64] | None = None) -> int:
    """ns of these changes, one after the other. Raises WrongAnswer when one is refused."""
    arguments = [one.made, pointer("struct region", regions)]
    if to is not None:
        arguments.append(pointer("uint64_t", to))
    took = int(getattr(one.ops, what)(*arguments, len(regions)))
    if took == FAILED:
        raise WrongAnswer(f"{name} refuses to {what} a region that can be changed so")
    return took


def clock_overhead(one: Map) -> float:
    """What it takes to time nothing, in ns."""
    nothing = ffi.cast("struct region *", 0)
    return statistics.median(int(one.ops.insert(one.made, nothing, 0)) for _ in range(TIMED_NOTHING))


def measure_changes(
    loaded: Mapping[str, Loaded], which: str, size: int, rounds: int, subjects: list[str], results: Results
) -> None:
    """Into `results`, if the contestants' answers are right before, while and after regions are away."""
    places = Places(which, size)
    maps: dict[str, Map] = {}
    for name, one in loaded.items():
        reason = left_out(name, one, size)
        if reason:
            what = "changes" if one.ops.insert == ffi.NULL or not CONTESTANTS[name].changes_at else f"changes of {size}"
            results.cannot[f"{name}, {what}"] = reason
            continue
        try:
            maps[name] = one.map(places.layout.regions, places.layout.order)
        except CannotHold as refused:
            results.cannot[f"{name}, layout {which}, changes"] = str(refused)
    try:
        verify(loaded[JUDGE], maps, places)
        if "changes" in subjects:
            for what, series in changed(maps, places, size, rounds).items():
                results.cells[Key("changes", which, size, what)] = series
            check_state(loaded[JUDGE], maps, places.layout.regions, "after all changes")
    finally:
        for made in maps.values():
            made.close()
    if "growth" in subjects:
        names = [name for name in maps if not takes_too_long(name, which, size, results)]
        for what in GROWTHS:
            results.cells[Key("changes", which, size, what)] = grown(loaded, names, places, what, rounds)


def left_out(name: str, one: Loaded, size: int) -> str | None:
    """Why changes of a contestant are not measured, if they are not."""
    if name == JUDGE:
        return "it is told the answers"
    if one.ops.insert == ffi.NULL:
        return "it is built as a whole and cannot be changed"
    limit = CONTESTANTS[name].changes_at
    if not limit:
        return f"its changes are those of {CONTESTANTS[LIBRARY].title}"
    return None if size < limit else f"each goes through all regions: measured below {limit} regions only"


def takes_too_long(name: str, which: str, size: int, results: Results) -> bool:
    """Judged by how long it takes to insert one region into a whole map, where that was measured."""
    insert = results.cells.get(Key("changes", which, size, "insert"), {}).get(name)
    seconds = insert.median() * size * FEWEST_GROWTHS / 1e9 if insert else 0.0
    if name in DECIDING:
        return False
    if seconds > TOO_LONG:
        results.cannot[f"{name}, layout {which}, growth to {size}"] = f"would take {seconds:.0f} s"
    return seconds > TOO_LONG


def verify(judge: Loaded, maps: Mapping[str, Map], places: Places) -> None:
    """Answers are right with some regions out, in again, moved, and back again."""
    regions, again, to, moved = places.some(min(VERIFIED, len(places.layout.regions) // 2))
    everything = places.layout.regions
    rest = everything[~np.isin(everything["start"], regions["start"])]
    check_state(judge, maps, everything, "before any change")
    for what, changed_regions, target, state in (
        ("remove", regions, None, rest),
        ("insert", again, None, everything),
        ("move", regions, to, np.concatenate((rest, moved))),
        ("move", moved, regions["start"].copy(), everything),
    ):
        for name, one in maps.items():
            run(name, one, what, changed_regions, target)
        check_state(judge, maps, state, f"after {what}")


def check_state(judge: Loaded, maps: Mapping[str, Map], state: Regions, what: str) -> None:
    """All contestants answer as a new map of the judge does, at all regions' edges and beside them."""
    regions = np.sort(state, order="start")
    truth = judge.map(regions, np.arange(len(regions), dtype=np.uint32))
    starts, lasts, one = regions["start"], regions["last"], np.uint64(1)
    addresses = np.concatenate((starts, lasts, starts - one, lasts + one))
    chosen = np.searchsorted(starts, addresses, side="right") - 1
    mapped = (chosen >= 0) & (addresses <= lasts[np.maximum(chosen, 0)])
    indexes: Indexes = np.where(mapped, chosen, 2**32 - 1).astype(np.uint32)
    try:
        check({JUDGE: truth, **maps}, JUDGE, Work(addresses, indexes), what)
    finally:
        truth.close()


def changed(maps: Mapping[str, Map], places: Places, size: int, rounds: int) -> dict[str, dict[str, Series]]:
    turns = random.Random(5)
    batch = max(2, min(size // 4, 256))
    overhead = {name: clock_overhead(one) for name, one in maps.items()}
    repeats: dict[str, int] = {}
    for name, one in maps.items():
        took = sum(one_batch(name, one, places.some(batch), overhead[name])[:3])
        repeats[name] = max(1, min(OPERATIONS // batch, int(3 * ENOUGH / max(1, took))))
    series = {what: {name: Series() for name in maps} for what in CHANGES}
    for _ in range(rounds):
        names = list(maps)
        turns.shuffle(names)
        batches = [places.some(batch) for _ in range(max(repeats.values()))]
        for name in names:
            total = np.zeros(3)
            for number in range(repeats[name]):
                total += one_batch(name, maps[name], batches[number], overhead[name])
            for what, spent in zip(CHANGES, total, strict=True):
                series[what][name].ns.append(spent / (repeats[name] * batch))
    return series


def one_batch(
    name: str, one: Map, batch: tuple[Regions, Regions, npt.NDArray[np.uint64], Regions], overhead: float
) -> tuple[float, float, float]:
    """ns of insert, remove and move, each for all regions of the batch."""
    regions, again, to, moved = batch
    remove = run(name, one, "remove", regions)
    insert = run(name, one, "insert", again)
    away = run(name, one, "move", regions, to)
    back = run(name, one, "move", moved, regions["start"].copy())
    return max(1, insert - overhead), max(1, remove - overhead), max(1, (away + back) / 2 - overhead)


def numbered(places: Places, order: npt.NDArray[Any]) -> Regions:
    """All regions in this order, with numbers that say so."""
    regions: Regions = places.layout.regions[order]
    regions["id"] = np.arange(len(regions))
    return regions


def grown(loaded: Mapping[str, Loaded], names: list[str], places: Places, what: str, rounds: int) -> dict[str, Series]:
    """ns an insert, from an empty map on. In a round so many maps grow, one after the other, that reading the clock
    (which is taken off) is little of it. Contestants that need long do fewer rounds, but for those that a target is
    about."""
    everything = places.layout.regions
    turns = random.Random(6)
    series = {name: Series() for name in names}
    spent = dict.fromkeys(names, 0.0)
    none = np.zeros(0, np.uint32)
    repeats = max(1, GROWN_INSERTS // len(everything))
    overhead: dict[str, float] = {}
    for name in names:
        empty = loaded[name].map(everything[:0], none)
        overhead[name] = clock_overhead(empty)
        empty.close()
    for number in range(rounds):
        orders = [np.arange(len(everything))] * repeats
        if what == "growth, random":
            orders = [places.random.permutation(len(everything)) for _ in range(repeats)]
        turns.shuffle(names)
        for name in names:
            if name not in DECIDING and spent[name] > SECONDS_TO_GROW and number >= FEWEST_GROWTHS:
                continue
            started = time.thread_time()
            took = 0.0
            for order in orders:
                regions = numbered(places, order)
                made = loaded[name].map(everything[:0], none)
                took += run(name, made, "insert", regions) - overhead[name]
                made.close()
            spent[name] += time.thread_time() - started
            series[name].ns.append(max(1, took) / (repeats * len(everything)))
    return series
