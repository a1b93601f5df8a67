"""The record of one step in the flat form, and what can be wrong with it."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Any

FROM_OWNER, READABLE, BUFFER_OK, SECOND_FORM = 1, 2, 4, 8


class Unsuitable(ValueError):
    """A request that the kernel's structures have no room for (a flags word above 32 bits, say)."""


class Garbled(ValueError):
    """Bytes that are no results: a frame that was cut off, or whose checksum is wrong."""


@dataclass(frozen=True)
class FlatStep:
    """One step as its record has it."""

    operation: int
    bits: int = 0
    slot: int = 0
    file: int = 0
    v: tuple[int, ...] = ()
    ranges: tuple[tuple[int, int], ...] = ()


def errno_name(number: int) -> str:
    """The name of an errno as the specification has it (two names of one number: that of the kernel's ioctls)."""
    if number == errno.EOPNOTSUPP:
        return "EOPNOTSUPP"
    return errno.errorcode.get(number, f"errno {number}")


def words32(request: Any, *names: str) -> None:
    """Raise Unsuitable unless these fields fit into 32 bits."""
    for name in names:
        fits(name, getattr(request, name), 32)


def fits(name: str, value: int, bits: int) -> int:
    """The value. Raises Unsuitable unless it fits into so many bits."""
    if not 0 <= value < 2**bits:
        raise Unsuitable(f"{name} {value:#x} does not fit into {bits} bits")
    return value
