"""What the models answer to a trial about a vhost device.

The tree answers everything. The array is that of kernels which had neither an IOTLB nor messages, and with regions that
overlap it finds others than the tree: such trials it does not run, and says why.
"""

from __future__ import annotations

import itertools
from typing import Any

from conformance.target import Answer, Results, Skipped, StepResult, Trial
from model.vhost.machine import DeviceMachine
from model.vhost.sorted_array import ArrayDeviceMachine, NoIotlb
from spec.profile import Profile
from spec.step import VHOST_OPERATIONS, operation_of, step
from spec.vhost.device import Device
from spec.vhost.features import SET_BACKEND_FEATURES
from spec.vhost.messages import READ_MESSAGE, WRITE_MESSAGE

OVERLAP = "regions overlap: an array finds the one that starts last, the specification's is the one that starts first"
WITHOUT_ARRAY = (SET_BACKEND_FEATURES, WRITE_MESSAGE, READ_MESSAGE)
ARRAY_OPERATIONS = tuple(operation for operation in VHOST_OPERATIONS if operation not in WITHOUT_ARRAY)


def is_beyond_the_array(profile: Profile, device: Device, request: Any) -> bool:
    """Whether the array would skip a trial because of this request, made in this state: for those who make requests
    that both models can answer.
    """
    if operation_of(request) in WITHOUT_ARRAY:
        return True
    after = step(profile, device, request)[0]
    if after.iotlb is not None:
        return True
    entries = sorted(after.table.entries, key=lambda entry: entry.first) if after.table is not None else []
    return any(upper.first <= lower.last for lower, upper in itertools.pairwise(entries))


def answer_of_tree(profile: Profile, trial: Trial) -> Answer:
    """All requests of a trial, on a new device."""
    machine = DeviceMachine(profile)
    return Results(trial.id, tuple(machine.apply(request) for request in trial.requests))


def answer_of_array(profile: Profile, trial: Trial) -> Answer:
    """The same with a sorted array, or the reason why these kernels cannot be asked that."""
    missing = sorted(
        {operation_of(request).name for request in trial.requests} - {one.name for one in ARRAY_OPERATIONS}
    )
    if missing:
        return Skipped(trial.id, f"kernels with an array have no {', '.join(missing)}")
    machine = ArrayDeviceMachine(profile)
    results: list[StepResult] = []
    for request in trial.requests:
        try:
            results.append(machine.apply(request))
        except NoIotlb:
            return Skipped(trial.id, "an IOTLB is asked for, which kernels with an array do not have")
        if machine.overlap() is not None:
            return Skipped(trial.id, OVERLAP)
    return Results(trial.id, tuple(results))
