"""A second opinion: what z3 decided, asked again of another solver.

Where the second solver says the opposite, something is wrong: with z3, with the other one, or with how the question was
written down. What it cannot decide in its time is listed, and counts for nothing. A solver that always says the same is
found out, because there are questions of both kinds; one that decides nothing has no opinion.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from proofs import second_solver
from proofs.obligations import SAT, UNSAT, Obligation, Recorded, digest_of, record
from proofs.second_solver import ERROR, LIMIT_STEPS, Answer
from proofs.theorem import Theorem
from proofs.workers import run_all

CHUNK = 20  # questions that a process is given at a time
# For one theorem, with all that is written, and for so many questions. A busy machine must not change what comes out.
RECORD_SECONDS = ASK_SECONDS = 1_200.0
LEAST_SHARE = 0.8  # of what is asked, for each answer: who leaves more than the rest open has no opinion
INDEX = "index.json"

AGREES, DISAGREES, UNDECIDED, FAILED = "agrees", "disagrees", "undecided", "failed"


@dataclass(frozen=True)
class Checked:
    """An obligation, and what the second solver makes of it."""

    obligation: Obligation
    status: str
    detail: str = ""


@dataclass(frozen=True)
class Opinion:
    """What came of it all. `asked` is how many questions there were before equal ones were taken together."""

    solver: str
    theorems: int
    asked: int
    checked: tuple[Checked, ...]
    unproved: tuple[Recorded, ...]
    seconds: float

    def having(self, status: str, *answers: str) -> list[Checked]:
        """The obligations with this status, of those that z3 answered so."""
        return [
            one for one in self.checked if one.status == status and one.obligation.answer in (answers or (UNSAT, SAT))
        ]

    def complaints(self) -> list[str]:
        """What is wrong, one sentence each; none if all is well."""
        found = [f"{one.theorem} is not proved: {one.complaint}" for one in self.unproved]
        for one in self.checked:
            what = f"{one.obligation.theorem}: {one.obligation.file}"
            if one.status == DISAGREES:
                found.append(f"{what}: z3 says {one.obligation.answer}, {self.solver} says {one.detail}")
            elif one.status == FAILED:
                found.append(f"{what}: {self.solver} fails: {one.detail}")
        for answer in (UNSAT, SAT):
            agreed, asked = (
                len(self.having(AGREES, answer)),
                sum(one.obligation.answer == answer for one in self.checked),
            )
            if agreed <= asked * LEAST_SHARE:
                found.append(f"{self.solver} confirms {agreed} of {asked} that are {answer}: that is no opinion")
        return found

    def passed(self) -> bool:
        return not self.complaints()


Asked = Callable[[Path], Answer]


def second_opinion(
    theorems: Sequence[Theorem],
    directory: Path,
    jobs: int = 2,
    ask: Asked = second_solver.ask,
    solver: str | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Opinion:
    """Write down what the proofs of these theorems ask, and ask the second solver. Files that equal others are deleted.

    `on_progress` is called with what is being done, how much of it is done, and how much there is.
    """
    started = time.perf_counter()
    tell = on_progress or (lambda what, done, total: None)
    directory.mkdir(parents=True, exist_ok=True)
    recorded: dict[str, Recorded] = {}
    ids = [theorem.id for theorem in theorems]
    for one in run_all(
        list(reversed(ids)), jobs, partial(record, directory=directory), _not_recorded, seconds=RECORD_SECONDS
    ):
        recorded[one.theorem] = one
        tell("theorems", len(recorded), len(ids))
    in_order = [recorded[theorem_id] for theorem_id in ids]
    distinct = _distinct(in_order, directory)
    answers: dict[str, Answer] = {}
    names = [obligation.file for obligation in distinct]
    chunks = [tuple(names[at : at + CHUNK]) for at in range(0, len(names), CHUNK)]
    for some in run_all(
        chunks,
        jobs,
        partial(_ask_each, directory=directory, ask=ask),
        _not_answered,
        second_solver.load,
        seconds=ASK_SECONDS,
    ):
        answers.update({answer.file: answer for answer in some})
        tell("obligations", len(answers), len(names))
    opinion = Opinion(
        second_solver.name() if solver is None else solver,
        len(ids),
        sum(len(one.obligations) for one in in_order),
        tuple(_checked(obligation, answers[obligation.file]) for obligation in distinct),
        tuple(one for one in in_order if one.complaint),
        time.perf_counter() - started,
    )
    (directory / INDEX).write_text(json.dumps(index(opinion), indent=1) + "\n")
    return opinion


def _not_recorded(theorem_id: str, why: str) -> Recorded:
    return Recorded(theorem_id, (), why)


def _ask_each(names: tuple[str, ...], directory: Path, ask: Asked) -> tuple[Answer, ...]:
    return tuple(ask(directory / name) for name in names)


def _not_answered(names: tuple[str, ...], why: str) -> tuple[Answer, ...]:
    return tuple(Answer(name, "unknown", why) for name in names)


def _distinct(recorded: Sequence[Recorded], directory: Path) -> list[Obligation]:
    """One obligation of each that ask the same; the files of the others go."""
    kept: dict[str, Obligation] = {}
    for obligation in (obligation for one in recorded for obligation in one.obligations):
        known = kept.setdefault(digest_of(obligation), obligation)
        if known.file != obligation.file:
            (directory / obligation.file).unlink()
    return list(kept.values())


def _checked(obligation: Obligation, answer: Answer) -> Checked:
    if answer.verdict == ERROR:
        return Checked(obligation, FAILED, answer.detail)
    if answer.verdict not in (UNSAT, SAT):
        return Checked(obligation, UNDECIDED, answer.detail)
    return Checked(obligation, AGREES if answer.verdict == obligation.answer else DISAGREES, answer.verdict)


# SHOWING ---------------------------------------------------------------------------------------------------------


def index(opinion: Opinion) -> dict[str, Any]:
    """Every obligation that was written: theorem, kind, z3's answer, file, and what came of it."""
    return {"obligations": [{**asdict(one.obligation), "status": one.status} for one in opinion.checked]}


def as_json(opinion: Opinion) -> dict[str, Any]:
    """The opinion in the shape that scripts rely on."""

    def listed(status: str) -> list[dict[str, Any]]:
        return [{**asdict(one.obligation), "detail": one.detail} for one in opinion.having(status)]

    return {
        "solver": opinion.solver,
        "limit_steps": LIMIT_STEPS,
        "theorems": opinion.theorems,
        "asked": opinion.asked,
        "distinct": len(opinion.checked),
        "agreed": {answer: len(opinion.having(AGREES, answer)) for answer in (UNSAT, SAT)},
        "undecided": listed(UNDECIDED),
        "disagreements": listed(DISAGREES),
        "failed": listed(FAILED),
        "complaints": opinion.complaints(),
        "seconds": round(opinion.seconds, 3),
        "passed": opinion.passed(),
    }


def lines(opinion: Opinion) -> Iterator[str]:
    """The opinion for people."""
    agreed = {answer: len(opinion.having(AGREES, answer)) for answer in (UNSAT, SAT)}
    yield (
        f"{opinion.theorems} theorems, {opinion.asked} questions to z3, {len(opinion.checked)} of them different; "
        f"{opinion.seconds:.0f} s"
    )
    yield f"{opinion.solver} agrees: {agreed[UNSAT]} cannot hold, {agreed[SAT]} can"
    undecided = Counter((one.obligation.theorem, one.obligation.answer) for one in opinion.having(UNDECIDED))
    for answer in (UNSAT, SAT):
        some = {theorem: number for (theorem, said), number in undecided.items() if said == answer}
        if some:
            listed = ", ".join(f"{theorem} {number}" for theorem, number in some.items())
            yield f"undecided within {LIMIT_STEPS} steps ({answer} by z3), {sum(some.values())}: {listed}"
    yield from opinion.complaints()


@contextmanager
def directory_for(export: Path | None) -> Iterator[Path]:
    """Where the files go: where they were asked for, or somewhere for the time being."""
    if export is not None:
        yield export
        return
    with tempfile.TemporaryDirectory(prefix="gpaspec-") as directory:
        yield Path(directory)
