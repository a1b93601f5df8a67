"""The interval tree of any size: a search finds the leftmost overlap, and going on finds each other one once, in order.

A search step runs as it is (`model.interval_tree`), at the root of an arbitrary tree. Where it ends in a step for a
smaller tree or for what is above, that is seen and not followed: then the answer there must be the answer here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import model.interval_tree as interval_tree
from model.interval_tree import Interval, IntervalTree
from model.rbtree import Node, RedBlackTree, first_below
from proofs.measures import Measured, measured, side, touches
from proofs.symbolic.boolean import all_of, any_of, negation
from proofs.symbolic.trees import AnyTree, Grown, any_above, any_tree, are_parents_right, is_same
from proofs.theorem import Bug, Patch, Theorem, patched
from proofs.world import FewWorld, World
from spec.units import U64_MAX

LEVELS = 2
BOUND = f"trees of at most {LEVELS} levels: all steps are run together, and each looks at what the one before has left"

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_asked(world: World) -> Interval:
    """The range that is asked for. That its last is not below its first is nowhere needed."""
    first, last = (world.integer(f"asked.{word}", 0, U64_MAX) for word in ("first", "last"))
    return Interval(first, last, None)


def any_search(world: World) -> dict[str, Any]:
    """A tree, what it hangs below, if anything, and the range that is asked for."""
    asked = any_asked(world)
    return {"asked": asked, "tree": any_tree(world, "tree", asked), "above": any_above(world, "above", asked)}


def any_node(world: World) -> dict[str, Any]:
    return {**any_search(world), "is_leftmost": world.boolean("is_leftmost")}


def any_node_of_a_whole_tree(world: World) -> dict[str, Any]:
    return {**any_whole_tree(world), "place": world.integer("place", 0, 2**LEVELS - 2)}


def any_whole_tree(world: World) -> dict[str, Any]:
    asked = any_asked(world)
    return {"asked": asked, "tree": any_tree(world, "tree", asked, LEVELS)}


def is_sound(tree: Any, asked: Interval, **rest: Any) -> Any:
    """There is a root, firsts never fall, and all greatest ends are right."""
    known = measured(tree, asked)
    return all_of(known.is_there, known.ordered, known.exact)


def may_be_sound(tree: Any, asked: Interval, **rest: Any) -> Any:
    """The tree, which may be empty, is in order, and its summaries are exact."""
    known = measured(tree, asked)
    return all_of(known.ordered, known.exact)


def keeps_its_rules(tree: Any, asked: Interval, **rest: Any) -> Any:
    """In order, exact, well formed, with a black root."""
    known = measured(tree, asked)
    return all_of(known.ordered, known.exact, known.balanced, negation(known.red))


def has_a_node_and_keeps_its_rules(tree: Any, asked: Interval, **rest: Any) -> Any:
    """The tree is not empty, and keeps its rules."""
    return all_of(measured(tree, asked).is_there, keeps_its_rules(tree, asked))


def ends_late_enough(tree: Any, asked: Interval, **rest: Any) -> Any:
    """What a step may rely on: the tree is sound, and some interval in it does not end before the range."""
    return all_of(is_sound(tree, asked), measured(tree, asked).summary >= asked.first)


# RUNNING ONE STEP ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Goes:
    """A step ended in another one: which, and at which node."""

    step: str
    node: Any


def one_step(step: str, node: Any, *arguments: Any) -> Any:
    """What a step of `model.interval_tree` returns; where it calls a step, that call."""
    run = getattr(interval_tree, step)
    with ExitStack() as stack:
        for name in ("leftmost_below", "leftmost_surely_below", "place_below", "next_touching", "next_above"):
            stack.enter_context(patched((Patch(interval_tree, name, partial(_call, name)),)))
        return run(node, *arguments)


def _call(name: str, node: Node, *arguments: Any) -> Goes:
    return Goes(name, node)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def search_step(step: str, tree: Any, asked: Interval, **rest: Any) -> Any:
    """It overlaps and nothing left of it does; or nothing does at all; or a side has the answer if any has."""
    grown = Grown(tree)
    answer = one_step(step, grown.root, asked.first, asked.last)
    whole, left, right = (measured(part, asked) for part in (tree, side(tree, True), side(tree, False)))
    if answer is None:
        return negation(whole.touched)
    if answer is grown.root:
        return all_of(touches(tree, asked), negation(left.touched))
    if answer == Goes(step, grown.root.left):  # type: ignore[union-attr]
        return all_of(may_go_on(left, asked), any_of(left.touched, negation(whole.touched)))
    return all_of(
        answer == Goes(step, grown.root.right),  # type: ignore[union-attr]
        may_go_on(right, asked),
        negation(any_of(left.touched, touches(tree, asked))),
    )


def may_go_on(known: Measured, asked: Interval) -> Any:
    """What the next step relies on is true there."""
    return all_of(known.is_there, known.ordered, known.exact, known.summary >= asked.first)


def with_leftmost(grown: Grown, tree: Any, asked: Interval) -> IntervalTree:
    """The tree with its first node remembered: of an arbitrary one no more is known than where that begins."""
    searched = IntervalTree()
    searched.tree = grown.tree
    if grown.root is not None:
        lowest = measured(tree, asked).lowest
        is_any = isinstance(tree, AnyTree)
        searched.leftmost = Node(Interval(lowest, U64_MAX, None)) if is_any else first_below(grown.root)
    return searched


def first_stays_first(tree: Any, asked: Interval, **rest: Any) -> Any:
    """A new interval is the first exactly if it begins before all others; else the first stays what it was."""
    grown = Grown(tree)
    searched = with_leftmost(grown, tree, asked)
    before = searched.leftmost
    hung = (Patch(RedBlackTree, "insert", lambda tree, node, parent, on_the_left: None),)
    with patched(hung), patched(patch("place_below", lambda node, first: (node, False))):
        new = searched.insert(asked)
    is_first = asked.first < measured(tree, asked).lowest
    return all_of(is_first == (searched.leftmost is new), searched.leftmost is new or searched.leftmost is before)


def next_becomes_first(tree: Any, asked: Interval, above: Any, is_leftmost: Any, **rest: Any) -> Any:
    """Where the first is taken out, the next one is the first; and no other node is taken out."""
    grown, searched = Grown(tree, above), IntervalTree()
    searched.tree = grown.tree
    node, other = grown.root, Node(None)
    searched.leftmost = node if is_leftmost else other
    erased: list[Any] = []
    stand_ins = (
        Patch(RedBlackTree, "erase", lambda tree, node: erased.append(node)),
        Patch(interval_tree, "next_of", partial(_call, "next_of")),
    )
    with patched(stand_ins):
        searched.remove(node)  # type: ignore[arg-type]
    wanted: Any = Goes("next_of", node) if is_leftmost else other
    return searched.leftmost == wanted and len(erased) == 1 and erased[0] is node


def search_starts_right(tree: Any, asked: Interval, **rest: Any) -> Any:
    """The two glances before a search: None only if nothing overlaps, and a search of the whole tree else."""
    grown, known = Grown(tree), measured(tree, asked)
    searched = with_leftmost(grown, tree, asked)
    with patched((Patch(interval_tree, "leftmost_below", partial(_call, "leftmost_below")),)):
        answer: Any = searched.first_touching(asked.first, asked.last)
    if answer is None:
        return negation(known.touched)
    return all_of(answer == Goes("leftmost_below", grown.root), may_go_on(known, asked))


def going_on_right(tree: Any, asked: Interval, above: Any, **rest: Any) -> Any:
    """A search on the right, if that has the next overlap or all after it starts too late; or the step above."""
    grown = Grown(tree, above)
    answer = one_step("next_touching", grown.root, asked.first, asked.last)
    right = measured(side(tree, False), asked)
    if answer == Goes("next_above", grown.root):
        return negation(right.touched)
    return all_of(
        answer == Goes("leftmost_below", grown.root.right),  # type: ignore[union-attr]
        may_go_on(right, asked),
        any_of(right.touched, right.highest > asked.last),
    )


def going_on_above(tree: Any, asked: Interval, above: Any, **rest: Any) -> Any:
    """Above a left side the node there is next; above a right side, what comes after the whole of both."""
    grown = Grown(tree, above)
    answer = one_step("next_above", grown.root, asked.first, asked.last)
    if grown.above is None:
        return answer is None
    if not grown.on_the_left:
        return answer == Goes("next_above", grown.above)
    if answer is None:
        return above.value.first > asked.last
    if answer is grown.above:
        return touches(above, asked)
    return all_of(answer == Goes("next_touching", grown.above), negation(touches(above, asked)))


def place_step(tree: Any, asked: Interval, **rest: Any) -> Any:
    """On the left comes what begins earlier than all the rest; on the right what does not begin earlier than any."""
    grown, first = Grown(tree), asked.first
    answer = one_step("place_below", grown.root, first)
    left, right = (measured(side(tree, on_the_left), asked) for on_the_left in (True, False))
    goes_left = all_of(first < tree.value.first, first < right.lowest)
    goes_right = all_of(tree.value.first <= first, left.highest <= first)
    if isinstance(answer, Goes):
        is_left = answer.node is grown.root.left  # type: ignore[union-attr]
        return all_of(is_left or answer.node is grown.root.right, goes_left if is_left else goes_right)  # type: ignore[union-attr]
    node, is_left = answer
    return all_of(
        node is grown.root,
        negation(left.is_there if is_left else right.is_there),
        goes_left if is_left else goes_right,
    )


def insertion_is_right(tree: Any, asked: Interval) -> Any:
    """All steps together: the new one behind those that begin alike, all others as they were; all rules kept."""
    grown, searched = Grown(tree), IntervalTree()
    searched.tree, searched.leftmost = grown.tree, grown.tree.first()
    before = list(grown.tree.in_order())
    new = searched.insert(asked)
    after = list(grown.tree.in_order())
    earlier = [node for node in before if node.value.first <= asked.first]
    later = [node for node in before if node.value.first > asked.first]
    return all_of(is_same(after, [*earlier, new, *later]), keeps_all_rules(searched))


def erasure_is_right(tree: Any, asked: Interval, place: Any) -> Any:
    """All steps together: one is gone, all others as they were; all rules kept."""
    grown, searched = Grown(tree), IntervalTree()
    searched.tree, searched.leftmost = grown.tree, grown.tree.first()
    before = list(grown.tree.in_order())
    node = next((node for i, node in enumerate(before) if place == i), before[0])
    searched.remove(node)
    kept = [one for one in before if one is not node]
    return all_of(is_same(list(grown.tree.in_order()), kept), keeps_all_rules(searched))


def keeps_all_rules(searched: IntervalTree) -> Any:
    """In order, exact, well formed, with a black root and the first one remembered."""
    known = measured(searched.tree.root)
    return all_of(
        known.balanced,
        negation(known.red),
        known.exact,
        known.ordered,
        are_parents_right(searched.tree.root, None),
        searched.leftmost is searched.tree.first(),
    )


def iteration_is_right(tree: Any, asked: Interval) -> Any:
    """All steps together: exactly the overlaps, each once, in order."""
    grown, searched = Grown(tree), IntervalTree()
    searched.tree = grown.tree
    searched.leftmost = grown.tree.first()
    found = list(searched.touching(asked.first, asked.last))
    nodes = list(grown.tree.in_order())
    wanted = [node.value for node in nodes if touches(node, asked)]
    return len(found) == len(wanted) and all(one is other for one, other in zip(found, wanted, strict=True))


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def leaves_out_equal_ends(node: Node, first: int, last: int) -> Any:
    if node.left is not None and node.left.summary > first:
        return interval_tree.leftmost_below(node.left, first, last)
    if node.value.first > last:
        return None
    if node.value.last >= first:
        return node
    if node.right is not None and node.right.summary >= first:
        return interval_tree.leftmost_below(node.right, first, last)
    return None


def does_not_look_left(node: Node, first: int, last: int) -> Any:
    if node.value.first > last:
        return None
    if node.value.last >= first:
        return node
    assert node.right is not None
    return interval_tree.leftmost_surely_below(node.right, first, last)


def stops_at_the_first_that_ends_early(node: Node, first: int, last: int) -> Any:
    above = node.parent
    if above is None or above.value.last < first:
        return None
    if above.right is node:
        return interval_tree.next_above(above, first, last)
    return above if above.value.first <= last else None


def skips_the_right(node: Node, first: int, last: int) -> Any:
    return interval_tree.next_above(node, first, last)


def puts_equals_first(node: Node, first: int) -> Any:
    on_the_left = first <= node.value.first
    below = node.left if on_the_left else node.right
    return (node, on_the_left) if below is None else interval_tree.place_below(below, first)


def stops_at_an_equal(self: IntervalTree, first: int, last: int) -> Any:
    root, leftmost = self.tree.root, self.leftmost
    if root is None or leftmost is None or root.summary < first or leftmost.value.first >= last:
        return None
    return interval_tree.leftmost_below(root, first, last)


def forgets_the_first(self: IntervalTree, interval: Interval) -> Node:
    leftmost = self.leftmost
    new = INSERT(self, interval)
    self.leftmost = leftmost
    return new


def keeps_the_first(self: IntervalTree, node: Node) -> None:
    self.tree.erase(node)


def repairs_nothing(self: RedBlackTree, *nodes: Any) -> None:
    pass


INSERT = IntervalTree.insert


def patch(name: str, value: Any) -> tuple[Patch, ...]:
    return (Patch(interval_tree, name, value),)


WHOLE: dict[str, Any] = {"bound": BOUND, "proved_in": partial(FewWorld, 1), "few": 1}

# THEOREMS --------------------------------------------------------------------------------------------------------


def about(
    name: str,
    sentence: str,
    operation: str,
    inputs: Callable[[World], dict[str, Any]],
    given: Callable[..., Any],
    holds: Callable[..., Any],
    bug: Bug,
    **more: Any,
) -> Theorem:
    return Theorem(f"ITREE.{name}", sentence, (), (operation,), "leftmost overlap", inputs, given, holds, bug, **more)


THEOREMS = (
    about(
        "SEARCH.STEP",
        "A step of the search, with summaries exact and firsts in order, finds the leftmost overlap, or finds that "
        "there is none, or goes on in a child where the answer is that of the whole. So the search ends, and is right.",
        "search",
        any_search,
        ends_late_enough,
        partial(search_step, "leftmost_below"),
        Bug(
            "the left side is left out if it ends where the range begins",
            patch("leftmost_below", leaves_out_equal_ends),
        ),
    ),
    about(
        "SEARCH.SURE",
        "The search of later kernels, which goes right without looking whether there is anything, never meets an end "
        "there, and finds the same.",
        "search",
        any_search,
        ends_late_enough,
        partial(search_step, "leftmost_surely_below"),
        Bug("the left side is not looked at", patch("leftmost_surely_below", does_not_look_left)),
    ),
    about(
        "SEARCH.START",
        "The two tests that end a search before it begins, of the greatest end of all and of the least first, end it "
        "only where nothing overlaps.",
        "search",
        any_search,
        may_be_sound,
        search_starts_right,
        Bug(
            "a range that ends where the first interval begins is said to lie before it",
            (Patch(IntervalTree, "first_touching", stops_at_an_equal),),
        ),
    ),
    about(
        "NEXT.RIGHT",
        "What comes next after an interval is looked for on its right where that can have it, and else above; if the "
        "right side has none though it ends late enough, then all that comes after starts too late.",
        "next",
        any_search,
        is_sound,
        going_on_right,
        Bug("the right side is left out", patch("next_touching", skips_the_right)),
    ),
    about(
        "NEXT.ABOVE",
        "What comes next after a subtree is the node above if that has it on its left, and overlaps; else what comes "
        "next after that node, or after all below it; nothing, where all that comes after starts too late.",
        "next",
        any_search,
        is_sound,
        going_on_above,
        Bug("going up ends at the first that ends too early", patch("next_above", stops_at_the_first_that_ends_early)),
    ),
    about(
        "ITERATION",
        "Going on from the leftmost overlap finds each overlap once, in order.",
        "next",
        any_whole_tree,
        may_be_sound,
        iteration_is_right,
        Bug("the right side is left out", patch("next_touching", skips_the_right)),
        **WHOLE,
    ),
    about(
        "INSERT.PLACE",
        "The way down to the place of a new interval leaves on its left what begins no later, and on its right what "
        "begins later: order is kept, and of those that begin alike the new one is last.",
        "insert",
        any_search,
        is_sound,
        place_step,
        Bug("what begins alike comes before", patch("place_below", puts_equals_first)),
    ),
    about(
        "INSERT.FIRST",
        "The first interval that is remembered is the first also after an insertion.",
        "insert",
        any_search,
        may_be_sound,
        first_stays_first,
        Bug("it is not looked at", (Patch(IntervalTree, "insert", forgets_the_first),)),
    ),
    about(
        "ERASE.FIRST",
        "Where the first interval is taken out, the next one is remembered; else the first stays.",
        "erase",
        any_node,
        is_sound,
        next_becomes_first,
        Bug("it is not looked at", (Patch(IntervalTree, "remove", keeps_the_first),)),
    ),
    about(
        "INSERT.WHOLE",
        "After an insertion there is one interval more, behind those that begin alike; all rules of the tree hold.",
        "insert",
        any_whole_tree,
        keeps_its_rules,
        insertion_is_right,
        Bug("nothing is repaired", (Patch(RedBlackTree, "_repair_after_insert", repairs_nothing),)),
        **WHOLE,
    ),
    about(
        "ERASE.WHOLE",
        "After an erasure there is this one interval less; all rules of the tree hold.",
        "erase",
        any_node_of_a_whole_tree,
        has_a_node_and_keeps_its_rules,
        erasure_is_right,
        Bug("nothing is repaired", (Patch(RedBlackTree, "_repair_after_erase", repairs_nothing),)),
        **WHOLE,
    ),
)
