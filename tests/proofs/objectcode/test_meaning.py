"""What the engine says that code does is what the processor does: random functions, compiled and run both ways."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from proofs.objectcode.cannot import Cannot
from tests.proofs.objectcode.programs import (
    EDGES,
    WORDS,
    Writer,
    comparisons,
    compiled,
    on_the_paths,
    paths_in_engine,
    runs_in_engine,
)

COMPILERS = [
    ("gcc", "-O0"),
    ("gcc", "-O1"),
    ("gcc", "-O2"),
    ("gcc", "-O3"),
    ("gcc", "-Os"),
    ("clang", "-O0"),
    ("clang", "-O2"),
]


def inputs(seed: int, count: int) -> list[tuple[tuple[int, int, int], list[int]]]:
    chance = random.Random(seed)

    def number() -> int:
        return chance.choice([chance.choice(EDGES), chance.getrandbits(64), chance.getrandbits(8)])

    return [((number(), number(), number()), [number() for _ in range(WORDS)]) for _ in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_every_comparison_is_right_at_the_edges(level: str, tmp_path: Path) -> None:
    program = compiled(comparisons(), tmp_path, "gcc", (level,))
    for a, b in ((5, 5), (0, 2**64 - 1), (2**63, 2**63 - 1), (127, 128), (2**31, 2**31), (2**32, 0)):
        expected = program.runs_here((a, b, a), [0] * WORDS)
        assert runs_in_engine(program, (a, b, a), [0] * WORDS) == expected


@pytest.mark.slow
@pytest.mark.parametrize(("compiler", "level"), COMPILERS)
def test_on_plain_numbers_it_is_what_the_processor_does(compiler: str, level: str, tmp_path: Path) -> None:
    for seed in range(8):
        program = compiled(Writer(seed).function(), tmp_path, compiler, (level,))
        for arguments, words in inputs(seed, 3):
            expected = program.runs_here(arguments, words)
            assert runs_in_engine(program, arguments, words) == expected, program.text


@pytest.mark.slow
@pytest.mark.parametrize(("compiler", "level"), [("gcc", "-O0"), ("gcc", "-O2"), ("clang", "-O2")])
def test_for_any_numbers_one_path_says_what_the_processor_does(compiler: str, level: str, tmp_path: Path) -> None:
    followed = 0
    for seed in range(100, 110):
        program = compiled(Writer(seed, plain=True).function(), tmp_path, compiler, (level,))
        try:
            machine, ends = paths_in_engine(program)
        except Cannot:  # a division that may trap for all that the engine knows, for example: it says so
            continue
        followed += 1
        for arguments, words in inputs(seed, 4):
            assert on_the_paths(machine, ends, arguments, words) == program.runs_here(arguments, words), program.text
    assert followed >= 7
