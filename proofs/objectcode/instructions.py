"""Machine instructions as p-code: Ghidra's description of x86-64, read by pypcode. It is trusted, and tested."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pypcode

from proofs.objectcode.cannot import Cannot
from proofs.objectcode.image import Image

CONST, REGISTER, UNIQUE, MEMORY = "const", "register", "unique", "ram"


@dataclass(frozen=True)
class Operand:
    """A number, or a place: `size` bytes at `offset` of a space."""

    space: str
    offset: int
    size: int


@dataclass(frozen=True)
class Operation:
    """One p-code operation."""

    name: str
    inputs: tuple[Operand, ...]
    output: Operand | None


@dataclass(frozen=True)
class Instruction:
    """A machine instruction."""

    address: int
    length: int
    operations: tuple[Operation, ...]


@lru_cache(maxsize=1)
def _context() -> Any:
    return pypcode.Context("x86:LE:64:default")


@lru_cache(maxsize=1)
def registers() -> dict[str, tuple[int, int]]:
    """Where each register is in the register space: (offset, size)."""
    return {name: (one.offset, one.size) for name, one in _context().registers.items()}


def decode(image: Image, address: int) -> Instruction:
    """The instruction at an address. Raises Cannot for one that is not known."""
    code = image.code(address)
    try:
        translation = _context().translate(code, address, max_instructions=1)
    except (pypcode.BadDataError, pypcode.UnimplError, pypcode.LowlevelError) as unknown:
        raise Cannot(f"the instruction at {address:#x} ({code[:8].hex()}) is not known to pypcode: {unknown}") from None
    operations = tuple(_operation(one) for one in translation.ops)
    if not operations or operations[0].name != "IMARK":
        raise Cannot(f"there is no instruction at {address:#x} ({code[:8].hex()})")
    length = operations[0].inputs[0].size
    if not image.is_filled_in(address, length):
        raise Cannot(f"the instruction at {address:#x} has a relocation of a kind that is not known")
    return Instruction(address, length, operations[1:])


def _operation(one: Any) -> Operation:
    output = None if one.output is None else _operand(one.output)
    inputs = tuple(_operand(each) for each in one.inputs)
    name = one.opcode.name
    if name in ("LOAD", "STORE"):  # the first input is the space: pypcode gives its handle
        inputs = inputs[1:]
    if name == "CALLOTHER":
        name = f"CALLOTHER {one.inputs[0].getUserDefinedOpName()}"
    return Operation(name, inputs, output)


def _operand(one: Any) -> Operand:
    return Operand(one.space.name, one.offset, one.size)
