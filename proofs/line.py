"""The lines of the specification as the search for cases sees them: how to make any state, and how to get to one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from proofs import cases_memslots, cases_vhost, invariants_vhost
from proofs.reach import setups_of_vm
from proofs.reach_vhost import setups_of_device
from proofs.requests import REQUESTS
from proofs.requests_vhost import VHOST_REQUESTS
from proofs.world import World
from proofs.world_vhost import any_device
from spec.operation import Subject
from spec.profile import Profile
from spec.step import MEMSLOTS, VHOST


@dataclass(frozen=True)
class Line:
    """One line.

    `any_state` and `requests` make symbolic inputs. `is_sensible` and `can_be` are true of each profile there is and of
    each state that can be reached in it. `can_be_set_up` narrows states to those that `setups` builds requests for.
    `covered` are the profiles that examples are looked for in, `plainness` wishes for what is easy to read.
    """

    subject: Subject
    state_name: str  # what theorems call a state
    any_state: Callable[[World], Any]
    requests: Mapping[str, Callable[[World], Any]]
    covered: tuple[Profile, ...]
    is_sensible: Callable[[Profile], Any]
    can_be: Callable[[Profile, Any], Any]
    can_be_set_up: Callable[[Profile, Any], Any]
    plainness: Callable[[Any, Any], list[Any]]
    setups: Callable[[Profile, Any], Iterator[tuple[Any, ...]]]


LINES = (
    Line(
        MEMSLOTS,
        "vm",
        World.vm,
        REQUESTS,
        cases_memslots.COVERED,
        cases_memslots.is_sensible,
        cases_memslots.can_be,
        cases_memslots.can_be_set_up,
        cases_memslots.plainness,
        setups_of_vm,
    ),
    Line(
        VHOST,
        "device",
        any_device,
        VHOST_REQUESTS,
        cases_vhost.COVERED,
        cases_vhost.is_sensible,
        invariants_vhost.can_be_reached,
        cases_vhost.can_be_set_up,
        cases_vhost.plainness,
        setups_of_device,
    ),
)


def line_of(operation: str) -> Line:
    """The line that has the operation of this name. Raises KeyError if none has."""
    for line in LINES:
        if any(known.name == operation for known in line.subject.operations):
            return line
    raise KeyError(f"no line has an operation {operation}")


def line_with_state(inputs: dict[str, Any]) -> Line | None:
    """The line whose states are among a theorem's inputs, None if there is none."""
    return next((line for line in LINES if line.state_name in inputs), None)
