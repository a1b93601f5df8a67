"""Reports: the table for people, the JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance.codec import canonical, profile_json
from conformance.runner import OUT, Report
from conformance.seen import ERRNO
from conformance.target import Environment
from conformance.verdict import DEVIATING, NOT_RUN, UNEXPLAINED, Judgement
from spec.profile import Profile

LONGEST_FACT = 160  # characters; --json has all of it
NOT_COMPARED = "not_compared"  # the fact in which a target says what it does not show
SILENT = {"Blocked": "a queue waits for what it may not reach", "Discarded": "a packet was dropped"}


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
        "contradictions": contradictions(report),
        "not_compared": not_compared(report),
        "not_run_reasons": not_run_reasons(report),
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
    if report.target.startswith("linux-source-"):
        return f"source {report.target.removeprefix('linux-source-')}"
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


def print_reports(
    console: Console, reports: Sequence[Report], most: int = 10, out: Path = OUT, options: str = ""
) -> None:
    """The table, and under it everything that needs somebody's attention.

    `out` is where the results are; `options` are those that a later `gpaspec explain` needs to find the same vectors.
    """
    shown = [report for report in reports if report.judgements]
    if shown:
        console.print(table(shown))
    for report in reports:
        for environments in grouped(report):
            say(console, report.target, "bold", identity(environments))
        for sentence in not_compared(report):
            say(console, f"{report.target}:", "", f"not compared: {sentence}", whole="dim")
    for report in reports:
        print_problems(console, report, most, out, options)
        print_reasons(console, report)
    print_deviations(console, reports)


def say(console: Console, target: str, style: str, text: str, whole: str = "") -> None:
    """A line about a target. What targets say of themselves is text, whatever is in it."""
    line = Text(style=whole)
    line.append(target, style=style)
    line.append(f" {text}")
    console.print(line, soft_wrap=True, highlight=False)


def grouped(report: Report) -> list[list[Environment]]:
    """The instances of a target, those of one version together."""
    groups: dict[str, list[Environment]] = {}
    for environment in report.environments:
        groups.setdefault(environment.version, []).append(environment)
    return list(groups.values())


def identity(environments: Sequence[Environment]) -> str:
    """What ran: its version and build, and where its profile is not the usual one."""
    first = environments[0]
    told = [
        first.facts[name] for name in ("kernel", "build", "models", "image", "own_modules") if first.facts.get(name)
    ]
    if not (told and told[0].startswith(first.version)):
        told.insert(0, f"version {first.version}")
    named = "; ".join(text if len(text) <= LONGEST_FACT else f"{text[:LONGEST_FACT]} …" for text in told)
    if len(environments) > 1:
        return f"{named}; with {len(environments)} profiles, the first of them: {switches_text(first.profile)}"
    return f"{named}; profile: {switches_text(first.profile)}"


def switches_text(profile: Profile) -> str:
    """The switches that differ from the default profile."""
    usual = profile_json(Profile())
    other = [f"{name}={json.dumps(value)}" for name, value in profile_json(profile).items() if value != usual[name]]
    return ", ".join(other) or "the default"


def print_problems(console: Console, report: Report, most: int, out: Path, options: str) -> None:
    bad = [one for one in report.judgements if one.verdict == UNEXPLAINED]
    for sentence in contradictions(report):
        say(console, report.target, "red", f"contradicts itself: {sentence}")
    for one in bad[:most]:
        say(console, report.target, "red", f"{one.vector} {problem(one)}")
    if len(bad) > most:
        path = out / "results" / f"{report.target}.jsonl"
        say(console, report.target, "red", f"… and {len(bad) - most} more: see {path}")
    if bad:
        command = f"gpaspec explain {bad[0].vector} --target {report.target}{options}"
        console.print(f"  {command}   shows the first step by step", markup=False, highlight=False, soft_wrap=True)
    for sentence in report.stale:
        say(console, report.target, "yellow", f"stale list of deviations: {sentence}")
    if report.unavailable:
        say(console, report.target, "yellow", f"was not run: {report.unavailable}")
    if report.failure:
        say(console, report.target, "red", f"could not be run to its end: {report.failure}")


def contradictions(report: Report) -> list[str]:
    """Where a target does not do what it announces of itself, one sentence each."""
    return list(getattr(report, "contradictions", []))


def not_compared(report: Report) -> list[str]:
    """What the verdicts on a target say nothing of, because it does not show it; one sentence each."""
    found: dict[str, None] = {}
    for environment in report.environments:
        events = [SILENT[name] for name in environment.unseen if name in SILENT]
        if events:
            found[f"whether {' or '.join(events)}: it does so in silence"] = None
        if ERRNO in environment.unseen:
            found["the errno of an error: it gives none that can be read"] = None
        if environment.facts.get(NOT_COMPARED):
            found[environment.facts[NOT_COMPARED]] = None
    return list(found)


def problem(one: Judgement) -> str:
    if not one.differences:
        return one.reason.splitlines()[0] if one.reason else ""
    first = one.differences[0]
    return f"step {first.step}: expected {canonical(first.expected)}, observed {canonical(first.observed)}"


def not_run_reasons(report: Report) -> dict[str, int]:
    """Why vectors were not run, and how many for each reason, most first."""
    reasons: dict[str, int] = {}
    for one in report.judgements:
        if one.verdict == NOT_RUN:
            reasons[one.reason] = reasons.get(one.reason, 0) + 1
    return dict(sorted(reasons.items(), key=lambda item: -item[1]))


def print_reasons(console: Console, report: Report) -> None:
    """Why most of the vectors that were not run were not."""
    parts = [f"{count} {reason}" for reason, count in not_run_reasons(report).items()]
    if parts:
        more = f"; and {len(parts) - 4} other reasons (--json has all)" if len(parts) > 4 else ""
        say(console, f"{report.target}:", "", f"not run: {'; '.join(parts[:4])}{more}", whole="dim")


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
