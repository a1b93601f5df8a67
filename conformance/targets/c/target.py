"""The C library in this process, as a target."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from conformance.target import Answer, Environment, Errored, Results, Trial
from conformance.targets.c import binding, build, device
from conformance.targets.c.binding import Library, Map
from conformance.targets.c.device import VhostDevice
from spec.profile import Profile
from spec.step import MEMSLOTS, OPERATIONS, subject_of

VERSION = "0.1"

# What the library can be: any numbers, but neither the second form of the call nor guest memory files.
LIBRARY_PROFILE = Profile(region2=False, guest_memfd="absent")

WITHOUT_RINGS = (
    "which queues an update wakes: the library tells, but has no rings, so no vector expects that anything runs"
)

# The requests that it has calls for.
CALLS = binding.HANDLERS.keys() | device.HANDLERS.keys()


class CInProcess:
    """libgpamap called in this process: fast, but a crash of the library is a crash of the runner.

    `profile` has the numbers that each map is made with. `base` is where the library's `src` and `include` lie.
    `sanitizers` is what the compiler's -fsanitize is given. `largest_block` is how many slots or entries are kept
    together, 0..512; 0 is the library's choice.
    """

    name = "c"

    def __init__(
        self, profile: Profile = LIBRARY_PROFILE, base: Path = build.HERE, sanitizers: str = "", largest_block: int = 0
    ) -> None:
        """Raises ValueError for a profile with what the library does not have."""
        if profile.region2 or profile.guest_memfd != "absent":
            raise ValueError("the C library has neither the second form of the call nor guest memory files")
        self.profile = profile
        self.base = base
        self.sanitizers = sanitizers
        self.largest_block = largest_block
        self.library: Library | None = None

    def start(self) -> Environment:
        """Compile (once) and load the library. Raises TargetUnavailable when there is no compiler."""
        self.library = Library(self.base, self.sanitizers)
        return Environment(
            name=self.name,
            version=VERSION,
            profile=self.profile,
            operations=tuple(operation.name for operation in OPERATIONS if operation.request in CALLS),
            facts={"build": build.version_of(build.compiler()).partition("\n")[0], "not_compared": WITHOUT_RINGS},
        )

    def run(self, trials: Sequence[Trial]) -> Iterator[Answer]:
        """Each trial on a fresh map, or a new device."""
        if self.library is None:
            raise RuntimeError("start the target before it is run")
        for trial in trials:
            yield self.answer(self.library, trial)

    def answer(self, library: Library, trial: Trial) -> Answer:
        try:
            subject = Map if subject_of(trial.requests) is MEMSLOTS else VhostDevice
            with subject(library, self.profile, self.largest_block) as one:
                return Results(trial.id, tuple(one.do(request) for request in trial.requests))
        except Exception:
            return Errored(trial.id, traceback.format_exc())

    def stop(self) -> None:
        """Forget the library (the process keeps it loaded)."""
        self.library = None
