"""Documented behaviour of KVM_SET_USER_MEMORY_REGION, by example. Source: the rules' own sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from spec.memslots import set_region as sr
from spec.memslots.access import GuestWrite
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import Lookup
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import EMPTY_VM, FILE_OF_ANOTHER_VM, GUEST_MEMFD, NOT_A_GUEST_MEMFD, Vm
from spec.outcome import DirtyPages, Done, Located, Outcome, Rejected, Written
from spec.pages import Pages
from spec.profile import PROFILES, Profile
from spec.step import step

TREE = PROFILES["tree"]
ARRAY = PROFILES["array"]
MEMFD = PROFILES["guest-memfd"]
PAGE = 0x1000
SPACE_1 = 1 << 16
FIRST = SetRegion(slot=1, gpa=0x10 * PAGE, size=4 * PAGE, hva=0x100 * PAGE)


def run(*requests: Any, profile: Profile = TREE, vm: Vm = EMPTY_VM) -> tuple[Vm, Outcome]:
    """The VM and the last outcome after these requests."""
    outcome: Outcome = Done()
    for request in requests:
        vm, outcome = step(profile, vm, request)
    return vm, outcome


def rule_of(*requests: Any, profile: Profile = TREE) -> str:
    """The id of the rule that the last request breaks; all before it are accepted, and it changes nothing."""
    vm, outcome = run(*requests[:-1], profile=profile)
    assert not isinstance(outcome, Rejected), outcome
    after, outcome = step(profile, vm, requests[-1])
    assert isinstance(outcome, Rejected)
    assert after == vm
    return outcome.rule.id


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"from_owner": False}, "KVM.CALL.OWNER"),
        ({"readable": False}, "KVM.CALL.POINTER"),
        ({"version": 2}, "KVM.SLOT.REGION2"),
        ({"slot": 32764}, "KVM.SLOT.NUMBER"),
        ({"flags": 4}, "KVM.SLOT.FLAGS"),
        ({"flags": 1 << 31}, "KVM.SLOT.FLAGS"),
        ({"size": PAGE + 1}, "KVM.SLOT.SIZE_ALIGNED"),
        ({"gpa": 1}, "KVM.SLOT.GPA_ALIGNED"),
        ({"hva": 0x800}, "KVM.SLOT.HVA_ALIGNED"),
        ({"hva": 2**47 - 4 * PAGE}, "KVM.SLOT.HVA_LIMIT"),
        ({"hva": 2**64 - PAGE}, "KVM.SLOT.HVA_LIMIT"),
        ({"slot": 2 * SPACE_1}, "KVM.SLOT.SPACE"),
        ({"gpa": 2**64 - PAGE, "size": PAGE}, "KVM.SLOT.GPA_WRAP"),
        ({"size": 2**31 * PAGE}, "KVM.SLOT.PAGES"),
        ({"size": 0}, "KVM.SLOT.DELETE_EXISTS"),
        ({"gpa": 2**40 - 3 * PAGE}, "KVM.SLOT.GFN_LIMIT"),
    ],
)
def test_each_single_fault_of_a_create(change: dict[str, int], rule: str) -> None:
    assert rule_of(replace(FIRST, **change)) == rule


@pytest.mark.parametrize(
    "change",
    [
        {"slot": 32763},
        {"hva": 0},
        {"hva": 2**47 - 5 * PAGE},
        {"gpa": 2**40 - 4 * PAGE},
        {"slot": SPACE_1 + 1},
    ],
)
def test_the_last_values_that_are_allowed(change: dict[str, int]) -> None:
    assert run(replace(FIRST, **change))[1] == Done()


def test_the_array_kernel_takes_fewer_numbers_and_any_guest_address() -> None:
    assert rule_of(replace(FIRST, slot=509), profile=ARRAY) == "KVM.SLOT.NUMBER"
    assert run(replace(FIRST, gpa=2**63), profile=ARRAY)[1] == Done()
    assert rule_of(replace(FIRST, gpa=2**64 - 4 * PAGE), profile=ARRAY) == "KVM.SLOT.GPA_WRAP"
    assert run(replace(FIRST, gpa=2**64 - 5 * PAGE), profile=ARRAY)[1] == Done()
    assert run(replace(FIRST, size=(2**31 - 1) * PAGE), profile=ARRAY)[1] == Done()
    assert rule_of(replace(FIRST, size=2**31 * PAGE), profile=ARRAY) == "KVM.SLOT.PAGES"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"hva": 0x200 * PAGE}, "KVM.SLOT.HVA_FIXED"),
        ({"size": 5 * PAGE}, "KVM.SLOT.SIZE_FIXED"),
        ({"flags": 2}, "KVM.SLOT.READONLY_FIXED"),
        ({"slot": 2}, "KVM.SLOT.OVERLAP"),
        ({"slot": 2, "gpa": 0x13 * PAGE}, "KVM.SLOT.OVERLAP"),
        ({"slot": 2, "gpa": 0xF * PAGE, "size": 2 * PAGE}, "KVM.SLOT.OVERLAP"),
        ({"slot": 2, "gpa": 0, "size": 0x100 * PAGE}, "KVM.SLOT.OVERLAP"),
    ],
)
def test_what_an_existing_slot_forbids(change: dict[str, int], rule: str) -> None:
    assert rule_of(FIRST, replace(FIRST, **change)) == rule


def test_neighbours_and_other_address_spaces_do_not_overlap() -> None:
    right = replace(FIRST, slot=2, gpa=0x14 * PAGE)
    left = replace(FIRST, slot=3, gpa=0xC * PAGE)
    elsewhere = replace(FIRST, slot=SPACE_1 + 1)
    vm, outcome = run(FIRST, right, left, elsewhere)
    assert outcome == Done() and len(vm.slots) == 4


def test_a_move_may_overlap_where_it_was_but_no_other() -> None:
    other = replace(FIRST, slot=2, gpa=0x20 * PAGE)
    assert run(FIRST, other, replace(FIRST, gpa=0x12 * PAGE))[1] == Done()
    assert rule_of(FIRST, other, replace(FIRST, gpa=0x1D * PAGE)) == "KVM.SLOT.OVERLAP"


def test_a_delete_is_checked_like_any_request_but_ignores_what_is_well_formed() -> None:
    gone = replace(FIRST, size=0)
    assert run(FIRST, replace(gone, gpa=0x77 * PAGE, hva=0, flags=2))[0] == EMPTY_VM
    assert rule_of(FIRST, replace(gone, gpa=1)) == "KVM.SLOT.GPA_ALIGNED"
    assert rule_of(FIRST, replace(gone, hva=2**48)) == "KVM.SLOT.HVA_LIMIT"
    assert rule_of(FIRST, replace(gone, flags=0x80)) == "KVM.SLOT.FLAGS"
    assert rule_of(FIRST, replace(gone, slot=SPACE_1 + 1)) == "KVM.SLOT.DELETE_EXISTS"


def test_which_errno_wins() -> None:
    at_the_top = replace(FIRST, gpa=2**40 - 4 * PAGE)
    beyond_and_overlapping = replace(FIRST, slot=2, gpa=2**40 - PAGE)
    assert rule_of(at_the_top, beyond_and_overlapping) == "KVM.SLOT.OVERLAP"
    assert rule_of(at_the_top, replace(FIRST, slot=2, gpa=2**40)) == "KVM.SLOT.GFN_LIMIT"
    assert rule_of(FIRST, replace(FIRST, slot=2, hva=1)) == "KVM.SLOT.HVA_ALIGNED"


def test_the_dirty_log_follows_the_slot() -> None:
    logged = replace(FIRST, flags=1)
    write = GuestWrite(gpa=0x12 * PAGE)
    ask = GetDirtyLog(slot=1)
    page_2 = DirtyPages(Pages(((2, 2),)), 8)
    none = DirtyPages(Pages(()), 8)
    assert run(logged, write, ask)[1] == page_2
    assert run(logged, write, ask, ask)[1] == none
    assert run(logged, write, replace(logged, gpa=0), ask)[1] == page_2
    assert run(logged, write, logged, ask)[1] == page_2
    assert run(logged, write, FIRST, logged, ask)[1] == none
    assert run(logged, write, replace(logged, gpa=0, flags=0), logged, ask)[1] == none
    assert run(logged, write, replace(logged, size=0), logged, ask)[1] == none
    assert rule_of(FIRST, ask) == "KVM.DIRTY.LOGGED"


def test_guest_memory_files() -> None:
    file = CreateGuestMemfd(file=0, size=8 * PAGE)
    bound = replace(FIRST, version=2, flags=GUEST_MEMFD, memfd=0, memfd_offset=4 * PAGE)
    other = replace(bound, slot=2, gpa=0)

    def rule(*requests: Any) -> str:
        return rule_of(*requests, profile=MEMFD)

    assert run(file, bound, replace(other, memfd_offset=0), profile=MEMFD)[1] == Done()
    assert rule(file, replace(bound, version=1)) == "KVM.SLOT.FIRST_FORM_FLAGS"
    assert rule(file, replace(bound, flags=GUEST_MEMFD + 1)) == "KVM.SLOT.MEMFD_FLAGS"
    assert rule(file, replace(bound, memfd_offset=1)) == "KVM.SLOT.MEMFD_OFFSET"
    assert rule(file, replace(bound, memfd_offset=2**64 - 4 * PAGE)) == "KVM.SLOT.MEMFD_OFFSET"
    assert rule(bound) == "KVM.SLOT.MEMFD_OPEN"
    assert rule(file, replace(bound, memfd=NOT_A_GUEST_MEMFD)) == "KVM.SLOT.MEMFD_KIND"
    assert rule(file, replace(bound, memfd=FILE_OF_ANOTHER_VM)) == "KVM.SLOT.MEMFD_KIND"
    assert rule(file, replace(bound, memfd_offset=5 * PAGE)) == "KVM.SLOT.MEMFD_RANGE"
    assert rule(file, bound, replace(other, memfd_offset=PAGE)) == "KVM.SLOT.MEMFD_BOUND"
    assert rule(file, bound, replace(bound, gpa=0)) == "KVM.SLOT.MEMFD_FIXED"
    assert rule(file, bound, replace(bound, flags=0)) == "KVM.SLOT.MEMFD_FIXED"
    assert run(file, bound, replace(FIRST, size=0), profile=MEMFD)[1] == Done()
    einval = replace(MEMFD, memfd_rebind_errno="EINVAL")
    assert rule_of(file, bound, replace(other, memfd_offset=PAGE), profile=einval) == "KVM.SLOT.MEMFD_BOUND_EINVAL"
    assert rule_of(replace(bound, version=2), profile=PROFILES["region2"]) == "KVM.SLOT.FLAGS"


def test_reads_and_writes_go_through_the_slot_page_by_page() -> None:
    read_only = replace(FIRST, slot=2, gpa=0x14 * PAGE, hva=0x300 * PAGE, flags=2)
    vm, _ = run(FIRST, read_only)
    assert run(Lookup(gpa=0x13 * PAGE + 5), vm=vm)[1] == Located(0x103 * PAGE + 5, 0x14 * PAGE - 1)
    assert run(Lookup(gpa=0x14 * PAGE), vm=vm)[1] == Located(0x300 * PAGE, 0x18 * PAGE - 1)
    outcome = run(GuestWrite(gpa=0x14 * PAGE - 4), vm=vm)[1]
    assert isinstance(outcome, Written)
    assert [(s.first, s.last, s.host) for s in outcome.segments] == [(0x13FFC, 0x13FFF, 0x103FFC)]
    assert outcome.stopped_by is not None and outcome.stopped_by.id == "KVM.ACCESS.WRITABLE"


def test_every_rule_of_the_table_is_asked_in_the_kernels_order() -> None:
    order = [check.rule.id.removeprefix("KVM.SLOT.") for check in sr.CHECKS]
    assert order.index("NUMBER") < order.index("FLAGS") < order.index("SIZE_ALIGNED") < order.index("GPA_ALIGNED")
    assert order.index("GPA_ALIGNED") < order.index("HVA_LIMIT") < order.index("SPACE") < order.index("GPA_WRAP")
    assert order.index("DELETE_EXISTS") < order.index("HVA_FIXED") < order.index("OVERLAP") < order.index("MEMFD_OPEN")
    assert order.index("MEMFD_OPEN") < order.index("MEMFD_RANGE") < order.index("GFN_LIMIT")
