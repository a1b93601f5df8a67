"""Which functions of which modules are compared with what, and what comes out.

A verdict is "equal", "differs" (with a case that was run again on both sides) or "cannot" (with what is in the way).
Where the model has a rule that kernels are known to break, the hypothesis that leaves it out is taken away once more:
the case in which the code then differs is that deviation.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from conformance.targets.linux.proved.array_lookup import ArrayLookup
from conformance.targets.linux.proved.hypothesis import Hypothesis
from conformance.targets.linux.proved.layout import Layout
from conformance.targets.linux.proved.lookup import ENDS, OF_GUEST, OF_VCPU, Lookup
from conformance.targets.linux.proved.search import FIRST, NEXT, Next, Search
from conformance.targets.linux.proved.translation import IN_RANGE, NAME, SMALL, Translation
from conformance.targets.linux.proved.tree_lookup import TreeLookup
from proofs.objectcode.cannot import Cannot
from proofs.objectcode.elf import ObjectFile
from proofs.objectcode.image import Image
from proofs.objectcode.memory import STACK
from proofs.objectcode.models import Names
from proofs.objectcode.passes import Difference, Proof, Prover
from proofs.objectcode.replay import shows

MOST_LOST = 4  # places that are looked at
EQUAL, DIFFERS, CANNOT = "equal", "differs", "cannot"
STEPS_DOWN = ("leftmost_below", "leftmost_surely_below")  # the model's search, and as later kernels have it
DEVIATIONS = Path(__file__).parent.parent / "deviations.json"
Progress = Callable[[str], None]
Make = Callable[[Image, Names | None], Any]


@dataclass(frozen=True)
class Subject:
    """A function, and the models that it may be: the first that it equals counts, and it differs only if it differs
    from each. `without` are hypotheses with the rule that kernels break where they do not hold ("" where nothing is
    known to break one).
    """

    module: str
    function: str
    what: str
    models: tuple[str, ...]
    make: Callable[[Image, Layout, str, Names | None, Sequence[Hypothesis]], Any]
    without: tuple[tuple[Hypothesis, str], ...] = ()
    assumes: tuple[str, ...] = ()


CUTS = ("cut where it seems", "cut elsewhere")  # before or behind the question whether anything is left to search


def _lookup(
    function: str, image: Image, layout: Layout, model: str, names: Names | None, without: Sequence[Hypothesis]
) -> Lookup:
    """A lookup of slots as this kernel keeps them."""
    kind = TreeLookup if "set.root" in layout.places else ArrayLookup
    return kind(image, layout, function, model == CUTS[0], names, without)


SUBJECTS = (
    Subject(
        "vhost_iotlb",
        FIRST,
        "one step of the search for the leftmost overlap",
        STEPS_DOWN,
        lambda image, layout, model, names, without: Search(image, layout, model, names),
        assumes=("a tree with a root has a first node",),
    ),
    Subject(
        "vhost_iotlb",
        NEXT,
        "one step to the next overlap",
        STEPS_DOWN,
        lambda image, layout, model, names, without: Next(image, layout, model, names),
    ),
    Subject(
        "vhost",
        NAME,
        "one pass of the loop that translates",
        ("one_pass",),
        lambda image, layout, model, names, without: Translation(image, layout, names, without),
        ((IN_RANGE, "XLATE.LAST_ADDRESS"), (SMALL, "")),
        (
            "what the search finds touches the range that was asked for, and is as long as it says",
            "callers ask to read or to write, for room that is not negative, and only where there is a map",
        ),
    ),
    *(
        Subject(
            "kvm",
            name,
            "the slot that was found last, then one step of the search for the slot of a guest page",
            CUTS,
            partial(_lookup, name),
            ((ENDS, ""),),
        )
        for name in (OF_GUEST, OF_VCPU)
    ),
)


@dataclass
class Verdict:
    """What came out for one function."""

    module: str
    function: str
    status: str
    sentence: str = ""
    model: str = ""
    case: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)
    relations: Mapping[str, list[str]] = field(default_factory=dict)
    assumed: list[str] = field(default_factory=list)
    deviations: list[Mapping[str, Any]] = field(default_factory=list)


def subjects_of(module: str, function: str | None) -> list[Subject]:
    """What is compared in a module of this name."""
    return [one for one in SUBJECTS if one.module == module and function in (None, one.function)]


def judge(
    subject: Subject,
    file: ObjectFile,
    layout: Layout,
    progress: Progress = lambda words: None,
    patches: Mapping[tuple[str, int], bytes] | None = None,
    deviations: bool = True,
) -> Verdict:
    """Compare one function. `patches` change bytes of the code before: a bug that is to be found."""
    started = time.monotonic()
    verdict = Verdict(subject.module, subject.function, CANNOT)
    try:
        image = Image(file, dict(patches or {}))
        model = _judge_models(subject, image, layout, progress, verdict)
        if verdict.status == EQUAL and deviations:
            for hypothesis, rule in subject.without:
                progress(f"without: {hypothesis.name}")
                verdict.deviations.append(_deviation(subject, image, layout, model, hypothesis, rule))
    except Cannot as why:
        verdict.status, verdict.sentence = CANNOT, str(why)
    verdict.seconds = time.monotonic() - started
    return verdict


def _judge_models(subject: Subject, image: Image, layout: Layout, progress: Progress, verdict: Verdict) -> str:
    """The model that the verdict is about."""
    found: list[tuple[str, Mapping[str, int], str]] = []  # of each model: how it shows, the case, the model
    refused = []
    for model in subject.models:

        def make(names: Names | None, model: str = model) -> Any:
            return subject.make(image, layout, model, names, ())

        problem = make(None)
        prover = Prover(problem, progress)
        cases = _Cases(make, problem, prover.proof)
        why = "what the solver found does not show when it is run: what holds at the loop's cut is too little"
        try:
            proof = prover.prove(cases.shows)
        except Cannot as cannot:
            why = str(cannot)
        else:
            if proof.difference is None:
                _describe(verdict, subject, problem, proof, model, layout)
                return model
        for one in prover.proof.lost[-MOST_LOST:]:
            cases.shows(one)
        if cases.shown:
            found.append((*cases.shown[0], getattr(problem, "model", model)))
        else:
            refused.append(why)
    if refused:
        raise Cannot(refused[0])
    verdict.status, (verdict.sentence, verdict.case, verdict.model) = DIFFERS, found[0]
    return subject.models[0]


class _Cases:
    """The differences that were found, each run again on plain numbers: how those show that do, and the numbers."""

    def __init__(self, make: Callable[[Names | None], Any], problem: Any, proof: Proof) -> None:
        self.make, self.problem, self.proof = make, problem, proof
        self.shown: list[tuple[str, Mapping[str, int]]] = []

    def shows(self, difference: Difference) -> bool:
        """Whether this one shows."""
        values = self.problem.names.from_case(difference.case)
        names = Names(values)
        try:
            sentence = shows(self.make(names), names, self.proof, difference)
        except Cannot:
            return False
        if sentence:
            self.shown.append((sentence, values))
        return bool(sentence)


def _describe(verdict: Verdict, subject: Subject, problem: Any, proof: Proof, model: str, layout: Layout) -> None:
    verdict.status, verdict.model = EQUAL, getattr(problem, "model", model)
    verdict.counts = {
        "machine_paths": proof.machine_paths,
        "model_ways": proof.model_ways,
        "pairs": proof.pairs,
        "claims": proof.claims,
        "questions": proof.questions,
    }
    start = problem.function.start
    verdict.relations = {f"{one.step} at +{one.address - start:#x}": one.described() for one in proof.cuts}
    pairs = problem.machine.world.assumed
    separate = sorted(f"{one} and {other} have no byte in common" for one, other in pairs if one != STACK)
    separate += ["no other pointer leads into the stack frame"] if any(one == STACK for one, _ in pairs) else []
    excluded = [f"{one} (excluded by the model)" for one in sorted(proof.excluded)]
    verdict.assumed = [
        *subject.assumes,
        *getattr(problem, "assumes", ()),
        *excluded,
        *separate,
        f"fields: {layout.source}",
    ]


def _deviation(
    subject: Subject, image: Image, layout: Layout, model: str, hypothesis: Hypothesis, rule: str
) -> Mapping[str, Any]:
    """What happens where a hypothesis does not hold."""

    def make(names: Names | None) -> Any:
        return subject.make(image, layout, model, names, (hypothesis,))

    problem = make(None)
    prover = Prover(problem)
    cases = _Cases(make, problem, prover.proof)
    proof = prover.prove(cases.shows)
    told: dict[str, Any] = {"given": hypothesis.name, "because": hypothesis.because, "rule": rule}
    if proof.difference is None:
        return {**told, "differs": False}
    if not cases.shown:
        return {**told, "differs": False, "note": "what the solver found does not show when it is run"}
    [(sentence, values)] = cases.shown
    return {**told, "differs": True, "sentence": sentence, "case": values}


def vector_of(rule: str, version: str) -> str:
    """A vector that shows a known deviation from a rule on this kernel, "" if none is listed."""
    for entry in json.loads(DEVIATIONS.read_text()):
        if entry["rule"] == rule and f"linux-{version}" in entry["targets"]:
            return str(entry["cases"][0]["vectors"][0])
    return ""
