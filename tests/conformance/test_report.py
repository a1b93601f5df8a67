"""What people and scripts are told at the end of a check."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

import conformance.cli
from conformance.cli import main
from conformance.conclusion import conclusion
from conformance.report import print_reports, reports_json
from conformance.runner import Report
from conformance.target import Environment
from conformance.verdict import NOT_RUN, PASSED, UNEXPLAINED, Difference, Judgement
from spec.profile import Profile

BAD = Path(__file__).parent / "bad_adapter.py"


def gpaspec(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def judged(verdict: str, reason: str = "", number: int = 0, **more: Any) -> Judgement:
    return Judgement(f"{number:012x}", "KVM.SLOT.SIZE", ("KVM.SLOT.SIZE",), verdict, reason, **more)


def report(target: str, *judgements: Judgement, **more: Any) -> Report:
    usual: dict[str, Any] = {"judgements": list(judgements) or [judged(PASSED)], "finished": True}
    return Report(target, len(judgements) or 1, **{**usual, **more})


def printed(*reports: Report, **more: Any) -> str:
    text = io.StringIO()
    print_reports(Console(file=text, width=140), reports, **more)
    return text.getvalue()


# The conclusion --------------------------------------------------------------------------------------------------

GOOD = report("good")
BROKEN = report("broken", judged(UNEXPLAINED, "errored: x"))
ENDED = report("ended", failure="it ended", finished=False)
ABSENT = report("absent", unavailable="no device", finished=False)
OUTDATED = report("outdated", stale=["one passes now"])


@pytest.mark.parametrize(
    ("reports", "code", "sentence"),
    [
        ([GOOD], 0, "conforms: good"),
        ([GOOD, BROKEN], 1, "does not conform: broken; conforms: good"),
        ([BROKEN, ENDED, GOOD], 2, "not judged: ended; does not conform: broken; conforms: good"),
        ([OUTDATED, GOOD], 3, "conforms, but its list of known deviations is stale: outdated; conforms: good"),
        (
            [OUTDATED, BROKEN],
            1,
            "does not conform: broken; conforms, but its list of known deviations is stale: outdated",
        ),
        ([GOOD, ABSENT], 0, "conforms: good; not judged: absent"),
        ([ABSENT], 2, "not judged: absent"),
        ([], 2, "nothing was judged"),
    ],
)
def test_the_last_line_says_what_the_status_says(reports: list[Report], code: int, sentence: str) -> None:
    result = conclusion(reports, optional=("absent",))
    assert (result.exit_code, result.sentence) == (code, sentence)


def test_other_findings_count_like_a_target_that_does_not_conform() -> None:
    result = conclusion([GOOD], wrong=["the vectors are not as generated"])
    assert (result.exit_code, result.sentence) == (1, "the vectors are not as generated; conforms: good")
    assert conclusion([ENDED], wrong=["the vectors are not as generated"]).exit_code == 2


@pytest.mark.slow
def test_a_check_ends_with_its_conclusion(tmp_path: Path) -> None:
    result = gpaspec("check", "spec", "x=/bin/false", "--family", "KVM.RING", "--out", str(tmp_path))
    assert result.exit_code == 2
    last = result.output.splitlines()[-1]
    assert last.startswith("not judged: x; conforms: spec (") and last.endswith(" vectors)")


@pytest.mark.slow
def test_json_has_the_conclusion(tmp_path: Path) -> None:
    result = gpaspec("check", "spec", "--family", "KVM.RING", "--out", str(tmp_path), "--json")
    document = json.loads(result.output)
    assert document["exit_code"] == 0 and document["sentence"].startswith("conforms: spec")


# Who it was ------------------------------------------------------------------------------------------------------


def test_each_target_is_named_with_its_build_and_unusual_switches() -> None:
    facts = {"kernel": "6.1.0 #1 SMP Debian 6.1.192-2", "page_size": "4096"}
    profile = Profile(user_slots=509, max_gfn=None)
    text = printed(report("linux-6.1", environments=[Environment("linux-6.1", "6.1.0", profile, (), facts)]))
    assert "linux-6.1 6.1.0 #1 SMP Debian 6.1.192-2; profile: user_slots=509, max_gfn=null\n" in text, text
    text = printed(report("c", environments=[Environment("c", "2", Profile(), ())]))
    assert "c version 2; profile: the default\n" in text


# What is wrong ---------------------------------------------------------------------------------------------------


def test_contradictions_are_shown() -> None:
    one = report("linux-own-bzImage")
    one.contradictions = ["announces 32764 slots, takes 32765 [really]"]  # type: ignore[attr-defined,unused-ignore]
    assert "linux-own-bzImage contradicts itself: announces 32764 slots, takes 32765 [really]" in printed(one)
    assert reports_json([one])["targets"][0]["contradictions"] == ["announces 32764 slots, takes 32765 [really]"]


def test_what_is_not_compared_is_said() -> None:
    """Also what only one of several instances cannot show; a target that shows everything has nothing to say."""
    seeing = Environment("x", "1", Profile(), ())
    blind = Environment("x", "1", Profile(), (), {"not_compared": "how warm it is [really]"}, (), ("Blocked", "errno"))
    said = [
        "whether a queue waits for what it may not reach: it does so in silence",
        "the errno of an error: it gives none that can be read",
        "how warm it is [really]",
    ]
    one = report("x", environments=[seeing, blind])
    assert reports_json([one])["targets"][0]["not_compared"] == said
    for sentence in said:
        assert f"x: not compared: {sentence}\n" in printed(one)
    assert "not compared" not in printed(report("x", environments=[seeing]))


def test_the_way_to_more_can_be_followed() -> None:
    difference = Difference(0, {"done": True}, {"error": "ENOMEM"})
    bad = report("mylib", *(judged(UNEXPLAINED, number=n, differences=(difference,)) for n in range(3)))
    text = printed(bad, most=2, out=Path("elsewhere"), options=" --out elsewhere")
    assert "… and 1 more: see elsewhere/results/mylib.jsonl" in text
    assert "gpaspec explain 000000000000 --target mylib --out elsewhere " in text


def test_all_reasons_are_in_json_and_most_in_print() -> None:
    skipped = [judged(NOT_RUN, f"reason {n}", n * 10 + m) for n in range(6) for m in range(n + 1)]
    one = report("mylib", judged(PASSED, number=999), *skipped)
    assert reports_json([one])["targets"][0]["not_run_reasons"] == {f"reason {n}": n + 1 for n in reversed(range(6))}
    assert "mylib: not run: 6 reason 5; 5 reason 4; 4 reason 3; 3 reason 2; and 2 other reasons" in printed(one)


@pytest.mark.slow
def test_what_a_target_says_is_printed_as_it_is(tmp_path: Path) -> None:
    command = f"example={sys.executable} {BAD} 'markup in a trace'"
    result = gpaspec("check", command, "--out", str(tmp_path))
    assert result.exit_code == 1 and "[/dev/kvm] is [bold]gone" in result.output
    for what in (
        printed(report("x", judged(NOT_RUN, "no [/dev/kvm]"))),
        printed(report("x", unavailable="no [/dev/kvm]")),
        printed(report("x", failure="no [/dev/kvm]")),
        printed(report("x", stale=["no [/dev/kvm]"])),
        printed(report("x", environments=[Environment("x", "no [/dev/kvm]", Profile(), ())])),
    ):
        assert "no [/dev/kvm]" in what


# When this program is wrong --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_bug_of_ours_is_status_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: Any, **__: Any) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr(conformance.cli, "print_reports", bug)
    arguments = ["check", "spec", "--family", "KVM.RING", "--out", str(tmp_path)]
    result = gpaspec(*arguments)
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert "the harness has a bug, and nothing is judged: IndexError: list index out of range" in result.output
    result = gpaspec("--debug", *arguments)
    assert result.exit_code == 2 and "Traceback" in result.output


def test_a_number_that_is_too_long_to_read_is_status_2(tmp_path: Path) -> None:
    (tmp_path / "kvm-slot.json").write_text('{"format":' + "1" * 5000 + "}")
    result = gpaspec("check", "spec", "--vectors", str(tmp_path), "--out", str(tmp_path / "out"))
    assert result.exit_code == 2 and "Traceback" not in result.output
