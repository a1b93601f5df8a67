"""Random operations: a wrong target is found, the finding is made short and kept; only what is known is passed over."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from conformance import fuzz, shrink
from conformance.cli import main
from conformance.files import load_file
from conformance.fuzz import ANY, KERNEL, MAPS, SOURCE, Budget, Finding, Stream, Tally
from conformance.generate.vhost.random_requests import sequence
from conformance.known import KNOWN, known_here
from conformance.registry import SpecTarget
from conformance.target import Answer, Crashed, Environment, Results, Skipped, Trial
from conformance.verdict import agrees
from spec.outcome import MapsView, Outcome, Rejected
from spec.profile import Profile
from spec.step import all_rules, step
from spec.vhost.device import ACCESS_PLATFORM, NEW_DEVICE, VERSION_1
from spec.vhost.features import SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import INVALIDATE, WriteMessage
from spec.vhost.owner import SetOwner
from spec.vhost.translate import Translate

PROFILE = Profile()


class Forgetful(SpecTarget):
    """The specification, but it shows no entry of an IOTLB that begins at an odd page, and dies of a large table."""

    name = "spec"

    def run(self, trials: Sequence[Trial]) -> Iterator[Answer]:
        for trial, answer in zip(trials, super().run(trials), strict=True):
            assert isinstance(answer, Results)
            if any(isinstance(one, SetMemTable) and len(one.regions) > 16 for one in trial.requests):
                yield Crashed(trial.id, "out of memory")
                continue
            yield Results(trial.id, tuple(map(self.shown, answer.steps)))

    def shown(self, result: Any) -> Any:
        if not isinstance(result, MapsView) or result.iotlb is None:
            return result
        return replace(result, iotlb=tuple(one for one in result.iotlb if one.first // 4096 % 2 == 0))


@pytest.fixture(autouse=True)
def nothing_started() -> Iterator[None]:
    fuzz.stop_all()
    yield
    fuzz.stop_all()


def wrong(profile: Profile = PROFILE) -> Stream:
    """A stream with a target that is wrong under the name of the specification."""
    target = Forgetful(profile)
    target.start()
    fuzz.STARTED["spec", profile] = target
    return Stream(MAPS, profile, ("spec",))


@pytest.mark.slow
def test_models_and_library_do_as_specified() -> None:
    names = fuzz.names_meant(("spec", "model", "c"))
    streams = fuzz.streams(names, {}, memslots=False)
    tally = fuzz.run(streams, 3, Budget(3_000), jobs=2)
    assert tally.findings == []
    assert all(tally.compared[name] >= 3_000 for name in names)
    assert not tally.skipped


@pytest.mark.slow
def test_memslots_too() -> None:
    streams = fuzz.streams(fuzz.names_meant(("model", "c")), {}, memslots=True)
    tally = fuzz.run(streams, 3, Budget(500), jobs=1)
    assert tally.findings == [] and tally.compared["model-array"] > 0 and tally.compared["c"] > 0


def test_a_wrong_target_is_found_and_the_finding_is_made_short() -> None:
    stream = wrong()
    found = [one for one in fuzz.run_chunk(stream, range(60)).findings if not one.trouble]
    assert found
    short = shrink.shrunk(found[0])
    assert len(short.requests) <= 4, short.requests
    assert short.step == len(short.requests) - 1
    assert shrink.shows(stream, "spec", 0, short.requests) is not None
    for index in range(len(short.requests) - 1):
        assert shrink.shows(stream, "spec", 0, short.requests[:index] + short.requests[index + 1 :]) is None


def test_a_crash_is_a_finding() -> None:
    stream = wrong()
    table = SetMemTable(regions=tuple(Region(page * 4096, 4096, 2**44) for page in range(17)))
    finding = shrink.shows(stream, "spec", 0, (SetOwner(), table))
    assert finding is not None and finding.trouble == "crashed: out of memory"


def test_a_finding_is_kept_as_a_vector_that_can_be_read_again(tmp_path: Path) -> None:
    from conformance.fuzzing import kept

    stream = wrong()
    found = next(one for one in fuzz.run_chunk(stream, range(60)).findings if not one.trouble)
    short, path = kept(shrink.shrunk(found), tmp_path)
    (vector,) = load_file(path).vectors
    assert tuple(one.request for one in vector.steps) == short.requests
    assert vector.seed == found.seed


def test_the_same_seed_asks_the_same() -> None:
    for kind in (ANY, MAPS, KERNEL):
        stream = Stream(kind, PROFILE, ("linux-6.1",) if kind == KERNEL else ("spec",))
        assert fuzz.requests_of(stream, 5) == fuzz.requests_of(stream, 5) != fuzz.requests_of(stream, 6)


def test_each_target_has_its_share() -> None:
    streams = fuzz.streams(fuzz.names_meant(("model", "c")), {}, memslots=False)
    for name in ("model-tree", "model-array", "c"):
        assert sum(fuzz.share(one, streams, 10_000) for one in streams if name in one.targets) >= 10_000


def outcome_after(*requests: Any) -> tuple[Any, Any, Outcome]:
    """The state before the last request, that request, and its outcome."""
    state: Any = NEW_DEVICE
    for request in requests[:-1]:
        state, _ = step(PROFILE, state, request)
    return state, requests[-1], step(PROFILE, state, requests[-1])[1]


def known(target: str, *requests: Any) -> str:
    """The id of the situation that the last request shows a target, or nothing."""
    found = known_here((target,), PROFILE, *outcome_after(*requests))
    return found[target].id if found else ""


def test_known_situations_are_those_and_no_others() -> None:
    ready = (SetOwner(), SetFeatures(VERSION_1 + ACCESS_PLATFORM))
    last = WriteMessage(kind=INVALIDATE, iova=2**64 - 1, size=1)
    assert known("linux-6.1", *ready, last) == ""
    assert known("linux-6.1", *ready, replace(last, size=2)) == "an-invalidation-that-wraps-takes-nothing"
    assert known("linux-source-6.1", *ready, replace(last, size=0)) == "an-empty-invalidation-takes-entries"
    assert known("c", *ready, replace(last, size=0)) == "", "only kernels"
    assert known("linux-6.1", *ready, WriteMessage(size=0)) == ""
    assert known("linux-5.10", *ready, WriteMessage(size=0)) == "an-empty-update"
    assert known("linux-6.1", Translate(addr=2**64 - 1, length=1)) == ""
    assert known("linux-6.1", Translate(addr=2**64 - 1, length=2)) == "a-descriptor-that-wraps-asks-for-a-miss"


def test_every_situation_has_a_rule_that_exists_and_comes_in_random_sequences_or_in_vectors() -> None:
    rules = {rule.id for rule in all_rules()}
    assert all(one.rule in rules for one in KNOWN)
    assert len({one.id for one in KNOWN}) == len(KNOWN)


def test_nothing_is_said_from_a_known_situation_on() -> None:
    stream = Stream(KERNEL, PROFILE, ("linux-6.1",))
    requests = (SetOwner(), SetFeatures(VERSION_1 + ACCESS_PLATFORM), WriteMessage(kind=INVALIDATE), SetOwner())
    outcomes, ends = fuzz.expected(stream, requests)
    assert ends == {"linux-6.1": (2, "an-empty-invalidation-takes-entries")}
    assert isinstance(outcomes[3], Rejected)


def test_sequences_are_kept_away_from_what_is_known() -> None:
    stream = Stream(KERNEL, PROFILE, ("linux-5.10",))
    for seed in range(1, 10):
        assert fuzz.expected(stream, fuzz.requests_of(stream, seed))[1] == {}


@pytest.mark.slow
def test_the_command_says_what_it_compared_and_ends_with_0() -> None:
    done = CliRunner().invoke(main, ["fuzz", "model-tree", "--operations", "600", "--seed", "4", "--json"])
    assert done.exit_code == 0, done.output
    (entry,) = json.loads(done.output)["targets"]
    assert entry["compared"] >= 600 and entry["unexplained"] == 0


@pytest.mark.slow
def test_the_command_ends_with_1_and_a_vector_where_a_target_does_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuzz, "make_target", lambda name, profile: Forgetful(profile))
    done = CliRunner().invoke(main, ["fuzz", "spec", "--operations", "4000", "--out", str(tmp_path), "--jobs", "1"])
    assert done.exit_code == 1, done.output
    assert "does otherwise" in done.output and "observe_maps" in done.output
    assert list((tmp_path / "fuzz").glob("*.json"))


@pytest.mark.slow
def test_what_was_compared_before_an_interruption_is_kept() -> None:
    def interrupt(operations: int) -> None:
        raise KeyboardInterrupt

    tally = fuzz.run([Stream(ANY, PROFILE, ("spec",))], 1, Budget(20_000), jobs=1, advance=interrupt)
    assert tally.interrupted and 0 < tally.compared["spec"] < 20_000


class Reluctant(SpecTarget):
    """The specification, which does not answer one sequence in five."""

    def run(self, trials: Sequence[Trial]) -> Iterator[Answer]:
        for number, answer in enumerate(super().run(trials)):
            yield Skipped(answer.id, "not today") if number % 5 == 0 else answer


@pytest.mark.slow
def test_a_target_that_skips_much_has_shown_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "make_target", lambda name, profile: Reluctant(profile))
    asked = ["fuzz", "spec", "--operations", "4000", "--out", str(tmp_path), "--jobs", "1"]
    done = CliRunner().invoke(main, [*asked, "--json"])
    said = json.loads(done.output)
    assert done.exit_code == said["exit_code"] == 2, done.output
    assert "spec skipped" in said["too_little"][0] and "not today" in said["too_little"][0]
    assert "too little to say anything" in CliRunner().invoke(main, asked).output


@pytest.mark.slow
def test_it_is_told_what_devices_did() -> None:
    stream = Stream(SOURCE, PROFILE, ("spec",))
    told = fuzz.run_chunk(stream, range(60)).events["spec"]
    assert min(told[one] for one in ("sent", "received", "missed", "broken", "discarded", "marked")) > 0


@pytest.mark.slow
def test_5_10_is_asked_with_an_iotlb_too() -> None:
    stream = Stream(KERNEL, PROFILE, ("linux-5.10",))
    missed = 0
    for seed in range(1, 31):
        outcomes, known = fuzz.expected(stream, requests := fuzz.requests_of(stream, seed))
        missed += fuzz.events_of(outcomes[: known.get("linux-5.10", (len(requests), ""))[0]])["missed"]
    assert missed > 10


def test_a_name_that_is_no_target_is_a_clear_error() -> None:
    done = CliRunner().invoke(main, ["fuzz", "nothing"])
    assert done.exit_code == 2 and "there is no target 'nothing'" in done.output


def test_the_spec_itself_agrees_with_what_is_generated() -> None:
    """What `judged` compares is not itself: an outcome of another step differs."""
    requests = sequence(PROFILE, 1)
    outcomes, _ = fuzz.expected(Stream(ANY, PROFILE, ("spec",)), requests)
    tally = Tally()
    results = Results("1", tuple(outcomes))
    fuzz.judged(Stream(ANY, PROFILE, ("spec",)), 1, "spec", requests, outcomes, results, tally)
    assert tally.compared["spec"] == len(requests) and not tally.findings
    shifted = Results("1", (*outcomes[1:], outcomes[0]))
    fuzz.judged(Stream(ANY, PROFILE, ("spec",)), 1, "spec", requests, outcomes, shifted, tally)
    (finding,) = tally.findings
    assert isinstance(finding, Finding) and not agrees(requests[finding.step], outcomes[finding.step], finding.seen)  # type: ignore[arg-type]


def test_environment_of_the_wrong_target_is_the_specifications() -> None:
    assert isinstance(Forgetful(PROFILE).start(), Environment)
