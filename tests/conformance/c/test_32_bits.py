"""The library where pointers and sizes have 32 bits: the test programs, the vectors, and random requests."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from random import Random

import pytest

from conformance.files import load_vectors
from conformance.registry import LIBRARY_PROFILES
from conformance.runner import Plan, run_plan
from conformance.target import Crashed, Results, Trial
from conformance.targets.c import build
from conformance.targets.c.target import LIBRARY_PROFILE, CInProcess
from spec.memslots.access import VcpuWrite
from spec.memslots.lookup import Observe
from spec.memslots.set_region import SetRegion
from spec.outcome import Slots
from spec.profile import Profile
from spec.units import PAGE_SIZE

from .compilers import THIRTY_TWO, need, said
from .device_requests import DeviceRequests
from .planted import bug, planted_base
from .player import Player
from .requests import Requests

pytestmark = pytest.mark.slow
__test__ = bool(THIRTY_TWO)  # other processors have no programs of both kinds

PROGRAMS = Path(__file__).parent / "programs"
SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=all"


@pytest.mark.parametrize("cc", THIRTY_TWO)
@pytest.mark.parametrize("options", ["-O2", f"-O1 {SANITIZERS}"], ids=["fast", "sanitized"])
@pytest.mark.parametrize("name", ["transactions", "allocation", "stress", "device_allocation", "tables"])
def test_a_program(name: str, options: str, cc: str) -> None:
    command, *flags = need(f"{cc} {options}")
    program = build.program(PROGRAMS / f"{name}.c", (*flags, "-pthread"), command)
    assert said([str(program)]) == (0, "")


def player(words: str, profile: Profile = LIBRARY_PROFILE, base: Path = build.HERE) -> Player:
    need(words)
    return Player(words, profile, base)


@pytest.mark.parametrize("cc", THIRTY_TWO)
def test_the_vectors(cc: str, tmp_path: Path) -> None:
    """With the same profiles as in a process of 64 bits, so that all vectors apply that apply there."""
    instances = tuple(partial(player, f"{cc} {SANITIZERS}", profile) for profile in LIBRARY_PROFILES)
    report = run_plan(Plan("c", instances), load_vectors(), out=tmp_path)
    assert report.exit_code() == 0, report.failure or report.unavailable or report.counts()
    inside = Plan("c", tuple(partial(CInProcess, profile) for profile in LIBRARY_PROFILES))
    assert report.counts() == run_plan(inside, load_vectors(), out=tmp_path).counts()
    assert report.counts()["passed"] > 2000
    assert {environment.facts["bits"] for environment in report.environments} == {"32"}


def random_trials(count: int) -> list[Trial]:
    random = Random(32)
    found = []
    for number in range(count):
        found.append(Trial(f"{number:012x}", Requests(random, LIBRARY_PROFILE).sequence(random.randrange(1, 40))))
        of_a_device = DeviceRequests(random, LIBRARY_PROFILE).sequence(random.randrange(1, 60))
        found.append(Trial(f"d{number:011x}", of_a_device))
    return found


def differs(target: Player, trials: list[Trial]) -> str:
    """The first trial that the two do not answer alike, or nothing."""
    inside = CInProcess()
    inside.start()
    target.start()
    for trial, here, there in zip(trials, inside.run(trials), target.run(trials), strict=True):
        assert isinstance(here, Results)
        if here != there:
            return f"{trial}: {here}, and with 32 bits {there}"
    return ""


@pytest.mark.parametrize("cc", THIRTY_TWO)
def test_random_requests_are_answered_as_with_64_bits(cc: str) -> None:
    assert differs(player(f"{cc} {SANITIZERS}"), random_trials(500)) == ""


# ---- Bugs that a 64-bit build does not have ----

SHORT_MASK = bug(
    "short-mask",
    "width",
    "The bit of a page is made in a long.",
    ("log.c", "UINT64_C(1) << page % WORD_PAGES", "1ul << page % WORD_PAGES"),
)


def test_a_bug_that_64_bits_hide_is_found(tmp_path: Path) -> None:
    with planted_base(SHORT_MASK) as base:
        assert differs(player("gcc", base=base), random_trials(100)) == ""
        assert "DirtyPages" in differs(player("gcc -m32", base=base), random_trials(100))
        report = run_plan(Plan("c", (lambda: player("gcc -m32", base=base),)), load_vectors(), out=tmp_path)
    assert report.exit_code() == 1 and report.counts()["unexplained"] > 0


def test_where_it_crashed_is_told_and_the_rest_goes_on() -> None:
    """The same bug, where the sanitizer ends the program for it."""
    crash = (SetRegion(flags=1, size=40 * PAGE_SIZE), VcpuWrite(39 * PAGE_SIZE))
    trials = [Trial("a", (Observe(),)), Trial("b", crash), Trial("c", (Observe(),)), Trial("d", crash)]
    with planted_base(SHORT_MASK) as base:
        target = player(f"gcc -m32 {SANITIZERS}", base=base)
        target.start()
        first, second, third, fourth = target.run(trials)
    assert first == Results("a", (Slots(()),)) and third == Results("c", (Slots(()),))
    assert isinstance(second, Crashed) and "shift exponent 39" in second.report
    assert isinstance(fourth, Crashed)


def test_a_number_that_does_not_fit_ends_the_player() -> None:
    target = player("gcc -m32")
    target.start()
    (answer,) = target.run([Trial("a", (SetRegion(slot=2**32),))])
    assert isinstance(answer, Crashed) and "UINT32_MAX" in answer.report
