"""From a draft (requests and why they matter) to vectors: expectations, and the switches that these depend on.

The spec is run once under a profile, and again under every other published value of every switch that it looked at.
The vector depends on the switches that change an outcome alone (`tests/conformance/test_vectors.py` tries
combinations).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.files import with_content_id
from conformance.vector import Step, SwitchValue, Vector
from spec.memslots.slot import EMPTY_VM
from spec.outcome import Broken, Faulted, MessageTaken, Missed, Outcome, Ran, Rejected
from spec.profile import PROFILES, SWITCHES, Profile, with_switches
from spec.rule import Rule
from spec.step import operation_of, step, subject_of
from spec.vhost.translate import IN_IOTLB

SEED = 0x67706173

# For each subject: the profiles that kernels showed, and one for each published value that none of these has.
MAIN_PROFILES: tuple[Profile, ...] = tuple(PROFILES.values())
VARIANTS: tuple[Profile, ...] = (
    Profile(user_limit=2**56 - 4096),
    Profile(max_gfn=2**40 - 1),
    Profile(address_spaces=1),
    Profile(smallest_dirty_ring=4 * 4096),
    Profile(region2=True, guest_memfd="bind", memfd_rebind_errno="EINVAL"),
    # As a 6.18 host without SMM and with 52 address bits showed it.
    Profile(address_spaces=1, max_gfn=2**40 - 1, region2=True, guest_memfd="bind", memfd_rebind_errno="EINVAL"),
)

VHOST_PROFILES: tuple[Profile, ...] = (
    Profile(),
    Profile(features=0x1033D008000),  # as 6.12 offers them
    Profile(features=0x10B3D008000, iotlb_mode="follows"),  # as 7.2 does
    Profile(iotlb_limit=4),
    Profile(max_regions=3),
    Profile(max_regions=3, iotlb_limit=4),  # a kernel whose two limits are set for tests
    Profile(retirement="lru"),
    Profile(iotlb_limit=4, retirement="lru"),
    Profile(user_limit=2**56 - 4096),
)


@dataclass(frozen=True)
class Draft:
    """A vector without expectations. Of its last `tail` requests it is not about the rules: they show that nothing is
    left.
    """

    title: str
    family: str
    requests: tuple[Any, ...]
    because: str
    generator: str
    rules: tuple[str, ...] = ()
    repair: tuple[tuple[str, Any], ...] = ()
    seed: int = 0
    tail: int = 0


class RecordingProfile:
    """A profile that remembers which of its switches were looked at."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self.profile, name)


def broken_rules(profile: Profile, state: Any, request: Any) -> tuple[Rule, ...]:
    """All rules that a request breaks, in the order in which they are checked."""
    return tuple(check.rule for check in operation_of(request).checks if check.is_broken(profile, state, request))


def states(profile: Profile, requests: Sequence[Any]) -> list[tuple[Any, Outcome]]:
    """The state before each request, and its outcome."""
    state = subject_of(requests).fresh if requests else None
    trace = []
    for request in requests:
        after, outcome = step(profile, state, request)
        trace.append((state, outcome))
        state = after
    return trace


def state_after(profile: Profile, requests: Sequence[Any], fresh: Any = EMPTY_VM) -> Any:
    """The state that requests lead to; where there are none, the `fresh` one."""
    state = subject_of(requests).fresh if requests else fresh
    for request in requests:
        state, _ = step(profile, state, request)
    return state


def differs(profile: Profile, requests: Sequence[Any], trace: Sequence[tuple[Any, Outcome]]) -> bool:
    """Whether the profile gives another outcome anywhere."""
    state = trace[0][0] if trace else None
    for request, (_, expected) in zip(requests, trace, strict=True):
        state, outcome = step(profile, state, request)
        if outcome != expected:
            return True
    return False


def repaired(draft: Draft) -> tuple[Any, ...]:
    """What is done up to the rejected step, with the repair; nothing where there is none."""
    repair = dict(draft.repair)
    if not repair:
        return ()
    position = repair.pop("step")
    setup, request = draft.requests[:position], draft.requests[position]
    if "without" in repair:
        return (*setup[: repair["without"]], *setup[repair["without"] + 1 :], request)
    return (*setup, dataclasses.replace(request, **repair))


def vector_under(profile: Profile, draft: Draft) -> Vector:
    """The draft with the outcomes that it has under a profile.

    It depends on the switches that change an outcome, and on those that change what the repair leads to.
    """
    recorder = RecordingProfile(profile)
    better = repaired(draft)
    trace = states(recorder, draft.requests)  # type: ignore[arg-type]
    better_trace = states(recorder, better)  # type: ignore[arg-type]
    switches: list[tuple[str, SwitchValue]] = []
    for switch in SWITCHES:
        if switch.name not in recorder.read:
            continue
        others = [value for value in switch.published if value != getattr(profile, switch.name)]
        profiles = [with_switches(profile, {switch.name: value}) for value in others]
        if any(differs(p, draft.requests, trace) or differs(p, better, better_trace) for p in profiles):
            switches.append((switch.name, getattr(profile, switch.name)))
    steps = tuple(Step(request, outcome) for request, (_, outcome) in zip(draft.requests, trace, strict=True))
    rules = draft.rules or rules_in(steps[: len(steps) - draft.tail])
    return with_content_id(
        Vector(
            id="",
            title=draft.title,
            family=draft.family,
            rules=rules,
            switches=tuple(switches),
            steps=steps,
            because=draft.because,
            generator=draft.generator,
            seed=draft.seed,
            repair=draft.repair,
        )
    )


def rules_in(steps: Iterable[Step]) -> tuple[str, ...]:
    """The rules that rejected a step or stopped a write, each once."""
    found: dict[str, None] = {}
    for one in steps:
        if isinstance(one.expected, Rejected):
            found[one.expected.rule.id] = None
        stopped_by = getattr(one.expected, "stopped_by", None)
        if stopped_by is not None:
            found[stopped_by.id] = None
        found.update(dict.fromkeys(rules_met(one.expected)))
    return tuple(found)


def rules_met(outcome: Outcome) -> tuple[str, ...]:
    """The rules by which a translation or a run stopped; a queue that waits for a miss stopped by that of the IOTLB."""
    if isinstance(outcome, MessageTaken):
        outcome = outcome.ran
    if isinstance(outcome, Faulted):
        return (outcome.rule.id,)
    if not isinstance(outcome, Ran):
        return ()
    broken = [event.rule.id for event in outcome.events if isinstance(event, Broken)]
    return (*broken, *(IN_IOTLB.id for event in outcome.events if isinstance(event, Missed)))


class Collection:
    """Vectors, each content once. The same requests are kept for each profile under which they have other outcomes."""

    def __init__(self) -> None:
        self.vectors: dict[str, Vector] = {}
        self.by_requests: dict[tuple[Any, ...], list[str]] = {}

    def add(self, profile: Profile, draft: Draft) -> Vector:
        """The draft as a vector for this profile: a new one, or one that is there, and then about more rules."""
        for name in self.by_requests.get(draft.requests, ()):
            known = self.vectors[name]
            if all(getattr(profile, switch) == value for switch, value in known.switches):
                break
        else:
            known = vector_under(profile, draft)
            self.by_requests.setdefault(draft.requests, []).append(known.id)
        more = draft.rules if draft.generator == known.generator else ()
        rules = tuple(dict.fromkeys((*known.rules, *more)))
        self.vectors[known.id] = dataclasses.replace(known, rules=rules)
        return self.vectors[known.id]

    def add_all(self, profiles: Iterable[Profile], drafts: Any) -> None:
        """Add what `drafts(profile)` gives, for each profile."""
        for profile in profiles:
            for draft in drafts(profile):
                self.add(profile, draft)
