"""Laws about ranges of all 64 bits, as plain functions: each raises AssertionError where it does not hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import assume

from model.vhost.translate import translate
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import EMPTY_VM
from spec.outcome import Done, Rejected, Translated
from spec.profile import Profile
from spec.step import step
from spec.units import U64
from spec.vhost.address_map import READ
from spec.vhost.device import GUEST_BYTES_PER_LOG_BYTE, Device, Queue
from spec.vhost.ring import SetRingAddresses
from spec.vhost.translate import MAPPED

PROFILE = Profile()


def a_slot_that_is_made_ends_below_both_limits(gpa: int, size: int, hva: int) -> None:
    """Of a request that is accepted, no byte is past the guest's last page but one or the host's limit."""
    outcome = step(PROFILE, EMPTY_VM, SetRegion(gpa=gpa, size=size, hva=hva))[1]
    is_right = gpa + size <= 2**28 * 4096 and hva + size <= PROFILE.user_limit and size < 2**43
    if isinstance(outcome, Done):
        assert size > 0 and is_right and gpa % 4096 == size % 4096 == hva % 4096 == 0
    else:
        assert size == 0 or not is_right or gpa % 4096 > 0 or size % 4096 > 0 or hva % 4096 > 0


def a_ring_that_moves_stays_in_the_log(base: int, log: int, size: int) -> None:
    """A queue at work may have its used ring logged exactly where the log has a bit for each of its bytes."""
    queue = Queue(size=size, attached=True)
    device = Device(owned=True, log_base=base, queues=(queue, Queue()))
    outcome = step(PROFILE, device, SetRingAddresses(flags=1, log=log * 4))[1]
    last_byte_of_log = base + (log * 4 + queue.used_bytes() - 1) // GUEST_BYTES_PER_LOG_BYTE
    assert isinstance(outcome, Done) == (last_byte_of_log < PROFILE.user_limit)
    assert isinstance(outcome, Done | Rejected)


@dataclass(frozen=True)
class Piece:
    """A region as the loop that translates sees it."""

    first: int
    last: int
    host: int
    perm: int = READ

    @property
    def size(self) -> int:
        return self.last - self.first + 1


def a_range_in_two_regions_that_meet_is_found(border: int, before: int, after: int, skip: int, left: int) -> None:
    """All of it, in two segments, wherever the regions are."""
    assume(before <= border and border + after <= U64 and skip < before and left < after)
    pieces = (Piece(border - before, border - 1, 2**44), Piece(border, border + after - 1, 2**45))

    def find(first: int, last: int) -> Any:
        return next((one for one in pieces if one.first <= last and first <= one.last), None)

    addr, last = border - before + skip, border + after - 1 - left
    answer = translate(find, MAPPED, addr, last - addr + 1, READ, 2)
    assert isinstance(answer, Translated)
    one, other = answer.segments
    assert (one.first, one.last, other.first, other.last) == (addr, border - 1, border, last)
    assert (one.host, other.host) == (2**44 + skip, 2**45)
    assert replace(one, host=0) != replace(other, host=0)
