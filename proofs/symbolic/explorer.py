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

from proofs.symbolic.arithmetic import Arithmetic
from proofs.symbolic.arithmetic import Unsupported as Unsupported
from proofs.symbolic.complaints import raise_complaint, told_by_z3
from proofs.symbolic.linear import LINEAR
from proofs.symbolic.other_threads import expect_other_threads
from proofs.symbolic.terms import any_one, both, chosen, opposite

BRANCH_TIMEOUT_MS = 100  # an undecided branch counts as feasible
CLAIM_TIMEOUT_MS = 20_000
MOST_PATHS = 5_000


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
        return [formula if taken else opposite(formula) for formula, taken in self.decisions]


class NotRepeatableError(RuntimeError):
    """A function that was run again came to another branch than before: it depends on what earlier runs left behind."""


@dataclass(frozen=True, slots=True)
class _Literal:
    """A formula as an atom or the negation of one. Keeps both alive, and so their identities."""

    formula: Any
    atom: Any
    positive: bool
    id: int  # z3's, of the atom
    settled: bool | None  # what the atom is, if it is plain


@dataclass
class _Turn:
    """A choice on the path that is being walked, and whether the other one is still open."""

    atom: Any
    id: int  # z3's, of the atom
    choice: bool
    other_open: bool
    facts: int = 0  # how many facts the solver knew before


@dataclass
class _Walk:
    """The state of walking the paths of one function. The solver knows the facts, and the turns, one on the other."""

    solver: Any = None  # None: every choice counts as feasible
    trail: list[_Turn] = field(default_factory=list)
    decisions: list[tuple[Any, bool]] = field(default_factory=list)
    known: dict[int, bool] = field(default_factory=dict)  # formulas settled on this path, by their z3 identity
    facts: int = 0  # how many facts the solver knows
    model: Any = None  # values with which all holds that the solver knows, if some were found
    found: Any = None  # values that the solver has just found


class Explorer:
    """What is known about the symbolic values of one proof, and the paths that are being walked.

    `ground` and `quantified` are facts that hold always: ranges of inputs, definitions of witnesses. `looked_into` are
    the names of bounded sequences that the proof depends on. `arithmetic` says what its integers are made of.
    """

    def __init__(self, arithmetic: Arithmetic = LINEAR) -> None:
        self.arithmetic = arithmetic
        self.ground: list[Any] = []
        self.quantified: list[Any] = []
        self.assumed: list[Any] = []
        self.memory: dict[Any, Any] = {}
        self.solver_calls = 0
        self.quantifier_depth = 0
        self.looked_into: set[str] = set()
        self._walks: list[_Walk] = []
        self._literals: dict[int, _Literal] = {}  # by z3's identity of the formula

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

    def remember(self, key: Any, make: Callable[[], Any], *keep: Any) -> Any:
        """What `make` returned when first called for this key. `keep` are the objects whose identity is in the key."""
        if key not in self.memory:
            self.memory[key] = (make(), keep)
        return self.memory[key][0]

    # SOLVER ------------------------------------------------------------------------------------------------------

    def new_solver(self, timeout_ms: int) -> Any:
        """A solver that gives up after this time."""
        solver = z3.Solver()
        limits = self.remember(("limits", timeout_ms), lambda: _limits(timeout_ms))
        z3.Z3_solver_set_params(solver.ctx.ref(), solver.solver, limits.params)
        return solver

    def tell(self, solver: Any, formulas: list[Any]) -> None:
        """As `solver.add`, which first asks of each formula whether it is one, and takes longer than z3 for it."""
        for formula in formulas:
            z3.Z3_solver_assert(solver.ctx.ref(), solver.solver, formula.as_ast())

    def case_of(self, solver: Any) -> Any:
        """Values with which all holds that the solver was just asked about, or None."""
        return solver.model()

    def check(self, formulas: list[Any], timeout_ms: int = CLAIM_TIMEOUT_MS) -> Any:
        """The solver after it was asked whether the formulas can hold together with all facts, and its verdict."""
        solver = self.new_solver(timeout_ms)
        self.tell(solver, [*self.ground, *self.quantified, *self.assumed, *formulas])
        self.solver_calls += 1
        answer = solver.check()
        raise_complaint()
        if _listener is not None:
            _listener(CLAIM, list(solver.assertions()), answer)
        return solver, answer

    def _can_hold(self, walk: _Walk, formula: Any) -> bool:
        """Whether the formula may hold besides all that a walk's solver knows; a case goes to `walk.found`."""
        self.solver_calls += 1
        answer = walk.solver.check(formula)
        raise_complaint()
        if _listener is not None:
            _listener(BRANCH, [*walk.solver.assertions(), formula], answer)
        walk.found = self.case_of(walk.solver) if answer == z3.sat else None
        return bool(answer != z3.unsat)

    # PATHS -------------------------------------------------------------------------------------------------------

    def decide(self, formula: Any) -> bool:
        """Which way a branch goes on the path that is being walked."""
        literal = self._literal(formula)
        if literal.settled is not None:
            return literal.settled == literal.positive
        if not self._walks:
            raise Unsupported("a symbolic truth value was used where no path is walked")
        return self._decide_atom(self._walks[-1], literal.atom, literal.id) == literal.positive

    def _literal(self, formula: Any) -> _Literal:
        """The same formula, asked again on another path, is not worked out again."""
        identity = formula.get_id()
        known = self._literals.get(identity)
        if known is None:
            atom, positive = _literal(formula)
            known = _Literal(formula, atom, positive, atom.get_id(), _settled(atom))
            self._literals[identity] = known
        return known

    def _decide_atom(self, walk: _Walk, atom: Any, identity: int) -> bool:
        if identity in walk.known:
            return walk.known[identity]
        position = len(walk.decisions)
        if position == len(walk.trail):
            self._new_turn(walk, atom, identity)
        turn = walk.trail[position]
        if turn.id != identity:
            raise NotRepeatableError(f"{turn.atom} was asked before, and now {atom}")
        walk.decisions.append((atom, turn.choice))
        walk.known[identity] = turn.choice
        return turn.choice

    def _new_turn(self, walk: _Walk, atom: Any, identity: int) -> None:
        if walk.solver is None:
            walk.trail.append(_Turn(atom, identity, True, True))
            return
        self._tell_facts(walk)
        choice, other_open = self._sides(walk, atom)
        walk.trail.append(_Turn(atom, identity, choice, other_open, walk.facts))
        self._tell_turn(walk)

    def _sides(self, walk: _Walk, atom: Any) -> tuple[bool, bool]:
        """The side to take first, and whether the other one may be taken, too. What a known case shows is not asked."""
        shown = None if walk.model is None else _settled(walk.model.eval(atom, model_completion=True))
        if shown is not True:
            walk.found = None
            if not self._can_hold(walk, atom):
                walk.model = walk.model if shown is False else None
                return False, False
            walk.model = walk.found
            if shown is False:
                return True, True
        return True, self._can_hold(walk, opposite(atom))

    def _tell_facts(self, walk: _Walk) -> None:
        """What was learned since the solver was last asked."""
        if walk.facts < len(self.ground):
            self.tell(walk.solver, self.ground[walk.facts :])
            walk.facts, walk.model = len(self.ground), None

    def _tell_turn(self, walk: _Walk) -> None:
        turn = walk.trail[-1]
        walk.solver.push()
        self.tell(walk.solver, [turn.atom if turn.choice else opposite(turn.atom)])

    def paths(self, run: Callable[[], Any]) -> Iterator[Path]:
        """Every feasible path of `run`, found with the solver."""
        literals = [_literal(formula) for formula in self.assumed]
        settled = {atom.get_id(): positive for atom, positive in literals}
        yield from self._walk(run, settled, with_solver=True)

    def _walk(self, run: Callable[[], Any], settled: dict[int, bool], with_solver: bool) -> Iterator[Path]:
        walk = _Walk()
        if with_solver:
            walk.solver = self.new_solver(BRANCH_TIMEOUT_MS)
            self.tell(walk.solver, self.assumed)
        for _ in range(MOST_PATHS):
            walk.decisions, walk.known = [], dict(settled)
            self._walks.append(walk)
            try:
                path = self._run_once(run, walk)
            finally:
                self._walks.pop()
            yield path
            if not self._turn_back(walk):
                return
        raise TooManyPaths(f"{run} has more than {MOST_PATHS} paths")

    def _turn_back(self, walk: _Walk) -> bool:
        """To the other side of the last turn that has one which was not walked. False: there is none."""
        before = len(walk.trail)
        while walk.trail and not walk.trail[-1].other_open:
            walk.trail.pop()
        if not walk.trail:
            return False
        turn = walk.trail[-1]
        turn.choice, turn.other_open = not turn.choice, False
        if walk.solver is not None:
            walk.solver.pop(before - len(walk.trail) + 1)
            walk.facts, walk.model = turn.facts, None
            self._tell_turn(walk)
        return True

    def _run_once(self, run: Callable[[], Any], walk: _Walk) -> Path:
        try:
            value = run()
        except (Unsupported, TooManyPaths, NotRepeatableError):
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


def _limits(timeout_ms: int) -> Any:
    limits = z3.ParamsRef()
    limits.set("timeout", timeout_ms)
    return limits


def _literal(formula: Any) -> tuple[Any, bool]:
    """The formula as (atom, True) or, if it is a negation, as (atom, False)."""
    positive = True
    while z3.is_not(formula):
        formula, positive = formula.arg(0), not positive
    formula = z3.simplify(formula)
    while z3.is_not(formula):
        formula, positive = formula.arg(0), not positive
    return formula, positive


def _settled(formula: Any) -> bool | None:
    """What a formula is that is plainly true or false: in one call to z3, where `is_true` and `is_false` take many."""
    return _PLAIN.get(z3.Z3_get_bool_value(formula.ctx_ref(), formula.as_ast()))


_PLAIN = {z3.Z3_L_TRUE: True, z3.Z3_L_FALSE: False}


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
    if_true, if_false = _settled(when_true), _settled(when_false)
    if if_false is False:
        return both(atom, when_true)
    if if_true is True:
        return any_one(atom, when_false)
    if if_true is False:
        return both(opposite(atom), when_false)
    if if_false is True:
        return any_one(opposite(atom), when_true)
    return chosen(atom, when_true, when_false)


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
    expect_other_threads()


# WHAT THE SOLVER IS ASKED ----------------------------------------------------------------------------------------

CLAIM, BRANCH = "claim", "branch"  # can a claim fail, or a case be found? can a branch be taken?
Listener = Callable[[str, list[Any], Any], None]  # (CLAIM or BRANCH, formulas, whether they can hold together)
_listener: Listener | None = None


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Whatever a solver is asked inside, and what it answers, is told to the listener."""
    global _listener
    outer, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = outer


# The explorer of the proof that runs in this process; there is at most one.
_current: Explorer | None = None


@contextmanager
def exploring(explorer: Explorer) -> Iterator[Explorer]:
    """Symbolic values made or used inside belong to this explorer."""
    global _current
    outer, _current = _current, explorer
    try:
        with told_by_z3():
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
