"""Harnesses of the index: the search for an entry with whatever hints, and edits of blocks and places."""

from __future__ import annotations

from conformance.targets.c.verify.harness import LIMIT, Harness, Plant

SEARCH = (
    Harness(
        name="search",
        shows="Without hints the search gives the first entry that reaches an address, or says that there is none.",
        bound="16 entries, unwind 17; any content in which the reach never falls, all addresses",
        file="check_search.c",
        function="search",
        unwind=17,
        defines=("ENTRIES=16",),
        plants=(
            Plant(
                "an entry that ends at the address does not reach it",
                "search.c",
                "entries[low + half - 1].reach < address ? half",
                "entries[low + half - 1].reach <= address ? half",
            ),
        ),
    ),
    Harness(
        name="guess",
        shows="Whatever the hints say: what they lead to is the one entry that holds the address, or nothing.",
        bound="8 entries, 4 hints of any content, unwind 9; all addresses, bases and shifts",
        file="check_search.c",
        function="guess",
        unwind=9,
        plants=(
            Plant(
                "a hint behind the last entry is believed",
                "index.h",
                "\tif (!LIKELY(at < run->count))\n\t\treturn NULL;\n\tif (run->dense) {",
                "\tif (run->dense) {",
            ),
            Plant(
                "it is not looked whether the entry starts before the address",
                "index.h",
                "\tif (LIKELY(holds(&entries[at], address)))",
                "\tif (LIKELY(entries[at].reach >= address))",
            ),
        ),
        quick=True,
    ),
    Harness(
        name="leftmost",
        shows="Of all blocks the first entry that reaches an address is found, whichever place hints led to.",
        bound="3 blocks of 2 entries, unwind 7; overlapping or not, places that start anywhere, all addresses",
        file="check_search.c",
        function="leftmost",
        unwind=7,
        defines=("NO_HINTS",),
        plants=(
            Plant(
                "a place that hints led to is believed without a look at how far it reaches",
                "search.c",
                "return place && place->reach >= address && (",
                "return place && (",
            ),
        ),
    ),
    Harness(
        name="search-whole",
        shows="All of a search, by hints of places and blocks or without, gives what a walk from entry to entry does.",
        bound="2 blocks of 2 entries, 4 hints of each and of places, any content, unwind 5; overlaps, all addresses",
        file="check_search.c",
        function="at",
        unwind=5,
        defines=("PLACES=2",),
        plants=(
            Plant(
                "it is not asked whether the entry starts at the address or before",
                "index.h",
                "return entry && entry->start <= address ? entry : NULL;",
                "return entry;",
            ),
            Plant(
                "after hints that were wrong, a place is believed although one before it reaches the address",
                "search.c",
                "place->reach >= address && (place == index->places || place[-1].reach < address);",
                "place->reach >= address;",
            ),
            Plant(
                "hints of places are followed although places overlap",
                "index.h",
                ".slots = index->overlaps ? 0 : index->slots,",
                ".slots = index->slots,",
            ),
        ),
    ),
    Harness(
        name="from",
        shows="Over all blocks, the first entry that starts at an address or behind it is found.",
        bound="2 blocks of 2 entries, unwind 5; overlapping or not, all addresses",
        file="check_search.c",
        function="from",
        unwind=5,
        defines=("NO_HINTS", "PLACES=2"),
        plants=(
            Plant(
                "a block is skipped",
                "search.c",
                "search_start(index->places, spot.place + 2, index->count, start) - 1;",
                "search_start(index->places, spot.place + 2, index->count, start);",
            ),
        ),
    ),
)

EDIT = (
    Harness(
        name="settle",
        shows="After any edit of a block all places say how far blocks reach and what overlaps; changes are noted.",
        bound="3 blocks, unwind 4; all 64-bit values; no hints of places",
        file="check_places.c",
        function="settled",
        unwind=4,
        defines=("PLACES=3",),
        plants=(
            Plant(
                "it stops too early where the next place reached further before",
                "places.c",
                "places[end].reach > before && places[end].reach >= places[place].reach)",
                "places[end].reach > before)",
            ),
            Plant(
                "a place that is reached into by now is not noted",
                "places.c",
                "at->overlaps = overlaps;\n\tnote_change(index, place, place + 1);",
                "at->overlaps = overlaps;",
            ),
        ),
    ),
    Harness(
        name="split",
        shows="A block that is split is two, with the same list; each knows its own reach, and what overlaps.",
        bound="2 blocks of 2 entries, each cut, unwind 8; all 64-bit values",
        file="check_edit.c",
        function="cut",
        unwind=8,
        defines=("COUNTS=2,2",),
        plants=(
            Plant(
                "what is cut off keeps the reach of what stays",
                "edit.c",
                "\treach_anew(block->entries, 0, moved, left->block->entries[cut - 1].reach, 0);\n",
                "",
            ),
        ),
        seconds=LIMIT,
        quick=True,
    ),
    Harness(
        name="split-follow",
        shows="After a split, beside other edits or not, the other index follows, and has the same places.",
        bound="2 blocks of 2 entries, one fresh, each cut, unwind 8; all 64-bit values",
        file="check_edit.c",
        function="cut",
        unwind=8,
        defines=("COUNTS=2,2", "FRESH=2", "FOLLOW"),
        plants=(
            Plant(
                "what an edit before had changed is forgotten",
                "places.c",
                "if (!index->changed || from < index->same_front)",
                "if (from != index->same_front)",
            ),
        ),
        seconds=LIMIT,
        quick=True,
    ),
    Harness(
        name="split-revert",
        shows="A split that is taken back leaves what was published; what it took is given back once.",
        bound="2 blocks of 2 entries, each cut, unwind 8; all 64-bit values",
        file="check_edit.c",
        function="cut",
        unwind=8,
        defines=("COUNTS=2,2", "REVERT"),
        plants=(
            Plant(
                "places behind are taken for the same though one has gone in between",
                "follow.c",
                "index->count == model->count ? model->count - edited->same_back : model->count;",
                "model->count - edited->same_back;",
            ),
        ),
        seconds=LIMIT,
        quick=True,
    ),
    Harness(
        name="insert",
        shows="An inserted range stands at its place in the list; all else is as it was; each reach is right.",
        bound="2 blocks of 2 entries with room, each spot, unwind 8; all 64-bit values",
        file="check_edit.c",
        function="inserted",
        unwind=8,
        defines=("COUNTS=2,2", "LEAST=2"),
        plants=(
            Plant(
                "it does not know that those before reach further",
                "edit.c",
                "if (at && new.reach < entries[at - 1].reach)",
                "if (0)",
            ),
        ),
        seconds=LIMIT,
    ),
    Harness(
        name="insert-full",
        shows="An insertion into a block that is full splits it, and gives the list that it should.",
        bound="1 block of 4 entries, each spot, unwind 8; all 64-bit values",
        file="check_edit.c",
        function="inserted",
        unwind=8,
        defines=("COUNTS=4", "LARGEST=2", "LEAST=2"),
        plants=(
            Plant(
                "the spot is not moved where it is in the new block",
                "edit.c",
                "\t\tspot->at -= cut;\n",
                "\t\tspot->at -= cut - 1;\n",
            ),
        ),
        seconds=LIMIT,
    ),
    Harness(
        name="insert-no-memory",
        shows="An insertion that fails for want of memory, before or after a split, leaves the list as it was.",
        bound="1 block of 4 entries, each spot, memory for 0 or 1 block, unwind 8; all 64-bit values",
        file="check_edit.c",
        function="inserted",
        unwind=8,
        defines=("COUNTS=4", "LARGEST=2", "ENOUGH=1", "SHORT"),
        plants=(
            Plant(
                "it is counted before it is there",
                "edit.c",
                "\tspot = place_for(index, &new);\n",
                "\tspot = place_for(index, &new);\n\tindex->entries++;\n",
            ),
        ),
        seconds=LIMIT,
    ),
    Harness(
        name="insert-follow",
        shows="After an insertion, beside other edits or not, the other index follows, and has the same places.",
        bound="2 blocks of 2 entries, one fresh, each spot, unwind 8; all 64-bit values",
        file="check_edit.c",
        function="inserted",
        unwind=8,
        defines=("COUNTS=2,2", "LEAST=2", "FRESH=2", "FOLLOW"),
        plants=(
            Plant(
                "what an edit before had changed is forgotten",
                "places.c",
                "if (!index->changed || from < index->same_front)",
                "if (from != index->same_front)",
            ),
        ),
        seconds=LIMIT,
    ),
    Harness(
        name="hints-move",
        shows="Hints that move are those behind the address, and no byte outside their room is touched.",
        bound="a block of 1 entry with hints of one byte, unwind 25; all addresses, bases and shifts",
        file="check_hints.c",
        function="moved",
        unwind=25,
        flags=("--object-bits", "12"),
        plants=(
            Plant(
                "eight more are moved, past the room",
                "hints.c",
                "for (; slot < run->slots; slot += HINTS_AT_ONCE / width) {",
                "for (; slot < run->slots + HINTS_AT_ONCE; slot += HINTS_AT_ONCE / width) {",
            ),
        ),
        seconds=LIMIT,
        quick=True,
    ),
    Harness(
        name="remove",
        shows="A removal takes one entry from the list and no other; places go and join; blocks are retired once.",
        bound="2 blocks of 2 entries, each spot, memory for 1 or 2 blocks, unwind 8; all 64-bit values",
        file="check_edit.c",
        function="removed",
        unwind=8,
        defines=("COUNTS=2,2", "LARGEST=6", "LEAST=1"),
        plants=(
            Plant(
                "what follows keeps a reach that came from what is gone",
                "edit.c",
                "\treach_anew(entries, at, count - 1, removed, reach);\n",
                "",
            ),
            Plant(
                "entries that are joined keep the reach of their own block",
                "edit.c",
                "at < left->count && entries[at].reach < reach; at++)",
                "at < left->count && entries[at].reach < 0; at++)",
            ),
        ),
        seconds=LIMIT,
    ),
)
