"""A target that answers as the spec does, but for some answers; and vectors to ask it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from conformance.deviations import Deviation
from conformance.files import DIRECTORY, load_file
from conformance.registry import SpecTarget
from conformance.runner import Plan, Report, run_plan
from conformance.target import Answer, Refused, Results, Trial
from conformance.vector import Vector
from conformance.verdict import why_not
from spec.profile import Profile


def some_vectors() -> list[Vector]:
    files = [load_file(DIRECTORY / name) for name in ("kvm-manual.json", "kvm-ring.json")]
    found = [v for file in files for v in file.vectors if not why_not(v, Profile())]
    assert len(found) > 20
    return found


class Spoiled(SpecTarget):
    """The spec, with one answer replaced."""

    name = "spoiled"

    def __init__(self, spoil: dict[str, Any], profile: Profile | None = None) -> None:
        super().__init__(profile or Profile())
        self.spoil = spoil
        self.stops = 0

    def run(self, trials: Sequence[Trial]) -> Iterator[Answer]:
        for answer in super().run(trials):
            change = self.spoil.get(answer.id, lambda same: same)
            yield from [changed] if (changed := change(answer)) is not None else []

    def stop(self) -> None:
        self.stops += 1


def run(
    tmp_path: Path, vectors: list[Vector], spoil: dict[str, Any], deviations: Sequence[Deviation] = (), **more: Any
) -> Report:
    target = Spoiled(spoil)
    report = run_plan(Plan("spoiled", (lambda: target,)), vectors, deviations, tmp_path, **more)
    assert target.stops >= 1, "a target is always stopped"
    return report


def first_refused(answer: Results) -> Results:
    return Results(answer.id, (Refused("EXDEV"), *answer.steps[1:]))
