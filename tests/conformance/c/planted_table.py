"""Bugs planted by hand in the C library's tables, IOTLB and translation, as in `planted.py`."""

from __future__ import annotations

from .planted import Bug, bug

TABLE_BUGS: tuple[Bug, ...] = (
    # Which entry counts.
    bug(
        "ties-youngest-first",
        "tie",
        "Of entries that start at the same byte the youngest counts.",
        ("table.c", "mapping->item.rank = table->added;", "mapping->item.rank = UINT64_MAX - table->added;"),
    ),
    bug(
        "cut-keeps-the-maximum",
        "stale maximum",
        "The running maximum is not computed anew when entries of a range go.",
        (
            "edit.c",
            "\treach_anew(entries, at, count - 1, removed, reach);",
            "\tif (count == 1)\n\t\treach_anew(entries, at, count - 1, removed, reach);",
        ),
    ),
    bug(
        "maximum-is-the-last-entry",
        "running maximum",
        "An entry that reaches over later ones is not found behind them.",
        (
            "edit.c",
            "if (at && new.reach < entries[at - 1].reach)",
            "if (at && !count)",
        ),
    ),
    # Ranges taken out.
    bug(
        "straddler-survives",
        "invalidation leaves a straddler",
        "An entry that begins before the range survives.",
        (
            "table.c",
            "spot = index_seek(private_index(table), first);\n\twhile (",
            "spot = index_from(private_index(table), first);\n\twhile (",
        ),
    ),
    bug(
        "range-without-its-last-byte",
        "off by one at the last byte of a range",
        "An entry that begins at the range's last byte survives.",
        (
            "table.c",
            "&& entry->start <= last) {",
            "&& entry->start <= last - (first < last)) {",
        ),
    ),
    bug(
        "range-without-its-first-byte",
        "off by one at the first byte of a range",
        "An entry that ends at the range's first byte survives.",
        (
            "table.c",
            "spot = index_seek(private_index(table), first);\n\twhile (",
            "spot = index_seek(private_index(table), first + (first != last));\n\twhile (",
        ),
        (
            "table.c",
            "spot = index_seek(private_index(table), first);\n\t}",
            "spot = index_seek(private_index(table), first + (first != last));\n\t}",
        ),
    ),
    bug(
        "range-takes-one",
        "search ends early",
        "Of a range one entry is taken out, and no more.",
        (
            "table.c",
            "\t\tspot = index_seek(private_index(table), first);\n\t}\n",
            "\t\tbreak;\n\t}\n",
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
            "\t\tfor (struct spot more = spot; (entry = index_entry(index, more)) && entry->start == first;\n"
            "\t\t     more = index_next(index, more))\n"
            "\t\t\tif (mapping_last(mapping_of(entry)) == last && mapping_of(entry)->host == host)\n"
            "\t\t\t\tspot = more;\n",
        ),
    ),
    bug(
        "remove-takes-all-equals",
        "duplicates",
        "All equal regions are taken out, not one.",
        (
            "table.c",
            "\t\t\treturn -ENOMEM;\n\t\ttable_publish(table);\n\t\treturn 0;\n",
            "\t\t\treturn -ENOMEM;\n\t\ttable_publish(table);\n"
            "\t\t(void)gpamap_table_remove(table, first, last, host);\n\t\treturn 0;\n",
        ),
    ),
    bug(
        "remove-ignores-the-host",
        "comparison leaves a value out",
        "A region is taken out whatever host address is given.",
        ("table.c", "(mapping) != last || mapping->host != host", "(mapping) != last || (!host && host)"),
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
            "\tif (is_no_entry(entry))\n\t\treturn -EINVAL;\n\tif (is_full",
            "\tif (is_no_entry(entry))\n\t\treturn -EINVAL;\n"
            "\t(void)gpamap_table_remove(table, entry->first, entry->last, entry->host);\n"
            "\tis_full = private_index(table)->entries >= table->limit;\n\tif (is_full",
        ),
    ),
    # The limit, and what is given up.
    bug(
        "one-entry-too-few",
        "off by one at a limit",
        "A table is full one entry early.",
        (
            "table.c",
            "bool is_full = private_index(table)->entries >= table->limit;",
            "bool is_full = private_index(table)->entries + (table->limit > 1) >= table->limit;",
        ),
    ),
    bug(
        "one-entry-too-many",
        "off by one at a limit",
        "A table takes one entry more than its limit.",
        ("table.c", "private_index(table)->entries >= table->limit;", "private_index(table)->entries > table->limit;"),
    ),
    bug(
        "youngest-goes-first",
        "retirement order",
        "A full IOTLB gives up the entry that came last.",
        ("table.c", "spot_of(table, table->next_out)", "spot_of(table, table->last_out)"),
    ),
    bug(
        "lowest-goes-first",
        "retirement order",
        "A full IOTLB gives up the entry with the lowest address.",
        (
            "table.c",
            "spot_of(table, table->next_out)",
            "spot_of(table, mapping_of(index_entry(private_index(table),\n"
            "\t\tmapping_of(index_entry(private_index(table), (struct spot){0, 0})) == mapping ?\n"
            "\t\t\tindex_next(private_index(table), (struct spot){0, 0}) : (struct spot){0, 0})))",
        ),
    ),
    bug(
        "use-is-forgotten",
        "policy ignored",
        "An IOTLB that gives up what is least recently used goes by age.",
        ("translate.c", "if (table->retirement != GPAMAP_LRU ||", "if (table->retirement <= GPAMAP_LRU ||"),
    ),
    bug(
        "use-counts-always",
        "policy ignored",
        "A first-in first-out IOTLB goes by use.",
        ("translate.c", "if (table->retirement != GPAMAP_LRU ||", "if (table->retirement == GPAMAP_REFUSE ||"),
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
        ("translate.c", "segments[i].first))));", "segments[count - 1 - i].first))));"),
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
        (
            "table.c",
            "\tindex_clear(&table->pool, private_index(table));",
            "\tif (!taken)\n\t\tindex_clear(&table->pool, private_index(table));",
        ),
        (
            "table.c",
            "\twhile (table->next_out)\n\t\twent(table, table->next_out);\n\twhile (taken)",
            "\twhile (!taken && table->next_out)\n\t\twent(table, table->next_out);\n\twhile (taken)",
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
            "mapping->item.span = region->size - 1;",
            "mapping->item.span = region->size;",
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
        ("translate.c", "if (step.entry->item & denied)", "if (denied && (step.entry->item & DENIES) == DENIES)"),
    ),
    bug(
        "write-implies-read",
        "permission confusion",
        "What may be written may be read.",
        (
            "translate.c",
            "if (step.entry->item & denied)",
            "if (step.entry->item & denied && (denied | step.entry->item) & DENIES_WRITE)",
        ),
    ),
    bug(
        "another-entry-permits",
        "asks a second entry",
        "Where an entry does not permit an access, another one there is asked.",
        (
            "translate.c",
            "\t\tif (step.entry->item & denied)",
            "\t\tfor (struct spot at = {0, 0}; step.entry->item & denied && at.place < index->count; "
            "at = index_next(index, at))\n"
            "\t\t\tif (address - index_entry(index, at)->start <= ((struct item "
            "*)entry_item(index_entry(index, at)))->span) {\n"
            "\t\t\t\tstep.last = step.entry = index_entry(index, at);\n"
            "\t\t\t\tstep.place = at.place;\n"
            "\t\t\t}\n"
            "\t\tif (step.entry->item & denied)",
        ),
    ),
    bug(
        "one-segment-too-few",
        "off by one in the room",
        "The last place for a segment is not used.",
        ("translate.c", "\tif (length && room", "\troom -= room > 0;\n\tif (length && room"),
    ),
    bug(
        "host-of-the-first-byte",
        "offset within an entry",
        "Each segment begins where its entry does.",
        ("translate.c", "last, address + step.entry->delta", "last, step.entry->start + step.entry->delta"),
        ("translate.c", " addr + entry->delta}", " entry->start + entry->delta}"),
    ),
    bug(
        "segments-are-joined",
        "segments of several entries",
        "Segments whose host memory is contiguous become one.",
        (
            "translate.c",
            "\t\tleft -= last - address + 1;\n",
            "\t\tif (count > 1 && segments[count - 1].host - segments[count - 2].host == address - "
            "segments[count - 2].first) {\n"
            "\t\t\tsegments[count - 2].last = last;\n"
            "\t\t\tcount--;\n"
            "\t\t}\n"
            "\t\tleft -= last - address + 1;\n",
        ),
    ),
    bug(
        "table-under-the-iotlb",
        "wrong map",
        "What the IOTLB does not have is looked up in the memory table.",
        (
            "device.c",
            "\terror = walk(table_index(table), addr",
            "\terror = walk(table_index(table), addr, length, access, -EPERM, segments, room, reach);\n"
            "\tif (error == -EFAULT && device->has_iotlb && !reach->bytes && device->table.next_out)\n"
            "\t\ttable = &device->table;\n"
            "\terror = walk(table_index(table), addr",
        ),
    ),
)

# Right for few, wrong for many: random sequences have too few of anything to show it.
MANY_ENTRIES_BUGS: tuple[Bug, ...] = (
    bug(
        "room-for-one-more",
        "many segments",
        "Where there is room for more than 64 segments, there is room for one more.",
        ("translate.c", "\tif (length && room", "\troom += room > 64;\n\tif (length && room"),
    ),
    bug(
        "room-ends-at-64",
        "many segments",
        "A translation has 64 segments at most, whatever the room.",
        ("translate.c", "\tif (length && room", "\troom = room > 64 ? 64 : room;\n\tif (length && room"),
    ),
    bug(
        "room-ends-at-1023",
        "many segments",
        "A translation has less than 1024 segments.",
        ("translate.c", "\tif (length && room", "\troom = room > 1023 ? 1023 : room;\n\tif (length && room"),
    ),
    bug(
        "eight-entries-at-once",
        "many entries",
        "An invalidation takes eight entries, and no more.",
        (
            "table.c",
            "\tstruct spot spot;\n\n\tif (last < first)",
            "\tstruct spot spot;\n\tint n = 0;\n\n\tif (last < first)",
        ),
        ("table.c", "&& entry->start <= last) {", "&& entry->start <= last && ++n <= 8) {"),
    ),
    bug(
        "sixteen-entries-at-once",
        "many entries",
        "An invalidation takes sixteen entries, and no more.",
        (
            "table.c",
            "\tstruct spot spot;\n\n\tif (last < first)",
            "\tstruct spot spot;\n\tint n = 0;\n\n\tif (last < first)",
        ),
        ("table.c", "&& entry->start <= last) {", "&& entry->start <= last && n < 16) {"),
        ("table.c", "\t\tif (pull(table, spot))\n\t\t\ttable_", "\t\tn++;\n\t\tif (pull(table, spot))\n\t\t\ttable_"),
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
