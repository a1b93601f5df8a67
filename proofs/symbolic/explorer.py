"""Run a function once for each way in which its branches can go.

A branch on a symbolic value (`if`, `and`, `min`, …) comes here as a formula. The function is then run again from its
start for each choice that is still open; a run in which all choices are made is a *path*. Every value that outlives a
run (inputs, witnesses) is made before it or remembered, so a run never depends on the paths before it.

There are two ways to walk the paths:

* `paths` asks the solver which choices are feasible. Only ground facts are used for that: more paths than necessary may
  be walked, and each is later judged with all facts, so nothing is lost but time.
* `formula` walks all paths of a predicate without a solver and returns the one formula that says when it is true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import z3

BRANCH_TIMEOUT_MS = 100  # an undecided branch counts as feasible
CLAIM_TIMEOUT_MS = 20_000
MOST_PATHS = 5_000


class Unsupported(TypeError):
    """A symbolic value was used in a way that the engine has no exact meaning for."""


class TooManyPaths(RuntimeError):
    """A function has more paths than anybody wants to wait for."""


@dataclass(frozen=True)
class Path:
    """One way through a function: the decisions (formula, taken) on it, and what it returned or raised."""

    decisions: tuple[tuple[Any, bool], ...]
    value: Any
    raised: Exception | None = None

    def conditions(self) -> list[Any]:
        """The decisions as formulas that hold on this path."""
        return [formula if taken else z3.Not(formula) for formula, taken in self.decisions]


@dataclass
class _Walk:
    """The state of walking the paths of one function."""

    solver: Any = None  # None: every choice counts as feasible
    trail: list[tuple[bool, bool]] = field(default_factory=list)  # (choice, whether the other one is still open)
    decisions: list[tuple[Any, bool]] = field(default_factory=list)
    known: dict[int, bool] = field(default_factory=dict)  # formulas settled on this path, by their z3 identity


class Explorer:
    """What is known about the symbolic values of one proof, and the paths that are being walked.

    `ground` and `quantified` are facts that hold always: ranges of inputs, definitions of witnesses. `looked_into` are
    the names of bounded sequences that the proof depends on.
    """

    def __init__(self) -> None:
        self.ground: list[Any] = []
        self.quantified: list[Any] = []
        self.assumed: list[Any] = []
        self.memory: dict[Any, Any] = {}
        self.solver_calls = 0
        self.quantifier_depth = 0
        self.looked_into: set[str] = set()
        self._walks: list[_Walk] = []

    # FACTS -------------------------------------------------------------------------------------------------------

    def assume(self, formula: Any) -> None:
        """Take a formula as given for everything that follows."""
        if z3.is_and(formula):
            for part in formula.children():
                self.assume(part)
        else:
            self.assumed.append(formula)

    def learn(self, fact: Any) -> None:
        """Take a definition as a fact, from now on: something that holds on every path."""
        self.ground.append(fact)
        for walk in self._walks:
            if walk.solver is not None:
                walk.solver.add(fact)

    def remember(self, key: Any, make: Callable[[], Any], *keep: Any) -> Any:
        """What `make` returned when first called for this key. `keep` are the objects whose identity is in the key."""
        if key not in self.memory:
            self.memory[key] = (make(), keep)
        return self.memory[key][0]

    # SOLVER ------------------------------------------------------------------------------------------------------

    def new_solver(self, timeout_ms: int) -> Any:
        """A solver that gives up after this time."""
        solver = z3.Solver()
        solver.set("timeout", timeout_ms)
        return solver

    def check(self, formulas: list[Any], timeout_ms: int = CLAIM_TIMEOUT_MS) -> Any:
        """The solver after it was asked whether the formulas can hold together with all facts, and its verdict."""
        solver = self.new_solver(timeout_ms)
        solver.add(*self.ground, *self.quantified, *self.assumed, *formulas)
        self.solver_calls += 1
        return solver, solver.check()

    def _can_hold(self, solver: Any, formula: Any) -> bool:
        self.solver_calls += 1
        return bool(solver.check(formula) != z3.unsat)

    # PATHS -------------------------------------------------------------------------------------------------------

    def decide(self, formula: Any) -> bool:
        """Which way a branch goes on the path that is being walked."""
        atom, positive = _literal(formula)
        if z3.is_true(atom):
            return positive
        if z3.is_false(atom):
            return not positive
        if not self._walks:
            raise Unsupported("a symbolic truth value was used where no path is walked")
        return self._decide_atom(self._walks[-1], atom) == positive

    def _decide_atom(self, walk: _Walk, atom: Any) -> bool:
        if atom.get_id() in walk.known:
            return walk.known[atom.get_id()]
        position = len(walk.decisions)
        if position < len(walk.trail):
            choice = walk.trail[position][0]
        elif walk.solver is None:
            choice = True
            walk.trail.append((True, True))
        else:
            choice = self._can_hold(walk.solver, atom)
            other_open = choice and self._can_hold(walk.solver, z3.Not(atom))
            walk.trail.append((choice, other_open))
        walk.decisions.append((atom, choice))
        walk.known[atom.get_id()] = choice
        if walk.solver is not None:
            walk.solver.add(atom if choice else z3.Not(atom))
        return choice

    def paths(self, run: Callable[[], Any]) -> Iterator[Path]:
        """Every feasible path of `run`, found with the solver."""
        literals = [_literal(formula) for formula in self.assumed]
        settled = {atom.get_id(): positive for atom, positive in literals}
        yield from self._walk(run, settled, with_solver=True)

    def _walk(self, run: Callable[[], Any], settled: dict[int, bool], with_solver: bool) -> Iterator[Path]:
        walk = _Walk()
        for _ in range(MOST_PATHS):
            walk.decisions, walk.known = [], dict(settled)
            if with_solver:
                walk.solver = self.new_solver(BRANCH_TIMEOUT_MS)
                walk.solver.add(*self.ground, *self.assumed)
            self._walks.append(walk)
            try:
                path = self._run_once(run, walk)
            finally:
                self._walks.pop()
            yield path
            while walk.trail and not walk.trail[-1][1]:
                walk.trail.pop()
            if not walk.trail:
                return
            walk.trail[-1] = (not walk.trail[-1][0], False)
        raise TooManyPaths(f"{run} has more than {MOST_PATHS} paths")

    def _run_once(self, run: Callable[[], Any], walk: _Walk) -> Path:
        try:
            value = run()
        except (Unsupported, TooManyPaths):
            raise
        except Exception as error:
            return Path(tuple(walk.decisions), None, error)
        return Path(tuple(walk.decisions), value)

    def formula(self, predicate: Callable[[], Any]) -> Any:
        """One formula that says when a predicate without side effects is true."""
        return _decision_tree(self.all_paths(predicate), 0)

    def all_paths(self, run: Callable[[], Any]) -> list[Path]:
        """Every path of a function without side effects, feasible or not. No two of them can be gone together."""
        return list(self._walk(run, {}, with_solver=False))


def _literal(formula: Any) -> tuple[Any, bool]:
    """The formula as (atom, True) or, if it is a negation, as (atom, False)."""
    positive = True
    while z3.is_not(formula):
        formula, positive = formula.arg(0), not positive
    formula = z3.simplify(formula)
    while z3.is_not(formula):
        formula, positive = formula.arg(0), not positive
    return formula, positive


def _decision_tree(paths: list[Path], depth: int) -> Any:
    """The predicate as nested choices. All paths agree on their first `depth` decisions."""
    first = paths[0]
    if depth == len(first.decisions):
        if first.raised is not None:
            raise first.raised
        return truth(first.value)
    atom = first.decisions[depth][0]
    when_true = _decision_tree([path for path in paths if path.decisions[depth][1]], depth + 1)
    when_false = _decision_tree([path for path in paths if not path.decisions[depth][1]], depth + 1)
    if z3.is_false(when_false):
        return z3.And(atom, when_true)
    if z3.is_true(when_true):
        return z3.Or(atom, when_false)
    if z3.is_false(when_true):
        return z3.And(z3.Not(atom), when_false)
    if z3.is_true(when_false):
        return z3.Or(z3.Not(atom), when_true)
    return z3.If(atom, when_true, when_false)


def truth(value: Any) -> Any:
    """A bool, plain or symbolic, as a formula."""
    if isinstance(value, bool):
        return z3.BoolVal(value)
    formula = getattr(value, "formula", None)
    if formula is None:
        raise Unsupported(f"{type(value).__name__} is no truth value")
    return formula


def forget_everything() -> None:
    """Start with an empty solver. What it finds then depends only on what it is asked, not on what was asked before.

    Nothing symbolic that was made earlier may be used after.
    """
    z3.z3._main_ctx = None  # z3 makes a new one when it is needed next


# The explorer of the proof that runs in this process; there is at most one.
_current: Explorer | None = None


@contextmanager
def exploring(explorer: Explorer) -> Iterator[Explorer]:
    """Symbolic values made or used inside belong to this explorer."""
    global _current
    outer, _current = _current, explorer
    try:
        yield explorer
    finally:
        _current = outer


def current() -> Explorer:
    """The explorer of the proof that runs. Raises Unsupported outside of one."""
    if _current is None:
        raise Unsupported("a symbolic value was used outside of a proof")
    return _current


def is_exploring() -> bool:
    """Whether a proof runs, as opposed to plain Python on plain values."""
    return _current is not None
