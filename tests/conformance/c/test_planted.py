"""Each planted bug is found: by the committed vectors, and by random sequences beside the spec.

Of a bug it is enough that one vector finds it. Those that found other bugs are asked first.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest
from _pytest.mark.structures import ParameterSet

from conformance.files import load_vectors
from conformance.registry import LIBRARY_PROFILES
from conformance.runner import trial_of
from conformance.targets.c import build
from conformance.targets.c.binding import Library
from conformance.targets.c.target import CALLS, CInProcess
from conformance.vector import Vector
from conformance.verdict import UNEXPLAINED, judge, why_not
from spec.operation import Subject
from spec.step import MEMSLOTS, SUBJECTS, VHOST, subject_of

from .device_differential import device_difference
from .device_requests import random_device_case
from .differential import difference
from .planted import BUGS, Bug, EditDoesNotApply, bug, plant, planted_base
from .planted_device import DEVICE_BUGS, MANY_MISSES_BUGS, WAITING_BUGS
from .planted_table import MANY_ENTRIES_BUGS, TABLE_BUGS
from .requests import random_case

pytestmark = pytest.mark.slow  # minutes in all: not for the inner loop

SEQUENCES = 4000

# Bugs for which the vectors have no case yet, and what such a case would be. A name leaves when its vector comes.
NO_VECTOR_YET: dict[str, str] = {}


MANY_BUGS = (*MANY_ENTRIES_BUGS, *MANY_MISSES_BUGS)
ALL_BUGS = (*BUGS, *TABLE_BUGS, *DEVICE_BUGS, *MANY_BUGS)

Asked = tuple[Vector, CInProcess]  # a vector, and the first of the library's targets that it applies to
FOUND: dict[str, None] = {}  # the vectors that found something, by id


def bugs_for_vectors() -> list[ParameterSet]:
    """The planted bugs as test parameters. Those without a vector have to be missed, as long as they are listed."""
    missed = {name: [pytest.mark.xfail(reason=case, strict=True)] for name, case in NO_VECTOR_YET.items()}
    return [pytest.param(one, id=one.name, marks=missed.get(one.name, [])) for one in ALL_BUGS]


@pytest.fixture(scope="module")
def vectors() -> dict[Subject, list[Asked]]:
    """The committed vectors of each subject that the library can be asked, short ones first."""
    targets = [CInProcess(profile) for profile in LIBRARY_PROFILES]
    found: dict[Subject, list[Asked]] = {subject: [] for subject in SUBJECTS}
    for vector in sorted(load_vectors(), key=lambda vector: len(vector.steps)):
        requests = [one.request for one in vector.steps]
        target = next((one for one in targets if not why_not(vector, one.profile)), None)
        if target is not None and all(type(request) in CALLS for request in requests):
            found[subject_of(requests)].append((vector, target))
    return found


def first_that_finds(library: Library, asked: Iterable[Asked]) -> Vector | None:
    """The first of these vectors at which this library does otherwise."""
    for vector, target in asked:
        expected = [one.expected for one in vector.steps]
        if judge(vector, expected, target.answer(library, trial_of(vector))).verdict == UNEXPLAINED:
            return vector
    return None


def test_there_are_many_bugs_of_different_kinds() -> None:
    names = [one.name for one in (*ALL_BUGS, *WAITING_BUGS)]
    assert len(set(names)) == len(names)
    for bugs, least in ((BUGS, 20), ((*TABLE_BUGS, *DEVICE_BUGS, *MANY_BUGS), 25)):
        found = [one for one in bugs if one.name not in NO_VECTOR_YET]
        assert len({one.kind for one in found}) >= least
    assert set(NO_VECTOR_YET) < {one.name for one in ALL_BUGS}


def test_an_edit_that_does_not_apply_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "index.c").write_text("twice twice\n")
    for text in ("twice", "never"):
        with pytest.raises(EditDoesNotApply):
            plant(bug("x", "x", "x", ("index.c", text, "once")), tmp_path)


@pytest.mark.parametrize("one", bugs_for_vectors())
def test_the_committed_vectors_find_it(one: Bug, vectors: dict[Subject, list[Asked]]) -> None:
    with planted_base(one) as base:
        library = Library(base)
    asked = vectors[MEMSLOTS if one in BUGS else VHOST]
    found = first_that_finds(library, sorted(asked, key=lambda pair: pair[0].id not in FOUND))
    assert found is not None, one.sentence
    FOUND[found.id] = None


def test_the_committed_vectors_find_nothing_in_the_library_as_it_is(vectors: dict[Subject, list[Asked]]) -> None:
    library = Library(build.HERE)
    for asked in vectors.values():
        assert len(asked) > 500 and first_that_finds(library, asked) is None


@pytest.mark.parametrize("one", BUGS, ids=lambda one: one.name)
def test_random_sequences_find_it(one: Bug) -> None:
    with planted_base(one) as base:
        library = Library(base)
    random = Random(one.name)
    assert any(difference(library, *random_case(random)) for _ in range(SEQUENCES)), one.sentence


@pytest.mark.parametrize("one", (*TABLE_BUGS, *DEVICE_BUGS, *WAITING_BUGS), ids=lambda one: one.name)
def test_random_sequences_for_a_device_find_it(one: Bug) -> None:
    with planted_base(one) as base:
        library = Library(base)
    random = Random(one.name)
    assert any(device_difference(library, *random_device_case(random)) for _ in range(SEQUENCES)), one.sentence
