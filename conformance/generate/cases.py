"""From a case (a rule, a request that breaks it and nothing else, how to repair it) to two vectors: bad and repaired.

Shared by the subjects. Both requests are checked: the good one breaks no rule, the bad one exactly the rule it is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conformance.generate.build import Draft, broken_rules, rules_met, state_after
from spec.operation import Operation
from spec.profile import Profile
from spec.step import operation_of, step, subject_of

# How to show a state: requests, from the profile, the state and the request that led to it.
ReadBack = Callable[[Profile, Any, Any], Sequence[Any]]


@dataclass(frozen=True)
class Case:
    """`good` is acceptable after `setup`; with `field` set to `bad` it breaks the rule.

    With `field` empty, `good` itself breaks the rule, and leaving out step `without` of the setup repairs it, if that
    is given. `also` are rules that are broken as well wherever this one is.
    """

    rule: str
    good: Any
    field: str = ""
    bad: Any = None
    setup: tuple[Any, ...] = ()
    without: int | None = None
    also: tuple[str, ...] = ()
    word: str = ""
    accepted: bool = False  # this kernel has what the rule asks for: `good` is accepted, and nothing breaks the rule


def family_of(rule: str) -> str:
    """The rule family: the first two words of a rule's id."""
    return ".".join(rule.split(".")[:2])


def rules_against(profile: Profile, state: Any, request: Any) -> tuple[str, ...]:
    """All rules that a request breaks; where it breaks none, those by which what it began stopped."""
    broken = broken_rules(profile, state, request) if operation_of(request).checks else ()
    if broken:
        return tuple(rule.id for rule in broken)
    return rules_met(step(profile, state, request)[1])


def drafts_of(profile: Profile, case: Case, read_back: ReadBack) -> Iterator[Draft]:
    if case.accepted:
        yield accepting(profile, case, case.setup, read_back)
        return
    operation = operation_of(case.good)
    position = len(case.setup)
    before = state_after(profile, case.setup, subject_of((case.good,)).fresh)
    bad = replace(case.good, **{case.field: case.bad}) if case.field else case.good
    broken = rules_against(profile, before, bad)
    if broken != (case.rule, *case.also):
        raise ValueError(f"a case for {case.rule} breaks {broken} under {profile}: {bad}")
    repair: tuple[tuple[str, Any], ...] = ()
    good_setup = case.setup
    if case.field:
        repair = (("step", position), (case.field, getattr(case.good, case.field)))
    elif case.without is not None:
        repair = (("step", position), ("without", case.without))
        good_setup = case.setup[: case.without] + case.setup[case.without + 1 :]
    subject = f"{operation.name} {case.field}" if case.field else operation.name
    only = " together with " + ", ".join(case.also) + ", as always" if case.also else " and no other rule"
    after = step(profile, before, bad)[0]
    yield Draft(
        title=f"{case.rule} {verb(case.rule, operation)} {subject}{' ' + case.word if case.word else ''}",
        family=family_of(case.rule),
        requests=(*case.setup, bad, *read_back(profile, after, bad)),
        because=f"breaks {case.rule}{only}" + ("" if repair else "; nothing in the request can repair it"),
        generator="rule",
        rules=(case.rule,),
        repair=repair,
    )
    if repair:
        yield accepting(profile, case, good_setup, read_back)


def verb(rule: str, operation: Operation) -> str:
    """A rule that is checked rejects a request; any other stops what the request began."""
    return "rejects" if any(check.rule.id == rule for check in operation.checks) or not is_begun(operation) else "stops"


def is_begun(operation: Operation) -> bool:
    """Whether requests of an operation make a device do something that can stop half-way."""
    return operation.name in ("translate", "transmit", "packet", "kick", "set_backend", "write_message")


def accepting(profile: Profile, case: Case, setup: tuple[Any, ...], read_back: ReadBack) -> Draft:
    """The case repaired. Cases that differ in the bad value have this vector in common: it is about all their rules."""
    before = state_after(profile, setup, subject_of((case.good,)).fresh)
    broken = rules_against(profile, before, case.good)
    if broken:
        raise ValueError(f"the repaired case for {case.rule} breaks {broken} under {profile}: {case.good}")
    after = step(profile, before, case.good)[0]
    return Draft(
        title=f"{operation_of(case.good).name} breaks no rule{' ' + case.word if case.word else ''}",
        family=family_of(case.rule),
        requests=(*setup, case.good, *read_back(profile, after, case.good)),
        because="the repaired twin of requests that break the rules it is about",
        generator="rule",
        rules=(case.rule,),
    )
