"""Lookups, translations and memory of one layout and size."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bench.maps.abi import CannotHold, Loaded, Map
from bench.maps.contestants import CONTESTANTS, JUDGE
from bench.maps.measure import check, check_translations, rounds_of
from bench.maps.results import Key, Results
from bench.maps.workloads import Layout, each_once, edges, queries

LOOPS = ("throughput", "latency")
LENGTHS = {"4 KiB": 2**12, "1 MiB": 2**20}
SLOW_LIMIT = 4096  # regions


def is_too_slow(name: str, size: int) -> bool:
    """Whether nobody wants to wait for a contestant with so many regions."""
    return CONTESTANTS[name].slow and size > SLOW_LIMIT


def cannot_hold(results: Results, name: str, which: str) -> bool:
    """Whether a contestant was asked to hold a layout, and could not."""
    return f"{name}, layout {which}" in results.cannot


def made(loaded: Mapping[str, Loaded], regions: Layout, results: Results) -> dict[str, Map]:
    """A map for each contestant that can hold these regions. It is noted who cannot."""
    maps: dict[str, Map] = {}
    for name, one in loaded.items():
        if is_too_slow(name, len(regions.regions)):
            results.cannot[f"{name}, {len(regions.regions)} regions"] = "too slow to be waited for"
            continue
        try:
            maps[name] = one.map(regions.regions, regions.order)
        except CannotHold as reason:
            results.cannot[f"{name}, layout {regions.name}"] = str(reason)
    return maps


def measure_lookups(
    loaded: Mapping[str, Loaded],
    regions: Layout,
    kinds: Collection[str],
    subjects: Collection[str],
    rounds: int,
    results: Results,
) -> None:
    """Into `results`. Raises WrongAnswer before anything is timed that answers wrong."""
    size = len(regions.regions)
    where = f"layout {regions.name}, {size} regions"
    maps = made(loaded, regions, results)
    once = each_once(regions)
    try:
        results.memory[regions.name, size] = {name: one.bytes / size for name, one in maps.items() if one.bytes}
        check(maps, JUDGE, edges(regions), f"{where}, at the edges")
        if "lookups" in subjects:
            for kind in kinds:
                work = queries(regions, kind)
                check(maps, JUDGE, work, f"{where}, {kind}")
                for loop in LOOPS:
                    results.cells[Key("lookups", regions.name, size, kind, loop)] = rounds_of(
                        maps, work, once, loop, rounds
                    )
        if "translations" in subjects:
            work = queries(regions, "uniform")
            # What is restricted to units does not know where a region ends: its segments are others.
            peers = {name: one for name, one in maps.items() if CONTESTANTS[name].arbitrary or name == JUDGE}
            for kind, length in LENGTHS.items():
                key = Key("translations", regions.name, size, kind)
                results.segments[key] = check_translations(peers, JUDGE, work, length, f"{where}, {kind}")
                results.cells[key] = rounds_of(peers, work, once, "translate", rounds, length)
    finally:
        for one in maps.values():
            one.close()
