"""The red-black tree of any size: every step of its changes keeps order and exact summaries, and mends its shape.

These theorems run the steps of `model.rbtree` on a subtree of which nothing is known but what the step may rely on,
below a node or at the root. That a step ends in a call of itself, higher up, is seen and not followed: what is true
there is what the next step relies on. `TREE.CONTEXT` says why what is above stays right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from model.rbtree import Node, RedBlackTree
from proofs.measures import measured, side
from proofs.symbolic.boolean import all_of, implies, negation
from proofs.symbolic.trees import Grown, any_above, any_tree, is_same
from proofs.theorem import Bug, Patch, Theorem, patched
from proofs.world import World

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_place(world: World, levels: int) -> dict[str, Any]:
    """A subtree, which in a small world has so many levels at least, and what it hangs below, if anything."""
    return {"tree": any_tree(world, "tree", levels=levels), "above": any_above(world, "above")}


def any_turn(world: World) -> dict[str, Any]:
    return {**any_place(world, 2), "to_the_left": world.boolean("to_the_left")}


def any_insertion(world: World) -> dict[str, Any]:
    """`parent_left` and `left` say where the new red node is: on which side of the root its parent is, and it of it."""
    return {**any_place(world, 3), "parent_left": world.boolean("parent_left"), "left": world.boolean("left")}


def can_turn(tree: Any, to_the_left: Any, **rest: Any) -> Any:
    """There is a root, and a child that can come up."""
    return all_of(measured(tree).is_there, measured(side(tree, negation(to_the_left))).is_there)


def is_red_below_red(tree: Any, parent_left: Any, left: Any, **rest: Any) -> Any:
    """All is as it should be but this: a node two levels down is red, and so is its parent."""
    parent, uncle = side(tree, parent_left), side(tree, negation(parent_left))
    node, sibling = side(parent, left), side(parent, negation(left))
    return all_of(
        *(measured(part).balanced for part in (uncle, node, sibling)),
        measured(tree).is_there,
        negation(measured(tree).red),
        measured(parent).red,
        measured(node).red,
        negation(measured(sibling).red),
        measured(node).black_height == measured(sibling).black_height,
        measured(parent).black_height == measured(uncle).black_height,
    )


# CLAIMS ----------------------------------------------------------------------------------------------------------


def is_tidy(grown: Grown) -> bool:
    """The same nodes in the same order, every node knows its parent, and what is above was left alone."""
    return is_same(grown.before(), grown.in_order()) and grown.are_parents_right() and grown.is_outside_untouched()


def stays_exact(grown: Grown) -> Any:
    """If all summaries were right they are now, and what those above have counted with is the same."""
    before, after = measured(grown.description), measured(grown.now())
    return implies(before.exact, all_of(after.exact, after.summary == before.summary))


class Calls:
    """Stands in for a step, and remembers what it was called with."""

    def __init__(self, name: str) -> None:
        self.name, self.seen = name, []  # type: ignore[var-annotated]

    def patch(self) -> Patch:
        def remember(tree: RedBlackTree, *arguments: Any) -> None:
            self.seen.append(arguments)

        return Patch(RedBlackTree, self.name, remember)


def turning_keeps_all(tree: Any, above: Any, to_the_left: Any, **rest: Any) -> Any:
    grown = Grown(tree, above)
    assert grown.root is not None
    on_top = grown.tree._turn(grown.root, to_the_left=bool(to_the_left))
    return all_of(is_tidy(grown), on_top is grown.now(), stays_exact(grown))


def one_red_pair_less(tree: Any, above: Any, parent_left: Any, left: Any, **rest: Any) -> Any:
    """Mended, with a black root; or all is right here, the root is red, and the next step is for the root."""
    grown, again = Grown(tree, above), Calls("_repair_after_insert")
    step = RedBlackTree._repair_after_insert
    parent = grown.root.left if parent_left else grown.root.right  # type: ignore[union-attr]
    node = parent.left if left else parent.right  # type: ignore[union-attr]
    with patched((again.patch(),)):
        step(grown.tree, node)  # type: ignore[arg-type]
    before, after = measured(tree), measured(grown.now())
    goes_on = len(again.seen) > 0
    return all_of(
        is_tidy(grown),
        stays_exact(grown),
        after.balanced,
        after.black_height == before.black_height,
        after.red if goes_on else negation(after.red),
        not goes_on or (len(again.seen) == 1 and again.seen[0][0] is grown.now() is grown.root),
    )


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def forgets_the_lower_summary(self: RedBlackTree, upper: Node, to_the_left: bool) -> Node:
    summary = upper.summary
    lower = TURN(self, upper, to_the_left)
    upper.summary = summary
    return lower


def leaves_the_inner_one(self: RedBlackTree, node: Node) -> None:
    parent = node.parent
    if parent is None or not parent.red:
        return
    grandparent = parent.parent
    assert grandparent is not None
    parent_is_left = grandparent.left is parent
    uncle = grandparent.right if parent_is_left else grandparent.left
    if uncle is not None and uncle.red:
        parent.red = uncle.red = False
        grandparent.red = True
        self._repair_after_insert(grandparent)
        return
    parent.red = False
    grandparent.red = True
    self._turn(grandparent, to_the_left=not parent_is_left)


TURN = RedBlackTree._turn
STALE_SUMMARY = Bug(
    "the node that goes down keeps its summary", (Patch(RedBlackTree, "_turn", forgets_the_lower_summary),)
)
INNER_LEFT = Bug(
    "an inner node is not turned out first", (Patch(RedBlackTree, "_repair_after_insert", leaves_the_inner_one),)
)

# THEOREMS --------------------------------------------------------------------------------------------------------


def about(
    name: str,
    sentence: str,
    operation: str,
    invariant: str,
    inputs: Callable[[World], dict[str, Any]],
    given: Callable[..., Any],
    holds: Callable[..., Any],
    bug: Bug,
) -> Theorem:
    return Theorem(f"RBTREE.{name}", sentence, (), (operation,), invariant, inputs, given, holds, bug)


THEOREMS = (
    about(
        "TURN",
        "A rotation keeps all nodes in their order and every summary exact, and leaves the rest of the tree alone.",
        "rotate",
        "order and summaries",
        any_turn,
        can_turn,
        turning_keeps_all,
        STALE_SUMMARY,
    ),
    about(
        "INSERT.REPAIR",
        "A step of the repair after an insertion, where a red node is below a red one, keeps order, summaries and "
        "the number of black nodes on each way, and leaves a well-formed subtree. Either its root is black, and the "
        "repair is done; or its root is red, and the next step is two levels further up.",
        "insert",
        "red-black shape",
        any_insertion,
        is_red_below_red,
        one_red_pair_less,
        INNER_LEFT,
    ),
)
