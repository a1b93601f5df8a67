"""A Linux kernel in a virtual machine, as a target."""

from __future__ import annotations

import contextlib
import queue
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
from conformance.targets.linux.flat_step import Garbled, Unsuitable
from conformance.targets.linux.modules import (
    Module,
    in_load_order,
    index,
    is_kernel,
    of_another_release,
    taken_from,
)
from conformance.targets.linux.profile import environment_from
from conformance.targets.linux.qemu import Machine, MachineDied, MachineOptions, qemu_program

DEVICE_MODULES = ("tun", "tap", "vhost_net")
MOST_CRASHES = 20  # of one shard; after that the kernel is too broken to go on


@dataclass
class Shard:
    """The vectors of one machine after another. `records` are those that have no answer yet, by number."""

    trials: dict[int, Trial]
    records: dict[int, bytes]


@dataclass(frozen=True)
class Death:
    """The end of a machine before its time: the vectors that may have caused it, in order, the one that most likely
    did (None: no vector had begun), and why."""

    suspects: tuple[int, ...]
    guilty: int | None
    report: str


AnswerQueue = queue.Queue[tuple[int, Answer] | BaseException | None]


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
        self.loaded: list[Module] = []
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
        self.loaded = in_load_order((self.vendor_module(), *DEVICE_MODULES), available)
        parameters = dict(self.options.module_parameters)
        self.system().write_bytes(initramfs.system(program.read_bytes(), self.loaded, parameters))
        facts = {
            "image": self.kernel.description,
            "accelerator": self.options.accelerator,
            "modules": " ".join(module.name for module in self.loaded) or "built in",
        }
        facts |= {f"parameters_of_{module}": told for module, told in self.options.module_parameters}
        if self.own_modules is not None:
            facts["own_modules"] = taken_from(self.own_modules, self.loaded)
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
            if not is_kernel(self.own_kernel):
                raise TargetUnavailable(f"{self.own_kernel} is no kernel for x86: neither a bzImage nor an ELF file")
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
                        why = frame.payload.decode(errors="replace") + self.misfits()
                        raise TargetFailed(f"{self.name}: {why}\n{machine.last_words()}")
                    elif frame.kind == flat.END and said is not None:
                        return said
            except MachineDied as died:
                text = f"{self.name}: {died}\n{machine.last_words()}"
                if self.options.accelerator != "tcg":
                    unusable = f"-accel {self.options.accelerator} does not work here, leave it out: {text}"
                    raise TargetUnavailable(unusable) from None
                raise TargetFailed(text) from None
            raise TargetFailed(f"{self.name}: the machine ended before it said anything\n{machine.last_words()}")

    def misfits(self) -> str:
        """Modules of another release than the kernel's, as more words about a failure."""
        assert self.kernel is not None
        words = of_another_release(self.loaded, self.kernel.image)
        return f" ({words})" if words else ""

    def output_of(self, program: Path) -> str:
        """Run a static program (a reproducer, say) in a machine of its own: what it prints.

        Raises TargetFailed if the machine dies of it or the program ends with another status than 0.
        """
        if self.kernel is None:
            raise TargetFailed(f"{self.name} was not started")
        with self.boot_with(initramfs.program(program.read_bytes()), ()) as machine:
            cause = "the machine ended before the program did"
            try:
                for frame in machine.frames():
                    if frame.kind == flat.OUTPUT:
                        text = frame.payload.decode(errors="replace")
                        if frame.index == 0:
                            return text
                        cause = f"the program ended with {frame.index}: {text}"
            except MachineDied as died:
                cause = str(died)
            raise TargetFailed(f"{self.name}: {cause}\n{machine.last_words()}")

    def boot(self, records: Sequence[bytes], words: tuple[str, ...] = ()) -> contextlib.AbstractContextManager[Machine]:
        """A machine that runs these vectors; it is ended when the block is left."""
        return self.boot_with(initramfs.vectors(flat.encode_file(records)), words)

    @contextlib.contextmanager
    def boot_with(self, content: bytes, words: tuple[str, ...]) -> Iterator[Machine]:
        """A machine with this archive beside the system's."""
        assert self.kernel is not None
        options = replace(self.options, command_line=(*self.options.command_line, *words))
        try:
            started = Machine(self.kernel.image, self.system(), content, options)
        except OSError as error:
            where = tempfile.gettempdir()
            raise TargetFailed(f"{self.name}: no machine can be started with its files in {where}: {error}") from error
        with started as machine:
            with self.lock:
                self.machines.add(machine)
            try:
                yield machine
            finally:
                with self.lock:
                    self.machines.discard(machine)

    # RUN -----------------------------------------------------------------------------------------------------------

    def run(self, trials: Sequence[Trial]) -> Iterator[Answer]:
        """Answer each trial, in order. A crash costs the vector that ran; the rest goes on in a fresh machine."""
        if self.kernel is None:
            raise TargetFailed(f"{self.name} was not started")
        answers: AnswerQueue = queue.Queue()
        ready: dict[int, Answer] = {}
        records: dict[int, bytes] = {}
        for number, trial in enumerate(trials):
            try:
                records[number] = flat.encode_vector(number, trial)
            except Unsuitable as unsuitable:
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

    def run_shard(self, shard: Shard, answers: AnswerQueue) -> None:
        """Run a shard to its end, machine after machine."""
        try:
            crashes = 0
            while shard.records and not self.stopping:
                death = self.run_machine(shard, sorted(shard.records), answers)
                if death is None and self.stopping:
                    return
                if death is None:
                    self.expect_none_left(shard)
                    continue
                self.blame(shard, death, answers)
                crashes += 1
                if crashes > MOST_CRASHES and shard.records:
                    left = len(shard.records)
                    raise TargetFailed(
                        f"{self.name} crashed {crashes} times; {left} vectors were not run\n{death.report}"
                    )
        except BaseException as broken:  # handed to the thread that waits for answers
            if not self.stopping:
                answers.put(broken)
        finally:
            answers.put(None)

    def expect_none_left(self, shard: Shard) -> None:
        """A guest that says that it is done has answered all. Another machine would not do better."""
        if shard.records:
            first = shard.trials[min(shard.records)].id
            raise TargetFailed(
                f"{self.name}: the guest program ended without an answer to {len(shard.records)} vectors, the first "
                f"of them {first}"
            )

    def blame(self, shard: Shard, death: Death, answers: AnswerQueue) -> None:
        """Find the vector that a machine died of. VMs are taken down beside later vectors, so there may be several
        suspects: then each runs alone, one after another, in a machine of its own kind."""
        guilty, report = death.guilty, death.report
        if guilty is None:
            raise TargetFailed(f"{self.name}: {death.report}")
        if len(death.suspects) > 1:
            held: AnswerQueue = queue.Queue()
            alone = self.run_machine(shard, death.suspects, held, one_by_one=True)
            if alone is not None and alone.guilty is not None:
                guilty, report = alone.guilty, alone.report
            else:
                report += "\n(The machine did not die again when the last vectors ran one by one.)"
            while not held.empty():
                item = held.get()
                if isinstance(item, tuple) and item[0] != guilty:
                    answers.put(item)
        shard.records.pop(guilty, None)
        answers.put((guilty, Crashed(shard.trials[guilty].id, f"the machine died at this vector: {report}")))

    def run_machine(
        self, shard: Shard, numbers: Sequence[int], answers: AnswerQueue, one_by_one: bool = False
    ) -> Death | None:
        """Run these vectors of a shard in one machine; how it died, if it did before it was done.

        The console is ahead of the frames. When it has a report of a bug, vectors that ran before the one it is about
        may have no answer yet, and that one need not have begun as far as we have read. One by one, the console says
        which it is, and the others' answers are taken. Else all that began without an answer are suspects.
        """
        begun: dict[int, None] = {}
        words = ("GPASPEC_ONE_BY_ONE=1",) if one_by_one else ()
        with self.boot([shard.records[number] for number in numbers], words) as machine:
            cause = "it ended before it was done"
            console, frames = machine.console, machine.frames()
            try:
                for frame in frames:
                    if frame.kind == flat.HELLO:
                        console.begin()
                    elif frame.kind == flat.BEGIN:
                        begun[frame.index] = None
                    elif frame.kind == flat.FATAL:
                        raise TargetFailed(f"{self.name}: {frame.payload.decode(errors='replace')}")
                    elif frame.kind == flat.END:
                        console.read()
                        if console.alarmed:
                            raise MachineDied("the kernel reported a bug after the last vector")
                        return None
                    else:
                        if frame.index not in begun:
                            raise MachineDied(f"it answered vector {frame.index}, which it had not begun")
                        console.read()
                        another = console.blamed != frame.index and console.blamed in shard.records
                        if console.alarmed and not another:
                            raise MachineDied("the kernel reported a bug")
                        del begun[frame.index], shard.records[frame.index]
                        answers.put((frame.index, answer_from(shard.trials[frame.index], frame)))
            except MachineDied as died:
                cause = str(died)
            machine.kill()
            if self.stopping:
                return None
            last = next(reversed(begun), None)
            begun |= dict.fromkeys(begun_in(frames))
            console.read()
            guilty = last if console.blamed is None else console.blamed
            return Death(tuple(begun), guilty, f"{cause}\n{machine.last_words()}")

    # STOP ----------------------------------------------------------------------------------------------------------

    def end_machines(self) -> None:
        """End every machine that runs."""
        self.stopping = True
        with self.lock:
            machines = list(self.machines)
        for machine in machines:
            machine.kill()

    def stop(self) -> None:
        """End every machine and remove what was built for them. Safe to call twice."""
        self.end_machines()
        if self.scratch is not None:
            self.scratch.cleanup()
            self.scratch = None
        self.kernel = None


def begun_in(rest: Iterator[flat.Frame]) -> list[int]:
    """The vectors that began in the frames that a machine which was ended has sent and nobody has read."""
    found: list[int] = []
    with contextlib.suppress(MachineDied):
        found += (frame.index for frame in rest if frame.kind == flat.BEGIN)
    return found


def answer_from(trial: Trial, frame: flat.Frame) -> Answer:
    """The answer that a frame has for a trial."""
    text = frame.payload.decode(errors="replace")
    if frame.kind == flat.SKIPPED:
        return Skipped(trial.id, text)
    if frame.kind == flat.ERRORED:
        return Errored(trial.id, text)
    try:
        steps = flat.decode_results(frame.payload)
    except Garbled as garbled:
        return Errored(trial.id, f"its results are garbled: {garbled}")
    if frame.kind != flat.RESULTS or len(steps) != len(trial.requests):
        return Errored(trial.id, f"{len(steps)} results for {len(trial.requests)} steps (frame {frame.kind})")
    return Results(trial.id, steps)
