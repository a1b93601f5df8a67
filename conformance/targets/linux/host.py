"""The kernel that runs here, through its /dev/kvm, as a target."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from conformance.target import (
    Answer,
    Crashed,
    Environment,
    Skipped,
    TargetFailed,
    TargetUnavailable,
    Trial,
)
from conformance.targets.linux import flat
from conformance.targets.linux.build import guest_program
from conformance.targets.linux.flat_step import Garbled, Unsuitable
from conformance.targets.linux.memory import available_bytes, kernel_bytes
from conformance.targets.linux.profile import environment_from
from conformance.targets.linux.vm import MOST_CRASHES, answer_from
from spec.profile import Profile

DEVICE = Path("/dev/kvm")
SILENCE_SECONDS = 60.0
MEMORY_SHARE = 8  # a vector may take one part in so many of the memory that is available


class ProgramDied(Exception):
    """The guest program ended, hung or sent garbage before it was done."""


class Program:
    """The guest program as a process on this machine. Use it in a `with` block."""

    def __init__(self, program: Path, vectors: bytes) -> None:
        self.scratch = tempfile.TemporaryDirectory(prefix="gpaspec-host-")
        directory = Path(self.scratch.name)
        self.complaints = directory / "stderr"
        (directory / "vectors").write_bytes(vectors)
        with self.complaints.open("wb") as stderr:
            self.process = subprocess.Popen(
                [str(program), str(directory / "vectors")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                # In order, so that a vector which kills the program is known at once; the host is fast enough.
                env={**os.environ, "GPASPEC_ONE_BY_ONE": "1"},
            )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def frames(self) -> Iterator[flat.Frame]:
        """The frames as they come, until the program has ended. Raises ProgramDied after the last good one."""
        assert self.process.stdout is not None
        reader = flat.FrameReader()
        output = self.process.stdout.fileno()
        while True:
            ready, _, _ = select.select([output], [], [], SILENCE_SECONDS)
            if not ready:
                raise ProgramDied(f"it hung: no sign of life for {SILENCE_SECONDS:.0f} s")
            data = os.read(output, 1 << 16)
            if not data:
                break
            try:
                yield from reader.feed(data)
            except Garbled as garbled:
                raise ProgramDied(f"what it sent is garbled: {garbled}") from None

    def ending(self) -> str:
        """How the process ended, and what it complained about."""
        deadline = time.monotonic() + 5
        while self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        code = self.process.poll()
        how = "it still runs" if code is None else f"it ended with {code}"
        if code is not None and code < 0:
            how = f"it died of {signal.Signals(-code).name}"
        return f"{how}\n{self.complaints.read_text(errors='replace')[-2000:]}".strip()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=30)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.scratch.cleanup()


class LinuxHost:
    """/dev/kvm of this machine. The kernel here is not ours to crash: vectors run one after another in one process."""

    def __init__(self, name: str = "linux-host") -> None:
        self.name = name
        self.program: Path | None = None
        self.profile = Profile()
        self.running: Program | None = None

    def start(self) -> Environment:
        """Build the guest program and ask the kernel for its profile. Raises TargetUnavailable without /dev/kvm."""
        if not DEVICE.exists():
            raise TargetUnavailable(f"{DEVICE} is not here: this machine offers no virtualisation to run vectors on")
        if not os.access(DEVICE, os.R_OK | os.W_OK):
            raise TargetUnavailable(f"{DEVICE} cannot be opened: become a member of its group, or run as root")
        self.program = guest_program()
        with Program(self.program, flat.encode_file([])) as program:
            try:
                for frame in program.frames():
                    if frame.kind == flat.HELLO:
                        said = environment_from(self.name, frame.payload, {"accelerator": "none: the kernel itself"})
                        self.profile = said.profile
                        return said
                    if frame.kind == flat.FATAL:
                        raise TargetFailed(f"{self.name}: {frame.payload.decode(errors='replace')}")
            except ProgramDied as died:
                raise TargetFailed(f"{self.name}: {died}; {program.ending()}") from None
            raise TargetFailed(f"{self.name}: the guest program said nothing; {program.ending()}")

    def run(self, trials: Sequence[Trial]) -> Iterator[Answer]:
        """Answer each trial, in order."""
        if self.program is None:
            raise TargetFailed(f"{self.name} was not started")
        unsuitable: dict[int, Answer] = {}
        records: dict[int, bytes] = {}
        budget = available_bytes() // MEMORY_SHARE
        for number, trial in enumerate(trials):
            try:
                records[number] = flat.encode_vector(number, trial)
            except Unsuitable as misfit:
                unsuitable[number] = Skipped(trial.id, f"the kernel's interface has no room for it: {misfit}")
                continue
            needed = kernel_bytes(self.profile, trial.requests)
            if needed > budget:
                del records[number]
                reason = f"its slots could take {needed >> 20} MiB of this machine's kernel memory: run it in a VM"
                unsuitable[number] = Skipped(trial.id, reason)
        position = 0
        crashes = 0
        while position < len(trials):
            if position in unsuitable:
                yield unsuitable[position]
                position += 1
                continue
            for answer in self.run_process(trials, records):
                while position in unsuitable:
                    yield unsuitable[position]
                    position += 1
                yield answer
                position += 1
                crashes += isinstance(answer, Crashed)
            if crashes > MOST_CRASHES:
                raise TargetFailed(f"{self.name}: the guest program crashed {crashes} times")

    def run_process(self, trials: Sequence[Trial], records: dict[int, bytes]) -> Iterator[Answer]:
        """The answers of one process, in order; what is answered is taken out of `records`."""
        assert self.program is not None
        current: int | None = None
        with Program(self.program, flat.encode_file(list(records.values()))) as program:
            self.running = program
            cause = "it ended before it was done"
            try:
                for frame in program.frames():
                    if frame.kind == flat.BEGIN:
                        current = frame.index
                    elif frame.kind == flat.FATAL:
                        raise TargetFailed(f"{self.name}: {frame.payload.decode(errors='replace')}")
                    elif frame.kind == flat.END:
                        return
                    elif frame.kind != flat.HELLO:
                        if frame.index != current or current not in records:
                            raise ProgramDied(f"it answered vector {frame.index}, which is not the one that runs")
                        del records[current]
                        yield answer_from(trials[current], frame)
            except ProgramDied as died:
                cause = str(died)
            finally:
                self.running = None
            if current is None or current not in records:
                raise TargetFailed(f"{self.name}: {cause}; {program.ending()}")
            del records[current]
            yield Crashed(trials[current].id, f"the guest program died at this vector: {cause}; {program.ending()}")

    def stop(self) -> None:
        """End the process if one runs. Safe to call twice."""
        if self.running is not None:
            self.running.close()
            self.running = None
        self.program = None
