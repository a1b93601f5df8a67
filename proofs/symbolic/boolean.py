"""Symbolic truth values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import z3

from proofs.symbolic.explorer import current, is_exploring, truth
from proofs.symbolic.terms import any_one, both, opposite


class SymBool:
    """Any of True and False. `bool()` of it is a branch: the path decides."""

    __slots__ = ("formula",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, formula: Any) -> None:
        self.formula = formula

    def __bool__(self) -> bool:
        return current().decide(self.formula)

    def __eq__(self, other: object) -> SymBool:  # type: ignore[override]
        return SymBool(self.formula == truth(other))

    def __ne__(self, other: object) -> SymBool:  # type: ignore[override]
        return SymBool(self.formula != truth(other))


def boolean(name: str) -> SymBool:
    """A new symbolic truth value."""
    return SymBool(z3.Bool(name))


def merged(predicate: Callable[..., Any]) -> Callable[..., Any]:
    """The predicate, asked as one formula instead of path by path. On plain values it is the predicate itself.

    It must be a pure function that returns a bool. Answers are remembered by the identity of the arguments, of symbolic
    ints and bools by that of their formulas: so no argument may change. For one that does there is `merged_anew`.
    """

    def ask(*arguments: Any) -> Any:
        if not is_exploring():
            return predicate(*arguments)
        explorer = current()
        key = (predicate, *(identity(argument) for argument in arguments))
        return explorer.remember(
            key, lambda: SymBool(explorer.formula(lambda: predicate(*arguments))), predicate, *arguments
        )

    return ask


def merged_anew(predicate: Callable[..., Any]) -> Callable[..., Any]:
    """As `merged`, but nothing is remembered: an argument may change between two questions."""

    def ask(*arguments: Any) -> Any:
        if not is_exploring():
            return predicate(*arguments)
        return SymBool(current().formula(lambda: predicate(*arguments)))

    return ask


def identity(argument: Any) -> Any:
    """What is the same for the same argument, and for no other as long as this one is remembered."""
    kind = type(argument)
    if kind is int or kind is bool or kind is str:
        return (kind, argument)
    formula = getattr(argument, "term", None) if hasattr(kind, "term") else getattr(argument, "formula", None)
    if not isinstance(formula, z3.ExprRef):
        return id(argument)
    # The same bits are two ints, one with a sign and one without.
    return (kind, formula.get_id(), getattr(argument, "low", None), getattr(argument, "high", None))


def all_of(*claims: Any) -> Any:
    """Whether all claims are true, as one formula: `and` without a branch."""
    if all(isinstance(claim, bool) for claim in claims):
        return all(claims)
    return SymBool(both(*(truth(claim) for claim in claims)))


def all_merged(predicates: tuple[Callable[..., Any], ...], *arguments: Any) -> Any:
    """Whether all predicates are true of the arguments, each asked as a formula of its own: their branches do not
    multiply.
    """
    return all_of(*(merged(predicate)(*arguments) for predicate in predicates))


def any_of(*claims: Any) -> Any:
    """Whether some claim is true, as one formula: `or` without a branch."""
    if all(isinstance(claim, bool) for claim in claims):
        return any(claims)
    return SymBool(any_one(*(truth(claim) for claim in claims)))


def negation(claim: Any) -> Any:
    """Whether the claim is false: `not` without a branch."""
    return not claim if isinstance(claim, bool) else SymBool(opposite(truth(claim)))


def implies(premise: Any, conclusion: Any) -> Any:
    """Whether the conclusion is true if the premise is: without a branch."""
    return any_of(negation(premise), conclusion)
