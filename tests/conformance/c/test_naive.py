"""The naive model in C says what the spec says: by all vectors, and by random sequences.

The fuzzer compares the library with it (docs/c_fuzzing.md): this is what ties that comparison to the spec.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.files import load_vectors
from conformance.registry import LIBRARY_PROFILES
from conformance.runner import trial_of
from conformance.targets.c.binding import Library
from conformance.targets.c.fuzz_build import NAIVE
from conformance.targets.c.target import CALLS, CInProcess
from conformance.verdict import PASSED, judge, why_not

from .device_differential import device_difference
from .device_requests import random_device_case
from .differential import difference
from .requests import random_case


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(NAIVE)


@pytest.mark.slow
def test_all_vectors(library: Library) -> None:
    """Each that the library can be asked, under the first of its profiles that the vector is for."""
    targets = [CInProcess(profile, NAIVE) for profile in LIBRARY_PROFILES]
    asked = 0
    for vector in load_vectors():
        target = next((one for one in targets if not why_not(vector, one.profile)), None)
        if target is None or not all(type(step.request) in CALLS for step in vector.steps):
            continue
        answer = target.answer(library, trial_of(vector))
        judgement = judge(vector, [step.expected for step in vector.steps], answer)
        assert judgement.verdict == PASSED, f"{vector.id} {vector.title}: {judgement}"
        asked += 1
    assert asked > 1000


@pytest.mark.slow
def test_many_sequences_of_slots(library: Library) -> None:
    random = Random(20210502)
    for number in range(3000):
        profile, requests = random_case(random)
        assert difference(library, profile, requests) is None, f"sequence {number}"


@pytest.mark.slow
def test_many_sequences_of_devices(library: Library) -> None:
    random = Random(20160623)
    for number in range(4000):
        profile, requests = random_device_case(random)
        assert device_difference(library, profile, requests) is None, f"sequence {number}"


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=False))
def test_sequences_that_shrink(library: Library, random: Random) -> None:
    assert difference(library, *random_case(random)) is None
    assert device_difference(library, *random_device_case(random)) is None
