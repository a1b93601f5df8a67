"""Write the vhost part of this target's list of deviations anew, from the results of a run on all kernels.

    gpaspec check linux --kernel 5.10 --kernel 6.1 ...
    python -m conformance.targets.linux.listing [--add] [out/results]

Each vhost vector that fails is listed under the known situation (`conformance.known`) that explains it: the one that
the first step that differs shows, or one before it of which what differs is the result
(`conformance.targets.linux_source.explained`). A vector that none explains is not listed: it stays unexplained, and is
printed. A vector that was not listed before is listed only with `--add`. Entries about memslots stay as they are: each
of those was explained by hand.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from conformance.codec import canonical
from conformance.files import load_vectors
from conformance.targets.linux.fetch import VERSIONS
from conformance.targets.linux.flat import NO_QUERY
from conformance.targets.linux.profile import UNSEEN
from conformance.targets.linux_source.explained import explanation
from conformance.targets.linux_source.listing import SITUATIONS, text
from conformance.vector import Vector
from conformance.verdict import DEVIATING, UNEXPLAINED
from spec.step import VHOST, subject_of
from spec.vhost.observe import ObserveMaps

LIST = Path(__file__).parent / "deviations.json"
POSSIBLE = ["linux-*-own-modules", "linux-own-*"]  # kernels that nobody has seen yet
NEWEST = "7.3"  # what it does no more, a kernel that nobody has seen yet is not to do

# Where the situation is known and a kernel does something else in it: an id, why, and where that was seen.
OTHERWISE: dict[tuple[str, tuple[str, ...]], tuple[str, str, str]] = {
    ("an-empty-invalidation-takes-entries", ("7.3",)): (
        "an-empty-invalidation-is-refused-7.3",
        "An invalidation of no bytes is refused with EFAULT, where kernels before took it for one of other bytes. The "
        "specification takes it, and takes nothing away.",
        "seen at 7.3-rc7; drivers/vhost/vhost.c vhost_chr_write_iter turns any error of a message into EFAULT",
    )
}

# What a vector shows at a kernel: its situation, the vector's id, the differences as JSON.
Shown = tuple[str, str, str]


def failures(results: Path, version: str) -> list[dict[str, Any]]:
    """The lines about vectors that failed on a kernel. Raises ValueError for a run that is not there or not whole."""
    path = results / f"linux-{version}.jsonl"
    if not path.is_file():
        raise ValueError(f"there is no {path}: check linux-{version} first")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    if not lines or not lines[-1].get("end"):
        raise ValueError(f"{path} is of a run that did not finish")
    return [line for line in lines if line.get("verdict") in (DEVIATING, UNEXPLAINED)]


def why_of(version: str, vector: Vector, observed: dict[int, dict[str, Any]]) -> str:
    """The situation that explains what a kernel shows, or nothing. What userspace cannot ask for says nothing."""
    asked = [number for number, one in enumerate(vector.steps) if isinstance(one.request, ObserveMaps)]
    unseen: dict[int, dict[str, Any]] = {number: {"unobservable": NO_QUERY} for number in asked}
    after = {number: one for number, one in unseen.items() if number > min(observed)}
    name = f"linux-{version}"
    return explanation(name, vector, observed | after, UNSEEN) or explanation(name, vector, observed | unseen, UNSEEN)


def shown_by(version: str, vectors: dict[str, Vector], lines: list[dict[str, Any]]) -> tuple[list[Shown], list[str]]:
    """What a kernel's failures show, and sentences about those that no situation explains."""
    found, unexplained = [], []
    for line in lines:
        vector = vectors.get(line["id"])
        if vector is None:  # a memslot vector
            continue
        differences = [{"step": one["step"], "observed": one["observed"]} for one in line.get("differences", [])]
        observed = {one["step"]: one["observed"] for one in differences}
        why = why_of(version, vector, observed) if observed else ""
        if not why:
            unexplained.append(f"{version}: {vector.id} {vector.title}: {line.get('reason', '')[:200]}")
            continue
        found.append((why, vector.id, canonical({"differences": differences})))
    return found, unexplained


def entries(shown: dict[Shown, list[str]]) -> list[dict[str, Any]]:
    """Entries of the list; each for the kernels that show all of it."""
    groups: dict[tuple[str, tuple[str, ...]], dict[str, list[str]]] = {}
    for (situation, vector, what), versions in shown.items():
        groups.setdefault((situation, tuple(versions)), {}).setdefault(what, []).append(vector)
    listed = []
    for (situation, those), cases in sorted(groups.items()):
        one = SITUATIONS[situation]
        id_, reason, source = OTHERWISE.get((situation, those), ("", one.sentence, one.source))
        suffix = "" if len(those) == len(VERSIONS) else "-" + "-".join(those)
        listed.append(
            {
                "id": id_ or f"{situation}{suffix}",
                "targets": [f"linux-{version}" for version in those],
                "possible": POSSIBLE if NEWEST in those else [],
                "rule": one.rule,
                "reason": reason,
                "source": source,
                "cases": [{"vectors": sorted(names), **json.loads(what)} for what, names in sorted(cases.items())],
            }
        )
    return listed


def pairs_of(listed: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """The (target, vector) pairs of entries."""
    return {
        (target, vector)
        for entry in listed
        for target in entry["targets"]
        for case in entry["cases"]
        for vector in case["vectors"]
    }


def main(arguments: list[str]) -> int:
    add = "--add" in arguments
    paths = [one for one in arguments if one != "--add"]
    results = Path(paths[0] if paths else "out/results")
    about = {one.id: one for one in load_vectors() if subject_of([each.request for each in one.steps]) is VHOST}
    shown: dict[Shown, list[str]] = {}
    unexplained: list[str] = []
    for version in VERSIONS:
        found, left = shown_by(version, about, failures(results, version))
        unexplained += left
        for one in found:
            shown.setdefault(one, []).append(version)
    before = json.loads(LIST.read_text())
    memslots = [entry for entry in before if entry["rule"].startswith("KVM.")]
    listed = entries(shown)
    for line in unexplained:
        print("unexplained:", line)
    new = sorted(pairs_of(listed) - pairs_of(before))
    for target, name in new:
        print(f"new: {target}: {name} {about[name].title}")
    if new and not add:
        print(f"{LIST} stays as it is: {len(new)} are new; read them, then give --add")
        return 1
    LIST.write_text(json.dumps(memslots, indent=1)[:-2] + ",\n" + text(listed)[2:] if listed else text(memslots))
    print(f"{LIST}: {len(listed)} deviations of the vhost line")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
