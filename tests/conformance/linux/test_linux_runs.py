"""Whole runs on a kernel: what they come to when the user, or the kernel, has had enough. Nothing finished is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.files import load_vectors
from conformance.runner import Plan, Report, load_results, run_plan
from conformance.target import Target, TargetUnavailable
from conformance.targets.linux import vm
from conformance.targets.linux.fetch import kernel_for
from conformance.targets.linux.qemu import QEMU, MachineOptions
from conformance.targets.linux.vm import LinuxVm
from conformance.vector import Vector
from conformance.verdict import PASSED, UNEXPLAINED, why_not
from spec.profile import Profile

ROOT = Path(__file__).parents[3]
TARGET = "linux-6.1"

pytestmark = pytest.mark.vm


@pytest.fixture(scope="module", autouse=True)
def kernel() -> None:
    try:
        kernel_for("6.1")
    except TargetUnavailable as missing:
        pytest.skip(f"no kernel can be booted here: {missing}")


@pytest.fixture(scope="module")
def vectors() -> list[Vector]:
    """Twelve that the kernel answers."""
    fitting = [v for v in load_vectors() if v.family == "KVM.SLOT" and not why_not(v, Profile())]
    assert len(fitting) >= 12
    return fitting[:12]


def run(vectors: list[Vector], out: Path, **options: object) -> Report:
    def make() -> Target:
        return LinuxVm("6.1", options=MachineOptions(**options))  # type: ignore[arg-type]

    return run_plan(Plan(TARGET, (make,)), vectors, out=out, complete=False)


def verdicts(out: Path) -> list[str]:
    return [entry["verdict"] for entry in load_results(TARGET, out).values()]


@pytest.mark.slow
def test_a_guest_that_panics_is_a_verdict_about_one_vector(vectors: list[Vector], tmp_path: Path) -> None:
    report = run(vectors, tmp_path, command_line=("GPASPEC_CRASH=4",))
    assert report.exit_code() == 1 and report.finished and not report.failure
    found = load_results(TARGET, tmp_path)
    assert [found[vector.id]["verdict"] for vector in vectors].index(UNEXPLAINED) == 4
    assert verdicts(tmp_path).count(PASSED) == len(vectors) - 1
    assert found[vectors[4].id]["reason"].startswith("crashed: the machine died at this vector")


@pytest.mark.slow
def test_a_kernel_that_dies_too_often_fails_and_keeps_what_it_answered(
    vectors: list[Vector], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vm, "MOST_CRASHES", 0)
    report = run(vectors, tmp_path, command_line=("GPASPEC_CRASH=4",))
    assert report.exit_code() == 2 and "crashed 1 times; 7 vectors were not run" in report.failure
    assert verdicts(tmp_path) == [PASSED] * 4 + [UNEXPLAINED]


@pytest.mark.slow
def test_a_kernel_that_never_boots_fails_in_time(vectors: list[Vector], tmp_path: Path) -> None:
    # It waits for a disk that never comes, so our program never starts.
    words = ("rdinit=/nowhere", "root=/dev/nothing", "rootwait")
    report = run(vectors, tmp_path, command_line=words, boot_seconds=6)
    assert report.exit_code() == 2 and "did not boot within 6 s" in report.failure
    assert verdicts(tmp_path) == []


def started_by(pid: int) -> Iterator[int]:
    """Processes below a process, its own QEMUs among them, from /proc."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, ValueError):
                continue
            if parent == pid:
                yield int(entry.name)
                yield from started_by(int(entry.name))


def machines_of(pid: int) -> list[int]:
    found = []
    for child in started_by(pid):
        try:
            name = (Path("/proc") / str(child) / "cmdline").read_bytes().split(b"\0")[0].decode()
        except OSError:
            continue
        if Path(name).name == QEMU:
            found.append(child)
    return found


@pytest.mark.slow
def test_ctrl_c_ends_the_machines_and_keeps_what_was_answered(tmp_path: Path) -> None:
    """The user presses Ctrl-C in the middle of a run of all vectors."""
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    command = [sys.executable, "-m", "conformance.cli", "check", TARGET, "--out", str(tmp_path)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while len(load_results(TARGET, tmp_path)) < 20 and time.monotonic() < deadline:
            time.sleep(0.05)
        machines = machines_of(process.pid)
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to all of the group
        output, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
    kept = load_results(TARGET, tmp_path)
    assert machines and process.returncode == 2 and time.monotonic() - began < 15
    assert f"interrupted; {len(kept)} of" in output and "Traceback" not in output
    assert len(kept) >= 20 and PASSED in verdicts(tmp_path)
    # Nobody is blamed for a machine that the user ended.
    assert not [one for one in kept.values() if one.get("reason", "").startswith("crashed")]
    for pid in machines:
        assert not Path(f"/proc/{pid}").exists()
    assert list(scratch.iterdir()) == []
