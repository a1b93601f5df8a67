"""Random sequences of requests: the C library and the spec say the same after each."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.targets.c.binding import Library
from spec.profile import Profile

from .differential import difference
from .requests import LIBRARY_PROFILES, sequences


@pytest.fixture(scope="module")
def library() -> Library:
    return Library()


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(profile=st.sampled_from(LIBRARY_PROFILES), requests=sequences())
def test_the_library_says_what_the_spec_says(library: Library, profile: Profile, requests: tuple[Any, ...]) -> None:
    assert difference(library, profile, requests) is None
