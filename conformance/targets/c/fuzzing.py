"""The C library beside the naive model, for many operations: `python -m conformance.targets.c.fuzzing`.

Exit codes: 0, both did the same; 1, they did not, or a sanitizer ended the program; 2, it cannot be run.
"""

from __future__ import annotations

import argparse
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import IO

from conformance.files import load_vectors
from conformance.target import TargetUnavailable
from conformance.targets.c import build
from conformance.targets.c.fuzz_build import Program, fuzz_program
from conformance.targets.c.fuzz_replay import Differs, Replay, Replayed, Unreadable, replay
from conformance.targets.c.fuzz_replay_slots import Slots
from conformance.targets.c.fuzz_replay_vhost import Device, Table
from conformance.targets.c.fuzz_seeds import write_seeds

OUT = Path("out") / "fuzz-c"
# What of the spec follows which subject.
SPEC: dict[str, Callable[[dict[str, int]], Replayed]] = {"map": Slots, "table": Table, "device": Device}
LONGEST_INPUT = 1024  # bytes
SECONDS_FOR_ONE_INPUT = 60
SECONDS_TO_TELL = 120
SECONDS_FOR_LAST_WORDS = 30  # of a job that was told to end
MEGABYTES = 2048
INTERRUPTED = 72  # libFuzzer was told to end
SLOWEST = 2000  # operations a second: a job that is slower than this hangs
PROGRESS = re.compile(r"fuzz: (\w+) operations=(\d+) inputs=(\d+)")
ARTIFACTS = ("crash-*", "timeout-*", "oom-*", "leak-*", "slow-unit-*")
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "abort_on_error=1:detect_leaks=1:allocator_may_return_null=1:quarantine_size_mb=64",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
}


@dataclass(frozen=True)
class Finding:
    """An input at which something else happened: where it is kept, and what it does, in words."""

    path: Path
    account: str


@dataclass
class Result:
    """What was done, and what was found."""

    program: Program
    operations: int = 0
    inputs: int = 0
    seeds: int = 0
    seconds: float = 0.0
    replay: Replay = field(default_factory=Replay)  # what was done on the spec, too
    replayed_inputs: int = 0
    findings: list[Finding] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)  # a job that ended otherwise than it should

    def exit_code(self) -> int:
        if self.findings:
            return 1
        return 2 if self.troubles else 0


@dataclass
class Job:
    """One process of the fuzzer, and how far it is."""

    process: subprocess.Popen[str]
    prefix: Path
    log: Path
    operations: int = 0
    inputs: int = 0


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, **SANITIZER_OPTIONS, **more}


# Jobs ---------------------------------------------------------------------------------------------------------------


def start(program: Program, directory: Path, number: int, operations: int, seed: int) -> Job:
    prefix = directory / f"job{number}-"
    log = directory / f"job{number}.log"
    command = [str(program.path), f"-seed={seed + number}", f"-artifact_prefix={prefix}"]
    if program.libfuzzer:
        command += [f"-max_len={LONGEST_INPUT}", f"-timeout={SECONDS_FOR_ONE_INPUT}", f"-rss_limit_mb={MEGABYTES}"]
        command += ["-verbosity=0", "-len_control=20", "-reload=20"]
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*command, str(directory / "corpus")],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=directory,
            env=environment(GPAMAP_FUZZ_OPERATIONS=str(operations)),
        )
    return Job(process, prefix, log)


def listen(number: int, lines: IO[str], said: queue.Queue[tuple[int, str]]) -> None:
    """A thread for each job: what it says goes to one place."""
    with lines:
        for line in lines:
            said.put((number, line))
    said.put((number, ""))


def run(
    operations: int,
    seconds: float | None = None,
    jobs: int = 1,
    base: Path = build.HERE,
    out: Path = OUT,
    seed: int = 1,
    libfuzzer: bool = True,
    replays: int = 0,
    progress: Callable[[int, int, float], None] = lambda operations, inputs, seconds: None,
) -> Result:
    """Do so many operations in so many processes, or as many as there is time for; end at the first finding.

    `seed` is at least 1; another one gives other inputs. `replays` inputs, of those that the vectors gave and those
    that were found to do something new, are done on the spec, too. Raises TargetUnavailable.
    """
    result = Result(fuzz_program(base, libfuzzer))
    limit = seconds if seconds is not None else 60 + operations / SLOWEST
    with tempfile.TemporaryDirectory(prefix="gpaspec-fuzz-") as name:
        directory = Path(name)
        result.seeds = write_seeds(load_vectors(), directory / "corpus")
        started = time.monotonic()
        share = -(-operations // jobs)
        running = [start(result.program, directory, number, share, seed) for number in range(jobs)]
        try:
            watch(running, started + limit, started, progress)
            timed_out = [job for job in running if job.process.poll() is None]
            end(running)
        finally:
            for job in running:
                if job.process.poll() is None:
                    job.process.kill()
                    job.process.wait()
        result.seconds = time.monotonic() - started
        result.operations = sum(job.operations for job in running)
        result.inputs = sum(job.inputs for job in running)
        for job in running:
            judge(job, job in timed_out, seconds is not None, result, out)
        if not result.findings:
            replay_some(result, directory / "corpus", replays, Random(seed), out)
    return result


def watch(running: Sequence[Job], until: float, started: float, progress: Callable[[int, int, float], None]) -> None:
    """Follow the jobs until all have ended, one has failed, or time is up."""
    said: queue.Queue[tuple[int, str]] = queue.Queue()
    for number, job in enumerate(running):
        assert job.process.stdout is not None
        threading.Thread(target=listen, args=(number, job.process.stdout, said), daemon=True).start()
    at_work = len(running)
    while at_work and time.monotonic() < until:
        try:
            number, line = said.get(timeout=min(1.0, max(until - time.monotonic(), 0.01)))
        except queue.Empty:
            continue
        job = running[number]
        found = PROGRESS.match(line)
        if found:
            job.operations, job.inputs = int(found[2]), int(found[3])
            progress(
                sum(one.operations for one in running), sum(one.inputs for one in running), time.monotonic() - started
            )
        elif not line:
            at_work -= 1
            if job.process.wait(SECONDS_FOR_LAST_WORDS) != 0:
                return


def end(running: Sequence[Job]) -> None:
    """End what still runs."""
    for job in running:
        if job.process.poll() is None:
            job.process.terminate()
    for job in running:
        try:
            job.process.wait(SECONDS_FOR_LAST_WORDS)
        except subprocess.TimeoutExpired:
            job.process.kill()
            job.process.wait()


# Findings -----------------------------------------------------------------------------------------------------------


def judge(job: Job, timed_out: bool, may_end_early: bool, result: Result, out: Path) -> None:
    """What the end of a job means."""
    code = job.process.returncode
    if code == 0 or (timed_out and may_end_early):
        return
    kept = [kept_input(path, out) for path in artifacts(job, timed_out)]
    result.findings += [Finding(path, account(result.program, path)) for path in kept]
    if kept or code in (-15, INTERRUPTED):  # it was ended because another one found something
        return
    words = job.log.read_text(errors="replace")[-2000:]
    result.troubles.append(f"the fuzzer ended with {code} after {job.operations} operations: {words}")


def artifacts(job: Job, timed_out: bool) -> list[Path]:
    """The inputs that a job left behind when it failed."""
    found = [path for kind in ARTIFACTS for path in job.prefix.parent.glob(job.prefix.name + kind)]
    current = job.prefix.with_name(job.prefix.name + "current")
    if not found and current.exists() and not timed_out and job.process.returncode not in (0, -15):
        # The random driver keeps the input that it does: its size, and its bytes.
        content = current.read_bytes()
        crash = job.prefix.with_name(job.prefix.name + "crash-current")
        crash.write_bytes(content[4 : 4 + int.from_bytes(content[:4], "little")])
        found = [crash]
    return found


def replay_some(result: Result, corpus: Path, number: int, random: Random, out: Path) -> None:
    """Do some inputs again on the spec."""
    inputs = sorted(corpus.iterdir())
    for path in random.sample(inputs, min(number, len(inputs))):
        text = account(result.program, path)
        try:
            result.replay.add(replay(text, SPEC))
            result.replayed_inputs += 1
        except Differs as difference:
            result.findings.append(Finding(kept_input(path, out), f"{text}\nDIFFERENCE from the spec: {difference}"))
        except Unreadable as trouble:
            if shows_a_fault(text):  # told once more it is one, and it was none before
                result.findings.append(Finding(kept_input(path, out), text))
            else:
                result.troubles.append(f"{kept_input(path, out)} cannot be done on the spec: {trouble}")


def kept_input(path: Path, out: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(path, out / re.sub(r"^job\d+-", "", path.name)))


def account(program: Program, path: Path) -> str:
    """What an input does, operation by operation, up to where both differ or a sanitizer ends it."""
    arguments = [str(program.path), str(path)]
    if not program.libfuzzer:
        with tempfile.TemporaryDirectory(prefix="gpaspec-fuzz-") as directory:
            return told([*arguments, "-runs=0", f"-artifact_prefix={directory}/"])
    return told(arguments)


def shows_a_fault(text: str) -> bool:
    """Whether an account ends with a difference or a sanitizer's words."""
    return any(words in text for words in ("DIFFERENCE", "ERROR:", "runtime error:"))


def told(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment(GPAMAP_FUZZ_TELL="1"),
            timeout=SECONDS_TO_TELL,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        output = error.stdout if isinstance(error.stdout, str) else (error.stdout or b"").decode(errors="replace")
        return f"{output}\nIt does not end within {SECONDS_TO_TELL} s."
    return done.stdout


# The command --------------------------------------------------------------------------------------------------------


def show(result: Result, out: Path) -> None:
    for finding in result.findings:
        whole = finding.path.with_suffix(".txt")
        whole.write_text(finding.account)
        print(shortened(finding.account))
        print(f"kept in {finding.path}, told in {whole}")
        print(f"again: python -m conformance.targets.c.fuzzing --tell {finding.path}")
    for trouble in result.troubles:
        print(trouble, file=sys.stderr)
    rate = result.operations / result.seconds if result.seconds else 0
    driver = "libFuzzer" if result.program.libfuzzer else "random bytes"
    print(
        f"{result.operations} operations in {result.inputs} inputs, {result.seconds:.0f} s ({rate:,.0f} a second), "
        f"{driver} from {result.seeds} vectors: {len(result.findings)} findings"
    )
    done = result.replay
    left = ", ".join(f"{name} {count}" for name, count in done.left.most_common())
    print(
        f"on the spec: {done.compared} of the {done.told} operations of {result.replayed_inputs} inputs compared"
        + (f"; not compared: {left}" if left else "")
    )


def shortened(text: str, first: int = 6, last: int = 40) -> str:
    """The beginning of an account, and its end up to the difference or the sanitizer's first words."""
    lines = [line for line in text.splitlines() if not line.startswith("INFO: ")]
    stop = next(
        (k for k, line in enumerate(lines) if "DIFFERENCE" in line or "ERROR:" in line or "error:" in line), None
    )
    lines = lines[: len(lines) if stop is None else stop + 12]
    if len(lines) <= first + last:
        return "\n".join(lines)
    return "\n".join([*lines[:first], f"... {len(lines) - first - last} lines ...", *lines[-last:]])


def say_progress(operations: int, inputs: int, seconds: float) -> None:
    print(f"{operations:>12,} operations {inputs:>10,} inputs {seconds:6.0f} s", file=sys.stderr, flush=True)


class EverySoOften:
    """Passes progress on, at most once in so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.last = 0.0

    def __call__(self, operations: int, inputs: int, seconds: float) -> None:
        if seconds - self.last >= self.seconds:
            self.last = seconds
            say_progress(operations, inputs, seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.targets.c.fuzzing", description=__doc__)
    parser.add_argument("--operations", type=int, default=1_000_000, help="how many (1000000)")
    parser.add_argument("--seconds", type=float, help="end after so long, also when fewer were done")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    parser.add_argument("--seed", type=int, default=1, help="another number, other inputs (1)")
    parser.add_argument("--replays", type=int, default=100, help="inputs that are done on the spec, too (100)")
    parser.add_argument("--random", action="store_true", help="random bytes, even where libFuzzer is")
    parser.add_argument("--base", type=Path, default=build.HERE, help="where the library's src and include lie")
    parser.add_argument("--out", type=Path, default=OUT, help="where inputs with findings are kept (out/fuzz-c)")
    parser.add_argument("--tell", type=Path, metavar="INPUT", help="tell what this input does, and do nothing else")
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # and so ends what it started
    if chosen.operations < 1 or chosen.jobs < 1 or chosen.seed < 1:
        parser.error("operations, jobs and seed are at least 1")
    try:
        program = fuzz_program(chosen.base, not chosen.random)
        if chosen.tell is not None:
            if not chosen.tell.is_file():
                parser.error(f"{chosen.tell} is no file")
            text = account(program, chosen.tell)
            print(text)
            return 1 if shows_a_fault(text) else 0
        if program.note:
            print(program.note, file=sys.stderr)
        result = run(
            chosen.operations,
            chosen.seconds,
            chosen.jobs,
            chosen.base,
            chosen.out,
            chosen.seed,
            not chosen.random,
            chosen.replays,
            EverySoOften(5),
        )
    except TargetUnavailable as error:
        print(error, file=sys.stderr)
        return 2
    show(result, chosen.out)
    return result.exit_code()


if __name__ == "__main__":
    sys.exit(main())
