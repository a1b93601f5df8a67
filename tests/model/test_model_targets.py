"""The models as targets."""

from __future__ import annotations

import pytest

from conformance.target import Errored, Results, Target, TargetFailed, Trial
from conformance.targets.model import array_target, tree_target
from spec.memslots.lookup import Lookup
from spec.memslots.set_region import GFN_LIMIT, NUMBER, SetRegion
from spec.outcome import Done, Located, Rejected
from spec.profile import PROFILES, Profile
from spec.units import PAGE_SIZE

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
