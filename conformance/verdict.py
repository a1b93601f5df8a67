"""From an answer to a verdict: does a vector apply to a target, and did the target do what is expected?

A query that the target has no way to answer differs from nothing. But a vector of which nothing that it is about was
seen has shown nothing, and is not run: see `shows_nothing`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.codec import outcome_json, switch_json
from conformance.seen import device_answer_agrees
from conformance.signals import Times, times_of
from conformance.target import (
    Answer,
    Crashed,
    Environment,
    Errored,
    ErrorSeen,
    Refused,
    Results,
    Skipped,
    StepResult,
    Unobservable,
)
from conformance.vector import Step, Vector
from spec.outcome import MessageTaken, Outcome, Ran, Rejected, Written
from spec.profile import SWITCHES, Profile
from spec.step import operation_of, step, subject_of

PASSED = "passed"
DEVIATING = "deviating"  # known, listed beside the target with its reason
UNEXPLAINED = "unexplained"
NOT_RUN = "not_run"
VERDICTS = (PASSED, DEVIATING, UNEXPLAINED, NOT_RUN)


@dataclass(frozen=True)
class Difference:
    """A step at which a target did something else."""

    step: int
    expected: dict[str, Any]
    observed: dict[str, Any]


@dataclass(frozen=True)
class Judgement:
    """What became of one vector at one target.

    `reason` says why it was not run, which listed deviation it is, or how the target failed. `differences` are all
    steps that differ; the first one is what counts, later ones may follow from it. `results` is what was reported,
    kept where something differs.
    """

    vector: str
    family: str
    rules: tuple[str, ...]
    verdict: str
    reason: str = ""
    differences: tuple[Difference, ...] = ()
    results: tuple[StepResult, ...] = ()
    crashed: bool = False


# Does it apply? --------------------------------------------------------------------------------------------------


def published(name: str, value: Any) -> bool:
    """Whether the published vectors cover this value of a switch."""
    return any(switch.name == name and value in switch.published for switch in SWITCHES)


def why_not(vector: Vector, profile: Profile) -> str:
    """Why a vector says nothing about a target with this profile, or nothing.

    Where a target has a value that no published vector covers, the expectation is computed anew for it. Where the
    value is one that other vectors are for, this one is left to them.
    """
    missing = [
        f"{name}={switch_json(name, value)}"
        for name, value in vector.switches
        if getattr(profile, name) != value and published(name, getattr(profile, name))
    ]
    return "needs " + ", ".join(missing) if missing else ""


class StaleVector(Exception):
    """A vector says otherwise than the spec: nothing can be judged by it."""


def expectations(vector: Vector, profile: Profile) -> tuple[Outcome, ...]:
    """What the spec expects of a target with this profile, for a vector that applies to it.

    The spec is asked each time, also where the vector has the answer: a vector that forgot to name a switch would
    otherwise give a wrong verdict. Raises StaleVector where the two differ.
    """
    state = subject_of([one.request for one in vector.steps]).fresh
    outcomes = []
    for one in vector.steps:
        state, outcome = step(profile, state, one.request)
        outcomes.append(outcome)
    if all(published(switch.name, getattr(profile, switch.name)) for switch in SWITCHES):
        for number, (one, outcome) in enumerate(zip(vector.steps, outcomes, strict=True)):
            if outcome != one.expected:
                raise StaleVector(
                    f"vector {vector.id} step {number} expects {outcome_json(one.expected)}, but the specification "
                    f"says {outcome_json(outcome)} for this profile: run `gpaspec generate`"
                )
    return tuple(outcomes)


# Did it do what is expected? -------------------------------------------------------------------------------------


def agrees(
    request: Any, expected: Outcome, result: StepResult, unseen: tuple[str, ...] = (), times: Times = ()
) -> bool:
    """Whether a reported result is the expected one. Rejections are compared by errno: a kernel knows no rules.

    `unseen` is what this target may leave out (`Environment.unseen`). `times` says how often the events of what ran
    are signalled (`conformance.signals`).
    """
    if isinstance(result, Unobservable):
        return not operation_of(request).changes_state
    if isinstance(expected, Rejected):
        if isinstance(result, Rejected):
            return result.rule.errno == expected.rule.errno
        return isinstance(result, Refused) and result.errno == expected.rule.errno
    if isinstance(expected, Written):
        return (
            isinstance(result, Written)
            and result.segments == expected.segments
            and (result.stopped_by is None) == (expected.stopped_by is None)
        )
    agreed = device_answer_agrees(expected, result, unseen, times)
    return result == expected if agreed is None else agreed


def steps_that_differ(
    requests: Sequence[Any],
    expected: Sequence[Outcome],
    results: Sequence[StepResult],
    environment: Environment | None,
) -> Iterator[int]:
    """The steps at which the results are not what is expected of a target that says this of itself. `environment` is
    None for one that sees everything.
    """
    unseen: tuple[str, ...] = ()
    times: list[Times] = []
    if environment is not None:
        unseen = environment.unseen
        if any(sees_signals(result) for result in results):
            times = times_of(environment.profile, requests[: len(results)])
    for index, (request, wanted, result) in enumerate(zip(requests, expected, results, strict=False)):
        if not agrees(request, wanted, result, unseen, times[index] if times else ()):
            yield index


def sees_signals(result: StepResult) -> bool:
    """Whether a result tells of an error by how it was signalled."""
    ran = result.ran if isinstance(result, MessageTaken) else result
    return isinstance(ran, Ran) and any(isinstance(event, ErrorSeen) for event in ran.events)


def differences(
    steps: Sequence[Step],
    expected: Sequence[Outcome],
    results: Sequence[StepResult],
    environment: Environment | None = None,
) -> list[Difference]:
    """All steps at which the results are not what is expected."""
    requests = [one.request for one in steps]
    return [
        Difference(index, outcome_json(expected[index]), outcome_json(results[index]))
        for index in steps_that_differ(requests, expected, results, environment)
    ]


LOOKS = ("observe", "observe_maps")  # with one of them a vector begins to read the state back
# The rest of a vector, then.
READ_BACK = (*LOOKS, "guest_write", "get_dirty_log", "translate", "transmit", "kick", "read_message")


def subject(steps: Sequence[Step], family: str) -> list[int]:
    """The steps that a vector is about: those before it reads the state back, without those that set the scene.

    A step sets the scene if it is expected to change the state and none of the rules that its operation checks is of
    the vector's family: slots that are made in order to look them up, say. Reads and writes check no rules and belong
    to any family.
    """
    operations = [operation_of(one.request) for one in steps]
    end = len(steps)
    while end > 0 and operations[end - 1].name in READ_BACK:
        end -= 1
    end = next((index for index in range(end, len(steps)) if operations[index].name in LOOKS), len(steps))
    return [
        index
        for index, (one, operation) in enumerate(zip(steps[:end], operations, strict=False))
        if not operation.changes_state
        or isinstance(one.expected, Rejected)
        or not operation.checks
        or any(check.rule.id.startswith(family + ".") for check in operation.checks)
    ]


def shows_nothing(vector: Vector, results: Sequence[StepResult]) -> str:
    """Why a vector in which nothing differs shows nothing: no step that it is about was answered. Or nothing."""
    reasons = []
    for index in subject(vector.steps, vector.family):
        result = results[index]
        if not isinstance(result, Unobservable):
            return ""
        reasons.append(result.reason)
    return f"what it is about cannot be observed here: {reasons[0]}" if reasons else ""


def judge(
    vector: Vector, expected: Sequence[Outcome], answer: Answer, environment: Environment | None = None
) -> Judgement:
    """The verdict on one answer of the target with this environment, before the list of known deviations is asked."""

    def verdict(name: str, reason: str = "", **more: Any) -> Judgement:
        return Judgement(vector.id, vector.family, vector.rules, name, reason, **more)

    match answer:
        case Skipped(_, reason):
            return verdict(NOT_RUN, f"skipped by the target: {reason}")
        case Errored(_, trace):
            return verdict(UNEXPLAINED, f"errored: {trace}")
        case Crashed(_, report):
            return verdict(UNEXPLAINED, f"crashed: {report}", crashed=True)
        case Results(_, results):
            if len(results) != len(vector.steps):
                return verdict(UNEXPLAINED, f"errored: {len(results)} results for {len(vector.steps)} steps")
            found = differences(vector.steps, expected, results, environment)
            if not found:
                why = shows_nothing(vector, results)
                return verdict(NOT_RUN, why) if why else verdict(PASSED)
            return verdict(UNEXPLAINED, differences=tuple(found), results=tuple(results))
