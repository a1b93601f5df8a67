"""What a list of deviations may say: a known situation explains its own step and its results, and nothing else."""

from __future__ import annotations

from typing import Any

from conformance.backings import place
from conformance.codec import outcome_json
from conformance.generate.build import Draft, vector_under
from conformance.targets.linux_source import listing
from conformance.targets.linux_source.explained import explanation
from conformance.vector import Vector
from spec.outcome import EntryView, MapsView
from spec.profile import Profile
from spec.vhost.device import ACCESS_PLATFORM, VERSION_1
from spec.vhost.features import SetFeatures
from spec.vhost.messages import INVALIDATE, WriteMessage
from spec.vhost.observe import ObserveMaps
from spec.vhost.owner import SetOwner

A = place("A", 0)
ONE, OTHER = EntryView(0, 4095, A, 3), EntryView(8192, 12287, A + 4096, 1)
WRAPS = "an-invalidation-that-wraps-takes-nothing"
EMPTY = "an-empty-invalidation-takes-entries"


def vector(*requests: Any) -> Vector:
    """Two entries, then these requests, then a look at the maps."""
    entries = [WriteMessage(iova=one.first, size=4096, uaddr=one.host, perm=one.perm) for one in (ONE, OTHER)]
    start = (SetOwner(), SetFeatures(VERSION_1 + ACCESS_PLATFORM), *entries)
    draft = Draft(
        title="a vector",
        family="IOTLB.INVALIDATE",
        requests=(*start, *requests, ObserveMaps()),
        because="a test",
        generator="boundary",
    )
    return vector_under(Profile(), draft)


def why(one: Vector, *entries: EntryView, step: int | None = None) -> str:
    """What explains that these entries are seen at the last step, or at another."""
    seen = outcome_json(MapsView(None, entries))
    return explanation("linux-source-6.1", one, {len(one.steps) - 1 if step is None else step: seen})


def test_what_differs_later_must_be_the_result_of_the_situation() -> None:
    wraps = vector(WriteMessage(kind=INVALIDATE, iova=2**64 - 1, size=2))
    assert wraps.steps[-1].expected == MapsView(None, (OTHER,))
    assert why(wraps, ONE, OTHER) == WRAPS
    assert why(wraps, ONE) == why(wraps) == ""


def test_an_empty_invalidation_takes_what_has_its_address_and_the_byte_before() -> None:
    assert why(vector(WriteMessage(kind=INVALIDATE, iova=9000, size=0)), ONE) == EMPTY
    assert why(vector(WriteMessage(kind=INVALIDATE, iova=0, size=0))) == EMPTY
    at_its_start = vector(WriteMessage(kind=INVALIDATE, iova=8192, size=0))
    assert why(at_its_start, ONE) == "", "the byte before is not in it"


def test_the_step_that_shows_the_situation_is_explained_by_it() -> None:
    wraps = vector(WriteMessage(kind=INVALIDATE, iova=2**64 - 1, size=2))
    assert why(wraps, step=4) == WRAPS
    assert why(wraps, step=3) == why(wraps, step=0) == "", "before it nothing is"
    assert why(vector(), ONE) == ""


def test_a_vector_that_was_not_listed_is_named(monkeypatch: Any) -> None:
    monkeypatch.setattr(listing, "listed_now", lambda: {("linux-source-6.1", "old")})
    entry = {"id": WRAPS, "targets": ["linux-source-6.1"], "cases": [{"vectors": ["old", "new"]}]}
    assert listing.new_ones([entry]) == [f"linux-source-6.1: new as {WRAPS}"]
