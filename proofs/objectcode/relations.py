"""What holds between a machine's state and a model's variables where a loop is cut: found, not given.

Every relation of a few shapes that holds at the first arrival is a candidate: a register, or a cell of the stack frame,
is the value of a template, in all its 64 bits or in the low 32. What one pass does not keep is given up, until all that
is left is kept (the Houdini way). So nobody says which register holds what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import z3

from proofs.objectcode.cannot import Cannot
from proofs.objectcode.machine import RETURN_ADDRESS, STACK_POINTER, Machine, before
from proofs.objectcode.memory import Cell, Memory
from proofs.objectcode.state import GENERAL, State
from proofs.objectcode.terms import key, number, split, symbols

HALF = 32


@dataclass(frozen=True)
class Place:
    """A register; or `size` bytes of the stack frame, at a distance from the stack pointer at the entry."""

    register: str
    distance: int = 0
    size: int = 8

    def read(self, machine: Machine, state: State) -> Any:
        if self.register:
            return z3.simplify(state.get(self.register))
        return machine.load(state, STACK_POINTER + number(self.distance), self.size)

    def write(self, state: State, value: Any) -> None:
        if self.register:
            state.set(self.register, value)
        else:
            state.memory.store(STACK_POINTER + number(self.distance), value)

    def __str__(self) -> str:
        return self.register.lower() if self.register else f"stack[{self.distance:+#x}]"


@dataclass(frozen=True)
class Template:
    """A term over the model's variables and the arguments of the call, 64 or 32 bits wide."""

    name: str
    term: Any


@dataclass(frozen=True)
class Relation:
    """A place holds the value of a template, in so many of its low bits."""

    place: Place
    template: Template
    bits: int

    def holds(self, value: Any, values: Sequence[tuple[Any, Any]]) -> Any:
        """The formula for "this value of the place is that of the template", for these values of the variables."""
        term = z3.substitute(self.template.term, *values)
        return low(value, self.bits) == low(term, self.bits)

    def __str__(self) -> str:
        return f"{self.place} = {self.template.name}" + ("" if self.bits == 8 * self.place.size else " (low 32 bits)")


@dataclass(frozen=True)
class Fact:
    """A formula over the model's variables that may hold where the loop is cut."""

    name: str
    formula: Any

    def holds(self, value: Any, values: Sequence[tuple[Any, Any]]) -> Any:
        return z3.substitute(self.formula, *values)

    def __str__(self) -> str:
        return self.name


@dataclass
class Cut:
    """A place where a loop is cut: the model's step that begins there, and what may still hold."""

    address: int
    step: str
    frame: Any  # the stack pointer
    places: tuple[Place, ...]
    relations: list[Relation]
    facts: list[Fact]
    kept: dict[str, Any] = field(default_factory=dict)  # values of places of which nothing is known
    written: frozenset[Cell] = frozenset()  # what may have been written before: nothing is known of it here

    def state(self, machine: Machine) -> tuple[State, list[Any]]:
        """Any state in which what is left holds, and what is to be assumed besides of the variables."""
        state = State(Memory(machine.world, forgotten=self.written), self.address)
        state.set("RSP", self.frame)
        state.set("DF", z3.BitVecVal(0, 8))
        assumed = [fact.formula for fact in self.facts]
        for place in self.places:
            mine = [one for one in self.relations if one.place == place]
            value = self._value(place, mine)
            place.write(state, value)
            assumed += [one.holds(value, ()) for one in mine]
        return state, [one for one in map(z3.simplify, assumed) if not z3.is_true(one)]

    def _value(self, place: Place, relations: list[Relation]) -> Any:
        bits = 8 * place.size
        for one in relations:
            if one.bits == bits:
                return z3.simplify(low(one.template.term, bits))
        unknown = self.kept.setdefault(str(place), z3.BitVec(f"{place} at {self.address:#x}", bits))
        for one in relations:
            return z3.simplify(z3.Concat(z3.Extract(bits - 1, one.bits, unknown), low(one.template.term, one.bits)))
        return unknown

    def values(self, machine: Machine, state: State) -> dict[Place, Any]:
        """What the places hold in a state that has arrived here. Raises Cannot if the stack pointer is elsewhere."""
        if not z3.eq(z3.simplify(state.get("RSP")), z3.simplify(self.frame)):
            raise Cannot(f"the stack pointer at {self.address:#x} is not always the same")
        return {place: place.read(machine, state) for place in self.places}

    def forget(self, state: State) -> bool:
        """Take note of what was written before a state arrives here; whether that is more than was known."""
        before = self.written
        self.written |= state.memory.written()
        return self.written != before

    def copy(self) -> Cut:
        return replace(self, relations=list(self.relations), facts=list(self.facts))

    def holds_all_of(self, term: Any) -> bool:
        """Whether some place is known to hold a variable of the model."""
        return any(z3.eq(one.template.term, term) and one.bits >= term.size() for one in self.relations)

    def described(self) -> list[str]:
        """What is left, in words: of each place the first."""
        first: dict[Place, Relation] = {}
        for one in self.relations:
            first.setdefault(one.place, one)
        return [*map(str, first.values()), *map(str, self.facts)]


def low(term: Any, bits: int) -> Any:
    """The low bits of a term; of a narrower one, with zeros above."""
    if term.size() < bits:
        return z3.ZeroExt(bits - term.size(), term)
    return term if term.size() == bits else z3.Extract(bits - 1, 0, term)


def places_of(states: Sequence[State]) -> tuple[Place, ...]:
    """The registers, and the cells of the stack frame that are written on every way here and are still in use."""
    cells = [_cells(one) for one in states]
    common = set.intersection(*cells)
    return (
        *(Place(name) for name in GENERAL),
        *(Place("", distance, size) for distance, size in sorted(common) if not _is_in_another(distance, size, common)),
    )


def _cells(state: State) -> set[tuple[int, int]]:
    base, bottom = split(state.get("RSP"))
    if key(base) != key(STACK_POINTER):
        raise Cannot("the stack pointer is not at a fixed distance from where it was at the entry")
    bottom = bottom - 2**64 if bottom >= 2**63 else bottom
    return {
        (one.distance, one.size())
        for one in state.memory.stores
        if key(one.base) == key(STACK_POINTER) and one.distance >= bottom and one.size() in (4, 8)
    }


def _is_in_another(distance: int, size: int, cells: set[tuple[int, int]]) -> bool:
    return any(
        (other, more) != (distance, size) and other <= distance and distance + size <= other + more
        for other, more in cells
    )


Arrival = tuple[State, list[Any], list[tuple[Any, Any]]]  # the state, all that holds on this way, the variables' values


def candidates(
    machine: Machine,
    address: int,
    step: str,
    arrivals: Sequence[Arrival],
    templates: Sequence[Template],
    facts: Sequence[Fact],
    constants: Sequence[Any],
) -> Cut:
    """A cut with all that may hold there: the templates, and what a place holds already if all arrivals agree on it and
    it is made of what stays the same. `keep_what_holds` then gives up what is not so.
    """
    fixed = {str(one) for one in (*constants, STACK_POINTER, RETURN_ADDRESS, *map(before, GENERAL))}
    states = [one[0] for one in arrivals]
    cut = Cut(address, step, z3.simplify(states[0].get("RSP")), places_of(states), [], list(facts))
    held = [cut.values(machine, one) for one in states]
    for place in cut.places:
        bits = 8 * place.size
        for one in templates:  # these first: what goes on is better described by the model's variables
            if one.term.size() <= bits:
                cut.relations.append(Relation(place, one, bits))
            if bits > HALF:
                cut.relations.append(Relation(place, one, HALF))
        first = held[0][place]
        if symbols(first) <= fixed and all(z3.eq(first, other[place]) for other in held):
            cut.relations.append(Relation(place, Template(" ".join(str(first).split()), first), bits))
    return cut


Loss = tuple[Relation | Fact, Any]  # what was given up, and the formula that did not hold


def keep_what_holds(
    machine: Machine,
    cut: Cut,
    arrivals: Iterable[Arrival],
    ask: Callable[[list[Any]], Any],
    on_loss: Callable[[int, list[Loss]], None] = lambda arrival, lost: None,
) -> bool:
    """Give up what does not hold at one of these arrivals; whether anything was given up. `ask` gives a solver's model
    of formulas that can hold together, None if there is none, and raises Cannot if that is not known. `on_loss` is told
    what is given up because of which arrival.
    """
    given_up = False
    for at_arrival, (state, conditions, values) in enumerate(arrivals):
        held = cut.values(machine, state)
        claims: list[Loss] = [(one, one.holds(held[one.place], values)) for one in cut.relations]
        claims += [(one, one.holds(None, values)) for one in cut.facts]
        wrong: set[int] = set()
        while True:
            left = [claim for at, (_, claim) in enumerate(claims) if at not in wrong]
            case = ask([*conditions, z3.Not(z3.And(*left))]) if left else None
            if case is None:
                break
            wrong |= {
                at for at, (_, claim) in enumerate(claims) if not z3.is_true(case.eval(claim, model_completion=True))
            }
        if wrong:
            given_up = True
            lost = {id(one) for at, (one, _) in enumerate(claims) if at in wrong}
            on_loss(at_arrival, [claim for at, claim in enumerate(claims) if at in wrong])
            cut.relations = [one for one in cut.relations if id(one) not in lost]
            cut.facts = [one for one in cut.facts if id(one) not in lost]
    return given_up
