"""The loop that kernels run to translate: whether its count of bytes can wrap.

One round adds the bytes from the address to the end of its region to what is done. Here regions are arbitrary, any
number of rounds has gone before, and the sum is that of 64 bits. A region of today's kernel has a host range that the
access checks have seen, and so no more bytes than user memory has: a table's is checked before a backend is attached,
an update's before it is taken. (One that permits nothing is not checked, and stops the loop before it is counted.) With
a region of any size the count does wrap, which the planted bug shows.
"""

from __future__ import annotations

import sys
from typing import Any

from proofs.symbolic.boolean import all_of
from proofs.theorem import Bug, Patch, Theorem
from proofs.world import World
from spec.units import U32_MAX, U64, U64_MAX

THIS = sys.modules[__name__]
MOST_USER_MEMORY = 2**63  # the lower half: no user limit lies higher

# A ROUND ---------------------------------------------------------------------------------------------------------


def done_after(done: int, size: int, address: int, first: int) -> int:
    """What the loop takes for the bytes that are done, after a round: in 64 bits."""
    return (done + size - (address - first)) % U64


def largest_region(user_limit: int) -> int:
    """How many bytes a region can have whose host range lies in user memory."""
    return user_limit


# INPUTS, HYPOTHESES, CLAIM ---------------------------------------------------------------------------------------


def a_round(world: World) -> dict[str, Any]:
    """A round for `address`, in a region that begins at `first`; `done` bytes of `length` came before."""
    return {
        "user_limit": world.integer("user_limit", 0, MOST_USER_MEMORY),
        "length": world.integer("length", 1, U32_MAX),
        "done": world.integer("done", 0, U32_MAX),
        "address": world.integer("address", 0, U64_MAX),
        "first": world.integer("first", 0, U64_MAX),
        "size": world.integer("size", 1, U64_MAX),
    }


def is_behind_the_checks(user_limit: int, length: int, done: int, address: int, first: int, size: int) -> Any:
    """Something is left to do, the region holds the address, and has passed the access checks."""
    return all_of(
        done < length,
        first <= address,
        address <= first + size - 1,
        first + size <= U64,
        size <= largest_region(user_limit),
    )


def more_is_done(user_limit: int, length: int, done: int, address: int, first: int, size: int) -> Any:
    """The count grows by the bytes up to the region's end, which is what it is without a wrap."""
    after = done_after(done, size, address, first)
    return all_of(done < after, after == done + (first + size - address))


# PLANTED BUG -----------------------------------------------------------------------------------------------------


def as_large_as_the_space(user_limit: int) -> int:
    """Nobody has looked at the region's host range."""
    return U64_MAX


THEOREMS = (
    Theorem(
        "LOOP.DONE",
        "Behind the access checks the kernel's count of translated bytes never wraps: each round makes it larger by "
        "exactly the bytes up to the end of the region.",
        ("VHOST.TABLE.HOST", "IOTLB.UPDATE.HOST", "VHOST.BACKEND.TABLE"),
        ("translate",),
        "kernel loop",
        a_round,
        is_behind_the_checks,
        more_is_done,
        Bug(
            "a region may have any size, as one that nobody may read or write can",
            (Patch(THIS, "largest_region", as_large_as_the_space),),
        ),
    ),
)
