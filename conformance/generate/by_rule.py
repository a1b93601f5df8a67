"""For each rule: requests that break it and nothing else, and the same requests repaired.

A case names a good request, and one field with a bad value (`conformance.generate.cases`). The few rules that can only
be broken together with another, or that no single field repairs, say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from conformance.backings import place
from conformance.generate import cases
from conformance.generate.build import Draft
from conformance.generate.readback import read_back
from spec.memslots.access import GuestWrite, VcpuWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import FindSlot, Lookup
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import FILE_OF_ANOTHER_VM, GUEST_MEMFD, LOG_DIRTY_PAGES, NO_FILE, NOT_A_GUEST_MEMFD, READONLY
from spec.pages import pages_in
from spec.profile import Profile
from spec.units import PAGE_SIZE

P = PAGE_SIZE
SPACE = 2**16

# A slot that every case has beside the one it is about: it must come out of each rejection unharmed.
CANARY = SetRegion(slot=0, flags=LOG_DIRTY_PAGES, gpa=P, size=2 * P, hva=place("D", 0))
CREATE = SetRegion(slot=1, gpa=16 * P, size=2 * P, hva=place("A", 0))
LOGGED = replace(CREATE, flags=LOG_DIRTY_PAGES)
READ_ONLY = replace(CREATE, flags=READONLY)
NEIGHBOUR = SetRegion(slot=2, gpa=32 * P, size=4 * P, hva=place("B", 0))
FILE = CreateGuestMemfd(file=0, size=16 * P)
ON_FILE = replace(CREATE, version=2, flags=GUEST_MEMFD, memfd=0, memfd_offset=0)


@dataclass(frozen=True)
class Case(cases.Case):
    """A case about memslots: unless it says otherwise, there is one other slot."""

    setup: tuple[Any, ...] = (CANARY,)


def region_cases(p: Profile) -> Iterator[Case]:
    """What any kernel can be asked to do with SET_USER_MEMORY_REGION."""
    with_slot = (CANARY, CREATE)
    delete = SetRegion(slot=1)
    last_number = replace(CREATE, slot=p.user_slots - 1)
    yield Case("KVM.CALL.OWNER", CREATE, "from_owner", False)
    yield Case("KVM.CALL.OWNER", delete, "from_owner", False, with_slot)
    yield Case("KVM.CALL.POINTER", CREATE, "readable", False)
    yield Case("KVM.CALL.POINTER", delete, "readable", False, with_slot)
    if p.region2:
        yield Case("KVM.SLOT.REGION2", replace(CREATE, version=2), accepted=True)
    else:
        yield Case("KVM.SLOT.REGION2", CREATE, "version", 2)
    for number in (p.user_slots, p.user_slots + 1, p.user_slots + 3, 2**15 - 1, 2**15, 2**16 - 1):
        if number >= p.user_slots:
            yield Case("KVM.SLOT.NUMBER", last_number, "slot", number)
    if p.address_spaces > 1:
        other = replace(last_number, slot=SPACE + p.user_slots - 1)
        yield Case("KVM.SLOT.NUMBER", other, "slot", SPACE + p.user_slots)
    version = 2 if p.region2 else 1
    for flags in (8, 9, 16, 2**16, 2**17, 2**31):
        yield Case("KVM.SLOT.FLAGS", replace(CREATE, version=version), "flags", flags)
        yield Case("KVM.SLOT.FLAGS", replace(CREATE, version=version), "flags", flags, with_slot)
    yield Case("KVM.SLOT.FLAGS", replace(delete, version=version), "flags", 8, with_slot)
    for size in (2 * P + 1, 3 * P - 1, P + 2048, P - 1, 1):
        yield Case("KVM.SLOT.SIZE_ALIGNED", CREATE, "size", size)
    for gpa in (16 * P + 1, 17 * P - 1, 1, P - 1, 2**32 + 2048):
        yield Case("KVM.SLOT.GPA_ALIGNED", replace(CREATE, gpa=64 * P), "gpa", gpa + 64 * P)
    for gpa in (1, P - 1, P + 1, 2**63 + 1, 2**64 - 1):
        yield Case("KVM.SLOT.GPA_ALIGNED", delete, "gpa", gpa, with_slot, word="of a delete")
    yield Case("KVM.SLOT.GPA_ALIGNED", CREATE, "gpa", 16 * P + 1, with_slot, word="of a slot that stays")
    for hva in (CREATE.hva + 1, CREATE.hva + P - 1, 1):
        yield Case("KVM.SLOT.HVA_ALIGNED", CREATE, "hva", hva)
        yield Case("KVM.SLOT.HVA_ALIGNED", delete, "hva", hva, with_slot, word="of a delete")
    top = replace(CREATE, hva=p.user_limit - 2 * P)
    for hva in (p.user_limit - P, p.user_limit, p.user_limit + P, 2**57, 2**63, 2**64 - 2 * P, 2**64 - P):
        yield Case("KVM.SLOT.HVA_LIMIT", top, "hva", hva)
        if hva > p.user_limit:
            at_limit = replace(delete, hva=p.user_limit)
            yield Case("KVM.SLOT.HVA_LIMIT", at_limit, "hva", hva, with_slot, word="of a delete")
    yield Case("KVM.SLOT.HVA_LIMIT", top, "size", 3 * P)
    for space in (p.address_spaces, p.address_spaces + 1, 2**15, 2**16 - 1):
        good = replace(CREATE, slot=(p.address_spaces - 1) * SPACE + 1)
        yield Case("KVM.SLOT.SPACE", good, "slot", space * SPACE + 1)
    if p.max_gfn is None:
        last = replace(CREATE, gpa=2**64 - 3 * P)
        yield Case("KVM.SLOT.GPA_WRAP", last, "gpa", 2**64 - 2 * P)
        yield Case("KVM.SLOT.GPA_WRAP", last, "gpa", 2**64 - P)
        yield Case("KVM.SLOT.GPA_WRAP", last, "size", 3 * P)
        yield Case("KVM.SLOT.GPA_WRAP", replace(CREATE, size=P, gpa=2**64 - 2 * P), "gpa", 2**64 - P)
        moved = (CANARY, CREATE)
        yield Case(
            "KVM.SLOT.GPA_WRAP", replace(CREATE, gpa=2**64 - 3 * P), "gpa", 2**64 - 2 * P, moved, word="by a move"
        )
    if p.max_gfn is None or p.max_gfn > 2**31:
        whole = SetRegion(slot=1, gpa=2**32, size=(2**31 - 1) * P, hva=2**32)
        for pages in (2**31, 2**31 + 1, 2**32):
            yield Case("KVM.SLOT.PAGES", whole, "size", pages * P)
    yield Case("KVM.SLOT.DELETE_EXISTS", CREATE, "size", 0)
    yield Case("KVM.SLOT.DELETE_EXISTS", SetRegion(slot=1), "slot", 2, with_slot)
    if p.address_spaces > 1:
        yield Case("KVM.SLOT.DELETE_EXISTS", SetRegion(slot=1), "slot", SPACE + 1, with_slot)
    for hva in (CREATE.hva + P, CREATE.hva - P, 0, place("C", 0)):
        yield Case("KVM.SLOT.HVA_FIXED", CREATE, "hva", hva, with_slot)
    yield Case("KVM.SLOT.HVA_FIXED", replace(CREATE, gpa=20 * P), "hva", place("C", 0), with_slot, word="by a move")
    for size in (P, 3 * P, 256 * P):
        yield Case("KVM.SLOT.SIZE_FIXED", CREATE, "size", size, with_slot)
    yield Case("KVM.SLOT.SIZE_FIXED", replace(CREATE, gpa=20 * P), "size", P, with_slot, word="by a move")
    yield Case("KVM.SLOT.READONLY_FIXED", CREATE, "flags", READONLY, with_slot)
    yield Case("KVM.SLOT.READONLY_FIXED", CREATE, "flags", READONLY + LOG_DIRTY_PAGES, with_slot)
    yield Case("KVM.SLOT.READONLY_FIXED", READ_ONLY, "flags", 0, (CANARY, READ_ONLY))
    yield Case("KVM.SLOT.READONLY_FIXED", READ_ONLY, "flags", LOG_DIRTY_PAGES, (CANARY, READ_ONLY))
    yield Case("KVM.SLOT.READONLY_FIXED", replace(CREATE, gpa=20 * P), "flags", READONLY, with_slot, word="by a move")


def overlap_cases(p: Profile) -> Iterator[Case]:
    """Creates and moves that touch another slot by their first page, their last, inside it, or around it."""
    beside = (CANARY, NEIGHBOUR)
    good = replace(CREATE, gpa=30 * P)  # ends where the neighbour begins
    for gpa in (31 * P, 32 * P, 33 * P, 34 * P, 35 * P):
        yield Case("KVM.SLOT.OVERLAP", good, "gpa", gpa, beside)
    yield Case("KVM.SLOT.OVERLAP", replace(CREATE, gpa=36 * P), "gpa", 35 * P, beside)
    yield Case("KVM.SLOT.OVERLAP", good, "size", 3 * P, beside)
    yield Case("KVM.SLOT.OVERLAP", good, "size", 64 * P, beside, word="around it")
    single = (CANARY, replace(NEIGHBOUR, size=P))
    yield Case("KVM.SLOT.OVERLAP", replace(CREATE, size=P, gpa=33 * P), "gpa", 32 * P, single)
    both = (CANARY, CREATE, NEIGHBOUR)
    for gpa in (31 * P, 32 * P, 33 * P, 35 * P):
        yield Case("KVM.SLOT.OVERLAP", replace(CREATE, gpa=30 * P), "gpa", gpa, both, word="by a move")
    yield Case("KVM.SLOT.OVERLAP", replace(CREATE, gpa=17 * P), "gpa", 31 * P, both, word="by a move, own range free")
    yield Case(
        "KVM.SLOT.OVERLAP", replace(LOGGED, gpa=30 * P), "gpa", 31 * P, both, word="by a move that turns the log on"
    )
    if p.address_spaces > 1:
        other = (CANARY, replace(NEIGHBOUR, slot=SPACE + 2))
        yield Case(
            "KVM.SLOT.OVERLAP", replace(CREATE, gpa=33 * P), "slot", SPACE + 1, other, word="in its address space only"
        )
    if p.max_gfn is not None:
        end = (p.max_gfn + 1) * P
        top = (CANARY, replace(NEIGHBOUR, gpa=end - 4 * P))
        yield Case(
            "KVM.SLOT.OVERLAP", replace(CREATE, gpa=end - 6 * P), "gpa", end - 5 * P, top, word="at the last page"
        )
        for gpa in (end - P, end, end + P):
            yield Case("KVM.SLOT.GFN_LIMIT", replace(CREATE, gpa=end - 2 * P), "gpa", gpa)
            yield Case(
                "KVM.SLOT.GFN_LIMIT", replace(CREATE, gpa=end - 2 * P), "gpa", gpa, (CANARY, CREATE), word="by a move"
            )
        for gpa in (2**52, 2**63, 2**64 - 3 * P):
            if gpa >= end:
                yield Case("KVM.SLOT.GFN_LIMIT", replace(CREATE, gpa=end - 2 * P), "gpa", gpa)
        yield Case("KVM.SLOT.GFN_LIMIT", replace(CREATE, gpa=end - 2 * P), "size", 3 * P)


def memfd_cases(p: Profile) -> Iterator[Case]:
    """Guest memory files, and slots on them."""
    new = CreateGuestMemfd(file=0, size=2 * P)
    if p.guest_memfd == "absent":
        yield Case("KVM.MEMFD.EXISTS", new)
        return
    yield Case("KVM.MEMFD.EXISTS", new, accepted=True)
    yield Case("KVM.CALL.OWNER", new, "from_owner", False)
    yield Case("KVM.CALL.POINTER", new, "readable", False)
    for flags in (2**10, 2**31, 2**32, 2**63):
        yield Case("KVM.MEMFD.FLAGS", new, "flags", flags)
    for size in (0, 1, P - 1, P + 1, 2**63, 2**64 - P, 2**64 - 1):
        yield Case("KVM.MEMFD.SIZE", new, "size", size)
    yield Case("KVM.MEMFD.SIZE", replace(new, size=2**63 - P), "size", 2**63)
    if p.guest_memfd != "bind":
        return
    filed = (CANARY, FILE)
    yield Case("KVM.SLOT.FIRST_FORM_FLAGS", ON_FILE, "version", 1, filed)
    for flags in (GUEST_MEMFD + LOG_DIRTY_PAGES, GUEST_MEMFD + READONLY, 7):
        yield Case("KVM.SLOT.MEMFD_FLAGS", ON_FILE, "flags", flags, filed)
    for offset in (1, P - 1, P + 1):
        yield Case("KVM.SLOT.MEMFD_OFFSET", ON_FILE, "memfd_offset", offset, filed)
    yield Case("KVM.SLOT.MEMFD_FIXED", replace(CREATE, version=2, memfd=0), "flags", GUEST_MEMFD, (*filed, CREATE))
    yield Case("KVM.SLOT.MEMFD_FIXED", ON_FILE, setup=(*filed, ON_FILE), without=2)
    yield Case("KVM.SLOT.MEMFD_FIXED", replace(ON_FILE, size=0), "size", ON_FILE.size, (*filed, ON_FILE))
    yield Case("KVM.SLOT.MEMFD_FIXED", replace(CREATE, size=0), "size", ON_FILE.size, (*filed, ON_FILE))
    yield Case("KVM.SLOT.MEMFD_FIXED", replace(ON_FILE, gpa=20 * P), setup=(*filed, ON_FILE), without=2)
    yield Case("KVM.SLOT.MEMFD_OPEN", ON_FILE, "memfd", NO_FILE, filed)
    yield Case("KVM.SLOT.MEMFD_OPEN", ON_FILE, "memfd", 1, filed)
    yield Case("KVM.SLOT.MEMFD_KIND", ON_FILE, "memfd", NOT_A_GUEST_MEMFD, filed)
    yield Case("KVM.SLOT.MEMFD_KIND", ON_FILE, "memfd", FILE_OF_ANOTHER_VM, filed)
    end = replace(ON_FILE, memfd_offset=14 * P)
    for offset in (15 * P, 16 * P, 17 * P, 2**31 * P, 2**63, 2**64 - 3 * P):
        yield Case("KVM.SLOT.MEMFD_RANGE", end, "memfd_offset", offset, filed)
    yield Case("KVM.SLOT.MEMFD_RANGE", end, "size", 3 * P, filed)
    bound = "KVM.SLOT.MEMFD_BOUND" if p.memfd_rebind_errno == "EEXIST" else "KVM.SLOT.MEMFD_BOUND_EINVAL"
    taken = (*filed, replace(ON_FILE, memfd_offset=4 * P))
    second = replace(ON_FILE, slot=2, gpa=32 * P, memfd_offset=2 * P)
    for offset in (3 * P, 4 * P, 5 * P):
        yield Case(bound, second, "memfd_offset", offset, taken)
    yield Case(bound, replace(second, memfd_offset=6 * P), "memfd_offset", 5 * P, taken)


def log_cases(p: Profile) -> Iterator[Case]:
    """Reading and clearing dirty logs."""
    logged = (CANARY, LOGGED)
    hundred = (replace(LOGGED, size=100 * P),)
    get = GetDirtyLog(slot=1)
    clear = ClearDirtyLog(slot=1, first_page=0, num_pages=100, cleared=pages_in(((0, 99),)))
    for request, setup in ((get, logged), (clear, hundred)):
        yield Case("KVM.CALL.OWNER", request, "from_owner", False, setup)
        yield Case("KVM.CALL.POINTER", request, "readable", False, setup)
        yield Case("KVM.DIRTY.BUFFER", request, "buffer_ok", False, (*setup, GuestWrite(gpa=16 * P)))
        if p.dirty_ring:
            ring = EnableDirtyRing(size=2**16)
            yield Case("KVM.DIRTY.RING_EXCLUDES", request, setup=(*setup, ring), without=len(setup))
        also = ("KVM.DIRTY.LOGGED",)
        for slot in (p.user_slots, 2**16 - 1, p.address_spaces * SPACE + 1, 2**32 - 1):
            yield Case("KVM.DIRTY.SLOT_WORD", request, "slot", slot, setup, also=also)
        yield Case("KVM.DIRTY.LOGGED", request, "slot", 2, setup)
        plain = (replace(NEIGHBOUR, gpa=256 * P, size=100 * P), *setup)
        yield Case("KVM.DIRTY.LOGGED", request, "slot", 2, plain, word="that keeps none")
        if p.address_spaces > 1:
            yield Case("KVM.DIRTY.LOGGED", request, "slot", SPACE + 1, setup, word="of another address space")
    first_64 = replace(clear, num_pages=64, cleared=pages_in(((0, 63),)))
    for first in (1, 32, 63):
        yield Case("KVM.CLEAR.FIRST_ALIGNED", replace(first_64, num_pages=0), "first_page", first, hundred)
    inside = ("KVM.CLEAR.COUNT_INSIDE",)
    none = replace(clear, first_page=64, num_pages=0, cleared=pages_in(()))
    for first in (128, 2**31, 2**32, 2**63, 2**64 - 64):
        yield Case("KVM.CLEAR.FIRST_INSIDE", none, "first_page", first, hundred, also=inside)
    for pages in (128, 192, 2**31, 2**32 - 64):
        yield Case("KVM.CLEAR.COUNT_INSIDE", first_64, "num_pages", pages, hundred)
    yield Case("KVM.CLEAR.COUNT_INSIDE", replace(none, num_pages=36), "num_pages", 64, hundred)
    for pages in (1, 63, 65, 99):
        yield Case("KVM.CLEAR.COUNT_ALIGNED", first_64, "num_pages", pages, hundred)
    yield Case("KVM.CLEAR.COUNT_ALIGNED", replace(none, num_pages=36), "num_pages", 35, hundred)


def mode_cases(p: Profile) -> Iterator[Case]:
    """Modes of the dirty log."""
    manual = EnableManualProtect(options=1)
    yield Case("KVM.CALL.OWNER", manual, "from_owner", False)
    yield Case("KVM.CALL.POINTER", manual, "readable", False)
    for flags in (1, 2, 2**31, 2**32 - 1):
        yield Case("KVM.MANUAL.FLAGS", manual, "flags", flags)
    for options in (2, 4, 5, 7, 2**31, 2**32, 2**32 + 1, 2**63, 2**64 - 1):
        yield Case("KVM.MANUAL.OPTIONS", manual, "options", options)
    for options in (0, 1, 3):
        yield Case(
            "KVM.MANUAL.OPTIONS", replace(manual, options=options), "options", 2, (EnableManualProtect(options=3),)
        )
    ring = EnableDirtyRing(size=2**16)
    if not p.dirty_ring:
        yield Case("KVM.RING.EXISTS", ring)
        return
    yield Case("KVM.RING.EXISTS", ring, accepted=True)
    yield Case("KVM.CALL.OWNER", ring, "from_owner", False)
    yield Case("KVM.CALL.POINTER", ring, "readable", False)
    for size in (2**16 + 1, 2**16 - 16, 3 * 2**15):
        yield Case("KVM.RING.POWER_OF_TWO", ring, "size", size)
    for size in (p.smallest_dirty_ring // 2, 16, 1):
        yield Case("KVM.RING.SMALLEST", replace(ring, size=p.smallest_dirty_ring), "size", size)
    for size in (2**21, 2**31):
        yield Case("KVM.RING.LARGEST", replace(ring, size=2**20), "size", size)
    yield Case("KVM.RING.ONCE", ring, setup=(CANARY, ring), without=1)
    yield Case("KVM.RING.ONCE", replace(ring, size=2**17), setup=(CANARY, ring), without=1)
    yield Case("KVM.RING.BEFORE_VCPUS", ring, setup=(CANARY, GuestWrite(gpa=P)), without=1)
    yield Case("KVM.RING.BEFORE_VCPUS", ring, setup=(CANARY, VcpuWrite(gpa=64 * P)), without=1)


def lookup_cases(p: Profile) -> Iterator[Case]:
    """Accesses that reach no memory, and questions for slots that are not there."""
    setup = (CANARY, CREATE, replace(NEIGHBOUR, flags=READONLY))
    for gpa in (16 * P - 1, 18 * P, 0, P - 1, 3 * P, 2**40, 2**63, 2**64 - 1):
        yield Case("KVM.ACCESS.MAPPED", Lookup(gpa=16 * P), "gpa", gpa, setup)
        yield Case("KVM.ACCESS.MAPPED", Lookup(gpa=18 * P - 1, write=True), "gpa", gpa, setup)
    yield Case("KVM.ACCESS.MAPPED", Lookup(gpa=16 * P), "space", 1, setup)
    yield Case("KVM.ACCESS.MAPPED", Lookup(gpa=16 * P), "space", 2, setup)
    for gpa in (32 * P, 36 * P - 1, 34 * P + 5):
        yield Case("KVM.ACCESS.WRITABLE", Lookup(gpa=gpa), "write", True, setup)
    yield Case("KVM.ACCESS.WRITABLE", Lookup(gpa=16 * P, write=True), "gpa", 32 * P, setup)
    for slot in (3, 2**15, SPACE + 1, 2**32 - 1):
        yield Case("KVM.LOOKUP.NAMED", FindSlot(slot=1), "slot", slot, setup)


GROUPS = (region_cases, overlap_cases, memfd_cases, log_cases, mode_cases, lookup_cases)


def look(profile: Profile, vm: Any, request: Any) -> list[Any]:
    """How a VM is looked at after a request."""
    return read_back(vm)


def drafts(profile: Profile) -> Iterator[Draft]:
    """A rejected and an accepted vector for each case that this profile has."""
    for group in GROUPS:
        for case in group(profile):
            yield from cases.drafts_of(profile, case, look)
