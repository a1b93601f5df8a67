"""What each p-code operation computes, of bit-vectors. Facts: Ghidra's P-Code Reference Manual.

A truth value is a byte, 0 or 1. Shifts take any count: a count of the width or more shifts everything out. Divisions
are asked only of divisors that are not 0 (`machine` sees to that).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import z3

from proofs.objectcode.cannot import Cannot


def compute(name: str, inputs: list[Any], bits: int) -> Any:
    """The result of an operation, `bits` wide. Raises Cannot for one that has no meaning here."""
    if name not in MEANINGS:
        raise Cannot(f"the p-code operation {name} has no meaning here")
    result = MEANINGS[name](*inputs, bits)
    if result.size() != bits:
        raise Cannot(f"the p-code operation {name} gives {result.size()} bits where {bits} are wanted")
    return result


def _byte(condition: Any) -> Any:
    return z3.If(condition, z3.BitVecVal(1, 8), z3.BitVecVal(0, 8))


def _asks(question: Callable[[Any, Any], Any]) -> Callable[[Any, Any, int], Any]:
    """An operation that answers a question about two numbers."""
    return lambda one, other, bits: _byte(question(one, other))


def _of_two(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any, int], Any]:
    return lambda one, other, bits: operation(one, other)


def _shift(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any, int], Any]:
    """A shift: the count has a width of its own."""

    def shifted(number: Any, count: Any, bits: int) -> Any:
        width = number.size()
        if count.size() <= width:
            return operation(number, z3.ZeroExt(width - count.size(), count) if count.size() < width else count)
        all_out = z3.UGE(count, z3.BitVecVal(width, count.size()))
        least = z3.Extract(width - 1, 0, count)
        return operation(number, z3.If(all_out, z3.BitVecVal(width, width), least))

    return shifted


def _subpiece(number: Any, dropped: Any, bits: int) -> Any:
    """The number without so many of its low bytes, cut or filled with zeros to `bits`."""
    low = 8 * dropped.as_long()
    if low >= number.size():
        return z3.BitVecVal(0, bits)
    kept = z3.Extract(min(low + bits, number.size()) - 1, low, number)
    return z3.ZeroExt(bits - kept.size(), kept) if kept.size() < bits else kept


def _popcount(number: Any, bits: int) -> Any:
    wide = max(bits, number.size().bit_length())
    total = z3.BitVecVal(0, wide)
    for at in range(number.size()):
        bit = z3.simplify(z3.Extract(at, at, number))
        if not z3.is_bv_value(bit) or bit.as_long():  # most are known to be 0: a parity is asked of a byte
            total = total + z3.ZeroExt(wide - 1, bit)
    return z3.Extract(bits - 1, 0, total)


def _leading_zeros(number: Any, bits: int) -> Any:
    width = number.size()
    result = z3.BitVecVal(width, bits)
    for at in range(width):  # the highest bit that is set is asked last, and counts
        result = z3.If(z3.Extract(at, at, number) == 1, z3.BitVecVal(width - 1 - at, bits), result)
    return result


MEANINGS: dict[str, Callable[..., Any]] = {
    "COPY": lambda one, bits: one,
    "INT_ADD": _of_two(lambda one, other: one + other),
    "INT_SUB": _of_two(lambda one, other: one - other),
    "INT_MULT": _of_two(lambda one, other: one * other),
    "INT_AND": _of_two(lambda one, other: one & other),
    "INT_OR": _of_two(lambda one, other: one | other),
    "INT_XOR": _of_two(lambda one, other: one ^ other),
    "INT_DIV": _of_two(z3.UDiv),
    "INT_REM": _of_two(z3.URem),
    "INT_SDIV": _of_two(lambda one, other: one / other),
    "INT_SREM": _of_two(z3.SRem),
    "INT_NEGATE": lambda one, bits: ~one,
    "INT_2COMP": lambda one, bits: -one,
    "INT_EQUAL": _asks(lambda one, other: one == other),
    "INT_NOTEQUAL": _asks(lambda one, other: one != other),
    "INT_LESS": _asks(z3.ULT),
    "INT_LESSEQUAL": _asks(z3.ULE),
    "INT_SLESS": _asks(lambda one, other: one < other),
    "INT_SLESSEQUAL": _asks(lambda one, other: one <= other),
    "INT_CARRY": _asks(lambda one, other: z3.ULT(one + other, one)),
    "INT_SCARRY": _asks(lambda one, other: z3.And((one < 0) == (other < 0), (one + other < 0) != (one < 0))),
    "INT_SBORROW": _asks(lambda one, other: z3.And((one < 0) != (other < 0), (one - other < 0) != (one < 0))),
    "INT_ZEXT": lambda one, bits: z3.ZeroExt(bits - one.size(), one),
    "INT_SEXT": lambda one, bits: z3.SignExt(bits - one.size(), one),
    "INT_LEFT": _shift(lambda number, count: number << count),
    "INT_RIGHT": _shift(z3.LShR),
    "INT_SRIGHT": _shift(lambda number, count: number >> count),
    "BOOL_NEGATE": lambda one, bits: _byte(one == 0),
    "BOOL_AND": _asks(lambda one, other: z3.And(one != 0, other != 0)),
    "BOOL_OR": _asks(lambda one, other: z3.Or(one != 0, other != 0)),
    "BOOL_XOR": _asks(lambda one, other: (one != 0) != (other != 0)),
    "PIECE": lambda high, low, bits: z3.Concat(high, low),
    "SUBPIECE": _subpiece,
    "POPCOUNT": _popcount,
    "LZCOUNT": _leading_zeros,
}
DIVISIONS = ("INT_DIV", "INT_REM", "INT_SDIV", "INT_SREM")
