"""One step of a tree search, in the code of vhost_iotlb.ko and in the model: `vhost_iotlb_itree_first`, and `_next`.

The model's step is `model.interval_tree`: what is proved of it are the theorems ITREE.*. Its nodes are made here for
each case that the code can tell apart: which children there are, and on which side a node hangs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import product
from typing import Any

import z3

import model.interval_tree as interval_tree
from conformance.targets.linux.proved.layout import Layout
from model.interval_tree import Interval, IntervalTree
from model.rbtree import Node
from proofs.objectcode.calls import KERNEL_HOOKS
from proofs.objectcode.flow import cuts_of
from proofs.objectcode.image import Image
from proofs.objectcode.machine import Machine
from proofs.objectcode.memory import STACK
from proofs.objectcode.models import Names, as_int, ways_of
from proofs.objectcode.passes import ENTRY, Claim, GoesOn, Way
from proofs.objectcode.relations import Fact, Template
from proofs.objectcode.state import State
from proofs.theorem import Patch, patched

NODE_FIELDS = ("above", "left", "right", "first", "last", "summary")
FIRST, NEXT = "vhost_iotlb_itree_first", "vhost_iotlb_itree_next"
GOING_UP = "next_above"
EXAMPLE = 0x1000_0000_0000  # where objects are in a case that is shown: far from any section of the file


class Search:
    """`vhost_iotlb_itree_first` beside the model's search; `below` is the model's step down."""

    name = FIRST

    def __init__(self, image: Image, layout: Layout, below: str, names: Names | None = None) -> None:
        self.layout, self.below = layout, below
        self.names = names or Names()
        self.function = image.function(self.name)
        self.cuts: Sequence[int] = cuts_of(image, self.function)
        self.machine = Machine(image, KERNEL_HOOKS, given=self.given())
        term = self.names.term
        self.variables: Mapping[str, Any] = {"node": term("node")}
        self.asked = [term("asked.first"), term("asked.last")]
        self.templates: Sequence[Template] = [Template("node", term("node"))]
        self.facts: Sequence[Fact] = [Fact("there is a node", term("node") != 0)]
        self.constants: Sequence[Any] = [term("map"), term("from"), *self.asked]
        self.examples: Sequence[Any] = self._examples()
        self._declare()

    # MEMORY ------------------------------------------------------------------------------------------------------

    def _declare(self) -> None:
        world, term, offset = self.machine.world, self.names.term, self.layout.offset
        world.declare(
            term("map"),
            "map",
            {one: (offset(f"map.{one}"), term(f"map.{one}")) for one in ("root", "leftmost")},
            NOWHERE,
        )
        for name, pointer in self.pointers():
            fields = {one: (offset(f"entry.{one}"), term(f"{name}.{one}")) for one in NODE_FIELDS}
            world.declare(pointer, name, fields, NOWHERE)

    def pointers(self) -> Iterator[tuple[str, Any]]:
        """The nodes that a pass may look at: what they are called, and the pointers to them."""
        term = self.names.term
        yield "root", term("map.root")
        yield "leftmost", term("map.leftmost")
        yield "node", term("node")
        yield "left", term("node.left")
        yield "right", term("node.right")

    def above(self) -> Any:
        """The pointer to the node above: a search does not look at it."""
        return z3.BitVecVal(0, 64)

    def given(self) -> list[Any]:
        """A cached root is never without a first node where there is a root."""
        term = self.names.term
        return [(term("map.root") == 0) == (term("map.leftmost") == 0)]

    def _examples(self) -> list[Any]:
        """Pointers that lead to objects apart from each other; what is right of the node above may be the node."""
        term = self.names.term
        pointers = {"map": term("map"), "from": term("from"), **dict(self.pointers())}
        known = [(name, pointer) for name, pointer in pointers.items() if not z3.is_bv_value(pointer)]
        apart = []
        for at, (name, pointer) in enumerate(known):
            itself = [pointer == term("node")] if name == "above right" else []
            apart.append(z3.Or(pointer == 0, pointer == EXAMPLE * (at + 1), *itself))
        return [z3.And(*apart, term("map") != 0, term("from") != 0)]

    def start(self) -> State:
        return self.machine.start(
            self.function, {"RDI": self.names.term("map"), "RSI": self.asked[0], "RDX": self.asked[1]}
        )

    # MODEL -------------------------------------------------------------------------------------------------------

    def node(self, name: str) -> Node:
        """A node of the model whose values are the fields of this one in memory."""
        term = self.names.term
        made = Node(Interval(as_int(term(f"{name}.first")), as_int(term(f"{name}.last")), None))
        made.summary = as_int(term(f"{name}.summary"))
        return made

    def ways(self, step: str) -> list[Way]:
        return self._from_entry() if step == ENTRY else self._below(step)

    def _from_entry(self) -> list[Way]:
        term = self.names.term
        root, ways = term("map.root"), []
        for is_there in (False, True):

            def run(is_there: bool = is_there) -> Any:
                tree = IntervalTree()
                tree.tree.root = self.node("root") if is_there else None
                tree.leftmost = self.node("leftmost") if is_there else None
                return self.seen(lambda: tree.first_touching(*map(as_int, self.asked)), {"root": tree.tree.root})

            ways += ways_of(run, [*self.machine.given, (root != 0) if is_there else (root == 0)])
        return ways

    def _below(self, step: str) -> list[Way]:
        term, ways = self.names.term, []
        for has_left, has_right in product((False, True), repeat=2):

            def run(has_left: bool = has_left, has_right: bool = has_right) -> Any:
                node = self.node("node")
                node.left = self.node("left") if has_left else None
                node.right = self.node("right") if has_right else None
                nodes = {"node": node, "node.left": node.left, "node.right": node.right}
                return self.seen(lambda: STEPS[step](node, *map(as_int, self.asked)), nodes)

            conditions = [_is_there(term("node.left"), has_left), _is_there(term("node.right"), has_right)]
            ways += ways_of(run, [*self.machine.given, term("node") != 0, *conditions])
        return ways

    def seen(self, run: Any, nodes: Mapping[str, Node | None]) -> Any:
        """What the model does, with its own steps seen and not followed: a pointer, or a step that it goes on with."""
        term = self.names.term
        special = {"root": term("map.root"), "above": self.above()}
        pointers = {id(node): special[name] if name in special else term(name) for name, node in nodes.items()}

        def go_on(step: str) -> Any:
            return lambda node, *arguments: GoesOn(step, {"node": pointers[id(node)]})

        with ExitStack() as stack:
            for step, replaced in (("leftmost_below", self.below), ("leftmost_surely_below", self.below), *self.more()):
                stack.enter_context(patched((Patch(interval_tree, step, go_on(replaced)),)))
            answer = run()
        if isinstance(answer, GoesOn):
            return answer
        return z3.BitVecVal(0, 64) if answer is None else pointers[id(answer)]

    def more(self) -> Sequence[tuple[str, str]]:
        """Further steps of the model that are seen and not followed."""
        return ()

    # CLAIMS ------------------------------------------------------------------------------------------------------

    def claims(self, step: str, state: State, way: Way) -> list[Claim]:
        elsewhere = [one for one in state.memory.stores if self.machine.world.name(one.base) != STACK]
        claims = [Claim("something is written that is no part of the stack", z3.BoolVal(not elsewhere))]
        if not isinstance(way.outcome, GoesOn):
            claims.append(Claim("another node is returned", state.get("RAX") == way.outcome))
        return claims

    def described(self, outcome: Any) -> str:
        if isinstance(outcome, GoesOn):
            return f"goes on with {outcome.step} at {outcome.values['node']}"
        return "finds nothing" if z3.is_bv_value(outcome) and outcome.as_long() == 0 else f"finds {outcome}"


NOWHERE: frozenset[str] = frozenset()
STEPS = {name: getattr(interval_tree, name) for name in ("leftmost_below", "leftmost_surely_below", GOING_UP)}


def _is_there(pointer: Any, there: bool) -> Any:
    return pointer != 0 if there else pointer == 0


class Next(Search):
    """`vhost_iotlb_itree_next` beside the model's step to the next interval, which goes up, and then down."""

    name = NEXT

    def pointers(self) -> Iterator[tuple[str, Any]]:
        term = self.names.term
        yield "from", term("from")
        yield "from right", term("from.right")
        yield "node", term("node")
        yield "left", term("node.left")
        yield "right", term("node.right")
        yield "above", self.above()
        yield "above right", term("above.right")

    def above(self) -> Any:
        """The pointer to the node above: its two low bits are the node's colour."""
        return z3.simplify(self.names.term("node.above") & z3.BitVecVal(-4, 64))

    def given(self) -> list[Any]:
        return [self.names.term("from") != 0]

    def start(self) -> State:
        return self.machine.start(
            self.function, {"RDI": self.names.term("from"), "RSI": self.asked[0], "RDX": self.asked[1]}
        )

    def more(self) -> Sequence[tuple[str, str]]:
        return ((GOING_UP, GOING_UP),)

    def ways(self, step: str) -> list[Way]:
        return self._above() if step == GOING_UP else super().ways(step)

    def _from_entry(self) -> list[Way]:
        term, ways = self.names.term, []
        for has_right in (False, True):

            def run(has_right: bool = has_right) -> Any:
                node = self.node("from")
                node.right = self.node("from right") if has_right else None
                nodes = {"from": node, "from.right": node.right}
                return self.seen(lambda: interval_tree.next_touching(node, *map(as_int, self.asked)), nodes)

            ways += ways_of(run, [*self.machine.given, _is_there(term("from.right"), has_right)])
        return ways

    def _above(self) -> list[Way]:
        """Nothing is above; or the node hangs on the right of what is; or it does not."""
        term = self.names.term
        above, right, node = self.above(), term("above.right"), term("node")
        cases = {
            "nothing": [above == 0],
            "on the right": [above != 0, right == node],
            "beside nothing": [above != 0, right != node, right == 0],
            "beside another": [above != 0, right != node, right != 0],
        }
        ways = []
        for case, conditions in cases.items():

            def run(case: str = case) -> Any:
                node = self.node("node")
                if case != "nothing":
                    node.parent = self.node("above")
                    node.parent.right = {"on the right": node, "beside another": self.node("above right")}.get(case)
                beside = None if node.parent is None else node.parent.right
                nodes = {"node": node, "above": node.parent, "above.right": beside}
                if beside is node:
                    del nodes["above.right"]
                return self.seen(lambda: STEPS[GOING_UP](node, *map(as_int, self.asked)), nodes)

            ways += ways_of(run, [*self.machine.given, node != 0, *conditions])
        return ways
