"""Cases that the proofs found: a state and a request for each theorem, and those in which its planted bug shows.

A solver finds them, and another version of it may find others. So they are kept in `witnesses.json` and vectors are
made from that; `gpaspec generate --from-proofs` asks the solver again and rewrites the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conformance.codec import canonical, request_from, request_json
from conformance.generate.build import Draft, state_after
from conformance.generate.cases import family_of
from conformance.generate.readback import read_back
from conformance.generate.sequences import is_suitable
from spec.memslots.access import GuestWrite, VcpuRead, VcpuWrite
from spec.memslots.slot import EMPTY_VM, Vm
from spec.profile import Profile
from spec.step import OPERATIONS, step

FILE = Path(__file__).with_name("witnesses.json")
REQUESTS = tuple(operation.request for operation in OPERATIONS)
WITNESS, BUG = "witness", "planted bug"


def ask_the_proofs() -> list[dict[str, Any]]:
    """Judge all theorems; the cases that are about a VM and a request, as requests from the empty VM on."""
    from proofs.catalogue import THEOREMS
    from proofs.prover import judge

    found = []
    for theorem in THEOREMS:
        verdict = judge(theorem)
        for what, case in ((WITNESS, verdict.witness), (BUG, verdict.bug_case)):
            steps = requests_of(case) if case else None
            if steps is not None:
                documents = [request_json(request) for request in steps]
                found.append({"theorem": theorem.id, "what": what, "rules": list(theorem.rules), "steps": documents})
    return found


def requests_of(case: dict[str, Any]) -> list[Any] | None:
    """The way to the case's VM and its request, or None where it is about something else or has no way to it."""
    from proofs.reach import setup_for

    vm, request, profile = case.get("vm"), case.get("request"), case.get("profile")
    if not isinstance(vm, Vm) or not isinstance(request, REQUESTS) or not isinstance(profile, Profile):
        return None
    setup = setup_for(profile, vm)
    return None if setup is None else [*setup, request]


def write_file() -> int:
    """Ask the proofs again and keep what they say; returns how many cases there are."""
    cases = ask_the_proofs()
    scratch = FILE.with_suffix(".new")
    scratch.write_text("[\n" + ",\n".join(canonical(case) for case in cases) + "\n]\n")
    scratch.replace(FILE)
    return len(cases)


def every_target_can(vm: Vm, request: Any) -> bool:
    """Accesses in a case are any; targets can be asked for those that the other generators keep to."""
    if isinstance(request, GuestWrite) and request.length != GuestWrite.length:
        return False
    if isinstance(request, VcpuRead | VcpuWrite) and (request.gpa >= 2**32 or request.gpa % 4096 >= 4090):
        return False
    return is_suitable(vm, request)


def drafts(profile: Profile) -> Iterator[Draft]:
    """A vector for each case whose requests every target can be asked for."""
    for case in json.loads(FILE.read_text()):
        requests = tuple(request_from(document) for document in case["steps"])
        vm, suitable = EMPTY_VM, True
        for request in requests:
            suitable = suitable and every_target_can(vm, request)
            vm, _ = step(profile, vm, request)
        if not suitable:
            continue
        rules = tuple(case["rules"])
        shows = "meets the hypotheses of" if case["what"] == WITNESS else "shows the planted bug of"
        yield Draft(
            title=f"{case['what']} of {case['theorem']}",
            family=family_of(rules[0]) if rules else "KVM.SLOT",
            requests=(*requests, *read_back(state_after(profile, requests))),
            because=f"{shows} the theorem {case['theorem']}",
            generator="witness",
            rules=rules,
        )
