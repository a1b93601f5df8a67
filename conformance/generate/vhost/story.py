"""A story: requests, one thing at a time, and what the device looks like after them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conformance.generate.build import Draft, state_after
from conformance.generate.vhost import readback
from spec.profile import Profile
from spec.vhost.translate import Translate


def story(
    p: Profile, family: str, title: str, requests: Sequence[Any], because: str, generator: str = "lifetime"
) -> Draft:
    """A story for devices, or for libraries where somebody translates in it; the state is read back accordingly."""
    translates = any(isinstance(request, Translate) for request in requests)
    look = readback.translated if translates else readback.observed
    device = state_after(p, requests)
    return Draft(title, family, (*requests, *look(p, device, None)), because, generator)
