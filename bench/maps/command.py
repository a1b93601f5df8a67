"""Guest address maps side by side.

Ends with 0; with 1 when a contestant answers wrong (nothing is timed then), or with --require when a target is not
met; with 2 when it cannot run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.maps import instructions, page, targets
from bench.maps.abi import Loaded
from bench.maps.beside import measure_beside
from bench.maps.build import in_short
from bench.maps.changes import measure_changes
from bench.maps.contestants import BESIDE, CONTESTANTS, JUDGE, LIBRARY, YARDSTICK, Contestant
from bench.maps.lookups import measure_lookups
from bench.maps.machine import described
from bench.maps.measure import WrongAnswer
from bench.maps.plots import plots
from bench.maps.results import ROUNDS, Results
from bench.maps.tables import TITLES, tables
from bench.maps.workloads import KINDS, LAYOUTS, layout
from conformance.target import TargetUnavailable

SIZES = targets.SIZES
TIMED = ("lookups", "translations", "changes", "growth", "beside")
SUBJECTS = (*TIMED, "instructions")
QUICK: dict[str, Any] = {
    "sizes": [8, 509],
    "layouts": ["A", "B"],
    "queries": ["uniform"],
    "rounds": 9,
    "subjects": list(TIMED),
}
DOCS = Path(__file__).parents[2] / "docs" / "bench"
SHOWN = ("A-uniform-throughput", "A-uniform-latency", "B-uniform-throughput", "B-uniform-latency")


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.docs and (options.quick or not list(whole(options))):
        print("bench: --docs wants a whole run, or all of --subjects instructions", file=sys.stderr)
        return 2
    if options.quick:
        for name, value in QUICK.items():
            if getattr(options, name) == parser().get_default(name):
                setattr(options, name, value)
    console = Console(width=None if sys.stdout.isatty() else 180)
    # GLib's own allocator keeps memory back; malloc is what the others have.
    os.environ.setdefault("G_SLICE", "always-malloc")
    results = Results(machine=described())
    loaded = load({name: CONTESTANTS[name] for name in dict.fromkeys([JUDGE, *options.contestants])}, results)
    if JUDGE not in loaded:
        print(f"bench: {results.absent[JUDGE]}", file=sys.stderr)
        return 2
    begun = time.monotonic(), time.process_time()
    try:
        measure(options, loaded, results, console)
    except WrongAnswer as wrong:
        for line in (*missing(results), f"bench: {wrong}"):
            print(line, file=sys.stderr)
        return 1
    took = time.monotonic() - begun[0], time.process_time() - begun[1]
    results.machine["measuring took"] = f"{took[0]:.0f} s, {took[1]:.0f} s of it on a processor"
    return report(options, results, console)


def load(wanted: Mapping[str, Contestant], results: Results) -> dict[str, Loaded]:
    loaded = {}
    for name, one in wanted.items():
        try:
            loaded[name] = Loaded(one.build())
        except TargetUnavailable as reason:
            results.absent[name] = in_short(reason)
    return loaded


def measure(options: argparse.Namespace, loaded: dict[str, Loaded], results: Results, console: Console) -> None:
    with console.status("measuring") as status:
        for which in options.layouts:
            for size in options.sizes:
                status.update(f"layout {which}, {size} regions")
                if {"lookups", "translations"} & set(options.subjects):
                    measure_lookups(
                        loaded, layout(which, size), options.queries, options.subjects, options.rounds, results
                    )
                if {"changes", "growth"} & set(options.subjects):
                    measure_changes(loaded, which, size, options.rounds, options.subjects, results)
                if "instructions" in options.subjects:
                    instructions.count(instructions.wanted(loaded), which, size, results)
        if "beside" in options.subjects:
            status.update("one reader beside one writer")
            known = {**CONTESTANTS, **BESIDE}
            wanted = {name: known[name] for name in BESIDE if basis(name) in options.contestants}
            beside = load(wanted, results)
            for which in options.layouts:
                for size in options.sizes:
                    measure_beside(beside, which, size, options.rounds, results)


def basis(name: str) -> str:
    """What a map with a lock around it is without."""
    return name.removesuffix("-rwlock").removesuffix("-mutex")


def report(options: argparse.Namespace, results: Results, console: Console) -> int:
    verdicts = list(targets.verdicts(results))
    document = results.as_json(YARDSTICK, LIBRARY, TITLES)
    document["targets"] = [one.as_json() for one in verdicts]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "bench.json").write_text(json.dumps(document, indent=1) + "\n")  # first: it took long to get
    for made in tables(results):
        console.print(made)
    console.print(targets.table(verdicts))
    console.print(targets.unmet(verdicts))
    for what, fact in results.machine.items():
        console.print(f"{what}: {fact}", markup=False, highlight=False)
    console.print(targets.summary(verdicts), markup=False, highlight=False)
    drawn = plots(results, options.out)
    for line in (*missing(results), f"{len(drawn)} plots and bench.json are in {options.out}"):
        console.print(line, markup=False, highlight=False)
    if options.docs:
        keep(list(whole(options)), document, results, drawn)
        page.write()
    return 1 if options.require and not all(one.met for one in verdicts) else 0


def missing(results: Results) -> Iterator[str]:
    """Who took no part in what, and why; last those that were not there at all."""
    for name, reason in results.cannot.items():
        yield f"{TITLES.get(name, name)}: does not take part: {reason}"
    for name, reason in results.absent.items():
        yield f"{TITLES.get(name, name)}: was not built, and takes no part at all: {reason}"
    if not results.absent:
        yield "every contestant that was asked for was built"


def keep(parts: Collection[str], document: Mapping[str, Any], results: Results, drawn: Sequence[Path]) -> None:
    """What docs/bench.md is written from."""
    DOCS.mkdir(parents=True, exist_ok=True)
    machine = {part: document[part] for part in ("machine", "absent", "cannot")}
    if "times" in parts:
        times = {**machine, "cells": results.reduced(), "memory": document["memory"], "beside": document["beside"]}
        (DOCS / "times.json").write_text(in_lines(times))
        (DOCS / "targets.json").write_text(in_lines({**machine, "targets": document["targets"]}))
        for file in drawn:
            if file.stem in SHOWN:
                shutil.copy(file, DOCS)
    if "counts" in parts:
        (DOCS / "counts.json").write_text(in_lines({**machine, "instructions": document["instructions"]}))


def in_lines(document: Mapping[str, Any]) -> str:
    """JSON with a line for each element of the lists in it, so that what differs between two runs can be seen."""
    parts = []
    for name, value in document.items():
        if isinstance(value, list):
            text = "[\n  " + ",\n  ".join(json.dumps(one) for one in value) + "\n ]"
        else:
            text = json.dumps(value, indent=1).replace("\n", "\n ")
        parts.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m bench.maps", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--contestants", type=several(CONTESTANTS), default=list(CONTESTANTS), metavar="NAMES")
    made.add_argument("--sizes", type=several(None), default=list(SIZES), metavar="NUMBERS", help="numbers of regions")
    made.add_argument("--layouts", type=several(LAYOUTS), default=list(LAYOUTS), metavar="NAMES")
    made.add_argument("--queries", type=several(KINDS), default=list(KINDS), metavar="NAMES")
    made.add_argument("--subjects", type=several(SUBJECTS), default=list(SUBJECTS), metavar="NAMES")
    made.add_argument("--rounds", type=int, default=ROUNDS)
    made.add_argument("--quick", action="store_true", help="a sample in a minute")
    made.add_argument("--require", action="store_true", help="end with 1 unless every target is met")
    made.add_argument("--out", type=Path, default=Path("out/bench"), help="where plots and bench.json go")
    made.add_argument("--docs", action="store_true", help="write docs/bench/, and what follows from it in pages")
    return made


def whole(options: argparse.Namespace) -> Iterator[str]:
    """What of docs/bench/ a run may write: a part of a subject may not take the place of all of it."""
    default = parser()
    named = ("contestants", "sizes", "layouts", "queries", "rounds")
    if any(getattr(options, name) != default.get_default(name) for name in named):
        return
    if set(TIMED) <= set(options.subjects):
        yield "times"
    if "instructions" in options.subjects:
        yield "counts"


def several(known: Collection[str] | None) -> Callable[[str], list[Any]]:
    """A list with commas: of numbers, or of known names."""

    def read(text: str) -> list[Any]:
        parts = [part for part in text.split(",") if part]
        if known is None:
            if not all(part.isdigit() and 2 <= int(part) <= 32764 for part in parts):
                raise argparse.ArgumentTypeError(f"{text}: numbers from 2 to 32764 with commas are wanted")
            return [int(part) for part in parts]
        unknown = [part for part in parts if part not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)} (known: {', '.join(known)})")
        return parts

    return read
