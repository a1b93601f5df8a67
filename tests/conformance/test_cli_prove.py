"""`gpaspec prove`: what it writes, what it explains, what it takes from before, and what it exits with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import conformance.cli
import conformance.proving
import proofs.run
from conformance.cli import main
from conformance.explain import profile_of
from conformance.files import load_vectors
from proofs.catalogue import THEOREMS, theorem_named
from proofs.prover import UNKNOWN, Verdict
from proofs.selection import Selection
from proofs.theorem import patched
from spec.memslots.slot import EMPTY_VM
from spec.step import step

FIRST = THEOREMS[0].id
NO_STATE = "RBTREE.INSERT.ROOT"


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A cache of its own, so that a test is not about what was proved on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def prove(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["prove", *arguments])


@pytest.fixture
def undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prover gives up."""
    monkeypatch.setattr(proofs.run, "judged", lambda names, *_: iter([Verdict(name, UNKNOWN, 0.0) for name in names]))


@pytest.fixture
def nothing_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance.cli, "prove_all", lambda *_, **__: pytest.fail("something was judged"))


# WHICH -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_judged")
def test_without_a_name_the_theorems_are_listed() -> None:
    for result, status in ((prove("--explain"), 2), (prove("--list"), 0)):
        assert result.exit_code == status and "None" not in result.output
        for theorem in THEOREMS:
            assert theorem.id in result.output and theorem.sentence in result.output
    assert "`gpaspec prove --explain ID` shows one in full" in prove("--explain").output


@pytest.mark.usefixtures("nothing_judged")
def test_a_list_as_json() -> None:
    (first,) = json.loads(prove(FIRST, "--list", "--json").output)
    assert first["id"] == FIRST and first["hypotheses"][0] == "The VM is valid, and the request breaks no rule."


def listed(*arguments: str) -> set[str]:
    result = prove("--list", "--json", *arguments)
    assert result.exit_code == 0
    return {one["id"] for one in json.loads(result.output)}


@pytest.mark.usefixtures("nothing_judged")
def test_filters() -> None:
    assert listed("--rule", "KVM.SLOT.OVERLAP") >= {"MEMSLOT.DISJOINT"}
    assert listed("--rule", "KVM.SLOT") > listed("--rule", "KVM.SLOT.OVERLAP")
    assert all(theorem_named(name).rules for name in listed("--rule", "kvm"))
    assert listed("--subject", "LOOKUP") == {one.id for one in THEOREMS if one.id.startswith("LOOKUP.")}
    assert listed("--subject", "two_sets") == listed("--subject", "twosets")
    assert listed("--operation", "lookup") <= {one.id for one in THEOREMS if "lookup" in one.operations}
    both = listed("--operation", "lookup", "--operation", "find_slot")
    assert both == listed("--operation", "lookup") | listed("--operation", "find_slot")
    assert listed("inside", "--subject", "LOOKUP") == {"LOOKUP.INSIDE"} & listed("--operation", "lookup")


def test_a_rule_begins_with_whole_words() -> None:
    assert not Selection(rules=("KVM.SLO",)).theorems()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nonsense"], "no theorem has 'nonsense' in its id or its sentence"),
        (["--explain", "nonsense"], "no theorem has 'nonsense' in its id or its sentence"),
        (["--explain", "memslot.disjont"], "'memslot.disjont' in its id or its sentence (near it: MEMSLOT.DISJOINT"),
        (["--rule", "KVM.SLO"], "no theorem is about the rule KVM.SLO; there are: IOTLB.INVALIDATE"),
        (["--subject", "nonsense"], "no theorem is about the subject nonsense; there are: ARRAY, "),
        (["--operation", "set-region"], "no theorem is about the operation set-region; there are: add_region, "),
        (["--operation", "lookup", "--subject", "DIRTY"], "no theorem meets all of these conditions"),
        (["disjoint", "--subject", "DIRTY"], "no theorem has 'disjoint' in its id or its sentence and meets the other"),
    ],
)
def test_what_is_no_theorem(arguments: list[str], sentence: str) -> None:
    result = prove(*arguments)
    assert result.exit_code == 2 and sentence.partition(" there are")[0] in result.output
    assert sentence.partition("there are: ")[2].partition(".")[0].partition(",")[0] in result.output


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        ("/no/such/vhost.ko", "there is no file /no/such/vhost.ko"),
        ("nosuch.ko", "there is no file nosuch.ko here: give the path, or --kernel 6.1"),
        ("/dev/null", "/dev/null is no regular file"),
        ("DIRECTORY", "is a directory: give the module itself, such as "),
        ("TEXT", "is not a kernel module"),
    ],
)
def test_what_is_no_module(module: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no module")
    path = {"DIRECTORY": str(tmp_path), "TEXT": str(tmp_path / "text")}.get(module, module)
    result = prove("--module", path)
    assert result.exit_code == 2 and sentence in result.output


def test_a_module_of_which_nothing_is_compared_is_not_fetched() -> None:
    result = prove("--module", "nosuch.ko", "--kernel", "6.1")
    assert result.exit_code == 2 and "nosuch.ko has no function that is compared; there are: vhost_" in result.output


def test_files_are_exported_into_a_directory(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no directory")
    result = prove(FIRST, "--second-opinion", "--export", str(tmp_path / "text"))
    assert result.exit_code == 2 and "is no directory: --export takes the directory" in result.output


@pytest.mark.usefixtures("nothing_judged")
def test_a_part_of_several_ids_lists_those() -> None:
    result = prove("--explain", "REFINES.")
    assert result.exit_code == 2 and "REFINES.KIND" in result.output and FIRST not in result.output


# ONE IN FULL -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_theorem_in_full(tmp_path: Path) -> None:
    result = prove("--explain", FIRST, "--out", str(tmp_path))
    assert result.exit_code == 0 and result.output.startswith(f"{FIRST}: proved")
    for part in (
        "bound: unbounded",
        "hypotheses (proofs/",
        "The VM is valid",
        "claim (proofs/",
        "witness",
        "planted bug",
    ):
        assert part in result.output
    assert f"gpaspec check model c --vectors {tmp_path / 'theorems' / FIRST}" in result.output


def test_a_planted_bugs_vector_shows_the_bug(tmp_path: Path) -> None:
    """The vector expects what the specification says; with the bug planted the specification says otherwise."""
    document = json.loads(prove("--explain", FIRST, "--json", "--out", str(tmp_path)).output)
    (one,) = document["theorems"]
    assert document["passed"] and one["id"] == FIRST and one["planted_bug_refuted"]
    prove("--explain", FIRST, "--out", str(tmp_path))
    (vector,) = load_vectors(tmp_path / "theorems" / FIRST)
    assert one["planted_bug_vector"]["id"] == vector.id
    assert outcomes(vector) == [step.expected for step in vector.steps]
    with patched(theorem_named(FIRST).bug.patches):
        assert outcomes(vector) != [step.expected for step in vector.steps]


def outcomes(vector: Any) -> list[Any]:
    state, found = EMPTY_VM, []
    for one in vector.steps:
        state, outcome = step(profile_of(vector), state, one.request)
        found.append(outcome)
    return found


@pytest.mark.slow
def test_a_case_without_a_state_is_no_vector(tmp_path: Path) -> None:
    result = prove("--explain", NO_STATE, "--out", str(tmp_path))
    assert result.exit_code == 0 and "so it is no vector" in result.output
    assert not (tmp_path / "theorems").exists()


@pytest.mark.slow
def test_an_explained_theorem_is_judged_once(tmp_path: Path) -> None:
    prove("--explain", FIRST, "--out", str(tmp_path))
    again = prove("--explain", FIRST, "--out", str(tmp_path))
    assert again.exit_code == 0 and "in an earlier run of the same code" in again.output.splitlines()[0]


@pytest.mark.usefixtures("undecided")
def test_an_explained_theorem_that_is_not_proved_is_status_1() -> None:
    result = prove("--explain", FIRST, "--fresh")
    assert result.exit_code == 1 and result.output.startswith(f"{FIRST}: {UNKNOWN}")


@pytest.mark.usefixtures("undecided")
def test_what_is_not_proved_is_named(tmp_path: Path) -> None:
    result = prove(FIRST, "--fresh", "--out", str(tmp_path))
    assert result.exit_code == 1 and f"Not proved: {FIRST}" in result.output


# WHAT IS KEPT ----------------------------------------------------------------------------------------------------


def test_a_part_leaves_the_result_of_all_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "prove.json").write_text("all of them")
    assert prove(FIRST, "--out", str(tmp_path)).exit_code == 0
    assert (tmp_path / "prove.json").read_text() == "all of them"
    assert [one["id"] for one in json.loads((tmp_path / "prove-part.json").read_text())["theorems"]] == [FIRST]


@pytest.mark.slow
def test_a_second_run_says_what_it_takes_from_the_first(tmp_path: Path) -> None:
    prove(FIRST, "--out", str(tmp_path))
    result = prove(FIRST, "--out", str(tmp_path))
    assert result.exit_code == 0 and "1 verdicts are from earlier runs of the same code" in " ".join(
        result.output.split()
    )
    document = json.loads(prove(FIRST, "--json", "--out", str(tmp_path)).output)
    assert document["cached"] == 1 and document["theorems"][0]["cached"] is True
    assert json.loads(prove(FIRST, "--json", "--fresh", "--out", str(tmp_path)).output)["cached"] == 0


@pytest.mark.slow
def test_the_result_of_all_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = proofs.run.prove(FIRST)
    monkeypatch.setattr(conformance.cli, "prove_all", lambda selection, quiet, fresh: part)
    assert prove("--out", str(tmp_path)).exit_code == 0
    assert [one["id"] for one in json.loads((tmp_path / "prove.json").read_text())["theorems"]] == [FIRST]


@pytest.mark.slow
def test_progress_counts_contracts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is reported was expected: the bar ends full."""
    totals: list[float | None] = []
    add_task = conformance.proving.Progress.add_task

    def remember(self: Any, description: str, **more: Any) -> Any:
        totals.append(more.get("total"))
        return add_task(self, description, **more)

    monkeypatch.setattr(conformance.proving.Progress, "add_task", remember)
    name = proofs.run.contract_modules()[0].removeprefix("proofs.contracts.")
    report = conformance.proving.prove_all(Selection(name), quiet=True, fresh=True)
    assert report.contracts and totals == [len(report.verdicts) + len(report.contracts)]
