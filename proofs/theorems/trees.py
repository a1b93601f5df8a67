"""What is true of every tree, by induction: what the proofs about trees of any size may take for granted.

These theorems are about what the proofs measure (`proofs.measures`). No model runs in them, and what their planted bugs
break is a measure.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import proofs.measures as measures
from model.interval_tree import Interval
from proofs.measures import NOTHING, Measured, always, combined
from proofs.symbolic.boolean import all_of, implies
from proofs.symbolic.trees import any_measured, any_tree
from proofs.theorem import Bug, Patch, Theorem
from proofs.theorems.interval_tree import any_asked
from proofs.world import World

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_two_sides(world: World) -> dict[str, Any]:
    """What might be known of two trees, and a root for both. Nothing is taken for granted of them."""
    return {
        "asked": any_asked(world),
        "left": any_measured("left"),
        "right": any_measured("right"),
        "root": any_tree(world, "root", levels=1),
    }


def any_exchange(world: World) -> dict[str, Any]:
    """A node with two sides, and something else for one of them."""
    return {**any_two_sides(world), "new": any_measured("new"), "on_the_left": world.boolean("on_the_left")}


def is_true_of_both(asked: Interval, left: Measured, right: Measured, root: Any, **rest: Any) -> Any:
    """There is a root, and what is always true is true of both of its sides."""
    return all_of(measures.measured(root).is_there, *always(left, asked), *always(right, asked))


def fits_there(asked: Interval, left: Measured, right: Measured, new: Measured, on_the_left: Any, **rest: Any) -> Any:
    """The new side has what the old one had, in the same order, is well formed itself, and red only if that was."""
    old = left if on_the_left else right
    return all_of(
        is_true_of_both(asked, left, right, **rest),
        *(getattr(new, name) == getattr(old, name) for name in KEPT),
        new.balanced,
        new.exact,
        implies(new.red, old.red),
    )


KEPT = ("is_there", "summary", "black_height", "ordered", "lowest", "highest", "greatest", "touched")

# CLAIMS ----------------------------------------------------------------------------------------------------------


def is_true_of_the_whole(asked: Interval, left: Measured, right: Measured, root: Any) -> Any:
    """It is true of an end, and of a tree if it is true of both its sides."""
    return all_of(*always(NOTHING, asked), *always(measures.combined(root, left, right, asked), asked))


def is_as_good_as_before(
    asked: Interval, left: Measured, right: Measured, root: Any, new: Measured, on_the_left: Any
) -> Any:
    """What is known of the whole is what was known before, and if it was well formed it still is."""
    before = measures.combined(root, left, right, asked)
    after = measures.combined(root, new, right, asked) if on_the_left else measures.combined(root, left, new, asked)
    return all_of(
        *(getattr(after, name) == getattr(before, name) for name in (*KEPT, "red")),
        implies(before.balanced, after.balanced),
        implies(before.exact, after.exact),
    )


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def late_is_enough(node: Any, asked: Interval | None) -> Any:
    return False if asked is None else node.value.last > asked.first


def wants_one_colour(node: Any, left: Measured, right: Measured, asked: Interval | None) -> Measured:
    known = combined(node, left, right, asked)
    return replace(known, balanced=all_of(known.balanced, left.red == right.red))


# THEOREMS --------------------------------------------------------------------------------------------------------

THEOREMS = (
    Theorem(
        "TREE.ALWAYS",
        "What proofs measure of a tree is so of every tree: if some interval in it does not end before a range, then "
        "one overlaps the range or one begins after it; exact summaries are the greatest end below; the number of "
        "black nodes is none or more.",
        (),
        ("measure",),
        "every tree",
        any_two_sides,
        is_true_of_both,
        is_true_of_the_whole,
        Bug("an interval that ends late is said to overlap", (Patch(measures, "touches", late_is_enough),)),
    ),
    Theorem(
        "TREE.CONTEXT",
        "By what proofs measure of it, a tree in which a subtree is exchanged for another with the same intervals in "
        "order and as many black nodes on each way, well formed and exact, and red only if the old one was, is as good "
        "as before.",
        (),
        ("measure",),
        "every tree",
        any_exchange,
        fits_there,
        is_as_good_as_before,
        Bug("both sides of a node must be of one colour", (Patch(measures, "combined", wants_one_colour),)),
    ),
)
