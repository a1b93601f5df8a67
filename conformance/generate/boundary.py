"""Boundary values, alone and in pairs.

A vector tries many values, one after another. After each attempt comes a call whose answer depends on what the
attempt did - a delete that finds a slot or none, a write that reaches it or not - so that every kernel shows its state.
A slot that beside them all keeps a log is looked at in the end: nothing may have happened to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from conformance.backings import place
from conformance.generate import pools
from conformance.generate.build import Draft
from conformance.generate.by_rule import CANARY, CREATE, FILE, ON_FILE
from conformance.generate.readback import can_be_written, read_back
from spec.memslots.access import GuestWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import FindSlot, HvaRange, Lookup, Observe
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import EMPTY_VM, LOG_DIRTY_PAGES, Vm
from spec.outcome import Rejected
from spec.pages import pages_in
from spec.profile import Profile
from spec.step import step
from spec.units import PAGE_SIZE, U64_MAX

P = PAGE_SIZE
MOST_ATTEMPTS = 40  # in one vector


class Sweep:
    """A vector in the making: the requests so far, and the state that they lead to."""

    def __init__(self, profile: Profile, setup: Sequence[Any]) -> None:
        self.profile = profile
        self.requests: list[Any] = []
        self.vm: Vm = EMPTY_VM
        self.attempts = 0
        for request in setup:
            self.do(request)

    def do(self, request: Any) -> bool:
        """One more request; whether it was accepted."""
        self.vm, outcome = step(self.profile, self.vm, request)
        self.requests.append(request)
        return not isinstance(outcome, Rejected)

    def draft(self, title: str, family: str, because: str) -> Draft:
        return Draft(title, family, (*self.requests, *read_back(self.vm)), because, "boundary")


def in_parts(attempts: Sequence[Any], most: int = MOST_ATTEMPTS) -> Iterator[Sequence[Any]]:
    for start in range(0, len(attempts), most):
        yield attempts[start : start + most]


def creations(
    profile: Profile, title: str, setup: Sequence[Any], attempts: Sequence[SetRegion], family: str = "KVM.SLOT"
) -> Iterator[Draft]:
    """Try to create each slot, and to delete it. Slots that may be too large for small machines come alone."""
    huge: list[SetRegion] = []
    small: list[SetRegion] = []
    for attempt in attempts:
        sweep = Sweep(profile, setup)
        accepted = sweep.do(attempt)
        (huge if accepted and attempt.size > pools.HUGE else small).append(attempt)
    for part in [*in_parts(small), *([one] for one in huge)]:
        sweep = Sweep(profile, setup)
        for attempt in part:
            sweep.do(attempt)
            sweep.do(SetRegion(slot=attempt.slot))
        yield sweep.draft(title, family, "boundary values; the delete after each creation says whether there was one")


def region_singles(p: Profile) -> Iterator[Draft]:
    """One field at a time: of a creation, a move, a delete, and a call that changes nothing."""
    gpas, sizes, hvas = pools.guest_addresses(p), pools.sizes(p), pools.host_addresses(p)
    setup = (CANARY,)
    small = replace(CREATE, size=P)
    yield from creations(p, "creations at every kind of guest address", setup, [replace(small, gpa=a) for a in gpas])
    yield from creations(p, "creations of every kind of size", setup, [replace(CREATE, size=s, hva=0) for s in sizes])
    yield from creations(p, "creations at every kind of host address", setup, [replace(small, hva=a) for a in hvas])
    yield from creations(
        p, "creations of every slot number", setup, [replace(small, slot=s) for s in pools.slot_words(p)]
    )
    for version in (1, 2):
        tries = [replace(small, flags=f, version=version) for f in pools.FLAG_WORDS]
        yield from creations(p, f"creations with all kinds of flags, form {version}", setup, tries)
    yield from in_place(p, "moves to every kind of guest address", [replace(CREATE, gpa=a) for a in gpas])
    yield from in_place(p, "changes of the size", [replace(CREATE, size=s) for s in sizes if s])
    yield from in_place(p, "changes of the host address", [replace(CREATE, hva=a) for a in hvas])
    yield from in_place(p, "changes of the flags", [replace(CREATE, flags=f) for f in pools.FLAG_WORDS])
    delete = SetRegion(slot=1)
    yield from in_place(p, "deletes at every kind of guest address", [replace(delete, gpa=a) for a in gpas])
    yield from in_place(p, "deletes with every kind of host address", [replace(delete, hva=a) for a in hvas])
    yield from in_place(p, "deletes with all kinds of flags", [replace(delete, flags=f) for f in pools.FLAG_WORDS])
    yield from in_place(p, "deletes of every slot number", [replace(delete, slot=s) for s in pools.slot_words(p)])


def in_place(p: Profile, title: str, attempts: Sequence[SetRegion]) -> Iterator[Draft]:
    """Requests for a slot that is there. A write to where it was says whether it still is; then all is put back."""
    for part in in_parts(attempts):
        sweep = Sweep(p, (CANARY, CREATE))
        for attempt in part:
            before = sweep.vm.slots
            sweep.do(attempt)
            sweep.do(GuestWrite(gpa=CREATE.gpa))
            if sweep.vm.slots != before:
                if attempt.size:
                    sweep.do(SetRegion(slot=attempt.slot))
                sweep.do(CREATE)
        yield sweep.draft(title, "KVM.SLOT", "boundary values; the write after each says where the slot is")


def pairs(p: Profile) -> Iterator[Draft]:
    """Two fields at a time, in files of their own."""
    for draft in region_pairs(p):
        yield replace(draft, generator="pairs")


def region_pairs(p: Profile) -> Iterator[Draft]:
    """Two fields of a creation."""
    gpas, sizes, hvas = pools.guest_addresses(p), pools.sizes(p), pools.host_addresses(p)
    setup = (CANARY,)
    for size in sizes:
        title = f"size {size:#x} at every kind of guest address"
        yield from creations(p, title, setup, [replace(CREATE, size=size, hva=0, gpa=a) for a in gpas])
    for size in sizes:
        title = f"size {size:#x} at every kind of host address"
        yield from creations(p, title, setup, [replace(CREATE, size=size, hva=a) for a in hvas])
    for hva in hvas:
        title = f"host address {hva:#x} at every kind of guest address"
        yield from creations(p, title, setup, [replace(CREATE, size=P, hva=hva, gpa=a) for a in gpas])
    for slot in pools.slot_words(p):
        tries = [replace(CREATE, slot=slot, flags=f, version=v) for f in pools.FLAG_WORDS for v in (1, 2)]
        yield from creations(p, f"slot word {slot:#x} with all kinds of flags", setup, tries)


def memfd_sweeps(p: Profile) -> Iterator[Draft]:
    """Guest memory files, and slots on them."""
    attempts: list[Any] = [
        CreateGuestMemfd(file=n, size=s) for n, s in enumerate(dict.fromkeys((*pools.sizes(p), 2**63 - P)))
    ]
    attempts += [CreateGuestMemfd(file=100 + n, size=P, flags=f) for n, f in enumerate((2**8, 2**31, 2**32, 2**63))]
    sweep = Sweep(p, ())
    for attempt in attempts:
        sweep.do(attempt)
        sweep.do(replace(ON_FILE, size=P, memfd=attempt.file))
        sweep.do(SetRegion(slot=ON_FILE.slot))
    yield sweep.draft("files of every kind of size", "KVM.MEMFD", "boundary values; a slot on each shows whether it is")
    if p.guest_memfd != "bind":
        return
    setup = (CANARY, FILE)
    offsets, sizes, gpas = pools.file_offsets(p), pools.sizes(p), pools.guest_addresses(p)
    for size in sizes:
        tries = [replace(ON_FILE, size=size, memfd_offset=offset) for offset in offsets]
        yield from creations(p, f"size {size:#x} at every kind of file offset", setup, tries, "KVM.MEMFD")
    for offset in (0, 1, 15 * P, 16 * P, 2**63, U64_MAX):
        tries = [replace(ON_FILE, gpa=gpa, memfd_offset=offset) for gpa in gpas]
        yield from creations(p, f"file offset {offset:#x} at every kind of guest address", setup, tries, "KVM.MEMFD")
    for memfd in pools.FILES:
        tries = [replace(ON_FILE, memfd=memfd, flags=f) for f in pools.FLAG_WORDS]
        yield from creations(p, f"file {memfd} with all kinds of flags", setup, tries, "KVM.MEMFD")


def log_sweeps(p: Profile) -> Iterator[Draft]:
    """Logs of slots around a word of pages, and every kind of range to clear in them."""
    for npages in (1, 2, 63, 64, 65, 100, 127, 128, 129, 256):
        yield from log_of(p, npages)
    sweep = Sweep(p, (CANARY,))
    for slot in pools.slot_words(p):
        sweep.do(GetDirtyLog(slot=slot))
        sweep.do(ClearDirtyLog(slot=slot))
    yield sweep.draft("logs of every slot number", "KVM.DIRTY", "boundary values")


def log_of(p: Profile, npages: int) -> Iterator[Draft]:
    logged = SetRegion(slot=1, flags=LOG_DIRTY_PAGES, gpa=512 * P, size=npages * P, hva=place("C", 0))
    setup = (EnableManualProtect(options=3), logged)
    attempts: list[ClearDirtyLog] = []
    for first, count in product(pools.FIRST_PAGES, pools.PAGE_COUNTS):
        bits = min(count + 63, 2 * npages + 64)
        attempts.append(
            ClearDirtyLog(slot=1, first_page=first, num_pages=count, cleared=pages_in(((0, bits // 64 * 64 - 1),)))
            if bits >= 64
            else ClearDirtyLog(slot=1, first_page=first, num_pages=count)
        )
    probe = Sweep(p, setup)
    accepted: list[ClearDirtyLog] = []
    rejected: list[ClearDirtyLog] = []
    for attempt in attempts:
        before = probe.vm
        (accepted if probe.do(attempt) else rejected).append(attempt)
        probe.vm = before
    near = [one for one in rejected if one.first_page <= 192 and one.num_pages <= 129]
    far = [one for one in rejected if one not in near]
    chosen = near if npages in (64, 100) else near[:: max(1, len(near) // 12)]
    chosen = chosen + (far if npages == 100 else [])
    for part in in_parts(chosen):
        sweep = Sweep(p, setup)
        for attempt in part:
            sweep.do(attempt)
        sweep.do(GetDirtyLog(slot=1))
        title = f"ranges that cannot be cleared in a log of {npages} pages"
        yield sweep.draft(title, "KVM.CLEAR", "boundary values; no page may be clean after them")
    for part in in_parts(accepted, 20):
        sweep = Sweep(p, setup)
        for attempt in part:
            sweep.do(attempt)
            sweep.do(GetDirtyLog(slot=1))
            for flags in (0, LOG_DIRTY_PAGES):  # a new log, with all pages set
                sweep.do(replace(logged, flags=flags))
        title = f"ranges cleared in a log of {npages} pages"
        yield sweep.draft(title, "KVM.CLEAR", "boundary values; the log after each says what is clean")


def mode_sweeps(p: Profile) -> Iterator[Draft]:
    """Options and ring sizes; a new log or a second ring after each says what it did."""
    logged = replace(CREATE, flags=LOG_DIRTY_PAGES)
    sweep = Sweep(p, (CANARY,))
    for options in pools.OPTION_WORDS:
        sweep.do(EnableManualProtect(options=options))
        sweep.do(logged)
        sweep.do(GetDirtyLog(slot=1))
        sweep.do(GetDirtyLog(slot=1))
        sweep.do(SetRegion(slot=1))
    yield sweep.draft("every kind of options", "KVM.MANUAL", "boundary values; a new log after each says what holds")
    refused = []
    for size in pools.RING_SIZES:
        sweep = Sweep(p, (CANARY,))
        if sweep.do(EnableDirtyRing(size=size)):
            yield sweep.draft(f"a ring of {size:#x} bytes", "KVM.RING", "boundary value")
        else:
            refused.append(EnableDirtyRing(size=size))
    sweep = Sweep(p, (CANARY,))
    for attempt in refused:
        sweep.do(attempt)
        sweep.do(GetDirtyLog(slot=0))
    title = "sizes that no ring can have"
    yield sweep.draft(title, "KVM.RING", "boundary values; the log after each shows that there is no ring")


def lookup_sweeps(p: Profile) -> Iterator[Draft]:
    """Questions and accesses at every kind of address, beside slots at the ends of the space."""
    top_end = (p.max_gfn + 1) * P if p.max_gfn is not None else 2**64 - P
    slots = (
        SetRegion(slot=0, gpa=0, size=P, hva=place("A", 0)),
        SetRegion(slot=1, gpa=P, size=P, hva=place("B", 8 * P), flags=2),
        SetRegion(slot=2, gpa=2**32 - P, size=2 * P, hva=place("C", 0)),
        SetRegion(slot=3, gpa=top_end - P, size=P, hva=place("D", 255 * P)),
    )
    more = (SetRegion(slot=pools.SPACE + 1, gpa=P, size=P, hva=place("A", P)),) if p.address_spaces > 1 else ()
    gpas = [*pools.guest_addresses(p), 2 * P - 1, 2 * P, top_end - P - 1, top_end - 1, top_end]
    sweep = Sweep(p, (*slots, *more))
    for gpa in dict.fromkeys(gpas):
        for space, write in ((0, False), (0, True), (1, False)):
            sweep.do(Lookup(space=space, gpa=gpa, write=write))
    yield sweep.draft("lookups at every kind of address", "KVM.ACCESS", "boundary values")
    sweep = Sweep(p, slots)
    for gpa in dict.fromkeys(gpas):
        for start in (gpa, gpa - 11, gpa - 12):
            if can_be_written(sweep.vm, start):
                sweep.do(GuestWrite(gpa=start))
    yield sweep.draft("writes at every kind of address", "KVM.ACCESS", "boundary values")
    sweep = Sweep(p, (*slots, *more))
    for slot in pools.slot_words(p):
        sweep.do(FindSlot(slot=slot))
    yield sweep.draft("every slot number", "KVM.LOOKUP", "boundary values")
    yield from host_ranges(p, (*slots, *more))


def host_ranges(p: Profile, slots: Sequence[Any]) -> Iterator[Draft]:
    """Every pair of ends around two slots that share host memory."""
    a = place("A", 0)
    shared = (
        SetRegion(slot=4, gpa=64 * P, size=4 * P, hva=a),
        SetRegion(slot=5, gpa=80 * P, size=4 * P, hva=a + 2 * P),
    )
    ends = [0, a - 1, a, a + 1, a + 2 * P - 1, a + 2 * P, a + 4 * P - 1, a + 4 * P, a + 6 * P - 1, a + 6 * P, U64_MAX]
    sweep = Sweep(p, (*slots, *shared))
    for first, last in product(ends, ends):
        if first <= last:
            sweep.do(HvaRange(first=first, last=last))
    sweep.do(Observe())
    yield sweep.draft("host ranges around slots that share memory", "KVM.LOOKUP", "boundary values in pairs")


def singles(p: Profile) -> Iterator[Draft]:
    for group in (region_singles, memfd_sweeps, log_sweeps, mode_sweeps, lookup_sweeps):
        yield from group(p)
