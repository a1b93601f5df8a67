"""Kernels in virtual machines: they agree with the spec, and whatever dies is named and loses nothing."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.backings import place
from conformance.target import Answer, Crashed, Refused, Results, Skipped, TargetFailed, TargetUnavailable, Trial
from conformance.targets.linux.fetch import kernel_for
from conformance.targets.linux.host import DEVICE, LinuxHost
from conformance.targets.linux.memory import BYTES_PER_PAGE, available_bytes, kernel_bytes
from conformance.targets.linux.qemu import MachineOptions
from conformance.targets.linux.vm import LinuxVm
from spec.memslots.access import GuestWrite, VcpuRead, VcpuWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import EMPTY_VM
from spec.outcome import Outcome, Rejected, Written
from spec.pages import pages_in
from spec.profile import PROFILES, Profile
from spec.step import step
from spec.units import PAGE_SIZE

A, B = place("A", 0), place("B", 0)
SLOT = SetRegion(slot=0, flags=1, gpa=0x10000, size=0x10000, hva=A)


def log_ending_in_a6(pages: range) -> list[Any]:
    """A log whose bytes for these pages are 0xa6, which is what the guest program fills a bitmap with beforehand."""
    writes = [GuestWrite(0x10000 + page * 4096 + 8, 12) for page in pages if 0xA6 >> page % 8 & 1]
    return [
        SetRegion(slot=0, flags=1, gpa=0x10000, size=64 * 4096, hva=A),
        *writes,
        GetDirtyLog(slot=0),
        GetDirtyLog(slot=0),
    ]


# Each list is one vector: together they meet every operation, accepted and refused.
SEQUENCES: list[list[Any]] = [
    [SLOT, GuestWrite(0x10FFA, 12), VcpuWrite(0x13003), GetDirtyLog(slot=0), GetDirtyLog(slot=0)],
    [SLOT, GuestWrite(0x1FFF8, 12), VcpuRead(0x20000), VcpuWrite(0xFFFF), GetDirtyLog(slot=0)],
    [SLOT, SetRegion(slot=1, gpa=0x1F000, size=0x1000, hva=B), SetRegion(slot=1, gpa=0x20000, size=0x1000, hva=B)],
    [SLOT, GuestWrite(0x10008, 12), SetRegion(slot=0, flags=1, gpa=0x11000, size=0x10000, hva=A), GetDirtyLog(slot=0)],
    [
        SetRegion(slot=5, flags=2, gpa=0, size=0x2000, hva=B),
        VcpuRead(0x1001),
        VcpuWrite(0x1001),
        GuestWrite(0x1001, 12),
    ],
    [SLOT, SetRegion(slot=0, from_owner=False), GetDirtyLog(slot=0, readable=False), SetRegion(slot=0, size=0)],
    [EnableManualProtect(options=3), SLOT, GetDirtyLog(slot=0), EnableManualProtect(options=2)],
    [
        EnableManualProtect(options=3),
        SLOT,
        ClearDirtyLog(slot=0, num_pages=16, cleared=pages_in(((1, 3), (9, 9)))),
        GetDirtyLog(slot=0),
        ClearDirtyLog(slot=0, num_pages=15),
        ClearDirtyLog(slot=0, num_pages=16, buffer_ok=False),
    ],
    [EnableDirtyRing(size=4096), SLOT, GuestWrite(0x10008, 12), GetDirtyLog(slot=0), EnableDirtyRing(size=4096)],
    [CreateGuestMemfd(file=0, size=0x4000), SetRegion(slot=3, flags=4, size=0x1000, version=2, memfd=0)],
    log_ending_in_a6(range(56, 64)),
    [EnableManualProtect(options=1), *log_ending_in_a6(range(56, 64))],
    log_ending_in_a6(range(64)),
    [EnableManualProtect(options=1), *log_ending_in_a6(range(64))],
    [SetRegion(slot=1, gpa=2**64 - 4096, size=4096), SetRegion(slot=2**16, gpa=0, size=4096, hva=A)],
]
TRIALS = [Trial(f"t{number}", tuple(requests)) for number, requests in enumerate(SEQUENCES)]


def expected(profile: Profile, requests: tuple[Any, ...]) -> list[Outcome]:
    """The spec's outcomes."""
    outcomes = []
    vm = EMPTY_VM
    for request in requests:
        vm, outcome = step(profile, vm, request)
        outcomes.append(outcome)
    return outcomes


def comparable(outcome: Any) -> Any:
    """What a kernel can tell of an outcome: the errno of a rejection, and that a write was stopped but not why."""
    if isinstance(outcome, Rejected):
        return Refused(outcome.rule.errno)
    if isinstance(outcome, Written):
        return outcome.segments, outcome.stopped_by is not None
    return outcome


def agrees(profile: Profile, answer: Answer) -> None:
    """Fail unless the answer has what the spec expects."""
    trial = next(trial for trial in TRIALS if trial.id == answer.id)
    assert isinstance(answer, Results), answer
    assert [comparable(result) for result in answer.steps] == [
        comparable(outcome) for outcome in expected(profile, trial.requests)
    ]


@contextlib.contextmanager
def started(target: Any) -> Iterator[tuple[Any, Profile]]:
    """The target, started, with its profile; skipped where it cannot be had."""
    try:
        profile = target.start().profile
    except TargetUnavailable as missing:
        pytest.skip(f"{target.name} cannot be had: {missing}")
    try:
        yield target, profile
    finally:
        target.stop()


@pytest.mark.vm
@pytest.mark.slow
@pytest.mark.parametrize("version", ["5.10", "6.1", "6.12", "7.2"])
def test_a_kernel_agrees_with_the_spec(version: str) -> None:
    with started(LinuxVm(version)) as (target, profile):
        answers = list(target.run(TRIALS))
        assert [answer.id for answer in answers] == [trial.id for trial in TRIALS]
        for answer in answers:
            agrees(profile, answer)


@pytest.mark.skipif(not os.access(DEVICE, os.R_OK | os.W_OK), reason="an extra: no /dev/kvm here")
def test_the_kernel_here_agrees_with_the_spec() -> None:
    with started(LinuxHost()) as (target, profile):
        for answer in target.run(TRIALS):
            agrees(profile, answer)


@pytest.mark.vm
@pytest.mark.slow
def test_two_machines_answer_in_order_and_the_same() -> None:
    with started(LinuxVm("6.1", jobs=2)) as (target, profile):
        answers = list(target.run(TRIALS))
        assert [answer.id for answer in answers] == [trial.id for trial in TRIALS]
        for answer in answers:
            agrees(profile, answer)


@pytest.mark.vm
@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "words"),
    [("GPASPEC_CRASH=4", "sysrq"), ("GPASPEC_ALARM=4", "WARNING: asked for"), ("GPASPEC_HANG=4", "no sign of life")],
)
def test_a_machine_that_dies_loses_one_vector(word: str, words: str) -> None:
    options = MachineOptions(command_line=(word,), silence_seconds=15)
    with started(LinuxVm("6.1", options=options)) as (target, profile):
        answers = list(target.run(TRIALS))
        assert [answer.id for answer in answers] == [trial.id for trial in TRIALS]
        crashed = answers.pop(4)
        assert isinstance(crashed, Crashed) and words in crashed.report
        for answer in answers:
            agrees(profile, answer)


@pytest.mark.vm
def test_a_machine_that_never_boots(tmp_path: Path) -> None:
    bogus = tmp_path / "bzImage"
    bogus.write_bytes(b"\0" * 0x202 + b"HdrS" + b"\0" * 100_000)
    target = LinuxVm(kernel=bogus, options=MachineOptions(boot_seconds=5))
    began = time.monotonic()
    try:
        with pytest.raises(TargetFailed, match=r"linux-bzImage"):
            target.start()
    except TargetUnavailable as missing:
        pytest.skip(f"no kernel can be booted here: {missing}")
    finally:
        target.stop()
    assert time.monotonic() - began < 60


@pytest.mark.vm
def test_a_kernel_without_its_modules_says_so() -> None:
    try:
        kernel = kernel_for("6.1")
    except TargetUnavailable as missing:
        pytest.skip(f"no kernel can be booted here: {missing}")
    target = LinuxVm(kernel=kernel.image)
    try:
        with pytest.raises(TargetFailed, match="/dev/kvm cannot be opened"):
            target.start()
    finally:
        target.stop()


@pytest.mark.vm
@pytest.mark.slow
def test_leaving_early_ends_the_machine() -> None:
    with started(LinuxVm("6.1")) as (target, _):
        answers = target.run(TRIALS * 200)
        next(answers)
        (machine,) = target.machines
        assert machine.process.poll() is None
        answers.close()
        assert machine.process.poll() is not None
        assert not machine.directory.exists()
        assert not target.machines


@pytest.mark.vm
@pytest.mark.slow
def test_what_cannot_be_observed_is_skipped_with_a_reason() -> None:
    trials = [
        Trial("t-short", (SLOT, GuestWrite(0x10000, 4))),
        Trial("t-zero", (SLOT, GuestWrite(0, 12))),
        Trial("t-elsewhere", (SetRegion(slot=0, gpa=0, size=4096, hva=0), VcpuRead(0))),
        Trial("t-wide", (SetRegion(slot=2**32),)),
    ]
    with started(LinuxVm("6.1")) as (target, _):
        answers = list(target.run(trials))
    assert [answer.id for answer in answers] == [trial.id for trial in trials]
    assert all(isinstance(answer, Skipped) and answer.reason for answer in answers)


@pytest.mark.slow
def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("conformance.targets.linux.qemu.shutil.copyfile", full)
    target = LinuxVm("6.1")
    try:
        with pytest.raises(TargetFailed, match="No space left on device"):
            target.start()
    except TargetUnavailable as missing:
        pytest.skip(f"no kernel can be booted here: {missing}")
    finally:
        target.stop()


def test_a_slot_costs_kernel_memory_for_each_page() -> None:
    big = SetRegion(slot=1, gpa=0, size=2**30, hva=A)
    assert kernel_bytes(Profile(), (SLOT,)) == 16 * BYTES_PER_PAGE
    assert kernel_bytes(Profile(), (big, SetRegion(slot=1, size=0), SLOT)) == 2**18 * BYTES_PER_PAGE
    assert kernel_bytes(Profile(), (SetRegion(slot=1, gpa=1, size=2**30, hva=A),)) == 0
    assert available_bytes() > 0


def test_a_slot_that_a_kernel_takes_by_mistake_costs_memory_too() -> None:
    """The end of its pages in the file passes 2^63, and kernels are known to take it."""
    bind = SetRegion(slot=1, flags=4, gpa=2**16, size=2**30, hva=A, version=2, memfd=0, memfd_offset=2**63 - PAGE_SIZE)
    profile = PROFILES["guest-memfd"]
    requests = (CreateGuestMemfd(size=2**16), bind, SetRegion(slot=1, size=0))
    assert kernel_bytes(profile, requests) == 2**18 * BYTES_PER_PAGE
    assert kernel_bytes(profile, requests[1:]) == 2**18 * BYTES_PER_PAGE, "nor is a file missed that is not open"
    assert kernel_bytes(profile, (replace(bind, version=1),)) == 0


@pytest.mark.skipif(not os.access(DEVICE, os.R_OK | os.W_OK), reason="an extra: no /dev/kvm here")
def test_the_machine_here_is_not_exhausted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.targets.linux.host.available_bytes", lambda: 2**20)
    big = Trial("big", (SetRegion(slot=1, gpa=0, size=2**28, hva=A),))
    with started(LinuxHost()) as (target, profile):
        small, skipped, again = target.run([TRIALS[0], big, TRIALS[1]])
    agrees(profile, small)
    agrees(profile, again)
    assert isinstance(skipped, Skipped) and "kernel memory" in skipped.reason


def test_without_qemu_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(TargetUnavailable, match="apt-get install qemu-system-x86"):
        LinuxVm("6.1").start()


def test_without_a_compiler_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "qemu-system-x86_64").touch(mode=0o755)
    with pytest.raises(TargetUnavailable, match="apt-get install gcc"):
        LinuxVm("6.1").start()


def test_a_kernel_or_a_directory_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no kernel")
    for target in (
        LinuxVm(kernel=tmp_path / "bzImage"),
        LinuxVm(kernel=tmp_path / "text"),
        LinuxVm("6.1", modules=tmp_path / "none"),
        LinuxVm("9.99"),
    ):
        with pytest.raises(TargetUnavailable):
            target.start()
        target.stop()
        target.stop()
