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

    def every(self, holds: Callable[[Any], bool]) -> bool:
        return all(holds(member) for member in self.members)

    def least(self, holds: Callable[[Any], bool], rank: Callable[[Any], tuple[int, ...]]) -> Any:
        return min((member for member in self.members if holds(member)), key=rank, default=None)

    def kept(self, holds: Callable[[Any], bool]) -> AnsweringSet:
        return AnsweringSet(tuple(member for member in self.members if holds(member)))

    def gathered(self, pages_of: Callable[[Any], Any]) -> Any:
        from spec.pages import pages_in  # not before coverage is measured

        return pages_in(tuple(pages for member in self.members for pages in pages_of(member).ranges))

    def count(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.members)


def main(report: str) -> None:
    measured = coverage.Coverage(branch=True, source_pkgs=["spec"], data_file=None, config_file=False)
    measured.start()
    from conformance.explain import profile_of
    from conformance.files import load_vectors
    from spec.memslots.slot import EMPTY_VM, Vm
    from spec.step import VHOST, step, subject_of
    from spec.vhost import access, features, mem_table, owner, regions, translate
    from spec.vhost.address_map import EMPTY_MAP, AddressMap

    answering = Vm(slots=AnsweringSet(), memfds=AnsweringSet())  # type: ignore[arg-type]
    for vector in load_vectors():
        fresh = subject_of([one.request for one in vector.steps]).fresh
        for start in (fresh, answering) if fresh is EMPTY_VM else (fresh,):
            state = start
            for one in vector.steps:
                state, outcome = step(profile_of(vector), state, one.request)
                assert outcome == one.expected, (vector.id, one)
    for module in (access, features, mem_table, owner, regions, translate):
        assert vars(module)["EMPTY_MAP"] is EMPTY_MAP
        vars(module)["EMPTY_MAP"] = AddressMap(AnsweringSet())
    for vector in load_vectors():
        if vector.generator in ("library", "precedence") and vector.family.split(".")[0] != "KVM":
            state = VHOST.fresh
            for one in vector.steps:
                state, outcome = step(profile_of(vector), state, one.request)
                assert outcome == one.expected, (vector.id, one)
    measured.stop()
    measured.json_report(outfile=report)


main(sys.argv[1])
