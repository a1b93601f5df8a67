"""The loop that translates a guest range, as kernels run it; and the loop of 2016, which was wrong.

Facts: drivers/vhost/vhost.c translate_desc.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spec.outcome import Faulted, Segment, Translated
from spec.rule import Rule
from spec.units import U64, U64_MAX
from spec.vhost.address_map import may
from spec.vhost.translate import LAST_ADDRESS, PERMITTED, ROOM

Find = Callable[[int, int], Any]  # (first, last) -> the leftmost entry with a byte in that range, or None


def nothing(entry: Any) -> None:
    """What a lookup does to the entry it used, where nobody counts uses."""


def translate(
    find: Find,
    missing: Rule,
    addr: int,
    length: int,
    access: int,
    room: int,
    touch: Callable[[Any], None] = nothing,
) -> Translated | Faulted:
    """The segments of `length` bytes from `addr` on, at most `room` of them, or the first byte that cannot be had.

    `missing` is the rule for a byte that nothing maps. `touch` is told each entry that was used, in order.

    `last` is computed once, and `done` may end up beyond `length`: the last entry goes on. Kernels let `last` wrap at
    2^64, and then find nothing even for the bytes that are there; here the search ends at the last address.
    """
    done, last = 0, last_asked(addr, length)
    segments: list[Segment] = []
    while True:
        made = one_pass(find, missing, addr, done, len(segments), last, length, access, room)
        if made is None:
            return Translated(tuple(segments))
        if isinstance(made, Faulted):
            return made
        segments.append(made.segment)
        touch(made.entry)
        addr, done = made.addr, made.done


def last_asked(addr: int, length: int) -> int:
    """Where all searches of a translation end."""
    return min(addr + length - 1, U64_MAX)


@dataclass(frozen=True)
class Made:
    """What a pass made: a segment, by which entry. The next pass begins at `addr`, with `done` bytes behind it."""

    segment: Segment
    entry: Any
    addr: int
    done: int


def one_pass(
    find: Find, missing: Rule, addr: int, done: int, used: int, last: int, length: int, access: int, room: int
) -> Made | Faulted | None:
    """One pass of the loop: at `addr`, with `done` bytes behind it in `used` segments. None: all bytes are there."""
    if length <= done:
        return None
    if used >= room:
        return Faulted(ROOM, addr)
    if addr > U64_MAX:
        return Faulted(LAST_ADDRESS, addr)
    entry = find(addr, last)
    if entry is None or entry.first > addr:
        return Faulted(missing, addr)
    if not may(entry.perm, access):
        return Faulted(PERMITTED, addr)
    size = entry.size - (addr - entry.first)
    segment = Segment(addr, addr + min(length - done, size) - 1, host_at(entry, addr))
    return Made(segment, entry, addr + size, done + size)


def translate_2016(find: Find, missing: Rule, addr: int, length: int, access: int, room: int) -> Translated | Faulted:
    """The loop as it was when the tree came: where the search ends is computed anew in each round, from the address
    that has moved on and the whole length. Behind the first segment that is too far; near 2^64 it wraps, and bytes
    that are mapped are not found.
    """
    done = 0
    segments: list[Segment] = []
    while length > done:
        if len(segments) >= room:
            return Faulted(ROOM, addr)
        entry = find(addr, (addr + length - 1) % U64)
        if entry is None or entry.first > addr:
            return Faulted(missing, addr)
        if not may(entry.perm, access):
            return Faulted(PERMITTED, addr)
        size = entry.size - (addr - entry.first)
        segments.append(Segment(addr, addr + min(length - done, size) - 1, host_at(entry, addr)))
        done += size
        addr = (addr + size) % U64
    return Translated(tuple(segments))


def host_at(entry: Any, addr: int) -> int:
    """The host address of a guest byte of an entry; a pointer wraps at 2^64."""
    host: int = (entry.host + addr - entry.first) % U64
    return host
