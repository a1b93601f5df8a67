"""Indexes of one writer and two sides, as in index.c: places, and blocks that both sides share.

What search needs (reaches, hints) is left out; that hints are written, and where, is kept. Entries that change place
take the way that they take in C: into fresh blocks, by splitting places over a shared block, by joining.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .heap import Heap, OutOfMemory, Part, Ref, c_function

SMALLEST_PLACES = 1


@dataclass(frozen=True, order=True)
class Entry:
    """A range, by its first address; `rank` is the slot word."""

    start: int
    rank: int
    slot: Ref


@dataclass(frozen=True)
class Block:
    room: int
    entries: tuple[Entry, ...] = ()
    hints: int = 0  # how many entries they are made for


@dataclass(frozen=True)
class Places:
    """Blocks, and how many of each block's entries count; and hints."""

    room: int
    at: tuple[tuple[Ref, int], ...] = ()
    hints: int = 0


@dataclass
class Index:
    """The fields of struct index. Readers read the first two."""

    places: Ref = 0
    count: int = 0
    room: int = 0
    later: Ref = 0
    later_room: int = 0
    changed: bool = False
    shifted: bool = False
    same_front: int = 0
    same_back: int = 0
    gap_from: int = 0
    gap_end: int = 0

    @property
    def gap(self) -> range:
        """Between two changes: places that are the same, too."""
        return range(self.gap_from, self.gap_end)


@dataclass
class Lists:
    """Blocks that are not in use, and those that no side has had yet."""

    free: list[Ref] = field(default_factory=list)
    retired: list[Ref] = field(default_factory=list)
    fresh: set[Ref] = field(default_factory=set)


class Pool(Part):
    """Blocks, and the edits of an index that nobody reads."""

    def __init__(self, heap: Heap, largest: int, keeps: int) -> None:
        super().__init__(heap)
        self.largest = largest
        self.keeps = keeps  # how many blocks are kept for the next that is needed
        self.lists = Lists()

    def block(self, ref: Ref) -> Block:
        found = self.heap.objects[ref]
        assert isinstance(found, Block)
        return found

    def places(self, index: Index) -> list[tuple[Ref, int]]:
        return list(self.heap.objects[index.places].at[: index.count]) if index.places else []

    def write_places(self, index: Index, at: list[tuple[Ref, int]]) -> None:
        assert len(at) <= index.room, "more places than there is room for"
        if index.places:
            self.heap.write(index.places, Places(index.room, tuple(at), len(at)))
        index.count = len(at)

    def entries(self, index: Index) -> list[Entry]:
        return [entry for ref, count in self.places(index) for entry in self.block(ref).entries[:count]]

    # ---- Blocks ----

    @c_function
    def pool_take(self, need: int) -> Ref:
        for ref in self.lists.free:
            if self.block(ref).room >= need:
                self.lists.free.remove(ref)
                break
        else:
            ref = self.heap.take(Block(need))
        self.lists.fresh.add(ref)
        return ref

    @c_function
    def pool_give(self, ref: Ref) -> None:
        self.lists.fresh.discard(ref)
        if len(self.lists.free) < self.keeps:
            self.lists.free.append(ref)
        else:
            self.heap.free(ref)

    @c_function
    def retire(self, ref: Ref) -> None:
        if ref in self.lists.fresh:
            self.pool_give(ref)
        else:
            self.lists.retired.append(ref)

    @c_function
    def pool_free_retired(self) -> None:
        while self.lists.retired:
            self.pool_give(self.lists.retired.pop())

    @c_function
    def pool_keep_retired(self) -> None:
        self.lists.retired.clear()

    # ---- Places ----

    def note_change(self, index: Index, start: int, end: int) -> None:
        front, past, back = index.same_front, index.count - index.same_back, index.count - end
        if not index.changed or index.shifted or (end > index.gap_from and start < index.gap_end):
            index.gap_from = index.gap_end = 0
        elif not index.gap_end and (start > past or end < front):
            index.gap_from, index.gap_end = (past, start) if start > past else (end, front)
        index.same_front = min(start, index.same_front) if index.changed else start
        index.same_back = min(back, index.same_back) if index.changed else back
        index.changed = True

    def use_later(self, index: Index) -> None:
        if index.places:
            self.heap.free(index.places)
        index.places, index.room = index.later, index.later_room
        index.later, index.later_room = 0, 0

    @c_function
    def make_room(self, index: Index, other: Index) -> None:
        if index.count < index.room:
            return
        if index.later:
            at = self.places(index)
            self.use_later(index)
            self.write_places(index, at)
            return
        room = index.room * 2 or SMALLEST_PLACES
        places = self.heap.take(Places(room))
        try:
            later = self.heap.take(Places(room))
        except OutOfMemory:
            self.heap.free(places)
            raise
        if other.later:
            self.heap.free(other.later)
        other.later, other.later_room = later, room
        at = self.places(index)
        if index.places:
            self.heap.free(index.places)
        index.places, index.room = places, room
        self.write_places(index, at)

    @c_function
    def remove_place(self, index: Index, place: int) -> None:
        at = self.places(index)
        self.retire(at.pop(place)[0])
        self.write_places(index, at)
        index.shifted = True
        self.note_change(index, place, place)

    # ---- Edits ----

    @c_function
    def own(self, index: Index, place: int, need: int) -> None:
        at = self.places(index)
        old, count = at[place]
        if old in self.lists.fresh and self.block(old).room >= need:
            return
        new = self.pool_take(need)
        self.heap.write(new, Block(self.block(new).room, self.block(old).entries[:count]))
        at[place] = (new, count)
        self.write_places(index, at)
        self.retire(old)
        self.note_change(index, place, place + 1)

    @c_function
    def split(self, index: Index, place: int, cut: int) -> None:
        """The left part stays in its block, which the other side may have, too: only its count is less."""
        at = self.places(index)
        left, count = at[place]
        right = self.pool_take(count - cut + 1)
        self.heap.write(right, Block(self.block(right).room, self.block(left).entries[cut:count]))
        at[place : place + 1] = [(left, cut), (right, count - cut)]
        self.write_places(index, at)
        index.shifted = True
        self.note_change(index, place, place + 2)

    def put(self, index: Index, place: int, entries: list[Entry]) -> None:
        """These are the entries of a place that was opened."""
        at = self.places(index)
        ref = at[place][0]
        self.heap.write(ref, Block(self.block(ref).room, tuple(entries)))
        at[place] = (ref, len(entries))
        self.write_places(index, at)
        self.note_change(index, place, place + 1)

    def place_of(self, index: Index, entry: Entry) -> int:
        """The place where an entry is, or belongs: the last that starts at or before it, or the first."""
        starts = [self.block(ref).entries[0] for ref, _ in self.places(index)]
        return max(sum(start <= entry for start in starts) - 1, 0)

    def of_place(self, index: Index, place: int) -> list[Entry]:
        ref, count = self.places(index)[place]
        return list(self.block(ref).entries[:count])

    @c_function
    def index_insert(self, index: Index, other: Index, entry: Entry) -> None:
        """Raises OutOfMemory; then the same entries are there as before."""
        self.make_room(index, other)
        if not index.count:
            block = self.pool_take(1)
            self.heap.write(block, Block(self.block(block).room, (entry,)))
            self.write_places(index, [(block, 1)])
            self.note_change(index, 0, 1)
            return
        place = self.place_of(index, entry)
        count = len(self.of_place(index, place))
        if count >= self.largest * (2 if index.count == 1 else 1):
            self.split(index, place, count // 2)
            place = self.place_of(index, entry)
        entries = self.of_place(index, place)
        self.own(index, place, len(entries) + 1)
        self.put(index, place, sorted([*entries, entry]))

    @c_function
    def index_open(self, index: Index, entry: Entry) -> None:
        """Raises OutOfMemory."""
        place = self.place_of(index, entry)
        self.own(index, place, len(self.of_place(index, place)))

    @c_function
    def index_remove(self, index: Index, entry: Entry) -> None:
        place = self.place_of(index, entry)
        entries = self.of_place(index, place)
        entries.remove(entry)
        if not entries:
            self.remove_place(index, place)
            return
        self.put(index, place, entries)
        if place + 1 < index.count:
            self.join(index, place)
        elif place:
            self.join(index, place - 1)

    @c_function
    def join(self, index: Index, place: int) -> None:
        left, right = self.of_place(index, place), self.of_place(index, place + 1)
        if len(left) + len(right) > self.largest:
            return
        try:
            self.own(index, place, len(left) + len(right))
        except OutOfMemory:
            return
        self.put(index, place, [*left, *right])
        self.remove_place(index, place + 1)

    # ---- Publishing ----

    @c_function
    def index_seal(self, index: Index) -> None:
        """Hints are written: into fresh blocks, and beside the places."""
        if not index.changed:
            return
        at = self.places(index)
        for place in range(index.same_front, len(at) - index.same_back):
            ref, count = at[place]
            if place not in index.gap and ref in self.lists.fresh:
                self.heap.write(ref, Block(self.block(ref).room, self.block(ref).entries, count))
                self.lists.fresh.remove(ref)
        self.write_places(index, at)

    @c_function
    def index_follow(self, index: Index, published: Index) -> None:
        if not published.changed:
            return
        if index.later:
            self.use_later(index)
            published.same_front = published.same_back = published.gap_end = 0
        self.copy_places(index, published, published)
        published.changed = published.shifted = False

    @c_function
    def index_revert(self, index: Index, published: Index) -> None:
        if not index.changed:
            return
        at = self.places(index)
        for ref, _ in at[index.same_front : len(at) - index.same_back]:
            if ref in self.lists.fresh:
                self.pool_give(ref)
        self.copy_places(index, published, index)
        index.changed = index.shifted = False

    def copy_places(self, index: Index, model: Index, edited: Index) -> None:
        """Only those that were edited, as in C: the others have to be the same already. One of the two was edited."""
        mine, wanted = self.places(index), self.places(model)
        front, gap = edited.same_front, edited.gap
        end = len(wanted) - edited.same_back if index.count == model.count else len(wanted)
        at = [*mine[:front], *wanted[front:end], *mine[end:]]
        at[gap.start : gap.stop] = mine[gap.start : gap.stop]
        self.write_places(index, at[: len(wanted)])
