"""`docs/theorems.md`: the catalogue as sentences, each linked to its code. `python -m proofs.document` writes it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proofs.catalogue import SUBJECTS
from proofs.coverage import NOT_PROVED, WITHOUT_THEOREM, rules_without_theorem
from proofs.crosshair import contract_modules, contracts_of
from proofs.theorem import UNBOUNDED, Theorem
from spec.step import all_rules

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "theorems.md"
HEAD = """<!-- Written by `python -m proofs.document`. Do not edit. -->

# Theorems

What is proved about the specification and the models, by `gpaspec prove`. How, and what one has to believe for it, is
told in [proofs.md](proofs.md). Unless a bound is given, a theorem holds for any number of slots or entries, for all 64
bits of every address and size, and for every profile.

Each has a *witness* (a case that meets its hypotheses) and a *planted bug* under which it fails. `gpaspec prove
--explain ID` shows both.
"""


def theorems_page() -> str:
    """The whole page."""
    parts = [HEAD]
    for subject in SUBJECTS:
        title, _, about = (inspect.getdoc(subject) or "").partition("\n")
        parts.append(f"\n## {title.rstrip('.')}\n{about and about + chr(10)}")
        parts += [_entry(group) for group in _families(subject.THEOREMS)]
    parts.append("\n## Contracts\n\nConfirmed by CrossHair over all paths:\n")
    for module in contract_modules():
        names = ", ".join(f"`{name}`" for name in sorted(contracts_of(module)))
        parts.append(f"- [{module}](../{module.replace('.', '/')}.py): {names}")
    parts.append("\n## Rules\n")
    reasons = [f"- `{rule}`: {reason}" for rule, reason in WITHOUT_THEOREM.items()]
    count = len(all_rules()) - len(rules_without_theorem()) - len(reasons)
    parts.append(
        f"{count} of {len(all_rules())} rules are spoken of by a theorem." + "".join(f"\n{r}" for r in reasons)
    )
    parts.append("\n## Not proved\n")
    parts += [f"- {sentence}" for sentence in NOT_PROVED]
    return "\n".join(parts) + "\n"


def _families(theorems: tuple[Theorem, ...]) -> list[list[Theorem]]:
    """Theorems that say the same of different kinds of change, together."""
    families: dict[Any, list[Theorem]] = {}
    for theorem in theorems:
        words = theorem.id.split(".")
        key = ".".join(words[:2]) if words[0] == "TWOSETS" else theorem.id
        families.setdefault(key, []).append(theorem)
    return list(families.values())


def _entry(family: list[Theorem]) -> str:
    first = family[0]
    sentence = first.sentence
    if len(family) > 1:
        sentence = sentence.partition(": ")[2]
        sentence = (
            f"{sentence[0].upper()}{sentence[1:]} *For: {', '.join(theorem.operations[0] for theorem in family)}.*"
        )
    ids = ", ".join(f"`{theorem.id}`" for theorem in family)
    bound = "" if first.bound == UNBOUNDED else f" Bound: {first.bound}."
    bugs = "; ".join(dict.fromkeys(theorem.bug.sentence for theorem in family))
    return f"- **{sentence}**{bound} {_link('claim', first.holds)}\n  <br>{ids}. Planted: {bugs}."


def _link(text: str, function: Callable[..., Any]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    _, line = inspect.getsourcelines(function)
    file = Path(inspect.getsourcefile(function) or "").relative_to(ROOT)
    return f"[{text}](../{file}#L{line})"


def main() -> None:
    """Write the page."""
    TARGET.write_text(theorems_page())


if __name__ == "__main__":
    main()
