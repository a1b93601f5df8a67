"""The search of a run by halves: object code against one step in Python, and that step against the definition.

The loop is followed turn by turn, for any number of entries: a turn of the machine is a step of `halved`. That the
steps come to the first entry that reaches the address is shown apart: one entry that stands for each before the place
does not reach it, one that stands for each from there on does, and what is left shrinks.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import z3

from conformance.targets.c.objectcode.compiling import layout
from conformance.targets.c.objectcode.machines import ReadingMachine
from conformance.targets.c.objectcode.verdict import Difference, Shown, decided
from conformance.targets.c.verify.harness import Plant
from proofs.objectcode.cannot import Cannot
from proofs.objectcode.flow import cuts_of
from proofs.objectcode.image import Image
from proofs.objectcode.machine import Machine
from proofs.objectcode.memory import STACK
from proofs.objectcode.models import as_bits, as_int, ways_of
from proofs.objectcode.passes import ENTRY, Claim, GoesOn, Proof, Prover, Way
from proofs.objectcode.relations import Fact, Template
from proofs.objectcode.state import State
from proofs.symbolic.explorer import Explorer, exploring
from proofs.symbolic.integer import SymInt

HEAD = "turn"
MOST = 2**57  # entries: 2^62 bytes, more than there can be
ENTRIES, END, WANTED = z3.BitVecs("entries end wanted", 64)
LOW, LEFT = z3.BitVecs("low left", 64)
VALUE = z3.Function("value", z3.BitVecSort(64), z3.BitVecSort(64))  # of the entry with this number: its reach
SMALL = 5  # entries of the arrays on which a difference is looked for by trying
VALUES = (0, 1, 2, 3)


def halved(low: int, left: int, value: Callable[[Any], Any], wanted: int) -> tuple[int, int]:
    """One turn: of the `left` entries from `low` on, those before the first whose value is not below what is wanted go
    by half.
    """
    half = (left + 1) // 2
    if value(low + half - 1) < wanted:
        low = low + half
    return low, left - half


def define(step: Callable[..., tuple[int, int]] = halved) -> None:
    """Show that steps keep the definition, for an entry that stands for all, of ints of any size. Raises Cannot if they
    do not. The value of the entry in the middle is one number, that of the other entry is another; values never fall.
    """
    low, left, end, other, its, middle, wanted = z3.Ints("low left end other its middle wanted")
    given = [low >= 0, left > 0, low + left <= end, other >= 0, *_defined(other, its, low, left, end, wanted)]
    at = low + (left + 1) / 2 - 1
    given += [z3.Implies(other <= at, its <= middle), z3.Implies(other >= at, its >= middle)]
    with exploring(Explorer()) as explorer:
        for one in given:
            explorer.assume(one)
        numbers = [SymInt(one, 0, 2**64) for one in (low, left, wanted)]
        for path in explorer.paths(lambda: step(*numbers[:2], lambda number: SymInt(middle, 0, 2**64), numbers[2])):
            if path.raised is not None:
                raise path.raised
            after, rest = (one.term for one in path.value)
            kept = [*_defined(other, its, after, rest, end, wanted), rest < left, rest >= 0, after + rest <= end]
            if decided([*given, *path.conditions(), z3.Not(z3.And(*kept))]) is not None:
                raise Cannot("a step of the search does not keep what defines it")


def _defined(other: Any, its: Any, low: Any, left: Any, end: Any, wanted: Any) -> list[Any]:
    """An entry before the place has a value below what is wanted, one from there and what is left on has none."""
    return [
        z3.Implies(other < low, its < wanted),
        z3.Implies(z3.And(other >= low + left, other < end), its >= wanted),
    ]


def _value(number: Any) -> Any:
    return as_int(VALUE(as_bits(number)))


class _Problem:
    """See `proofs.objectcode.passes.Problem`."""

    machine: Machine
    variables: Mapping[str, Any] = {"low": LOW, "left": LEFT}
    constants: Sequence[Any] = (ENTRIES, END, WANTED)
    templates: Sequence[Template] = (Template("low", LOW), Template("left", LEFT))
    examples: Sequence[Any] = ()
    facts: Sequence[Fact] = (
        Fact("low + left <= end", z3.And(z3.ULE(LOW, END), z3.ULE(LEFT, END - LOW))),
        Fact("left > 0", LEFT != 0),
    )

    def __init__(self, image: Image, search: Search, asks_first: bool) -> None:
        self.machine = ReadingMachine(image, {})
        self.machine.given = [z3.ULE(END, MOST)]
        self.machine.world.initial.append(self._entry)
        self.function = image.function(search.function)
        self.cuts: Sequence[int] = cuts_of(image, self.function)
        self.search, self.asks_first = search, asks_first

    def _offset(self, address: Any) -> Any:
        """How far behind the value of the first entry."""
        return z3.simplify(address - ENTRIES - layout()[f"entry.{self.search.field}"])

    def _entry(self, base: Any, distance: int, size: int) -> Any:
        if base is None or size != 8 or "stack pointer" in str(base):
            return None
        return VALUE(z3.simplify(z3.LShR(self._offset(base + distance), 5)))

    def start(self) -> State:
        return self.machine.start(self.function, {"RDI": ENTRIES, "RSI": END, "RDX": WANTED})

    def ways(self, step: str) -> list[Way]:
        if step == ENTRY:
            return ways_of(lambda: self._model(step, 0, as_int(END)), self._given())
        return ways_of(lambda: self._model(step, as_int(LOW), as_int(LEFT)), [*self._given(), *self._held()])

    def _given(self) -> list[Any]:
        return list(self.machine.given)

    def _held(self) -> list[Any]:
        return [fact.formula for fact in (self.facts[:1] if self.asks_first else self.facts)]

    def holds_what_it_needs(self, proof: Proof) -> bool:
        """Whether what the model takes to hold where the loop is cut does so."""
        needed = {fact.name for fact in self.facts if any(fact.formula is one for one in self._held())}
        return all(needed <= {fact.name for fact in cut.facts} for cut in proof.cuts)

    def _model(self, step: str, low: Any, left: Any) -> Any:
        if self.asks_first == (step == HEAD) and left == 0:
            return low
        if step == HEAD:
            low, left = halved(low, left, _value, as_int(WANTED))
            if not self.asks_first and left == 0:
                return low
        return GoesOn(HEAD, {"low": as_bits(low), "left": as_bits(left)})

    def claims(self, step: str, state: State, way: Way) -> list[Claim]:
        stores = [one for one in state.memory.stores if self.machine.world.name(one.base) != STACK]
        claims = [Claim("it writes to memory", z3.BoolVal(not stores))]
        if not isinstance(way.outcome, GoesOn):
            claims.append(Claim("another place", state.get("RAX") == as_bits(way.outcome)))
        return claims

    def described(self, outcome: Any) -> str:
        return "goes on" if isinstance(outcome, GoesOn) else "returns"

    def reads_wrong(self) -> bool:
        """Whether anything is read that is not the value of one of the entries."""
        for one in self.machine.__dict__.get("reads", []):
            offset = self._offset(one.address)
            right = z3.And(z3.Extract(4, 0, offset) == 0, z3.ULT(z3.LShR(offset, 5), END), z3.BoolVal(one.size == 8))
            if decided([*self._given(), *one.conditions, z3.Not(right)]) is not None:
                return True
        return False


@dataclass(frozen=True)
class Search:
    """A search: a function of search.c, and the field of an entry that it looks at."""

    name: str
    shows: str
    function: str
    field: str
    plants: tuple[Plant, ...]
    source: str = "search.c"

    def prove(self, image: Image, library: ctypes.CDLL) -> Shown:
        """Raises Cannot."""
        define()
        proof = Proof()
        for asks_first in (
            False,
            True,
        ):  # where a compiler begins the loop: before it asks whether any are left, or after
            problem = _Problem(image, self, asks_first)
            proof = Prover(problem).prove()
            if proof.difference is None and problem.holds_what_it_needs(proof) and not problem.reads_wrong():
                return Shown(proof.machine_paths, proof.model_ways, self._seen(library))
        found = self._tried(library)
        if found is None:
            why = proof.difference.sentence if proof.difference else "it reads what is no entry"
            raise Cannot(f"machine and model differ ({why}), but no small array shows it")
        return Shown(proof.machine_paths, proof.model_ways, difference=found)

    def _cases(self) -> list[tuple[tuple[int, ...], int]]:
        return [
            (values, wanted)
            for count in range(SMALL + 1)
            for values in combinations_with_replacement(VALUES, count)
            for wanted in (*VALUES, 4)
        ]

    def _both(self, library: ctypes.CDLL, values: tuple[int, ...], wanted: int) -> tuple[int, int]:
        size, at = layout()["entry.sizeof"], layout()[f"entry.{self.field}"]
        content = bytearray(size * (len(values) + 1))  # one more, for who reads too far
        for number, value in enumerate(values):
            content[number * size + at : number * size + at + 8] = value.to_bytes(8, "little")
        memory = ctypes.create_string_buffer(bytes(content), len(content))
        function = getattr(library, self.function)
        function.restype = ctypes.c_uint64
        said = next((n for n, value in enumerate(values) if value >= wanted), len(values))
        return int(function(memory, ctypes.c_uint64(len(values)), ctypes.c_uint64(wanted))), said

    def _seen(self, library: ctypes.CDLL) -> int:
        """All small arrays, on both sides."""
        found = self._tried(library)
        if found is not None:
            raise Cannot(f"proved equal, and yet {found}")
        return len(self._cases())

    def _tried(self, library: ctypes.CDLL) -> Difference | None:
        for values, wanted in self._cases():
            machine, said = self._both(library, values, wanted)
            if machine != said:
                case = {f"{self.field}[{n}]": value for n, value in enumerate(values)}
                return Difference({**case, "wanted": wanted}, str(machine), str(said))
        return None


PROBLEMS = (
    Search(
        "object-search",
        "Object code finds the first of any number of entries that reaches an address, and reads no others.",
        "run_search",
        "reach",
        (
            Plant(
                "an entry that ends at the address does not reach it",
                "search.c",
                "entries[low + half - 1].reach < address",
                "entries[low + half - 1].reach <= address",
            ),
            Plant(
                "the entry behind the middle is asked",
                "search.c",
                "entries[low + half - 1].reach < address",
                "entries[low + half].reach < address",
            ),
        ),
    ),
)
