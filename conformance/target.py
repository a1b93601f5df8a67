"""What a target is to the runner: something that starts, answers vectors, and stops.

A target never sees what is expected. It answers each vector with exactly one of: results, skipped with a reason,
errored with a trace, crashed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from spec.outcome import Outcome
from spec.profile import Profile
from spec.step import operation_of


@dataclass(frozen=True)
class Refused:
    """A target's own rejection: it knows an errno name, not the rule."""

    errno: str


@dataclass(frozen=True)
class Unobservable:
    """A target has no way to answer this query (allowed only for operations that change nothing), and why."""

    reason: str


# What a target that sees only what userspace sees reports for an event of a device's run.


@dataclass(frozen=True)
class SentBytes:
    """A packet came out: how many bytes, and their digest by `conformance.payload`."""

    length: int
    digest: int


@dataclass(frozen=True)
class ReceivedAt:
    """A packet was written: into these pieces of host memory, as (host address, bytes), in the packet's order."""

    pieces: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class ErrorSeen:
    """The device signalled an error, so many times (at least 1); the errno it gave in its log, None where it gave none
    that can be read.
    """

    errno: str | None
    times: int = 1


@dataclass(frozen=True)
class MissSeen:
    """The queue waits for a miss: one came on the device's file. (It stands for `Missed`.)"""


@dataclass(frozen=True)
class NothingSeen:
    """The queue waits and nobody was told why. (`Blocked` and `Discarded` look like this from outside.)"""


# What a target reports for a step. In `Written`, `stopped_by` is a Refused or None; in `Ran`, an event may be one of
# the five above; in `Faulted` and `Broken`, the rule may be a Refused.
StepResult = Outcome | Refused | Unobservable


@dataclass(frozen=True)
class Trial:
    """A vector as a target sees it: an id and the requests, without expectations."""

    id: str
    requests: tuple[Any, ...]


@dataclass(frozen=True)
class Results:
    """One result for each request, in order."""

    id: str
    steps: tuple[StepResult, ...]


@dataclass(frozen=True)
class Skipped:
    """The target did not run this vector: the reason is shown, and it never counts as passed."""

    id: str
    reason: str


@dataclass(frozen=True)
class Errored:
    """The harness of the target failed at this vector; the next may still work."""

    id: str
    trace: str


@dataclass(frozen=True)
class Crashed:
    """The target died (kernel oops, killed process, hang) while it ran this vector; `report` has its last words."""

    id: str
    report: str


Answer = Results | Skipped | Errored | Crashed


@dataclass(frozen=True)
class Environment:
    """What a target says of itself when it starts: its profile as probed, and facts worth printing.

    `contradictions`: a sentence for each probed value that is not what the target or its processor announces. Its
    vectors are judged by the probed value, so such a value is a finding of its own.

    `unseen`: the names of events (`Blocked`, `Discarded`) that a target which looks from outside has no way to see.
    It may leave them out, and no others; what sees everything leaves nothing out. `errno` among them says that it
    cannot read the errno of an error either.
    """

    name: str
    version: str
    profile: Profile
    operations: tuple[str, ...]
    facts: dict[str, str] = field(default_factory=dict)
    contradictions: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


def cannot_do(environment: Environment, trial: Trial) -> str:
    """Why a target has no way to run this trial, or nothing."""
    names = {operation_of(request).name: None for request in trial.requests}
    missing = [name for name in names if name not in environment.operations]
    return f"needs {', '.join(missing)}" if missing else ""


class Target(Protocol):
    """An implementation under test."""

    name: str

    def start(self) -> Environment:
        """Make it ready. Raises TargetUnavailable with one clear sentence when it cannot be had here."""

    def run(self, trials: Sequence[Trial]) -> Iterator[Answer]:
        """Answer each trial, in order, as soon as the answer is there."""

    def stop(self) -> None:
        """End everything that was started. Safe to call twice, and after a failed start."""


class TargetUnavailable(Exception):
    """The target cannot run here. The text says what is missing and what to do."""


class TargetFailed(Exception):
    """The harness failed as a whole: a VM that never boots, an adapter that breaks the protocol."""
