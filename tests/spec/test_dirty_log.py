"""Documented behaviour of the dirty log calls, by example."""

from __future__ import annotations

from typing import Any

import pytest

from spec.memslots.access import GuestWrite, VcpuRead, VcpuWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import EMPTY_VM, Vm
from spec.outcome import DirtyPages, Done, Mmio, Outcome, Rejected, Touched
from spec.pages import Pages
from spec.profile import Profile
from spec.step import step

PAGE = 0x1000
LOGGED = SetRegion(slot=1, flags=1, gpa=0x1000 * PAGE, size=130 * PAGE, hva=0x100 * PAGE)
BY_HAND = EnableManualProtect(options=1)
ALL_SET = EnableManualProtect(options=3)


def run(*requests: Any) -> Outcome:
    vm: Vm = EMPTY_VM
    outcome: Outcome = Done()
    for request in requests:
        vm, outcome = step(Profile(), vm, request)
    return outcome


def log_after(*requests: Any) -> tuple[tuple[int, int], ...]:
    outcome = run(*requests, GetDirtyLog(slot=1))
    assert isinstance(outcome, DirtyPages)
    assert outcome.bitmap_bytes == 24
    return outcome.pages.ranges


def errno_of(*requests: Any) -> str:
    outcome = run(*requests)
    assert isinstance(outcome, Rejected)
    return outcome.rule.errno


def write(page: int) -> GuestWrite:
    return GuestWrite(gpa=(0x1000 + page) * PAGE)


def test_clearing_by_hand() -> None:
    assert log_after(BY_HAND, LOGGED, write(3), GetDirtyLog(slot=1)) == ((3, 3),)
    clear = ClearDirtyLog(slot=1, first_page=0, num_pages=64, cleared=Pages(((3, 3),)))
    assert log_after(BY_HAND, LOGGED, write(3), write(4), clear) == ((4, 4),)
    assert log_after(LOGGED, write(3), write(4), clear) == ((4, 4),)


def test_logs_that_start_full() -> None:
    assert log_after(ALL_SET, LOGGED) == ((0, 129),)
    assert log_after(LOGGED, ALL_SET) == ()
    assert log_after(ALL_SET, LOGGED, EnableManualProtect(options=0), GetDirtyLog(slot=1)) == ()


def test_the_last_chunk_need_not_be_whole() -> None:
    def clear(first: int, count: int) -> ClearDirtyLog:
        return ClearDirtyLog(slot=1, first_page=first, num_pages=count, cleared=Pages(((0, 63),)))

    assert log_after(ALL_SET, LOGGED, clear(128, 2)) == ((0, 127),)
    assert log_after(ALL_SET, LOGGED, clear(64, 64)) == ((0, 63), (128, 129))
    for first, count in ((128, 1), (128, 3), (64, 65), (192, 0), (1, 64), (0, 1)):
        assert errno_of(ALL_SET, LOGGED, clear(first, count)) == "EINVAL", (first, count)
    assert run(ALL_SET, LOGGED, clear(128, 0)) == Done()


def test_bits_past_the_last_word_are_not_read() -> None:
    def clear(count: int, first: int, last: int) -> ClearDirtyLog:
        return ClearDirtyLog(slot=1, num_pages=count, cleared=Pages(((first, last),)))

    assert log_after(ALL_SET, LOGGED, clear(0, 0, 63)) == ((0, 129),)
    assert log_after(ALL_SET, LOGGED, clear(64, 60, 70)) == ((0, 59), (64, 129))


@pytest.mark.parametrize(
    ("request_", "errno"),
    [
        (ClearDirtyLog(slot=2, first_page=1), "EINVAL"),
        (ClearDirtyLog(slot=2, first_page=64), "ENOENT"),
        (ClearDirtyLog(slot=32764, first_page=64), "EINVAL"),
        (ClearDirtyLog(slot=1, num_pages=64, buffer_ok=False), "EFAULT"),
        (GetDirtyLog(slot=1, buffer_ok=False), "EFAULT"),
        (GetDirtyLog(slot=2 << 16), "EINVAL"),
        (GetDirtyLog(slot=2, buffer_ok=False), "ENOENT"),
        (EnableManualProtect(options=2), "EINVAL"),
        (EnableManualProtect(options=4), "EINVAL"),
        (EnableManualProtect(options=1, flags=1), "EINVAL"),
        (EnableDirtyRing(size=4097), "EINVAL"),
        (EnableDirtyRing(size=2048), "EINVAL"),
        (EnableDirtyRing(size=0), "EINVAL"),
        (EnableDirtyRing(size=2 * 65536 * 16), "E2BIG"),
    ],
)
def test_errors(request_: Any, errno: str) -> None:
    assert errno_of(LOGGED, request_) == errno


def test_a_bad_bitmap_pointer_costs_nothing() -> None:
    assert run(LOGGED, ClearDirtyLog(slot=1, num_pages=0, buffer_ok=False)) == Done()
    assert log_after(LOGGED, write(3), GetDirtyLog(slot=1, buffer_ok=False)) == ((3, 3),)


def test_a_ring_replaces_the_bitmaps() -> None:
    ring = EnableDirtyRing(size=65536)
    assert errno_of(ring, LOGGED, GetDirtyLog(slot=1)) == "ENXIO"
    assert errno_of(ring, ring) == "EINVAL"
    assert errno_of(LOGGED, write(0), ring) == "EINVAL"
    assert errno_of(LOGGED, ring, GetDirtyLog(slot=1)) == "ENXIO"


def test_a_virtual_cpu() -> None:
    read_only = SetRegion(slot=2, flags=2, gpa=0, size=PAGE, hva=0x900 * PAGE)
    assert run(LOGGED, VcpuRead(gpa=0x1000 * PAGE + 7)) == Touched(0x100 * PAGE + 7)
    assert run(LOGGED, VcpuRead(gpa=0xFFF * PAGE)) == Mmio(0xFFF * PAGE)
    assert run(read_only, VcpuRead(gpa=1)) == Touched(0x900 * PAGE + 1)
    assert run(read_only, VcpuWrite(gpa=1)) == Mmio(1)
    assert log_after(LOGGED, VcpuRead(gpa=0x1000 * PAGE)) == ()
    assert log_after(LOGGED, VcpuWrite(gpa=0x1005 * PAGE)) == ((5, 5),)
