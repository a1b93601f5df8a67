"""The last line of a check, and its exit status: one from the other, so that they cannot differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from conformance.runner import Report

CONFORMS, DIFFERS, FAILED, STALE = 0, 1, 2, 3
ORDER = (FAILED, DIFFERS, STALE, CONFORMS)  # the first that occurs is the exit status of all
WORDS = {
    FAILED: "not judged",
    DIFFERS: "does not conform",
    STALE: "conforms, but its list of known deviations is stale",
    CONFORMS: "conforms",
}


@dataclass(frozen=True)
class Conclusion:
    """What came out of a check of several targets.

    `exit_code` is 0 conforms, 1 does not, 2 the harness failed, 3 a list of deviations is stale. `sentence` has the
    names, the gravest first.
    """

    exit_code: int
    sentence: str


def conclusion(
    reports: Sequence[Report], optional: Sequence[str] = (), wrong: Sequence[str] = (), part: str = ""
) -> Conclusion:
    """The conclusion from all reports.

    `optional` targets may be unavailable. `wrong` is what else was found to be wrong, a sentence each; it counts like
    a target that does not conform. `part` says which part of the vectors was run, if not all.
    """
    names: dict[int, list[str]] = {code: [] for code in ORDER}
    absent = [report.target for report in reports if report.unavailable and report.target in optional]
    for report in reports:
        if report.target not in absent:
            names[report.exit_code()].append(report.target)
    codes = [code for code in ORDER if names[code] or (wrong and code == DIFFERS)]
    found: list[str] = []
    for code in codes:
        found += [f"{WORDS[code]}: {', '.join(names[code])}"] if names[code] else []
        found += wrong if code == DIFFERS else []
    found += [f"{WORDS[FAILED]}: {', '.join(absent)}"] if absent else []
    sentence = "; ".join(found) or "nothing was judged"
    return Conclusion(codes[0] if codes else FAILED, f"{sentence} ({part})" if part else sentence)
