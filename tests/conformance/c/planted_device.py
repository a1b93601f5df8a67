"""Bugs planted by hand in the C library's tables, IOTLB and device, as `planted.py` has them for its slots."""

from __future__ import annotations

from .planted import Bug, bug

DEVICE_BUGS: tuple[Bug, ...] = (
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
        "wrapped-invalidation-stops",
        "wrap of a range",
        "An invalidation that passes the last address does not go on at 0.",
        ("message.c", "\t(void)gpamap_table_remove_range(&device->iotlb, 0, last);\n", ""),
    ),
    bug(
        "empty-invalidation-takes-all",
        "empty range",
        "An invalidation of no bytes takes out everything.",
        ("message.c", "\tif (!message->size)\n\t\treturn;\n", ""),
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
    bug(
        "refused-update-gives-up",
        "a failure changes something",
        "An update that passes the last address is refused after another entry was given up for it.",
        (
            "message.c",
            "\tif (error)\n\t\treturn error;\n\tif (taken.kind",
            "\tif (error == -EFAULT && taken.kind == GPAMAP_UPDATE && device->has_iotlb &&\n"
            "\t    taken.size - 1 > UINT64_MAX - taken.iova && device->iotlb.index.count == device->iotlb.limit) {\n"
            "\t\tstruct mapping *gone = device->iotlb.next_out;\n\n"
            "\t\t(void)gpamap_table_remove(&device->iotlb, gone->first, gone->last, gone->host);\n\t}\n"
            "\tif (error)\n\t\treturn error;\n\tif (taken.kind",
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
    # Order of checks.
    bug(
        "count-before-padding",
        "errno order",
        "The number of regions is looked at before the padding.",
        (
            "device.c",
            "\tif (table->padding)\n\t\treturn -EOPNOTSUPP;\n",
            "\tif (table->nregions > device->config.max_regions)\n\t\treturn -E2BIG;\n"
            "\tif (table->padding)\n\t\treturn -EOPNOTSUPP;\n",
        ),
    ),
    bug(
        "regions-before-count",
        "errno order",
        "The pointer to the regions is looked at before their number.",
        (
            "device.c",
            "\tif (table->padding)\n\t\treturn -EOPNOTSUPP;\n",
            "\tif (table->padding)\n\t\treturn -EOPNOTSUPP;\n"
            "\tif (table->nregions && !table->regions)\n\t\treturn -EFAULT;\n",
        ),
    ),
    bug(
        "full-before-range",
        "errno order",
        "Whether there is room for a region is looked at before whether it is a range.",
        (
            "device.c",
            "\tif (!is_range(gpa, size))\n\t\treturn -EFAULT;\n",
            "\tif (device->table.index.count >= device->table.limit)\n\t\treturn -ENOSPC;\n"
            "\tif (!is_range(gpa, size))\n\t\treturn -EFAULT;\n",
        ),
    ),
    bug(
        "mode-before-empty",
        "errno order",
        "Whether there is an IOTLB is looked at before whether an update has bytes.",
        (
            "message.c",
            "\tif (message->kind == GPAMAP_UPDATE && !message->size)\n",
            "\tif (length >= NEEDED_BYTES && !device->has_iotlb)\n\t\treturn -EFAULT;\n"
            "\tif (message->kind == GPAMAP_UPDATE && !message->size)\n",
        ),
    ),
    bug(
        "room-comes-last",
        "errno order",
        "A translation looks at its room only after the entry.",
        ("translate.c", "\t\tif (reach->segments == room)\n\t\t\treturn -ENOBUFS;\n", ""),
        (
            "translate.c",
            "\t\t\treturn -EPERM;\n",
            "\t\t\treturn -EPERM;\n\t\tif (reach->segments == room)\n\t\t\treturn -ENOBUFS;\n",
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
    # Misses.
    bug(
        "miss-past-the-last-address",
        "miss of what cannot be",
        "Past the last address the device asks for byte 0.",
        ("device.c", " && addr + reach->bytes >= addr) {", ") {"),
    ),
    bug(
        "miss-of-the-first-byte",
        "address of a miss",
        "A miss asks for the first byte of the translation, not for the one that is missing.",
        ("device.c", "{queue, access, addr + reach->bytes, device->framing}", "{queue, access, addr, device->framing}"),
    ),
    bug(
        "miss-is-a-read",
        "access of a miss",
        "A miss always asks for permission to read.",
        ("device.c", "seen = {queue, access, addr", "seen = {queue, GPAMAP_READ, addr"),
    ),
    bug(
        "newest-miss-first",
        "order of misses",
        "The miss that came last is read first.",
        (
            "device.c",
            "\t\tmisses_add(&device->unread, miss);\n",
            "\t\tmiss->next = device->unread.oldest;\n\t\tdevice->unread.oldest = miss;\n"
            "\t\tif (!device->unread.newest)\n\t\t\tdevice->unread.newest = miss;\n",
        ),
    ),
    bug(
        "equal-misses-once",
        "duplicates",
        "A byte that was asked for and not read is not asked for again.",
        (
            "device.c",
            "\t\tstruct miss *miss = miss_new(&device->memory, seen);\n",
            "\t\tstruct miss *miss;\n\n"
            "\t\tif (device->unread.newest && device->unread.newest->seen.iova == seen.iova)\n"
            "\t\t\treturn -EAGAIN;\n"
            "\t\tmiss = miss_new(&device->memory, seen);\n",
        ),
    ),
    bug(
        "miss-of-the-forbidden",
        "miss for lack of permission",
        "A byte that is not permitted is asked for.",
        (
            "device.c",
            "if (error == -EFAULT && device->has_iotlb &&",
            "if ((error == -EFAULT || error == -EPERM) && device->has_iotlb &&",
        ),
    ),
    bug(
        "framing-when-it-is-read",
        "captured too late",
        "A miss has the framing that is agreed on when it is read.",
        ("message.c", "given.framing = miss->seen.framing;", "given.framing = device->framing;"),
    ),
    bug(
        "short-read-takes-a-miss",
        "lost miss",
        "A read without room for a message takes the miss all the same.",
        (
            "message.c",
            "\tif (length < GPAMAP_MESSAGE_BYTES)\n\t\treturn 0;\n",
            "\tif (length < GPAMAP_MESSAGE_BYTES) {\n"
            "\t\tmiss = misses_take_oldest(&device->unread);\n"
            "\t\tif (miss)\n\t\t\tmisses_add(&device->pending, miss);\n\t\treturn 0;\n\t}\n",
        ),
    ),
    bug(
        "update-answers-the-unread",
        "wrong list",
        "An update answers misses that nobody has read.",
        (
            "message.c",
            "misses_answer(&device->memory, &device->pending, entry.first, entry.last, woken);",
            "misses_answer(&device->memory, &device->unread, entry.first, entry.last, woken);",
        ),
    ),
    # Messages.
    bug(
        "padding-must-be-written",
        "length of a message",
        "A message without the padding behind it is refused.",
        (
            "message.c",
            "\tif (length < NEEDED_BYTES)\n\t\treturn -EINVAL;\n",
            "\tif (length < GPAMAP_MESSAGE_BYTES)\n\t\treturn -EINVAL;\n",
        ),
    ),
    bug(
        "permission-bits-are-kept",
        "unknown bits",
        "Bits of a permission that say nothing make an update fail.",
        ("message.c", ".perm = message->perm & (GPAMAP_READ | GPAMAP_WRITE),", ".perm = message->perm,"),
    ),
    bug(
        "user-limit-short-of-a-byte",
        "off by one at a limit",
        "An update may not end at the user limit.",
        ("message.c", "host <= limit - size", "host < limit - size"),
    ),
    bug(
        "limit-without-permission",
        "check too many",
        "What the device may not touch has to be user memory too.",
        (
            "message.c",
            "\tif (!(message->perm & (GPAMAP_READ | GPAMAP_WRITE)))\n\t\treturn false;\n",
            "",
        ),
    ),
    bug(
        "host-range-wraps",
        "wrap of a host range",
        "The host range of an update without permission may pass the last host address.",
        (
            "message.c",
            "\tif (!is_range(message->uaddr, message->size))\n\t\treturn true;\n",
            "\tif (!message->size)\n\t\treturn true;\n",
        ),
    ),
    # The mode, and the owner.
    bug(
        "enabled-again-keeps-entries",
        "mode",
        "An IOTLB that is enabled again keeps its entries.",
        (
            "device.c",
            "\t\tdevice->has_iotlb = true;\n\t\ttable_clear(&device->iotlb);\n",
            "\t\tdevice->has_iotlb = true;\n",
        ),
    ),
    bug(
        "mode-always-follows",
        "mode",
        "A device whose IOTLB is to stay loses it with the feature.",
        (
            "device.c",
            "} else if (device->has_iotlb && device->config.iotlb_follows) {",
            "} else if (device->has_iotlb) {",
        ),
    ),
    bug(
        "left-mode-keeps-misses",
        "leftover",
        "Misses survive the end of the IOTLB mode.",
        (
            "device.c",
            "\t\ttable_clear(&device->iotlb);\n\t\tforget_misses(device);\n\t}\n",
            "\t\ttable_clear(&device->iotlb);\n\t}\n",
        ),
    ),
    bug(
        "reset-keeps-misses",
        "leftover",
        "Misses survive the reset of the owner.",
        (
            "device.c",
            "\ttable_clear(&device->iotlb);\n\tforget_misses(device);\n\treturn 0;\n",
            "\ttable_clear(&device->iotlb);\n\treturn 0;\n",
        ),
    ),
    bug(
        "reset-keeps-the-mode",
        "leftover",
        "A device that was given up is still in IOTLB mode.",
        (
            "device.c",
            "\tdevice->has_iotlb = false;\n\ttable_clear(&device->iotlb);\n\tforget_misses(device);\n\treturn 0;\n",
            "\ttable_clear(&device->iotlb);\n\tforget_misses(device);\n\treturn 0;\n",
        ),
    ),
    bug(
        "reset-keeps-the-framing",
        "leftover",
        "A device that was given up writes its misses in the framing agreed on before.",
        (
            "device.c",
            "\tdevice->framing = 1;\n\tdevice->has_table = true;\n",
            "\tdevice->has_table = true;\n",
        ),
    ),
    bug(
        "reset-leaves-no-table",
        "absent and empty",
        "A device that was given up has no table, instead of an empty one.",
        (
            "device.c",
            "\tdevice->has_table = true;\n\ttable_clear(&device->table);\n\tdevice->has_iotlb",
            "\tdevice->has_table = false;\n\ttable_clear(&device->table);\n\tdevice->has_iotlb",
        ),
    ),
    bug(
        "strangers-remove-ranges",
        "missing check",
        "Everybody may remove ranges from the table.",
        (
            "device.c",
            "\tif (!is_from_owner(device))\n\t\treturn -EPERM;\n\treturn gpamap_table_remove_range(",
            "\treturn gpamap_table_remove_range(",
        ),
    ),
)

# Right for few, wrong for many: random sequences have too few of anything to show it.
MANY_BUGS: tuple[Bug, ...] = (
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
        "eight-misses",
        "many misses",
        "A ninth unread miss takes the place of the oldest.",
        (
            "miss.c",
            "\tmisses->newest = miss;\n}\n\n/* NULL: there is none. */",
            "\tmisses->newest = miss;\n\tsize_t many = 0;\n"
            "\tfor (struct miss *one = misses->oldest; one; one = one->next)\n\t\tmany++;\n"
            "\tif (many > 8)\n\t\tmisses->oldest = misses->oldest->next;\n}\n\n/* NULL: there is none. */",
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

# What no vector can show where there are no rings: which queues are woken, and which misses still wait for an answer.
WAITING_BUGS: tuple[Bug, ...] = (
    bug(
        "owner-leaves-what-waits",
        "leftover",
        "What a device waited for outlives its owner.",
        (
            "device.c",
            "\tdevice->has_iotlb = false;\n\ttable_clear(&device->iotlb);\n\tforget_misses(device);\n\treturn 0;",
            "\tdevice->has_iotlb = false;\n\ttable_clear(&device->iotlb);\n"
            "\tmisses_drop(&device->memory, &device->unread);\n\treturn 0;",
        ),
    ),
    bug(
        "features-drop-what-waits",
        "too much is forgotten",
        "Entering the IOTLB mode again forgets the misses that were read.",
        (
            "device.c",
            "\t\tdevice->has_iotlb = true;\n\t\ttable_clear(&device->iotlb);",
            "\t\tdevice->has_iotlb = true;\n\t\ttable_clear(&device->iotlb);\n"
            "\t\tmisses_drop(&device->memory, &device->pending);",
        ),
    ),
    bug(
        "woken-short-of-the-last-byte",
        "off by one at the end of an update",
        "A miss at the last byte of an update is not answered.",
        ("miss.c", "miss->seen.iova <= last", "(miss->seen.iova < last || first == last)"),
    ),
    bug(
        "woken-behind-the-first-byte",
        "off by one at the start of an update",
        "A miss at the first byte of an update is not answered.",
        ("miss.c", "miss->seen.iova >= first", "(miss->seen.iova > first || first == last)"),
    ),
    bug(
        "woken-twice",
        "duplicates",
        "A queue is woken for each of its misses.",
        (
            "miss.c",
            "\t\tif (woken->queues[i] == queue)\n\t\t\treturn;\n",
            "\t\tif (woken->queues[i] == queue && i + 1 == GPAMAP_QUEUES)\n\t\t\treturn;\n",
        ),
    ),
    bug(
        "answered-and-kept",
        "leftover",
        "Misses that were answered go on waiting.",
        (
            "miss.c",
            "\t\t\twake(woken, miss->seen.queue);\n\t\t\tmiss_free(memory, miss);\n",
            "\t\t\twake(woken, miss->seen.queue);\n\t\t\tmisses_add(&stay, miss);\n\t\t\t(void)memory;\n",
        ),
    ),
    bug(
        "one-answer-at-a-time",
        "search ends early",
        "An update answers one miss and no more.",
        (
            "miss.c",
            "if (miss->seen.iova >= first && miss->seen.iova <= last) {",
            "if (!woken->count && miss->seen.iova >= first && miss->seen.iova <= last) {",
        ),
    ),
    bug(
        "queues-by-number",
        "order of what is woken",
        "Queues are woken in the order of their numbers, not of their misses.",
        (
            "miss.c",
            "\twoken->queues[woken->count++] = queue;\n",
            "\tif (woken->count && woken->queues[0] > queue) {\n"
            "\t\twoken->queues[1] = woken->queues[0];\n\t\twoken->queues[0] = queue;\n\t\twoken->count++;\n"
            "\t\treturn;\n\t}\n"
            "\twoken->queues[woken->count++] = queue;\n",
        ),
    ),
    bug(
        "misses-of-one-queue",
        "wrong queue",
        "A miss is always that of queue 1.",
        ("device.c", "seen = {queue, access, addr", "seen = {1, access, addr"),
    ),
)
