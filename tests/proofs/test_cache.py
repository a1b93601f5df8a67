"""A verdict is taken from an earlier run exactly where the same run would find it again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from proofs.cache import MOST_ENTRIES, Cache
from proofs.catalogue import module_of, theorem_named
from proofs.crosshair import contracts_of
from proofs.prover import PROVED, REFUTED, UNKNOWN, Verdict, judge
from proofs.run import prove
from proofs.sources import Sources
from tests.proofs.copied import Copy

INSIDE, NAMED, FIFO = "LOOKUP.INSIDE", "LOOKUP.NAMED", "LIMIT.FIFO_USE"
A_FEW = (INSIDE, NAMED, FIFO)
UNITS = "proofs.contracts.units"
SOURCES = Sources()  # read once for all tests
RAN = {"spec.memslots.slot": ["Slot.hva_of"]}


@pytest.fixture(scope="module")
def verdict() -> Verdict:
    return judge(theorem_named(INSIDE))


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def cache(tmp_path: Path, complaints: list[str]) -> Cache:
    return Cache(SOURCES, tmp_path, complaints.append)


def files(cache: Cache) -> list[Path]:
    return sorted(cache.where.rglob("*.json"))


# ENTRIES ---------------------------------------------------------------------------------------------------------


def test_what_is_kept_is_found_as_it_was(cache: Cache, verdict: Verdict) -> None:
    assert cache.theorem(INSIDE, module_of(INSIDE)) is None
    assert cache.keep_theorem(verdict, module_of(INSIDE), RAN)
    assert cache.theorem(INSIDE, module_of(INSIDE)) == replace(verdict, kept=True)
    assert cache.theorem(NAMED, module_of(NAMED)) is None


@pytest.mark.parametrize("change", [{"status": UNKNOWN}, {"status": REFUTED}, {"witness": None}, {"bug_case": None}])
def test_only_good_verdicts_are_kept(cache: Cache, verdict: Verdict, change: dict[str, object]) -> None:
    assert not cache.keep_theorem(replace(verdict, **change), module_of(INSIDE), RAN)  # type: ignore[arg-type]
    assert not files(cache)


def test_a_case_that_is_no_plain_value_is_not_kept(cache: Cache, verdict: Verdict) -> None:
    assert not cache.keep_theorem(replace(verdict, witness={"vm": object()}), module_of(INSIDE), RAN)


def test_a_case_with_tables_of_any_keys_is_kept(cache: Cache, verdict: Verdict) -> None:
    asked = replace(
        verdict, witness={"pages": {(0, 1): frozenset({7}), (1, 1): frozenset()}, "names": {"a": {3: None}}}
    )
    assert cache.keep_theorem(asked, module_of(INSIDE), RAN)
    found = cache.theorem(INSIDE, module_of(INSIDE))
    assert found is not None and found.witness == asked.witness


def test_a_function_that_nobody_has_is_no_key(cache: Cache, verdict: Verdict) -> None:
    assert not cache.keep_theorem(verdict, module_of(INSIDE), {"spec.memslots.slot": ["Slot.nothing"]})


@pytest.mark.slow
def test_a_verdict_that_could_depend_on_the_catalogue_is_not_kept(cache: Cache, verdict: Verdict) -> None:
    assert not cache.keep_theorem(verdict, module_of(INSIDE), {"proofs.catalogue": ["theorem_named"]})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[:-20],
        lambda text: "[1, 2]",
        lambda text: "\x00\xff" + text,
        lambda text: json.dumps(json.loads(text)["entry"]),
        lambda text: text.replace('"seconds"', '"minutes"'),
        lambda text: text.replace('"proved"', '"proven"'),
    ],
)
def test_a_file_that_is_not_as_it_was_written_is_not_used(
    cache: Cache, verdict: Verdict, complaints: list[str], spoil: object
) -> None:
    cache.keep_theorem(verdict, module_of(INSIDE), RAN)
    (file,) = files(cache)
    file.write_text(spoil(file.read_text()))  # type: ignore[operator]
    assert cache.theorem(INSIDE, module_of(INSIDE)) is None
    assert len(complaints) == 1 and str(file) in complaints[0] and "is not used" in complaints[0]


def test_another_theorems_file_is_not_used(cache: Cache, verdict: Verdict) -> None:
    cache.keep_theorem(verdict, module_of(INSIDE), RAN)
    (file,) = files(cache)
    (cache.where / NAMED).mkdir()
    file.rename(cache.where / NAMED / file.name)
    assert cache.theorem(NAMED, module_of(NAMED)) is None


def test_another_solver_is_another_key(cache: Cache, verdict: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.keep_theorem(verdict, module_of(INSIDE), RAN)
    monkeypatch.setattr("z3.get_full_version", lambda: "Z3 4.13.0.0")
    assert Cache(SOURCES, cache.where).theorem(INSIDE, module_of(INSIDE)) is None


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path: Path, verdict: Verdict, complaints: list[str]) -> None:
    (tmp_path / "file").write_text("")
    cache = Cache(SOURCES, tmp_path / "file" / "cache", complaints.append)
    assert cache.theorem(INSIDE, module_of(INSIDE)) is None
    assert not cache.keep_theorem(verdict, module_of(INSIDE), RAN)
    assert len(complaints) == 1 and "nothing is kept" in complaints[0]


def test_old_entries_go(cache: Cache, verdict: Verdict) -> None:
    functions = sorted(cache.sources.module("spec.memslots.slot").functions)  # type: ignore[union-attr]
    for count in range(1, len(functions) + 1):
        cache.keep_theorem(verdict, module_of(INSIDE), {"spec.memslots.slot": functions[:count]})
    assert len(functions) > MOST_ENTRIES and len(files(cache)) == MOST_ENTRIES


@pytest.mark.slow
def test_fresh_takes_nothing_and_keeps_what_is_found(cache: Cache) -> None:
    assert prove(INSIDE, cache=cache).kept() == 0
    assert prove(INSIDE, cache=cache).kept() == 1
    assert prove(INSIDE, cache=cache, fresh=True).kept() == 0
    assert prove(INSIDE, cache=cache).passed()


# A TREE THAT IS CHANGED ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy of the rooms of which a few verdicts are kept."""
    made = Copy(tmp_path_factory.mktemp("copy"))
    first = made.judge([*A_FEW, UNITS])
    assert not first.kept and not first.complaints
    assert made.judge(A_FEW).kept == set(A_FEW)
    return made


HVA_OF = "return self.hva + (gpa - self.first_gpa())"
LOOKUP, SLOT = "spec/memslots/lookup.py", "spec/memslots/slot.py"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "old", "new", "judged_again", "refuted"),
    [
        pytest.param(LOOKUP, "The slot of an address space that", "A slot that", set(), set(), id="a docstring"),
        pytest.param(LOOKUP, "# EFFECT --", "# WHAT HAPPENS --", set(), set(), id="a comment"),
        pytest.param(LOOKUP, "request.first - slot.hva, 0", "request.first, 0", set(), set(), id="what nobody runs"),
        pytest.param(SLOT, HVA_OF, "return (gpa - self.first_gpa()) + self.hva", {INSIDE}, set(), id="what one runs"),
        pytest.param(SLOT, HVA_OF, f"{HVA_OF} + 4096", {INSIDE}, {INSIDE}, id="what makes one false"),
        pytest.param(LOOKUP, "return vm, Slots((view(slot),))", "return vm, Slots(())", {NAMED}, {NAMED}, id="another"),
        pytest.param(
            "spec/units.py", "U16_MAX = 2**16 - 1", "U16_MAX = 2**16 - 2 + 1", {*A_FEW}, set(), id="a constant"
        ),
        pytest.param("proofs/symbolic/boolean.py", "# ", "#  ", {*A_FEW}, set(), id="a word of the engine"),
    ],
)
def test_what_is_judged_again(
    copy: Copy, file: str, old: str, new: str, judged_again: set[str], refuted: set[str]
) -> None:
    with copy.changed(file, old, new):
        outcome = copy.judge(A_FEW)
    assert set(A_FEW) - outcome.kept == judged_again
    assert {name for name, status in outcome.status.items() if status == REFUTED} == refuted
    assert {name for name, status in outcome.status.items() if status == PROVED} == set(A_FEW) - refuted


@pytest.mark.slow
def test_what_is_put_back_is_known(copy: Copy) -> None:
    with copy.changed(SLOT, HVA_OF, f"{HVA_OF} + 0"):
        assert copy.judge([INSIDE]).kept == set()
    assert copy.judge(A_FEW).kept == set(A_FEW)


@pytest.mark.slow
def test_contracts_depend_on_every_word_of_what_they_import(copy: Copy) -> None:
    names = {f"{UNITS}.{name}" for name in contracts_of(UNITS)}
    assert copy.judge([UNITS]).kept == names
    with copy.changed(LOOKUP, "# EFFECT --", "# WHAT HAPPENS --"):
        assert copy.judge([UNITS]).kept == names
    with copy.changed("spec/units.py", "# bytes", "# B"):
        assert copy.judge([UNITS]).kept == set()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_what_is_kept_is_what_would_be_found(copy: Copy, seed: int) -> None:
    """Whatever is changed: what the cache takes from before is proved when it is judged afresh."""
    random = Random(seed)
    with copy.mutated(random) as what:
        kept = copy.judge(A_FEW).kept
        afresh = copy.judge(sorted(kept), fresh=True).status if kept else {}
    assert all(status == PROVED for status in afresh.values()), what
