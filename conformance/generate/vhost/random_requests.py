"""Random requests to a vhost device: the same seed gives the same requests, byte for byte.

A walk keeps the state that the specification says the device is in, and chooses its addresses from it: at the borders
of what is mapped, at what was missed, at both ends of the address space and at its middle. With `kernel=True` it asks
only what a real vhost-net can be asked (see `runnable`), and first sets the device up so that packets flow. Else it
asks for anything: also what has no Linux call, and memory that nobody has.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from conformance import rings
from conformance.backings import BACKING_SIZE, BASES, place
from conformance.generate.vhost.runnable import KERNEL_REQUESTS, LONGEST_RECEIVED, is_runnable
from spec.profile import Profile
from spec.step import VHOST_OPERATIONS, operation_of, step
from spec.units import PAGE_SIZE, U32_MAX, U64, U64_MAX
from spec.vhost.address_map import READ, WRITE, Entry
from spec.vhost.backend import NO_SOCKET, NONE, TAP, SetBackend
from spec.vhost.chain import DESCRIPTOR_BYTES
from spec.vhost.device import (
    ACCESS_PLATFORM,
    INDIRECT,
    LOG_ALL,
    NEW_DEVICE,
    RECEIVE,
    TRANSMIT,
    VERSION_1,
    Chain,
    Descriptor,
    Device,
    Miss,
)
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import INVALIDATE, ReadMessage, WriteMessage
from spec.vhost.observe import ObserveMaps
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.queue_io import SHORTEST_PACKET, Kick, Offer, Packet, Transmit
from spec.vhost.regions import AddRegion, RemoveRange, RemoveRegion
from spec.vhost.ring import LOG_USED_RING, SetLogBase, SetRingAddresses, SetRingSize
from spec.vhost.translate import Translate

P = PAGE_SIZE
LENGTH = 60  # requests of a sequence
TRIES = 12  # until a request is found that can be asked
BASIC = VERSION_1 | INDIRECT

# Where backing R (rings, header, tables) appears in guest addresses: below 2^35, so that it can be logged, across the
# middle of the space, and at its very end.
RING_BASES = (2**34, 2**63 - BACKING_SIZE // 2, 2**64 - BACKING_SIZE)
# Where data is mapped: around these, and beside what is there.
DATA_BASES = (0, 0, 2**20, 2**20, 2**20, 2**32, 2**63, 2**64)
SIZES = (1, 2, 7, 8, 16, 26, 100, P - 1, P, P, P, P + 1, 2 * P, 3 * P, 16 * P, BACKING_SIZE)
LONG = (100, 2000, P, 2 * P)  # room for a packet
LENGTHS = (1, 2, 8, 16, 60, 100, 100, 500, 1500, P, P + 1, 3 * P)
RING_SIZES = (1, 2, 4, 8, 8, 16, 64, 256)

Make = Callable[[], Any]


def is_in(host: int, names: str) -> bool:
    """Whether a host address is in, or not far behind, one of these backings."""
    return any(BASES[name] <= host < BASES[name] + 2**40 for name in names)


class Walk:
    """Requests chosen at random, each fit for the state it meets.

    `operations` are the names of those that may be asked for; all, if it is None. Whether the device is in IOTLB mode,
    logs, and other things are drawn once for each walk.
    """

    def __init__(
        self,
        profile: Profile,
        seed: int,
        kernel: bool = False,
        operations: Collection[str] | None = None,
        unwanted: Callable[[Profile, Device, Any], bool] | None = None,
        in_source: bool = False,
    ) -> None:
        self.profile = profile
        self.in_source = in_source
        self.random = random.Random(seed)
        self.kernel = kernel
        self.unwanted = unwanted
        names = {operation.name for operation in VHOST_OPERATIONS}
        self.names = names if operations is None else names & set(operations)
        self.device: Device = NEW_DEVICE
        self.requests: list[Any] = []
        self.coming: list[Any] = []  # what must come next
        self.tables = 0
        r = self.random
        self.iotlb = r.random() < 0.6
        self.logs = r.random() < 0.3
        self.base = r.choice(RING_BASES) if self.iotlb and not self.logs else RING_BASES[0]

    # What is asked ----------------------------------------------------------------------------------------------

    def go(self, length: int) -> list[Any]:
        """That many requests, fewer only where nothing more can be asked."""
        self.coming = self.set_up()
        while len(self.requests) < length:
            request = self.next()
            if request is None:
                break
            self.device, _ = step(self.profile, self.device, request)
            self.requests.append(request)
        return self.requests

    def next(self) -> Any:
        """The next request, or None if none was found that can be asked."""
        while self.coming:
            request = self.coming.pop(0)
            if self.can_ask(request):
                return request
        for _ in range(TRIES):
            request = self.choose()
            if self.can_ask(request):
                self.see_to(request)
                return request
            self.coming = []  # it goes with a request that is not asked
        for request in (ReadMessage(), SetOwner()):
            if self.can_ask(request):
                return request
        return None

    def can_ask(self, request: Any) -> bool:
        if operation_of(request).name not in self.names:
            return False
        if self.unwanted is not None and self.unwanted(self.profile, self.device, request):
            return False
        if not self.kernel and not self.in_source:
            return True
        return is_runnable(self.profile, self.device, request, self.in_source)

    def see_to(self, request: Any) -> None:
        """What a request must be followed by. (A kernel may keep what it looked up for a ring that moved until the
        next message, and then it reads other memory. That is no course a random walk may take.)
        """
        if self.kernel and isinstance(request, SetRingAddresses | SetRingSize) and self.device.iotlb is not None:
            self.coming.insert(0, WriteMessage(kind=INVALIDATE, iova=2**40, size=1))

    def set_up(self) -> list[Any]:
        """What makes a device ready for packets."""
        r = self.random
        if not self.kernel and r.random() < 0.1:
            return []
        features = BASIC | (ACCESS_PLATFORM if self.iotlb else 0) | (LOG_ALL if self.logs else 0)
        requests: list[Any] = [SetOwner(), SetFeatures(features), self.table()]
        if self.iotlb and r.random() < 0.5:
            requests.append(SetBackendFeatures(2))
        if self.logs:
            requests.append(SetLogBase(base=rings.dirty_log()))
        for queue in (RECEIVE, TRANSMIT):
            requests += [SetRingSize(queue=queue, size=r.choice(RING_SIZES)), self.ring_addresses(queue)]
        if self.iotlb and r.random() < 0.9:
            requests.append(self.map_rings(whole=True))
            for backing in "ABCD":
                if r.random() < 0.7:
                    at = "ABCD".index(backing) * BACKING_SIZE
                    requests.append(self.update(at, BACKING_SIZE, place(backing, 0), READ + WRITE))
        requests += [SetBackend(queue=queue) for queue in r.sample((RECEIVE, TRANSMIT), 2)]
        return requests

    def choose(self) -> Any:
        """A request by chance."""
        iotlb = self.device.iotlb is not None
        misses = len(self.device.unread) + len(self.device.pending) > 0
        stuck = len(self.device.queues[TRANSMIT].chains) > 0
        makes: list[tuple[float, Make]] = [
            (16, self.transmit),
            (7, self.offer),
            (5, self.packet),
            (1 if stuck else 3, self.kick),
            (8 if iotlb else 0.3, self.any_update),
            (3 if iotlb else 0.2, self.any_invalidate),
            (1 if iotlb else 0.1, self.strange_message),
            (20 if misses else 0.5, self.read),
            (24 if self.device.pending else 0, self.answer),
            (1.5 if iotlb else 4, self.table),
            (2 if stuck and not misses else 0.1, self.begin_again),
            (1, self.move_ring),
            (1, self.attach_or_detach),
            (1, self.rare),
        ]
        if not self.kernel:
            makes += [
                (20, self.translate),
                (4, self.add_region),
                (2, self.remove_region),
                (1, self.remove_range),
                (2, ObserveMaps),
            ]
        return self.random.choices([make for _, make in makes], [weight for weight, _ in makes])[0]()

    # Addresses --------------------------------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """The entries of the map in use, those of the table too, in an order that is the same each time."""
        maps = [one for one in (self.device.iotlb, self.device.table) if one is not None]
        return [entry for one in maps for entry in sorted(one.entries, key=lambda e: e.born)]

    def border(self) -> int:
        """A guest address at a border of what is mapped, or at one of the space's."""
        r = self.random
        spot: int
        entries = self.entries()
        spot = r.choice(DATA_BASES) + r.randrange(4) * P
        if entries and r.random() < 0.75:
            entry = r.choice(entries)
            spot = r.choice((entry.first, entry.first, entry.last, entry.last + 1, (entry.first + entry.last) // 2))
        return min(max(spot + r.choice((0, 0, 0, 0, 1, -1, 3, -8, -100)), 0), U64_MAX)

    def host(self) -> int:
        """A host address, mostly one with memory."""
        r = self.random
        if not self.kernel and r.random() < 0.1:
            limit = self.profile.user_limit
            return r.choice((0, 1, P, limit - P, limit - 1, limit, 2**63, U64_MAX, 2**47, r.randrange(U64)))
        offset = r.choice((0, 0, r.randrange(256) * P, r.randrange(BACKING_SIZE), BACKING_SIZE - 2 * P))
        return place(r.choice("AAABBCCD"), offset)

    def size(self, at: int) -> int:
        """A size for a range that begins there: mostly one that ends within the space."""
        r = self.random
        size = r.choice(SIZES) if r.random() < 0.97 else r.choice((0, 2**32, 2**63, U64_MAX))
        return size if r.random() < 0.03 else min(size, U64 - at, U64_MAX)

    def buffer(self, writable: bool, length: int) -> int:
        """The address of a buffer: mostly one that is mapped to memory that packets come from, or go to."""
        r = self.random
        table = self.device.table if self.device.iotlb is None else self.device.iotlb
        entries: list[Entry] = sorted(table.entries, key=lambda e: e.born) if table is not None else []
        good = [
            one for one in entries if is_in(one.host, "CD" if writable else "AB") and one.last - one.first >= length
        ]
        if good and r.random() < 0.93:
            entry = r.choice(good)
            inside = entry.first + r.randrange(entry.last - entry.first + 1 - length + 1)
            spots = (entry.first, entry.last - length + 1, (entry.first + entry.last) // 2, inside, inside)
            return min(r.choice(spots), U64_MAX)
        return self.border()

    # Maps -------------------------------------------------------------------------------------------------------

    def region(self) -> Region:
        at = self.border()
        return Region(at, self.size(at), self.host())

    def table(self) -> SetMemTable:
        """A memory table: with the rings' memory first, so that headers can be found."""
        r = self.random
        most = min(self.profile.max_regions, self.profile.iotlb_limit)
        regions = [Region(RING_BASES[0], BACKING_SIZE, place("R", 0))]
        for number, backing in enumerate("ABCD"):
            if r.random() < 0.6:
                shift = r.choice((0, 0, 1, 26))
                regions.append(Region(number * BACKING_SIZE + shift, BACKING_SIZE - shift, place(backing, 0)))
        stuck = self.device.queues[TRANSMIT].chains
        if stuck and self.device.iotlb is None:  # map what it waits for
            regions += [Region(one.addr, max(one.length, 1), place("A", 0)) for one in stuck[0][1:]]
        regions += [self.region() for _ in range(r.choice((0, 0, 1, 2, 5, 12)))]
        r.shuffle(regions)
        if r.random() < 0.95:
            regions = [one for one in regions if one.size and one.gpa + one.size <= U64][:most]
        request = SetMemTable(regions=tuple(regions))
        if r.random() < 0.03:
            request = replace(request, **r.choice(({"padding": 1}, {"regions_readable": False}, {"readable": False})))
        return request

    def update(self, iova: int, size: int, uaddr: int, perm: int) -> WriteMessage:
        r = self.random
        return WriteMessage(
            framing=r.choice((1, 2)),
            length=r.choice((72, 72, 72, 40, 100)),
            iova=iova,
            size=size,
            uaddr=uaddr,
            perm=perm,
        )

    def permission(self) -> int:
        return self.random.choice((3, 3, 3, 3, 3, 1, 2, 0, 7))

    def map_rings(self, whole: bool) -> WriteMessage:
        """An update that maps memory of rings, headers and tables, or a part of it."""
        r = self.random
        offset = 0 if whole else r.randrange(BACKING_SIZE // P) * P
        size = BACKING_SIZE if whole else min(r.choice((P, 16 * P, BACKING_SIZE)), BACKING_SIZE - offset)
        perm = READ + WRITE if r.random() < 0.95 else self.permission()
        return self.update(self.base + offset, size, place("R", offset), perm)

    def any_update(self) -> Any:
        r = self.random
        if r.random() < 0.2:
            return self.map_rings(whole=r.random() < 0.7)
        at = self.border()
        if r.random() < 0.1:
            return self.map_rings(whole=False)
        return self.update(at, self.size(at), self.host(), self.permission())

    def answer(self) -> Any:
        """An update for a miss that was read."""
        r = self.random
        miss = r.choice(self.device.pending)
        if self.base <= miss.iova < self.base + BACKING_SIZE:
            return self.answer_at(miss, self.base, place("R", 0), BACKING_SIZE)
        number = miss.iova // BACKING_SIZE
        if number < 4 and r.random() < 0.5:
            return self.answer_at(miss, number * BACKING_SIZE, place("ABCD"[number], 0), BACKING_SIZE)
        back = r.choice((0, 0, 1, miss.iova % P, 100))
        at = max(miss.iova - back, 0)
        data = "CD" if miss.access == WRITE else "AB"
        uaddr = place(r.choice(data), r.randrange(200) * P + r.choice((0, 0, 1, 5)))
        return self.update(at, self.size(at), uaddr, miss.access if r.random() < 0.5 else self.permission())

    def answer_at(self, miss: Miss, base: int, host: int, size: int) -> WriteMessage:
        """An update for a miss in memory that has its place: all of it, or the page, or from the byte on."""
        r = self.random
        page = miss.iova - miss.iova % P
        first, length = r.choice(((base, size), (base, size), (page, P), (miss.iova, P - miss.iova % P)))
        return self.update(first, length, host + first - base, READ + WRITE if r.random() < 0.95 else self.permission())

    def any_invalidate(self) -> WriteMessage:
        r = self.random
        at = self.border()
        size = self.size(at) if r.random() < 0.9 else r.choice((0, 1, 2**63, U64_MAX))
        if self.kernel and r.random() < 0.7:
            size = min(size, 2 * P)
        return WriteMessage(framing=r.choice((1, 2)), kind=INVALIDATE, iova=at, size=size)

    def strange_message(self) -> WriteMessage:
        r = self.random
        at = self.border()
        request = WriteMessage(iova=at, size=self.size(at), uaddr=self.host(), perm=3, asid=r.choice((0, 1)))
        strange: tuple[dict[str, Any], ...] = (
            {"framing": r.choice((0, 3, 99))},
            {"length": r.choice((0, 3, 4, 39, 40, 71, 73))},
            {"kind": r.choice((0, 1, 4, 5, 6, 9))},
            {"uaddr": r.choice((self.profile.user_limit, U64_MAX, 2**63))},
            {"size": U64_MAX},
        )
        return replace(request, **r.choice(strange))

    def read(self) -> ReadMessage:
        return ReadMessage(length=72 if self.random.random() < 0.95 else self.random.choice((0, 71, 100)))

    def add_region(self) -> AddRegion:
        region = self.region()
        return AddRegion(gpa=region.gpa, size=region.size, hva=region.hva)

    def remove_region(self) -> RemoveRegion:
        table = self.device.table
        if table is None or not table.entries or self.random.random() < 0.2:
            return RemoveRegion(gpa=self.border(), size=P, hva=self.host())
        entry = self.random.choice(sorted(table.entries, key=lambda e: e.born))
        return RemoveRegion(gpa=entry.first, size=min(entry.last - entry.first + 1, U64_MAX), hva=entry.host)

    def remove_range(self) -> RemoveRange:
        at = self.border()
        return RemoveRange(first=at, last=min(max(at + self.random.choice((0, 1, P, 5 * P, -1)), 0), U64_MAX))

    # Queues -----------------------------------------------------------------------------------------------------

    def translate(self) -> Translate:
        r = self.random
        return Translate(
            addr=self.border(),
            length=r.choice((*LENGTHS, 0, BACKING_SIZE, 2 * BACKING_SIZE, 2**31, U32_MAX)),
            access=r.choice((READ, WRITE)),
            room=r.choice((1, 2, 3, 64, 1024, 1024)),
            queue=r.choice((RECEIVE, TRANSMIT)),
        )

    def data(self, writable: bool) -> Descriptor:
        r = self.random
        length = r.choice(LONG if writable and r.random() < 0.7 else LENGTHS)
        if not self.kernel and r.random() < 0.02:
            length = r.choice((0, 2**31, U32_MAX))
        return Descriptor(self.buffer(writable, length), length, writable)

    def header(self) -> list[Descriptor]:
        """The beginning of a packet, in one descriptor or two."""
        base = self.base if self.device.iotlb is not None else RING_BASES[0]
        at = base + rings.packet_header() - place("R", 0)
        cut = self.random.choice((0, 0, 0, 12, 5))
        rest = Descriptor(at + cut, rings.FRAME_HEADER_BYTES - cut)
        return [Descriptor(at, cut), rest] if cut else [rest]

    def indirect(self, queue: int, inner: list[Descriptor]) -> Descriptor:
        """An indirect descriptor for these, sometimes with something wrong about it."""
        r = self.random
        base = self.base if self.device.iotlb is not None else RING_BASES[0]
        self.tables += 1
        host = rings.table_of(queue, self.tables % 32) + DESCRIPTOR_BYTES * r.randrange(4)
        length = len(inner) * DESCRIPTOR_BYTES
        if r.random() < 0.1:
            length = r.choice((length + 1, length - DESCRIPTOR_BYTES, 0, length + DESCRIPTOR_BYTES))
        if r.random() < 0.05:
            inner = [replace(inner[0], table=(), table_host=host), *inner[1:]]
        return Descriptor(base + host - place("R", 0), max(length, 0), False, tuple(inner), host)

    def packed(self, queue: int, chain: list[Descriptor]) -> Chain:
        """The chain, or with some of it in an indirect table."""
        r = self.random
        if r.random() < 0.2:
            cut = r.choice((0, 0, len(chain) - 1))
            return (*chain[:cut], self.indirect(queue, chain[cut:]))
        return tuple(chain)

    def room(self, queue: int) -> int:
        """How many descriptors are free."""
        one = self.device.queues[queue]
        return one.size - sum(len(chain) for chain in one.chains)

    def transmit(self) -> Transmit:
        r = self.random
        count = r.choice((0, 1, 1, 1, 2, 3, 5, 8))
        chain = self.header() + [self.data(writable=False) for _ in range(count)]
        if r.random() < 0.04:
            chain.insert(r.randrange(len(chain) + 1), self.data(writable=True))
        packed = self.packed(TRANSMIT, chain)
        if len(packed) > self.room(TRANSMIT):
            packed = (self.indirect(TRANSMIT, chain),)
        return Transmit(packed)

    def offer(self) -> Offer:
        r = self.random
        chain = [self.data(writable=True) for _ in range(r.choice((1, 1, 2, 3)))]
        if r.random() < 0.04:
            chain.insert(r.randrange(len(chain) + 1), self.data(writable=False))
        packed = self.packed(RECEIVE, chain)
        return Offer(packed if len(packed) <= self.room(RECEIVE) else (self.indirect(RECEIVE, chain),))

    def packet(self) -> Packet:
        lengths = (SHORTEST_PACKET, 60, 60, 100, 1000, LONGEST_RECEIVED)
        return Packet(self.random.choice(lengths) if self.kernel else self.random.choice((*lengths, P, 9000)))

    def kick(self) -> Kick:
        return Kick(self.random.choice((RECEIVE, RECEIVE, TRANSMIT)))

    # The device's calls -----------------------------------------------------------------------------------------

    def ring_addresses(self, queue: int) -> SetRingAddresses:
        r = self.random
        shift = self.base - place("R", 0) if self.iotlb else 0
        log = r.choice((0, P - 4, 2**20, 2**34)) if self.logs else 0
        request = SetRingAddresses(
            queue=queue,
            flags=LOG_USED_RING if self.logs and r.random() < 0.7 else 0,
            desc=rings.desc_of(queue) + shift,
            avail=rings.avail_of(queue) + shift,
            used=rings.used_of(queue) + shift,
            log=log,
        )
        if r.random() < 0.03:
            bad: tuple[dict[str, Any], ...] = ({"flags": 2}, {"avail": 1}, {"used": 2}, {"log": 1}, {"desc": 2**63})
            request = replace(request, **r.choice(bad))
        return request

    def move_ring(self) -> Any:
        r = self.random
        queue = r.choice((RECEIVE, TRANSMIT, 2))
        if r.random() < 0.3:
            return SetRingSize(queue=queue, size=r.choice((*RING_SIZES, 0, 3, 2**15, 2**16)))
        if self.iotlb and not self.logs:
            self.base = r.choice(RING_BASES)
        return replace(self.ring_addresses(queue % 2), queue=queue)

    def attach_or_detach(self) -> SetBackend:
        r = self.random
        queue = r.choice((RECEIVE, TRANSMIT))
        backend = NONE if self.device.queues[queue].attached else TAP
        if r.random() < 0.1:
            backend, queue = NO_SOCKET, r.choice((queue, 2))
        return SetBackend(queue=queue, backend=backend)

    def rare(self) -> Any:
        r = self.random
        features = BASIC | (ACCESS_PLATFORM if self.iotlb else 0) | (LOG_ALL if self.logs else 0)
        return r.choice(
            (
                SetFeatures(features),
                SetFeatures(features ^ (LOG_ALL if self.logs else ACCESS_PLATFORM)),
                SetFeatures(features | 2**60),
                SetFeatures(features, readable=False),
                SetBackendFeatures(r.choice((0, 2, 1))),
                SetOwner(),
                SetLogBase(base=r.choice((rings.dirty_log(), self.profile.user_limit))),
                replace(self.table(), from_owner=False),
                SetMemTable(),
            )
        )

    def begin_again(self) -> ResetOwner:
        """Give the device up, and mostly set it up again."""
        if self.random.random() < 0.9:
            self.coming = self.set_up()
        return ResetOwner()


def sequence(
    profile: Profile,
    seed: int,
    length: int = LENGTH,
    kernel: bool = False,
    operations: Collection[str] | None = None,
    unwanted: Callable[[Profile, Device, Any], bool] | None = None,
    in_source: bool = False,
) -> tuple[Any, ...]:
    """At most `length` (mostly exactly that many) requests for a device with this profile, from this seed.

    With `kernel`, a real vhost-net with that profile can be asked for all of them; with `in_source`, its code in user
    space can. `operations` are the names of those
    that may occur, `unwanted` says of a request, before it is asked, that it shall not be.
    """
    return tuple(Walk(profile, seed, kernel, operations, unwanted, in_source).go(length))


def operations_of_kernels() -> frozenset[str]:
    """The names of the operations that a kernel has a call for, or its driver can do."""
    return frozenset(operation.name for operation in VHOST_OPERATIONS if operation.request in KERNEL_REQUESTS)
