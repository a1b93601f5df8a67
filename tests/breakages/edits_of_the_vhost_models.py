"""Edits of model/vhost."""

from __future__ import annotations

from tests.breakages.breakage import Breakage

IOTLB = "model/vhost/iotlb.py"
LOG = "model/vhost/log.py"

EDITS = (
    Breakage(
        name="second-half-at-the-first",
        file=IOTLB,
        old="first, host = middle + 1, host + middle + 1",
        new="first, host = middle + 1, host + middle",
        sentence="The second half of the whole space is a byte too low in host memory.",
        expected=(
            "CONTAINER.ADD",
            "proofs.contracts.vhost_models.the_whole_space_becomes_two_entries_that_follow_each_other",
        ),
    ),
    Breakage(
        name="used-stays-in-its-place",
        file=IOTLB,
        old="            del self.list[entry]\n            self.list[entry] = None\n",
        new="            self.list[entry] = None\n",
        sentence="An entry that is used does not go to the end of the list, so that it is given up as if it were not.",
        expected=(
            "CONTAINER.TOUCH",
            "CONTAINER.ADD",
            "proofs.contracts.vhost_models.what_was_used_is_given_up_last",
        ),
    ),
    Breakage(
        name="permission-before-the-start",
        file="model/vhost/translate.py",
        old="""    if entry is None or entry.first > addr:
        return Faulted(missing, addr)
    if not may(entry.perm, access):
        return Faulted(PERMITTED, addr)
""",
        new="""    if entry is None:
        return Faulted(missing, addr)
    if not may(entry.perm, access):
        return Faulted(PERMITTED, addr)
    if entry.first > addr:
        return Faulted(missing, addr)
""",
        sentence="An entry that begins behind the byte is asked for its permission before it is seen not to hold it.",
        expected=("LOOP.PASS",),
    ),
    Breakage(
        name="rest-of-the-whole-entry",
        file="model/vhost/translate.py",
        old="segment = Segment(addr, addr + min(length - done, size) - 1,",
        new="segment = Segment(addr, addr + min(length, size) - 1,",
        sentence="The last segment is cut to the whole length instead of to what is left of it.",
        expected=(
            "LOOP.SEGMENT",
            "LOOP.PASS",
            "proofs.contracts.vhost_models.a_range_in_two_regions_is_two_segments",
        ),
    ),
    Breakage(
        name="used-ring-for-reading",
        file="model/vhost/metadata.py",
        old="ACCESS_OF = {DESC: READ, AVAIL: READ, USED: WRITE}",
        new="ACCESS_OF = {DESC: READ, AVAIL: READ, USED: READ}",
        sentence="The used ring is looked up for reading, as the other parts are.",
        expected=(
            "CACHE.FILL",
            "proofs.contracts.vhost_models.a_queue_of_the_model_has_the_ring_of_the_specification",
        ),
    ),
    Breakage(
        name="cached-for-any-byte",
        file="model/vhost/run.py",
        old="if at == address and length >= size:",
        new="if length >= size:",
        sentence="An entry is cached for a part of the ring although it begins within the part.",
        expected=("CACHE.FILL",),
    ),
    Breakage(
        name="answered-but-kept",
        file="model/vhost/misses.py",
        old="self.pending_list.remove(miss)",
        new="pass",
        sentence="A miss that was answered still waits, and the next update wakes its queue again.",
        expected=(
            "UPDATE.PROGRESS",
            "proofs.contracts.vhost_models.a_miss_that_was_answered_waits_no_longer",
        ),
    ),
    Breakage(
        name="page-without-its-offset",
        file=LOG,
        old="page, left = address // PAGE_SIZE, length + address % PAGE_SIZE",
        new="page, left = address // PAGE_SIZE, length",
        sentence="A write that begins within a page and ends in the next marks only the first.",
        expected=(
            "LOG.PAGES",
            "proofs.contracts.vhost_models.a_write_marks_each_page_once_and_in_order",
        ),
    ),
    Breakage(
        name="host-range-by-its-end",
        file=LOG,
        old="    if region.host > hva - 1 + length or",
        new="    if region.host > hva or",
        sentence="A region that begins within the host range that was written is not found.",
        expected=("LOG.REGION",),
    ),
)
