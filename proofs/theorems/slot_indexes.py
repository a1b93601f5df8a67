"""The three indexes of a set of slots have the same slots: what leaves one leaves all, what comes to one comes to all.

`model.memslots.tree.TreeSet` runs over trees and tables that are told what to add and to remove, and find just that
(`ITREE.*`, `RBTREE.*` and `TREE.SLOTS.*` are about how trees do it). Which slots there are is changed in one place,
`exchanged`. One more slot is there, or none, and stands for each of the others: nothing but the keys of those that come
and go is ever asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import model.memslots.tree as trees
from model.interval_tree import Interval
from model.memslots.protocol import SlotCopy
from model.memslots.tree import TreeSet
from model.rbtree import Node
from proofs.symbolic.boolean import all_of, any_of, implies
from proofs.theorem import Bug, Patch, Theorem, patched
from proofs.theorems.two_sets import COPY_SHAPE
from proofs.world import World
from spec.units import PAGE_SIZE, U64_MAX

BOUND = "one slot besides those that come and go, or none: it stands for each of the others, of which nothing is asked"

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_change(world: World) -> dict[str, Any]:
    """A slot that goes, one that comes, and one that stays: each may be missing; and which method is called."""
    slots = {name: world.record(name, COPY_SHAPE) for name in ("old", "new", "other")}
    return slots | {name: world.boolean(name) for name in ("has_old", "has_new", "has_other", "by_its_own_method")}


def any_question(world: World) -> dict[str, Any]:
    """Two slots, each of which may be missing; a number, a page, a range; and whether the trees find what there is."""
    numbers = {name: world.integer(name, 0, U64_MAX) for name in ("number", "gfn", "first", "last")}
    slots = {name: world.record(name, COPY_SHAPE) for name in ("old", "other")}
    return slots | numbers | {name: world.boolean(name) for name in ("has_old", "has_other", "finds")}


def have_names(old: Any, new: Any, other: Any, has_old: Any, has_new: Any, has_other: Any, **rest: Any) -> Any:
    """A slot goes or comes; no two have one address; the one that stays has a number of its own."""
    return all_of(
        any_of(has_old, has_new),
        old.address != new.address,
        *(all_of(other.address != one.address, other.id != one.id) for one in (old, new)),
    )


def are_two(old: Any, other: Any, **rest: Any) -> Any:
    """Both have numbers and addresses of their own."""
    return all_of(other.address != old.address, other.id != old.id)


# WHAT STANDS IN --------------------------------------------------------------------------------------------------


class Table:
    """Stands in for a Python dict: keys are compared and not hashed."""

    def __init__(self) -> None:
        self.has: list[tuple[Any, Any]] = []

    def __setitem__(self, key: Any, value: Any) -> None:
        self.has = [*((known, one) for known, one in self.has if known != key), (key, value)]

    def __delitem__(self, key: Any) -> None:
        self.pop(key)

    def pop(self, key: Any) -> Any:
        found = next(pair for pair in self.has if pair[0] == key)
        self.has = [pair for pair in self.has if pair is not found]
        return found[1]

    def get(self, key: Any) -> Any:
        return next((value for known, value in self.has if known == key), None)

    def has_just(self, wanted: list[tuple[Any, Any]]) -> Any:
        """Whether it has these very values, each under its key, and no others."""
        keys = [[key for key, value in self.has if value is one] for _, one in wanted]
        if len(self.has) != len(wanted) or any(len(found) != 1 for found in keys):
            return False
        return all_of(*(found[0] == key for found, (key, _) in zip(keys, wanted, strict=True)))


@dataclass(frozen=True)
class Below:
    """A place that was found for a page, below this root."""

    root: Node
    gfn: Any


class ToldPages:
    """Stands in for the guest tree: its nodes, and what is claimed of how each came to its place."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.claims: list[Any] = []

    @property
    def root(self) -> Node | None:
        return self.nodes[0] if self.nodes else None

    def insert(self, node: Node, parent: Any, on_the_left: Any) -> None:
        if self.root is None:
            self.claims.append(parent is None)
        elif isinstance(parent, Below):
            self.claims.append(all_of(parent.root is self.root, parent.gfn == node.value.base_gfn, on_the_left is SIDE))
        else:
            self.claims.append(False)
        self.nodes.append(node)

    def exchange(self, old: Node, new: Node) -> None:
        """The order does not change by it."""
        self.claims.append(old.value.base_gfn == new.value.base_gfn)
        self.nodes[self.nodes.index(old)] = new

    def erase(self, node: Node) -> None:
        self.nodes.remove(node)

    def in_order(self) -> Iterator[Node]:
        return iter(self.nodes)


class ToldRanges:
    """Stands in for the tree of host ranges: its nodes, and which ranges it was asked for."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.asked: list[tuple[Any, Any]] = []

    def insert(self, interval: Interval) -> Node:
        self.nodes.append(Node(interval))
        return self.nodes[-1]

    def remove(self, node: Node) -> None:
        self.nodes.remove(node)

    def touching(self, first: Any, last: Any) -> Iterator[Interval]:
        self.asked.append((first, last))
        return (node.value for node in self.nodes)


SIDE = object()  # the side of a node that was found for a new one


@contextmanager
def places_as_told() -> Iterator[None]:
    """The way down to a new slot's place is seen and not gone."""
    with patched((Patch(trees, "place_below", lambda root, gfn: (Below(root, gfn), SIDE)),)):
        yield


def an_empty_set() -> Any:
    """A set whose indexes may be anything."""
    return TreeSet()


class Told:
    """A set of slots over what stands in for its indexes, with these slots in it."""

    def __init__(self, *slots: SlotCopy) -> None:
        self.pages, self.ranges = ToldPages(), ToldRanges()
        self.numbers, self.places, self.host_places = Table(), Table(), Table()
        self.members = an_empty_set()
        self.members.id_table, self.members.gfn_tree, self.members.hva_tree = self.numbers, self.pages, self.ranges
        self.members.gfn_nodes, self.members.hva_nodes = self.places, self.host_places
        for slot in slots:
            self.numbers[slot.id] = slot
            self.pages.nodes.append(Node(slot))
            self.places[slot.address] = self.pages.nodes[-1]
            self.host_places[slot.address] = self.ranges.insert(host_range(slot))


def host_range(slot: SlotCopy) -> Interval:
    """The host bytes of a slot."""
    return Interval(slot.hva, slot.hva + slot.npages * PAGE_SIZE - 1, slot)


def there(*slots: tuple[Any, Any]) -> list[Any]:
    """Of some slots, each with whether it is there, those that are."""
    return [slot for slot, is_there in slots if is_there]


@dataclass(frozen=True)
class After:
    """A set behind a change: which slots it must have, and which nodes stayed that were there before."""

    told: Told
    slots: list[SlotCopy]
    nodes: list[Node]
    host_nodes: list[Node]
    is_it: bool  # what the change returned is the set itself


def changed(
    old: Any, new: Any, other: Any, has_old: Any, has_new: Any, has_other: Any, by_its_own_method: Any
) -> After:
    """The set behind a change. A slot that only comes, or only goes, has a method of its own, too."""
    going, coming, staying = there((old, has_old)), there((new, has_new)), there((other, has_other))
    told = Told(*going, *staying)
    nodes, host_nodes = told.pages.nodes[len(going) :], told.ranges.nodes[len(going) :]
    with places_as_told():
        if (going and coming) or not by_its_own_method:
            result = told.members.exchanged(old if going else None, new if coming else None)
        else:
            result = told.members.added(new) if coming else told.members.removed(old)
    return After(told, [*staying, *coming], nodes, host_nodes, result is told.members)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def numbers_are_right(**change: Any) -> Any:
    """The table of numbers has each slot under its number."""
    after = changed(**change)
    return all_of(after.is_it, after.told.numbers.has_just([(slot.id, slot) for slot in after.slots]))


def pages_are_right(**change: Any) -> Any:
    """The guest tree has a node for each slot, those that stay have theirs; each came to the place that was found for
    it, or to that of a slot with the same first page; and each slot's node is found by its address.
    """
    after = changed(**change)
    tree = after.told.pages
    nodes = [next((node for node in tree.nodes if node.value is slot), None) for slot in after.slots]
    return all_of(
        len(tree.nodes) == len(after.slots) and None not in nodes,
        all(node in nodes for node in after.nodes),
        after.told.places.has_just([(slot.address, node) for slot, node in zip(after.slots, nodes, strict=True)]),
        *tree.claims,
    )


def host_ranges_are_right(**change: Any) -> Any:
    """The tree of host ranges has each slot under its host bytes, those that stay in their nodes; and each slot's node
    is found by its address.
    """
    after = changed(**change)
    tree = after.told.ranges
    nodes = [next((node for node in tree.nodes if node.value.of is slot), None) for slot in after.slots]
    return all_of(
        len(tree.nodes) == len(after.slots) and None not in nodes,
        all(node in nodes for node in after.host_nodes),
        after.told.host_places.has_just([(slot.address, node) for slot, node in zip(after.slots, nodes, strict=True)]),
        *(is_range(node.value, host_range(node.value.of)) for node in tree.nodes),
    )


def is_range(one: Interval, wanted: Interval) -> Any:
    return all_of(one.first == wanted.first, one.last == wanted.last)


def answers_are_right(
    old: Any, other: Any, has_old: Any, has_other: Any, number: Any, gfn: Any, first: Any, last: Any, finds: Any
) -> Any:
    """What is answered is what the index that is asked finds; and each index is asked for what was asked."""
    slots = there((old, has_old), (other, has_other))
    told = Told(*slots)
    down = [node for node in told.pages.nodes[-1:] if finds]
    searches: list[tuple[Any, Any]] = []

    def search(root: Any, page: Any) -> Any:
        searches.append((root, page))
        return down[0] if down else None

    with patched((Patch(trees, "holding_below", search),)):
        at_page = told.members.at_gfn(gfn)
    with_number = told.members.by_id(number)
    in_range = list(told.members.in_hva_range(first, last))
    [(root, page)], [(begin, end)] = searches, told.ranges.asked
    return all_of(
        root is told.pages.root and at_page is (down[0].value if down else None),
        *(implies(slot.id == number, with_number is slot) for slot in slots),
        with_number is None or any(with_number is slot for slot in slots),
        True if with_number is None else with_number.id == number,
        are_these(in_range, slots),
        are_these(told.members.in_gfn_order(), slots),
        *(is_counted_right(told, slots, lambda slot, space=space: slot.space == space) for space in (0, 1)),  # type: ignore[misc]
        page == gfn,
        begin == first,
        end == last,
    )


def are_these(found: list[Any], wanted: list[Any]) -> bool:
    return len(found) == len(wanted) and all(one is other for one, other in zip(found, wanted, strict=True))


def is_counted_right(told: Told, slots: list[Any], is_meant: Callable[[Any], Any]) -> Any:
    """Whether "every", "some" and "only" are asked of all slots."""
    only = told.members.only(is_meant)
    meant = [slot for slot in slots if is_meant(slot)]
    return all_of(
        told.members.every(is_meant) == (len(meant) == len(slots)),
        told.members.some(is_meant) == bool(meant),
        only is (meant[0] if meant else None),
    )


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def under_its_address(self: TreeSet, old: SlotCopy | None, new: SlotCopy | None) -> TreeSet:
    EXCHANGED(self, old, new)
    if new is not None:
        del self.id_table[new.id]
        self.id_table[new.address] = new
    return self


def not_into_the_guest_tree(self: TreeSet, new: SlotCopy) -> None:
    """The slot gets a node of no tree."""
    self.gfn_nodes[new.address] = Node(new)


def a_byte_too_long(first: int, last: int, of: Any) -> Interval:
    return Interval(first, last + 1, of)


def finds_the_page_before(self: TreeSet, gfn: int) -> SlotCopy | None:
    return AT_GFN(self, gfn - 1)


EXCHANGED, AT_GFN = TreeSet.exchanged, TreeSet.at_gfn

# THEOREMS --------------------------------------------------------------------------------------------------------


def about(name: str, sentence: str, holds: Callable[..., Any], bug: Bug) -> Theorem:
    inputs, given = (any_question, are_two) if name == "ANSWERS" else (any_change, have_names)
    operation = "search" if name == "ANSWERS" else "exchange"
    return Theorem(f"TREE.INDEX.{name}", sentence, (), (operation,), "indexes", inputs, given, holds, bug, BOUND)


THEOREMS = (
    about(
        "NUMBERS",
        "After a slot is put where another was, or only put in or taken out, the table of numbers has the new one "
        "under its number and the old one no more; all others are there as before.",
        numbers_are_right,
        Bug("the new slot is put in under its address", (Patch(TreeSet, "exchanged", under_its_address),)),
    ),
    about(
        "PAGES",
        "After a slot is put where another was, or only put in or taken out, the guest tree has the new one and the "
        "old one no more: in the old one's place if both have the same first page, else in the place that the way down "
        "from the root leads to; each has its node under its address, and all others are in theirs.",
        pages_are_right,
        Bug("a new slot is not put into the guest tree", (Patch(TreeSet, "_insert_gfn", not_into_the_guest_tree),)),
    ),
    about(
        "HOST",
        "After a slot is put where another was, or only put in or taken out, the tree of host ranges has the new one "
        "under its host bytes and the old one no more; each has its node under its address, and all others are in "
        "theirs.",
        host_ranges_are_right,
        Bug("its range in the tree is a byte too long", (Patch(trees, "Interval", a_byte_too_long),)),
    ),
    about(
        "ANSWERS",
        "Asked for a number, a set of slots answers what its table has under it; for a page, what the search down its "
        "guest tree finds for it; for a range of host bytes, what its tree of these finds in it; and questions to all "
        "slots go to all.",
        answers_are_right,
        Bug("the page before is looked up", (Patch(TreeSet, "at_gfn", finds_the_page_before),)),
    ),
)
