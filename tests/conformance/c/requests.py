"""Random requests for the C library: each chosen with an eye on the state, mostly possible, often at a border.

All choices are made by a `random.Random`: a seeded one is fast, and Hypothesis has one that it can shrink.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from spec.memslots.access import GuestWrite, VcpuRead, VcpuWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_log import bitmap_bytes
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import FindSlot, HvaRange, Lookup, Observe
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import EMPTY_VM, Slot
from spec.pages import Pages, pages_in
from spec.profile import PROFILES, Profile
from spec.step import step
from spec.units import PAGE_SIZE, U64, U64_MAX, page_of

SMALL = Profile(user_slots=4, address_spaces=2, max_gfn=2**20 - 1)
WIDE = Profile(user_slots=509, address_spaces=1, user_limit=2**56 - PAGE_SIZE, max_gfn=None, dirty_ring=False)
PROFILES_OF_THE_LIBRARY = (SMALL, WIDE, PROFILES["tree"], PROFILES["array"])

P = PAGE_SIZE
LARGEST = 2**31 - 1
FEW_WORDS = [0, 1, 2, 3, 0, 1, 2, 65536, 65537]
ANY_WORDS = [*FEW_WORDS, 4, 508, 509, 32763, 32764, 65535, 131072, 2**32 - 1]
SIZES = [1, 2, 3, 4, 4, 8, 64, 65, 130]  # pages
ODD_SIZES = [0, 1, P - 1, P + 1, LARGEST * P, (LARGEST + 1) * P, 2**47 - P, 2**63, U64 - P, U64_MAX]  # bytes
HOSTS = [0x10000, 0x10000, 0x12000, 0x20000]  # slots share host memory
BORDERS = [0, 2**20 * P, 2**28 * P, 2**47, 2**56, 2**63]
RINGS = [0, 1, P - 1, P, P, 2 * P, 3 * P, 2**20, 2**21, 2**31, 2**32, 2**32 + P, U64_MAX]


class Requests:
    """Makes requests for a VM in a state that it is told of."""

    def __init__(self, random: Random, profile: Profile) -> None:
        self.random = random
        self.profile = profile
        self.vm = EMPTY_VM

    def one_in(self, number: int) -> bool:
        return self.random.randrange(number) == number - 1

    def one_of(self, choices: Any) -> Any:
        return choices[self.random.randrange(len(choices))]

    def slot(self, logged: bool = False) -> Slot | None:
        """A slot that is there, with a log if there is one with a log."""
        there = sorted(self.vm.slots, key=lambda slot: (slot.space, slot.id))
        with_log = [slot for slot in there if slot.dirty is not None]
        chosen: Slot | None = self.one_of(with_log if logged and with_log else there) if there else None
        return chosen

    def word(self, logged: bool = False) -> int:
        slot = self.slot(logged)
        if slot is None or self.one_in(8):
            return int(self.one_of(ANY_WORDS))
        return slot.space * 65536 + slot.id

    def far(self) -> int:
        """An address at one of the borders of the address space."""
        near = self.one_of(BORDERS) + self.random.randrange(-3, 2) * P
        return int(near + self.one_of([0, 0, 0, 0, 1, -1])) % U64

    def gpa(self) -> int:
        """An address where a guest may look: in or around a slot."""
        slot = self.slot()
        if slot is None or self.one_in(12):
            return self.far()
        last = slot.last_gpa()
        places = [slot.first_gpa(), last - 5, last, self.random.randrange(slot.npages) * P + slot.first_gpa()]
        return max(int(self.one_of(places)) + int(self.one_of([0, 0, 0, 0, 1, -1])), 0)

    def calling(self) -> dict[str, bool]:
        return {"from_owner": not self.one_in(40), "readable": not self.one_in(40)}

    def set_region(self) -> SetRegion:
        slot = self.slot()
        if slot is None or self.one_in(3):
            fields = {
                "slot": self.one_of(FEW_WORDS),
                "flags": self.one_of([0, 1, 1, 1, 2, 3]),
                "gpa": self.random.randrange(140) * P,
                "size": self.one_of(SIZES) * P,
                "hva": self.one_of(HOSTS),
            }
            if self.one_in(4):  # up to the last page that is allowed, or one more
                top = 2**52 - 1 if self.profile.max_gfn is None else self.profile.max_gfn
                fields["gpa"] = ((top + self.one_of([0, 1])) * P + P - fields["size"]) % U64
        else:
            fields = self.change_of(slot)
        request = SetRegion(**self.calling(), version=2 if self.one_in(40) else 1)
        return replace(request, **self.spoiled(fields))  # type: ignore[arg-type]

    def change_of(self, slot: Slot) -> dict[str, int]:
        fields = {
            "slot": slot.space * 65536 + slot.id,
            "flags": slot.flags,
            "gpa": slot.first_gpa(),
            "size": slot.npages * P,
            "hva": slot.hva,
        }
        change = self.one_of(["delete", "move", "move", "move and flags", "flags", "flags", "nothing"])
        if change == "delete":
            fields["size"] = 0
        if "move" in change:
            near = min(max(slot.base_gfn + self.random.randrange(-3, 4), 0), page_of(U64_MAX))
            fields["gpa"] = self.one_of([near, near, self.random.randrange(140)]) * P
        if "flags" in change:
            fields["flags"] ^= 1
        return fields

    def spoiled(self, fields: dict[str, int]) -> dict[str, int]:
        """A third of all requests: one or two fields otherwise."""
        odd: dict[str, Callable[[], int]] = {
            "slot": lambda: int(self.one_of(ANY_WORDS)),
            "flags": lambda: int(self.one_of([0, 1, 2, 3, 4, 2**16, 2**31])),
            "gpa": lambda: self.one_of([self.far(), self.random.randrange(140) * P + self.one_of([0, 1, 8])]),
            "size": lambda: self.one_of([self.one_of(SIZES) * P, self.one_of(ODD_SIZES)]),
            "hva": lambda: self.one_of([self.far(), 0x11000, 0x10001]),
        }
        if not self.one_in(3):
            return fields
        for _ in range(self.one_of([1, 1, 2])):
            name = self.one_of(list(odd))
            fields[name] = odd[name]()
        return fields

    def pages(self, count: int) -> Pages:
        """A set of pages 0 .. count - 1."""
        within = min(count, 2**16)
        if within == 0:
            return Pages(())
        pairs = [sorted(self.random.randrange(within) for _ in "ab") for _ in range(self.random.randrange(4))]
        return pages_in(tuple((first, last) for first, last in pairs))

    def clear_dirty_log(self) -> ClearDirtyLog:
        slot = self.slot(logged=True)
        first = self.one_of([0, 0, 0, 64, 64, 128, 1, 63, 2**31, U64 - 64])
        rest = max(slot.npages - first, 0) if slot is not None else 64
        count = self.one_of([rest, rest, 64, 64, 0, 1, rest + 1, max(rest - 1, 0), LARGEST, 2**32 - 1])
        return ClearDirtyLog(
            slot=self.word(logged=True),
            first_page=first,
            num_pages=count,
            cleared=self.pages(bitmap_bytes(count) * 8),
            buffer_ok=not self.one_in(20),
            **self.calling(),
        )

    def hva_range(self) -> HvaRange:
        slot = self.slot()
        start, end = (slot.hva, slot.last_hva()) if slot is not None else (0x10000, 0x20000)
        places = [start - 1, start, start + 1, start + P, end - P, end - 1, end, end + 1, self.far()]
        first, last = self.one_of(places), self.one_of(places)
        return HvaRange(max(first, 0), max(last, 0))

    def another(self) -> Any:
        """Any request but set_region."""
        makers: list[Callable[[], Any]] = [
            lambda: GuestWrite(self.gpa(), self.one_of([0, 1, 12, 12, 12, 12, P, 2 * P + 1])),
            lambda: GuestWrite(self.gpa(), 12),
            lambda: VcpuRead(self.gpa()),
            lambda: VcpuWrite(self.gpa()),
            lambda: VcpuWrite(self.gpa()),
            lambda: GetDirtyLog(slot=self.word(logged=True), buffer_ok=not self.one_in(20), **self.calling()),
            self.clear_dirty_log,
            lambda: Lookup(self.one_of([0, 0, 1, 2]), self.gpa(), self.one_in(2)),
            lambda: FindSlot(self.word()),
            self.hva_range,
            lambda: EnableManualProtect(
                options=self.one_of([0, 1, 3, 3, 2, 4, 2**63]), flags=self.one_in(12) * 1, **self.calling()
            ),
            lambda: self.one_of([Observe(), CreateGuestMemfd(size=P, **self.calling())]),
        ]
        return self.one_of(makers)()

    def request(self) -> Any:
        if self.one_in(30 if self.vm.has_vcpu else 12):
            return EnableDirtyRing(size=self.one_of(RINGS), **self.calling())
        return self.set_region() if self.one_in(3) else self.another()

    def sequence(self, length: int) -> tuple[Any, ...]:
        """So many requests in order, from an empty VM on."""
        self.vm = EMPTY_VM
        requests = []
        for _ in range(length):
            request = self.request()
            self.vm, _outcome = step(self.profile, self.vm, request)
            requests.append(request)
        return tuple(requests)


def random_case(random: Random, longest: int = 24) -> tuple[Profile, tuple[Any, ...]]:
    """A profile and a sequence of requests for it."""
    profile = PROFILES_OF_THE_LIBRARY[random.randrange(len(PROFILES_OF_THE_LIBRARY))]
    return profile, Requests(random, profile).sequence(random.randrange(1, longest + 1))
