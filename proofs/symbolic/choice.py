"""One integer out of two, without a branch: on plain ints what Python computes, on symbolic ones a formula."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import z3

from proofs.symbolic.explorer import current, is_exploring, truth
from proofs.symbolic.integer import either, is_integer
from proofs.symbolic.terms import both


def choose(condition: Any, when_true: Any, when_false: Any) -> Any:
    """One of two ints."""
    if isinstance(condition, bool):
        return when_true if condition else when_false
    return either(truth(condition), when_true, when_false)


def larger(one: Any, other: Any) -> Any:
    """The greater of two ints."""
    return choose(one >= other, one, other)


def smaller(one: Any, other: Any) -> Any:
    """The lesser of two ints."""
    return choose(one <= other, one, other)


def merged_number(compute: Callable[[], Any]) -> Any:
    """What a function without side effects computes, as one int instead of path by path."""
    if not is_exploring():
        return compute()
    result: Any = None
    for path in reversed(current().all_paths(compute)):
        if path.raised is not None:
            raise path.raised
        assert is_integer(path.value)
        conditions = path.conditions()
        if result is None or not conditions:
            result = path.value
        else:
            result = either(z3.simplify(both(*conditions)), path.value, result)
    return result
