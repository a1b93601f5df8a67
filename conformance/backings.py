"""Host memory in vectors: named backings instead of raw addresses.

A vector says `{"backing": "A", "offset": "0x3000"}`; in memory that is the int at which this binding places it. The
spec, the models and the C library compute with these ints as they are. A target with real memory maps each backing,
at the same address where it can; a foreign adapter binds them to whatever it likes and never sees these ints.
"""

from __future__ import annotations

from spec.units import PAGE_SIZE

BACKING_PAGES = 256
BACKING_SIZE = BACKING_PAGES * PAGE_SIZE  # bytes of real memory in each backing

# Far apart and below 2^45, so that even a slot of 2^31 - 1 pages ends below every user limit.
BASES: dict[str, int] = {
    "A": 2**44,
    "B": 2**44 + 2**40,
    "C": 2**44 + 2 * 2**40,
    "D": 2**44 + 3 * 2**40,
    "R": 2**44 + 4 * 2**40,
    "L": 2**44 + 5 * 2**40,
}
DATA = ("A", "B", "C", "D")  # the others hold rings and dirty logs: see conformance.rings


def place(backing: str, offset: int) -> int:
    """The host address of a byte of a backing. Raises KeyError for an unknown backing."""
    return BASES[backing] + offset


def name(address: int) -> tuple[str, int] | None:
    """The (backing, offset) of a host address that lies in one, else None: then the address itself is the point."""
    for backing, base in BASES.items():
        if base <= address < base + BACKING_SIZE:
            return backing, address - base
    return None
