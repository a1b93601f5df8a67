"""Faults of functions of the specification: vhost."""

from __future__ import annotations

from dataclasses import replace

from spec.outcome import Done
from spec.pages import Pages
from spec.vhost.mem_table import Region
from tests.proofs.contract_fault import Fault

ADDRESS_MAP = (
    Fault(
        "address_map.an_entry_covers_what_it_touches",
        "spec.vhost.address_map.Entry.covers",
        lambda self, address: self.first <= address < self.last,
    ),
    Fault(
        "address_map.ranges_touch_where_they_share_a_byte",
        "spec.vhost.address_map.Entry.touches",
        lambda self, first, last: self.covers(first) or self.covers(last),
    ),
    Fault(
        "address_map.host_bytes_follow_each_other",
        "spec.vhost.address_map.Entry.host_of",
        lambda self, address: (self.host + address - self.first) % (2**64 - 1),
    ),
    Fault(
        "address_map.a_host_address_is_one_of_64_bits",
        "spec.vhost.address_map.Entry.host_of",
        lambda self, address: self.host + address - self.first,
    ),
    Fault(
        "address_map.a_permission_word_is_two_bits",
        "spec.vhost.address_map.may",
        lambda perm, access: perm >= access,
    ),
    Fault(
        "address_map.the_first_start_counts_and_then_the_age",
        "spec.vhost.address_map.search_rank",
        lambda entry: (entry.first, entry.used),
    ),
    Fault(
        "address_map.the_longest_unused_goes_first",
        "spec.vhost.address_map.retirement_rank",
        lambda entry: (entry.born,),
    ),
)
DEVICE = (
    Fault(
        "device.a_feature_is_one_bit",
        "spec.vhost.device.has_feature",
        lambda features, feature: features % feature == 0,
    ),
    Fault(
        "device.a_device_logs_by_one_feature",
        "spec.vhost.device.Device.logs_all",
        lambda self: self.features // 2**25 % 2 == 1,
    ),
    Fault(
        "device.a_host_range_ends_below_the_limit",
        "spec.vhost.device.is_host_range",
        lambda profile, host, size: host + size < profile.user_limit,
    ),
    Fault(
        "device.a_log_range_holds_the_bit_of_each_byte",
        "spec.vhost.device.is_log_range",
        lambda profile, base, address, size: base + address // 32768 + (size + 32767) // 32768 <= profile.user_limit,
    ),
    Fault(
        "device.a_ring_size_is_a_power_of_two",
        "spec.vhost.ring.is_power_of_two",
        lambda number: number <= 2**15 and any(number == 2**exponent for exponent in range(15)),
    ),
    Fault(
        "device.a_ring_size_is_a_power_of_two",
        "spec.vhost.ring.size_is_bad",
        lambda profile, device, request: request.size > 2**15,
    ),
    Fault(
        "device.a_ring_is_as_large_as_virtio_says",
        "spec.vhost.device.Queue.parts",
        lambda self: ((0, 16 * self.size, 1), (0, 6 + 2 * self.size, 1), (0, 4 + 8 * self.size, 2)),
    ),
    Fault(
        "device.a_ring_is_as_large_as_virtio_says",
        "spec.vhost.device.Queue.used_bytes",
        lambda self: 6 + 8 * self.size,
    ),
    Fault(
        "device.a_queue_has_a_ring_if_any_address_was_given",
        "spec.vhost.device.Queue.has_no_ring",
        lambda self: self.desc == 0 and self.avail == 0,
    ),
    Fault(
        "device.a_used_element_lies_in_the_used_ring",
        "spec.vhost.dirty_log.used_element",
        lambda queue: (4 + 8 * (queue.done % (queue.size + 1)), 8),
    ),
    Fault(
        "device.the_used_flags_begin_the_used_ring",
        "spec.vhost.run.flags_field",
        lambda queue: ((queue.used + 2, 2),),
    ),
    Fault(
        "device.rings_that_pass_have_fields_that_are_aligned",
        "spec.vhost.ring.is_unaligned",
        lambda profile, device, request: request.avail % 2 != 0 or request.used % 4 != 0,
    ),
    Fault(
        "device.a_ring_knows_one_flag",
        "spec.vhost.ring.has_unknown_flags",
        lambda profile, device, request: request.flags not in (0, 1, 2),
    ),
    Fault(
        "device.a_queue_is_named_by_its_number",
        "spec.vhost.call.names_no_queue",
        lambda profile, device, request: request.queue > 2,
    ),
    Fault(
        "device.a_write_marks_the_pages_of_its_bytes",
        "spec.vhost.dirty_log.pages_of",
        lambda address, length: Pages(((address // 4096, (address + length) // 4096),)),
    ),
)
MESSAGE = "spec.vhost.messages."
UPDATE_PASSES = "messages.an_update_that_passes_maps_user_memory"
MESSAGES = (
    Fault(UPDATE_PASSES, f"{MESSAGE}is_an_empty_update", lambda profile, device, request: False),
    Fault(
        UPDATE_PASSES,
        f"{MESSAGE}maps_foreign_memory",
        lambda profile, device, request: (
            request.kind == 2 and request.perm % 2 == 1 and request.uaddr + request.size > profile.user_limit
        ),
    ),
    Fault(
        "messages.an_update_wraps_on_either_side",
        f"{MESSAGE}range_wraps",
        lambda profile, device, request: request.kind == 2 and request.iova + request.size >= 2**64,
    ),
    Fault(
        "messages.an_update_wraps_on_either_side",
        f"{MESSAGE}host_range_wraps",
        lambda profile, device, request: request.kind == 2 and request.iova + request.size > 2**64,
    ),
    Fault(
        "messages.an_invalidation_of_any_range_passes",
        f"{MESSAGE}range_wraps",
        lambda profile, device, request: request.iova + request.size > 2**64,
    ),
    Fault(
        "messages.no_other_kind_passes",
        f"{MESSAGE}is_of_no_known_kind",
        lambda profile, device, request: request.kind not in (1, 2, 3),
    ),
    Fault(
        "messages.a_message_that_passes_has_its_40_bytes",
        f"{MESSAGE}has_no_framing_word",
        lambda profile, device, request: request.length <= 4,
    ),
    Fault(
        "messages.a_message_that_passes_has_its_40_bytes",
        f"{MESSAGE}is_cut_short",
        lambda profile, device, request: request.length < 72,
    ),
    Fault(
        "messages.a_message_that_passes_has_its_40_bytes",
        f"{MESSAGE}has_no_known_framing",
        lambda profile, device, request: request.framing > 2,
    ),
    Fault(
        "messages.an_update_answers_misses_of_its_own_bytes",
        f"{MESSAGE}is_answered",
        lambda miss, request: request.iova <= miss.iova <= request.iova + request.size,
    ),
)
REGIONS = (
    Fault("regions.a_region_is_a_range_or_refused", "spec.vhost.mem_table.region_is_empty", lambda region: False),
    Fault(
        "regions.a_region_is_a_range_or_refused",
        "spec.vhost.mem_table.region_wraps",
        lambda region: region.gpa + region.size >= 2**64,
    ),
    Fault(
        "regions.one_region_is_judged_as_in_a_table",
        "spec.vhost.regions.is_empty",
        lambda profile, device, request: request.size < 2,
    ),
    Fault(
        "regions.one_region_is_judged_as_in_a_table",
        "spec.vhost.regions.wraps",
        lambda profile, device, request: request.hva + request.size > 2**64,
    ),
    Fault(
        "regions.one_region_is_judged_as_in_a_table",
        "spec.vhost.regions.region_of",
        lambda request: Region(request.gpa, request.size, 0),
    ),
    Fault(
        "regions.a_range_that_passes_has_a_byte",
        "spec.vhost.regions.is_reversed",
        lambda profile, device, request: request.last <= request.first,
    ),
    Fault(
        "regions.one_message_feature_is_offered",
        "spec.vhost.features.messages_are_not_offered",
        lambda profile, device, request: request.features > 2,
    ),
)
WITH_A_MAP = (
    Fault(
        "address_map.a_map_is_full_when_it_has_as_many_as_it_may",
        "spec.vhost.address_map.is_full",
        lambda profile, table: len(table.entries) + 1 >= profile.iotlb_limit,
    ),
    Fault(
        "device.a_backend_needs_used_flags_that_can_be_written",
        "spec.vhost.backend.used_ring_is_out_of_reach",
        lambda profile, device, request: (
            not any(entry.perm % 2 == 1 and entry.last >= 7 for entry in device.iotlb.entries)
        ),
    ),
    Fault(
        "regions.misses_go_with_the_iotlb_that_they_wait_for",
        "spec.vhost.features.set_features",
        lambda profile, device, request: (
            replace(device, iotlb=device.iotlb if request.features // 2**33 % 2 == 1 else None),
            Done(),
        ),
    ),
)
