"""Contracts of `spec.vhost.messages`: which messages pass, and which misses an update answers."""

from __future__ import annotations

from spec.profile import Profile
from spec.units import U64_MAX
from spec.vhost.address_map import READ, Entry
from spec.vhost.device import NEW_DEVICE, Miss
from spec.vhost.messages import (
    INVALIDATE,
    UPDATE,  # noqa: F401 - a contract names it
    WriteMessage,
    has_no_framing_word,
    has_no_known_framing,
    host_range_wraps,
    is_an_empty_update,
    is_answered,
    is_cut_short,
    is_of_no_known_kind,
    maps_foreign_memory,
    range_wraps,
)

ANY = Profile()


def refused(request: WriteMessage) -> bool:
    """Whether a rule about the message alone is broken, in any order."""
    questions = (is_an_empty_update, is_of_no_known_kind, host_range_wraps, maps_foreign_memory, range_wraps)
    return any(question(ANY, NEW_DEVICE, request) for question in questions)


def an_update_that_passes_maps_user_memory(iova: int, uaddr: int, size: int, perm: int) -> bool:
    """
    pre: 0 <= iova <= U64_MAX and 0 <= uaddr <= U64_MAX and 0 <= size <= U64_MAX and 0 <= perm <= 255
    post: __return__
    """
    is_range = iova <= iova + size - 1 <= U64_MAX
    last_host = uaddr + size - 1
    is_user_memory = last_host < ANY.user_limit if perm % 4 > 0 else last_host <= U64_MAX
    return refused(WriteMessage(iova=iova, uaddr=uaddr, size=size, perm=perm)) != (is_range and is_user_memory)


def an_update_wraps_on_either_side(iova: int, uaddr: int, size: int) -> bool:
    """
    pre: 0 <= iova <= U64_MAX and 0 <= uaddr <= U64_MAX and 1 <= size <= U64_MAX
    post: __return__
    """
    request = WriteMessage(iova=iova, uaddr=uaddr, size=size)
    wraps = (range_wraps(ANY, NEW_DEVICE, request), host_range_wraps(ANY, NEW_DEVICE, request))
    return wraps == (iova + size - 1 > U64_MAX, uaddr + size - 1 > U64_MAX)


def an_invalidation_of_any_range_passes(iova: int, uaddr: int, size: int, perm: int) -> bool:
    """
    pre: 0 <= iova <= U64_MAX and 0 <= uaddr <= U64_MAX and 0 <= size <= U64_MAX and 0 <= perm <= 255
    post: not __return__
    """
    return refused(WriteMessage(kind=INVALIDATE, iova=iova, uaddr=uaddr, size=size, perm=perm))


def no_other_kind_passes(kind: int) -> bool:
    """
    pre: 0 <= kind <= 255
    post: __return__ == (kind < UPDATE or kind > INVALIDATE)
    """
    return is_of_no_known_kind(ANY, NEW_DEVICE, WriteMessage(kind=kind))


def a_message_that_passes_has_its_40_bytes(length: int, framing: int) -> bool:
    """
    pre: 0 <= length <= U64_MAX and 0 <= framing <= 2**32 - 1
    post: __return__
    """
    request = WriteMessage(length=length, framing=framing)
    short, cut = has_no_framing_word(ANY, NEW_DEVICE, request), is_cut_short(ANY, NEW_DEVICE, request)
    unknown = has_no_known_framing(ANY, NEW_DEVICE, request)
    return short == (length // 4 == 0) and cut == (length // 8 < 5) and unknown == (not 1 <= framing <= 2)


def an_update_answers_misses_of_its_own_bytes(iova: int, size: int, missed: int) -> bool:
    """
    pre: 0 <= iova <= U64_MAX and 1 <= size and iova + size - 1 <= U64_MAX and 0 <= missed <= U64_MAX
    post: __return__
    """
    answered = is_answered(Miss(0, missed, READ, 1), WriteMessage(iova=iova, size=size))
    return answered == Entry(iova, iova + size - 1, 0, READ, born=0, used=0).covers(missed)
