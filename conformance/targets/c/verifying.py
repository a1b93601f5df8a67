"""Bounded model checking of libgpamap: `python -m conformance.targets.c.verifying [TEXT]...`

Each harness (`verify/catalogue.py`) is run on the library, where all claims must hold and every witness must be
possible, and once with each planted bug, which must be refuted. The exit status is 0 if all of that is so, 1 if not, 2
if CBMC cannot be had or run. A verdict is kept by all that it depends on, so a second run proves only what changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from conformance.target import TargetUnavailable
from conformance.targets.c.cbmc import Cbmc, cbmc
from conformance.targets.c.verify.catalogue import HARNESSES
from conformance.targets.c.verify.harness import CHECKS, Harness, Plant
from conformance.targets.linux.cache import cache_directory
from conformance.terminal import HARNESS_FAILED, console, errors

HERE = Path(__file__).parent
VERIFY = HERE / "verify"
TWO_AT_A_TIME = 2
PREPROCESS_SECONDS = 60
MOST_VALUES = 24  # of a counterexample that are shown
COUNTEREXAMPLE = ("-DPLANTED", "--stop-on-fail", "--trace")

UNSAID = (
    "__",
    "return_value_",
    "tmp_",
    "dynamic_object",
    "malloc_",
    "byte_extract",
)  # names that say nothing to a reader

PROVED = "proved"
REFUTED = "refuted"
VACUOUS = "vacuous"  # a witness is impossible, or nothing was claimed
MISSED = "missed"  # the planted bug was not found
UNDECIDED = "undecided"  # not within the time, or CBMC failed


@dataclass(frozen=True)
class Outcome:
    """What one run of CBMC found: a status, what it is about (a claim, a witness, an error), the values of a
    counterexample, and the seconds that it took when it was run."""

    status: str
    about: str
    values: tuple[str, ...]
    seconds: float
    claims: int = 0
    witnesses: int = 0


@dataclass(frozen=True)
class Verdict:
    """A harness: the library's outcome, and one for each planted bug."""

    harness: Harness
    outcome: Outcome
    planted: tuple[Outcome, ...]

    def passed(self) -> bool:
        refuted = [bug.status == REFUTED for bug in self.planted]
        return self.outcome.status == PROVED and bool(refuted) and all(refuted)


class PlantDoesNotApply(Exception):
    """The text that a planted bug replaces is not there exactly once: the list is older than the library."""


# ---- One run of CBMC --------------------------------------------------------------------------------------------


@contextmanager
def library_with(plant: Plant | None, base: Path = HERE) -> Iterator[Path]:
    """A directory with `src` and `include` of the library, with a bug if one is given."""
    if plant is None:
        yield base
        return
    with tempfile.TemporaryDirectory(prefix="gpaspec-verify-") as directory:
        copy = Path(directory)
        for part in ("src", "include"):
            shutil.copytree(base / part, copy / part)
        file = copy / "src" / plant.file
        text = file.read_text()
        if text.count(plant.old) != 1:
            raise PlantDoesNotApply(f"{plant.file} has {text.count(plant.old)} times: {plant.old!r}")
        file.write_text(text.replace(plant.old, plant.new))
        yield copy


def read_by(harness: Harness, library: Path) -> list[str]:
    """The arguments that say what is read, for CBMC and for the preprocessor."""
    places = (library / "include", library / "src", VERIFY)
    return [
        *(f"-D{macro}" for macro in harness.defines),
        *(f"-I{place}" for place in places),
        str(VERIFY / harness.file),
    ]


def bounds_of(harness: Harness) -> list[str]:
    """The arguments that say what is checked, and how far."""
    sets = ["--unwindset", ",".join(harness.unwindset)] if harness.unwindset else []
    return [
        *("--function", harness.function),
        *("--unwind", str(harness.unwind)),
        *sets,
        *CHECKS,
        *harness.flags,
        "--drop-unused-functions",
    ]


def key_of(harness: Harness, library: Path, planted: bool, tool: Cbmc) -> str:
    """A hash over all that a verdict depends on: the code after the preprocessor, the flags, CBMC, this file."""
    read = subprocess.run(
        ["gcc", "-std=c11", "-E", "-P", *read_by(harness, library)],
        capture_output=True,
        timeout=PREPROCESS_SECONDS,
        check=False,
    )
    if read.returncode != 0:
        raise TargetUnavailable(f"{harness.file} cannot be read: {read.stderr.decode(errors='replace')[:500]}")
    digest = hashlib.sha256(read.stdout)
    digest.update(repr((bounds_of(harness), harness.seconds, planted, tool.version)).encode())
    digest.update(Path(__file__).read_bytes())
    return digest.hexdigest()[:32]


def run_limited(command: list[str], seconds: float) -> str:
    """What a command prints. Raises subprocess.TimeoutExpired after it and all that it started were ended."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        return process.communicate(timeout=seconds)[0]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def check(harness: Harness, plant: Plant | None, tool: Cbmc) -> Outcome:
    """Run a harness on the library, or on the library with a bug; from the cache if nothing changed."""
    planted = plant is not None
    with library_with(plant) as library:
        kept = cache_directory("verify") / f"{key_of(harness, library, planted, tool)}.json"
        with suppress(OSError, ValueError, TypeError):
            fields = json.loads(kept.read_text())
            return Outcome(**{**fields, "values": tuple(fields["values"])})
        started = time.perf_counter()
        command = [*tool.command, *read_by(harness, library), *bounds_of(harness), "--json-ui"]
        try:
            if not planted:
                outcome = judge(run_limited(command, harness.seconds), time.perf_counter() - started)
            if planted or outcome.status == REFUTED:  # one counterexample is wanted, and witnesses are none
                printed = run_limited([*command, *COUNTEREXAMPLE], harness.seconds)
                outcome = counterexample(printed, harness, time.perf_counter() - started)
        except subprocess.TimeoutExpired:
            return Outcome(UNDECIDED, f"not within {harness.seconds:.0f} s", (), time.perf_counter() - started)
    if outcome.status != UNDECIDED:
        temporary = kept.with_suffix(f".{os.getpid()}-{id(outcome)}")
        temporary.write_text(json.dumps(asdict(outcome)))
        temporary.replace(kept)
    return outcome


# ---- What it found ----------------------------------------------------------------------------------------------


def parts_of(printed: str) -> list[dict[str, Any]]:
    """What CBMC printed as JSON; nothing if it is none."""
    try:
        return [part for part in json.loads(printed) if isinstance(part, dict)]
    except (ValueError, TypeError):
        return []


def counterexample(printed: str, harness: Harness, seconds: float) -> Outcome:
    """Make an outcome of a run that stops at the first claim that does not hold."""
    parts = parts_of(printed)
    for part in parts:
        if "trace" in part:
            failure = part["trace"][-1]
            one = {"description": failure["reason"], "sourceLocation": failure.get("sourceLocation", {})}
            return Outcome(REFUTED, where(one), values_of(part["trace"], harness), seconds)
    if any(part.get("cProverStatus") == "success" for part in parts):
        return Outcome(MISSED, "no claim is broken", (), seconds)
    return Outcome(UNDECIDED, f"CBMC failed: {complaint(printed)}", (), seconds)


def judge(printed: str, seconds: float) -> Outcome:
    """Make an outcome of a run on the library, which looks at all claims and all witnesses."""
    results: list[dict[str, Any]] = next((part["result"] for part in parts_of(printed) if "result" in part), [])
    if not results:
        return Outcome(UNDECIDED, f"CBMC failed: {complaint(printed)}", (), seconds)
    witnesses = [one for one in results if one["description"].startswith("witness: ")]
    claims = [one for one in results if one not in witnesses]
    counts = (len(claims), len(witnesses))
    for one in claims:
        if one["status"] == "FAILURE":
            return Outcome(REFUTED, where(one), (), seconds, *counts)
    for one in claims:
        if one["status"] != "SUCCESS":
            return Outcome(UNDECIDED, f"{one['status'].lower()}: {where(one)}", (), seconds, *counts)
    if not any(one["description"].startswith("claim: ") for one in claims) or not witnesses:
        return Outcome(VACUOUS, "nothing is claimed, or nothing shows that the assumptions can be met", (), seconds)
    for one in witnesses:
        if one["status"] != "FAILURE":
            return Outcome(VACUOUS, f"impossible: {where(one)}", (), seconds, *counts)
    return Outcome(PROVED, "", (), seconds, *counts)


def complaint(printed: str) -> str:
    """The errors that CBMC told of, or the end of what it printed."""
    told = [str(part["messageText"]) for part in parts_of(printed) if part.get("messageType") == "ERROR"]
    return " ".join(" ".join(told or [printed]).split())[-400:] or "it printed nothing"


def where(one: dict[str, Any]) -> str:
    """A property in words: what was checked, and where."""
    place = one.get("sourceLocation", {})
    text = one["description"].removeprefix("claim: ").removeprefix("witness: ")
    return f"{text} ({Path(place.get('file', '?')).name}:{place.get('line', '?')}, {place.get('function', '?')})"


def values_of(trace: list[dict[str, Any]], harness: Harness) -> tuple[str, ...]:
    """The values of a counterexample: the last ones of each variable of the harness, as `name = value`."""
    values: dict[str, str] = {}
    for step in trace:
        if step.get("stepType") != "assignment" or step.get("hidden"):
            continue
        if Path(step.get("sourceLocation", {}).get("file", "")).name != Path(harness.file).name:
            continue
        name, value = step.get("lhs", ""), shown(step.get("value", {}))
        if value and "$" not in name and not name.startswith(UNSAID):
            values.pop(name, None)
            values[name] = value
    # Members that are 0 say little, and there are many.
    return tuple(f"{name} = {value}" for name, value in values.items() if value != "0" or name.isidentifier())


def shown(value: dict[str, Any]) -> str:
    """A value: numbers of many digits in hexadecimal; nothing for what has members, which are assigned singly too."""
    data = str(value.get("data", "")).removesuffix("l").removesuffix("u")
    if "@" in data or "NULL" in data or data == "dynamic_object":
        return ""
    return hex(int(data)) if data.isdigit() and int(data) > 9999 else data


# ---- All of them ------------------------------------------------------------------------------------------------


def selected(texts: list[str]) -> tuple[Harness, ...]:
    """The harnesses whose name or sentence contains one of the texts; all if there are none."""
    if not texts:
        return HARNESSES
    wanted = [text.lower() for text in texts]
    return tuple(one for one in HARNESSES if any(text in f"{one.name} {one.shows}".lower() for text in wanted))


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


def print_outcome(harness: Harness, plant: Plant | None, outcome: Outcome) -> None:
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


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="verifying", description="Bounded model checking of libgpamap.")
    parser.add_argument("text", nargs="*", help="only the harnesses whose name or sentence contains one of these")
    chosen = parser.parse_args(arguments)
    harnesses = selected(chosen.text)
    if not harnesses:
        errors.print(f"no harness has {' or '.join(chosen.text)} in its name or sentence", markup=False)
        return HARNESS_FAILED
    try:
        tool = cbmc()
        console.print(f"CBMC {tool.version}", highlight=False)
        verdicts = verify(harnesses, tool, print_outcome)
    except (TargetUnavailable, PlantDoesNotApply) as reason:
        errors.print(str(reason), markup=False)
        return HARNESS_FAILED
    except OSError as error:
        errors.print(f"CBMC cannot be run: {error}", markup=False)
        return HARNESS_FAILED
    print_table(verdicts)
    if all(verdict.passed() for verdict in verdicts):
        console.print(f"{len(verdicts)} proved, each with its planted bugs refuted", highlight=False)
        return 0
    failed = ", ".join(verdict.harness.name for verdict in verdicts if not verdict.passed())
    console.print(f"not as it must be: {failed}", highlight=False)
    return 1


if __name__ == "__main__":
    sys.exit(main())
