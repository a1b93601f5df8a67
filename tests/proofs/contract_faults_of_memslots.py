"""Faults of functions of the specification: units, and memory slots."""

from __future__ import annotations

from dataclasses import replace

from spec.memslots.set_region import GUEST_MEMFD
from spec.outcome import DirtyPages
from spec.pages import Pages, all_pages
from tests.proofs.contract_fault import Fault


def pieces_of_a_whole_page(gpa: int, length: int) -> list[tuple[int, int]]:
    pieces, end = [], gpa + length
    while gpa < end:
        pieces.append((gpa, min(gpa + 4096, end) - 1))
        gpa += 4096
    return pieces


def pieces_up_to_the_page(gpa: int, length: int) -> list[tuple[int, int]]:
    return [(gpa, min(gpa // 4096 * 4096 + 4095, gpa + length - 1))]


def without_the_first(self: Pages, cleared: Pages) -> Pages:
    return Pages(tuple((first + 1, last) for first, last in self.ranges if first < last))


def always_another(self: Pages, page: int) -> Pages:
    return Pages((*self.ranges, (page + 1, page + 1)))


UNITS = (
    Fault("units.aligned_is_the_start_of_its_page", "spec.units.is_page_aligned", lambda number: number % 512 == 0),
    Fault("units.page_holds_its_bytes", "spec.units.page_of", lambda address: (address + 1) // 4096),
    Fault("units.page_holds_its_bytes", "spec.units.address_of", lambda page: page * 4095),
    Fault("units.rounding_up_to_words", "spec.units.rounded_up", lambda number, step: number // step * step + step),
    Fault("units.touching_is_sharing", "spec.units.ranges_touch", lambda a, b, c, d: a < d and c < b),
)
ACCESS = (
    Fault("access.pieces_stay_in_their_page", "spec.memslots.access.pieces_by_page", pieces_of_a_whole_page),
    Fault("access.pieces_cover_the_access", "spec.memslots.access.pieces_by_page", pieces_up_to_the_page),
)
SLOT = (
    Fault("slot.slot_word_has_two_halves", "spec.memslots.slot.space_of", lambda word: word // 2**15),
    Fault("slot.slot_word_has_two_halves", "spec.memslots.slot.id_of", lambda word: word % (2**16 - 1)),
    Fault("slot.flags_add_up", "spec.memslots.slot.has_flag", lambda flags, flag: flags >= flag),
    Fault(
        "slot.a_gfn_is_in_the_slot_or_beside_it",
        "spec.memslots.slot.Slot.contains",
        lambda self, gfn: self.base_gfn <= gfn <= self.base_gfn + self.npages,
    ),
    Fault(
        "slot.the_slots_own_ends_are_in_it",
        "spec.memslots.slot.Slot.contains",
        lambda self, gfn: self.base_gfn < gfn <= self.last_gfn(),
    ),
    Fault(
        "slot.a_gfn_is_in_the_slot_or_beside_it",
        "spec.memslots.slot.Slot.last_gfn",
        lambda self: self.base_gfn + self.npages,
    ),
    Fault("slot.first_and_last_byte", "spec.memslots.slot.Slot.first_gpa", lambda self: self.base_gfn * 4096 + 1),
    Fault(
        "slot.first_and_last_byte",
        "spec.memslots.slot.Slot.last_gpa",
        lambda self: (self.base_gfn + self.npages) * 4096,
    ),
    Fault("slot.first_and_last_byte", "spec.memslots.slot.Slot.last_hva", lambda self: self.hva + self.npages * 4096),
    Fault(
        "slot.host_bytes_follow_guest_bytes",
        "spec.memslots.slot.Slot.hva_of",
        lambda self, gpa: self.hva + (gpa - self.first_gpa()) % 2**32,
    ),
    Fault(
        "slot.a_slot_touches_where_it_has_a_page",
        "spec.memslots.slot.Slot.touches",
        lambda self, first, last: self.contains(first) or self.contains(last),
    ),
    Fault(
        "slot.each_flag_says_one_thing", "spec.memslots.slot.Slot.is_read_only", lambda self: self.flags // 2 % 2 == 0
    ),
    Fault(
        "slot.each_flag_says_one_thing", "spec.memslots.slot.Slot.logs_dirty_pages", lambda self: self.flags in (1, 3)
    ),
)
DIRTY_LOG = (
    Fault("dirty_log.bitmap_is_whole_words", "spec.memslots.dirty_log.bitmap_bytes", lambda npages: (npages + 7) // 8),
    Fault("dirty_log.a_full_log_has_the_slots_pages", "spec.pages.all_pages", lambda count: Pages(((0, count),))),
    Fault(
        "dirty_log.moving_up_moves_each_page",
        "spec.pages.Pages.moved_up",
        lambda self, distance: Pages(tuple((a + distance, b) for a, b in self.ranges)),
    ),
    Fault("dirty_log.taking_a_range_out", "spec.pages.Pages.without", without_the_first),
    Fault("dirty_log.marking_a_page", "spec.pages.Pages.with_page", always_another),
    Fault("dirty_log.the_ring_has_the_lower_half", "spec.memslots.dirty_ring.ring_size", lambda request: request.size),
    Fault(
        "dirty_log.a_ring_has_one_of_nine_sizes",
        "spec.memslots.dirty_ring.is_no_power_of_two",
        lambda profile, vm, request: request.size % 2**32 not in tuple(2**bit for bit in range(0, 32, 2)),
    ),
    Fault(
        "dirty_log.a_ring_has_one_of_nine_sizes",
        "spec.memslots.dirty_ring.is_too_large",
        lambda profile, vm, request: request.size % 2**32 >= 2**20,
    ),
    Fault(
        "dirty_log.a_ring_that_passes_is_there_afterwards",
        "spec.memslots.dirty_ring.is_too_small",
        lambda profile, vm, request: request.size < profile.smallest_dirty_ring,
    ),
    Fault(
        "dirty_log.no_ring_is_no_ring_to_anybody",
        "spec.memslots.dirty_ring.has_a_ring",
        lambda profile, vm, request: vm.dirty_ring > 1,
    ),
    Fault(
        "dirty_log.no_ring_is_no_ring_to_anybody",
        "spec.memslots.dirty_log.vm_has_a_ring",
        lambda profile, vm, request: vm.dirty_ring >= 0,
    ),
    Fault(
        "dirty_log.a_first_page_that_passes_begins_a_word",
        "spec.memslots.clear_dirty_log.first_is_unaligned",
        lambda profile, vm, request: request.first_page % 32 != 0,
    ),
    Fault(
        "dirty_log.clearing_nothing_reads_nothing",
        "spec.memslots.clear_dirty_log.has_nowhere_to_read",
        lambda profile, vm, request: not request.buffer_ok,
    ),
    Fault(
        "dirty_log.logs_begin_full_only_where_userspace_clears",
        "spec.memslots.manual_protect.options_are_unknown",
        lambda profile, vm, request: request.options not in (0, 1, 2, 3),
    ),
)
TWO_RANGES = "set_region.a_request_that_passes_is_two_ranges_of_pages"
SET = "spec.memslots.set_region."
SET_REGION = (
    Fault(TWO_RANGES, f"{SET}size_is_unaligned", lambda profile, vm, request: False),
    Fault(TWO_RANGES, f"{SET}gpa_is_unaligned", lambda profile, vm, request: request.gpa % 512 != 0),
    Fault(TWO_RANGES, f"{SET}hva_is_unaligned", lambda profile, vm, request: request.gpa % 4096 != 0),
    Fault(
        TWO_RANGES,
        f"{SET}hva_passes_the_limit",
        lambda profile, vm, request: (request.hva + request.size) % 2**64 > profile.user_limit,
    ),
    Fault(TWO_RANGES, f"{SET}gpa_wraps", lambda profile, vm, request: request.gpa + request.size > 2**64),
    Fault(
        "set_region.a_slot_has_fewer_than_two_to_the_31_pages",
        f"{SET}has_too_many_pages",
        lambda profile, vm, request: request.size // 4096 > 2**31,
    ),
    Fault("set_region.a_request_without_bytes_deletes", f"{SET}is_delete", lambda request: request.size // 8192 == 0),
    Fault(
        "set_region.a_slot_word_that_passes_names_a_slot_there_can_be",
        f"{SET}number_is_not_for_users",
        lambda profile, vm, request: request.slot % 2**16 > profile.user_slots,
    ),
    Fault(
        "set_region.a_slot_word_that_passes_names_a_slot_there_can_be",
        f"{SET}space_is_missing",
        lambda profile, vm, request: request.slot // 2**16 > profile.address_spaces,
    ),
    Fault(
        "set_region.logs_are_asked_of_the_slots_that_there_can_be",
        "spec.memslots.dirty_log.slot_word_is_bad",
        lambda profile, vm, request: request.slot % 2**16 >= profile.user_slots,
    ),
    Fault(
        "set_region.without_files_there_are_two_flags",
        f"{SET}needs_the_second_form",
        lambda profile, vm, request: request.version == 2 and request.flags > 3,
    ),
    Fault(
        "set_region.a_file_is_asked_for_alone_and_in_the_second_form",
        f"{SET}has_flags_of_the_second_form",
        lambda profile, vm, request: request.version == 2 and request.flags > 4,
    ),
    Fault(
        "set_region.without_files_there_are_two_flags",
        f"{SET}has_unknown_flags",
        lambda profile, vm, request: request.flags > 7,
    ),
    Fault(
        "set_region.a_file_is_asked_for_alone_and_in_the_second_form",
        f"{SET}mixes_memfd_with_other_flags",
        lambda profile, vm, request: request.flags == GUEST_MEMFD + 1,
    ),
    Fault("set_region.a_file_is_wanted_by_one_flag", f"{SET}wants_memfd", lambda request: request.flags >= 4),
    Fault(
        "set_region.an_offset_that_passes_leaves_room_for_whole_pages",
        f"{SET}memfd_offset_is_bad",
        lambda profile, vm, request: request.memfd_offset % 4096 != 0 or request.memfd_offset + request.size > 2**64,
    ),
    Fault(
        "set_region.a_file_that_is_made_has_whole_pages",
        "spec.memslots.create_guest_memfd.size_is_bad",
        lambda profile, vm, request: request.size >= 2**63 or request.size % 4096 != 0,
    ),
)
LOOKUP = (
    Fault(
        "lookup.a_lookup_finds_the_slot_of_its_own_space",
        "spec.memslots.lookup.slot_holding",
        lambda vm, space, gpa: next((slot for slot in vm.slots if slot.contains(gpa // 4096)), None),
    ),
    Fault(
        "lookup.only_writes_are_kept_out_of_a_read_only_slot",
        "spec.memslots.slot.Slot.is_read_only",
        lambda self: self.flags // 2 % 2 == 0,
    ),
)
WITH_A_SLOT = (
    Fault(
        "set_region.only_another_slot_of_the_same_space_is_in_the_way",
        f"{SET}touches_another_slot",
        lambda profile, vm, request: any(
            slot.id != request.slot % 2**16
            and slot.touches(request.gpa // 4096, request.gpa // 4096 + request.size // 4096 - 1)
            for slot in vm.slots
        ),
    ),
    Fault(
        "dirty_log.a_clear_that_passes_ends_with_a_word_or_with_the_slot",
        "spec.memslots.clear_dirty_log.first_is_outside",
        lambda profile, vm, request: request.first_page >= 100,
    ),
    Fault(
        "dirty_log.a_clear_that_passes_ends_with_a_word_or_with_the_slot",
        "spec.memslots.clear_dirty_log.count_is_outside",
        lambda profile, vm, request: request.num_pages > 100,
    ),
    Fault(
        "dirty_log.a_clear_that_passes_ends_with_a_word_or_with_the_slot",
        "spec.memslots.clear_dirty_log.count_is_unaligned",
        lambda profile, vm, request: request.num_pages % 64 != 0 and request.num_pages != 100,
    ),
    Fault(
        "dirty_log.a_log_that_was_read_is_one_log",
        "spec.memslots.get_dirty_log.effect",
        lambda profile, vm, request: (
            vm if vm.manual_protect else replace(vm, slots=frozenset()),
            DirtyPages(all_pages(70), 16),
        ),
    ),
)
