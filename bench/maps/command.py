"""The command: which contestants, layouts, sizes and queries; what is printed and written."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.maps.abi import CannotHold, Loaded, Map
from bench.maps.build import in_short
from bench.maps.contestants import CONTESTANTS, JUDGE, YARDSTICK
from bench.maps.measure import Series, WrongAnswer, check, ratio, rounds_of
from bench.maps.workloads import KINDS, LAYOUTS, edges, layout, queries
from conformance.target import TargetUnavailable

SIZES = (8, 64, 509, 4096, 32764)
LOOPS = ("throughput", "latency")


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 150)
    loaded: dict[str, Loaded] = {}
    absent: dict[str, str] = {}
    for name in dict.fromkeys([*options.contestants, JUDGE]):
        try:
            loaded[name] = Loaded(CONTESTANTS[name].build())
        except TargetUnavailable as reason:
            absent[name] = in_short(reason)
    if JUDGE in absent:
        print(f"bench: {absent[JUDGE]}", file=sys.stderr)
        return 2
    for name, why in absent.items():
        console.print(f"{CONTESTANTS[name].title} is not there: {why}", markup=False)
    try:
        for which in options.layouts:
            for kind in options.queries:
                measured = {size: measure(loaded, absent, which, size, kind, options.rounds) for size in options.sizes}
                console.print(*tables(f"layout {which}, {kind}", measured), sep="\n")
    except WrongAnswer as wrong:
        print(f"bench: {wrong}", file=sys.stderr)
        return 1
    return 0


def measure(
    loaded: dict[str, Loaded], absent: dict[str, str], which: str, size: int, kind: str, rounds: int
) -> dict[str, dict[str, Series]]:
    """By contestant, the series of each loop."""
    regions = layout(which, size)
    maps: dict[str, Map] = {}
    for name, one in loaded.items():
        if CONTESTANTS[name].slow and size > 4096:
            continue
        try:
            maps[name] = one.map(regions.regions, regions.order)
        except CannotHold as reason:
            absent[f"{name} {which}"] = str(reason)
    work = queries(regions, kind)
    check(maps, JUDGE, edges(regions), f"layout {which}, {size} regions, at the edges")
    check(maps, JUDGE, work, f"layout {which}, {size} regions, {kind}")
    by_loop = {loop: rounds_of(maps, work, loop, rounds) for loop in LOOPS}
    for made in maps.values():
        made.close()
    return {name: {loop: by_loop[loop][name] for loop in LOOPS} for name in maps}


def tables(title: str, measured: dict[int, dict[str, dict[str, Series]]]) -> list[Table]:
    """ns a lookup (p10, throughput / latency), and ratios to the yardstick (median of the rounds, and their spread)."""
    times = Table(title=f"{title}: ns a lookup, throughput / latency (p10 of the rounds)")
    ratios = Table(title=f"{title}: how many times the yardstick (median of the rounds' ratios, their p10..p90)")
    for made in (times, ratios):
        made.add_column("contestant")
        for size in measured:
            made.add_column(str(size), justify="right")
    for name in dict.fromkeys(name for cell in measured.values() for name in cell):
        times.add_row(CONTESTANTS[name].title, *(time_entry(cell.get(name)) for cell in measured.values()))
        if name != YARDSTICK:
            ratios.add_row(CONTESTANTS[name].title, *(ratio_entry(cell, name) for cell in measured.values()))
    return [times, ratios] if any(YARDSTICK in cell for cell in measured.values()) else [times]


def time_entry(loops: dict[str, Series] | None) -> str:
    return " / ".join(f"{loops[loop].p10():.3g}" for loop in LOOPS) if loops else "-"


def ratio_entry(cell: dict[str, dict[str, Series]], name: str) -> str:
    if name not in cell or YARDSTICK not in cell:
        return "-"
    ratios = [ratio(cell[YARDSTICK][loop], cell[name][loop]) for loop in LOOPS]
    return "\n".join(f"{one.median:.2f} ({one.low:.2f}..{one.high:.2f})" for one in ratios)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m bench.maps", description=__doc__)
    made.add_argument("--contestants", type=several(CONTESTANTS), default=list(CONTESTANTS), metavar="NAMES")
    made.add_argument("--sizes", type=several(None), default=list(SIZES), metavar="NUMBERS")
    made.add_argument("--layouts", type=several(LAYOUTS), default=list(LAYOUTS), metavar="NAMES")
    made.add_argument("--queries", type=several(KINDS), default=["uniform"], metavar="NAMES")
    made.add_argument("--rounds", type=int, default=31)
    return made


def several(known: Collection[str] | None) -> Callable[[str], list[Any]]:
    """A list with commas: of numbers, or of known names."""

    def read(text: str) -> list[Any]:
        parts = [part for part in text.split(",") if part]
        if known is None:
            return [int(part) for part in parts]
        unknown = [part for part in parts if part not in known]
        if unknown:
            names = ", ".join(known)
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)} (known: {names})")
        return list(parts)

    return read
