"""A finding of random operations, made as short as it goes, and as a vector."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from conformance.fuzz import ENVIRONMENTS, MEMSLOTS, Finding, Stream, Tally, can_be_asked, expected, judged, started
from conformance.generate.build import Draft, vector_under
from conformance.target import Trial
from conformance.vector import Vector

SECONDS_TO_SHRINK = 60.0


def shows(stream: Stream, name: str, seed: int, requests: Sequence[Any]) -> Finding | None:
    """The finding that a sequence still shows, or None."""
    if not requests or not can_be_asked(stream, requests):
        return None
    outcomes, known = expected(replace(stream, targets=(name,)), requests)
    end = known.get(name, (len(requests), ""))[0]
    if not end:
        return None
    tally = Tally()
    answer = next(iter(started(name, stream.profile).run([Trial("shrinking", tuple(requests[:end]))])))
    environment = ENVIRONMENTS.get((name, stream.profile))
    judged(stream, seed, name, requests[:end], outcomes, answer, tally, environment)
    return tally.findings[0] if tally.findings else None


def shrunk(finding: Finding, seconds: float = SECONDS_TO_SHRINK) -> Finding:
    """The finding with as few requests as show it: what comes after it goes, then one after another what can."""
    until = time.monotonic() + seconds
    best = finding
    whole = list(finding.requests[: finding.step + 1])
    again = shows(finding.stream, finding.target, finding.seed, whole)
    if again is None:
        return finding  # it does not come again: shown as it was
    best = replace(again, requests=tuple(whole))
    shorter = True
    while shorter and time.monotonic() < until:
        shorter = False
        index = len(best.requests) - 2
        while index >= 0 and time.monotonic() < until:
            without = best.requests[:index] + best.requests[index + 1 :]
            again = shows(finding.stream, finding.target, finding.seed, without)
            if again is not None:
                best = replace(again, requests=without[: again.step + 1])
                shorter = True
            index = min(index - 1, len(best.requests) - 2)
    return best


def vector_of(finding: Finding) -> Vector:
    """The finding as a vector, which any target can be checked with."""
    return vector_under(
        finding.stream.profile,
        Draft(
            title=f"random operations that {finding.target} does otherwise",
            family="KVM.SLOT" if finding.stream.kind == MEMSLOTS else "VHOST.TABLE",
            requests=finding.requests,
            because=f"{finding.target} differs at step {finding.step}",
            generator="fuzz",
            seed=finding.seed,
        ),
    )
