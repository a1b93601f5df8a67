"""Faults that somebody might have made in the engine. Random programs have to notice each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import z3

from proofs.symbolic import anyset, bits, boolean, choice, explorer, linear, pages, terms
from proofs.symbolic.anyset import AnySet
from proofs.symbolic.arithmetic import bounds
from proofs.symbolic.bits import BitVectors
from proofs.symbolic.boolean import SymBool
from proofs.symbolic.explorer import Explorer, Path, current
from proofs.symbolic.fewset import FewSet
from proofs.symbolic.integer import SymInt, either, is_integer
from proofs.symbolic.linear import LinearIntegers
from proofs.symbolic.pages import SymPages


@dataclass(frozen=True)
class Fault:
    """What is wrong, in words; what is replaced by what; and which random programs are to notice."""

    sentence: str
    owner: Any
    name: str
    value: Any
    noticed_by: str  # a hunt of `test_faults`


# INTEGERS: BOUNDS ------------------------------------------------------------------------------------------------


def _sum_with_one_bound(self: SymInt, other: Any) -> Any:
    if not is_integer(other):
        return NotImplemented
    low, high = self.low + bounds(other)[0], self.high
    return SymInt(self.arithmetic.add(self, other, low, high), low, high, self.arithmetic)


def _negation_with_its_bounds(self: SymInt) -> SymInt:
    return SymInt(self.arithmetic.subtract(0, self, self.low, self.high), self.low, self.high, self.arithmetic)


def _difference_with_bounds_of_a_sum(self: SymInt, other: Any) -> Any:
    if not is_integer(other):
        return NotImplemented
    low, high = self.low - bounds(other)[0], self.high - bounds(other)[1]
    return SymInt(self.arithmetic.subtract(self, other, low, high), low, high, self.arithmetic)


def _product_with_two_corners(self: SymInt, other: Any) -> Any:
    if not is_integer(other):
        return NotImplemented
    low, high = self.low * bounds(other)[0], self.high * bounds(other)[1]
    return SymInt(self.arithmetic.multiply(self, other, low, high), low, high, self.arithmetic)


def _or_within_the_larger(self: SymInt, other: Any) -> Any:
    low, high = max(self.low, bounds(other)[0]), max(self.high, bounds(other)[1])
    return self._bitwise("|", other, low, high)


def _and_within_the_smaller(self: SymInt, other: Any) -> Any:
    return self._bitwise("&", other, 0, max(0, min(self.high, bounds(other)[1])))


def _less_where_bounds_touch(self: SymInt, other: Any) -> Any:
    if self.high <= bounds(other)[0]:
        return SymBool(z3.BoolVal(True))
    return SymBool(self.arithmetic.is_less(self, other))


def _never_at_most_where_bounds_touch(self: SymInt, other: Any) -> Any:
    if self.low >= bounds(other)[1]:
        return SymBool(z3.BoolVal(False))
    return SymBool(self.arithmetic.is_at_most(self, other))


def _rest_is_the_number(self: SymInt, divisor: int) -> Any:
    if self.high < divisor:
        return self
    return SymInt(self.arithmetic.rest(self, divisor), 0, divisor - 1, self.arithmetic)


def _either_with_the_bounds_of_one(condition: Any, when_true: Any, when_false: Any) -> SymInt:
    low, high = bounds(when_true)
    term = current().arithmetic.term
    return SymInt(z3.If(condition, term(when_true, low, high), term(when_false, low, high)), low, high)


# INTEGERS: LINEAR ------------------------------------------------------------------------------------------------


def _rounds_towards_zero(self: Any, number: SymInt, divisor: int, low: int, high: int) -> Any:
    by = z3.IntVal(divisor)
    return z3.If(number.term >= 0, number.term / by, -((-number.term) / by))


def _rounds_up(self: Any, number: SymInt, divisor: int, low: int, high: int) -> Any:
    return (number.term + divisor - 1) / z3.IntVal(divisor)


def _rest_with_the_sign(self: Any, number: SymInt, divisor: int) -> Any:
    by = z3.IntVal(divisor)
    return z3.If(number.term >= 0, number.term % by, -((-number.term) % by))


def _one_quotient_too_few(self: Any, number: SymInt, divisor: int) -> Any:
    lowest, highest = (bound // divisor for bound in bounds(number))
    if highest - lowest > linear.FEW_QUOTIENTS:
        return number.term % z3.IntVal(divisor)
    rest = number.term - highest * divisor
    for quotient in range(highest - 1, lowest, -1):
        rest = z3.If(number.term < (quotient + 1) * divisor, number.term - quotient * divisor, rest)
    return rest


def _sum_wraps(self: Any, one: Any, other: Any, low: int, high: int) -> Any:
    return (LinearIntegers.term(self, one, 0, 0) + LinearIntegers.term(self, other, 0, 0)) % 2**64


def _strict(self: Any, one: Any, other: Any) -> Any:
    return LinearIntegers.term(self, one, 0, 0) < LinearIntegers.term(self, other, 0, 0)


def _mask_without_its_first_run(number: Any, mask: int) -> Any:
    return _masked(number, mask & (mask + 1))


# INTEGERS: BITS --------------------------------------------------------------------------------------------------


def _extended_without_the_sign(number: Any, size: int) -> Any:
    if type(number) is int or size <= number.term.size():
        return _resized(number, size)
    return z3.ZeroExt(size - number.term.size(), number.term)


def _extended_with_a_sign(number: Any, size: int) -> Any:
    if type(number) is int or size <= number.term.size():
        return _resized(number, size)
    return z3.SignExt(size - number.term.size(), number.term)


def _a_bit_too_narrow(low: int, high: int) -> int:
    return max(1, _width(low, high) - 1)


def _sum_not_extended(self: Any, one: Any, other: Any, low: int, high: int) -> Any:
    narrow = max(_width(*bounds(one)), _width(*bounds(other)))
    total = _resized(one, narrow) + _resized(other, narrow)
    return _resized(SymInt(total, *((-1, 0) if low < 0 else (0, 1)), self), _width(low, high))


def _compared_without_a_sign(self: Any, one: Any, other: Any) -> Any:
    left, right, _ = _side_by_side(self, one, other)
    return left, right, False


def _shifts_zeros_in(self: Any, number: SymInt, divisor: int, low: int, high: int) -> Any:
    size = max(_width(low, high), _width(*bounds(number)), divisor.bit_length() + 1)
    return z3.Extract(_width(low, high) - 1, 0, z3.UDiv(_resized(number, size), z3.BitVecVal(divisor, size)))


def _rest_of_bits_with_the_sign(self: Any, number: SymInt, divisor: int) -> Any:
    size = max(_width(*bounds(number)), _width(-divisor, divisor))
    rest = z3.SRem(_resized(number, size), z3.BitVecVal(divisor, size))
    return z3.Extract(_width(0, divisor - 1) - 1, 0, rest)


def _or_for_xor(self: Any, operator: str, one: Any, other: Any, low: int, high: int) -> Any:
    return _bitwise(self, "|" if operator == "^" else operator, one, other, low, high)


def _read_without_a_sign(self: Any, numeral: Any, low: int, high: int) -> int:
    return int(numeral.as_long())


# PATHS -----------------------------------------------------------------------------------------------------------


def _not_is_forgotten(self: Explorer, formula: Any) -> bool:
    atom, positive = explorer._literal(formula)
    if z3.is_true(atom) or z3.is_false(atom):
        return bool(z3.is_true(atom)) == positive
    return self._decide_atom(self._walks[-1], atom, atom.get_id())


def _negations_are_filed_under_their_atoms(self: Explorer, formula: Any) -> Any:
    literal = _literal(self, formula)
    if z3.is_not(formula):
        self._literals[formula.arg(0).get_id()] = literal
    return literal


def _all_conditions_positive(self: Path) -> list[Any]:
    return [formula for formula, _ in self.decisions]


def _last_condition_lost(self: Path) -> list[Any]:
    return _conditions(self)[:-1]


def _only_the_first_path(self: Explorer, run: Callable[[], Any]) -> list[Path]:
    return _all_paths(self, run)[:1]


def _last_path_lost(self: Explorer, run: Callable[[], Any]) -> list[Path]:
    found = _all_paths(self, run)
    return found[:-1] if len(found) > 1 else found


def _only_true_sides(self: Explorer, walk: Any, atom: Any) -> tuple[bool, bool]:
    return True, False


def _nothing_is_infeasible(self: Explorer, walk: Any, atom: Any) -> tuple[bool, bool]:
    return True, True


def _other_side_is_what_a_case_shows(self: Explorer, walk: Any, atom: Any) -> tuple[bool, bool]:
    choice, other_open = _sides(self, walk, atom)
    return choice, other_open and walk.model is not None and z3.is_false(walk.model.eval(atom, model_completion=True))


def _no_turn_is_taken_back(self: Explorer, walk: Any) -> bool:
    went = _turn_back(self, walk)
    if went and walk.solver is not None:  # what was told of the side before is told again
        self.tell(walk.solver, [turn.atom if turn.choice else z3.Not(turn.atom) for turn in walk.trail[:-1]])
        self.tell(walk.solver, [z3.Not(walk.trail[-1].atom) if walk.trail[-1].choice else walk.trail[-1].atom])
    return went


def _sides_swapped(paths: list[Path], depth: int) -> Any:
    swapped = [Path(tuple((atom, not taken) for atom, taken in path.decisions), path.value) for path in paths]
    return _decision_tree(swapped, depth)


def _other_side_is_false(paths: list[Path], depth: int) -> Any:
    return z3.And(*paths[0].conditions(), explorer.truth(paths[0].value))


def _remembered_by_the_question(predicate: Callable[..., Any]) -> Callable[..., Any]:
    def ask(*arguments: Any) -> Any:
        if not explorer.is_exploring():
            return predicate(*arguments)
        here = current()
        return here.remember(predicate, lambda: SymBool(here.formula(lambda: predicate(*arguments))))

    return ask


def _by_its_term(argument: Any) -> Any:
    return argument.term.get_id() if isinstance(argument, SymInt) else id(argument)


def _first_number_only(compute: Callable[[], Any]) -> Any:
    return compute() if not explorer.is_exploring() else current().all_paths(compute)[0].value


# SETS ------------------------------------------------------------------------------------------------------------


def _nothing_is_removed(self: Any, member: Any) -> Any:
    return self


def _nothing_is_added(self: Any, member: Any) -> Any:
    return self


def _all_are_kept(self: Any, holds: Callable[[Any], Any]) -> Any:
    return self


def _none_are_twins(shape: Any, one: Any, other: Any) -> Any:
    return False


def _only_the_latest_edit(self: AnySet, thing: Any) -> Any:
    is_member = self.universe.member(thing)
    return self.edits[-1](thing, is_member) if self.edits else is_member


def _first_edit_last(self: AnySet, thing: Any) -> Any:
    is_member = self.universe.member(thing)
    for edit in reversed(self.edits):
        is_member = edit(thing, is_member)
    return is_member


def _some_of_the_old(self: AnySet, holds: Callable[[Any], Any]) -> SymBool:
    thing = self._bound_thing()
    claim = z3.And(self._is_member(thing), self._formula(holds, self.universe.record_of(thing)))
    return SymBool(z3.Exists([thing], claim))


def _every_of_the_old(self: AnySet, holds: Callable[[Any], Any]) -> SymBool:
    thing = self._bound_thing()
    claim = z3.Implies(self._is_member(thing), self._formula(holds, self.universe.record_of(thing)))
    return SymBool(z3.ForAll([thing], claim))


def _pairs_of_the_old(self: AnySet, holds: Callable[[Any, Any], Any]) -> SymBool:
    return _every_pair(AnySet(self.universe, self.edits), holds)


def _witness_without_its_definition(self: AnySet, thing: Any, found: Any) -> Any:
    return self.universe.name_thing(f"only{len(self.universe.named)}")


def _there_is_always_a_witness(self: AnySet, thing: Any, found: Any) -> Any:
    witness = self.universe.name_thing(f"only{len(self.universe.named)}")
    current().ground.append(z3.substitute(found, (thing, self.universe.thing_of(witness))))
    return witness


def _every_question_has_the_same_witness(self: AnySet, thing: Any, found: Any) -> Any:
    return current().remember("the witness", lambda: _witness(self, thing, found))


def _least_without_its_rank(self: AnySet, thing: Any, found: Any, ranks: Any) -> Any:
    return _witness(self, thing, found)


def _ranks_by_the_first_part(one: tuple[Any, ...], other: tuple[Any, ...]) -> Any:
    return explorer.truth(one[0] < other[0])


def _only_one_that_is_absent(self: FewSet, holds: Callable[[Any], Any]) -> Any:
    return next((one for _, one in self.members if SymBool(self._formula(holds, one))), None)


def _every_also_of_the_absent(self: FewSet, holds: Callable[[Any], Any]) -> SymBool:
    return SymBool(z3.And(*(self._formula(holds, one) for _, one in self.members)))


def _kept_brings_back(self: FewSet, holds: Callable[[Any], Any]) -> FewSet:
    return FewSet(tuple((self._formula(holds, one), one) for _, one in self.members), self.shape, self.name)


def _twins_are_two(self: FewSet) -> Any:
    return sum(either(there, 1, 0) for there, _ in self.members)


def _first_that_fits(self: FewSet, holds: Callable[[Any], Any], rank: Callable[[Any], Any]) -> Any:
    return self.only(holds)


def _moved_down(self: SymPages, distance: Any) -> SymPages:
    return SymPages(lambda asked: self.holds(asked + distance))


def _below_or_at(self: SymPages, end: Any) -> SymPages:
    return SymPages(lambda asked: z3.And(self.holds(asked), explorer.truth(asked <= end)))


def _page_not_added(self: SymPages, page: Any) -> SymPages:
    return self


def _cleared_without_their_last(some: Any, asked: Any) -> Any:
    if isinstance(some, SymPages):
        return some.holds(asked)
    return z3.Or(*(z3.And(explorer.truth(first <= asked), explorer.truth(asked < last)) for first, last in some.ranges))


# What is replaced, as it is.
_literal, _sides, _turn_back = Explorer._literal, Explorer._sides, Explorer._turn_back
_masked, _resized, _width, _side_by_side = linear._masked, bits._resized, bits.width, BitVectors._side_by_side
_bitwise, _conditions, _all_paths, _decision_tree = (
    BitVectors.bitwise,
    Path.conditions,
    Explorer.all_paths,
    explorer._decision_tree,
)
_every_pair, _witness = AnySet.every_pair, AnySet._witness

FAULTS = (
    Fault("a sum's upper bound leaves one summand out", SymInt, "__add__", _sum_with_one_bound, "integers"),
    Fault("-a keeps the bounds of a", SymInt, "__neg__", _negation_with_its_bounds, "integers"),
    Fault("a difference has the bounds of two sums", SymInt, "__sub__", _difference_with_bounds_of_a_sum, "integers"),
    Fault("a product takes low * low for its least", SymInt, "__mul__", _product_with_two_corners, "integers"),
    Fault("a | b is within the larger operand", SymInt, "__or__", _or_within_the_larger, "integers"),
    Fault("a & b is within the smaller, also of negative ones", SymInt, "__and__", _and_within_the_smaller, "bits"),
    Fault("a < b is taken for true where bounds touch", SymInt, "__lt__", _less_where_bounds_touch, "integers"),
    Fault(
        "a <= b is taken for false where they touch", SymInt, "__le__", _never_at_most_where_bounds_touch, "integers"
    ),
    Fault("a % m is a wherever a < m, also below 0", SymInt, "__mod__", _rest_is_the_number, "integers"),
    Fault("one of two ints has the bounds of the first", choice, "either", _either_with_the_bounds_of_one, "integers"),
    Fault("// rounds towards zero", LinearIntegers, "quotient", _rounds_towards_zero, "integers"),
    Fault("// rounds up", LinearIntegers, "quotient", _rounds_up, "integers"),
    Fault("% has the sign of the dividend", LinearIntegers, "rest", _rest_with_the_sign, "integers"),
    Fault("% has one quotient too few to choose from", LinearIntegers, "rest", _one_quotient_too_few, "integers"),
    Fault("sums wrap at 2^64", LinearIntegers, "add", _sum_wraps, "integers"),
    Fault("<= is <", LinearIntegers, "is_at_most", _strict, "integers"),
    Fault("one that is as great is less", linear, "less", terms.at_most, "integers"),
    Fault("a sum is a difference", linear, "total", terms.difference, "integers"),
    Fault("all of some claims is any of them", explorer, "both", terms.any_one, "walks"),
    Fault("a mask loses its first run of ones", linear, "_masked", _mask_without_its_first_run, "integers"),
    Fault("bits are extended without the sign", bits, "_resized", _extended_without_the_sign, "bits"),
    Fault("bits are extended with a sign that they have not", bits, "_resized", _extended_with_a_sign, "bits"),
    Fault("terms are a bit too narrow", bits, "width", _a_bit_too_narrow, "bits"),
    Fault("a sum is as wide as its operands", BitVectors, "add", _sum_not_extended, "bits"),
    Fault("comparisons forget the sign", BitVectors, "_side_by_side", _compared_without_a_sign, "bits"),
    Fault("a shift to the right brings zeros in", BitVectors, "quotient", _shifts_zeros_in, "bits"),
    Fault("% of bits has the sign of the dividend", BitVectors, "rest", _rest_of_bits_with_the_sign, "bits"),
    Fault("^ is |", BitVectors, "bitwise", _or_for_xor, "bits"),
    Fault("numerals are read without a sign", BitVectors, "value", _read_without_a_sign, "bits"),
    Fault("a branch on a negation goes the other way", Explorer, "decide", _not_is_forgotten, "walks"),
    Fault(
        "what is negated goes the way of `not`", Explorer, "_literal", _negations_are_filed_under_their_atoms, "walks"
    ),
    Fault("a path's conditions forget `not`", Path, "conditions", _all_conditions_positive, "walks"),
    Fault("a path's last condition is lost", Path, "conditions", _last_condition_lost, "walks"),
    Fault("only the first path is walked", Explorer, "all_paths", _only_the_first_path, "walks"),
    Fault("the last path is not walked", Explorer, "all_paths", _last_path_lost, "walks"),
    Fault("the side on which a condition is false is never feasible", Explorer, "_sides", _only_true_sides, "walks"),
    Fault("every side is feasible", Explorer, "_sides", _nothing_is_infeasible, "walks"),
    Fault("a side counts only if a case shows it", Explorer, "_sides", _other_side_is_what_a_case_shows, "walks"),
    Fault("a turn is not taken back", Explorer, "_turn_back", _no_turn_is_taken_back, "walks"),
    Fault("the two sides of a choice are swapped", explorer, "_decision_tree", _sides_swapped, "walks"),
    Fault("a formula knows its first path only", explorer, "_decision_tree", _other_side_is_false, "walks"),
    Fault("a merged question is asked once for all arguments", boolean, "merged", _remembered_by_the_question, "walks"),
    Fault("the same bits are one argument, with a sign and without", boolean, "identity", _by_its_term, "bits"),
    Fault("a merged number is that of the first path", choice, "merged_number", _first_number_only, "walks"),
    Fault("a removal of an arbitrary set's member is lost", AnySet, "removed", _nothing_is_removed, "any"),
    Fault("an addition to an arbitrary set is lost", AnySet, "added", _nothing_is_added, "any"),
    Fault("of an arbitrary set all are kept", AnySet, "kept", _all_are_kept, "any"),
    Fault("what is equal to a removed record stays", anyset, "are_twins", _none_are_twins, "any"),
    Fault("only the latest edit counts", AnySet, "_is_member", _only_the_latest_edit, "any"),
    Fault("edits are done in the opposite order", AnySet, "_is_member", _first_edit_last, "any"),
    Fault("`some` forgets records that were made since", AnySet, "some", _some_of_the_old, "any"),
    Fault("`every` forgets records that were made since", AnySet, "every", _every_of_the_old, "any"),
    Fault("pairs leave out records that were made since", AnySet, "every_pair", _pairs_of_the_old, "any"),
    Fault("a witness is any thing", AnySet, "_witness", _witness_without_its_definition, "any"),
    Fault("there always is a witness", AnySet, "_witness", _there_is_always_a_witness, "any"),
    Fault("all questions have one witness", AnySet, "_witness", _every_question_has_the_same_witness, "any"),
    Fault("the least may be any", AnySet, "_first", _least_without_its_rank, "any"),
    Fault("ranks are compared by their first part", anyset, "ranks_before", _ranks_by_the_first_part, "any"),
    Fault("a removal of one of a few is lost", FewSet, "removed", _nothing_is_removed, "few"),
    Fault("an addition to a few is lost", FewSet, "added", _nothing_is_added, "few"),
    Fault("of a few all are kept", FewSet, "kept", _all_are_kept, "few"),
    Fault("what is kept comes back", FewSet, "kept", _kept_brings_back, "few"),
    Fault("the only one may be absent", FewSet, "only", _only_one_that_is_absent, "few"),
    Fault("`every` asks the absent, too", FewSet, "every", _every_also_of_the_absent, "few"),
    Fault("twins are counted as two", FewSet, "count", _twins_are_two, "few"),
    Fault("the least of a few is the first that fits", FewSet, "least", _first_that_fits, "few"),
    Fault("pages are moved down", SymPages, "moved_up", _moved_down, "pages"),
    Fault("pages below an end include it", SymPages, "below", _below_or_at, "pages"),
    Fault("a page is not added", SymPages, "with_page", _page_not_added, "pages"),
    Fault("the last page of a range is not cleared", pages, "holds_page", _cleared_without_their_last, "pages"),
)
