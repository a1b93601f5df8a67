"""Formulas and sums of integers, each made by one call to z3.

z3's own `And`, `<=` and so on first find out what they were given and make it fit, which takes ten times as long as to
make the term; the engine makes hundreds of thousands. Here all arguments are terms already, of the right sort. z3
itself refuses others (`complaints`), but for truth values among integers, which are 0 and 1 as in Python. What it
refuses is no term at all, and using it would end the process: so it is raised here, before anybody can.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import z3

from proofs.symbolic.complaints import raise_complaint


def both(*claims: Any) -> Any:
    """All of these formulas: true if there is none."""
    return _joined(z3.Z3_mk_and, claims)


def any_one(*claims: Any) -> Any:
    """At least one of these formulas: false if there is none."""
    return _joined(z3.Z3_mk_or, claims)


def opposite(claim: Any) -> Any:
    """The negation of a formula."""
    context = claim.ctx
    return z3.BoolRef(_made(z3.Z3_mk_not(context.ref(), claim.ast)), context)


def implied(premise: Any, conclusion: Any) -> Any:
    """One formula, if another holds."""
    return _claim(z3.Z3_mk_implies, premise, conclusion)


def less(one: Any, other: Any) -> Any:
    """One integer is less than another."""
    return _claim(z3.Z3_mk_lt, one, other)


def at_most(one: Any, other: Any) -> Any:
    """One integer is no greater than another."""
    return _claim(z3.Z3_mk_le, one, other)


def at_least(one: Any, other: Any) -> Any:
    """One integer is no less than another."""
    return _claim(z3.Z3_mk_ge, one, other)


def equal(one: Any, other: Any) -> Any:
    """Two terms of one sort are the same."""
    return _claim(z3.Z3_mk_eq, one, other)


def total(one: Any, other: Any) -> Any:
    """The sum of two integers."""
    return _number(z3.Z3_mk_add, one, other)


def difference(one: Any, other: Any) -> Any:
    """One integer less another."""
    return _number(z3.Z3_mk_sub, one, other)


def number(value: int) -> Any:
    """A plain int as a term."""
    context = z3.main_ctx()
    made = z3.Z3_mk_numeral(context.ref(), str(value), z3.Z3_mk_int_sort(context.ref()))
    return z3.IntNumRef(_made(made), context)


def chosen(condition: Any, when_true: Any, when_false: Any) -> Any:
    """One of two terms of one sort, by a formula."""
    context = condition.ctx
    made = z3.Z3_mk_ite(context.ref(), condition.ast, when_true.ast, when_false.ast)
    return _kind(when_true)(_made(made), context)


def _made(term: Any) -> Any:
    """What z3 made. Raises Z3Exception if it is nothing, which is how z3 refuses."""
    if not term:  # a null pointer
        raise_complaint()
        raise z3.Z3Exception("z3 refused a call")
    return term


def _kind(term: Any) -> Any:
    """The class of terms of the same sort that are no numerals."""
    return next(kind for kind in (z3.BoolRef, z3.ArithRef, z3.BitVecRef) if isinstance(term, kind))


def _joined(make: Callable[..., Any], claims: tuple[Any, ...]) -> Any:
    context = claims[0].ctx if claims else z3.main_ctx()
    terms = (z3.z3types.Ast * len(claims))(*(claim.ast for claim in claims))
    return z3.BoolRef(_made(make(context.ref(), len(claims), terms)), context)


def _claim(make: Callable[..., Any], one: Any, other: Any) -> Any:
    context = one.ctx
    return z3.BoolRef(_made(make(context.ref(), one.ast, other.ast)), context)


def _number(make: Callable[..., Any], one: Any, other: Any) -> Any:
    context = one.ctx
    return z3.ArithRef(_made(make(context.ref(), 2, (z3.z3types.Ast * 2)(one.ast, other.ast))), context)
