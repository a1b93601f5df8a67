"""Whether a known situation explains how a vector fails: the step that differs shows it, or what differs is its result.

A situation that a vector met some steps before it fails explains nothing by itself. It does where it lasts up to that
step; and where the device's state is known that it leaves behind, and all that is seen then is what the specification
expects in that state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from conformance.codec import result_from
from conformance.explain import profile_of
from conformance.known import Known, chain_wraps, known_here
from conformance.vector import Vector
from conformance.verdict import agrees
from spec.outcome import Faulted
from spec.profile import Profile
from spec.step import VHOST, step
from spec.units import U64_MAX
from spec.vhost.address_map import READ, without_range
from spec.vhost.device import Device
from spec.vhost.messages import WriteMessage
from spec.vhost.ring import queue_named
from spec.vhost.translate import MOST_RING_SEGMENTS, after_miss, translation

# The state that a situation leaves behind, of the state before it, the request, and the state as specified.
After = Callable[[Profile, Device, Any, Device], Device]


def nothing_taken(profile: Profile, before: Device, request: Any, after: Device) -> Device:
    return replace(after, iotlb=before.iotlb)


def taken_around(profile: Profile, before: Device, request: Any, after: Device) -> Device:
    """Without the entries that have the address and the byte before it; at 0 without any."""
    assert before.iotlb is not None
    if request.iova == 0:
        return replace(after, iotlb=without_range(before.iotlb, 0, U64_MAX))
    both = [one for one in before.iotlb.entries if one.first < request.iova <= one.last]
    return replace(after, iotlb=replace(before.iotlb, entries=before.iotlb.entries.difference(both)))


def flags_asked_for(profile: Profile, before: Device, request: Any, after: Device) -> Device:
    used = queue_named(before, request).used
    device, answer = translation(profile, after, used, 2, READ, MOST_RING_SEGMENTS)
    return after_miss(device, answer, READ, request.queue) if isinstance(answer, Faulted) else after


AFTER: dict[str, After] = {
    "an-invalidation-that-wraps-takes-nothing": nothing_taken,
    "an-empty-invalidation-takes-entries": taken_around,
    "a-backend-only-needs-to-read-the-used-flags": flags_asked_for,
}

# Whether a situation lasts up to a step: of the state before that step, and the requests since the situation.
LASTS: dict[str, Callable[[Device, Sequence[Any]], bool]] = {
    "a-descriptor-that-wraps-asks-for-a-miss": lambda device, since: any(
        chain_wraps(chain) for queue in device.queues for chain in queue.chains
    ),
    "a-moved-ring-is-looked-up-at-its-old-place": lambda device, since: (
        not any(isinstance(one, WriteMessage) for one in since)
    ),
}


def met(target: str, vector: Vector) -> list[list[Known]]:
    """The known situation that each step shows this target, if it does."""
    state: Any = VHOST.fresh
    found = []
    for one in vector.steps:
        before = state
        state, outcome = step(profile_of(vector), before, one.request)
        found.append(list(known_here((target,), profile_of(vector), before, one.request, outcome).values()))
    return found


def explanation(
    target: str, vector: Vector, observed: Mapping[int, dict[str, Any]], unseen: tuple[str, ...] = ()
) -> str:
    """The id of the situation that explains what was observed at the steps that differ, or nothing."""
    shown = met(target, vector)
    first = min(observed)
    if shown[first]:
        return shown[first][-1].id
    profile = profile_of(vector)
    state: Any = VHOST.fresh
    for one in vector.steps[:first]:
        state, _ = step(profile, state, one.request)
    for number in range(first - 1, -1, -1):
        since = [one.request for one in vector.steps[number + 1 : first]]
        for known in shown[number]:
            if known.id in LASTS and LASTS[known.id](state, since):
                return known.id
    last = [known.id for here in shown[:first] for known in here if known.id in AFTER]
    return last[-1] if last and is_result(vector, shown, observed, unseen) else ""


def is_result(
    vector: Vector, shown: Sequence[Sequence[Known]], observed: Mapping[int, dict[str, Any]], unseen: tuple[str, ...]
) -> bool:
    """Whether all that is seen is what is specified, if each situation leaves its state behind."""
    profile = profile_of(vector)
    state: Any = VHOST.fresh
    for number, one in enumerate(vector.steps):
        before = state
        state, outcome = step(profile, before, one.request)
        for known in shown[number]:
            if known.id in AFTER:
                state = AFTER[known.id](profile, before, one.request, state)
        if number not in observed:
            if outcome != one.expected:
                return False
        elif not agrees(one.request, outcome, result_from(observed[number]), unseen):
            return False
    return True
