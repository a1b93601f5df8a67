"""`docs/breakages.md`: each edit, who refuted it, how fast, and by which case."""

from __future__ import annotations

from collections.abc import Sequence

from tests.breakages.breakage import ROOT, Breakage
from tests.breakages.judging import CONTRACT, HARNESS, Finding

TARGET = ROOT / "docs" / "breakages.md"
LONGEST = 170  # characters of a case
HEAD = """<!-- Written by `make breakages`. Do not edit. -->

# Broken by hand

The planted bug of a theorem is chosen by whoever wrote the theorem. The edits on this page are not: each breaks the
specification, a model or the C library as a slip of a person would. Nearly all were chosen before anybody looked
whether something notices; a handful took the place of edits that turned out to change nothing. Each is made in a copy
of the sources, and `gpaspec prove` (for C: a harness of `make prove-c`) is asked there. What one would expect to notice
has to say *refuted*, and show a case.

At first nineteen of these were noticed by nobody. Some have theorems now, others a contract, both written after the
hole was seen; where the theorem that one would think of first does not refute the edit, the row has its verdict:
*proved*, so that it does not notice; *unknown*, neither a proof nor a case; or *error*, which is no proof, and a case
with which something is wrong. `VM.GETDIRTYLOG.VALID` says *error* of a log that is read twice: the slot that is added,
with an empty log, may be equal to one that is there. A frozenset takes the two for one, the engine for two, and so does
not agree with plain Python about the case. To tell that they are equal it would have to compare logs of any pages.

`make breakages` does it again and writes this page; `python -m tests.breakages NAME` does it for one. The edits
themselves are in [tests/breakages](../tests/breakages).
"""
GROUPS = (
    ("The specification: memory slots", ("spec/memslots", "spec/units")),
    ("The specification: vhost", ("spec/vhost",)),
    ("The models: memory slots and trees", ("model/memslots", "model/rbtree", "model/interval_tree")),
    ("The models: vhost", ("model/vhost",)),
    ("The C library", ("conformance/targets/c",)),
)


def page(findings: Sequence[Finding]) -> str:
    """The whole page."""
    parts = [HEAD]
    for title, starts in GROUPS:
        rows = [row(one) for one in findings if one.breakage.file.startswith(starts) and not one.breakage.hole]
        parts += [
            f"\n## {title}\n",
            "| broken | refuted by | s | a case in which it shows |",
            "|---|---|--:|---|",
            *rows,
        ]
    holes = [one.breakage for one in findings if one.breakage.hole]
    if holes:
        parts += ["\n## Not refuted\n", "Nothing notices these yet. Each says what is missing.\n", *map(hole, holes)]
    return "\n".join(parts) + "\n"


def row(finding: Finding) -> str:
    """One edit as a row."""
    noticed = finding.noticed()
    name = f"{described(finding.breakage)}"
    if not finding.answers:
        expected = ", ".join(f"`{shown(one)}`" for one in finding.breakage.expected)
        return f"| {name} | expected: {expected} | | not asked since it was changed |"
    if noticed is None:
        return f"| {name} | **not refuted** | | |"
    before = [
        f"`{shown(answer.id)}` says *{cell(answer.status)}*" for answer in finding.answers if answer is not noticed
    ]
    by = ", ".join([f"`{shown(noticed.id)}`", *before])
    return f"| {name} | {by} | {noticed.seconds:.1f} | {case_of(noticed.case)} |"


def described(breakage: Breakage) -> str:
    """What is wrong, and where."""
    return f"{cell(breakage.sentence)} [{breakage.name}](../{breakage.file})"


def hole(breakage: Breakage) -> str:
    """An edit that nothing refutes."""
    asked = ", ".join(f"`{shown(name)}`" for name in breakage.expected)
    return f"- {described(breakage)} Asked: {asked}. {breakage.hole}"


def shown(name: str) -> str:
    """A theorem by its id, a contract by its function, a harness by its command."""
    if name.startswith(HARNESS):
        return f"prove-c {name.removeprefix(HARNESS)}"
    return name.removeprefix(CONTRACT) if name.startswith(CONTRACT) else name


def case_of(lines: Sequence[str]) -> str:
    """A case in one line: what it is about, without the profile, as far as there is room."""
    text = "; ".join(line.strip() for line in lines if not line.startswith("profile: "))
    return cell(text if len(text) <= LONGEST else f"{text[:LONGEST].rstrip()} …")


def cell(text: str) -> str:
    """A text that a cell of a table can hold."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
