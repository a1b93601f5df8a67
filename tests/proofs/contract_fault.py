"""What a fault of a function with a contract is.

The faulty functions are written by hand, as slips. `*_` stands for arguments that the function does not look at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fault:
    """`broken` (the full name of a function or method) becomes `value`; `contract` (MODULE.FUNCTION) is false then."""

    contract: str
    broken: str
    value: Callable[..., Any]
