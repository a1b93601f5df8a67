"""Bugs planted by hand in the C library's index, as in `planted.py`, for the program that edits an index alone.

Maps as small as those of vectors have one block, and no allocation of theirs fails.
"""

from __future__ import annotations

from .planted import Bug, bug

INDEX_BUGS: tuple[Bug, ...] = (
    # Search.
    bug(
        "hint-is-not-clamped",
        "hint is trusted",
        "A hint may lead behind the last entry of a block.",
        (
            "index.h",
            "\tif (!LIKELY(at < run->count))\n\t\treturn NULL;\n\tif (run->dense)",
            "\tif (run->dense)",
        ),
    ),
    bug(
        "hint-is-believed",
        "hint is trusted",
        "The entry that a hint names is taken without a look at its first byte.",
        (
            "index.h",
            "if (LIKELY(holds(&entries[at], address)))",
            "if (LIKELY(entries[at].reach >= address))",
        ),
    ),
    bug(
        "second-guess-is-believed",
        "hint is trusted",
        "The entry behind the one that a hint names is taken without a look at it.",
        ("index.h", "++at < run->count && LIKELY(holds(&entries[at], address)) ?", "++at < run->count ?"),
    ),
    bug(
        "overlap-of-one-byte",
        "hints where ranges overlap",
        "Entries that share one byte are taken for such that do not overlap.",
        (
            "hints.c",
            "\t\tif (entries[at].start <= entries[at - 1].reach)\n\t\t\treturn true;",
            "\t\tif (entries[at].start < entries[at - 1].reach)\n\t\t\treturn true;",
        ),
    ),
    bug(
        "overlap-with-the-block-before",
        "overlaps not kept",
        "Whether the blocks before overlap a block is told from the last of them alone.",
        (
            "places.c",
            "at->block->entries[0].start <= at[-1].reach;",
            "at->block->entries[0].start <= last_entry(&at[-1])->reach;",
        ),
    ),
    bug(
        "overlap-of-the-edited-block",
        "overlaps not kept",
        "Whether later blocks overlap is not looked at again.",
        (
            "places.c",
            "for (at = place; at <= end && at < index->count; at++)",
            "for (at = place; at <= place; at++)",
        ),
    ),
    bug(
        "search-past-the-last-byte",
        "off by one",
        "The search without hints goes past an entry at its last byte.",
        (
            "search.c",
            "low += entries[low + half - 1].reach < address",
            "low += entries[low + half - 1].reach <= address",
        ),
    ),
    bug(
        "equal-starts-in-two-blocks",
        "tie over a border",
        "Of equal starts in two blocks the search by start finds those in the later one.",
        ("search.c", "index->places[spot.place + 1].start < start)", "index->places[spot.place + 1].start <= start)"),
    ),
    bug(
        "start-at-the-last-address",
        "wrap at 2^64",
        "A range that starts at the last address is put in front of all.",
        (
            "search.c",
            "\tif (new->start < UINT64_MAX)\n\t\tspot = index_from(index, new->start + 1);",
            "\tspot = index_from(index, new->start + 1);",
        ),
    ),
    bug(
        "rank-is-ignored",
        "tie",
        "Of equal starts the one that was put in last comes last, whatever its rank.",
        (
            "search.c",
            "entry->start < new->start || item_of(entry)->rank <= item_of(new)->rank",
            "entry->start <= new->start || item_of(entry)->rank <= item_of(new)->rank",
        ),
    ),
    # Walks.
    bug(
        "walk-takes-the-next-entry",
        "walk",
        "A walk goes on with the entry behind, also where that ends before.",
        (
            "translate.c",
            "return step->entry->reach >= address || step_to(index, index_seek(index, address), step);",
            "return step->entry->start <= address || step_to(index, index_seek(index, address), step);",
        ),
    ),
    bug(
        "walk-skips-an-entry",
        "walk",
        "A walk goes on with the entry after the next.",
        ("translate.c", "\t\tstep->entry++;\n", "\t\tstep->entry = step->last;\n"),
    ),
    bug(
        "walk-wraps",
        "wrap at 2^64",
        "After the last address comes address 0.",
        ("translate.c", "if (count == room || (count && !address))", "if (count == room)"),
    ),
    # Reach.
    bug(
        "reach-of-later-blocks-grows-late",
        "stale maximum",
        "Blocks behind one that reaches further now keep their reach.",
        ("places.c", "while (places[end - 1].reach != before && end", "while (places[end - 1].reach < before && end"),
    ),
    bug(
        "reach-of-later-blocks-stays",
        "stale maximum",
        "Blocks behind one that reaches less far now keep their reach.",
        ("places.c", "while (places[end - 1].reach != before && end", "while (places[end - 1].reach > before && end"),
    ),
    bug(
        "reach-of-the-next-suffices",
        "stale maximum",
        "The next block is taken to reach as far by itself where it may not.",
        (
            "places.c",
            "places[end].reach > before && places[end].reach >= places[place].reach)",
            "places[end].reach >= places[place].reach)",
        ),
    ),
    bug(
        "split-keeps-the-reach",
        "stale maximum",
        "The second half of a block knows of the reach of the first.",
        ("edit.c", "\treach_anew(block->entries, 0, moved, left->block->entries[cut - 1].reach, 0);\n", ""),
    ),
    bug(
        "join-forgets-the-reach",
        "stale maximum",
        "Entries that join another block do not know how far its entries reach.",
        (
            "edit.c",
            "for (at = left->count - right->count; at < left->count &&",
            "for (at = left->count; at < left->count &&",
        ),
    ),
    # Splits, joins, places.
    bug(
        "split-loses-an-entry",
        "split",
        "The last entry of the first half is lost.",
        ("edit.c", "left->count = (uint16_t)cut;", "left->count = (uint16_t)(cut - (cut > 1));"),
    ),
    bug(
        "split-doubles-an-entry",
        "split",
        "The first entry of the second half stays in the first, too.",
        ("edit.c", "left->count = (uint16_t)cut;", "left->count = (uint16_t)(cut + 1);"),
    ),
    bug(
        "split-shifts-the-spot",
        "split",
        "A new entry that falls into the second half gets one place too late.",
        ("edit.c", "spot->at -= cut;", "spot->at -= cut - (spot->at > cut);"),
    ),
    bug(
        "place-overwrites-the-last",
        "places",
        "A new block takes the place of the last one.",
        (
            "places.c",
            "(index->count - at) * sizeof(new));\n\tindex->places[at]",
            "(index->count - at - 1) * sizeof(new));\n\tindex->places[at]",
        ),
    ),
    bug(
        "removed-block-still-overlaps",
        "places",
        "A block that is gone still counts as one that overlaps.",
        ("places.c", "\tindex->overlaps -= index->places[at].overlaps;\n", ""),
    ),
    bug(
        "removed-block-leaves-its-reach",
        "places",
        "Blocks behind one that is gone keep their reach.",
        ("places.c", "\tif (at < index->count)\n\t\tsettle(index, at);\n", ""),
    ),
    # Copies.
    bug(
        "edits-published-blocks",
        "edit in place",
        "A published block that has room is edited as it is.",
        ("edit.c", "if (old->fresh && old->room >= need)", "if (old->room >= need)"),
    ),
    bug(
        "sealed-block-stays-fresh",
        "edit in place",
        "A block that was edited and published is edited again.",
        ("follow.c", "\t\tindex->places[at].block->fresh = false;\n", ""),
    ),
    bug(
        "copy-is-short",
        "copy",
        "The copy of a block lacks its last entry.",
        ("edit.c", "at->count * sizeof(*new->entries));", "(at->count - 1u) * sizeof(*new->entries));"),
    ),
    bug(
        "copy-has-the-old-room",
        "copy",
        "The room of a block's copy is that of the block.",
        ("edit.c", "\tat->room = (uint16_t)new->room;\n\tretire", "\tretire"),
    ),
    # The other side.
    bug(
        "first-entry-is-not-followed",
        "other side",
        "The first entry of all is not made on the other side.",
        ("edit.c", "\tindex->count = 1;\n\tnote_change(index, 0, 1);", "\tindex->count = 1;"),
    ),
    bug(
        "follows-from-the-last-change-on",
        "other side",
        "Of several changes only what lies behind the first one's begin is made on the other side.",
        ("places.c", "if (!index->changed || from < index->same_front)", "if (!index->changed)"),
    ),
    bug(
        "follows-to-the-first-change",
        "other side",
        "Of several changes only what lies before the first one's end is made on the other side.",
        ("places.c", "if (!index->changed || back < index->same_back)", "if (!index->changed)"),
    ),
    bug(
        "follows-one-place-too-few",
        "other side",
        "The last of the places that changed is not copied.",
        (
            "follow.c",
            "? model->count - edited->same_back : model->count;",
            "? model->count - edited->same_back - 1 : model->count;",
        ),
    ),
    bug(
        "follows-without-the-rest",
        "other side",
        "Where places came or went those behind are not copied.",
        (
            "follow.c",
            "size_t end = index->count == model->count ? model->count - edited->same_back : model->count;",
            "size_t end = model->count - edited->same_back;",
        ),
    ),
    bug(
        "follows-without-room",
        "other side",
        "The other side does not grow.",
        (
            "follow.c",
            "\tif (index->later) {\n\t\tuse_later(pool, index);\n\t\tpublished",
            "\tif (index->later && !index->room) {\n\t\tuse_later(pool, index);\n\t\tpublished",
        ),
    ),
    bug(
        "gap-stays",
        "other side",
        "What is changed between two changes is left out as if it were not.",
        ("places.c", "(end > index->gap_from && from < index->gap_end)", "end < from"),
    ),
    bug(
        "gap-takes-a-place-too-many",
        "other side",
        "The gap between two changes takes in the first place of the later one.",
        (
            "places.c",
            "index->gap_end = from > past ? from : front;",
            "index->gap_end = (from > past ? from : front) + 1;",
        ),
    ),
    bug(
        "gap-where-places-moved",
        "other side",
        "Where places came or went those between two changes are left where they were.",
        ("places.c", "!index->changed || index->shifted || (end", "!index->changed || (end"),
    ),
    # Taken back.
    bug(
        "revert-keeps-fresh-blocks",
        "leak",
        "Blocks of edits that are taken back are not freed.",
        (
            "follow.c",
            "\t\tif (index->places[at].block->fresh)\n\t\t\tpool_give",
            "\t\tif (!index->count)\n\t\t\tpool_give",
        ),
    ),
    bug(
        "revert-frees-all-blocks",
        "freed too early",
        "Edits that are taken back take published blocks with them.",
        (
            "follow.c",
            "\t\tif (index->places[at].block->fresh)\n\t\t\tpool_give",
            "\t\tif (index->places[at].block->fresh || at == index->same_front)\n\t\t\tpool_give",
        ),
    ),
    bug(
        "retired-blocks-go-with-the-edits",
        "freed too early",
        "Blocks that edits retired are freed although the edits are taken back.",
        (
            "pool.c",
            "\tpool->retired = NULL;\n}",
            "\tfor (struct block *next; pool->retired; pool->retired = next) {\n"
            "\t\tnext = pool->retired->next;\n\t\tblock_free(pool, pool->retired);\n\t}\n}",
        ),
    ),
    bug(
        "fresh-blocks-retire",
        "leak",
        "A block that nobody reads waits for its readers, and is forgotten when edits are taken back.",
        ("pool.c", "\tif (block->fresh) {\n\t\tpool_give(pool, block);\n\t\treturn;\n\t}\n", ""),
    ),
    bug(
        "removed-block-is-kept",
        "leak",
        "The block of the last entry that goes is never freed.",
        ("places.c", "\tretire(pool, index->places[at].block);\n\tindex->overlaps", "\t(void)pool;\n\tindex->overlaps"),
    ),
    # The queue of free blocks.
    bug(
        "end-is-not-set-back",
        "free blocks",
        "When the last free block is taken, the next that is given back is put behind it.",
        ("pool.c", "\tif (!*link)\n\t\tpool->end = link;\n", ""),
    ),
    bug(
        "end-is-not-moved-on",
        "free blocks",
        "A block that is given back takes the place of the one that was given back before.",
        ("pool.c", "\tpool->end = &block->next;\n", ""),
    ),
    # Hints.
    bug(
        "entries-before-stay-without-hints",
        "hints",
        "Where an entry comes behind others that were left without hints, what lies between names none of them.",
        (
            "hints.c",
            "\twhile (from && slot_behind(&run, entries[from - 1].reach) > place->slots)\n\t\tfrom--;\n",
            "",
        ),
    ),
    # Memory for removals.
    bug(
        "spare-is-not-regained",
        "no memory for a removal",
        "The spare block, once used, does not come back.",
        (
            "pool.c",
            "if (pool->keeps_spare && !pool->spare && block->room",
            "if (!pool->keeps_spare && !pool->spare && block->room",
        ),
    ),
    bug(
        "spare-is-not-exchanged",
        "no memory for a removal",
        "No other block takes the place of the spare one that is in use.",
        (
            "edit.c",
            "if (index->places[at].room == largest_room(pool) && !index_open",
            "if (index->places[at].room > largest_room(pool) && !index_open",
        ),
    ),
    bug(
        "spare-for-insertions",
        "no memory for a removal",
        "Insertions use the spare block up.",
        ("pool.c", "if (!block && to_remove) {", "if (!block && (to_remove || need)) {"),
    ),
    bug(
        "spare-is-joined",
        "no memory for a removal",
        "Two blocks become one in the spare block, for which there is no other then.",
        ("edit.c", "\tif (pool->keeps_spare && !pool->spare)\n\t\treturn;\n", ""),
    ),
    bug(
        "removal-without-spare",
        "no memory for a removal",
        "Removals do not use the spare block.",
        ("pool.c", "if (!block && to_remove) {", "if (!block && to_remove && !need) {"),
    ),
    bug(
        "cleared-index-overlaps",
        "leftover",
        "An index that was cleared still knows of blocks that overlapped.",
        ("edit.c", "\tindex->slots = 0;\n\tindex->overlaps = 0;\n", "\tindex->slots = 0;\n"),
    ),
)

# What hints say costs time, and nothing else: these are no bugs.
HARMLESS: tuple[Bug, ...] = (
    bug(
        "hints-lead-elsewhere",
        "hints",
        "Each hint names the third entry behind the one that it should.",
        ("hints.c", "uint64_t names = (uint64_t)from * ones;", "uint64_t names = (uint64_t)(from + 3) * ones;"),
    ),
    bug(
        "steps-the-wrong-way",
        "hints",
        "Where the first guess is wrong, the second is the entry before.",
        ("index.h", "return ++at < run->count &&", "return at-- &&"),
    ),
    bug(
        "follows-without-hints",
        "hints",
        "The other side has the hints that it had before.",
        ("follow.c", "if (hints && model->slots)", "if (hints && model->slots && !model->count)"),
    ),
    bug(
        "hints-move-down",
        "hints",
        "When a block comes, the hints behind it go down instead of up.",
        ("hints.c", "names = up ? names + ones : names - ones;", "names = up ? names - ones : names + ones;"),
    ),
)
