"""Lists of deviations: what they may say, what they explain and what not, and when they are stale."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conformance.deviations import Case, Deviation, DeviationsError, all_deviations, load_deviations
from conformance.files import load_vectors
from conformance.target import Crashed, Refused, Results, Skipped
from conformance.vector import Vector
from tests.conformance.spoiled import first_refused, run, some_vectors


@pytest.fixture(scope="module")
def vectors() -> list[Vector]:
    return some_vectors()


def listed(
    vectors: Sequence[str],
    observed: dict[str, Any],
    targets: tuple[str, ...] = ("spoil*",),
    possible: tuple[str, ...] = (),
) -> Deviation:
    """These vectors differ in step 0 and nowhere else."""
    case = Case(tuple(vectors), crashed=True) if observed.get("crashed") else Case(tuple(vectors), ((0, observed),))
    return Deviation("known", targets, possible, "KVM.SLOT.OVERLAP", (case,), "it does", "kernel/file.c")


def test_a_listed_deviation_is_known(tmp_path: Path, vectors: list[Vector]) -> None:
    name = vectors[3].id
    report = run(tmp_path, vectors, {name: first_refused}, [listed([name], {"error": "EXDEV"})])
    assert report.exit_code() == 0 and report.counts()["deviating"] == 1 and not report.stale
    assert [one.reason for one in report.judgements if one.vector == name] == ["known: it does"]


def all_refused(answer: Results) -> Results:
    return Results(answer.id, (Refused("EXDEV"),) * len(answer.steps))


def second_refused(answer: Results) -> Results:
    return Results(answer.id, (answer.steps[0], Refused("EXDEV"), *answer.steps[2:]))


def first_refused_with_more(answer: Results) -> Results:
    return Results(answer.id, (*first_refused(answer).steps[:-1], Refused("EXDEV")))


@pytest.mark.parametrize("change", [all_refused, second_refused, first_refused_with_more])
def test_a_listed_deviation_hides_nothing_else(tmp_path: Path, vectors: list[Vector], change: Any) -> None:
    """The same error at another step, or at more steps, is another failure."""
    name = vectors[3].id
    assert len(vectors[3].steps) > 2
    report = run(tmp_path, vectors, {name: change}, [listed([name], {"error": "EXDEV"})])
    assert report.exit_code() == 1 and report.counts()["deviating"] == 0
    assert "fails otherwise than listed" in report.stale[0]


def test_a_listed_difference_that_is_gone_is_noticed(tmp_path: Path, vectors: list[Vector]) -> None:
    name = vectors[3].id
    entry = listed([name], {"error": "EXDEV"})
    two = Case((name,), ((0, {"error": "EXDEV"}), (1, {"error": "EXDEV"})))
    report = run(tmp_path, vectors, {name: first_refused}, [dataclasses.replace(entry, cases=(two,))])
    assert report.exit_code() == 1 and "fails otherwise than listed" in report.stale[0]


def test_a_list_of_another_target_says_nothing(tmp_path: Path, vectors: list[Vector]) -> None:
    name = vectors[3].id
    report = run(tmp_path, vectors, {name: first_refused}, [listed([name], {"error": "EXDEV"}, ("linux-*",))])
    assert report.exit_code() == 1


def test_a_possible_deviation_may_be_there_or_not(tmp_path: Path, vectors: list[Vector]) -> None:
    name = vectors[3].id
    possible = [listed([name], {"error": "EXDEV"}, ("linux-5.10",), ("spoil*",))]
    there = run(tmp_path, vectors, {name: first_refused}, possible)
    assert there.exit_code() == 0 and there.counts()["deviating"] == 1
    gone = run(tmp_path, vectors, {}, possible)
    assert gone.exit_code() == 0 and gone.counts()["deviating"] == 0
    other = run(tmp_path, vectors, {name: first_refused}, [listed([name], {"error": "EIO"}, ("x",), ("spoil*",))])
    assert other.exit_code() == 1


def test_a_crash_can_be_listed(tmp_path: Path, vectors: list[Vector]) -> None:
    name = vectors[3].id
    report = run(tmp_path, vectors, {name: lambda a: Crashed(a.id, "oops")}, [listed([name], {"crashed": True})])
    assert report.exit_code() == 0 and report.counts()["deviating"] == 1


@pytest.mark.parametrize(
    ("change", "code", "what"),
    [
        (lambda answer: answer, 3, "passes now"),
        (lambda answer: Skipped(answer.id, "no memory"), 3, "was skipped by the target: no memory"),
        (first_refused, 1, "fails otherwise than listed"),
    ],
)
def test_a_stale_list_fails_the_run(tmp_path: Path, vectors: list[Vector], change: Any, code: int, what: str) -> None:
    name = vectors[3].id
    report = run(tmp_path, vectors, {name: change}, [listed([name], {"error": "ENOMEM"})])
    assert report.exit_code() == code and what in report.stale[0]


def test_a_listed_vector_that_is_gone_or_never_applies(tmp_path: Path, vectors: list[Vector]) -> None:
    report = run(tmp_path, vectors, {}, [listed(["0123456789ab"], {"error": "ENOMEM"})])
    assert report.exit_code() == 3
    assert report.stale == [
        "known: there is no vector 0123456789ab any more",
        "known: no listed vector applies to this target",
    ]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[", "Expecting value"),
        ("{}", "$: expected a list"),
        ('[{"id": "x"}]', "$[0]: the member 'targets' is missing"),
    ],
)
def test_a_bad_list(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "deviations.json"
    path.write_text(text)
    with pytest.raises(DeviationsError) as caught:
        load_deviations(path)
    assert str(path) in str(caught.value) and what in str(caught.value)


ENTRY = {
    "id": "x",
    "targets": ["linux-9.9"],
    "rule": "KVM.SLOT.OVERLAP",
    "cases": [{"vectors": ["0123456789ab"], "differences": [{"step": 0, "observed": {"error": "ENOMEM"}}]}],
    "reason": "it does",
    "source": "kernel/file.c",
}


@pytest.mark.parametrize(
    ("cases", "what"),
    [
        ([], "$[0].cases: is empty"),
        ([{"vectors": ["a"]}], "the member 'differences' is missing"),
        ([{"vectors": ["a"], "differences": []}], "says which steps differ"),
        ([{"vectors": ["a"], "differences": [{"step": 0, "observed": {}}]}], "is the result that was seen"),
        ([{"vectors": ["a"], "differences": [{"step": -1, "observed": {"done": True}}]}], "step"),
        ([{"vectors": ["a"], "crashed": False}], "is true, or is left out"),
        ([{"vectors": ["a"], "crashed": True}, {"vectors": ["a"], "crashed": True}], "a is listed twice"),
    ],
)
def test_a_deviation_says_exactly_what_differs(tmp_path: Path, cases: Any, what: str) -> None:
    path = tmp_path / "deviations.json"
    path.write_text(json.dumps([{**ENTRY, "cases": cases}]))
    with pytest.raises(DeviationsError) as caught:
        load_deviations(path)
    assert what in str(caught.value)


def test_a_deviation_without_a_reason_is_none(tmp_path: Path) -> None:
    path = tmp_path / "deviations.json"
    path.write_text(json.dumps([{**ENTRY, "reason": "  "}]))
    with pytest.raises(DeviationsError, match="an unexplained deviation does not belong here"):
        load_deviations(path)


@pytest.mark.slow
def test_the_published_lists_name_published_vectors() -> None:
    published = {vector.id for vector in load_vectors()}
    for deviation in all_deviations():
        assert set(deviation.vectors) <= published, deviation.id
