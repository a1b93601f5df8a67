"""The C program for a vector compiles without a warning, and does on /dev/kvm what the vector says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from conformance.backings import place
from conformance.target import TargetUnavailable
from conformance.targets.linux.build import compiler
from conformance.targets.linux.host import DEVICE
from conformance.targets.linux.reproduce import source
from conformance.targets.linux.vm import LinuxVm
from conformance.vector import Step
from spec.memslots.access import GuestWrite, VcpuRead, VcpuWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import Observe
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import EMPTY_VM
from spec.pages import pages_in
from spec.profile import Profile
from spec.step import step

A, B = place("A", 0x3000), place("B", 0)
REQUESTS = (
    SetRegion(slot=0, flags=1, gpa=0x10000, size=0x10000, hva=A),
    SetRegion(slot=1, flags=2, gpa=0x20000, size=0x1000, hva=B),
    SetRegion(slot=2, gpa=0x20000, size=0x1000, hva=B),
    SetRegion(slot=2, gpa=0, size=0x1000, hva=B, from_owner=False),
    SetRegion(slot=2, gpa=0, size=0x1000, hva=B, readable=False),
    SetRegion(slot=2, gpa=2**64 - 4096, size=0x1000, hva=B),
    GuestWrite(0x10FFA, 12),
    GuestWrite(0x1FFF8, 12),
    *(VcpuWrite(0x13000 + offset) for offset in (0, 0x101, 0x212, 0xFFF)),
    *(VcpuRead(0x20000 + offset) for offset in (0, 0x101, 0x212, 0xFFF)),
    VcpuWrite(0x20001),
    VcpuRead(0x5001),
    GetDirtyLog(slot=0),
    GetDirtyLog(slot=0),
    GetDirtyLog(slot=1),
    EnableManualProtect(options=1),
    GuestWrite(0x14008, 12),
    ClearDirtyLog(slot=0, num_pages=16, cleared=pages_in(((1, 3),))),
    GetDirtyLog(slot=0),
    ClearDirtyLog(slot=0, num_pages=16, cleared=pages_in(((0, 15),))),
    GetDirtyLog(slot=0),
    ClearDirtyLog(slot=0, num_pages=16, buffer_ok=False),
    EnableDirtyRing(size=4096),
    # A log that ends in the byte which the program fills a bitmap with beforehand.
    SetRegion(slot=4, flags=1, gpa=0x100000, size=0x40000, hva=B),
    *(GuestWrite(0x100008 + page * 4096, 12) for page in (57, 58, 61, 63)),
    GetDirtyLog(slot=4),
    Observe(),
)


def compiled(text: str, directory: Path) -> Path:
    """The program, compiled as its own first lines say, with every warning an error."""
    (directory / "reproducer.c").write_text(text)
    subprocess.run(
        [compiler(), "-Wall", "-Wextra", "-Werror", "-static", "-o", "reproducer", "reproducer.c"],
        cwd=directory,
        check=True,
        timeout=60,
    )
    return directory / "reproducer"


def steps_of(requests: tuple[object, ...], profile: Profile) -> list[Step]:
    vm, steps = EMPTY_VM, []
    for request in requests:
        vm, outcome = step(profile, vm, request)
        steps.append(Step(request, outcome))
    return steps


def test_a_program_without_most_operations_compiles(tmp_path: Path) -> None:
    requests = (CreateGuestMemfd(file=0, size=4096), SetRegion(version=2, flags=4, size=4096, memfd=0))
    profile = Profile(region2=True, guest_memfd="bind")
    assert compiled(source(steps_of(requests, profile), profile, "a */ title"), tmp_path).is_file()


@pytest.mark.skipif(not os.access(DEVICE, os.R_OK | os.W_OK), reason="an extra: no /dev/kvm here")
def test_a_program_does_what_its_steps_say(tmp_path: Path) -> None:
    profile = Profile()
    program = compiled(source(steps_of(REQUESTS, profile), profile, "all kinds of steps"), tmp_path)
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=60, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == len(REQUESTS)
    for line in lines:
        expected, got = line.split("expected ", 1)[1].split(" got ", 1)
        assert expected.split("(")[0].strip() == got.split("(")[0].strip(), line


@pytest.mark.vm
def test_a_program_shows_a_kernel_deviation_in_a_machine(tmp_path: Path) -> None:
    requests = (
        SetRegion(slot=0, flags=1, gpa=0x10000, size=0x10000, hva=A),
        GuestWrite(0x12008, 12),
        GetDirtyLog(slot=0, buffer_ok=False),
        GetDirtyLog(slot=0),
    )
    target = LinuxVm("6.1")
    try:
        profile = target.start().profile
        program = compiled(source(steps_of(requests, profile), profile, "a log that is lost"), tmp_path)
        lines = target.output_of(program).splitlines()
    except TargetUnavailable as missing:
        pytest.skip(f"no kernel can be booted here: {missing}")
    finally:
        target.stop()
    assert len(lines) == len(requests)
    assert "expected EFAULT" in lines[2] and lines[2].endswith("got EFAULT")
    assert "expected pages 2-2, 8 bytes" in lines[3] and lines[3].endswith("got no pages, 8 bytes")
