"""Each planted bug is found: by the committed vectors, and by random sequences beside the spec."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from random import Random

import pytest
from _pytest.mark.structures import ParameterSet

from conformance.files import load_vectors
from conformance.registry import LIBRARY_PROFILES, with_each
from conformance.runner import Plan, run_plan
from conformance.targets.c.binding import Library
from conformance.vector import Vector

from .differential import difference
from .planted import BUGS, Bug, EditDoesNotApply, Planted, bug, plant, planted_base
from .requests import random_case

pytestmark = pytest.mark.slow  # minutes in all: not for the inner loop

SEQUENCES = 4000

# Bugs for which the vectors have no case yet, and what such a case would be. A name leaves when its vector comes.
NO_VECTOR_YET: dict[str, str] = {}


def bugs_for_vectors() -> list[ParameterSet]:
    """The planted bugs as test parameters. Those without a vector have to be missed, as long as they are listed."""
    missed = {name: [pytest.mark.xfail(reason=case, strict=True)] for name, case in NO_VECTOR_YET.items()}
    return [pytest.param(one, id=one.name, marks=missed.get(one.name, [])) for one in BUGS]


@pytest.fixture(scope="module")
def vectors() -> list[Vector]:
    return load_vectors()


def test_there_are_twenty_bugs_of_different_kinds() -> None:
    assert len({one.name for one in BUGS}) == len(BUGS) >= 20
    assert len({one.kind for one in BUGS}) >= 20
    assert set(NO_VECTOR_YET) < {one.name for one in BUGS} and len(BUGS) - len(NO_VECTOR_YET) >= 20


def test_an_edit_that_does_not_apply_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "index.c").write_text("twice twice\n")
    for text in ("twice", "never"):
        with pytest.raises(EditDoesNotApply):
            plant(bug("x", "x", "x", ("index.c", text, "once")), tmp_path)


@pytest.mark.parametrize("one", bugs_for_vectors())
def test_the_committed_vectors_find_it(one: Bug, vectors: list[Vector], tmp_path: Path) -> None:
    plan = Plan("c", with_each(partial(Planted, one), LIBRARY_PROFILES))
    report = run_plan(plan, vectors, out=tmp_path, complete=False)
    assert report.finished, report.failure or report.unavailable
    assert report.exit_code() == 1, one.sentence


@pytest.mark.parametrize("one", BUGS, ids=lambda one: one.name)
def test_random_sequences_find_it(one: Bug) -> None:
    with planted_base(one) as base:
        library = Library(base)
    random = Random(one.name)
    assert any(difference(library, *random_case(random)) for _ in range(SEQUENCES)), one.sentence
