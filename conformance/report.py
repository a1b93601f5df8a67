"""Reports: the table for people, the JSON for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance.codec import canonical, profile_json
from conformance.runner import Report
from conformance.verdict import DEVIATING, NOT_RUN, UNEXPLAINED, Judgement


def reports_json(reports: Sequence[Report]) -> dict[str, Any]:
    """The shape that scripts rely on."""
    return {"targets": [report_json(report) for report in reports]}


def report_json(report: Report) -> dict[str, Any]:
    first = report.environments[0] if report.environments else None
    return {
        "target": report.target,
        "profile": profile_json(first.profile) if first else None,
        "environment": {"version": first.version, **first.facts} if first else {},
        **report.counts(),
        "families": report.families(1),
        "rule_families": report.families(2),
        "finished": report.finished,
        "failure": report.failure or report.unavailable,
        "stale": report.stale,
        "unexplained_vectors": [
            {
                "vector": one.vector,
                "reason": one.reason,
                "step": one.differences[0].step if one.differences else None,
                "expected": one.differences[0].expected if one.differences else None,
                "observed": one.differences[0].observed if one.differences else None,
            }
            for one in report.judgements
            if one.verdict == UNEXPLAINED
        ],
    }


def cell(counts: dict[str, int]) -> Text:
    """passed/deviating/not run; what nobody explained is red, and in front."""
    text = Text(justify="right")
    if counts["unexplained"]:
        text.append(f"{counts['unexplained']} unexplained ", style="bold red")
    text.append(str(counts["passed"]), style="green" if counts["passed"] else "dim")
    text.append("/", style="dim")
    text.append(str(counts["deviating"]), style="yellow" if counts["deviating"] else "dim")
    text.append("/", style="dim")
    text.append(str(counts["not_run"]), style="dim")
    return text


def heading(report: Report) -> str:
    if report.target.startswith("linux-") and report.target != "linux-host":
        return f"linux {report.target.removeprefix('linux-')} (VM)"
    return report.target


def table(reports: Sequence[Report]) -> Table:
    """Rows are rule families, columns are targets."""
    grid = Table(box=box.SIMPLE_HEAD, caption="passed / deviating / not run", caption_justify="left", pad_edge=False)
    grid.add_column("rules", no_wrap=True)
    for report in reports:
        grid.add_column(heading(report), justify="right")
    by_target = [report.families(2) for report in reports]
    names = sorted({name for families in by_target for name in families})
    zero = {"passed": 0, "deviating": 0, "unexplained": 0, "not_run": 0}
    for name in names:
        grid.add_row(name, *(cell(families.get(name, zero)) for families in by_target))
    grid.add_section()
    grid.add_row("all", *(cell(report.counts()) for report in reports), style="bold")
    return grid


def print_reports(console: Console, reports: Sequence[Report], most: int = 10) -> None:
    """The table, and under it everything that needs somebody's attention."""
    shown = [report for report in reports if report.judgements]
    if shown:
        console.print(table(shown))
    for report in reports:
        print_problems(console, report, most)
        print_reasons(console, report)
    print_deviations(console, reports)


def print_problems(console: Console, report: Report, most: int) -> None:
    bad = [one for one in report.judgements if one.verdict == UNEXPLAINED]
    for one in bad[:most]:
        console.print(f"[red]{report.target}[/red] {one.vector} {problem(one)}", highlight=False, soft_wrap=True)
    if len(bad) > most:
        console.print(f"[red]{report.target}[/red] … and {len(bad) - most} more: see out/results/{report.target}.jsonl")
    if bad:
        console.print(f"  gpaspec explain {bad[0].vector} --target {report.target}   shows the first step by step")
    for sentence in report.stale:
        console.print(f"[yellow]{report.target}[/yellow] stale list of deviations: {sentence}", soft_wrap=True)
    if report.unavailable:
        console.print(f"[yellow]{report.target}[/yellow] was not run: {report.unavailable}", soft_wrap=True)
    if report.failure:
        console.print(f"[red]{report.target}[/red] could not be run to its end: ", end="")
        console.print(report.failure, markup=False, highlight=False, soft_wrap=True)


def problem(one: Judgement) -> str:
    if not one.differences:
        return one.reason.splitlines()[0] if one.reason else ""
    first = one.differences[0]
    return f"step {first.step}: expected {canonical(first.expected)}, observed {canonical(first.observed)}".replace(
        "[", "\\["
    )


def print_reasons(console: Console, report: Report) -> None:
    """Why vectors were not run, and which deviations were seen, with numbers."""
    reasons: dict[str, int] = {}
    for one in report.judgements:
        if one.verdict == NOT_RUN:
            reasons[one.reason] = reasons.get(one.reason, 0) + 1
    if reasons:
        parts = [f"{count} {reason}" for reason, count in sorted(reasons.items(), key=lambda item: -item[1])]
        more = f"; and {len(parts) - 4} other reasons" if len(parts) > 4 else ""
        console.print(f"[dim]{report.target}: not run: {'; '.join(parts[:4])}{more}[/dim]", highlight=False)


def print_deviations(console: Console, reports: Sequence[Report]) -> None:
    """Each known deviation once: where it was seen, how often, and the first sentence of why."""
    seen: dict[str, dict[str, int]] = {}
    for report in reports:
        for one in report.judgements:
            if one.verdict == DEVIATING:
                where = seen.setdefault(one.reason, {})
                where[report.target] = where.get(report.target, 0) + 1
    for reason, where in seen.items():
        name, _, why = reason.partition(": ")
        targets = ", ".join(f"{target} {count}" for target, count in where.items())
        console.print(f"known deviation {name} ({targets}): {first_sentence(why)}", highlight=False, markup=False)


def first_sentence(text: str) -> str:
    return text.split(". ")[0].rstrip(".") + "."
