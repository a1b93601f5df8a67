"""Trees in proofs: plain and symbolic ones are measured alike, and arbitrary trees are as good as plain ones."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import z3
from hypothesis import given, settings
from hypothesis import strategies as st

from model.interval_tree import Interval, IntervalTree
from model.rbtree import Node
from proofs.measures import Above, Measured, Tree, always, measured
from proofs.symbolic.arrays import AnyArray, Piece, every, every_two, length_of
from proofs.symbolic.choice import choose, larger, merged_number, smaller
from proofs.symbolic.concrete import plain
from proofs.symbolic.explorer import Explorer, exploring, truth
from proofs.symbolic.integer import SymInt, integer
from proofs.symbolic.trees import AnyTree, Grown, is_same

ASKED = Interval(3, 5, None)
SMALL = st.integers(0, 9)
LEVELS = 3


def trees(levels: int) -> st.SearchStrategy[Tree | None]:
    """Any trees at all, also such as break every rule."""
    if levels == 0:
        return st.none()
    value = st.builds(Interval, SMALL, SMALL, st.none())
    below = trees(levels - 1)
    return st.one_of(st.none(), st.builds(Tree, st.booleans(), value, SMALL, below, below))


def described(node: Node | None) -> Tree | None:
    """A tree of the model, written down."""
    if node is None:
        return None
    value = Interval(node.value.first, node.value.last, None)
    return Tree(node.red, value, node.summary, described(node.left), described(node.right))


def pinned(tree: AnyTree, wanted: Tree | None) -> list[Any]:
    """What makes an arbitrary tree this one."""
    if wanted is None:
        return [z3.Not(tree.is_there.formula)]
    here = [
        tree.is_there.formula,
        truth(tree.red) == wanted.red,
        tree.value.first.term == wanted.value.first,  # type: ignore[attr-defined]
        tree.value.last.term == wanted.value.last,  # type: ignore[attr-defined]
        tree.summary.term == wanted.summary,
    ]
    return here if tree.levels == 0 else [*here, *pinned(tree.left, wanted.left), *pinned(tree.right, wanted.right)]


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(trees(LEVELS))
def test_an_arbitrary_tree_is_measured_as_the_plain_one_that_it_is(wanted: Tree | None) -> None:
    expected = measured(wanted, ASKED)
    explorer = Explorer()
    with exploring(explorer):
        tree = AnyTree("tree", ASKED, LEVELS)
        solver, answer = explorer.check(pinned(tree, wanted))
        assert answer == z3.sat, "a tree that there is was ruled out"
        assert plain(solver.model(), tree) == wanted
        for field in fields(Measured):
            value = getattr(tree.measured, field.name)
            if expected.is_there or field.name != "summary":
                assert plain(solver.model(), value) == getattr(expected, field.name), field.name
        assert all(always(expected, ASKED))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(SMALL, SMALL), max_size=20))
def test_a_tree_of_the_model_measures_as_it_should(intervals: list[tuple[int, int]]) -> None:
    tree = IntervalTree()
    for first, length in intervals:
        tree.insert(Interval(first, first + length, None))
    known = measured(described(tree.tree.root), ASKED)
    assert known.balanced and known.exact and known.ordered and not known.red
    assert known.lowest == min((first for first, _ in intervals), default=2**64)
    assert known.highest == max((first for first, _ in intervals), default=-1)
    assert known.greatest == max((first + length for first, length in intervals), default=-1)
    assert known.touched == any(first <= 5 and first + length >= 3 for first, length in intervals)
    assert measured(tree.tree.root, ASKED) == known


def leaf(first: int, red: bool = True, last: int | None = None) -> Tree:
    end = first if last is None else last
    return Tree(red, Interval(first, end, None), end)


def test_what_is_wrong_is_measured_as_wrong() -> None:
    value = Interval(5, 5, None)
    assert not measured(Tree(True, value, 5, leaf(1))).balanced, "red below red"
    assert not measured(Tree(False, value, 5, leaf(1, red=False))).balanced, "black on one side only"
    assert measured(Tree(False, value, 5, leaf(1))).balanced
    assert not measured(Tree(False, value, 5, leaf(6))).ordered
    assert not measured(Tree(False, value, 5, leaf(1, last=9))).exact
    assert measured(Tree(False, value, 9, leaf(1, last=9))).exact


def test_nodes_show_what_was_done_to_them() -> None:
    tree = Tree(False, Interval(5, 5, None), 5, leaf(1), leaf(7))
    above = Above(True, False, Interval(9, 9, None), 9)
    grown = Grown(tree, above)
    assert grown.root is not None and grown.root.left is not None
    assert is_same(grown.before(), grown.in_order()) and grown.are_parents_right() and grown.is_outside_untouched()
    grown.tree._turn(grown.root, to_the_left=False)
    assert is_same(grown.before(), grown.in_order()) and grown.are_parents_right() and grown.is_outside_untouched()
    assert grown.now() is not grown.root and grown.root.left is None
    grown.root.parent = None
    assert not grown.are_parents_right()
    assert grown.above is not None
    grown.above.red = True
    assert not grown.is_outside_untouched()
    grown.now().right = None
    assert not is_same(grown.before(), grown.in_order())


def test_what_nobody_looks_at_stays_arbitrary() -> None:
    explorer = Explorer()
    with exploring(explorer):
        tree = AnyTree("tree")
        explorer.assume(tree.is_there.formula)

        def looks_left() -> Any:
            grown = Grown(tree)
            assert grown.root is not None
            return (grown.root.left is not None, grown.before(), grown.in_order())

        found = [path.value for path in explorer.paths(looks_left)]
    assert [there for there, _, _ in found] == [True, False]
    (_, with_left, now), (_, without_left, _) = found
    assert is_same(with_left, now) and len(with_left) == 5 and len(without_left) == 2
    assert isinstance(with_left[0], AnyTree) and isinstance(with_left[-1], AnyTree)


@pytest.mark.parametrize(("one", "other"), [(3, 8), (8, 3), (4, 4), (-1, 0)])
def test_choices_are_those_of_python(one: int, other: int) -> None:
    explorer = Explorer()
    with exploring(explorer):
        left, right = integer("left", -1, 9), integer("right", -1, 9)
        fixed = [left.term == one, right.term == other]
        merged = merged_number(lambda: max(left, right) + (1 if left == right else 0))
        found: dict[str, tuple[SymInt, int]] = {
            "larger": (larger(left, right), max(one, other)),
            "smaller": (smaller(left, right), min(one, other)),
            "choose": (choose(left < right, left, 7), one if one < other else 7),
            "merged": (merged, max(one, other) + (one == other)),
        }
        for name, (value, wanted) in found.items():
            _, answer = explorer.check([*fixed, value.term != wanted])
            assert answer == z3.unsat, name
    assert (larger(one, other), smaller(one, other)) == (max(one, other), min(one, other))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(SMALL, SMALL), max_size=3))
def test_an_arbitrary_array_answers_as_the_plain_one_that_it_is(ends: list[tuple[int, int]]) -> None:
    wanted = tuple(Piece(first, last, last - first + 1) for first, last in ends)
    explorer = Explorer()
    with exploring(explorer):
        pieces = AnyArray("pieces", most=3)
        pins = [pieces.length.term == len(ends)]
        for i, (first, last) in enumerate(ends):
            piece: Any = pieces[i]
            pins += [piece.first.term == first, piece.last.term == last]
        answers = {
            "every": truth(every(pieces, lambda i, piece: piece.first + i < 8)),
            "two": truth(every_two(pieces, lambda one, other: one.first < other.first)),
        }
        solver, answer = explorer.check(pins)
        assert answer == z3.sat
        assert plain(solver.model(), pieces) == wanted
        expected = {
            "every": every(wanted, lambda i, piece: piece.first + i < 8),
            "two": every_two(wanted, lambda one, other: one.first < other.first),
        }
        for name, formula in answers.items():
            assert z3.is_true(solver.model().eval(formula, model_completion=True)) == expected[name], name
    assert length_of(wanted) == len(ends)
