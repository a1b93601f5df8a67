"""How one theorem is judged: witness, proof, planted bug. Each must come out right, and each is bounded in time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import z3

import spec.step
import spec.vhost.backend
from proofs.claims import operation_of
from proofs.symbolic.arithmetic import Arithmetic
from proofs.symbolic.boolean import merged
from proofs.symbolic.concrete import plain
from proofs.symbolic.explorer import CLAIM_TIMEOUT_MS, Explorer, Path, exploring, forget_everything, truth
from proofs.symbolic.fewset import FEW_PAGES, FewSet
from proofs.symbolic.linear import LINEAR
from proofs.theorem import UNBOUNDED, Patch, Theorem, patched
from proofs.world import AnyWorld, FewWorld, World
from proofs.world_vhost import ENTRY_SHAPE
from spec.rule import Check
from spec.vhost.address_map import AddressMap

BUG_TIMEOUT_MS = 300  # with the bug planted, the proof must not go through; that it does not needs no verdict

PROVED, REFUTED, UNKNOWN, VACUOUS, BUG_MISSED, ERROR = (
    "proved",
    "refuted",
    "unknown",
    "no witness",
    "planted bug not refuted",
    "error",
)


@dataclass(frozen=True)
class Verdict:
    """What came out for one theorem. `status` is "proved" only if its witness and its planted bug came out right too.

    `witness` is a case in which the hypotheses hold, `bug_case` one in which the planted bug breaks the claim, and
    `counterexample` one in which the theorem itself fails: plain values by the name of the input.
    """

    id: str
    status: str
    seconds: float
    paths: int = 0
    solver_calls: int = 0
    witness: dict[str, Any] | None = None
    bug_case: dict[str, Any] | None = None
    counterexample: dict[str, Any] | None = None
    detail: str = field(default="")
    kept: bool = False  # found in an earlier run, by the same code


@contextmanager
def checks_as_formulas() -> Iterator[None]:
    """`spec.step` asks each rule's question as one formula, not path by path. An empty address map is one of the
    engine's: a frozenset cannot take symbolic entries in. And when a queue is attached, a field of the used ring is
    looked up with room for one segment: where it takes more, or stops, the answer is the same. On plain values nothing
    is different.
    """
    operations = tuple(
        replace(operation, checks=tuple(Check(check.rule, merged(check.is_broken)) for check in operation.checks))
        for operation in spec.step.OPERATIONS
    )
    empty = AddressMap(entries=FewSet((), ENTRY_SHAPE, "empty"))
    knowing = [module for name, module in sys.modules.items() if name.startswith("spec.vhost.")]
    empties = (Patch(module, "EMPTY_MAP", empty) for module in knowing if hasattr(module, "EMPTY_MAP"))
    room = Patch(spec.vhost.backend, "MOST_RING_SEGMENTS", 1)
    reach = Patch(spec.vhost.backend, "field_is_out_of_reach", merged(spec.vhost.backend.field_is_out_of_reach))
    known = Patch(spec.step, "operation_of", operation_of)
    with patched((Patch(spec.step, "OPERATIONS", operations), known, *empties, room, reach)):
        yield


def judge(theorem: Theorem) -> Verdict:
    """Find a witness, prove the theorem, refute its planted bug. Never raises: what went wrong is in the verdict."""
    started = time.perf_counter()
    try:
        verdict = _judge(theorem)
    except Exception as error:  # whatever a statement or the solver raises, the theorem is not proved
        verdict = Verdict(theorem.id, ERROR, 0.0, detail=f"{type(error).__name__}: {error}")
    return replace(verdict, seconds=time.perf_counter() - started)


def _judge(theorem: Theorem) -> Verdict:
    verdict = prove(theorem)
    if verdict.status != PROVED:
        case = find_counterexample(theorem)
        return verdict if case is None else replace(verdict, status=REFUTED, counterexample=case)
    witness = find_witness(theorem)
    if witness is None:
        return replace(verdict, status=VACUOUS, detail="the hypotheses were not met by any case that was looked for")
    _require(theorem.holds(**witness), "what is proved is false of the witness when it is run on plain values", witness)
    with patched(theorem.bug.patches):
        still_proved = prove(theorem, BUG_TIMEOUT_MS).status == PROVED
        bug_case = find_counterexample(theorem)
    if still_proved:
        return replace(
            verdict, status=BUG_MISSED, witness=witness, detail=f"it is proved all the same: {theorem.bug.sentence}"
        )
    if bug_case is None:
        return replace(verdict, status=BUG_MISSED, witness=witness, detail=theorem.bug.sentence)
    return replace(verdict, witness=witness, bug_case=bug_case)


# PROOF -----------------------------------------------------------------------------------------------------------


def prove(theorem: Theorem, timeout_ms: int = CLAIM_TIMEOUT_MS) -> Verdict:
    """Whether the claim holds on every path, in all cases that the hypotheses allow."""
    world = theorem.proved_in() if theorem.proved_in else AnyWorld()
    forget_everything()
    explorer = Explorer(theorem.arithmetic)
    count = 0
    with checks_as_formulas(), exploring(explorer):
        for path in _paths(theorem, explorer, world):
            count += 1
            _, answer = explorer.check([*path.conditions(), z3.Not(_claim(path))], timeout_ms)
            if answer != z3.unsat:
                break
        else:
            if explorer.looked_into and theorem.bound == UNBOUNDED:
                detail = f"it looks into bounded sequences ({', '.join(sorted(explorer.looked_into))}): state the bound"
                return Verdict(theorem.id, UNKNOWN, 0.0, count, explorer.solver_calls, detail=detail)
            return Verdict(theorem.id, PROVED, 0.0, count, explorer.solver_calls)
    detail = f"the solver said {answer} on path {count}" + (f", which raised {path.raised!r}" if path.raised else "")
    return Verdict(theorem.id, UNKNOWN, 0.0, count, explorer.solver_calls, detail=detail)


def _paths(theorem: Theorem, explorer: Explorer, world: World) -> Iterator[Path]:
    inputs = theorem.inputs(world)
    explorer.assume(explorer.formula(lambda: theorem.given(**inputs)))
    yield from explorer.paths(lambda: theorem.holds(**inputs))


def _claim(path: Path) -> Any:
    """What must be true at the end of a path. A path that raises must not exist."""
    return z3.BoolVal(False) if path.raised is not None else truth(path.value)


# CASES -----------------------------------------------------------------------------------------------------------


def find_witness(theorem: Theorem) -> dict[str, Any] | None:
    """A case in which the hypotheses hold, run again in plain Python; None if there is none among the small ones."""
    few = range(1, theorem.few + 1)
    cases = (find_case(FewWorld(n), theorem.inputs, theorem.given, arithmetic=theorem.arithmetic) for n in few)
    return next((case for case in cases if case is not None), None)


def find_case(
    world: World,
    inputs: Callable[[World], dict[str, Any]],
    given: Callable[..., Any],
    wishes: Callable[..., list[Any]] | None = None,
    arithmetic: Arithmetic = LINEAR,
) -> dict[str, Any] | None:
    """Plain inputs for which a condition holds, or None. Of the wishes, those are granted that can be; one that has
    branches is a function.
    """
    forget_everything()
    explorer = Explorer(arithmetic)
    with checks_as_formulas(), exploring(explorer):
        symbolic = inputs(world)
        explorer.assume(explorer.formula(lambda: given(**symbolic)))
        solver, answer = explorer.check([])
        if answer != z3.sat:
            return None
        if wishes is not None:
            asked = wishes(**symbolic)
            grant(solver, [explorer.formula(wish) if callable(wish) else truth(wish) for wish in asked])
        case = {name: plain(solver.model(), value) for name, value in symbolic.items()}
    _require(given(**case), "a witness does not meet the hypotheses when it is run on plain values", case)
    return case


def grant(solver: Any, wishes: list[Any]) -> None:
    """Add to a solver that has a model as many wishes as leave it one: all at once, or else one after the other."""
    if solver.check(*wishes) == z3.sat:
        return
    granted: list[Any] = []
    for wish in wishes:
        if solver.check(*granted, wish) == z3.sat:
            granted.append(wish)
    solver.check(*granted)


def find_counterexample(theorem: Theorem, most_pages: int = FEW_PAGES) -> dict[str, Any] | None:
    """A case in which the hypotheses hold and the claim does not, run again in plain Python; None if none is found.

    Small sets come first, so that the case is as small as can be.
    """
    cases = (_counterexample(theorem, FewWorld(count, most_pages)) for count in range(1, theorem.few + 1))
    return next((case for case in cases if case is not None), None)


def _counterexample(theorem: Theorem, world: World) -> dict[str, Any] | None:
    forget_everything()
    explorer = Explorer(theorem.arithmetic)
    with checks_as_formulas(), exploring(explorer):
        symbolic = theorem.inputs(world)
        explorer.assume(explorer.formula(lambda: theorem.given(**symbolic)))
        for path in explorer.paths(lambda: theorem.holds(**symbolic)):
            solver, answer = explorer.check([*path.conditions(), z3.Not(_claim(path))])
            if answer == z3.sat:
                case = {name: plain(solver.model(), value) for name, value in symbolic.items()}
                break
        else:
            return None
    _require(theorem.given(**case), "a counterexample does not meet the hypotheses on plain values", case)
    _require(_fails(theorem, case), "a counterexample is none when it is run on plain values", case)
    return case


def _fails(theorem: Theorem, case: dict[str, Any]) -> bool:
    try:
        return not theorem.holds(**case)
    except Exception:  # a claim that raises is a claim that fails
        return True


def _require(met: Any, complaint: str, case: dict[str, Any]) -> None:
    if met is not True:
        raise ArithmeticError(f"{complaint}; the engine and Python disagree about {case}")
