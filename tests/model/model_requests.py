"""Requests for the machines: few slots, few pages, so that they meet; and the values at which arithmetic goes wrong."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from spec.memslots.access import GuestWrite, VcpuRead, VcpuWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import FindSlot, HvaRange, Lookup, Observe
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import FILE_OF_ANOTHER_VM, NO_FILE, NOT_A_GUEST_MEMFD
from spec.pages import pages_in
from spec.profile import PROFILES, Profile
from spec.units import PAGE_SIZE, U64, U64_MAX

PROFILE: st.SearchStrategy[Profile] = st.sampled_from(
    [
        *PROFILES.values(),
        Profile(address_spaces=1, user_slots=2, max_gfn=20),
        Profile(region2=True, guest_memfd="bind", memfd_rebind_errno="EINVAL", max_gfn=6, dirty_ring=False),
    ]
)

PAGE = st.integers(0, 14)
SLOT = st.one_of(
    st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 0x10000, 0x10001]),
    st.sampled_from([508, 509, 32763, 32764, 0x20000, 0xFFFF]),
)
GPA = st.one_of(
    PAGE.map(lambda page: page * PAGE_SIZE),
    PAGE.map(lambda page: page * PAGE_SIZE),
    st.sampled_from([1, 2**40 - PAGE_SIZE, 2**40, 2**63, U64 - 2 * PAGE_SIZE, U64 - PAGE_SIZE]),
)
SIZE = st.one_of(
    st.sampled_from([0, PAGE_SIZE, 2 * PAGE_SIZE, 3 * PAGE_SIZE]),
    st.sampled_from([0, PAGE_SIZE, 2 * PAGE_SIZE, 1, 70 * PAGE_SIZE, 2**31 * PAGE_SIZE, 2**43 - PAGE_SIZE]),
)
HVA = st.one_of(
    st.sampled_from([0, 0, 0, PAGE_SIZE, 2 * PAGE_SIZE, 3 * PAGE_SIZE]),
    st.sampled_from([5, 2**47 - 2 * PAGE_SIZE, 2**47 - PAGE_SIZE, 2**63, U64 - PAGE_SIZE]),
)
FLAGS = st.sampled_from([0, 0, 0, 1, 1, 1, 2, 3, 4, 4, 5, 8])
FILE = st.sampled_from([NO_FILE, NOT_A_GUEST_MEMFD, FILE_OF_ANOTHER_VM, 0, 0, 1])
BYTE = st.one_of(
    st.integers(0, 15 * PAGE_SIZE),
    PAGE.map(lambda page: page * PAGE_SIZE + PAGE_SIZE - 6),
    st.sampled_from([2**40 - 1, 2**40, U64 - PAGE_SIZE, U64_MAX]),
)
PAGE_RANGES = st.lists(st.tuples(st.integers(0, 70), st.integers(0, 3)), max_size=3).map(
    lambda pairs: pages_in(tuple((first, first + more) for first, more in pairs))
)
RARELY_NOT = st.sampled_from([True] * 9 + [False])

CHANGE = st.builds(
    SetRegion,
    from_owner=RARELY_NOT,
    readable=RARELY_NOT,
    slot=SLOT,
    flags=FLAGS,
    gpa=GPA,
    size=SIZE,
    hva=HVA,
    version=st.sampled_from([1, 2]),
    memfd=FILE,
    memfd_offset=st.sampled_from([0, 0, PAGE_SIZE, 3 * PAGE_SIZE, 1, U64 - PAGE_SIZE]),
)
PLAIN_CHANGE = st.builds(
    SetRegion,
    slot=st.integers(0, 4),
    flags=st.sampled_from([0, 1, 1, 2, 3]),
    gpa=PAGE.map(lambda page: page * PAGE_SIZE),
    size=st.sampled_from([0, PAGE_SIZE, 2 * PAGE_SIZE]),
)
MEMFD_CHANGE = st.builds(
    SetRegion,
    slot=st.integers(0, 4),
    flags=st.sampled_from([4, 4, 4, 0]),
    gpa=PAGE.map(lambda page: page * PAGE_SIZE),
    size=st.sampled_from([0, PAGE_SIZE, 2 * PAGE_SIZE]),
    version=st.just(2),
    memfd=st.sampled_from([0, 0, 0, 1]),
    memfd_offset=st.integers(0, 4).map(lambda page: page * PAGE_SIZE),
)
MEMFD = st.one_of(
    MEMFD_CHANGE,
    MEMFD_CHANGE,
    st.builds(CreateGuestMemfd, file=st.just(0), size=st.just(4 * PAGE_SIZE)),
    st.builds(CreateGuestMemfd, file=st.just(0), size=st.sampled_from([0, 4 * PAGE_SIZE]), flags=st.integers(0, 1)),
)
USED_SLOT = st.sampled_from([0, 1, 2, 3, 4, 0x10000])
LOG = st.one_of(
    st.builds(GetDirtyLog, slot=USED_SLOT),
    st.builds(ClearDirtyLog, slot=USED_SLOT, num_pages=st.integers(0, 2), cleared=PAGE_RANGES),
    st.builds(GetDirtyLog, from_owner=RARELY_NOT, slot=SLOT, buffer_ok=st.booleans()),
    st.builds(
        ClearDirtyLog,
        slot=st.one_of(USED_SLOT, SLOT),
        buffer_ok=RARELY_NOT,
        first_page=st.sampled_from([0, 0, 0, 64, 1, 128]),
        num_pages=st.sampled_from([0, 1, 2, 3, 6, 64, 70]),
        cleared=PAGE_RANGES,
    ),
)
ACCESS = st.one_of(
    st.builds(GuestWrite, gpa=BYTE, length=st.sampled_from([0, 1, 12, 2 * PAGE_SIZE])),
    st.builds(VcpuRead, gpa=BYTE),
    st.builds(VcpuWrite, gpa=BYTE),
)
OTHER: st.SearchStrategy[Any] = st.one_of(
    st.builds(EnableManualProtect, options=st.integers(0, 4), flags=st.sampled_from([0, 0, 0, 1])),
    st.builds(EnableDirtyRing, size=st.sampled_from([0, 4096, 5000, 2**21])),
    st.builds(Lookup, space=st.integers(0, 2), gpa=BYTE, write=st.booleans()),
    st.builds(FindSlot, slot=st.one_of(USED_SLOT, SLOT)),
    st.builds(HvaRange, first=BYTE, last=BYTE),
    st.just(Observe()),
)
REQUEST: st.SearchStrategy[Any] = st.one_of(PLAIN_CHANGE, PLAIN_CHANGE, CHANGE, LOG, ACCESS, OTHER, MEMFD)
REQUESTS = st.lists(REQUEST, min_size=15, max_size=60)
