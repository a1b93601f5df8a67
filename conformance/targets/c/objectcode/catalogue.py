"""What is proved of object code, and one proof: of one build, of the library or of it with a bug; kept by content."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from conformance.targets.c.checking import MISSED, PROVED, REFUTED, UNDECIDED, Outcome
from conformance.targets.c.objectcode import checks, listed, once, search, walked
from conformance.targets.c.objectcode.compiling import Build, compiled, native, object_file
from conformance.targets.c.objectcode.verdict import Shown
from conformance.targets.c.verify.harness import Plant
from conformance.targets.linux.cache import cache_directory
from proofs.cache import tools
from proofs.objectcode.cannot import Cannot
from proofs.objectcode.image import Image

ROOT = Path(__file__).parents[4]
PROBLEMS: tuple[Any, ...] = (*checks.PROBLEMS, *search.PROBLEMS, *once.PROBLEMS, *walked.PROBLEMS, *listed.PROBLEMS)
PLANTED_LEVEL = "-O2"  # planted bugs are looked for in the first compiler's code of this kind

# What is taken for granted, in every one of these proofs.
ASSUMED = (
    "`static` is left out when it is compiled, so that each function is one of its own; the compiler's choices of what "
    "to put into what may differ from those of the library as it is installed.",
    "p-code says what each instruction does (pypcode), and z3 decides rightly.",
    "The stack frame lies apart from what pointers lead to, and calls follow the System V ABI of x86-64.",
    "Where a translation looks an entry up, that is the leftmost that holds the address (searches are proved apart).",
    "Where a walk goes on, it comes to the first entry that reaches the address, and `walk_once` is what `object-once` "
    "shows: both are called.",
    "`memmove` moves, and `item_of` gives the item of the entry that it is asked of; items and entries lie apart.",
    "A pointer that is passed leads to a whole structure. (Where nothing is written, they may lie upon each other.)",
)


def problem_named(name: str) -> Any:
    """The problem with this name. Raises KeyError."""
    return {one.name: one for one in PROBLEMS}[name]


READ = (
    "spec",
    "model",
    "proofs/symbolic",
    "proofs/objectcode",
    "conformance/targets/c/objectcode",
    "conformance/targets/c/verify/harness.py",
    "conformance/targets/c/checking.py",
)


@cache
def _reader() -> bytes:
    """A hash of all that a verdict depends on besides the code: specification, engine, these files, and the tools."""
    digest = hashlib.sha256()
    for one in (*tools(), *(f"{name} {importlib.metadata.version(name)}" for name in ("pypcode", "pyelftools"))):
        digest.update(one.encode())
    for place in READ:
        path = ROOT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return digest.digest()


def check_object(name: str, build: Build, plant: Plant | None) -> Outcome:
    """One proof. Raises TargetUnavailable, PlantDoesNotApply."""
    problem = problem_named(name)
    path = compiled(build, problem.source, plant)
    key = hashlib.sha256(_reader() + path.name.encode() + name.encode()).hexdigest()[:32]
    kept = cache_directory("objectcode") / f"verdict-{key}.json"
    with suppress(OSError, ValueError, TypeError):
        fields = json.loads(kept.read_text())
        return Outcome(**{**fields, "values": tuple(fields["values"]), "functions": tuple(fields["functions"])})
    started = time.perf_counter()
    try:
        shown = problem.prove(Image(object_file(path)), native(path))
    except Cannot as why:
        return Outcome(UNDECIDED, str(why), (), time.perf_counter() - started)
    outcome = _outcome(shown, plant is not None, time.perf_counter() - started)
    if outcome.status != UNDECIDED:
        temporary = kept.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(asdict(outcome)))
        temporary.replace(kept)
    return outcome


def _outcome(shown: Shown, planted: bool, seconds: float) -> Outcome:
    found = shown.difference
    if found is None:
        return Outcome(MISSED if planted else PROVED, "", (), seconds, shown.machine_ways, shown.witnesses)
    if not found.is_real():
        return Outcome(UNDECIDED, f"a difference that is none when it is run: {found}", (), seconds)
    values = tuple(f"{name} = {value:#x}" for name, value in found.case.items())
    about = f"the code says {found.machine}, the specification {found.specification}"
    return Outcome(REFUTED, about, values, seconds)
