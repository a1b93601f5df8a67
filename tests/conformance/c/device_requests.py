"""Random requests for the C library's device: each chosen with an eye on the state, from few addresses at the borders.

All choices are made by a `random.Random`: a seeded one is fast, and Hypothesis has one that it can shrink.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from spec.profile import Profile
from spec.step import step
from spec.units import PAGE_SIZE, U64, U64_MAX
from spec.vhost.address_map import AddressMap, Entry, search_rank
from spec.vhost.device import ACCESS_PLATFORM, LOG_ALL, NEW_DEVICE, RECEIVE, TRANSMIT, VERSION_1
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import INVALIDATE, MESSAGE_BYTES, UPDATE, ReadMessage, WriteMessage
from spec.vhost.observe import ObserveMaps
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.regions import AddRegion, RemoveRange, RemoveRegion
from spec.vhost.translate import Translate, map_in_use

P = PAGE_SIZE
BASES = [0, 0, 0x10000, 0x10000, 2**32 - P, 2**63 - 2 * P, U64 - 4 * P]
SMALL_SIZES = [1, 1, 2, 3, P - 1, P, P, P, P + 1, 2 * P, 3 * P, 4 * P]
ODD_SIZES = [0, 2**32, 2**63, U64 - P, U64 - 1, U64_MAX]
HOSTS = [0x10000, 0x20000, 0x20001, 0]
FEATURES = [VERSION_1, VERSION_1 + ACCESS_PLATFORM, VERSION_1 + ACCESS_PLATFORM + LOG_ALL]


class DeviceRequests:
    """Makes requests for a device in a state that it is told of."""

    def __init__(self, random: Random, profile: Profile) -> None:
        self.random = random
        self.profile = profile
        self.device = NEW_DEVICE

    def one_in(self, number: int) -> bool:
        return self.random.randrange(number) == number - 1

    def one_of(self, choices: Any) -> Any:
        return choices[self.random.randrange(len(choices))]

    def entry_in(self, table: AddressMap | None) -> Entry | None:
        """An entry of a map, if it has one."""
        there = [] if table is None else sorted(table.entries, key=search_rank)
        chosen: Entry | None = self.one_of(there) if there else None
        return chosen

    def entry(self) -> Entry | None:
        """An entry of the map that translates."""
        return self.entry_in(map_in_use(self.device))

    def address(self) -> int:
        """An address at a border: of an entry, of a page, of the address space."""
        entry = None if self.one_in(3) else self.entry()
        if entry is None:
            return int(self.one_of(BASES) + self.one_of([0, 1, 2, 3, 4]) * P + self.one_of([0, 0, 0, 1, -1])) % U64
        return int(self.one_of([entry.first, entry.last]) + self.one_of([0, 0, 0, 1, -1, P, -P])) % U64

    def size(self) -> int:
        return int(self.one_of(ODD_SIZES) if self.one_in(12) else self.one_of(SMALL_SIZES))

    def host(self) -> int:
        if self.one_in(12):
            return int(self.one_of([U64_MAX, U64 - P, 2**63, self.profile.user_limit]))
        return int(self.one_of(HOSTS))

    def within(self, first: int) -> int:
        """A size that mostly stays below the last address, and sometimes just reaches it."""
        size = self.size()
        if first + size <= U64 or self.one_in(4):
            return size
        return U64 - first if self.one_in(2) else min(U64 - first, P)

    def owner(self) -> bool:
        return not self.one_in(40)

    # Requests.

    def region(self) -> Region:
        entry = self.entry_in(self.device.table) if self.one_in(4) else None
        if entry is not None:  # one that is there, or one that starts with it
            size = self.one_of([entry.last - entry.first + 1, 1])
            return Region(entry.first, size, self.one_of([entry.host, self.host()]))
        gpa = self.address()
        return Region(gpa, self.within(gpa), self.host())

    def set_mem_table(self) -> SetMemTable:
        most = min(self.profile.max_regions, self.profile.iotlb_limit, 9)
        count = self.random.randrange(most + 1)
        if self.one_in(10):
            count = self.one_of([self.profile.iotlb_limit, self.profile.max_regions]) + self.one_of([0, 1])
        return SetMemTable(
            regions=tuple(self.region() for _ in range(min(count, 65))),
            padding=0 if not self.one_in(30) else 1,
            regions_readable=not self.one_in(30),
            from_owner=self.owner(),
            readable=not self.one_in(40),
        )

    def add_region(self) -> AddRegion:
        region = self.region()
        return AddRegion(gpa=region.gpa, size=region.size, hva=region.hva, from_owner=self.owner())

    def remove_region(self) -> RemoveRegion:
        entry = self.entry_in(self.device.table)
        if entry is None:
            return RemoveRegion(gpa=self.address(), size=self.size(), hva=self.host(), from_owner=self.owner())
        fields = {"gpa": entry.first, "size": entry.last - entry.first + 1, "hva": entry.host}
        if self.one_in(6):
            fields[self.one_of(list(fields))] += 1
        fields = {name: value % U64 for name, value in fields.items()}
        return RemoveRegion(self.owner(), **fields)

    def remove_range(self) -> RemoveRange:
        first, last = self.address(), self.address()
        if last < first and not self.one_in(8):
            first, last = last, first
        if last - first > 2**32 and not self.one_in(4):
            last = min(first + self.size(), U64_MAX)
        return RemoveRange(first=first, last=last, from_owner=self.owner())

    def framed(self, request: WriteMessage) -> WriteMessage:
        odd: dict[str, Callable[[], int]] = {
            "framing": lambda: int(self.one_of([0, 2, 2, 3, 2**16 + 1])),
            "length": lambda: int(self.one_of([0, 3, 4, 39, 40, 41, 71, 73, 200])),
            "kind": lambda: int(self.one_of([0, 1, 2, 3, 4, 255])),
            "asid": lambda: int(self.one_of([1, 2**31])),
        }
        if not self.one_in(8):
            return request
        name = self.one_of(list(odd))
        return replace(request, **{name: odd[name]()})

    def asked_for(self) -> int | None:
        """A byte that is missed."""
        misses = self.device.pending + self.device.unread
        return int(self.one_of(misses).iova) if misses else None

    def update(self) -> WriteMessage:
        iova, miss = self.address(), self.asked_for()
        size = self.within(iova)
        if miss is not None and not self.one_in(3):
            size = size or 1
            iova = max(min(miss + self.one_of([0, 0, 1, 1 - size, 1 - size, -size]), U64_MAX), 0)
        perm = self.one_of([0, 1, 2, 3, 3, 3, 3, 7, 252])
        uaddr = self.host()
        if self.one_in(12):
            uaddr = (self.profile.user_limit + self.one_of([0, 0, 1, -1]) - size) % U64
        return self.framed(WriteMessage(kind=UPDATE, iova=iova, size=size, uaddr=uaddr, perm=perm))

    def invalidation(self) -> WriteMessage:
        return self.framed(WriteMessage(kind=INVALIDATE, iova=self.address(), size=self.size(), uaddr=U64_MAX, perm=1))

    def read_message(self) -> ReadMessage:
        return ReadMessage(self.one_of([0, 71, 73]) if self.one_in(6) else MESSAGE_BYTES)

    def translate(self) -> Translate:
        return Translate(
            addr=self.address(),
            length=self.one_of([0, U64_MAX, 2**63]) if self.one_in(10) else self.one_of([*SMALL_SIZES, 6 * P]),
            access=self.one_of([1, 2]),
            room=self.one_of([0, 1, 1, 2, 3]) if self.one_in(4) else 1024,
            queue=self.one_of([TRANSMIT, RECEIVE]),
        )

    def set_features(self) -> SetFeatures:
        features = self.one_of(FEATURES) if not self.one_in(10) else self.one_of([0, 1, 2**63, 2**33 + 2**40])
        return SetFeatures(features, readable=not self.one_in(30))

    def request(self) -> Any:
        if self.one_in(40):
            return self.one_of([SetOwner(), ResetOwner(from_owner=self.owner()), ObserveMaps()])
        if not self.device.owned and not self.one_in(3):
            return SetOwner()
        if self.one_in(30):
            return SetBackendFeatures(self.one_of([0, 2, 2, 1, 3]), readable=not self.one_in(30))
        if self.one_in(20 if self.device.iotlb is not None else 5):
            return self.set_features()
        table: list[Callable[[], Any]] = [
            self.set_mem_table,
            self.add_region,
            self.add_region,
            self.remove_region,
            self.remove_range,
        ]
        messages: list[Callable[[], Any]] = [
            self.update,
            self.update,
            self.update,
            self.invalidation,
            self.read_message,
        ]
        makers = messages if self.device.iotlb is not None else table
        if self.one_in(8):
            makers = table + messages
        return self.translate() if self.one_in(3) else self.one_of(makers)()

    def sequence(self, length: int) -> tuple[Any, ...]:
        """So many requests in order, from a new device on."""
        self.device = NEW_DEVICE
        requests = []
        for _ in range(length):
            request = self.request()
            self.device, _outcome = step(self.profile, self.device, request)
            requests.append(request)
        return tuple(requests)


def random_profile(random: Random) -> Profile:
    """Small limits, both policies, both modes; sometimes the numbers that Linux has."""
    profile = Profile(
        retirement=("fifo", "lru")[random.randrange(2)], iotlb_mode=("stays", "follows")[random.randrange(2)]
    )
    if random.randrange(4) == 0:
        return profile
    return replace(profile, max_regions=random.randrange(1, 9), iotlb_limit=random.randrange(1, 9))


def random_device_case(random: Random, longest: int = 40) -> tuple[Profile, tuple[Any, ...]]:
    """A profile and a sequence of requests for it."""
    profile = random_profile(random)
    return profile, DeviceRequests(random, profile).sequence(random.randrange(1, longest + 1))
