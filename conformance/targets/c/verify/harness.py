"""What a harness is: what it shows, for which values, and the bug that it must find."""

from __future__ import annotations

from dataclasses import dataclass

LIMIT = 150.0  # seconds; for what has to stay decidable beside other work

# Undefined behaviour of any kind, and a loop that goes on past its bound, refute every harness. Conversions that lose
# bits are not undefined, but here each has to be meant: `verify.h` says where they are.
CHECKS = (
    "--bounds-check",
    "--pointer-check",
    "--pointer-primitive-check",
    "--pointer-overflow-check",
    "--signed-overflow-check",
    "--div-by-zero-check",
    "--undefined-shift-check",
    "--unwinding-assertions",
)


@dataclass(frozen=True)
class Plant:
    """A bug: text of one source file that is replaced. It must be there exactly once."""

    what: str
    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Harness:
    """One function of one file in this directory, for CBMC to begin with.

    shows: one sentence. bound: what is bounded, and what is not. unwind: how often any loop may turn, plus one.
    unwindset: the same for single loops. defines: macros, as NAME=value. plants: what must be refuted.
    seconds: of a processor, the limit for one run of CBMC.
    """

    name: str
    shows: str
    bound: str
    file: str
    function: str
    unwind: int
    plants: tuple[Plant, ...]
    unwindset: tuple[str, ...] = ()
    defines: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    seconds: float = 400
    quick: bool = False
