"""Contracts: what stands in for a function that is called.

A contract sees the state after the call instruction and gives the states in which the callee may return. What a callee
may change by the ABI (the caller's registers, the flags) has unknown values afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import z3

from proofs.objectcode.machine import Contract, Machine
from proofs.objectcode.state import ARGUMENTS, FLAGS, LOST, Event, State

_fresh = count()


def argument(state: State, index: int, bits: int = 64) -> Any:
    """The value of an argument that is an integer or a pointer: its low bits."""
    return z3.simplify(z3.Extract(bits - 1, 0, state.get(ARGUMENTS[index])))


def lose_registers(state: State) -> None:
    """Give all registers that a callee may change unknown values."""
    for register in LOST:
        state.set(register, z3.BitVec(f"{register} after call {next(_fresh)}", 64))
    for flag in FLAGS:
        state.set(flag, z3.BitVec(f"{flag} after call {next(_fresh)}", 8))


def does_nothing(machine: Machine, state: State) -> Iterable[State]:
    """A call that changes nothing at all: a hook for tracing, as it is when nobody traces."""
    return [state]


def returns_at_once(machine: Machine, state: State) -> Iterable[State]:
    """Where a kernel's return goes through a thunk: the jump to it is the return. (As a contract of a function that is
    jumped to, it changes nothing; the return is what every jump to a contract ends with.)
    """
    return [state]


def recorded(callee: str, widths: tuple[int, ...], result: Callable[[State], Any] | None = None) -> Contract:
    """A callee that is only seen: its arguments (of these widths, in bits) are recorded as an event. It writes to no
    memory that the code reads later. `result` gives what is in RAX afterwards; without it that is unknown.
    """

    def contract(machine: Machine, state: State) -> Iterable[State]:
        values = tuple(argument(state, index, bits) for index, bits in enumerate(widths))
        state.events = (*state.events, Event(callee, values))
        lose_registers(state)
        if result is not None:
            state.set("RAX", result(state))
        return [state]

    return contract


KERNEL_HOOKS: dict[str, Contract] = {"__fentry__": does_nothing, "__x86_return_thunk": returns_at_once}
