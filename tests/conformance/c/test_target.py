"""The C library as a target: built, called in this process, and through the protocol."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from conformance import backings
from conformance.files import load_vectors
from conformance.protocol import AdapterTarget
from conformance.runner import Plan, run_plan
from conformance.target import Crashed, Errored, Refused, Results, TargetUnavailable, Trial
from conformance.targets.c import build
from conformance.targets.c.binding import Library, Map
from conformance.targets.c.device import VhostDevice
from conformance.targets.c.target import LIBRARY_PROFILE, CInProcess
from spec.memslots.access import GuestWrite, VcpuWrite
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import Observe
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import MAX_SLOT_PAGES, SetRegion
from spec.outcome import DirtyPages, MapsView, Slots, Written
from spec.pages import Pages
from spec.profile import PROFILES, Profile
from spec.step import OPERATIONS
from spec.units import PAGE_SIZE
from spec.vhost.mem_table import SetMemTable
from spec.vhost.observe import ObserveMaps
from spec.vhost.owner import SetOwner
from spec.vhost.queue_io import Kick

from .device_requests import DeviceRequests
from .planted import bug, planted_base
from .requests import Requests

HUGE = Profile(max_gfn=2**40 - 1)


def trials(count: int) -> list[Trial]:
    random = Random(7)
    found = []
    for number in range(count):
        requests = Requests(random, LIBRARY_PROFILE).sequence(random.randrange(1, 20))
        # The protocol has no writes of no bytes.
        kept = tuple(one for one in requests if not isinstance(one, GuestWrite) or one.length > 0)
        found.append(Trial(f"{number:012x}", kept))
        of_a_device = DeviceRequests(random, LIBRARY_PROFILE).sequence(random.randrange(1, 30))
        found.append(Trial(f"d{number:011x}", of_a_device))
    return found


def test_the_adapter_answers_as_the_library_does_in_this_process() -> None:
    asked = trials(150)
    inside = CInProcess()
    outside = AdapterTarget([sys.executable, "-m", "conformance.targets.c.adapter"], name="c")
    try:
        assert outside.start() == inside.start()
        for here, there in zip(inside.run(asked), outside.run(asked), strict=True):
            assert isinstance(here, Results) and isinstance(there, Results)
            for left, right in zip(here.steps, there.steps, strict=True):
                if isinstance(left, Written) and left.stopped_by is not None:
                    # The protocol says that a write was stopped, not by which error.
                    assert isinstance(right, Written) and right.stopped_by is not None
                    assert left.segments == right.segments
                else:
                    assert left == right
    finally:
        inside.stop()
        outside.stop()


def sanitized(base: Path = build.HERE) -> AdapterTarget:
    """The adapter in a process that has the runtime of gcc's address sanitizer."""
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("gcc is not here, whose sanitizers are asked: install it (apt-get install gcc)")
    asked = subprocess.run([gcc, "-print-file-name=libasan.so"], capture_output=True, text=True, timeout=30, check=True)
    # Python itself leaves memory behind.
    environment = [f"CC={gcc}", f"LD_PRELOAD={asked.stdout.strip()}", "ASAN_OPTIONS=detect_leaks=0"]
    adapter = ["-m", "conformance.targets.c.adapter", "--base", str(base), "--sanitize", "address,undefined"]
    return AdapterTarget(["env", *environment, sys.executable, *adapter], name="c", seconds=60)


@pytest.mark.slow
def test_the_vectors_under_the_sanitizers(tmp_path: Path) -> None:
    report = run_plan(Plan("c", (sanitized,)), load_vectors(), out=tmp_path)
    assert report.exit_code() == 0, report.failure or report.unavailable
    assert report.counts()["passed"] > 500


@pytest.mark.slow
def test_random_requests_under_the_sanitizers() -> None:
    asked = trials(300)
    inside, outside = CInProcess(), sanitized()
    try:
        inside.start()
        outside.start()
        for here, there in zip(inside.run(asked), outside.run(asked), strict=True):
            assert isinstance(here, Results) and isinstance(there, Results), there
            assert len(here.steps) == len(there.steps)
    finally:
        inside.stop()
        outside.stop()


@pytest.mark.slow
def test_the_sanitizers_see_what_they_should(tmp_path: Path) -> None:
    """A library that reads past a log: the answers are right, and the sanitizer ends it."""
    over = bug(
        "x",
        "x",
        "x",
        (
            "log.c",
            "for (i = 0; i < log->nwords; i++)\n\t\tbitmap[i]",
            "for (i = 0; i <= log->nwords; i++)\n\t\tbitmap[i]",
        ),
    )
    manual = (EnableManualProtect(options=1), SetRegion(flags=1, size=PAGE_SIZE), GetDirtyLog())
    with planted_base(over) as base:
        target = sanitized(base)
        try:
            target.start()
            (answer,) = target.run([Trial("000000000000", manual)])
        finally:
            target.stop()
    assert isinstance(answer, Crashed) and "ABORTING" in answer.report


def test_a_request_that_does_not_fit_costs_one_trial() -> None:
    target = CInProcess()
    target.start()
    bad, good = target.run([Trial("a", (SetRegion(slot=2**32),)), Trial("b", (Observe(),))])
    assert isinstance(bad, Errored) and "OverflowError" in bad.trace
    assert good == Results("b", (Slots(()),))
    bad, good = target.run([Trial("a", (SetOwner(), SetMemTable(padding=2**32))), Trial("b", (ObserveMaps(),))])
    assert isinstance(bad, Errored) and "OverflowError" in bad.trace
    assert good == Results("b", (MapsView(None, None),))
    target.stop()
    target.stop()


def test_what_the_library_has_no_call_for_is_none_of_its_operations() -> None:
    target = CInProcess()
    operations = set(target.start().operations)
    (answer,) = target.run([Trial("a", (SetOwner(), Kick()))])
    target.stop()
    assert isinstance(answer, Errored) and "no call for Kick" in answer.trace
    assert {"set_region", "translate", "write_message"} < operations
    assert {operation.name for operation in OPERATIONS} - operations == {
        "set_log_base",
        "set_ring_size",
        "set_ring_addresses",
        "set_backend",
        "transmit",
        "offer",
        "packet",
        "kick",
    }


def test_a_profile_with_what_the_library_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="guest memory files"):
        CInProcess(PROFILES["guest-memfd"])


def test_numbers_that_the_library_refuses() -> None:
    with pytest.raises(ValueError, match="EINVAL"):
        Map(Library(), Profile(user_slots=0))
    with pytest.raises(ValueError, match="EINVAL"):
        VhostDevice(Library(), Profile(iotlb_limit=0))


@pytest.mark.slow
@pytest.mark.parametrize("initially_set", [False, True])
def test_the_log_of_the_largest_slot(initially_set: bool) -> None:
    """2^31 - 1 pages: a bitmap of 256 MiB, which stays untouched memory as long as pages are clean."""
    region = SetRegion(slot=0, flags=1, gpa=PAGE_SIZE, size=MAX_SLOT_PAGES * PAGE_SIZE, hva=backings.place("A", 0))
    last = MAX_SLOT_PAGES * PAGE_SIZE
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Map(Library(), HUGE) as one:
        if initially_set:
            one.do(EnableManualProtect(options=3))
        one.do(region)
        one.do(VcpuWrite(last + 5))
        ranges = ((0, MAX_SLOT_PAGES - 1),) if initially_set else ((MAX_SLOT_PAGES - 1, MAX_SLOT_PAGES - 1),)
        seen = one.do(Observe())
        assert isinstance(seen, Slots) and seen.slots[0].dirty == Pages(ranges)
        assert one.do(GuestWrite(last + PAGE_SIZE - 6, 12)) == Written(
            (one.pieces[0],),
            stopped_by=Refused("EFAULT"),  # type: ignore[arg-type]
        )
        if not initially_set:
            used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            assert used < 100 * 1024  # KiB
        assert one.do(GetDirtyLog(slot=0)) == DirtyPages(Pages(ranges), 2**31 // 8)


def test_no_compiler_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(TargetUnavailable, match=r"^The C target needs a C compiler: install gcc or clang, .*\.$"):
        CInProcess().start()


def test_a_compiler_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    broken = tmp_path / "broken"
    (broken / "src").mkdir(parents=True)
    shutil.copytree(build.HERE / "include", broken / "include")
    (broken / "src" / "a.c").write_text("this is no C\n")
    with pytest.raises(TargetUnavailable, match=r"(?s)The C compiler failed .*a\.c:1"):
        CInProcess(base=broken).start()
    assert not list(tmp_path.rglob("*.so*"))


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpaspec").write_text("a file where a directory should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(TargetUnavailable, match="cannot be compiled into"):
        CInProcess().start()


@pytest.mark.slow
def test_it_is_compiled_once_and_outside_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = build.shared_library()
    stamp = first.stat().st_mtime_ns
    assert tmp_path in first.parents and build.shared_library() == first and first.stat().st_mtime_ns == stamp
    assert os.listdir(first.parent) == ["libgpamap.so"]
