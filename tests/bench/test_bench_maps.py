"""The bench of guest address maps: contestants answer right, wrong ones are refused, and what is missing is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.maps import build, command, contestants
from bench.maps.abi import Loaded
from bench.maps.beside import measure_beside
from bench.maps.changes import Places, measure_changes, verify
from bench.maps.contestants import CONTESTANTS, JUDGE, Contestant
from bench.maps.lookups import measure_lookups
from bench.maps.measure import WrongAnswer, check
from bench.maps.results import Key, Results, Series
from bench.maps.targets import UNIFORM_A, verdicts
from bench.maps.workloads import KINDS, LAYOUTS, PAGE, UNIT, Layout, edges, layout, queries
from conformance.target import TargetUnavailable
from conformance.targets.c.build import compiler

CHEAP = ("floor", "sorted", "dpdk", "spdk", "gpamap", "gpamap-table")
SIZE = 64


@pytest.fixture(scope="module")
def loaded() -> dict[str, Loaded]:
    try:
        compiler()
    except TargetUnavailable as reason:
        pytest.skip(f"a contestant of the bench cannot be built here: {reason}")
    return {name: Loaded(CONTESTANTS[name].build()) for name in CHEAP}


def planted(directory: Path, right: str, wrong: str) -> Loaded:
    """The sorted array with one bug."""
    text = (build.C / "sorted.c").read_text()
    assert text.count(right) == 1
    (directory / "sorted.c").write_text(text.replace(right, wrong))
    return Loaded(build.own("sorted.c", base=directory))


@pytest.mark.parametrize("which", LAYOUTS)
def test_cheap_contestants_answer_right(loaded: dict[str, Loaded], which: str) -> None:
    results = Results()
    subjects = ("lookups", "translations")
    measure_lookups(loaded, layout(which, SIZE), ("uniform", "sequential"), subjects, 2, results)
    cell = results.cells[Key("lookups", which, SIZE, "uniform", "throughput")]
    assert set(cell) == set(CHEAP) - (set() if which == "A" else {"spdk"})
    assert all(0 < series.p10() < 1e6 for series in cell.values())
    assert results.segments[Key("translations", which, SIZE, "1 MiB")] >= 1


def test_changes_are_right(loaded: dict[str, Loaded]) -> None:
    results = Results()
    measure_changes(loaded, "B", SIZE, 2, ["changes", "growth"], results)
    for kind in ("insert", "remove", "move", "growth, random", "growth, ascending"):
        assert {"sorted", "gpamap", "gpamap-table"} <= set(results.cells[Key("changes", "B", SIZE, kind)])


def test_a_reader_reads_while_the_writer_moves(loaded: dict[str, Loaded]) -> None:
    results = Results()
    measure_beside({name: loaded[name] for name in ("gpamap", "sorted")}, "B", SIZE, results)
    assert set(results.beside["B", SIZE]) == {"gpamap"}, "a map without readers and locks has none"
    assert results.beside["B", SIZE]["gpamap"].lookups > 0 and results.beside["B", SIZE]["gpamap"].moves > 0


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("region->last < address", "region->last <= address"),  # the last byte is missing
        ("region->start <= address", "region->start < address"),  # the first byte is missing
        ("region->host + (address - region->start)", "region->host + (address - region->start) + (address % 997 == 0)"),
    ],
)
def test_a_wrong_contestant_is_refused(loaded: dict[str, Loaded], tmp_path: Path, right: str, wrong: str) -> None:
    right, wrong = (one.replace("region->start <=", "map->regions[middle].start <=") for one in (right, wrong))
    wrong = wrong.replace("region->start < ", "map->regions[middle].start < ")
    both = {JUDGE: loaded[JUDGE], "planted": planted(tmp_path, right, wrong)}
    regions = layout("B", SIZE)
    maps = {name: one.map(regions.regions, regions.order) for name, one in both.items()}
    with pytest.raises(WrongAnswer, match="planted answers"):
        check(maps, JUDGE, edges(regions), "at the edges")
        check(maps, JUDGE, queries(regions, "uniform"), "uniform")


def test_a_wrong_change_is_refused(loaded: dict[str, Loaded], tmp_path: Path) -> None:
    right = "	map->regions[position] = *region;"
    # The map is right when it is made: region 7 is then the eighth that is added.
    late = "	map->regions[position].last -= region->id == 7 && map->count > 20;"
    wrong = planted(tmp_path, right, f"{right}\n{late}")
    places = Places("B", SIZE)
    maps = {"planted": wrong.map(places.layout.regions, places.layout.order)}
    with pytest.raises(WrongAnswer, match="planted answers 1 of"):
        for _ in range(4):  # region 7 is among those that are taken out, sooner or later
            verify(loaded[JUDGE], maps, places)


def test_the_command_ends_with_1_for_a_wrong_contestant(
    loaded: dict[str, Loaded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right, wrong = "region->last < address", "region->last <= address"
    text = (build.C / "sorted.c").read_text().replace(right, wrong)
    (tmp_path / "sorted.c").write_text(text)
    bad = Contestant("sorted", "planted", lambda: build.own("sorted.c", base=tmp_path))
    monkeypatch.setitem(CONTESTANTS, "sorted", bad)
    arguments = ["--contestants", "sorted", "--sizes", "8", "--layouts", "B", "--subjects", "lookups", "--rounds", "2"]
    assert command.main([*arguments, "--out", str(tmp_path / "out")]) == 1
    assert "sorted answers" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_writes_what_it_measured(loaded: dict[str, Loaded], tmp_path: Path) -> None:
    arguments = ["--contestants", "sorted,gpamap", "--sizes", "8,16", "--layouts", "A", "--queries", "uniform"]
    arguments += ["--subjects", "lookups", "--rounds", "3", "--out", str(tmp_path)]
    assert command.main(arguments) == 0
    written = json.loads((tmp_path / "bench.json").read_text())
    assert {cell["size"] for cell in written["cells"]} == {8, 16}
    assert written["cells"][0]["contestants"]["gpamap"]["rounds"] == 3
    assert (tmp_path / "A-uniform-latency.svg").stat().st_size > 1000
    # Nothing to compare with was measured: no target can be said to be met.
    assert command.main([*arguments, "--require"]) == 1


def test_targets_are_met_or_not() -> None:
    results = Results()
    for times, met in ((1.01, True), (0.99, False)):
        cell = {"itree": Series([UNIFORM_A[0][0] * times] * 31), "gpamap": Series([1.0] * 31)}
        results.cells[Key("lookups", "A", 8, "uniform", "throughput")] = cell
        found = [one for one in verdicts(results) if one.target == "layout A uniform: times the yardstick"]
        assert [one.met for one in found if (one.size, one.measure) == (8, "throughput")] == [met]
        assert [one.met for one in found if (one.size, one.measure) == (8, "latency")] == [None]


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for make, package in ((build.glib, "libglib2.0-dev"), (build.vm_memory, "cargo")):
        with pytest.raises(TargetUnavailable, match=package):
            make()
    results = Results()
    assert command.load({"gtree": CONTESTANTS["gtree"]}, results) == {}
    assert "libglib2.0-dev" in results.absent["gtree"]


@pytest.mark.parametrize("which", LAYOUTS)
@pytest.mark.parametrize("size", [8, 509, 4096])
def test_layouts(which: str, size: int) -> None:
    regions = layout(which, size).regions
    moved_by = regions["host"] - regions["start"]
    touching = regions["start"][1:] == regions["last"][:-1] + np.uint64(1)
    assert len(regions) == size and (moved_by[1:] != moved_by[:-1])[touching].all(), "two that touch are not one"
    assert (regions["start"][1:] > regions["last"][:-1]).all() and regions["last"][-1] < 2**63
    unit = UNIT if which == "A" else PAGE
    assert not (regions["start"] % unit).any() and not ((regions["last"] + np.uint64(1)) % unit).any()
    assert sorted(regions["id"]) == list(range(size))


def test_an_adversarial_layout_is_uneven() -> None:
    """Divided evenly into four parts a region, nearly all parts hold nothing."""
    starts = layout("adversarial", 4096).regions["start"].astype(float)
    parts = np.unique((starts - starts[0]) // ((starts[-1] - starts[0]) / (4 * 4096)))
    assert len(parts) < 4096 / 20


@pytest.mark.parametrize("kind", KINDS)
def test_queries_are_in_their_regions(kind: str) -> None:
    some: Layout = layout("B", 509)
    work = queries(some, kind)
    regions = some.regions[work.indexes]
    assert len(work.addresses) == 2**21
    assert ((regions["start"] <= work.addresses) & (work.addresses <= regions["last"])).all()
    distinct = len(np.unique(work.indexes))
    assert distinct == (1 if kind == "hot" else 509)


def test_who_takes_part() -> None:
    assert {contestants.JUDGE, contestants.YARDSTICK, contestants.LIBRARY} <= set(CONTESTANTS)
    assert all(name == one.name for name, one in (CONTESTANTS | contestants.BESIDE).items())
