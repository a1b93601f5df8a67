"""The state of the vhost line: a device with its memory table, its IOTLB, its misses and its two queues.

The device is a network card as vhost-net makes one: queue 0 takes received packets into guest memory, queue 1 sends
packets out of it. The *driver* is the guest's part: it puts *chains* of descriptors into a queue's ring. The *device
side* is the kernel's: it takes the chains, translates their addresses, moves the bytes and reports the chain as used.

Where the ring itself is in host memory is not part of the state. The driver is taken to have its ring wherever the
addresses that userspace gave lead; the specification says which bytes of it the device may read and write.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from spec.profile import Profile
from spec.units import PAGE_SIZE
from spec.vhost.address_map import READ, WRITE, AddressMap

RECEIVE = 0  # the queue that takes packets in
TRANSMIT = 1  # the queue that sends packets
QUEUES = 2

LOG_ALL = 2**26  # feature bits, as VHOST_SET_FEATURES has them
INDIRECT = 2**28
VERSION_1 = 2**32
ACCESS_PLATFORM = 2**33  # the device's addresses are I/O virtual: it has an IOTLB

NO_LOG = -1  # the log address of a ring whose used part is not logged

HEADER_BYTES = 12  # what stands before each packet in guest memory
GUEST_BYTES_PER_LOG_BYTE = 8 * PAGE_SIZE  # one bit for each page


@dataclass(frozen=True)
class Descriptor:
    """One descriptor: `length` bytes at guest address `addr`, for the device to write, or else to read.

    With `table`, it is indirect: the bytes it names hold these descriptors, and `length` is what it gives for the
    table's length. `table_host` is where in host memory the driver wrote the table; the device does not see it.
    """

    addr: int
    length: int
    writable: bool = False
    table: tuple[Descriptor, ...] | None = None
    table_host: int = 0


Chain = tuple[Descriptor, ...]  # at least one; with those that wait before it, no more than the ring has room for


@dataclass(frozen=True)
class Miss:
    """A message of the device: guest byte `iova` is needed for `access`, and the IOTLB has nothing there.

    `version` is the framing in which it was written, `queue` the one that waits for it.
    """

    queue: int
    iova: int
    access: int
    version: int


@dataclass(frozen=True)
class Queue:
    """One queue: where its ring is, whether a backend (a tap) is attached, and what waits in it.

    `desc`, `avail` and `used` are host addresses, or I/O virtual ones in IOTLB mode. `log` is the guest address that
    stands for the used ring in the dirty log, or NO_LOG. `done` counts the chains that the device took and reported as
    used. `quiet` is whether the device has told the driver not to kick, `listening` whether a
    packet that comes makes the receive queue run. `chains` wait to be taken, `packets` (lengths in bytes, header
    included) wait for a chain.
    """

    size: int = 1
    desc: int = 0
    avail: int = 0
    used: int = 0
    log: int = NO_LOG
    attached: bool = False
    done: int = 0
    quiet: bool = False
    listening: bool = False
    chains: tuple[Chain, ...] = ()
    packets: tuple[int, ...] = ()

    def parts(self) -> tuple[tuple[int, int, int], ...]:
        """The three parts of the ring as (address, bytes, access), in the order in which they are looked up."""
        return (
            (self.desc, 16 * self.size, READ),
            (self.avail, 4 + 2 * self.size, READ),
            (self.used, self.used_bytes(), WRITE),
        )

    def used_bytes(self) -> int:
        """The size of the ring's used part."""
        return 4 + 8 * self.size

    def has_no_ring(self) -> bool:
        """Whether no address of the ring was ever given, or all were forgotten."""
        return self.desc == 0 and self.avail == 0 and self.used == 0


@dataclass(frozen=True)
class Device:
    """A vhost device. `table` is None until a memory table was given, `iotlb` is None outside IOTLB mode.

    `unread` are the misses that userspace has not read yet, `pending` those it has read and not answered; the first is
    the oldest. `log_base` is the host address of the dirty log, None before it was given.
    """

    owned: bool = False
    features: int = 0
    message_version: int = 1
    table: AddressMap | None = None
    iotlb: AddressMap | None = None
    unread: tuple[Miss, ...] = ()
    pending: tuple[Miss, ...] = ()
    log_base: int | None = None
    queues: tuple[Queue, Queue] = (Queue(), Queue())

    def logs_all(self) -> bool:
        """Whether what the device writes into guest memory is to be logged."""
        return has_feature(self.features, LOG_ALL)


NEW_DEVICE = Device()


def has_feature(features: int, feature: int) -> bool:
    """Whether one of the feature bits above is set in a word."""
    return features // feature % 2 == 1


def with_queue(device: Device, number: int, queue: Queue) -> Device:
    """The device with one of its queues replaced."""
    receive, transmit = device.queues
    return replace(device, queues=(queue, transmit) if number == RECEIVE else (receive, queue))


def is_host_range(profile: Profile, host: int, size: int) -> bool:
    """Whether `size` bytes from a host address on lie where user memory may be."""
    return host + size <= profile.user_limit


def is_log_range(profile: Profile, log_base: int | None, address: int, size: int) -> bool:
    """Whether the dirty log's bits for `size` (at least 1) guest bytes from an address on lie where user memory may be.

    Kernels count the log's bytes from the size alone, and so can leave out the last one (drivers/vhost/vhost.c
    log_access_ok).
    """
    first_byte, last_byte = address // GUEST_BYTES_PER_LOG_BYTE, (address + size - 1) // GUEST_BYTES_PER_LOG_BYTE
    return is_host_range(profile, (log_base or 0) + first_byte, last_byte - first_byte + 1)
