"""Sets of any kind give, on random programs, what frozensets give; sets of pages what `spec.pages` gives."""

from __future__ import annotations

import random

import pytest

from proofs.symbolic.arithmetic import Arithmetic
from proofs.symbolic.explorer import Explorer, exploring
from proofs.symbolic.pages import any_pages
from tests.proofs.judging import ARITHMETICS, NAMES, any_agrees, few_agree, is_true, pages_agree
from tests.proofs.set_programs import (
    COUNTED,
    LAST_PAGE_NUMBER,
    QUESTIONS,
    random_page_edits,
    random_set_inputs,
    random_set_program,
)

SEED = 20_260_729
FEW_PROGRAMS, ANY_PROGRAMS, PAGE_PROGRAMS = 1_000, 60, 100  # for each arithmetic

either_arithmetic = pytest.mark.parametrize("arithmetic", ARITHMETICS, ids=NAMES)


@pytest.mark.slow
@either_arithmetic
def test_few_members_give_what_a_frozenset_gives(arithmetic: Arithmetic) -> None:
    chance = random.Random(SEED)
    for _ in range(FEW_PROGRAMS):
        program, inputs = random_set_program(chance, QUESTIONS | COUNTED), random_set_inputs(chance)
        assert few_agree(program, inputs, arithmetic), (program, inputs)


@pytest.mark.slow
@either_arithmetic
def test_of_an_arbitrary_set_just_that_is_proved_which_is_true_of_the_frozenset(arithmetic: Arithmetic) -> None:
    chance = random.Random(SEED)
    for _ in range(ANY_PROGRAMS):
        program, inputs = random_set_program(chance, QUESTIONS, most_edits=3), random_set_inputs(chance)
        assert any_agrees(program, inputs, arithmetic), (program, inputs)


@pytest.mark.slow
@either_arithmetic
def test_sets_of_pages_contain_what_plain_ones_contain(arithmetic: Arithmetic) -> None:
    chance = random.Random(SEED)
    for _ in range(PAGE_PROGRAMS):
        edits = random_page_edits(chance)
        numbers = frozenset(chance.sample(range(LAST_PAGE_NUMBER), chance.randint(0, 4)))
        assert pages_agree(edits, numbers, arithmetic), (edits, numbers)


@either_arithmetic
def test_an_arbitrary_set_of_pages_has_none_without_a_number(arithmetic: Arithmetic) -> None:
    with exploring(Explorer(arithmetic)):
        pages = any_pages("pages")
        assert not is_true(pages.contains(-1).formula)
        assert not is_true(pages.contains(2**64).formula)
        assert not is_true(pages.moved_up(5).contains(4).formula)
