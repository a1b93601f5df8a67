"""How much of the kernel's own memory a vector may take: a slot costs some bytes for each of its pages, whether or not
there is memory behind them, and a slot of 2^31 - 1 pages can cost more than a machine has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spec.memslots import set_region
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import EMPTY_VM
from spec.outcome import Rejected
from spec.profile import Profile
from spec.step import step
from spec.units import page_of

# Reverse map, page tracking, two bitmaps and a share of what is kept for large pages: arch/x86/kvm/x86.c
# kvm_alloc_memslot_metadata, with shadow paging, which needs the most.
BYTES_PER_PAGE = 11

# What is found out when a slot is bound to a file. There kernels are known to take what they should refuse (the
# deviation `memfd-end-wraps`), and then the slot costs what any slot costs.
WHEN_BOUND = (
    set_region.MEMFD_OPEN,
    set_region.MEMFD_KIND,
    set_region.MEMFD_RANGE,
    set_region.MEMFD_BOUND,
    set_region.MEMFD_BOUND_EINVAL,
)


def available_bytes() -> int:
    """What the machine could give away now, 0 if it does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return 0


def kernel_bytes(profile: Profile, requests: Sequence[Any]) -> int:
    """The most that the slots of a vector cost the kernel at one time, if it accepts what the spec accepts, or refuses
    only when it binds a slot to a file.
    """
    vm = EMPTY_VM
    most = 0
    for request in requests:
        vm, answer = step(profile, vm, request)
        may_be_taken = isinstance(answer, Rejected) and answer.rule in WHEN_BOUND and isinstance(request, SetRegion)
        more = page_of(request.size) if may_be_taken else 0
        most = max(most, sum(slot.npages for slot in vm.slots) + more)
    return most * BYTES_PER_PAGE
