"""Faults of a kernel, planted into a copy of the guest program: what the kernel did right is spoilt before it is seen.
Each must be seen.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from conformance.seen import ERRNO
from conformance.target import Answer, Environment, Errored, ErrorSeen, Results, TargetUnavailable, Trial
from conformance.targets.linux import build
from conformance.targets.linux.vm import LinuxVm
from spec.outcome import Ran
from tests.conformance.linux.test_vhost_vm import SEQUENCES

pytestmark = pytest.mark.vm

RING = "backing_bytes(RING_BACKING)"
USED = f"({RING} + 0x58000)"  # of the transmit queue
SIGNAL = 'uint64_t one = 1; if (write(error_events[1], &one, 8) != 8) fatal("no signal");'
WATCH, STEP = '#include "watch.h"\n', '#include "step.h"\n'

AFTER_A_RUN = "struct seen watch_end(struct device *device)\n{\n\tdevice_settle(device);\n"
AFTER_A_TABLE = "static void set_mem_table(struct device *device, const struct flat_step *step)\n{\n"
AFTER_A_READ = "ssize_t length = read(device->fd, &buffer, step->v[0]);\n"
AFTER_A_MESSAGE = "int error = taken < 0 ? errno : 0;\n"

# A name, the vector that meets it, the source and the place in it, what is done there, and words of the answer.
FAULTS = [
    ("another chain", "sends", "watch.c", AFTER_A_RUN, f"if ({USED}[2] == 1) {USED}[4] ^= 1;", "names descriptor"),
    ("bytes written", "sends", "watch.c", AFTER_A_RUN, f"if ({USED}[2] == 1) {USED}[8] = 4;", "bytes were written"),
    ("no index", "sends", "watch.c", AFTER_A_RUN, f"{USED}[2] = 0;", "but 0 chains are reported"),
    ("a far index", "sends", "watch.c", AFTER_A_RUN, f"{USED}[2] += 7;", "used index of queue 1 went"),
    ("a wild write", "sends", "watch.c", AFTER_A_RUN, f"{RING}[0x70007] = 1;", "0x140000070007"),
    (
        "a wrong byte",
        "a large packet",
        "watch.c",
        AFTER_A_RUN,
        "if (backing_bytes(2)[4000] != 0xee && *(uint16_t *)(void *)(" + RING + " + 0x18002) == 1)"
        " backing_bytes(2)[4000] ^= 0x41;",
        "is not what was sent to it",
    ),
    (
        "a length",
        "a large packet",
        "watch.c",
        AFTER_A_RUN,
        f"if ({RING}[0x18002] == 1) {RING}[0x18008] += 4;",
        "is not what was sent to it",
    ),
    ("an error unasked", "sends", "device_steps.c", AFTER_A_TABLE, SIGNAL, "signalled an error because of a step"),
    ("a mark unasked", "sends", "device_steps.c", AFTER_A_TABLE, "backing_bytes(LOG_BACKING)[9] = 1;", "were marked"),
    ("a write unasked", "sends", "device_steps.c", AFTER_A_TABLE, "backing_bytes(1)[9] = 1;", "memory was written"),
    ("a loud refusal", "messages", "device_steps.c", AFTER_A_MESSAGE, f"if (error != 0) {{ {SIGNAL} }}", "was refused"),
    ("a miss with a size", "misses", "device_steps.c", AFTER_A_READ, "buffer.message.iotlb.size = 1;", "is no miss"),
]


def sources(directory: Path, changes: list[tuple[str, str, str]]) -> Path:
    """A copy of the guest program's sources in which these places of files read otherwise."""
    copy = directory / "guest"
    shutil.copytree(build.SOURCES, copy)
    for name, place, text in changes:
        source = (copy / name).read_text()
        assert source.count(place) == 1, (name, place)
        (copy / name).write_text(source.replace(place, text))
    return copy


def answers_of(trials: list[Trial]) -> tuple[Environment, list[Answer]]:
    target = LinuxVm("6.1")
    try:
        return target.start(), list(target.run(trials))
    except TargetUnavailable as missing:
        pytest.skip(f"no kernel can be booted here: {missing}")
    finally:
        target.stop()


def planted() -> list[tuple[str, str, str]]:
    """All faults, each at the vector of its number."""
    begins = "watchdog_expect(vector->index);\n"
    changes = [
        ("device.h", "#define QUEUES 2\n", "#define QUEUES 2\nextern unsigned planted;\n"),
        ("device.c", "bool device_there;\n", "bool device_there;\nunsigned planted;\n"),
        ("run.c", begins, begins + "planted = vector->index;\n"),
        *((name, WATCH, WATCH + '#include "backings.h"\n') for name in ("watch.c", "device_steps.c")),
        ("device_steps.c", STEP, STEP + '#include "channel.h"\n'),
    ]
    for name, place in dict.fromkeys((fault[2], fault[3]) for fault in FAULTS):
        here = [(number, fault[4]) for number, fault in enumerate(FAULTS) if fault[3] == place]
        text = "".join(f"if (planted == {number}) {{ {what} }}\n" for number, what in here)
        changes.append((name, place, place + text))
    return changes


def test_each_fault_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "SOURCES", sources(tmp_path, planted()))
    _, answers = answers_of([Trial(fault[0], tuple(SEQUENCES[fault[1]])) for fault in FAULTS])
    for fault, answer in zip(FAULTS, answers, strict=True):
        assert isinstance(answer, Errored) and fault[5] in answer.trace, (fault[0], answer)


def test_errors_are_counted_and_a_log_without_errnos_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without dynamic debug the kernel's log says nothing; and an error more is signalled than the kernel did."""
    control = 'write_file("/proc/dynamic_debug/control", "module {} +p");'
    silence = [("boot.c", control.format(name), "") for name in ("vhost", "vhost_net")]
    signal = f"if (device->queue[1].available > 0) {{ {SIGNAL} }}\n"
    monkeypatch.setattr(build, "SOURCES", sources(tmp_path, [*silence, ("watch.c", AFTER_A_RUN, AFTER_A_RUN + signal)]))
    said, (answer,) = answers_of([Trial("a hole", tuple(SEQUENCES["a hole"]))])
    assert "no errno" in said.facts["vhost_errors"] and ERRNO in said.unseen
    assert isinstance(answer, Results)
    errors: list[Any] = [step.events for step in answer.steps[-2:] if isinstance(step, Ran)]
    assert errors == [(ErrorSeen(None, 2),)] * 2
