"""Contracts of `spec.memslots.set_region`, and of guest memory files: what can be said of a request alone."""

from __future__ import annotations

from spec.memslots.create_guest_memfd import CreateGuestMemfd, size_is_bad
from spec.memslots.dirty_log import LogCall, slot_word_is_bad
from spec.memslots.set_region import (
    SetRegion,
    gpa_is_unaligned,
    gpa_wraps,
    has_flags_of_the_second_form,
    has_too_many_pages,
    has_unknown_flags,
    hva_is_unaligned,
    hva_passes_the_limit,
    is_delete,
    memfd_offset_is_bad,
    mixes_memfd_with_other_flags,
    needs_the_second_form,
    number_is_not_for_users,
    size_is_unaligned,
    space_is_missing,
    touches_another_slot,
    wants_memfd,
)
from spec.memslots.slot import EMPTY_VM, GUEST_MEMFD, Slot, Vm
from spec.profile import Profile
from spec.units import U32_MAX, U64_MAX, address_of, page_of  # noqa: F401 - the contracts name U32_MAX

ANY = Profile()
LAST_PAGE = 2**64 - 4096  # the address of the last page that there is


def a_request_that_passes_is_two_ranges_of_pages(gpa: int, size: int, hva: int) -> bool:
    """
    pre: 0 <= gpa <= U64_MAX and 0 <= size <= U64_MAX and 0 <= hva <= U64_MAX
    post: __return__
    """
    questions = (size_is_unaligned, gpa_is_unaligned, hva_is_unaligned, hva_passes_the_limit, gpa_wraps)
    request = SetRegion(gpa=gpa, size=size, hva=hva)
    refused = any(question(ANY, EMPTY_VM, request) for question in questions)
    aligned = gpa % 4096 == 0 and size % 4096 == 0 and hva % 4096 == 0
    return refused != (aligned and gpa + size <= LAST_PAGE and hva + size - 1 < ANY.user_limit)


def a_slot_has_fewer_than_two_to_the_31_pages(size: int) -> bool:
    """
    pre: 0 <= size <= U64_MAX
    post: __return__
    """
    return has_too_many_pages(ANY, EMPTY_VM, SetRegion(size=size)) == (size >= 2**43)


def a_request_without_bytes_deletes(size: int) -> bool:
    """
    pre: 0 <= size <= U64_MAX and size % 4096 == 0
    post: __return__
    """
    return is_delete(SetRegion(size=size)) != (page_of(size) >= 1)


def logs_are_asked_of_the_slots_that_there_can_be(word: int, numbers: int, spaces: int) -> bool:
    """
    pre: 0 <= word <= U32_MAX and 1 <= numbers <= 2**15 and 1 <= spaces <= 2**16
    post: __return__
    """
    profile = Profile(user_slots=numbers, address_spaces=spaces)
    request = SetRegion(slot=word)
    missing = number_is_not_for_users(profile, EMPTY_VM, request) or space_is_missing(profile, EMPTY_VM, request)
    return slot_word_is_bad(profile, EMPTY_VM, LogCall(slot=word)) == missing


def a_slot_word_that_passes_names_a_slot_there_can_be(word: int) -> bool:
    """
    pre: 0 <= word <= U32_MAX
    post: __return__
    """
    request = SetRegion(slot=word)
    missing = number_is_not_for_users(ANY, EMPTY_VM, request) or space_is_missing(ANY, EMPTY_VM, request)
    return missing != (0 <= word < 32764 or 0 <= word - 2**16 < 32764)


def flags_that_pass(profile: Profile, version: int, flags: int) -> bool:
    """Whether no rule about flags and forms is broken."""
    questions = (needs_the_second_form, has_flags_of_the_second_form, has_unknown_flags, mixes_memfd_with_other_flags)
    request = SetRegion(version=version, flags=flags)
    return not any(question(profile, EMPTY_VM, request) for question in questions)


def a_file_is_asked_for_alone_and_in_the_second_form(version: int, flags: int) -> bool:
    """
    pre: 1 <= version <= 2 and 0 <= flags <= U32_MAX
    post: __return__ == (flags <= 3 or (version == 2 and flags == GUEST_MEMFD))
    """
    return flags_that_pass(Profile(region2=True, guest_memfd="bind"), version, flags)


def without_files_there_are_two_flags(version: int, flags: int) -> bool:
    """
    pre: 1 <= version <= 2 and 0 <= flags <= U32_MAX
    post: __return__ == (version == 1 and flags <= 3)
    """
    return flags_that_pass(Profile(region2=False, guest_memfd="absent"), version, flags)


def a_file_is_wanted_by_one_flag(flags: int) -> bool:
    """
    pre: 0 <= flags <= U32_MAX
    post: __return__ == (flags % 8 >= 4)
    """
    return wants_memfd(SetRegion(flags=flags))


def an_offset_that_passes_leaves_room_for_whole_pages(offset: int, pages: int) -> bool:
    """
    pre: 0 <= offset <= U64_MAX and 0 <= pages < 2**52
    post: __return__
    """
    request = SetRegion(version=2, flags=GUEST_MEMFD, size=pages * 4096, memfd_offset=offset)
    is_right = address_of(page_of(offset)) == offset and page_of(offset) + pages <= page_of(U64_MAX)
    return memfd_offset_is_bad(ANY, EMPTY_VM, request) != is_right


def a_file_that_is_made_has_whole_pages(size: int) -> bool:
    """
    pre: 0 <= size <= U64_MAX
    post: __return__
    """
    is_right = page_of(size) >= 1 and address_of(page_of(size)) == size and size < 2**63
    return size_is_bad(ANY, EMPTY_VM, CreateGuestMemfd(size=size)) != is_right


IN_THE_WAY = Vm(slots=frozenset({Slot(space=1, id=3, base_gfn=5, npages=4, hva=0, flags=0)}))


def only_another_slot_of_the_same_space_is_in_the_way(word: int, gpa: int, size: int) -> bool:
    """
    pre: 0 <= word <= U32_MAX and 0 <= gpa <= U64_MAX and 1 <= size <= U64_MAX
    pre: gpa % 4096 == 0 and size % 4096 == 0
    post: __return__
    """
    found = touches_another_slot(ANY, IN_THE_WAY, SetRegion(slot=word, gpa=gpa, size=size))
    shares_a_byte = gpa <= 9 * 4096 - 1 and gpa + size - 1 >= 5 * 4096
    return found == (2**16 <= word < 2**17 and word != 2**16 + 3 and shares_a_byte)
