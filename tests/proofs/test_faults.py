"""Each fault that is planted in the engine is noticed by random programs, and without one they all agree."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from proofs.symbolic.bits import BITS
from proofs.symbolic.linear import LINEAR
from tests.proofs import programs
from tests.proofs.faults import FAULTS, Fault
from tests.proofs.judging import ARITHMETICS, agrees, any_agrees, few_agree, pages_agree, walks_agree
from tests.proofs.programs import BOTH, ONLY_BITS, random_inputs, random_program
from tests.proofs.set_programs import (
    COUNTED,
    LAST_PAGE_NUMBER,
    QUESTIONS,
    random_page_edits,
    random_set_inputs,
    random_set_program,
)

pytestmark = pytest.mark.slow

SEED = 4_100_411


def integers(chance: random.Random) -> bool:
    operators = BOTH | ONLY_BITS
    program, inputs = random_program(chance, BOTH), random_inputs(chance)
    about_bits = random_program(chance, operators)
    return agrees(program, inputs, LINEAR) and agrees(about_bits, inputs, BITS)


def bits(chance: random.Random) -> bool:
    return agrees(random_program(chance, BOTH | ONLY_BITS), random_inputs(chance), BITS)


def walks(chance: random.Random) -> bool:
    return walks_agree(random_program(chance, BOTH, most_lines=3), random_inputs(chance), LINEAR)


def any_sets(chance: random.Random) -> bool:
    return any_agrees(random_set_program(chance, QUESTIONS, most_edits=3), random_set_inputs(chance), LINEAR)


def few_sets(chance: random.Random) -> bool:
    return few_agree(random_set_program(chance, QUESTIONS | COUNTED), random_set_inputs(chance), LINEAR)


def sets_of_pages(chance: random.Random) -> bool:
    numbers = frozenset(chance.sample(range(LAST_PAGE_NUMBER), chance.randint(0, 4)))
    return pages_agree(random_page_edits(chance), numbers, chance.choice(ARITHMETICS))


# What tries one random program, and how many may be needed.
HUNTS: dict[str, tuple[Callable[[random.Random], bool], int]] = {
    "integers": (integers, 500),
    "bits": (bits, 300),
    "walks": (walks, 120),
    "any": (any_sets, 300),
    "few": (few_sets, 300),
    "pages": (sets_of_pages, 100),
}


def verdicts(hunt: str) -> Iterator[bool]:
    chance = random.Random(SEED)
    judge, most = HUNTS[hunt]
    return (judge(chance) for _ in range(most))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.sentence)
def test_a_fault_in_the_engine_is_noticed(monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    monkeypatch.setattr(fault.owner, fault.name, fault.value)
    if hasattr(programs, fault.name):  # they know it by its name
        monkeypatch.setattr(programs, fault.name, fault.value)
    assert not all(verdicts(fault.noticed_by))


@pytest.mark.parametrize("hunt", sorted(HUNTS))
def test_without_a_fault_there_is_nothing_to_notice(hunt: str) -> None:
    assert all(verdicts(hunt))


def test_there_are_faults_of_every_kind() -> None:
    assert len(FAULTS) >= 20
    assert {fault.noticed_by for fault in FAULTS} == set(HUNTS)
    assert len({fault.sentence for fault in FAULTS}) == len(FAULTS)
