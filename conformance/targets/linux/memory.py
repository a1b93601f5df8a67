"""How much of the kernel's own memory a vector may take: a slot costs some bytes for each of its pages, whether or not
there is memory behind them, and a slot of 2^31 - 1 pages can cost more than a machine has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spec.memslots.slot import EMPTY_VM
from spec.profile import Profile
from spec.step import step

# Reverse map, page tracking, two bitmaps and a share of what is kept for large pages: arch/x86/kvm/x86.c
# kvm_alloc_memslot_metadata, with shadow paging, which needs the most.
BYTES_PER_PAGE = 11


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
    """The most that the slots of a vector cost the kernel at one time, if it accepts what the spec accepts."""
    vm = EMPTY_VM
    most = 0
    for request in requests:
        vm, _ = step(profile, vm, request)
        most = max(most, sum(slot.npages for slot in vm.slots))
    return most * BYTES_PER_PAGE
