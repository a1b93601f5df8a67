"""From names on the command line to reports: which targets are meant, and how they are run beside each other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from conformance.deviations import DeviationsError, all_deviations
from conformance.registry import KERNELS, VERSION, Choice, UnknownTarget, image_names, plans_for
from conformance.runner import Plan, Report, run_plan
from conformance.target import Target
from conformance.terminal import Failure, errors
from conformance.vector import Vector

BUILT = ("arch/x86/boot/bzImage", "bzImage", "vmlinuz")  # where an image may be in a directory


def kernel_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--kernel",
            "kernels",
            multiple=True,
            help="For the target linux: a Debian kernel by version (6.1), or the file of a bzImage. Can be repeated.",
        ),
        click.option(
            "--modules",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            help="Modules for that kernel. Beside a version: each takes the place of Debian's.",
        ),
    ):
        command = option(command)
    return command


def is_image(kernel: str) -> bool:
    """A version is a version; anything with a slash, or a file, is an image."""
    return "/" in kernel or Path(kernel).is_file()


def chosen_kernels(kernels: Sequence[str], modules: Path | None) -> list[Choice]:
    """What `linux` stands for. Raises UnknownTarget for an image that is named twice."""
    if not kernels:
        return [Choice(KERNELS, modules=modules)]
    choices = []
    versions = tuple(kernel for kernel in kernels if not is_image(kernel))
    for version in versions:
        if not VERSION.fullmatch(version):
            raise Failure(f"{version!r} is neither the version of a kernel, such as 6.1, nor the file of an image")
    if versions:
        choices.append(Choice(versions, modules=modules))
    images = [Path(kernel) for kernel in kernels if is_image(kernel)]
    for image in images:
        if image.is_dir():
            where = next((str(found) for found in map(image.joinpath, BUILT) if found.is_file()), f"{image}/{BUILT[0]}")
            raise Failure(f"{image} is a directory: --kernel takes the image itself, such as {where}")
        if not image.is_file():
            raise Failure(f"there is no kernel image {image}")
    return choices + [
        Choice(image=i, modules=modules, name=n) for i, n in zip(images, image_names(images), strict=True)
    ]


def plans_or_fail(names: Sequence[str], kernels: Sequence[str], modules: Path | None) -> list[Plan]:
    """What names on the command line stand for, each once. Nothing that was asked for is left out silently."""
    if kernels and "linux" not in names:
        raise Failure(f"--kernel {kernels[0]} says which kernels `linux` stands for: name the target `linux` as well")
    plans: list[Plan] = []
    try:
        for name in names:
            for choice in chosen_kernels(kernels, modules) if name == "linux" else [Choice(modules=modules)]:
                plans += plans_for(name, choice)
    except UnknownTarget as error:
        raise Failure(str(error)) from error
    twice = sorted({one.name for one in plans if [plan.name for plan in plans].count(one.name) > 1})
    if twice:
        raise Failure(f"{', '.join(twice)}: named more than once; each target is run once, and needs a name of its own")
    machines = [plan.name for plan in plans if runs_in_a_machine(plan.name)]
    if modules is not None and len(machines) != 1:
        named = ", ".join(name.removesuffix("-own-modules") for name in machines) or "no kernel in a virtual machine"
        raise Failure(
            f"--modules belong to one kernel, and this is {named}: "
            "name it as linux-6.1, or as linux with --kernel 6.1 or --kernel IMAGE"
        )
    return plans


def runs_in_a_machine(name: str) -> bool:
    """Whether a target is a kernel in a virtual machine, which loads modules."""
    return name.startswith("linux-") and not name.startswith("linux-source-") and name != "linux-host"


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

    progress = progress_bar(quiet)
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


def progress_bar(quiet: bool) -> Progress:
    """Progress on a terminal; nothing in a pipe."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors,
        disable=quiet or not errors.is_terminal,
        transient=True,
    )


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
