"""What a proof about object code came to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import z3

from proofs.objectcode.cannot import Cannot
from proofs.objectcode.passes import Way

MILLISECONDS = 600_000  # by the clock, which on a busy machine is not much


@dataclass(frozen=True)
class Difference:
    """An input for which object code and specification differ, and what each says when it is run."""

    case: dict[str, int]
    machine: str
    specification: str

    def is_real(self) -> bool:
        """Whether it was seen by running both."""
        return self.machine != self.specification

    def __str__(self) -> str:
        values = ", ".join(f"{name} = {value:#x}" for name, value in sorted(self.case.items()))
        return f"the code says {self.machine}, the specification {self.specification}, for {values}"


@dataclass(frozen=True)
class Shown:
    """How many ways were compared, and how many cases were run on both sides; equal if there is no difference."""

    machine_ways: int
    model_ways: int
    witnesses: int = 0
    difference: Difference | None = None


def decided(formulas: Sequence[Any]) -> Any:
    """A case in which formulas hold together, or None. Raises Cannot if that is not decided."""
    solver = z3.Solver()
    solver.set("timeout", MILLISECONDS)
    solver.add(*formulas)
    verdict = solver.check()
    if verdict == z3.unknown:
        raise Cannot(f"the solver did not decide something within {MILLISECONDS // 1000} s ({solver.reason_unknown()})")
    return solver.model() if verdict == z3.sat else None


def decided_of(given: Sequence[Any], claimed: Iterable[tuple[Way, Sequence[Any]]]) -> Any:
    """A case in which what is given and one of the ways hold, and not what is claimed there; or None. Raises Cannot."""
    for way, claims in claimed:
        wrong = z3.simplify(z3.Not(z3.And(*claims)))
        if z3.is_false(wrong):
            continue
        case = decided([*given, *way.conditions, wrong])
        if case is not None:
            return case
    return None
