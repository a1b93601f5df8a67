"""Bugs planted by hand where the C library publishes, takes back, and runs out of memory.

No vector can show them: vectors have one caller, and all the memory that it asks for.
"""

from __future__ import annotations

from .planted import Bug, bug

# What a reader beside the writer sees: found by programs/stress.c.
READER_BUGS: tuple[Bug, ...] = (
    bug(
        "blocks-freed-before-the-wait",
        "missing grace period",
        "Blocks that were replaced are freed while readers may still be in them.",
        (
            "publish.c",
            "\tgate_publish(&map->gate, view);\n",
            "\tpool_free_retired(&map->pool);\n\tgate_publish(&map->gate, view);\n",
        ),
    ),
    bug(
        "entries-freed-before-the-wait",
        "missing grace period",
        "Blocks of a table are freed while readers may still be in them.",
        (
            "table.c",
            "\tgate_publish(&table->gate, view);\n",
            "\tpool_free_retired(&table->pool);\n\tgate_publish(&table->gate, view);\n",
        ),
    ),
    bug(
        "publication-follows-at-once",
        "order",
        "The other view is made alike before its readers have left.",
        (
            "publish.c",
            "\tgate_publish(&map->gate, view);\n",
            "\tfor (space = map->first_edited; space; space = map->edited[space - 1].next)\n"
            "\t\tview_follow(other, view, space - 1);\n\tgate_publish(&map->gate, view);\n",
        ),
    ),
    bug(
        "hit-of-an-old-view",
        "stale cache",
        "What a reader found last is believed in a later view, too.",
        ("lookup.c", "hit->version != view->version", "!hit->version"),
    ),
    bug(
        "retired-though-taken-back",
        "use after free",
        "What edits had replaced before they were taken back is freed with the next publication.",
        ("publish.c", "\tpool_keep_retired(&map->pool);\n", ""),
    ),
    bug(
        "numbers-not-taken-back",
        "half taken back",
        "Slots that were made in vain stay at their numbers.",
        ("publish.c", "\tcopy_ids(view, other, map->came);\n", ""),
    ),
    bug(
        "host-index-does-not-follow",
        "sides differ",
        "After a publication the other view keeps the host addresses that it had.",
        ("publish.c", "\tindex_follow(&map->pool, &other->by_hva, &view->by_hva);\n", ""),
    ),
)

# What is lost, or half done, when memory runs out: found by programs/allocation.c or device_allocation.c.
MEMORY_BUGS: tuple[Bug, ...] = (
    bug(
        "places-lost",
        "leak",
        "If there is memory for larger places but not for those of the other side, the first are lost.",
        (
            "places.c",
            "\t\tif (!later) {\n\t\t\tfree_places(pool, index->later, room);\n",
            "\t\tif (!later) {\n",
        ),
    ),
    bug(
        "slot-stays-by-guest-address",
        "half done",
        "A slot that finds no room by its host address stays where it is by its guest address.",
        ("view.c", "\t\ttake_out(map, &view->spaces[space].by_gpa, slot->first, slot);\n\t\treturn", "\t\treturn"),
    ),
    bug(
        "new-stays-beside-old",
        "half done",
        "A slot that moves, and whose old place cannot be had, is at both places.",
        ("view.c", "\t\tif (moves)\n\t\t\ttake_out(map, by_gpa, new->first, new);\n", ""),
    ),
    bug(
        "joins-into-the-spare-block",
        "spare not regained",
        "Where memory is short, two blocks are joined in the spare one; what they leave is too small to give it back.",
        ("edit.c", "\tif (pool->keeps_spare && !pool->spare)\n\t\treturn;\n", ""),
    ),
    bug(
        "spare-block-stays-in-use",
        "spare not regained",
        "A removal that used the spare block keeps it.",
        (
            "table.c",
            "\tif (index_release_spare(&table->pool, private_index(table)))\n\t\ttable_publish_once(table);\n",
            "",
        ),
    ),
    bug(
        "stale-larger-places",
        "leak",
        "Larger places that are left from edits taken back are lost when more is needed.",
        ("places.c", "\tif (!index->later) {\n\t\tindex->later =", "\tif (index) {\n\t\tindex->later ="),
    ),
    bug(
        "stale-larger-ids",
        "overflow",
        "A larger array of numbers that is left from edits taken back is used when more is needed.",
        ("view.c", "id_of(word) >= space->ids && space->later", "!space"),
    ),
    bug(
        "fresh-blocks-lost",
        "leak",
        "Blocks that were made for edits that are taken back are lost.",
        (
            "follow.c",
            "\t\t\tpool_give(pool, index->places[at].block);\n",
            "\t\t\tindex->places[at].block->fresh = false;\n",
        ),
    ),
)
