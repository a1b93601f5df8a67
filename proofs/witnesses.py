"""Concrete cases of theorems as requests: what a theorem's hypotheses look like, and what its planted bug gets wrong.

Each case leads from a fresh VM or device, in a covered profile, through requests that set it up, to the request that
the theorem is about. Cases that no requests lead to (a log with some pages in it, say) are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from proofs.catalogue import THEOREMS, theorem_named
from proofs.line import Line, line_with_state
from proofs.prover import find_case, find_counterexample
from proofs.reach import reached
from proofs.symbolic.boolean import all_of
from proofs.theorem import Theorem, patched
from proofs.workers import run_all
from proofs.world import FewWorld, World
from spec.profile import PROFILES, Profile

Case = tuple[str, str, tuple[Any, ...]]  # theorem id, profile name, requests


def theorem_witnesses(jobs: int = 2) -> list[Case]:
    """For each theorem about the specification up to two cases: a witness, and one that its planted bug gets wrong.

    They are in the order of the catalogue, and the same whenever they are looked for.
    """
    ids = [theorem.id for theorem in THEOREMS if is_about_a_request(theorem)]
    found = dict(run_all(ids, jobs, _cases_named, lambda theorem_id, why: (theorem_id, [])))
    return [case for theorem_id in ids for case in found[theorem_id]]


def is_about_a_request(theorem: Theorem) -> bool:
    """Whether its inputs are a VM or a device, and a request that a step takes."""
    subject = theorem.id.split(".")[0]
    if subject in ("MEMSLOT", "CHANGE", "DIRTY", "VM", "LOOKUP"):
        return theorem.id not in ("CHANGE.TOTAL_PAGES", "LOOKUP.ONE_SLOT", "VM.EMPTY")
    return subject == "DEVICE" and theorem.id != "DEVICE.NEW"


def _cases_named(theorem_id: str) -> tuple[str, list[Case]]:
    return theorem_id, list(dict.fromkeys(cases_of(theorem_named(theorem_id))))


def cases_of(theorem: Theorem) -> Iterator[Case]:
    """The witness, and the case that the planted bug gets wrong, each in the first named profile that has one."""
    for look_for in (_witness, _bug_case):
        for name, profile in PROFILES.items():
            requests = _requests(theorem, profile, look_for(theorem, profile))
            if requests is not None:
                yield theorem.id, name, requests
                break


def bug_case_of(theorem: Theorem) -> Case | None:
    """Requests that lead to a case that the planted bug gets wrong, in the first named profile that has one.

    The way there is that of the specification as it is; what is wrong is what the last request does with the bug. Where
    the bug is a rule that is not asked rightly, the specification itself rejects that request.
    """
    for name, profile in PROFILES.items():
        case = _bug_case(theorem, profile)
        if case is None:
            continue
        line = _line(case)
        for setup in line.setups(profile, case[line.state_name]):
            there = {**case, line.state_name: reached(profile, list(setup), line.subject.fresh)}
            with patched(theorem.bug.patches):
                if theorem.given(**there) is True and theorem.holds(**there) is False:
                    return theorem.id, name, (*setup, case["request"])
    return None


def _requests(theorem: Theorem, profile: Profile, case: dict[str, Any] | None) -> tuple[Any, ...] | None:
    """The way to a case's state and its request; None where none leads to a state that meets the hypotheses."""
    if case is None:
        return None
    line = _line(case)
    for setup in line.setups(profile, case[line.state_name]):
        state = reached(profile, list(setup), line.subject.fresh)
        if theorem.given(**{**case, line.state_name: state}) is True:
            return (*setup, case["request"])
    return None


def _line(case: dict[str, Any]) -> Line:
    line = line_with_state(case)
    if line is None:
        raise KeyError(f"a case without a state: it has {', '.join(case)}")
    return line


def in_profile(theorem: Theorem, profile: Profile) -> Theorem:
    """The theorem for this profile only, and for states that requests lead to."""

    def inputs(world: World) -> dict[str, Any]:
        return {**theorem.inputs(world), "profile": profile}

    def given(**case: Any) -> Any:
        line = _line(case)
        return all_of(line.can_be_set_up(profile, case[line.state_name]), theorem.given(**case))

    return replace(theorem, inputs=inputs, given=given)


def _witness(theorem: Theorem, profile: Profile) -> dict[str, Any] | None:
    narrowed = in_profile(theorem, profile)

    def wishes(**case: Any) -> list[Any]:
        line = _line(case)
        return line.plainness(case[line.state_name], case["request"])

    return _first(
        lambda count: find_case(FewWorld(count, 0), narrowed.inputs, narrowed.given, wishes, theorem.arithmetic),
        theorem.few,
    )


def _bug_case(theorem: Theorem, profile: Profile) -> dict[str, Any] | None:
    with patched(theorem.bug.patches):
        return find_counterexample(in_profile(theorem, profile), most_pages=0)


def _first(look: Callable[[int], dict[str, Any] | None], most: int) -> dict[str, Any] | None:
    return next((case for count in range(1, most + 1) if (case := look(count)) is not None), None)
