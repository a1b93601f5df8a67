"""The writer of a map, as in view.c, publish.c and gate.c."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .heap import Heap, OutOfMemory, Part, Ref, c_function
from .index import Entry, Index, Pool

SPACES = 2
NUMBERS = 16  # in each address space
SMALLEST_IDS = 1


@dataclass(frozen=True)
class Slot:
    word: int
    first: int
    host: int


@dataclass(frozen=True)
class View:
    """What readers read of a side: places and count of each index, and the array of ids of each space."""

    by_hva: tuple[Ref, int]
    by_gpa: tuple[tuple[Ref, int], ...]
    by_id: tuple[Ref, ...]


@dataclass
class Ids:
    array: Ref = 0
    room: int = 0
    later: Ref = 0
    later_room: int = 0


@dataclass
class Side:
    """The writer's own account of a view."""

    view: Ref
    by_hva: Index = field(default_factory=Index)
    by_gpa: list[Index] = field(default_factory=lambda: [Index() for _ in range(SPACES)])
    by_id: list[Ids] = field(default_factory=lambda: [Ids() for _ in range(SPACES)])


NO_VIEW = View((0, 0), ((0, 0),) * SPACES, (0,) * SPACES)


def space_of(word: int) -> int:
    return word // NUMBERS


def id_of(word: int) -> int:
    return word % NUMBERS


class Writer(Part):
    """`readers` are waited for in this order. Bugs are planted by overriding a method."""

    def __init__(self, readers: Sequence[int] = (0, 1), largest: int = 2, keeps: int = 1) -> None:
        super().__init__(Heap())
        self.heap.functions.append("gpamap_create")
        self.pool = self.new_pool(largest, keeps)
        self.readers = readers
        self.sides = [Side(self.heap.take(NO_VIEW)) for _ in range(2)]
        self.published = 0
        self.begun = False
        self.edited: list[int] = []
        self.came: list[Ref] = []
        self.went: list[Ref] = []
        self.new: set[Ref] = set()
        self.out: set[Ref] = set()

    def new_pool(self, largest: int, keeps: int) -> Pool:
        return Pool(self.heap, largest, keeps)

    def private_view(self) -> Side:
        return self.sides[1 - self.published]

    def published_view(self) -> Side:
        return self.sides[self.published]

    def show(self, side: Side) -> None:
        """The fields of indexes and spaces are part of the view."""
        view = View(
            (side.by_hva.places, side.by_hva.count),
            tuple((index.places, index.count) for index in side.by_gpa),
            tuple(ids.array for ids in side.by_id),
        )
        self.heap.write(side.view, view)

    def slot(self, ref: Ref) -> Slot:
        found = self.heap.objects[ref]
        assert isinstance(found, Slot)
        return found

    # ---- view.c ----

    def slot_at(self, side: Side, word: int) -> Ref:
        ids = side.by_id[space_of(word)]
        array: tuple[Ref, ...] = self.heap.objects[ids.array] if ids.array else ()
        return array[id_of(word)] if id_of(word) < len(array) else 0

    def set_id(self, side: Side, word: int, slot: Ref) -> None:
        ids = side.by_id[space_of(word)]
        array = list(self.heap.objects[ids.array])
        array[id_of(word)] = slot
        self.heap.write(ids.array, tuple(array))

    def use_later_ids(self, ids: Ids, content: tuple[Ref, ...]) -> None:
        assert len(content) <= ids.later_room, "more ids than there is room for"
        self.heap.write(ids.later, content + (0,) * (ids.later_room - len(content)))
        if ids.array:
            self.heap.free(ids.array)
        ids.array, ids.room, ids.later, ids.later_room = ids.later, ids.later_room, 0, 0

    @c_function
    def make_id_room(self, view: Side, other: Side, word: int) -> None:
        ids, follower = view.by_id[space_of(word)], other.by_id[space_of(word)]
        if id_of(word) >= ids.room and ids.later:
            self.use_later_ids(ids, self.heap.objects[ids.array] if ids.array else ())
        if id_of(word) < ids.room:
            return
        room = ids.room or SMALLEST_IDS
        while room <= id_of(word):
            room *= 2
        content: tuple[Ref, ...] = self.heap.objects[ids.array] if ids.array else ()
        array = self.heap.take(content + (0,) * (room - len(content)))
        try:
            later = self.heap.take((0,) * room)
        except OutOfMemory:
            self.heap.free(array)
            raise
        if ids.array:
            self.heap.free(ids.array)
        if follower.later:
            self.heap.free(follower.later)
        ids.array, ids.room, follower.later, follower.later_room = array, room, later, room

    @c_function
    def view_copy_id(self, view: Side, model: Side, word: int) -> None:
        if id_of(word) < view.by_id[space_of(word)].room:
            self.set_id(view, word, self.slot_at(model, word))

    @c_function
    def view_follow(self, view: Side, published: Side, space: int) -> None:
        self.pool.index_follow(view.by_gpa[space], published.by_gpa[space])
        if view.by_id[space].later:
            self.use_later_ids(view.by_id[space], self.heap.objects[published.by_id[space].array])

    @c_function
    def insert_slot(self, view: Side, other: Side, ref: Ref) -> None:
        slot, space = self.slot(ref), space_of(self.slot(ref).word)
        self.make_id_room(view, other, slot.word)
        by_gpa = Entry(slot.first, slot.word, ref)
        self.pool.index_insert(view.by_gpa[space], other.by_gpa[space], by_gpa)
        try:
            self.pool.index_insert(view.by_hva, other.by_hva, Entry(slot.host, slot.word, ref))
        except OutOfMemory:
            self.pool.index_remove(view.by_gpa[space], by_gpa)
            raise

    def entries_of(self, view: Side, ref: Ref) -> tuple[tuple[Index, Entry], tuple[Index, Entry]]:
        slot = self.slot(ref)
        by_gpa = (view.by_gpa[space_of(slot.word)], Entry(slot.first, slot.word, ref))
        return by_gpa, (view.by_hva, Entry(slot.host, slot.word, ref))

    @c_function
    def view_replace(self, view: Side, other: Side, old: Ref, new: Ref) -> None:
        word = self.slot(old or new).word
        if new:
            self.insert_slot(view, other, new)
        if old:
            try:
                for index, entry in self.entries_of(view, old):
                    self.pool.index_open(index, entry)
            except OutOfMemory:
                for index, entry in self.entries_of(view, new) if new else ():
                    self.pool.index_remove(index, entry)
                raise
            for index, entry in self.entries_of(view, old):
                self.pool.index_remove(index, entry)
        self.set_id(view, word, new)

    # ---- gate.c ----

    @c_function
    def gate_publish(self, side: int) -> None:
        self.store_published(side)
        for reader in self.readers:
            self.wait_for(reader)
        self.heap.note("return", side)

    def store_published(self, side: int) -> None:
        self.heap.note("publish", side)

    @c_function
    def wait_for(self, reader: int) -> None:
        self.heap.note("look", reader)
        self.heap.note("wait", reader)

    # ---- publish.c ----

    def seal(self, view: Side) -> None:
        for space in self.edited:
            self.pool.index_seal(view.by_gpa[space])
        self.pool.index_seal(view.by_hva)

    def follow(self, other: Side, view: Side) -> None:
        for space in self.edited:
            self.view_follow(other, view, space)
        self.edited.clear()
        self.pool.index_follow(other.by_hva, view.by_hva)
        self.copy_ids(other, view)

    def copy_ids(self, side: Side, model: Side) -> None:
        for word in [self.slot(ref).word for ref in (*self.came, *self.went)]:
            self.view_copy_id(side, model, word)

    @c_function
    def free_slots(self, slots: list[Ref]) -> None:
        for ref in slots:
            self.heap.free(ref)

    def forget_changes(self) -> None:
        for changes in (self.came, self.went, self.new, self.out):
            changes.clear()

    @c_function
    def publish(self) -> None:
        if not self.edited:
            return
        view, other = self.private_view(), self.published_view()
        self.seal(view)
        self.show(view)
        self.gate_publish(1 - self.published)
        self.published = 1 - self.published
        self.follow(other, view)
        self.show(other)
        self.free_slots([ref for ref in self.came if ref in self.out])
        self.free_slots(self.went)
        self.forget_changes()
        self.pool.pool_free_retired()

    @c_function
    def take_back(self) -> None:
        view, other = self.private_view(), self.published_view()
        for space in self.edited:
            self.pool.index_revert(view.by_gpa[space], other.by_gpa[space])
        self.edited.clear()
        self.pool.index_revert(view.by_hva, other.by_hva)
        self.copy_ids(view, other)
        self.show(view)
        self.free_slots(self.came)
        self.forget_changes()
        self.pool.pool_keep_retired()

    @c_function
    def make_change(self, old: Ref, new: Ref) -> None:
        """Raises OutOfMemory."""
        space = space_of(self.slot(old or new).word)
        if space not in self.edited:
            self.edited.append(space)
        view = self.private_view()
        try:
            self.view_replace(view, self.published_view(), old, new)
        except OutOfMemory:
            self.show(view)
            if not self.begun:
                self.take_back()
            raise
        self.show(view)
        if new:
            self.came.append(new)
            self.new.add(new)
        if old in self.new:
            self.out.add(old)
        elif old:
            self.went.append(old)
        if not self.begun:
            self.publish()

    @c_function
    def gpamap_set_region(self, word: int, first: int | None, host: int = 0) -> None:
        """Create or move a slot, or delete it (`first` is None). Raises OutOfMemory."""
        old = self.slot_at(self.private_view(), word)
        if first is None:
            self.make_change(old, 0)
            return
        kept = replace(self.slot(old), first=first) if old else Slot(word, first, host)
        new = self.heap.take(kept)
        try:
            self.make_change(old, new)
        except OutOfMemory:
            self.heap.free(new)
            raise

    @c_function
    def gpamap_begin(self) -> None:
        self.begun = True

    @c_function
    def gpamap_commit(self) -> None:
        self.begun = False
        self.publish()

    @c_function
    def gpamap_abort(self) -> None:
        self.begun = False
        self.take_back()
