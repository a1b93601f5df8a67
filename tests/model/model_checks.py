"""What must be true of a machine between two requests, and of its trees at any time."""

from __future__ import annotations

import itertools

from model.interval_tree import IntervalTree, greatest_last
from model.memslots.array import SortedArray
from model.memslots.machine import Machine
from model.memslots.protocol import IN_PROGRESS, NO_BITMAP, OneSet
from model.memslots.tree import TreeSet
from model.rbtree import Node, RedBlackTree, is_red


def assert_balanced(tree: RedBlackTree) -> None:
    """The rules of a red-black tree, and that parents and children know each other."""

    def blacks_below(node: Node | None, parent: Node | None) -> int:
        if node is None:
            return 1
        assert node.parent is parent
        assert not (node.red and (is_red(node.left) or is_red(node.right))), "a red node has a red child"
        left, right = blacks_below(node.left, node), blacks_below(node.right, node)
        assert left == right, "two ways down pass different numbers of black nodes"
        return left + (not node.red)

    assert not is_red(tree.root), "the root is red"
    blacks_below(tree.root, None)


def assert_intervals(tree: IntervalTree) -> None:
    """Balanced, in order, and every greatest end is right."""
    assert_balanced(tree.tree)
    nodes = list(tree.tree.in_order())
    firsts = [node.value.first for node in nodes]
    assert firsts == sorted(firsts)
    for node in nodes:
        assert node.summary == greatest_last(node)


def assert_tree_set(members: TreeSet) -> None:
    """All three indexes have the same copies, in their order."""
    assert_balanced(members.gfn_tree)
    assert_intervals(members.hva_tree)
    copies = members.in_gfn_order()
    for lower, upper in itertools.pairwise(copies):
        assert lower.base_gfn + lower.npages <= upper.base_gfn
    addresses = sorted(copy.address for copy in copies)
    assert sorted(copy.address for copy in members.id_table.values()) == addresses
    assert all(copy.id == slot_id for slot_id, copy in members.id_table.items())
    hosts = [node.value for node in members.hva_tree.tree.in_order()]
    assert sorted(interval.of.address for interval in hosts) == addresses
    assert all(host.first == host.of.hva and host.last == host.first + host.of.npages * 4096 - 1 for host in hosts)
    assert sorted(members.gfn_nodes) == sorted(members.hva_nodes) == addresses


def assert_array(members: SortedArray) -> None:
    """Highest first, the index is right, the cache points into the array."""
    copies = members.in_use()
    assert len(copies) == members.used
    for upper, lower in itertools.pairwise(copies):
        assert lower.base_gfn + lower.npages <= upper.base_gfn
    assert members.index_of == {copy.id: index for index, copy in enumerate(copies)}
    assert members.last_used < max(members.used, 1)


def assert_set(one: OneSet) -> None:
    """The indexes of one set, and its cache."""
    if isinstance(one.members, TreeSet):
        assert_tree_set(one.members)
        if one.last_used is not None:
            assert any(copy is one.last_used for copy in one.members.in_gfn_order()), "the cache is no member"
    else:
        assert isinstance(one.members, SortedArray)
        assert_array(one.members)


def assert_idle(machine: Machine) -> None:
    """No change is under way: both sets agree, nothing is INVALID, and nothing was lost or left over."""
    bitmaps = set()
    for space, state in enumerate(machine.spaces):
        assert not state.waiting
        assert_set(state.active)
        assert state.active.generation < IN_PROGRESS
        assert state.active.generation % machine.profile.address_spaces == space
        copies = state.active.members.in_gfn_order()
        assert not any(copy.invalid for copy in copies)
        bitmaps |= {copy.bitmap for copy in copies}
        if isinstance(state.active.members, TreeSet):
            assert_set(state.inactive)
            assert [id(copy) for copy in state.inactive.members.in_gfn_order()] == [id(copy) for copy in copies]
        else:
            assert state.inactive.members.used == 0, "a second array was left over"
    assert set(machine.memory.bitmaps) == bitmaps - {NO_BITMAP}, "a bitmap leaked or is used after it was freed"
