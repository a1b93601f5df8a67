"""The red-black tree that kernels keep their tables in, with a summary of each subtree.

The rules that keep it balanced: the root is black, a red node has no red child, and all ways from the root down to
an end pass the same number of black nodes. Then no way is more than twice as long as another.

A tree does not know its order: whoever inserts walks down from `root` and says where the new node goes. Nodes are
objects that stay the same while the tree turns around them, because others point at them. With `summarize` the
tree keeps in each node a summary of its subtree (an interval tree keeps the greatest end), whatever turns.

What kernels write as a loop is a function here that ends by calling itself: each call is one step, and a step is what
is proved. A tree is never deep: at most twice the logarithm of its size.

Facts: lib/rbtree.c, include/linux/rbtree_augmented.h, Documentation/core-api/rbtree.rst.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


class Node:
    """A place in a tree for `value`. `summary` is about the value and everything below it."""

    __slots__ = ("left", "parent", "red", "right", "summary", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.parent: Node | None = None
        self.left: Node | None = None
        self.right: Node | None = None
        self.red = True
        self.summary: Any = None


def is_red(node: Node | None) -> bool:
    """Whether there is a node and it is red: an end counts as black."""
    return node is not None and node.red


class RedBlackTree:
    """A tree of nodes. `summarize(node)` computes a node's summary from its value and its children's summaries."""

    def __init__(self, summarize: Callable[[Node], Any] | None = None) -> None:
        self.root: Node | None = None
        self._summarize = summarize

    # Walking ---------------------------------------------------------------------------------------------------

    def first(self) -> Node | None:
        """The first node in order, None in an empty tree."""
        return None if self.root is None else first_below(self.root)

    def last(self) -> Node | None:
        """The last node in order, None in an empty tree."""
        return None if self.root is None else last_below(self.root)

    def in_order(self) -> Iterator[Node]:
        """All nodes from first to last."""
        node = self.first()
        while node is not None:
            yield node
            node = next_of(node)

    # Changing --------------------------------------------------------------------------------------------------

    def insert(self, node: Node, parent: Node | None, on_the_left: bool) -> None:
        """Put a new node below `parent`, where there is none yet; without a parent it is the root of an empty tree."""
        node.parent, node.left, node.right, node.red = parent, None, None, True
        if parent is None:
            self.root = node
        elif on_the_left:
            parent.left = node
        else:
            parent.right = node
        self._summarize_up(node)
        self._repair_after_insert(node)
        assert self.root is not None
        self.root.red = False

    def exchange(self, old: Node, new: Node) -> None:
        """Put a new node exactly in the place of an old one. The order must not change by it."""
        new.parent, new.left, new.right = old.parent, old.left, old.right
        new.red, new.summary = old.red, old.summary
        self._hang(new, old)
        for child in (new.left, new.right):
            if child is not None:
                child.parent = new
        self._summarize_up(new)

    def erase(self, node: Node) -> None:
        """Take a node out of the tree."""
        if node.left is not None and node.right is not None:
            self._erase_between(node)
            return
        child = node.left if node.left is not None else node.right
        parent = node.parent
        self._hang(child, node)
        self._summarize_up(parent)
        if not node.red:
            self._repair_after_erase(child, parent)

    def _erase_between(self, node: Node) -> None:
        """Take out a node with two children: the next in order, which has no left child, takes its place and colour."""
        assert node.left is not None and node.right is not None
        successor = first_below(node.right)
        child, lost_black = successor.right, not successor.red
        if successor is node.right:
            parent: Node = successor
        else:
            assert successor.parent is not None
            parent = successor.parent
            self._hang(child, successor)
            successor.right = node.right
            successor.right.parent = successor
        successor.left = node.left
        successor.left.parent = successor
        successor.red, successor.summary = node.red, node.summary  # what those above have counted with
        self._hang(successor, node)
        self._summarize_up(parent)
        self._summarize_up(successor)
        if lost_black:
            self._repair_after_erase(child, parent)

    def _hang(self, node: Node | None, instead_of: Node) -> None:
        """Let the parent of one node point at another, which takes over that parent."""
        parent = instead_of.parent
        if parent is None:
            self.root = node
        elif parent.left is instead_of:
            parent.left = node
        else:
            parent.right = node
        if node is not None:
            node.parent = parent

    def _turn(self, upper: Node, to_the_left: bool) -> Node:
        """Rotate: a child of `upper` comes up and `upper` goes down to the left or right. Returns the one on top."""
        lower = upper.right if to_the_left else upper.left
        assert lower is not None
        between = lower.left if to_the_left else lower.right
        self._hang(lower, upper)
        if to_the_left:
            upper.right, lower.left = between, upper
        else:
            upper.left, lower.right = between, upper
        upper.parent = lower
        if between is not None:
            between.parent = upper
        if self._summarize is not None:
            upper.summary = self._summarize(upper)
            lower.summary = self._summarize(lower)
        return lower

    def _summarize_up(self, node: Node | None) -> None:
        """Compute the summary of a node anew, and if it changes those of the nodes above."""
        if self._summarize is None or node is None:
            return
        summary = self._summarize(node)
        if summary != node.summary:
            node.summary = summary
            self._summarize_up(node.parent)

    def _repair_after_insert(self, node: Node) -> None:
        """`node` is red; if its parent is too, recolour and go on above, or end with at most two rotations."""
        parent = node.parent
        if parent is None or not parent.red:
            return
        grandparent = parent.parent
        assert grandparent is not None  # a red node is never the root
        parent_is_left = grandparent.left is parent
        uncle = grandparent.right if parent_is_left else grandparent.left
        if uncle is not None and uncle.red:
            parent.red = uncle.red = False
            grandparent.red = True
            self._repair_after_insert(grandparent)
            return
        inner = parent.right if parent_is_left else parent.left
        if node is inner:
            parent = self._turn(parent, to_the_left=parent_is_left)
        parent.red = False
        grandparent.red = True
        self._turn(grandparent, to_the_left=not parent_is_left)

    def _repair_after_erase(self, node: Node | None, parent: Node | None) -> None:
        """All ways through `node` (maybe an end) below `parent` have one black too few: add one, or pass it upwards."""
        if parent is None or is_red(node):
            if node is not None:
                node.red = False
            return
        node_is_left = parent.left is node
        sibling = parent.right if node_is_left else parent.left
        assert sibling is not None  # the other side has at least one black more
        if sibling.red:
            sibling.red, parent.red = False, True
            self._turn(parent, to_the_left=node_is_left)
            sibling = parent.right if node_is_left else parent.left
            assert sibling is not None
        inner, outer = (sibling.left, sibling.right) if node_is_left else (sibling.right, sibling.left)
        if not is_red(inner) and not is_red(outer):
            sibling.red = True
            self._repair_after_erase(parent, parent.parent)
            return
        if not is_red(outer):
            assert inner is not None
            inner.red, sibling.red = False, True
            sibling = self._turn(sibling, to_the_left=not node_is_left)
            outer = sibling.right if node_is_left else sibling.left
        assert outer is not None
        sibling.red, parent.red, outer.red = parent.red, False, False
        self._turn(parent, to_the_left=node_is_left)


def first_below(node: Node) -> Node:
    """The first node in order of the subtree of this one."""
    return node if node.left is None else first_below(node.left)


def last_below(node: Node) -> Node:
    """The last node in order of the subtree of this one."""
    return node if node.right is None else last_below(node.right)


def next_of(node: Node) -> Node | None:
    """The node after this one in order, or None."""
    if node.right is not None:
        return first_below(node.right)
    return _first_above(node, coming_from_the_left=True)


def previous_of(node: Node) -> Node | None:
    """The node before this one in order, or None."""
    if node.left is not None:
        return last_below(node.left)
    return _first_above(node, coming_from_the_left=False)


def _first_above(node: Node, coming_from_the_left: bool) -> Node | None:
    """The nearest node above that has this one on its left (or right) side."""
    above = node.parent
    if above is None or (above.left if coming_from_the_left else above.right) is node:
        return above
    return _first_above(above, coming_from_the_left=coming_from_the_left)
