"""A machine whose memory is a block's entries: of any number of them, each field of each with a name of its own.

The machine's memory is cells at distances from a base. In an array any two cells may be one and the same, according to
numbers that are not known. So here what is read is said by the number of its entry: what an effect before it left
there, if it was that entry's, else what was there. A place that is read or written must be a field of an entry whose
number is one of a few terms (`numbers`); what is none is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import z3

from conformance.targets.c.objectcode.compiling import layout
from conformance.targets.c.objectcode.edits import FIELDS, NAMES
from proofs.objectcode.calls import argument, lose_registers
from proofs.objectcode.cannot import Cannot
from proofs.objectcode.image import Image
from proofs.objectcode.machine import STACK_POINTER, Contract, Machine
from proofs.objectcode.memory import Store
from proofs.objectcode.state import Event, State
from proofs.objectcode.terms import key, number, split

ENTRIES = z3.BitVec("entries", 64)
MOST = 2**57  # entries: 2^62 bytes, more than there can be
SIZE, WORD = 32, 8
MOVE = "memmove"
ENTERED = Event("entered", ())  # the function's entry: memory is as it was


@dataclass(frozen=True)
class Moved:
    """Entries that `memmove` moved: so many of them, from the first number to the second."""

    source: Any
    target: Any
    many: Any


@dataclass(frozen=True)
class Written:
    """A field of an entry that was written."""

    number: Any
    field: int
    value: Any


Effect = Moved | Written
Content = Callable[[State, Any, int], Any]  # what a field of the entry with this number holds where a pass begins


def old(at: Any, field: int) -> Any:
    """A field of an entry as it was at the function's entry. (Two terms of one number would be two entries; that says
    less than is so.)
    """
    return z3.BitVec(f"{NAMES[field]}[{' '.join(str(at).split())}]", 64)


class EntriesMachine(Machine):
    """`numbers` are the terms that an entry's number may be; `bound` is how many entries there are room for."""

    def __init__(self, image: Image, contracts: dict[str, Contract], given: Iterable[Any]) -> None:
        super().__init__(image, {MOVE: self._move, **contracts}, given)
        self.numbers: Sequence[Any] = ()
        self.many: Sequence[Any] = ()  # how many entries may be moved
        self.bound: Any = number(0)
        self.content: Content = lambda state, at, field: old(at, field)
        self.elsewhere: dict[str, Any] = {}  # what is at other places, by their address
        self.closed_by = ""  # a callee behind which nothing is known of entries
        assert layout()["entry.sizeof"] == SIZE
        assert [layout()[f"entry.{name}"] for name in NAMES] == [WORD * field for field in FIELDS]

    # WHERE -------------------------------------------------------------------------------------------------------

    def place(self, state: State, address: Any) -> tuple[Any, int]:
        """The number of the entry and the field at an address, which must lie in the entries. Raises Cannot."""
        offset = z3.simplify(address - ENTRIES)
        for field in FIELDS:
            if self.is_so(state, z3.Extract(4, 0, offset) == WORD * field):
                return self._number(state, offset - WORD * field), field
        raise Cannot("something is read or written that is no field of an entry")

    def _number(self, state: State, offset: Any) -> Any:
        for one in self.numbers:
            if self.is_so(state, offset == SIZE * one):
                if not self.is_so(state, z3.ULT(one, self.bound)):
                    raise Cannot("an entry is read or written behind the last that there is room for")
                return one
        raise Cannot("an entry is read or written of which it is not clear which one it is")

    def _move(self, machine: Machine, state: State) -> Iterable[State]:
        """`memmove` of whole entries, in the room that there is."""
        target, source, size = (argument(state, at) for at in range(3))
        for many in self.many:
            if self.is_so(state, size == SIZE * many):
                moved = Moved(self._whole(state, source, many), self._whole(state, target, many), many)
                break
        else:
            raise Cannot("it is not clear how many entries are moved")
        state.events = (*state.events, Event(MOVE, (moved, len(state.memory.stores))))
        lose_registers(state)
        state.set("RAX", target)
        return [state]

    def _whole(self, state: State, address: Any, many: Any) -> Any:
        """The number of the entry that begins at an address, behind which so many lie in the room that there is."""
        offset = z3.simplify(address - ENTRIES)
        for one in self.numbers:
            if self.is_so(state, z3.And(offset == SIZE * one, z3.ULE(one, self.bound), z3.ULE(many, self.bound - one))):
                return one
        raise Cannot("it is not clear which entries are moved, or they do not lie in the room that there is")

    # WHAT IS THERE -----------------------------------------------------------------------------------------------

    def load(self, state: State, address: Any, size: int) -> Any:
        base, _ = split(address)
        if base is None or key(base) == key(STACK_POINTER):
            return super().load(state, address, size)
        there = self.elsewhere.get(key(z3.simplify(address)))
        if there is not None and size == WORD:
            return there
        if size % WORD:
            raise Cannot(f"{size} bytes of an entry are read at once")
        parts = [self._read(state, address + number(WORD * at)) for at in range(size // WORD)]
        return parts[0] if len(parts) == 1 else z3.Concat(*reversed(parts))

    def _read(self, state: State, address: Any) -> Any:
        if any(one.callee == self.closed_by for one in state.events):
            raise Cannot(f"an entry is read behind the call of {self.closed_by}")
        at, field = self.place(state, address)
        return self._settled(state, self.holds(state, at, field))

    def _settled(self, state: State, term: Any) -> Any:
        """A choice of which it is certain how it goes, as what is chosen."""
        while z3.is_app_of(term, z3.Z3_OP_ITE):
            condition, then, otherwise = term.children()
            if self.is_so(state, condition):
                term = then
            elif self.is_so(state, z3.Not(condition)):
                term = otherwise
            else:
                break
        return term

    def effects(self, state: State) -> list[Effect]:
        """What was done to the entries since the pass began, in order. Raises Cannot."""
        moves = {one.arguments[1]: one.arguments[0] for one in state.events if one.callee == MOVE}
        found: list[Effect] = []
        for when in range(len(state.memory.stores) + 1):
            if when in moves:
                found.append(moves[when])
            if when < len(state.memory.stores):
                found += self._written(state, state.memory.stores[when])
        return found

    def _written(self, state: State, store: Store) -> list[Effect]:
        if store.base is None:
            raise Cannot("something is written at a plain address")
        if key(store.base) == key(STACK_POINTER):
            return []
        if store.size() % WORD:
            raise Cannot(f"{store.size()} bytes of an entry are written at once")
        words: list[Effect] = []
        for at in range(store.size() // WORD):
            value = z3.simplify(z3.Extract(64 * at + 63, 64 * at, store.value))
            words.append(Written(*self.place(state, store.address() + number(WORD * at)), value))
        return words

    def holds(self, state: State, at: Any, field: int) -> Any:
        """What a field of the entry with this number holds on a path."""
        return self._after(state, self.effects(state), at, field)

    def _after(self, state: State, effects: list[Effect], at: Any, field: int) -> Any:
        if not effects:
            return self.content(state, at, field)
        *earlier, last = effects
        if isinstance(last, Written):
            is_this = z3.And(at == last.number, last.field == field)
            return self._either(state, is_this, lambda: last.value, lambda: self._after(state, earlier, at, field))
        source = z3.simplify(at - last.target + last.source)
        return self._either(
            state,
            z3.And(z3.UGE(at, last.target), z3.ULT(at - last.target, last.many)),
            lambda: self._after(state, earlier, source, field),
            lambda: self._after(state, earlier, at, field),
        )

    def _either(self, state: State, condition: Any, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
        """A choice, where it is not certain how it goes."""
        if self.is_so(state, z3.Not(condition)):
            return otherwise()
        return then() if self.is_so(state, condition) else z3.If(condition, then(), otherwise())


def was_entered(state: State) -> bool:
    """Whether the pass began at the function's entry."""
    return ENTERED in state.events
