"""The forwarding experiment: both implementations count the same, and the numbers are what they must be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.l2fwd import GIB, KIB, MIB, Counts, CTable, Forwarder, ModelTable, Results, Setting, violations
from conformance.target import TargetUnavailable
from conformance.targets.c.binding import Library

CELLS = [
    Setting(mapping, page, limit, retirement, working_set)
    for mapping in ("fixed", "dynamic")
    for page in (4 * KIB, 2 * MIB, GIB)
    for limit, working_set in ((64, 128 * KIB), (64, 2 * MIB), (128, 8 * GIB))
    for retirement in ("fifo", "lru")
]


@pytest.fixture(scope="module")
def results() -> Results:
    try:
        library = Library()
    except TargetUnavailable as error:
        pytest.skip(f"the C library cannot be compiled here: {error}")
    found: Results = {}
    for cell in CELLS:
        found[cell] = Forwarder(cell, ModelTable(cell.limit, cell.retirement), 7).run(100)
        assert found[cell] == Forwarder(cell, CTable(library, cell.limit, cell.retirement), 7).run(100)
    return found


def test_nothing_is_wrong_but_that_few_cells_were_measured(results: Results) -> None:
    wrong = violations(results)
    assert all(sentence.startswith("no working set is far above") for sentence in wrong)
    assert len(wrong) < 6


def test_the_two_ways_to_retire_differ(results: Results) -> None:
    far = Setting("fixed", 4 * KIB, 64, "fifo", 2 * MIB)
    assert results[far].hits < results[replace(far, retirement="lru")].hits


def test_what_must_not_be_is_said(results: Results) -> None:
    huge = Setting("fixed", GIB, 64, "fifo", 128 * KIB)
    far = Setting("fixed", 4 * KIB, 64, "lru", 2 * MIB)
    anew = Setting("dynamic", 2 * MIB, 128, "lru", 8 * GIB)
    for cell, counts, sentence in (
        (huge, Counts(400, 399, 199, 1, 0), "a miss after the warm-up"),
        (far, Counts(400, 380, 180, 20, 20), "no cliff"),
        (anew, Counts(400, 201, 1, 199, 199), "mapped anew"),
        (huge, Counts(400, 400, 200, 0, 1), "cannot be"),
    ):
        assert any(sentence in one for one in violations({**results, cell: counts}))
