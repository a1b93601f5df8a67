"""Edits that a person could make are refuted by the theorem that one would expect."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from conformance.targets.c.verify.catalogue import HARNESSES
from proofs.catalogue import THEOREMS
from proofs.crosshair import contract_modules, contracts_of
from tests.breakages.breakage import ROOT, DoesNotApply, edited, tree_with
from tests.breakages.catalogue import BREAKAGES
from tests.breakages.judging import HARNESS, NoAnswer, ask, find, require_own_sources
from tests.breakages.page import TARGET, described

A_FEW = ("moves-downwards", "one-byte-behind-the-wrap", "between-keeps-its-parent", "number-of-16-bits")
KNOWN = (
    {theorem.id for theorem in THEOREMS}
    | {f"{module}.{name}" for module in contract_modules() for name in contracts_of(module)}
    | {f"{HARNESS}{harness.name}" for harness in HARNESSES}
)
BY_NAME = {breakage.name: breakage for breakage in BREAKAGES}


def test_each_has_a_name_of_its_own_and_expects_what_there_is() -> None:
    assert len(BY_NAME) == len(BREAKAGES)
    for breakage in BREAKAGES:
        assert breakage.expected and set(breakage.expected) <= KNOWN
        assert breakage.sentence.endswith(".")


def test_there_are_enough_of_each_kind() -> None:
    refuted = [breakage for breakage in BREAKAGES if not breakage.hole]
    for room, least in (("spec/", 9), ("model/", 9), ("conformance/targets/c/", 5)):
        assert sum(breakage.file.startswith(room) for breakage in refuted) >= least
    assert len(refuted) >= 24


def test_each_edit_applies_and_is_no_syntax_error() -> None:
    for breakage in BREAKAGES:
        before = (ROOT / breakage.file).read_text()
        after = edited(breakage, before)
        assert after != before
        if breakage.file.endswith(".py"):
            compile(after, breakage.file, "exec")


def test_an_edit_is_made_in_a_copy() -> None:
    breakage = BREAKAGES[0]
    with tree_with(breakage) as tree:
        assert breakage.new in (tree / breakage.file).read_text()
        assert breakage.old in (ROOT / breakage.file).read_text()


def test_an_edit_that_does_not_apply_is_an_error() -> None:
    breakage = BREAKAGES[0]
    for old in ("no line is like this", "return"):
        with pytest.raises(DoesNotApply), tree_with(replace(breakage, old=old)):
            pass


@pytest.mark.slow
@pytest.mark.parametrize("name", A_FEW)
def test_an_edit_is_refuted_by_the_theorem_that_one_would_expect(name: str) -> None:
    noticed = find(BY_NAME[name]).noticed()
    assert noticed is not None and noticed.id == BY_NAME[name].expected[0]
    assert noticed.case


@pytest.mark.slow
def test_what_is_no_edit_is_not_refuted() -> None:
    """An edit that changes nothing, and a theorem that has nothing to do with an edit."""
    harmless = replace(BY_NAME["moves-downwards"], new=BY_NAME["moves-downwards"].old)
    finding = find(harmless)
    assert finding.noticed() is None and [answer.status for answer in finding.answers] == ["proved"]
    with tree_with(BY_NAME["moves-downwards"]) as tree:
        assert ask(tree, "LOOKUP.NAMED").status == "proved"


def test_another_trees_sources_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoAnswer, match="is not of the tree"):
        require_own_sources(tmp_path)


def test_the_page_is_about_these_edits() -> None:
    text = TARGET.read_text()
    missing = [breakage.name for breakage in BREAKAGES if described(breakage) not in text]
    assert not missing, "run `make breakages`"
