"""The container with tree and list, the loop that translates, the two lists of misses."""

from __future__ import annotations

import random

import pytest

from model.interval_tree import Interval, IntervalTree, next_touching
from model.rbtree import Node
from model.vhost.iotlb import Iotlb, Map
from model.vhost.misses import MissQueue
from model.vhost.translate import translate, translate_2016
from spec.outcome import Faulted, Segment, Translated
from spec.profile import Profile
from spec.units import U64, U64_MAX
from spec.vhost.address_map import READ, WRITE, AddressMap, after_use, with_entry, with_room, without_range
from spec.vhost.device import Device, Miss
from spec.vhost.translate import IN_IOTLB, ROOM, translation
from tests.model.model_checks import assert_intervals
from tests.model.vhost_checks import assert_container


def some_range(dice: random.Random) -> tuple[int, int]:
    first = dice.choice((dice.randrange(60), dice.randrange(60), U64 - 1 - dice.randrange(40)))
    return first, min(first + dice.choice((0, 1, 3, 10, 40)), U64_MAX)


@pytest.mark.parametrize("lru", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 7, 8, 40])
def test_it_is_the_address_map_of_the_spec(limit: int, lru: bool) -> None:
    """Entries come, are used and go: the same entries at each step, and the same answers."""
    profile = Profile(iotlb_limit=limit, retirement="lru" if lru else "fifo")
    for seed in range(25):
        dice = random.Random(seed)
        iotlb, table = Iotlb(limit, lru), AddressMap()
        for _ in range(80):
            first, last = some_range(dice)
            if dice.random() < 0.55:
                host, perm = dice.randrange(1000), dice.randrange(4)
                assert iotlb.add(first, last, host, perm)
                table = with_entry(with_room(profile, table), first, last, host, perm)
            elif dice.random() < 0.3:
                iotlb.delete_range(first, last)
                table = without_range(table, first, last)
            else:
                found = iotlb.find(first, first)
                touching = [one for one in table.entries if one.covers(first)]
                assert (found is None) == (not touching)
                if found is not None:
                    iotlb.touch(found)
                    right = min(touching, key=lambda one: (one.first, one.born))
                    assert (found.first, found.born) == (right.first, right.born)
                    table = after_use(profile, table, right)
            assert iotlb.address_map() == table
            assert_container(iotlb)
        iotlb.free()
        with pytest.raises(AssertionError, match="after it was freed"):
            iotlb.find(0, 0)


def test_the_whole_space_becomes_two_entries() -> None:
    iotlb = Iotlb(3)
    iotlb.add(5, 9, 0, 3)
    assert iotlb.add(0, U64_MAX, 0x1000, READ)
    low, _, high = iotlb.in_order()
    assert (low.first, low.last, low.host) == (0, 2**63 - 1, 0x1000)
    assert (high.first, high.last, high.host) == (2**63, U64_MAX, 2**63 + 0x1000)
    answer = translate(iotlb.find, IN_IOTLB, 0, U64, READ, 3)
    assert answer == Translated((Segment(0, 2**63 - 1, 0x1000), Segment(2**63, U64_MAX, 2**63 + 0x1000)))

    small = Iotlb(1)  # the second half takes the place of the first
    assert small.add(0, U64_MAX, 0, READ) and small.retired == 1
    assert [entry.first for entry in small.in_list()] == [2**63]


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    iotlb = Iotlb(2)
    assert not iotlb.add(1, 0, 0, READ) and not iotlb.add(U64_MAX, 0, 0, READ)
    assert len(iotlb) == 0 and iotlb.clock == 0


def test_what_is_retired() -> None:
    fifo, lru = Iotlb(2), Iotlb(2, lru=True)
    for iotlb in (fifo, lru):
        iotlb.add(0, 0, 0, READ)
        iotlb.add(1, 1, 0, READ)
        used = iotlb.find(0, 0)
        assert used is not None
        iotlb.touch(used)
        iotlb.add(2, 2, 0, READ)
        assert iotlb.retired == 1
    assert [entry.first for entry in fifo.in_list()] == [1, 2]
    assert [entry.first for entry in lru.in_list()] == [0, 2]


def without_the_guard(node: Node, first: int, last: int) -> Node | None:
    """The search as newer kernels have it: right, without asking whether anything there ends late enough."""
    while True:
        if node.left is not None and node.left.summary >= first:
            node = node.left
        elif node.value.first > last:
            return None
        elif node.value.last >= first:
            return node
        else:
            assert node.right is not None
            node = node.right


def test_both_generations_of_the_search_are_one() -> None:
    """Also for a range that ends before it begins, which finds what contains the gap."""
    asked = 0
    for seed in range(150):
        dice = random.Random(seed)
        tree, nodes = IntervalTree(), []
        for number in range(dice.randrange(1, 40)):
            first = dice.randrange(60)
            nodes.append(tree.insert(Interval(first, first + dice.choice((0, 1, 5, 30)), number)))
        for node in dice.sample(nodes, dice.randrange(len(nodes))):
            tree.remove(node)
        assert_intervals(tree)
        assert tree.leftmost is tree.tree.first()
        for _ in range(60):
            first, last = dice.randrange(-2, 95), dice.randrange(-2, 95)
            right = [n for n in tree.tree.in_order() if n.value.first <= last and n.value.last >= first]
            found, walked = tree.first_touching(first, last), []
            root = tree.tree.root
            if root is not None and root.summary >= first:
                assert without_the_guard(root, first, last) is found
            while found is not None:
                walked.append(found)
                found = next_touching(found, first, last)
            assert walked == right
            asked += 1
    assert asked == 150 * 60


# THE LOOPS -------------------------------------------------------------------------------------------------------


def filled(dice: random.Random, near: int) -> Iotlb:
    iotlb = Iotlb(20)
    for _ in range(dice.randrange(1, 9)):
        first = max(near + dice.randrange(-60, 60), 0)
        if first <= U64_MAX:
            iotlb.add(
                first,
                min(first + dice.choice((0, 2, 9, 30, 80)), U64_MAX),
                dice.randrange(5000),
                dice.choice((1, 3, 3)),
            )
    return iotlb


def test_the_loop_is_the_spec_at_any_place() -> None:
    full = wraps = 0
    for seed in range(6000):
        dice = random.Random(seed)
        near = dice.choice((60, 2**32, 2**63, U64))
        iotlb = filled(dice, near)
        addr = min(max(near + dice.randrange(-70, 70), 0), U64_MAX)
        length, access, room = dice.choice((0, 1, 8, 50, 100)), dice.choice((READ, WRITE)), dice.choice((1, 2, 64))
        answer = translate(iotlb.find, IN_IOTLB, addr, length, access, room)
        device = Device(iotlb=iotlb.address_map())
        assert answer == translation(Profile(), device, addr, length, access, room)[1]
        wraps += addr + length > U64
        full += isinstance(answer, Translated) and len(answer.segments) > 1
        old = translate_2016(iotlb.find, IN_IOTLB, addr, length, access, room)
        # The loop of 2016 is wrong only where the place that it looks up to wraps: two lengths away from the start.
        if addr + 2 * length <= U64:
            assert old == answer
    assert full > 50 and wraps > 50


def test_where_the_loop_of_2016_is_wrong_it_misses_what_is_mapped() -> None:
    wrong = 0
    for seed in range(6000):
        dice = random.Random(seed)
        iotlb = filled(dice, U64)
        addr = U64 - 1 - dice.randrange(70)
        length = min(dice.choice((10, 30, 60)), U64 - addr)
        right = translate(iotlb.find, IN_IOTLB, addr, length, READ, 64)
        old = translate_2016(iotlb.find, IN_IOTLB, addr, length, READ, 64)
        if old != right:
            assert isinstance(old, Faulted) and old.rule is IN_IOTLB and old.at > addr
            assert isinstance(right, Translated) or right.at > old.at or right.rule is not IN_IOTLB
            wrong += 1
    assert wrong > 100


def test_the_entry_goes_on_behind_the_range() -> None:
    iotlb = Iotlb(2)
    iotlb.add(0, 99, 0x1000, READ)
    uses: list[Map] = []
    assert translate(iotlb.find, IN_IOTLB, 10, 5, READ, 1, uses.append) == Translated((Segment(10, 14, 0x100A),))
    assert len(uses) == 1
    assert translate(iotlb.find, IN_IOTLB, 10, 0, READ, 0) == Translated(())
    assert translate(iotlb.find, IN_IOTLB, 10, 1, READ, 0) == Faulted(ROOM, 10)


# MISSES ----------------------------------------------------------------------------------------------------------


def test_a_miss_must_be_read_before_it_can_be_answered() -> None:
    misses = MissQueue()
    for queue, iova in ((1, 10), (0, 10), (1, 20), (1, 10)):
        misses.ask(Miss(queue, iova, READ, 1))
    assert misses.answer(0, 100) == []
    assert [misses.read() for _ in range(3)] == [Miss(1, 10, READ, 1), Miss(0, 10, READ, 1), Miss(1, 20, READ, 1)]
    assert misses.answer(11, 19) == []
    assert misses.answer(10, 10) == [1, 0] and misses.pending_list == [Miss(1, 20, READ, 1)]
    assert misses.answer(20, 20) == [1] and misses.pending_list == []
    assert misses.read() == Miss(1, 10, READ, 1) and misses.read() is None
    misses.clear()
    assert misses.answer(0, 100) == []
