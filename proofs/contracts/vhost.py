"""Contracts of the vhost line's leaves: entries, permissions, host and log ranges, rings, pages of a write."""

from __future__ import annotations

from spec.profile import Profile
from spec.units import PAGE_SIZE, U64, U64_MAX
from spec.vhost.address_map import READ, WRITE, Entry, may
from spec.vhost.device import GUEST_BYTES_PER_LOG_BYTE, Queue, has_feature, is_host_range, is_log_range
from spec.vhost.dirty_log import pages_of, used_element
from spec.vhost.mem_table import Region, region_is_empty, region_wraps
from spec.vhost.messages import WriteMessage, host_range_wraps, range_wraps
from spec.vhost.ring import LARGEST_RING, is_power_of_two

ANY = Profile()


def entry(first: int, last: int, host: int = 0) -> Entry:
    return Entry(first, last, host, READ + WRITE, born=0, used=0)


def an_entry_covers_what_it_touches(first: int, last: int, address: int) -> bool:
    """
    pre: 0 <= first <= last <= U64_MAX and 0 <= address <= U64_MAX
    post: __return__
    """
    one = entry(first, last)
    return one.covers(address) == one.touches(address, address)


def ranges_touch_where_they_share_a_byte(first: int, last: int, other_first: int, other_last: int) -> bool:
    """
    pre: 0 <= first <= last <= U64_MAX and 0 <= other_first <= other_last <= U64_MAX
    post: __return__
    """
    one, later = entry(first, last), max(first, other_first)
    return one.touches(other_first, other_last) == (one.covers(later) and other_first <= later <= other_last)


def host_bytes_follow_each_other(first: int, last: int, host: int, address: int) -> bool:
    """
    pre: 0 <= first <= address < last <= U64_MAX and 0 <= host <= U64_MAX
    post: __return__
    """
    one = entry(first, last, host)
    return one.host_of(first) == host and (one.host_of(address + 1) - one.host_of(address)) % U64 == 1


def a_permission_word_is_two_bits(perm: int) -> bool:
    """
    pre: 0 <= perm <= 255
    post: __return__
    """
    return may(perm, READ) == (perm % 2 == 1) and may(perm, WRITE) == (perm % 4 >= 2)


def a_feature_is_one_bit(features: int) -> bool:
    """
    pre: 0 <= features <= U64_MAX
    post: __return__
    """
    return has_feature(features, 2**26) == (features % 2**27 >= 2**26)


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
    return is_power_of_two(number) == (halves == 1 and number <= LARGEST_RING)


def a_write_marks_the_pages_of_its_bytes(address: int, length: int, page: int) -> bool:
    """
    pre: 0 <= address <= U64_MAX and 1 <= length <= U64_MAX and 0 <= page <= U64_MAX
    post: __return__
    """
    first_byte, last_byte = page * PAGE_SIZE, page * PAGE_SIZE + PAGE_SIZE - 1
    return pages_of(address, length).contains(page) == (address <= last_byte and first_byte <= address + length - 1)


def a_used_element_lies_in_the_used_ring(done: int) -> bool:
    """
    pre: 0 <= done <= U64_MAX
    post: __return__
    """
    queue = Queue(size=256, done=done)
    offset, length = used_element(queue)
    return offset >= 4 and offset + length <= queue.used_bytes() and offset % 4 == 0


def a_ring_is_as_large_as_virtio_says(size: int) -> bool:
    """
    pre: 1 <= size <= LARGEST_RING
    post: __return__
    """
    desc, avail, used = (length for _, length, _ in Queue(size=size).parts())
    return desc == 16 * size and avail == 4 + 2 * size and used == 4 + 8 * size


def a_region_is_a_range_or_refused(gpa: int, size: int) -> bool:
    """
    pre: 0 <= gpa <= U64_MAX and 0 <= size <= U64_MAX
    post: __return__
    """
    region = Region(gpa, size, 0)
    is_range = not region_is_empty(region) and not region_wraps(region)
    return is_range == (gpa <= gpa + size - 1 <= U64_MAX)


def an_update_wraps_on_either_side(iova: int, uaddr: int, size: int) -> bool:
    """
    pre: 0 <= iova <= U64_MAX and 0 <= uaddr <= U64_MAX and 1 <= size <= U64_MAX
    post: __return__
    """
    from spec.vhost.device import NEW_DEVICE

    request = WriteMessage(iova=iova, uaddr=uaddr, size=size)
    wraps = (range_wraps(ANY, NEW_DEVICE, request), host_range_wraps(ANY, NEW_DEVICE, request))
    return wraps == (iova + size - 1 > U64_MAX, uaddr + size - 1 > U64_MAX)
