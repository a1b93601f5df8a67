"""Memory as cells: bytes at a distance from a base.

A base is a term (a pointer that came in, or was loaded), or nothing for what is at a plain address. Each byte has one
content at the start, and what was stored since. Two cells of one base are the same bytes exactly if their distances
are. Of two bases nothing is taken for granted: before something is read that lies at another base than what was
stored since, the solver must show that the two are apart, or the same; and where it cannot, the answer is `Cannot`.
What a proof takes as given about that is a hypothesis in formulas (`apart`), or two declared areas in `separate`.

The stack frame is an area of its own: that no other pointer leads into it is an assumption of every proof.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import z3

from proofs.objectcode.cannot import Cannot
from proofs.objectcode.image import Image
from proofs.objectcode.terms import joined, key, number, split

STACK = "the stack"


def apart(one: Any, size: int, other: Any, other_size: int) -> Any:
    """The formula for "these two ranges have no byte in common", also where one of them wraps."""
    return z3.And(z3.UGE(other - one, number(size)), z3.UGE(one - other, number(other_size)))


@dataclass(frozen=True)
class Store:
    """One store: where, what, and when (stores are counted)."""

    base: Any
    distance: int
    value: Any
    when: int

    def size(self) -> int:
        return int(self.value.size()) // 8

    def address(self) -> Any:
        return number(self.distance) if self.base is None else self.base + number(self.distance)


@dataclass(frozen=True)
class Field:
    """Bytes whose content at the start has a name."""

    name: str
    distance: int
    value: Any


@dataclass
class Area:
    """A declared object: its name, and its fields. Fields may be added while code runs: their content is the same on
    all paths. `separate` are the names of areas that are assumed to have no byte in common with this one.
    """

    name: str
    fields: dict[int, Field] = field(default_factory=dict)
    separate: frozenset[str] = frozenset()


Cell = tuple[str, int]  # one byte: the key of its base, and its distance

# What is at a base and a distance when the code starts, so many bytes; None where that is not known.
Initial = Callable[[Any, int, int], Any]


class World:
    """What is known about memory when the code starts: the same for all paths of a run."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.areas: dict[str, Area] = {}
        self.initial: list[Initial] = []
        self.computed: list[tuple[Any, Area]] = []
        self.assumed: set[tuple[str, str]] = set()  # pairs of areas that were taken to be apart, and had to be
        self.unnamed: dict[str, tuple[Any, int]] = {}  # cells that were read and had no name
        self.allows_unnamed = False

    def declare(self, base: Any, name: str, fields: dict[str, tuple[int, Any]], separate: frozenset[str]) -> Area:
        """Declare what a pointer leads to: {field: (distance, content)}."""
        base, start = split(base)
        if base is None and start == 0:
            return Area(name)  # a pointer that leads nowhere, in a case that is run again
        area = self.areas.setdefault(key(base), Area(name, separate=separate))
        for each, (distance, value) in fields.items():
            area.fields[start + distance] = Field(f"{name}.{each}", start + distance, value)
        return area

    def declare_computed(self, address: Any, name: str, fields: dict[str, tuple[int, Any]]) -> None:
        """Declare what is at an address that the code may write in many ways (an index times a size, say): it is that
        where the solver shows it. What is read there must be one whole field.
        """
        made = {distance: Field(f"{name}.{each}", distance, value) for each, (distance, value) in fields.items()}
        self.computed.append((address, Area(name, made)))

    def at_computed(self, base: Any, distance: int, size: int, is_so: Callable[[Any], bool]) -> Any:
        """What is there when the code starts if it is a field of such an area, and of nothing that is found at once."""
        if not self.computed or self._is_covered(base, distance, size):
            return None
        here = number(distance) if base is None else base + number(distance)
        for address, area in self.computed:
            for each in area.fields.values():
                if each.value.size() == 8 * size and is_so(here == address + number(each.distance)):
                    return each.value
        return None

    def _is_covered(self, base: Any, distance: int, size: int) -> bool:
        area = self.area(base)
        there = area is not None and all(_covering(area, at) is not None for at in range(distance, distance + size))
        return there or self._whole_at_start(base, distance, size) is not None

    def area(self, base: Any) -> Area | None:
        return self.areas.get(key(base))

    def name(self, base: Any) -> str:
        """What a base is called in sentences."""
        area = self.area(base)
        return area.name if area is not None else "address" if base is None else f"[{' '.join(str(base).split())}]"

    def are_separate(self, one: Any, other: Any) -> bool:
        """Whether two bases are assumed to have no byte in common."""
        if key(one) == key(other):
            return False
        names = self._area_name(one), self._area_name(other)
        if STACK in names:
            self.assumed.add((names[0], names[1]) if names[0] == STACK else (names[1], names[0]))
            return True
        first, second = self.area(one), self.area(other)
        if first is None or second is None:
            return False
        if second.name in first.separate or first.name in second.separate:
            self.assumed.add((min(names), max(names)))
            return True
        return False

    def _area_name(self, base: Any) -> str:
        area = self.area(base)
        return area.name if area is not None else "something else"

    def at_start(self, base: Any, distance: int, size: int) -> list[tuple[Any, int]]:
        """The bytes that are there when the code starts."""
        whole = self._whole_at_start(base, distance, size)
        if whole is not None:
            return [(whole, at) for at in range(size)]
        area = self.area(base)
        bytes_: list[tuple[Any, int]] = []
        for at in range(distance, distance + size):
            covering = None if area is None else _covering(area, at)
            if covering is None:
                return self._unnamed(base, distance, size)
            bytes_.append((covering.value, at - covering.distance))
        return bytes_

    def _whole_at_start(self, base: Any, distance: int, size: int) -> Any:
        if base is None:
            constant = self.image.constant(distance, size)
            if constant is not None:
                return z3.BitVecVal(int.from_bytes(constant, "little"), 8 * size)
        for ask in self.initial:
            found = ask(base, distance, size)
            if found is not None:
                return found
        return None

    def _unnamed(self, base: Any, distance: int, size: int) -> list[tuple[Any, int]]:
        name = f"{self.name(base)}+{distance:#x}"
        if not self.allows_unnamed:
            raise Cannot(f"the code reads {size} bytes at {name}, of which the proof says nothing")
        cells = [f"{key(base)}+{at:#x}" for at in range(distance, distance + size)]
        whole = z3.BitVec(f"at {name}", 8 * size)
        for at, cell in enumerate(cells):
            self.unnamed.setdefault(cell, (whole, at))
        return [self.unnamed[cell] for cell in cells]


def _covering(area: Area, at: int) -> Field | None:
    for back in range(8):
        found = area.fields.get(at - back)
        if found is not None and found.distance + found.value.size() // 8 > at:
            return found
    return None


@dataclass
class Memory:
    """What was stored on one path, on top of what was there."""

    world: World
    cells: dict[str, dict[int, tuple[Any, int, int]]] = field(default_factory=dict)  # base -> byte -> term, which, when
    stores: tuple[Store, ...] = ()
    forgotten: frozenset[Cell] = frozenset()  # what may have been written before this path began, and with what

    def copy(self) -> Memory:
        return Memory(
            self.world, {base: dict(cells) for base, cells in self.cells.items()}, self.stores, self.forgotten
        )

    def store(self, address: Any, value: Any) -> Store:
        """Store a value, low byte first."""
        base, distance = split(address)
        made = Store(base, distance, value, len(self.stores))
        self.stores = (*self.stores, made)
        cells = self.cells.setdefault(key(base), {})
        for at in range(made.size()):
            cells[distance + at] = (value, at, made.when)
        return made

    def load(self, address: Any, size: int, is_so: Callable[[Any], bool]) -> Any:
        """What is there. `is_so` says whether a formula holds for certain. Raises Cannot."""
        base, distance = split(address)
        cells = self.cells.get(key(base), {})
        known = [cells.get(distance + at) for at in range(size)]
        since = min(-1 if one is None else one[2] for one in known)
        same = self._elsewhere(base, distance, size, since, is_so)
        if same is not None:
            return same
        if all(one is not None for one in known):
            return joined([(one[0], one[1]) for one in known if one is not None])
        open_ = {(key(base), distance + at) for at, one in enumerate(known) if one is None}
        if open_ & self.forgotten:
            raise Cannot(f"what is read at {self.world.name(base)}+{distance:#x} was written in a pass before")
        if len(open_) == size:
            computed = self.world.at_computed(base, distance, size, is_so)
            if computed is not None:
                return computed
        start = self.world.at_start(base, distance, size)
        return joined([start[at] if one is None else (one[0], one[1]) for at, one in enumerate(known)])

    def written(self) -> frozenset[Cell]:
        """The bytes outside of the stack that have been written on the way here."""
        mine = {
            (key(one.base), one.distance + at)
            for one in self.stores
            if self.world.name(one.base) != STACK
            for at in range(one.size())
        }
        return self.forgotten | mine

    def _elsewhere(self, base: Any, distance: int, size: int, since: int, is_so: Callable[[Any], bool]) -> Any:
        """What a later store at another base left there, or None if none of them did."""
        for one in reversed(self.stores[since + 1 :]):
            if key(one.base) == key(base) or self.world.are_separate(one.base, base):
                continue
            here = number(distance) if base is None else base + number(distance)
            if is_so(apart(here, size, one.address(), one.size())):
                continue
            if one.size() == size and is_so(here == one.address()):
                return one.value
            raise Cannot(
                f"what is read at {self.world.name(base)}+{distance:#x} may be what was stored at "
                f"{self.world.name(one.base)}+{one.distance:#x}: the proof must say whether the two are apart"
            )
        return None
