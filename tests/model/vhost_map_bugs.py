"""Bugs for the device machine: in trees and lists, retirement, cached metadata and translation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import model.interval_tree
import model.vhost.device
import model.vhost.log
import model.vhost.machine
import model.vhost.run
from model.interval_tree import Interval, IntervalTree
from model.rbtree import Node, RedBlackTree
from model.vhost.iotlb import Iotlb, Map
from model.vhost.machine import DeviceMachine
from model.vhost.metadata import MetadataCache
from model.vhost.run import Run
from model.vhost.translate import nothing, translate, translate_2016
from spec.rule import Rule

Plant = Callable[[pytest.MonkeyPatch], None]


# THE TREE AND THE LIST -------------------------------------------------------------------------------------------


def equal_starts_in_front(patch: pytest.MonkeyPatch) -> None:
    def insert(self: IntervalTree, interval: Interval) -> Node:
        new, parent, on_the_left, below = Node(interval), None, False, self.tree.root
        while below is not None:
            parent, on_the_left = below, interval.first <= below.value.first
            below = below.left if on_the_left else below.right
        self.tree.insert(new, parent, on_the_left)
        self.leftmost = self.tree.first()
        return new

    patch.setattr(IntervalTree, "insert", insert)


def maximum_lost_in_a_rotation(patch: pytest.MonkeyPatch) -> None:
    turn = RedBlackTree._turn

    def wrong(self: RedBlackTree, upper: Node, to_the_left: bool) -> Node:
        summarize, self._summarize = self._summarize, None
        lower = turn(self, upper, to_the_left)
        self._summarize = summarize
        return lower

    patch.setattr(RedBlackTree, "_turn", wrong)


def maximum_not_lowered_by_erase(patch: pytest.MonkeyPatch) -> None:
    def wrong(self: IntervalTree, node: Node) -> None:
        if node is self.leftmost:
            self.leftmost = model.interval_tree.next_of(node)
        summarize, self.tree._summarize = self.tree._summarize, None
        self.tree.erase(node)
        self.tree._summarize = summarize

    patch.setattr(IntervalTree, "remove", wrong)


def leftmost_kept_by_erase(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(IntervalTree, "remove", lambda self, node: self.tree.erase(node))


def erase_without_repair(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RedBlackTree, "_repair_after_erase", lambda self, node, parent: None)


def insert_without_repair(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RedBlackTree, "_repair_after_insert", lambda self, node: setattr(self.root, "red", False))


def first_overlap_not_leftmost(patch: pytest.MonkeyPatch) -> None:
    def wrong(node: Node | None, first: int, last: int) -> Node | None:
        while node is not None:
            if node.value.first <= last and node.value.last >= first:
                return node  # something in the way, but maybe not what starts first
            node = node.left if node.left is not None and node.left.summary >= first else node.right
        return None

    patch.setattr(model.interval_tree, "leftmost_below", wrong)


def only_the_leftmost_deleted(patch: pytest.MonkeyPatch) -> None:
    def wrong(self: Iotlb, first: int, last: int) -> None:
        node = self.tree.first_touching(first, last)
        if node is not None:
            self.remove(node.value.of)

    patch.setattr(Iotlb, "delete_range", wrong)


def left_in_the_list(patch: pytest.MonkeyPatch) -> None:
    def wrong(self: Iotlb, first: int, last: int) -> None:
        while (node := self.tree.first_touching(first, last)) is not None:
            self.tree.remove(node)

    patch.setattr(Iotlb, "delete_range", wrong)


# RETIREMENT ------------------------------------------------------------------------------------------------------


def retires(choose: Callable[[Iotlb], Map], at: int = 0) -> Plant:
    def plant(patch: pytest.MonkeyPatch) -> None:
        def wrong(self: Iotlb, first: int, last: int, host: int, perm: int) -> bool:
            if last < first:
                return False
            if len(self.list) == self.limit + at:
                self.remove(choose(self))
            entry = Map(first, last, host, perm, self.tick())
            entry.node = self.tree.insert(Interval(first, last, entry))
            self.list[entry] = None
            return True

        patch.setattr(Iotlb, "add", wrong)

    return plant


def uses_count_always(patch: pytest.MonkeyPatch) -> None:
    touch = Iotlb.touch

    def wrong(self: Iotlb, entry: Map) -> None:
        lru, self.lru = self.lru, True
        touch(self, entry)
        self.lru = lru

    patch.setattr(Iotlb, "touch", wrong)


def a_cache_hit_is_no_use(patch: pytest.MonkeyPatch) -> None:
    right = Run.area_trouble

    def wrong(self: Run, number: int, part: int, address: int, size: int) -> Any:
        if self.device.queues[number].metadata.fetch(part) is not None:
            return None
        return right(self, number, part, address, size)

    patch.setattr(Run, "area_trouble", wrong)


def ring_fields_count_as_uses(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        DeviceMachine,
        "translate_for_ring",
        lambda self, addr, length, access: self.translate(addr, length, access, 64),
    )


# THE METADATA CACHE ----------------------------------------------------------------------------------------------


def cache_kept_by_messages(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DeviceMachine, "_reset_metadata", lambda self: None)


def cache_kept_by(name: str) -> Plant:
    def plant(patch: pytest.MonkeyPatch) -> None:
        right = getattr(DeviceMachine, name)

        def wrong(self: DeviceMachine, request: Any) -> Any:
            kept = [list(queue.metadata.entries) for queue in self.queues]
            outcome = right(self, request)
            for queue, entries in zip(self.queues, kept, strict=True):
                queue.metadata.entries = entries
            return outcome

        patch.setattr(DeviceMachine, name, wrong)

    return plant


def cache_kept_by_a_new_iotlb(patch: pytest.MonkeyPatch) -> None:
    right = DeviceMachine._replace_iotlb

    def wrong(self: DeviceMachine, forget_rings: bool) -> Any:
        kept = [list(queue.metadata.entries) for queue in self.queues]
        yield from right(self, forget_rings)
        for queue, entries in zip(self.queues, kept, strict=True):
            queue.metadata.entries = entries

    patch.setattr(DeviceMachine, "_replace_iotlb", wrong)


def cached_though_not_whole(patch: pytest.MonkeyPatch) -> None:
    right = Run.area_trouble

    def wrong(self: Run, number: int, part: int, address: int, size: int) -> Any:
        trouble = right(self, number, part, address, size)
        queue = self.device.queues[number]
        if trouble is None and queue.metadata.fetch(part) is None and queue.iotlb is not None:
            entry = queue.iotlb.find(address, address)
            assert entry is not None
            queue.metadata.update(part, entry)
        return trouble

    patch.setattr(Run, "area_trouble", wrong)


def one_entry_for_all_parts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MetadataCache, "fetch", lambda self, part: self.entries[0])


# TRANSLATION -----------------------------------------------------------------------------------------------------


def translates_by(loop: Callable[..., Any]) -> Plant:
    return lambda patch: patch.setattr(model.vhost.device, "translate", loop)


def loop_2016(find: Any, missing: Rule, addr: int, length: int, access: int, room: int, touch: Any = nothing) -> Any:
    def touched(first: int, last: int) -> Any:
        entry = find(first, last)
        if entry is not None and entry.first <= first and entry.perm // access % 2 == 1:
            touch(entry)
        return entry

    return translate_2016(touched, missing, addr, length, access, room)


def one_segment_too_many(find: Any, missing: Rule, addr: int, length: int, access: int, room: int, *rest: Any) -> Any:
    return translate(find, missing, addr, length, access, room + 1, *rest)


def any_permission(find: Any, missing: Rule, addr: int, length: int, access: int, *rest: Any) -> Any:
    return translate(find, missing, addr, length, 1, *rest)


def takes_what_comes_next(find: Any, missing: Rule, addr: int, length: int, *rest: Any) -> Any:
    class From:
        """An entry that is taken for one that begins where it is needed."""

        def __init__(self, entry: Map, first: int) -> None:
            self.first = min(entry.first, first)
            self.size, self.host, self.perm = entry.size, entry.host, entry.perm

    def any_entry(first: int, last: int) -> Any:
        entry = find(first, last)
        return None if entry is None else From(entry, first) if entry.first > first else entry

    return translate(any_entry, missing, addr, length, *rest)


MAP_BUGS: dict[str, Plant] = {
    "equal starts in front": equal_starts_in_front,
    "greatest end lost in a rotation": maximum_lost_in_a_rotation,
    "greatest end not lowered by erase": maximum_not_lowered_by_erase,
    "leftmost kept by erase": leftmost_kept_by_erase,
    "erase without repair": erase_without_repair,
    "insert without repair": insert_without_repair,
    "first overlap is not the leftmost": first_overlap_not_leftmost,
    "only the leftmost deleted": only_the_leftmost_deleted,
    "left in the list": left_in_the_list,
    "retires the youngest": retires(lambda iotlb: list(iotlb.list)[-1]),
    "retires the lowest": retires(lambda iotlb: next(iotlb.in_order())),
    "one entry too many": retires(lambda iotlb: next(iter(iotlb.list)), at=1),
    "uses count with fifo": uses_count_always,
    "a cache hit is no use": a_cache_hit_is_no_use,
    "ring fields count as uses": ring_fields_count_as_uses,
    "cache kept by messages": cache_kept_by_messages,
    "cache kept by new addresses": cache_kept_by("_set_ring_addresses"),
    "cache kept by a new size": cache_kept_by("_set_ring_size"),
    "cache kept by a new IOTLB": cache_kept_by_a_new_iotlb,
    "cached though not whole": cached_though_not_whole,
    "one cached entry for all parts": one_entry_for_all_parts,
    "the loop of 2016": translates_by(loop_2016),
    "one segment too many": translates_by(one_segment_too_many),
    "READ asked instead of WRITE": translates_by(any_permission),
    "what comes next taken for what is there": translates_by(takes_what_comes_next),
}
