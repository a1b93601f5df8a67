"""The library with another libc, and on other processors that compilers and emulators are here for.

musl is always asked for. The processors are an extra: Debian's qemu-user, clang, and binutils-s390x-linux-gnu,
libc6-dev-s390x-cross, libgcc-12-dev-s390x-cross bring the first, their relatives for arm-linux-gnueabihf and armhf the
second. (The cross compilers of gcc do as well, but Debian has no room for them beside gcc-multilib.) s390x keeps a
number's largest byte first, and this Arm has 32 bits.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from conformance.files import load_vectors
from conformance.registry import LIBRARY_PROFILES
from conformance.runner import Plan, run_plan
from conformance.targets.c import build
from conformance.targets.c.target import LIBRARY_PROFILE
from spec.profile import Profile

from .compilers import makes_programs, need, said
from .planted import bug, planted_base
from .player import Player
from .test_packaging import taken_away

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Place:
    """Where the library is to work: what makes programs, what starts them, and what they find there."""

    name: str
    cc: str
    bits: str
    starter: tuple[str, ...] = ()
    order: str = "<"

    @property
    def made_by(self) -> list[str]:
        """What `make` is told."""
        if not self.starter:
            return [f"CC={self.cc}", "CXX=none"]
        run = f"RUN={' '.join(self.starter)} -L /usr/{self.name}"
        return [f"CC={self.cc}", "CXX=none", f"OBJCOPY={self.name}-objcopy", run]

    def skip_unless_here(self) -> None:
        if not self.starter:
            need(f"{self.cc} -static")
        elif not (makes_programs(f"{self.cc} -static", "c") and shutil.which(self.starter[0])):
            pytest.skip(f"an extra: no compiler and emulator for {self.name} here")


PLACES = (
    Place("musl", "musl-gcc", "64"),
    Place("s390x-linux-gnu", "clang --target=s390x-linux-gnu", "64", ("qemu-s390x",), ">"),
    Place("arm-linux-gnueabihf", "clang --target=arm-linux-gnueabihf", "32", ("qemu-arm",)),
)


def player(place: Place, profile: Profile = LIBRARY_PROFILE, base: Path = build.HERE) -> Player:
    place.skip_unless_here()
    return Player(f"{place.cc} -static", profile, base, starter=place.starter, order=place.order)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_the_vectors(place: Place, tmp_path: Path) -> None:
    plan = Plan("c", tuple(partial(player, place, profile) for profile in LIBRARY_PROFILES))
    report = run_plan(plan, load_vectors(), out=tmp_path)
    assert report.exit_code() == 0, report.failure or report.unavailable or report.counts()
    assert report.counts()["passed"] > 2000
    assert {environment.facts["bits"] for environment in report.environments} == {place.bits}


SMALLEST_BYTE_FIRST = bug(
    "smallest-byte-first",
    "byte order",
    "A page's bit is set in a byte, counted from the first.",
    (
        "log.c",
        "&log->words[page / WORD_PAGES], UINT64_C(1) << page % WORD_PAGES",
        "(_Atomic unsigned char *)log->words + page / 8, 1 << page % 8",
    ),
)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_a_bug_of_the_byte_order_is_found_where_it_is_one(place: Place, tmp_path: Path) -> None:
    with planted_base(SMALLEST_BYTE_FIRST) as base:
        report = run_plan(Plan("c", (partial(player, place, base=base),)), load_vectors(), out=tmp_path)
    assert report.finished and report.counts()["passed"] > 1000
    assert (report.counts()["unexplained"] > 0) == (place.order == ">")


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_make_check(place: Place, tmp_path: Path) -> None:
    """With the shared library too: there, as everywhere, libc is all that it needs."""
    place.skip_unless_here()
    here = taken_away(tmp_path / "gpamap")
    command = ["make", "-C", str(here), "check", *place.made_by, "CFLAGS=-O2 -Werror", "LDFLAGS=-Wl,-z,defs"]
    assert said(command, seconds=300) == (0, "")
    assert (here / "out" / "libatomic").read_text() == ""
