"""What z3 refuses does not go unnoticed, although it is not asked after each call."""

from __future__ import annotations

import pytest
import z3

from proofs.prover import ERROR, judge
from proofs.symbolic.explorer import Explorer, exploring, forget_everything
from tests.proofs.test_theorems import changed


def nonsense() -> None:
    """Asks z3 for "not 3". z3's own Python functions would not let it through, so it is asked below them."""
    number = z3.IntVal(3)
    z3.Z3_mk_not(number.ctx_ref(), number.as_ast())


def test_a_refusal_is_raised_before_an_answer_is_used() -> None:
    forget_everything()
    explorer = Explorer()
    with exploring(explorer):
        nonsense()
        with pytest.raises(z3.Z3Exception, match="refused"):
            explorer.check([])
        assert explorer.check([])[1] == z3.sat


def test_a_refusal_is_raised_at_the_latest_at_the_end() -> None:
    forget_everything()
    with pytest.raises(z3.Z3Exception, match="refused"), exploring(Explorer()):
        nonsense()
    with exploring(Explorer()):
        pass


def test_a_refusal_does_not_outlive_another_failure() -> None:
    forget_everything()
    with pytest.raises(ValueError), exploring(Explorer()):
        nonsense()
        raise ValueError
    with exploring(Explorer()):
        pass


def test_outside_z3_is_asked_as_ever() -> None:
    forget_everything()
    with exploring(Explorer()), exploring(Explorer()):
        pass
    with pytest.raises(z3.Z3Exception):
        nonsense()
    with exploring(Explorer()) as explorer:  # and what was raised there is not raised again
        assert explorer.check([])[1] == z3.sat


def test_a_theorem_with_a_refusal_is_not_proved() -> None:
    def holds(**inputs: object) -> bool:
        nonsense()
        return True

    verdict = judge(changed(holds=holds))
    assert verdict.status == ERROR and "refused" in verdict.detail
