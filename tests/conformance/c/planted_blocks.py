"""Bugs planted in what only the fuzzer sees well: blocks that split and join, two sides, readers, memory that fails."""

from __future__ import annotations

from .planted import Bug, bug

BLOCK_BUGS: tuple[Bug, ...] = (
    bug(
        "place-forgets-the-places-before",
        "maximum over blocks",
        "How far a block reaches is said by its own entries alone.",
        (
            "places.c",
            "places[place].reach = reach > own ? reach : own;",
            "places[place].reach = reach > own ? own : own;",
        ),
    ),
    bug(
        "insert-forgets-the-entry-before",
        "maximum in a block",
        "A new entry that ends before another one that started earlier hides that.",
        ("edit.c", "if (at && new.reach < entries[at - 1].reach)", "if (at && !new.reach)"),
    ),
    bug(
        "joined-without-their-maximum",
        "joining blocks",
        "Entries that come from the block behind do not know how far those before them reach.",
        (
            "edit.c",
            "for (at = left->count - right->count; at < left->count && entries[at].reach < reach; at++)",
            "for (at = left->count; at < left->count && entries[at].reach < reach; at++)",
        ),
    ),
    bug(
        "removed-without-a-trace",
        "maximum after a removal",
        "An entry that is gone still counts in how far the others reach.",
        ("edit.c", "reach_anew(entries, at, count - 1, removed, reach);", "(void)reach;"),
    ),
    bug(
        "other-side-lacks-the-last-change",
        "two sides",
        "Of the places that were changed the last is not made in the other side.",
        ("places.c", "index->same_back = back;", "index->same_back = back + (back > 3);"),
    ),
    bug(
        "abort-keeps-blocks",
        "memory",
        "What a transaction allocated is kept when it is taken back.",
        ("follow.c", "pool_give(pool, index->places[at].block);", "(void)pool;"),
    ),
    bug(
        "nobody-is-waited-for",
        "readers",
        "The writer goes on while readers are inside.",
        ("gate.c", "if (seen % 2 == 0)", "if (seen)"),
    ),
    bug(
        "last-hit-of-another-state",
        "readers",
        "What a reader found last is taken for true after a change.",
        ("lookup.c", "hit->version != view->version || ", "!hit->version || "),
    ),
    bug(
        "abort-forgets-what-went",
        "transactions",
        "A slot that a transaction took out cannot be found by its number when that is taken back.",
        ("publish.c", "copy_ids(view, other, map->went);", "(void)other;"),
    ),
    bug(
        "memory-fails-half-way",
        "memory",
        "When the second of two allocations fails the first one is kept.",
        (
            "places.c",
            "\t\tif (!later) {\n\t\t\tfree_places(pool, index->later, room);\n",
            "\t\tif (!later) {\n",
        ),
    ),
)
