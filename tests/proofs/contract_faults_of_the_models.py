"""Faults of functions of the models."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from model.vhost.iotlb import Map
from spec.outcome import Done, Segment, Translated
from tests.proofs.contract_fault import Fault
from tests.proofs.contract_faults_of_memslots import SET


def kind_without_read_only(request: Any, old: Any) -> Any:
    if request.size == 0:
        return "delete" if old is not None else None
    if old is None:
        return "create"
    if request.hva != old.hva or request.size // 4096 != old.npages:
        return None
    if request.gpa // 4096 != old.base_gfn:
        return "move"
    return Done() if request.flags == old.flags else "flags_only"


def answered_but_kept(self: Any, first: int, last: int) -> list[int]:
    return [miss.queue for miss in self.pending_list if first <= miss.iova <= last]


def one_entry_is_enough(self: Any, first: int, last: int, host: int, perm: int) -> bool:
    middle = last // 2
    for begin, end, at in ((first, middle, host), (middle + 1, last, host + middle)):
        self.list[Map(begin, end, at, perm, self.tick())] = None
    return True


def pages_of_the_length(marks: Any, address: int, length: int) -> None:
    for page in range(2 if length > 4096 else 1):
        marks.set_bit(address // 4096 + page)


def cut_to_the_whole_length(find: Any, missing: Any, addr: int, length: int, *_: Any) -> Translated:
    segments, done = [], 0
    while done < length:
        entry = find(addr, addr + length - 1)
        size = entry.size - (addr - entry.first)
        segments.append(Segment(addr, addr + min(length, size) - 1, entry.host + addr - entry.first))
        done, addr = done + size, addr + size
    return Translated(tuple(segments))


PROTOCOL = "model.memslots.protocol."
MACHINE = "model.memslots.machine."
MODELS = (
    Fault(
        "memslot_models.a_copy_has_the_pages_of_its_slot",
        f"{PROTOCOL}SlotCopy.contains",
        lambda self, gfn: self.base_gfn <= gfn <= self.base_gfn + self.npages,
    ),
    Fault(
        "memslot_models.a_copy_has_the_bytes_of_its_slot",
        f"{MACHINE}host_of",
        lambda copy, gpa: copy.hva + gpa - copy.base_gfn,
    ),
    Fault(
        "memslot_models.a_copy_ends_too_high_where_its_slot_does",
        f"{MACHINE}ends_too_high",
        lambda profile, new: new.base_gfn + new.npages > profile.max_gfn,
    ),
    Fault(
        "memslot_models.a_copy_ends_too_high_where_its_slot_does",
        f"{SET}passes_the_last_gfn",
        lambda profile, vm, request: request.gpa // 4096 > profile.max_gfn,
    ),
    Fault(
        "memslot_models.guest_and_host_addresses_lead_back",
        f"{MACHINE}guest_of",
        lambda copy, hva: copy.base_gfn * 4096 + (hva - copy.hva) // 4096 * 4096,
    ),
    Fault(
        "memslot_models.a_reader_sees_the_page_where_the_slot_has_it",
        "model.memslots.interleavings.mapping_of",
        lambda found, gfn: None if found is None else (found.id, found.hva + gfn - found.base_gfn, found.flags),
    ),
    Fault(
        "memslot_models.a_stand_in_is_the_old_copy_and_maps_nothing",
        f"{PROTOCOL}invalid_copy",
        lambda old, address: replace(old, address=address, bitmap=0, invalid=True),
    ),
    Fault(
        "memslot_models.only_what_is_marked_maps_nothing",
        f"{PROTOCOL}usable",
        lambda found: found,
    ),
    Fault(
        "memslot_models.only_what_goes_away_needs_a_stand_in",
        f"{PROTOCOL}Change.goes_through_invalid",
        lambda self: self.kind == "delete",
    ),
    Fault(
        "memslot_models.only_what_goes_away_needs_a_stand_in",
        f"{PROTOCOL}Change.fails",
        lambda self: self.invalid is None or self.prepare_fails,
    ),
    Fault("memslot_models.an_existing_slot_keeps_what_it_may_not_change", f"{MACHINE}kind_of", kind_without_read_only),
    Fault(
        "memslot_models.what_is_not_there_is_made",
        f"{MACHINE}kind_of",
        lambda request, old: "create" if request.size > 0 and request.flags < 4 else "move",
    ),
)
VHOST_MODELS = (
    Fault(
        "vhost_models.a_queue_of_the_model_has_the_ring_of_the_specification",
        "model.vhost.queue.Virtqueue.areas",
        lambda self: (
            (0, self.desc, 16 * self.num),
            (1, self.used, 4 + 8 * self.num),
            (2, self.avail, 4 + 2 * self.num),
        ),
    ),
    Fault(
        "vhost_models.the_whole_space_becomes_two_entries_that_follow_each_other",
        "model.vhost.iotlb.Iotlb.add",
        one_entry_is_enough,
    ),
    Fault("vhost_models.what_was_used_is_given_up_last", "model.vhost.iotlb.Iotlb.touch", lambda self, entry: None),
    Fault(
        "vhost_models.a_miss_that_was_answered_waits_no_longer",
        "model.vhost.misses.MissQueue.answer",
        answered_but_kept,
    ),
    Fault("vhost_models.a_write_marks_each_page_once_and_in_order", "model.vhost.log.log_write", pages_of_the_length),
    Fault(
        "vhost_models.all_bytes_that_there_are_are_asked_for",
        "model.vhost.translate.last_asked",
        lambda addr, length: (addr + length - 1) % 2**64,
    ),
    Fault(
        "vhost_models.a_range_in_two_regions_is_two_segments",
        "model.vhost.translate.translate",
        cut_to_the_whole_length,
    ),
)
