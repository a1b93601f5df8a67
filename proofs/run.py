"""`prove`: judge all theorems and contracts, and show what came out."""

from __future__ import annotations

import functools
import inspect
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Group
from rich.table import Table

from proofs.catalogue import THEOREMS, theorem_named
from proofs.crosshair import CONFIRMED, ContractVerdict, check_contracts, contract_modules, contracts_of
from proofs.prover import PROVED, UNKNOWN, Verdict, judge
from proofs.render import case_lines
from proofs.theorem import Theorem
from proofs.workers import run_all
from spec.step import VHOST_OPERATIONS

TWO_CORES = 2
MODEL_SUBJECTS = ("TWOSETS", "ARRAY", "REFINES", "TREE", "RBTREE", "ITREE", "ARRAY2016", "LOOP", "CACHE", "CONTAINER")


@dataclass(frozen=True)
class Report:
    """What came out for each theorem, in the order of the catalogue, and for each contract; how long it all took."""

    verdicts: tuple[Verdict, ...]
    contracts: tuple[ContractVerdict, ...]
    seconds: float

    def passed(self) -> bool:
        """Whether there is anything, and all theorems are proved (witness, bug included), all contracts confirmed."""
        theorems = [verdict.status == PROVED for verdict in self.verdicts]
        contracts = [contract.status == CONFIRMED for contract in self.contracts]
        return bool(theorems or contracts) and all(theorems) and all(contracts)


def selected(pattern: str | None) -> tuple[Theorem, ...]:
    """The theorems whose id or sentence contains a text (case does not matter); all for None."""
    if pattern is None:
        return THEOREMS
    wanted = pattern.lower()
    return tuple(theorem for theorem in THEOREMS if wanted in f"{theorem.id} {theorem.sentence}".lower())


def selected_contracts(pattern: str | None) -> tuple[str, ...]:
    """The contract modules whose name contains a text; all for None."""
    return tuple(name for name in contract_modules() if pattern is None or pattern.lower() in name)


def prove(
    pattern: str | None = None,
    jobs: int = TWO_CORES,
    on_progress: Callable[[Verdict | ContractVerdict], None] | None = None,
) -> Report:
    """Judge the selected theorems and contracts in `jobs` processes.

    `on_progress` is called with each verdict as it comes. Nothing selected gives a report that has not passed.
    """
    started = time.perf_counter()
    theorems, modules = selected(pattern), selected_contracts(pattern)
    verdicts: dict[str, Verdict] = {}
    contracts: list[ContractVerdict] = []
    longest_first = [*modules, *(theorem.id for theorem in reversed(theorems))]
    for results in run_all(longest_first, jobs, _judge_named, _given_up):
        for result in results:
            if isinstance(result, Verdict):
                verdicts[result.id] = result
            else:
                contracts.append(result)
            if on_progress is not None:
                on_progress(result)
    return Report(
        tuple(verdicts[theorem.id] for theorem in theorems),
        tuple(sorted(contracts, key=lambda contract: contract.id)),
        time.perf_counter() - started,
    )


def _judge_named(name: str) -> tuple[Verdict | ContractVerdict, ...]:
    if name in contract_modules():
        return check_contracts(name)
    return (judge(theorem_named(name)),)


def _given_up(name: str, why: str) -> tuple[Verdict | ContractVerdict, ...]:
    if name in contract_modules():
        return tuple(ContractVerdict(f"{name}.{function}", why, 0.0) for function in contracts_of(name))
    return (Verdict(name, UNKNOWN, 0.0, detail=why),)


# SHOWING ---------------------------------------------------------------------------------------------------------


def matrix_table(report: Report) -> Group:
    """Invariants × operations, of both lines and of the models: seconds where all is proved, else the first other
    status.
    """
    parts: dict[str, list[Verdict]] = {
        "the specification: memslots": [],
        "the specification: vhost": [],
        "the models": [],
    }
    for verdict in report.verdicts:
        parts[_part_of(theorem_named(verdict.id))].append(verdict)
    contracts = Counter(contract.status for contract in report.contracts)
    summary = f"{len(report.verdicts)} theorems, contracts: {dict(contracts) or 'none'}, {report.seconds:.1f} s"
    return Group(*(_matrix(title, part) for title, part in parts.items() if part), summary)


def _part_of(theorem: Theorem) -> str:
    if is_about_models(theorem):
        return "the models"
    vhost = {operation.name for operation in VHOST_OPERATIONS}
    return f"the specification: {'vhost' if vhost & set(theorem.operations) else 'memslots'}"


def is_about_models(theorem: Theorem) -> bool:
    """Whether a theorem is about a model's steps, as opposed to the specification."""
    return theorem.id.split(".")[0] in MODEL_SUBJECTS


def _matrix(title: str, verdicts: list[Verdict]) -> Table:
    """One row for each invariant and one column for each operation, or the other way round: rows are what is more."""
    verdict_of = {verdict.id: verdict for verdict in verdicts}
    shown = [theorem for theorem in THEOREMS if theorem.id in verdict_of]
    cells: dict[tuple[str, str], list[Verdict]] = {}
    for theorem in shown:
        for name in theorem.operations:
            cells.setdefault((theorem.invariant, name.replace("_", " ")), []).append(verdict_of[theorem.id])
    invariants, operations = (list(dict.fromkeys(key[side] for key in cells)) for side in (0, 1))
    is_turned = len(operations) > len(invariants)
    rows, columns = (operations, invariants) if is_turned else (invariants, operations)
    table = Table(title=f"{title} (seconds)", title_justify="left")
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        keys = [(column, row) if is_turned else (row, column) for column in columns]
        table.add_row(row, *(_cell(cells.get(key, [])) for key in keys))
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
        "contracts": [
            {"id": contract.id, "status": contract.status, "seconds": round(contract.seconds, 3)}
            for contract in report.contracts
        ],
        "seconds": round(report.seconds, 3),
        "passed": report.passed(),
    }


def explain(theorem_id: str) -> str:
    """One theorem in full, judged now. Raises KeyError for an id that is no theorem's."""
    return explanation(judge(theorem_named(theorem_id)))


def explanation(verdict: Verdict) -> str:
    """A theorem in full: sentence, rules, bound, and its witness and the case in which the planted bug breaks it."""
    theorem = theorem_named(verdict.id)
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
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    return f"{function.__module__.replace('.', '/')}.py {function.__name__}"
