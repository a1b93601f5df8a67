"""Rules: every requirement has a name, one sentence, an error and a source.

Vectors, theorems, mutants, coverage and reports all speak in rule ids.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rule:
    """One named requirement.

    `id` is stable (`KVM.SLOT.OVERLAP`); its first word is the rule family. `sentence` says in English
    what must hold. `errno` is what a request that breaks it gets, as a name (`EEXIST`). `source` names
    the kernel file and function, or the document, that the rule was read in. `no_vector` is empty, or
    the written reason why no vector can provoke the rule.
    """

    id: str
    sentence: str
    errno: str
    source: str
    no_vector: str = ""


@dataclass(frozen=True)
class Check:
    """A rule together with the question whether (profile, vm, request) breaks it.

    The question is total: it may be asked of any request, also of one that breaks an earlier rule.
    """

    rule: Rule
    is_broken: Callable[[Any, Any, Any], bool]


def first_broken(checks: tuple[Check, ...], profile: Any, vm: Any, request: Any) -> Rule | None:
    """The first rule that a request breaks, in the order in which they are checked; None if it breaks none."""
    for check in checks:
        if check.is_broken(profile, vm, request):
            return check.rule
    return None
