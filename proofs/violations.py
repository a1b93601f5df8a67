"""Which two rules of an operation can one request break together, and an example for each pair: which error wins?

For each pair the spec's own checks are asked, with the solver, in this order:

    any sensible profile, any number of slots or entries    unsatisfiable: proved impossible
    a profile that is covered, at most three of them        satisfiable: an example, run again in plain Python

A pair for which neither comes out is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import z3

from proofs.claims import operation_of
from proofs.line import line_of
from proofs.prover import checks_as_formulas, find_case
from proofs.reach import reached
from proofs.symbolic.boolean import all_of, negation
from proofs.symbolic.explorer import Explorer, exploring, forget_everything
from proofs.workers import run_all
from proofs.world import AnyWorld, FewWorld, World
from spec.operation import Operation
from spec.profile import Profile
from spec.rule import first_broken
from spec.step import OPERATIONS

IMPOSSIBLE = "impossible"
COUNTS = (1, 2, 3)  # of members that the sets of an example may have

Pair = tuple[str, str, str]  # operation, the rule checked first, the rule checked later


@dataclass(frozen=True)
class Example:
    """A request that breaks both rules after this setup. `alone` says that it breaks no other rule."""

    profile: Profile
    setup: tuple[Any, ...]
    request: Any
    alone: bool


def pairs() -> list[Pair]:
    """Every two rules of each operation, in the order in which they are checked."""
    return [
        (operation.name, first.rule.id, second.rule.id)
        for operation in OPERATIONS
        for first, second in combinations(operation.checks, 2)
    ]


def jointly_violable(jobs: int = 2) -> dict[Pair, Example | str]:
    """For each pair of rules an example, or "impossible". Raises ArithmeticError for a pair that stays undecided."""
    found = dict(run_all(pairs(), jobs, _decided, _given_up))
    undecided = [
        f"{pair}: {answer}" for pair, answer in found.items() if answer != IMPOSSIBLE and isinstance(answer, str)
    ]
    if undecided:
        raise ArithmeticError("undecided rule pairs: " + "; ".join(undecided))
    return {pair: found[pair] for pair in pairs()}


def _decided(pair: Pair) -> tuple[Pair, Example | str]:
    return pair, decide(pair)


def _given_up(pair: Pair, why: str) -> tuple[Pair, str]:
    return pair, why


def decide(pair: Pair) -> Example | str:
    """An example, IMPOSSIBLE, or why it could not be decided."""
    forget_everything()
    if not _can_be_broken_together(pair):
        return IMPOSSIBLE
    for example in _examples(pair):
        return example
    return "no example with at most three members of each set in a covered profile, and no proof that there is none"


def _operation(name: str) -> Operation:
    return next(operation for operation in OPERATIONS if operation.name == name)


def _both_broken(pair: Pair, profile: Profile, state: Any, request: Any) -> Any:
    checks = operation_of(request).checks
    return all_of(*(check.is_broken(profile, state, request) for check in checks if check.rule.id in pair[1:]))


def _can_be_broken_together(pair: Pair) -> bool:
    """False only if it is proved that they cannot, in any profile with sets of any size."""
    explorer, line = Explorer(), line_of(pair[0])
    with checks_as_formulas(), exploring(explorer):
        world = AnyWorld()
        profile, state, request = world.profile(), line.any_state(world), line.requests[pair[0]](world)
        explorer.assume(
            explorer.formula(
                lambda: all_of(
                    line.is_sensible(profile),
                    line.can_be(profile, state),
                    _both_broken(pair, profile, state, request),
                )
            )
        )
        _, answer = explorer.check([], timeout_ms=1_000)
        return bool(answer != z3.unsat)


# EXAMPLES --------------------------------------------------------------------------------------------------------


def _examples(pair: Pair) -> Iterator[Example]:
    for count in COUNTS:
        for first_wins in (True, False):
            for profile in line_of(pair[0]).covered:
                example = _example(pair, profile, count, first_wins)
                if example is not None:
                    yield example


def _example(pair: Pair, profile: Profile, count: int, first_wins: bool) -> Example | None:
    """An example in this profile; with `first_wins` one in which no rule is broken before the first of the pair."""
    checks, line = _operation(pair[0]).checks, line_of(pair[0])
    before = [check.rule.id for check in checks][: [check.rule.id for check in checks].index(pair[1])]

    def inputs(world: World) -> dict[str, Any]:
        return {"state": line.any_state(world), "request": line.requests[pair[0]](world)}

    def given(state: Any, request: Any) -> Any:
        asked = {check.rule.id: check for check in operation_of(request).checks}
        unbroken = [negation(asked[rule].is_broken(profile, state, request)) for rule in before if first_wins]
        return all_of(line.can_be_set_up(profile, state), _both_broken(pair, profile, state, request), *unbroken)

    def wishes(state: Any, request: Any) -> list[Any]:
        asked = [check for check in operation_of(request).checks if check.rule.id not in pair]
        unbroken = (negation(check.is_broken(profile, state, request)) for check in asked)
        return [*unbroken, *line.plainness(state, request)]

    case = find_case(FewWorld(count, most_pages=0), inputs, given, wishes)
    if case is None:
        return None
    for setup in line.setups(profile, case["state"]):
        state = reached(profile, list(setup), line.subject.fresh)
        broken = {check.rule.id for check in checks if check.is_broken(profile, state, case["request"])}
        if not set(pair[1:]) <= broken:
            continue
        if first_wins and first_broken(checks, profile, state, case["request"]) is None:
            raise ArithmeticError(f"the example for {pair} breaks nothing")
        return Example(profile, setup, case["request"], alone=broken == set(pair[1:]))
    return None
