"""Bugs planted into the device machine, of every kind: random requests find each of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import model.interval_tree
import model.vhost.device
import model.vhost.log
import model.vhost.machine
import model.vhost.run
from conformance.generate.vhost.random_requests import sequence
from model.interval_tree import Interval, IntervalTree
from model.rbtree import Node, RedBlackTree
from model.vhost.iotlb import Iotlb, Map
from model.vhost.log import Marks, log_buffers, log_segments, log_write
from model.vhost.machine import DeviceMachine
from model.vhost.metadata import MetadataCache
from model.vhost.misses import MissQueue
from model.vhost.queue import Virtqueue
from model.vhost.run import Run
from model.vhost.translate import nothing, translate, translate_2016
from spec.outcome import Rejected
from spec.rule import Rule
from spec.step import step
from spec.units import U64
from spec.vhost import ring
from spec.vhost.device import NEW_DEVICE
from tests.model.test_vhost_refines_spec import profiles
from tests.model.vhost_checks import assert_between
from tests.model.vhost_requests import small_requests

pytestmark = pytest.mark.slow

Plant = Callable[[pytest.MonkeyPatch], None]
MOST_SEQUENCES = 900  # until a bug counts as not found


def difference() -> str | None:
    """What random requests show first: another outcome, another state, a structure that is broken; None if nothing."""
    possible = profiles()
    for seed in range(MOST_SEQUENCES):
        profile = possible[seed % len(possible)]
        requests: Any = small_requests(random.Random(seed), 80) if seed % 3 else sequence(profile, seed)
        machine, device = DeviceMachine(profile), NEW_DEVICE
        for number, request in enumerate(requests):
            device, expected = step(profile, device, request)
            try:
                found = machine.apply(request)
                if found != expected:
                    return f"sequence {seed}, step {number}: {request} gives {found} and not {expected}"
                if machine.device() != device:
                    return f"sequence {seed}, step {number}: {request} leaves another state"
                assert_between(machine)
            except (AssertionError, LookupError, AttributeError) as error:
                return f"sequence {seed}, step {number}: {request}: {type(error).__name__} {error}"
    return None


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


# MISSES AND MESSAGES ---------------------------------------------------------------------------------------------


def answers_what_nobody_read(patch: pytest.MonkeyPatch) -> None:
    right = MissQueue.answer

    def wrong(self: MissQueue, first: int, last: int) -> list[int]:
        self.pending_list += self.read_list
        self.read_list.clear()
        return right(self, first, last)

    patch.setattr(MissQueue, "answer", wrong)


def last_byte_is_not_answered(patch: pytest.MonkeyPatch) -> None:
    right = MissQueue.answer
    patch.setattr(MissQueue, "answer", lambda self, first, last: right(self, first, last - 1))


def wakes_all(patch: pytest.MonkeyPatch) -> None:
    right = MissQueue.answer

    def wrong(self: MissQueue, first: int, last: int) -> list[int]:
        return [0, 1] if right(self, first, last) else []

    patch.setattr(MissQueue, "answer", wrong)


def asks_once(patch: pytest.MonkeyPatch) -> None:
    def wrong(self: MissQueue, miss: Any) -> None:
        if miss not in self.read_list:
            self.read_list.append(miss)

    patch.setattr(MissQueue, "ask", wrong)


def youngest_is_read_first(patch: pytest.MonkeyPatch) -> None:
    def wrong(self: MissQueue) -> Any:
        if not self.read_list:
            return None
        self.pending_list.append(self.read_list.pop())
        return self.pending_list[-1]

    patch.setattr(MissQueue, "read", wrong)


def detaching_keeps_the_misses(patch: pytest.MonkeyPatch) -> None:
    right = DeviceMachine._set_backend

    def wrong(self: DeviceMachine, request: Any) -> Any:
        kept = list(self.misses.read_list), list(self.misses.pending_list)
        outcome = right(self, request)
        if not self.misses.read_list and not self.misses.pending_list:
            self.misses.read_list, self.misses.pending_list = kept
        return outcome

    patch.setattr(DeviceMachine, "_set_backend", wrong)


def invalidates_as_it_comes(patch: pytest.MonkeyPatch) -> None:
    def wrong(self: DeviceMachine, iotlb: Iotlb, request: Any) -> None:
        iotlb.delete_range(request.iova, (request.iova + request.size - 1) % U64)

    patch.setattr(DeviceMachine, "_invalidate", wrong)


# THE TABLE -------------------------------------------------------------------------------------------------------


def published_before_it_is_judged(patch: pytest.MonkeyPatch) -> None:
    right = DeviceMachine.table_trouble

    def wrong(self: DeviceMachine, table: Any, host: Rule, log: Rule) -> Rule | None:
        rule = right(self, table, host, log)
        if rule is not None:
            for entry in table.in_list():
                self._table_to_change().add(entry.first, entry.last, entry.host, entry.perm)
        return rule

    patch.setattr(DeviceMachine, "table_trouble", wrong)


def only_the_first_entry_judged(patch: pytest.MonkeyPatch) -> None:
    right = DeviceMachine.bad_memory

    def wrong(self: DeviceMachine, table: Any, log_all: bool, log_base: int | None) -> str:
        if table is None:
            return "host"
        alone = Iotlb(1)
        for entry in list(table.in_list())[:1]:
            alone.add(entry.first, entry.last, entry.host, entry.perm)
        return right(self, alone, log_all, log_base)

    patch.setattr(DeviceMachine, "bad_memory", wrong)


def half_a_log_base(patch: pytest.MonkeyPatch) -> None:
    right = DeviceMachine._set_log_base

    def wrong(self: DeviceMachine, request: Any) -> Any:
        outcome = right(self, request)
        if outcome == Rejected(ring.LOG_BASE):
            self.settings = replace(self.settings, log_base=request.base)
        return outcome

    patch.setattr(DeviceMachine, "_set_log_base", wrong)


# RUNS AND THE LOG ------------------------------------------------------------------------------------------------


def too_long_a_packet_takes_the_chain(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Run, "put_back", lambda self, queue: queue.chains.popleft())


def tells_the_driver_each_time(patch: pytest.MonkeyPatch) -> None:
    right = Run.disable_notify

    def wrong(self: Run, queue: Virtqueue) -> None:
        queue.no_notify = False
        right(self, queue)

    patch.setattr(Run, "disable_notify", wrong)


def keeps_polling_the_tap(patch: pytest.MonkeyPatch) -> None:
    right = Run.handle_rx

    def wrong(self: Run, queue: Virtqueue) -> None:
        right(self, queue)
        queue.polls_socket = True

    patch.setattr(Run, "handle_rx", wrong)


def whole_buffers_logged(patch: pytest.MonkeyPatch) -> None:
    def wrong(self: Run, queue: Virtqueue, taken: Any, length: int) -> None:
        if not self.device.settings.logs_all() or self.device.settings.log_base is None:
            return
        if queue.iotlb is None:
            log_buffers(self.marks, taken.log, length)
        elif queue.umem is not None:
            log_segments(self.marks, queue.umem, taken.into)

    patch.setattr(Run, "log_packet", wrong)


def gives_up_where_no_region_is(patch: pytest.MonkeyPatch) -> None:
    right = model.vhost.log.log_write_hva

    def wrong(marks: Marks, umem: Any, hva: int, length: int) -> bool:
        before = len(marks.bits)
        right(marks, umem, hva, length)
        hit = any(region.host < hva + length and region.host + region.size > hva for region in umem.in_list())
        assert hit or len(marks.bits) == before
        return hit

    def segments(marks: Marks, umem: Any, all_segments: Any) -> None:
        for segment in all_segments:
            if not wrong(marks, umem, segment.host, segment.last - segment.first + 1):
                return

    patch.setattr(model.vhost.run, "log_segments", segments)
    patch.setattr(model.vhost.device, "log_segments", segments)


def first_region_logged_alone(patch: pytest.MonkeyPatch) -> None:
    def wrong(marks: Marks, umem: Any, hva: int, length: int) -> None:
        for region in umem.in_list():
            start, end = max(region.host, hva), min(region.host + region.size, hva + length)
            if start < end:
                log_write(marks, region.first + start - region.host, end - start)
                return

    patch.setattr(model.vhost.log, "log_write_hva", wrong)


def offset_in_the_page_forgotten(patch: pytest.MonkeyPatch) -> None:
    def wrong(marks: Marks, address: int, length: int) -> None:
        for page in range(address // 4096, address // 4096 + (length + 4095) // 4096):
            marks.set_bit(page)

    patch.setattr(model.vhost.log, "log_write", wrong)
    patch.setattr(model.vhost.device, "log_write", wrong)


BUGS: dict[str, Plant] = {
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
    "answers what nobody read": answers_what_nobody_read,
    "last byte is not answered": last_byte_is_not_answered,
    "wakes all queues": wakes_all,
    "asks once": asks_once,
    "youngest miss is read first": youngest_is_read_first,
    "detaching keeps the misses": detaching_keeps_the_misses,
    "invalidates as it comes": invalidates_as_it_comes,
    "published before it is judged": published_before_it_is_judged,
    "only the first entry judged": only_the_first_entry_judged,
    "half a log base": half_a_log_base,
    "too long a packet": too_long_a_packet_takes_the_chain,
    "tells the driver each time": tells_the_driver_each_time,
    "keeps polling the tap": keeps_polling_the_tap,
    "whole buffers logged": whole_buffers_logged,
    "gives up where no region is": gives_up_where_no_region_is,
    "first region logged alone": first_region_logged_alone,
    "offset in the page forgotten": offset_in_the_page_forgotten,
}


@pytest.mark.parametrize("name", BUGS)
def test_it_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    BUGS[name](monkeypatch)
    assert difference() is not None


def test_without_a_bug_nothing_is_found() -> None:
    assert difference() is None
