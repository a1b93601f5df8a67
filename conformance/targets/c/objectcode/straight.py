"""Functions without loops: each way that the machine can go is compared with each way of the specification."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import z3

from conformance.targets.c.objectcode.verdict import Difference, Shown, decided, decided_of
from conformance.targets.c.verify.harness import Plant
from proofs.objectcode.cannot import Cannot
from proofs.objectcode.image import Image
from proofs.objectcode.machine import Machine
from proofs.objectcode.memory import STACK
from proofs.objectcode.models import Names, as_bits, ways_of
from proofs.objectcode.passes import Way, preserved
from proofs.objectcode.state import RETURNED, State

Area = Mapping[str, tuple[int, Any]]  # field -> where it is, and what it holds


@dataclass(frozen=True)
class Straight:
    """A function of the library and what the specification says of it.

    `source` is its file. `arguments` are registers and what they hold; the areas that pointers lead to are
    declared by it on the machine. `says` is the specification: run on symbols, or on ints of one case. It gives a
    number, of which the function returns the low `bits`. `calls` runs the compiled function on a case. `given` are
    hypotheses.
    """

    name: str
    shows: str
    source: str
    function: str
    arguments: Callable[[Machine, Names], Mapping[str, Any]]
    says: Callable[[Names], Any]
    calls: Callable[[ctypes.CDLL, Mapping[str, int]], int]
    plants: tuple[Plant, ...]
    bits: int = 32
    given: Callable[[Names], list[Any]] = lambda names: []

    def prove(self, image: Image, library: ctypes.CDLL) -> Shown:
        """Compare all ways, and run a difference on both sides. Raises Cannot."""
        names = Names()
        machine = Machine(image, {})
        arguments = self.arguments(machine, names)
        machine.given = self.given(names)
        ended = machine.run(machine.start(image.function(self.function), arguments))
        ways = ways_of(lambda: self.says(names), machine.given)
        for path in ended:
            case = decided_of(
                [*machine.given, *path.conditions], [(way, self._claims(path, way.outcome)) for way in ways]
            )
            if case is not None:
                return Shown(len(ended), len(ways), difference=self._replayed(library, names.from_case(case)))
        return Shown(len(ended), len(ways), self._witnesses(names, machine, ways, library))

    def _witnesses(self, names: Names, machine: Machine, ways: list[Way], library: ctypes.CDLL) -> int:
        """How many outcomes of the specification were seen: of each a case, which the compiled code was run on."""
        first: dict[str, Way] = {}
        for way in ways:
            first.setdefault(str(way.outcome), way)
        for way in first.values():
            case = decided([*machine.given, *way.conditions])
            if case is None:
                raise Cannot(f"what is given excludes that the specification says {way.outcome}")
            found = self._replayed(library, names.from_case(case))
            if found.is_real():
                raise Cannot(f"proved equal, and yet {found}")
        return len(first)

    def _claims(self, path: State, outcome: Any) -> list[Any]:
        if (
            path.end is None
            or path.end.kind != RETURNED
            or any(path.memory.world.name(one.base) != STACK for one in path.memory.stores)
        ):
            return [z3.BoolVal(False)]
        result = z3.Extract(self.bits - 1, 0, path.get("RAX"))
        return [result == as_bits(outcome, self.bits), *(one.formula for one in preserved(path))]

    def _replayed(self, library: ctypes.CDLL, case: Mapping[str, int]) -> Difference:
        """The case on both sides, as plain numbers."""
        machine = self.calls(library, case) % 2**self.bits
        said = int(self.says(Names(case))) % 2**self.bits
        return Difference(dict(case), f"{signed(machine, self.bits)}", f"{signed(said, self.bits)}")


def signed(number: int, bits: int) -> int:
    """A number as C prints it."""
    return number - 2**bits if bits == 32 and number >= 2**31 else number
