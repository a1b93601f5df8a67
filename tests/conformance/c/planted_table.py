"""Bugs planted by hand in the C library's tables, IOTLB and translation, as in `planted.py`."""

from __future__ import annotations

from .planted import Bug, bug

TABLE_BUGS: tuple[Bug, ...] = (
    # Which entry counts.
    bug(
        "ties-youngest-first",
        "tie",
        "Of entries that start at the same byte the youngest counts.",
        ("table.c", "mapping->age = table->added++;", "mapping->age = UINT64_MAX - table->added++;"),
    ),
    bug(
        "cut-keeps-the-maximum",
        "stale maximum",
        "The running maximum is not computed anew when entries of a range go.",
        (
            "index.c",
            "\tindex->count = count;\n\tcompute_reach_from(index, changed_from);",
            "\tindex->count = count;\n\tif (!count)\n\t\tcompute_reach_from(index, changed_from);",
        ),
    ),
    bug(
        "maximum-is-the-last-entry",
        "running maximum",
        "An entry that reaches over later ones is not found behind them.",
        (
            "index.c",
            "\t\tif (reach < index->entries[position].last)\n\t\t\treach =",
            "\t\tif (position || reach < index->entries[position].last)\n\t\t\treach =",
        ),
    ),
    # Ranges taken out.
    bug(
        "straddler-survives",
        "invalidation leaves a straddler",
        "An entry that begins before the range survives.",
        (
            "table.c",
            "mapping->first <= last && mapping->last >= first",
            "mapping->first <= last && mapping->first >= first",
        ),
    ),
    bug(
        "range-without-its-last-byte",
        "off by one at the last byte of a range",
        "An entry that begins at the range's last byte survives.",
        (
            "table.c",
            "mapping->first <= last && mapping->last >= first",
            "(mapping->first < last || first == last) && mapping->last >= first",
        ),
    ),
    bug(
        "range-without-its-first-byte",
        "off by one at the first byte of a range",
        "An entry that ends at the range's first byte survives.",
        ("table.c", "from = index_seek(index, first);", "from = index_seek(index, first + (first != last));"),
    ),
    bug(
        "range-stops-at-a-gap",
        "search ends early",
        "Behind the first entry that stays no further one is taken out.",
        (
            "table.c",
            "if (mapping->first <= last && mapping->last >= first) {",
            "if (stays == from && mapping->first <= last && mapping->last >= first) {",
        ),
    ),
    bug(
        "reversed-range-is-empty",
        "missing check",
        "A range that ends before it begins is accepted, as one without bytes.",
        ("table.c", "\tif (last < first)\n\t\treturn -EINVAL;\n", "\tif (last < first)\n\t\treturn 0;\n"),
    ),
    # Regions taken out one by one.
    bug(
        "remove-takes-the-youngest",
        "which of equals",
        "Of equal regions the one that was added last is taken out.",
        (
            "table.c",
            "mapping->host != host)\n\t\t\tcontinue;\n",
            "mapping->host != host)\n\t\t\tcontinue;\n"
            "\t\tfor (size_t more = at; more < index->count && index->entries[more].start == first; more++)\n"
            "\t\t\tif (index->entries[more].last == last && index->entries[more].mapping->host == host)\n"
            "\t\t\t\tmapping = index->entries[more].mapping;\n",
        ),
    ),
    bug(
        "remove-takes-all-equals",
        "duplicates",
        "All equal regions are taken out, not one.",
        (
            "table.c",
            "\t\tforget(table, mapping);\n\t\treturn 0;\n",
            "\t\tforget(table, mapping);\n\t\t(void)gpamap_table_remove(table, first, last, host);\n\t\treturn 0;\n",
        ),
    ),
    bug(
        "remove-ignores-the-host",
        "comparison leaves a value out",
        "A region is taken out whatever host address is given.",
        ("table.c", "mapping->last != last || mapping->host != host", "mapping->last != last || (!host && host)"),
    ),
    bug(
        "remove-looks-at-one",
        "search ends early",
        "Of the regions that start at the same byte only the first can be taken out.",
        ("table.c", "mapping->host != host)\n\t\t\tcontinue;", "mapping->host != host)\n\t\t\tbreak;"),
    ),
    bug(
        "equal-entries-once",
        "duplicates",
        "An entry that is there already is not added again but takes the other's place.",
        (
            "table.c",
            "\tif (is_no_entry(entry))\n\t\treturn -EINVAL;\n\tif (table",
            "\tif (is_no_entry(entry))\n\t\treturn -EINVAL;\n"
            "\t(void)gpamap_table_remove(table, entry->first, entry->last, entry->host);\n\tif (table",
        ),
    ),
    # The limit, and what is given up.
    bug(
        "one-entry-too-few",
        "off by one at a limit",
        "A table is full one entry early.",
        (
            "table.c",
            "if (table->index.count < table->limit) {",
            "if (table->index.count + (table->limit > 1) < table->limit) {",
        ),
    ),
    bug(
        "one-entry-too-many",
        "off by one at a limit",
        "A table takes one entry more than its limit.",
        ("table.c", "if (table->index.count < table->limit) {", "if (table->index.count <= table->limit) {"),
    ),
    bug(
        "youngest-goes-first",
        "retirement order",
        "A full IOTLB gives up the entry that came last.",
        ("table.c", "\t\tmapping = table->next_out;\n\t\tpull", "\t\tmapping = table->last_out;\n\t\tpull"),
    ),
    bug(
        "lowest-goes-first",
        "retirement order",
        "A full IOTLB gives up the entry with the lowest address.",
        (
            "table.c",
            "\t\tmapping = table->next_out;\n\t\tpull",
            "\t\tmapping = table->index.entries[0].mapping;\n\t\tpull",
        ),
    ),
    bug(
        "use-is-forgotten",
        "policy ignored",
        "An IOTLB that gives up what is least recently used goes by age.",
        ("translate.c", "if (table->retirement != GPAMAP_LRU)", "if (table->retirement <= GPAMAP_LRU)"),
    ),
    bug(
        "use-counts-always",
        "policy ignored",
        "A first-in first-out IOTLB goes by use.",
        ("translate.c", "if (table->retirement != GPAMAP_LRU)", "if (table->retirement == GPAMAP_REFUSE)"),
    ),
    bug(
        "use-of-the-first-segment",
        "use of a part only",
        "Only the entry of a translation's first segment counts as used.",
        ("translate.c", "for (i = 0; i < count; i++)", "for (i = 0; i < count && !i; i++)"),
    ),
    bug(
        "use-in-reverse",
        "order of use",
        "The entries of a translation count as used from the last segment to the first.",
        ("translate.c", "segments[i].first));", "segments[count - 1 - i].first));"),
    ),
    bug(
        "stopped-use-is-lost",
        "use of what failed",
        "A translation that stops has used nothing.",
        (
            "device.c",
            "\ttable_walked(table, segments, reach->segments);",
            "\tif (!error)\n\t\ttable_walked(table, segments, reach->segments);",
        ),
    ),
    # The table as a whole.
    bug(
        "bad-table-clears",
        "partial replacement",
        "A table with a region that is no range leaves the regions before it.",
        (
            "device.c",
            "\tif (error)\n\t\treturn error;\n\tif (table_take(",
            "\tif (error && is_from_owner(device) && table && !table->padding && table->regions &&\n"
            "\t    table->nregions <= device->config.iotlb_limit && table->nregions <= device->config.max_regions) {\n"
            "\t\ttable_clear(&device->table);\n"
            "\t\tfor (i = 0; is_range(table->regions[i].gpa, table->regions[i].size); i++)\n"
            "\t\t\t(void)gpamap_device_add_region(device, table->regions[i].gpa, table->regions[i].size,\n"
            "\t\t\t\t\t\t       table->regions[i].hva);\n"
            "\t}\n"
            "\tif (error)\n\t\treturn error;\n\tif (table_take(",
        ),
    ),
    bug(
        "table-is-merged",
        "replacement keeps the old",
        "A new table is added to the old one.",
        ("table.c", "\ttable_clear(table);\n\twhile (taken)", "\twhile (taken)"),
        (
            "table.c",
            "index_reserve(&table->memory, &table->index, count)",
            "index_reserve(&table->memory, &table->index, table->index.count + count)",
        ),
    ),
    bug(
        "table-from-its-end",
        "order of a list",
        "The regions of a table are added from the last to the first.",
        (
            "device.c",
            "struct gpamap_memory_region *region = &table->regions[i];",
            "struct gpamap_memory_region *region = &table->regions[table->nregions - 1 - i];",
        ),
    ),
    bug(
        "region-one-byte-longer",
        "off by one at the end of an entry",
        "A region of a table has one byte more.",
        (
            "device.c",
            "mapping->last = region->gpa + (region->size - 1);",
            "mapping->last = region->gpa + region->size;",
        ),
    ),
    bug(
        "last-address-is-refused",
        "wrap at 2^64",
        "A range may not hold the very last address.",
        ("table.h", "size - 1 <= UINT64_MAX - first", "size - 1 < UINT64_MAX - first"),
    ),
    bug(
        "region-wraps",
        "wrap at 2^64",
        "A region that goes on past the last address is accepted.",
        (
            "device.c",
            "if (!is_range(table->regions[i].gpa, table->regions[i].size))",
            "if (!table->regions[i].size)",
        ),
    ),
    # Translation.
    bug(
        "any-permission-will-do",
        "permission",
        "An entry with any permission permits every access.",
        ("translate.c", "if (!(mapping->perm & access))", "if (!(mapping->perm && access))"),
    ),
    bug(
        "write-implies-read",
        "permission confusion",
        "What may be written may be read.",
        ("translate.c", "if (!(mapping->perm & access))", "if (mapping->perm < access)"),
    ),
    bug(
        "another-entry-permits",
        "asks a second entry",
        "Where an entry does not permit an access, another one there is asked.",
        (
            "translate.c",
            "\t\tif (!(mapping->perm & access))",
            "\t\tfor (size_t at = 0; !(mapping->perm & access) && at < table->index.count; at++)\n"
            "\t\t\tif (table->index.entries[at].start <= address && table->index.entries[at].last >= address)\n"
            "\t\t\t\tmapping = table->index.entries[at].mapping;\n"
            "\t\tif (!(mapping->perm & access))",
        ),
    ),
    bug(
        "one-segment-too-few",
        "off by one in the room",
        "The last place for a segment is not used.",
        ("translate.c", "if (reach->segments == room)", "if (reach->segments + 1 >= room)"),
    ),
    bug(
        "translation-wraps",
        "wrap of a translation",
        "After the last address comes address 0.",
        ("translate.c", "\t\tif (address < addr) /* past the last one */\n\t\t\treturn -EFAULT;\n", ""),
    ),
    bug(
        "host-of-the-first-byte",
        "offset within an entry",
        "Each segment begins where its entry does.",
        ("translate.c", "mapping->host + (address - mapping->first)", "mapping->host"),
    ),
    bug(
        "segments-are-joined",
        "segments of several entries",
        "Segments whose host memory is contiguous become one.",
        (
            "translate.c",
            "\t\treach->bytes += left;\n",
            "\t\treach->bytes += left;\n"
            "\t\tif (reach->segments > 1 &&\n"
            "\t\t    segments[reach->segments - 1].host - segments[reach->segments - 2].host ==\n"
            "\t\t\t    address - segments[reach->segments - 2].first) {\n"
            "\t\t\tsegments[reach->segments - 2].last = segments[reach->segments - 1].last;\n"
            "\t\t\treach->segments--;\n"
            "\t\t}\n",
        ),
    ),
    bug(
        "table-under-the-iotlb",
        "wrong map",
        "What the IOTLB does not have is looked up in the memory table.",
        (
            "device.c",
            "\terror = table_walk(table, addr",
            "\terror = table_walk(table, addr, length, access, segments, room, reach);\n"
            "\tif (error == -EFAULT && device->has_iotlb && !reach->bytes && device->table.index.count)\n"
            "\t\ttable = &device->table;\n"
            "\terror = table_walk(table, addr",
        ),
    ),
)

# Right for few, wrong for many: random sequences have too few of anything to show it.
MANY_ENTRIES_BUGS: tuple[Bug, ...] = (
    bug(
        "room-for-one-more",
        "many segments",
        "Where there is room for more than 64 segments, there is room for one more.",
        ("translate.c", "if (reach->segments == room)", "if (reach->segments == room + (room > 64))"),
    ),
    bug(
        "room-ends-at-64",
        "many segments",
        "A translation has 64 segments at most, whatever the room.",
        ("translate.c", "if (reach->segments == room)", "if (reach->segments == (room > 64 ? 64 : room))"),
    ),
    bug(
        "room-ends-at-1023",
        "many segments",
        "A translation has less than 1024 segments.",
        ("translate.c", "if (reach->segments == room)", "if (reach->segments == (room > 1023 ? 1023 : room))"),
    ),
    bug(
        "eight-entries-at-once",
        "many entries",
        "An invalidation takes eight entries, and no more.",
        (
            "table.c",
            "if (mapping->first <= last && mapping->last >= first) {",
            "if (mapping->first <= last && mapping->last >= first && at - from < 8) {",
        ),
    ),
    bug(
        "sixteen-entries-at-once",
        "many entries",
        "An invalidation takes sixteen entries, and no more.",
        (
            "table.c",
            "if (mapping->first <= last && mapping->last >= first) {",
            "if (mapping->first <= last && mapping->last >= first && at - stays < 16) {",
        ),
    ),
    bug(
        "two-segments-used",
        "use of a part only",
        "A translation notes the use of its first two segments.",
        ("translate.c", "for (i = 0; i < count; i++)", "for (i = 0; i < count && i < 2; i++)"),
    ),
    bug(
        "three-segments-used",
        "use of a part only",
        "A translation notes the use of its first three segments.",
        ("translate.c", "for (i = 0; i < count; i++)", "for (i = 0; i < count && i < 3; i++)"),
    ),
)
