"""An arbitrary tree: of any size and shape, known only as far as somebody has looked.

An `AnyTree` is maybe an end; if not, it has a root, and on both sides an arbitrary tree again, which is made when it is
asked for. What is known of a tree (`proofs.measures`) is defined by its root and what is known of its sides, and holds
of ends; that is said once for each tree that is looked into, and is true on every path.

The code of a model changes nodes. `Grown` makes them, for one run: a `LazyNode` looks whether it has a child, which is
a branch, when the code reads `left` or `right`. What the code never looks at stays an arbitrary tree, so what is proved
of the run is proved of trees of any size. What a subtree hangs below is one node, whose parent
is a stand-in that has nothing.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import z3

import model.interval_tree as interval_tree
from model.interval_tree import Interval
from model.rbtree import Node, RedBlackTree
from proofs.measures import NOTHING, Above, Measured, Tree, always, combined, sides
from proofs.symbolic.boolean import SymBool, boolean
from proofs.symbolic.choice import merged_number
from proofs.symbolic.explorer import current, truth
from proofs.symbolic.integer import SymInt, integer, same, unbound_integer
from proofs.symbolic.terms import both, implied, opposite
from proofs.world import FewWorld, World
from spec.units import U64, U64_MAX

AN_END = -1  # the greatest end of nothing
FEW_LEVELS = 2  # how many levels more than it needs a tree has in a small world


OF_SEARCHES = ("ordered", "lowest", "highest", "touched", "size")  # unknown where nothing is asked for


class AnyTree:
    """An arbitrary tree, of which `asked` is asked for. With `levels`, one of no more levels, so that it can become a
    plain one.
    """

    def __init__(self, name: str, asked: Interval | None = None, levels: int | None = None) -> None:
        self.name, self.asked, self.levels = name, asked, levels
        self.is_there = SymBool(z3.BoolVal(False) if levels == 0 else z3.Bool(f"{name}.is_there"))
        self.measured = replace(unknown(name), is_there=self.is_there)
        self.red, self.summary = self.measured.red, self.measured.summary
        self.value = Interval(self._number("first"), self._number("last"), None)
        self._sides: tuple[AnyTree, AnyTree] | None = None
        current().learn(both(*(truth(claim) for claim in always(self.measured, asked))))
        self._define(opposite(self.is_there.formula), NOTHING)
        if levels:
            self.sides  # noqa: B018 (all of a small tree is made at once)

    def _number(self, name: str) -> Any:
        return integer(f"{self.name}.{name}", 0, U64_MAX)

    def _define(self, condition: Any, wanted: Measured) -> None:
        claims = []
        for field in fields(Measured):
            mine, theirs = getattr(self.measured, field.name), getattr(wanted, field.name)
            if self.asked is not None or field.name not in OF_SEARCHES:
                claims.append(same(mine, theirs) if isinstance(mine, SymInt) else truth(mine) == truth(theirs))
        current().learn(implied(condition, both(*claims)))

    @property
    def sides(self) -> tuple[AnyTree, AnyTree]:
        """The trees on both sides of the root."""
        if self._sides is None:
            levels = None if self.levels is None else max(0, self.levels - 1)
            left, right = (AnyTree(f"{self.name}.{side}", self.asked, levels) for side in ("left", "right"))
            self._sides = (left, right)
            self._define(self.is_there.formula, combined(self, left.measured, right.measured, self.asked))
        return self._sides

    @property
    def left(self) -> AnyTree:
        """The tree on the left of the root."""
        return self.sides[0]

    @property
    def right(self) -> AnyTree:
        """The tree on the right of the root."""
        return self.sides[1]

    def as_plain(self, holds: Any, plain: Any) -> Tree | None:
        """The plain tree that it is in a solver's model."""
        if not holds(self.is_there.formula):
            return None
        left, right = (side.as_plain(holds, plain) for side in self.sides)
        return Tree(plain(self.red), plain(self.value), plain(self.summary), left, right)


NUMBERS = ("black_height", "lowest", "highest", "greatest", "summary", "size")


def unknown(name: str) -> Measured:
    """What is known of a tree of which nothing is known."""
    known: dict[str, Any] = {
        field.name: unbound_integer(f"{name}.{field.name}", AN_END, U64)
        if field.name in NUMBERS
        else boolean(f"{name}.{field.name}")
        for field in fields(Measured)
    }
    return Measured(**known)


class AnyAbove:
    """What an arbitrary subtree hangs below: nothing, or a node with an arbitrary tree on its other side."""

    def __init__(self, name: str, asked: Interval | None = None, levels: int | None = None) -> None:
        self.is_there, self.on_the_left, self.red = (boolean(f"{name}.{w}") for w in ("is_there", "on_the_left", "red"))
        numbers: list[Any] = [integer(f"{name}.{word}", 0, U64_MAX) for word in ("first", "last", "summary")]
        first, last, self.summary = numbers
        self.value = Interval(first, last, None)
        self.other = AnyTree(f"{name}.other", asked, levels)

    def as_plain(self, holds: Any, plain: Any) -> Above | None:
        """The plain node that it is in a solver's model."""
        if not holds(self.is_there.formula):
            return None
        other = self.other.as_plain(holds, plain)
        return Above(plain(self.on_the_left), plain(self.red), plain(self.value), plain(self.summary), other)


def any_tree(world: World, name: str, asked: Interval | None = None, levels: int = FEW_LEVELS) -> AnyTree:
    """An arbitrary tree; in a small world one of at most so many levels and one for each that sets may have members."""
    return AnyTree(name, asked, levels + world.count - 1 if isinstance(world, FewWorld) else None)


def any_measured(name: str) -> Measured:
    """What might be known of a tree."""
    return unknown(name)


def any_above(world: World, name: str, asked: Interval | None = None) -> AnyAbove:
    """What an arbitrary subtree hangs below."""
    return AnyAbove(name, asked, 1 if isinstance(world, FewWorld) else None)


class LazyNode(Node):
    """A node that has not looked at its children yet."""

    __slots__ = ("_grown", "_left", "_right")
    _left: Any
    _right: Any

    def __init__(self, grown: Grown, tree: Any) -> None:
        self._grown = grown
        super().__init__(tree.value)
        self.red, self.summary = tree.red, tree.summary

    @property
    def sides(self) -> tuple[Any, Any]:
        """What hangs left and right of it, without looking."""
        return self._left, self._right

    @property
    def left(self) -> Any:
        if isinstance(self._left, AnyTree):
            self._left = self._grown.node(self._left, self)
        return self._left

    @left.setter
    def left(self, child: Any) -> None:
        self._left = child

    @property
    def right(self) -> Any:
        if isinstance(self._right, AnyTree):
            self._right = self._grown.node(self._right, self)
        return self._right

    @right.setter
    def right(self, child: Any) -> None:
        self._right = child


class Glance:
    """A node to be read only: looking at its children does not make them."""

    def __init__(self, part: Any) -> None:
        self.value, self.summary, self.red = part.value, part.summary, part.red
        self._sides = sides(part)

    def _side(self, side: Any) -> Any:
        return side if not isinstance(side, AnyTree) or side.is_there else None

    @property
    def left(self) -> Any:
        """What hangs on the left, or None."""
        return self._side(self._sides[0])

    @property
    def right(self) -> Any:
        """What hangs on the right, or None."""
        return self._side(self._sides[1])


class Grown:
    """A tree, or a subtree that hangs below something, as nodes. They last for one run, and may be changed in it."""

    def __init__(self, tree: Any, above: Any = None) -> None:
        self.description, self.above_description = tree, above
        self._made: dict[int, Node | None] = {}
        self.tree = RedBlackTree(summary_of)
        self.beyond = Node(None)  # the root, somewhere above what is above
        self.root = self.node(tree, None)
        self.above: Node | None = None
        if above is not None and (not isinstance(above, AnyAbove) or above.is_there):
            self._hang_below(above)
        else:
            self.tree.root = self.root
        self._root_before, self._parent_before = self.tree.root, None if self.above is None else self.above.parent

    def node(self, tree: Any, parent: Node | None) -> Node | None:
        """The root of a tree as a node, None for an end. Of an arbitrary tree only as much as is looked at."""
        if tree is None:
            return None
        made: Node | None = None
        if isinstance(tree, Tree):
            made = Node(tree.value)
            made.red, made.summary = tree.red, tree.summary
            made.left, made.right = self.node(tree.left, made), self.node(tree.right, made)
        elif tree.is_there:
            made = LazyNode(self, tree)
            made.left, made.right = tree.sides
        if made is not None:
            made.parent = parent
        self._made[id(tree)] = made
        return made

    def _hang_below(self, above: Any) -> None:
        if isinstance(above, Above):
            self.above = Node(above.value)
            other: Any = self.node(above.other, self.above)
        else:
            self.above, other = LazyNode(self, above), above.other
        self.above.parent = self.tree.root = self.beyond
        self.above.red, self.above.summary = above.red, above.summary
        if above.on_the_left:
            self.above.left, self.above.right = self.root, other
        else:
            self.above.left, self.above.right = other, self.root
        self.on_the_left = bool(above.on_the_left)
        if self.root is not None:
            self.root.parent = self.above

    # WHAT BECAME OF IT -------------------------------------------------------------------------------------------

    def now(self) -> Any:
        """What is now where the root was: a node, or None."""
        if self.above is None:
            return self.tree.root
        return sides(self.above)[0 if self.on_the_left else 1]

    def before(self) -> list[Any]:
        """In order, as it was: each node that was looked at, and each arbitrary tree that was not."""
        return self._before(self.description)

    def _before(self, tree: Any) -> list[Any]:
        if tree is None:
            return []
        if id(tree) not in self._made:
            return [tree]
        made = self._made[id(tree)]
        return [] if made is None else [*self._before(tree.left), made, *self._before(tree.right)]

    def in_order(self) -> list[Any]:
        """In order, as it is now: likewise."""
        return in_order(self.now())

    def is_outside_untouched(self) -> bool:
        """Whether what is above has changed nothing but what it points at on this side."""
        if self.above is None:
            return True
        other = sides(self.above)[1 if self.on_the_left else 0]
        return (
            self.tree.root is self._root_before
            and is_as_made(self.above, self.above_description, self._parent_before)
            and self._is_untouched(other, self.above_description.other, self.above)
        )

    def _is_untouched(self, part: Any, tree: Any, parent: Any) -> bool:
        """Whether a subtree is as it was made."""
        if tree is None or id(tree) not in self._made:
            return part is tree
        made = self._made[id(tree)]
        if part is not made or part is None:
            return part is made
        below = zip(sides(part), sides(tree), strict=True)
        return is_as_made(part, tree, parent) and all(self._is_untouched(side, was, part) for side, was in below)

    def are_parents_right(self) -> bool:
        """Whether every node that was looked at knows its parent."""
        return are_parents_right(self.now(), self.above)


def is_as_made(node: Node, description: Any, parent: Any) -> bool:
    """Whether a node has what it was made with, whatever hangs below it."""
    same = zip(
        (node.red, node.value, node.summary), (description.red, description.value, description.summary), strict=True
    )
    return node.parent is parent and all(mine is its for mine, its in same)


def in_order(part: Any) -> list[Any]:
    """The nodes of a subtree in order, and each arbitrary tree in it that nobody looked at."""
    if part is None:
        return []
    if isinstance(part, AnyTree):
        return [part]
    left, right = sides(part)
    return [*in_order(left), part, *in_order(right)]


def are_parents_right(part: Any, parent: Node | None) -> bool:
    """Whether every node of a subtree that was looked at knows its parent."""
    if part is None or isinstance(part, AnyTree):
        return True
    return part.parent is parent and all(are_parents_right(side, part) for side in sides(part))


def is_any_above(above: Any) -> Any:
    """Whether a subtree hangs below anything."""
    return above.is_there if isinstance(above, AnyAbove) else above is not None


def is_same(one: list[Any], other: list[Any]) -> bool:
    """Whether two orders have the very same parts."""
    return len(one) == len(other) and all(mine is theirs for mine, theirs in zip(one, other, strict=True))


def summary_of(node: Node) -> Any:
    """The summary of a node as the model computes it, as one number."""
    return merged_number(lambda: interval_tree.greatest_last(Glance(node)))  # type: ignore[arg-type]
