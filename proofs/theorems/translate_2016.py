"""The loop that translates a range: the entry that each pass takes is the one that the byte there lives by.

The loops run as they are (`model.vhost.translate`), over a table of any number of entries. What a search in the table
finds is not run but said: the leftmost entry that touches the range asked for (`ITREE.*` is why). The third pass is
not run: what is asked in a second pass is what the first pass for the rest of the range asks, so that what is
proved of the first passes is proved of all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import model.vhost.translate as loops
from proofs.sets import has
from proofs.symbolic.boolean import all_of, any_of, implies, negation
from proofs.symbolic.shape import Shape
from proofs.theorem import Bug, Patch, Theorem
from proofs.world import World
from spec.outcome import Faulted, Segment, Translated
from spec.sets import every, some
from spec.units import U64, U64_MAX
from spec.vhost.address_map import READ, WRITE, may
from spec.vhost.translate import MAPPED, MOST_SEGMENTS, PERMITTED, ROOM

PASSES = 2

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Region:
    """An entry as the loop sees it. Of two that begin alike, the one that was born earlier is further left."""

    first: int
    last: int
    size: int
    host: int
    perm: int
    born: int


SHAPE = Shape(
    kind=Region,
    ranges={
        "first": (0, U64_MAX),
        "last": (0, U64_MAX),
        "size": (1, U64),
        "host": (0, U64_MAX),
        "perm": (0, READ + WRITE),
        "born": (0, U64_MAX),
    },
)


def any_translation(world: World) -> dict[str, Any]:
    """A table, a range, an access, room; and what the first two passes find, if anything."""
    table = world.set_of("region", SHAPE)
    return {
        "table": table,
        "addr": world.integer("addr", 0, U64_MAX),
        "length": world.integer("length", 1, U64_MAX),
        "writes": world.boolean("writes"),
        "room": world.integer("room", 1, MOST_SEGMENTS),
        "found": tuple(world.candidate(table, f"found{i}") for i in range(PASSES)),
        "is_found": tuple(world.boolean(f"is_found{i}") for i in range(PASSES)),
    }


def is_a_table(table: Any, addr: int, length: int, **rest: Any) -> Any:
    """Entries have the size that they say, and the range ends at the last address or before."""
    return all_of(
        every(table, lambda one: all_of(one.first <= one.last, one.size == one.last - one.first + 1)),
        addr + length <= U64,
    )


def moves_on_below_the_end(table: Any, addr: int, length: int, found: Any, **rest: Any) -> Any:
    """The same; and the whole length from behind the first entry on does not go past the last address."""
    return all_of(is_a_table(table, addr, length), has(table, found[0]), found[0].last + length <= U64_MAX)


def is_leftmost(table: Any, one: Any, is_found: Any, first: Any, last: Any) -> Any:
    """What a search for first..last finds: the leftmost entry that touches it, or nothing if none does."""
    best = all_of(
        has(table, one), touches(one, first, last), is_before_all(table, one, lambda o: touches(o, first, last))
    )
    none = negation(some(table, lambda other: touches(other, first, last)))
    return all_of(implies(is_found, best), any_of(is_found, none))


def touches(one: Any, first: Any, last: Any) -> Any:
    """The region has a byte in the range."""
    return all_of(one.first <= last, first <= one.last)


def is_before_all(table: Any, one: Any, asked: Callable[[Any], Any]) -> Any:
    """No other entry of which something is true is further left."""
    return every(table, lambda other: implies(asked(other), is_not_after(one, other)))


def is_not_after(one: Any, other: Any) -> Any:
    """One region counts before the other: by its first byte, then by its age."""
    return any_of(one.first < other.first, all_of(one.first == other.first, one.born <= other.born))


# RUNNING THE LOOP ------------------------------------------------------------------------------------------------


class EnoughError(Exception):
    """A third pass began."""


@dataclass(frozen=True)
class Passes:
    """What was asked of the table in each pass that was run, and the answer, if the loop came to one."""

    asked: list[tuple[Any, Any]]
    answer: Any


def run_loop(loop: str, addr: Any, length: Any, writes: Any, room: Any, found: Any, is_found: Any) -> Passes:
    """The first passes of a loop."""
    asked: list[tuple[Any, Any]] = []

    def find(first: Any, last: Any) -> Any:
        if len(asked) == len(found):
            raise EnoughError
        asked.append((first, last))
        return found[len(asked) - 1] if is_found[len(asked) - 1] else None

    try:
        answer = getattr(loops, loop)(find, MAPPED, addr, length, WRITE if writes else READ, room)
    except EnoughError:
        answer = None
    return Passes(asked, answer)


def were_right(table: Any, passes: Passes, found: Any, is_found: Any) -> Any:
    """Each search that was made found the leftmost."""
    return all_of(
        *(is_leftmost(table, found[i], is_found[i], first, last) for i, (first, last) in enumerate(passes.asked))
    )


# CLAIMS ----------------------------------------------------------------------------------------------------------


def each_pass_takes_the_byte_s_entry(loop: str, table: Any, found: Any, is_found: Any, **case: Any) -> Any:
    """In each pass: the entry found counts for the byte there; or none does, and the loop says so."""
    passes = run_loop(loop, found=found, is_found=is_found, **case)
    claims = [
        counts_there(table, one, there, first)
        for one, there, (first, _) in zip(found, is_found, passes.asked, strict=False)
    ]
    return implies(were_right(table, passes, found, is_found), all_of(*claims))


def counts_there(table: Any, one: Any, is_found: Any, address: Any) -> Any:
    """The entry is the one that a byte lives by; if it is none, or begins above the byte, nothing has the byte."""
    is_taken = all_of(is_found, one.first <= address)
    covers = partial(touches, first=address, last=address)
    best = all_of(covers(one), is_before_all(table, one, covers))
    return all_of(implies(is_taken, best), any_of(is_taken, negation(some(table, covers))))


def pass_is_right(table: Any, addr: Any, length: Any, writes: Any, room: Any, found: Any, is_found: Any) -> Any:
    """One pass: the byte stops it for the rule that counts; or its segment is right, and it ends there or goes on."""
    passes = run_loop("translate", addr, length, writes, room, found[:1], is_found[:1])
    right = is_leftmost(table, found[0], is_found[0], *passes.asked[0])
    wanted = found[0] if is_found[0] else None
    return implies(right, is_right_answer(passes.answer, wanted, addr, length, WRITE if writes else READ, room))


def is_right_answer(answer: Any, one: Any, addr: Any, length: Any, access: int, room: Any) -> Any:
    """Whether this answer (None: it went on) is right after one pass in which this entry was found, or none."""
    if one is None or one.first > addr:
        return stopped(answer, MAPPED, addr)
    if not may(one.perm, access):
        return stopped(answer, PERMITTED, addr)
    if one.last < addr + length - 1:
        return stopped(answer, ROOM, one.last + 1) if room == 1 else answer is None
    if not isinstance(answer, Translated) or len(answer.segments) != 1:
        return False
    [made] = answer.segments
    return all_of(made.first == addr, made.last == addr + length - 1, made.host == (one.host + addr - one.first) % U64)


def any_later_pass(world: World) -> dict[str, Any]:
    """A pass from any address on, with any number of bytes behind it in any number of segments; what it finds."""
    return {
        "addr": world.integer("addr", 0, U64_MAX),
        "done": world.integer("done", 0, U64_MAX),
        "length": world.integer("length", 1, U64_MAX),
        "used": world.integer("used", 0, MOST_SEGMENTS),
        "room": world.integer("room", 1, MOST_SEGMENTS),
        "writes": world.boolean("writes"),
        "first": world.integer("first", 0, U64_MAX),
        "last": world.integer("last", 0, U64_MAX),
        "host": world.integer("host", 0, U64_MAX),
    }


def something_is_left(
    addr: Any, done: Any, length: Any, used: Any, room: Any, first: Any, last: Any, **rest: Any
) -> Any:
    """There are bytes left, and room; the entry that is found has the address, and permits what is asked."""
    return all_of(done < length, used < room, first <= addr, addr <= last)


def later_segment_is_right(
    addr: Any, done: Any, length: Any, used: Any, room: Any, writes: Any, first: Any, last: Any, host: Any
) -> Any:
    """The segment ends with its entry, or with the last byte that is left to do; the next pass begins behind it."""
    entry = Region(first, last, last - first + 1, host, READ + WRITE, 0)
    access = WRITE if writes else READ
    made = loops.one_pass(lambda *_: entry, MAPPED, addr, done, used, U64_MAX, length, access, room)
    if not isinstance(made, loops.Made):
        return False
    left = length - done
    ends = all_of(any_of(made.segment.last == last, made.segment.last == addr + left - 1))
    return all_of(
        ends,
        made.segment.first == addr,
        made.segment.last <= last,
        made.segment.last <= addr + left - 1,
        made.segment.host == (host + addr - first) % U64,
        made.addr == last + 1,
        made.done == done + (last + 1 - addr),
    )


def forgets_what_is_done(*arguments: Any) -> Any:
    """The segment ends where the whole length from here on would."""
    addr, length = arguments[2], arguments[6]
    made = ONE_PASS(*arguments)
    if not isinstance(made, loops.Made):
        return made
    size = made.addr - addr
    return loops.Made(Segment(addr, addr + min(length, size) - 1, made.segment.host), made.entry, made.addr, made.done)


def stopped(answer: Any, rule: Any, address: Any) -> Any:
    """Whether the loop stopped at this byte, for this rule."""
    return all_of(answer.rule is rule, answer.at == address) if isinstance(answer, Faulted) else False


def second_is_a_first(loop: str, table: Any, addr: Any, length: Any, found: Any, is_found: Any, **case: Any) -> Any:
    """The second pass asks what the first pass for the rest of the range asks."""
    whole = run_loop(loop, addr, length, found=found, is_found=is_found, **case)
    if len(whole.asked) < PASSES:
        return True
    behind = found[0].last + 1
    rest = run_loop(loop, behind, addr + length - behind, found=found[1:], is_found=is_found[1:], **case)
    right = were_right(table, whole, found, is_found)
    if not rest.asked:
        return negation(right)
    (first, last), (first_of_rest, last_of_rest) = whole.asked[1], rest.asked[0]
    return implies(right, all_of(first == behind, first == first_of_rest, last == last_of_rest))


# PLANTED BUGS ----------------------------------------------------------------------------------------------------

OF_2016 = Bug(
    "where the search ends is computed anew in each pass, as in the loop of 2016",
    (Patch(loops, "translate", loops.translate_2016),),
)


def asks_one_too_few(find: Any, missing: Any, addr: Any, length: Any, access: Any, room: Any) -> Any:
    return LOOP_2016(lambda first, last: find(first, last - 1), missing, addr, length, access, room)


def is_one_byte_off(find: Any, missing: Any, addr: Any, length: Any, access: Any, room: Any) -> Any:
    answer = LOOP(find, missing, addr, length, access, room)
    if not isinstance(answer, Translated):
        return answer
    return Translated(tuple(Segment(one.first, one.last, one.host + 1) for one in answer.segments))


LOOP, LOOP_2016, ONE_PASS = loops.translate, loops.translate_2016, loops.one_pass

# THEOREMS --------------------------------------------------------------------------------------------------------


def about(name: str, sentence: str, given: Callable[..., Any], holds: Callable[..., Any], bug: Bug) -> Theorem:
    return Theorem(
        f"LOOP.{name}",
        sentence,
        (),
        ("translate",),
        "entry of each byte",
        any_translation,
        given,
        holds,
        bug,
    )


THEOREMS = (
    about(
        "BYTEWISE",
        "Each pass of the loop takes the entry that the byte there lives by, and stops only where nothing has the "
        "byte. The loop of 2016 does not: near the last address it searches up to an address that has wrapped.",
        is_a_table,
        partial(each_pass_takes_the_byte_s_entry, "translate"),
        OF_2016,
    ),
    about(
        "REST",
        "What is asked in a second pass is what the first pass for the rest of the range asks: what holds of a first "
        "pass holds of each.",
        is_a_table,
        partial(second_is_a_first, "translate"),
        OF_2016,
    ),
    about(
        "PASS",
        "A pass ends for the rule that stops its byte, or makes the segment of its entry; the loop ends where the "
        "range ends, and goes on behind the entry if there is room.",
        is_a_table,
        pass_is_right,
        Bug("segments are one byte further in host memory", (Patch(loops, "translate", is_one_byte_off),)),
    ),
    Theorem(
        "LOOP.SEGMENT",
        "Each pass, however many bytes are behind it, makes the segment that ends with its entry or with the last byte "
        "that is left, and the next one begins behind the entry.",
        (),
        ("translate",),
        "entry of each byte",
        any_later_pass,
        something_is_left,
        later_segment_is_right,
        Bug("bytes that are done are counted again", (Patch(loops, "one_pass", forgets_what_is_done),)),
    ),
    about(
        "OF_2016",
        "Where the whole length from behind an entry on stays below the last address, the loop of 2016 takes the same "
        "entries: those that the bytes live by.",
        moves_on_below_the_end,
        partial(each_pass_takes_the_byte_s_entry, "translate_2016"),
        Bug("a search ends one byte too early", (Patch(loops, "translate_2016", asks_one_too_few),)),
    ),
)
