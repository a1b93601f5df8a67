"""Theorems on the command line: judged with progress, shown in full, kept."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from conformance.running import progress_bar
from conformance.terminal import Failure


def proofs_are_there() -> bool:
    return importlib.util.find_spec("proofs.run") is not None


def proofs_module() -> Any:
    return importlib.import_module("proofs.run")


def prove_all(pattern: str | None, quiet: bool) -> Any:
    """Judge theorems with progress on a terminal."""
    proofs = proofs_module()
    contracts = importlib.import_module("proofs.crosshair").contracts_of
    total = len(proofs.selected(pattern)) + sum(len(contracts(name)) for name in proofs.selected_contracts(pattern))
    with progress_bar(quiet) as progress:
        task = progress.add_task("theorems and contracts", total=total)
        return proofs.prove(pattern, on_progress=lambda verdict: progress.advance(task))


def explain_theorem(asked: str | None, found: Sequence[Any], as_json: bool) -> None:
    """Show a theorem in full; without one, or with several, say which there are. Exit status 1 if it is not proved."""
    if len(found) != 1:
        for one in found:
            click.echo(f"{one.id:40}  {one.sentence}")
        which = "no theorem was named" if asked is None else f"{len(found)} theorems have {asked!r} in id or sentence"
        raise Failure(f"{which}: `gpaspec prove --explain ID` shows one in full")
    proofs = proofs_module()
    verdict = proofs.judge(found[0])
    if as_json:
        click.echo(json.dumps(proofs.as_json(proofs.Report((verdict,), (), verdict.seconds)), indent=1))
    else:
        click.echo(proofs.explanation(verdict))
    if verdict.status != proofs.PROVED:
        sys.exit(1)


def keep_document(path: Path, document: Any) -> None:
    """Write JSON; a file that is there stays as it is until the new one is whole."""
    new = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps(document, indent=1) + "\n")
        new.replace(path)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from error
