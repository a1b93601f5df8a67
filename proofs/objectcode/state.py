"""One path through a function: registers, memory, what had to be true to come here, and what happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import z3

from proofs.objectcode.instructions import registers
from proofs.objectcode.memory import Memory
from proofs.objectcode.terms import joined

ARGUMENTS = ("RDI", "RSI", "RDX", "RCX", "R8", "R9")  # System V ABI, x86-64
PRESERVED = ("RBX", "RBP", "R12", "R13", "R14", "R15")
GENERAL = ("RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", *(f"R{number}" for number in range(8, 16)))
LOST = tuple(name for name in GENERAL if name not in PRESERVED)  # what a called function may change
FLAGS = ("CF", "PF", "AF", "ZF", "SF", "OF")


@dataclass(frozen=True)
class Event:
    """A call that a contract stood in for: the callee, its arguments as far as the contract looks at them."""

    callee: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class End:
    """How a path ended: RETURNED, ARRIVED at an address that was asked for, or TRAPPED by an instruction that does."""

    kind: str
    address: int = 0


RETURNED, ARRIVED, TRAPPED = "returned", "arrived", "trapped"


@dataclass
class State:
    """A path as far as it has come. `conditions` are formulas that hold on it, in order."""

    memory: Memory
    address: int
    registers: dict[int, tuple[Any, int]] = field(default_factory=dict)
    conditions: tuple[Any, ...] = ()
    events: tuple[Event, ...] = ()
    steps: int = 0
    end: End | None = None
    visits: tuple[int, ...] = ()  # where conditional branches were, for messages

    def copy(self) -> State:
        return State(
            self.memory.copy(),
            self.address,
            dict(self.registers),
            self.conditions,
            self.events,
            self.steps,
            self.end,
            self.visits,
        )

    def read(self, offset: int, size: int) -> Any:
        """Bytes of the register space. What nobody wrote has some value, always the same."""
        return joined([self.registers.get(at) or self._unwritten(at) for at in range(offset, offset + size)])

    def _unwritten(self, at: int) -> tuple[Any, int]:
        self.registers[at] = (z3.BitVec(f"register byte {at:#x} before", 8), 0)
        return self.registers[at]

    def write(self, offset: int, value: Any) -> None:
        for at in range(value.size() // 8):
            self.registers[offset + at] = (value, at)

    def get(self, register: str) -> Any:
        """The value of a register, by its name in capitals."""
        return self.read(*registers()[register])

    def set(self, register: str, value: Any) -> None:
        offset, size = registers()[register]
        assert value.size() == 8 * size, (register, value.size())
        self.write(offset, value)

    def assume(self, condition: Any) -> None:
        self.conditions = (*self.conditions, condition)
