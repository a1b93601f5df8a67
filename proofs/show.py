"""What came out, for people and for programs: the matrix, one theorem in full, JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table

from proofs.catalogue import THEOREMS, theorem_named
from proofs.prover import PROVED, Verdict
from proofs.render import case_lines
from proofs.run import Report
from proofs.theorem import Theorem
from proofs.words import sentence_of, unwrapped, words_of
from spec.step import VHOST_OPERATIONS

MODEL_SUBJECTS = ("TWOSETS", "ARRAY", "REFINES", "TREE", "RBTREE", "ITREE", "ARRAY2016", "LOOP", "CACHE", "CONTAINER")
WIDTH = 100  # columns that a table may take
NARROWEST = 4  # of a column with seconds
LINES = ("the specification: memslots", "the specification: vhost", "the models")

Cells = dict[tuple[str, str], list[Verdict]]  # by row and column

# THE MATRIX ------------------------------------------------------------------------------------------------------


def matrix_table(report: Report, width: int = WIDTH) -> Group:
    """Invariants × operations, of both lines and of the models: seconds where all is proved, else the first other
    status. No table is wider than `width`: what does not fit beside each other is shown below each other.
    """
    verdict_of = {verdict.id: verdict for verdict in report.verdicts}
    tables: list[Table] = []
    for line in LINES:
        cells: Cells = {}
        for theorem in THEOREMS:
            if theorem.id in verdict_of and _line_of(theorem) == line:
                for name in theorem.operations:
                    key = (theorem.invariant, name.replace("_", " "))
                    cells.setdefault(key, []).append(verdict_of[theorem.id])
        for number, part in enumerate(_parts(cells)):
            tables += _matrix(f"{line} (seconds)" if number == 0 else "", part, width)
    return Group(*tables, summary_of(report))


def summary_of(report: Report) -> str:
    """One line about everything."""
    bad = [verdict.id for verdict in report.verdicts if verdict.status != PROVED]
    statuses = Counter(contract.status for contract in report.contracts)
    contracts = ", ".join(f"{count} {status}" for status, count in statuses.items()) or "none"
    summary = f"{len(report.verdicts) - len(bad)} of {len(report.verdicts)} theorems proved; contracts: {contracts}; "
    summary += f"{report.seconds:.1f} s"
    if bad:
        summary += f". Not proved: {', '.join(bad)} (`gpaspec prove --explain {bad[0]}` shows why)"
    if kept := report.kept():
        summary += f". {kept} verdicts are from earlier runs of the same code (--fresh judges all again)"
    return summary


def _line_of(theorem: Theorem) -> str:
    if is_about_models(theorem):
        return LINES[2]
    vhost = {operation.name for operation in VHOST_OPERATIONS}
    return LINES[1] if vhost & set(theorem.operations) else LINES[0]


def is_about_models(theorem: Theorem) -> bool:
    """Whether a theorem is about a model's steps, as opposed to the specification."""
    return theorem.id.split(".")[0] in MODEL_SUBJECTS


def _parts(cells: Cells) -> Iterator[Cells]:
    """The cells, taken apart where no invariant of one part is about an operation of another."""
    rest = dict(cells)
    while rest:
        rows, columns = {next(iter(rest))[0]}, {next(iter(rest))[1]}
        size = 0
        while size < len(rows) + len(columns):
            size = len(rows) + len(columns)
            for row, column in rest:
                if row in rows or column in columns:
                    rows.add(row)
                    columns.add(column)
        yield {key: found for key, found in rest.items() if key[0] in rows}
        rest = {key: found for key, found in rest.items() if key[0] not in rows}


def _matrix(title: str, cells: Cells, width: int) -> list[Table]:
    """One row for each invariant and one column for each operation, or the other way round: rows are what is more."""
    invariants, operations = (list(dict.fromkeys(key[side] for key in cells)) for side in (0, 1))
    if len(operations) > len(invariants):
        cells = {(column, row): found for (row, column), found in cells.items()}
        invariants, operations = operations, invariants
    left = max(map(len, invariants))
    tables: list[Table] = []
    for columns in _beside_each_other(operations, width - left - 3):
        table = Table(title=title if not tables else "", title_justify="left", box=box.SIMPLE, pad_edge=False)
        table.add_column("", no_wrap=True, min_width=left)
        for column in columns:
            table.add_column(column, justify="right", min_width=_width_of(column))
        for row in invariants:
            if any((row, column) in cells for column in columns):
                table.add_row(row, *(_cell(cells.get((row, column), [])) for column in columns))
        tables.append(table)
    return tables


def _beside_each_other(names: Sequence[str], width: int) -> Iterator[list[str]]:
    """Names of columns in groups that fit, at least one in each."""
    group: list[str] = []
    for name in names:
        if group and sum(_width_of(one) + 3 for one in (*group, name)) > width:
            yield group
            group = []
        group.append(name)
    yield group


def _width_of(column: str) -> int:
    """The longest word stays whole."""
    return max(NARROWEST, *map(len, column.split()))


def _cell(verdicts: list[Verdict]) -> str:
    if not verdicts:
        return "·"
    bad = [verdict.status for verdict in verdicts if verdict.status != PROVED]
    if bad:
        return f"[red]{bad[0]}[/red]"
    seconds = sum(verdict.seconds for verdict in verdicts)
    return f"{seconds:.1f}" if seconds < 100 else f"{seconds:.0f}"


# ONE THEOREM -----------------------------------------------------------------------------------------------------


def explanation(verdict: Verdict) -> str:
    """A theorem in full: sentence, hypotheses and claim in words, bound, its witness, and the case in which the planted
    bug breaks it.
    """
    theorem = theorem_named(verdict.id)
    judged = "in an earlier run of the same code" if verdict.kept else f"{verdict.paths} paths"
    lines = [
        f"{theorem.id}: {verdict.status} ({verdict.seconds:.2f} s, {judged})",
        f"  {theorem.sentence}",
        f"  rules: {', '.join(theorem.rules) or 'none'}",
        f"  operations: {', '.join(theorem.operations)}; invariant: {theorem.invariant}",
        f"  bound: {theorem.bound}",
        f"  hypotheses ({place_of(theorem.given)}):",
        *(f"    {'  ' * depth}{sentence}" for depth, sentence in words_of(theorem.given)),
        f"  claim ({place_of(theorem.holds)}):",
        f"    {sentence_of(theorem.holds) or theorem.sentence}",
    ]
    if verdict.detail:
        lines.append(f"  {verdict.detail}")
    for title, case in (
        ("witness, a case that meets the hypotheses", verdict.witness),
        (f"planted bug: {theorem.bug.sentence}. It is caught by", verdict.bug_case),
        ("counterexample", verdict.counterexample),
    ):
        if case is not None:
            lines += [f"  {title}:", *(f"    {line}" for line in case_lines(case) or ["(it has no inputs)"])]
    return "\n".join(lines)


def place_of(function: Callable[..., Any]) -> str:
    """Where a function is: its file and its name."""
    function = unwrapped(function)
    return f"{function.__module__.replace('.', '/')}.py {function.__name__}"


# JSON ------------------------------------------------------------------------------------------------------------


def as_json(report: Report) -> dict[str, Any]:
    """The report in the shape that scripts rely on."""
    return {
        "theorems": [theorem_json(verdict) for verdict in report.verdicts],
        "contracts": [
            {
                "id": contract.id,
                "status": contract.status,
                "seconds": round(contract.seconds, 3),
                "cached": contract.kept,
            }
            for contract in report.contracts
        ],
        "seconds": round(report.seconds, 3),
        "cached": report.kept(),
        "passed": report.passed(),
    }


def theorem_json(verdict: Verdict) -> dict[str, Any]:
    """One theorem in the shape that scripts rely on."""
    theorem = theorem_named(verdict.id)
    return {
        **listed_json(theorem),
        "status": verdict.status,
        "seconds": round(verdict.seconds, 3),
        "witness": case_lines(verdict.witness),
        "planted_bug_refuted": verdict.bug_case is not None,
        "planted_bug_case": case_lines(verdict.bug_case),
        "counterexample": case_lines(verdict.counterexample),
        "detail": verdict.detail,
        "cached": verdict.kept,
    }


def listed_json(theorem: Theorem) -> dict[str, Any]:
    """What is known of a theorem before it is judged."""
    return {
        "id": theorem.id,
        "sentence": theorem.sentence,
        "rules": list(theorem.rules),
        "operations": list(theorem.operations),
        "invariant": theorem.invariant,
        "bound": theorem.bound,
        "hypotheses": [sentence for _, sentence in words_of(theorem.given)],
        "planted_bug": theorem.bug.sentence,
    }
