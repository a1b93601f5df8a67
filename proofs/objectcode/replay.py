"""A difference, run again on plain numbers: the machine's code in the engine, the model in Python.

Only what shows there is a difference. (What the solver found may also come from relations that are too weak, or from a
pointer into the midst of another object.)
"""

from __future__ import annotations

from typing import Any

import z3

from proofs.objectcode.models import Names
from proofs.objectcode.passes import ENTRY, Difference, Excluded, GoesOn, Problem, Proof, claims_of
from proofs.objectcode.relations import low
from proofs.objectcode.state import ARRIVED, RETURNED, State


def shows(problem: Problem, names: Names, proof: Proof, difference: Difference) -> str:
    """How machine and model differ in a case, in words; nothing if they do not. `problem` is the same as the one that
    the difference is of, with the values of the case as its `names`.
    """
    state = _state(problem, names, proof, difference)
    ended = problem.machine.run(state, problem.cuts)
    ways = [
        one for one in problem.ways(difference.step) if not any(z3.is_false(z3.simplify(c)) for c in one.conditions)
    ]
    if len(ended) != 1 or len(ways) != 1 or isinstance(ways[0].outcome, Excluded):
        return ""
    [end], [way] = ended, ways
    assert end.end is not None
    goes_on = end.end.kind == ARRIVED
    if goes_on != isinstance(way.outcome, GoesOn) or end.end.kind not in (ARRIVED, RETURNED):
        how = {ARRIVED: "goes on", RETURNED: f"returns {_number(end)}"}.get(end.end.kind, "traps")
        return f"the machine {how}, the model {problem.described(way.outcome)}"
    cuts = difference.cuts or proof.cuts
    begins = [one.step for one in cuts if goes_on and one.address == end.end.address]
    if begins and begins != [way.outcome.step]:
        return f"the machine goes on with {begins[0]}, the model {problem.described(way.outcome)}"
    if difference.lost is not None and goes_on:
        place, name = difference.lost
        holds, wanted = z3.simplify(place.read(problem.machine, end)), z3.simplify(way.outcome.values[name])
        wanted = low(wanted, holds.size())
        if z3.is_false(z3.simplify(holds == wanted)):
            return f"{difference.sentence}: {_hex(holds)}, not {_hex(z3.simplify(wanted))}"
        return ""
    wrong = [one.name for one in claims_of(problem, difference.step, end, way) if z3.is_false(z3.simplify(one.formula))]
    back = f"the machine returns {_number(end)}, " if not goes_on else ""
    return f"{', '.join(wrong)}: {back}the model {problem.described(way.outcome)}" if wrong else ""


def _hex(value: Any) -> str:
    return hex(value.as_long()) if z3.is_bv_value(value) else str(value)


def _number(state: State) -> str:
    value = z3.simplify(z3.Extract(31, 0, state.get("RAX")))
    whole = z3.simplify(state.get("RAX"))
    if z3.is_bv_value(whole) and whole.as_long() >= 2**32:
        return hex(whole.as_long())
    return str(value.as_signed_long()) if z3.is_bv_value(value) else "something"


def _state(problem: Problem, names: Names, proof: Proof, difference: Difference) -> State:
    """The state in which the pass begins."""
    if difference.step == ENTRY:
        return problem.start()
    [cut] = [one for one in difference.cuts or proof.cuts if one.step == difference.step]
    state, _ = cut.state(problem.machine)
    known = [(z3.BitVec(name, term.size()), term) for name, term in names.terms.items()]
    unknown = [(term, _value(difference.case, term)) for term in cut.kept.values()]
    for place in cut.places:
        value = place.read(problem.machine, state)
        place.write(state, z3.simplify(z3.substitute(value, *known, *unknown)))
    return state


def _value(case: Any, term: Any) -> Any:
    return case.eval(term, model_completion=True)
