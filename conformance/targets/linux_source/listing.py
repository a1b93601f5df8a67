"""Write this target's list of deviations anew: `python -m conformance.targets.linux_source.listing [--add]`.

Each vector that fails is listed under the known situation (`conformance.known`) that explains it: the one that the
first step that differs shows, or one before it of which what differs is the result (`explained`). A vector that none
explains is not listed: it stays unexplained, and is printed. What was not listed before is listed only with `--add`.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from conformance.codec import canonical
from conformance.explain import profile_of as profile_of_vector
from conformance.files import load_vectors
from conformance.known import KNOWN, known_here
from conformance.runner import Plan, run_plan
from conformance.targets.linux_source.explained import explanation
from conformance.targets.linux_source.sources import VERSIONS
from conformance.targets.linux_source.target import LinuxSource, profiles_of
from conformance.vector import Vector
from conformance.verdict import UNEXPLAINED, Judgement
from spec.step import VHOST, step, subject_of

LIST = Path(__file__).parent / "deviations.json"
SITUATIONS = {one.id: one for one in KNOWN}


def situations(target: str, vector: Vector, first: int) -> list[str]:
    """The known situations that a vector meets up to a step, in order."""
    state = VHOST.fresh
    found: list[str] = []
    for one in vector.steps[: first + 1]:
        before = state
        state, outcome = step(profile_of_vector(vector), before, one.request)
        found += [
            known.id
            for known in known_here((target,), profile_of_vector(vector), before, one.request, outcome).values()
        ]
    return found


def failures(version: str, vectors: list[Vector], out: Path) -> list[Judgement]:
    """The vectors that this version's code fails. Raises RuntimeError where it cannot be run."""
    name = f"linux-source-{version}"
    plan = Plan(name, tuple(partial(LinuxSource, version, profile) for profile in profiles_of(version)))
    report = run_plan(plan, vectors, out=out)
    if report.failure or report.unavailable:
        raise RuntimeError(report.failure or report.unavailable)
    return [one for one in report.judgements if one.verdict == UNEXPLAINED]


def entries(vectors: list[Vector], out: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The entries of the list, and sentences about vectors that none of them explains."""
    by_id = {vector.id: vector for vector in vectors}
    # (situation, vector, what is seen) -> the versions that show it
    shown: dict[tuple[str, str, str], list[str]] = {}
    unexplained: list[str] = []
    for version in VERSIONS:
        for judgement in failures(version, vectors, out):
            about = by_id[judgement.vector]
            observed = {one.step: one.observed for one in judgement.differences}
            observed = observed or {len(about.steps) - 1: {}}  # a crash
            why = explanation(f"linux-source-{version}", about, observed)
            if not why or judgement.reason.startswith("errored"):
                unexplained.append(f"{version}: {about.id} {about.title}: {judgement.reason}")
                continue
            seen: dict[str, Any] = {"crashed": True}
            if not judgement.crashed:
                seen = {"differences": [{"step": one.step, "observed": one.observed} for one in judgement.differences]}
            shown.setdefault((why, about.id, canonical(seen)), []).append(version)
    groups: dict[tuple[str, tuple[str, ...]], dict[str, list[str]]] = {}
    for (situation, vector, what), versions in shown.items():
        groups.setdefault((situation, tuple(versions)), {}).setdefault(what, []).append(vector)
    found = []
    for (situation, those), cases in sorted(groups.items()):
        one = SITUATIONS[situation]
        suffix = "" if len(those) == len(VERSIONS) else "-" + "-".join(those)
        found.append(
            {
                "id": f"{situation}{suffix}",
                "targets": [f"linux-source-{version}" for version in those],
                "rule": one.rule,
                "reason": one.sentence,
                "source": one.source,
                "cases": [{"vectors": sorted(names), **json.loads(what)} for what, names in sorted(cases.items())],
            }
        )
    return found, unexplained


def text(found: list[dict[str, Any]]) -> str:
    """The list as a file: an entry's cases one a line."""
    parts = []
    for entry in found:
        head = {name: value for name, value in entry.items() if name != "cases"}
        cases = ",\n   ".join(canonical(case) for case in entry["cases"])
        parts.append(json.dumps(head, indent=1)[:-2] + ',\n "cases": [\n   ' + cases + "\n ]\n}")
    return "[\n" + ",\n".join(parts) + "\n]\n"


def listed_now() -> set[tuple[str, str]]:
    """The targets and vectors that the list has."""
    entries = json.loads(LIST.read_text()) if LIST.is_file() else []
    return {
        (target, vector)
        for entry in entries
        for case in entry["cases"]
        for vector in case["vectors"]
        for target in entry["targets"]
    }


def new_ones(found: list[dict[str, Any]]) -> list[str]:
    """A sentence for each vector that the list did not have."""
    before = listed_now()
    return [
        f"{target}: {vector} as {entry['id']}"
        for entry in found
        for case in entry["cases"]
        for vector in case["vectors"]
        for target in entry["targets"]
        if (target, vector) not in before
    ]


def main(arguments: list[str]) -> int:
    vectors = [one for one in load_vectors() if subject_of([each.request for each in one.steps]) is VHOST]
    found, unexplained = entries(vectors, Path("out") / "listing")
    for line in unexplained:
        print("unexplained:", line)
    new = new_ones(found)
    for line in new:
        print("new:", line)
    if new and arguments != ["--add"]:
        print(f"{LIST} stays as it is: {len(new)} are new; read them, then give --add")
        return 1
    LIST.write_text(text(found))
    print(f"{LIST}: {len(found)} deviations, {sum(len(c['vectors']) for e in found for c in e['cases'])} vectors")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
