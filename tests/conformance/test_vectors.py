"""The published vectors do what is claimed of them: all rules, all branches, all pairs, one rule at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

import pytest

from conformance.explain import profile_of
from conformance.files import content_id, load_vectors
from conformance.generate import precedence
from conformance.generate.build import MAIN_PROFILES, VARIANTS, VHOST_PROFILES, broken_rules, rules_met, states
from conformance.generate.cases import rules_against
from conformance.generate.pair_search import requests_from
from conformance.generate.readback import has_real_memory
from conformance.generate.sequences import kind_of
from conformance.generate.vhost import precedence as vhost_precedence
from conformance.generate.vhost.runnable import KERNEL_REQUESTS, is_runnable
from conformance.generate.write import differences, file_name, write
from conformance.vector import Vector
from spec.memslots.access import GUEST_SPACE, GuestWrite, VcpuRead, VcpuWrite, pieces_by_page
from spec.memslots.lookup import slot_holding
from spec.operation import Subject
from spec.outcome import Outcome, Rejected
from spec.profile import SWITCHES, Profile, with_switches
from spec.step import MEMSLOTS, VHOST, all_rules, operation_of, step, subject_of
from spec.vhost.messages import ReadMessage
from spec.vhost.observe import ObserveMaps
from tests.conformance.committed import committed

pytestmark = pytest.mark.slow

ALL_PROFILES = tuple(dict.fromkeys((*MAIN_PROFILES, *VARIANTS, *VHOST_PROFILES)))


@pytest.fixture(scope="module")
def vectors() -> list[Vector]:
    return load_vectors()


def rejected_by(vector: Vector) -> set[str]:
    """The rules that reject a step of the vector, or stop what one began."""
    return {rule for step in vector.steps for rule in rules_of(step.expected)}


def rules_of(outcome: Outcome) -> tuple[str, ...]:
    return (outcome.rule.id,) if isinstance(outcome, Rejected) else rules_met(outcome)


def requests_of(vector: Vector) -> list[Any]:
    return [step.request for step in vector.steps]


def is_about(vector: Vector, subject: Subject) -> bool:
    return subject_of(requests_of(vector)) is subject


# They are what is generated --------------------------------------------------------------------------------------


def test_what_is_committed_is_what_would_be_generated() -> None:
    assert differences() == []


def test_a_file_that_was_edited_or_lost_is_found(tmp_path: Path, generated_as_committed: None) -> None:
    assert len(write(tmp_path)) > 10 and differences(tmp_path) == []
    ring, manual = tmp_path / "kvm-ring.json", tmp_path / "kvm-manual.json"
    lines = ring.read_text().splitlines(keepends=True)
    ring.write_text("".join([*lines[:3], *lines[4:]]))
    manual.write_text(manual.read_text().replace("no other rule", "no other thing"))
    (tmp_path / "kvm-lookup.json").unlink()
    (tmp_path / "kvm-old.json").write_text("{}")
    assert differences(tmp_path) == [
        "kvm-lookup.json: is missing",
        "kvm-manual.json: the same vectors, described or written otherwise",
        f"kvm-ring.json: 1 vectors are missing ({lines[3][7:19]})",
        "kvm-old.json: is not generated any more",
    ]


def test_another_seed_gives_other_sequences_and_the_same_rules(tmp_path: Path) -> None:
    write(tmp_path, seed=1)
    assert {path.name for path in tmp_path.iterdir()} == set(committed())
    changed = {name for name, text in committed().items() if (tmp_path / name).read_text() != text}
    assert changed == {"SHA256SUMS", "kvm-slot-sequence.json"}


def test_outcomes_are_those_of_the_spec_and_ids_those_of_the_content(vectors: list[Vector]) -> None:
    for vector in vectors:
        trace = states(profile_of(vector), [step.request for step in vector.steps])
        assert [outcome for _, outcome in trace] == [step.expected for step in vector.steps], vector.id
        assert content_id(vector) == vector.id


def test_there_are_enough_and_not_too_many(vectors: list[Vector]) -> None:
    steps = sum(len(vector.steps) for vector in vectors)
    assert 4000 <= len(vectors) <= 6000 and 80_000 <= steps <= 160_000
    assert {file_name(vector).split("-")[0] for vector in vectors} == {"kvm", "vhost", "iotlb", "xlate"}


# Rules -----------------------------------------------------------------------------------------------------------


def test_each_rule_has_a_rejecting_and_an_accepting_vector_or_a_reason(vectors: list[Vector]) -> None:
    rejecting = {rule for vector in vectors for rule in vector.rules if rule in rejected_by(vector)}
    accepting = {rule for vector in vectors for rule in vector.rules if rule not in rejected_by(vector)}
    accepting |= {rule for vector in vectors if vector.because.startswith("the repaired twin") for rule in vector.rules}
    for rule in all_rules():
        if rule.no_vector:
            assert rule.id not in rejecting, f"{rule.id} has a vector, and a reason to have none"
        else:
            assert rule.id in rejecting and rule.id in accepting, rule.id


def profiles_for(vector: Vector) -> list[Profile]:
    """The profiles of the generator that the vector applies to."""
    return [p for p in ALL_PROFILES if all(getattr(p, name) == value for name, value in vector.switches)]


def main_step(vector: Vector) -> int:
    """The step that a negative vector is about."""
    repair = dict(vector.repair)
    if repair:
        return int(repair["step"])
    return next(i for i, s in enumerate(vector.steps) if set(rules_of(s.expected)) & set(vector.rules))


def test_a_negative_vector_breaks_one_rule_and_its_repair_none(vectors: list[Vector]) -> None:
    unrepaired = set()
    for vector in (v for v in vectors if v.generator == "rule" and v.because.startswith("breaks ")):
        requests = [step.request for step in vector.steps]
        index = main_step(vector)
        broken = {}
        for profile in profiles_for(vector):
            vm = states(profile, requests[: index + 1])[index][0]
            broken[profile] = set(rules_against(profile, vm, requests[index]))
        profile = min(broken, key=lambda one: len(broken[one]))
        if broken[profile] != set(vector.rules):
            assert "as always" in vector.because and set(vector.rules) < broken[profile], vector.id
        repair = dict(vector.repair)
        if not repair:
            unrepaired.add(vector.rules[0])
            continue
        repair.pop("step")
        setup, request = requests[:index], requests[index]
        if "without" in repair:
            setup = setup[: repair["without"]] + setup[repair["without"] + 1 :]
        else:
            request = replace(request, **repair)
        (*_, (_, outcome)) = states(profile, [*setup, request])
        assert not rules_of(outcome), vector.id
    never_had = {"KVM.MEMFD.EXISTS", "KVM.RING.EXISTS"}  # nothing in a request makes a kernel have them
    missing = {"VHOST.BACKEND.TABLE", "VHOST.BACKEND.USED", "XLATE.PERMITTED"}  # a step is missing, or has another perm
    assert unrepaired == never_had | missing


def test_rules_that_never_come_alone_do_so_for_a_reason() -> None:
    """Those whose negative vectors say "as always": no request of any pool breaks them alone."""
    pairs = {"KVM.DIRTY.SLOT_WORD": "KVM.DIRTY.LOGGED", "KVM.CLEAR.FIRST_INSIDE": "KVM.CLEAR.COUNT_INSIDE"}
    for profile in MAIN_PROFILES:
        for situation in precedence.situations(profile):
            vm = (states(profile, (*situation.setup, situation.good)) or [])[-1][0]
            for request in precedence.requests_from(profile, situation.good, 2):
                broken = {rule.id for rule in broken_rules(profile, vm, request)}
                for rule, partner in pairs.items():
                    assert rule not in broken or partner in broken, request
    for situation in vhost_precedence.situations(Profile()):
        device = states(Profile(), (*situation.setup, situation.good))[-1][0]
        for request in requests_from(Profile(), vhost_precedence.SEARCH, situation.good, 2):
            broken = {rule.id for rule in broken_rules(Profile(), device, request)}
            assert "IOTLB.MESSAGE.FRAMING_WORD" not in broken or "IOTLB.MESSAGE.WHOLE" in broken, request


def test_after_a_rejection_the_state_is_read_back(vectors: list[Vector]) -> None:
    """The last step is never a rejection that nobody looked behind: something after it shows the state. (That no miss
    is left to be read, at the end of a vector, looks itself.)
    """
    looks = {"observe", "get_dirty_log", "guest_write", "find_slot", "lookup", "hva_range", "observe_maps"}
    for vector in vectors:
        rejections = [
            index
            for index, step in enumerate(vector.steps)
            if isinstance(step.expected, Rejected)
            and operation_of(step.request).name not in looks
            and not (index == len(vector.steps) - 1 and isinstance(step.request, ReadMessage))
        ]
        if rejections:
            after = {operation_of(step.request).name for step in vector.steps[rejections[-1] + 1 :]}
            assert after & looks, vector.id


def test_in_iotlb_mode_no_miss_is_left_unread(vectors: list[Vector]) -> None:
    """Of several misses in one step a kernel shows one: what else there is, or is not, shows at the end."""
    ends = 0
    for vector in (one for one in vectors if is_about(one, VHOST)):
        state, outcome = states(profile_of(vector), requests_of(vector))[-1]
        device, _ = step(profile_of(vector), state, vector.steps[-1].request)
        if device.iotlb is not None:
            ends += 1
            assert isinstance(vector.steps[-1].request, ReadMessage) and isinstance(outcome, Rejected), vector.id
    assert ends > 900


# Pairs of rules --------------------------------------------------------------------------------------------------


def pairs_in(vectors: list[Vector]) -> set[tuple[str, str, str]]:
    """The operation and pair of rules of each step that breaks two or more, in a profile that the vector applies to."""
    found = set()
    for vector in (v for v in vectors if v.generator in ("precedence", "rule")):
        requests = [step.request for step in vector.steps]
        for profile in profiles_for(vector):
            for (vm, _), request in zip(states(profile, requests), requests, strict=True):
                broken = [rule.id for rule in broken_rules(profile, vm, request)]
                found |= {(operation_of(request).name, *pair) for pair in combinations(broken, 2)}
    return found


def test_each_pair_of_the_search_is_in_the_vectors(vectors: list[Vector]) -> None:
    wanted = {pair for profile in ALL_PROFILES for pair in precedence.examples(profile)}
    assert len(wanted) > 390
    of_devices = {pair for profile in VHOST_PROFILES for pair in vhost_precedence.all_examples(profile)}
    assert len(of_devices) > 140
    wanted |= of_devices
    assert wanted <= pairs_in(vectors)


def test_no_pair_was_missed(vectors: list[Vector]) -> None:
    """The proofs say for each pair of rules whether one request can break both: all that can are in the vectors."""
    from proofs.violations import IMPOSSIBLE, jointly_violable

    verdicts = jointly_violable()
    possible = {pair for pair, verdict in verdicts.items() if verdict != IMPOSSIBLE}
    found = pairs_in(vectors)
    assert possible - found == set(), "pairs without a vector"
    assert found - possible == set(), "pairs that the proofs say cannot be"


# Proofs ----------------------------------------------------------------------------------------------------------


def test_kept_cases_are_of_theorems_that_exist() -> None:
    from conformance.generate.witnesses import BUG, FILE, WITNESS
    from proofs.catalogue import THEOREMS

    cases = json.loads(FILE.read_text())
    rules = {theorem.id: list(theorem.rules) for theorem in THEOREMS}
    assert len(cases) > 40 and {case["what"] for case in cases} == {WITNESS, BUG}
    for case in cases:
        assert case["rules"] == rules.get(case["theorem"]), f"{case['theorem']}: run `gpaspec generate --from-proofs`"


# Branches --------------------------------------------------------------------------------------------------------

# What no operation uses, or only to complain: file, name of the function, and why no vector can reach it.
NOT_FOR_VECTORS = {
    ("spec/sets.py", "every"): "asked by theorems, not by operations",
    ("spec/sets.py", "gathered"): "of sets that answer for themselves only proofs ask it: no vector that has them logs",
    ("spec/profile.py", "with_switches"): "complains about a name that is no switch",
    ("spec/step.py", "operation_of"): "complains about an object that is no request",
    ("spec/step.py", "subject_of"): "complains about requests of no subject, or of several",
    ("spec/memslots/slot.py", "Slot.logs_dirty_pages"): "asked by reports, not by operations",
    ("spec/vhost/address_map.py", "nothing_in"): "asked by theorems, not by operations",
    ("spec/vhost/mem_table.py", "table_of"): "leaves out regions that earlier rules refuse: for who asks all rules",
    ("spec/vhost/regions.py", "table_with"): "leaves out a region that earlier rules refuse: for who asks all rules",
    ("spec/vhost/translate.py", "host_of_byte"): "asked by theorems, not by operations",
}


def test_the_vectors_take_every_branch_of_the_spec(tmp_path: Path) -> None:
    """Run by themselves in a process of their own, over ordinary sets and over a set that answers for itself."""
    report = tmp_path / "coverage.json"
    program = Path(__file__).parent / "spec_coverage.py"
    subprocess.run([sys.executable, str(program), str(report)], check=True, timeout=300, cwd=tmp_path)
    files = json.loads(report.read_text())["files"]
    assert len(files) > 15
    missed = []
    for name, file in files.items():
        path = name[name.index("spec/") :]
        for function, part in file["functions"].items():
            if (path, function) not in NOT_FOR_VECTORS and (part["missing_lines"] or part["missing_branches"]):
                missed.append((path, function, part["missing_lines"], part["missing_branches"]))
    assert missed == []


# Switches --------------------------------------------------------------------------------------------------------


def test_switches_that_are_not_named_make_no_difference(vectors: list[Vector]) -> None:
    """Random combinations of published values that agree on the named switches give the same outcomes."""
    random = Random(20260101)
    for vector in random.sample(vectors, 500):
        named = dict(vector.switches)
        for _ in range(4):
            free = {switch.name: random.choice(switch.published) for switch in SWITCHES if switch.name not in named}
            profile = with_switches(Profile(), {**free, **named})
            trace = states(profile, [step.request for step in vector.steps])
            assert [outcome for _, outcome in trace] == [step.expected for step in vector.steps], (vector.id, profile)


def test_switches_that_are_named_make_a_difference(vectors: list[Vector]) -> None:
    for vector in vectors:
        for name, value in vector.switches:
            published = next(switch.published for switch in SWITCHES if switch.name == name)
            others = [with_switches(profile_of(vector), {name: other}) for other in published if other != value]
            expected = [step.expected for step in vector.steps]
            requests = [step.request for step in vector.steps]
            if any([outcome for _, outcome in states(other, requests)] != expected for other in others):
                continue
            assert vector.repair, f"{name} makes no difference to {vector.id}, nor has it a repair to make one for"


def test_every_published_value_of_a_switch_is_needed_by_some_vector(vectors: list[Vector]) -> None:
    needed = {switch for vector in vectors for switch in vector.switches}
    assert needed == {(switch.name, value) for switch in SWITCHES for value in switch.published}


# States ----------------------------------------------------------------------------------------------------------


def test_every_state_that_a_slot_can_be_in_is_met(vectors: list[Vector]) -> None:
    """Writable or read-only, with each kind of log, in both address spaces; and on a file, where there is no log."""
    met = set()
    for vector in vectors:
        if not is_about(vector, MEMSLOTS):
            continue
        for vm, _ in states(profile_of(vector), requests_of(vector)):
            met |= {kind_of(slot) for slot in vm.slots}
    kinds_of_log = ("none", "asked for", "clean", "partly dirty", "full")
    in_memory = {(read_only, log, False) for read_only in (False, True) for log in kinds_of_log}
    assert {(read_only, log, on_file) for read_only, log, _, on_file in met} == in_memory | {(False, "none", True)}
    assert {space for _, _, space, _ in met} == {0, 1}
    kept = {(read_only, log) for read_only, log, space, _ in met if space == 1}
    assert {(False, "clean"), (True, "none"), (False, "none")} <= kept


# What every target can run ---------------------------------------------------------------------------------------


# What random requests leave to the generators: why a device can be asked for it here.
WHY_NOT_RANDOM = {
    "VHOST.LOG": "a log that nobody writes may end where user memory does",
    "VHOST.TABLE": "a log that nobody writes may end where user memory does",
    "VHOST.BACKEND": "a backend is attached again; a log that nobody writes may end where user memory does",
    "VHOST.CALL": "a backend is attached again",
    "VHOST.RING": "a two-byte field lies in two entries",
    "VHOST.FEATURES": "features without version 1, of a device that does nothing; modes that are left",
    "IOTLB.UPDATE": "an empty update at 0, and nothing after it",
    "IOTLB.MISS": "a queue that waits is kicked, once what it waits for is there",
    "VHOST.CHAIN": "a queue that waits is kicked, once what it waits for is there",
}


def test_a_real_device_can_be_asked_for_all_but_a_few(vectors: list[Vector]) -> None:
    """Rings, headers and tables are at their places, data is where it may be, there is room for what is offered."""
    asked, others = 0, []
    for vector in vectors:
        requests = [request for request in requests_of(vector) if not isinstance(request, ObserveMaps)]
        if not is_about(vector, VHOST) or not all(isinstance(request, KERNEL_REQUESTS) for request in requests):
            continue
        profile, device = profile_of(vector), VHOST.fresh
        asked += 1
        for request in requests:
            if not is_runnable(profile, device, request):
                others.append(vector)
                break
            device, _ = step(profile, device, request)
    assert asked > 1500 and len(others) < 160
    assert {vector.family for vector in others} <= set(WHY_NOT_RANDOM)


def test_accesses_reach_only_memory_that_every_target_has(vectors: list[Vector]) -> None:
    read_in_log = 0
    for vector in vectors:
        if not is_about(vector, MEMSLOTS):
            continue
        requests = requests_of(vector)
        for (vm, _), request in zip(states(profile_of(vector), requests), requests, strict=True):
            if isinstance(request, GuestWrite):
                assert request.length == 12 and request.gpa > 0 and request.gpa % 4096 <= 4092, vector.id
                pieces = pieces_by_page(request.gpa, request.length)
            elif isinstance(request, VcpuRead | VcpuWrite):
                assert request.gpa < 2**32 and request.gpa % 4096 < 4090, vector.id
                pieces = [(request.gpa, request.gpa)]
            else:
                continue
            for first, _ in pieces:
                slot = slot_holding(vm, GUEST_SPACE, first)
                if slot is not None and not (slot.is_read_only() and isinstance(request, GuestWrite)):
                    assert has_real_memory(slot, first), vector.id
                    read_in_log += isinstance(request, VcpuRead) and slot.logs_dirty_pages()
    assert read_in_log <= 3, "only vectors about it read a slot with a log"


def test_logs_are_small(vectors: list[Vector]) -> None:
    for vector in vectors:
        if not is_about(vector, MEMSLOTS):
            continue
        for vm, _ in states(profile_of(vector), requests_of(vector)):
            assert all(slot.npages <= 100_000 for slot in vm.slots if slot.logs_dirty_pages()), vector.id
