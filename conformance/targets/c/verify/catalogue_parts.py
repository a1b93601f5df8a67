"""Harnesses of what is done with a search: translations, messages, regions, dirty logs."""

from __future__ import annotations

from conformance.targets.c.verify.harness import LIMIT, Harness, Plant

# Whose loops are bounded by the structure that is given, or that have none, say so by this.
ALL_VALUES = "no loop; all 64-bit values"

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
    Harness(
        name="walk",
        shows="A translation is segments without a gap, each in the leftmost entry, up to what it cannot have.",
        bound="any number of entries, turns of the loop by induction; room for 8 segments; all 64-bit values",
        file="check_walk.c",
        function="walked",
        unwind=4,
        defines=("ROOM=8",),
        plants=(
            Plant(
                "address 0 comes after the last one",
                "translate.c",
                "if (count == room || (count && !address))",
                "if (count == room)",
            ),
            Plant(
                "host bytes are counted from where the bytes began",
                "translate.c",
                "{address, last, address + step.entry->delta}",
                "{address, last, addr + step.entry->delta}",
            ),
            Plant(
                "a hole before an entry is skipped",
                "translate.c",
                "\t\tif (step.entry->start > address)\n\t\t\tbreak;\n",
                "",
            ),
        ),
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
