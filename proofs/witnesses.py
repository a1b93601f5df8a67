"""Concrete cases of theorems as requests: what a theorem's hypotheses look like, and what its planted bug gets wrong.

Each case leads from the empty VM, in a named profile, through requests that set up the slots, to the request that the
theorem is about. Cases that no requests lead to (a log with some pages in it, say) are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from proofs.catalogue import THEOREMS, theorem_named
from proofs.prover import find_case, find_counterexample
from proofs.reach import setup_for
from proofs.symbolic.boolean import all_of
from proofs.theorem import Theorem, patched
from proofs.violations import can_be_set_up, plainness
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
    """Whether its inputs are a VM and a request."""
    return theorem.id.split(".")[0] in ("MEMSLOT", "CHANGE", "DIRTY", "VM", "LOOKUP") and theorem.id not in (
        "CHANGE.TOTAL_PAGES",
        "LOOKUP.ONE_SLOT",
    )


def _cases_named(theorem_id: str) -> tuple[str, list[Case]]:
    return theorem_id, list(dict.fromkeys(cases_of(theorem_named(theorem_id))))


def cases_of(theorem: Theorem) -> Iterator[Case]:
    """The witness, and the case that the planted bug gets wrong, each in the first named profile that has one."""
    for look_for in (_witness, _bug_case):
        for name, profile in PROFILES.items():
            requests = _requests(profile, look_for(theorem, profile))
            if requests is not None:
                yield theorem.id, name, requests
                break


def _requests(profile: Profile, case: dict[str, Any] | None) -> tuple[Any, ...] | None:
    if case is None:
        return None
    setup = setup_for(profile, case["vm"])
    return None if setup is None else (*setup, case["request"])


def in_profile(theorem: Theorem, profile: Profile) -> Theorem:
    """The theorem for this profile only, and for VMs that requests lead to."""

    def inputs(world: World) -> dict[str, Any]:
        return {**theorem.inputs(world), "profile": profile}

    def given(**case: Any) -> Any:
        return all_of(can_be_set_up(profile, case["vm"]), theorem.given(**case))

    return replace(theorem, inputs=inputs, given=given)


def _witness(theorem: Theorem, profile: Profile) -> dict[str, Any] | None:
    narrowed = in_profile(theorem, profile)

    def wishes(**case: Any) -> list[Any]:
        return plainness(case["vm"], case["request"])

    return _first(lambda count: find_case(FewWorld(count, 0), narrowed.inputs, narrowed.given, wishes), theorem.few)


def _bug_case(theorem: Theorem, profile: Profile) -> dict[str, Any] | None:
    with patched(theorem.bug.patches):
        return find_counterexample(in_profile(theorem, profile), most_pages=0)


def _first(look: Callable[[int], dict[str, Any] | None], most: int) -> dict[str, Any] | None:
    return next((case for count in range(1, most + 1) if (case := look(count)) is not None), None)
