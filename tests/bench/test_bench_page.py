"""What docs/ says of the bench is what docs/bench/*.json has, and these files are what a whole run writes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bench.maps import command, instructions, machine, page
from bench.maps.contestants import CONTESTANTS
from bench.maps.lookups import LOOPS
from bench.maps.results import CHANGES, GROWTHS, Counted, Key, Results, Series, counts
from bench.maps.targets import MET, NOISE, NOT_MEASURED, NOT_MET, verdicts


@pytest.mark.parametrize("where", page.PAGES, ids=lambda path: path.name)
def test_a_page_says_what_the_files_say(where: Path) -> None:
    text = where.read_text()
    assert page.written(text) == text, "run python -m bench.maps.page"


def test_every_part_is_in_one_page() -> None:
    assert sorted(name for where in page.PAGES for name in page.parts_of(where.read_text())) == sorted(page.PARTS)


def test_another_number_is_another_page(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = page.read("targets")
    missed = next(one for one in targets["targets"] if one["verdict"] == NOT_MET)
    missed["value"] *= 0.5
    times = page.read("times")
    next(cell for cell in times["cells"] if cell["measure"] == "latency")["ns"]["gpamap"][0] *= 2
    texts = {where: where.read_text() for where in page.PAGES}
    monkeypatch.setattr(page, "read", {"targets": targets, "times": times, "counts": page.read("counts")}.__getitem__)
    assert all(page.written(text) != text for text in texts.values())


def test_the_committed_verdicts_are_of_the_targets_that_there_are() -> None:
    found = page.read("targets")["targets"]
    fields = ("target", "size", "measure", "limit", "at_most")
    wanted = [tuple(one.as_json()[field] for field in fields) for one in verdicts(Results())]
    assert [tuple(one[field] for field in fields) for one in found] == wanted
    assert {one["verdict"] for one in found} <= {MET, NOISE, NOT_MET, NOT_MEASURED}


def test_the_committed_counts_are_whole() -> None:
    found = {(one["layout"], one["size"]): one["contestants"] for one in page.read("counts")["instructions"]}
    document = page.read("counts")
    lookups = {f"{kind} {loop}" for kind in instructions.KINDS for loop in LOOPS} | {"1 MiB"}
    for layout in page.LAYOUTS:
        for size in page.SIZES:
            cell = found[layout, size]
            assert {"floor", "itree", "kvm", "gpamap", "gpamap-512"} <= set(cell)
            for name in instructions.COUNTED:
                if name not in cell:
                    named = f"instructions of {name}, layout {layout}, {size} regions"
                    assert named in document["cannot"] or name in document["absent"], named
                else:
                    assert lookups <= set(cell[name]), (name, layout, size)
            for name in instructions.STEPPED:
                assert {f"{kind} {loop}" for kind in instructions.KINDS for loop in LOOPS} <= set(cell[name])
            for name in ("itree", "kvm", "gpamap", "gpamap-512"):
                assert set(CHANGES) <= set(cell[name]), (name, layout, size)
            for name in ("kvm", "gpamap"):
                assert set(GROWTHS) <= set(cell[name]), (name, layout, size)
                assert all(len(one["misses"]) == 2 for one in cell[name].values())


def test_reasons_have_the_numbers_that_were_counted() -> None:
    """What is written by hand beside the tables: after another count each sentence that fails here wants to be read."""
    text = (page.DOCS / "bench.md").read_text()
    reasons = " ".join(text.partition("Why not, by subject.")[2].partition("What was tried for lookups")[0].split())
    counted = {layout: page.counted(layout) for layout in page.LAYOUTS}

    def of(layout: str, size: int, what: str, event: str = "instructions", name: str = "gpamap") -> float:
        return float(counted[layout][size][name][what][event])

    def missed(layout: str, size: int, what: str, name: str = "gpamap") -> float:
        return float(counted[layout][size][name][what]["misses"][0])

    one, zipf, latency, guesses = "uniform throughput", "zipf throughput", "uniform latency", "wrong guesses"
    full, random, ascending = "insert", *GROWTHS
    for phrase in (
        f"libgpamap has {of('A', 8, one):.0f} instructions at 8 and 64, no wrong guess",
        f"there are two levels: {of('A', 509, one):.0f} instructions",
        f"At 64 it is {of('B', 64, one):.0f} instructions and {of('B', 64, one, guesses):.2f} wrong guesses, at 509 "
        f"{of('B', 509, one):.0f} and {of('B', 509, one, guesses):.2f}",
        f"{of('B', 64, zipf):.0f} instructions and {of('B', 64, zipf, guesses):.1f} wrong guesses at 64",
        f"lookup has {missed('A', 32764, one):.1f} on A, {missed('B', 32764, one):.1f} on B and "
        f"{missed('adversarial', 32764, one):.1f} on the adversarial layout, the yardstick "
        f"{missed('A', 32764, one, 'itree'):.0f}",
        f"{of('adversarial', 64, one):.0f}, {of('adversarial', 509, one):.0f} and {of('adversarial', 4096, one):.0f} "
        "instructions at 64, 509 and 4096",
        f"{of('A', 8, one, name='s+tree'):.0f} to {of('A', 32764, one, name='s+tree'):.0f}, on every layout the same",
        f"libgpamap has {of('B', 8, one):.0f} to {of('B', 509, one):.0f} on B and {of('adversarial', 8, one):.0f} to "
        f"{of('adversarial', 32764, one):.0f} on the adversarial layout",
        f"a single load without a search: {of('A', 8, one, name='spdk'):.0f} instructions",
        f"{of('A', 4096, '1 MiB'):.0f}, where a lookup has {of('A', 4096, one):.0f}",
        f"{missed('A', 4096, full, 'kvm'):.0f} misses an insertion at 4096 and {missed('A', 32764, full, 'kvm'):.0f} "
        f"at 32764, where libgpamap has {missed('A', 32764, full):.0f}",
        f"At 8 an insertion has {of('A', 8, random):,.0f} to {of('A', 8, ascending):,.0f} instructions",
        f"malloc is called {of('A', 8, random, 'allocations'):.1f} times an insertion at 8",
        f"(on A at 509 {of('A', 509, ascending, guesses, 'kvm'):.1f} wrong guesses instead of "
        f"{of('A', 509, random, guesses, 'kvm'):.1f}), libgpamap does not ({of('A', 509, ascending, guesses):.1f} and "
        f"{of('A', 509, random, guesses):.1f})",
        f"{missed('A', 32764, 'move'):.0f} (A) and {missed('B', 32764, 'move'):,.0f} (B) a move, beside "
        f"{missed('A', 32764, 'move', 'kvm'):.0f}",
    ):
        assert phrase in reasons, phrase
    # Latency has the counts of throughput, but for what the loop adds.
    assert all(
        abs(of(layout, size, latency) - of(layout, size, one)) < 3 for layout in page.LAYOUTS for size in page.SIZES
    )


def test_with_whom_a_missed_cell_was_compared_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = page.read("targets")
    for layout in ("A", "adversarial"):
        target = f"layout {layout} uniform: times the fastest peer"
        cell = next(one for one in targets["targets"] if one["target"] == target)
        cell.update(verdict=NOT_MET, value=0.25, against="qemu")
    monkeypatch.setattr(page, "read", {"targets": targets}.__getitem__)
    assert page.met().count(f"0.25 (≥ 1; {CONTESTANTS['qemu'].title})") == 2
    assert f"0.25 times ({CONTESTANTS['qemu'].title})" in page.behind()


def test_what_docs_say_marks_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / name for name in ("docs/page.md", "bench/maps/machine.py", "source.c")]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("as it was\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.example"]
    for command_line in (["init", "-q"], ["add", "."], ["commit", "-q", "--no-verify", "-m", "all"]):
        subprocess.run([*git, *command_line], check=True)
    monkeypatch.setattr(machine, "__file__", str(files[1]))
    clean = machine.commit()
    files[0].write_text("another\n")
    assert machine.commit() == clean and not clean.endswith("-dirty")
    files[2].write_text("another\n")
    assert machine.commit() == f"{clean}-dirty"


def test_a_part_of_a_run_is_not_written_to_the_docs(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["--quick"],
        ["--sizes", "8"],
        ["--subjects", "lookups"],
        ["--subjects", "instructions", "--layouts", "A"],
    ):
        assert command.main([*arguments, "--docs"]) == 2
        assert "wants a whole run" in capsys.readouterr().err


def test_what_a_run_writes_is_what_the_page_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = Results(machine={**page.read("times")["machine"], "simulated caches": "some"})
    results.cells[Key("lookups", "A", 8, "uniform", "latency")] = {"gpamap": Series([1.0, 2.0, 3.0])}
    key = Key("translations", "B", 8, "1 MiB")
    results.cells[key], results.segments[key] = {"gpamap": Series([9.0])}, 13.96
    results.cells[Key("lookups", "B", 8, "zipf", "latency")] = {"gpamap": Series([4.0]), "gpamap-again": Series([2.0])}
    results.cells[Key("changes", "A", 8, "insert")] = {"kvm": Series([200.0]), "gpamap": Series([100.0])}
    results.cells[Key("changes", "B", 64, "growth, random")] = {"kvm": Series([1234.5])}
    results.memory["B", 64] = {"maple": 99.4}
    results.absent["icl"] = "it needs Boost"
    results.instructions["A", 8] = {"gpamap": {"insert": Counted(3000, 20, 2, {"memcpy": 0.5}, (1.25, 0.5))}}
    results.instructions["A", 8]["kvm"] = {"insert": Counted(1500, 5, 1, {}, (4, 0))}
    results.instructions["B", 8] = {"s+tree-avx2": {"zipf throughput": Counted(50, 1, 0, {}, (2.5, 0))}}
    document = results.as_json("itree", "gpamap", {}) | {"targets": [one.as_json() for one in verdicts(results)]}
    (tmp_path / "bench").mkdir()
    monkeypatch.setattr(command, "DOCS", tmp_path / "bench")
    monkeypatch.setattr(page, "DOCS", tmp_path)
    command.keep(["times", "counts"], document, results, [])
    assert page.read("times")["cells"][0]["ns"] == {"gpamap": [1.2, 2.0, 2.8, 3]}
    assert "| libgpamap slots | - / 1.2 |" in page.lookups()
    assert "| layout B | 14.0 | - |" in page.segments()
    assert "| gpamap-again, layout B, zipf, latency | 0.50 | - |" in page.variants()
    assert "| 3,000 (2.0) |" in page.changes() and "| `memcpy` | 50% |" in page.where()
    assert "| 20.0; 1.25 / 0.50 |" in page.change_misses()
    assert "-mavx2 for valgrind, zipf | 2.50 / 0.00 |" in page.misses()
    assert "| insert, layout A | 0.50 / 2.0 / 4.0 / -3 |" in page.change_reasons()
    assert f"| {CONTESTANTS['kvm'].title} | - | 1,234 / - | - |" in page.change_times()
    assert f"| {CONTESTANTS['maple'].title} | - | 99 | - |" in page.memory()
    assert f"Not built: {CONTESTANTS['icl'].title}: it needs Boost." in page.run()
    assert "0 not met" in page.met() and f"{len(document['targets']) - 1} not measured" in page.met()


def test_functions_have_what_they_take_themselves() -> None:
    dump = "events: Ir Bc\nfn=outer\n0 10 2\ncfn=inner\ncalls=3 0\n0 500 1\n0 7\n\nfn=inner\n0 500\ntotals: 517 3\n"
    assert instructions.own_instructions(dump) == {"outer": 17, "inner": 500}


@pytest.mark.slow
def test_instructions_are_counted(compiles: None) -> None:
    if shutil.which("valgrind") is None:
        pytest.skip("an extra: no valgrind here (tools/setup bench installs it)")
    results = Results()
    some = {**{name: CONTESTANTS[name] for name in ("floor", "sorted", "gpamap")}, **instructions.wanted(["s+tree"])}
    instructions.count(some, "A", 8, results)
    found = {name: counts(one) for name, one in results.instructions["A", 8].items()}
    floor, library = found["floor"]["uniform throughput"], found["gpamap"]["uniform throughput"]
    assert 5 < floor["instructions"] < library["instructions"] < 100
    assert "insert" not in found["floor"] and found["sorted"]["insert"]["allocations"] == 0
    assert found["gpamap"]["move"]["allocations"] > 0 and found["gpamap"]["move"]["in"]
    # Only what a target is about grows; a growth begins with less than a change has, so that it makes more.
    for growth in GROWTHS:
        assert growth not in found["sorted"]
        assert found["gpamap"][growth]["instructions"] > 500 and found["gpamap"][growth]["allocations"] > 1
    # The floor reads of each question 8 bytes and 4: a line holds eight of the ones and sixteen of the others.
    assert floor["misses"][0] == pytest.approx(3 / 16, abs=0.02)
    assert "simulated caches" in results.machine
    # A machine without AVX2 names that, and so does one where a process may not be stepped through.
    for name in ("s+tree-avx2", "s+tree"):
        assert name in found or any(f"of {name}" in reason for reason in results.cannot)
    if "s+tree" in found:
        assert 10 < found["s+tree"]["uniform throughput"]["instructions"] < 150
        assert set(found["s+tree"]["zipf latency"]) == {"instructions"}
