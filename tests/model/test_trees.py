"""The red-black tree and the interval tree against plain lists, with their rules checked after every change."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.interval_tree import Interval, IntervalTree, greatest_last
from model.rbtree import Node, RedBlackTree, next_of, previous_of
from tests.model.model_checks import assert_balanced, assert_intervals

# Insert an interval (first, length), or remove the one at this place of the list.
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 30), st.integers(0, 8)),
        st.tuples(st.integers(0, 30), st.integers(0, 8)),
        st.integers(0, 200),
    ),
    max_size=70,
)


def nodes_backward(tree: RedBlackTree) -> list[Node]:
    found, node = [], tree.last()
    while node is not None:
        found.append(node)
        node = previous_of(node)
    return found


@settings(max_examples=300, deadline=None)
@given(ACTIONS)
def test_an_interval_tree_is_a_sorted_list(actions: list[tuple[int, int] | int]) -> None:
    tree, kept, nodes = IntervalTree(), [], []
    for number, action in enumerate(actions):
        if isinstance(action, tuple):
            kept.append(tree.insert(Interval(action[0], action[0] + action[1], number)))
        elif kept:
            tree.remove(kept.pop(action % len(kept)))
        assert_intervals(tree)
        nodes = list(tree.tree.in_order())
        # In order of first; of equals, the one that came first comes first.
        assert nodes == sorted(kept, key=lambda node: (node.value.first, node.value.of))
        assert nodes_backward(tree.tree) == nodes[::-1]
    for first in range(40):
        for last in (first - 1, first, first + 3, first + 40):
            touching = [n.value for n in nodes if n.value.first <= last and n.value.last >= first]
            assert list(tree.touching(first, last)) == touching


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=30, unique=True), st.data())
def test_an_exchanged_node_has_the_same_place(keys: list[int], data: st.DataObject) -> None:
    tree = IntervalTree()
    nodes = [tree.insert(Interval(key, key, key)) for key in keys]
    old = data.draw(st.sampled_from(nodes))
    new = Node(Interval(old.value.first, old.value.first + data.draw(st.integers(0, 30)), "new"))
    place = (old.parent, old.left, old.right, old.red)
    tree.tree.exchange(old, new)
    assert (new.parent, new.left, new.right, new.red) == place
    assert_intervals(tree)
    assert sum(node is new for node in tree.tree.in_order()) == 1


@pytest.mark.parametrize("order", [1, -1])
def test_no_way_down_is_longer_than_twice_the_logarithm(order: int) -> None:
    tree = IntervalTree()
    for key in list(range(1023))[::order]:
        tree.insert(Interval(key, key, key))

    def depth(node: Node | None) -> int:
        return 0 if node is None else 1 + max(depth(node.left), depth(node.right))

    assert depth(tree.tree.root) <= 20
    assert_intervals(tree)


def test_a_tree_without_summaries() -> None:
    tree = RedBlackTree()
    nodes = [Node(key) for key in range(5)]
    for node in nodes:
        tree.insert(node, tree.last(), on_the_left=False)
        assert_balanced(tree)
    assert next_of(nodes[4]) is None and previous_of(nodes[0]) is None
    for node in nodes:
        tree.erase(node)
        assert_balanced(tree)
    assert tree.root is None and list(tree.in_order()) == []


def test_the_checks_can_fail() -> None:
    tree = IntervalTree()
    for key in range(10):
        tree.insert(Interval(key, key, key))
    node = tree.tree.first()
    assert node is not None and node.parent is not None

    node.parent.summary += 1
    with pytest.raises(AssertionError):
        assert_intervals(tree)
    node.parent.summary = greatest_last(node.parent)
    assert_intervals(tree)

    node.red = not node.red
    with pytest.raises(AssertionError):
        assert_intervals(tree)
