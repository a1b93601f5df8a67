"""Random small programs over integers, to run on plain and on symbolic values. They branch, also within branches."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from proofs.symbolic.boolean import merged, negation
from proofs.symbolic.choice import larger, merged_number, smaller
from spec.units import U32_MAX, U64, U64_MAX


def is_negative(number: Any) -> Any:
    return number < 0


def is_near(one: Any, other: Any) -> bool:
    return bool(one - other < 3 and other - one < 3) or one == 4095


def is_less_and_not_at_least(one: Any, other: Any) -> bool:
    return not negation(one < other) and bool(one < other)


BOTH: dict[str, Callable[[Any, Any], Any]] = {
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "7 - a": lambda a, b: 7 - a,
    "-a": lambda a, b: -a,
    "~a": lambda a, b: ~a,
    "a * 3": lambda a, b: a * 3,
    "-2 * a": lambda a, b: -2 * a,
    "a * -3": lambda a, b: a * -3,
    "a << 12": lambda a, b: a << 12,
    "a >> 12": lambda a, b: a >> 12,
    "a >> 1": lambda a, b: a >> 1,
    "a // 4096": lambda a, b: a // 4096,
    "a // 10": lambda a, b: a // 10,
    "a % 4096": lambda a, b: a % 4096,
    "a % 10": lambda a, b: a % 10,
    "a % 2**64": lambda a, b: a % U64,
    "(a + b) % 2**64": lambda a, b: (a + b) % U64,
    "(a - b) % 2**64": lambda a, b: (a - b) % U64,
    "a % 2**32": lambda a, b: a % 2**32,
    "a & 0xfff": lambda a, b: a & 0xFFF,
    "5 & a": lambda a, b: 5 & a,
    "a & 0xff0ff0": lambda a, b: a & 0xFF0FF0,
    "a % 2**64 | 0x1010": lambda a, b: a % U64 | 0x1010,
    "min(a, b)": min,
    "max(a, b)": max,
    "larger(a, b)": larger,
    "smaller(7, a)": lambda a, b: smaller(7, a),
    "the larger of three": lambda a, b: merged_number(lambda: max(a, b, 5)),
}
ONLY_BITS: dict[str, Callable[[Any, Any], Any]] = {
    "a & b": lambda a, b: a & b,
    "a | b": lambda a, b: a | b,
    "a ^ b": lambda a, b: a ^ b,
    "a & -8": lambda a, b: a & -8,
    "-5 | a": lambda a, b: -5 | a,
    "a ^ 0xff": lambda a, b: a ^ 0xFF,
    "a % 2**64 * (b % 16)": lambda a, b: a % U64 * (b % 16),
}
QUESTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "a < b": lambda a, b: a < b,
    "a <= b": lambda a, b: a <= b,
    "a == b": lambda a, b: a == b,
    "a != b": lambda a, b: a != b,
    "a > b": lambda a, b: a > b,
    "a >= b": lambda a, b: a >= b,
    "3 < a": lambda a, b: 3 < a,  # noqa: SIM300
    "b <= a <= b": lambda a, b: b <= a <= b,
    "a % 2 == 0 and b > 4": lambda a, b: a % 2 == 0 and b > 4,
    "a or b": lambda a, b: bool(a or b),
    "is near": lambda a, b: merged(is_near)(a, b),  # noqa: PLW0108 (faults replace `merged`)
    "has a sign": lambda a, b: merged(is_negative)(a) != merged(is_negative)(a % U64),
    "less, after `not`": is_less_and_not_at_least,
    "near or far": lambda a, b: merged(is_near)(a, 5) != merged(is_near)(a, b),
}

# The inputs: their ranges, and values at which something might go wrong. Some have a sign, two meet in one value.
RANGES = {"p": (0, U64_MAX), "q": (-(2**63), 2**63 - 1), "r": (3, 5), "s": (-1, U32_MAX), "t": (5, 6)}
EDGES = (0, 1, 2, 3, 4, 7, 8, 9, 10, 15, 16, 4095, 4096, 4097, 2**31, 2**32 - 1, 2**63 - 1, 2**63, U64 - 4096, U64 - 1)


@dataclass(frozen=True)
class Line:
    """`operator(left, right)` of values by their places; with a question, one of two such, by its answer."""

    operator: str
    left: int
    right: int
    question: str | None = None
    otherwise: Line | None = None


@dataclass(frozen=True)
class Program:
    """Lines that each append a value; then a question about two of the values."""

    lines: tuple[Line, ...]
    question: tuple[str, int, int]

    def run(self, *inputs: Any) -> tuple[tuple[Any, ...], bool]:
        """All values, and the answer."""
        values = list(inputs)
        for line in self.lines:
            values.append(_result(line, values))
        question, left, right = self.question
        return tuple(values), bool(QUESTIONS[question](values[left % len(values)], values[right % len(values)]))


def _result(line: Line, values: list[Any]) -> Any:
    left, right = values[line.left % len(values)], values[line.right % len(values)]
    if line.question is not None and line.otherwise is not None and not QUESTIONS[line.question](left, right):
        return _result(line.otherwise, values)
    return (BOTH | ONLY_BITS)[line.operator](left, right)


def random_program(chance: random.Random, operators: dict[str, Any], most_lines: int = 6) -> Program:
    """A program of these operators."""

    def line(depth: int = 0) -> Line:
        operator, left, right = chance.choice(sorted(operators)), chance.randrange(20), chance.randrange(20)
        if depth < 2 and chance.random() < 0.25:
            return Line(operator, left, right, chance.choice(sorted(QUESTIONS)), line(depth + 1))
        return Line(operator, left, right)

    lines = tuple(line() for _ in range(chance.randint(1, most_lines)))
    return Program(lines, (chance.choice(sorted(QUESTIONS)), chance.randrange(20), chance.randrange(20)))


def random_inputs(chance: random.Random) -> tuple[int, ...]:
    """A value for each input, often near an edge or near the one before."""
    made: list[int] = []
    for low, high in RANGES.values():
        near = [edge for edge in (*EDGES, *(-edge for edge in EDGES), *made, low, high) if low <= edge <= high]
        made.append(chance.choice(near) if chance.random() < 0.7 else chance.randint(low, high))
    return tuple(made)
