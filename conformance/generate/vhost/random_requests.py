"""Random requests to a vhost device: the same seed gives the same requests, byte for byte.

A walk keeps the state that the specification says the device is in, and chooses its addresses from it: at the borders
of what is mapped, at what was missed, at both ends of the address space and at its middle. With `kernel=True` it asks
only what a real vhost-net can be asked (see `runnable`), and first sets the device up so that packets flow. Else it
asks for anything: also what has no Linux call, and memory that nobody has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from conformance import rings
from conformance.backings import BACKING_SIZE, place
from conformance.generate.vhost.random_maps import RING_BASES, RandomMaps
from conformance.generate.vhost.runnable import KERNEL_REQUESTS, LONGEST_RECEIVED, is_runnable
from spec.profile import Profile
from spec.step import VHOST_OPERATIONS, operation_of, step
from spec.units import PAGE_SIZE, U32_MAX
from spec.vhost.address_map import READ, WRITE
from spec.vhost.backend import NO_SOCKET, NONE, TAP, SetBackend
from spec.vhost.chain import DESCRIPTOR_BYTES
from spec.vhost.device import (
    ACCESS_PLATFORM,
    INDIRECT,
    LOG_ALL,
    RECEIVE,
    TRANSMIT,
    VERSION_1,
    Chain,
    Descriptor,
    Device,
)
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import SetMemTable
from spec.vhost.messages import INVALIDATE, ReadMessage, WriteMessage
from spec.vhost.observe import ObserveMaps
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.queue_io import SHORTEST_PACKET, Kick, Offer, Packet, Transmit
from spec.vhost.ring import LOG_USED_RING, SetLogBase, SetRingAddresses, SetRingSize
from spec.vhost.translate import Translate

P = PAGE_SIZE
LENGTH = 60  # requests of a sequence
TRIES = 12  # until a request is found that can be asked
BASIC = VERSION_1 | INDIRECT

LONG = (100, 2000, P, 2 * P)  # room for a packet
LENGTHS = (1, 2, 8, 16, 60, 100, 100, 500, 1500, P, P + 1, 3 * P)
RING_SIZES = (1, 2, 4, 8, 8, 16, 64, 256)

Make = Callable[[], Any]


class Walk(RandomMaps):
    """Requests chosen at random, each fit for the state it meets.

    `operations` are the names of those that may be asked for; all, if it is None.
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
        super().__init__(profile, seed, kernel)
        self.in_source = in_source
        self.unwanted = unwanted
        names = {operation.name for operation in VHOST_OPERATIONS}
        self.names = names if operations is None else names & set(operations)
        self.requests: list[Any] = []
        self.coming: list[Any] = []  # what must come next
        self.tables = 0

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
