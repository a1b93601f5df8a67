"""Concrete cases in which kernels before, at and after the change of 2016 translate differently.

Each case is a memory table and a translation. `requests` makes a vector of it. `answers` says what each of the
algorithms makes of it; the tree with today's loop is what the specification says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model.vhost.iotlb import Iotlb
from model.vhost.sorted_array import SortedArray, found_by_kernels
from model.vhost.translate import translate, translate_2016
from spec.outcome import Faulted, Translated
from spec.units import U64
from spec.vhost.address_map import READ, WRITE
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.owner import SetOwner
from spec.vhost.translate import MAPPED, MOST_SEGMENTS, Translate

HOST = 2**44  # where backing A is in vectors
PAGE = 0x1000


@dataclass(frozen=True)
class Case:
    """A table and a translation. `because` says what is different, `differs` names the algorithms that are."""

    name: str
    because: str
    regions: tuple[Region, ...]
    addr: int
    length: int
    differs: tuple[str, ...]


ARRAY = "array"  # the sorted array, in exact arithmetic
ARRAY_U64 = "array, 64 bits"  # the same, in the arithmetic of kernels
LOOP_2016 = "tree, loop of 2016"
TREE = "tree"

HIGHEST_START_WINS = Case(
    "highest-start-wins",
    "two regions hold the byte: the tree takes the one that starts first, the array the one that starts last",
    (Region(0, 4 * PAGE, HOST), Region(PAGE, PAGE, HOST + 0x10000)),
    PAGE,
    PAGE,
    (ARRAY, ARRAY_U64),
)
HIDDEN_BY_A_SHORT_ONE = Case(
    "hidden-by-a-short-one",
    "the region with the highest start ends before the byte: the array looks no further, the tree finds the one below",
    (Region(0, 4 * PAGE, HOST), Region(PAGE, PAGE, HOST + 0x10000)),
    2 * PAGE,
    PAGE,
    (ARRAY, ARRAY_U64),
)
SEGMENTS_OF_AN_OVERLAP = Case(
    "segments-of-an-overlap",
    "a range from the middle of two overlapping regions on: the tree takes the first to its end and then the second, "
    "the array the second alone",
    (Region(0, 2 * PAGE, HOST), Region(PAGE, 2 * PAGE, HOST + 0x10000)),
    PAGE + 1,
    PAGE,
    (ARRAY, ARRAY_U64),
)
SECOND_CHUNK_NEAR_THE_END = Case(
    "second-chunk-near-the-end",
    "two regions meet near the last address and the range ends at it: behind the first segment the loop of 2016 "
    "searches up to an address that has wrapped",
    (Region(U64 - 2 * PAGE, PAGE, HOST), Region(U64 - PAGE, PAGE, HOST + 0x10000)),
    U64 - PAGE - 0x40,
    PAGE + 0x40,
    (LOOP_2016, ARRAY_U64),
)
REGION_TO_THE_END = Case(
    "region-to-the-end",
    "the region ends at the last address: in 64 bits the array takes its end for 0 and never finds it",
    (Region(U64 - PAGE, PAGE, HOST),),
    U64 - PAGE,
    16,
    (ARRAY_U64,),
)

CASES = (
    HIGHEST_START_WINS,
    HIDDEN_BY_A_SHORT_ONE,
    SEGMENTS_OF_AN_OVERLAP,
    SECOND_CHUNK_NEAR_THE_END,
    REGION_TO_THE_END,
)


def requests(case: Case) -> tuple[Any, ...]:
    """The case as the requests of a vector."""
    return (
        SetOwner(),
        SetMemTable(regions=case.regions),
        Translate(addr=case.addr, length=case.length, access=READ, room=MOST_SEGMENTS),
    )


def answers(case: Case) -> dict[str, Translated | Faulted]:
    """What each of the algorithms answers."""
    tree, array = Iotlb(limit=len(case.regions)), SortedArray()
    for region in case.regions:
        for container in (tree, array):
            container.add(region.gpa, region.gpa + region.size - 1, region.hva, READ + WRITE)
    asked = (MAPPED, case.addr, case.length, READ, MOST_SEGMENTS)
    return {
        TREE: translate(tree.find, *asked),
        LOOP_2016: translate_2016(tree.find, *asked),
        ARRAY: translate(array.find, *asked),
        ARRAY_U64: translate(lambda first, last: found_by_kernels(array, first), *asked),
    }
