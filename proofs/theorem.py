"""What a theorem is: a sentence, when it applies, what then holds, and a bug that it must catch.

`given` and `holds` are ordinary functions over the inputs. They call the spec and the models as anybody else does, and
they run on plain values as well: a witness and a counterexample are always run again in plain Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from proofs.symbolic.arithmetic import Arithmetic
from proofs.symbolic.linear import LINEAR
from proofs.world import World

UNBOUNDED = "unbounded"


@dataclass(frozen=True)
class Patch:
    """One attribute of a module or class, replaced while a planted bug is tried."""

    owner: Any
    name: str
    value: Any


@dataclass(frozen=True)
class Bug:
    """A planted bug: what is wrong, in a sentence, and the patches that make it so."""

    sentence: str
    patches: tuple[Patch, ...]


@dataclass(frozen=True)
class Theorem:
    """One theorem.

    `id` is stable and `sentence` says it in English. `rules` are the ids of the spec's rules that it speaks about;
    `operations` and `invariant` place it in the matrix. `inputs` makes the values that `given` (the hypotheses) and
    `holds` (the claim) take as keyword arguments. `bound` is "unbounded" or says exactly how far the proof reaches;
    `proved_in` makes the world of the proof when it is bounded. `few` is how many members the sets of a witness or a
    counterexample may have. `arithmetic` is what its integers are made of.
    """

    id: str
    sentence: str
    rules: tuple[str, ...]
    operations: tuple[str, ...]
    invariant: str
    inputs: Callable[[World], dict[str, Any]]
    given: Callable[..., Any]
    holds: Callable[..., Any]
    bug: Bug
    bound: str = UNBOUNDED
    proved_in: Callable[[], World] | None = None
    few: int = 2
    arithmetic: Arithmetic = LINEAR


@contextmanager
def patched(patches: tuple[Patch, ...]) -> Iterator[None]:
    """The patches hold inside, and are undone after, in the opposite order."""
    undo: list[Patch] = []
    try:
        for patch in patches:
            undo.append(Patch(patch.owner, patch.name, getattr(patch.owner, patch.name)))
            setattr(patch.owner, patch.name, patch.value)
        yield
    finally:
        for patch in reversed(undo):
            setattr(patch.owner, patch.name, patch.value)
