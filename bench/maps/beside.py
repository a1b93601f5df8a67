"""One reader beside one writer: what the reader gets done while slots are moved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.maps.abi import FAILED, Loaded, Work, ffi, pointer
from bench.maps.build import own
from bench.maps.changes import Places
from bench.maps.measure import WrongAnswer
from bench.maps.results import Beside, Rate, Results
from bench.maps.workloads import queries

NS = 10_000_000  # each measurement
MOVED = 64  # regions that go away and come back, over and over again

ffi.cdef(
    """uint64_t beside(const struct contestant *ops, void *map, struct work *work, const struct region *away,
                       const uint64_t *to, const struct region *home, size_t count, uint64_t ns, uint64_t *lookups,
                       uint64_t *moves);"""
)


def loop() -> Path:
    return own("beside.c")


def measure_beside(loaded: Mapping[str, Loaded], which: str, size: int, rounds: int, results: Results) -> None:
    """Into `results`: the reader with the writer, and the same reader alone, in rounds in which all take turns."""
    library = ffi.dlopen(str(loop()))
    places = Places(which, size)
    work: Work = queries(places.layout, "uniform")
    away, _, to, home = places.some(min(size // 2, MOVED))
    maps = {}
    for name, one in loaded.items():
        if one.ops.read_until == ffi.NULL:
            results.cannot[f"{name}, one reader beside one writer"] = "it has neither readers nor a lock"
        else:
            maps[name] = one.map(places.layout.regions, places.layout.order)
    lookups, moves = ffi.new("uint64_t *"), ffi.new("uint64_t *")
    rates: dict[str, list[tuple[float, float, float]]] = {name: [] for name in maps}
    try:
        for number in range(rounds):
            for name, made in sorted(maps.items(), reverse=number % 2 == 1):
                part = work.part(0, len(work.addresses))
                both = []
                for count in (0, len(away)):
                    moved = (pointer("struct region", away), pointer("uint64_t", to), pointer("struct region", home))
                    took = library.beside(loaded[name].ops, made.made, part, *moved, count, NS, lookups, moves)
                    if took == FAILED:
                        raise WrongAnswer(f"{name} refuses to move a region beside a reader")
                    both.append((lookups[0] * 1e9 / took, moves[0] * 1e9 / took))
                rates[name].append((both[1][0], both[1][1], both[0][0]))
    finally:
        for made in maps.values():
            made.close()
    results.beside[which, size] = {
        name: Beside(*(Rate.of(column) for column in zip(*found, strict=True))) for name, found in rates.items()
    }
