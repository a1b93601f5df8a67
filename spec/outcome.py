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


@dataclass(frozen=True)
class Translated:
    """A guest range as host memory: the segments, in order of guest address, make up the whole range."""

    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class Faulted:
    """A translation that stopped: the first guest byte that could not be had, and the rule that says why.

    `at` is 2^64, which no byte has, where the range goes on past the last address.
    """

    rule: Rule
    at: int


@dataclass(frozen=True)
class Sent:
    """The device sent a packet: the bytes of these segments, in order, and reported the chain as used."""

    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class Received:
    """The device wrote a packet: into these segments, in order, and reported the chain as used."""

    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class Missed:
    """The device asked userspace for the guest byte `at`, and its queue waits."""

    at: int
    access: int


@dataclass(frozen=True)
class Blocked:
    """The ring may not be reached as a ring must be; its queue waits, and nobody is told."""


@dataclass(frozen=True)
class Broken:
    """The device reported an error on its queue: the rule, and the first guest byte concerned, if there is one."""

    rule: Rule
    at: int | None = None


@dataclass(frozen=True)
class Discarded:
    """A received packet was too long for the chain that was there for it, and is gone. The chain stays."""


Event = Sent | Received | Missed | Blocked | Broken | Discarded


@dataclass(frozen=True)
class Ran:
    """What the device did, in order, and the guest pages that it marked in the dirty log."""

    events: tuple[Event, ...]
    marked: Pages


@dataclass(frozen=True)
class MessageTaken:
    """The device took a message and says that it took `length` bytes. `ran` is what it did because of it."""

    length: int
    ran: Ran


@dataclass(frozen=True)
class MissRead:
    """A message of the device, as userspace reads it: framing version, guest byte, access."""

    version: int
    iova: int
    access: int


@dataclass(frozen=True)
class NothingRead:
    """The read had no room for a message and took none."""


@dataclass(frozen=True)
class EntryView:
    """One entry of an address map as seen from outside."""

    first: int
    last: int
    host: int
    perm: int


@dataclass(frozen=True)
class MapsView:
    """The memory table and the IOTLB (None: there is none), each in the order in which a lookup prefers entries."""

    table: tuple[EntryView, ...] | None
    iotlb: tuple[EntryView, ...] | None


Outcome = (
    Done
    | Rejected
    | DirtyPages
    | Written
    | Touched
    | Mmio
    | Located
    | Slots
    | GuestRanges
    | Translated
    | Faulted
    | Ran
    | MessageTaken
    | MissRead
    | NothingRead
    | MapsView
)
