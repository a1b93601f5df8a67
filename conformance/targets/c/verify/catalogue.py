"""All harnesses, in the order in which they are shown."""

from __future__ import annotations

from conformance.targets.c.verify.harness import Harness, Plant

# Whose loops are bounded by the structure that is given, or that have none, say so by this.
ALL_VALUES = "no loop; all 64-bit values"
LIMIT = 150.0  # seconds; for what has to stay decidable beside other work

TRANSLATE = (
    Harness(
        name="step",
        shows="A translation steps from entry to entry: to the first that reaches the byte after the last of one.",
        bound="2 blocks of 2 entries, unwind 5; overlapping or not, all addresses",
        file="check_step.c",
        function="stepped",
        unwind=5,
        defines=("PLACES=2",),
        plants=(
            Plant(
                "the next entry is taken although it ends before the byte",
                "translate.c",
                "return step->entry->reach >= address || step_to(index, index_seek(index, address), step);",
                "return true;",
            ),
            Plant(
                "it ends with the block",
                "translate.c",
                "else if (!step_to(index, (struct spot){step->place + 1, 0}, step))",
                "else",
            ),
        ),
        seconds=LIMIT,
    ),
    Harness(
        name="once",
        shows="Where one entry holds all bytes, a translation is one segment, and only there is it made at once.",
        bound="3 entries, unwind 4; overlapping or not, all 64-bit values",
        file="check_once.c",
        function="once",
        unwind=4,
        plants=(
            Plant(
                "the bytes that an entry holds are counted, which wraps at 2^64",
                "translate.c",
                "length - 1 > entry->reach - addr)",
                "length > entry->reach - addr + 1)",
            ),
            Plant(
                "it is not looked whether the access is denied",
                "translate.c",
                "if (!entry || entry->item & denied || length - 1",
                "if (!entry || length - 1",
            ),
        ),
        seconds=LIMIT,
        quick=True,
    ),
)

MESSAGES = (
    Harness(
        name="message-checks",
        shows="A message passes exactly if no range of it goes on past 2^64 or past the limit, as exact sums say.",
        bound=ALL_VALUES,
        file="check_messages.c",
        function="checks",
        unwind=2,
        plants=(
            Plant(
                "the end of a host range is a sum that wraps",
                "message.c",
                "return size <= limit && host <= limit - size;",
                "return host + size <= limit;",
            ),
            Plant(
                "a range up to the last address is refused",
                "table.h",
                "return size && size - 1 <= UINT64_MAX - first;",
                "return size && size <= UINT64_MAX - first;",
            ),
        ),
        quick=True,
    ),
    Harness(
        name="message-effects",
        shows="An update adds exactly its bytes, an invalidation removes exactly its bytes modulo 2^64.",
        bound="messages of at most 72 bytes, unwind 3; all 64-bit values",
        file="check_messages.c",
        function="written",
        unwind=3,
        plants=(
            Plant(
                "an invalidation that wraps leaves the bytes from 0 on",
                "message.c",
                "\t(void)gpamap_table_remove_range(&device->iotlb, 0, last);\n",
                "",
            ),
            Plant(
                "a message that is short is read to its full length",
                "message.c",
                "length < sizeof(taken) ? length : sizeof(taken)",
                "length ? sizeof(taken) : length",
            ),
        ),
        quick=True,
    ),
)

REGIONS = (
    Harness(
        name="region-request",
        shows="A request passes the first checks exactly if its numbers are in their ranges, as exact sums say.",
        bound=ALL_VALUES,
        file="check_region.c",
        function="request",
        unwind=2,
        plants=(
            Plant(
                "the end of the host range is a sum that wraps",
                "region.c",
                "region->size > config->user_limit || region->hva > config->user_limit - region->size",
                "region->hva + region->size > config->user_limit",
            ),
        ),
        quick=True,
    ),
    Harness(
        name="region-place",
        shows="A slot is looked for and bounded by its exact last byte.",
        bound=ALL_VALUES,
        file="check_region.c",
        function="place",
        unwind=2,
        plants=(
            Plant(
                "the byte behind the slot counts as its last",
                "region.c",
                "\tuint64_t last = region->gpa + region->size - 1;\n\n\tif (view_overlaps",
                "\tuint64_t last = region->gpa + region->size;\n\n\tif (view_overlaps",
            ),
        ),
        quick=True,
    ),
    Harness(
        name="region-made",
        shows="A slot that is made has the request's numbers and ends at its exact last byte.",
        bound=ALL_VALUES,
        file="check_region.c",
        function="made",
        unwind=2,
        plants=(
            Plant(
                "it is one byte longer",
                "region.c",
                ".span = region->size - 1}",
                ".span = region->size}",
            ),
        ),
        quick=True,
    ),
    Harness(
        name="region-kept",
        shows="A slot that is changed keeps its host address, its exact size, and whether it is read-only.",
        bound=ALL_VALUES,
        file="check_region.c",
        function="slot_kept",
        unwind=2,
        plants=(
            Plant(
                "the size is one byte more",
                "region.c",
                "if (region->size - 1 != old->item.span)",
                "if (region->size != old->item.span)",
            ),
        ),
        quick=True,
    ),
)

LOGS = (
    Harness(
        name="log-words",
        shows="A log has the least number of words that has a bit for each page.",
        bound="no loop; every size that a slot may have",
        file="check_log.c",
        function="words",
        unwind=2,
        plants=(Plant("one word more", "log.c", "(pages + WORD_PAGES - 1) / WORD_PAGES", "pages / WORD_PAGES + 1"),),
        quick=True,
    ),
    Harness(
        name="log-begin",
        shows="A new log has all pages or none, and no bit past the last page.",
        bound="130 pages, unwind 4",
        file="check_log.c",
        function="begin",
        unwind=4,
        flags=("--memory-leak-check",),
        plants=(
            Plant(
                "the last word is full where it has no pages left over",
                "log.c",
                "\t\tif (npages % WORD_PAGES)\n",
                "",
            ),
        ),
        quick=True,
    ),
    Harness(
        name="log-mark",
        shows="A mark sets the bit of its page and no other.",
        bound="130 pages of any content, unwind 4",
        file="check_log.c",
        function="mark",
        unwind=4,
        plants=(Plant("a bit of 32", "log.c", "UINT64_C(1) << page % WORD_PAGES", "1 << page % WORD_PAGES"),),
        quick=True,
    ),
    Harness(
        name="log-take",
        shows="Copying a log gives all of its pages and leaves them; taking it gives all and leaves none.",
        bound="130 pages of any content, unwind 4",
        file="check_log.c",
        function="take",
        unwind=4,
        plants=(
            Plant(
                "the last word stays",
                "log.c",
                "\t\tif (bitmap[i])\n\t\t\tbitmap[i] =",
                "\t\tif (i != 2)\n\t\t\tbitmap[i] =",
            ),
        ),
        quick=True,
    ),
    Harness(
        name="log-clear",
        shows="Clearing takes exactly the pages that are named.",
        bound="130 pages of any content, unwind 5",
        file="check_log.c",
        function="clear",
        unwind=5,
        plants=(
            Plant(
                "the wrong word",
                "log.c",
                "atomic_fetch_and_explicit(&words[i]",
                "atomic_fetch_and_explicit(&log->words[i]",
            ),
        ),
        quick=True,
    ),
    Harness(
        name="log-seek",
        shows="The search for the next run of pages gives the first such page, and never leaves the log.",
        bound="130 pages; 6 of them singly in the first word and in the last; any content",
        file="check_log.c",
        function="seek",
        unwind=4,
        unwindset=("seek_page.0:4", "seek_page.1:15"),
        flags=("--object-bits", "10"),
        plants=(
            Plant(
                "a word behind the last one is read",
                "log.c",
                "page % WORD_PAGES == 0 && page < log->npages &&",
                "page % WORD_PAGES == 0 &&",
            ),
            Plant(
                "words that are partly marked are skipped",
                "log.c",
                "memory_order_acquire) == uniform)",
                "memory_order_acquire) != ~uniform)",
            ),
        ),
    ),
)

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
                "index->count == model->count ? model->count - back : model->count;",
                "model->count - back;",
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
                "if (spot.at && new.reach < entries[spot.at - 1].reach)",
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
        defines=("COUNTS=2,2", "LARGEST=4", "LEAST=1"),
        plants=(
            Plant(
                "what follows keeps a reach that came from what is gone",
                "edit.c",
                "\treach_anew(entries, spot.at, place->count, removed, reach);\n",
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

HARNESSES: tuple[Harness, ...] = (*SEARCH, *EDIT, *TRANSLATE, *MESSAGES, *REGIONS, *LOGS)


def harness_named(name: str) -> Harness:
    """The harness with this name. Raises KeyError."""
    return {one.name: one for one in HARNESSES}[name]
