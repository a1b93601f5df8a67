"""Known deviations: a list beside each target, with a reason for each.

    deviations.json   [{"id": "no-room-for-rmaps",             a name for reports
                        "targets": ["linux-5.10"],             names, with * for any: all these show it
                        "possible": ["linux-host"],            those that may show it, depending on the machine
                        "rule": "KVM.SLOT.NO_MEMORY",          what it is about
                        "cases": [                             the vectors that show it, by what they show
                          {"vectors": ["5f0c21aa09be"],        their ids
                           "differences": [                    every step that differs, with the whole result
                             {"step": 1, "observed": {"error": "ENOMEM"}}]}],
                        "reason": "...", "source": "..."}]     why the kernel does it, and where that was read

Differences are compared exactly: one step more, one less or another result is another failure, that nobody explained.
`"crashed": true` in the place of `differences` stands for a crash. A listed vector that passes, is skipped by the
target or fails otherwise makes the list stale, and a stale list fails the run. One of `targets` and
`possible` may be empty; a target that is named only in the latter may also pass: it is a kernel or a processor that
nobody has seen yet.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from conformance.codec import canonical
from conformance.fields import FormatError, decode_int, decode_list, decode_object, decode_text
from conformance.rules import RULES
from conformance.verdict import DEVIATING, NOT_RUN, PASSED, UNEXPLAINED, Judgement

TARGETS = Path(__file__).parent / "targets"
MOST_STEPS = 9999  # more than any vector has


class DeviationsError(Exception):
    """A list of deviations that cannot be used: which file, where, and what is wrong."""


@dataclass(frozen=True)
class Case:
    """Vectors that all show a deviation in the same way: at these steps, with these results, or by a crash."""

    vectors: tuple[str, ...]
    differences: tuple[tuple[int, dict[str, Any]], ...] = ()
    crashed: bool = False

    def is_shown_by(self, judgement: Judgement) -> bool:
        if judgement.vector not in self.vectors or judgement.crashed != self.crashed:
            return False
        if not self.crashed and not judgement.differences:
            return False
        return shown(judgement) == self.differences


def shown(judgement: Judgement) -> tuple[tuple[int, dict[str, Any]], ...]:
    """All steps that differ, with the results."""
    return tuple((difference.step, difference.observed) for difference in judgement.differences)


@dataclass(frozen=True)
class Deviation:
    """One known deviation."""

    id: str
    targets: tuple[str, ...]
    possible: tuple[str, ...]
    rule: str
    cases: tuple[Case, ...]
    reason: str
    source: str

    @property
    def vectors(self) -> tuple[str, ...]:
        """All vectors that show it."""
        return tuple(vector for case in self.cases for vector in case.vectors)

    def is_of(self, target: str) -> bool:
        """Whether the target shows it, always."""
        return any(fnmatchcase(target, pattern) for pattern in self.targets)

    def may_be_of(self, target: str) -> bool:
        """Whether the target may show it."""
        return self.is_of(target) or any(fnmatchcase(target, pattern) for pattern in self.possible)

    def describes(self, judgement: Judgement) -> bool:
        """Whether the vector failed exactly in the way that is listed."""
        return any(case.is_shown_by(judgement) for case in self.cases)


def load_deviations(path: Path) -> list[Deviation]:
    """Read one list. A file that is not there is an empty list."""
    if not path.exists():
        return []
    try:
        document = json.loads(path.read_text())
        return [deviation_from(item, f"$[{index}]") for index, item in enumerate(decode_list("$", document))]
    except (OSError, ValueError) as error:
        raise DeviationsError(f"{path}: {error}") from error
    except FormatError as error:
        raise DeviationsError(f"{path}: {error}") from error


def all_deviations(directory: Path = TARGETS) -> list[Deviation]:
    """The lists of all targets."""
    return [one for path in sorted(directory.glob("*/deviations.json")) for one in load_deviations(path)]


def deviation_from(document: Any, where: str) -> Deviation:
    document = {"possible": [], **document} if isinstance(document, dict) else document
    decode_object(where, document, ("id", "targets", "possible", "rule", "cases", "reason", "source"))
    if document["rule"] not in RULES:
        raise FormatError(f"{where}.rule", f"there is no rule {document['rule']!r}")
    for name in ("reason", "source"):
        if not decode_text(f"{where}.{name}", document[name]).strip():
            raise FormatError(f"{where}.{name}", "is empty: an unexplained deviation does not belong here")
    cases = tuple(
        case_from(item, f"{where}.cases[{i}]")
        for i, item in enumerate(decode_list(f"{where}.cases", document["cases"]))
    )
    if not cases:
        raise FormatError(f"{where}.cases", "is empty")
    vectors = [vector for case in cases for vector in case.vectors]
    twice = sorted({vector for vector in vectors if vectors.count(vector) > 1})
    if twice:
        raise FormatError(f"{where}.cases", f"{twice[0]} is listed twice")
    return Deviation(
        id=decode_text(f"{where}.id", document["id"]),
        targets=texts(document["targets"], f"{where}.targets", may_be_empty=bool(document["possible"])),
        possible=texts(document["possible"], f"{where}.possible", may_be_empty=True),
        rule=document["rule"],
        cases=cases,
        reason=document["reason"],
        source=document["source"],
    )


def case_from(document: Any, where: str) -> Case:
    decode_object(where, document, ("vectors",), ("differences", "crashed"))
    vectors = texts(document["vectors"], f"{where}.vectors")
    if "crashed" in document:
        decode_object(where, document, ("vectors", "crashed"))
        if document["crashed"] is not True:
            raise FormatError(f"{where}.crashed", "is true, or is left out")
        return Case(vectors, crashed=True)
    decode_object(where, document, ("vectors", "differences"))
    items = decode_list(f"{where}.differences", document["differences"])
    if not items:
        raise FormatError(f"{where}.differences", "says which steps differ, and with which result")
    return Case(vectors, tuple(difference_from(item, f"{where}.differences[{i}]") for i, item in enumerate(items)))


def difference_from(document: Any, where: str) -> tuple[int, dict[str, Any]]:
    decode_object(where, document, ("step", "observed"))
    if not isinstance(document["observed"], dict) or not document["observed"]:
        raise FormatError(f"{where}.observed", "is the result that was seen")
    return decode_int(f"{where}.step", document["step"], 0, MOST_STEPS), document["observed"]


def texts(value: Any, where: str, may_be_empty: bool = False) -> tuple[str, ...]:
    found = tuple(decode_text(f"{where}[{i}]", item) for i, item in enumerate(decode_list(where, value)))
    if not found and not may_be_empty:
        raise FormatError(where, "is empty")
    return found


def explained(judgement: Judgement, listed: Sequence[Deviation]) -> Judgement:
    """The judgement, as deviating if one of the target's listed deviations is what happened."""
    if judgement.verdict != UNEXPLAINED:
        return judgement
    for deviation in listed:
        if judgement.vector in deviation.vectors and deviation.describes(judgement):
            return dataclasses.replace(judgement, verdict=DEVIATING, reason=f"{deviation.id}: {deviation.reason}")
    return judgement


def stale_entries(
    listed: Sequence[Deviation], judgements: Sequence[Judgement], published_ids: frozenset[str], complete: bool
) -> list[str]:
    """What is wrong with a target's list after a run, one sentence each. `complete`: all vectors were considered."""
    by_id = {judgement.vector: judgement for judgement in judgements}
    found = []
    for deviation in listed:
        applied = 0
        for vector in deviation.vectors:
            if vector not in published_ids:
                found.append(f"{deviation.id}: there is no vector {vector} any more")
                continue
            judgement = by_id.get(vector)
            if judgement is None or (judgement.verdict == NOT_RUN and not judgement.reason.startswith("skipped")):
                continue
            applied += 1
            if judgement.verdict == PASSED:
                found.append(f"{deviation.id}: vector {vector} passes now")
            elif judgement.verdict == NOT_RUN:
                found.append(f"{deviation.id}: vector {vector} was {judgement.reason}")
            elif not deviation.describes(judgement):
                case = next(case for case in deviation.cases if vector in case.vectors)
                seen = steps_text(shown(judgement)) if judgement.differences else judgement.reason
                wanted = "a crash" if case.crashed else steps_text(case.differences)
                found.append(
                    f"{deviation.id}: vector {vector} fails otherwise than listed: {shorten(seen)}; "
                    f"listed is {shorten(wanted)}"
                )
        if complete and not applied:
            found.append(f"{deviation.id}: no listed vector applies to this target")
    return found


def steps_text(differences: Sequence[tuple[int, dict[str, Any]]]) -> str:
    return ", ".join(f"step {step} {canonical(observed)}" for step, observed in differences)


def shorten(text: str) -> str:
    return text if len(text) < 160 else text[:160] + " …"
