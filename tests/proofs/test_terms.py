"""Terms that are made by one call to z3 are the ones that z3's own functions make."""

from __future__ import annotations

from typing import Any

import pytest
import z3

from proofs.symbolic import terms
from proofs.symbolic.complaints import raise_complaint, told_by_z3
from proofs.symbolic.explorer import Explorer, current, exploring

P, Q, R = z3.Bools("p q r")
A, B = z3.Ints("a b")
X, Y = z3.BitVecs("x y", 12)


@pytest.mark.parametrize(
    ("made", "meant"),
    [
        (terms.both, z3.And),
        (lambda: terms.both(P), lambda: z3.And(P)),
        (lambda: terms.both(P, Q, R), lambda: z3.And(P, Q, R)),
        (terms.any_one, z3.Or),
        (lambda: terms.any_one(P, Q, R), lambda: z3.Or(P, Q, R)),
        (lambda: terms.opposite(P), lambda: z3.Not(P)),
        (lambda: terms.implied(P, Q), lambda: z3.Implies(P, Q)),
        (lambda: terms.less(A, B), lambda: A < B),
        (lambda: terms.at_most(A, B), lambda: A <= B),
        (lambda: terms.at_least(A, B), lambda: A >= B),
        (lambda: terms.equal(A, B), lambda: A == B),
        (lambda: terms.equal(X, Y), lambda: X == Y),
        (lambda: terms.total(A, B), lambda: A + B),
        (lambda: terms.difference(A, B), lambda: A - B),
        (lambda: terms.number(-(2**70)), lambda: z3.IntVal(-(2**70))),
        (lambda: terms.chosen(P, Q, R), lambda: z3.If(P, Q, R)),
        (lambda: terms.chosen(P, A, terms.number(3)), lambda: z3.If(P, A, 3)),
        (lambda: terms.chosen(P, terms.number(3), A), lambda: z3.If(P, z3.IntVal(3), A)),
        (lambda: terms.chosen(P, X, Y), lambda: z3.If(P, X, Y)),
    ],
)
def test_it_is_the_same_term(made: Any, meant: Any) -> None:
    one, other = made(), meant()
    assert one.eq(other)
    kinds = {type(one), type(other)}
    assert len(kinds) == 1 or kinds == {z3.BoolRef, z3.QuantifierRef}


@pytest.mark.parametrize(
    "made",
    [lambda: terms.less(X, A), lambda: terms.both(P, A), lambda: terms.total(A, X), lambda: terms.chosen(P, A, X)],
)
def test_what_does_not_fit_is_refused(made: Any) -> None:
    with pytest.raises(z3.Z3Exception), told_by_z3():
        made()


@pytest.mark.parametrize(
    "used",
    [
        lambda: terms.both(P, terms.less(X, A)),
        lambda: terms.any_one(terms.both(P, A), Q),
        lambda: terms.less(terms.total(A, X), A),
        lambda: terms.at_most(terms.difference(A, X), A),
        lambda: terms.chosen(terms.equal(A, X), A, B),
        lambda: terms.opposite(terms.opposite(A)),
        lambda: terms.total(terms.chosen(P, A, X), A),
        lambda: z3.ForAll([A], terms.implied(P, A)),
        lambda: terms.less(X, A).get_id(),
        lambda: current().decide(terms.less(X, A)),
    ],
)
def test_what_was_refused_cannot_be_used(used: Any) -> None:
    with exploring(Explorer()):
        with pytest.raises(z3.Z3Exception, match="refused"):
            used()
        raise_complaint()  # it was raised once, and not again


@pytest.mark.parametrize("made", [lambda: terms.less(A, 3), lambda: terms.both(P, True), lambda: terms.opposite(False)])
def test_what_is_no_term_is_refused(made: Any) -> None:
    with pytest.raises(AttributeError):
        made()
