"""The lookup of a slot in a tree (Linux 5.17 on), in the code of kvm.ko and in the model.

The model's lookups are `slot_at` and `vcpu_slot_at` of `model.memslots.protocol`: first the slot that was found last,
then down the tree, one step of which is `model.memslots.tree.holding_below`. What is proved of them are the theorems
TREE.SLOTS.SEARCH, TWOSETS.SEARCH and TWOSETS.VCPU.*. A slot has two places in trees, one for each set: pointers within
a tree lead to the place that belongs to the set's number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import z3

import model.memslots.protocol as protocol
import model.memslots.tree as tree
from conformance.targets.linux.proved.hypothesis import Hypothesis
from conformance.targets.linux.proved.layout import Layout
from conformance.targets.linux.proved.lookup import NOWHERE, Found, Lookup, Searches, StepError
from model.memslots.protocol import OneSet, SlotCopy, VcpuCache
from model.rbtree import Node
from proofs.objectcode.image import Image
from proofs.objectcode.models import Names, as_bits, as_int, ways_of
from proofs.objectcode.passes import ENTRY, Way
from proofs.objectcode.relations import Fact, Template
from proofs.theorem import Patch, patched

STEP = "holding_below"
NODE = 24  # bytes of a struct rb_node
PLACES = {"node": "node", "root": "set.root", "left": "node.left", "right": "node.right"}  # pointers within the tree
holding_below = tree.holding_below


class TreeLookup(Lookup):
    """A lookup beside the model's, with one step down the tree in each pass."""

    model = "slot_at with holding_below"
    more_assumed = ("the number of a set is 0 or 1, and no slot is at address 0",)
    slots = ("cached", *PLACES)

    def __init__(
        self,
        image: Image,
        layout: Layout,
        name: str,
        as_it_seems: bool,
        names: Names | None = None,
        without: Sequence[Hypothesis] = (),
    ) -> None:
        super().__init__(image, layout, name, as_it_seems, names, without)
        node = self.names.term("node")
        if self.is_vcpu:
            self.model = f"vcpu_{self.model}"
        self.cells = ("vcpu.last", "vcpu.generation") if self.is_vcpu else ("set.last",)
        self.variables: Mapping[str, Any] = {"node": node}
        self.templates: Sequence[Template] = [
            Template("node", node),
            Template("the node's slot", self.slot_of(node)),
            Template("from a node to its slot", self.slot_of(z3.BitVecVal(0, 64))),
        ]
        self.facts: Sequence[Fact] = [Fact("there is a node", node != 0)]

    # MEMORY ------------------------------------------------------------------------------------------------------

    def vcpu_fields(self) -> Iterator[tuple[str, int]]:
        yield from super().vcpu_fields()
        yield from (("last", 64), ("generation", 64))

    def set_fields(self) -> Iterator[tuple[str, int]]:
        yield from (("root", 64), ("number", 32), ("last", 64), ("generation", 64))

    def _declare(self) -> None:
        super()._declare()
        world, term, offset = self.machine.world, self.names.term, self.layout.offset
        for name in PLACES:
            sides = {one: (offset(f"node.{one}"), term(f"{name}.{one}")) for one in ("left", "right")}
            world.declare(term(PLACES[name]), name, sides, NOWHERE)
        for name in self.slots:
            fields = {one: (offset(f"slot.{one}"), term(f"{name}.{one}")) for one in ("first", "pages")}
            if name == "cached":
                world.declare(self.pointer(name), name, fields, NOWHERE)
            else:
                world.declare_computed(self.pointer(name), name, fields)

    def slot_of(self, node: Any) -> Any:
        """The slot that a node is in: of the places in it, the node is that of the set's number."""
        number = z3.ZeroExt(32, self.names.term("set.number", 32))
        return node - self.layout.offset("slot.nodes") - NODE * number

    def pointer(self, name: str) -> Any:
        if name == "cached":
            return self.names.term("vcpu.last" if self.is_vcpu else "set.last")
        return self.slot_of(self.names.term(PLACES[name]))

    def pointers(self) -> Iterator[Any]:
        yield self.pointer("cached")
        yield from map(self.names.term, PLACES.values())

    def given(self) -> list[Any]:
        """Sets are numbered 0 and 1; and a node is in a slot, which is not at address 0."""
        nodes = [self.names.term(one) for one in PLACES.values()]
        in_slots = [z3.Or(one == 0, self.slot_of(one) != 0) for one in nodes]
        return [*super().given(), z3.ULT(self.names.term("set.number", 32), 2), *in_slots]

    # MODEL -------------------------------------------------------------------------------------------------------

    def ways(self, step: str) -> list[Way]:
        return self._from_entry() if step == ENTRY else self._below()

    def _from_entry(self) -> list[Way]:
        ways = []
        for is_cached, has_root in product((False, True), repeat=2):

            def run(is_cached: bool = is_cached, has_root: bool = has_root) -> Any:
                root = Node(self.copy("root")) if has_root else None
                cached = self.copy("cached") if is_cached else None
                return self._looked_up(cached, {"root": root}, steps=0)

            conditions = [(self.pointer("cached") != 0) == is_cached, (self.names.term("set.root") != 0) == has_root]
            ways += ways_of(run, [*self.machine.given, *conditions])
        return ways

    def _below(self) -> list[Way]:
        """A step down, and what is made of its answer: by then the cache is known not to hold the page."""
        term, ways = (
            self.names.term,
            ways_of(
                lambda: self._looked_up(None, {"node": None}, steps=1),
                [*self.machine.given, self.names.term("node") == 0],
            ),
        )
        for has_left, has_right in product((False, True), repeat=2):

            def run(has_left: bool = has_left, has_right: bool = has_right) -> Any:
                node = Node(self.copy("node"))
                node.left = Node(self.copy("left")) if has_left else None
                node.right = Node(self.copy("right")) if has_right else None
                return self._looked_up(None, {"node": node, "left": node.left, "right": node.right}, steps=1)

            conditions = [(term("node.left") != 0) == has_left, (term("node.right") != 0) == has_right]
            ways += ways_of(run, [*self.machine.given, term("node") != 0, *conditions])
        return ways

    def _looked_up(self, cached: SlotCopy | None, nodes: Mapping[str, Node | None], steps: int) -> Any:
        """The model's lookup in the tree of the first of these nodes: at most so many steps of the search."""
        members = tree.TreeSet()
        members.gfn_tree.root = next(iter(nodes.values()))
        generation = as_int(self.names.term("set.generation"))
        looked_in = OneSet(0, members, generation, None if self.is_vcpu else cached)
        filled_in = as_int(self.names.term("vcpu.generation")) if self.is_vcpu and not steps else generation
        before = now = VcpuCache(cached, filled_in)
        left = steps

        def step(node: Node | None, gfn: int) -> Node | None:
            nonlocal left
            left -= 1
            if left < 0 and (self.asks_first or node is not None):
                raise StepError(node)
            return holding_below(node, gfn)

        def still_good(cache: VcpuCache, generation: int) -> VcpuCache:
            nonlocal now
            now = protocol_still_good(cache, generation)
            return now

        with patched((Patch(tree, STEP, step), Patch(protocol, "still_good", still_good))):
            try:
                if self.is_vcpu:
                    now, found = protocol.vcpu_slot_at(before, looked_in, self.gfn())
                    return Found(self.pointer_of(found), self._of_cache(before, now))
                after, found = protocol.slot_at(looked_in, self.gfn())
                remembered = {} if after is looked_in else {"set.last": self.pointer_of(after.last_used)}
                return Found(self.pointer_of(found), remembered)
            except StepError as next_one:
                names = {id(node): name for name, node in nodes.items() if node is not None}
                [node] = next_one.args
                pointer = z3.BitVecVal(0, 64) if node is None else self.names.term(PLACES[names[id(node)]])
                return Searches(STEP, {"node": pointer}, self._of_cache(before, now))

    def _of_cache(self, before: VcpuCache, now: VcpuCache) -> Mapping[str, Any]:
        """What is new in a virtual CPU's cache."""
        new: dict[str, Any] = {}
        if now.slot is not before.slot:
            new["vcpu.last"] = self.pointer_of(now.slot)
        if now.generation is not before.generation:
            new["vcpu.generation"] = as_bits(now.generation)
        return new


protocol_still_good: Callable[[VcpuCache, int], VcpuCache] = protocol.still_good
