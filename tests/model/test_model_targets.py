"""The models as targets."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.generate.vhost.random_requests import sequence
from conformance.target import Answer, Errored, Results, Skipped, Target, TargetFailed, Trial
from conformance.targets.model import array_target, tree_target
from conformance.targets.model.vhost import ARRAY_OPERATIONS, is_beyond_the_array
from spec.memslots.lookup import Lookup
from spec.memslots.set_region import GFN_LIMIT, NUMBER, SetRegion
from spec.outcome import Done, Located, Rejected, Segment, Translated
from spec.profile import PROFILES, Profile
from spec.step import step
from spec.units import PAGE_SIZE
from spec.vhost.device import ACCESS_PLATFORM, NEW_DEVICE
from spec.vhost.features import SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import ReadMessage
from spec.vhost.owner import FREE, SetOwner
from spec.vhost.translate import Translate

ASK = (SetRegion(slot=600, gpa=0, size=PAGE_SIZE, hva=PAGE_SIZE), Lookup(gpa=5))


def test_each_has_the_profile_of_its_kernels_unless_it_is_given_another() -> None:
    tree: Target = tree_target()
    assert tree.start().profile == Profile()
    assert list(tree.run([Trial("a", ASK)])) == [Results("a", (Done(), Located(PAGE_SIZE + 5, PAGE_SIZE - 1)))]
    tree.stop()
    tree.stop()

    array: Target = array_target()
    assert array.start().profile == PROFILES["array"]
    (answer,) = array.run([Trial("a", ASK)])
    assert isinstance(answer, Results) and answer.steps[0] == Rejected(NUMBER)

    strict = array_target(Profile(max_gfn=3))
    strict.start()
    beyond = SetRegion(gpa=4 * PAGE_SIZE, size=PAGE_SIZE)
    assert list(strict.run([Trial("b", (beyond,))])) == [Results("b", (Rejected(GFN_LIMIT),))]


def test_every_trial_has_a_fresh_vm_and_an_error_stays_with_its_trial() -> None:
    target = tree_target()
    target.start()
    same = SetRegion(gpa=0, size=PAGE_SIZE)
    first, broken, last = target.run([Trial("1", (same,)), Trial("2", ("nonsense",)), Trial("3", (Lookup(),))])
    assert first == Results("1", (Done(),))
    assert isinstance(broken, Errored) and "is not the request of any operation" in broken.trace
    assert isinstance(last, Results) and isinstance(last.steps[0], Rejected)


def test_it_must_be_started() -> None:
    with pytest.raises(TargetFailed, match="before it was started"):
        list(tree_target().run([]))


# VHOST -----------------------------------------------------------------------------------------------------------


def answer_of(target: Target, *requests: Any) -> Answer:
    target.start()
    (answer,) = target.run([Trial("v", requests)])
    return answer


def test_both_answer_trials_about_a_device() -> None:
    asked = (SetOwner(), SetMemTable(regions=(Region(0x1000, 0x1000, 0x5000),)), Translate(addr=0x1800, length=4))
    right = Results("v", (Done(), Done(), Translated((Segment(0x1800, 0x1803, 0x5800),))))
    assert answer_of(tree_target(), *asked) == right
    assert answer_of(array_target(), *asked) == right
    assert answer_of(tree_target(Profile(max_regions=0)), *asked) != right


def test_the_array_says_what_it_cannot_be_asked() -> None:
    overlapping = (SetOwner(), SetMemTable(regions=(Region(0, 0x2000, 0), Region(0x1000, 0x2000, 0))), Translate())
    for asked, reason in (
        ((SetOwner(), ReadMessage()), "have no read_message"),
        ((SetFeatures(ACCESS_PLATFORM),), "an IOTLB is asked for"),
        (overlapping, "regions overlap"),
    ):
        answer = answer_of(array_target(), *asked)
        assert isinstance(answer, Skipped) and reason in answer.reason
        assert isinstance(answer_of(tree_target(), *asked), Results)
    assert isinstance(answer_of(array_target(), *overlapping[:1], *overlapping[2:]), Results)


@pytest.mark.slow
def test_both_models_answer_what_is_not_beyond_the_array() -> None:
    """Random requests that both can be asked: the answers of both are those of the spec."""
    names = {operation.name for operation in ARRAY_OPERATIONS}
    for seed in range(150):
        profile = Profile(retirement=("fifo", "lru")[seed % 2], max_regions=(3, 64)[seed % 3 == 0])
        asked = sequence(profile, seed, operations=names, unwanted=is_beyond_the_array, kernel=seed % 4 == 0)
        device, outcomes = NEW_DEVICE, []
        for request in asked:
            device, outcome = step(profile, device, request)
            outcomes.append(outcome)
        right = Results("v", tuple(outcomes))
        assert answer_of(tree_target(profile), *asked) == right
        assert answer_of(array_target(profile), *asked) == right


def test_what_was_published_is_not_what_is_answered_for() -> None:
    """Each trial has a new device."""
    target = tree_target()
    target.start()
    first, second = target.run([Trial("1", (SetOwner(),)), Trial("2", (SetOwner(), SetOwner()))])
    assert first == Results("1", (Done(),))
    assert second == Results("2", (Done(), Rejected(FREE)))


def test_requests_about_two_subjects_are_an_error() -> None:
    assert isinstance(answer_of(tree_target(), SetOwner(), Lookup()), Errored)
