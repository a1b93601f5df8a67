"""Both reference models as targets: `model-tree` and `model-array`.

They run in this process and see what every target sees: requests, and nothing of what is expected. Any profile may
be given to either; by default each has that of the kernels that it models.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence

from conformance.target import Answer, Environment, Errored, Results, TargetFailed, Trial
from model.memslots.array import ArrayMachine
from model.memslots.machine import Machine
from model.memslots.tree import TreeMachine
from spec.profile import PROFILES, Profile
from spec.step import OPERATIONS


class ModelTarget:
    """One of the models as a target; each trial gets a fresh VM."""

    def __init__(self, name: str, kernels: str, machine_of: Callable[[Profile], Machine], profile: Profile) -> None:
        self.name = name
        self._kernels = kernels
        self._machine_of = machine_of
        self._profile = profile
        self._started = False

    def start(self) -> Environment:
        """Ready at once; the profile is the one it was made with."""
        self._started = True
        return Environment(
            name=self.name,
            version="1",
            profile=self._profile,
            operations=tuple(operation.name for operation in OPERATIONS),
            facts={"models": self._kernels},
        )

    def run(self, trials: Sequence[Trial]) -> Iterator[Answer]:
        """Answer each trial in order. A machine that breaks an assertion of its own errs on that trial only."""
        if not self._started:
            raise TargetFailed(f"{self.name} was asked to run before it was started; call start() first")
        for trial in trials:
            machine = self._machine_of(self._profile)
            try:
                answer: Answer = Results(trial.id, tuple(machine.apply(request) for request in trial.requests))
            except Exception:
                answer = Errored(trial.id, traceback.format_exc())
            yield answer

    def stop(self) -> None:
        """Nothing is left running."""
        self._started = False


def tree_target(profile: Profile | None = None) -> ModelTarget:
    """The two sets of trees (Linux 5.17 on)."""
    return ModelTarget("model-tree", "Linux 5.17 on", TreeMachine, profile or Profile())


def array_target(profile: Profile | None = None) -> ModelTarget:
    """The sorted array (Linux 5.10)."""
    return ModelTarget("model-array", "Linux 5.10", ArrayMachine, profile or PROFILES["array"])
