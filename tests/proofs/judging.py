"""Is what a program gives on symbolic values what it gives on plain ones?

Two ways lead there. Fast: the terms of the inputs are numerals, so that everything can be worked out without a solver.
And as proofs do it: the inputs are variables, paths are walked, and a solver says what holds at their ends.
"""

from __future__ import annotations

from typing import Any

import z3

from proofs.symbolic.anyset import AnySet, Universe
from proofs.symbolic.arithmetic import Arithmetic
from proofs.symbolic.bits import BITS, width
from proofs.symbolic.boolean import all_of, any_of
from proofs.symbolic.concrete import holds, plain
from proofs.symbolic.explorer import Explorer, Unsupported, exploring, truth
from proofs.symbolic.fewset import FewSet
from proofs.symbolic.integer import SymInt, integer, same
from proofs.symbolic.linear import LINEAR
from proofs.symbolic.pages import SymPages
from spec.pages import pages_in
from tests.proofs.programs import RANGES, Program
from tests.proofs.set_programs import KEYS, LAST_PAGE_NUMBER, SHAPE, SIZES, Box, SetInputs, SetProgram, edited_pages

ARITHMETICS = (LINEAR, BITS)
NAMES = [arithmetic.name for arithmetic in ARITHMETICS]
LOUD = (ArithmeticError, IndexError, z3.Z3Exception, Unsupported)  # an engine that fails with an error does not agree


class Fixed(Explorer):
    """An explorer in whose world nothing is open: each branch goes where numerals lead it."""

    def decide(self, formula: Any) -> bool:
        return is_true(formula)


def is_true(formula: Any) -> bool:
    """What a formula without variables says."""
    verdict = z3.simplify(formula)
    if not (z3.is_true(verdict) or z3.is_false(verdict)):
        raise ArithmeticError(f"{verdict} is left open")
    return bool(z3.is_true(verdict))


def worked_out(value: Any) -> int:
    """The int that a fixed one is. It has to be within its bounds and, of bit-vectors, just as wide as they need."""
    if type(value) is int:
        return value
    found: int = value.arithmetic.value(z3.simplify(value.term), value.low, value.high)
    if not value.low <= found <= value.high:
        raise ArithmeticError(f"{found} is not among {value.low}..{value.high}")
    if value.arithmetic is BITS and value.term.size() != width(value.low, value.high):
        raise ArithmeticError(f"{value.term.size()} bits for {value.low}..{value.high}")
    return found


def agrees(program: Program, inputs: tuple[int, ...], arithmetic: Arithmetic) -> bool:
    """Whether a program gives on fixed symbolic ints, value by value, what it gives on ints."""
    expected = program.run(*inputs)
    try:
        with exploring(Fixed(arithmetic)):
            ends = RANGES.values()
            symbols = [SymInt(arithmetic.term(n, *end), *end) for n, end in zip(inputs, ends, strict=True)]
            values, answer = program.run(*symbols)
            return (tuple(worked_out(value) for value in values), answer) == expected
    except LOUD:
        return False


def walks_agree(program: Program, inputs: tuple[int, ...], arithmetic: Arithmetic) -> bool:
    """Whether the paths of a program lead, for given inputs, to what Python computes and nowhere else: all paths, those
    that a solver finds when the inputs are free and when they are given, and the answer as one formula.
    """
    try:
        return _walks_agree(program, inputs, Explorer(arithmetic))
    except LOUD:
        return False


def _walks_agree(program: Program, inputs: tuple[int, ...], explorer: Explorer) -> bool:
    expected = program.run(*inputs)
    with exploring(explorer):
        symbols = [integer(name, *ends) for name, ends in RANGES.items()]
        answer = explorer.formula(lambda: program.run(*symbols)[1])
        every_path = explorer.all_paths(lambda: program.run(*symbols))
        possible = list(explorer.paths(lambda: program.run(*symbols)))
        for symbol, value in zip(symbols, inputs, strict=True):
            explorer.assume(same(symbol, value))
        solver, verdict = explorer.check([])
        if verdict != z3.sat:
            return False
        model = solver.model()
        here, found = (
            [path for path in paths if all(holds(model, one) for one in path.conditions())]
            for paths in (every_path, possible)
        )
        feasible = list(explorer.paths(lambda: program.run(*symbols)))
        if {len(here), len(found), len(feasible)} != {1} or holds(model, answer) != expected[1]:
            return False
        ways = (*here, *found, *feasible)
        return all(path.raised is None and plain(model, path.value) == expected for path in ways)


# SETS ------------------------------------------------------------------------------------------------------------


def few_agree(program: SetProgram, inputs: SetInputs, arithmetic: Arithmetic) -> bool:
    """Whether a program gives on a set of a few fixed members what it gives on a frozenset. One more is not there."""

    def fixed(value: int, ends: tuple[int, int]) -> SymInt:
        return SymInt(arithmetic.term(value, *ends), *ends)

    def member(box: Box) -> Box:
        return Box(fixed(box.key, KEYS), fixed(box.size, SIZES))  # type: ignore[arg-type]

    expected = program.run(inputs.boxes, inputs.keys, inputs.sizes)
    try:
        with exploring(Fixed(arithmetic)):
            absent = (z3.BoolVal(False), member(Box(inputs.keys[0], inputs.sizes[0])))
            there = ((z3.BoolVal(True), member(box)) for box in sorted(inputs.boxes, key=lambda box: box.key))
            keys = tuple(fixed(key, KEYS) for key in inputs.keys)
            sizes = tuple(fixed(size, SIZES) for size in inputs.sizes)
            return program.run(FewSet((absent, *there), SHAPE, "box"), keys, sizes) == expected
    except LOUD:
        return False


def any_agrees(program: SetProgram, inputs: SetInputs, arithmetic: Arithmetic) -> bool:
    """Whether of an arbitrary set that has the members of a frozenset just that can be proved which is true of it."""
    expected = program.run(inputs.boxes, inputs.keys, inputs.sizes)
    explorer = Explorer(arithmetic)
    with exploring(explorer):
        boxes = AnySet(Universe("box", SHAPE))
        keys = tuple(integer(f"key{i}", *KEYS) for i in range(len(inputs.keys)))
        sizes = tuple(integer(f"size{i}", *SIZES) for i in range(len(inputs.sizes)))
        for symbol, value in zip((*keys, *sizes), (*inputs.keys, *inputs.sizes), strict=True):
            explorer.assume(same(symbol, value))
        for box in inputs.boxes:
            explorer.assume(truth(boxes.some(lambda one, box=box: is_the_box(one, box))))
        explorer.assume(truth(boxes.every(lambda one: any_of(False, *(is_the_box(one, box) for box in inputs.boxes)))))
        explorer.assume(truth(boxes.every_pair(lambda one, other: one.key != other.key)))
        possible = set()
        for path in explorer.paths(lambda: program.run(boxes, keys, sizes)):
            if path.raised is not None:
                return False
            if explorer.check(path.conditions(), timeout_ms=2_000)[1] != z3.unsat:
                possible.add(path.value)
    return possible == {expected}


def is_the_box(one: Box, box: Box) -> Any:
    return all_of(one.key == box.key, one.size == box.size)


def pages_agree(edits: tuple[tuple[str, int], ...], numbers: frozenset[int], arithmetic: Arithmetic) -> bool:
    """Whether a fixed set of pages contains, after edits, what a plain set contains."""
    ends = (0, LAST_PAGE_NUMBER)
    plain_pages = edited_pages(pages_in(tuple((n, n) for n in numbers)), edits, [number for _, number in edits])
    with exploring(Fixed(arithmetic)):

        def fixed(value: int) -> SymInt:
            return SymInt(arithmetic.term(value, *ends), *ends)

        symbolic = SymPages(lambda asked: z3.Or(*(same(asked, fixed(n)) for n in sorted(numbers))))
        symbolic = edited_pages(symbolic, edits, [fixed(number) for _, number in edits])
        asked = (*range(LAST_PAGE_NUMBER), 2 * LAST_PAGE_NUMBER)
        return all(is_true(symbolic.contains(page).formula) == plain_pages.contains(page) for page in asked)
