"""Object code of the library: what is proved holds, what must not pass does not, and what is missing is told.

All proofs are run by `make prove-c`. Here are those that take a second or two.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.target import TargetUnavailable
from conformance.targets.c import checking, verifying
from conformance.targets.c.objectcode import catalogue, compiling, edits, listed, search, walked
from conformance.targets.c.objectcode.verdict import Difference, Shown
from conformance.targets.c.verify.harness import Plant
from proofs.objectcode.cannot import Cannot

GCC = compiling.Build("gcc", "-O2")
pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not here")


def test_every_problem_has_planted_bugs_that_apply() -> None:
    assert len({one.name for one in catalogue.PROBLEMS}) == len(catalogue.PROBLEMS)
    for problem in catalogue.PROBLEMS:
        assert problem.plants and problem.shows.endswith("."), problem.name
        for plant in problem.plants:
            with checking.library_with(plant):
                pass


def test_the_layout_is_the_compilers() -> None:
    layout = compiling.layout()
    assert layout["entry.sizeof"] == 32 and layout["entry.reach"] == 8
    assert layout["message.kind"] == 33 and layout["gpamap_region.hva"] == 24


def test_what_is_kept_depends_on_the_tools_and_on_how_the_code_is_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def keys() -> tuple[bytes, str]:
        catalogue._reader.cache_clear()
        return catalogue._reader(), compiling.compiled(GCC, "once.c").name

    before = keys()
    rest = tmp_path / "another.a"
    shutil.copy(compiling._rest(), rest)
    monkeypatch.setattr(catalogue, "tools", lambda: ("another z3",))
    assert keys()[0] != before[0]
    monkeypatch.setattr(compiling, "_rest", lambda: rest)
    assert keys()[1] != before[1]


@pytest.mark.slow
def test_proved_of_each_build_and_refuted_of_a_planted_bug() -> None:
    made, _ = compiling.builds()
    (verdict,) = verifying.verify_objects((catalogue.problem_named("object-kept"),), made)
    assert verdict.passed() and len(verdict.outcomes) == len(made)
    assert all(one.witnesses for _, one in verdict.outcomes), "cases were run on both sides"
    assert all(bug.status == checking.REFUTED and bug.values for bug in verdict.planted)


@pytest.mark.slow
def test_a_change_that_breaks_nothing_is_no_bug() -> None:
    harmless = Plant("nothing", "region.c", "if (region->hva != old->host)", "if (old->host != region->hva)")
    assert catalogue.check_object("object-kept", GCC, harmless).status == checking.MISSED


def test_steps_of_a_search_that_are_wrong_are_refused() -> None:
    def takes_too_many(low: int, left: int, value: search.Callable[..., int], wanted: int) -> tuple[int, int]:
        half = (left + 1) // 2
        return (low + half if value(low + half - 1) <= wanted else low), left - half

    def never_ends(low: int, left: int, value: search.Callable[..., int], wanted: int) -> tuple[int, int]:
        half = left // 2
        return (low + half if value(low + half - 1) < wanted else low), left - half

    search.define()
    for wrong in (takes_too_many, never_ends):
        with pytest.raises(Cannot):
            search.define(wrong)


def test_small_maps_for_a_walk_are_of_each_kind_and_the_library_agrees() -> None:
    assert walked.witnesses() == walked.CASES
    library = compiling.native(compiling.compiled(GCC, "walk.c"))
    assert walked.tried(library) is None
    assert any(case.length and not case.room for case in walked.cases())


def test_small_lists_are_of_each_kind_and_the_library_agrees() -> None:
    library = compiling.native(compiling.compiled(GCC, "edits.c"))
    for inserts in (False, True):
        assert listed.witnesses(inserts) == listed.CASES
        assert listed.tried(library, inserts) is None


def test_edits_that_are_wrong_are_refused() -> None:
    def never_asks_those_before(
        number: Any, field: int, old: edits.Old, count: Any, at: Any, new: Any, end: Any
    ) -> Any:
        return new[field] if number == at else edits.put_in(number, field, old, count, at, new, end)

    def stops_one_short(end: Any, count: Any, reach_of: Any, reach: Any) -> bool:
        return bool(end < count) and bool(reach_of(end) < reach)

    def raises_all(end: Any, count: Any, reach_of: Any, reach: Any) -> bool:
        return bool(end <= count)

    edits.define_insertion()
    for wrong in ({"put": never_asks_those_before}, {"raised": stops_one_short}, {"raised": raises_all}):
        with pytest.raises(Cannot):
            edits.define_insertion(**wrong)
    edits.define_removal()
    for wrong in ({"stale_": lambda *given: False}, {"stale_": stops_one_short}, {"largest": lambda one, other: other}):
        with pytest.raises(Cannot):
            edits.define_removal(**wrong)


def test_a_difference_that_is_none_when_it_is_run_decides_nothing() -> None:
    shown = Shown(1, 1, difference=Difference({"a": 1}, "0", "0"))
    assert catalogue._outcome(shown, True, 0.0).status == checking.UNDECIDED
    real = Shown(1, 1, difference=Difference({"a": 1}, "0", "-22"))
    assert catalogue._outcome(real, True, 0.0).status == checking.REFUTED


def test_a_missing_compiler_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None if name == "clang" else f"/usr/bin/{name}")
    made, told = compiling.builds()
    assert told == ("Object code of clang is not looked at: install clang.",)
    assert {one.compiler for one in made} == {"gcc"}
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None)
    with pytest.raises(TargetUnavailable, match="install gcc or clang"):
        compiling.builds()


@pytest.fixture
def no_cbmc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def none() -> None:
        raise TargetUnavailable("There is no CBMC.")

    monkeypatch.setattr(verifying, "cbmc", none)
    yield


@pytest.mark.slow
def test_json(no_cbmc: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert verifying.main(["--json", "object-kept"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["missing"] == list(compiling.builds()[1])
    (result,) = printed["results"]
    assert result["name"] == "object-kept" and result["passed"] is True
    assert result["builds"]["gcc -O2"]["status"] == "proved"
    assert [bug["status"] for bug in result["planted"].values()] == ["refuted"]
