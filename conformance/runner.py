"""Run vectors at a target and judge the answers. Each result is on disk before the next one is asked for.

`out/results/TARGET.jsonl`: a line about the target, a line for each vector as soon as it is judged, and a footer. A
file without its footer is a run that did not finish; what it has is still good.
"""

from __future__ import annotations

import contextlib
import json
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from conformance.codec import canonical, outcome_json, profile_json
from conformance.deviations import Deviation, explained, stale_entries
from conformance.target import Environment, Skipped, Target, TargetFailed, TargetUnavailable, Trial, cannot_do
from conformance.vector import Vector
from conformance.verdict import NOT_RUN, UNEXPLAINED, VERDICTS, Judgement, StaleVector, expectations, judge, why_not

OUT = Path("out")
UNREACHED = "the run ended before it"


class Interrupted(Exception):
    """The user asked to stop."""


class ResultsLost(Exception):
    """A result could not be written: how many were kept, and why no more."""


@dataclass(frozen=True)
class Plan:
    """A target by name, as one or more instances.

    A library that can be made with any profile is run once for each, so that as many vectors as possible apply; each
    vector is run once, by the first instance that it applies to.
    """

    name: str
    instances: tuple[Callable[[], Target], ...]
    says: str = ""  # the name that its instances give themselves, where that is another
    own_process: bool = False  # runs outside this process: another target can run at the same time


@dataclass
class Report:
    """What became of all vectors at one target."""

    target: str
    vectors: int
    environments: list[Environment] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)  # probed values that are not what is announced
    failure: str = ""  # the harness failed, and why
    unavailable: str = ""  # the target cannot be had here, and why
    finished: bool = False

    def counts(self, chosen: Callable[[Judgement], bool] | None = None) -> dict[str, int]:
        """How many vectors have each verdict. What was never reached counts as not run, if all are asked for."""
        found = dict.fromkeys(VERDICTS, 0)
        for judgement in self.judgements:
            if chosen is None or chosen(judgement):
                found[judgement.verdict] += 1
        if chosen is None:
            found[NOT_RUN] += self.vectors - len(self.judgements)
        return found

    def nothing_run(self) -> str:
        """Why nothing is known of the target after a run to its end, or nothing."""
        if any(judgement.verdict != NOT_RUN for judgement in self.judgements):
            return ""
        reasons = list(dict.fromkeys(judgement.reason for judgement in self.judgements))
        why = f" ({reasons[0]}{'; and other reasons' if len(reasons) > 1 else ''})" if reasons else ""
        return f"none of {self.vectors} vectors was run, so nothing is known of it{why}"

    def families(self, words: int = 1) -> dict[str, dict[str, int]]:
        """Counts by rule family: that of the first word (or the first two words) of its rules' ids."""
        names = sorted({name_of(judgement.family, words) for judgement in self.judgements})
        return {name: self.counts(lambda one, name=name: name_of(one.family, words) == name) for name in names}  # type: ignore[misc]

    def exit_code(self) -> int:
        """0 conforms, 1 does not, 2 the harness failed, 3 the list of deviations is stale."""
        if self.failure or self.unavailable or not self.finished:
            return 2
        if self.contradictions or any(judgement.verdict == UNEXPLAINED for judgement in self.judgements):
            return 1
        return 3 if self.stale else 0


def name_of(family: str, words: int) -> str:
    return ".".join(family.split(".")[:words])


def trial_of(vector: Vector) -> Trial:
    return Trial(vector.id, tuple(step.request for step in vector.steps))


class Journal:
    """The results file of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file: IO[str] = path.open("w", encoding="utf-8")
        except OSError as error:
            raise ResultsLost(f"{path}: cannot be written: {error.strerror}") from error

    def add(self, line: dict[str, Any]) -> None:
        try:
            self.file.write(canonical(line) + "\n")
            self.file.flush()
        except OSError as error:
            raise ResultsLost(
                f"{self.path}: {error.strerror}; {self.count} results before it are kept. Free some space and run again"
            ) from error
        self.count += 1

    def close(self) -> None:
        # A buffer that could not be written is tried again here, and fails again: that has been reported.
        with contextlib.suppress(OSError):
            self.file.close()


def judgement_json(judgement: Judgement) -> dict[str, Any]:
    line: dict[str, Any] = {
        "id": judgement.vector,
        "family": judgement.family,
        "verdict": judgement.verdict,
    }
    if judgement.reason:
        line["reason"] = judgement.reason
    if judgement.differences:
        line["differences"] = [
            {"step": one.step, "expected": one.expected, "observed": one.observed} for one in judgement.differences
        ]
        line["results"] = [outcome_json(result) for result in judgement.results]
    return line


def environment_json(environment: Environment) -> dict[str, Any]:
    line: dict[str, Any] = {
        "target": environment.name,
        "version": environment.version,
        "profile": profile_json(environment.profile),
        "environment": environment.facts,
    }
    if environment.contradictions:
        line["contradictions"] = list(environment.contradictions)
    return line


def run_plan(
    plan: Plan,
    vectors: Sequence[Vector],
    deviations: Sequence[Deviation] = (),
    out: Path = OUT,
    advance: Callable[[int], None] = lambda _: None,
    stopped: threading.Event | None = None,
    running: Callable[[Target | None], None] = lambda _: None,
    complete: bool = True,
) -> Report:
    """Run a target to its end, or as far as it goes. Never raises for what the target does: the report says it.

    `advance` is told of each judged vector. When `stopped` is set the run ends early. `running` is told which target
    is running, so that it can be ended from another thread. `complete` is False when `vectors` is only a part of
    all: then nothing is said about listed deviations of others.
    """
    report = Report(plan.name, len(vectors))
    listed = [deviation for deviation in deviations if deviation.may_be_of(plan.name)]
    journal: Journal | None = None
    try:
        journal = Journal(out / "results" / f"{plan.name}.jsonl")
        left = list(vectors)
        for make in plan.instances:
            if left:
                left = run_instance(make(), plan, left, listed, report, journal, advance, stopped, running)
        for vector, reason in unreached(left, report):
            keep(report, journal, Judgement(vector.id, vector.family, vector.rules, NOT_RUN, reason), advance)
        published_ids = frozenset(vector.id for vector in vectors)
        if complete:
            shown = [deviation for deviation in listed if deviation.is_of(plan.name)]
            report.stale = stale_entries(shown, report.judgements, published_ids, complete)
        journal.add({"end": True, **report.counts(), "stale": report.stale})
        report.finished = True
        report.failure = report.nothing_run()
    except TargetUnavailable as error:
        report.unavailable = str(error)
    except (TargetFailed, StaleVector, ResultsLost) as error:
        report.failure = str(error)
    except Interrupted:
        report.failure = f"interrupted; {len(report.judgements)} of {len(vectors)} results are kept"
    except Exception:
        report.failure = f"{plan.name}: the harness has a bug:\n{traceback.format_exc()}"
    finally:
        if journal is not None:
            journal.close()
    if report.environments and not report.finished:
        add_unreached(report, vectors)
    return report


def add_unreached(report: Report, vectors: Sequence[Vector]) -> None:
    """A run that ended early: the vectors that it did not get to are part of the report, though not of its file."""
    judged = {judgement.vector for judgement in report.judgements}
    for vector in vectors:
        if vector.id not in judged:
            report.judgements.append(Judgement(vector.id, vector.family, vector.rules, NOT_RUN, UNREACHED))


def unreached(left: Sequence[Vector], report: Report) -> Iterator[tuple[Vector, str]]:
    profiles = [environment.profile for environment in report.environments]
    for vector in left:
        reasons = [why_not(vector, profile) for profile in profiles]
        yield vector, min(reasons, key=len) if reasons else "the target has no instance"


def keep(report: Report, journal: Journal, judgement: Judgement, advance: Callable[[int], None]) -> None:
    journal.add(judgement_json(judgement))
    report.judgements.append(judgement)
    advance(1)


def run_instance(
    target: Target,
    plan: Plan,
    vectors: Sequence[Vector],
    listed: Sequence[Deviation],
    report: Report,
    journal: Journal,
    advance: Callable[[int], None],
    stopped: threading.Event | None,
    running: Callable[[Target | None], None],
) -> list[Vector]:
    """Run those vectors that apply to this instance; returns the others."""
    running(target)
    try:
        environment = target.start()
        check_name(plan.says or plan.name, environment)
        report.environments.append(environment)
        report.contradictions += [said for said in environment.contradictions if said not in report.contradictions]
        journal.add(environment_json(environment))
        mine = [vector for vector in vectors if not why_not(vector, environment.profile)]
        others = [vector for vector in vectors if why_not(vector, environment.profile)]
        trials = {vector.id: trial_of(vector) for vector in mine}
        skipped = {name: why for name, trial in trials.items() if (why := cannot_do(environment, trial))}
        answers = target.run([trial for name, trial in trials.items() if name not in skipped])
        for vector in mine:
            if stopped is not None and stopped.is_set():
                raise Interrupted
            missing = skipped.get(vector.id)
            answer = Skipped(vector.id, missing) if missing else next(answers, None)
            if stopped is not None and stopped.is_set():
                raise Interrupted  # it was ended from outside: what looks like a crash is none
            if answer is None:
                raise TargetFailed(f"{report.target} gave no answer to vector {vector.id} and those after it")
            if answer.id != vector.id:
                raise TargetFailed(f"{report.target} answered {answer.id!r} when {vector.id} was next")
            if isinstance(answer, Skipped) and not answer.reason.strip():
                raise TargetFailed(f"{report.target} skipped vector {vector.id} without a reason")
            judgement = judge(vector, expectations(vector, environment.profile), answer, environment)
            keep(report, journal, explained(judgement, listed), advance)
        extra = next(answers, None)
        if extra is not None:
            raise TargetFailed(f"{report.target} answered more than it was asked: {extra.id!r}")
        return others
    except TargetFailed:
        if stopped is not None and stopped.is_set():
            raise Interrupted from None
        raise
    finally:
        target.stop()
        running(None)


def check_name(name: str, environment: Environment) -> None:
    if environment.name != name:
        raise TargetFailed(f"the target was run as {name!r} but says that its name is {environment.name!r}")


def load_results(target: str, out: Path = OUT) -> dict[str, dict[str, Any]]:
    """The last results of a target by vector id; also those of a run that did not finish. Empty if there are none."""
    path = out / "results" / f"{target}.jsonl"
    found: dict[str, dict[str, Any]] = {}
    if not path.exists():
        return found
    for line in path.read_text().splitlines():
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if "verdict" in entry:
                found[entry["id"]] = entry
    return found
