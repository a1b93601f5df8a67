"""`gpaspec fuzz`: targets by name, progress, the table of what was compared, and findings as vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from conformance import fuzz, shrink
from conformance.codec import outcome_json
from conformance.explain import explain_lines
from conformance.files import file_text
from conformance.registry import UnknownTarget, imported
from conformance.running import progress_bar
from conformance.target import TargetFailed, TargetUnavailable
from conformance.terminal import Failure, console
from spec.profile import Profile

TARGETS = ("model", "c", "linux-source")
MOST_SKIPPED = 100  # one sequence in so many may be skipped


@dataclass(frozen=True)
class Result:
    """What a run of the command found out: the tally, its findings made short, and where they were written."""

    targets: tuple[str, ...]
    tally: fuzz.Tally
    findings: tuple[tuple[fuzz.Finding, Path], ...]

    def exit_code(self) -> int:
        """0: no target did otherwise. 1: one did, crashed, or its harness failed. 2: too little was compared."""
        if self.tally.findings:
            return 1
        return 2 if self.tally.interrupted or self.too_little() else 0

    def too_little(self) -> list[str]:
        """A sentence for each target of which too little was compared to say anything."""
        tally = self.tally
        found = [f"{name} was compared in nothing" for name in self.targets if tally.compared[name] == 0]
        return found + [
            f"{name} skipped {tally.skipped[name]} of {tally.asked[name]} sequences, for example: {tally.reasons[name]}"
            for name in self.targets
            if tally.skipped[name] * MOST_SKIPPED > tally.asked[name]
        ]


def run(
    names: Sequence[str],
    kernels: Sequence[str],
    operations: int,
    seconds: float | None,
    seed: int,
    jobs: int,
    memslots: bool,
    out: Path,
    quiet: bool,
) -> Result:
    """Run, shrink and write. Raises Failure with one sentence where a target cannot be had."""
    try:
        targets = tuple(fuzz.names_meant(names or TARGETS, kernels))
        profiles = {name: probed(name) for name in targets if is_booted(name)}
        prepare(targets)
        streams = fuzz.streams(targets, profiles, memslots)
        if not streams:
            raise Failure(f"{', '.join(targets)}: nothing of this can be asked there")
        total = sum(fuzz.share(one, streams, operations) for one in streams)
        with progress_bar(quiet) as progress:
            task = progress.add_task("operations", total=total)
            tally = fuzz.run(
                streams, seed, fuzz.Budget(operations, seconds), jobs, lambda done: progress.advance(task, done)
            )
        return Result(targets, tally, tuple(kept(shrink.shrunk(one), out) for one in tally.findings[:5]))
    except (TargetUnavailable, TargetFailed, UnknownTarget) as error:
        raise Failure(str(error)) from error
    finally:
        fuzz.stop_all()


def is_booted(name: str) -> bool:
    return name.startswith("linux-") and not name.startswith("linux-source-")


def probed(name: str) -> Profile:
    """Boot a kernel, and ask it for its profile. It stays ready."""
    target = fuzz.make_target(name, Profile())
    environment = target.start()
    fuzz.STARTED[name, environment.profile] = target
    fuzz.ENVIRONMENTS[name, environment.profile] = environment
    return environment.profile


def prepare(targets: Sequence[str]) -> None:
    """Fetch and compile, once and here, what the processes will start."""
    for name in targets:
        if name == "c" or name.startswith("linux-source-"):
            profile = Profile()
            if name.startswith("linux-source-"):
                profile = imported("conformance.targets.linux_source.target").profile_of(
                    name.removeprefix("linux-source-")
                )
            target = fuzz.make_target(name, profile)
            try:
                target.start()
            finally:
                target.stop()


def kept(finding: fuzz.Finding, out: Path) -> tuple[fuzz.Finding, Path]:
    """Write the finding as a file with one vector."""
    vector = shrink.vector_of(finding)
    path = out / "fuzz" / f"{vector.id}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file_text(vector.family, [vector]))
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from error
    return finding, path


# Showing --------------------------------------------------------------------------------------------------------------


def as_json(result: Result, seed: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "interrupted": result.tally.interrupted,
        "targets": [
            {
                "target": name,
                "compared": result.tally.compared[name],
                "events": dict(sorted(result.tally.events.get(name, {}).items())),
                "sequences": result.tally.asked[name],
                "skipped": result.tally.skipped[name],
                "known": dict(sorted(result.tally.known.get(name, {}).items())),
                "unexplained": sum(one.target == name for one in result.tally.findings),
            }
            for name in result.targets
        ],
        "findings": [
            {
                "target": one.target,
                "stream": one.stream.name(),
                "seed": one.seed,
                "step": one.step,
                "expected": None if one.expected is None else outcome_json(one.expected),
                "observed": None if one.seen is None else outcome_json(one.seen),
                "trouble": one.trouble,
                "vector": str(path),
            }
            for one, path in result.findings
        ],
        "too_little": result.too_little(),
        "exit_code": result.exit_code(),
    }


def show(result: Result, seed: int) -> None:
    """Findings first, then the table."""
    for finding, path in result.findings:
        show_finding(finding, path)
    table = Table(title=f"random operations, seed {seed}")
    columns = ("target", "compared", "what devices did", "known situations", "sequences", "skipped", "unexplained")
    for column in columns:
        table.add_column(column, justify="left" if column in (columns[0], *columns[2:4]) else "right")
    for name in result.targets:
        tally = result.tally
        did = ", ".join(f"{one} {times}" for one, times in sorted(tally.events.get(name, {}).items()))
        known = ", ".join(f"{one} {times}" for one, times in sorted(tally.known.get(name, {}).items()))
        wrong = sum(one.target == name for one in tally.findings)
        counts = (tally.asked[name], tally.skipped[name], wrong)
        table.add_row(name, str(tally.compared[name]), did, known, *map(str, counts))
    console.print(table)
    if result.tally.interrupted:
        console.print("interrupted: the table has what was compared before")
    for sentence in result.too_little():
        console.print(f"too little to say anything: {sentence}", highlight=False, markup=False)
    for name, reason in result.tally.reasons.items():
        console.print(f"{name}: skipped, for example: {reason}", highlight=False, markup=False)


def show_finding(finding: fuzz.Finding, path: Path) -> None:
    vector = shrink.vector_of(finding)
    lines = [f"{finding.target} does otherwise (sequence seed {finding.seed}, {finding.stream.name()}):"]
    lines += explain_lines(vector, {})
    lines.append("")
    if finding.trouble:
        lines.append(f"{finding.target}: {finding.trouble}")
    elif finding.seen is not None:
        lines.append(f"step {finding.step}: {finding.target} reports {outcome_json(finding.seen)}")
    lines.append(f"kept in {path}: `gpaspec check {finding.target} --vectors {path.parent}` runs it again")
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
