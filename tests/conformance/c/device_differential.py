"""The C library's device beside the spec: the same requests, and after each the same outcome and the same state.

What the two waiting lists hold and which queues an update wakes is compared too, though no vector can ask the library.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conformance.target import Refused, StepResult
from conformance.targets.c.binding import Library
from conformance.targets.c.device import VhostDevice, WaitingMiss
from spec.outcome import Faulted, MessageTaken, Outcome, Rejected
from spec.profile import Profile
from spec.step import step
from spec.vhost.device import NEW_DEVICE, Device, Miss
from spec.vhost.messages import UPDATE, WriteMessage, is_answered
from spec.vhost.observe import ObserveMaps


def as_a_target_sees_it(outcome: Outcome) -> StepResult:
    """A rule by its errno alone."""
    if isinstance(outcome, Rejected):
        return Refused(outcome.rule.errno)
    if isinstance(outcome, Faulted):
        return replace(outcome, rule=Refused(outcome.rule.errno))  # type: ignore[arg-type]
    return outcome


def woken_by(device: Device, request: Any, outcome: Outcome) -> tuple[int, ...]:
    """The queues that a message wakes, in their order."""
    if not isinstance(outcome, MessageTaken) or not isinstance(request, WriteMessage) or request.kind != UPDATE:
        return ()
    return tuple(dict.fromkeys(miss.queue for miss in device.pending if is_answered(miss, request)))


def waiting(misses: tuple[Miss, ...]) -> tuple[WaitingMiss, ...]:
    return tuple(WaitingMiss(miss.queue, miss.iova, miss.access, miss.version) for miss in misses)


def device_difference(
    library: Library, profile: Profile, requests: tuple[Any, ...], largest_block: int = 0
) -> str | None:
    """Where the library first says something else than the spec, or None."""
    device = NEW_DEVICE
    with VhostDevice(library, profile, largest_block) as one:
        for number, request in enumerate(requests):
            before = device
            device, outcome = step(profile, device, request)
            expected, seen = as_a_target_sees_it(outcome), one.do(request)
            where = f"step {number}: {request}"
            if seen != expected:
                return f"{where}: the spec says {expected}, the library {seen}"
            if isinstance(request, WriteMessage) and one.woken != woken_by(before, request, outcome):
                return f"{where}: the spec wakes {woken_by(before, request, outcome)}, the library {one.woken}"
            _, maps = step(profile, device, ObserveMaps())
            kept = one.do(ObserveMaps())
            if kept != maps:
                return f"after {where}: the spec has {maps}, the library {kept}"
            lists = (one.misses(read=False), one.misses(read=True))
            if lists != (waiting(device.unread), waiting(device.pending)):
                return f"after {where}: the spec has {device.unread} and {device.pending}, the library {lists}"
    return None
