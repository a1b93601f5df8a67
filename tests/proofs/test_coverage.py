"""Every rule has a theorem or a reason, the page is the one that would be written, and rule pairs are right."""

from __future__ import annotations

import pytest

from proofs.catalogue import THEOREMS, theorem_named
from proofs.coverage import NOT_PROVED, WITHOUT_THEOREM, rules_without_theorem, theorems_about, unknown_rules
from proofs.document import TARGET, theorems_page
from proofs.line import line_of
from proofs.reach import reached
from proofs.violations import IMPOSSIBLE, Example, decide, pairs
from proofs.witnesses import cases_of
from spec.outcome import Rejected
from spec.profile import PROFILES
from spec.step import MEMSLOT_OPERATIONS, VHOST_OPERATIONS, all_rules, operation_of, step
from spec.vhost.device import NEW_DEVICE

SOME_PAIRS = (
    ("set_region", "KVM.SLOT.OVERLAP", "KVM.SLOT.GFN_LIMIT"),
    ("set_region", "KVM.SLOT.SIZE_ALIGNED", "KVM.SLOT.GPA_ALIGNED"),
    ("set_region", "KVM.SLOT.HVA_FIXED", "KVM.SLOT.READONLY_FIXED"),
    ("clear_dirty_log", "KVM.CLEAR.FIRST_INSIDE", "KVM.CLEAR.COUNT_INSIDE"),
    ("set_region", "KVM.SLOT.MEMFD_RANGE", "KVM.SLOT.MEMFD_BOUND_EINVAL"),
    ("set_mem_table", "VHOST.TABLE.COUNT", "VHOST.TABLE.WRAPS"),
    ("add_region", "VHOST.REGION.ROOM", "VHOST.TABLE.LOG"),
    ("set_ring_addresses", "VHOST.RING.ALIGNED", "VHOST.RING.HOST"),
    ("write_message", "IOTLB.UPDATE.HOST", "IOTLB.UPDATE.WRAPS"),
)
IMPOSSIBLE_PAIRS = (
    ("set_region", "KVM.SLOT.DELETE_EXISTS", "KVM.SLOT.OVERLAP"),
    ("set_region", "KVM.SLOT.REGION2", "KVM.SLOT.FIRST_FORM_FLAGS"),
    ("enable_dirty_ring", "KVM.RING.SMALLEST", "KVM.RING.LARGEST"),
    ("add_region", "VHOST.TABLE.EMPTY", "VHOST.TABLE.HOST"),
    ("set_ring_size", "VHOST.CALL.QUEUE", "VHOST.RING.STOPPED"),
    ("write_message", "IOTLB.MESSAGE.KIND", "IOTLB.UPDATE.HOST"),
)


def test_every_rule_has_a_theorem_or_a_reason() -> None:
    assert rules_without_theorem() == []


def test_theorems_name_rules_that_exist() -> None:
    assert unknown_rules() == []


def test_reasons_are_not_stale() -> None:
    ids = {rule.id for rule in all_rules()}
    assert set(WITHOUT_THEOREM) <= ids
    assert not [rule for rule in WITHOUT_THEOREM if theorems_about(rule)]
    assert NOT_PROVED


def test_the_page_is_the_one_that_would_be_written() -> None:
    assert TARGET.read_text() == theorems_page(), "run: python -m proofs.document"


@pytest.mark.parametrize("pair", SOME_PAIRS)
def test_an_example_breaks_both_rules_and_the_first_wins(pair: tuple[str, str, str]) -> None:
    example = decide(pair)
    assert isinstance(example, Example)
    fresh = line_of(pair[0]).subject.fresh
    state = reached(example.profile, list(example.setup), fresh)
    checks = operation_of(example.request).checks
    broken = {check.rule.id for check in checks if check.is_broken(example.profile, state, example.request)}
    assert set(pair[1:]) <= broken
    _, outcome = step(example.profile, state, example.request)
    assert isinstance(outcome, Rejected)
    assert outcome.rule.id == pair[1] or not example.alone


@pytest.mark.parametrize("pair", IMPOSSIBLE_PAIRS)
def test_what_cannot_happen_together_is_proved_impossible(pair: tuple[str, str, str]) -> None:
    assert decide(pair) == IMPOSSIBLE


@pytest.mark.slow
def test_examples_do_not_depend_on_what_was_asked_before() -> None:
    forwards = [decide(pair) for pair in SOME_PAIRS[:3]]
    backwards = [decide(pair) for pair in reversed(SOME_PAIRS[:3])]
    assert forwards == backwards[::-1]


def test_pairs_are_in_the_order_of_the_checks() -> None:
    assert len(pairs()) == len(set(pairs()))
    assert ("set_region", "KVM.CALL.OWNER", "KVM.SLOT.REGION2") in pairs()


def test_cases_about_a_device_lead_to_it() -> None:
    theorem = theorem_named("DEVICE.ADDREGION.EFFECT")
    cases = list(cases_of(theorem))
    assert len(cases) == 2
    for _, name, (*setup, request) in cases:
        device = reached(PROFILES[name], setup, NEW_DEVICE)
        assert theorem.given(profile=PROFILES[name], device=device, request=request) is True
        assert theorem.holds(profile=PROFILES[name], device=device, request=request) is True


def test_cases_of_a_theorem_lead_to_it() -> None:
    theorem = theorem_named("CHANGE.MOVE")
    cases = list(cases_of(theorem))
    assert len(cases) == 2
    for theorem_id, name, requests in cases:
        assert theorem_id == theorem.id
        *setup, request = requests
        vm = reached(PROFILES[name], setup)
        assert theorem.given(profile=PROFILES[name], vm=vm, request=request) is True
        assert theorem.holds(profile=PROFILES[name], vm=vm, request=request, page=0) is True


def test_each_change_of_a_vm_or_device_keeps_what_is_said_to_be_kept() -> None:
    """`docs/proofs.md`, From one step to every run: changes of slots have theorems of their own."""
    ids = {theorem.id for theorem in THEOREMS}
    vm = {one.name for one in MEMSLOT_OPERATIONS if one.changes_state} - {"set_region"}
    device = {one.name for one in VHOST_OPERATIONS if one.changes_state and one.checks}
    asked = {f"VM.{name}.{suffix}" for name in map(in_an_id, vm) for suffix in ("VALID", "PLACED")}
    asked |= {f"DEVICE.{name}.VALID" for name in map(in_an_id, device)} | {"VM.EMPTY", "DEVICE.NEW"}
    slots = ("WELL_FORMED", "DISJOINT", "UNIQUE", "LOG_WHERE_ASKED", "MEMFD_APART", "ONLY_SLOTS", "WITHIN_WIDTH")
    asked |= {f"MEMSLOT.{name}" for name in (*slots, "MEMFD_INSIDE")} | {"DIRTY.INSIDE"}
    assert asked <= ids


def in_an_id(operation: str) -> str:
    return operation.upper().replace("_", "")
