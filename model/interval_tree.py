"""The interval tree: which of many ranges, that may overlap, share a member with first..last?

A red-black tree in order of `first`; equal ones stay in the order in which they came. Each node knows the greatest
`last` below it, so a search leaves out every subtree that ends too early. The leftmost node is remembered, so a search
that lies before all intervals ends at once.

A search from first to last with last < first finds what contains the gap between them: nothing here asks for order.

Facts: include/linux/interval_tree_generic.h, lib/interval_tree.c, include/linux/rbtree.h (cached root).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from model.rbtree import Node, RedBlackTree, next_of


@dataclass(frozen=True)
class Interval:
    """The range first..last, both ends included, and what it stands for."""

    first: int
    last: int
    of: Any


def greatest_last(node: Node) -> int:
    """The summary of a subtree: the greatest end in it."""
    ends = [node.value.last]
    ends += [child.summary for child in (node.left, node.right) if child is not None]
    greatest: int = max(ends)
    return greatest


class IntervalTree:
    """A set of intervals. Each has a node of its own, which is what removes it again."""

    def __init__(self) -> None:
        self.tree = RedBlackTree(greatest_last)
        self.leftmost: Node | None = None

    def insert(self, interval: Interval) -> Node:
        """Add an interval, after those with the same first. Returns its node."""
        new = Node(interval)
        if self.tree.root is None:
            self.tree.insert(new, None, on_the_left=False)
        else:
            self.tree.insert(new, *place_below(self.tree.root, interval.first))
        if self.leftmost is None or interval.first < self.leftmost.value.first:
            self.leftmost = new
        return new

    def remove(self, node: Node) -> None:
        """Take out the interval of a node that `insert` returned."""
        if node is self.leftmost:
            self.leftmost = next_of(node)
        self.tree.erase(node)

    def touching(self, first: int, last: int) -> Iterator[Interval]:
        """The intervals that share a member with first..last, in order. The tree must not change meanwhile."""
        node = self.first_touching(first, last)
        while node is not None:
            yield node.value
            node = next_touching(node, first, last)

    def first_touching(self, first: int, last: int) -> Node | None:
        """The leftmost interval that shares a member with first..last, or None."""
        root, leftmost = self.tree.root, self.leftmost
        if root is None or leftmost is None or root.summary < first or leftmost.value.first > last:
            return None
        return leftmost_below(root, first, last)


def place_below(node: Node, first: int) -> tuple[Node, bool]:
    """Where in a subtree an interval that begins at `first` goes: below which node, and whether on its left."""
    on_the_left = first < node.value.first
    below = node.left if on_the_left else node.right
    return (node, on_the_left) if below is None else place_below(below, first)


def leftmost_below(node: Node, first: int, last: int) -> Node | None:
    """The leftmost interval of a subtree that shares a member with first..last; its greatest end is not below first.

    If the left side has an end that is late enough, then the leftmost interval there that ends late enough is the
    answer or nothing is: everything right of it starts later still.
    """
    if node.left is not None and node.left.summary >= first:
        return leftmost_below(node.left, first, last)
    if node.value.first > last:
        return None
    if node.value.last >= first:
        return node
    if node.right is not None and node.right.summary >= first:
        return leftmost_below(node.right, first, last)
    return None


def leftmost_surely_below(node: Node, first: int, last: int) -> Node | None:
    """The same, as later kernels ask it (7.2, not yet 6.12): an end that is late enough and neither here nor on the
    left is on the right, so that nobody has to look whether there is anything.
    """
    if node.left is not None and node.left.summary >= first:
        return leftmost_surely_below(node.left, first, last)
    if node.value.first > last:
        return None
    if node.value.last >= first:
        return node
    assert node.right is not None
    return leftmost_surely_below(node.right, first, last)


def next_touching(node: Node, first: int, last: int) -> Node | None:
    """The next interval after this one that shares a member with first..last, or None."""
    if node.right is not None and node.right.summary >= first:
        return leftmost_below(node.right, first, last)
    return next_above(node, first, last)


def next_above(node: Node, first: int, last: int) -> Node | None:
    """The next interval after all of this one's subtree that shares a member with first..last, or None."""
    above = node.parent
    if above is None:
        return None
    if above.right is node:
        return next_above(above, first, last)
    if above.value.first > last:
        return None
    if above.value.last >= first:
        return above
    return next_touching(above, first, last)
