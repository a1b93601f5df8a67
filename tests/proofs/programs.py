"""Random small programs over integers and sets, to run on plain and on symbolic values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from spec.units import U64

ARITHMETIC = {
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "7 - a": lambda a, b: 7 - a,
    "-a": lambda a, b: -a,
    "a * 3": lambda a, b: a * 3,
    "a * -2": lambda a, b: a * -2,
    "a << 12": lambda a, b: a << 12,
    "a >> 12": lambda a, b: a >> 12,
    "a // 4096": lambda a, b: a // 4096,
    "a % 4096": lambda a, b: a % 4096,
    "a % 2**64": lambda a, b: a % U64,
    "(a + b) % 2**64": lambda a, b: (a + b) % U64,
    "(a - b) % 2**64": lambda a, b: (a - b) % U64,
    "a & 0xfff": lambda a, b: a & 0xFFF,
    "a & 5": lambda a, b: a & 5,
    "a // 10": lambda a, b: a // 10,
    "min(a, b)": min,
    "max(a, b)": max,
}
QUESTIONS = {
    "a < b": lambda a, b: a < b,
    "a <= b": lambda a, b: a <= b,
    "a == b": lambda a, b: a == b,
    "a != b": lambda a, b: a != b,
    "a > b": lambda a, b: a > b,
    "a >= b": lambda a, b: a >= b,
    "b <= a <= b": lambda a, b: b <= a <= b,
    "a % 2 == 0 and b > 4": lambda a, b: a % 2 == 0 and b > 4,
    "a or b": lambda a, b: bool(a or b),
}
EDGES = (0, 1, 4095, 4096, 2**31, 2**63, U64 - 4096, U64 - 1)


@dataclass(frozen=True)
class Program:
    """Lines (operator, left, right) that each append a value; then a question about two of the values."""

    lines: tuple[tuple[str, int, int], ...]
    question: tuple[str, int, int]

    def run(self, *inputs: Any) -> tuple[Any, bool]:
        values = list(inputs)
        for operator, left, right in self.lines:
            values.append(ARITHMETIC[operator](values[left % len(values)], values[right % len(values)]))
        question, left, right = self.question
        return values[-1], bool(QUESTIONS[question](values[left % len(values)], values[right % len(values)]))


places = st.integers(0, 20)
u64 = st.one_of(st.sampled_from(EDGES), st.integers(0, U64 - 1), st.integers(0, 2**13))
programs = st.builds(
    Program,
    st.lists(st.tuples(st.sampled_from(sorted(ARITHMETIC)), places, places), min_size=1, max_size=6).map(tuple),
    st.tuples(st.sampled_from(sorted(QUESTIONS)), places, places),
)
