"""What a kernel says on its console is said of the right vector, also by a host that reads the frames late."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from conformance.target import Crashed
from conformance.targets.linux import flat
from conformance.targets.linux.flat import Frame
from conformance.targets.linux.qemu import Machine, MachineOptions
from conformance.targets.linux.vm import LinuxVm
from tests.conformance.linux.test_linux_vm import TRIALS, agrees, started

LATE = 2  # seconds: more than the kernel needs for all of these vectors


@pytest.mark.vm
@pytest.mark.slow
@pytest.mark.parametrize("word", ["GPASPEC_ALARM", "GPASPEC_CRASH"])
@pytest.mark.parametrize("kind", [flat.HELLO, flat.BEGIN], ids=["before hello", "after hello"])
@pytest.mark.parametrize("vector", [4, len(TRIALS) - 1])
def test_a_host_that_reads_late_blames_the_right_vector(
    word: str, kind: int, vector: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Machine.frames

    def read_late(machine: Machine) -> Iterator[Frame]:
        waited = False
        for frame in read(machine):
            if frame.kind == kind and not waited:
                waited = True
                time.sleep(LATE)
            yield frame

    options = MachineOptions(command_line=(f"{word}={vector}",))
    with started(LinuxVm("6.1", options=options)) as (target, profile):
        monkeypatch.setattr(Machine, "frames", read_late)
        answers = list(target.run(TRIALS))
    assert [answer.id for answer in answers] == [trial.id for trial in TRIALS]
    assert [number for number, answer in enumerate(answers) if isinstance(answer, Crashed)] == [vector]
    for number, answer in enumerate(answers):
        if number != vector:
            agrees(profile, answer)
