"""A machine's function is a model's: shown pass by pass, for any number of passes.

The function's loops are cut. A *pass* is what the machine does from its entry, or from a cut, to the next cut or to its
end; beside it the model goes one step. Both must end alike: with the same result, or at a cut where the model goes on
with the step that begins there, in a state in which the cut's relations hold again. What holds at each cut is found by
`relations`. So what is shown holds of every run, by induction over passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import z3

from proofs.objectcode.cannot import Cannot
from proofs.objectcode.image import Function
from proofs.objectcode.machine import Machine, before
from proofs.objectcode.relations import (
    Arrival,
    Cut,
    Fact,
    Loss,
    Place,
    Relation,
    Template,
    candidates,
    keep_what_holds,
)
from proofs.objectcode.state import ARRIVED, PRESERVED, RETURNED, State

ENTRY = "entry"
MOST_ROUNDS = 30
MOST_UNSHOWN = 8  # differences of which none shows when it is run: then it is enough
CLAIM_MILLISECONDS = 60_000


@dataclass(frozen=True)
class GoesOn:
    """The model goes on with another step, with these values of its variables (terms, by the variables' names)."""

    step: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Excluded:
    """The model says that this cannot be: an assertion that other theorems are about."""

    why: str


@dataclass(frozen=True)
class Way:
    """A way through a step of the model: what holds on it, and how it ends: `GoesOn`, `Excluded`, or a result."""

    conditions: tuple[Any, ...]
    outcome: Any


@dataclass(frozen=True)
class Claim:
    """Something that must hold where machine and model end alike."""

    name: str
    formula: Any


class Problem(Protocol):
    """A function of the machine and a model of it."""

    machine: Machine
    function: Function
    cuts: Sequence[int]
    variables: Mapping[str, Any]  # the model's variables where it goes on, as terms
    constants: Sequence[Any]  # what stays the same from the entry on: arguments, and memory that nobody writes
    templates: Sequence[Template]
    facts: Sequence[Fact]
    examples: Sequence[Any]  # formulas that a case to be shown should meet besides, as far as it can

    def start(self) -> State:
        """The machine's state at the function's entry."""

    def ways(self, step: str) -> list[Way]:
        """The model's ways through a step, from any values of the variables; through ENTRY, from the arguments."""

    def claims(self, step: str, state: State, way: Way) -> list[Claim]:
        """What must hold where the machine ended in this state and the model went this way."""

    def described(self, outcome: Any) -> str:
        """An outcome of the model in words, for a difference."""


@dataclass(frozen=True)
class Difference:
    """A pass in which machine and model differ: where it begins, what differs, and a solver's case of it."""

    step: str
    sentence: str
    case: Any
    cuts: tuple[Cut, ...] = ()  # what was taken to hold where passes begin
    lost: tuple[Place, str] | None = None  # a place that held a variable of the model, and after the pass does not


@dataclass
class Proof:
    """What was shown: equal if there is no difference."""

    difference: Difference | None = None
    cuts: list[Cut] = field(default_factory=list)
    machine_paths: int = 0
    model_ways: int = 0
    pairs: int = 0
    claims: int = 0
    questions: int = 0
    rounds: int = 0
    excluded: set[str] = field(default_factory=set)
    lost: list[Difference] = field(default_factory=list)  # passes behind which no place holds a variable any more
    unshown: list[Difference] = field(default_factory=list)  # what the solver found and a run of the case did not show


@dataclass(frozen=True)
class _Pair:
    state: State
    way: Way
    conditions: list[Any]


class Prover:
    """One proof. `progress` is told in words what is being done."""

    def __init__(self, problem: Problem, progress: Callable[[str], None] = lambda words: None) -> None:
        self.problem, self.machine, self.progress = problem, problem.machine, progress
        self.proof = Proof()
        self.cuts: dict[int, Cut] = {}
        self._ways: dict[str, list[Way]] = {}
        self._last: list[tuple[str, list[State]]] = []

    def prove(self, shows: Callable[[Difference], bool] = lambda difference: True) -> Proof:
        """Compare until a difference is found that `shows`. Others are set aside: what a solver finds may come from
        relations that are too weak. Equal is only what has no difference of either sort. Raises Cannot.
        """
        self.progress("finding what registers hold")
        for self.proof.rounds in range(1, MOST_ROUNDS + 1):
            if not self._round():
                break
        else:
            raise Cannot(f"after {MOST_ROUNDS} rounds it is still not clear what holds at the loop's cut")
        self.progress("comparing passes")
        self.proof.cuts = list(self.cuts.values())
        for step, ended in self._last:  # of the last round, in which nothing was given up
            self._require_ways(step, ended)
            pairs = self._pairs(step, ended)
            self.proof.machine_paths += len(ended)
            self.proof.model_ways += len(self._ways[step])
            self.proof.pairs += len(pairs)
            for pair in pairs:
                difference = self._difference(step, pair)
                if difference is None:
                    continue
                self.proof.difference = difference
                if shows(difference):
                    return self.proof
                self.proof.unshown.append(difference)
                if len(self.proof.unshown) == MOST_UNSHOWN:
                    return self.proof
        self.proof.questions += self.machine.questions
        return self.proof

    # PASSES ------------------------------------------------------------------------------------------------------

    def _passes(self) -> list[tuple[str, list[State]]]:
        """Where the machine's paths end, from the entry and from each cut; by the model's step that begins there."""
        passes = [(ENTRY, self._ended(ENTRY, self.problem.start(), []))]
        return [*passes, *((cut.step, self._ended(cut.step, *cut.state(self.machine))) for cut in self.cuts.values())]

    def _ended(self, step: str, state: State, assumed: list[Any]) -> list[State]:
        for one in assumed:
            state.assume(one)
        if step not in self._ways:
            self._ways[step] = self.problem.ways(step)
        return self.machine.run(state, self.problem.cuts)

    def _pairs(self, step: str, ended: list[State], arriving: bool = False) -> list[_Pair]:
        """All pairs of a machine's path and a model's way that can be gone together; or only where both go on."""
        ways = self._ways[step]
        if arriving:
            ended = [one for one in ended if one.end is not None and one.end.kind == ARRIVED]
            ways = [one for one in ways if isinstance(one.outcome, GoesOn)]
        mine = [(one, _literals(one.conditions)) for one in ended]
        theirs = [(way, _literals(way.conditions)) for way in ways]
        together = [
            _Pair(one, way, [*one.conditions, *way.conditions])
            for one, (true, false) in mine
            for way, (also_true, also_false) in theirs
            if true.isdisjoint(also_false) and false.isdisjoint(also_true)
        ]
        return [pair for pair in together if self.machine.is_feasible(pair.conditions)]

    def _require_ways(self, step: str, ended: list[State]) -> None:
        """The model must have a way for whatever the machine's paths are gone with: else nothing would be compared."""
        none = [z3.Not(z3.And(*way.conditions)) for way in self._ways[step]]
        for one in ended:
            if self._case([*self.machine.given, *one.conditions, *none]) is not None:
                raise Cannot(f"the model says nothing of some case in which {step} may begin")

    def _round(self) -> bool:
        """Look at all arrivals; whether a cut is new or something was given up."""
        changed = False
        arrivals: dict[int, list[tuple[str, _Pair]]] = {}
        before = tuple(one.copy() for one in self.cuts.values())
        self._last = self._passes()
        for step, ended in self._last:
            for pair in self._pairs(step, ended, arriving=True):
                assert pair.state.end is not None
                arrivals.setdefault(pair.state.end.address, []).append((step, pair))
        for address, those_here in arrivals.items():
            pairs = [pair for _, pair in those_here]
            if address not in self.cuts:
                changed = True
                step = pairs[0].way.outcome.step
                those = [self._arrival(pair) for pair in pairs if pair.way.outcome.step == step]
                self.cuts[address] = candidates(
                    self.machine,
                    address,
                    step,
                    those,
                    self.problem.templates,
                    self.problem.facts,
                    self.problem.constants,
                )
            cut = self.cuts[address]
            alike = [(step, pair) for step, pair in those_here if pair.way.outcome.step == cut.step]
            losses: list[tuple[int, list[Loss]]] = []
            known = cut.copy()
            for _, pair in those_here:
                changed |= cut.forget(pair.state)
            here = [self._arrival(pair) for _, pair in alike]
            if keep_what_holds(self.machine, cut, here, self._case, lambda at, lost: losses.append((at, lost))):  # noqa: B023
                changed = True
                self._remember_lost(known, cut, alike, losses, before)
        return changed

    def _remember_lost(
        self,
        known: Cut,
        cut: Cut,
        alike: list[tuple[str, _Pair]],
        losses: list[tuple[int, list[Loss]]],
        before: tuple[Cut, ...],
    ) -> None:
        """Keep the passes behind which no place holds a variable of the model that one held before."""
        for name, term in self.problem.variables.items():
            if cut.holds_all_of(term) or not known.holds_all_of(term):
                continue
            for at, lost in losses:
                step, pair = alike[at]
                for relation, formula in lost:
                    if isinstance(relation, Relation) and z3.eq(relation.template.term, term):
                        wrong = [*pair.conditions, z3.Not(formula)]
                        case = self._case(wrong)
                        words = f"the machine goes on with another {name} in {relation.place} than the model"
                        if case is not None:
                            case = self._example(wrong, case)
                            found = Difference(step, words, case, before, (relation.place, name))
                            self.proof.lost.append(found)

    def _arrival(self, pair: _Pair) -> Arrival:
        outcome = pair.way.outcome
        values = [(term, outcome.values[name]) for name, term in self.problem.variables.items()]
        return pair.state, pair.conditions, values

    # DIFFERENCES -------------------------------------------------------------------------------------------------

    def _difference(self, step: str, pair: _Pair) -> Difference | None:
        outcome, end = pair.way.outcome, pair.state.end
        assert end is not None
        if isinstance(outcome, Excluded):
            self.proof.excluded.add(outcome.why)
            return None
        goes_on = end.kind == ARRIVED
        sentence = ""
        if goes_on != isinstance(outcome, GoesOn) or end.kind not in (ARRIVED, RETURNED):
            how = {ARRIVED: "goes on", RETURNED: "returns"}.get(end.kind, "traps")
            sentence = f"the machine {how}, the model {self.problem.described(outcome)}"
        elif goes_on and self.cuts[end.address].step != outcome.step:
            sentence = f"the machine goes on with another step than the model ({outcome.step})"
        if sentence:
            case = self._case(pair.conditions)
            return None if case is None else Difference(step, sentence, self._example(pair.conditions, case))
        return self._false(step, pair, claims_of(self.problem, step, pair.state, pair.way))

    def _false(self, step: str, pair: _Pair, claims: Iterable[Claim]) -> Difference | None:
        for claim in claims:
            self.proof.claims += 1
            case = self._case([*pair.conditions, z3.Not(claim.formula)])
            if case is not None:
                words = f"{claim.name} (the model {self.problem.described(pair.way.outcome)})"
                return Difference(step, words, self._example([*pair.conditions, z3.Not(claim.formula)], case))
        return None

    def _example(self, formulas: Sequence[Any], case: Any) -> Any:
        """A case of these formulas that is fit to be shown; the one that is known if there is none."""
        wished = list(self.problem.examples)
        while wished:
            found = self._case([*formulas, *wished])
            if found is not None:
                return found
            wished.pop()
        return case

    def _case(self, formulas: Sequence[Any]) -> Any:
        """A case in which formulas hold together with all that is given, or None. Raises Cannot."""
        self.proof.questions += 1
        verdict, case = self.machine.solver.decide(formulas, CLAIM_MILLISECONDS)
        if verdict == z3.unknown:
            raise Cannot(f"the solver did not decide something within {CLAIM_MILLISECONDS // 1000} s")
        return case


def _literals(formulas: Iterable[Any]) -> tuple[set[str], set[str]]:
    """The short ones among some formulas, as text: those that are said, and those of which the opposite is said."""
    said: tuple[set[str], set[str]] = set(), set()
    for one in map(z3.simplify, formulas):
        is_not = z3.is_not(one)
        atom = one.arg(0) if is_not else one
        if z3.is_eq(atom) and all(z3.is_const(part) or z3.is_bv_value(part) for part in atom.children()):
            said[is_not].add(" == ".join(sorted(map(str, atom.children()))))
    return said


def claims_of(problem: Problem, step: str, state: State, way: Way) -> list[Claim]:
    """What must hold where both ended alike, what a function owes its caller included."""
    claims = list(problem.claims(step, state, way))
    return claims if isinstance(way.outcome, GoesOn) else [*claims, *preserved(state)]


def preserved(state: State) -> list[Claim]:
    """What a function owes its caller: these registers are as they were."""
    return [
        Claim(f"{register.lower()} is not restored", state.get(register) == before(register)) for register in PRESERVED
    ]
