"""The slots as trees (Linux 5.17 on): two sets that share one copy of each slot.

A set finds a copy by slot number (a table), by guest page (a red-black tree) and by host range (an interval tree).
A copy has a place in each index of each set, so a change touches one set at a time and copies nothing else.

The sets are changed where they stand, as in the kernel: a state that the protocol yields is good until the next step.

Facts: include/linux/kvm_host.h struct kvm_memslots, search_memslots, kvm_memslot_iter_start;
virt/kvm/kvm_main.c kvm_replace_memslot, kvm_vcpu_gfn_to_memslot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from model.interval_tree import Interval, IntervalTree
from model.memslots.machine import Machine
from model.memslots.memory import OutOfMemory
from model.memslots.protocol import (
    DELETE,
    MOVE,
    Change,
    OneSet,
    SlotCopy,
    VcpuCache,
    Writer,
    invalid_copy,
    slot_at,
    two_empty_sets,
    vcpu_slot_at,
)
from model.rbtree import Node, RedBlackTree, next_of, previous_of
from spec.memslots import set_region as region
from spec.memslots.access import GUEST_SPACE
from spec.profile import Profile
from spec.rule import Rule
from spec.units import address_of


class TreeSet:
    """One set: the same copies in three indexes."""

    def __init__(self) -> None:
        self.id_table: dict[int, SlotCopy] = {}
        self.gfn_tree = RedBlackTree()
        self.hva_tree = IntervalTree()
        # The places of a copy in the trees, by its address. The kernel has room for both sets' in the slot itself.
        self.gfn_nodes: dict[int, Node] = {}
        self.hva_nodes: dict[int, Node] = {}

    # Changing --------------------------------------------------------------------------------------------------

    def exchanged(self, old: SlotCopy | None, new: SlotCopy | None) -> TreeSet:
        """Put `new` where `old` was. With the same first page it takes over the place in the guest tree as it is."""
        if old is not None:
            del self.id_table[old.id]
            self.hva_tree.remove(self.hva_nodes.pop(old.address))
        if new is not None:
            self.id_table[new.id] = new
            host = Interval(new.hva, new.hva + address_of(new.npages) - 1, new)
            self.hva_nodes[new.address] = self.hva_tree.insert(host)
        if old is not None and new is not None and old.base_gfn == new.base_gfn:
            place = Node(new)
            self.gfn_tree.exchange(self.gfn_nodes.pop(old.address), place)
            self.gfn_nodes[new.address] = place
            return self
        if old is not None:
            self.gfn_tree.erase(self.gfn_nodes.pop(old.address))
        if new is not None:
            self._insert_gfn(new)
        return self

    def _insert_gfn(self, new: SlotCopy) -> None:
        place = Node(new)
        if self.gfn_tree.root is None:
            self.gfn_tree.insert(place, None, on_the_left=False)
        else:
            self.gfn_tree.insert(place, *place_below(self.gfn_tree.root, new.base_gfn))
        self.gfn_nodes[new.address] = place

    def added(self, copy: SlotCopy) -> TreeSet:
        """One more copy."""
        return self.exchanged(None, copy)

    def removed(self, copy: SlotCopy) -> TreeSet:
        """One copy less."""
        return self.exchanged(copy, None)

    # Asking ----------------------------------------------------------------------------------------------------

    def by_id(self, slot_id: int) -> SlotCopy | None:
        """The copy with this number."""
        return self.id_table.get(slot_id)

    def at_gfn(self, gfn: int) -> SlotCopy | None:
        """The copy that holds a guest page, down the tree from the root."""
        node = holding_below(self.gfn_tree.root, gfn)
        return None if node is None else node.value

    def in_gfn_range(self, first: int, last: int) -> Iterator[SlotCopy]:
        """The copies with a guest page in first..last, lowest first."""
        node = self._first_reaching(first)
        while node is not None and first_page(node) <= last:
            yield node.value
            node = next_of(node)

    def _first_reaching(self, gfn: int) -> Node | None:
        """The place of the lowest copy that ends at this page or later.

        Only the one before the first that begins above the page can reach it from below.
        """
        above = first_behind(self.gfn_tree.root, gfn, None)
        before = self.gfn_tree.last() if above is None else previous_of(above)
        if before is not None and first_page(before) <= gfn <= last_page(before):
            return before
        return above

    def in_hva_range(self, first: int, last: int) -> Iterator[SlotCopy]:
        """The copies with a host byte in first..last, lowest host address first."""
        for interval in self.hva_tree.touching(first, last):
            yield interval.of

    def in_gfn_order(self) -> list[SlotCopy]:
        """All copies, lowest guest page first."""
        return [node.value for node in self.gfn_tree.in_order()]

    def every(self, holds: Callable[[Any], bool]) -> bool:
        """Whether `holds` is true of each copy."""
        return all(holds(copy) for copy in self.in_gfn_order())

    def some(self, holds: Callable[[Any], bool]) -> bool:
        """Whether `holds` is true of at least one copy."""
        return any(holds(copy) for copy in self.in_gfn_order())

    def only(self, holds: Callable[[Any], bool]) -> SlotCopy | None:
        """The copy of which `holds` is true, or None."""
        return next((copy for copy in self.in_gfn_order() if holds(copy)), None)


# The steps of the guest tree, down from a node: each ends by calling itself (see `model.rbtree`).


def first_page(node: Node) -> int:
    """The first guest page of a node's copy."""
    first: int = node.value.base_gfn
    return first


def last_page(node: Node) -> int:
    """The last guest page of a node's copy."""
    last: int = node.value.base_gfn + node.value.npages - 1
    return last


def holding_below(node: Node | None, gfn: int) -> Node | None:
    """The place in a subtree of the copy that holds a guest page, or None."""
    if node is None:
        return None
    if gfn < first_page(node):
        return holding_below(node.left, gfn)
    if gfn <= last_page(node):
        return node
    return holding_below(node.right, gfn)


def place_below(node: Node, gfn: int) -> tuple[Node, bool]:
    """Where in a subtree a copy that begins at a guest page goes: below which node, and whether on its left."""
    assert gfn != first_page(node), "two slots of one set begin at the same guest page"
    on_the_left = gfn < first_page(node)
    below = node.left if on_the_left else node.right
    return (node, on_the_left) if below is None else place_below(below, gfn)


def first_behind(node: Node | None, gfn: int, found: Node | None) -> Node | None:
    """The first place in a subtree that begins behind a guest page; where there is none, the one `found` above it."""
    if node is None:
        return found
    if gfn < first_page(node):
        return first_behind(node.left, gfn, node)
    return first_behind(node.right, gfn, found)


class TreeMachine(Machine):
    """A VM of a kernel with trees. Virtual CPUs have caches of their own."""

    def __init__(self, profile: Profile, writer: Writer | None = None) -> None:
        spaces = [two_empty_sets(space, TreeSet(), TreeSet()) for space in range(profile.address_spaces)]
        super().__init__(profile, writer or Writer(profile.address_spaces), spaces)
        self.vcpu = VcpuCache()  # of the one virtual CPU that requests run on

    def search(self, looked_in: OneSet, gfn: int) -> tuple[SlotCopy | None, Any]:
        after, found = slot_at(looked_in, gfn)
        return found, None if after is looked_in else after.last_used

    def remember(self, space: int, number: int, found: Any) -> None:
        state = self.spaces[space]
        if state.active.number == number:
            self.spaces[space] = replace(state, active=replace(state.active, last_used=found))
        elif state.inactive.number == number:
            self.spaces[space] = replace(state, inactive=replace(state.inactive, last_used=found))

    def vcpu_search(self, cache: VcpuCache, looked_in: OneSet, gfn: int) -> tuple[VcpuCache, SlotCopy | None]:
        """The copy in a set that holds a guest page, as a virtual CPU searches, and what it remembers then."""
        return vcpu_slot_at(cache, looked_in, gfn)

    def vcpu_look_up(self, gfn: int) -> SlotCopy | None:
        self.vcpu, found = self.vcpu_search(self.vcpu, self.spaces[GUEST_SPACE].active, gfn)
        return self.usable(found)

    def caches(self, space: int) -> tuple[Any, Any]:
        return self.spaces[space].active.last_used, self.spaces[space].inactive.last_used

    def planned(self, kind: str, old: SlotCopy | None, new: SlotCopy | None) -> tuple[Change, Rule | None]:
        """The stand-in first, for a delete or move; then the bitmap and the processor's part, which may fail."""
        stand_in = None
        if kind in (DELETE, MOVE):
            assert old is not None
            try:
                stand_in = invalid_copy(old, self.memory.allocate())
            except OutOfMemory:
                return Change(kind, old, new), region.NO_MEMORY
        if new is None:
            return Change(kind, old, None, stand_in), None
        try:
            new = replace(new, bitmap=self.bitmap_for(old, new))
            rule = self.arch_prepare(kind, new)
        except OutOfMemory:
            rule = region.NO_MEMORY
        if rule is not None:
            self.free_fresh_bitmap(old, new.bitmap)
        return Change(kind, old, new, stand_in, prepare_fails=rule is not None), rule
