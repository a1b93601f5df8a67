"""Requests, outcomes and answers as JSON and back; and what the codec says of JSON that is none of these."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance import backings
from conformance.codec import (
    answer_from,
    answer_json,
    expected_from,
    outcome_json,
    profile_from,
    profile_json,
    request_from,
    request_json,
    result_from,
    trial_from,
    trial_json,
)
from conformance.fields import BACKENDS, FIELDS, FILE_WORDS, OPERATIONS_BY_NAME, FormatError
from conformance.files import load_vectors
from conformance.target import (
    Crashed,
    Errored,
    ErrorSeen,
    MissSeen,
    NothingSeen,
    ReceivedAt,
    Refused,
    Results,
    SentBytes,
    Skipped,
    Trial,
    Unobservable,
)
from spec.outcome import (
    Blocked,
    Broken,
    Discarded,
    Done,
    EntryView,
    Faulted,
    MapsView,
    MessageTaken,
    Missed,
    MissRead,
    Mmio,
    NothingRead,
    Ran,
    Received,
    Segment,
    Sent,
    Translated,
)
from spec.pages import pages_in
from spec.profile import PROFILES
from spec.vhost.device import Descriptor
from spec.vhost.mem_table import Region
from spec.vhost.run import SENDS
from spec.vhost.translate import IN_IOTLB, LAST_ADDRESS, MAPPED

U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
PAGES = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 9)), max_size=4).map(
    lambda runs: pages_in(tuple((first, first + more) for first, more in runs))
)
HOSTS = st.one_of(
    U64, st.builds(backings.place, st.sampled_from(list(backings.BASES)), st.integers(0, backings.BACKING_SIZE - 1))
)
DESCRIPTORS = st.builds(Descriptor, U64, U32, st.booleans())
TABLES = st.builds(Descriptor, U64, U32, st.booleans(), st.lists(DESCRIPTORS, max_size=3).map(tuple), HOSTS)
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "u32": U32,
    "u64": U64,
    "host": HOSTS,
    "version": st.sampled_from((1, 2)),
    "count": U32,
    "memfd": st.one_of(st.sampled_from(list(FILE_WORDS)), U32),
    "length": st.integers(1, 4096),
    "pages": PAGES,
    "byte": st.integers(0, 255),
    "access": st.sampled_from((1, 2)),
    "backend": st.sampled_from(BACKENDS),
    "regions": st.lists(st.builds(Region, U64, U64, HOSTS), max_size=4).map(tuple),
    "chain": st.lists(st.one_of(DESCRIPTORS, TABLES), max_size=4).map(tuple),
}


@st.composite
def requests(draw: st.DrawFn) -> Any:
    name = draw(st.sampled_from(list(FIELDS)))
    values = {field.name: draw(KINDS[field.kind]) for field in FIELDS[name]}
    return OPERATIONS_BY_NAME[name].request(**values)


@given(requests(), st.booleans())
def test_a_request_comes_back_as_it_went(request: Any, complete: bool) -> None:
    assert request_from(request_json(request, complete)) == request


@given(st.lists(requests(), max_size=4))
def test_a_trial_has_every_field(steps: list[Any]) -> None:
    trial = Trial("x", tuple(steps))
    document = trial_json(trial)
    assert trial_from(document) == trial
    for step in document["steps"]:
        assert set(step) == {"op", *(field.name for field in FIELDS[step["op"]])}


@pytest.mark.slow
def test_every_expected_outcome_comes_back_as_it_went() -> None:
    outcomes = {step.expected for vector in load_vectors() for step in vector.steps}
    assert len(outcomes) > 1000
    for outcome in outcomes:
        assert expected_from(outcome_json(outcome)) == outcome


SEGMENTS = st.lists(st.builds(Segment, U64, U64, HOSTS), max_size=3).map(tuple)
RULES_OF_RUNS = st.sampled_from((MAPPED, IN_IOTLB, SENDS))
EVENTS = st.one_of(
    st.builds(Sent, SEGMENTS),
    st.builds(Received, SEGMENTS),
    st.builds(Missed, U64, st.sampled_from((1, 2))),
    st.builds(Blocked),
    st.builds(Discarded),
    st.builds(Broken, RULES_OF_RUNS, st.one_of(st.none(), st.integers(0, 2**64))),
)
SEEN = st.one_of(
    st.builds(SentBytes, U32, U64),
    st.builds(ReceivedAt, st.lists(st.tuples(HOSTS, U32), max_size=3).map(tuple)),
    st.builds(MissSeen),
    st.builds(ErrorSeen, st.sampled_from((None, "EFAULT"))),
    st.builds(NothingSeen),
    st.builds(Broken, st.builds(Refused, st.just("EPERM")), st.one_of(st.none(), U64)),
)
RUNS = st.builds(Ran, st.lists(EVENTS, max_size=4).map(tuple), PAGES)
SEEN_RUNS = st.builds(Ran, st.lists(st.one_of(EVENTS, SEEN), max_size=4).map(tuple), PAGES)
MAPS = st.one_of(st.none(), st.lists(st.builds(EntryView, U64, U64, HOSTS, st.integers(0, 3)), max_size=3).map(tuple))
ANSWERS = st.one_of(
    RUNS,
    st.builds(MessageTaken, U32, RUNS),
    st.builds(Translated, SEGMENTS),
    st.builds(Faulted, RULES_OF_RUNS, st.integers(0, 2**64)),
    st.builds(MissRead, st.sampled_from((1, 2)), U64, st.sampled_from((1, 2))),
    st.builds(NothingRead),
    st.builds(MapsView, MAPS, MAPS),
)


@given(ANSWERS)
def test_what_a_device_answers_comes_back_as_it_went(outcome: Any) -> None:
    assert expected_from(outcome_json(outcome)) == outcome


@given(st.one_of(SEEN_RUNS, st.builds(MessageTaken, U32, SEEN_RUNS)))
def test_what_is_seen_of_a_device_comes_back_as_it_went(result: Any) -> None:
    assert result_from(outcome_json(result)) == result


@pytest.mark.parametrize("seen", [SentBytes(26, 1), MissSeen(), ErrorSeen(None), NothingSeen(), ReceivedAt(())])
def test_an_expectation_is_no_guess_of_what_is_seen(seen: Any) -> None:
    with pytest.raises(FormatError):
        expected_from(outcome_json(Ran((seen,), pages_in(()))))


def test_the_byte_behind_the_last_has_a_name() -> None:
    assert outcome_json(Faulted(LAST_ADDRESS, 2**64))["faulted"] == "0x10000000000000000"


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_a_profile_comes_back_as_it_went(profile: Any) -> None:
    assert profile_from(profile_json(profile)) == profile


@pytest.mark.parametrize(
    "answer",
    [
        Results("x", (Done(), Refused("EINVAL"), Unobservable("no way"), Mmio(2**63))),
        Skipped("x", "why"),
        Errored("x", "trace"),
        Crashed("x", "words"),
    ],
)
def test_an_answer_comes_back_as_it_went(answer: Any) -> None:
    assert answer_from(answer_json(answer)) == answer


@pytest.mark.parametrize(
    ("document", "where", "what"),
    [
        ([], "$", "expected an object"),
        ({"op": "frobnicate"}, "$.op", "unknown operation 'frobnicate'"),
        ({"gpa": "0x0"}, "$.op", "unknown operation None"),
        ({"op": "lookup", "colour": 1}, "$.colour", "unknown member"),
        ({"op": "lookup", "gpa": 4096}, "$.gpa", "is not a hexadecimal string"),
        ({"op": "lookup", "gpa": "0xzz"}, "$.gpa", "is not a hexadecimal string"),
        ({"op": "lookup", "gpa": "0x10000000000000000"}, "$.gpa", "is larger than"),
        ({"op": "lookup", "write": 1}, "$.write", "neither true nor false"),
        ({"op": "lookup", "space": -1}, "$.space", "is not in 0.."),
        ({"op": "lookup", "space": True}, "$.space", "is not a whole number"),
        ({"op": "set_region", "version": 3}, "$.version", "is not in 1..2"),
        ({"op": "set_region", "memfd": "mine"}, "$.memfd", "'mine' is no file"),
        ({"op": "set_region", "hva": {"backing": "Z", "offset": "0x0"}}, "$.hva.backing", "there is no backing 'Z'"),
        ({"op": "set_region", "hva": {"backing": "A"}}, "$.hva", "'offset' is missing"),
        ({"op": "clear_dirty_log", "cleared": [{"first": 2, "last": 1}]}, "$.cleared[0]", "comes before the first"),
        ({"op": "clear_dirty_log", "cleared": {}}, "$.cleared", "expected a list"),
    ],
)
def test_a_bad_request_is_named_by_its_path(document: Any, where: str, what: str) -> None:
    with pytest.raises(FormatError) as caught:
        request_from(document)
    assert caught.value.where == where
    assert what in caught.value.what


@pytest.mark.parametrize(
    ("document", "where", "what"),
    [
        ({}, "$", "no outcome has the members (none)"),
        ({"done": False}, "$.done", "is true"),
        ({"error": "EINVAL", "rule": "KVM.NO.SUCH"}, "$.rule", "there is no rule"),
        ({"error": "EINVAL", "rule": "KVM.SLOT.OVERLAP"}, "$.error", "gives EEXIST"),
        ({"written": [], "complete": "yes"}, "$.complete", "neither true nor false"),
        ({"slots": [{"space": 0}]}, "$.slots[0]", "'id' is missing"),
        ({"dirty": [{"first": 0}], "bitmap_bytes": 8}, "$.dirty[0]", "'last' is missing"),
    ],
)
def test_a_bad_result_is_named_by_its_path(document: Any, where: str, what: str) -> None:
    with pytest.raises(FormatError) as caught:
        result_from(document)
    assert caught.value.where == where
    assert what in caught.value.what


@pytest.mark.parametrize("document", [{"error": "EINVAL"}, {"unobservable": "x"}, {"written": [], "complete": False}])
def test_an_expectation_says_which_rule(document: Any) -> None:
    with pytest.raises(FormatError):
        expected_from(document)
