"""Bugs planted by hand in the C library's device, its messages and its wake-ups, as in `planted.py`."""

from __future__ import annotations

from .planted import Bug, bug

DEVICE_BUGS: tuple[Bug, ...] = (
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
            "\tif (table_index(&device->table)->entries >= device->table.limit)\n\t\treturn -ENOSPC;\n"
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
        ("translate.c", "error = count == room ? -ENOBUFS : -EFAULT;", "error = -EFAULT;"),
        ("translate.c", "if (count == room || (count && !address))", "if (count && !address)"),
        (
            "translate.c",
            "\t\terror = 0;\n\t\tif (left - 1",
            "\t\terror = count == room ? -ENOBUFS : 0;\n\t\tif (error)\n\t\t\tbreak;\n\t\tif (left - 1",
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
        "refused-update-gives-up",
        "a failure changes something",
        "An update that passes the last address is refused after another entry was given up for it.",
        (
            "message.c",
            "\tif (error)\n\t\treturn error;\n\tif (taken.kind",
            "\tif (error == -EFAULT && taken.kind == GPAMAP_UPDATE && device->has_iotlb &&\n"
            "\t    taken.size - 1 > UINT64_MAX - taken.iova &&\n"
            "\t    table_index(&device->iotlb)->entries == device->iotlb.limit) {\n"
            "\t\tstruct mapping *gone = device->iotlb.next_out;\n\n"
            "\t\t(void)gpamap_table_remove(&device->iotlb, gone->first, mapping_last(gone), gone->host);\n\t}\n"
            "\tif (error)\n\t\treturn error;\n\tif (taken.kind",
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

# Right for few, wrong for many: random sequences have too few misses to show it.
MANY_MISSES_BUGS: tuple[Bug, ...] = (
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
