"""A block's entries with one more, or one less: said as one number of an entry at a time, and shown to be what it must.

An entry has four fields. `old` gives them as they were, by the entry's number. The list afterwards is the old one with
the new entry at its spot, or without the one at a spot; and each reach is the larger of the one before it and the
entry's own last byte, and so the largest last byte up to it. That is shown of one entry that stands for all, of any
number of them, given that it was so before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import z3

from conformance.targets.c.objectcode.verdict import decided
from proofs.objectcode.cannot import Cannot
from proofs.symbolic.explorer import Explorer, exploring
from proofs.symbolic.integer import SymInt
from proofs.symbolic.linear import LINEAR

START, REACH, DELTA, ITEM = FIELDS = range(4)
NAMES = ("start", "reach", "delta", "item")
U64 = 2**64
Old = Callable[[Any, int], Any]  # a field of the entry with this number


def larger(one: int, other: int) -> int:
    return other if one < other else one


# WHAT AN EDIT IS -------------------------------------------------------------------------------------------------


def moved_up(number: int, field: int, old: Old, count: int, at: int, reach: int, end: int) -> Any:
    """A field of an entry when those from `at` on moved up by one, and those before `end` were given this reach."""
    if number > count or number <= at:
        return old(number, field)
    if field == REACH and number < end:
        return reach
    return old(number - 1, field)


def put_in(number: int, field: int, old: Old, count: int, at: int, new: Sequence[int], end: int) -> Any:
    """The same when the new entry stands at its spot, too."""
    if number != at:
        return moved_up(number, field, old, count, at, new[REACH], end)
    if field == REACH and at > 0:
        return larger(old(at - 1, REACH), new[REACH])
    return new[field]


def is_raised(end: int, count: int, reach_of: Callable[[Any], Any], reach: int) -> bool:
    """Whether the entry at `end` is given the reach, too."""
    return bool(end <= count) and bool(reach_of(end) < reach)


def moved_down(number: int, field: int, old: Old, count: int, at: int) -> Any:
    """A field of an entry when those behind `at` have moved down by one. What is behind the last is as it was."""
    if number < at or number >= count - 1:
        return old(number, field)
    return old(number + 1, field)


def is_stale(end: int, count: int, reach_of: Callable[[Any], Any], stale: int) -> bool:
    """Whether the entry at `end` may have its reach from one that is gone."""
    return bool(end < count) and bool(reach_of(end) == stale)


# THAT IT IS RIGHT ------------------------------------------------------------------------------------------------

_reach, _last, _other = (z3.Function(name, z3.IntSort(), z3.IntSort()) for name in ("reach", "last", "other"))
_anew = z3.Function("anew", z3.IntSort(), z3.IntSort())
COUNT, AT, END, ANY, NEW, STALE, SO_FAR = z3.Ints("count at end any new stale so_far")


def _number(term: Any) -> Any:
    return SymInt(term, 0, U64, LINEAR)


def _old(number: Any, field: int) -> Any:
    """The reach, or any other field, of an entry as it was."""
    term = number.term if isinstance(number, SymInt) else z3.IntVal(number)
    return _number((_reach if field == REACH else _other)(term))


def _largest(number: Any) -> Any:
    """What held before of the entry with this number: its reach is the larger of that before and its last byte."""
    before = z3.If(number == 0, _last(0), z3.If(_reach(number - 1) > _last(number), _reach(number - 1), _last(number)))
    return z3.Implies(z3.And(number >= 0, number < COUNT), _reach(number) == before)


def _in_range() -> list[Any]:
    """Numbers of 64 bits."""
    cells = [
        function(one + by) for function in (_reach, _last, _other) for one in (ANY, AT, END) for by in (-2, -1, 0, 1)
    ]
    return [z3.And(one >= 0, one < U64) for one in (*cells, NEW, STALE, SO_FAR, COUNT)]


def _shown(given: Sequence[Any], run: Callable[[], Any], claims: Callable[[Any], list[Any]], why: str) -> None:
    """Run something on symbols, and show claims about what it returns. Raises Cannot."""
    with exploring(Explorer()) as explorer:
        for one in given:
            explorer.assume(one)
        for path in explorer.paths(run):
            if path.raised is not None:
                raise path.raised
            if decided([*given, *path.conditions(), z3.Not(z3.And(*claims(path.value)))]) is not None:
                raise Cannot(why)


def _term(number: Any) -> Any:
    return number.term if isinstance(number, SymInt) else z3.IntVal(number)


def _follows(reaches: Sequence[Any], last: Any) -> Any:
    """A reach (the second) is the larger of the one before it and the last byte; the first is its own last byte."""
    before, mine = map(_term, reaches)
    return mine == z3.If(ANY == 0, last, z3.If(before > last, before, last))


def define_insertion(put: Callable[..., Any] = put_in, raised: Callable[..., bool] = is_raised) -> None:
    """Show that an insertion gives the list that it must. Raises Cannot if it does not.

    Where the reach was raised so far (from behind `at` to before `end`), it was less than the new entry's.
    """

    def was_less(number: Any) -> Any:
        return z3.Implies(z3.And(number > AT, number < END), _reach(number - 1) < NEW)

    given = [*_in_range(), AT >= 0, AT <= COUNT, END > AT, END <= COUNT + 1, ANY >= 0, ANY <= COUNT]
    given += [*map(_largest, (ANY, ANY - 1, AT, END - 1)), *map(was_less, (ANY, ANY - 1, END - 1))]
    any_, at, end, count, new = map(_number, (ANY, AT, END, COUNT, NEW))

    def turn() -> Any:
        return raised(end, count, lambda one: moved_up(one, REACH, _old, count, at, new, end), new)

    def kept(goes_on: Any) -> list[Any]:
        """One turn more: then that holds of the entry at `end`, too; else nothing is claimed yet."""
        return [z3.And(END <= COUNT, _reach(END - 1) < NEW)] if goes_on else []

    _shown([*given, _largest(END)], turn, kept, "a turn raises a reach that it must not")

    def whole() -> Any:
        if turn():
            return None
        fields = [put(any_, field, _old, count, at, (new,) * 4, end) for field in (START, DELTA, ITEM)]
        before = put(any_ - 1, REACH, _old, count, at, (new,) * 4, end) if any_ > 0 else 0
        return fields, (before, put(any_, REACH, _old, count, at, (new,) * 4, end))

    def right(found: Any) -> list[Any]:
        if found is None:
            return []
        fields, reaches = found
        list_ = z3.If(ANY < AT, _other(ANY), z3.If(ANY == AT, NEW, _other(ANY - 1)))
        last = z3.If(ANY < AT, _last(ANY), z3.If(ANY == AT, NEW, _last(ANY - 1)))
        return [*(_term(one) == list_ for one in fields), _follows(reaches, last)]

    _shown(given, whole, right, "the list after an insertion is not what it must be")


def define_removal(stale_: Callable[..., bool] = is_stale, largest: Callable[[int, int], int] = larger) -> None:
    """Show that a removal gives the list that it must. Raises Cannot if it does not.

    From `at` to before `end` reaches were worked out anew: there they were that of the entry that is gone. `so_far` is
    the reach of the entry before `end`, and no more than that.
    """
    left = COUNT - 1
    first = z3.If(AT == 0, z3.IntVal(0), _reach(AT - 1))

    def was_stale(number: Any) -> Any:
        return z3.Implies(
            z3.And(number >= AT, number < END), z3.And(_reach(number + 1) == STALE, _anew(number) <= STALE)
        )

    def follows_anew(number: Any) -> Any:
        before = z3.If(number == AT, first, _anew(number - 1))
        is_largest = _anew(number) == z3.If(before < _last(number + 1), _last(number + 1), before)
        return z3.Implies(z3.And(number >= AT, number < END), is_largest)

    given = [*_in_range(), AT >= 0, AT < COUNT, END >= AT, left >= END, _reach(AT) == STALE]
    given += map(_largest, (ANY, ANY + 1, AT, END, END + 1))
    _shown(given, lambda: None, lambda found: [first <= STALE], "the first reach is too large")
    given += [z3.If(END == AT, first, _anew(END - 1)) == SO_FAR, SO_FAR <= STALE]
    given += map(was_stale, (ANY, ANY - 1, END - 1))
    given += [*map(follows_anew, (ANY, END - 1))]
    any_, at, end, count, stale, so_far = map(_number, (ANY, AT, END, COUNT, STALE, SO_FAR))

    def turn() -> Any:
        return stale_(end, count - 1, lambda one: moved_down(one, REACH, _old, count, at), stale)

    def next_reach() -> Any:
        return largest(so_far, _number(_last(END + 1))) if turn() else None

    def kept(found: Any) -> list[Any]:
        """One turn more: what is written at `end` is the larger one, and no more than the reach of what is gone."""
        if found is None:
            return []
        term, last = _term(found), _last(END + 1)
        return [left > END, _reach(END + 1) == STALE, term <= STALE, term == z3.If(last > SO_FAR, last, SO_FAR)]

    _shown(given, next_reach, kept, "a turn works out a reach that is not right")

    def reach_of(number: Any) -> Any:
        if at <= number and number < end:
            return _number(_anew(number.term))
        return moved_down(number, REACH, _old, count, at)

    def whole() -> Any:
        if turn():
            return None
        before = reach_of(any_ - 1) if any_ > 0 else 0
        return moved_down(any_, START, _old, count, at), (before, reach_of(any_))

    def right(found: Any) -> list[Any]:
        if found is None:
            return []
        field, reaches = found
        last = z3.If(ANY < AT, _last(ANY), _last(ANY + 1))
        return [_term(field) == z3.If(ANY < AT, _other(ANY), _other(ANY + 1)), _follows(reaches, last)]

    _shown([*given, ANY >= 0, left > ANY], whole, right, "the list after a removal is not what it must be")
