"""What no vector asks of a table: transactions, lists of a range, the last hit, and what readers see.

The model is the linear definition: a list of entries in the order in which they are given up. It looks at all.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest

from conformance.targets.c.binding import Library
from spec.units import U64, U64_MAX

from .planted import Bug, bug, planted_base

LIMIT = 24
ROOM = 6
READ, WRITE = 1, 2
REFUSE, FIFO, LRU = 0, 1, 2
BLOCKS = (0, 1, 3, 512)

Entry = tuple[int, int, int, int, int]  # first, last, host, perm, and how many were added before
Walked = tuple[int, tuple[tuple[int, int, int], ...]]  # 0 or an error, and the segments before it


def in_order(entries: list[Entry]) -> list[Entry]:
    """As they count: by first byte, then by age."""
    return sorted(entries, key=lambda entry: (entry[0], entry[4]))


def holder(entries: list[Entry], addr: int) -> Entry | None:
    return next((one for one in in_order(entries) if one[0] <= addr <= one[1]), None)


def translated(entries: list[Entry], addr: int, length: int, access: int, room: int) -> Walked:
    segments: list[tuple[int, int, int]] = []
    while length:
        if len(segments) == room:
            return -errno.ENOBUFS, tuple(segments)
        entry = holder(entries, addr) if addr <= U64_MAX else None
        if entry is None:
            return -errno.EFAULT, tuple(segments)
        if not entry[3] & access:
            return -errno.EPERM, tuple(segments)
        last = min(entry[1], addr + length - 1)
        segments.append((addr, last, (entry[2] + addr - entry[0]) % U64))
        addr, length = last + 1, length - (last - addr + 1)
    return 0, tuple(segments)


class Model:
    """A table: `entries` from the next to be given up to the last."""

    def __init__(self, retirement: int) -> None:
        self.retirement = retirement
        self.entries: list[Entry] = []
        self.before: list[Entry] | None = None  # in a transaction
        self.added = 0

    @property
    def seen(self) -> list[Entry]:
        return self.entries if self.before is None else self.before

    def add(self, first: int, last: int, host: int, perm: int) -> int:
        if len(self.entries) == LIMIT:
            if self.retirement == REFUSE:
                return -errno.ENOSPC
            self.entries = self.entries[1:]
        self.entries = [*self.entries, (first, last, host, perm, self.added)]
        self.added += 1
        return 0

    def remove(self, first: int, last: int, host: int) -> int:
        equal = [one for one in self.entries if one[:3] == (first, last, host)]
        self.entries = [one for one in self.entries if not equal or one != in_order(equal)[0]]
        return 0 if equal else -errno.ENOENT

    def remove_range(self, first: int, last: int) -> int:
        self.entries = [one for one in self.entries if one[1] < first or one[0] > last]
        return 0

    def replace(self, entries: list[tuple[int, int, int, int]]) -> int:
        if self.before is not None:
            return -errno.EBUSY
        self.entries = [(*one, self.added + age) for age, one in enumerate(entries)]
        self.added += len(entries)
        return 0

    def use(self, segments: tuple[tuple[int, int, int], ...]) -> None:
        """Each goes to the end, unless this table goes by age, or has a transaction."""
        for first, _, _ in segments if self.retirement == LRU and self.before is None else ():
            used = holder(self.entries, first)
            assert used is not None
            self.entries = [*(one for one in self.entries if one != used), used]

    def begin(self) -> int:
        if self.before is not None:
            return -errno.EBUSY
        self.before = self.entries
        return 0

    def commit(self) -> int:
        if self.before is None:
            return -errno.EINVAL
        self.before = None
        return 0

    def abort(self) -> int:
        if self.before is None:
            return -errno.EINVAL
        self.entries, self.before = self.before, None
        return 0


class Table:
    """The calls on a table of the library, with answers that can be compared."""

    def __init__(self, library: Library, made: Any, reader: Any) -> None:
        self.ffi, self.lib, self.made, self.reader = library.ffi, library.functions, made, reader
        self.found: Any = self.ffi.new("struct gpamap_segment[]", ROOM + 1)
        self.reach: Any = self.ffi.new("struct gpamap_reach *")
        self.listed: Any = self.ffi.new("struct gpamap_entry[]", LIMIT + 1)

    def entry(self, *fields: int) -> Any:
        return self.ffi.new("struct gpamap_entry *", fields)

    def array(self, entries: list[tuple[int, int, int, int]]) -> Any:
        return self.ffi.new("struct gpamap_entry[]", entries)

    def segments(self, error: int) -> Walked:
        return error, tuple((one.first, one.last, one.host) for one in self.found[0 : self.reach.segments])

    def translate(self, addr: int, length: int, access: int, room: int) -> Walked:
        return self.segments(
            self.lib.gpamap_table_translate(self.made, addr, length, access, self.found, room, self.reach)
        )

    def walk(self, view: Any, addr: int, length: int, access: int, room: int) -> Walked:
        return self.segments(self.lib.gpamap_table_segments(view, addr, length, access, self.found, room, self.reach))

    def lookup(self, view: Any, addr: int, access: int) -> tuple[int, ...]:
        error = self.lib.gpamap_table_lookup(view, addr, access, self.found)
        return (error,) if error else (self.found[0].first, self.found[0].last, self.found[0].host)

    def lookup_again(self, view: Any, addr: int, access: int) -> tuple[int, ...]:
        error = self.lib.gpamap_table_lookup_again(self.reader, view, addr, access, self.found)
        return (error,) if error else (self.found[0].first, self.found[0].last, self.found[0].host)

    def list(self, count: int, room: int) -> tuple[int, list[tuple[int, ...]]]:
        some = self.listed[0 : min(count, room)]
        return count, [(one.first, one.last, one.host, one.perm) for one in some]

    def range(self, view: Any, first: int, last: int, room: int) -> tuple[int, list[tuple[int, ...]]]:
        return self.list(self.lib.gpamap_table_range(view, first, last, self.listed, room), room)

    def entries(self) -> tuple[int, list[tuple[int, ...]]]:
        return self.list(self.lib.gpamap_table_entries(self.made, self.listed, LIMIT), LIMIT)


@contextmanager
def table_of(library: Library, retirement: int, largest_block: int) -> Iterator[Table]:
    ffi, lib = library.ffi, library.functions
    made: Any = ffi.new("struct gpamap_table **")
    reader: Any = ffi.new("struct gpamap_reader **")
    fields = {"limit": LIMIT, "retirement": retirement, "largest_block": largest_block}
    assert lib.gpamap_table_create(ffi.new("struct gpamap_table_config *", fields), made) == 0
    assert lib.gpamap_table_reader_create(made[0], reader) == 0
    yield Table(library, made[0], reader[0])
    lib.gpamap_table_destroy(made[0])


def change(table: Table, model: Model, random: Random) -> tuple[int, int]:
    """One change on both: what they answer."""
    lib, made = table.lib, table.made
    first = random.randrange(300)
    last = random.choice([first + random.randrange(30), U64_MAX if random.random() < 0.05 else first])
    what = random.random()
    if what < 0.65:
        fields = (first, last, random.randrange(U64), random.randrange(4))
        return lib.gpamap_table_add(made, table.entry(*fields)), model.add(*fields)
    if what < 0.77:
        first, last, host, _, _ = random.choice(model.entries or [(first, last, 0, 0, 0)])
        return lib.gpamap_table_remove(made, first, last, host), model.remove(first, last, host)
    if what < 0.85:
        return lib.gpamap_table_remove_range(made, first, last), model.remove_range(first, last)
    if what < 0.86:
        some = [(first + k, last, random.randrange(U64), READ) for k in range(random.randrange(3))]
        some = [one for one in some if one[0] <= one[1]]
        return lib.gpamap_table_replace(made, table.array(some), len(some)), model.replace(some)
    if what < 0.92:
        return lib.gpamap_table_begin(made), model.begin()
    if what < 0.96:
        return lib.gpamap_table_commit(made), model.commit()
    return lib.gpamap_table_abort(made), model.abort()


def plain(entries: list[Entry], room: int) -> tuple[int, list[tuple[int, ...]]]:
    return len(entries), [one[:4] for one in in_order(entries)[:room]]


def differs(table: Table, view: Any, model: Model, random: Random) -> str | None:
    """Where the library says something else than the model, or None."""
    edges = [edge for one in model.seen for edge in (one[0] - 1, one[0], one[1], one[1] + 1)]
    if table.entries() != plain(model.seen, LIMIT):
        return f"entries: {table.entries()} instead of {plain(model.seen, LIMIT)}"
    for _ in range(8):
        addr = random.choice([*edges, 0, U64_MAX, random.randrange(340)]) % U64
        length, access, room = random.choice([1, 9, 50, U64_MAX]), random.choice([READ, WRITE]), random.randrange(ROOM)
        expected = translated(model.seen, addr, length, access, room)
        if table.walk(view, addr, length, access, room) != expected:
            return f"{length} bytes from {addr:#x}: {table.walk(view, addr, length, access, room)}, not {expected}"
        if table.translate(addr, length, access, room) != expected:
            return f"{length} bytes from {addr:#x} of the writer's, instead of {expected}"
        model.use(expected[1])
        error, whole = translated(model.seen, addr, U64 - addr, access, 1)
        once: tuple[int, ...] = whole[0] if whole else (error,)
        if table.lookup(view, addr, access) != once:
            return f"{addr:#x}: {table.lookup(view, addr, access)} instead of {once}"
        if table.lookup_again(view, addr, access) != once:
            return f"{addr:#x} again: {table.lookup_again(view, addr, access)} instead of {once}"
        last = random.choice([addr, addr + 40, U64_MAX, addr - 1]) % U64
        listed = plain([one for one in model.seen if addr <= last and one[0] <= last and addr <= one[1]], room)
        if table.range(view, addr, last, room) != listed:
            return f"entries of {addr:#x} .. {last:#x}: {table.range(view, addr, last, room)} instead of {listed}"
        if table.lookup(view, addr, 3) != (-errno.EINVAL,) or table.lookup_again(view, addr, 0) != (-errno.EINVAL,):
            return "an access that is none"
    return None


def first_difference(library: Library, seed: int, changes: int) -> str | None:
    random = Random(seed)
    for retirement in (REFUSE, FIFO, LRU):
        for largest_block in BLOCKS:
            with table_of(library, retirement, largest_block) as table:
                model = Model(retirement)
                for _ in range(changes):
                    answers = change(table, model, random)
                    if answers[0] != answers[1]:
                        return f"{answers[0]} instead of {answers[1]}"
                    view = table.lib.gpamap_table_enter(table.reader)
                    found = differs(table, view, model, random)
                    table.lib.gpamap_leave(table.reader)
                    if found is not None:
                        return found
    return None


@pytest.mark.slow
def test_a_table_answers_as_its_entries_say() -> None:
    assert first_difference(Library(), 1, 400) is None


BUGS = (
    bug("hit-outlives-its-view", "x", "x", ("table_view.c", " || hit->version != view->version", "")),
    bug("version-stays", "x", "x", ("table.c", "view->version = other->version + 1;", "view->version = 1;")),
    bug("hit-past-its-end", "x", "x", ("table_view.c", "addr - hit->start > hit->span", "addr < hit->start")),
    bug(
        "hit-over-a-block-before",
        "x",
        "x",
        ("table_view.c", "spot.place && index->places[spot.place - 1].reach >= from", "spot.place && !index"),
    ),
    bug(
        "hit-over-an-entry-before",
        "x",
        "x",
        ("table_view.c", "spot.at && entry[-1].reach >= from", "spot.at && !index"),
    ),
    bug("hit-permits-all", "x", "x", ("table_view.c", "if (hit->item & access)", "if (hit->item & !access)")),
    bug(
        "range-without-who-began-before",
        "x",
        "x",
        (
            "table_view.c",
            "struct spot spot = index_seek(index, first);",
            "struct spot spot = index_from(index, first);",
        ),
    ),
    bug(
        "range-with-who-ended-before",
        "x",
        "x",
        ("table_view.c", "if (mapping_last(mapping_of(entry)) < first)", "if (!entry)"),
    ),
    bug("range-is-reversed", "x", "x", ("table_view.c", "\tif (last < first)\n\t\treturn 0;\n", "")),
    bug(
        "range-without-its-last", "x", "x", ("table_view.c", "entry->start <= last; spot", "entry->start < last; spot")
    ),
    bug(
        "seen-before-the-commit",
        "x",
        "x",
        ("table.c", "if (table->begun || !private_index(table)->changed)", "if (!private_index(table)->changed)"),
    ),
    bug(
        "full-as-everybody-sees-it",
        "x",
        "x",
        ("table.c", "bool is_full = private_index(table)", "bool is_full = table_index(table)"),
    ),
    bug(
        "aborted-to-the-end-of-the-queue",
        "x",
        "x",
        (
            "table.c",
            "\t\tenqueue_again(table, mapping);",
            "\t\t(mapping->sooner ? enqueue : enqueue_again)(table, mapping);",
        ),
    ),
    bug(
        "aborted-to-the-front-of-the-queue",
        "x",
        "x",
        ("table.c", "mapping->sooner ? &mapping->sooner->later : &table->next_out", "&table->next_out"),
        ("table.c", "\tmapping->later = *link;\n", "\tmapping->later = *link;\n\tmapping->sooner = NULL;\n"),
    ),
    bug(
        "replaced-in-a-transaction",
        "x",
        "x",
        ("table.c", "\tif (table->begun)\n\t\treturn -EBUSY;\n\tif (table_take", "\tif (table_take"),
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("one", BUGS, ids=lambda one: one.name)
def test_planted_bugs_are_found(one: Bug) -> None:
    with planted_base(one) as base:
        library = Library(base)
    assert first_difference(library, 2, 400) is not None


def test_a_table_refuses_larger_blocks() -> None:
    library = Library()
    config = library.ffi.new("struct gpamap_table_config *", {"limit": 1, "largest_block": 513})
    assert library.functions.gpamap_table_create(config, library.ffi.new("struct gpamap_table **")) == -errno.EINVAL
