"""Laws that hold after any sequence of operations, found by Hypothesis' state machine or not at all."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spec.memslots.access import GuestWrite, VcpuWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import HvaRange, Lookup
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import EMPTY_VM, Vm
from spec.outcome import GuestRanges, Located, Rejected
from spec.pages import pages_in
from spec.profile import PROFILES, Profile
from spec.step import step
from spec.units import PAGE_SIZE, U64
from tests.spec.laws import tried

SLOT = st.sampled_from([0, 1, 2, 508, 509, 32763, 32764, 0x10000, 0x10001, 0x20000])
GPA = st.one_of(
    st.integers(0, 12).map(lambda n: n * PAGE_SIZE),
    st.sampled_from([1, 2**40 - PAGE_SIZE, 2**40, 2**63, U64 - 2 * PAGE_SIZE, U64 - PAGE_SIZE]),
)
SIZE = st.sampled_from([0, 1, PAGE_SIZE, 2 * PAGE_SIZE, 3 * PAGE_SIZE, 70 * PAGE_SIZE, 2**31 * PAGE_SIZE])
HVA = st.one_of(
    st.integers(0, 12).map(lambda n: n * PAGE_SIZE), st.sampled_from([5, 2**47 - 2 * PAGE_SIZE, 2**63, U64 - 4096])
)
PAGE_RANGES = st.lists(st.tuples(st.integers(0, 70), st.integers(0, 3)), max_size=3).map(
    lambda pairs: pages_in(tuple((first, first + more) for first, more in pairs))
)
REQUEST = st.one_of(
    st.builds(SetRegion, slot=SLOT, flags=st.sampled_from([0, 1, 1, 2, 3, 4, 8]), gpa=GPA, size=SIZE, hva=HVA),
    st.builds(GetDirtyLog, slot=SLOT, buffer_ok=st.booleans()),
    st.builds(
        ClearDirtyLog,
        slot=SLOT,
        first_page=st.sampled_from([0, 64, 1]),
        num_pages=st.sampled_from([0, 1, 2, 3, 6, 64, 70]),
        cleared=PAGE_RANGES,
    ),
    st.builds(EnableManualProtect, options=st.integers(0, 4)),
    st.builds(GuestWrite, gpa=st.integers(0, 13 * PAGE_SIZE), length=st.just(12)),
    st.builds(VcpuWrite, gpa=st.integers(0, 13 * PAGE_SIZE)),
)


def assert_sound(profile: Profile, vm: Vm) -> None:
    for slot in vm.slots:
        assert 1 <= slot.npages <= 2**31 - 1
        assert slot.last_gpa() < U64 - PAGE_SIZE
        assert slot.hva % PAGE_SIZE == 0 and slot.last_hva() < profile.user_limit
        assert profile.max_gfn is None or slot.last_gfn() <= profile.max_gfn
        assert (slot.dirty is not None) == slot.logs_dirty_pages()
        assert slot.dirty is None or all(a >= 0 and b < slot.npages for a, b in slot.dirty.ranges)
        for other in vm.slots - {slot}:
            assert (slot.space, slot.id) != (other.space, other.id)
            assert slot.space != other.space or not slot.touches(other.base_gfn, other.last_gfn())


@tried(300)
@given(st.sampled_from(sorted(PROFILES)), st.lists(REQUEST, max_size=25))
def test_the_state_stays_sound_and_a_failed_operation_changes_nothing(name: str, requests: list[Any]) -> None:
    profile, vm = PROFILES[name], EMPTY_VM
    for request in requests:
        after, outcome = step(profile, vm, request)
        if isinstance(outcome, Rejected):
            assert after == vm
        assert_sound(profile, after)
        vm = after


@tried(200)
@given(st.lists(REQUEST, max_size=15), st.integers(0, 13 * PAGE_SIZE))
def test_forward_and_backward_lookups_agree(requests: list[Any], gpa: int) -> None:
    profile, vm = Profile(), EMPTY_VM
    for request in requests:
        vm, _ = step(profile, vm, request)
    for space in (0, 1):
        _, found = step(profile, vm, Lookup(space=space, gpa=gpa))
        if not isinstance(found, Located):
            continue
        _, ranges = step(profile, vm, HvaRange(first=found.host, last=found.host))
        assert isinstance(ranges, GuestRanges)
        assert any(r.space == space and r.first == r.last == gpa for r in ranges.ranges)
