"""The red-black tree of any size: rotations, summaries, insertions, and what comes next.

These theorems run the steps of `model.rbtree` on a subtree of which nothing is known but what the step may rely on,
below a node or at the root. That a step ends in a call of itself, higher up, is seen and not followed: what is true
there is what the next step relies on. `TREE.CONTEXT` says why what is above stays right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import model.rbtree as rbtree
from model.interval_tree import Interval
from model.rbtree import Node, RedBlackTree
from proofs.measures import measured, side
from proofs.symbolic.boolean import all_of, any_of, implies, negation
from proofs.symbolic.trees import Grown, any_above, any_tree, is_any_above, is_same
from proofs.theorem import Bug, Patch, Theorem, patched
from proofs.world import World
from spec.units import U64_MAX

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_place(world: World, levels: int = 2) -> dict[str, Any]:
    """A subtree, which in a small world has so many levels at least, and what it hangs below, if anything."""
    return {"tree": any_tree(world, "tree", levels=levels), "above": any_above(world, "above")}


def any_sided_place(world: World, levels: int = 2) -> dict[str, Any]:
    """The same, and one of two sides."""
    return {**any_place(world, levels), "on_the_left": world.boolean("on_the_left")}


def any_red_pair(world: World) -> dict[str, Any]:
    """The sides on which the root has a child, and that another, where a red node may be below a red one."""
    sides = {name: world.boolean(name) for name in ("parent_left", "left")}
    return {**any_place(world, 3), **sides}


def any_new_leaf(world: World) -> dict[str, Any]:
    """A node, a side of it, and the interval that is to go there."""
    first, last = (world.integer(f"new.{word}", 0, U64_MAX) for word in ("first", "last"))
    return {**any_sided_place(world), "new": Interval(first, last, None)}


def any_first(world: World) -> dict[str, Any]:
    """The interval that is to go into an empty tree."""
    return {"new": any_new_leaf(world)["new"]}


def anything(**case: Any) -> Any:
    """Nothing is assumed."""
    return True


def is_there(tree: Any, **rest: Any) -> Any:
    """There is a node."""
    return measured(tree).is_there


def can_turn(tree: Any, on_the_left: Any, **rest: Any) -> Any:
    """There is a root, and a child that can come up from the other side."""
    return all_of(measured(tree).is_there, measured(side(tree, negation(on_the_left))).is_there)


def has_exact_sides(tree: Any, **rest: Any) -> Any:
    """The summaries on both sides are right. That of the root may be anything."""
    return all_of(measured(tree).is_there, *(measured(side(tree, left)).exact for left in (True, False)))


def has_room_for_it(tree: Any, above: Any, on_the_left: Any, **rest: Any) -> Any:
    """Nothing is there yet; all is well formed, and the root of the whole tree is black."""
    known, is_root = measured(tree), negation(is_any_above(above))
    return all_of(
        negation(measured(side(tree, on_the_left)).is_there),
        known.balanced,
        known.is_there,
        implies(is_root, negation(known.red)),
    )


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


# RUNNING ONE STEP ------------------------------------------------------------------------------------------------


@contextmanager
def calls(*names: str, run_first: str = "") -> Iterator[list[tuple[Any, ...]]]:
    """What these steps of a tree are called with, instead of running them. The first call of `run_first` is run."""
    seen: list[tuple[Any, ...]] = []
    started: list[str] = []

    def remember(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        def step(tree: RedBlackTree, *arguments: Any) -> Any:
            if name == run_first and not started:
                started.append(name)
                return run(tree, *arguments)
            seen.append((name, *arguments))
            return None

        return step

    with ExitStack() as stack:
        for name in names:
            step = remember(name, getattr(RedBlackTree, name))
            stack.enter_context(patched((Patch(RedBlackTree, name, step),)))
        yield seen


def were(seen: list[tuple[Any, ...]], *wanted: tuple[Any, ...]) -> bool:
    """Whether these were the calls, with these very nodes."""
    return len(seen) == len(wanted) and all(
        one[0] == other[0] and is_same(list(one[1:]), list(other[1:])) for one, other in zip(seen, wanted, strict=True)
    )


def one_step(name: str, node: Any, **arguments: Any) -> Any:
    """What a function of `model.rbtree` returns; where it calls one of the walks, that call."""
    run = getattr(rbtree, name)
    walks = ("first_below", "last_below", "_first_above")
    with ExitStack() as stack:
        for walk in walks:
            stack.enter_context(patched((Patch(rbtree, walk, partial(_call, walk)),)))
        return run(node, **arguments)


def _call(walk: str, node: Node, **rest: Any) -> tuple[str, Node]:
    return walk, node


# CLAIMS ----------------------------------------------------------------------------------------------------------


def is_tidy(grown: Grown) -> bool:
    """The same nodes in the same order, every node knows its parent, and what is above was left alone."""
    return is_same(grown.before(), grown.in_order()) and grown.are_parents_right() and grown.is_outside_untouched()


def stays_exact(grown: Grown) -> Any:
    """If all summaries were right they are now, and what those above have counted with is the same."""
    before, after = measured(grown.description), measured(grown.now())
    return implies(before.exact, all_of(after.exact, after.summary == before.summary))


def turning_keeps_all(tree: Any, above: Any, on_the_left: Any, **rest: Any) -> Any:
    grown = Grown(tree, above)
    assert grown.root is not None
    on_top = grown.tree._turn(grown.root, to_the_left=bool(on_the_left))
    return all_of(is_tidy(grown), on_top is grown.now(), stays_exact(grown))


def one_summary_more(tree: Any, above: Any, **rest: Any) -> Any:
    """The root's summary is right now; the next step is for the node above exactly if it has changed."""
    grown = Grown(tree, above)
    with calls("_summarize_up", run_first="_summarize_up") as seen:
        grown.tree._summarize_up(grown.root)
    is_same_summary = grown.root.summary == tree.summary  # type: ignore[union-attr]
    goes_on = were(seen, ("_summarize_up", grown.above))
    return all_of(
        is_tidy(grown),
        measured(grown.now()).exact,
        goes_on or were(seen),
        is_same_summary == (not goes_on),
    )


def leaf_is_hung(tree: Any, above: Any, on_the_left: Any, new: Interval, **rest: Any) -> Any:
    """A red leaf beside its parent, with its own summary; then summaries and shape from there upwards."""
    grown, leaf = Grown(tree, above), Node(new)
    parent, is_left = grown.root, bool(on_the_left)
    with calls("_summarize_up", "_repair_after_insert", run_first="_summarize_up") as seen:
        grown.tree.insert(leaf, parent, is_left)
    end = side(tree, is_left)
    wanted = [part for part in grown.before() if part is not end]
    wanted.insert(wanted.index(parent) + (0 if is_left else 1), leaf)
    before, after = measured(tree), measured(grown.now())
    return all_of(
        is_same(grown.in_order(), wanted),
        grown.are_parents_right(),
        grown.is_outside_untouched(),
        leaf.red,
        leaf.summary == new.last,
        were(seen, ("_summarize_up", parent), ("_repair_after_insert", leaf)),
        after.black_height == before.black_height,
        any_of(before.red, after.balanced),
    )


def first_leaf_is_the_root(new: Interval, **rest: Any) -> Any:
    tree, leaf = RedBlackTree(lambda node: node.value.last), Node(new)
    tree.insert(leaf, None, False)
    alone = leaf.parent is None and leaf.left is None and leaf.right is None
    return all_of(tree.root is leaf, alone, not leaf.red, leaf.summary == new.last)


def one_red_pair_less(tree: Any, above: Any, parent_left: Any, left: Any, **rest: Any) -> Any:
    """Mended, with a black root; or all is right here, the root is red, and the next step is for the root."""
    grown = Grown(tree, above)
    parent = grown.root.left if parent_left else grown.root.right  # type: ignore[union-attr]
    node = parent.left if left else parent.right  # type: ignore[union-attr]
    with calls("_repair_after_insert", run_first="_repair_after_insert") as seen:
        grown.tree._repair_after_insert(node)  # type: ignore[arg-type]
    before, after = measured(tree), measured(grown.now())
    goes_on = were(seen, ("_repair_after_insert", grown.root))
    return all_of(
        is_tidy(grown),
        stays_exact(grown),
        after.balanced,
        after.black_height == before.black_height,
        (goes_on and grown.now() is grown.root) or were(seen),
        after.red if goes_on else negation(after.red),
    )


def nothing_to_repair(tree: Any, above: Any, **rest: Any) -> Any:
    """At the root, or below a black node, nothing is done."""
    grown = Grown(tree, above)
    with calls("_repair_after_insert", run_first="_repair_after_insert") as seen:
        grown.tree._repair_after_insert(grown.root)  # type: ignore[arg-type]
    return all_of(is_tidy(grown), were(seen), grown.now() is grown.root, grown.root.red is tree.red)  # type: ignore[union-attr]


def is_below_no_red(tree: Any, above: Any, **rest: Any) -> Any:
    """There is a tree, and no red node above it."""
    return all_of(measured(tree).is_there, any_of(negation(is_any_above(above)), is_black(above)))


def is_black(above: Any) -> Any:
    """What is above is a black node."""
    return False if above is None else negation(above.red)


def next_is_found(tree: Any, above: Any, on_the_left: Any, **rest: Any) -> Any:
    """A walk in either direction: to the far end of the side there, or else to the first node above that has this
    subtree on the other side; nothing lies between.
    """
    grown, forward = Grown(tree, above), bool(on_the_left)
    found = one_step("next_of" if forward else "previous_of", grown.root)
    beside = grown.root.right if forward else grown.root.left  # type: ignore[union-attr]
    if beside is not None:
        return found == ("first_below" if forward else "last_below", beside)
    if found != ("_first_above", grown.root):
        return False
    found = one_step("_first_above", grown.root, coming_from_the_left=forward)
    if grown.above is None:
        return found is None
    return found is grown.above if grown.on_the_left == forward else found == ("_first_above", grown.above)


def end_is_found(tree: Any, above: Any, on_the_left: Any, **rest: Any) -> Any:
    """The end of a subtree: the root where nothing is on that side, and else the end of that side."""
    grown, name = Grown(tree, above), "first_below" if on_the_left else "last_below"
    found = one_step(name, grown.root)
    beside = grown.root.left if on_the_left else grown.root.right  # type: ignore[union-attr]
    return found is grown.root if beside is None else found == (name, beside)


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def forgets_the_lower_summary(self: RedBlackTree, upper: Node, to_the_left: bool) -> Node:
    summary = upper.summary
    lower = TURN(self, upper, to_the_left)
    upper.summary = summary
    return lower


def goes_up_only_if_it_grows(self: RedBlackTree, node: Node | None) -> None:
    if self._summarize is None or node is None:
        return
    summary = self._summarize(node)
    if node.summary is None or summary > node.summary:
        node.summary = summary
        self._summarize_up(node.parent)


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


def blackens_whatever(self: RedBlackTree, node: Node) -> None:
    node.red = False


def hangs_it_black(self: RedBlackTree, node: Node, parent: Node | None, on_the_left: bool) -> None:
    INSERT(self, node, parent, on_the_left)
    node.red = False


def leaves_it_red(self: RedBlackTree, node: Node, parent: Node | None, on_the_left: bool) -> None:
    INSERT(self, node, parent, on_the_left)
    node.red = True


def stops_above(node: Node, coming_from_the_left: bool) -> Node | None:
    return node.parent


def stops_at_the_child(node: Node) -> Node:
    return node if node.left is None else node.left


TURN, INSERT = RedBlackTree._turn, RedBlackTree.insert


def planted(sentence: str, name: str, value: Any, owner: Any = RedBlackTree) -> Bug:
    return Bug(sentence, (Patch(owner, name, value),))


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


ORDER, SHAPE, SUMMARIES = "order of the tree", "red-black shape", "exact summaries"

THEOREMS = (
    about(
        "TURN",
        "A rotation keeps all nodes in their order and every summary exact, and leaves the rest of the tree alone.",
        "rotate",
        ORDER,
        any_sided_place,
        can_turn,
        turning_keeps_all,
        planted("the node that goes down keeps its summary", "_turn", forgets_the_lower_summary),
    ),
    about(
        "SUMMARIES",
        "A step upwards makes one summary exact where those below are, and goes on exactly if it has changed: where it "
        "stops, those above are right.",
        "measure",
        SUMMARIES,
        any_place,
        has_exact_sides,
        one_summary_more,
        planted("a summary that got smaller is left", "_summarize_up", goes_up_only_if_it_grows),
    ),
    about(
        "INSERT.LEAF",
        "A new node becomes a red leaf right beside its parent in order, with its own summary; the number of black "
        "nodes on each way is the same, and all is well formed unless its parent is red.",
        "insert",
        ORDER,
        any_new_leaf,
        has_room_for_it,
        leaf_is_hung,
        planted("a new node is black", "insert", hangs_it_black),
    ),
    about(
        "INSERT.ROOT",
        "The first node of a tree is its root, and black.",
        "insert",
        SHAPE,
        any_first,
        anything,
        first_leaf_is_the_root,
        planted("it stays red", "insert", leaves_it_red),
    ),
    about(
        "INSERT.REPAIR",
        "A step of the repair after an insertion, where a red node is below a red one, keeps order, summaries and "
        "the number of black nodes on each way, and leaves a well-formed subtree. Either its root is black, and the "
        "repair is done; or its root is red, and the next step is two levels further up.",
        "insert",
        SHAPE,
        any_red_pair,
        is_red_below_red,
        one_red_pair_less,
        planted("an inner node is not turned out first", "_repair_after_insert", leaves_the_inner_one),
    ),
    about(
        "INSERT.DONE",
        "Where a red node is at the root or below a black one, the repair is over and changes nothing.",
        "insert",
        SHAPE,
        any_place,
        is_below_no_red,
        nothing_to_repair,
        planted("the node is made black", "_repair_after_insert", blackens_whatever),
    ),
    about(
        "NEXT",
        "The next node is the first on the right, or else the first above that has the subtree on its left; the one "
        "before is found in the same way.",
        "next",
        ORDER,
        any_sided_place,
        is_there,
        next_is_found,
        planted("going up ends at the parent", "_first_above", stops_above, rbtree),
    ),
    about(
        "FIRST",
        "The first node of a subtree is the one without anything on its left, all the way down on the left; likewise "
        "the last.",
        "next",
        ORDER,
        any_sided_place,
        is_there,
        end_is_found,
        planted("the way down ends at the first child", "first_below", stops_at_the_child, rbtree),
    ),
)
