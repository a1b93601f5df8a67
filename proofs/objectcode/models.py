"""The model's side of a comparison: plain Python, run on bit-vectors, or on plain ints where the values are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import z3

from proofs.objectcode.integers import Solver
from proofs.objectcode.passes import Excluded, Way
from proofs.symbolic.bits import BITS, low_bits, unsigned
from proofs.symbolic.explorer import Explorer, exploring

WAY_MILLISECONDS = 1000


class Names:
    """The unknowns of a comparison by name; with `values`, plain numbers in their place: a case that is run again."""

    def __init__(self, values: Mapping[str, int] | None = None) -> None:
        self.values = values
        self.terms: dict[str, Any] = {}

    def term(self, name: str, bits: int = 64) -> Any:
        """The unknown of this name, the same each time."""
        if name not in self.terms:
            known = None if self.values is None else self.values.get(name, 0)
            self.terms[name] = z3.BitVec(name, bits) if known is None else z3.BitVecVal(known, bits)
        return self.terms[name]

    def from_case(self, case: Any) -> dict[str, int]:
        """What a solver's case says of all unknowns; what does not matter is 0."""
        return {name: case.eval(term, model_completion=True).as_long() for name, term in self.terms.items()}


class _Explorer(Explorer):
    """An explorer that asks over integers which ways can be gone."""

    def new_solver(self, timeout_ms: int) -> Any:
        return Solver(max(timeout_ms, WAY_MILLISECONDS))

    def tell(self, solver: Any, formulas: list[Any]) -> None:
        solver.add(*formulas)

    def case_of(self, solver: Any) -> None:
        """None: its cases take longer than to ask again."""


def ways_of(
    run: Callable[[], Any], conditions: Iterable[Any], result: Callable[[Any], Any] = lambda value: value
) -> list[Way]:
    """The ways through a function of the model under some conditions. `result` makes an outcome of what it returns. An
    assertion that fails is a way that is excluded; any other exception is raised.
    """
    explorer = _Explorer(arithmetic=BITS)
    given = tuple(z3.simplify(one) for one in conditions)
    if any(z3.is_false(one) for one in given):
        return []
    ways = []
    with exploring(explorer):
        for one in given:
            explorer.assume(one)
        for path in explorer.paths(run):
            if isinstance(path.raised, AssertionError):
                outcome: Any = Excluded(str(path.raised) or "an assertion of the model")
            elif path.raised is not None:
                raise path.raised
            else:
                outcome = result(path.value)
            ways.append(Way((*given, *explorer.ground, *path.conditions()), outcome))
    return ways


def as_int(term: Any) -> Any:
    """A bit-vector without a sign, as an int: a plain one if its value is known."""
    term = z3.simplify(term)
    return term.as_long() if z3.is_bv_value(term) else unsigned(term)


def as_bits(number: Any, bits: int = 64) -> Any:
    """The low bits of an int of the model."""
    return low_bits(number, bits)
