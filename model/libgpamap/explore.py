"""All orders of the steps of one writer of libgpamap and of its readers, and what must hold in each.

A reader's steps: `gate_enter` stores that it is inside, and loads the published side; it looks, as often as it likes,
at whatever it can reach from there; `gpamap_leave` stores that it is outside. The writer's steps are its heap's events.

How far memory may be late. A store that is not sequentially consistent may be seen later than the same thread's loads
that follow it: it is kept aside, and seen at any time from then on, in order. What is ordered before what follows from
the declared memory orders: a reader is told which of the writer's events are before its load, the writer which looks of
a reader are before its own. Whoever touches what another touches without being told is found (a data race), however the
hardware would take it.

Readers look at *everything* that they can reach. A reader that looks at less sees less, and stands in nobody's way; so
there is no need to try it, and the enumeration stays exact. Nor need a reader come, or go, between two plain writes of
the writer: one that came before them finds as much. So these are done in one go, and judged one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from .heap import Event, Ref
from .writer import View

SEQ_CST, RELEASE, ACQUIRE, RELAXED = "seq_cst", "release", "acquire", "relaxed"

PLAIN = ("take", "write", "free")

Content = tuple[tuple[int, int, int], ...]  # word, first guest address, host address


@dataclass(frozen=True)
class Orders:
    """The memory orders of all that is atomic in gate.c, and the order of a reader's two steps."""

    enter_store: str = SEQ_CST
    enter_load: str = SEQ_CST
    leave_store: str = RELEASE
    publish_store: str = SEQ_CST
    wait_load: str = SEQ_CST
    loads_first: bool = False  # a reader loads the published side, and then says that it is inside
    counts: bool = True  # each stay has a number of its own in `inside`
    until_even: bool = False  # the writer waits for any reader that is inside, whenever it came

    def reader_is_late(self) -> bool:
        """Whether a reader's load may be done before its store is seen."""
        return self.enter_store != SEQ_CST or self.enter_load != SEQ_CST

    def writer_is_late(self) -> bool:
        return self.publish_store != SEQ_CST or self.wait_load != SEQ_CST


def releases(order: str) -> bool:
    return order in (SEQ_CST, RELEASE)


def acquires(order: str) -> bool:
    return order in (SEQ_CST, ACQUIRE)


@dataclass(frozen=True)
class Stored:
    """A value of `inside`: the number, the stay it belongs to, and the looks that it tells the writer of."""

    number: int = 0
    stay: int = 0
    looks: frozenset[Ref] = frozenset()


OUTSIDE, STORED, LOADED, INSIDE = "outside", "has stored", "has loaded", "inside"


@dataclass(frozen=True)
class Reader:
    phase: str = OUTSIDE
    stays_left: int = 2
    number: int = 0  # the value that it stored last
    stay: int = 0
    entered_at: int = 0  # how many publications were done when it entered
    stage: int = 0  # the publication that it loaded
    told: int = 0  # how many of the writer's events are before its own next
    looks: frozenset[Ref] = frozenset()  # that no store of its tells of yet
    late: tuple[Stored, ...] = ()  # stores that nobody sees yet
    seen: Stored = Stored()  # what everybody sees
    untaken: frozenset[Ref] = frozenset()  # looks that the writer was not told of yet, but stores that are seen tell of


class State(NamedTuple):
    at: int  # how many events the writer has done
    publication: int  # what everybody sees: the number of the event that published, or 0
    late: int  # a publication that nobody sees yet, or 0
    looked: tuple[int, int]  # number and stay of the reader that is waited for
    readers: tuple[int, ...]  # by their numbers in the enumeration


@dataclass(frozen=True)
class Finding:
    what: str
    story: tuple[str, ...]


@dataclass
class Report:
    """What was found, how many states there are, and which situations came up: without them nothing was shown."""

    findings: list[Finding] = field(default_factory=list)
    states: int = 0
    situations: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Scene:
    """A writer's events after `start`, and what is published: `contents[n]` after the n-th publication."""

    events: Sequence[Event]
    start: int
    views: tuple[Ref, Ref]
    first_side: int
    contents: Sequence[Content]
    moved: frozenset[int] = frozenset()  # slot words that move: each is always at one home


def reach(memory: Mapping[Ref, Any], view: Ref) -> frozenset[Ref]:
    """All addresses that a reader of this view can come to. Raises LookupError if one was freed."""
    seen = memory[view]
    assert isinstance(seen, View)
    found = {view}
    for places, count in (seen.by_hva, *seen.by_gpa):
        if not count:
            continue
        found.add(places)
        for block, entries in memory[places].at[:count]:
            found.add(block)
            found.update(entry.slot for entry in memory[block].entries[:entries])
    for array in seen.by_id:
        if array:
            found.add(array)
            found.update(slot for slot in memory[array] if slot)
    if not all(ref in memory for ref in found):
        raise LookupError("something that it can reach was freed")
    return frozenset(found)


def told_apart(memory: Mapping[Ref, Any], slots: list[Ref]) -> Content:
    return tuple((memory[ref].word, memory[ref].first, memory[ref].host) for ref in slots)


def contents(memory: Mapping[Ref, Any], view: Ref) -> tuple[Content, Content, Content]:
    """The slots by guest address, by host address, and by number."""
    seen = memory[view]

    def listed(index: tuple[Ref, int]) -> list[Ref]:
        at = memory[index[0]].at[: index[1]] if index[1] else ()
        return [entry.slot for block, count in at for entry in memory[block].entries[:count]]

    by_gpa = [slot for index in seen.by_gpa for slot in listed(index)]
    by_id = [slot for array in seen.by_id if array for slot in memory[array] if slot]
    return told_apart(memory, by_gpa), told_apart(memory, listed(seen.by_hva)), told_apart(memory, by_id)


def what_is_wrong(found: tuple[Content, Content, Content], expected: Content, moved: frozenset[int]) -> str | None:
    """Why this is not the state `expected`, or None."""
    for name, slots in zip(("guest address", "host address", "number"), found, strict=True):
        for word in moved:
            homes = [first for one, first, _ in slots if one == word]
            if len(homes) != 1:
                return f"slot {word} has {len(homes)} homes by {name}"
        if sorted(slots) != sorted(expected):
            return f"by {name} there is {slots}, right is {expected}"
    by_gpa, by_hva, _ = found
    if list(by_hva) != sorted(by_hva, key=lambda slot: (slot[2], slot[0])):
        return f"host addresses are out of order: {by_hva}"
    for word, first, _ in by_gpa:
        if not any(one == word and other == first for one, other, _ in by_hva):
            return f"the indexes disagree on slot {word}"
    return None


def put(state: State, number: int, reader: int) -> State:
    """The state with another reader in this place."""
    return state._replace(readers=(*state.readers[:number], reader, *state.readers[number + 1 :]))


class Enumeration:
    """Every order of a scene's events and of these readers' steps."""

    def __init__(self, scene: Scene, readers: int, stays: int, orders: Orders | None = None) -> None:
        self.scene = scene
        self.orders = orders or Orders()
        self.report = Report()
        publications = [at for at, event in enumerate(scene.events, 1) if event.kind == "publish" and at > scene.start]
        self.stage = {0: 0} | {at: number for number, at in enumerate(publications, 1)}
        self.side = {0: scene.first_side} | {at: scene.events[at - 1].ref for at in publications}
        self.returned: list[int] = [0]  # publications that were done after so many events
        self.written: list[Mapping[Ref, int]] = [{}]  # which event wrote what last
        for at, event in enumerate(scene.events, 1):
            done = self.returned[-1] + (event.kind == "return" and at > scene.start)
            self.returned.append(done)
            changed = {event.ref: at} if event.kind in ("take", "write") else {}
            self.written.append({**self.written[-1], **changed})
        self._readers: list[Reader] = []  # each once: states are many, readers few
        self._numbers: dict[Reader, int] = {}
        self._steps: dict[tuple[int, int, int], list[tuple[str, int]]] = {}
        begin = self.numbered(Reader(stays_left=stays, told=scene.start))
        self.begin = State(scene.start, 0, 0, (0, 0), (begin,) * readers)
        self._came: dict[State, tuple[State, str] | None] = {self.begin: None}
        self._judged: dict[tuple[int, int, int], frozenset[Ref]] = {}

    def numbered(self, reader: Reader) -> int:
        number = self._numbers.setdefault(reader, len(self._readers))
        if number == len(self._readers):
            self._readers.append(reader)
        return number

    def run(self, most_findings: int = 1) -> Report:
        waiting = [self.begin]
        while waiting and len(self.report.findings) < most_findings:
            state = waiting.pop()
            self.report.states += 1
            steps = list(self.steps(state))
            if not steps and state.at < len(self.scene.events):
                self.find("nobody can do another step, and the writer is not done", state)
            for words, after in steps:
                if after not in self._came:
                    self._came[after] = (state, words)
                    waiting.append(after)
        return self.report

    def find(self, what: str, state: State, last: str = "") -> None:
        story = [last] if last else []
        at: State | None = state
        while at is not None:
            came = self._came[at]
            if came is None:
                break
            story.append(came[1])
            at = came[0]
        self.report.findings.append(Finding(what, tuple(reversed(story))))

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        """Each thing that can happen now, in words, and what is then."""
        yield from self.writer_steps(state)
        if state.late:
            yield "the publication is seen", state._replace(publication=state.late, late=0)
        for number, reader in enumerate(state.readers):
            asked = (reader, state.at, state.publication)
            if asked not in self._steps:
                steps = self.reader_steps(state, self._readers[reader])
                self._steps[asked] = [(words, self.numbered(after)) for words, after in steps]
            for words, went_on in self._steps[asked]:
                yield f"reader {number}: {words}", put(state, number, went_on)

    # ---- The writer ----

    def writer_steps(self, state: State) -> Iterator[tuple[str, State]]:
        if state.at == len(self.scene.events):
            return
        event = self.scene.events[state.at]
        words = f"writer: {event.function}: {event.kind} {event.ref}"
        after = state._replace(at=state.at + 1)
        if event.kind in PLAIN:
            end = state.at
            while end < len(self.scene.events) and self.scene.events[end].kind in PLAIN:
                self.judge_change(state, self.scene.events[end])
                end += 1
            words = f"{words}, and so on to {self.scene.events[end - 1].function}"
            after = state._replace(at=end)
        elif event.kind == "publish":
            if self.orders.writer_is_late():
                seen = state.late or state.publication
                yield f"{words}, seen later", after._replace(publication=seen, late=state.at + 1)
                return
            after = after._replace(publication=state.at + 1, late=0)
        elif event.kind == "look":
            reader = self._readers[state.readers[event.ref]]
            after = self.took(after, event.ref)._replace(looked=(reader.seen.number, reader.seen.stay))
        elif event.kind == "wait":
            if self.still_waits(state, event, words):
                return
            after = self.took(after, event.ref)._replace(looked=(0, 0))
        yield words, after

    def took(self, state: State, number: int) -> State:
        """The writer has loaded `inside`, and is told of the looks before what it found."""
        if not acquires(self.orders.wait_load):
            return state
        reader = self._readers[state.readers[number]]
        return put(state, number, self.numbered(replace(reader, untaken=frozenset())))

    def still_waits(self, state: State, event: Event, words: str) -> bool:
        reader = self._readers[state.readers[event.ref]]
        seen = reader.seen
        number, stay = state.looked
        waits = seen.number % 2 == 1 and (self.orders.until_even or seen.number == number)
        if waits:
            self.report.situations.add("the writer waits")
            if seen.stay != stay:
                self.find("the writer waits for a reader that entered after it looked", state, words)
            if reader.stage == self.stage[state.publication]:
                self.report.situations.add("the writer waits for a reader of the new side")
        return waits

    def judge_change(self, state: State, event: Event) -> None:
        if event.kind == "take":
            return  # nobody has the address
        words = f"writer: {event.function}: {event.kind} {event.ref}"
        for number, reader in enumerate(map(self._readers.__getitem__, state.readers)):
            late = [stored.looks for stored in reader.late]
            if event.ref in reader.looks.union(reader.untaken, *late):
                self.find(f"{event.kind} {event.ref}, at which reader {number} may be looking", state, words)
            if reader.phase == INSIDE:
                self.report.situations.add(f"{event.kind} while a reader is inside")

    # ---- A reader ----

    def reader_steps(self, state: State, reader: Reader) -> Iterator[tuple[str, Reader]]:
        if reader.late:
            yield "a store is seen", self.seen(replace(reader, late=reader.late[1:]), reader.late[0])
        if reader.phase == OUTSIDE and reader.stays_left:
            entering = replace(
                reader, stays_left=reader.stays_left - 1, stay=reader.stay + 1, entered_at=self.returned[state.at]
            )
            if self.orders.loads_first:
                yield "gate_enter: load", self.loaded(state, entering, LOADED)
            else:
                yield "gate_enter: store", self.stored(entering, 1, STORED)
        elif reader.phase == STORED:
            yield "gate_enter: load", self.loaded(state, reader, INSIDE)
        elif reader.phase == LOADED:
            yield "gate_enter: store", self.stored(reader, 1, INSIDE)
        elif reader.phase == INSIDE:
            if self.stage[state.publication] > reader.stage:
                self.report.situations.add("a reader is inside what was published before")
            yield "gpamap_leave: store", self.stored(reader, 0, OUTSIDE)

    def seen(self, reader: Reader, stored: Stored) -> Reader:
        return replace(reader, seen=replace(stored, looks=frozenset()), untaken=reader.untaken | stored.looks)

    def stored(self, reader: Reader, inside: int, phase: str) -> Reader:
        order = self.orders.enter_store if inside else self.orders.leave_store
        late = self.orders.reader_is_late() or not inside
        number = reader.number + 1 if self.orders.counts else inside
        tells = reader.looks if releases(order) else frozenset()
        store = Stored(number, reader.stay, tells)
        after = replace(reader, phase=phase, number=number, looks=reader.looks - tells)
        if late:
            return replace(after, late=(*reader.late, store))
        for one in (*reader.late, store):
            after = self.seen(after, one)
        return replace(after, late=())

    def loaded(self, state: State, reader: Reader, phase: str) -> Reader:
        """The reader has the published side, and looks at all that it can reach there."""
        told = reader.told
        if releases(self.orders.publish_store) and acquires(self.orders.enter_load):
            told = max(told, state.publication)
        stage = self.stage[state.publication]
        looks = self.judge_side(state, told)
        if stage < reader.entered_at:
            self.find("a reader got a side that was not the published one when it entered", state, "gate_enter: load")
        if self.returned[state.at] < stage:
            self.report.situations.add("a reader enters between publication and the end of the wait")
        return replace(reader, phase=phase, told=told, stage=stage, looks=reader.looks | looks)

    def judge_side(self, state: State, told: int) -> frozenset[Ref]:
        """What can be reached from the published side; everything there has to be right, and told to the reader."""
        known = self._judged.get((state.at, state.publication, told))
        if known is not None:
            return known
        memory = self.scene.events[state.at - 1].memory
        view = self.scene.views[self.side[state.publication]]
        try:
            looks = reach(memory, view)
            wrong = what_is_wrong(
                contents(memory, view), self.scene.contents[self.stage[state.publication]], self.scene.moved
            )
        except LookupError as error:
            self.find(f"a reader enters: {error}", state, "gate_enter: load")
            return frozenset()
        if wrong:
            self.find(f"a reader enters: {wrong}", state, "gate_enter: load")
        elif any(self.written[state.at].get(ref, 0) > told for ref in looks):
            self.find("a reader looks at what it was not told was written", state, "gate_enter: load")
        else:
            self._judged[(state.at, state.publication, told)] = looks
        return looks
