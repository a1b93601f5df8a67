"""What the fuzzer did, done again on the spec in Python.

The fuzzer tells its operations in words, one on a line, with what both implementations answered in the lines below.
Here each operation is a step of the spec, and its outcome is compared with those lines. A sequence is left where the
spec has no word for what comes: a transaction, or a device whose owner is a stranger.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

MOST_OPERATIONS = 400  # of one sequence: the spec takes its time
HEAD = re.compile(r"^(\w+)((?: \w+=0x[0-9a-f]+)*)$")
DETAIL = re.compile(r"^  (\w+)((?: \w+=(?:0x)?[0-9a-f]+)+)$")
ANSWER = re.compile(r"^  = (-?\d+)$")
MANNERS = ("stranger", "unreadable", "no_buffer")
USUAL = "usual"  # no manner is meant any longer, also if nothing was done in it


@dataclass
class Told:
    """One operation: its name and fields, how it was asked, what was answered, and the details below it."""

    name: str
    fields: dict[str, int]
    manners: frozenset[str]
    answer: int | None = None
    details: list[tuple[str, dict[str, int]]] = field(default_factory=list)

    def all_of(self, *names: str) -> list[dict[str, int]]:
        """The details with these names, in order."""
        return [fields for name, fields in self.details if name in names]

    @property
    def error(self) -> str | None:
        """The name of the error that was answered, or None."""
        if self.answer is None or self.answer >= 0:
            return None
        return "EOPNOTSUPP" if -self.answer == errno.EOPNOTSUPP else errno.errorcode[-self.answer]


class Differs(Exception):
    """The spec says something else."""


class Leave(Exception):
    """The spec has no word for this operation."""


class Replayed(Protocol):
    """The state of the spec for one subject."""

    def do(self, told: Told) -> None:
        """One operation. Raises Differs, or Leave."""


def fields_of(text: str) -> dict[str, int]:
    pairs = (word.split("=") for word in text.split())
    return {name: int(value, 16 if value.startswith("0x") else 10) for name, value in pairs}


def operations_in(text: str) -> Iterator[Told]:
    """The operations of an account, each when it is complete."""
    manners: set[str] = set()
    current: Told | None = None
    for line in text.splitlines():
        head, detail, answer = HEAD.match(line), DETAIL.match(line), ANSWER.match(line)
        if current is not None and answer:
            current.answer = int(answer[1])
        elif current is not None and detail:
            current.details.append((detail[1], fields_of(detail[2])))
        elif head and head[1] in MANNERS:
            manners.add(head[1])
        elif head and head[1] == USUAL:
            manners.clear()
        elif head:
            if current is not None:
                yield current
            current = Told(head[1], fields_of(head[2]), frozenset(manners))
            manners.clear()
    if current is not None:
        yield current


def expect(told: Told, what: str, of_spec: Any, of_fuzzer: Any) -> None:
    """Raises Differs."""
    if of_spec != of_fuzzer:
        raise Differs(f"{told.name} {told.fields}: {what}: the spec says {of_spec}, the fuzzer {of_fuzzer}")


def replay(text: str, makers: dict[str, Callable[[dict[str, int]], Replayed]]) -> int:
    """Do an account's operations on the spec, which `makers` begin. Returns how many were compared. Raises Differs."""
    subject: Replayed | None = None
    compared = 0
    for told in operations_in(text):
        if told.name in makers:
            if told.answer != 0:
                return compared
            subject = makers[told.name](told.fields)
        elif subject is not None:
            try:
                subject.do(told)
            except Leave:
                return compared
            compared += 1
            if compared >= MOST_OPERATIONS:
                return compared
    return compared
