"""Random sequences of requests: the C library and the spec say the same after each."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.targets.c.binding import Library
from spec.memslots.slot import EMPTY_VM
from spec.outcome import Rejected
from spec.step import all_rules, step

from .differential import difference
from .requests import random_case

pytestmark = pytest.mark.slow  # minutes in all: not for the inner loop

# Rules that the library cannot meet: it has neither the second form of the call nor guest memory files.
NOT_OF_THE_LIBRARY = {"KVM.SLOT.FIRST_FORM_FLAGS", "KVM.MEMFD.FLAGS", "KVM.MEMFD.SIZE", "KVM.ACCESS.MAPPED"}


@pytest.fixture(scope="module")
def library() -> Library:
    return Library()


def test_many_sequences(library: Library) -> None:
    """Fast, from a fixed seed."""
    random = Random(20210501)
    for number in range(4000):
        profile, requests = random_case(random)
        assert difference(library, profile, requests) is None, f"sequence {number}"


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=False))
def test_sequences_that_shrink(library: Library, random: Random) -> None:
    assert difference(library, *random_case(random)) is None


def test_the_sequences_meet_every_rule() -> None:
    """A generator that never gets anywhere would find nothing."""
    random = Random(1)
    met: Counter[str] = Counter()
    for _ in range(4000):
        profile, requests = random_case(random)
        vm = EMPTY_VM
        for request in requests:
            vm, outcome = step(profile, vm, request)
            met[outcome.rule.id if isinstance(outcome, Rejected) else type(outcome).__name__] += 1
    rules = [rule for rule in all_rules() if rule.id.startswith("KVM.") and not rule.no_vector]
    possible = {rule.id for rule in rules if ".MEMFD_" not in rule.id}
    assert possible - NOT_OF_THE_LIBRARY - set(met) == set()
    assert met["Done"] > met.total() / 8
