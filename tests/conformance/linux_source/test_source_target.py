"""The kernel's own code in user space: it answers, as the specification says; a crash is an answer and not the end."""

from __future__ import annotations

import os
import signal
from typing import Any

from conformance.backings import place
from conformance.target import Crashed, Refused, Results, Skipped, Trial
from conformance.targets.linux_source.target import LinuxSource
from conformance.verdict import agrees
from spec.outcome import EntryView, Faulted, MapsView, MissRead, Segment, Translated
from spec.step import step
from spec.vhost.address_map import READ, WRITE
from spec.vhost.device import ACCESS_PLATFORM, NEW_DEVICE, VERSION_1
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import INVALIDATE, ReadMessage, WriteMessage
from spec.vhost.observe import ObserveMaps
from spec.vhost.owner import SetOwner
from spec.vhost.translate import Translate

A = place("A", 0)


def results(target: LinuxSource, *requests: Any) -> tuple[Any, ...]:
    answer = next(target.run([Trial("1", requests)]))
    assert isinstance(answer, Results), answer
    return answer.steps


def test_a_table_is_translated_by_the_kernels_own_loop(target: LinuxSource) -> None:
    table = SetMemTable(regions=(Region(0, 4096, A), Region(4096, 100, A + 8192)))
    steps = results(target, SetOwner(), table, Translate(addr=4000, length=196), Translate(addr=4195, length=2))
    assert steps[2] == Translated((Segment(4000, 4095, A + 4000), Segment(4096, 4195, A + 8192)))
    assert steps[3] == Faulted(Refused("EFAULT"), 4196)  # type: ignore[arg-type]


def test_misses_are_read_and_answered(target: LinuxSource) -> None:
    steps = results(
        target,
        SetOwner(),
        SetFeatures(VERSION_1 + ACCESS_PLATFORM),
        SetBackendFeatures(2),
        Translate(addr=5, length=2, access=WRITE),
        ReadMessage(),
        ReadMessage(),
        WriteMessage(iova=0, size=6, uaddr=A, perm=READ + WRITE),
        Translate(addr=5, length=2, access=WRITE),
        ObserveMaps(),
    )
    assert steps[3] == Faulted(Refused("EAGAIN"), 5)  # type: ignore[arg-type]
    assert steps[4] == MissRead(2, 5, WRITE)
    assert steps[5] == Refused("EAGAIN")
    assert steps[7] == Faulted(Refused("EAGAIN"), 6)  # type: ignore[arg-type]
    assert steps[8] == MapsView(None, (EntryView(0, 5, A, 3),))


def test_what_goes_wrong_is_said_by_errno(target: LinuxSource) -> None:
    table = SetMemTable(regions=(Region(1, 1, A),))
    requests = (
        table,
        SetOwner(),
        SetOwner(),
        SetMemTable(from_owner=False, regions=table.regions),
        SetMemTable(readable=False),
        SetMemTable(padding=1),
        SetMemTable(regions=table.regions, regions_readable=False),
        SetMemTable(regions=(Region(2, 2**64 - 1, A),)),
        SetFeatures(2**62),
        WriteMessage(framing=3),
        WriteMessage(length=39),
        WriteMessage(iova=1, size=1, uaddr=A, perm=3),
    )
    seen = [one.errno if isinstance(one, Refused) else "-" for one in results(target, *requests)]
    assert " ".join(seen) == "EPERM - EBUSY EPERM EFAULT EOPNOTSUPP EFAULT EFAULT EOPNOTSUPP EINVAL EINVAL EFAULT"


def test_each_trial_has_a_new_device(target: LinuxSource) -> None:
    for _ in range(3):
        assert results(target, ObserveMaps(), SetOwner(), SetMemTable())[0] == MapsView(None, None)


def test_a_process_that_dies_is_a_crash_and_the_next_trial_has_another(target: LinuxSource) -> None:
    assert target.process is not None
    os.kill(target.process.process.pid, signal.SIGSEGV)
    target.process.process.wait(timeout=10)
    first, second = target.run([Trial("1", (SetOwner(),)), Trial("2", (SetOwner(),))])
    assert isinstance(first, Crashed) and "SIGSEGV" in first.report
    assert isinstance(second, Results)


def test_what_the_kernels_code_cannot_be_asked_is_skipped_with_a_reason(target: LinuxSource) -> None:
    answer = next(target.run([Trial("1", (SetOwner(), Translate(length=2**32)))]))
    assert isinstance(answer, Skipped) and "32 bits" in answer.reason


def test_many_entries_and_their_removal_are_as_specified(target: LinuxSource) -> None:
    requests: list[Any] = [SetOwner(), SetFeatures(VERSION_1 + ACCESS_PLATFORM)]
    requests += [WriteMessage(iova=i * 7919 % 4001 * 16, size=40, uaddr=A + i, perm=1 + i % 3) for i in range(500)]
    requests += [WriteMessage(kind=INVALIDATE, iova=i * 1000, size=100) for i in range(0, 60, 3)]
    requests += [Translate(addr=i * 37, length=99, access=READ) for i in range(300)]
    requests.append(ObserveMaps())
    device: Any = NEW_DEVICE
    for request, seen in zip(requests, results(target, *requests), strict=True):
        device, outcome = step(target.profile, device, request)
        assert agrees(request, outcome, seen), request
