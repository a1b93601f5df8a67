"""What is asked of a tree: is it balanced, in order, are its summaries exact? Of plain trees and of arbitrary ones.

A tree is written down as a `Tree` (plain), an arbitrary one is `proofs.symbolic.trees.AnyTree`, and both can be grown
into the nodes of `model.rbtree`, which turn and change. All of them are measured by the same definition, `combined`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model.interval_tree import Interval
from proofs.symbolic.boolean import all_of, any_of, implies, negation
from proofs.symbolic.choice import choose, larger, smaller
from spec.units import U64


@dataclass(frozen=True)
class Tree:
    """A tree that is written down. An end is None."""

    red: bool
    value: Interval
    summary: int
    left: Tree | None = None
    right: Tree | None = None


@dataclass(frozen=True)
class Above:
    """The node that a subtree hangs below, on its left or right, and the subtree on its other side."""

    on_the_left: bool
    red: bool
    value: Interval
    summary: int
    other: Tree | None = None


@dataclass(frozen=True)
class Measured:
    """What is known of a subtree.

    `is_there` is whether it has a node at all. `red` and `summary` are those of its root. `black_height` is how many
    black nodes the way down on the left passes; `balanced`, whether every way passes as many and no red node has a red
    child. `exact` is whether each summary is the greatest end below it. `ordered` is whether firsts never fall;
    `lowest` and `highest` are the least and the greatest first, `greatest` is the greatest end. `touched` is whether
    some interval shares a member with the range that is asked for. `size` is how many nodes there are.
    """

    is_there: Any
    red: Any
    summary: Any
    black_height: Any
    balanced: Any
    exact: Any
    ordered: Any
    lowest: Any
    highest: Any
    greatest: Any
    touched: Any
    size: Any


NOTHING = Measured(
    is_there=False,
    red=False,
    summary=-1,
    black_height=0,
    balanced=True,
    exact=True,
    ordered=True,
    lowest=U64,
    highest=-1,
    greatest=-1,
    touched=False,
    size=0,
)


def combined(node: Any, left: Measured, right: Measured, asked: Interval | None) -> Measured:
    """What is known of a subtree by its root and both its sides. `asked` is the range that is asked for."""
    greatest = larger(node.value.last, larger(left.greatest, right.greatest))
    return Measured(
        is_there=True,
        red=node.red,
        summary=node.summary,
        black_height=left.black_height + choose(node.red, 0, 1),
        balanced=all_of(
            left.balanced,
            right.balanced,
            left.black_height == right.black_height,
            negation(all_of(node.red, any_of(left.red, right.red))),
        ),
        exact=all_of(left.exact, right.exact, node.summary == greatest),
        ordered=all_of(left.ordered, right.ordered, left.highest <= node.value.first, node.value.first <= right.lowest),
        lowest=smaller(node.value.first, smaller(left.lowest, right.lowest)),
        highest=larger(node.value.first, larger(left.highest, right.highest)),
        greatest=greatest,
        touched=any_of(left.touched, right.touched, touches(node, asked)),
        size=left.size + right.size + 1,
    )


def always(known: Measured, asked: Interval | None) -> list[Any]:
    """What is true of every tree. It follows from `combined` by induction, which `TREE.ALWAYS` shows."""
    claims = [
        known.black_height >= 0,
        implies(known.exact, known.summary == known.greatest),
        implies(negation(known.is_there), negation(known.red)),
    ]
    if asked is not None:
        claims += [
            implies(known.touched, all_of(known.lowest <= asked.last, known.greatest >= asked.first)),
            any_of(known.touched, known.greatest < asked.first, known.highest > asked.last),
            known.size >= 0,
        ]
    return claims


def touches(node: Any, asked: Interval | None) -> Any:
    """Whether a node's interval shares a member with the range that is asked for, if one is."""
    if asked is None:
        return False
    return all_of(node.value.first <= asked.last, asked.first <= node.value.last)


def measured(part: Any, asked: Interval | None = None) -> Measured:
    """What is known of a subtree: None, a `Tree`, an arbitrary one, or a node with all that hangs below it."""
    if part is None:
        return NOTHING
    known = getattr(part, "measured", None)
    if known is not None:
        return known  # type: ignore[no-any-return]
    left, right = sides(part)
    return combined(part, measured(left, asked), measured(right, asked), asked)


def sides(part: Any) -> tuple[Any, Any]:
    """What hangs left and right below a node or tree, without looking whether there is anything."""
    return getattr(part, "sides", None) or (part.left, part.right)


def side(part: Any, on_the_left: Any) -> Any:
    """What hangs on one side; of an end nothing does."""
    return None if part is None else sides(part)[0 if on_the_left else 1]
