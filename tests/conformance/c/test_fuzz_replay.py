"""What the fuzzer tells, done on the spec: all of it is compared, once, and what is not so is seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from conformance.targets.c import fuzz_build
from conformance.targets.c.fuzz_build import fuzz_program
from conformance.targets.c.fuzz_replay import Differs, Replay, Unreadable, operations_in, replay
from conformance.targets.c.fuzz_replay_slots import Draft
from conformance.targets.c.fuzz_seeds import DEVICE, SLOTS, TABLE, access, operation, u8
from conformance.targets.c.fuzzing import SPEC, account
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import Observe
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import LOG_DIRTY_PAGES, Vm

BEGIN, COMMIT, ABORT = u8(10), u8(11), u8(12)
NEXT_DIRTY = u8(22) + u8(0) + u8(1) + u8(0)
READER_ENTERS = u8(9) + u8(1)
NEW_MAP = u8(SLOTS) + u8(0) + u8(0)
PLACE = {"size": 0x4000, "hva": 0x10000}
LOGGED = SetRegion(slot=1, flags=LOG_DIRTY_PAGES, gpa=0x2000, **PLACE)
NAMES = {
    SLOTS: "set_region create_guest_memfd get_dirty_log clear_dirty_log enable_manual_protect enable_dirty_ring access "
    "lookup find_slot slots observe hva_range lookup_hva next_slot next_dirty slots_translate begin commit abort",
    TABLE: "add remove remove_range replace translate segments table_lookup entries",
    DEVICE: "set_owner reset_owner set_features set_backend_features set_mem_table add_region remove_region "
    "device_remove_range write read device_translate observe",
}
MAKERS = {"map", "table", "device"}
NUMBER = re.compile(r"(0x[0-9a-f]+|-?\d+)$")


@pytest.fixture(scope="module")
def program() -> fuzz_build.Program:
    return fuzz_program()


def told(program: fuzz_build.Program, tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "input"
    path.write_bytes(content)
    return account(program, path)


def slots(*parts: bytes | SetRegion | GetDirtyLog | Observe) -> bytes:
    return NEW_MAP + b"".join(part if isinstance(part, bytes) else operation(part) for part in parts)


@pytest.mark.slow
def test_a_reader_that_is_inside_at_the_end_is_no_second_map(program: fuzz_build.Program, tmp_path: Path) -> None:
    text = told(program, tmp_path, slots(LOGGED, READER_ENTERS))
    assert "\ninside\n" in text
    assert replay(text, SPEC).compared == 1
    lines = text.splitlines()
    inside = lines.index("inside")
    slot = next(k for k in range(inside, len(lines)) if lines[k].startswith("  slot "))
    del lines[slot]
    with pytest.raises(Differs, match=r"the spec says \[\{.*the fuzzer \[\]"):
        replay("\n".join(lines), SPEC)


@pytest.mark.slow
def test_an_input_that_libfuzzer_does_twice_counts_once(program: fuzz_build.Program, tmp_path: Path) -> None:
    text = told(program, tmp_path, slots(LOGGED, Observe()))
    first = "\n".join(text.splitlines()[: text.splitlines().index("end") + 1])
    for whole in (text, f"{text}\n{text}"):
        done = replay(whole, SPEC)
        assert (done.told, done.compared, dict(done.left)) == (3, 2, {"map": 1})
    assert first.count("set_region") == 1


def operations_by_chance(subject: int, number: int) -> Iterator[bytes]:
    """As the fuzzer begins: mostly operations that it has, in no sense."""
    random = Random(subject + 1)
    if subject == SLOTS:
        yield slots(LOGGED, access(0x2000, 1, True), NEXT_DIRTY)
    for _ in range(number):
        limit = b"\x40\x00" if subject == TABLE else b""
        start = u8(subject) + u8(random.randrange(4)) + limit + u8(0)
        yield start + random.randbytes(random.randrange(100, 300))


@pytest.mark.slow
@pytest.mark.parametrize("subject", NAMES)
def test_everything_that_is_told_is_compared(subject: int, program: fuzz_build.Program, tmp_path: Path) -> None:
    """And each number that was answered matters: another one is seen."""
    done = Replay()
    names: set[str] = set()
    spoiled: set[str] = set()
    unanswered = 0
    for content in operations_by_chance(subject, 40):
        text = told(program, tmp_path, content)
        done.add(replay(text, SPEC))
        told_of = [one for one in operations_in(text) if one.is_operation]
        names |= {one.name for one in told_of}
        unanswered += sum(one.name == "set_region" and one.answer is None for one in told_of)
        for name, changed in changes(text, spoiled):
            with pytest.raises(Differs):
                pytest.fail(f"{name} is not compared: {replay(changed, SPEC)}")
            spoiled.add(name)
    assert set(NAMES[subject].split()) <= names
    assert done.left["set_region"] == unanswered  # more memory than there is
    assert set(done.left) <= MAKERS | {"set_region"} and done.compared > 300
    assert set(NAMES[subject].split()) <= spoiled


def changes(text: str, known: set[str]) -> Iterator[tuple[str, str]]:
    """The account with the last number under an operation changed, for operations that are not known yet."""
    lines = text.splitlines()
    lines = lines[: lines.index("end") + 1] if "end" in lines else []
    name = ""
    for number, line in enumerate(lines):
        if not line.startswith(" "):
            name = line.split(" ")[0]
        found = NUMBER.search(line)
        after = lines[number + 1] if number + 1 < len(lines) else ""
        if found is None or not line.startswith(" ") or after.startswith(" ") or "memory failed" in line:
            continue
        if name in known | MAKERS or line.startswith(("  segment first=0x7 last=0x7", "  range slot=0xee")):
            continue
        if name == "clear_dirty_log" and lines[number - 1].startswith("unreadable"):
            continue
        known = known | {name}
        other = int(found[1], 0) ^ 1 if found[1].startswith("0x") else -5 if int(found[1]) >= 0 else -99
        changed = f"{line[: found.start()]}{other:#x}" if found[1].startswith("0x") else f"  = {other}"
        yield name, "\n".join([*lines[:number], changed, *lines[number + 1 :]])


# Transactions -------------------------------------------------------------------------------------------------------

IN_TRANSACTIONS = {
    "the log goes on while its slot is moved": (
        (LOGGED, access(0x2000, 1, True), BEGIN, replace(LOGGED, gpa=0x8000)),
        (access(0x3000, 1, True), COMMIT, GetDirtyLog(slot=1), Observe()),
    ),
    "the log is read meanwhile": (
        (LOGGED, access(0x2000, 1, True), BEGIN, replace(LOGGED, gpa=0x8000)),
        (GetDirtyLog(slot=1), COMMIT, GetDirtyLog(slot=1), Observe()),
    ),
    "a log that was off and on is another": (
        (LOGGED, access(0x2000, 1, True), BEGIN, replace(LOGGED, flags=0), LOGGED),
        (access(0x3000, 1, True), Observe(), COMMIT, GetDirtyLog(slot=1), Observe()),
    ),
    "a slot that was deleted and made": (
        (LOGGED, access(0x2000, 1, True), BEGIN, replace(LOGGED, size=0), LOGGED),
        (access(0x3000, 1, True), Observe(), COMMIT, GetDirtyLog(slot=1), Observe()),
    ),
    "what is taken back": (
        (LOGGED, BEGIN, replace(LOGGED, size=0), replace(LOGGED, slot=2), BEGIN),
        (access(0x3000, 1, True), ABORT, ABORT, COMMIT, GetDirtyLog(slot=1), Observe()),
    ),
    "a change that is refused leaves those before it": (
        (LOGGED, BEGIN, replace(LOGGED, gpa=0x8000), replace(LOGGED, slot=2, gpa=0x9000), replace(LOGGED, slot=3)),
        (replace(LOGGED, slot=4, size=5), COMMIT, Observe()),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_TRANSACTIONS)
def test_a_transaction_is_followed(name: str, program: fuzz_build.Program, tmp_path: Path) -> None:
    before, after = IN_TRANSACTIONS[name]
    text = told(program, tmp_path, slots(*before, *after))
    done = replay(text, SPEC)
    assert done.compared == len(before) + len(after)


def committed_without_what_was_written(draft: Draft, published: Vm) -> Vm:
    return replace(published, slots=draft.vm.slots)


def as_if_all_logs_went_on(draft: Draft, vm: Vm) -> Draft:
    return Draft(vm, draft.heirs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "wrong", "name"),
    [
        ("committed", committed_without_what_was_written, "the log goes on while its slot is moved"),
        ("committed", committed_without_what_was_written, "the log is read meanwhile"),
        ("with_change", as_if_all_logs_went_on, "a log that was off and on is another"),
        ("with_change", as_if_all_logs_went_on, "a slot that was deleted and made"),
        ("with_change", lambda draft, vm: draft, "a change that is refused leaves those before it"),
    ],
)
def test_a_transaction_followed_wrongly_is_seen(
    method: str,
    wrong: object,
    name: str,
    program: fuzz_build.Program,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, after = IN_TRANSACTIONS[name]
    text = told(program, tmp_path, slots(*before, *after))
    monkeypatch.setattr(Draft, method, wrong)
    with pytest.raises(Differs):
        replay(text, SPEC)


# Accounts that are not understood -------------------------------------------------------------------------------------

MAP = (
    "new slots\nmap user_slots=0x1 address_spaces=0x1 user_limit=0x7ffffffff000 last_gfn=0xffffffffffffffff "
    "dirty_ring=0x0 smallest_dirty_ring=0x0 largest_block=0x0\n  = 0\n"
)


def test_an_account_is_understood_to_its_last_line() -> None:
    done = replay(f"INFO: chatter\n{MAP}reader enters\ncommit\n  = -22\nend\nExecuted in 0 ms\n", SPEC)
    assert (done.told, done.compared) == (2, 1)
    for text in (
        "INFO: chatter\n",
        MAP,
        f"{MAP}commit\n  = -22\n",
        f"{MAP}frobnicate slot=0x1\n  = 0\nend\n",
        f"{MAP}commit\n  = -22\nsomething else is said\nend\n",
        f"{MAP}commit\n  = -22\n  detail without a number\nend\n",
    ):
        with pytest.raises(Unreadable):
            replay(text, SPEC)


def test_a_configuration_that_was_refused_is_told_alone() -> None:
    refused = MAP.replace("  = 0\n", "  = -22\n")
    for text in (refused, f"{refused}Executed in 0 ms\n"):
        done = replay(text, SPEC)
        assert (done.told, done.compared, dict(done.left)) == (1, 0, {"map": 1})


def test_what_the_spec_says_and_what_the_fuzzer_says_are_not_mixed_up() -> None:
    with pytest.raises(Differs, match="the spec says EINVAL, the fuzzer None"):
        replay(f"{MAP}commit\n  = 0\nend\n", SPEC)
    with pytest.raises(Differs, match=r"the spec says \[\], the fuzzer \[\{'slot': 0"):
        replay(f"{MAP}end\n  slot slot=0x0 flags=0x0 first=0x0 last=0xfff host=0x0 logged=0\n", SPEC)
