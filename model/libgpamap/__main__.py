"""Explore all orders: `python -m model.libgpamap`. Exit code 0: nothing found; 1: a finding."""

from __future__ import annotations

import sys
from time import monotonic

from .scenes import TRACES, all_reports
from .writer import Writer

BOUNDS = ((1, 3, True), (2, 2, True))  # readers, stays of each, whether allocations fail


def new_writer(readers: int) -> Writer:
    return Writer(range(readers))


def main() -> int:
    """Print a line for each bound, or what was found."""
    for readers, stays, with_failures in BOUNDS:
        began, states, scenes = monotonic(), 0, 0
        situations: set[str] = set()
        for name, report in all_reports(TRACES, new_writer, readers, stays, with_failures):
            states, scenes = states + report.states, scenes + 1
            situations |= report.situations
            for finding in report.findings:
                print(f"{name}: {finding.what}", *finding.story, sep="\n  ")
                return 1
        print(f"{readers} reader(s), {stays} stays each: {scenes} traces, {states} states, {monotonic() - began:.0f} s")
        print(*(f"  seen: {situation}" for situation in sorted(situations)), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
