"""What a proof asked its solver, written down as SMT-LIB 2: for anybody's solver.

A theorem is proved because the solver said "these formulas cannot hold together" again and again: for each path through
the claim, and for each side of a branch that was cut off. Each of these answers is an *obligation*, and is written into
a file of its own. As a check of whoever reads them, some questions are written, too, to which the answer was a case:
the theorem's witness, the case that its planted bug gets wrong, and branches that were taken.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import z3

from proofs.catalogue import theorem_named
from proofs.prover import PROVED, find_counterexample, find_witness, prove
from proofs.symbolic.explorer import BRANCH, CLAIM, heard_by
from proofs.theorem import Theorem, patched

UNSAT, SAT = "unsat", "sat"  # what z3 said
WITNESS, BUG = "witness", "planted bug"  # kinds of questions, besides claims and branches
MOST_BRANCHES_TAKEN = 3  # of a theorem, that are written down; without quantifiers, so that any solver finds a case


@dataclass(frozen=True)
class Obligation:
    """A question that was asked for a theorem, z3's answer to it, and the file that it is in."""

    theorem: str
    kind: str
    answer: str
    file: str


@dataclass(frozen=True)
class Recorded:
    """What was asked for one theorem. `complaint` says what is wrong if it was not proved."""

    theorem: str
    obligations: tuple[Obligation, ...]
    complaint: str = ""


def smt_lib(formulas: list[Any]) -> str:
    """The question whether formulas can hold together, as a file that any solver for SMT-LIB 2 reads."""
    # z3 knows "all of nothing" and "some of nothing" as terms, the standard does not.
    nothing = ((z3.And(), z3.BoolVal(True)), (z3.Or(), z3.BoolVal(False)))
    solver = z3.Solver()
    solver.add(*(z3.substitute(formula, *nothing) for formula in formulas))
    lines = [line for line in solver.to_smt2().splitlines() if not line.startswith(("; benchmark", "(set-info"))]
    return "\n".join(["(set-info :smt-lib-version 2.6)", "(set-logic ALL)", *lines, "(exit)", ""])


def record(theorem_id: str, directory: Path) -> Recorded:
    """Prove a theorem again, and write down what is asked."""
    theorem = theorem_named(theorem_id)
    writer = _Writer(theorem, directory)
    with heard_by(writer.of_proof):
        verdict = prove(theorem)
    if verdict.status != PROVED:
        return Recorded(theorem.id, (), f"{verdict.status}: {verdict.detail}")
    with heard_by(writer.of_witness):
        find_witness(theorem)
    with patched(theorem.bug.patches), heard_by(writer.of_bug):
        find_counterexample(theorem)
    return Recorded(theorem.id, tuple(writer.written.values()))


class _Writer:
    """Writes each question once."""

    def __init__(self, theorem: Theorem, directory: Path) -> None:
        self.theorem, self.directory = theorem, directory
        self.written: dict[str, Obligation] = {}
        self.branches_taken = 0

    def of_proof(self, kind: str, formulas: list[Any], answer: Any) -> None:
        """Whatever cannot be, and a few branches that can."""
        if answer == z3.unsat:
            self._write(kind, formulas, UNSAT)
        elif answer == z3.sat and kind == BRANCH and self.branches_taken < MOST_BRANCHES_TAKEN and _is_easy(formulas):
            self.branches_taken += 1
            self._write(kind, formulas, SAT)

    def of_witness(self, kind: str, formulas: list[Any], answer: Any) -> None:
        """The question that the witness answers."""
        if answer == z3.sat and kind == CLAIM:
            self._write(WITNESS, formulas, SAT)

    def of_bug(self, kind: str, formulas: list[Any], answer: Any) -> None:
        """The question that the planted bug's case answers."""
        if answer == z3.sat and kind == CLAIM:
            self._write(BUG, formulas, SAT)

    def _write(self, kind: str, formulas: list[Any], answer: str) -> None:
        text = smt_lib(formulas)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        if digest in self.written:
            return
        name = f"{self.theorem.id}.{kind.replace(' ', '-')}.{digest}.smt2"
        (self.directory / name).write_text(f"; {self.theorem.id}: {kind}\n{text}")
        self.written[digest] = Obligation(self.theorem.id, kind, answer, name)


def _is_easy(formulas: list[Any]) -> bool:
    """Whether there is no quantifier."""
    text = "".join(formula.sexpr() for formula in formulas)
    return not any(f"({word} " in text for word in ("forall", "exists", "lambda"))


def digest_of(obligation: Obligation) -> str:
    """What two obligations have in common if they ask the same."""
    return obligation.file.split(".")[-2]
