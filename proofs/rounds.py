"""Loops of any number of rounds, by induction: one round after any number of them.

A loop calls a function in each round, its *step*. It is run with what some rounds came to in place of its first step,
and then for one real step. It ends there, or begins another round: then what was true before that real step is true
again of what the next one is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from proofs.theorem import Patch, patched


class Again(Exception):
    """A loop begins another round."""


@dataclass(frozen=True)
class AfterOneRound:
    """What came of a loop: what it returned, or what its step is asked in the next round (None: it ended)."""

    returned: Any
    asked_next: tuple[Any, ...] | None

    def goes_on(self) -> bool:
        """Whether there is another round."""
        return self.asked_next is not None


def after_one_round(owner: Any, step: str, run: Callable[[], Any], had: Any = None) -> AfterOneRound:
    """Run a loop for one round. `had` is what the step returned in the last round before; None: there was none."""
    take = getattr(owner, step)
    before, done = [] if had is None else [had], []  # type: ignore[var-annotated]

    def one_step(*asked: Any) -> Any:
        if before:
            return before.pop()
        if done:
            raise Again(asked)
        done.append(asked)
        return take(*asked)

    with patched((Patch(owner, step, one_step),)):
        try:
            return AfterOneRound(run(), None)
        except Again as again:
            return AfterOneRound(None, again.args[0])
