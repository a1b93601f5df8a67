"""What the writer does in the enumeration: short traces that make every step of publishing happen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .explore import Content, Enumeration, Finding, Orders, Report, Scene, contents, reach
from .heap import OutOfMemory, Ref
from .writer import NUMBERS, Writer, space_of

BEGIN, COMMIT, ABORT = "begin", "commit", "abort"
Edit = tuple[int, int | None]  # slot word, first guest address or None
Call = Edit | str


def host_of(word: int) -> int:
    """Two slots share each host address."""
    return 100 + word // 2


@dataclass(frozen=True)
class Trace:
    """Calls that are made before there are readers, and calls beside them."""

    name: str
    before: tuple[Call, ...]
    calls: tuple[Call, ...]


def in_space(space: int, *edits: Edit) -> tuple[Call, ...]:
    return tuple((space * NUMBERS + word, first) for word, first in edits)


TWO = ((0, 10), (1, 30))
FOUR = ((0, 10), (1, 30), (2, 50), (3, 70))
SIX = (*FOUR, (4, 90), (5, 110))
EIGHT = (*SIX, (6, 130), (7, 150))
GROWN = in_space(1, (4, 90), (5, 110), (6, 130))
FURTHER = in_space(1, *((word, 10 + 20 * word) for word in range(7, 12)))

TRACES = (
    Trace("a move", TWO, ((0, 20),)),
    Trace("two moves", TWO, ((0, 20), (1, 5))),
    Trace("a first slot", (), ((0, 10), (0, None))),
    Trace("a block that is full splits", FOUR, ((4, 40), (5, 60))),
    Trace("blocks join", SIX, ((0, None), (2, None), (4, None), (5, None))),
    Trace("a move from block to block", SIX, ((0, 120), (0, 45))),
    Trace("two exchange their homes in a transaction", FOUR, (BEGIN, (0, 200), (1, 10), (0, 30), COMMIT)),
    Trace("many edits of one block in a transaction", FOUR, (BEGIN, (4, 40), (4, None), (5, 45), (1, None), COMMIT)),
    Trace("taken back, then a change", FOUR, (BEGIN, (4, 40), (0, None), (5, 90), ABORT, (1, 35), (2, 55))),
    Trace("a slot that comes and goes in a transaction", TWO, (BEGIN, (2, 50), (2, None), COMMIT, (3, 60))),
    Trace("a change between two that are apart", EIGHT, (BEGIN, (6, 51), (2, 75), COMMIT)),
    Trace("a place comes after two changes that are apart", EIGHT, (BEGIN, (5, 71), (3, 135), COMMIT)),
    Trace(
        "places and ids grow, are taken back, and grow further",
        in_space(1, *FOUR),
        (BEGIN, *GROWN, ABORT, (0, 10), BEGIN, *GROWN, *FURTHER, COMMIT, *in_space(1, (12, 250))),
    ),
)


@dataclass
class Played:
    """A trace that was played, with the number of allocations it took. `wrong` is what was wrong without readers."""

    scene: Scene
    taken: int
    wrong: str | None


def content_of(slots: dict[int, int]) -> Content:
    return tuple(sorted((word, first, host_of(word)) for word, first in slots.items()))


def alone(writer: Writer) -> str | None:
    """What is wrong between two calls: the sides differ, or memory is lost."""
    memory = writer.heap.objects
    sides = [contents(memory, side.view) for side in writer.sides]
    if sides[0] != sides[1]:
        return f"the sides differ: {sides[0]} and {sides[1]}"
    blocks = [[writer.pool.places(index) for index in (side.by_hva, *side.by_gpa)] for side in writer.sides]
    if blocks[0] != blocks[1]:
        return "the sides have different blocks"
    if writer.pool.lists.retired or writer.pool.lists.fresh:
        return "blocks are still retired, or fresh"
    try:
        used: set[Ref] = set().union(*(reach(memory, side.view) for side in writer.sides))
    except LookupError as error:
        return str(error)
    used.update(writer.pool.lists.free)
    for side in writer.sides:
        indexes = (side.by_hva, *side.by_gpa)
        used.update(ref for index in indexes for ref in (index.places, index.later) if ref)
        used.update(ref for ids in side.by_id for ref in (ids.array, ids.later) if ref)
    return f"memory is lost: {sorted(set(memory) - used)}" if set(memory) - used else None


def make(writer: Writer, call: Call, slots: dict[int, int]) -> None:
    """One call, and what it makes of the slots. Raises OutOfMemory."""
    if call == BEGIN:
        writer.gpamap_begin()
    elif call == COMMIT:
        writer.gpamap_commit()
    elif call == ABORT:
        writer.gpamap_abort()
    else:
        assert not isinstance(call, str)
        word, first = call
        writer.gpamap_set_region(word, first, host_of(word))
        if first is None:
            del slots[word]
        else:
            slots[word] = first


def played(trace: Trace, writer: Writer, fail_at: int | None = None) -> Played:
    """Let the writer do a trace; after `fail_at` allocations one fails, and the call is made again."""
    slots: dict[int, int] = {}
    stored = dict(slots)
    wrong: str | None = None
    try:
        for call in trace.before:
            make(writer, call, slots)
        wrong = alone(writer)
        start, side, taken = len(writer.heap.events), writer.published, writer.heap.taken
        published = [content_of(slots)]
        writer.heap.fail_at = None if fail_at is None else taken + fail_at
        moved = set(slots)
        for call in trace.calls:
            if call == BEGIN:
                stored = dict(slots)
            events = len(writer.heap.events)
            try:
                make(writer, call, slots)
            except OutOfMemory:
                make(writer, call, slots)
            if call == ABORT:
                slots = stored
            publications = [event for event in writer.heap.events[events:] if event.kind == "publish"]
            published += [content_of(slots)] * len(publications)
            if not writer.begun:
                wrong = wrong or alone(writer)
            moved &= set(slots)
    except (AssertionError, LookupError, ValueError) as error:
        return Played(Scene([], 0, (0, 0), 0, []), 0, f"{type(error).__name__}: {error}")
    views = (writer.sides[0].view, writer.sides[1].view)
    one_space = {word for word in moved if all(any(word == one[0] for one in content) for content in published)}
    scene = Scene(writer.heap.events, start, views, side, published, frozenset(one_space))
    assert all(space_of(word) < 2 for word in one_space)
    return Played(scene, writer.heap.taken - taken, wrong)


def enumerated(
    trace: Trace,
    new_writer: Callable[[], Writer],
    readers: int,
    stays: int,
    orders: Orders | None = None,
    fail_at: int | None = None,
) -> Report:
    """All orders of one trace with so many readers, who each enter so often."""
    done = played(trace, new_writer(), fail_at)
    if done.wrong:
        return Report([Finding(f"without readers: {done.wrong}", ())])
    return Enumeration(done.scene, readers, stays, orders).run()


def failures(trace: Trace, new_writer: Callable[[], Writer]) -> Iterator[int]:
    """The allocations of a trace, one after the other."""
    yield from range(1, played(trace, new_writer()).taken + 1)


def all_reports(
    traces: Sequence[Trace], new_writer: Callable[[int], Writer], readers: int, stays: int, with_failures: bool
) -> Iterator[tuple[str, Report]]:
    """Each trace; and, `with_failures`, each trace with each of its allocations failing."""
    for trace in traces:

        def writer() -> Writer:
            return new_writer(readers)

        yield trace.name, enumerated(trace, writer, readers, stays)
        for fail_at in failures(trace, writer) if with_failures else ():
            name = f"{trace.name}, allocation {fail_at} fails"
            yield name, enumerated(trace, writer, readers, stays, fail_at=fail_at)
