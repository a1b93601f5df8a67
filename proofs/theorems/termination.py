"""Every recursion of the trees ends: each step goes on with something smaller, or nearer to the root, or not at all.

Downwards the measure is how many nodes a subtree has, upwards how far a node is from the root. Both are natural numbers
that fall. What a step does is proved elsewhere (`RBTREE.*`, `ITREE.*`, `TREE.SLOTS.*`); here it is seen where it goes.
The recursions of the sorted arrays say for themselves that they end (`ARRAY.*`, `ARRAY2016.PLACE`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import model.interval_tree as interval_tree
import model.memslots.tree as slots
import model.rbtree as rbtree
from model.interval_tree import Interval
from model.rbtree import Node, RedBlackTree
from proofs.measures import measured, side
from proofs.symbolic.boolean import all_of
from proofs.symbolic.trees import Grown, any_above, any_tree
from proofs.theorem import Bug, Patch, Theorem, patched
from proofs.theorems.interval_tree import any_asked
from proofs.theorems.red_black import is_red_below_red
from proofs.theorems.red_black_erase import lacks_a_black_node
from proofs.world import World

# The steps that go down, by the module that has them, with what they are asked besides a node.
DOWN: dict[str, tuple[Any, Callable[[Interval], tuple[Any, ...]]]] = {
    "first_below": (rbtree, lambda asked: ()),
    "last_below": (rbtree, lambda asked: ()),
    "leftmost_below": (interval_tree, lambda asked: (asked.first, asked.last)),
    "leftmost_surely_below": (interval_tree, lambda asked: (asked.first, asked.last)),
    "place_below": (interval_tree, lambda asked: (asked.first,)),
    "first_behind": (slots, lambda asked: (asked.first, None)),
}

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_place(world: World) -> dict[str, Any]:
    """A subtree, what it hangs below, if anything, and a range."""
    asked = any_asked(world)
    return {"asked": asked, "tree": any_tree(world, "tree", asked), "above": any_above(world, "above", asked)}


def any_repair(world: World) -> dict[str, Any]:
    """A subtree of some levels, what it hangs below, if anything, and sides."""
    sides = {name: world.boolean(name) for name in ("parent_left", "left", "on_the_left")}
    return {"tree": any_tree(world, "tree", levels=3), "above": any_above(world, "above"), **sides}


def has_a_root(tree: Any, asked: Interval, **rest: Any) -> Any:
    """There is a node."""
    return measured(tree, asked).is_there


def may_go_right(tree: Any, asked: Interval, **rest: Any) -> Any:
    """There is a node, and some interval below it does not end before the range."""
    known = measured(tree, asked)
    return all_of(known.is_there, known.exact, known.summary >= asked.first)


def is_red_pair(tree: Any, parent_left: Any, left: Any, **rest: Any) -> Any:
    """A red node has a red child, two levels down; all else is as it should be."""
    return is_red_below_red(tree, parent_left, left)


def lacks_one(tree: Any, on_the_left: Any, **rest: Any) -> Any:
    """On one side each way passes one black node less; all else is as it should be."""
    return lacks_a_black_node(tree, on_the_left)


# RUNNING ONE STEP ------------------------------------------------------------------------------------------------


@contextmanager
def seen_calls(owner: Any, *names: str) -> Iterator[list[Any]]:
    """The nodes that these steps are called with, instead of running them."""
    seen: list[Any] = []
    of_pages = (
        Patch(slots, "first_page", lambda node: node.value.first),
        Patch(slots, "last_page", lambda node: node.value.last),
    )
    steps = tuple(Patch(owner, name, partial(_see, seen, name)) for name in names)
    with patched((*of_pages, *steps)):
        yield seen


def _see(seen: list[Any], name: str, node: Any, *rest: Any, **more: Any) -> None:
    seen.append((name, node))


def nodes_above_of(node: Any) -> list[Node]:
    """The nodes above one, the nearest first."""
    return [] if node.parent is None else [node.parent, *nodes_above_of(node.parent)]


def is_one_of(node: Any, nodes: list[Node]) -> bool:
    """Whether this very node is one of them."""
    return any(node is one for one in nodes)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def goes_down(name: str, tree: Any, asked: Interval, **rest: Any) -> Any:
    """It ends; or goes on once, at a child, below which there are fewer nodes."""
    owner, arguments = DOWN[name]
    grown, step = Grown(tree), getattr(owner, name)
    with seen_calls(owner, name) as seen:
        step(grown.root, *arguments(asked))
    return all_of(len(seen) <= 1, *(is_smaller(grown, tree, node, asked) for _, node in seen))


def is_smaller(grown: Grown, tree: Any, node: Any, asked: Interval) -> Any:
    """Whether a node is a child of the root, or the end on one side, and has less below it."""
    root = grown.root
    assert root is not None
    on_the_left = node is root.left
    below = measured(side(tree, on_the_left), asked)
    return all_of(on_the_left or node is root.right, below.size < measured(tree, asked).size)


def goes_up(tree: Any, asked: Interval, above: Any, **rest: Any) -> Any:
    """Looking for what comes next, each step ends, goes down to a child, or goes on above."""
    grown = Grown(tree, above)
    assert grown.root is not None
    nodes = nodes_above(grown)
    next_touching, next_above = interval_tree.next_touching, interval_tree.next_above
    first_above = rbtree._first_above
    claims = []
    with seen_calls(interval_tree, "next_above", "leftmost_below") as seen:
        next_touching(grown.root, asked.first, asked.last)
        for name, node in seen:
            # Asked of the same node, but for what is above it: the next one goes on there.
            claims.append(node is grown.root if name == "next_above" else is_smaller(grown, tree, node, asked))
    with seen_calls(interval_tree, "next_above", "next_touching") as seen:
        next_above(grown.root, asked.first, asked.last)
        claims += [is_one_of(node, nodes) for _, node in seen]
    with seen_calls(rbtree, "_first_above") as seen:
        for from_the_left in (True, False):
            first_above(grown.root, coming_from_the_left=from_the_left)
        claims += [is_one_of(node, nodes) for _, node in seen]
    return all_of(*claims)


def nodes_above(grown: Grown) -> list[Node]:
    """The nodes above the root of a subtree, as it was hung."""
    assert grown.root is not None
    return nodes_above_of(grown.root)


def insert_goes_up(tree: Any, above: Any, parent_left: Any, left: Any, **rest: Any) -> Any:
    """The repair after an insertion ends, or goes on at a node that was above."""
    grown = Grown(tree, above)
    parent = grown.root.left if parent_left else grown.root.right  # type: ignore[union-attr]
    node = parent.left if left else parent.right  # type: ignore[union-attr]
    nodes, step = nodes_above_of(node), RedBlackTree._repair_after_insert
    with seen_steps("_repair_after_insert") as seen:
        step(grown.tree, node)  # type: ignore[arg-type]
    return all_of(len(seen) <= 1, *(is_one_of(arguments[0], nodes) for arguments in seen))


def erase_goes_up(tree: Any, above: Any, on_the_left: Any, **rest: Any) -> Any:
    """The repair after an erasure ends; or goes on at a node that is nearer to the root, or red, where it ends."""
    grown = Grown(tree, above)
    root = grown.root
    assert root is not None
    node = root.left if on_the_left else root.right
    before, step = len(nodes_above(grown)), RedBlackTree._repair_after_erase
    with seen_steps("_repair_after_erase") as seen:
        step(grown.tree, node, root)
    claims: list[Any] = [len(seen) <= 1]
    for one, its_parent in seen:
        is_nearer = len(nodes_above_of(one)) <= before  # before this step it was for a child of the root
        claims += [one.parent is its_parent, is_nearer or one.red]
    return all_of(*claims)


def summary_goes_up(tree: Any, above: Any, **rest: Any) -> Any:
    """Making summaries right ends, or goes on at the parent."""
    grown = Grown(tree, above)
    step = RedBlackTree._summarize_up
    with seen_steps("_summarize_up") as seen:
        step(grown.tree, grown.root)
    return all_of(len(seen) <= 1, *(arguments[0] is grown.above for arguments in seen))


@contextmanager
def seen_steps(name: str) -> Iterator[list[tuple[Any, ...]]]:
    """What a step of a red-black tree is called with, instead of running it."""
    seen: list[tuple[Any, ...]] = []
    with patched((Patch(RedBlackTree, name, lambda tree, *arguments: seen.append(arguments)),)):
        yield seen


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def stays(name: str) -> Bug:
    """The step goes on where it is."""
    owner, _ = DOWN[name]

    def step(node: Any, *arguments: Any) -> Any:
        return None if node is None else getattr(owner, name)(node, *arguments)

    return Bug("it goes on at the node where it is", (Patch(owner, name, step),))


def goes_round(node: Node, first: int, last: int) -> Any:
    return interval_tree.next_touching(node, first, last)


def repairs_the_same(self: RedBlackTree, node: Node) -> None:
    self._repair_after_insert(node)


def repairs_the_sibling(self: RedBlackTree, node: Node | None, parent: Node) -> None:
    other = parent.right if node is parent.left else parent.left
    assert other is not None
    other.red = False
    child = other.left if other.left is not None else other.right
    if child is not None:
        child.red = False
    self._repair_after_erase(child if child is not None else other, other if child is not None else parent)


def summarizes_for_ever(self: RedBlackTree, node: Node) -> None:
    self._summarize_up(node)


# THEOREMS --------------------------------------------------------------------------------------------------------


def about(name: str, sentence: str, operation: str, inputs: Any, given: Any, holds: Any, bug: Bug) -> Theorem:
    return Theorem(f"TREE.ENDS.{name}", sentence, (), (operation,), "it ends", inputs, given, holds, bug)


WORDS = {
    "first_below": ("FIRST", "The walk to the first node of a subtree", "next"),
    "last_below": ("LAST", "The walk to the last node of a subtree", "next"),
    "leftmost_below": ("SEARCH", "The search for the leftmost overlap", "search"),
    "leftmost_surely_below": ("SEARCH_SURE", "The search of later kernels for the leftmost overlap", "search"),
    "place_below": ("PLACE", "The way down to the place of a new interval", "insert"),
    "first_behind": ("BEHIND", "The search for the first slot behind a page", "search"),
}

THEOREMS = (
    *(
        about(
            word,
            f"{subject} ends: each step goes on at a child, with fewer nodes below it, or not at all.",
            operation,
            any_place,
            may_go_right if name == "leftmost_surely_below" else has_a_root,
            partial(goes_down, name),
            stays(name),
        )
        for name, (word, subject, operation) in WORDS.items()
    ),
    about(
        "NEXT",
        "Looking for the next node or overlap ends: each step goes on at a node above, or searches below a child, or "
        "neither.",
        "next",
        any_place,
        has_a_root,
        goes_up,
        Bug("going on above begins again below", (Patch(interval_tree, "next_above", goes_round),)),
    ),
    about(
        "INSERT",
        "The repair after an insertion ends: each step goes on at a node above, or not at all.",
        "insert",
        any_repair,
        is_red_pair,
        insert_goes_up,
        Bug("it goes on at the node where it is", (Patch(RedBlackTree, "_repair_after_insert", repairs_the_same),)),
    ),
    about(
        "ERASE",
        "The repair after an erasure ends: each step goes on nearer to the root, or at a red node, where it ends, or "
        "not at all.",
        "erase",
        any_repair,
        lacks_one,
        erase_goes_up,
        Bug("it goes on below the sibling", (Patch(RedBlackTree, "_repair_after_erase", repairs_the_sibling),)),
    ),
    about(
        "SUMMARIES",
        "Making summaries right after a change ends: each step goes on at the parent, or not at all.",
        "measure",
        any_place,
        has_a_root,
        summary_goes_up,
        Bug("it goes on at the node where it is", (Patch(RedBlackTree, "_summarize_up", summarizes_for_ever),)),
    ),
)
