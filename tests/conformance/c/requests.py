"""Random requests for the C library, close enough together that they meet: few slots, few places, all borders."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from spec.memslots.access import GuestWrite, VcpuRead, VcpuWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_log import bitmap_bytes
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import FindSlot, HvaRange, Lookup, Observe
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import SetRegion
from spec.pages import Pages, pages_in
from spec.profile import PROFILES, Profile
from spec.units import PAGE_SIZE, U64, U64_MAX

SMALL = Profile(user_slots=4, address_spaces=2, user_limit=2**47 - PAGE_SIZE, max_gfn=2**20 - 1)
WIDE = Profile(user_slots=509, address_spaces=1, user_limit=2**56 - PAGE_SIZE, max_gfn=None, dirty_ring=False)
LIBRARY_PROFILES = (SMALL, WIDE, PROFILES["tree"], PROFILES["array"])

P = PAGE_SIZE
LARGEST = 2**31 - 1
NEAR = [0, 1, 2, 3, 4, 5, 7, 8, 63, 64, 65]
SLOT_WORDS = [0, 1, 2, 3, 65536, 65537, 4, 508, 509, 32763, 32764, 65535, 131072, 2**32 - 1]

usually = st.sampled_from([True] * 30 + [False])
slot_words = st.one_of(st.sampled_from([0, 1, 2, 65536, 65537]), st.sampled_from(SLOT_WORDS))
page_counts = st.one_of(st.sampled_from([1, 2, 3, 4]), st.sampled_from([*NEAR, 127, 128, 129, 130]))
near_addresses = st.builds(lambda page, off: max(page * P + off, 0), st.integers(0, 140), st.sampled_from([0, 1, -1]))
far_addresses = st.builds(
    lambda border, pages, off: (border + pages * P + off) % U64,
    st.sampled_from([2**20 * P, 2**28 * P, 2**40 * P, 2**47, 2**52, 2**56, 2**63, 0]),
    st.integers(-3, 1),
    st.sampled_from([0, 0, 0, 1, -1]),
)
guest_addresses = st.one_of(near_addresses, near_addresses, far_addresses)
aligned = st.builds(lambda page: page * P, st.one_of(st.sampled_from(NEAR), st.integers(0, 140)))
gpas = st.one_of(aligned, aligned, aligned, far_addresses)
# Slots that share host memory, and host addresses at the limits.
hvas = st.one_of(st.sampled_from([0x10000, 0x10000, 0x12000, 0x20000]), far_addresses)
sizes = st.one_of(
    page_counts.map(lambda pages: pages * P),
    page_counts.map(lambda pages: pages * P),
    st.sampled_from([0, 1, P - 1, P + 1, LARGEST * P, (LARGEST + 1) * P, 2**47 - P, 2**63, U64 - P, U64_MAX]),
)
flags = st.one_of(st.sampled_from([0, 1, 1, 2, 3]), st.sampled_from([4, 8, 2**16, 2**31]))


@st.composite
def set_regions(draw: Any, known: list[SetRegion]) -> SetRegion:
    """Often a change of a slot that was asked for before: moved, reflagged, deleted, or with one field wrong."""
    if known and draw(st.sampled_from([True, True, False])):
        request = draw(st.sampled_from(known))
        fields = dict(request.__dict__)
        for name in draw(st.sampled_from([(), ("gpa",), ("gpa",), ("flags",), ("gpa", "flags"), ("size",), ("hva",)])):
            fields[name] = draw({"gpa": gpas, "flags": flags, "size": sizes, "hva": hvas}[name])
        if draw(st.sampled_from([True, False, False, False, False])):
            fields["size"] = 0
        return SetRegion(**fields)
    return SetRegion(
        slot=draw(slot_words),
        flags=draw(flags),
        gpa=draw(gpas),
        size=draw(sizes),
        hva=draw(hvas),
        version=draw(st.sampled_from([1] * 30 + [2])),
        from_owner=draw(usually),
        readable=draw(usually),
    )


@st.composite
def page_sets(draw: Any, pages: int) -> Pages:
    """A set of pages 0 .. pages - 1."""
    if pages == 0:
        return Pages(())
    ends = st.integers(0, min(pages, 2**16) - 1)
    ranges = draw(st.lists(st.tuples(ends, ends), max_size=3))
    return pages_in(tuple((min(pair), max(pair)) for pair in ranges))


@st.composite
def clears(draw: Any) -> ClearDirtyLog:
    count = draw(st.one_of(page_counts, st.sampled_from([LARGEST, 2**32 - 64, 2**32 - 1])))
    return ClearDirtyLog(
        slot=draw(slot_words),
        first_page=draw(st.sampled_from([0, 0, 0, 64, 64, 128, 1, 63, 192, 2**31, 2**64 - 64])),
        num_pages=count,
        cleared=draw(page_sets(bitmap_bytes(count) * 8)),
        buffer_ok=draw(usually),
        from_owner=draw(usually),
        readable=draw(usually),
    )


host_addresses = st.one_of(
    st.builds(lambda page, off: page * P + off, st.integers(14, 40), st.sampled_from([0, 1, -1])), far_addresses
)
ring_sizes = st.sampled_from([0, 1, P - 1, P, 2 * P, 3 * P, 2**20, 2**21, 2**31, 2**32, 2**32 + P, U64_MAX])

any_other_request = st.one_of(
    st.builds(GuestWrite, gpa=guest_addresses, length=st.sampled_from([0, 1, 12, 12, P, 2 * P + 1])),
    st.builds(GuestWrite, gpa=guest_addresses, length=st.just(12)),
    st.builds(VcpuRead, gpa=guest_addresses),
    st.builds(VcpuWrite, gpa=guest_addresses),
    st.builds(GetDirtyLog, slot=slot_words, buffer_ok=usually, from_owner=usually, readable=usually),
    clears(),
    st.builds(
        EnableManualProtect,
        options=st.sampled_from([0, 1, 3, 3, 2, 4, 2**63]),
        flags=st.sampled_from([0] * 9 + [1]),
        from_owner=usually,
        readable=usually,
    ),
    st.builds(Lookup, space=st.sampled_from([0, 0, 1, 2]), gpa=guest_addresses, write=st.booleans()),
    st.builds(FindSlot, slot=slot_words),
    st.builds(HvaRange, first=host_addresses, last=host_addresses),
    st.just(Observe()),
)
rare_requests = st.one_of(
    st.builds(CreateGuestMemfd, size=sizes, from_owner=usually, readable=usually),
    st.builds(EnableDirtyRing, size=ring_sizes, from_owner=usually, readable=usually),
)


@st.composite
def sequences(draw: Any, longest: int = 30) -> tuple[Any, ...]:
    """Requests in order, each chosen with an eye on those before."""
    known: list[SetRegion] = []
    requests: list[Any] = []
    for kind in draw(st.lists(st.sampled_from("ssssooooooor"), min_size=1, max_size=longest)):
        request = draw({"s": set_regions(known), "o": any_other_request, "r": rare_requests}[kind])
        if isinstance(request, SetRegion):
            known.append(request)
        requests.append(request)
    return tuple(requests)
