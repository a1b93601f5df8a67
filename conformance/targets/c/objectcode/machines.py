"""A machine that remembers what it read, so that a proof can say where that has to lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from proofs.objectcode.machine import STACK_POINTER, Machine
from proofs.objectcode.state import State
from proofs.objectcode.terms import key, split


@dataclass(frozen=True)
class Read:
    """What was read from elsewhere than the stack: where, so many bytes, and what held on the path there."""

    address: Any
    size: int
    conditions: tuple[Any, ...]


class ReadingMachine(Machine):
    """A machine with the list of all reads of all its runs."""

    reads: list[Read]

    def load(self, state: State, address: Any, size: int) -> Any:
        base, _ = split(address)
        if base is not None and key(base) != key(STACK_POINTER):
            self.__dict__.setdefault("reads", []).append(Read(address, size, state.conditions))
        return super().load(state, address, size)
