"""What must be so of every theorem before it is judged: a lint."""

from __future__ import annotations

import dis
import functools
import inspect
import pkgutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import proofs.theorems
import proofs.theorems.vhost
from proofs.catalogue import SUBJECTS, THEOREMS, theorem_named
from proofs.coverage import (
    BESIDE,
    EVERYWHERE,
    NOT_PROVED,
    OF_MEMSLOTS,
    OF_VHOST,
    WITHOUT_THEOREM,
    not_proved_beside,
    rules_by_name,
)
from proofs.glossary import COUNTEREXAMPLE, EXAMPLE, WITNESS
from proofs.prover import checks_as_formulas
from proofs.theorem import UNBOUNDED, Patch, Theorem, patched
from proofs.theorems.vhost import loops
from proofs.words import sentence_of, silent_hypotheses, unwrapped, words_of
from spec.step import OPERATIONS, all_rules


def test_ids_are_unique() -> None:
    assert [name for name, count in Counter(theorem.id for theorem in THEOREMS).items() if count > 1] == []


def test_every_module_of_theorems_is_in_the_catalogue() -> None:
    there = {
        found.name
        for package in (proofs.theorems, proofs.theorems.vhost)
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
        if not found.ispkg
    }
    assert there == {subject.__name__ for subject in SUBJECTS}


def test_every_theorem_that_a_module_makes_is_in_the_catalogue() -> None:
    """Also one that was written down outside of the module's list."""
    for subject in SUBJECTS:
        made = [value for value in vars(subject).values() if isinstance(value, Theorem)]
        tuples = [value for value in vars(subject).values() if isinstance(value, tuple)]
        made += [part for value in tuples for part in value if isinstance(part, Theorem)]
        assert {theorem.id for theorem in made} == {theorem.id for theorem in subject.THEOREMS}


def bad(is_good: Callable[[Theorem], bool]) -> list[str]:
    """The theorems of which something is not true."""
    return [theorem.id for theorem in THEOREMS if not is_good(theorem)]


def test_sentences_are_sentences() -> None:
    def is_sentence(theorem: Theorem) -> bool:
        begins = theorem.sentence[0].isupper() or theorem.sentence[0] == "`"
        return begins and theorem.sentence.endswith((".", ".)")) and "\n" not in theorem.sentence

    assert bad(is_sentence) == []
    assert bad(lambda theorem: bool(theorem.bug.sentence) and not theorem.bug.sentence.endswith(".")) == []


def test_a_bound_says_why() -> None:
    """A bound is what it reaches to, a colon, and the reason that it goes no further."""

    def says_why(theorem: Theorem) -> bool:
        reach, _, reason = theorem.bound.partition(": ")
        return theorem.bound == UNBOUNDED or (bool(reach and reason) and not theorem.bound.endswith("."))

    assert bad(says_why) == []


def test_hypotheses_are_told_in_words() -> None:
    assert {theorem.id: silent for theorem in THEOREMS if (silent := silent_hypotheses(theorem))} == {}
    assert bad(lambda theorem: words_of(theorem.given)[0][0] == 0) == []


def test_a_planted_bug_changes_something() -> None:
    """Each of its patches puts something else in the place of something that is there."""
    for theorem in THEOREMS:
        assert theorem.bug.patches, theorem.id
        for patch in theorem.bug.patches:
            assert getattr(patch.owner, patch.name) is not patch.value, theorem.id
            assert getattr(patch.owner, patch.name) != patch.value, theorem.id


# Theorems whose planted bug is no fault of the specification or a model, and why there is no code that it could be in.
OF_THE_PROOFS = {
    "TREE.ALWAYS": "it is about what proofs measure of a tree, for which no model runs",
    "TREE.CONTEXT": "it is about what proofs measure of a tree, for which no model runs",
}


def rooms_of(patch: Patch) -> list[str]:
    """The modules that a patch is about: where it is made, or where what it replaces was written down."""
    owner = patch.owner.__name__ if inspect.ismodule(patch.owner) else patch.owner.__module__
    if owner.startswith(("spec.", "model.")):
        return [owner]
    return [getattr(getattr(patch.owner, patch.name), "__module__", owner), owner]


def looked_up_in(code: Any) -> Iterator[tuple[str, str | None]]:
    """The names that code looks up in its module (name, None), and in one that its module knows (name, its name)."""
    before: dis.Instruction | None = None
    for step in dis.get_instructions(code):
        if step.opname == "LOAD_GLOBAL":
            yield step.argval, None
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and before is not None and before.opname == "LOAD_GLOBAL":
            yield step.argval, before.argval
        before = step
    for inner in code.co_consts:
        if inspect.iscode(inner):
            yield from looked_up_in(inner)


def asks_for(function: Callable[..., Any], patch: Patch, seen: set[Any]) -> bool:
    """Whether a function of the proofs, or one that it names or was made with, looks up what a patch replaces."""
    function = unwrapped(function)
    code = getattr(function, "__code__", None)
    if function in seen or code is None or not function.__module__.startswith("proofs."):
        return False
    seen.add(function)
    known, looked_up = function.__globals__, list(looked_up_in(code))
    if any(patch.name == name and vars(patch.owner) is known for name, of in looked_up if of is None):
        return True
    if any(patch.name == name and known.get(of) is patch.owner for name, of in looked_up if of is not None):
        return True
    named = [known.get(name) if of is None else getattr(known.get(of), name, None) for name, of in looked_up]
    made_with = [cell.cell_contents for cell in function.__closure__ or ()]
    parts = [part for value in made_with for part in (value if isinstance(value, tuple) else (value,))]
    return any(asks_for(one, patch, seen) for one in (*named, *parts) if callable(one))


def test_planted_bugs_are_in_the_specification_or_a_model() -> None:
    elsewhere = {
        theorem.id
        for theorem in THEOREMS
        for patch in theorem.bug.patches
        if not rooms_of(patch)[0].startswith(("spec.", "model."))
    }
    assert elsewhere == set(OF_THE_PROOFS)
    told = (Path(__file__).parent.parent.parent / "docs/proofs.md").read_text()
    assert [
        theorem for theorem in OF_THE_PROOFS if f"`{theorem}`" not in told.partition("## The trusted base")[0]
    ] == []


def test_planted_bugs_do_not_change_what_is_assumed() -> None:
    """What is replaced in a module of proofs, where it came from the specification, is asked by the claim alone."""
    for theorem in THEOREMS:
        for patch in theorem.bug.patches if theorem.id not in OF_THE_PROOFS else ():
            if inspect.ismodule(patch.owner) and rooms_of(patch)[-1].startswith("proofs."):
                assert asks_for(theorem.holds, patch, set()), f"{theorem.id}: its claim does not use {patch.name}"
                assert not asks_for(theorem.given, patch, set()), f"{theorem.id}: {patch.name} is in its hypotheses"


def test_a_bug_in_the_hypotheses_is_noticed() -> None:
    assert rooms_of(Patch(sys.modules[__name__], "is_small", asks)) == [__name__, __name__]
    assert rooms_of(Patch(loops, "is_host_range", asks)) == ["spec.vhost.device", "proofs.theorems.vhost.loops"]
    assert asks_for(loops.is_behind_the_checks, Patch(loops, "is_host_range", asks), set())
    assert not asks_for(loops.more_is_done, Patch(loops, "is_host_range", asks), set())


def test_operations_and_invariant_place_it_in_the_matrix() -> None:
    assert bad(lambda one: bool(one.operations and one.invariant) and len(set(one.rules)) == len(one.rules)) == []


def test_every_operation_of_the_specification_has_a_theorem_or_a_reason() -> None:
    spoken_of = {name for theorem in THEOREMS for name in theorem.operations}
    reasons = " ".join(NOT_PROVED)
    assert [one.name for one in OPERATIONS if one.name not in spoken_of and f"`{one.name}`" not in reasons] == []


def test_reasons_for_rules_without_a_theorem_are_needed() -> None:
    spoken_of = {rule for theorem in THEOREMS for rule in rules_by_name(theorem)}
    assert not spoken_of & set(WITHOUT_THEOREM)
    assert set(WITHOUT_THEOREM) <= {rule.id for rule in all_rules()}


def test_what_is_not_proved_stands_beside_its_subject() -> None:
    """Or it belongs to none, and says so."""
    placed = {
        sentence
        for subject in SUBJECTS
        for sentence in not_proved_beside(subject.__name__.rpartition(".")[2], subject.THEOREMS)
    }
    assert [one for one in NOT_PROVED if (one in placed) == one.startswith(EVERYWHERE)] == []
    assert [piece for piece in BESIDE if not any(piece in sentence for sentence in NOT_PROVED)] == []
    names = {subject.__name__.rpartition(".")[2] for subject in SUBJECTS}
    assert {module for modules in BESIDE.values() for module in modules} <= names


# THE WORDS THEMSELVES --------------------------------------------------------------------------------------------


def is_small(size: int) -> bool:
    """The size is small."""
    return size < 4


def asks(size: int) -> bool:
    """Whether the size is even."""
    return size % 2 == 0


def both(parts: tuple[Callable[..., Any], ...]) -> Callable[..., Any]:
    def given(size: int) -> bool:
        """Both of these:"""
        return all(part(size) for part in parts)

    return given


def mute(size: int) -> bool:
    return is_small(size)


def test_words_are_those_of_a_function_and_of_its_parts() -> None:
    assert words_of(both((is_small,))) == [(0, "Both of these:"), (1, "The size is small.")]
    assert words_of(functools.partial(is_small)) == [(0, "The size is small.")]
    assert words_of(mute) == [(0, "The size is small.")]
    assert sentence_of(mute) == ""
    assert sentence_of(asks) == "The size is even."


def test_a_function_that_says_nothing_is_noticed() -> None:
    given = both((mute,))
    silent = silent_hypotheses(Theorem(**{**vars(THEOREMS[0]), "given": given}))
    assert silent == [f"{__name__}.mute"]
    assert inspect.getdoc(mute) is None


# THE HEAD OF THE PAGE --------------------------------------------------------------------------------------------


def test_the_example_of_the_page_is_one() -> None:
    theorem = theorem_named(EXAMPLE)
    assert theorem.given(**WITNESS) and theorem.holds(**WITNESS)
    assert not theorem.given(**COUNTEREXAMPLE)
    with patched(theorem.bug.patches), checks_as_formulas():  # which looks operations up anew
        assert theorem.given(**COUNTEREXAMPLE) and not theorem.holds(**COUNTEREXAMPLE)


def test_what_is_not_proved_of_one_line_is_not_beside_the_other() -> None:
    for subject in SUBJECTS:
        beside = not_proved_beside(subject.__name__.rpartition(".")[2], subject.THEOREMS)
        if subject.__name__.endswith("refinement"):
            assert beside and not [one for one in beside if one.startswith(OF_VHOST)]
        if subject.__name__.endswith("vhost.machine"):
            assert beside and not [one for one in beside if one.startswith(OF_MEMSLOTS)]
