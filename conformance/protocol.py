"""The runner's side of the protocol (docs/protocol.md): an adapter in another process as a target.

The adapter is not trusted: whatever it prints, and whenever it dies or goes silent, the result is an answer that says
so, or `TargetFailed` with one sentence.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import shlex
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import IO, Any

from conformance import backings
from conformance.codec import answer_from, canonical, profile_from, trial_json
from conformance.fields import (
    OPERATIONS_BY_NAME,
    FormatError,
    decode_list,
    decode_object,
    decode_text,
)
from conformance.target import (
    Answer,
    Crashed,
    Environment,
    Results,
    Skipped,
    TargetFailed,
    TargetUnavailable,
    Trial,
    cannot_do,
)

PROTOCOL = 1
BATCH = 64  # vectors in one `run`
LONGEST_LINE = 2**24  # bytes
WAITING_LINES = 4 * BATCH  # lines that may wait unread before the adapter is held up
RESTARTS = 5
LAST_LINES = 20  # of standard error, that a report ends with
LISTENS_ON = 1.0  # seconds that the rest of them may take to come after the adapter has ended
RESERVED_NAMES = ("spec", "model", "model-tree", "model-array", "c", "c-protocol")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class Silent(Exception):
    """No line came in time."""


class Ended(Exception):
    """The adapter closed its output."""


class AdapterTarget:
    """An adapter that is started as a process. `name` is what it has to call itself; None takes what it says.

    `seconds` is how long it may stay silent, at its start and before each line.
    """

    def __init__(self, command: str | Sequence[str], name: str | None = None, seconds: float = 20.0) -> None:
        self.command = words_of(command) if isinstance(command, str) else list(command)
        if not self.command:
            raise ValueError("the adapter's command is empty")
        self.name = name or os.path.basename(self.command[-1])
        self.expected_name = name
        self.seconds = seconds
        self.process: subprocess.Popen[bytes] | None = None
        self.lines: queue.Queue[bytes | None] = queue.Queue(WAITING_LINES)
        self.last_words: deque[str] = deque(maxlen=LAST_LINES)
        self.listener: threading.Thread | None = None
        self.environment: Environment | None = None
        self.batch = 0
        self.abandoned = threading.Event()
        self.restarts = 0

    # Starting and stopping ---------------------------------------------------------------------------------------

    def start(self) -> Environment:
        """Start the process and learn who it is. Raises TargetUnavailable or TargetFailed."""
        self.launch()
        return self.introduce()

    def launch(self) -> None:
        try:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the runner, which then ends the adapter itself
            )
        except OSError as error:
            raise TargetUnavailable(f"cannot start the adapter {shlex.join(self.command)}: {error.strerror}") from error
        self.lines = queue.Queue(WAITING_LINES)
        self.abandoned = threading.Event()
        assert self.process.stdout is not None and self.process.stderr is not None
        self.last_words = deque(maxlen=LAST_LINES)
        collected = (self.process.stdout, self.lines, self.abandoned)
        threading.Thread(target=self.collect, args=collected, daemon=True).start()
        self.listener = threading.Thread(target=listen, args=(self.process.stderr, self.last_words), daemon=True)
        self.listener.start()

    def collect(self, pipe: IO[bytes], lines: queue.Queue[bytes | None], abandoned: threading.Event) -> None:
        """Pass on lines, and at most one that is too long: then nothing more is read."""
        with contextlib.suppress(OSError, ValueError):
            while line := pipe.readline(LONGEST_LINE + 1):
                pass_on(line, lines, abandoned)
                if len(line) > LONGEST_LINE:
                    break
        pass_on(None, lines, abandoned)

    def introduce(self) -> Environment:
        try:
            self.say({"cmd": "start", "protocol": PROTOCOL})
            said = self.hear("after start")
            environment = self.environment_from(said)
            self.say(
                {"cmd": "config", "backings": {name: {"size": hex(backings.BACKING_SIZE)} for name in backings.BASES}}
            )
            self.check(decode_object, "$", self.hear("after config"), ("config",))
        except Silent:
            raise self.failed(f"said nothing for {self.seconds:g} s when it was started") from None
        except Ended:
            raise self.failed(f"ended when it was started ({self.how_it_ended()})") from None
        if self.environment is not None and environment != self.environment:
            raise self.failed("says something else about itself after it was started anew")
        self.environment = environment
        return environment

    def environment_from(self, said: Any) -> Environment:
        self.check(decode_object, "$", said, ("start", "protocol"))
        if said["protocol"] != PROTOCOL:
            raise self.failed(f"speaks protocol {said['protocol']!r}, this runner speaks {PROTOCOL}")
        start = self.check(
            decode_object,
            "$.start",
            said["start"],
            ("name", "version", "operations", "profile"),
            ("build", "environment"),
        )
        name = self.check(decode_text, "$.start.name", start["name"])
        if self.expected_name is not None and name != self.expected_name:
            raise self.failed(f"was run as {self.expected_name!r} but says that its name is {name!r}")
        unfit = name_is_unfit(name) if self.expected_name is None else ""
        if unfit:
            raise self.failed(f"says that its name is {name!r}, {unfit}")
        self.name = name
        operations = self.check(decode_list, "$.start.operations", start["operations"])
        for index, operation in enumerate(operations):
            self.check(decode_text, f"$.start.operations[{index}]", operation)
            if operation not in OPERATIONS_BY_NAME:
                raise self.failed(
                    f"offers an unknown operation {operation!r}; there are: {', '.join(OPERATIONS_BY_NAME)}"
                )
        profile = self.check(profile_from, start["profile"], "$.start.profile")
        version = self.check(decode_text, "$.start.version", start["version"])
        said_facts = start.get("environment", {})
        if not isinstance(said_facts, dict):
            raise self.failed(f"broke the protocol at $.start.environment: expected an object, found {said_facts!r}")
        facts = {key: self.check(decode_text, f"$.start.environment.{key}", value) for key, value in said_facts.items()}
        if build := self.check(decode_text, "$.start.build", start.get("build", "")):
            facts["build"] = build
        return Environment(name, version, profile, tuple(operations), facts)

    def stop(self) -> None:
        """Say stop, wait a little, and end whatever is left of it."""
        process, self.process = self.process, None
        self.abandoned.set()
        if process is None:
            return
        with contextlib.suppress(OSError, ValueError):
            assert process.stdin is not None
            if process.poll() is None:
                process.stdin.write(b'{"cmd":"stop"}\n')
                process.stdin.flush()
            process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=2)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)

    def end(self) -> None:
        """End it at once: it hangs, or died."""
        process, self.process = self.process, None
        self.abandoned.set()
        if process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=10)

    def farewell(self) -> None:
        """Say stop, and insist on the answer, on status 0 and on silence after it."""
        assert self.process is not None
        process = self.process
        try:
            self.say({"cmd": "stop"})
            said = self.hear("after stop")
            if said != {"stop": "ok"}:
                raise self.failed(f"answered stop with {shortened(canonical(said))}")
            process.wait(timeout=self.seconds)
            extra = self.lines.get(timeout=self.seconds)
        except Ended:
            raise self.failed("ended without an answer to stop") from None
        except (Silent, queue.Empty):
            raise self.failed(f"said nothing for {self.seconds:g} s after stop") from None
        except subprocess.TimeoutExpired:
            raise self.failed(f"still runs {self.seconds:g} s after stop") from None
        if extra is not None:
            raise self.failed(f"wrote more after stop: {shown_line(extra)}")
        if process.returncode != 0:
            raise self.failed(f"ended with status {process.returncode} after stop")

    # Running -----------------------------------------------------------------------------------------------------

    def run(self, trials: Sequence[Trial]) -> Iterator[Answer]:
        """Answer trials in order. A death or a silence costs one trial; every other fault ends the run."""
        environment = self.environment
        if environment is None or self.process is None:
            raise TargetFailed(f"{self.name} was not started")
        index = 0
        while index < len(trials):
            batch: list[Trial] = []
            while index < len(trials) and len(batch) < BATCH:
                missing = cannot_do(environment, trials[index])
                if missing:
                    break
                batch.append(trials[index])
                index += 1
            if batch:
                yield from self.run_batch(batch)
            else:
                yield Skipped(trials[index].id, cannot_do(environment, trials[index]))
                index += 1

    def run_alone(self, trials: Sequence[Trial]) -> list[Answer]:
        """One batch, in which a death or a silence is a fault like any other."""
        try:
            return list(self.converse(trials))
        except Silent:
            raise self.failed(f"no answer for {self.seconds:g} s") from None
        except Ended:
            raise self.failed(self.how_it_ended()) from None

    def run_batch(self, batch: Sequence[Trial]) -> Iterator[Answer]:
        left = list(batch)
        while left:
            died = ""
            try:
                for answer in self.converse(tuple(left)):
                    left.pop(0)
                    yield answer
            except Silent:
                died = f"no answer for {self.seconds:g} s"
            except Ended:
                died = self.how_it_ended()
            if not died:
                if left:
                    raise self.failed(f"left out {len(left)} answers of a batch")
                return
            self.end()
            if not left:
                raise self.failed(
                    f"{died} before the footer of batch {self.batch}: the answers of this batch cannot be trusted"
                )
            crashed = left.pop(0)
            yield Crashed(crashed.id, self.with_last_words(died))
            self.restarts += 1
            if self.restarts > RESTARTS:
                raise self.failed(
                    f"had to be started anew more than {RESTARTS} times; last at vector {crashed.id}: {died}"
                )
            self.start()

    def converse(self, trials: Sequence[Trial]) -> Iterator[Answer]:
        """One `run`: the answers in order, then the footer."""
        self.batch += 1
        self.say({"cmd": "run", "batch": self.batch, "vectors": [trial_json(trial) for trial in trials]})
        for trial in trials:
            said = self.hear(f"when vector {trial.id} was to be answered")
            if isinstance(said, dict) and "ran" in said:
                raise self.failed(f"ended batch {self.batch} before it answered vector {trial.id}")
            answer = self.check(answer_from, said)
            if answer.id != trial.id:
                known = {one.id for one in trials}
                what = "out of order or twice" if answer.id in known else "which it was never asked"
                raise self.failed(f"answered {answer.id!r} ({what}) when {trial.id} was next")
            if isinstance(answer, Results) and len(answer.steps) != len(trial.requests):
                raise self.failed(
                    f"gave {len(answer.steps)} results for the {len(trial.requests)} steps of vector {trial.id}"
                )
            if isinstance(answer, Crashed):
                raise self.failed(f"reports its own crash at {trial.id}: an adapter that can speak has 'errored'")
            yield answer
        footer = self.hear(f"when batch {self.batch} was to be closed")
        if not isinstance(footer, dict) or "ran" not in footer:
            raise self.failed(f"answered more than it was asked in batch {self.batch}: {shortened(canonical(footer))}")
        self.check(decode_object, "$", footer, ("ran", "answers", "name"))
        if (footer["ran"], footer["answers"]) != (self.batch, len(trials)):
            raise self.failed(
                f"closed batch {footer['ran']!r} with {footer['answers']!r} answers; it was batch {self.batch} "
                f"with {len(trials)}"
            )
        if footer["name"] != self.name:
            raise self.failed(f"was {self.name!r} when it started and calls itself {footer['name']!r} now")

    # Lines -------------------------------------------------------------------------------------------------------

    def say(self, message: dict[str, Any]) -> None:
        assert self.process is not None and self.process.stdin is not None
        payload = (canonical(message) + "\n").encode()
        pipe = self.process.stdin
        problem: list[OSError] = []

        def write() -> None:
            try:
                pipe.write(payload)
                pipe.flush()
            except (OSError, ValueError) as error:
                problem.append(error if isinstance(error, OSError) else OSError(str(error)))

        # An adapter that does not read must not hang the runner.
        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        writer.join(self.seconds)
        if writer.is_alive():
            raise Silent
        if problem:
            raise Ended

    def hear(self, when: str) -> Any:
        """The next line as JSON. Raises Silent, Ended, or TargetFailed for what is no JSON."""
        try:
            line = self.lines.get(timeout=self.seconds)
        except queue.Empty:
            raise Silent from None
        if line is None:
            raise Ended
        if len(line) > LONGEST_LINE:
            raise self.failed(f"wrote a line of more than {LONGEST_LINE} bytes {when}")
        try:
            said = json.loads(line.decode())
            canonical(said).encode()  # an escape can make half of a character, which nobody can print or keep
        except UnicodeEncodeError:
            raise self.failed(f"wrote text with half of a surrogate pair {when}: {shown_line(line)}") from None
        except (ValueError, RecursionError):
            if not line.endswith(b"\n"):
                raise Ended from None
            raise self.failed(f"wrote a line that is no JSON {when}: {shown_line(line)}") from None
        return said

    def check(self, decoder: Any, *arguments: Any) -> Any:
        try:
            return decoder(*arguments)
        except FormatError as error:
            raise self.failed(f"broke the protocol at {error}") from error

    def how_it_ended(self) -> str:
        if self.process is None:
            return "it was ended"
        try:
            status = self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            return "closed its output"
        if status < 0:
            return f"killed by signal {signal_name(-status)}"
        return f"exited with status {status}"

    def with_last_words(self, text: str) -> str:
        """With what it wrote last to standard error, also if that is not read to its end yet."""
        if self.listener is not None:
            self.listener.join(LISTENS_ON)
        return "\n".join([text, *self.last_words])

    def failed(self, what: str) -> TargetFailed:
        """The error for a broken adapter; ends it."""
        self.end()
        return TargetFailed(self.with_last_words(f"adapter {self.name}: {what}"))


def pass_on(line: bytes | None, lines: queue.Queue[bytes | None], abandoned: threading.Event) -> None:
    """Hand over a line as soon as there is room: an adapter that floods is held up, and fills no memory."""
    while not abandoned.is_set():
        with contextlib.suppress(queue.Full):
            return lines.put(line, timeout=0.2)
    with contextlib.suppress(queue.Full):  # somebody may wait for a line of an adapter that was ended meanwhile
        lines.put_nowait(None)


def listen(pipe: IO[bytes], last_words: deque[str]) -> None:
    """Keep the last lines of standard error."""
    with contextlib.suppress(OSError, ValueError):
        while line := pipe.readline(4096):
            last_words.append(line.decode(errors="replace").rstrip())


def words_of(command: str) -> list[str]:
    """A command as a shell would split it. Raises ValueError that says what is wrong."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise ValueError(f"the command {command!r} cannot be read: {error}") from error


def name_is_unfit(name: str) -> str:
    """Why an adapter may not have this name, or nothing.

    Its results are kept in a file of that name, and the known deviations of our own targets are not for others.
    """
    if not NAME.fullmatch(name):
        return "but a name has letters, digits, '.', '_' and '-' only, and begins with none of '.' and '-'"
    if name in RESERVED_NAMES or name.startswith("linux"):
        return "which is the name of a target of gpaspec itself"
    return ""


def signal_name(number: int) -> str:
    """The name of a signal; real-time signals have none but their number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def shown_line(line: bytes) -> str:
    return shortened(line.decode(errors="replace"))


def shortened(text: str, length: int = 120) -> str:
    text = text.strip()
    return text if len(text) <= length else text[:length] + " …"
