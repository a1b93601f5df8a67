"""The container with a tree and a list: both have the same entries, and a full one gives up the head of its list.

`model.vhost.iotlb` runs over a list of which only the head and the length are ever looked at, and a tree that is told
what to add and to remove (`ITREE.*` and `RBTREE.*` are about how it does that). What goes into one goes into the other,
and what leaves one leaves the other: so they have the same entries after any number of changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from model.interval_tree import Interval
from model.rbtree import Node
from model.vhost.iotlb import Iotlb, Map
from proofs.symbolic.boolean import all_of, any_of, implies
from proofs.theorem import Bug, Patch, Theorem
from proofs.world import World
from spec.units import U64_MAX

MOST = 3
BOUND = f"lists of 1 to {MOST} entries, of which only the length and the head are looked at"

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_change(world: World) -> dict[str, Any]:
    """How many entries there are, and how many there may be; a range, a place in host memory, a permission."""
    names = ("first", "last", "host")
    return {
        "length": world.integer("length", 1, MOST),
        "limit": world.integer("limit", 1, U64_MAX),
        **{name: world.integer(name, 0, U64_MAX) for name in names},
        "perm": world.integer("perm", 0, 3),
        "place": world.integer("place", 0, MOST - 1),
    }


def is_within_the_limit(length: Any, limit: Any, **rest: Any) -> Any:
    return length <= limit


def is_a_member(length: Any, limit: Any, place: Any, **rest: Any) -> Any:
    return all_of(length <= limit, place < length)


# RUNNING THE MODEL -----------------------------------------------------------------------------------------------


class Told:
    """Stands in for the tree: it has the intervals that it was told, each with a node."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.to_find: list[Node] = []

    def insert(self, interval: Interval) -> Node:
        self.nodes.append(Node(interval))
        return self.nodes[-1]

    def remove(self, node: Node) -> None:
        self.nodes.remove(node)

    def first_touching(self, first: Any, last: Any) -> Node | None:
        """Those that `to_find` says, as long as they are there."""
        return next((node for node in self.to_find if node in self.nodes), None)


def fixed(number: Any, numbers: tuple[int, ...]) -> int:
    """One of a few numbers, path by path."""
    return next(known for known in numbers if number == known)


def container_of(length: Any, limit: Any) -> tuple[Iotlb, list[Map]]:
    """A container with so many entries, and these in the order of its list."""
    container = Iotlb(limit)
    container.tree = Told()  # type: ignore[assignment]
    entries = [Map(0, 0, 0, 0, 0) for _ in range(fixed(length, tuple(range(1, MOST + 1))))]
    for entry in entries:
        entry.node = container.tree.insert(Interval(entry.first, entry.last, entry))
        container.list[entry] = None
    return container, entries


def have_the_same(container: Iotlb) -> bool:
    """Whether tree and list have the same entries, each entry knows its node, and nothing was freed that is there."""
    tree: Any = container.tree
    in_tree = {id(node.value.of) for node in tree.nodes}
    knows_its_node = all(any(entry.node is node for node in tree.nodes) for entry in container.list)
    is_whole = len(tree.nodes) == len(container.list) and in_tree == {id(entry) for entry in container.list}
    return is_whole and knows_its_node and not any(entry.freed for entry in container.list)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def add_keeps_both(length: Any, limit: Any, first: Any, last: Any, host: Any, perm: Any, **rest: Any) -> Any:
    """The oldest go only where there is no room, the new come last; they are what was asked for, in one or two."""
    container, before = container_of(length, limit)
    was_taken = container.add(first, last, host, perm)
    after = list(container.list)
    if not was_taken:
        return all_of(last < first, after == before, have_the_same(container))
    new = [entry for entry in after if entry not in before]
    gone = len(before) + len(new) - len(after)
    kept = before[gone:]
    is_whole_space = all_of(first == 0, last == U64_MAX)
    return all_of(
        have_the_same(container),
        after == [*kept, *new],
        all(entry.freed for entry in before[:gone]),
        len(after) <= limit,
        any_of(gone == 0, len(after) == limit),
        new[-1].last == last,
        new[-1].perm == perm,
        any_of(is_whole_space, all_of(len(new) == 1, new[0].first == first, new[0].host == host)),
        implies(all_of(is_whole_space, limit > 1), covers_all(new)),
    )


def covers_all(new: list[Map]) -> Any:
    """Two entries that have all 64-bit addresses between them."""
    if len(new) != 2:
        return False
    lower, upper = new
    return all_of(lower.first == 0, upper.first == lower.last + 1, upper.last == U64_MAX)


def remove_keeps_both(length: Any, limit: Any, place: Any, **rest: Any) -> Any:
    container, before = container_of(length, limit)
    entry = before[fixed(place, tuple(range(MOST)))]
    container.remove(entry)
    return all_of(
        have_the_same(container), list(container.list) == [one for one in before if one is not entry], entry.freed
    )


def range_goes_from_both(length: Any, limit: Any, place: Any, first: Any, last: Any, **rest: Any) -> Any:
    """Those that the search finds go, one after the other, until it finds none; here all from a place on."""
    container, before = container_of(length, limit)
    tree: Any = container.tree
    kept = before[: fixed(place, tuple(range(MOST)))]
    tree.to_find = [entry.node for entry in before if entry not in kept]
    container.delete_range(first, last)
    return have_the_same(container) and list(container.list) == kept


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def forgets_the_list(container: Iotlb, entry: Map) -> None:
    assert entry.node is not None
    container.tree.remove(entry.node)
    entry.freed = True


def gives_up_the_last(container: Iotlb, first: int, last: int, host: int, perm: int) -> bool:
    if len(container.list) == container.limit:
        container.list = dict(reversed(container.list.items()))
    return ADD(container, first, last, host, perm)


def takes_out_one(container: Iotlb, first: int, last: int) -> None:
    node = container.tree.first_touching(first, last)
    if node is not None:
        container.remove(node.value.of)


ADD = Iotlb.add

# THEOREMS --------------------------------------------------------------------------------------------------------


def about(name: str, sentence: str, operation: str, given: Callable[..., Any], holds: Any, bug: Bug) -> Theorem:
    return Theorem(
        f"CONTAINER.{name}", sentence, (), (operation,), "tree and list", any_change, given, holds, bug, BOUND
    )


THEOREMS = (
    about(
        "ADD",
        "An entry that is added is in tree and list; only where there is no room the head of the list goes, from both, "
        "and nothing else; there are never more than the limit. The whole space becomes two entries.",
        "insert",
        is_within_the_limit,
        add_keeps_both,
        Bug("the youngest is given up", (Patch(Iotlb, "add", gives_up_the_last),)),
    ),
    about(
        "REMOVE",
        "An entry that is removed is neither in the tree nor in the list, and all others are in both.",
        "erase",
        is_a_member,
        remove_keeps_both,
        Bug("it stays in the list", (Patch(Iotlb, "remove", forgets_the_list),)),
    ),
    about(
        "RANGE",
        "What is removed by a range is what a search in it finds, until it finds nothing.",
        "erase",
        is_a_member,
        range_goes_from_both,
        Bug("only the first is removed", (Patch(Iotlb, "delete_range", takes_out_one),)),
    ),
)
