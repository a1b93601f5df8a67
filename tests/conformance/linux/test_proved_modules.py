"""The code of shipped modules equals the model; and code with a planted bug does not, as a case shows."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from conformance.cli import main
from conformance.targets.linux.proved.layout import TABLE_5_10, Layout, from_table
from conformance.targets.linux.proved.modules import CANNOT, DIFFERS, EQUAL, Subject, Verdict, judge, subjects_of
from conformance.targets.linux.proved.search import FIRST, NEXT, Search
from conformance.targets.linux.proved.translation import NAME
from tests.conformance.linux.proving import VERSIONS, Line, judged, listing, module

# EQUAL -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_the_search_equals_the_model(version: str) -> None:
    for function in (FIRST, NEXT):
        verdict = judged("vhost_iotlb", version, function)
        assert verdict.status == EQUAL, verdict
        assert verdict.model == ("leftmost_below" if float(version) < 7 else "leftmost_surely_below")


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_the_loop_that_translates_equals_the_model(version: str) -> None:
    verdict = judged("vhost", version, NAME)
    assert verdict.status == EQUAL, verdict
    [found] = verdict.relations.values()
    assert {"done < length", "used < room", "rsi = addr", "rdi = the map in use"} <= set(found)


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def search(version: str, function: str) -> list[Line]:
    return listing("vhost_iotlb", version, function)


@pytest.mark.slow
@pytest.mark.parametrize(("version", "function"), [("6.1", FIRST), ("7.2", FIRST), ("6.1", NEXT), ("7.2", NEXT)])
def test_no_comparison_of_the_search_may_be_another(version: str, function: str) -> None:
    """All show, but one that shows only for a colour that no node has: `cmp $3,...` asks for the parent."""
    found, before = {}, Line(0, b"", "")
    for one in search(version, function):
        if one.strict() is not None:
            found[one, before.words.endswith(",0x3")] = judged(
                "vhost_iotlb", version, function, {(function, one.at): one.strict()}
            )
        before = one
    assert sum(is_shown_by_no_tree for _, is_shown_by_no_tree in found) == (function == NEXT)
    assert len(found) >= 5
    for (place, is_shown_by_no_tree), verdict in found.items():
        assert verdict.status != EQUAL if is_shown_by_no_tree else verdict.status == DIFFERS, (place, verdict)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["6.1", "7.2"])
@pytest.mark.parametrize("field", ["first", "last", "summary"])
def test_no_field_of_the_search_may_be_another(version: str, field: str) -> None:
    layout = module("vhost_iotlb.ko", version)[2]
    mine, other = layout.offset(f"entry.{field}"), layout.offset("entry.last" if field == "first" else "entry.first")
    wrong = [one for one in search(version, FIRST) if one.words.startswith("CMP") and one.looks_at(mine)]
    assert wrong
    for one in wrong:
        verdict = judged("vhost_iotlb", version, FIRST, {(FIRST, one.at): one.with_distance(mine, other)})
        assert verdict.status == DIFFERS and verdict.case, verdict


# Where a bug is planted in the translation, and what is there then. Each is found by what it is, in any build.
Planted = tuple[Line, bytes]


def the_first(lines: Sequence[Line], pattern: str) -> int:
    """The number of the first instruction that reads like this."""
    return next(at for at, one in enumerate(lines) if re.match(pattern, one.words))


def with_an_entry(lines: Sequence[Line], layout: Layout) -> Sequence[Line]:
    """From the first look at an entry's first byte on."""
    return lines[next(at for at, one in enumerate(lines) if one.looks_at(layout.offset("entry.first"))) :]


def left_out(lines: Sequence[Line], layout: Layout) -> Planted:
    """The jump behind that."""
    place, code = next((one, one.strict()) for one in with_an_entry(lines, layout) if one.strict() is not None)
    assert code is not None
    return place, code


def another_errno(lines: Sequence[Line], layout: Layout) -> Planted:
    """-EPERM is moved somewhere: -EINTR in its place."""
    place = lines[the_first(lines, r"MOV R?\w+,0xffffffff$")]
    return place, place.code.removesuffix(b"\xff\xff\xff\xff") + b"\xfc\xff\xff\xff"


def lesser(lines: Sequence[Line]) -> int:
    """Where the lesser of two lengths is taken: a move that depends on a comparison."""
    return the_first(lines, r"CMOV")


def not_counted(lines: Sequence[Line], layout: Layout) -> Planted:
    """The sum of two registers that follows: the bytes done."""
    after = lines[lesser(lines) :]
    place = after[the_first(after, r"ADD R\w+,R\w+$")]
    return place, place.nothing()


def another_host(lines: Sequence[Line], layout: Layout) -> Planted:
    """The look at an entry's host address: at its size in place of it."""
    host, size = layout.offset("entry.host"), layout.offset("entry.size")
    after = with_an_entry(lines, layout)
    place = next(one for one in after if one.looks_at(host) and re.match(r"(MOV|ADD) R", one.words))
    return place, place.with_distance(host, size)


def the_longer(lines: Sequence[Line], layout: Layout) -> Planted:
    place = lines[lesser(lines)]
    where = place.code.index(b"\x0f") + 1
    opposite = {0x47: 0x42, 0x42: 0x47, 0x46: 0x43, 0x43: 0x46}[place.code[where]]
    return place, place.code[:where] + bytes([opposite]) + place.code[where + 1 :]


TRANSLATION = {  # what is wrong: where and how, and what is said
    "an entry that begins at the byte is left out": (left_out, ""),
    "EPERM becomes EINTR": (another_errno, "another number is returned"),
    "the bytes done are not counted": (not_counted, ""),
    "the host address is that of the size": (another_host, "the segment's host is another"),
    "the longer of two lengths is taken": (the_longer, ""),
}


@pytest.mark.slow
@pytest.mark.parametrize("version", ["5.10", "6.1", "7.2"])
@pytest.mark.parametrize("bug", TRANSLATION)
def test_a_planted_bug_in_the_translation_is_shown(bug: str, version: str) -> None:
    plant, said = TRANSLATION[bug]
    place, code = plant(listing("vhost", version, NAME), module("vhost.ko", version)[2])
    assert len(code) == len(place.code) and code != place.code
    verdict = judged("vhost", version, NAME, {(NAME, place.at): code})
    assert verdict.status == DIFFERS and verdict.case and said in verdict.sentence, (place, verdict)


# CANNOT ----------------------------------------------------------------------------------------------------------


def with_table(subject: Subject, table: dict[str, int]) -> Verdict:
    _, file, _ = module("vhost_iotlb.ko", "5.10")
    return judge(subject, file, from_table("a table", table), deviations=False)


@pytest.mark.slow
def test_a_wrong_table_of_fields_is_noticed() -> None:
    [subject] = subjects_of("vhost_iotlb", FIRST)
    swapped = {**TABLE_5_10, "entry.first": TABLE_5_10["entry.last"], "entry.last": TABLE_5_10["entry.first"]}
    assert with_table(subject, swapped).status in (DIFFERS, CANNOT)
    assert with_table(subject, {**TABLE_5_10, "entry.left": 0x18}).status == CANNOT


def test_a_model_that_leaves_out_a_case_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = Search.ways
    monkeypatch.setattr(Search, "ways", lambda self, step: ways(self, step)[1:])
    verdict = judged("vhost_iotlb", "5.10", FIRST)
    assert verdict.status == CANNOT and "the model says nothing of some case" in verdict.sentence, verdict


def test_a_module_without_its_kernel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vhost_iotlb.ko").write_bytes(module("vhost_iotlb.ko", "6.1")[0].module.image)
    command = ["prove", "--module", str(tmp_path / "vhost_iotlb.ko"), "--json", "--out", str(tmp_path)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2
    [found] = json.loads(done.output)["modules"]
    assert all(one["status"] == CANNOT and "--kernel VERSION" in one["sentence"] for one in found["functions"])


def test_the_command_says_what_is_equal(tmp_path: Path) -> None:
    module("vhost_iotlb.ko", "5.10")
    command = ["prove", "--module", "vhost_iotlb.ko", "--kernel", "5.10", "--function", FIRST, "--out", str(tmp_path)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("equal   vhost_iotlb.ko vhost_iotlb_itree_first")
    kept = json.loads((tmp_path / "prove-modules.json").read_text())
    assert kept["modules"][0]["functions"][0]["status"] == EQUAL


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--module", "vhost_iotlb.ko"], "give the path, or --kernel 6.1"),
        (["--module", "/nowhere/vhost.ko"], "there is no file /nowhere/vhost.ko"),
        (["--module", "tun.ko", "--kernel", "6.1"], "has no function that is compared"),
        (["--kernel", "6.1"], "go with --module"),
    ],
)
def test_a_wrong_command_is_one_sentence(arguments: list[str], said: str) -> None:
    module("vhost_iotlb.ko", "6.1")
    done = CliRunner().invoke(main, ["prove", *arguments])
    assert done.exit_code == 2 and said in done.output.replace("\n", " ")
