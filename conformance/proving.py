"""Theorems on the command line: judged with progress, listed, shown in full, kept."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from conformance.proof_case import BUG, COUNTEREXAMPLE, WITNESS, document_of, vector_lines, vector_of, write_vector
from conformance.terminal import Failure, errors

JOBS = 2


def proofs_are_there() -> bool:
    return importlib.util.find_spec("proofs.run") is not None


def proofs_module(name: str) -> Any:
    return importlib.import_module(f"proofs.{name}")


def meant(text: str | None, rules: Sequence[str], subjects: Sequence[str], operations: Sequence[str]) -> Any:
    """Which theorems and contracts the command line means. Fails, with what there is, where it means none."""
    selection = proofs_module("selection")
    chosen = selection.Selection(text, tuple(rules), tuple(subjects), tuple(operations))
    try:
        chosen.require_any()
    except selection.NothingMeant as error:
        raise Failure(str(error)) from error
    return chosen


def prove_all(selection: Any, quiet: bool, fresh: bool) -> Any:
    """Judge theorems and contracts with progress on a terminal: what is being judged, and how long it may still take.

    What is found is kept for later; `fresh` takes nothing from there.
    """
    run, crosshair = proofs_module("run"), proofs_module("crosshair")
    cache = proofs_module("cache").Cache(complain=lambda sentence: errors.print(sentence, markup=False))
    modules = selection.contracts()
    waiting = {name: run.seconds_of(cache, name) for name in modules}
    waiting |= {theorem.id: run.seconds_of(cache, theorem.id) for theorem in selection.theorems()}
    total = len(waiting) - len(modules) + sum(len(crosshair.contracts_of(name)) for name in modules)
    begun: list[str] = []
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        console=errors,
        disable=quiet or not errors.is_terminal,
        transient=True,
    )
    with bar as progress:
        task = progress.add_task("theorems and contracts", total=total, left="")

        def show() -> None:
            left = f"about {sum(waiting.values()) / JOBS:.0f} s left"
            progress.update(task, description=", ".join(begun[-JOBS:]) or "theorems and contracts", left=left)

        def begin(name: str) -> None:
            begun.append(name)
            show()

        def done(verdict: Any) -> None:
            name = verdict.id if verdict.id in waiting else verdict.id.rpartition(".")[0]
            waiting.pop(name, None)
            if name in begun:
                begun.remove(name)
            progress.advance(task)
            show()

        return run.prove(selection, JOBS, done, cache, fresh, begin)


def list_theorems(theorems: Sequence[Any], as_json: bool) -> None:
    """Say which theorems there are, without judging them."""
    if as_json:
        click.echo(json.dumps([proofs_module("show").listed_json(theorem) for theorem in theorems], indent=1))
        return
    for theorem in theorems:
        click.echo(f"{theorem.id:40}  {theorem.sentence}")


def explain_theorem(asked: str | None, selection: Any, fresh: bool, out: Path, as_json: bool) -> None:
    """Show a theorem in full; without one, or with several, say which there are. Exit status 1 if it is not proved."""
    found = selection.theorems()
    found = [theorem for theorem in found if theorem.id == asked] or found
    if len(found) != 1:
        list_theorems(found, False)
        several = "no theorem was named" if asked is None else f"{len(found)} theorems have {asked!r} in id or sentence"
        raise Failure(f"{several}: `gpaspec prove --explain ID` shows one in full")
    theorem, show = found[0], proofs_module("show")
    report = prove_all(proofs_module("selection").Selection(ids=(theorem.id,)), quiet=as_json, fresh=fresh)
    (verdict,) = report.verdicts
    vectors = {what: vector_of(theorem, what, case) for what, case in cases(verdict)}
    if as_json:
        document = show.theorem_json(verdict)
        document |= {f"{what.replace(' ', '_')}_vector": document_of(vector) for what, vector in vectors.items()}
        click.echo(json.dumps({"theorems": [document], "contracts": [], "passed": report.passed()}, indent=1))
    else:
        click.echo(show.explanation(verdict))
        for line in vector_part(theorem, vectors, out):
            click.echo(line)
    if not report.passed():
        sys.exit(1)


def cases(verdict: Any) -> list[tuple[str, Any]]:
    """The cases of a verdict that are there, by what they are."""
    there = {WITNESS: verdict.witness, BUG: verdict.bug_case, COUNTEREXAMPLE: verdict.counterexample}
    return [(what, case) for what, case in there.items() if case is not None]


def vector_part(theorem: Any, vectors: dict[str, Any], out: Path) -> Iterator[str]:
    """The most telling of a theorem's cases as a vector, step by step; it is written to where it can be run from."""
    what = COUNTEREXAMPLE if COUNTEREXAMPLE in vectors else BUG
    if vectors.get(what) is None:
        yield f"  no requests lead to the {what}'s case, so it is no vector"
        return
    directory = out / "theorems" / theorem.id
    try:
        write_vector(vectors[what], directory)
    except OSError as error:
        raise Failure(f"{directory}: {error.strerror}") from error
    yield f"  the {what}, or a case like it, as a vector; what is expected is what the specification says, without the"
    yield f"  bug (to run it: gpaspec check model c --vectors {directory}):"
    yield from (f"    {line}".rstrip() for line in vector_lines(vectors[what]))


def keep_document(path: Path, document: Any) -> None:
    """Write JSON; a file that is there stays as it is until the new one is whole."""
    new = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps(document, indent=1) + "\n")
        new.replace(path)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from error
