"""Edits of spec/memslots and of what it shares with the other line."""

from __future__ import annotations

from tests.breakages.breakage import Breakage

SLOTS = "spec/memslots/set_region.py"

EDITS = (
    Breakage(
        name="moves-downwards",
        file=SLOTS,
        old="old is not None and page_of(request.gpa) != old.base_gfn",
        new="old is not None and page_of(request.gpa) > old.base_gfn",
        sentence="A slot that goes to a lower address is not taken for one that moves, and nobody looks what is there.",
        expected=("MEMSLOT.DISJOINT",),
    ),
    Breakage(
        name="limit-of-the-last-byte",
        file=SLOTS,
        old="return request.hva + request.size > profile.user_limit",
        new="return request.hva + request.size - 1 > profile.user_limit",
        sentence="The last byte of a host range is compared with the limit as if that were the last address allowed.",
        expected=("MEMSLOT.WELL_FORMED",),
    ),
    Breakage(
        name="overlap-in-any-space",
        file=SLOTS,
        old="lambda slot: slot.space == space and slot.id != slot_id and slot.touches(first, last),",
        new="lambda slot: slot.id != slot_id and slot.touches(first, last),",
        sentence="A slot is refused because one of another address space is at the same guest pages.",
        expected=(
            "ADMIT.CREATE",
            "CHANGE.ONE_OUTCOME",
            "proofs.contracts.set_region.only_another_slot_of_the_same_space_is_in_the_way",
        ),
    ),
    Breakage(
        name="overlap-with-the-same-number",
        file=SLOTS,
        old="lambda slot: slot.space == space and slot.id != slot_id and slot.touches(first, last),",
        new="lambda slot: slot.id != slot_id and slot.space == slot_id and slot.touches(first, last),",
        sentence="In the overlap check two variables are mixed up: the address space is compared with the number.",
        expected=("MEMSLOT.DISJOINT",),
    ),
    Breakage(
        name="order-of-hva-and-size",
        file=SLOTS,
        old="    Check(HVA_FIXED, changes_the_hva),\n    Check(SIZE_FIXED, changes_the_size),\n",
        new="    Check(SIZE_FIXED, changes_the_size),\n    Check(HVA_FIXED, changes_the_hva),\n",
        sentence="Two rules change places, so that another one wins where both are broken.",
        expected=("REFINES.KIND",),
    ),
    Breakage(
        name="ring-ends-logs",
        file=SLOTS,
        old="""    if old is not None and old.dirty is not None:
        return old.dirty
    if vm.dirty_ring > 0:
        return None
""",
        new="""    if vm.dirty_ring > 0:
        return None
    if old is not None and old.dirty is not None:
        return old.dirty
""",
        sentence="The dirty ring is asked about first, so that a slot loses the log that it had before the ring came.",
        expected=("DIRTY.KEPT",),
    ),
    Breakage(
        name="file-offset-is-a-guest-address",
        file=SLOTS,
        old="        return False\n    first = page_of(request.memfd_offset)\n",
        new="        return False\n    first = page_of(request.gpa)\n",
        sentence="Whether a range of a guest memory file is taken is asked of the guest address instead of the offset.",
        expected=("MEMSLOT.MEMFD_APART",),
    ),
    Breakage(
        name="log-read-twice",
        file="spec/memslots/get_dirty_log.py",
        old="slots = added(removed(vm.slots, slot), replace(slot, dirty=NO_PAGES))",
        new="slots = added(vm.slots, replace(slot, dirty=NO_PAGES))",
        sentence="Reading a log adds the slot with an empty log and forgets to take out the one with the pages.",
        expected=(
            "VM.GETDIRTYLOG.VALID",
            "DIRTY.GET_EXACT",
            "proofs.contracts.dirty_log.a_log_that_was_read_is_one_log",
        ),
    ),
    Breakage(
        name="bits-not-rounded",
        file="spec/memslots/clear_dirty_log.py",
        old="end = rounded_up(request.num_pages, PAGES_PER_WORD)",
        new="end = request.num_pages",
        sentence="Of a bitmap's last word only the bits of the pages that were named are read.",
        expected=("DIRTY.CLEAR_EXACT",),
    ),
    Breakage(
        name="first-page-at-the-end",
        file="spec/memslots/clear_dirty_log.py",
        old="return slot is not None and request.first_page > slot.npages",
        new="return slot is not None and request.first_page >= slot.npages",
        sentence="No pages, from the slot's end on, are refused, which kernels take.",
        expected=(
            "ADMIT.CLEAR",
            "VM.CLEARDIRTYLOG.ONE_OUTCOME",
            "proofs.contracts.dirty_log.a_clear_that_passes_ends_with_a_word_or_with_the_slot",
        ),
    ),
    Breakage(
        name="lookup-in-any-space",
        file="spec/memslots/lookup.py",
        old="only(vm.slots, lambda slot: slot.space == space and slot.contains(gfn))",
        new="only(vm.slots, lambda slot: slot.contains(gfn))",
        sentence="A lookup takes a slot of whatever address space.",
        expected=(
            "LOOKUP.ONE_SLOT",
            "proofs.contracts.lookup.a_lookup_finds_the_slot_of_its_own_space",
        ),
    ),
    Breakage(
        name="ring-and-bitmap",
        file="spec/memslots/access.py",
        old="    if slot.dirty is None or vm.dirty_ring > 0:\n",
        new="    if slot.dirty is None:\n",
        sentence="A write is put into a bitmap also where a ring is used.",
        expected=("DIRTY.MARK_EXACT",),
    ),
    Breakage(
        name="initially-dirty-for-ever",
        file="spec/memslots/manual_protect.py",
        old="initially_dirty=has_flag(request.options, INITIALLY_SET),",
        new="initially_dirty=vm.initially_dirty or has_flag(request.options, INITIALLY_SET),",
        sentence="That new logs start with every page set cannot be turned off again.",
        expected=("VM.ENABLEMANUALPROTECT.EFFECT",),
    ),
    Breakage(
        name="number-of-16-bits",
        file="spec/memslots/slot.py",
        old="return slot_word % (U16_MAX + 1)",
        new="return slot_word % U16_MAX",
        sentence="The number is taken out of the slot word by a division by 2^16 - 1.",
        expected=("proofs.contracts.slot.slot_word_has_two_halves",),
    ),
    Breakage(
        name="touching-ends-apart",
        file="spec/units.py",
        old="return first <= other_last and other_first <= last",
        new="return first < other_last and other_first < last",
        sentence="Ranges that share one page only do not touch: all that asks about overlaps uses this.",
        expected=("MEMSLOT.DISJOINT", "proofs.contracts.units.touching_is_sharing"),
    ),
)
