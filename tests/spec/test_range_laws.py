"""Laws about ranges, with random values and with symbolic ones; and a bug that only the symbolic ones find."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spec.vhost.access
from spec.profile import Profile
from spec.units import U64_MAX
from spec.vhost.device import GUEST_BYTES_PER_LOG_BYTE
from tests.spec.laws import tried
from tests.spec.range_laws import (
    a_range_in_two_regions_that_meet_is_found,
    a_ring_that_moves_stays_in_the_log,
    a_slot_that_is_made_ends_below_both_limits,
)

ADDRESS = st.integers(0, U64_MAX)
SIZE = st.integers(1, 2**40)
REST = st.integers(0, 2**40)
RING = st.sampled_from([2**exponent for exponent in range(16)])
LOG = {"base": ADDRESS, "log": st.integers(0, U64_MAX // 4), "size": RING}


@tried(300)
@given(gpa=ADDRESS, size=ADDRESS, hva=ADDRESS)
def test_slots(gpa: int, size: int, hva: int) -> None:
    a_slot_that_is_made_ends_below_both_limits(gpa, size, hva)


@tried(300)
@given(**LOG)
def test_logs_of_rings(base: int, log: int, size: int) -> None:
    a_ring_that_moves_stays_in_the_log(base, log, size)


@pytest.mark.slow
@tried(100)
@given(border=ADDRESS, before=SIZE, after=SIZE, skip=REST, left=REST)
def test_two_regions_that_meet(border: int, before: int, after: int, skip: int, left: int) -> None:
    a_range_in_two_regions_that_meet_is_found(border, before, after, skip, left)


def counted_from_the_size(profile: Profile, log_base: int | None, address: int, size: int) -> bool:
    """As kernels count: the bytes of the log for so many guest bytes, wherever these begin within a byte of it."""
    length = (size + GUEST_BYTES_PER_LOG_BYTE - 1) // GUEST_BYTES_PER_LOG_BYTE
    return (log_base or 0) + address // GUEST_BYTES_PER_LOG_BYTE + length <= profile.user_limit


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "times", "finds"), [("hypothesis", 3000, False), ("crosshair", 100, True)])
def test_a_log_that_is_a_byte_too_short_is_found_with_symbolic_values(
    backend: str, times: int, finds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows only where the log ends exactly at the limit and the ring lies across a border of 32 KiB."""
    monkeypatch.setattr(spec.vhost.access, "is_log_range", counted_from_the_size)

    @settings(tried(times, backend), derandomize=True)
    @given(**LOG)
    def law(**values: Any) -> None:
        a_ring_that_moves_stays_in_the_log(**values)

    if finds:
        with pytest.raises(AssertionError):
            law()
    else:
        law()
