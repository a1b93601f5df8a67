"""The loop that kernels run to translate: whether its count of bytes can wrap.

One pass adds the bytes from the address to the end of its region to what is done. The pass is the model's; any number
of passes has gone before. The model counts with ints, the kernel in 64 bits: the counts are the same as long as the
model's stays below 2^64. A region of today's kernel has a host range that the access checks have seen, and so no more
bytes than user memory has: a table's is checked before a backend is attached, an update's before it is taken. (One that
permits nothing is not checked, and stops the loop before it is counted.) With a region of any size the count would
wrap: a region of one byte at address 0, and one from there to the last address, give 2^64, which is 0.
"""

from __future__ import annotations

from typing import Any

import model.vhost.translate as loops
from proofs.symbolic.boolean import all_of
from proofs.theorem import Bug, Patch, Theorem
from proofs.theorems.translate_2016 import Region
from proofs.world import World
from spec.profile import Profile
from spec.units import U32_MAX, U64, U64_MAX
from spec.vhost.address_map import READ, WRITE
from spec.vhost.device import is_host_range
from spec.vhost.translate import MAPPED, MOST_SEGMENTS

# INPUTS, HYPOTHESES, CLAIM ---------------------------------------------------------------------------------------


def a_pass(world: World) -> dict[str, Any]:
    """A pass at `address`, in a region that begins at `first`; `done` bytes of `length` came before."""
    return {
        "profile": world.profile(),
        "host": world.integer("host", 0, U64_MAX),
        "length": world.integer("length", 1, U32_MAX),
        "done": world.integer("done", 0, U32_MAX),
        "used": world.integer("used", 0, MOST_SEGMENTS),
        "address": world.integer("address", 0, U64_MAX),
        "first": world.integer("first", 0, U64_MAX),
        "size": world.integer("size", 1, U64_MAX),
        "writes": world.boolean("writes"),
    }


def is_behind_the_checks(
    profile: Profile, host: int, length: int, done: int, used: int, address: int, first: int, size: int, writes: bool
) -> Any:
    """Something is left to do and there is room; the region has the address, and has passed the access checks."""
    return all_of(
        done < length,
        used < MOST_SEGMENTS,
        first <= address,
        address <= first + size - 1,
        first + size <= U64,
        is_host_range(profile, host, size),
    )


def more_is_done(
    profile: Profile, host: int, length: int, done: int, used: int, address: int, first: int, size: int, writes: bool
) -> Any:
    """The pass counts the bytes up to the region's end, which is more than before, and 64 bits hold the count."""
    region = Region(first, first + size - 1, size, host, READ + WRITE, 0)
    access = WRITE if writes else READ
    last = loops.last_asked(address, length - done)
    made = loops.one_pass(lambda *_: region, MAPPED, address, done, used, last, length, access, MOST_SEGMENTS)
    if not isinstance(made, loops.Made):
        return False
    return all_of(done < made.done, made.done == done + (first + size - address), made.done < U64)


# PLANTED BUG -----------------------------------------------------------------------------------------------------


def counts_the_whole_region(*arguments: Any) -> Any:
    made = ONE_PASS(*arguments)
    if not isinstance(made, loops.Made):
        return made
    return loops.Made(made.segment, made.entry, made.addr, arguments[3] + made.entry.size)


ONE_PASS = loops.one_pass

THEOREMS = (
    Theorem(
        "LOOP.DONE",
        "Behind the access checks the count of translated bytes, which kernels keep in 64 bits, never wraps: each pass "
        "makes it larger by exactly the bytes up to the end of the region, and it stays below 2^64.",
        ("VHOST.TABLE.HOST", "IOTLB.UPDATE.HOST", "VHOST.BACKEND.TABLE"),
        ("translate",),
        "kernel loop",
        a_pass,
        is_behind_the_checks,
        more_is_done,
        Bug(
            "the whole region is counted, also before the address", (Patch(loops, "one_pass", counts_the_whole_region),)
        ),
        "translations of at most 2^32 - 1 bytes: a descriptor's length has 32 bits",
    ),
)
