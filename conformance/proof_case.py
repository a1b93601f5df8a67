"""A theorem's case as a vector: requests that lead from a fresh VM or device to the state, and the request it is about.

Many theorems are about no state that requests lead to: the shape of a tree, a step of a model, a log with some pages in
it. Their cases are values, and have no vector.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conformance.explain import explain_lines
from conformance.files import file_text, vector_json
from conformance.generate.build import Draft, vector_under
from conformance.generate.cases import family_of
from conformance.vector import Vector
from spec.profile import PROFILES, Profile
from spec.step import OPERATIONS

REQUESTS = tuple(operation.request for operation in OPERATIONS)
WITNESS, BUG, COUNTEREXAMPLE = "witness", "planted bug", "counterexample"


def vector_of(theorem: Any, what: str, case: dict[str, Any]) -> Vector | None:
    """A vector for a case that was found, or for one like it in a profile that kernels have; None where there is none.

    The expectations are those of the specification as it is, without the bug.
    """
    steps = _requests_of(case) or _like(theorem, what)
    if steps is None:
        return None
    profile, requests = steps
    rules = theorem.rules
    return vector_under(
        profile,
        Draft(
            title=f"{what} of {theorem.id}",
            family=family_of(rules[0]) if rules else "KVM.SLOT",
            requests=requests,
            because=f"{what} of the theorem {theorem.id}: {theorem.bug.sentence if what == BUG else theorem.sentence}",
            generator="witness",
            rules=rules,
        ),
    )


def _requests_of(case: dict[str, Any]) -> tuple[Profile, tuple[Any, ...]] | None:
    """The way to exactly this case's state, and its request."""
    line = importlib.import_module("proofs.line").line_with_state(case)
    profile, request = case.get("profile"), case.get("request")
    if line is None or not isinstance(profile, Profile) or not isinstance(request, REQUESTS):
        return None
    reached = importlib.import_module("proofs.reach").reached
    for setup in line.setups(profile, case[line.state_name]):
        if reached(profile, list(setup), line.subject.fresh) == case[line.state_name]:
            return profile, (*setup, request)
    return None


def _like(theorem: Any, what: str) -> tuple[Profile, tuple[Any, ...]] | None:
    """The way to another case of the planted bug, in a profile that kernels have. The solver looks for it."""
    witnesses = importlib.import_module("proofs.witnesses")
    if what != BUG or not witnesses.is_about_a_request(theorem):
        return None
    found = witnesses.bug_case_of(theorem)
    return None if found is None else (PROFILES[found[1]], found[2])


def vector_lines(vector: Vector) -> Iterator[str]:
    """The vector on one line as JSON, and step by step."""
    yield from explain_lines(vector, {})


def write_vector(vector: Vector, directory: Path) -> None:
    """Write a directory that has this vector only, as `gpaspec explain` and `gpaspec check` read it."""
    directory.mkdir(parents=True, exist_ok=True)
    name = f"{vector.family.lower().replace('.', '-')}-theorem.json"
    (directory / name).write_text(file_text(vector.family, [vector]))


def document_of(vector: Vector | None) -> Any:
    """The vector as JSON, None for none."""
    return None if vector is None else vector_json(vector)
