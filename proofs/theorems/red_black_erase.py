"""Erasing from a red-black tree of any size: what is taken out, what takes its place, and how the shape is mended.

As with insertions, each step runs on an arbitrary subtree, and where it ends in another one, that is seen and not
followed. A node between two others is replaced by the next one in order, which may be any way down: that one, and the
node it hangs below, are arbitrary as well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import model.rbtree as rbtree
from model.rbtree import Node, RedBlackTree, is_red
from proofs.measures import measured, side
from proofs.symbolic.boolean import all_of, implies, negation
from proofs.symbolic.choice import choose
from proofs.symbolic.trees import Grown, any_above, any_tree, is_any_above, is_same
from proofs.theorem import Bug, Patch, Theorem, patched
from proofs.theorems.red_black import (
    SHAPE,
    any_place,
    calls,
    is_tidy,
    planted,
    stays_exact,
    were,
)
from proofs.world import World

CALLED = ("_summarize_up", "_repair_after_erase")

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_far_successor(world: World) -> dict[str, Any]:
    """A node with two sides; and the first node on its right, `far`, which hangs below another node there."""
    return {
        **any_place(world),
        "far": any_tree(world, "far"),
        "far_above": any_above(world, "far_above"),
    }


def any_side(on_the_left: bool, world: World) -> dict[str, Any]:
    return {**any_place(world, levels=3), "on_the_left": on_the_left}


def has_an_end(tree: Any, **rest: Any) -> Any:
    """All is well formed, and the root has at most one child."""
    sides = [measured(side(tree, left)).is_there for left in (True, False)]
    return all_of(measured(tree).is_there, measured(tree).balanced, negation(all_of(*sides)))


def has_a_near_successor(tree: Any, **rest: Any) -> Any:
    """All is well formed, the root has two children, and the next node is its right child or that one's left child."""
    right = side(tree, False)
    left_of_right = side(right, True)
    return all_of(
        measured(tree).is_there,
        measured(tree).balanced,
        measured(side(tree, True)).is_there,
        measured(right).is_there,
        negation(measured(side(left_of_right, True)).is_there),
    )


def has_a_far_successor(tree: Any, far: Any, far_above: Any, **rest: Any) -> Any:
    """The root has two children; the first node on the right hangs on the left of some node, and has no left child."""
    return all_of(
        measured(tree).is_there,
        measured(side(tree, True)).is_there,
        measured(side(tree, False)).is_there,
        measured(far).is_there,
        measured(far).balanced,
        negation(measured(side(far, True)).is_there),
        is_any_above(far_above),
        False if far_above is None else far_above.on_the_left,
    )


def lacks_a_black_node(tree: Any, on_the_left: Any, **rest: Any) -> Any:
    """All is as it should be but this: each way on one side passes one black node less than on the other."""
    node, sibling = measured(side(tree, on_the_left)), measured(side(tree, negation(on_the_left)))
    return all_of(
        measured(tree).is_there,
        node.balanced,
        sibling.balanced,
        node.black_height + 1 == sibling.black_height,
        negation(all_of(measured(tree).red, sibling.red)),
    )


def is_well_formed(tree: Any, **rest: Any) -> Any:
    """The tree is well formed by itself: no red node below a red one, as many black ones on each way down."""
    return measured(tree).balanced


# CLAIMS ----------------------------------------------------------------------------------------------------------


def is_taken_out(tree: Any, above: Any, **rest: Any) -> Any:
    """Its child is where it was; if it was black, the repair begins there."""
    grown = Grown(tree, above)
    node = grown.root
    assert node is not None
    with calls(*CALLED) as seen:
        grown.tree.erase(node)
    known, child = measured(tree), grown.now()
    after = measured(child)
    up, repair = ("_summarize_up", grown.above), ("_repair_after_erase", child, grown.above)
    return all_of(
        is_same(grown.in_order(), [part for part in grown.before() if part is not node]),
        grown.are_parents_right(),
        grown.is_outside_untouched(),
        were(seen, up) if known_red(node) else were(seen, up, repair),
        after.balanced,
        after.black_height == known.black_height - choose(known.red, 0, 1),
        implies(known.red, negation(after.red)),
    )


def known_red(node: Node) -> bool:
    """The colour of a node, one way or the other."""
    return bool(node.red)


def near_one_takes_its_place(tree: Any, above: Any, **rest: Any) -> Any:
    """The next node is where the erased one was, with its colour and summary; the repair begins where it was."""
    grown = Grown(tree, above)
    node = grown.root
    assert node is not None and node.right is not None
    successor = node.right if node.right.left is None else node.right.left
    was_black, left, right = not known_red(successor), node.left, node.right
    before = measured(side(tree, False)).black_height
    with calls(*CALLED) as seen:
        grown.tree.erase(node)
    is_direct = successor is right
    parent = successor if is_direct else right
    child = parent.right if is_direct else parent.left
    now = grown.now()
    ups = [("_summarize_up", parent), ("_summarize_up", successor)]
    below = measured(successor.right)
    return all_of(
        now is successor,
        is_same(grown.in_order(), [part for part in grown.before() if part is not node]),
        grown.are_parents_right(),
        grown.is_outside_untouched(),
        successor.left is left,
        successor.summary == node.summary,
        successor.red == node.red,
        were(seen, *ups, *([("_repair_after_erase", child, parent)] if was_black else [])),
        measured(child).balanced,
        below.black_height == before - 1 if is_direct and was_black else True,
    )


def far_one_takes_its_place(tree: Any, above: Any, far: Any, far_above: Any, **rest: Any) -> Any:
    """The same where the next node is further down: its child is where it was, and it is where the erased one was."""
    grown, below = Grown(tree, above), Grown(far, far_above)
    node, successor = grown.root, below.root
    assert node is not None and successor is not None
    child, was_black = successor.right, not known_red(successor)
    finds_it = Patch(rbtree, "first_below", lambda asked: successor if asked is node.right else None)
    with patched((finds_it,)), calls(*CALLED) as seen:
        grown.tree.erase(node)
    lost = [] if not was_black else [("_repair_after_erase", child, below.above)]
    known = measured(far)
    return all_of(
        grown.now() is successor,
        is_same(grown.in_order(), [successor if part is node else part for part in grown.before()]),
        grown.are_parents_right(),
        grown.is_outside_untouched(),
        below.now() is child,
        is_same(
            below.in_order(), [part for part in below.before() if part is not successor and part is not side(far, True)]
        ),
        below.are_parents_right(),
        successor.summary == node.summary,
        successor.red == node.red,
        were(seen, ("_summarize_up", below.above), ("_summarize_up", successor), *lost),
        measured(child).balanced,
        measured(child).black_height == known.black_height - choose(known.red, 0, 1),
    )


def gains_or_passes_up(tree: Any, above: Any, on_the_left: Any, **rest: Any) -> Any:
    """Mended, and red only if it was; or all is well formed here, and the whole subtree lacks a black node."""
    grown = Grown(tree, above)
    parent = grown.root
    assert parent is not None
    node = parent.left if on_the_left else parent.right
    seen = one_repair(grown, node, parent)
    if seen and known_red(seen[0][1]):  # then the next step only makes it black
        seen = one_repair(grown, *seen[0][1:])
    wanted = measured(side(tree, negation(on_the_left))).black_height + choose(measured(tree).red, 0, 1)
    after = measured(grown.now())
    goes_on = were(seen, ("_repair_after_erase", parent, grown.above)) and grown.now() is parent
    return all_of(
        is_tidy(grown),
        stays_exact(grown),
        goes_on or were(seen),
        after.balanced,
        after.black_height == (wanted - 1 if goes_on else wanted),
        implies(after.red, measured(tree).red),
    )


def one_repair(grown: Grown, node: Node | None, parent: Node | None) -> list[tuple[Any, ...]]:
    """One step of the repair, and how the next one is called."""
    with calls("_repair_after_erase", run_first="_repair_after_erase") as seen:
        grown.tree._repair_after_erase(node, parent)
    return seen


def top_is_black(tree: Any, **rest: Any) -> Any:
    """At the top every way lacks the node, so that none does; what is there is black."""
    grown = Grown(tree)
    seen = one_repair(grown, grown.root, None)
    after = measured(grown.now())
    return all_of(is_tidy(grown), stays_exact(grown), were(seen), after.balanced, negation(after.red))


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def takes_out_red_ones_too(self: RedBlackTree, node: Node) -> None:
    if node.left is not None and node.right is not None:
        self._erase_between(node)
        return
    child = node.left if node.left is not None else node.right
    parent = node.parent
    self._hang(child, node)
    self._summarize_up(parent)
    self._repair_after_erase(child, parent)


def keeps_its_colour(self: RedBlackTree, node: Node) -> None:
    assert node.right is not None
    successor = rbtree.first_below(node.right)
    red = successor.red
    ERASE_BETWEEN(self, node)
    successor.red = red


def leaves_the_inner_one(self: RedBlackTree, node: Node | None, parent: Node | None) -> None:
    if parent is None or is_red(node):
        if node is not None:
            node.red = False
        return
    node_is_left = parent.left is node
    sibling = parent.right if node_is_left else parent.left
    assert sibling is not None
    if sibling.red:
        sibling.red, parent.red = False, True
        self._turn(parent, to_the_left=node_is_left)
        sibling = parent.right if node_is_left else parent.left
        assert sibling is not None
    if not is_red(sibling.left) and not is_red(sibling.right):
        sibling.red = True
        self._repair_after_erase(parent, parent.parent)
        return
    outer = sibling.right if node_is_left else sibling.left
    sibling.red, parent.red = parent.red, False
    if outer is not None:
        outer.red = False
    self._turn(parent, to_the_left=node_is_left)


def leaves_the_top(self: RedBlackTree, node: Node | None, parent: Node | None) -> None:
    if parent is not None:
        REPAIR(self, node, parent)


ERASE_BETWEEN, REPAIR = RedBlackTree._erase_between, RedBlackTree._repair_after_erase
KEEPS_COLOUR = planted("it keeps its own colour", "_erase_between", keeps_its_colour)

# THEOREMS --------------------------------------------------------------------------------------------------------


def about(
    name: str,
    sentence: str,
    inputs: Callable[[World], dict[str, Any]],
    given: Callable[..., Any],
    holds: Callable[..., Any],
    bug: Bug,
) -> Theorem:
    return Theorem(f"RBTREE.ERASE.{name}", sentence, (), ("erase",), SHAPE, inputs, given, holds, bug)


THEOREMS = (
    about(
        "OUT",
        "A node with at most one child is taken out, and nothing else: the child is where it was. If it was black, "
        "each way there passes one black node less, and the repair begins there; if it was red, all is well formed.",
        any_place,
        has_an_end,
        is_taken_out,
        planted("the repair begins also below a red node", "erase", takes_out_red_ones_too),
    ),
    about(
        "NEAR",
        "Where a node with two children is erased, the next one in order takes its place, colour and summary, and all "
        "others stay as they are; the repair begins where that one was, if it was black. Here it was one or two down.",
        any_place,
        has_a_near_successor,
        near_one_takes_its_place,
        KEEPS_COLOUR,
    ),
    about(
        "FAR",
        "The same where the next one in order was any number of levels down.",
        any_far_successor,
        has_a_far_successor,
        far_one_takes_its_place,
        KEEPS_COLOUR,
    ),
    *(
        about(
            f"REPAIR.{name}",
            "A step of the repair after an erasure, below a node on one side of which each way passes a black node "
            "less, keeps order and summaries, and leaves a well-formed subtree, red only if it was. Either it passes "
            "as many black nodes as before the erasure; or one less, and the next step is one level further up. "
            f"{where}.",
            partial(any_side, is_left),
            lacks_a_black_node,
            gains_or_passes_up,
            planted("a red inner node is not turned out first", "_repair_after_erase", leaves_the_inner_one),
        )
        for name, where, is_left in (("LEFT", "Here it is the left side", True), ("RIGHT", "Here the right", False))
    ),
    about(
        "TOP",
        "At the top of the tree the repair is over: all is well formed, and the root is black.",
        any_place,
        is_well_formed,
        top_is_black,
        planted("a red root stays red", "_repair_after_erase", leaves_the_top),
    ),
)
