"""Bugs for the device machine: in misses and messages, its tables, its runs and the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import model.interval_tree
import model.vhost.device
import model.vhost.log
import model.vhost.machine
import model.vhost.run
from model.vhost.iotlb import Iotlb
from model.vhost.log import Marks, log_buffers, log_segments, log_write
from model.vhost.machine import DeviceMachine
from model.vhost.misses import MissQueue
from model.vhost.queue import Virtqueue
from model.vhost.run import Run
from spec.outcome import Rejected
from spec.rule import Rule
from spec.units import U64
from spec.vhost import ring

Plant = Callable[[pytest.MonkeyPatch], None]


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


DEVICE_BUGS: dict[str, Plant] = {
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
