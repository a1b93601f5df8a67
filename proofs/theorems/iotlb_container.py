"""The container with a tree and a list: both have the same entries, and a full one gives up the head of its list.

`model.vhost.iotlb` runs over a list of which only the head and the length are ever looked at, and a tree that is told
what to add and to remove (`ITREE.*` and `RBTREE.*` are about how it does that). What goes into one goes into the other,
and what leaves one leaves the other: so they have the same entries after any number of changes. The tree is told the
entry's own range when it is to add, and is asked for no other range than the container was asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import model.vhost.iotlb as iotlb
from model.interval_tree import Interval
from model.rbtree import Node
from model.vhost.iotlb import Iotlb, Map
from proofs.symbolic.boolean import all_of, any_of, implies
from proofs.theorem import Bug, Patch, Theorem
from proofs.world import World
from spec.units import U64_MAX

MOST = 3
BOUND = f"lists of at most {MOST} entries: a list has a length, of which nothing but the head is looked at"
LOWER_HALF = U64_MAX // 2  # the last address of it

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_change(world: World) -> dict[str, Any]:
    """How many entries there are, and how many there may be; a range, a place in host memory, a permission, a policy;
    a place in the list, which may be behind its last entry.
    """
    names = ("first", "last", "host")
    return {
        "length": world.integer("length", 0, MOST),
        "limit": world.integer("limit", 1, U64_MAX),
        **{name: world.integer(name, 0, U64_MAX) for name in names},
        "perm": world.integer("perm", 0, 3),
        "lru": world.boolean("lru"),
        "place": world.integer("place", 0, MOST),
    }


def is_within_the_limit(length: Any, limit: Any, **rest: Any) -> Any:
    """The list has at most as many entries as its limit says."""
    return length <= limit


def is_a_member(length: Any, limit: Any, place: Any, **rest: Any) -> Any:
    """The list is within its limit, and has an entry at the place."""
    return all_of(length <= limit, place < length)


def is_a_place(length: Any, limit: Any, place: Any, **rest: Any) -> Any:
    """The list is within its limit, and the place is that of an entry, or behind the last one."""
    return all_of(length <= limit, place <= length)


# RUNNING THE MODEL -----------------------------------------------------------------------------------------------


class Told:
    """Stands in for the tree: it has the intervals that it was told, each with a node, and notes which ranges it was
    asked for.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.to_find: list[Node] = []
        self.asked: list[tuple[Any, Any]] = []

    def insert(self, interval: Interval) -> Node:
        self.nodes.append(Node(interval))
        return self.nodes[-1]

    def remove(self, node: Node) -> None:
        self.nodes.remove(node)

    def first_touching(self, first: Any, last: Any) -> Node | None:
        """Those that `to_find` says, as long as they are there."""
        self.asked.append((first, last))
        return next((node for node in self.to_find if node in self.nodes), None)

    def was_asked_for(self, first: Any, last: Any, times: int) -> Any:
        """Whether it was asked so many times, for this range each time."""
        right = [all_of(one == first, other == last) for one, other in self.asked]
        return all_of(len(self.asked) == times, *right)


def fixed(number: Any, numbers: tuple[int, ...]) -> int:
    """One of a few numbers, path by path."""
    return next(known for known in numbers if number == known)


def container_of(length: Any, limit: Any) -> tuple[Iotlb, list[Map]]:
    """A container with so many entries, and these in the order of its list."""
    container = Iotlb(limit)
    container.tree = Told()  # type: ignore[assignment]
    entries = [Map(0, 0, 0, 0, 0) for _ in range(fixed(length, tuple(range(MOST + 1))))]
    for entry in entries:
        entry.node = container.tree.insert(Interval(entry.first, entry.last, entry))
        container.list[entry] = None
    return container, entries


def have_the_same(container: Iotlb) -> Any:
    """Whether tree and list have the same entries, each under its own range; each entry knows its own node, and nothing
    was freed that is there.
    """
    tree: Any = container.tree
    in_tree = {id(node.value.of) for node in tree.nodes}
    knows_its_node = all(node.value.of.node is node for node in tree.nodes)
    is_whole = len(tree.nodes) == len(container.list) and in_tree == {id(entry) for entry in container.list}
    own_range = [
        all_of(node.value.first == node.value.of.first, node.value.last == node.value.of.last) for node in tree.nodes
    ]
    return all_of(is_whole, knows_its_node, not any(entry.freed for entry in container.list), *own_range)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def add_keeps_both(length: Any, limit: Any, first: Any, last: Any, host: Any, perm: Any, **rest: Any) -> Any:
    """The oldest go only where there is no room, the new come last; they are what was asked for, in one or two."""
    container, before = container_of(length, limit)
    ticks = container.clock
    was_taken = container.add(first, last, host, perm)
    after = list(container.list)
    if not was_taken:
        return all_of(last < first, after == before, container.clock == ticks, have_the_same(container))
    new = [entry for entry in after if entry not in before]
    gone = len(before) + len(new) - len(after)
    kept = before[gone:]
    is_whole_space = all_of(first == 0, last == U64_MAX)
    return all_of(
        have_the_same(container),
        after == [*kept, *new],
        all(entry.freed for entry in before[:gone]),
        first <= last,
        len(after) <= limit,
        any_of(gone == 0, len(after) == limit),
        *(is_as_asked(entry, first, host, perm) for entry in new),
        all(entry.born == entry.used for entry in new),
        [entry.born for entry in new] == list(range(container.clock))[-len(new) :],
        new[-1].last == last,
        any_of(is_whole_space, all_of(len(new) == 1, new[0].first == first, container.clock == ticks + 1)),
        implies(is_whole_space, all_of(container.clock == ticks + 2, are_halves(new, limit))),
    )


def is_as_asked(entry: Map, first: Any, host: Any, perm: Any) -> Any:
    """Its host bytes are those that belong to its addresses, what is permitted is what was asked for, and its size is
    that of its range.
    """
    return all_of(
        entry.host - entry.first == host - first, entry.perm == perm, entry.size == entry.last - entry.first + 1
    )


def are_halves(new: list[Map], limit: Any) -> Any:
    """The lower half and the upper; only the upper where there is room for no more than one entry."""
    upper = all_of(new[-1].first == LOWER_HALF + 1, new[-1].last == U64_MAX)
    if len(new) == 1:
        return all_of(upper, limit == 1)
    return all_of(len(new) == 2, upper, new[0].first == 0, new[0].last == LOWER_HALF)


def touch_moves_to_the_end(length: Any, limit: Any, place: Any, lru: Any, **rest: Any) -> Any:
    """Where the least recently used goes, the entry is the last of the list after it was used; else nothing changes."""
    container, before = container_of(length, limit)
    container.lru = bool(lru)
    entry = before[fixed(place, tuple(range(MOST + 1)))]
    ticks = container.clock
    container.touch(entry)
    if not container.lru:
        return all_of(list(container.list) == before, container.clock == ticks, have_the_same(container))
    others = [one for one in before if one is not entry]
    return all_of(
        list(container.list) == [*others, entry],
        entry.used == ticks,
        container.clock == ticks + 1,
        have_the_same(container),
    )


def remove_keeps_both(length: Any, limit: Any, place: Any, **rest: Any) -> Any:
    container, before = container_of(length, limit)
    entry = before[fixed(place, tuple(range(MOST + 1)))]
    container.remove(entry)
    return all_of(
        have_the_same(container), list(container.list) == [one for one in before if one is not entry], entry.freed
    )


def range_goes_from_both(length: Any, limit: Any, place: Any, first: Any, last: Any, **rest: Any) -> Any:
    """Those that the search finds go, one after the other, until it finds none; here all from a place on."""
    container, before = container_of(length, limit)
    tree: Any = container.tree
    kept = before[: fixed(place, tuple(range(MOST + 1)))]
    gone = before[len(kept) :]
    tree.to_find = [entry.node for entry in gone]
    container.delete_range(first, last)
    return all_of(
        have_the_same(container),
        list(container.list) == kept,
        all(entry.freed for entry in gone),
        tree.was_asked_for(first, last, len(gone) + 1),
    )


def find_asks_the_tree(length: Any, limit: Any, place: Any, first: Any, last: Any, **rest: Any) -> Any:
    """What the tree finds is found: here the entry at a place, or none, where no entry is."""
    container, before = container_of(length, limit)
    tree: Any = container.tree
    wanted = before[fixed(place, tuple(range(MOST + 1))) :][:1]
    tree.to_find = [entry.node for entry in wanted]
    found = container.find(first, last)
    is_right = found is None if not wanted else found is wanted[0]
    unchanged = all_of(list(container.list) == before, have_the_same(container))
    return all_of(is_right, unchanged, tree.was_asked_for(first, last, 1))


def free_takes_all(length: Any, limit: Any, **rest: Any) -> Any:
    """All that the tree finds in the whole space goes, which is everything."""
    container, before = container_of(length, limit)
    tree: Any = container.tree
    tree.to_find = list(tree.nodes)
    container.free()
    return all_of(
        container.freed,
        not container.list and not tree.nodes and all(entry.freed for entry in before),
        tree.was_asked_for(0, U64_MAX, len(before) + 1),
    )


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def forgets_the_list(container: Iotlb, entry: Map) -> None:
    assert entry.node is not None
    container.tree.remove(entry.node)
    entry.freed = True


def a_byte_too_short(first: int, last: int, of: Any) -> Interval:
    return Interval(first, last - 1, of)


def leaves_out_the_last_byte(container: Iotlb, first: int, last: int) -> None:
    DELETE_RANGE(container, first, last - 1)


def asks_for_the_first_byte(container: Iotlb, first: int, last: int) -> Map | None:
    return FIND(container, first, first)


def forgets_the_last_address(container: Iotlb) -> None:
    container.delete_range(0, U64_MAX - 1)
    container.freed = True


def stays_in_its_place(container: Iotlb, entry: Map) -> None:
    if container.lru:
        entry.used = container.tick()
        container.list[entry] = None


DELETE_RANGE, FIND = Iotlb.delete_range, Iotlb.find

# THEOREMS --------------------------------------------------------------------------------------------------------


def about(name: str, sentence: str, operation: str, given: Callable[..., Any], holds: Any, bug: Bug) -> Theorem:
    return Theorem(
        f"CONTAINER.{name}", sentence, (), (operation,), "tree and list", any_change, given, holds, bug, BOUND
    )


THEOREMS = (
    about(
        "ADD",
        "An entry that is added has the range, the host bytes and the permission that were asked for; it is in the "
        "tree, under this range, and the last of the list; only where there is no room the head of the list goes, "
        "from both, and nothing else; there are never more than the limit. The whole space becomes two halves, as two "
        "entries, each with its host bytes and the permission. A range that ends before it begins changes nothing.",
        "insert",
        is_within_the_limit,
        add_keeps_both,
        Bug("the tree is told a range that is a byte too short", (Patch(iotlb, "Interval", a_byte_too_short),)),
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
        "TOUCH",
        "An entry that is used goes to the end of the list where the least recently used one is given up; else nothing "
        "changes, and nothing ever does in the tree.",
        "translate",
        is_a_member,
        touch_moves_to_the_end,
        Bug("it stays in its place in the list", (Patch(Iotlb, "touch", stays_in_its_place),)),
    ),
    about(
        "RANGE",
        "What is removed by a range is what the tree's search in just this range finds, until it finds nothing.",
        "erase",
        is_a_place,
        range_goes_from_both,
        Bug("the last byte of the range is left out", (Patch(Iotlb, "delete_range", leaves_out_the_last_byte),)),
    ),
    about(
        "FIND",
        "What is found in a range is the entry that the tree's search in just this range finds, or nothing where it "
        "finds nothing; and nothing changes.",
        "search",
        is_a_place,
        find_asks_the_tree,
        Bug("only the first byte is looked up", (Patch(Iotlb, "find", asks_for_the_first_byte),)),
    ),
    about(
        "FREE",
        "A container that is freed has taken out all that the tree's search in the whole space finds.",
        "erase",
        is_within_the_limit,
        free_takes_all,
        Bug("the last address is left out", (Patch(Iotlb, "free", forgets_the_last_address),)),
    ),
)
