"""Break the sources by hand, one edit at a time, and see who notices: `python -m tests.breakages [NAME]...`

Each edit (`edits_of_*.py`) is made in a copy of the sources, and those that one would expect to refute it are asked
there. Before, they are asked about the sources as they are. The exit status is 0 if each edit is refuted or is known
not to be, 1 if not, 2 if one does not apply any more or nothing answered.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.breakages.breakage import Breakage, DoesNotApply
from tests.breakages.catalogue import BREAKAGES
from tests.breakages.judging import Finding, NoAnswer, all_that_notice, find, refuted_as_they_are
from tests.breakages.kept import keep, kept
from tests.breakages.page import TARGET, page

FAILED = 2
TWO_AT_A_TIME = 2


def lines_of(finding: Finding) -> Iterator[str]:
    """Who noticed, with the case; and what those say who did not."""
    noticed, breakage = finding.noticed(), finding.breakage
    if noticed is None:
        yield f"{'hole' if breakage.hole else 'NOT REFUTED'}: {breakage.name}: {breakage.sentence}"
    else:
        known = "  (no longer a hole: say so in the list)" if breakage.hole else ""
        yield f"refuted {noticed.seconds:6.1f} s  {breakage.name}: by {noticed.id}{known}"
    for answer in finding.answers:
        if answer is not noticed:
            yield f"    {answer.id}: {answer.status} {' '.join(answer.case)}"
    if noticed is not None:
        yield from (f"    {line}" for line in noticed.case)


def print_all_that_notice(breakages: Sequence[Breakage]) -> None:
    """For each of them every theorem and contract that does not hold, however it says so."""
    for breakage in breakages:
        print(f"{breakage.name}:", flush=True)
        for answer in all_that_notice(breakage):
            print(f"    {answer.id}: {answer.status}", flush=True)


def chosen(names: Sequence[str]) -> list[Breakage]:
    """The breakages with one of these texts in their name or file; all without any."""
    return [one for one in BREAKAGES if not names or any(name in f"{one.name} {one.file}" for name in names)]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="breakages", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", nargs="*", help="only those with one of these texts in their name or file")
    parser.add_argument("--page", action="store_true", help="write docs/breakages.md, from the last run of each")
    parser.add_argument("--unchecked", action="store_true", help="do not ask about the sources as they are first")
    parser.add_argument("--kept", action="store_true", help="take for proved what `gpaspec prove` takes for proved")
    parser.add_argument("--everybody", action="store_true", help="ask all theorems and contracts instead; long")
    options = parser.parse_args(arguments)
    breakages = chosen(options.name)
    if not breakages:
        print(f"no breakage has {' or '.join(options.name)} in its name or file", file=sys.stderr)
        return FAILED
    try:
        if options.everybody:
            print_all_that_notice(breakages)
            return 0
        asked = dict.fromkeys(name for one in breakages for name in one.expected)
        for answer in [] if options.unchecked else refuted_as_they_are(asked):
            print(f"{answer.id} is {answer.status} in the sources as they are", file=sys.stderr)
            return FAILED
        findings, how = [], () if options.kept else ("--fresh",)
        with ThreadPoolExecutor(TWO_AT_A_TIME) as pool:
            for finding in pool.map(lambda one: find(one, *how), breakages):
                findings.append(finding)
                keep(finding)
                print("\n".join(lines_of(finding)), flush=True)
    except (DoesNotApply, NoAnswer) as error:
        print(error, file=sys.stderr)
        return FAILED
    holes = sum(bool(one.breakage.hole) for one in findings)
    wrong = sum(not one.as_said() for one in findings)
    print(f"{len(findings)} breakages: {holes} known holes, {wrong} not as expected")
    if options.page:
        TARGET.write_text(page([kept(breakage) for breakage in BREAKAGES]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
