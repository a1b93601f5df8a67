"""What the members of a symbolic set look like: which record, and which values its fields may have."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Shape:
    """The record class of a set's members, the ranges (both ends included) of its int fields, and which of its fields
    are a set of pages or None."""

    kind: type
    ranges: dict[str, tuple[int, int]]
    pages: tuple[str, ...] = field(default=())
