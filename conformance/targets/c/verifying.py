"""Proofs about libgpamap: `python -m conformance.targets.c.verifying [--json] [TEXT]...`

Each harness (`verify/catalogue*.py`) is run by CBMC on the library, where all claims must hold and every witness must
be possible, and once with each planted bug, which must be refuted. Each problem of `objectcode/catalogue.py` is proved
of what each compiler makes, and refuted of what one makes of each planted bug. The exit status is 0 if all is so,
1 if not, 2 if a tool cannot be had or run. A verdict is kept by all that it depends on: a second run proves what
changed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from conformance.target import TargetUnavailable
from conformance.targets.c.cbmc import Cbmc, cbmc
from conformance.targets.c.checking import PROVED, REFUTED, Outcome, PlantDoesNotApply, Verdict, check
from conformance.targets.c.objectcode.catalogue import PLANTED_LEVEL, PROBLEMS, check_object
from conformance.targets.c.objectcode.compiling import Build, builds
from conformance.targets.c.verify.catalogue import HARNESSES
from conformance.targets.c.verify.functions import NOT_REACHED, table_of, unreached
from conformance.targets.c.verify.harness import Harness, Plant
from conformance.terminal import HARNESS_FAILED, console, errors

TWO_AT_A_TIME = 2
MOST_VALUES = 24  # of a counterexample that are shown


@dataclass(frozen=True)
class ObjectVerdict:
    """A problem of object code: an outcome for each build of the library, and one for each planted bug."""

    problem: Any
    outcomes: tuple[tuple[Build, Outcome], ...]
    planted: tuple[Outcome, ...]

    def passed(self) -> bool:
        refuted = [bug.status == REFUTED for bug in self.planted]
        return all(one.status == PROVED for _, one in self.outcomes) and bool(refuted) and all(refuted)


def is_wanted(one: Any, texts: list[str]) -> bool:
    """Whether the name or the sentence contains one of the texts, or there are none."""
    return not texts or any(text.lower() in f"{one.name} {one.shows}".lower() for text in texts)


def selected(texts: list[str]) -> tuple[Harness, ...]:
    """The harnesses whose name or sentence contains one of the texts; all if there are none."""
    return tuple(one for one in HARNESSES if is_wanted(one, texts))


def verify(
    harnesses: tuple[Harness, ...],
    tool: Cbmc,
    on_outcome: Callable[[Harness, Plant | None, Outcome], None] | None = None,
) -> tuple[Verdict, ...]:
    """Run harnesses and their planted bugs, two at a time. The slow ones begin first."""
    jobs: list[tuple[Harness, Plant | None]] = [(one, plant) for one in harnesses for plant in (None, *one.plants)]
    jobs.sort(key=lambda job: job[0].quick)
    found: dict[tuple[Harness, Plant | None], Outcome] = {}
    with ThreadPoolExecutor(TWO_AT_A_TIME) as pool:
        futures = {pool.submit(check, harness, plant, tool): (harness, plant) for harness, plant in jobs}
        try:
            for future in as_completed(futures):
                job = futures[future]
                found[job] = future.result()
                if on_outcome is not None:
                    on_outcome(*job, found[job])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return tuple(Verdict(one, found[one, None], tuple(found[one, plant] for plant in one.plants)) for one in harnesses)


def verify_objects(
    problems: tuple[Any, ...],
    made: tuple[Build, ...],
    on_outcome: Callable[[Any, Plant | None, Outcome], None] | None = None,
) -> tuple[ObjectVerdict, ...]:
    """Prove problems of all builds, and refute their planted bugs of one, in two processes: z3 is not for threads."""
    planted_in = next(one for one in made if one.level == PLANTED_LEVEL)
    jobs = [
        (one, build, plant)
        for one in problems
        for build, plant in (*((each, None) for each in made), *((planted_in, bug) for bug in one.plants))
    ]
    found: dict[tuple[str, Build, Plant | None], Outcome] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(TWO_AT_A_TIME, mp_context=context) as pool:
        futures = {pool.submit(check_object, one.name, build, plant): (one, build, plant) for one, build, plant in jobs}
        try:
            for future in as_completed(futures):
                one, build, plant = futures[future]
                found[one.name, build, plant] = future.result()
                if on_outcome is not None:
                    on_outcome(one, plant, found[one.name, build, plant])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return tuple(
        ObjectVerdict(
            one,
            tuple((build, found[one.name, build, None]) for build in made),
            tuple(found[one.name, planted_in, bug] for bug in one.plants),
        )
        for one in problems
    )


def print_outcome(harness: Any, plant: Plant | None, outcome: Outcome) -> None:
    """One line, and a counterexample where there is one."""
    subject = f"{harness.name}, planted: {plant.what}" if plant else harness.name
    about = f": {outcome.about}" if outcome.about else ""
    console.print(f"{outcome.status:9} {outcome.seconds:6.1f} s  {subject}{about}", markup=False, highlight=False)
    if outcome.values:
        console.print(f"    with {', '.join(outcome.values[-MOST_VALUES:])}", markup=False, highlight=False)


def print_table(verdicts: tuple[Verdict, ...]) -> None:
    """What is shown, how far, and what came out."""
    table = Table(title="Bounded model checking of libgpamap")
    for column in ("harness", "what is shown", "bound", "library", "planted bugs"):
        table.add_column(column)
    table.add_column("seconds", justify="right")
    for verdict in verdicts:
        refuted = sum(bug.status == REFUTED for bug in verdict.planted)
        seconds = verdict.outcome.seconds + sum(bug.seconds for bug in verdict.planted)
        table.add_row(
            verdict.harness.name,
            verdict.harness.shows,
            verdict.harness.bound,
            verdict.outcome.status,
            f"{refuted} of {len(verdict.planted)} refuted",
            f"{seconds:.1f}",
        )
    console.print(table)


def print_object_table(verdicts: tuple[ObjectVerdict, ...]) -> None:
    """What is shown of object code, of which compilers', and what came out."""
    table = Table(title="Object code of libgpamap")
    for column in ("name", "what is shown", "builds", "planted bugs"):
        table.add_column(column)
    table.add_column("seconds", justify="right")
    for verdict in verdicts:
        refuted = sum(bug.status == REFUTED for bug in verdict.planted)
        seconds = sum(one.seconds for _, one in verdict.outcomes) + sum(bug.seconds for bug in verdict.planted)
        table.add_row(
            verdict.problem.name,
            verdict.problem.shows,
            "\n".join(f"{build}: {one.status}" for build, one in verdict.outcomes),
            f"{refuted} of {len(verdict.planted)} refuted",
            f"{seconds:.1f}",
        )
    console.print(table)


def as_json(verdicts: tuple[Verdict, ...], objects: tuple[ObjectVerdict, ...], told: list[str]) -> str:
    """Everything that came out, for other programs. `told` are sentences about what is missing."""
    rows: list[dict[str, Any]] = [
        {
            "name": one.harness.name,
            "shows": one.harness.shows,
            "bound": one.harness.bound,
            "passed": one.passed(),
            "library": asdict(one.outcome),
            "planted": {plant.what: asdict(bug) for plant, bug in zip(one.harness.plants, one.planted, strict=True)},
        }
        for one in verdicts
    ]
    rows += [
        {
            "name": each.problem.name,
            "shows": each.problem.shows,
            "passed": each.passed(),
            "builds": {str(build): asdict(outcome) for build, outcome in each.outcomes},
            "planted": {plant.what: asdict(bug) for plant, bug in zip(each.problem.plants, each.planted, strict=True)},
        }
        for each in objects
    ]
    return json.dumps({"missing": told, "results": rows}, indent=1)


def reached_by(verdicts: tuple[Verdict, ...]) -> dict[str, tuple[str, ...]]:
    """The functions that each harness looks at."""
    return {one.harness.name: one.outcome.functions for one in verdicts}


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="verifying", description="Proofs about libgpamap: CBMC, and object code.")
    parser.add_argument("text", nargs="*", help="only what has one of these in its name or sentence")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    parser.add_argument("--functions", action="store_true", help="print which harness looks at which function")
    chosen = parser.parse_args(arguments)
    harnesses = selected(chosen.text)
    problems = tuple(one for one in PROBLEMS if is_wanted(one, chosen.text))
    if not harnesses and not problems:
        errors.print(f"nothing has {' or '.join(chosen.text)} in its name or sentence", markup=False)
        return HARNESS_FAILED
    show = None if chosen.json else print_outcome
    told: list[str] = []
    verdicts: tuple[Verdict, ...] = ()
    objects: tuple[ObjectVerdict, ...] = ()
    failed = False
    for part in (0, 1):
        try:
            if part == 0 and problems:
                made, missing = builds()
                told += missing
                objects = verify_objects(problems, made, show)
            elif part == 1 and harnesses:
                verdicts = verify(harnesses, cbmc(), show)
        except (TargetUnavailable, PlantDoesNotApply) as reason:
            told.append(str(reason))
            failed = True
        except OSError as error:
            told.append(f"A tool cannot be run: {error}")
            failed = True
    if not chosen.json:
        for sentence in told:
            errors.print(sentence, markup=False)
    return report(verdicts, objects, told, chosen) if not failed or chosen.json else HARNESS_FAILED


def report(
    verdicts: tuple[Verdict, ...], objects: tuple[ObjectVerdict, ...], told: list[str], chosen: argparse.Namespace
) -> int:
    """Print what came out. Returns the exit status."""
    wrong = [one.harness.name for one in verdicts if not one.passed()]
    wrong += [one.problem.name for one in objects if not one.passed()]
    is_whole = not chosen.text and all(one.passed() for one in verdicts) and bool(verdicts)
    unsaid = unreached(reached_by(verdicts)) if is_whole else ()
    if chosen.json:
        print(as_json(verdicts, objects, told))
    elif chosen.functions:
        print(table_of(reached_by(verdicts)))
    else:
        if verdicts:
            print_table(verdicts)
        if objects:
            print_object_table(objects)
        if wrong:
            console.print(f"not as it must be: {', '.join(wrong)}", highlight=False)
        else:
            many = len(verdicts) + len(objects)
            console.print(f"{many} proved, each with its planted bugs refuted", highlight=False)
        if is_whole:
            console.print(f"{len(NOT_REACHED)} functions are looked at by no harness: docs/c_verification.md says why")
    if unsaid:
        errors.print(f"verify/functions.py is wrong about {', '.join(unsaid)}", markup=False)
    return 1 if wrong or unsaid else 0


if __name__ == "__main__":
    sys.exit(main())
