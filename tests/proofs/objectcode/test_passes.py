"""What machine and model are compared in: every path of the machine, also one that the model has no way for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import z3

from proofs.objectcode.cannot import Cannot
from proofs.objectcode.flow import cuts_of
from proofs.objectcode.image import Image
from proofs.objectcode.machine import Machine
from proofs.objectcode.passes import ENTRY, Claim, GoesOn, Prover, Way
from proofs.objectcode.relations import Fact, Template
from proofs.objectcode.state import State
from tests.proofs.objectcode.code import object_of

N, LEFT = z3.BitVecs("n left", 64)
TURN = "turn"
# Counts down, and traps where it begins a turn with nothing left: which it never does.
DOWN = """
long f(unsigned long n) {
    if (n == 0) return 5;
    do {
        asm volatile("" : "+r"(n));
        if (n == 0) __builtin_trap();
        n--;
    } while (n);
    return 7;
}
"""


class Down:
    """`f` beside a model of it. A turn of the model begins with something left."""

    variables: Mapping[str, Any] = {"left": LEFT}
    constants: Sequence[Any] = (N,)
    templates: Sequence[Template] = (Template("left", LEFT),)
    examples: Sequence[Any] = ()

    def __init__(self, directory: Path) -> None:
        image = Image(object_of(DOWN, directory))
        self.machine = Machine(image, {})
        self.function = image.function("f")
        self.cuts: Sequence[int] = cuts_of(image, self.function)
        self.facts: Sequence[Fact] = (Fact("left > 0", LEFT != 0),)
        self.at_entry = [
            Way((N == 0,), z3.BitVecVal(5, 64)),
            Way((N != 0,), GoesOn(TURN, {"left": N})),
        ]
        self.at_turn = [
            Way((LEFT != 0, LEFT - 1 == 0), z3.BitVecVal(7, 64)),
            Way((LEFT != 0, LEFT - 1 != 0), GoesOn(TURN, {"left": LEFT - 1})),
        ]

    def start(self) -> State:
        return self.machine.start(self.function, {"RDI": N})

    def ways(self, step: str) -> list[Way]:
        return self.at_entry if step == ENTRY else self.at_turn

    def claims(self, step: str, state: State, way: Way) -> list[Claim]:
        return [] if isinstance(way.outcome, GoesOn) else [Claim("another number", state.get("RAX") == way.outcome)]

    def described(self, outcome: Any) -> str:
        return "goes on" if isinstance(outcome, GoesOn) else f"returns {outcome}"


def test_it_is_equal_if_the_model_has_a_way_for_each_path(tmp_path: Path) -> None:
    proof = Prover(Down(tmp_path)).prove()
    assert proof.difference is None and not proof.unshown
    assert len(proof.cuts) == 1 and proof.pairs >= 4


@pytest.mark.parametrize("taken_out", [0, 1])
@pytest.mark.parametrize("step", [ENTRY, TURN])
def test_a_path_that_the_model_has_no_way_for_is_not_equal(tmp_path: Path, step: str, taken_out: int) -> None:
    problem = Down(tmp_path)
    del problem.ways(step)[taken_out]
    with pytest.raises(Cannot, match=f"the model says nothing of some case in which {step} may begin"):
        Prover(problem).prove()


def test_a_case_in_a_path_that_the_model_has_no_way_for_is_not_equal(tmp_path: Path) -> None:
    problem = Down(tmp_path)
    problem.at_entry[1] = Way((N != 0, N != 3), GoesOn(TURN, {"left": N}))
    with pytest.raises(Cannot, match="the model says nothing of some case in which entry may begin"):
        Prover(problem).prove()


def test_what_the_models_ways_say_must_be_kept_at_the_cut(tmp_path: Path) -> None:
    """Ways that say that something is left are not all ways if the cut does not say so."""
    problem = Down(tmp_path)
    problem.facts = ()
    with pytest.raises(Cannot, match="the model says nothing of some case in which turn may begin"):
        Prover(problem).prove()
