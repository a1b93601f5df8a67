"""One run of CBMC on one harness, with or without a planted bug, and what it found; kept by all that it depends on."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from conformance.target import TargetUnavailable
from conformance.targets.c.cbmc import Cbmc
from conformance.targets.c.verify.functions import looked_at
from conformance.targets.c.verify.harness import CHECKS, Harness, Plant
from conformance.targets.linux.cache import cache_directory

HERE = Path(__file__).parent
VERIFY = HERE / "verify"
PREPROCESS_SECONDS = 60
WAITS = 10  # so many times longer than its processor's seconds a run may take by the clock, beside other work
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
    functions: tuple[str, ...] = ()  # of the library, that it can come to


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
    """What a command prints. Raises subprocess.TimeoutExpired if it needs more seconds of its processor than that, or
    far more by the clock, after it and all that it started were ended."""
    process = subprocess.Popen(
        ["sh", "-c", f'ulimit -t {math.ceil(seconds)}; exec "$@"', "sh", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        printed = process.communicate(timeout=seconds * WAITS)[0]
        if process.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            raise subprocess.TimeoutExpired(command, seconds)
        return printed
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
            return Outcome(**{**fields, "values": tuple(fields["values"]), "functions": tuple(fields["functions"])})
        started = time.perf_counter()
        command = [*tool.command, *read_by(harness, library), *bounds_of(harness), "--json-ui"]
        try:
            if not planted:
                outcome = judge(run_limited(command, harness.seconds), time.perf_counter() - started)
                if outcome.status == PROVED:
                    listed = run_limited([*command, "--list-goto-functions"], harness.seconds)
                    outcome = replace(outcome, functions=looked_at(parts_of(listed), VERIFY / harness.file))
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
