"""Outcomes: what the caller sees of one operation.

`Rejected` carries the rule, all others are what an accepted operation reports. Addresses are in bytes, ranges
include both ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from spec.pages import Pages
from spec.rule import Rule


@dataclass(frozen=True)
class Done:
    """Accepted, nothing to report."""


@dataclass(frozen=True)
class Rejected:
    """Refused, with the first rule that was broken. Nothing has changed."""

    rule: Rule


@dataclass(frozen=True)
class DirtyPages:
    """The pages reported dirty (relative to the slot) and how many bytes of bitmap were written to the caller."""

    pages: Pages
    bitmap_bytes: int


@dataclass(frozen=True)
class Segment:
    """Guest bytes first..last live at host addresses host, host + 1, …"""

    first: int
    last: int
    host: int


@dataclass(frozen=True)
class Written:
    """The pieces of a guest write that were done, in order, and the rule that stopped it before its end, if any."""

    segments: tuple[Segment, ...]
    stopped_by: Rule | None = None


@dataclass(frozen=True)
class Touched:
    """A virtual CPU reached the byte at this host address."""

    host: int


@dataclass(frozen=True)
class Mmio:
    """A virtual CPU found no memory for this access: it leaves to userspace with the guest address."""

    gpa: int


@dataclass(frozen=True)
class Located:
    """A lookup's answer: the byte's host address, and the last guest byte of the same slot (contiguous up to it)."""

    host: int
    last: int


@dataclass(frozen=True)
class SlotView:
    """One slot as seen from outside. `first`..`last` are guest addresses, `dirty` is None where no log is kept."""

    space: int
    id: int
    first: int
    last: int
    host: int
    flags: int
    dirty: Pages | None


@dataclass(frozen=True)
class Slots:
    """Slots in order of address space and guest address."""

    slots: tuple[SlotView, ...]


@dataclass(frozen=True)
class GuestRange:
    """Guest bytes first..last of one slot."""

    space: int
    id: int
    first: int
    last: int


@dataclass(frozen=True)
class GuestRanges:
    """Guest ranges in order of address space and guest address."""

    ranges: tuple[GuestRange, ...]


Outcome = Done | Rejected | DirtyPages | Written | Touched | Mmio | Located | Slots | GuestRanges
