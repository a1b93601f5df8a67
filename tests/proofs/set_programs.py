"""Random small programs over sets of records: edits, then a question; for frozensets and for symbolic sets."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from proofs.sets import every_pair, has
from proofs.symbolic.shape import Shape
from spec.pages import pages_in
from spec.sets import added, count, every, kept, least, only, removed, some


@dataclass(frozen=True)
class Box:
    """A small record to make sets of."""

    key: int
    size: int


SHAPE = Shape(kind=Box, ranges={"key": (0, 7), "size": (-50, 100)})
KEYS, SIZES = SHAPE.ranges["key"], SHAPE.ranges["size"]


def with_key(boxes: Any, key: Any) -> Any:
    return only(boxes, lambda box: box.key == key)


def by_size(box: Box) -> tuple[int, ...]:
    return (box.size, box.key)


def put(boxes: Any, key: Any, size: Any) -> Any:
    return added(kept(boxes, lambda box: box.key != key), Box(key, size))


def dropped(boxes: Any, key: Any, size: Any) -> Any:
    return removed(boxes, with_key(boxes, key))


def changed(boxes: Any, key: Any, size: Any) -> Any:
    found = with_key(boxes, key)
    return boxes if found is None else added(removed(boxes, found), replace(found, size=size))


def put_back(boxes: Any, key: Any, size: Any) -> Any:
    found = with_key(boxes, key)
    return boxes if found is None else added(removed(boxes, found), found)


def without_equal(boxes: Any, key: Any, size: Any) -> Any:
    """Takes out a new box, which goes if one that is equal to it is there."""
    found = with_key(boxes, key)
    return removed(boxes, Box(key, size if found is None else found.size))


def without_least(boxes: Any, key: Any, size: Any) -> Any:
    return removed(boxes, least(boxes, lambda box: True, by_size))


# Each keeps keys apart, as `only` wants it.
EDITS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "put": put,
    "drop": dropped,
    "change": changed,
    "put back": put_back,
    "drop the least": without_least,
    "drop what is equal": without_equal,
    "keep the small": lambda boxes, key, size: kept(boxes, lambda box: box.size < size),
    "keep some": lambda boxes, key, size: kept(boxes, lambda box: box.key >= key or box.size == size),
}
QUESTIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "every": lambda boxes, key, size: every(boxes, lambda box: box.size < size),
    "some": lambda boxes, key, size: some(boxes, lambda box: box.key == key and box.size >= size),
    "pairs": lambda boxes, key, size: every_pair(boxes, lambda one, other: one.size < size or other.size < size),
    "pairs in order": lambda boxes, key, size: every_pair(boxes, lambda one, other: one.size - other.size != 1),
    "only": lambda boxes, key, size: (found := with_key(boxes, key)) is not None and found.size <= size,
    "has": lambda boxes, key, size: (found := with_key(boxes, key)) is not None and has(boxes, found),
    "least": lambda boxes, key, size: (
        (found := least(boxes, lambda box: box.size >= size, by_size)) is not None and found.key <= key
    ),
}
# Of the count of an arbitrary set is known what edits do to it, so these are asked only where there are few members.
COUNTED: dict[str, Callable[[Any, Any, Any], Any]] = {
    "count": lambda boxes, key, size: count(boxes) == 2,
    "count of some": lambda boxes, key, size: count(kept(boxes, lambda box: box.size >= size)) <= key,
    "count of twins": lambda boxes, key, size: count(added(added(boxes, Box(key, size)), Box(key, size))) == 2,
}


@dataclass(frozen=True)
class SetProgram:
    """Edits and a question, with the places of the keys and sizes that they are about."""

    edits: tuple[tuple[str, int, int], ...]
    question: tuple[str, int, int]

    def run(self, boxes: Any, keys: tuple[Any, ...], sizes: tuple[Any, ...]) -> bool:
        for edit, key, size in self.edits:
            boxes = EDITS[edit](boxes, keys[key], sizes[size])
        question, key, size = self.question
        return bool((QUESTIONS | COUNTED)[question](boxes, keys[key], sizes[size]))


@dataclass(frozen=True)
class SetInputs:
    """What a program is run on: a set of boxes whose keys differ, two keys, two sizes."""

    boxes: frozenset[Box]
    keys: tuple[int, ...]
    sizes: tuple[int, ...]


def random_set_program(chance: random.Random, questions: dict[str, Any], most_edits: int = 4) -> SetProgram:
    """A program that asks one of these questions."""

    def places(name: str) -> tuple[str, int, int]:
        return name, chance.randrange(2), chance.randrange(2)

    edits = tuple(places(chance.choice(sorted(EDITS))) for _ in range(chance.randint(0, most_edits)))
    return SetProgram(edits, places(chance.choice(sorted(questions))))


def random_set_inputs(chance: random.Random, most_boxes: int = 3) -> SetInputs:
    """Keys and sizes are often those of a box, or next to them."""
    keys = chance.sample(range(KEYS[0], KEYS[1] + 1), chance.randint(0, most_boxes))
    boxes = [Box(key, chance.choice((-50, -1, 0, 1, 99, 100, chance.randint(*SIZES)))) for key in keys]

    def near(ends: tuple[int, int], known: list[int]) -> int:
        value = chance.choice(known) + chance.choice((-1, 0, 0, 1)) if known else chance.randint(*ends)
        return min(ends[1], max(ends[0], value))

    return SetInputs(
        frozenset(boxes),
        tuple(near(KEYS, keys) for _ in range(2)),
        tuple(near(SIZES, [box.size for box in boxes]) for _ in range(2)),
    )


# PAGES -----------------------------------------------------------------------------------------------------------

LAST_PAGE_NUMBER = 12
PAGE_EDITS: dict[str, Callable[[Any, Any], Any]] = {
    "with": lambda pages, number: pages.with_page(number),
    "without": lambda pages, number: pages.without(pages_in(((number, number), (number + 2, number + 3)))),
    "below": lambda pages, number: pages.below(number),
    "moved up": lambda pages, number: pages.moved_up(number),
}


def random_page_edits(chance: random.Random) -> tuple[tuple[str, int], ...]:
    """Edits of a set of pages, each with a number."""
    return tuple(
        (chance.choice(sorted(PAGE_EDITS)), chance.randint(0, LAST_PAGE_NUMBER)) for _ in range(chance.randint(1, 4))
    )


def edited_pages(pages: Any, edits: tuple[tuple[str, int], ...], numbers: list[Any]) -> Any:
    """The set after the edits, with these numbers: plain ones, or symbolic ones that stand for them."""
    for (edit, plain_number), number in zip(edits, numbers, strict=True):
        pages = PAGE_EDITS[edit](pages, plain_number if edit == "without" else number)
    return pages
