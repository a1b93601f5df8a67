"""A Linux kernel in a virtual machine, as a target."""

from __future__ import annotations

import queue
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from conformance.target import (
    Answer,
    Crashed,
    Environment,
    Errored,
    Results,
    Skipped,
    TargetFailed,
    TargetUnavailable,
    Trial,
)
from conformance.targets.linux import flat, initramfs
from conformance.targets.linux.build import guest_program
from conformance.targets.linux.fetch import Kernel, kernel_for
from conformance.targets.linux.modules import in_load_order, index
from conformance.targets.linux.profile import environment_from
from conformance.targets.linux.qemu import Machine, MachineDied, MachineOptions, qemu_program

MOST_REBOOTS = 20  # in a row of crashes; after that the kernel is too broken to go on


@dataclass
class Shard:
    """The vectors of one machine after another: those that have no answer yet, by index."""

    trials: dict[int, Trial]
    records: dict[int, bytes]
    reboots: int = 0
    running: int | None = None
    answers: dict[int, Answer] = field(default_factory=dict)


class LinuxVm:
    """A kernel by Debian version ("6.1"), or the user's own image, booted in QEMU.

    `modules` is a directory of modules. With a version, those in it take the place of the distribution's; with a
    `kernel` image, they are all there are (None: everything is built in). `jobs` machines run at the same time.
    """

    def __init__(
        self,
        version: str | None = None,
        *,
        kernel: Path | None = None,
        modules: Path | None = None,
        jobs: int = 1,
        options: MachineOptions | None = None,
        name: str | None = None,
    ) -> None:
        if (version is None) == (kernel is None):
            raise ValueError("give either a version or a kernel image")
        self.version = version
        self.own_kernel = kernel
        self.own_modules = modules
        self.jobs = max(1, jobs)
        self.options = options or MachineOptions()
        self.name = name or (f"linux-{version}" if version else f"linux-{Path(str(kernel)).name}")
        self.kernel: Kernel | None = None
        self.scratch: tempfile.TemporaryDirectory[str] | None = None
        self.machines: set[Machine] = set()
        self.lock = threading.Lock()
        self.stopping = False

    # START ---------------------------------------------------------------------------------------------------------

    def start(self) -> Environment:
        """Get the kernel, build what it boots from, boot it once and ask it for its profile.

        Raises TargetUnavailable with what is missing, or TargetFailed with the console of a machine that did not boot.
        """
        qemu_program()
        program = guest_program()
        self.kernel = self.find_kernel()
        self.stopping = False
        self.scratch = tempfile.TemporaryDirectory(prefix="gpaspec-linux-")
        available = index(self.kernel.modules) if self.kernel.modules else {}
        if self.version is not None and self.own_modules is not None:
            available |= index(self.own_modules)
        ordered = in_load_order((self.vendor_module(),), available)
        self.system().write_bytes(initramfs.system(program.read_bytes(), ordered))
        facts = {
            "image": self.kernel.description,
            "accelerator": self.options.accelerator,
            "modules": " ".join(module.name for module in ordered) or "built in",
        }
        return environment_from(self.name, self.hello(), facts)

    def system(self) -> Path:
        assert self.scratch is not None
        return Path(self.scratch.name) / "system.cpio"

    def find_kernel(self) -> Kernel:
        for directory in (self.own_modules,):
            if directory is not None and not directory.is_dir():
                raise TargetUnavailable(f"{directory} is not a directory of kernel modules")
        if self.own_kernel is not None:
            if not self.own_kernel.is_file():
                raise TargetUnavailable(f"there is no kernel image {self.own_kernel}")
            return Kernel(self.own_kernel, self.own_modules, str(self.own_kernel))
        assert self.version is not None
        return kernel_for(self.version)

    def vendor_module(self) -> str:
        """The module that drives the virtualisation which the machine has: QEMU's own emulation has AMD's."""
        if self.options.accelerator == "tcg":
            return "kvm_amd"
        return "kvm_intel" if "GenuineIntel" in Path("/proc/cpuinfo").read_text() else "kvm_amd"

    def hello(self) -> bytes:
        """What the kernel says of itself: boot it without a vector."""
        with self.boot([]) as machine:
            said: bytes | None = None
            try:
                for frame in machine.frames():
                    if frame.kind == flat.HELLO:
                        said = frame.payload
                    elif frame.kind == flat.FATAL:
                        raise TargetFailed(
                            f"{self.name}: {frame.payload.decode(errors='replace')}\n{machine.last_words()}"
                        )
                    elif frame.kind == flat.END and said is not None:
                        return said
            except MachineDied as died:
                raise TargetFailed(f"{self.name}: {died}\n{machine.last_words()}") from None
            raise TargetFailed(f"{self.name}: the machine ended before it said anything\n{machine.last_words()}")

    def boot(self, records: Sequence[bytes]) -> Machine:
        assert self.kernel is not None
        vectors = initramfs.vectors(flat.encode_file(records))
        machine = Machine(self.kernel.image, self.system(), vectors, self.options)
        with self.lock:
            self.machines.add(machine)
        return machine

    # RUN -----------------------------------------------------------------------------------------------------------

    def run(self, trials: Sequence[Trial]) -> Iterator[Answer]:
        """Answer each trial, in order. A crash costs the vector that ran; the rest goes on in a fresh machine."""
        if self.kernel is None:
            raise TargetFailed(f"{self.name} was not started")
        answers: queue.Queue[tuple[int, Answer] | BaseException | None] = queue.Queue()
        ready: dict[int, Answer] = {}
        records: dict[int, bytes] = {}
        for number, trial in enumerate(trials):
            try:
                records[number] = flat.encode_vector(number, trial)
            except flat.Unsuitable as unsuitable:
                ready[number] = Skipped(trial.id, f"the kernel's interface has no room for it: {unsuitable}")
        threads = [
            threading.Thread(target=self.run_shard, args=(shard, answers), daemon=True)
            for shard in self.shards(trials, records)
        ]
        for thread in threads:
            thread.start()
        working = len(threads)
        try:
            for number in range(len(trials)):
                while number not in ready:
                    if working == 0:
                        raise TargetFailed(f"{self.name}: vector {trials[number].id} got no answer")
                    item = answers.get()
                    if item is None:
                        working -= 1
                    elif isinstance(item, BaseException):
                        raise item
                    else:
                        ready[item[0]] = item[1]
                yield ready.pop(number)
        finally:
            self.end_machines()
            for thread in threads:
                thread.join(timeout=60)
            self.stopping = False

    def shards(self, trials: Sequence[Trial], records: dict[int, bytes]) -> list[Shard]:
        """The vectors in as many even parts as machines may run, neighbours together so that answers flow in order."""
        numbers = sorted(records)
        shards = []
        for job in range(self.jobs):
            mine = numbers[job :: self.jobs]
            if mine:
                shards.append(Shard({n: trials[n] for n in mine}, {n: records[n] for n in mine}))
        return shards

    def run_shard(self, shard: Shard, answers: queue.Queue[tuple[int, Answer] | BaseException | None]) -> None:
        """Run a shard to its end, machine after machine."""
        try:
            while shard.records and not self.stopping:
                self.run_machine(shard, answers)
                if shard.reboots > MOST_REBOOTS:
                    raise TargetFailed(
                        f"{self.name} crashed {shard.reboots} times; {len(shard.records)} vectors were not run"
                    )
        except BaseException as broken:  # handed to the thread that waits for answers
            if not self.stopping:
                answers.put(broken)
        finally:
            answers.put(None)

    def run_machine(self, shard: Shard, answers: queue.Queue[tuple[int, Answer] | BaseException | None]) -> None:
        """Run as much of a shard as one machine lives for."""

        def answered(number: int, answer: Answer) -> None:
            del shard.records[number]
            shard.running = None
            answers.put((number, answer))

        shard.running = None
        said_hello = False
        with self.boot(list(shard.records.values())) as machine:
            cause = "it ended before it was done"
            try:
                for frame in machine.frames():
                    if frame.kind == flat.HELLO:
                        said_hello = True
                    elif frame.kind == flat.BEGIN:
                        shard.running = frame.index
                    elif frame.kind == flat.FATAL:
                        raise TargetFailed(f"{self.name}: {frame.payload.decode(errors='replace')}")
                    elif frame.kind == flat.END:
                        return
                    elif frame.index == shard.running and frame.index in shard.records:
                        trial = shard.trials[frame.index]
                        if machine.alarm():
                            cause = "the kernel reported a bug"
                            break
                        answered(frame.index, answer_from(trial, frame))
                    else:
                        raise MachineDied(f"it answered vector {frame.index}, which is not the one that runs")
            except MachineDied as died:
                cause = str(died)
            if self.stopping:
                return
            shard.reboots += 1
            words = machine.last_words()
            if shard.running is not None and shard.running in shard.records:
                trial = shard.trials[shard.running]
                answered(shard.running, Crashed(trial.id, f"the machine died at this vector: {cause}\n{words}"))
            elif not said_hello or shard.reboots > MOST_REBOOTS:
                raise TargetFailed(f"{self.name}: {cause}\n{words}")

    # STOP ----------------------------------------------------------------------------------------------------------

    def end_machines(self) -> None:
        """End every machine that runs."""
        self.stopping = True
        with self.lock:
            machines, self.machines = list(self.machines), set()
        for machine in machines:
            machine.kill()

    def stop(self) -> None:
        """End every machine and remove what was built for them. Safe to call twice."""
        self.end_machines()
        if self.scratch is not None:
            self.scratch.cleanup()
            self.scratch = None
        self.kernel = None


def answer_from(trial: Trial, frame: flat.Frame) -> Answer:
    """The answer that a frame has for a trial."""
    text = frame.payload.decode(errors="replace")
    if frame.kind == flat.SKIPPED:
        return Skipped(trial.id, text)
    if frame.kind == flat.ERRORED:
        return Errored(trial.id, text)
    try:
        steps = flat.decode_results(frame.payload)
    except flat.Garbled as garbled:
        return Errored(trial.id, f"its results are garbled: {garbled}")
    if frame.kind != flat.RESULTS or len(steps) != len(trial.requests):
        return Errored(trial.id, f"{len(steps)} results for {len(trial.requests)} steps (frame {frame.kind})")
    return Results(trial.id, steps)
