"""Edits of spec/vhost."""

from __future__ import annotations

from tests.breakages.breakage import Breakage

MAP = "spec/vhost/address_map.py"
MESSAGES = "spec/vhost/messages.py"

EDITS = (
    Breakage(
        name="host-without-end",
        file=MAP,
        old="return (self.host + address - self.first) % U64",
        new="return self.host + address - self.first",
        sentence="A host address is a sum that may be larger than any pointer.",
        expected=("XLATE.STEP", "proofs.contracts.address_map.a_host_address_is_one_of_64_bits"),
    ),
    Breakage(
        name="use-decides-the-search",
        file=MAP,
        old="return (entry.first, entry.born)",
        new="return (entry.first, entry.used)",
        sentence="Of entries that start together the one used longest ago counts, so that a lookup changes the next.",
        expected=("LIMIT.USE_SAME", "ENTRY.COUNTS"),
    ),
    Breakage(
        name="use-adds-a-twin",
        file=MAP,
        old="entries = added(removed(table.entries, entry), replace(entry, used=table.clock))",
        new="entries = added(table.entries, replace(entry, used=table.clock))",
        sentence="An entry that is used is in the map twice from then on.",
        expected=("LIMIT.USE_SAME", "LIMIT.USE_ORDER"),
    ),
    Breakage(
        name="limit-behind-the-new-one",
        file=MAP,
        old="return bool(count(table.entries) >= profile.iotlb_limit)",
        new="return bool(count(table.entries) + 1 >= profile.iotlb_limit)",
        sentence="An entry is given up while there is still room for one more.",
        expected=(
            "LIMIT.OLDEST_GOES",
            "proofs.contracts.address_map.a_map_is_full_when_it_has_as_many_as_it_may",
        ),
    ),
    Breakage(
        name="one-byte-behind-the-wrap",
        file=MESSAGES,
        old="return without_range(without_range(iotlb, request.iova, U64_MAX), 0, last - U64)",
        new="return without_range(without_range(iotlb, request.iova, U64_MAX), 0, last - U64_MAX)",
        sentence="An invalidation that wraps takes one byte too many at the bottom.",
        expected=("INVALIDATE.EXACT",),
    ),
    Breakage(
        name="answer-of-the-first-byte",
        file=MESSAGES,
        old="return request.iova <= miss.iova <= request.iova + request.size - 1",
        new="return request.iova == miss.iova",
        sentence="An update wakes only those who wait for its first byte.",
        expected=("DEVICE.WRITEMESSAGE.WAKES",),
    ),
    Breakage(
        name="host-of-the-update-unchecked-for-write",
        file=MESSAGES,
        old="not (may(request.perm, READ) or may(request.perm, WRITE)):",
        new="not may(request.perm, READ):",
        sentence="Where an update permits only writing, nobody asks whether that is user memory.",
        expected=(
            "DEVICE.WRITEMESSAGE.USER_MEMORY",
            "DEVICE.WRITEMESSAGE.VALID",
            "proofs.contracts.messages.an_update_that_passes_maps_user_memory",
        ),
    ),
    Breakage(
        name="regions-listed-backwards",
        file="spec/vhost/mem_table.py",
        old="    for region in regions:\n",
        new="    for region in reversed(regions):\n",
        sentence="Of regions that start together the one that was listed last counts.",
        expected=("DEVICE.SETMEMTABLE.REPLACED",),
    ),
    Breakage(
        name="region-up-to-the-end",
        file="spec/vhost/mem_table.py",
        old="return region.gpa + region.size > U64",
        new="return region.gpa + region.size >= U64",
        sentence="A region that ends at the last guest address is refused.",
        expected=("proofs.contracts.regions.a_region_is_a_range_or_refused",),
    ),
    Breakage(
        name="log-counted-from-the-size",
        file="spec/vhost/device.py",
        old="(log_base or 0) + first_byte, last_byte - first_byte + 1)",
        new="(log_base or 0) + first_byte, (size - 1) // GUEST_BYTES_PER_LOG_BYTE + 1)",
        sentence="The log's bytes are counted from the size alone, as kernels do: the last one can be forgotten.",
        expected=("DEVICE.SETMEMTABLE.USER_MEMORY", "proofs.contracts.device.a_log_range_holds_the_bit_of_each_byte"),
    ),
    Breakage(
        name="room-asked-last",
        file="spec/vhost/translate.py",
        old="""    if room <= 0:
        return device, Faulted(ROOM, address)
    rule = byte_stops_at(device, address, access)
    if rule is not None:
        return device, Faulted(rule, address)
""",
        new="""    rule = byte_stops_at(device, address, access)
    if rule is not None:
        return device, Faulted(rule, address)
    if room <= 0:
        return device, Faulted(ROOM, address)
""",
        sentence="Whether there is room is asked after whether the byte can be had.",
        expected=("XLATE.WHY",),
    ),
    Breakage(
        name="last-byte-never",
        file="spec/vhost/translate.py",
        old="    if address > U64_MAX:\n        return LAST_ADDRESS\n",
        new="    if address >= U64_MAX:\n        return LAST_ADDRESS\n",
        sentence="The last guest byte cannot be reached.",
        expected=("XLATE.WHY",),
    ),
    Breakage(
        name="used-flags-only-read",
        file="spec/vhost/backend.py",
        old="for (offset, length), access in ((USED_FLAGS, WRITE), (USED_INDEX, READ)):",
        new="for (offset, length), access in ((USED_FLAGS, READ), (USED_INDEX, READ)):",
        sentence="Attaching a backend asks whether the used flags may be read, as kernels do, and then writes them.",
        expected=(
            "DEVICE.SETBACKEND.USED",
            "DEVICE.SETBACKEND.ONE_OUTCOME",
            "proofs.contracts.device.a_backend_needs_used_flags_that_can_be_written",
        ),
    ),
    Breakage(
        name="mode-keeps-misses",
        file="spec/vhost/features.py",
        old="after = replace(after, iotlb=None, unread=(), pending=())",
        new="after = replace(after, iotlb=None)",
        sentence="A device that leaves IOTLB mode keeps the misses that nothing will answer.",
        expected=(
            "DEVICE.SETFEATURES.MODE",
            "proofs.contracts.regions.misses_go_with_the_iotlb_that_they_wait_for",
        ),
    ),
)
