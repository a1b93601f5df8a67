"""Both reference models as targets: `model-tree` and `model-array`.

They run in this process and see what every target sees: requests, and nothing of what is expected. Any profile may
be given to either; by default each has that of the kernels that it models. A trial's requests say which subject it is
about: memory slots, or a vhost device (`vhost`).
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence

from conformance.target import Answer, Environment, Errored, Results, TargetFailed, Trial
from conformance.targets.model.vhost import ARRAY_OPERATIONS, answer_of_array, answer_of_tree
from model.memslots.array import ArrayMachine
from model.memslots.machine import Machine
from model.memslots.tree import TreeMachine
from spec.operation import Operation
from spec.profile import PROFILES, Profile
from spec.step import MEMSLOT_OPERATIONS, OPERATIONS, VHOST, subject_of

AnswerOf = Callable[[Profile, Trial], Answer]


class ModelTarget:
    """One of the models as a target; each trial gets a fresh VM, or a new device."""

    def __init__(
        self,
        name: str,
        kernels: str,
        machine_of: Callable[[Profile], Machine],
        device_answers: AnswerOf,
        operations: Sequence[Operation],
        profile: Profile,
    ) -> None:
        self.name = name
        self._kernels = kernels
        self._machine_of = machine_of
        self._device_answers = device_answers
        self._operations = operations
        self._profile = profile
        self._started = False

    def start(self) -> Environment:
        """Ready at once; the profile is the one it was made with."""
        self._started = True
        return Environment(
            name=self.name,
            version="1",
            profile=self._profile,
            operations=tuple(operation.name for operation in self._operations),
            facts={"models": self._kernels},
        )

    def run(self, trials: Sequence[Trial]) -> Iterator[Answer]:
        """Answer each trial in order. A machine that breaks an assertion of its own errs on that trial only."""
        if not self._started:
            raise TargetFailed(f"{self.name} was asked to run before it was started; call start() first")
        for trial in trials:
            try:
                answer = self._answer(trial)
            except Exception:
                answer = Errored(trial.id, traceback.format_exc())
            yield answer

    def _answer(self, trial: Trial) -> Answer:
        if trial.requests and subject_of(trial.requests) is VHOST:
            return self._device_answers(self._profile, trial)
        machine = self._machine_of(self._profile)
        return Results(trial.id, tuple(machine.apply(request) for request in trial.requests))

    def stop(self) -> None:
        """Nothing is left running."""
        self._started = False


def tree_target(profile: Profile | None = None) -> ModelTarget:
    """The two sets of trees (Linux 5.17 on), and the device with trees (Linux 4.8 on)."""
    kernels = "memory slots: Linux 5.17 on; vhost: Linux 4.8 on"
    return ModelTarget("model-tree", kernels, TreeMachine, answer_of_tree, OPERATIONS, profile or Profile())


def array_target(profile: Profile | None = None) -> ModelTarget:
    """The sorted array of slots (Linux 5.10), and the sorted array of regions (before Linux 4.8)."""
    kernels = "memory slots: Linux 5.10; vhost: before Linux 4.8"
    operations = (*MEMSLOT_OPERATIONS, *ARRAY_OPERATIONS)
    return ModelTarget("model-array", kernels, ArrayMachine, answer_of_array, operations, profile or PROFILES["array"])
