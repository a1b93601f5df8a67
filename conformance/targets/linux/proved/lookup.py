"""The lookup of a slot by guest page, in the code of kvm.ko and in the model: what is alike for all kernels.

Two functions look a slot up: `gfn_to_memslot` in the slots of the guest, `kvm_vcpu_gfn_to_memslot` in those of the
address space that a virtual CPU is in. How the slots are kept is told in `tree_lookup` and in `array_lookup`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import z3

from conformance.targets.linux.proved.hypothesis import Hypothesis
from conformance.targets.linux.proved.layout import Layout
from model.memslots.protocol import NO_BITMAP, SlotCopy
from proofs.objectcode.calls import KERNEL_HOOKS
from proofs.objectcode.flow import asks_first, cuts_of
from proofs.objectcode.image import Image
from proofs.objectcode.machine import Machine
from proofs.objectcode.memory import STACK
from proofs.objectcode.models import Names, as_int
from proofs.objectcode.passes import ENTRY, Claim, GoesOn, Way
from proofs.objectcode.relations import Fact, Template
from proofs.objectcode.state import State
from proofs.objectcode.terms import key, split

OF_GUEST, OF_VCPU = "gfn_to_memslot", "kvm_vcpu_gfn_to_memslot"
EXAMPLE = 0x1000_0000_0000  # where objects are in a case that is shown: far from any section of the file
MOST_PAGES = 2**52  # guest pages: 2^64 bytes
ENDS = Hypothesis(
    "no slot ends behind the guest page 2^52", "a slot is refused whose last byte would be behind the last address"
)


@dataclass(frozen=True)
class Found:
    """The lookup is over: the pointer that is returned, and what is to be remembered (field: value)."""

    slot: Any
    remembered: Mapping[str, Any]


@dataclass(frozen=True)
class Searches(GoesOn):
    """The search goes on; what is to be remembered so far."""

    remembered: Mapping[str, Any] = field(default_factory=dict)


class StepError(Exception):
    """The model goes on with another step: the pass is over. The arguments are those of the step."""


class Lookup(ABC):
    """One of the two functions beside the model's. `without` are hypotheses that are not taken. The code's loop may be
    cut where it asks whether anything is left to search, or behind that: then the model's step asks for the next.
    `as_it_seems` says that what comes first in the code is believed.
    """

    model: str  # what is compared, for the reader
    assumes: Sequence[str]
    more_assumed: Sequence[str] = ()
    slots: Sequence[str] = ()  # what the slots are called that a pass may look at
    cells: Sequence[str] = ()  # the fields in which something may be remembered
    variables: Mapping[str, Any]
    templates: Sequence[Template]
    facts: Sequence[Fact]

    def __init__(
        self,
        image: Image,
        layout: Layout,
        name: str,
        as_it_seems: bool,
        names: Names | None = None,
        without: Sequence[Hypothesis] = (),
    ) -> None:
        self.layout, self.without, self.is_vcpu = layout, without, name == OF_VCPU
        self.names = names or Names()
        self.function = image.function(name)
        self.cuts: Sequence[int] = cuts_of(image, self.function)
        self.asks_first = as_it_seems == all(asks_first(image, one) for one in self.cuts)
        self.machine = Machine(image, KERNEL_HOOKS, given=self.given())
        self._declare()
        self.constants: Sequence[Any] = self._constants()
        self.examples: Sequence[Any] = self._examples()

        self.assumes = [
            "RCU keeps the slots, and nobody changes a set while it is searched (but for what is remembered)",
            *(["a virtual CPU is in address space 1 exactly in system management mode"] if self.is_vcpu else []),
            *self.more_assumed,
        ]

    # MEMORY ------------------------------------------------------------------------------------------------------

    def _declare(self) -> None:
        """The guest, the virtual CPU, and where the set is found."""
        world, term, offset = self.machine.world, self.names.term, self.layout.offset
        if not self.is_vcpu:
            world.declare(term("kvm"), "kvm", {"sets": (offset("kvm.sets"), term("set"))}, NOWHERE)
        else:
            fields = {one: (offset(f"vcpu.{one}"), term(f"vcpu.{one}", bits)) for one, bits in self.vcpu_fields()}
            world.declare(term("vcpu"), "vcpu", fields, frozenset({"set"}))
            place = term("vcpu.kvm") + offset("kvm.sets") + 8 * self.space()
            world.declare_computed(place, "the guest's sets", {"of this space": (0, term("set"))})
        fields = {one: (offset(f"set.{one}"), term(f"set.{one}", bits)) for one, bits in self.set_fields()}
        world.declare(term("set"), "set", fields, NOWHERE)

    def vcpu_fields(self) -> Iterator[tuple[str, int]]:
        """The fields of a virtual CPU that the code may read, and how many bits they have."""
        yield from (("kvm", 64), ("flags", 32))

    @abstractmethod
    def set_fields(self) -> Iterator[tuple[str, int]]:
        """Those of a set."""

    def space(self) -> Any:
        """The address space of a virtual CPU: 1 in system management mode, else 0."""
        bit = self.layout.smm_bit()
        return z3.ZeroExt(63, z3.Extract(bit, bit, self.names.term("vcpu.flags", 32)))

    def given(self) -> list[Any]:
        """All slots end where slots may."""
        if ENDS in self.without:
            return []
        term, given = self.names.term, []
        for name in self.slots:
            first, pages = term(f"{name}.first"), term(f"{name}.pages")
            given += [z3.ULE(first, MOST_PAGES), z3.ULE(pages, MOST_PAGES), z3.ULE(first + pages, MOST_PAGES)]
        return given

    @abstractmethod
    def pointers(self) -> Iterator[Any]:
        """Pointers other than those to the guest, the virtual CPU and the set."""

    def _constants(self) -> list[Any]:
        term = self.names.term
        mine = [term("vcpu"), term("vcpu.kvm"), term("vcpu.flags", 32)] if self.is_vcpu else [term("kvm")]
        numbers = [term(f"set.{one}", bits) for one, bits in self.set_fields() if bits == 32]
        return [term("gfn"), term("set"), *mine, *numbers]

    def _examples(self) -> list[Any]:
        """Pointers that lead to objects apart from each other."""
        term = self.names.term
        mine = [term("vcpu"), term("vcpu.kvm")] if self.is_vcpu else [term("kvm")]
        fixed = [one == EXAMPLE * (at + 1) for at, one in enumerate([*mine, term("set")])]
        apart = [z3.Or(one == 0, one == EXAMPLE * (at + 8)) for at, one in enumerate(self.pointers())]
        return [z3.And(*fixed), z3.And(*apart)]

    def start(self) -> State:
        term = self.names.term
        return self.machine.start(self.function, {"RDI": term("vcpu" if self.is_vcpu else "kvm"), "RSI": term("gfn")})

    # MODEL -------------------------------------------------------------------------------------------------------

    def gfn(self) -> Any:
        return as_int(self.names.term("gfn"))

    def copy(self, name: str) -> SlotCopy:
        """A slot of the model whose values are the fields of this one in memory."""
        first, pages = (as_int(self.names.term(f"{name}.{one}")) for one in ("first", "pages"))
        return SlotCopy(self.slots.index(name), 0, 0, first, pages, 0, 0, NO_BITMAP)

    @abstractmethod
    def pointer(self, name: str) -> Any:
        """The pointer to a slot of this name."""

    def pointer_of(self, copy: SlotCopy | None) -> Any:
        """The pointer to a slot that the model found."""
        return z3.BitVecVal(0, 64) if copy is None else self.pointer(self.slots[copy.address])

    @abstractmethod
    def ways(self, step: str) -> list[Way]: ...

    # CLAIMS ------------------------------------------------------------------------------------------------------

    def claims(self, step: str, state: State, way: Way) -> list[Claim]:
        claims = self._written(step, state, way.outcome.remembered)
        if isinstance(way.outcome, Found):
            claims.append(Claim("another slot is returned", state.get("RAX") == way.outcome.slot))
        return claims

    def _written(self, step: str, state: State, wanted: Mapping[str, Any]) -> list[Claim]:
        """What is to be remembered, each in its field, and nothing else outside of the stack."""
        world = self.machine.world
        stores = [one for one in state.memory.stores if world.name(one.base) != STACK]
        got = {(key(one.base), one.distance, one.size()) for one in stores}
        places = {name: self._place(name) for name in self.cells}
        claims = [Claim("something else is written", z3.BoolVal(got <= set(places.values())))]
        for name, place in places.items():
            is_there = place in got
            if name in wanted:
                claims.append(Claim(f"{name} is not written", z3.BoolVal(is_there)))
            if not is_there:
                continue
            value = self.machine.load(state, self._address(name), place[2])
            if name in wanted:
                claims.append(Claim(f"another value is written to {name}", value == wanted[name]))
            else:  # what was there may be written again, in the pass that could still read it
                kept = value == self.names.term(name, 8 * place[2]) if step == ENTRY else z3.BoolVal(False)
                claims.append(Claim(f"{name} is written", kept))
        return claims

    def _address(self, name: str) -> Any:
        return self.names.term(name.split(".")[0]) + self.layout.offset(name)

    def _place(self, name: str) -> tuple[str, int, int]:
        base, distance = split(self._address(name))
        return key(base), distance, self.layout.places[name].size

    def described(self, outcome: Any) -> str:
        if isinstance(outcome, GoesOn):
            return f"goes on with {outcome.step}"
        none = z3.is_bv_value(outcome.slot) and outcome.slot.as_long() == 0
        return "finds no slot" if none else "finds a slot"


NOWHERE: frozenset[str] = frozenset()
