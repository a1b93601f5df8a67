"""What the fuzzer did, done again on the spec in Python.

The fuzzer tells its operations in words, one on a line, with what both implementations answered in the lines below.
Here each operation is a step of the spec, and its outcome is compared with those lines. An operation counts as compared
if something of it was: `expect` counts, nothing else does.
"""

from __future__ import annotations

import errno
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

MOST_OPERATIONS = 20_000  # of one sequence: as many as the fuzzer does
NEW = re.compile(r"^new \w+$")
HEAD = re.compile(r"^(\w+)((?: \w+=0x[0-9a-f]+)*)$")
DETAIL = re.compile(r"^  (\w+)((?: \w+=(?:0x)?[0-9a-f]+)+)$")
ANSWER = re.compile(r"^  = (-?\d+)$")
ASIDE = re.compile(r"^(?:reader \w+|memory fails after \d+|  = -12 as memory failed)$")  # nothing to compare in these
MANNERS = ("stranger", "unreadable", "no_buffer")
USUAL = "usual"  # no manner is meant any longer, also if nothing was done in it
END = "end"  # from here on everything is looked at once more: that is no operation
LOOKING = (END, "inside")  # inside: the view of a reader that has not left


@dataclass
class Told:
    """One operation: its name and fields, how it was asked, what was answered, and the details below it."""

    name: str
    fields: dict[str, int]
    manners: frozenset[str]
    is_operation: bool = True  # False: everything is looked at
    answer: int | None = None
    details: list[tuple[str, dict[str, int]]] = field(default_factory=list)
    expected: int = 0  # how many things of it were compared

    def all_of(self, *names: str) -> list[dict[str, int]]:
        """The details with these names, in order."""
        return [fields for name, fields in self.details if name in names]

    @property
    def error(self) -> str | None:
        """The name of the error that was answered, or None."""
        if self.answer is None or self.answer >= 0:
            return None
        return "EOPNOTSUPP" if -self.answer == errno.EOPNOTSUPP else errno.errorcode[-self.answer]


@dataclass
class Replay:
    """An account that was done on the spec: how many operations it tells of, and how many were compared."""

    told: int = 0
    compared: int = 0
    left: Counter[str] = field(default_factory=Counter)  # by name: those of which nothing was compared

    def add(self, other: Replay) -> None:
        self.told += other.told
        self.compared += other.compared
        self.left += other.left


class Differs(Exception):
    """The spec says something else."""


class Unreadable(Exception):
    """The account has a line or an operation that nobody here knows, or it has no end."""


class Replayed(Protocol):
    """The state of the spec for one subject."""

    def do(self, told: Told) -> None:
        """One operation, and what looks at everything. Raises Differs, or Unreadable for a name it does not know."""


def fields_of(text: str) -> dict[str, int]:
    pairs = (word.split("=") for word in text.split())
    return {name: int(value, 16 if value.startswith("0x") else 10) for name, value in pairs}


def one_account(text: str) -> Iterator[str]:
    """The lines of the first sequence: libFuzzer does an input that it was given twice. Raises Unreadable."""
    lines = iter(text.splitlines())
    for line in lines:
        if NEW.match(line):
            break
    else:
        raise Unreadable("nothing was told")
    for line in lines:
        if NEW.match(line):
            return
        yield line


def operations_in(text: str) -> Iterator[Told]:
    """The operations of an account, each when it is complete. Raises Unreadable."""
    manners: set[str] = set()
    current: Told | None = None
    first, ended = True, False
    for line in one_account(text):
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
                first = False
            ended |= head[1] == END
            is_operation = not ended and head[1] not in LOOKING
            current = Told(head[1], fields_of(head[2]), frozenset(manners), is_operation)
            manners.clear()
        elif not ASIDE.match(line):
            # What drives the fuzzer speaks again. A configuration that was refused is told alone.
            if not ended and not (first and current is not None and current.answer != 0):
                raise Unreadable(f"this is not understood: {line}")
            break
    else:
        if not ended and not (first and current is not None and current.answer != 0):
            raise Unreadable("the account has no end")
    if current is not None:
        yield current


def expect(told: Told, what: str, of_spec: Any, of_fuzzer: Any) -> None:
    """Raises Differs."""
    told.expected += 1
    if of_spec != of_fuzzer:
        raise Differs(f"{told.name} {told.fields}: {what}: the spec says {of_spec}, the fuzzer {of_fuzzer}")


def replay(text: str, makers: dict[str, Callable[[dict[str, int]], Replayed]], most: int = MOST_OPERATIONS) -> Replay:
    """Do an account's operations on the spec, which `makers` begin; of a long one the first `most`.

    Raises Differs, and Unreadable for an account that is not understood to its last line.
    """
    subject: Replayed | None = None
    done = Replay()
    for told in operations_in(text):
        done.told += told.is_operation
        if told.name in makers:
            if told.answer == 0:
                subject = makers[told.name](told.fields)
        elif subject is None:
            raise Unreadable(f"{told.name} of nothing")
        elif done.told <= most:
            subject.do(told)
        if told.is_operation:
            done.compared += told.expected > 0
            done.left[told.name] += told.expected == 0
    done.left = +done.left
    return done
