"""The kernel's own code in user space, as a target."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from conformance.target import (
    Answer,
    Crashed,
    Environment,
    Errored,
    Results,
    Skipped,
    StepResult,
    TargetUnavailable,
    Trial,
)
from conformance.targets.c.build import compiler, version_of
from conformance.targets.linux_source import build
from conformance.targets.linux_source.process import BEGIN, END, NO_ROOM, Died, Process, Reply, request
from conformance.targets.linux_source.requests import WITHOUT_CALL, Wrong, decoded, encoded, why_not
from conformance.targets.linux_source.runs import Chains
from conformance.targets.linux_source.sources import VERSIONS, Sources, sources_for
from spec.outcome import Done
from spec.profile import Profile
from spec.step import VHOST_OPERATIONS
from spec.vhost.owner import ResetOwner

OPERATIONS = tuple(operation.name for operation in VHOST_OPERATIONS if operation.request not in WITHOUT_CALL)

# What drivers/vhost/net.c offers.
FEATURES = {"5.10": 0x33D008000, "6.1": 0x33D008000, "6.12": 0x1033D008000, "7.2": 0x10B3D008000}


def profile_of(version: str) -> Profile:
    """The profile of a version with the default limits."""
    return Profile(features=FEATURES[version], iotlb_mode="follows" if version == "7.2" else "stays")


# The default limits, and small ones: each a target of its own, as a kernel's module parameters make it.
SMALL: tuple[dict[str, int], ...] = ({}, {"max_regions": 3}, {"iotlb_limit": 4})


def profiles_of(version: str) -> tuple[Profile, ...]:
    return tuple(replace(profile_of(version), **limits) for limits in SMALL)  # type: ignore[arg-type]


class LinuxSource:
    """The code of one kernel version. `profile` may have limits of its own. `own` is a directory with the sources."""

    def __init__(
        self,
        version: str,
        profile: Profile | None = None,
        own: Path | None = None,
        name: str = "",
        sanitizers: str = "",
    ) -> None:
        self.version = version
        self.name = name or f"linux-source-{version}"
        self.own = own
        self.sanitizers = sanitizers
        if version not in VERSIONS:
            raise TargetUnavailable(f"no sources of a kernel {version!r} are known (known: {', '.join(VERSIONS)})")
        self.profile = profile or profile_of(version)
        self.program: Path | None = None
        self.process: Process | None = None

    def start(self) -> Environment:
        """Fetch (once), compile (once) and start the program. Raises TargetUnavailable."""
        sources: Sources = sources_for(self.version, self.own)
        self.program = build.program(sources, self.sanitizers)
        follows = "HAS_CLEAR_IOTLB" in build.differences(sources)
        profile = replace(self.profile, retirement="fifo", iotlb_mode="follows" if follows else "stays")
        self.profile = profile
        self.process = Process(self.program)
        return Environment(
            name=self.name,
            version=sources.description,
            profile=profile,
            operations=OPERATIONS,
            facts={"build": version_of(compiler()).partition("\n")[0]},
        )

    def run(self, trials: Sequence[Trial]) -> Iterator[Answer]:
        """Each trial on a new device; after a crash in a new process."""
        if self.program is None:
            raise RuntimeError("start the target before it is run")
        for trial in trials:
            yield self.answer(self.program, trial)

    def answer(self, program: Path, trial: Trial) -> Answer:
        for number, one in enumerate(trial.requests):
            reason = why_not(one)
            if reason:
                return Skipped(trial.id, f"step {number}: {reason}")
        try:
            if self.process is None:
                self.process = Process(program)
            limits = (self.profile.max_regions, self.profile.iotlb_limit, self.profile.user_limit)
            parts = [request(BEGIN, limits), *map(encoded, trial.requests), request(END, ())]
            return answer_from(trial, self.process.ask(b"".join(parts), len(trial.requests) + 1))
        except Died as end:
            self.process = None
            return Crashed(trial.id, str(end))
        except Exception:
            self.stop()
            return Errored(trial.id, traceback.format_exc())

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.stop()
            self.process = None


def answer_from(trial: Trial, replies: list[Reply]) -> Answer:
    """What the process said to all requests of a trial, and to its end: whether something was written elsewhere."""
    chains = Chains()
    results: list[StepResult] = []
    *replies, end = replies
    for number, (one, reply) in enumerate(zip(trial.requests, replies, strict=True)):
        if reply.kind == NO_ROOM:
            return Skipped(trial.id, f"step {number}: the ring has no room for the chain")
        chains.note(one)
        try:
            results.append(decoded(one, reply, chains))
        except Wrong as wrong:
            return Errored(trial.id, f"step {number}: {wrong}")
        if isinstance(one, ResetOwner) and isinstance(results[-1], Done):
            chains.forget()
    if end.words[0]:
        return Errored(
            trial.id, f"the device wrote to host address {end.words[0]:#x}, where nothing is for it to write"
        )
    return Results(trial.id, tuple(results))
