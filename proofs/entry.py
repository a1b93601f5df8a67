"""One entry of `docs/theorems.md`: a theorem, or several that say the same of different operations."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from proofs.sources import ROOT, is_part_of
from proofs.theorem import UNBOUNDED, Theorem
from proofs.words import names_in, parts_of, sentence_of, unwrapped, words_of
from spec.step import OPERATIONS

# What needs not be said of each theorem: the head of the page says it.
PLAIN = (
    "The VM is valid, and the request breaks no rule.",
    "The VM is valid. The request is any.",
    "The device is valid, and the request breaks no rule.",
    "The device is valid. The request is any.",
    "Any device, any request.",
    "Nothing is assumed.",
)
MOST_RULES = 4  # that are named one by one
MOST_LINKS = 3  # to the code that a theorem is about
# What everything is made of is what no theorem is about.
EVERYDAY = ("spec.outcome", "spec.pages", "spec.profile", "spec.rule", "spec.sets", "spec.step", "spec.units")


def families(theorems: tuple[Theorem, ...]) -> list[list[Theorem]]:
    """Theorems that say the same, word by word, of different operations or kinds of change, together."""
    found: dict[Any, list[Theorem]] = {}
    for theorem in theorems:
        found.setdefault((template(theorem), theorem.bound, theorem.invariant), []).append(theorem)
    return list(found.values())


def template(theorem: Theorem) -> str:
    """A theorem's sentence without the operation or the kind of change that it is about."""
    name = theorem.operations[0]
    before, colon, rest = theorem.sentence.partition(": ")
    if colon and before.strip("`").lower() == name:
        return f"{rest[0].upper()}{rest[1:]}"
    return re.sub(
        rf"\b((?:any|each) )?{re.escape(name)}\b",
        lambda found: f"{found[1]}request" if found[1] else "the request",
        theorem.sentence,
        flags=re.IGNORECASE,
    )


def entry(family: list[Theorem]) -> str:
    """The entry: sentence, hypotheses where they are more than usual, bound, links, planted bug."""
    first = family[0]
    lines = [f"- **{template(first) if len(family) > 1 else first.sentence}**"]
    if len(family) > 1:
        lines.append(f"For: {', '.join(theorem.operations[0] for theorem in family)}.")
    lines += [f"Given: {words}" for words in dict.fromkeys(filter(None, map(hypotheses, family)))]
    if sentence_of(first.holds):
        lines.append(f"Claim: {sentence_of(first.holds)}")
    if first.bound != UNBOUNDED:
        lines.append(f"Bound: {first.bound}.")
    links = [link("hypotheses", first.given), link("claim", first.holds), *map(code_link, about(family))]
    lines.append(f"{', '.join(f'`{theorem.id}`' for theorem in family)}: {', '.join(links)}. {rules(family)}")
    lines.append(f"Planted: {'; '.join(dict.fromkeys(theorem.bug.sentence for theorem in family))}.")
    return "\n  <br>".join(line.rstrip() for line in lines)


def hypotheses(theorem: Theorem) -> str:
    """The hypotheses in words, "" where they are the usual ones."""
    words = words_of(theorem.given, deepest=1)
    first = words[0][1]
    more = [sentence for depth, sentence in words[1:] if depth == 1 and sentence not in PLAIN]
    if first.endswith(":"):
        return " ".join([first, *more[:1]])
    return "" if first in PLAIN else first


# LINKS -----------------------------------------------------------------------------------------------------------


def place(function: Callable[..., Any]) -> tuple[Path, int]:
    """The file of a function, and its first line."""
    function = unwrapped(function)
    _, line = inspect.getsourcelines(function)
    return Path(inspect.getsourcefile(function) or "").relative_to(ROOT), line


def link(text: str, function: Callable[..., Any]) -> str:
    """A link to a function."""
    file, line = place(function)
    return f"[{text}](../{file}#L{line})"


def code_link(function: Callable[..., Any]) -> str:
    """A link to a function of the specification or of a model, by its name."""
    function = unwrapped(function)
    module = function.__module__.rpartition(".")[2]
    return link(f"{module}.{function.__qualname__}", function)


def about(family: list[Theorem]) -> list[Any]:
    """The functions of the specification or of a model that theorems are about, the most telling first: what the
    planted bug changes, what the operation does, what the claim calls.
    """
    found: dict[Any, None] = {}
    for theorem in family:
        changed = [unwrapped_function(getattr(patch.owner, patch.name)) for patch in theorem.bug.patches]
        effects = [operation.effect for operation in OPERATIONS if operation.name in theorem.operations]
        for function in (*changed, *effects, *called(theorem.holds)):
            if function is not None and is_subject(function):
                found[function] = None
    return list(found)[:MOST_LINKS]


def unwrapped_function(value: Any) -> Any:
    """The function that was written down, None for what is none."""
    function = unwrapped(value) if callable(value) else None
    return function if inspect.isfunction(function) else None


def is_subject(function: Any) -> bool:
    """Whether a function belongs to the specification or a model, and is not what everything is made of."""
    return is_part_of(function.__module__, ("spec", "model")) and not is_part_of(function.__module__, EVERYDAY)


def called(function: Callable[..., Any]) -> Iterator[Any]:
    """The functions of the specification and the models that a claim names, also by way of its parts."""
    for part in (unwrapped(function), *parts_of(function)):
        for name in names_in(part.__code__):
            known = unwrapped_function(part.__globals__.get(name))
            if known is not None:
                yield known


def rules(family: list[Theorem]) -> str:
    """The rules that theorems speak of, each linked to its place in the specification."""
    named = dict.fromkeys(rule for theorem in family for rule in theorem.rules)
    if not named:
        return ""
    shown = [f"[{rule}](../{RULE_PLACES[rule]})" for rule in list(named)[:MOST_RULES]]
    more = f" and {len(named) - MOST_RULES} more" if len(named) > MOST_RULES else ""
    return f"Rules: {', '.join(shown)}{more}."


def rule_places() -> dict[str, str]:
    """Where each rule is written down: file and line."""
    found = {}
    for file in sorted((ROOT / "spec").rglob("*.py")):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            match = re.fullmatch(r' +id="([A-Z0-9_.]+)",', line)
            if match:
                found[match[1]] = f"{file.relative_to(ROOT)}#L{number - 1}"
    return found


RULE_PLACES = rule_places()
