"""The interval tree: which of many ranges, that may overlap, share a member with first..last?

A red-black tree in order of `first`; equal ones stay in the order in which they came. Each node knows the greatest
`last` below it, so a search leaves out every subtree that ends too early.

Facts: include/linux/interval_tree_generic.h, lib/interval_tree.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from model.rbtree import Node, RedBlackTree


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

    def insert(self, interval: Interval) -> Node:
        """Add an interval, after those with the same first. Returns its node."""
        new = Node(interval)
        parent, on_the_left = None, False
        below = self.tree.root
        while below is not None:
            parent, on_the_left = below, interval.first < below.value.first
            below = below.left if on_the_left else below.right
        self.tree.insert(new, parent, on_the_left)
        return new

    def remove(self, node: Node) -> None:
        """Take out the interval of a node that `insert` returned."""
        self.tree.erase(node)

    def touching(self, first: int, last: int) -> Iterator[Interval]:
        """The intervals that share a member with first..last, in order. The tree must not change meanwhile."""
        node = self.first_touching(first, last)
        while node is not None:
            yield node.value
            node = next_touching(node, first, last)

    def first_touching(self, first: int, last: int) -> Node | None:
        """The leftmost interval that shares a member with first..last, or None."""
        root, leftmost = self.tree.root, self.tree.first()
        if root is None or leftmost is None or root.summary < first or leftmost.value.first > last:
            return None
        return leftmost_below(root, first, last)


def leftmost_below(node: Node, first: int, last: int) -> Node | None:
    """The leftmost interval of a subtree that shares a member with first..last; its greatest end is not below first.

    If the left side has an end that is late enough, then the leftmost interval there that ends late enough is the
    answer or nothing is: everything right of it starts later still.
    """
    while True:
        if node.left is not None and node.left.summary >= first:
            node = node.left
        elif node.value.first > last:
            return None
        elif node.value.last >= first:
            return node
        elif node.right is not None and node.right.summary >= first:
            node = node.right
        else:
            return None


def next_touching(node: Node, first: int, last: int) -> Node | None:
    """The next interval after this one that shares a member with first..last, or None."""
    if node.right is not None and node.right.summary >= first:
        return leftmost_below(node.right, first, last)
    while True:
        above = node.parent
        while above is not None and above.right is node:
            node, above = above, above.parent
        if above is None or above.value.first > last:
            return None
        if above.value.last >= first:
            return above
        node = above
        if node.right is not None and node.right.summary >= first:
            return leftmost_below(node.right, first, last)
