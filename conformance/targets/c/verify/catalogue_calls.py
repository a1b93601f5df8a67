"""Harnesses of the calls: each file of the library beside what the files below it promise.

A claim about a call needs no whole map: what it asks of indexes, views and tables is replaced by their promise, which
other harnesses show.
"""

from __future__ import annotations

from conformance.targets.c.verify.harness import LIMIT, Harness, Plant

NO_LEAK = ("--memory-leak-check",)

READ = (
    Harness(
        name="lookup",
        shows="A guest byte is found in its slot, or may not be written, or is in none; asked again, the same.",
        bound="2 slots of one space, unwind 4; all 64-bit values; what was found last is of this view or of any other",
        file="check_lookup.c",
        function="looked_up",
        unwind=4,
        plants=(
            Plant(
                "what was found last is believed although the view is another",
                "lookup.c",
                " || hit->version != view->version",
                "",
            ),
            Plant(
                "the byte behind a slot is its own",
                "lookup.c",
                "gpa - hit->start > hit->span",
                "gpa - hit->start > hit->span + 1",
            ),
        ),
        seconds=LIMIT,
    ),
    Harness(
        name="find",
        shows="Slots are found by number, by host byte, and from an address on; each is told of as it is.",
        bound="2 slots of one space, unwind 4; all 64-bit values; host ranges that overlap, too",
        file="check_lookup.c",
        function="found",
        unwind=4,
        plants=(
            Plant(
                "the guest byte is as far before the host byte", "lookup.c", "hva + entry->delta", "hva - entry->delta"
            ),
            Plant(
                "no space is like no room",
                "lookup.c",
                "return room ? -EFAULT : -ENOBUFS;",
                "return -ENOBUFS;",
            ),
        ),
        seconds=LIMIT,
    ),
)

GATE = (
    Harness(
        name="gate",
        shows="A publication is over when no reader is in what was published before; nobody is waited for without end.",
        bound="2 readers who leave after two turns at most, unwind 4; without other threads",
        file="check_gate.c",
        function="published",
        unwind=4,
        plants=(
            Plant("those who are inside are not waited for", "gate.c", "if (seen % 2 == 0)", "if (seen % 2)"),
            Plant("the first reader is forgotten", "gate.c", "new->next = gate->readers;", "new->next = NULL;"),
        ),
        quick=True,
    ),
    Harness(
        name="memory",
        shows="Memory comes from two functions or from none, and is 0.",
        bound="no loop",
        file="check_gate.c",
        function="memory_given",
        unwind=2,
        plants=(Plant("one function is enough", "memory.c", "!memory->zalloc != !memory->release", "!memory->zalloc"),),
        quick=True,
    ),
)

DIRTY = (
    Harness(
        name="dirty-get",
        shows="A log is copied or taken, or the first error of all is told.",
        bound="no loop; all values of all numbers",
        file="check_dirty.c",
        function="got",
        unwind=2,
        plants=(Plant("by hand, it is taken", "dirty.c", "if (map->manual_protect)", "if (!map->manual_protect)"),),
        quick=True,
    ),
    Harness(
        name="dirty-clear",
        shows="Only pages of the slot are cleared, whole words or up to the last; or the first error of all is told.",
        bound="no loop; all values of all numbers",
        file="check_dirty.c",
        function="cleared",
        unwind=2,
        plants=(
            Plant(
                "the end of the pages is a sum that wraps",
                "dirty.c",
                "if (request->num_pages > log->npages - request->first_page)",
                "if (request->first_page + request->num_pages > log->npages)",
            ),
        ),
        quick=True,
    ),
    Harness(
        name="dirty-enable",
        shows="Clearing by hand and a dirty ring are had with what they may have, and not otherwise.",
        bound="no loop; all values of all numbers",
        file="check_dirty.c",
        function="enabled",
        unwind=2,
        plants=(Plant("a ring of no bytes", "dirty.c", "if (!size || (size & (size - 1)))", "if (size & (size - 1))"),),
        quick=True,
    ),
)

DEVICE = (
    Harness(
        name="device-regions",
        shows="A device's table is filled as asked, region by region or as a whole, or the first error of all is told.",
        bound="2 regions, unwind 4; all 64-bit values",
        file="check_device.c",
        function="regions",
        unwind=4,
        plants=(
            Plant(
                "a region may go on past the last address",
                "device.c",
                "\tif (!is_range(gpa, size))\n\t\treturn -EFAULT;\n",
                "\tif (!size)\n\t\treturn -EFAULT;\n",
            ),
            Plant(
                "the padding is not looked at",
                "device.c",
                "\tif (table->padding)\n\t\treturn -EOPNOTSUPP;\n",
                "",
            ),
        ),
        quick=True,
    ),
    Harness(
        name="device-modes",
        shows="An IOTLB comes, stays or goes with the features; the owner alone gives a device up.",
        bound="no loop; all 64-bit values",
        file="check_device.c",
        function="modes",
        unwind=4,
        plants=(
            Plant(
                "it always goes without the feature",
                "device.c",
                "device->has_iotlb && device->config.iotlb_follows",
                "device->has_iotlb",
            ),
        ),
        quick=True,
    ),
    Harness(
        name="device-translate",
        shows="A translation that ends asks for a miss, with an IOTLB and where there is such an address.",
        bound="no loop; all 64-bit values",
        file="check_device.c",
        function="translated",
        unwind=4,
        plants=(Plant("a miss past the last address", "device.c", " && addr + reach->bytes >= addr", ""),),
        quick=True,
    ),
    Harness(
        name="misses",
        shows="Misses stay in their order; an update takes those of its bytes, and wakes the queue of each once.",
        bound="3 misses, unwind 5; all 64-bit values",
        file="check_misses.c",
        function="answered",
        unwind=5,
        plants=(
            Plant(
                "the last one is still known when it has gone",
                "miss.c",
                "\tif (!misses->oldest)\n\t\tmisses->newest = NULL;\n",
                "",
            ),
            Plant("a queue is woken twice", "miss.c", "woken->queues[i] == queue", "woken->queues[i] > queue"),
        ),
        quick=True,
    ),
    Harness(
        name="misses-read",
        shows="The oldest miss is read as a message of exactly its bytes, and is then no longer unread.",
        bound="3 misses, unwind 5; all 64-bit values",
        file="check_misses.c",
        function="read",
        unwind=5,
        plants=(
            Plant(
                "all of the buffer is written",
                "message.c",
                "memset(message, 0, GPAMAP_MESSAGE_BYTES);",
                "memset(message, 0, length);",
            ),
        ),
        quick=True,
    ),
)

BLOCKS = (
    Harness(
        name="hints-slots",
        shows="Addresses are cut into as many slots as there is room for, with the least shift.",
        bound="2 to 65 slots, unwind 7; all spans",
        file="check_hints.c",
        function="shifts",
        unwind=7,
        plants=(
            Plant("one slot too many", "hints.c", "return span >> shift < most ? shift : shift + 1;", "return shift;"),
        ),
        quick=True,
    ),
    Harness(
        name="places-grow",
        shows="Places that are full grow, in both indexes, with what is in them; or there is no memory and no change.",
        bound="2 places, unwind 5; memory or not, each time",
        file="check_grow.c",
        function="grown",
        unwind=5,
        flags=NO_LEAK,
        plants=(
            Plant("hints stay where they were", "places.c", "\tindex->hints = index->places + index->room;\n", ""),
        ),
        quick=True,
    ),
)

VIEW = (
    Harness(
        name="view-overlaps",
        shows="A view is made, tells whether another slot has a byte of a range, and is freed.",
        bound="2 slots of one space, unwind 5; all 64-bit values",
        file="check_view.c",
        function="overlapped",
        unwind=5,
        flags=NO_LEAK,
        plants=(
            Plant(
                "a slot that begins at the last byte is none", "view.c", "entry->start <= last;", "entry->start < last;"
            ),
        ),
        seconds=LIMIT,
    ),
)

CALLS: tuple[Harness, ...] = (*READ, *GATE, *DIRTY, *DEVICE, *BLOCKS, *VIEW)
