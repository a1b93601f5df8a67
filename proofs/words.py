"""Hypotheses and claims in words: what functions say of themselves, and of the functions that they are made of."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from proofs.sources import is_part_of
from proofs.theorem import Theorem

DEEPEST = 3  # of functions in functions
# What puts claims together and asks sets says nothing of a subject; nor does how symbolic values are made, or what an
# operation is. The spec and the models say themselves what they mean.
JOINERS = (
    "proofs.measures",
    "proofs.sets",
    "proofs.symbolic",
    "proofs.theorem",
    "proofs.world",
    "proofs.world_vhost",
    "spec",
    "model",
)
ENOUGH_SAID = ("proofs.claims",)  # their parts tell a reader nothing more


def unwrapped(function: Callable[..., Any]) -> Any:
    """The function that was written down."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.unwrap(function)


def sentence_of(function: Callable[..., Any]) -> str:
    """The first paragraph of what a function says of itself, on one line; "" if it says nothing. What a function says
    it asks ("Whether it is so.") is told as what is so.
    """
    text = inspect.getdoc(unwrapped(function)) or ""
    sentence = " ".join(text.partition("\n\n")[0].split()).removeprefix("Whether ")
    return sentence[:1].upper() + sentence[1:]


def parts_of(function: Callable[..., Any]) -> list[Any]:
    """The functions that a function is made of: those that it was made with, and those of the proofs that it names."""
    function = unwrapped(function)
    if is_part_of(function.__module__, (*ENOUGH_SAID, *JOINERS)):
        return []
    captured = [cell.cell_contents for cell in function.__closure__ or ()]
    members = [part for value in captured for part in (value if isinstance(value, tuple) else (value,))]
    known = function.__globals__
    named = [known[name] for name in names_in(function.__code__) if name in known]
    named = [one for one in map(unwrapped_or_none, named) if inspect.isfunction(one)]
    parts = [one for one in map(unwrapped_or_none, members) if inspect.isfunction(one)]
    parts += [one for one in named if not is_part_of(one.__module__, JOINERS)]
    return [one for one in dict.fromkeys(parts) if one is not function]


def unwrapped_or_none(value: Any) -> Any:
    """The function that was written down, if a value is one."""
    return unwrapped(value) if callable(value) else None


def names_in(code: Any) -> Iterator[str]:
    """The names that code looks up, also in the functions inside of it."""
    yield from code.co_names
    for inner in code.co_consts:
        if inspect.iscode(inner):
            yield from names_in(inner)


def words_of(function: Callable[..., Any], deepest: int = DEEPEST) -> list[tuple[int, str]]:
    """What a function says, and below it what its parts say, each part once: (how deep, sentence)."""
    return list(_words(function, 0, deepest, set()))


def _words(function: Callable[..., Any], depth: int, deepest: int, seen: set[Any]) -> Iterator[tuple[int, str]]:
    sentence = sentence_of(function)
    if sentence:
        yield depth, sentence
    if depth < deepest:
        for part in parts_of(function):
            if part not in seen:
                seen.add(part)
                yield from _words(part, depth + bool(sentence), deepest, seen)


def silent_hypotheses(theorem: Theorem) -> list[str]:
    """The functions that a theorem's hypotheses are made of and that say nothing, or no whole sentence."""
    return sorted(
        {
            f"{one.__module__}.{one.__qualname__}"
            for one in _all_parts(unwrapped(theorem.given), set())
            if not sentence_of(one).endswith((".", ":"))
        }
    )


def _all_parts(function: Any, seen: set[Any]) -> Iterator[Any]:
    yield function
    for part in parts_of(function):
        if part not in seen:
            seen.add(part)
            yield from _all_parts(part, seen)
