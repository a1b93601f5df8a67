"""Contracts of the vhost models: ring, container, misses, the loop that translates, and the pages that are marked."""

from __future__ import annotations

from typing import Any

from model.vhost.iotlb import Iotlb
from model.vhost.log import log_write
from model.vhost.metadata import ACCESS_OF
from model.vhost.misses import MissQueue
from model.vhost.queue import Virtqueue
from model.vhost.translate import last_asked, translate
from spec.outcome import Segment, Translated
from spec.units import U64_MAX
from spec.vhost.address_map import READ
from spec.vhost.device import Miss, Queue
from spec.vhost.translate import MAPPED


def a_queue_of_the_model_has_the_ring_of_the_specification(num: int, desc: int, avail: int, used: int) -> bool:
    """
    pre: 1 <= num <= 2**15 and 0 <= desc <= U64_MAX and 0 <= avail <= U64_MAX and 0 <= used <= U64_MAX
    post: __return__
    """
    queue = Virtqueue()
    queue.num, queue.desc, queue.avail, queue.used = num, desc, avail, used
    parts = tuple((address, size, ACCESS_OF[part]) for part, address, size in queue.areas())
    return parts == Queue(size=num, desc=desc, avail=avail, used=used).parts()


def the_whole_space_becomes_two_entries_that_follow_each_other(host: int) -> bool:
    """
    pre: 0 <= host <= U64_MAX
    post: __return__
    """
    container = Iotlb(limit=4)
    container.add(0, U64_MAX, host, READ)
    one, other = container.in_list()
    return one.first == 0 and other.last == U64_MAX and other.first == one.size and other.host == one.host + one.size


def what_was_used_is_given_up_last(lru: bool, second_is_used: bool) -> bool:
    """
    post: __return__
    """
    container = Iotlb(limit=2, lru=lru)
    container.add(0, 0, 0, READ)
    container.add(1, 1, 0, READ)
    one, other = container.in_list()
    container.touch(other if second_is_used else one)
    container.add(2, 2, 0, READ)
    goes = other if lru and not second_is_used else one
    return goes.freed and (one.freed, other.freed).count(True) == 1


def a_miss_that_was_answered_waits_no_longer(first: int, last: int, one: int, other: int) -> bool:
    """
    pre: 0 <= first <= last <= U64_MAX and 0 <= one <= U64_MAX and 0 <= other <= U64_MAX
    post: __return__
    """
    misses = MissQueue()
    misses.pending_list = [Miss(0, one, READ, 1), Miss(1, other, READ, 1)]
    woken = misses.answer(first, last)
    left = [miss.queue for miss in misses.pending_list]
    inside = [queue for queue, iova in ((0, one), (1, other)) if first <= iova <= last]
    return woken == inside and left == [queue for queue in (0, 1) if queue not in inside]


class Listed:
    """Marks, in the order in which they are made."""

    def __init__(self) -> None:
        self.pages: list[int] = []

    def set_bit(self, page: int) -> None:
        self.pages.append(page)


def marked(address: int, length: int) -> list[int]:
    """The pages of a write of at most two pages, in order."""
    first, last = address // 4096, (address + length - 1) // 4096
    return [first + distance for distance in range(3) if first + distance <= last]


def a_write_marks_each_page_once_and_in_order(address: int, length: int) -> bool:
    """
    pre: 0 <= address <= U64_MAX and 1 <= length <= 8192
    post: __return__
    """
    marks: Any = Listed()
    log_write(marks, address, length)
    return bool(marks.pages == marked(address, length))


def all_bytes_that_there_are_are_asked_for(addr: int, length: int, byte: int) -> bool:
    """
    pre: 0 <= addr <= U64_MAX and 1 <= length <= U64_MAX and 0 <= byte <= 2**65
    post: __return__
    """
    return (addr <= byte <= last_asked(addr, length)) == (addr <= byte < addr + length and byte <= U64_MAX)


class Piece:
    """A region as the loop that translates sees it."""

    def __init__(self, first: int, size: int, host: int) -> None:
        self.first, self.size, self.last, self.host, self.perm = first, size, first + size - 1, host, READ


def a_range_in_two_regions_is_two_segments(border: int, before: int, after: int, skip: int, left: int) -> bool:
    """
    pre: 1 <= before <= border and 1 <= after and border + after <= 2**64
    pre: 0 <= skip < before and 0 <= left < after
    post: __return__
    """
    pieces = (Piece(border - before, before, 2**44), Piece(border, after, 2**45))

    def find(first: int, last: int) -> Any:
        return next((one for one in pieces if one.first <= last and first <= one.last), None)

    addr, last = border - before + skip, border + after - 1 - left
    answer = translate(find, MAPPED, addr, last - addr + 1, READ, 2)
    segments = (Segment(addr, border - 1, (2**44 + skip) % 2**64), Segment(border, last, 2**45))
    return isinstance(answer, Translated) and answer.segments == segments
