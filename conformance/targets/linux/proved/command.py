"""`gpaspec prove --module`: kernel modules on the command line."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from conformance.proving import keep_document
from conformance.running import progress_bar
from conformance.target import TargetUnavailable
from conformance.targets.linux.modules import module_name
from conformance.targets.linux.proved.files import Chosen, chosen, layout_of
from conformance.targets.linux.proved.modules import (
    CANNOT,
    DIFFERS,
    EQUAL,
    SUBJECTS,
    Subject,
    Verdict,
    judge,
    subjects_of,
    vector_of,
)
from conformance.terminal import Failure
from proofs.objectcode.cannot import Cannot
from proofs.objectcode.elf import read_object

EXIT_CODES = {EQUAL: 0, DIFFERS: 1, CANNOT: 2}


def prove_modules(
    asked: str, kernels: tuple[str, ...], function: str | None, image: Path | None, out: Path, as_json: bool
) -> None:
    """Compare, print, keep, and end with 0 (all equal), 1 (one differs) or 2 (something cannot be said)."""
    if kernels and not Path(asked).exists() and "/" not in asked:
        require_any(module_name(Path(asked)), function)  # before a kernel is fetched for it
    try:
        modules = chosen(asked, kernels)
    except TargetUnavailable as missing:
        raise Failure(str(missing)) from None
    if image is not None:
        modules = [replace(one, kernel=image) for one in modules]
    reports = []
    for one in modules:
        subjects = require_any(one.module.name, function)
        verdicts = compared(one, subjects, as_json)
        reports.append((one, verdicts))
        if not as_json:
            for verdict in verdicts:
                click.echo(told(one, verdict))
    document = {"modules": [as_document(one, verdicts) for one, verdicts in reports]}
    keep_document(out / "prove-modules.json", document)
    if as_json:
        click.echo(json.dumps(document, indent=1))
    sys.exit(max(EXIT_CODES[one.status] for _, verdicts in reports for one in verdicts))


def require_any(module: str, function: str | None) -> list[Subject]:
    """What is compared of a module. Fails, with what there is, where that is nothing."""
    subjects = subjects_of(module, function)
    if not subjects:
        known = ", ".join(f"{each.function} of {each.module}.ko" for each in SUBJECTS)
        raise Failure(f"{module}.ko has no {function or 'function'} that is compared; there are: {known}")
    return subjects


def compared(one: Chosen, subjects: list[Subject], quiet: bool) -> list[Verdict]:
    """The verdicts about functions of one module, with progress on a terminal."""
    try:
        layout, file = layout_of(one), read_object(one.module.image)
    except (Cannot, TargetUnavailable) as why:
        return [Verdict(one.module.name, each.function, CANNOT, str(why)) for each in subjects]
    verdicts = []
    with progress_bar(quiet) as progress:
        for subject in subjects:
            task = progress.add_task(f"{one.description}: {subject.function}", total=None)

            def tell(words: str, subject: Subject = subject, task: Any = task) -> None:
                progress.update(task, description=f"{subject.function}: {words}")

            verdicts.append(judge(subject, file, layout, tell))
            progress.remove_task(task)
    return verdicts


def as_document(one: Chosen, verdicts: list[Verdict]) -> dict[str, Any]:
    return {
        "module": one.module.name,
        "of": one.description,
        "release": one.module.version,
        "functions": [
            {
                **dataclasses.asdict(verdict),
                "case": _hex(verdict.case),
                "deviations": [_with_vector(each, one.version) for each in verdict.deviations],
            }
            for verdict in verdicts
        ],
    }


def _with_vector(deviation: Any, version: str) -> dict[str, Any]:
    found = vector_of(deviation["rule"], version) if deviation["rule"] else ""
    return {**deviation, "case": _hex(deviation.get("case", {})), "vector": found}


def _hex(case: Any) -> dict[str, str]:
    return {name: hex(value) for name, value in sorted(case.items())}


def told(one: Chosen, verdict: Verdict) -> str:
    """A verdict as lines of text."""
    subject = next(each for each in SUBJECTS if each.function == verdict.function)
    lines = [f"{verdict.status:7} {verdict.module}.ko {verdict.function} ({one.description}): {subject.what}"]
    say: Callable[[str], None] = lambda words: lines.append(f"        {words}")  # noqa: E731
    if verdict.status == EQUAL:
        say(
            f"the model's {verdict.model}, for every input: {verdict.counts['machine_paths']} machine paths, "
            f"{verdict.counts['pairs']} pairs, {verdict.counts['claims']} claims, {verdict.seconds:.1f} s"
        )
        for words in verdict.assumed:
            say(f"assumed: {words}")
    else:
        say(verdict.sentence)
    if verdict.case:
        say(f"with {_inline(verdict.case)}")
    for each in verdict.deviations:
        say(f"given: {each['given']} ({each['because']})")
        if each["differs"]:
            say(f"    without that {each['sentence']}")
            say(f"    with {_inline(each['case'])}")
            vector = vector_of(each["rule"], one.version) if each["rule"] else ""
            if vector:
                target = f"linux-{one.version}"
                say(f"    known: {each['rule']}; shown by: gpaspec check {target} --vector {vector}")
        else:
            say(f"    without that there is no difference either{': ' + each['note'] if 'note' in each else ''}")
    return "\n".join(lines)


def _inline(case: Any) -> str:
    return ", ".join(f"{name} {value:#x}" for name, value in sorted(case.items()) if value)
