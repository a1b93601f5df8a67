"""Ranges are kept in blocks that split and join. With small ones they do so in maps as small as those of vectors."""

from __future__ import annotations

from random import Random

import pytest

from conformance.files import load_vectors
from conformance.registry import LIBRARY_PROFILES
from conformance.runner import trial_of
from conformance.targets.c.binding import Library, Map
from conformance.targets.c.device import VhostDevice
from conformance.targets.c.target import CALLS, LIBRARY_PROFILE, CInProcess
from conformance.verdict import UNEXPLAINED, judge, why_not

from .device_differential import device_difference
from .device_requests import random_device_case
from .differential import difference
from .requests import random_case

SMALLEST = (1, 2, 3)
LARGEST = 512
SEQUENCES = 1500


@pytest.fixture(scope="module")
def library() -> Library:
    return Library()


@pytest.mark.slow
@pytest.mark.parametrize("largest_block", [*SMALLEST, LARGEST])
def test_the_committed_vectors(library: Library, largest_block: int) -> None:
    targets = [CInProcess(profile, largest_block=largest_block) for profile in LIBRARY_PROFILES]
    asked = 0
    for vector in load_vectors():
        target = next((one for one in targets if not why_not(vector, one.profile)), None)
        if target is None or not all(type(one.request) in CALLS for one in vector.steps):
            continue
        asked += 1
        answer = target.answer(library, trial_of(vector))
        verdict = judge(vector, [one.expected for one in vector.steps], answer)
        assert verdict.verdict != UNEXPLAINED, (vector.id, verdict)
    assert asked > 1000


@pytest.mark.slow
@pytest.mark.parametrize("largest_block", SMALLEST)
def test_random_sequences(library: Library, largest_block: int) -> None:
    random = Random(largest_block)
    for number in range(SEQUENCES):
        found = difference(library, *random_case(random), largest_block=largest_block)
        assert found is None, f"sequence {number}: {found}"
        found = device_difference(library, *random_device_case(random), largest_block=largest_block)
        assert found is None, f"sequence {number} for a device: {found}"


def test_sizes_that_there_are(library: Library) -> None:
    for size in (0, 1, LARGEST):
        Map(library, LIBRARY_PROFILE, size).close()
        VhostDevice(library, LIBRARY_PROFILE, size).close()
    for size in (LARGEST + 1, 2**32 - 1):
        for subject in (Map, VhostDevice):
            with pytest.raises(ValueError, match="EINVAL"):
                subject(library, LIBRARY_PROFILE, size)
