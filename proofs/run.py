"""`prove`: judge all theorems and contracts, and show what came out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from proofs.catalogue import THEOREMS, theorem_named
from proofs.prover import PROVED, UNKNOWN, Verdict, judge
from proofs.render import case_lines
from proofs.theorem import Theorem
from proofs.workers import run_all

TWO_CORES = 2


@dataclass(frozen=True)
class Report:
    """What came out for each theorem, in the order of the catalogue, and how long it all took."""

    verdicts: tuple[Verdict, ...]
    seconds: float

    def passed(self) -> bool:
        """Whether there is a theorem, and all are proved with a witness and a planted bug that was caught."""
        return bool(self.verdicts) and all(verdict.status == PROVED for verdict in self.verdicts)


def selected(pattern: str | None) -> tuple[Theorem, ...]:
    """The theorems whose id or sentence contains a text (case does not matter); all for None."""
    if pattern is None:
        return THEOREMS
    wanted = pattern.lower()
    return tuple(theorem for theorem in THEOREMS if wanted in f"{theorem.id} {theorem.sentence}".lower())


def prove(
    pattern: str | None = None, jobs: int = TWO_CORES, on_progress: Callable[[Verdict], None] | None = None
) -> Report:
    """Judge the selected theorems in `jobs` processes. `on_progress` is called with each verdict as it comes."""
    started = time.perf_counter()
    theorems = selected(pattern)
    verdicts: dict[str, Verdict] = {}
    for verdict in run_all([theorem.id for theorem in theorems], jobs, _judge_named, _given_up):
        verdicts[verdict.id] = verdict
        if on_progress is not None:
            on_progress(verdict)
    in_order = tuple(verdicts[theorem.id] for theorem in theorems)
    return Report(in_order, time.perf_counter() - started)


def _judge_named(theorem_id: str) -> Verdict:
    return judge(theorem_named(theorem_id))


def _given_up(theorem_id: str, why: str) -> Verdict:
    return Verdict(theorem_id, UNKNOWN, 0.0, detail=why)


# SHOWING ---------------------------------------------------------------------------------------------------------


def matrix_table(report: Report) -> Table:
    """Operations × invariants: seconds where all is proved, else the first other status; · where nothing is said."""
    verdict_of = {verdict.id: verdict for verdict in report.verdicts}
    shown = [theorem for theorem in THEOREMS if theorem.id in verdict_of]
    operations = list(dict.fromkeys(name for theorem in shown for name in theorem.operations))
    table = Table(title=f"{len(shown)} theorems, {report.seconds:.1f} s", title_justify="left")
    table.add_column("invariant")
    for name in operations:
        table.add_column(name, justify="right")
    for invariant in dict.fromkeys(theorem.invariant for theorem in shown):
        row = [[t for t in shown if t.invariant == invariant and name in t.operations] for name in operations]
        table.add_row(invariant, *(_cell([verdict_of[theorem.id] for theorem in theorems]) for theorems in row))
    return table


def _cell(verdicts: list[Verdict]) -> str:
    if not verdicts:
        return "·"
    bad = [verdict.status for verdict in verdicts if verdict.status != PROVED]
    if bad:
        return f"[red]{bad[0]}[/red]"
    return f"{sum(verdict.seconds for verdict in verdicts):.2f}"


def as_json(report: Report) -> dict[str, Any]:
    """The report in the shape that scripts rely on."""
    return {
        "theorems": [
            {
                "id": verdict.id,
                "sentence": theorem_named(verdict.id).sentence,
                "rules": list(theorem_named(verdict.id).rules),
                "operations": list(theorem_named(verdict.id).operations),
                "invariant": theorem_named(verdict.id).invariant,
                "status": verdict.status,
                "bound": theorem_named(verdict.id).bound,
                "seconds": round(verdict.seconds, 3),
                "witness": case_lines(verdict.witness),
                "planted_bug": theorem_named(verdict.id).bug.sentence,
                "planted_bug_refuted": verdict.bug_case is not None,
                "planted_bug_case": case_lines(verdict.bug_case),
                "counterexample": case_lines(verdict.counterexample),
                "detail": verdict.detail,
            }
            for verdict in report.verdicts
        ],
        "seconds": round(report.seconds, 3),
        "passed": report.passed(),
    }


def explain(theorem_id: str) -> str:
    """One theorem in full: sentence, rules, bound, and its witness and the case in which the planted bug breaks it.

    Raises KeyError for an id that is no theorem's.
    """
    theorem = theorem_named(theorem_id)
    verdict = judge(theorem)
    lines = [
        f"{theorem.id}: {verdict.status} ({verdict.seconds:.2f} s, {verdict.paths} paths)",
        f"  {theorem.sentence}",
        f"  rules: {', '.join(theorem.rules) or 'none'}",
        f"  operations: {', '.join(theorem.operations)}; invariant: {theorem.invariant}; bound: {theorem.bound}",
        f"  code: {_place(theorem.given)} (hypotheses), {_place(theorem.holds)} (claim)",
    ]
    if verdict.detail:
        lines.append(f"  {verdict.detail}")
    for title, case in (
        ("a case that meets the hypotheses", verdict.witness),
        (f"planted bug: {theorem.bug.sentence}. It is caught by", verdict.bug_case),
        ("counterexample", verdict.counterexample),
    ):
        if case is not None:
            lines += [f"  {title}:", *(f"    {line}" for line in case_lines(case) or [])]
    return "\n".join(lines)


def _place(function: Callable[..., Any]) -> str:
    return f"{function.__module__.replace('.', '/')}.py {function.__name__}"
