"""`docs/theorems.md`: the catalogue as sentences, each linked to its code. `python -m proofs.document` writes it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proofs import invariants, invariants_vhost
from proofs.catalogue import SUBJECTS
from proofs.coverage import NOT_PROVED, WITHOUT_THEOREM, not_proved_beside, rules_without_theorem
from proofs.crosshair import contract_modules, contracts_of
from proofs.entry import entry, families, place
from proofs.glossary import glossary
from proofs.without_contract import WITHOUT_CONTRACT
from proofs.words import words_of
from spec.step import all_rules

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "theorems.md"
HEAD = """<!-- Written by `python -m proofs.document`. Do not edit. -->

# Theorems

What is proved about the specification and the models, by `gpaspec prove`. How, and what one has to believe for it, is
told in [proofs.md](proofs.md). Unless a bound is given, a theorem holds for any number of slots or entries, for all 64
bits of every address and size, and for every profile.

Each entry has a sentence; what is *Given*; the *Claim*, where that says more than the sentence; the *Bound*, if there
is one; and the bug that is *Planted*. Where nothing is given, the VM or device is *valid* ([below](#what-is-valid)),
and the theorem is about any request, or about any that breaks no rule, as its sentence says.
"""


def theorems_page() -> str:
    """The whole page."""
    parts = [HEAD, *glossary(), "\n## What is valid\n"]
    parts += [*_valid("VM", invariants.valid), *_valid("device", invariants_vhost.valid_device)]
    for subject in SUBJECTS:
        title, _, about = (inspect.getdoc(subject) or "").partition("\n")
        parts.append(f"\n## {title.rstrip('.')}\n{about and about + chr(10)}")
        parts += [entry(family) for family in families(subject.THEOREMS)]
        lacking = not_proved_beside(subject.__name__.rpartition(".")[2], subject.THEOREMS)
        parts += ["\nNot proved:\n", *map(_in_short, lacking)] if lacking else []
    parts.append("\n## Contracts\n\nConfirmed by CrossHair over all paths:\n")
    for module in contract_modules():
        names = ", ".join(f"`{name}`" for name in sorted(contracts_of(module)))
        parts.append(f"- [{module}](../{module.replace('.', '/')}.py): {names}")
    parts += ["\nFunctions that look at a fixed number of scalars and have no contract:\n", *_without_contract()]
    parts.append("\n## Rules\n")
    reasons = [f"- `{rule}`: {reason}" for rule, reason in WITHOUT_THEOREM.items()]
    count = len(all_rules()) - len(rules_without_theorem()) - len(reasons)
    parts.append(
        f"{count} of {len(all_rules())} rules are each the subject of a theorem. What is said of whatever rules an "
        "operation has does not count." + "".join(f"\n{r}" for r in reasons)
    )
    parts.append("\n## Not proved\n")
    parts += [f"{number}. {sentence}" for number, sentence in enumerate(NOT_PROVED, 1)]
    return "\n".join(parts) + "\n"


def _in_short(sentence: str) -> str:
    """What is not proved, without the reason, which stands at the end of the page under a number."""
    first = re.split(r"[:.] ", sentence)[0].rstrip(".")
    return f"- {first} ([{NOT_PROVED.index(sentence) + 1}](#not-proved))."


def _valid(what: str, valid: Callable[..., Any]) -> list[str]:
    """What is true of every valid state, in words."""
    head, *rest = words_of(valid, deepest=1)
    return [f"\nA **valid** {what} ([code]({_code(valid)})): {head[1]}\n", *(f"- {sentence}" for _, sentence in rest)]


def _code(function: Callable[..., Any]) -> str:
    file, line = place(function)
    return f"../{file}#L{line}"


def _without_contract() -> list[str]:
    """One line for each reason."""
    reasons: dict[str, list[str]] = {}
    for name, reason in WITHOUT_CONTRACT.items():
        reasons.setdefault(reason, []).append(f"`{name}`")
    return [f"- {reason} {', '.join(names)}" for reason, names in reasons.items()]


def main() -> None:
    """Write the page."""
    TARGET.write_text(theorems_page())


if __name__ == "__main__":
    main()
