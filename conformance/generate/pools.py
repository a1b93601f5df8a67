"""Boundary values of every domain: the ends, the limits, and one step to either side of them."""

from __future__ import annotations

from collections.abc import Iterable

from conformance.backings import place
from spec.memslots.slot import FILE_OF_ANOTHER_VM, NO_FILE, NOT_A_GUEST_MEMFD
from spec.profile import Profile
from spec.units import PAGE_SIZE, U64

P = PAGE_SIZE
MOST_PAGES = 2**31 - 1
SPACE = 2**16
HUGE = 2**20 * P  # bytes: a slot above this can be more than a small machine has memory to keep account of


def in_u64(values: Iterable[int]) -> list[int]:
    return sorted({value for value in values if 0 <= value < U64})


COMMON = (0, 1, P - 1, P, P + 1, 2**31 * P, 2**47, 2**52, 2**63, U64 - P, U64 - 1)


def around(limit: int) -> tuple[int, ...]:
    """A limit in bytes, a byte and a page to either side."""
    return (limit - P, limit - 1, limit, limit + 1, limit + P)


def guest_addresses(p: Profile) -> list[int]:
    limits = [2**32, 2**31 * P, U64 - P]
    if p.max_gfn is not None:
        limits.append((p.max_gfn + 1) * P)
    return in_u64([*COMMON, U64 - 2 * P, 2**52 - P, 2**63 - P] + [value for limit in limits for value in around(limit)])


def sizes(p: Profile) -> list[int]:
    return in_u64([*COMMON, 2 * P, *around(MOST_PAGES * P), (2**31 + 1) * P, U64 - 2 * P])


def host_addresses(p: Profile) -> list[int]:
    return in_u64([*COMMON, place("A", 0), place("A", 1), 2**56, U64 - 2 * P, *around(p.user_limit)])


def file_offsets(p: Profile) -> list[int]:
    return in_u64([*COMMON, 2 * P, 15 * P, 16 * P, 17 * P, 2**63 - P, U64 - 2 * P])


def slot_words(p: Profile) -> list[int]:
    numbers = [0, 1, p.user_slots - 1, p.user_slots, p.user_slots + 1, p.user_slots + 3, 2**15 - 1, 2**15, 2**16 - 1]
    spaces = [0, 1, p.address_spaces - 1, p.address_spaces, 2**15, 2**16 - 1]
    return sorted({space * SPACE + number for space in spaces for number in (1, p.user_slots - 1)} | set(numbers))


FLAG_WORDS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 2**16, 2**17, 2**31, 2**32 - 1]
FILES = [0, 1, NO_FILE, NOT_A_GUEST_MEMFD, FILE_OF_ANOTHER_VM]
PAGE_COUNTS = [0, 1, 63, 64, 65, 99, 100, 101, 127, 128, 129, 2**31 - 1, 2**31, 2**32 - 64, 2**32 - 1]
FIRST_PAGES = [0, 1, 63, 64, 65, 100, 127, 128, 192, 2**31, 2**32, 2**47, 2**52, 2**63, U64 - 64, U64 - 1]
RING_SIZES = in_u64(
    [*COMMON, 2**10, 2**11, 2**13, 2**14, 2**15, 2**16, 2**20 - 1, 2**20, 2**20 + 1, 2**21, 2**31, 2**32, 2**32 + 2**16]
)
OPTION_WORDS = [*range(9), 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**32 + 3, 2**63, 2**63 + 1, U64 - 1]
