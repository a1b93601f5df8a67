"""The guest tree of a set of slots, of any size: a search down it finds the slot that holds a page, if one does.

No two slots of a set share a page, and the tree has them in order. So at each node all on the left ends before it
begins, and all on the right begins behind its end. In these proofs a slot is the interval of its guest pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import model.memslots.tree as slots
from model.interval_tree import Interval
from model.memslots.tree import TreeSet
from model.rbtree import Node, RedBlackTree
from proofs.measures import measured, side, touches
from proofs.symbolic.boolean import all_of, implies, negation
from proofs.symbolic.trees import Grown, any_above, any_tree, is_same
from proofs.theorem import UNBOUNDED, Bug, Patch, Theorem, patched
from proofs.theorems.interval_tree import BOUND, LEVELS, Goes
from proofs.world import FewWorld, World
from spec.units import U64_MAX

STEPS = ("holding_below", "place_below", "first_behind")

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_search(world: World) -> dict[str, Any]:
    """A tree, what it hangs below, if anything, and the pages that are asked for: one page, or the first of a slot."""
    gfn = world.integer("gfn", 0, U64_MAX)
    asked = Interval(gfn, gfn, None)
    return {"asked": asked, "tree": any_tree(world, "tree", asked), "above": any_above(world, "above", asked)}


def any_whole_tree(world: World) -> dict[str, Any]:
    """A small tree, and a range of pages."""
    first, last = (world.integer(f"asked.{word}", 0, U64_MAX) for word in ("first", "last"))
    asked = Interval(first, last, None)
    return {"asked": asked, "tree": any_tree(world, "tree", asked, LEVELS)}


def any_exchange(world: World) -> dict[str, Any]:
    """A subtree, what it hangs below, if anything, and the last page of a slot that is to take the root's place."""
    return any_search(world) | {"last": world.integer("last", 0, U64_MAX)}


def is_apart(tree: Any, asked: Interval, **rest: Any) -> Any:
    """Slots are in order, and the root shares no page with those on its left and its right."""
    left, right = (measured(side(tree, on_the_left), asked) for on_the_left in (True, False))
    known = measured(tree, asked)
    apart = all_of(
        implies(left.is_there, left.greatest < tree.value.first) if tree is not None else True,
        implies(right.is_there, tree.value.last < right.lowest) if tree is not None else True,
    )
    return all_of(known.ordered, implies(known.is_there, apart))


def has_a_root(tree: Any, asked: Interval, **rest: Any) -> Any:
    """There is a root, slots are in order, and no slot begins where the new one does."""
    return all_of(measured(tree, asked).is_there, is_apart(tree, asked), tree.value.first != asked.first)


def is_well_formed(tree: Any, asked: Interval, **rest: Any) -> Any:
    """There is a root, and all is well formed."""
    known = measured(tree, asked)
    return all_of(known.is_there, known.balanced, known.ordered)


def are_apart(tree: Any, asked: Interval) -> Any:
    """Slots are in order, no two share a page, each has one, and the range that is asked for is one."""
    return all_of(asked.first <= asked.last, *are_apart_below(tree, asked))


def are_apart_below(tree: Any, asked: Interval) -> list[Any]:
    """The same of each node."""
    if tree is None or getattr(tree, "levels", 1) == 0:
        return []
    there = measured(tree, asked).is_there
    here = implies(there, all_of(is_apart(tree, asked), tree.value.first <= tree.value.last))
    return [here, *(claim for part in (tree.left, tree.right) for claim in are_apart_below(part, asked))]


# RUNNING ONE STEP ------------------------------------------------------------------------------------------------


@contextmanager
def of_pages(*seen: str) -> Iterator[None]:
    """A node's slot is the interval of its pages. Calls of these steps are seen and not followed."""
    pages = (
        Patch(slots, "first_page", lambda node: node.value.first),
        Patch(slots, "last_page", lambda node: node.value.last),
    )
    with patched((*pages, *(Patch(slots, name, partial(_call, name)) for name in seen))):
        yield


def _call(name: str, node: Any, *arguments: Any) -> Goes:
    return Goes(name, node)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def search_step(tree: Any, asked: Interval, above: Any) -> Any:
    """Found here: it has the page. Else a side has it exactly if the whole has; an end has nothing."""
    grown, step = Grown(tree), slots.holding_below
    with of_pages("holding_below"):
        answer: Any = step(grown.root, asked.first)
    whole = measured(tree, asked)
    if answer is None:
        return all_of(grown.root is None, negation(whole.touched))
    if not isinstance(answer, Goes):
        return all_of(answer is grown.root, touches(tree, asked))
    is_left = answer.node is grown.root.left  # type: ignore[union-attr]
    below = measured(side(tree, is_left), asked)
    is_side = is_left or answer.node is grown.root.right  # type: ignore[union-attr]
    return all_of(is_side, below.touched == whole.touched, below.size < whole.size)


def place_step(tree: Any, asked: Interval, above: Any) -> Any:
    """On the left comes what begins before all the rest, on the right what begins behind it."""
    grown, step, gfn = Grown(tree), slots.place_below, asked.first
    with of_pages("place_below"):
        answer: Any = step(grown.root, gfn)  # type: ignore[arg-type]
    left, right = (measured(side(tree, on_the_left), asked) for on_the_left in (True, False))
    goes_left = all_of(gfn < tree.value.first, gfn < right.lowest)
    goes_right = all_of(tree.value.first < gfn, left.highest < gfn)
    if isinstance(answer, Goes):
        is_left = answer.node is grown.root.left  # type: ignore[union-attr]
        below = left if is_left else right
        is_side = is_left or answer.node is grown.root.right  # type: ignore[union-attr]
        return all_of(is_side, goes_left if is_left else goes_right, below.size < measured(tree, asked).size)
    node, is_left = answer
    is_free = negation(left.is_there if is_left else right.is_there)
    return all_of(node is grown.root, is_free, goes_left if is_left else goes_right)


def range_is_right(tree: Any, asked: Interval) -> Any:
    """All steps together: exactly the slots with a page in the range, in order."""
    grown, members = Grown(tree), TreeSet()
    members.gfn_tree = grown.tree
    with of_pages():
        found = list(members.in_gfn_range(asked.first, asked.last))
    wanted = [node.value for node in grown.tree.in_order() if touches(node, asked)]
    return len(found) == len(wanted) and all(one is other for one, other in zip(found, wanted, strict=True))


def exchange_is_right(tree: Any, asked: Interval, above: Any, last: int) -> Any:
    """The new node is where the old one was, in its colour; all others are as they were, and know their parents."""
    grown = Grown(tree, above)
    grown.tree._summarize = None  # the guest tree has no summaries
    old, new = grown.root, Node(Interval(tree.value.first, last, None))
    assert old is not None
    grown.tree.exchange(old, new)
    wanted = [new if part is old else part for part in grown.before()]
    return all_of(
        is_same(grown.in_order(), wanted),
        grown.now() is new,
        grown.are_parents_right(),
        grown.is_outside_untouched(),
        new.red == tree.red,
        measured(grown.now()).balanced,
    )


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def last_page_is_left_out(node: Node | None, gfn: int) -> Any:
    if node is None:
        return None
    if gfn < slots.first_page(node):
        return slots.holding_below(node.left, gfn)
    if gfn < slots.last_page(node):
        return node
    return slots.holding_below(node.right, gfn)


def goes_to_the_right(node: Node, gfn: int) -> Any:
    below = node.right
    return (node, False) if below is None else slots.place_below(below, gfn)


def forgets_the_one_before(self: TreeSet, gfn: int) -> Node | None:
    return slots.first_behind(self.gfn_tree.root, gfn, None)


def children_keep_their_parent(self: RedBlackTree, old: Node, new: Node) -> None:
    new.parent, new.left, new.right = old.parent, old.left, old.right
    new.red, new.summary = old.red, old.summary
    self._hang(new, old)


# THEOREMS --------------------------------------------------------------------------------------------------------


def about(
    name: str,
    sentence: str,
    operation: str,
    inputs: Callable[[World], dict[str, Any]],
    given: Callable[..., Any],
    holds: Callable[..., Any],
    bug: Bug,
    bound: str = UNBOUNDED,
    **more: Any,
) -> Theorem:
    return Theorem(
        f"TREE.SLOTS.{name}", sentence, (), (operation,), "trees of slots", inputs, given, holds, bug, bound, **more
    )


THEOREMS = (
    about(
        "SEARCH",
        "A step of the search for a guest page is at the slot that has it, or goes on in a smaller tree that has it "
        "exactly if the whole has. So the search ends, and finds what a search through all slots finds.",
        "search",
        any_search,
        is_apart,
        search_step,
        Bug("the last page of a slot is left out", (Patch(slots, "holding_below", last_page_is_left_out),)),
    ),
    about(
        "PLACE",
        "A step of the way down to the place of a new slot leaves on its left what begins before it, and on its right "
        "what begins behind; the tree that it goes on in is smaller.",
        "insert",
        any_search,
        has_a_root,
        place_step,
        Bug("it always goes to the right", (Patch(slots, "place_below", goes_to_the_right),)),
    ),
    about(
        "RANGE",
        "The slots with a page in a range are found, each once, in order, and no other.",
        "search",
        any_whole_tree,
        are_apart,
        range_is_right,
        Bug(
            "the slot that begins before the range is left out",
            (Patch(TreeSet, "_first_reaching", forgets_the_one_before),),
        ),
        BOUND,
        proved_in=partial(FewWorld, 1),
        few=1,
    ),
    about(
        "EXCHANGE",
        "A slot that takes over the place of another in the tree hangs where that hung, in its colour; all others are "
        "where they were, and know their parents.",
        "exchange",
        any_exchange,
        is_well_formed,
        exchange_is_right,
        Bug(
            "the children keep the old node as their parent",
            (Patch(RedBlackTree, "exchange", children_keep_their_parent),),
        ),
    ),
)
