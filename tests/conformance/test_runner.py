"""The runner: which vectors apply, what counts as the same, what a list of deviations may say, what is kept."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conformance.deviations import all_deviations
from conformance.files import load_vectors
from conformance.registry import SpecTarget, UnknownTarget, default_names, plans_for
from conformance.runner import Plan, load_results, run_plan
from conformance.target import (
    Answer,
    Crashed,
    Environment,
    Errored,
    Refused,
    Results,
    Skipped,
    TargetFailed,
    TargetUnavailable,
    Trial,
    Unobservable,
)
from conformance.vector import Vector
from conformance.verdict import agrees, expectations, why_not
from spec.memslots.access import GuestWrite
from spec.memslots.lookup import MAPPED, WRITABLE, Observe
from spec.memslots.set_region import OVERLAP, SetRegion
from spec.outcome import Done, Mmio, Rejected, Segment, Slots, Written
from spec.profile import PROFILES, Profile
from spec.step import OPERATIONS, operation_of
from tests.conformance.spoiled import Spoiled, first_refused, run, some_vectors


@pytest.fixture(scope="module")
def vectors() -> list[Vector]:
    return some_vectors()


# What counts as the same -----------------------------------------------------------------------------------------


def test_rejections_are_compared_by_errno() -> None:
    request, expected = SetRegion(), Rejected(OVERLAP)
    assert agrees(request, expected, Refused("EEXIST"))
    assert agrees(request, expected, Rejected(dataclasses.replace(OVERLAP, id="KVM.OTHER")))
    assert not agrees(request, expected, Refused("EINVAL"))
    assert not agrees(request, expected, Done())
    assert not agrees(request, Done(), Refused("EEXIST"))


def test_writes_are_compared_by_what_was_written_and_whether_all_was() -> None:
    piece = Segment(0, 11, 4096)
    request = GuestWrite()
    assert agrees(request, Written((piece,)), Written((piece,)))
    assert agrees(request, Written((), MAPPED), Written((), WRITABLE))
    assert not agrees(request, Written((piece,), MAPPED), Written((piece,)))
    assert not agrees(request, Written((piece,)), Written(()))


def test_only_queries_may_be_unobservable() -> None:
    assert agrees(Observe(), Slots(()), Unobservable("no way"))
    assert not agrees(SetRegion(), Done(), Unobservable("no way"))
    assert not agrees(GuestWrite(), Written(()), Unobservable("no way"))


class Blind(SpecTarget):
    """The spec, which does not answer queries, or not those that are named."""

    def __init__(self, unanswered: Sequence[str] = ("lookup", "find_slot", "hva_range", "observe")) -> None:
        super().__init__(Profile())
        self.unanswered = unanswered

    def run(self, trials: Sequence[Trial]) -> Iterator[Answer]:
        for trial, answer in zip(trials, super().run(trials), strict=True):
            assert isinstance(answer, Results)
            blind = tuple(
                Unobservable("no way to ask") if operation_of(request).name in self.unanswered else result
                for request, result in zip(trial.requests, answer.steps, strict=True)
            )
            yield Results(answer.id, blind)


@pytest.mark.slow
def test_what_nobody_saw_has_not_passed(tmp_path: Path) -> None:
    everything = load_vectors()
    report = run_plan(Plan("spec", (Blind,)), everything, out=tmp_path)
    families = report.families(2)
    assert families["KVM.LOOKUP"]["passed"] == 0 and families["KVM.LOOKUP"]["not_run"] == 39
    reasons = {one.reason for one in report.judgements if one.verdict == "not_run" and "needs" not in one.reason}
    assert reasons == {"what it is about cannot be observed here: no way to ask"}
    # What is about calls and accesses is seen in their results, and read back by writes of the kernel.
    seeing = run_plan(Plan("spec", (partial(SpecTarget, Profile()),)), everything, out=tmp_path).families(2)
    for family in ("KVM.CALL", "KVM.CLEAR", "KVM.DIRTY", "KVM.MANUAL", "KVM.MEMFD", "KVM.RING"):
        assert families[family] == seeing[family], family
    by_id = {one.vector: one.verdict for one in report.judgements}
    asked = [v for v in everything if v.family == "KVM.ACCESS" and v.generator == "rule" and not why_not(v, Profile())]
    assert asked and {by_id[v.id] for v in asked} == {"not_run"}
    accesses = [v for v in everything if v.title == "neighbours whose memory lies the other way round"]
    assert accesses and {by_id[v.id] for v in accesses} == {"passed"}


@pytest.mark.slow
def test_a_vector_counts_if_something_that_it_is_about_was_seen(tmp_path: Path) -> None:
    lookups = [v for v in load_vectors() if v.family == "KVM.LOOKUP" and not why_not(v, Profile())]
    report = run_plan(Plan("spec", (partial(Blind, ("lookup", "observe")),)), lookups, out=tmp_path)
    assert report.counts()["passed"] == len(lookups)


@pytest.mark.slow
def test_what_was_seen_and_differs_counts_where_nothing_else_was_seen(tmp_path: Path) -> None:
    class BlindAndWrong(Blind):
        def run(self, trials: Sequence[Trial]) -> Iterator[Answer]:
            for answer in super().run(trials):
                assert isinstance(answer, Results)
                yield first_refused(answer)

    lookup = next(v for v in load_vectors() if v.family == "KVM.LOOKUP" and not why_not(v, Profile()))
    report = run_plan(Plan("spec", (BlindAndWrong,)), [lookup], out=tmp_path)
    assert report.counts()["unexplained"] == 1


# Which vectors apply ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_vector_for_another_profile_is_not_run() -> None:
    vector = next(v for v in load_vectors() if dict(v.switches) == {"user_slots": 509})
    assert why_not(vector, Profile()) == "needs user_slots=509"
    assert why_not(vector, PROFILES["array"]) == ""


@pytest.mark.slow
def test_an_unpublished_value_gets_expectations_of_its_own(tmp_path: Path) -> None:
    """A machine with 36 address bits: the vectors about the last page are run with its own last page in mind."""
    profile = Profile(max_gfn=2**24 - 1)
    vectors = [v for v in load_vectors() if dict(v.switches) == {"max_gfn": 2**28 - 1}]
    assert vectors and not any(why_not(v, profile) for v in vectors)
    assert any(expectations(v, profile) != tuple(step.expected for step in v.steps) for v in vectors)
    report = run_plan(Plan("spec", (partial(SpecTarget, profile),)), vectors, out=tmp_path)
    assert report.counts()["passed"] == len(vectors)


@pytest.mark.slow
def test_each_vector_is_run_once_by_an_instance_that_it_applies_to(tmp_path: Path) -> None:
    everything = load_vectors()
    (plan,) = plans_for("spec")
    report = run_plan(plan, everything, out=tmp_path)
    assert report.exit_code() == 0
    assert report.counts() == {"passed": len(everything), "deviating": 0, "unexplained": 0, "not_run": 0}
    assert len({one.vector for one in report.judgements}) == len(everything)


@pytest.mark.slow
def test_one_instance_leaves_the_others_with_a_reason(tmp_path: Path) -> None:
    everything = load_vectors()
    report = run_plan(Plan("spec", (partial(SpecTarget, Profile()),)), everything, out=tmp_path)
    left = [one for one in report.judgements if one.verdict == "not_run"]
    assert left and all(one.reason.startswith("needs ") for one in left)


# Answers ---------------------------------------------------------------------------------------------------------


def test_all_is_well(tmp_path: Path, vectors: list[Vector]) -> None:
    report = run(tmp_path, vectors, {})
    assert report.exit_code() == 0 and report.counts()["passed"] == len(vectors)
    lines = [json.loads(line) for line in (tmp_path / "results" / "spoiled.jsonl").read_text().splitlines()]
    assert lines[0]["target"] == "spoiled" and lines[-1]["end"] is True and len(lines) == len(vectors) + 2


def test_a_difference_fails_the_run(tmp_path: Path, vectors: list[Vector]) -> None:
    report = run(tmp_path, vectors, {vectors[3].id: first_refused})
    assert report.exit_code() == 1 and report.counts()["unexplained"] == 1
    entry = load_results("spoiled", tmp_path)[vectors[3].id]
    assert entry["differences"][0]["step"] == 0 and entry["differences"][0]["observed"] == {"error": "EXDEV"}
    assert len(entry["results"]) == len(vectors[3].steps)


def test_a_limit_that_is_not_what_is_announced_fails_the_run(tmp_path: Path, vectors: list[Vector]) -> None:
    """Its vectors all pass, because they are judged by that limit."""

    class OffByOne(SpecTarget):
        def start(self) -> Environment:
            return dataclasses.replace(super().start(), contradictions=("it announces 32764 slots",))

    profile = Profile(user_slots=32765)
    report = run_plan(Plan("spec", (partial(OffByOne, profile), partial(OffByOne, profile))), vectors, out=tmp_path)
    assert report.counts()["unexplained"] == 0 and report.finished
    assert report.exit_code() == 1 and report.contradictions == ["it announces 32764 slots"]
    first = json.loads((tmp_path / "results" / "spec.jsonl").read_text().splitlines()[0])
    assert first["contradictions"] == report.contradictions


@pytest.mark.parametrize(
    ("answer", "verdict", "reason"),
    [
        (Skipped("", "no memory"), "not_run", "skipped by the target: no memory"),
        (Errored("", "Traceback"), "unexplained", "errored: Traceback"),
        (Crashed("", "oops"), "unexplained", "crashed: oops"),
        (Results("", (Done(),) * 99), "unexplained", "errored: 99 results for"),
    ],
)
def test_other_answers(tmp_path: Path, vectors: list[Vector], answer: Any, verdict: str, reason: str) -> None:
    name = vectors[1].id
    report = run(tmp_path, vectors, {name: lambda _: dataclasses.replace(answer, id=name)})
    (judgement,) = [one for one in report.judgements if one.vector == name]
    assert judgement.verdict == verdict and judgement.reason.startswith(reason)
    assert report.finished and report.exit_code() == (1 if verdict == "unexplained" else 0)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda answer: None, "was next"),
        (lambda answer: dataclasses.replace(answer, id="other"), "answered 'other' when"),
        (lambda answer: Skipped(answer.id, " "), "without a reason"),
    ],
)
def test_answers_that_break_the_rules_fail_the_harness(
    tmp_path: Path, vectors: list[Vector], change: Any, what: str
) -> None:
    report = run(tmp_path, vectors, {vectors[2].id: change})
    assert report.exit_code() == 2 and what in report.failure
    assert len(load_results("spoiled", tmp_path)) == 2, "what was answered before is kept"
    assert report.counts()["passed"] == 2 and report.counts()["not_run"] == len(vectors) - 2


def test_too_few_answers_fail_the_harness(tmp_path: Path, vectors: list[Vector]) -> None:
    report = run(tmp_path, vectors, {vectors[-1].id: lambda answer: None})
    assert report.exit_code() == 2 and "gave no answer to vector" in report.failure


def test_a_target_that_lies_about_its_name(tmp_path: Path, vectors: list[Vector]) -> None:
    report = run_plan(Plan("c", (lambda: Spoiled({}),)), vectors, out=tmp_path)
    assert report.exit_code() == 2
    assert report.failure == "the target was run as 'c' but says that its name is 'spoiled'"


class Broken(SpecTarget):
    """A target that cannot be started."""

    name = "broken"

    def __init__(self, error: Exception) -> None:
        super().__init__(Profile())
        self.error = error

    def start(self) -> Environment:
        raise self.error


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (TargetUnavailable("install qemu-system-x86"), "install qemu-system-x86"),
        (TargetFailed("the VM never booted"), "the VM never booted"),
        (ZeroDivisionError("oops"), "the harness has a bug"),
    ],
)
def test_targets_that_do_not_start(tmp_path: Path, vectors: list[Vector], error: Exception, what: str) -> None:
    report = run_plan(Plan("broken", (lambda: Broken(error),)), vectors, out=tmp_path)
    assert report.exit_code() == 2 and what in (report.failure or report.unavailable)


class Idle(SpecTarget):
    """A target that skips everything."""

    def run(self, trials: Sequence[Trial]) -> Iterator[Answer]:
        for trial in trials:
            yield Skipped(trial.id, "not implemented")


def test_a_target_that_runs_nothing_does_not_conform(tmp_path: Path, vectors: list[Vector]) -> None:
    report = run_plan(Plan("spec", (partial(Idle, Profile()),)), vectors, out=tmp_path)
    assert report.exit_code() == 2 and report.finished
    assert report.failure == (
        f"none of {len(vectors)} vectors was run, so nothing is known of it (skipped by the target: not implemented)"
    )


@pytest.mark.slow
def test_a_target_that_no_vector_is_for_does_not_conform(tmp_path: Path) -> None:
    others = [v for v in load_vectors() if why_not(v, Profile())]
    report = run_plan(Plan("spec", (partial(SpecTarget, Profile()),)), others, out=tmp_path)
    assert report.exit_code() == 2 and "was run, so nothing is known of it (needs " in report.failure


def test_a_vector_that_contradicts_the_spec_is_an_error(tmp_path: Path, vectors: list[Vector]) -> None:
    wrong = dataclasses.replace(vectors[3].steps[0], expected=Mmio(0))
    stale = dataclasses.replace(vectors[3], steps=(wrong, *vectors[3].steps[1:]))
    report = run(tmp_path, [*vectors[:3], stale], {})
    assert report.exit_code() == 2 and f"vector {stale.id} step 0 expects" in report.failure
    assert report.counts() == {"passed": 3, "deviating": 0, "unexplained": 0, "not_run": 1}


# What is kept ----------------------------------------------------------------------------------------------------


def test_a_full_disk_keeps_what_was_written(tmp_path: Path, vectors: list[Vector]) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "spoiled.jsonl").symlink_to("/dev/full")
    report = run(tmp_path, vectors, {})
    assert report.exit_code() == 2
    assert "No space left on device; 0 results before it are kept" in report.failure
    assert report.counts() == {"passed": 0, "deviating": 0, "unexplained": 0, "not_run": len(vectors)}


def test_a_place_for_results_that_cannot_be_written(tmp_path: Path, vectors: list[Vector]) -> None:
    (tmp_path / "results").write_text("a file where a directory is needed")
    report = run_plan(Plan("spec", (partial(SpecTarget, Profile()),)), vectors, out=tmp_path)
    assert report.exit_code() == 2 and "results/spec.jsonl: cannot be written: " in report.failure


def test_results_are_there_while_the_run_goes_on(tmp_path: Path, vectors: list[Vector]) -> None:
    seen: list[int] = []
    run(tmp_path, vectors, {}, advance=lambda _: seen.append(len(load_results("spoiled", tmp_path))))
    assert seen == list(range(1, len(vectors) + 1))


def test_an_interrupted_run_keeps_its_results(tmp_path: Path, vectors: list[Vector]) -> None:
    stopped = threading.Event()
    seen: list[int] = []

    def advance(_: int) -> None:
        seen.append(1)
        if len(seen) == 5:
            stopped.set()

    report = run(tmp_path, vectors, {}, advance=advance, stopped=stopped)
    assert report.exit_code() == 2 and report.failure == f"interrupted; 5 of {len(vectors)} results are kept"
    assert len(load_results("spoiled", tmp_path)) == 5
    assert report.counts() == {"passed": 5, "deviating": 0, "unexplained": 0, "not_run": len(vectors) - 5}
    assert report.families(2)["KVM.RING"]["not_run"] > 0
    assert sum(sum(family.values()) for family in report.families(2).values()) == len(vectors)


def test_a_results_file_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path: Path, vectors: list[Vector]) -> None:
    run(tmp_path, vectors, {})
    path = tmp_path / "results" / "spoiled.jsonl"
    path.write_text(path.read_text()[:-300])
    assert 0 < len(load_results("spoiled", tmp_path)) < len(vectors)


# Names -----------------------------------------------------------------------------------------------------------


def test_names_of_targets() -> None:
    assert [plan.name for plan in plans_for("model")] == ["model-tree", "model-array"]
    assert [plan.name for plan in plans_for("linux")] == ["linux-6.1", "linux-5.10"]
    assert [plan.name for plan in plans_for("linux-6.12")] == ["linux-6.12"]
    assert plans_for("mine=./adapter --fast")[0].name == "mine"
    for name in default_names():
        assert plans_for(name)
    for bad in ("nothing", "=x", "mine=", "linux-new"):
        with pytest.raises(UnknownTarget):
            plans_for(bad)


@pytest.mark.slow
def test_the_models_conform_with_every_profile(tmp_path: Path) -> None:
    everything = load_vectors()
    for plan in plans_for("model"):
        report = run_plan(plan, everything, all_deviations(), tmp_path)
        assert report.exit_code() == 0, (
            report.failure or [one for one in report.judgements if one.verdict != "passed"][:3]
        )
        # The array of before 2016 has no IOTLB, and finds something else where regions overlap: it says so.
        of_slots = [one for one in everything if one.family.startswith("KVM.")]
        assert report.families()["KVM"]["passed"] == len(of_slots)
        assert report.counts()["passed"] == len(everything) or plan.name == "model-array"


@pytest.mark.slow
def test_every_operation_is_in_the_vectors() -> None:
    used = {operation_of(step.request).name for vector in load_vectors() for step in vector.steps}
    assert used == {operation.name for operation in OPERATIONS}
