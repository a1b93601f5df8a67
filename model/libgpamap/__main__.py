"""Explore every order of the steps of publishing and reading in libgpamap. It takes two minutes.

A line is printed for each bound, with what was seen in it. Exit code 0: nothing found; 1: a finding, with its story.
docs/c_concurrency.md says what is explored.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from time import monotonic

from .scenes import TRACES, all_reports
from .writer import Writer

BOUNDS = ((1, 3, True), (2, 2, True))  # readers, stays of each, whether allocations fail


def new_writer(readers: int) -> Writer:
    return Writer(range(readers))


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m model.libgpamap",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    usual = ", then ".join(f"{readers} with {stays} stays" for readers, stays, _ in BOUNDS)
    made.add_argument("--readers", type=count, help=f"so many readers, in the place of {usual} each")
    made.add_argument("--stays", type=count, help="how often each of these enters (2)")
    made.add_argument("--no-failures", action="store_true", help="every allocation succeeds: fewer traces")
    return made


def count(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word} is no number from 1 on")
    return int(word)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each bound, or what was found."""
    options = parser().parse_args(arguments)
    if options.stays and not options.readers:
        parser().error("--stays goes with --readers")
    bounds = ((options.readers, options.stays or 2, True),) if options.readers else BOUNDS
    for readers, stays, may_fail in bounds:
        with_failures = may_fail and not options.no_failures
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
