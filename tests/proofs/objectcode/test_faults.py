"""Faults planted in the engine: random functions notice each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import z3

import proofs.objectcode.meaning as meaning
import proofs.objectcode.memory as memory
from proofs.objectcode.cannot import Cannot
from proofs.objectcode.state import State
from tests.proofs.objectcode.programs import WORDS, Program, Writer, comparisons, compiled, runs_in_engine
from tests.proofs.objectcode.test_meaning import inputs

SEEDS = range(30, 42)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> list[Program]:
    """Functions at two levels: slots in memory, and registers."""
    directory = tmp_path_factory.mktemp("programs")
    texts = [comparisons(), *(Writer(seed).function() for seed in SEEDS)]
    return [compiled(text, directory, "gcc", (("-O0", "-O2")[at % 2],)) for at, text in enumerate(texts)]


def first_byte(value: Any) -> Any:
    return z3.If(value, z3.BitVecVal(1, 8), z3.BitVecVal(0, 8))


FAULTS: dict[str, Callable[..., Any]] = {
    "INT_SUB": lambda one, other, bits: other - one,
    "INT_SRIGHT": meaning.MEANINGS["INT_RIGHT"],
    "INT_SEXT": lambda one, bits: z3.ZeroExt(bits - one.size(), one),
    "INT_SLESS": lambda one, other, bits: first_byte(z3.ULT(one, other)),
    "INT_LESS": lambda one, other, bits: first_byte(z3.ULE(one, other)),
    "INT_SBORROW": lambda one, other, bits: z3.BitVecVal(0, 8),
    "INT_EQUAL": lambda one, other, bits: first_byte(one != other),
    "INT_MULT": lambda one, other, bits: one + other,
    "SUBPIECE": lambda one, other, bits: z3.Extract(bits - 1, 0, one) if one.size() >= bits else one,
    "POPCOUNT": lambda one, bits: z3.BitVecVal(0, bits),
    "BOOL_NEGATE": lambda one, bits: one,
}


def is_noticed(programs: list[Program]) -> bool:
    for number, program in enumerate(programs):
        alike = ((5, 5, 5), [0] * WORDS), ((2**63, 2**63 - 1, 2**63), [0] * WORDS)
        for arguments, words in [*inputs(number, 2), *(alike if number == 0 else ())]:
            try:
                if runs_in_engine(program, arguments, words) != program.runs_here(arguments, words):
                    return True
            except (Cannot, AssertionError, AttributeError, ValueError, z3.Z3Exception):
                return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("operation", FAULTS)
def test_a_wrong_meaning_is_noticed(operation: str, programs: list[Program], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(meaning.MEANINGS, operation, FAULTS[operation])
    assert is_noticed(programs)


def stores_upside_down(self: memory.Memory, address: Any, value: Any) -> memory.Store:
    pieces = [z3.Extract(8 * at + 7, 8 * at, value) for at in range(value.size() // 8)]
    return STORE(self, address, z3.Concat(*pieces) if len(pieces) > 1 else value)


def keeps_the_upper_half(self: State, offset: int, value: Any) -> None:
    WRITE(self, offset, value if value.size() != 64 else z3.Concat(z3.BitVecVal(1, 1), z3.Extract(62, 0, value)))


STORE, WRITE = memory.Memory.store, State.write


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "name", "faulty"),
    [(memory.Memory, "store", stores_upside_down), (State, "write", keeps_the_upper_half)],
)
def test_a_fault_in_the_state_is_noticed(
    where: type, name: str, faulty: Any, programs: list[Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, name, faulty)
    assert is_noticed(programs)


@pytest.mark.slow
def test_without_a_fault_nothing_is_noticed(programs: list[Program]) -> None:
    assert not is_noticed(programs)
