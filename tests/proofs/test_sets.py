"""Symbolic sets answer as frozensets do: small ones value by value, arbitrary ones by what can be proved of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import z3
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs.sets import every_pair, has
from proofs.symbolic.anyset import AnySet, Universe
from proofs.symbolic.arithmetic import Arithmetic
from proofs.symbolic.boolean import SymBool, all_of, any_of, implies, merged, merged_anew, negation
from proofs.symbolic.concrete import plain
from proofs.symbolic.explorer import Explorer, Unsupported, exploring, truth
from proofs.symbolic.fewset import FewSet
from proofs.symbolic.integer import integer, same
from proofs.symbolic.linear import LINEAR
from proofs.symbolic.shape import Shape
from proofs.world import SLOT_SHAPE
from spec.memslots.slot import Slot
from spec.pages import Pages
from spec.sets import added, count, every, gathered, kept, least, only, removed, some
from tests.proofs.judging import ARITHMETICS, NAMES


@dataclass(frozen=True)
class Box:
    """A small record to make sets of."""

    key: int
    size: int


SHAPE = Shape(kind=Box, ranges={"key": (0, 7), "size": (0, 100)})

QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "every": lambda boxes: every(boxes, lambda box: box.size < 50),
    "some": lambda boxes: some(boxes, lambda box: box.key == 3 and box.size > 9),
    "pairs": lambda boxes: every_pair(boxes, lambda one, other: one.key != other.key),
    "only": lambda boxes: (found := only(boxes, lambda box: box.key == 3)) is not None and found.size == 5,
    "added": lambda boxes: every(added(boxes, Box(3, 60)), lambda box: box.size < 70),
    "pairs after": lambda boxes: every_pair(added(boxes, Box(3, 60)), lambda one, other: one.key != other.key),
    "removed": lambda boxes: some(without_key(boxes, 3), lambda box: box.key == 3),
    "removed equal": lambda boxes: some(removed(boxes, Box(3, 60)), lambda box: box.size == 60),
    "added and removed equal": lambda boxes: some(
        removed(added(boxes, Box(3, 60)), Box(3, 60)), lambda box: box.key == 3
    ),
    "changed": lambda boxes: only(changed(boxes, 3), lambda box: box.key == 3) is None,
    "least": lambda boxes: (found := least(boxes, is_small, by_size)) is not None and found.key == 2,
    "least after": lambda boxes: (found := least(added(boxes, Box(1, 30)), is_small, by_size)) is None or found.key < 2,
    "kept": lambda boxes: every(kept(boxes, is_small), lambda box: box.key != 3),
    "kept after": lambda boxes: some(kept(added(boxes, Box(3, 60)), is_small), lambda box: box.key == 3),
    "gathered": lambda boxes: gathered(kept(boxes, is_small), page_of_key).contains(3),
    "gathered after": lambda boxes: gathered(added(boxes, Box(3, 60)), page_of_key).contains(3),
    "count": lambda boxes: count(boxes) == 2,
    "count after": lambda boxes: count(added(kept(boxes, is_small), Box(3, 5))) >= 2,
}


def page_of_key(box: Box) -> Pages:
    return Pages(((box.key, box.key),))


def is_small(box: Box) -> bool:
    return box.size < 50


def by_size(box: Box) -> tuple[int, ...]:
    return (box.size, box.key)


def without_least(boxes: Any) -> Any:
    found = least(boxes, lambda box: True, by_size)
    return boxes if found is None else removed(boxes, found)


def grown(boxes: Any) -> Any:
    """With a box whose key none has."""
    return added(kept(boxes, lambda box: box.key != 3), Box(3, 1))


def without_key(boxes: Any, key: int) -> Any:
    found = only(boxes, lambda box: box.key == key)
    return boxes if found is None else removed(boxes, found)


def changed(boxes: Any, key: int) -> Any:
    found = only(boxes, lambda box: box.key == key)
    return boxes if found is None else added(removed(boxes, found), replace(found, size=1))


# Keys differ, as `only` wants it.
box_sets = st.dictionaries(st.integers(0, 7), st.integers(0, 100), max_size=3).map(
    lambda boxes: frozenset(Box(key, size) for key, size in boxes.items())
)


@settings(max_examples=100, deadline=None)
@given(box_sets, st.sampled_from(sorted(QUESTIONS)), st.sampled_from(ARITHMETICS))
def test_few_members_answer_as_a_frozenset(boxes: frozenset[Box], name: str, arithmetic: Arithmetic) -> None:
    explorer = Explorer(arithmetic)
    with exploring(explorer):
        symbolic = FewSet.of("box", SHAPE, 3)
        for (there, member), box in zip(symbolic.members, [*boxes, None, None, None], strict=False):
            explorer.assume(there if box is not None else z3.Not(there))
            if box is not None:
                explorer.assume(z3.And(same(member.key, box.key), same(member.size, box.size)))
        answers = {bool(QUESTIONS[name](boxes))}
        found = set()
        for path in explorer.paths(lambda: bool(QUESTIONS[name](symbolic))):
            solver, answer = explorer.check(path.conditions())
            if answer == z3.sat:
                assert plain(solver.model(), symbolic) == boxes
                found.add(path.value)
    assert found == answers


def provable(statement: Callable[[Any], Any], arithmetic: Arithmetic = LINEAR) -> bool:
    """Whether a statement holds of every set of boxes whose keys differ."""
    explorer = Explorer(arithmetic)
    with exploring(explorer):
        boxes = AnySet(Universe("box", SHAPE))
        explorer.assume(truth(every_pair(boxes, lambda one, other: one.key != other.key)))
        return all(
            explorer.check([*path.conditions(), z3.Not(truth(path.value))], timeout_ms=3_000)[1] == z3.unsat
            for path in explorer.paths(lambda: statement(boxes))
        )


TRUE_OF_ALL: dict[str, Callable[[Any], Any]] = {
    "every and some are dual": lambda boxes: (
        every(boxes, lambda box: box.size < 50) == negation(some(boxes, lambda box: box.size >= 50))
    ),
    "what was added is there": lambda boxes: some(added(boxes, Box(1, 77)), lambda box: box.size == 77),
    "what was removed is gone": lambda boxes: negation(some(without_key(boxes, 3), lambda box: box.key == 3)),
    "what was put in and taken out again takes its twin with it": lambda boxes: negation(
        some(removed(added(boxes, one := Box(1, 77)), one), lambda box: box.key == 1 and box.size == 77)
    ),
    "the only one is there": lambda boxes: (
        (found := only(boxes, lambda box: box.key == 3)) is None or has(boxes, found)
    ),
    "the only one is as asked": lambda boxes: (
        (found := only(boxes, lambda box: box.key == 3)) is None or found.key == 3
    ),
    "none is the only one if some is none": lambda boxes: implies(
        negation(some(boxes, lambda box: box.key == 3)), only(boxes, lambda box: box.key == 3) is None
    ),
    "a change keeps keys apart": lambda boxes: every_pair(changed(boxes, 3), lambda one, other: one.key != other.key),
    "taken out and put back": lambda boxes: (
        (found := only(boxes, lambda box: box.key == 3)) is None or has(added(removed(boxes, found), found), found)
    ),
    "at most eight keys": lambda boxes: every(boxes, lambda box: box.key < 8),
    "the least is there": lambda boxes: (found := least(boxes, is_small, by_size)) is None or has(boxes, found),
    "no other is less": lambda boxes: (
        (found := least(boxes, is_small, by_size)) is None
        or every(boxes, lambda box: any_of(box.size >= 50, box.size > found.size, box.key >= found.key))
    ),
    "none is least if none is small": lambda boxes: implies(
        every(boxes, lambda box: box.size >= 50), least(boxes, is_small, by_size) is None
    ),
    "the next is not less": lambda boxes: (
        (one := least(boxes, lambda box: True, by_size)) is None
        or (next_one := least(without_least(boxes), lambda box: True, by_size)) is None
        or next_one.size >= one.size
    ),
    "the new one may be least": lambda boxes: (
        (found := least(added(boxes, Box(3, 10)), is_small, by_size)) is not None and found.size <= 10
    ),
    "what is kept is small": lambda boxes: every(kept(boxes, is_small), lambda box: box.size < 50),
    "what is small is kept": lambda boxes: implies(
        some(boxes, lambda box: box.size < 9), some(kept(boxes, is_small), lambda box: box.size < 9)
    ),
    "one more is one more": lambda boxes: count(grown(boxes)) == count(kept(boxes, lambda box: box.key != 3)) + 1,
    "one less is one less": lambda boxes: any_of(
        count(without_least(boxes)) == count(boxes) - 1, all_of(count(boxes) == 0, count(without_least(boxes)) == 0)
    ),
    "kept are no more": lambda boxes: count(kept(boxes, is_small)) <= count(boxes),
    "there is one if the count is not 0": lambda boxes: (count(boxes) > 0) == some(boxes, lambda box: True),
}
NOT_TRUE_OF_ALL: dict[str, Callable[[Any], Any]] = {
    "there is something": lambda boxes: some(boxes, lambda box: box.size >= 0),
    "there is nothing": lambda boxes: every(boxes, lambda box: box.size < 0),
    "adding keeps keys apart": lambda boxes: every_pair(
        added(boxes, Box(3, 1)), lambda one, other: one.key != other.key
    ),
    "sizes differ": lambda boxes: every_pair(boxes, lambda one, other: one.size != other.size),
    "three is there": lambda boxes: only(boxes, lambda box: box.key == 3) is not None,
    "adding makes more": lambda boxes: count(added(boxes, Box(3, 1))) == count(boxes) + 1,
    "all are kept": lambda boxes: count(kept(boxes, is_small)) == count(boxes),
    "the least is small": lambda boxes: (found := least(boxes, lambda box: True, by_size)) is None or found.size < 50,
    "the least stays the least": lambda boxes: (
        (found := least(boxes, is_small, by_size)) is None
        or least(added(boxes, Box(3, 10)), is_small, by_size) is found
    ),
    "removing empties": lambda boxes: every(without_key(boxes, 3), lambda box: box.key == 3),
}


@pytest.mark.parametrize("arithmetic", ARITHMETICS, ids=NAMES)
@pytest.mark.parametrize("name", sorted(TRUE_OF_ALL))
def test_what_is_true_of_every_set_is_proved(name: str, arithmetic: Arithmetic) -> None:
    assert provable(TRUE_OF_ALL[name], arithmetic)


@pytest.mark.parametrize("arithmetic", ARITHMETICS, ids=NAMES)
@pytest.mark.parametrize("name", sorted(NOT_TRUE_OF_ALL))
def test_what_is_not_true_of_every_set_is_not_proved(name: str, arithmetic: Arithmetic) -> None:
    assert not provable(NOT_TRUE_OF_ALL[name], arithmetic)


def _witness_without_its_definition(self: AnySet, thing: Any, found: Any) -> Any:
    return self.universe.name_thing(f"only{len(self.universe.named)}")


def _keeps_what_was_removed(self: AnySet, member: Any) -> AnySet:
    return self


def _some_without_the_new(self: AnySet, holds: Callable[[Any], Any]) -> SymBool:
    thing = self._bound_thing()
    claim = z3.And(self._is_member(thing), self._formula(holds, self.universe.record_of(thing)))
    return SymBool(z3.Exists([thing], claim))


def _least_without_its_rank(self: AnySet, thing: Any, found: Any, ranks: Any) -> Any:
    return self._witness(thing, found)


def _keeps_all(self: AnySet, holds: Callable[[Any], Any]) -> AnySet:
    return self


def _counts_nothing(self: AnySet, number: Any) -> None:
    return None


@pytest.mark.parametrize(
    ("method", "fault", "name"),
    [
        ("_witness", _witness_without_its_definition, "what was removed is gone"),
        ("removed", _keeps_what_was_removed, "what was removed is gone"),
        ("some", _some_without_the_new, "what was added is there"),
        ("_first", _least_without_its_rank, "no other is less"),
        ("kept", _keeps_all, "what is kept is small"),
        ("_settle_zero", _counts_nothing, "there is one if the count is not 0"),
    ],
)
def test_a_fault_in_the_sets_is_noticed(
    monkeypatch: pytest.MonkeyPatch, method: str, fault: Callable[..., Any], name: str
) -> None:
    monkeypatch.setattr(AnySet, method, fault)
    assert not provable(TRUE_OF_ALL[name])


def test_the_only_one_cannot_be_asked_for_each_member() -> None:
    explorer = Explorer()
    with exploring(explorer):
        boxes = AnySet(Universe("box", SHAPE))
        with pytest.raises(Unsupported):
            every(boxes, lambda box: only(boxes, lambda other: other.key == box.key) is not None)


def test_the_least_cannot_be_asked_for_each_member() -> None:
    with exploring(Explorer()):
        boxes = AnySet(Universe("box", SHAPE))
        with pytest.raises(Unsupported):
            every(boxes, lambda box: least(boxes, lambda other: other.key > box.key, by_size) is not None)


@pytest.mark.parametrize("kind", ["any", "few"])
def test_of_slots_what_is_equal_cannot_be_removed_for_they_have_pages(kind: str) -> None:
    with exploring(Explorer()):
        slots: Any = AnySet(Universe("slot", SLOT_SHAPE)) if kind == "any" else FewSet.of("slot", SLOT_SHAPE, 1)
        with pytest.raises(Unsupported):
            every(removed(slots, Slot(0, 0, 0, 1, 0, 0)), lambda slot: slot.id == 3)


def test_what_changes_is_asked_anew() -> None:
    def is_few(numbers: list[Any]) -> bool:
        return bool(numbers[0] < 3)

    assert merged_anew(is_few)([1]) is True
    explorer = Explorer()
    with exploring(explorer):
        one = integer("one", 0, 9)
        boxes = [one]
        before = merged_anew(is_few)(boxes)
        boxes[0] = one + 3
        after = merged_anew(is_few)(boxes)
        assert isinstance(before, SymBool) and isinstance(after, SymBool)
        assert not before.formula.eq(after.formula)


def test_merging_gives_one_formula_and_plain_values_stay_plain() -> None:
    def is_small(box: Box) -> bool:
        return box.key < 3 or (box.size < 10 and box.key != 5)

    assert merged(is_small)(Box(1, 50)) is True
    explorer = Explorer()
    with exploring(explorer):
        boxes = FewSet.of("box", SHAPE, 1)
        member = boxes.members[0][1]
        paths = list(explorer.paths(lambda: all_of(merged(is_small)(member), merged(is_small)(member))))
    assert len(paths) == 1
