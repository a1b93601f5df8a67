"""Contracts of `spec.vhost.address_map`: what an entry covers, where its bytes are, what it permits, and its rank."""

from __future__ import annotations

from spec.profile import Profile
from spec.units import U64, U64_MAX
from spec.vhost.address_map import READ, WRITE, AddressMap, Entry, is_full, may, retirement_rank, search_rank


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


def a_host_address_is_one_of_64_bits(first: int, last: int, host: int, address: int) -> int:
    """
    pre: 0 <= first <= address <= last <= U64_MAX and 0 <= host <= U64_MAX
    post: 0 <= __return__ <= U64_MAX
    """
    return entry(first, last, host).host_of(address)


def a_permission_word_is_two_bits(perm: int) -> bool:
    """
    pre: 0 <= perm <= 255
    post: __return__
    """
    return may(perm, READ) == (perm % 2 == 1) and may(perm, WRITE) == (perm % 4 >= 2)


def the_first_start_counts_and_then_the_age(first: int, born: int, used: int, start: int, age: int, use: int) -> bool:
    """
    pre: 0 <= first <= U64_MAX and 0 <= start <= U64_MAX and 0 <= born and 0 <= age and 0 <= used and 0 <= use
    post: __return__
    """
    one = Entry(first, U64_MAX, 0, READ, born, used)
    other = Entry(start, U64_MAX, 0, READ, age, use)
    comes_first = search_rank(one) < search_rank(other)
    return comes_first == (born < age if first == start else first < start)


def the_longest_unused_goes_first(first: int, born: int, used: int, start: int, age: int, use: int) -> bool:
    """
    pre: 0 <= first <= U64_MAX and 0 <= start <= U64_MAX and 0 <= born and 0 <= age and 0 <= used and 0 <= use
    post: __return__
    """
    one = Entry(first, U64_MAX, 0, READ, born, used)
    other = Entry(start, U64_MAX, 0, READ, age, use)
    return (retirement_rank(one) < retirement_rank(other)) == (used < use)


THREE = AddressMap(frozenset(Entry(at, at, 0, READ, born=at, used=at) for at in (0, 1, 2)), clock=3)


def a_map_is_full_when_it_has_as_many_as_it_may(limit: int) -> bool:
    """
    pre: 3 <= limit <= U64_MAX
    post: __return__ == (limit == 3)
    """
    return is_full(Profile(iotlb_limit=limit), THREE)
