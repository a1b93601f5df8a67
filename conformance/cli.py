"""The command line: `gpaspec`."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import json
import os
import shlex
import signal
import sys
import threading
import traceback
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from conformance.conclusion import Conclusion, conclusion
from conformance.files import DIRECTORY, VectorFileError, load_vectors
from conformance.generate.build import SEED
from conformance.lastrun import LastRun, last_run
from conformance.opinion import ask_second_solver
from conformance.proving import (
    explain_theorem,
    keep_document,
    list_theorems,
    meant,
    proofs_are_there,
    proofs_module,
    prove_all,
)
from conformance.registry import TARGETS, UnknownTarget, default_names, plans_for
from conformance.report import print_reports, reports_json
from conformance.runner import OUT
from conformance.running import kernel_options, plans_or_fail, run_plans
from conformance.terminal import HARNESS_FAILED, Failure, console
from conformance.vector import NoSuchVectors, Vector
from conformance.vector import chosen as vectors_chosen


class Commands(click.Group):
    """Commands of which none ends without a clear sentence, or with a status that says what is not known."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Failure("interrupted") from None
        except BrokenPipeError:  # whoever read the output has enough of it
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(HARNESS_FAILED)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            sentence = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise Failure(
                f"the harness has a bug, and nothing is judged: {sentence} (where: `gpaspec --debug ...`)"
            ) from error


def heed_termination(ctx: click.Context) -> None:
    """Being told to end is like Ctrl-C: what was started is ended, and what was found out is kept."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            before = signal.getsignal(number)
            if before is signal.SIG_DFL:
                signal.signal(number, interrupt)
                ctx.call_on_close(partial(signal.signal, number, before))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="gpaspec")
@click.option("--debug", is_flag=True, help="Show where, if this program has a bug.")
@click.pass_context
def main(ctx: click.Context, debug: bool) -> None:
    """How guest memory is mapped on Linux: specified, proved, and tested.

    \b
    A vector is a list of requests and the answers that the specification expects.
    A target is an implementation that is asked for its own: a kernel, a library, an adapter.

    \b
    gpaspec run                      everything; ends with the verdict table
    gpaspec check model c            do these targets answer as the vectors expect?
    gpaspec check linux --kernel bzImage --modules DIR
                                     does your kernel?
    gpaspec explain ID               one vector, step by step
    gpaspec prove --list             which theorems are there?

    Exit status: 0 conforms, or is proved; 1 does not, or is not; 2 nothing can be said (what was named is not there,
    or the harness failed); 3 a list of known deviations is stale.
    """
    heed_termination(ctx)


def vectors_or_fail(directory: Path) -> list[Vector]:
    try:
        return load_vectors(directory)
    except VectorFileError as error:
        raise Failure(f"{error}{error.advice()}") from error


# generate --------------------------------------------------------------------------------------------------------


@main.command()
@click.option(
    "--check", "only_check", is_flag=True, help="Write nothing; say whether the files are what would be written."
)
@click.option("--seed", default=SEED, show_default=True, help="The seed of everything that is random.")
@click.option("--from-proofs", is_flag=True, help="First ask the proofs again for the cases that become vectors.")
@click.option(
    "--vectors",
    "directory",
    type=click.Path(path_type=Path),
    default=DIRECTORY,
    help="The directory to write or to compare. Without it: the published files.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def generate(only_check: bool, seed: int, from_proofs: bool, directory: Path, as_json: bool) -> None:
    """Generate the vectors from the specification.

    The same seed gives the same files, byte for byte. With --check the exit status is 1 when a file differs.
    """
    from conformance.generate import witnesses
    from conformance.generate.write import differences, write

    if from_proofs:
        witnesses.write_file()
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


@main.command()
@click.argument("targets", nargs=-1, required=True)
@kernel_options
@click.option("--family", "families", multiple=True, help="Only these families of rules, such as KVM.SLOT.")
@click.option("--vector", "ids", multiple=True, help="Only this vector, by its id. Can be repeated.")
@click.option(
    "--vectors",
    "directory",
    type=click.Path(path_type=Path),
    default=DIRECTORY,
    help="The directory of the vector files. Without it: the published ones.",
)
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
    """Do targets answer as the vectors expect?

    \b
    TARGET is one of
      model         the two reference models (model-tree, model-array)
      c             our C library in this process; c-protocol: through the protocol
      linux         Debian kernels in virtual machines; linux-6.12: that one;
                    with --kernel FILE: your own
      linux-source  the kernel's own vhost code, compiled here; linux-source-6.12
      linux-host    the kernel that runs here, through /dev/kvm
      NAME=COMMAND  an adapter of yours, see docs/protocol.md
    \b
    Examples
      gpaspec check model c
      gpaspec check linux --kernel 6.1
      gpaspec check linux --kernel ./bzImage --modules ./modules
      gpaspec check linux-6.1 --vector d7353412319e     one vector again
      gpaspec check "mylib=./my-adapter --fast"

    Each vector passes, deviates (otherwise than expected, in a way that is listed with its reason), is unexplained
    (otherwise, and not listed), or is not run (the report says why). Results are kept in the directory of --out.
    """
    vectors = vectors_or_fail(directory)
    try:
        chosen = vectors_chosen(vectors, families, ids)
    except NoSuchVectors as error:
        raise Failure(str(error)) from error
    plans = plans_or_fail(targets, kernels, modules)
    reports = run_plans(plans, chosen, out, complete=len(chosen) == len(vectors), quiet=as_json)
    part = "" if len(chosen) == len(vectors) else f"{len(chosen)} of {len(vectors)} vectors"
    result = conclusion(reports, part=part)
    if as_json:
        click.echo(json.dumps({**reports_json(reports), **dataclasses.asdict(result)}, indent=1))
    else:
        print_reports(console, reports, out=out, options=options_text(out, directory))
        conclude(result)
    sys.exit(result.exit_code)


def options_text(out: Path, directory: Path = DIRECTORY) -> str:
    """What another command needs to find the same results and vectors."""
    chosen = [("--out", out, OUT), ("--vectors", directory, DIRECTORY)]
    return "".join(f" {name} {shlex.quote(str(path))}" for name, path, usual in chosen if path != usual)


def conclude(result: Conclusion) -> None:
    style = {0: "bold green", 3: "bold yellow"}.get(result.exit_code, "bold red")
    console.print(Text(result.sentence, style=style), soft_wrap=True, highlight=False)


# run -------------------------------------------------------------------------------------------------------------


@main.command()
@kernel_options
@click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=True, help="Where results go.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON at the end, and nothing else.")
def run(kernels: tuple[str, ...], modules: Path | None, out: Path, as_json: bool) -> None:
    """Do everything, and print the verdict.

    Are the vectors as generated, do the theorems hold, do all targets conform? Nothing is taken from an earlier run.
    Which targets there are here: `gpaspec targets`, those with a star. Takes minutes; `gpaspec check model c` takes
    seconds.
    """
    from conformance.generate.write import differences

    plans = plans_or_fail(default_names(), kernels, modules)  # what is named wrong is said before minutes of proofs
    say = (lambda text: None) if as_json else click.echo
    say(f"1. Vectors: generated again with seed {SEED} and compared ...")
    found = differences()
    for line in found:
        say(f"   {line}")
    vectors = vectors_or_fail(DIRECTORY)
    verdict = "NOT as generated" if found else "as generated"
    say(f"   {len(vectors)} vectors, {sum(len(vector.steps) for vector in vectors)} steps: {verdict}")
    proved: dict[str, Any] = {}
    if proofs_are_there():
        say("2. Theorems ...")
        report = prove_all(meant(None, (), (), ()), quiet=as_json, fresh=True)
        proved = proofs_module("show").as_json(report)
        if not as_json:
            console.print(proofs_module("show").matrix_table(report, console.width))
    say("3. Implementations ...")
    reports = run_plans(plans, vectors, out, complete=True, quiet=as_json)
    wrong = ["the vectors are not as generated"] if found else []
    wrong += ["not all theorems are proved"] if proved and not proved["passed"] else []
    result = conclusion(reports, optional=("linux-host",), wrong=wrong)
    if as_json:
        document = {"vectors": found, **proved, **reports_json(reports), **dataclasses.asdict(result)}
        click.echo(json.dumps(document, indent=1))
    else:
        print_reports(console, reports, out=out, options=options_text(out))
        conclude(result)
    sys.exit(result.exit_code)


# prove -----------------------------------------------------------------------------------------------------------


if proofs_are_there():

    @main.command()
    @click.argument("theorem", required=False)
    @click.option("--rule", "rules", multiple=True, help="Only what is about rules that begin so, such as VHOST.LOG.")
    @click.option("--subject", "subjects", multiple=True, help="Only ids that begin so, such as TWOSETS.")
    @click.option("--operation", "operations", multiple=True, help="Only what is about these, such as set_region.")
    @click.option("--list", "only_list", is_flag=True, help="Judge nothing; say which theorems there are.")
    @click.option("--explain", "in_full", is_flag=True, help="Show one theorem in full, its planted bug as a vector.")
    @click.option("--fresh", is_flag=True, help="Judge everything again; take nothing from earlier runs.")
    @click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=True, help="Where results go.")
    @click.option(
        "--second-opinion", "second", is_flag=True, help="Ask another solver, cvc5, about all that z3 decided."
    )
    @click.option(
        "--export", type=click.Path(path_type=Path), help="With --second-opinion: keep its SMT-LIB 2 files here."
    )
    @click.option("--module", help="Not theorems: this kernel module, by its path, or by its name with --kernel.")
    @click.option(
        "--kernel", "kernels", multiple=True, help="For --module: of this Debian kernel, such as 6.1. Can be repeated."
    )
    @click.option("--function", help="For --module: only this function of it.")
    @click.option(
        "--image",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="For --module: its kernel (bzImage or vmlinux), with the types that those of the module build on.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def prove(
        theorem: str | None,
        rules: tuple[str, ...],
        subjects: tuple[str, ...],
        operations: tuple[str, ...],
        only_list: bool,
        in_full: bool,
        fresh: bool,
        out: Path,
        second: bool,
        export: Path | None,
        module: str | None,
        kernels: tuple[str, ...],
        function: str | None,
        image: Path | None,
        as_json: bool,
    ) -> None:
        """Prove the theorems, or compare a kernel module with the model.

        A theorem counts as proved if the proof goes through for every input, a witness is found (an input that it
        speaks about), and with its planted bug in the code the proof fails and an input is found that shows the bug.
        The terms are explained at the head of docs/theorems.md.

        THEOREM is an id, or a part of an id or of a sentence; without it all are meant. Prints seconds by operation
        and invariant. Verdicts are kept in the XDG cache directory until code that they depend on changes. Exit
        status: 0 all are proved, 1 one is not, 2 nothing can be said.

        With --module, functions of vhost.ko, vhost_iotlb.ko or kvm.ko are compared with the model's: see
        docs/objectcode.md. Exit status: 0 equal, 1 different (with an input that shows it), 2 that cannot be said.

        \b
        Examples
          gpaspec prove                                  everything
          gpaspec prove --rule KVM.SLOT --list           which theorems are about these rules?
          gpaspec prove --explain MEMSLOT.DISJOINT       one theorem in full
          gpaspec prove --module vhost.ko --kernel 6.1   a module of a Debian kernel
        """
        if module is not None:
            from conformance.targets.linux.proved.command import prove_modules

            filters = theorem is not None or rules or subjects or operations
            if filters or only_list or in_full or fresh or second or export is not None:
                raise Failure("--module compares kernel modules: of the other options it takes --out and --json")
            prove_modules(module, kernels, function, image, out, as_json)
        if kernels or function or image:
            raise Failure("--kernel, --function and --image go with --module")
        selection = meant(theorem, rules, subjects, operations)
        if only_list:
            list_theorems(selection.theorems(), as_json)
            return
        if in_full:
            explain_theorem(theorem, selection, fresh, out, as_json)
            return
        if second or export is not None:
            sys.exit(ask_second_solver(selection.theorems(), export, as_json))
        report = prove_all(selection, quiet=as_json, fresh=fresh)
        document = proofs_module("show").as_json(report)
        # What is true of a part is not what was found out of all.
        keep_document(out / ("prove.json" if selection.is_all() else "prove-part.json"), document)
        if as_json:
            click.echo(json.dumps(document, indent=1))
        else:
            console.print(proofs_module("show").matrix_table(report, console.width))
        sys.exit(0 if document["passed"] else 1)


# fuzz ------------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("targets", nargs=-1)
@click.option("--kernel", "kernels", multiple=True, help="For linux and linux-source: a version. Can be repeated.")
@click.option(
    "--operations",
    type=click.IntRange(min=1),
    default=20_000,
    show_default=True,
    help="Compare each target in at least so many operations.",
)
@click.option("--time", "seconds", type=click.FloatRange(min=0, min_open=True), help="End after so many seconds.")
@click.option("--seed", default=1, show_default=True, help="The seed of everything that is random.")
@click.option(
    "--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="How many processes run at a time."
)
@click.option("--memslots", is_flag=True, help="KVM memory slots instead of vhost: for model and c.")
@click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=True, help="Where findings go.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def fuzz(
    targets: tuple[str, ...],
    kernels: tuple[str, ...],
    operations: int,
    seconds: float | None,
    seed: int,
    jobs: int,
    memslots: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Try random operations on targets.

    Each answer is judged by the specification.

    \b
    TARGETS are model, c, linux-source (these three without any name),
    linux, linux-6.1, linux-source-6.1, spec
    \b
    Examples
      gpaspec fuzz --operations 1000000
      gpaspec fuzz linux --kernel 6.12 --operations 100000

    What is found is made as short as it goes, and kept as a vector in the directory of --out. The same seed gives the
    same operations. Exit status: 0 no target does otherwise but in known ways, 1 one does, 2 one was not there, or
    was compared in nothing.
    """
    from conformance import fuzzing

    if memslots and not targets:
        targets = ("model", "c")
    result = fuzzing.run(targets, kernels, operations, seconds, seed, jobs, memslots, out, quiet=as_json)
    if as_json:
        click.echo(json.dumps(fuzzing.as_json(result, seed), indent=1))
    else:
        fuzzing.show(result, seed)
    sys.exit(result.exit_code())


# explain ---------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("vector_id", metavar="ID")
@click.option(
    "--target", "names", multiple=True, help="What this target answers: asked now, or from an earlier check's results."
)
@kernel_options
@click.option("--reproducer", is_flag=True, help="Print a self-contained C program that shows the vector to a kernel.")
@click.option("--vectors", "directory", type=click.Path(path_type=Path), default=DIRECTORY, help="Their directory.")
@click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=True, help="Where results are.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(
    vector_id: str,
    names: tuple[str, ...],
    kernels: tuple[str, ...],
    modules: Path | None,
    reproducer: bool,
    directory: Path,
    out: Path,
    as_json: bool,
) -> None:
    """Show one vector step by step.

    ID is a vector's id, as reports name it, or the beginning of one. For each step: the slots or maps before and
    after, the rule that rejects it, what is expected, and what targets answered: in the last check of each, or now,
    with --target. A kernel or an adapter of yours is shown from the results of its last check, by its name in the
    report, such as linux-own-bzImage.
    """
    from conformance import explain as explaining

    try:
        vector = explaining.find(vectors_or_fail(directory), vector_id)
    except explaining.NoSuchVector as error:
        raise Failure(str(error)) from error
    if reproducer:
        click.echo(reproducer_of(vector))
        return
    kept = [name for name in names if only_kept(name, out)]
    runs = [name for name in names if name not in kept]
    found: dict[str, LastRun] = {}
    if runs or kernels or modules:
        results = out / "explain"
        for report in run_plans(
            plans_or_fail(runs, kernels, modules), [vector], results, complete=False, quiet=as_json
        ):
            found[report.target] = last_run(report.target, results)
            why = report.failure or report.unavailable
            if why and not (report.judgements and vector.id in found[report.target].entries):
                raise Failure(why)
    for name in kept or ([] if names else sorted(path.stem for path in (out / "results").glob("*.jsonl"))):
        found[name] = last_run(name, out)
        if name in kept and vector.id not in found[name].entries:
            raise Failure(f"{name}: {found[name].about()} has no result for {vector.id}: run `gpaspec check` again")
    observed = {name: run.entries[vector.id] for name, run in found.items() if vector.id in run.entries}
    origins = {name: "run now" if run.out == out / "explain" else run.about() for name, run in found.items()}
    if as_json:
        click.echo(json.dumps(explaining.explain_json(vector, observed, origins), indent=1))
        return
    for line in explaining.explain_lines(vector, observed, origins):
        click.echo(line)
    deviates = [name for name, entry in observed.items() if name.startswith("linux") and entry.get("differences")]
    if deviates and has_reproducer():
        click.echo(f"\na C program that shows it on {', '.join(deviates)}: gpaspec explain {vector.id} --reproducer")


def only_kept(name: str, out: Path) -> bool:
    """Whether a name stands for results of an earlier run, and not for a target that can be run by its name."""
    try:
        plans_for(name)
    except UnknownTarget:
        return "/" not in name and (out / "results" / f"{name}.jsonl").is_file()
    return False


def has_reproducer() -> bool:
    return importlib.util.find_spec("conformance.targets.linux.reproduce") is not None


def reproducer_of(vector: Vector) -> str:
    if not has_reproducer():
        raise Failure("there is no generator of C programs here (conformance.targets.linux.reproduce)")
    text: str = importlib.import_module("conformance.targets.linux.reproduce").program(vector)
    return text


# export ----------------------------------------------------------------------------------------------------------


@main.command()
@click.option("--form", type=click.Choice(["jsonl", "c", "flat"]), multiple=True, help="Which; all without it.")
@click.option("--vectors", "directory", type=click.Path(path_type=Path), default=DIRECTORY, help="Their directory.")
@click.option("--out", type=click.Path(path_type=Path), default=OUT / "export", show_default=True, help="Where to.")
def export(form: tuple[str, ...], directory: Path, out: Path) -> None:
    """Write the vectors in forms that need no tool chain.

    jsonl: one vector on each line, every field written out. c: a header of static arrays. flat: requests in the binary
    form that the guest program reads, and the expectations beside it. All of it is CC0.
    """
    from conformance.export import write_export

    vectors = vectors_or_fail(directory)
    for name in form or ("jsonl", "c", "flat"):
        try:
            for path in write_export(name, vectors, out):
                click.echo(f"{path}  {path.stat().st_size} bytes")
        except OSError as error:
            raise Failure(f"{error.filename or out}: {error.strerror}") from error


# selftest --------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("adapter_command", metavar="ADAPTER-COMMAND")
@click.option("--seconds", default=20.0, show_default=True, help="How long it may be silent.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def selftest(adapter_command: str, seconds: float, as_json: bool) -> None:
    """Judge an adapter before the implementation behind it.

    Starts ADAPTER-COMMAND (one argument: quote it) and checks that it keeps to the protocol of docs/protocol.md. No
    result can be wrong here, only its form. Exit status 2 when something is not in order.
    """
    from conformance.selftest import selftest as checks

    findings = []
    for finding in checks(adapter_command, seconds):
        findings.append(finding)
        if not as_json:
            click.echo(f"{'ok  ' if finding.passed() else 'FAIL'} {finding.check}")
            if finding.problem:
                click.echo(f"     {finding.problem}")
    if as_json:
        click.echo(json.dumps([{"check": one.check, "problem": one.problem} for one in findings]))
    sys.exit(0 if all(one.passed() for one in findings) else HARNESS_FAILED)


# targets ---------------------------------------------------------------------------------------------------------


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def targets(as_json: bool) -> None:
    """Say which targets there are, and which the main job checks."""
    defaults = default_names()
    if as_json:
        click.echo(json.dumps([{"target": n, "what": w, "default": n in defaults} for n, w in TARGETS]))
        return
    for name, what in TARGETS:
        click.echo(f"{'*' if name in defaults else ' '} {name:14}{what}")
    click.echo("\n* is checked by `gpaspec run`")


if __name__ == "__main__":
    main()
