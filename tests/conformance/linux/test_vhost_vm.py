"""The real vhost-net in virtual machines: it agrees with the spec, and what locks a kernel up is named."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance import rings
from conformance.backings import BACKING_SIZE, place
from conformance.generate.vhost.random_requests import sequence
from conformance.known import known_here
from conformance.target import Crashed, Environment, Results, Skipped, TargetUnavailable, Trial
from conformance.targets.linux.build import compiler
from conformance.targets.linux.fetch import kernel_for
from conformance.targets.linux.profile import UNSEEN
from conformance.targets.linux.qemu import MachineOptions
from conformance.targets.linux.reproduce import source
from conformance.targets.linux.vm import LinuxVm
from conformance.vector import Step
from conformance.verdict import agrees
from spec.profile import Profile
from spec.step import step, subject_of
from spec.vhost.backend import SetBackend
from spec.vhost.device import ACCESS_PLATFORM, INDIRECT, LOG_ALL, RECEIVE, TRANSMIT, VERSION_1, Descriptor
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import INVALIDATE, ReadMessage, WriteMessage
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.queue_io import Kick, Offer, Packet, Transmit
from spec.vhost.ring import SetLogBase, SetRingAddresses, SetRingSize

pytestmark = pytest.mark.vm

A, B, C, R = place("A", 0), place("B", 0), place("C", 0), place("R", 0)
HEADER = Region(0x100000, 0x1000, rings.packet_header())
HEADER_PART = Descriptor(0x100000, 26)
TABLE = rings.table_of(TRANSMIT, 0)


def ring(queue: int, flags: int = 0, log: int = 0) -> list[Any]:
    desc, used, avail = rings.desc_of(queue), rings.used_of(queue), rings.avail_of(queue)
    where = SetRingAddresses(queue=queue, flags=flags, desc=desc, used=used, avail=avail, log=log)
    return [SetRingSize(queue=queue, size=16), where]


def direct(queue: int, *regions: Region) -> list[Any]:
    """A queue that is ready, with a memory table."""
    features = SetFeatures(VERSION_1 | INDIRECT)
    return [SetOwner(), features, SetMemTable(regions=(HEADER, *regions)), *ring(queue), SetBackend(queue=queue)]


def update(iova: int, size: int, host: int, perm: int = 3) -> WriteMessage:
    return WriteMessage(iova=iova, size=size, uaddr=host, perm=perm)


def through_iotlb(queue: int) -> list[Any]:
    """A queue that is ready, with its ring in the IOTLB."""
    features = SetFeatures(VERSION_1 | INDIRECT | ACCESS_PLATFORM)
    maps = [update(R, BACKING_SIZE, R), update(HEADER.gpa, HEADER.size, HEADER.hva)]
    return [SetOwner(), features, SetMemTable(), *ring(queue), *maps, SetBackend(queue=queue)]


def sends(addr: int, length: int) -> Transmit:
    return Transmit((HEADER_PART, Descriptor(addr, length)))


def takes(*buffers: tuple[int, int]) -> Offer:
    return Offer(tuple(Descriptor(addr, length, writable=True) for addr, length in buffers))


INNER = (HEADER_PART, Descriptor(0x1100, 7))
LOGGED = [SetFeatures(VERSION_1 | LOG_ALL), SetLogBase(base=rings.dirty_log())]

# Each list is one vector: together they meet every operation that a kernel can be asked for, accepted and refused.
SEQUENCES: dict[str, list[Any]] = {
    "sends": [*direct(TRANSMIT, Region(0x1000, 0x3000, A + 3)), sends(0x1001, 100), sends(0x1FFF, 0x1801)],
    "a hole": [*direct(TRANSMIT, Region(0x1000, 0x3000, A)), sends(0x3FFF, 2), Kick(TRANSMIT)],
    "tables": [
        *direct(TRANSMIT, Region(0x1000, 0x3000, A), Region(0x200000, 0x1000, TABLE)),
        Transmit((Descriptor(0x200000, 32, table=INNER, table_host=TABLE),)),
        Transmit((Descriptor(0x200000, 16, table=INNER, table_host=TABLE),)),
    ],
    "misses": [
        *through_iotlb(TRANSMIT),
        SetBackendFeatures(2),
        sends(0x5000, 100),
        ReadMessage(71),
        ReadMessage(),
        ReadMessage(),
        update(0x5000, 100, A),
    ],
    "permission": [*through_iotlb(TRANSMIT), update(0x5000, 100, A, perm=2), sends(0x5000, 100)],
    "messages": [
        *through_iotlb(TRANSMIT),
        WriteMessage(framing=3),
        WriteMessage(length=3),
        WriteMessage(length=39, size=1),
        WriteMessage(length=73, framing=2, asid=5, size=1),
        WriteMessage(kind=9),
        update(2**64 - 1, 2, A),
        update(0, 1, 2**63),
    ],
    "owners": [
        SetOwner(),
        SetOwner(),
        SetMemTable(from_owner=False),
        SetMemTable(regions_readable=False, regions=(HEADER,)),
        SetMemTable(readable=False),
        SetMemTable(padding=1),
        ResetOwner(from_owner=False),
        ResetOwner(),
        SetRingSize(queue=0, size=4),
        SetOwner(),
        SetRingSize(queue=2, size=4),
        SetRingSize(queue=1, size=3),
        SetBackend(queue=1, backend="no-socket"),
        SetFeatures(2**60),
    ],
    "begins again": [
        *direct(TRANSMIT, Region(0x1000, 0x3000, A)),
        sends(0x1001, 100),
        ResetOwner(),
        *direct(TRANSMIT, Region(0x1000, 0x3000, B)),
        sends(0x1001, 100),
    ],
    "receives": [
        *direct(RECEIVE, Region(0x1000, 0x3000, C + 3)),
        takes((0x1000, 2000)),
        Packet(60),
        Packet(61),
        takes((0x1800, 30), (0x3000, 100)),
        Kick(RECEIVE),
        takes((0x1000, 20)),
        Packet(26),
        Kick(RECEIVE),
        takes((0x1001, 5), (0x1FFF, 2), (0x2800, 1000)),
        Packet(500),
    ],
    "a large packet": [
        *direct(RECEIVE, Region(0, 0x20000, C)),
        takes((0, 0x11000)),
        Packet(65547),
    ],
    "receives after a miss": [
        *through_iotlb(RECEIVE),
        takes((0x5000, 0x100)),
        Packet(100),
        ReadMessage(),
        update(0x5000, 50, C),
        ReadMessage(),
        update(0x5032, 500, C + 0x4001, perm=2),
    ],
    "both queues wake": [
        *through_iotlb(RECEIVE),
        *ring(TRANSMIT),
        SetBackend(queue=TRANSMIT),
        update(0x5000, 0x1000, C),
        update(0x6000, 0x1000, A),
        WriteMessage(kind=INVALIDATE, iova=R, size=BACKING_SIZE),
        takes((0x5000, 0x100)),
        Packet(100),
        sends(0x6000, 100),
        ReadMessage(),
        ReadMessage(),
        update(R, BACKING_SIZE, R),
    ],
    "is logged": [
        SetOwner(),
        *LOGGED,
        SetMemTable(regions=(HEADER, Region(0x1000, 0x9000, C + 3))),
        *ring(RECEIVE, flags=1, log=0x7000FFC),
        SetBackend(queue=RECEIVE),
        takes((0x1FF0, 200)),
        Packet(60),
    ],
}


@pytest.fixture(scope="module")
def kernel() -> Iterator[tuple[LinuxVm, Environment]]:
    target = LinuxVm("6.1")
    try:
        yield target, target.start()
    except TargetUnavailable as missing:
        pytest.skip(f"no kernel can be booted here: {missing}")
    finally:
        target.stop()


def compared(profile: Profile, trial: Trial, answer: Any) -> int:
    """How many steps agree with the spec, up to one at which the kernel is known to do otherwise."""
    assert isinstance(answer, Results), answer
    state = subject_of(trial.requests).fresh
    for number, (request, result) in enumerate(zip(trial.requests, answer.steps, strict=True)):
        before = state
        state, expected = step(profile, before, request)
        if known_here(("linux-6.1",), profile, before, request, expected):
            return number
        assert agrees(request, expected, result, UNSEEN), (
            f"{trial.id}, step {number}: {request}: {expected}, but {result}"
        )
    return len(trial.requests)


def test_the_real_device_agrees_with_the_spec(kernel: tuple[LinuxVm, Environment]) -> None:
    target, said = kernel
    trials = [Trial(name, tuple(requests)) for name, requests in SEQUENCES.items()]
    for trial, answer in zip(trials, target.run(trials), strict=True):
        assert compared(said.profile, trial, answer) == len(trial.requests)


def test_random_requests_agree(kernel: tuple[LinuxVm, Environment]) -> None:
    target, said = kernel
    trials = [Trial(f"seed {seed}", sequence(said.profile, seed, kernel=True)) for seed in range(100, 140)]
    answers = list(target.run(trials))
    skipped = [answer for answer in answers if isinstance(answer, Skipped)]
    assert len(skipped) <= 2, skipped
    steps = [
        compared(said.profile, trial, answer)
        for trial, answer in zip(trials, answers, strict=True)
        if not isinstance(answer, Skipped)
    ]
    assert sum(steps) > 1000


def test_what_a_device_says_of_itself_is_probed(kernel: tuple[LinuxVm, Environment]) -> None:
    _, said = kernel
    assert said.contradictions == ()
    assert (said.profile.max_regions, said.profile.iotlb_limit) == (64, 2048)
    assert {"transmit", "packet", "write_message"} < set(said.operations)
    assert not {"translate", "add_region"} & set(said.operations)


def test_limits_are_those_that_modules_were_told() -> None:
    told = (("vhost", "max_iotlb_entries=4 max_mem_regions=3"),)
    target = LinuxVm("6.1", options=MachineOptions(module_parameters=told))
    try:
        profile = target.start().profile
    except TargetUnavailable as missing:
        pytest.skip(f"no kernel can be booted here: {missing}")
    finally:
        target.stop()
    assert (profile.max_regions, profile.iotlb_limit) == (3, 4)


def test_a_lock_up_is_a_result_and_the_rest_goes_on() -> None:
    """Linux 5.10 takes an update of no bytes at 0 for the whole space, and then counts bytes up to it for ever."""
    setup = [SetOwner(), SetFeatures(VERSION_1 | ACCESS_PLATFORM), SetMemTable(), SetRingSize(queue=1, size=16)]
    addresses = SetRingAddresses(queue=1, desc=0, used=rings.USED, avail=rings.AVAIL)
    deadly = [*setup, addresses, update(0, 0, rings.desc_of(TRANSMIT)), SetBackend(queue=1), Kick(1)]
    good = tuple(SEQUENCES["sends"])
    target = LinuxVm("5.10")
    try:
        kernel_for("5.10")
        profile = target.start().profile
        trials = [Trial("before", good), Trial("deadly", tuple(deadly)), Trial("after", good)]
        answers = list(target.run(trials))
    except TargetUnavailable as missing:
        pytest.skip(f"no kernel can be booted here: {missing}")
    finally:
        target.stop()
    assert isinstance(answers[1], Crashed) and "soft lockup" in answers[1].report
    for index in (0, 2):
        assert compared(profile, trials[index], answers[index]) == len(good)


def test_a_program_does_what_its_steps_say(kernel: tuple[LinuxVm, Environment], tmp_path: Path) -> None:
    target, said = kernel
    for name in ("misses", "receives", "is logged", "tables", "owners", "messages"):
        state, steps = subject_of(SEQUENCES[name]).fresh, []
        for request in SEQUENCES[name]:
            state, outcome = step(said.profile, state, request)
            steps.append(Step(request, outcome))
        (tmp_path / "program.c").write_text(source(steps, said.profile, name))
        command = [compiler(), "-Wall", "-Wextra", "-Werror", "-static", "-o", "program", "program.c"]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
        lines = target.output_of(tmp_path / "program").splitlines()
        assert len(lines) == len(steps)
        for line in lines:
            expected, got = line.split("expected ", 1)[1].split(" got ", 1)
            assert expected.split("(")[0].strip() == got.split("(")[0].strip(), line
