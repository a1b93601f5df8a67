"""Run the committed vectors under coverage of spec/ and write the report: `spec_coverage.py REPORT.json`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import coverage


class AnsweringSet:
    """A set that is no frozenset: it answers the spec's questions itself, as the sets of the proofs do."""

    def __init__(self, members: tuple[Any, ...] = ()) -> None:
        self.members = members

    def some(self, holds: Callable[[Any], bool]) -> bool:
        return any(holds(member) for member in self.members)

    def only(self, holds: Callable[[Any], bool]) -> Any:
        return next((member for member in self.members if holds(member)), None)

    def added(self, member: Any) -> AnsweringSet:
        return AnsweringSet((*self.members, member))

    def removed(self, member: Any) -> AnsweringSet:
        return AnsweringSet(tuple(one for one in self.members if one != member))

    def __iter__(self) -> Iterator[Any]:
        return iter(self.members)


def main(report: str) -> None:
    measured = coverage.Coverage(branch=True, source_pkgs=["spec"], data_file=None, config_file=False)
    measured.start()
    from conformance.explain import profile_of
    from conformance.files import load_vectors
    from spec.memslots.slot import EMPTY_VM, Vm
    from spec.step import step

    for vector in load_vectors():
        for start in (EMPTY_VM, Vm(slots=AnsweringSet(), memfds=AnsweringSet())):  # type: ignore[arg-type]
            vm = start
            for one in vector.steps:
                vm, outcome = step(profile_of(vector), vm, one.request)
                assert outcome == one.expected, (vector.id, one)
    measured.stop()
    measured.json_report(outfile=report)


main(sys.argv[1])
