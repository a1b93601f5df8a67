"""`gpaspec prove --second-opinion`: on the command line."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from conformance.running import progress_bar
from conformance.terminal import Failure


def ask_second_solver(theorems: Sequence[Any], export: Path | None, as_json: bool) -> int:
    """Ask again what z3 decided, and show what came out. The exit status: 1 where something is wrong."""
    solver = importlib.import_module("proofs.second_solver")
    if not solver.is_there():
        raise Failure("a second opinion needs cvc5, which is not installed here: `pip install cvc5`")
    opinions = importlib.import_module("proofs.second_opinion")
    if export is not None and export.exists() and not export.is_dir():
        raise Failure(f"{export} is no directory: --export takes the directory that files are written into")
    if export is not None and export.exists() and any(export.iterdir()):
        raise Failure(f"{export} is not empty: what is exported there must not be mixed with other files")
    with progress_bar(as_json) as progress, opinions.directory_for(export) as directory:
        tasks: dict[str, Any] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done)

        opinion = opinions.second_opinion(theorems, directory, on_progress=tell)
    if as_json:
        click.echo(json.dumps(opinions.as_json(opinion), indent=1))
    else:
        for line in opinions.lines(opinion):
            click.echo(line)
    return 0 if opinion.passed() else 1
