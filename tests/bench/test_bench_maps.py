"""The bench of guest address maps: contestants answer right, wrong ones are refused, and what is missing is named."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from bench.maps import build, changes, command, contestants
from bench.maps.abi import Loaded, Map
from bench.maps.beside import measure_beside
from bench.maps.changes import Places, grown, measure_changes, verify
from bench.maps.contestants import CONTESTANTS, JUDGE, Contestant
from bench.maps.lookups import measure_lookups
from bench.maps.measure import WrongAnswer, check, rounds_of
from bench.maps.results import ROUNDS, Beside, Key, Rate, Ratio, Results, Series
from bench.maps.tables import tables
from bench.maps.targets import MET, NOISE, NOT_MET, UNIFORM_A, Verdict, summary, unmet, verdicts
from bench.maps.workloads import KINDS, LAYOUTS, PAGE, UNIT, Layout, edges, layout, queries
from conformance.target import TargetUnavailable

CHEAP = ("floor", "sorted", "dpdk", "spdk", "gpamap", "gpamap-table")
SIZE = 64


@pytest.fixture(scope="module")
def loaded(compiles: None) -> dict[str, Loaded]:
    return {name: Loaded(CONTESTANTS[name].build()) for name in CHEAP}


def planted(directory: Path, right: str, wrong: str) -> Loaded:
    """The sorted array with one bug."""
    text = (build.C / "sorted.c").read_text()
    assert text.count(right) == 1
    (directory / "sorted.c").write_text(text.replace(right, wrong))
    return Loaded(build.own("sorted.c", base=directory))


@pytest.mark.slow
@pytest.mark.parametrize("which", LAYOUTS)
def test_cheap_contestants_answer_right(loaded: dict[str, Loaded], which: str) -> None:
    results = Results()
    subjects = ("lookups", "translations")
    measure_lookups(loaded, layout(which, SIZE), ("uniform", "sequential"), subjects, 2, results)
    cell = results.cells[Key("lookups", which, SIZE, "uniform", "throughput")]
    assert set(cell) == set(CHEAP) - (set() if which == "A" else {"spdk"})
    assert all(0 < series.p10() < 1e6 for series in cell.values())
    assert results.segments[Key("translations", which, SIZE, "1 MiB")] >= 1


@pytest.mark.parametrize("which", ["B", "adversarial"])
def test_changes_are_right(loaded: dict[str, Loaded], which: str) -> None:
    results = Results()
    measure_changes(loaded, which, SIZE, 2, ["changes", "growth"], results)
    for kind in ("insert", "remove", "move", "growth, random", "growth, ascending"):
        assert {"sorted", "gpamap", "gpamap-table"} <= set(results.cells[Key("changes", which, SIZE, kind)])


def test_who_is_left_out_of_changes_is_named(loaded: dict[str, Loaded]) -> None:
    results = Results()
    static = Loaded(CONTESTANTS["qemu"].build())
    measure_changes(loaded | {"qemu": static, "gpamap-call": loaded["gpamap"]}, "A", 4096, 1, [], results)
    assert "cannot be changed" in results.cannot["qemu, changes"]
    assert "are those of" in results.cannot["gpamap-call, changes"]
    assert "below 4096 regions" in results.cannot["dpdk, changes of 4096"]


class Clocked:
    """A contestant whose clock takes 300 ns to read, and each change or lookup 10 ns."""

    def __init__(self) -> None:
        self.maps, self.asked = 0, 0
        self.made = None
        self.ops = SimpleNamespace(insert=self.insert, throughput=self.throughput)

    def insert(self, made: object, regions: object, count: int) -> int:
        self.asked += count
        return 300 + 10 * count

    def throughput(self, made: object, work: Any) -> int:
        return 300 + 10 * int(work.count)

    def map(self, regions: object, order: object) -> Clocked:
        self.maps += 1
        return self

    def close(self) -> None:
        pass


def test_what_the_clock_takes_is_taken_off() -> None:
    """At 8 regions it would be most of it."""
    one = Clocked()
    both = cast(dict[str, Loaded], {"sorted": one})
    series = grown(both, ["sorted"], Places("A", 8), "growth, random", 3)["sorted"]
    assert series.ns == [10.0] * 3
    assert one.asked >= 3 * 1024, "a round is so long that it can be measured"
    found = rounds_of(
        cast(dict[str, Map], {"sorted": one}),
        queries(layout("A", 8), "uniform"),
        queries(layout("A", 8), "uniform"),
        "throughput",
        3,
    )["sorted"]
    assert found.ns == [10.0] * 3


def test_what_targets_are_about_grows_in_all_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "SECONDS_TO_GROW", 0)
    names = ["kvm", "gpamap", "sorted"]
    found = grown(
        cast(dict[str, Loaded], {name: Clocked() for name in names}), list(names), Places("A", 8), "growth", 31
    )
    assert {name: len(series.ns) for name, series in found.items()} == {"kvm": 31, "gpamap": 31, "sorted": 3}
    slow = Results()
    slow.cells[Key("changes", "A", 32764, "insert")] = {name: Series([1e9]) for name in names}
    assert [changes.takes_too_long(name, "A", 32764, slow) for name in names] == [False, False, True]


def test_a_reader_reads_while_the_writer_moves(loaded: dict[str, Loaded]) -> None:
    results = Results()
    measure_beside({name: loaded[name] for name in ("gpamap", "sorted")}, "B", SIZE, 3, results)
    assert set(results.beside["B", SIZE]) == {"gpamap"}, "a map without readers and locks has none"
    found = results.beside["B", SIZE]["gpamap"]
    assert 0 < found.lookups.low <= found.lookups.median <= found.lookups.high and found.moves.low > 0


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_command_writes_what_it_measured(loaded: dict[str, Loaded], tmp_path: Path) -> None:
    arguments = ["--contestants", "sorted,gpamap", "--sizes", "8,16", "--layouts", "A", "--queries", "uniform"]
    arguments += ["--subjects", "lookups", "--rounds", "3", "--out", str(tmp_path)]
    assert command.main(arguments) == 0
    written = json.loads((tmp_path / "bench.json").read_text())
    assert {cell["size"] for cell in written["cells"]} == {8, 16}
    assert written["cells"][0]["contestants"]["gpamap"]["rounds"] == 3
    assert written["cells"][0]["contestants"]["sorted"]["library's ratio"]["low"] > 0
    assert "s of it on a processor" in written["machine"]["measuring took"]
    assert (tmp_path / "A-uniform-latency.svg").stat().st_size > 1000
    # Nothing to compare with was measured: no target can be said to be met.
    assert command.main([*arguments, "--require"]) == 1


@pytest.mark.slow
def test_the_command_ends_with_who_was_not_there(
    loaded: dict[str, Loaded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build_nothing() -> Path:
        raise TargetUnavailable("it needs a thing: install the package thing")

    arguments = ["--contestants", "sorted,gtree,spdk", "--sizes", "8", "--layouts", "B", "--queries", "uniform"]
    arguments += ["--subjects", "lookups", "--rounds", "2", "--out", str(tmp_path)]
    monkeypatch.setitem(CONTESTANTS, "gtree", Contestant("gtree", "GLib GTree", build_nothing))
    assert command.main(arguments) == 0
    end = capsys.readouterr().out.splitlines()[-3:]
    assert end[0].startswith("spdk, layout B: does not take part: it takes 2 MiB-aligned")
    assert end[1] == "GLib GTree: was not built, and takes no part at all: it needs a thing: install the package thing"
    assert list(command.missing(Results())) == ["every contestant that was asked for was built"]


def test_targets_are_met_or_not() -> None:
    results = Results()
    for times, met in ((1.01, True), (0.99, False)):
        cell = {"itree": Series([UNIFORM_A[0][0] * times] * 31), "gpamap": Series([1.0] * 31)}
        results.cells[Key("lookups", "A", 8, "uniform", "throughput")] = cell
        found = [one for one in verdicts(results) if one.target == "layout A uniform: times the yardstick"]
        assert [one.met for one in found if (one.size, one.measure) == (8, "throughput")] == [met]
        assert [one.met for one in found if (one.size, one.measure) == (8, "latency")] == [None]


def test_a_limit_within_the_spread_is_within_the_noise() -> None:
    def state(low: float, median: float, high: float, at_most: bool = False) -> str:
        return Verdict("t", 8, "", 2, Ratio(median, low, high, ROUNDS), at_most).state

    assert [state(2, 3, 4), state(1, 3, 4), state(1, 1.5, 4), state(1, 1.5, 1.9)] == [MET, NOISE, NOISE, NOT_MET]
    assert [state(1, 1.5, 2, True), state(1, 3, 4, True), state(2.1, 3, 4, True)] == [MET, NOISE, NOT_MET]
    one = Verdict("t", 8, "", 2, Ratio(3, 1, 4, ROUNDS))
    assert one.met is None and one.shown() == "3 (1..4) within the noise"
    assert one.as_json()["verdict"] == NOISE and (one.as_json()["low"], one.as_json()["high"]) == (1, 4)
    assert "0 met, 0 not met, 1 within the noise" in summary([one])
    assert unmet([one]).row_count == 1


def test_a_reader_that_got_no_turn_is_shown_as_such() -> None:
    results = Results()
    results.beside["A", 8] = {"gpamap": Beside(Rate(0, 0, 0), Rate(1, 1, 1), Rate(0, 0, 0))}
    (made,) = tables(results)
    assert list(made.columns[2].cells) == ["-"]


def test_few_rounds_are_marked() -> None:
    one = Verdict("t", 8, "", 2, Ratio(3, 2.5, 4, 3))
    assert one.shown() == "3 (2.5..4) met, 3 rounds" and one.as_json()["rounds"] == 3
    assert "1 of them by fewer than 31 rounds" in summary([one])


def test_the_fastest_peer_is_known_only_when_all_were_measured() -> None:
    key = Key("lookups", "adversarial", 32764, "uniform", "latency")
    results = Results()
    peers = [name for name, one in CONTESTANTS.items() if one.arbitrary and not name.startswith("gpamap")]
    results.cells[key] = {name: Series([2.0] * 31) for name in peers if name not in ("dpdk", "vm-memory", "qemu")}
    results.cells[key]["gpamap"] = Series([1.0] * 31)

    def met() -> bool | None:
        title = "layout adversarial uniform: times the fastest peer"
        (one,) = (v for v in verdicts(results) if (v.target, v.size, v.measure) == (title, key.size, key.measure))
        return one.met

    results.cannot["qemu, layout adversarial"] = "its tables would take too much"
    assert met() is None, "vm-memory was not measured"
    results.cells[key]["vm-memory"] = Series([0.5] * 31)
    assert met() is False
    assert [v.against for v in verdicts(results) if v.met is False] == ["vm-memory"]
    results.cells[key]["vm-memory"] = Series([1.5] * 31)
    assert met() is True, "dpdk is not waited for with so many regions, and qemu cannot hold them"
    (share,) = (v.share() for v in verdicts(results) if v.met and v.measure == key.measure and "fastest" in v.target)
    assert share == 1.5


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


@pytest.mark.slow
def test_a_sample_takes_about_a_minute(tmp_path: Path) -> None:
    """Of a processor's time: what other processes take beside it is not the bench's."""
    assert command.main(["--quick", "--out", str(tmp_path)]) == 0
    took = json.loads((tmp_path / "bench.json").read_text())["machine"]["measuring took"]
    assert int(took.split(", ")[1].split(" s")[0]) <= 75, took
