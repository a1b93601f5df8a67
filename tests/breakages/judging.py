"""Ask the proofs about a tree: by the command that users run, in a process whose sources are the tree's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.breakages.breakage import ROOMS, Breakage, tree_with

SECONDS = 1200  # for one question; far more than any takes on an idle machine
HARNESS = "c:"
CONTRACT = "proofs.contracts."
REFUTED = "refuted"
HOLDS = ("proved", "confirmed")

# Where the rooms were imported from is part of the answer: sources of another tree would prove nothing about this one.
IMPORTED = f"import json, importlib; print(json.dumps([importlib.import_module(room).__file__ for room in {ROOMS!r}]))"
ONE_HARNESS = """
import dataclasses, json, sys
from conformance.targets.c.cbmc import cbmc
from conformance.targets.c.verify.catalogue import harness_named
from conformance.targets.c.checking import check
print(json.dumps(dataclasses.asdict(check(harness_named(sys.argv[1]), None, cbmc()))))
"""


class NoAnswer(Exception):
    """The command did not answer, or about another tree."""


@dataclass(frozen=True)
class Answer:
    """What one of those expected says: its status, the seconds that it took, and a counterexample in lines."""

    id: str
    status: str
    seconds: float
    case: tuple[str, ...] = ()

    def refutes(self) -> bool:
        """Whether it is refuted, and by a case."""
        return self.status == REFUTED and bool(self.case)


@dataclass(frozen=True)
class Finding:
    """A breakage and what each of those expected said of it."""

    breakage: Breakage
    answers: tuple[Answer, ...]

    def noticed(self) -> Answer | None:
        """The first that refutes it, or None."""
        return next((answer for answer in self.answers if answer.refutes()), None)

    def as_said(self) -> bool:
        """Whether it is noticed, or is a hole that is known to be one."""
        return (self.noticed() is None) == bool(self.breakage.hole)


def refuted_as_they_are(names: Iterable[str]) -> list[Answer]:
    """Of the sources as they are, what is refuted or undecided: that would say nothing about an edit."""
    with tree_with(None) as tree:
        answers = [ask(tree, name) for name in names]
    return [answer for answer in answers if answer.status not in HOLDS]


def find(breakage: Breakage, *options: str) -> Finding:
    """Make the edit in a copy, and ask those expected in turn until one refutes it. Raises DoesNotApply, NoAnswer.

    Without options, what was proved before is taken for proved where `gpaspec prove` does so.
    """
    answers: list[Answer] = []
    with tree_with(breakage) as tree:
        require_own_sources(tree)
        for name in breakage.expected:
            answers.append(ask(tree, name, *options))
            if answers[-1].refutes():
                break
    return Finding(breakage, tuple(answers))


def all_that_notice(breakage: Breakage) -> list[Answer]:
    """Of all theorems and contracts those that do not hold after the edit; minutes. Raises DoesNotApply, NoAnswer."""
    with tree_with(breakage) as tree:
        require_own_sources(tree)
        return [answer for answer in prove(tree) if answer.status not in HOLDS]


def ask(tree: Path, name: str, *options: str) -> Answer:
    """What the theorem, contract or harness with this id says of a tree. `options` are for `gpaspec prove`."""
    started = time.perf_counter()
    if name.startswith(HARNESS):
        outcome = run(tree, "-c", ONE_HARNESS, name.removeprefix(HARNESS))
        case = (outcome["about"], *outcome["values"]) if outcome["about"] else ()
        return Answer(name, outcome["status"], time.perf_counter() - started, case)
    answers = {answer.id: answer for answer in prove(tree, asked_by(name), *options)}
    if name not in answers:
        raise NoAnswer(f"`gpaspec prove {asked_by(name)}` says nothing about {name}")
    return answers[name]


def asked_by(name: str) -> str:
    """What the command is asked for: a theorem by its id, a contract by its module."""
    return name.rpartition(".")[0] if name.startswith(CONTRACT) else name


def prove(tree: Path, *texts: str) -> list[Answer]:
    """What `gpaspec prove` says of a tree: of what has one of these texts, or of all."""
    document = run(tree, "-m", "conformance.cli", "prove", *texts, "--json", "--out", str(tree / "out"))
    theorems = [
        Answer(one["id"], one["status"], one["seconds"], tuple(one["counterexample"] or ()))
        for one in document["theorems"]
    ]
    return theorems + [contract_answer(one) for one in document["contracts"]]


def contract_answer(one: dict[str, Any]) -> Answer:
    """CrossHair says what is wrong in the status itself."""
    is_false = "when calling" in one["status"]
    status = REFUTED if is_false else one["status"]
    return Answer(one["id"], status, one["seconds"], (one["status"],) if is_false else ())


def require_own_sources(tree: Path) -> None:
    """Raises NoAnswer if a process that is asked about the tree has other sources."""
    for file in run(tree, "-c", IMPORTED):
        if not Path(file).is_relative_to(tree):
            raise NoAnswer(f"{file} is not of the tree {tree}")


def run(tree: Path, *arguments: str) -> Any:
    """What a Python program prints as JSON when it runs in a tree. Exit status 1 says that something is not proved."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    try:
        if ran.returncode not in (0, 1):
            raise ValueError
        return json.loads(ran.stdout)
    except ValueError:
        said = " ".join((ran.stderr or ran.stdout).split())[-500:]
        raise NoAnswer(f"{' '.join(arguments[:4])[:80]} ended with {ran.returncode}: {said}") from None
