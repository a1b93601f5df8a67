"""Contracts of a vhost device's leaves: features, host and log ranges, rings and their parts, pages of a write."""

from __future__ import annotations

from spec.profile import Profile
from spec.units import PAGE_SIZE, U64_MAX  # noqa: F401 - the contracts name it
from spec.vhost.address_map import WRITE, AddressMap, Entry
from spec.vhost.backend import SetBackend, used_ring_is_out_of_reach
from spec.vhost.call import QueueCall, names_no_queue
from spec.vhost.device import (
    GUEST_BYTES_PER_LOG_BYTE,
    NEW_DEVICE,
    RECEIVE,
    TRANSMIT,
    Device,
    Queue,
    has_feature,
    is_host_range,
    is_log_range,
)
from spec.vhost.dirty_log import pages_of, used_element
from spec.vhost.ring import (
    LARGEST_RING,
    SetRingAddresses,
    SetRingSize,
    has_unknown_flags,
    is_power_of_two,
    is_unaligned,
    size_is_bad,
)
from spec.vhost.run import flags_field

ANY = Profile()


def a_feature_is_one_bit(features: int) -> bool:
    """
    pre: 0 <= features <= U64_MAX
    post: __return__
    """
    return has_feature(features, 2**26) == (features % 2**27 >= 2**26)


def a_device_logs_by_one_feature(features: int) -> bool:
    """
    pre: 0 <= features <= U64_MAX
    post: __return__
    """
    return Device(features=features).logs_all() == (features % 2**27 >= 2**26)


def a_host_range_ends_below_the_limit(host: int, size: int) -> bool:
    """
    pre: 0 <= host <= U64_MAX and 1 <= size <= U64_MAX
    post: __return__
    """
    return is_host_range(ANY, host, size) == (host + size - 1 < ANY.user_limit)


def a_log_range_holds_the_bit_of_each_byte(base: int, address: int, size: int) -> bool:
    """
    pre: 0 <= base <= U64_MAX and 0 <= address <= U64_MAX and 1 <= size <= U64_MAX
    post: __return__
    """
    last_byte_of_log = base + (address + size - 1) // GUEST_BYTES_PER_LOG_BYTE
    return is_log_range(ANY, base, address, size) == (last_byte_of_log < ANY.user_limit)


def a_ring_size_is_a_power_of_two(number: int) -> bool:
    """
    pre: 0 <= number <= 2**32 - 1
    post: __return__
    """
    halves = number
    for _ in range(15):
        if halves > 1 and halves % 2 == 0:
            halves = halves // 2
    is_right = halves == 1 and number <= LARGEST_RING
    refused = size_is_bad(ANY, NEW_DEVICE, SetRingSize(size=number))
    return is_power_of_two(number) == is_right and refused != is_right


def a_ring_is_as_large_as_virtio_says(size: int) -> bool:
    """
    pre: 1 <= size <= LARGEST_RING
    post: __return__
    """
    desc, avail, used = (length for _, length, _ in Queue(size=size).parts())
    return desc == 16 * size and avail == 4 + 2 * size and used == 4 + 8 * size == Queue(size=size).used_bytes()


def a_queue_has_a_ring_if_any_address_was_given(desc: int, avail: int, used: int) -> bool:
    """
    pre: 0 <= desc <= U64_MAX and 0 <= avail <= U64_MAX and 0 <= used <= U64_MAX
    post: __return__
    """
    return Queue(desc=desc, avail=avail, used=used).has_no_ring() == (desc + avail + used == 0)


def a_used_element_lies_in_the_used_ring(size: int, done: int) -> bool:
    """
    pre: size in (1, 2, 256, LARGEST_RING) and 0 <= done <= U64_MAX
    post: __return__
    """
    queue = Queue(size=size, done=done)
    offset, length = used_element(queue)
    return offset >= 4 and offset + length <= queue.used_bytes() and (offset - 4) % 8 == 0 and length == 8


def the_used_flags_begin_the_used_ring(size: int, used: int) -> bool:
    """
    pre: 1 <= size <= LARGEST_RING and 0 <= used <= U64_MAX
    post: __return__
    """
    queue = Queue(size=size, used=used)
    address, _, access = queue.parts()[2]
    return flags_field(queue) == ((address, access),) and access == WRITE


def rings_that_pass_have_fields_that_are_aligned(avail: int, used: int, log: int, number: int) -> bool:
    """
    pre: 0 <= avail <= U64_MAX and 0 <= used <= U64_MAX and 0 <= log <= U64_MAX and 0 <= number < LARGEST_RING
    post: __return__
    """
    request = SetRingAddresses(avail=avail, used=used, log=log)
    is_right = (avail + 4 + 2 * number) % 2 == 0 and (used + 4 + 8 * number) % 4 == 0 and (log + 8 * number) % 4 == 0
    return is_unaligned(ANY, NEW_DEVICE, request) != is_right


def a_ring_knows_one_flag(flags: int) -> bool:
    """
    pre: 0 <= flags <= 2**32 - 1
    post: __return__
    """
    return has_unknown_flags(ANY, NEW_DEVICE, SetRingAddresses(flags=flags)) == (flags // 2 > 0)


def a_queue_is_named_by_its_number(number: int) -> bool:
    """
    pre: 0 <= number <= 2**32 - 1
    post: __return__
    """
    return names_no_queue(ANY, NEW_DEVICE, QueueCall(queue=number)) == (number not in (RECEIVE, TRANSMIT))


def a_write_marks_the_pages_of_its_bytes(address: int, length: int, page: int) -> bool:
    """
    pre: 0 <= address <= U64_MAX and 1 <= length <= U64_MAX and 0 <= page <= U64_MAX
    post: __return__
    """
    first_byte, last_byte = page * PAGE_SIZE, page * PAGE_SIZE + PAGE_SIZE - 1
    return pages_of(address, length).contains(page) == (address <= last_byte and first_byte <= address + length - 1)


def a_backend_needs_used_flags_that_can_be_written(perm: int, last: int) -> bool:
    """
    pre: perm in (0, 1, 2, 3) and last in (5, 6, 7)
    post: __return__ == (perm < 3 or last < 7)
    """
    iotlb = AddressMap(frozenset({Entry(4, last, 0, perm, born=0, used=0)}), clock=1)
    queue = Queue(used=4)
    return used_ring_is_out_of_reach(ANY, Device(iotlb=iotlb, queues=(queue, Queue())), SetBackend())
