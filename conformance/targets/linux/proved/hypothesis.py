"""What is taken as given of the inputs of a function."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """What is taken as given of the inputs: a name, and why it is so."""

    name: str
    because: str
