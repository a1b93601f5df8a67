"""The command line: `gpaspec`."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from conformance.deviations import DeviationsError, all_deviations
from conformance.files import DIRECTORY, VectorFileError, load_vectors
from conformance.generate.build import SEED
from conformance.registry import KERNELS, Choice, UnknownTarget, default_names, plans_for
from conformance.report import print_reports, reports_json
from conformance.runner import OUT, Plan, Report, run_plan
from conformance.target import Target
from conformance.vector import Vector

HARNESS_FAILED = 2

console = Console()
errors = Console(stderr=True)


class Failure(click.ClickException):
    """The harness failed: exit status 2 and one clear sentence."""

    exit_code = HARNESS_FAILED


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="gpaspec")
def main() -> None:
    """How guest memory is mapped on Linux: specified, proved, and tested.

    \b
    gpaspec run                      everything; ends with the verdict table
    gpaspec check model c            do these implementations conform?
    gpaspec check linux --kernel bzImage --modules DIR
                                     does your kernel?
    gpaspec explain ID               one vector, step by step

    Exit status: 0 conforms, 1 does not, 2 the harness failed, 3 a list of known deviations is stale.
    """


def vectors_or_fail(directory: Path) -> list[Vector]:
    try:
        return load_vectors(directory)
    except VectorFileError as error:
        raise Failure(str(error)) from error


# generate --------------------------------------------------------------------------------------------------------


@main.command()
@click.option(
    "--check", "only_check", is_flag=True, help="Write nothing; say whether the files are what would be written."
)
@click.option("--seed", default=SEED, show_default=True, help="The seed of everything that is random.")
@click.option("--vectors", "directory", type=click.Path(path_type=Path), default=DIRECTORY, help="Where they are.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def generate(only_check: bool, seed: int, directory: Path, as_json: bool) -> None:
    """Generate the vectors from the specification.

    The same seed gives the same files, byte for byte. With --check the exit status is 1 when a file differs.
    """
    from conformance.generate.write import differences, write

    if only_check:
        found = differences(directory, seed)
    else:
        try:
            found = write(directory, seed)
        except OSError as error:
            raise Failure(f"{error.filename or directory}: {error.strerror}; the old files are as they were") from error
    if as_json:
        click.echo(json.dumps({"seed": seed, "check": only_check, "differences" if only_check else "changed": found}))
    elif only_check:
        for line in found:
            click.echo(line)
        click.echo(f"{len(found)} files differ (seed {seed})" if found else f"all files are as generated (seed {seed})")
        if found:
            click.echo(
                "`gpaspec generate` writes them anew; if the specification did not change, the files were edited"
            )
    else:
        click.echo(f"changed: {', '.join(found) if found else 'nothing'} (seed {seed})")
    if only_check and found:
        sys.exit(1)


# check -----------------------------------------------------------------------------------------------------------


def kernel_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--kernel",
            "kernels",
            multiple=True,
            help="For linux: a Debian kernel by version (6.1), or the path of a bzImage. May be given again.",
        ),
        click.option(
            "--modules",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            help="Modules of that kernel; with a version, those that take the place of Debian's.",
        ),
    ):
        command = option(command)
    return command


def chosen_kernels(kernels: Sequence[str], modules: Path | None) -> list[Choice]:
    """A version is a version; anything with a slash, or a file, is an image."""
    if not kernels:
        return [Choice(KERNELS, modules=modules)]
    choices = []
    versions = tuple(kernel for kernel in kernels if not ("/" in kernel or Path(kernel).is_file()))
    if versions:
        choices.append(Choice(versions, modules=modules))
    for kernel in kernels:
        if kernel not in versions:
            if not Path(kernel).is_file():
                raise Failure(f"there is no kernel image {kernel}")
            choices.append(Choice(image=Path(kernel), modules=modules))
    return choices


def plans_or_fail(names: Sequence[str], kernels: Sequence[str], modules: Path | None) -> list[Plan]:
    plans: dict[str, Plan] = {}
    try:
        for name in names:
            for choice in chosen_kernels(kernels, modules) if name == "linux" else [Choice(modules=modules)]:
                plans.update((plan.name, plan) for plan in plans_for(name, choice))
    except UnknownTarget as error:
        raise Failure(str(error)) from error
    return list(plans.values())


def run_plans(plans: Sequence[Plan], vectors: Sequence[Vector], out: Path, complete: bool, quiet: bool) -> list[Report]:
    """Run targets, those with processes of their own beside the others; results in the order of the plans."""
    try:
        deviations = all_deviations()
    except DeviationsError as error:
        raise Failure(str(error)) from error
    stopped = threading.Event()
    active: dict[str, Target] = {}

    def remember(name: str) -> Callable[[Target | None], None]:
        def tell(target: Target | None) -> None:
            if target is None:
                active.pop(name, None)
            else:
                active[name] = target

        return tell

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors,
        disable=quiet or not errors.is_terminal,
        transient=True,
    )
    outside = [plan for plan in plans if plan.own_process]
    inside = [plan for plan in plans if not plan.own_process]
    futures: dict[str, Future[Report]] = {}
    with progress, ThreadPoolExecutor(max_workers=2) as processes, ThreadPoolExecutor(max_workers=1) as here:
        for plan, pool in [(plan, processes) for plan in outside] + [(plan, here) for plan in inside]:
            task = progress.add_task(plan.name, total=len(vectors))

            def advance(count: int, task: TaskID = task) -> None:
                progress.advance(task, count)

            futures[plan.name] = pool.submit(
                run_plan, plan, vectors, deviations, out, advance, stopped, remember(plan.name), complete
            )
        try:
            for future in futures.values():
                while not future.done():
                    wait_a_little(future)
        except KeyboardInterrupt:
            stopped.set()
            for target in list(active.values()):
                target.stop()
            for future in futures.values():
                future.cancel()
            errors.print("interrupted: ending the targets; results so far are kept")
    return [report_of(plan, futures[plan.name], len(vectors)) for plan in plans]


def wait_a_little(future: Future[Report]) -> None:
    """In steps, so that Ctrl-C is heard."""
    try:
        future.result(timeout=0.2)
    except TimeoutError:
        return


def report_of(plan: Plan, future: Future[Report], vectors: int) -> Report:
    if future.cancelled():
        return Report(plan.name, vectors, failure="interrupted before it began")
    return future.result()


def exit_code(reports: Sequence[Report], optional: Sequence[str] = ()) -> int:
    """The code of several targets: a failure counts most, then a deviation nobody explained, then a stale list."""
    codes = [report.exit_code() for report in reports if not (report.unavailable and report.target in optional)]
    for code in (2, 1, 3):
        if code in codes:
            return code
    return 0


@main.command()
@click.argument("targets", nargs=-1, required=True)
@kernel_options
@click.option("--family", "families", multiple=True, help="Only these rule families, such as KVM.SLOT.")
@click.option("--vector", "ids", multiple=True, help="Only these vectors, by id.")
@click.option("--vectors", "directory", type=click.Path(path_type=Path), default=DIRECTORY, help="Where vectors are.")
@click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=True, help="Where results go.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(
    targets: tuple[str, ...],
    kernels: tuple[str, ...],
    modules: Path | None,
    families: tuple[str, ...],
    ids: tuple[str, ...],
    directory: Path,
    out: Path,
    as_json: bool,
) -> None:
    """Find out whether implementations conform.

    \b
    TARGET is one of
      model         the two reference models (model-tree, model-array)
      c             our C library in this process; c-protocol: through the protocol
      linux         Debian kernels in virtual machines; linux-6.12: that one
      linux-host    the kernel that runs here, through /dev/kvm
      NAME=COMMAND  an adapter of yours, see docs/protocol.md
    \b
    Examples
      gpaspec check model c
      gpaspec check linux --kernel 6.1
      gpaspec check linux --kernel ./bzImage --modules ./modules
      gpaspec check "mylib=./my-adapter --fast"
    """
    vectors = vectors_or_fail(directory)
    chosen = [v for v in vectors if (not families or v.family in families) and (not ids or v.id in ids)]
    if not chosen:
        raise Failure("no vector is left to run; families are " + ", ".join(sorted({v.family for v in vectors})))
    plans = plans_or_fail(targets, kernels, modules)
    reports = run_plans(plans, chosen, out, complete=len(chosen) == len(vectors), quiet=as_json)
    if as_json:
        click.echo(json.dumps(reports_json(reports), indent=1))
    else:
        print_reports(console, reports)
    sys.exit(exit_code(reports))


# targets ---------------------------------------------------------------------------------------------------------


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def targets(as_json: bool) -> None:
    """Say which targets there are, and which the main job checks."""
    from conformance import registry

    lines = [line.strip().split(None, 1) for line in (registry.__doc__ or "").splitlines() if line.startswith("    ")]
    defaults = default_names()
    if as_json:
        click.echo(json.dumps([{"target": n, "what": w, "default": n in defaults} for n, w in lines]))
        return
    for name, what in lines:
        click.echo(f"{'*' if name in defaults else ' '} {name:14}{what}")
    click.echo("\n* is checked by `gpaspec run`")


if __name__ == "__main__":
    main()
