"""What is mapped (layouts), and what is asked (queries). All of it follows from a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.maps.abi import REGION, Indexes, Numbers, Work

PAGE, UNIT = 2**12, 2**21
Random = np.random.Generator
QUERIES = 2**21


@dataclass(frozen=True)
class Layout:
    """Regions in ascending order, and the order in which they are added."""

    name: str
    regions: npt.NDArray[Any]
    order: Indexes


def memslots(random: Random, count: int) -> tuple[Numbers, Numbers]:
    """A: 2 MiB-aligned. Regions of 1 to 8 units; after one in four a hole of 1 to 4 units. From 4 GiB on."""
    sizes = random.integers(1, 9, count) * UNIT
    holes = np.where(random.random(count) < 0.25, random.integers(1, 5, count) * UNIT, 0)
    starts = 2**32 + np.concatenate(([0], np.cumsum(sizes + holes)[:-1]))
    return starts.astype(np.uint64), sizes.astype(np.uint64)


def iotlb(random: Random, count: int) -> tuple[Numbers, Numbers]:
    """B: 4 KiB-granular clusters over 2^42. 8 to 63 regions of 1 to 16 pages each; after one in 32 a hole of 1 to 4
    pages."""
    lengths: list[int] = []
    while sum(lengths) < count:
        lengths.append(int(random.integers(8, 64)))
    lengths[-1] -= sum(lengths) - count
    # A cluster has at most 63 * 20 pages, less than 8 MiB: they begin at different multiples of that.
    places = np.sort(random.choice(2**19, len(lengths), replace=False)) * 2**23
    starts, sizes = [], []
    for place, length in zip(places, lengths, strict=True):
        some = random.integers(1, 17, length) * PAGE
        holes = np.where(random.random(length) < 1 / 32, random.integers(1, 5, length) * PAGE, 0)
        within = np.concatenate(([0], np.cumsum(some + holes)[:-1]))
        starts.append(place + random.integers(0, 512) * PAGE + within)
        sizes.append(some)
    return np.concatenate(starts).astype(np.uint64), np.concatenate(sizes).astype(np.uint64)


def adversarial(random: Random, count: int) -> tuple[Numbers, Numbers]:
    """Every guess from an address is wrong: clusters within clusters, in each of which distances grow (or shrink)
    exponentially. Wherever addresses are divided evenly, nearly all regions are in one part."""
    levels = max(1, int(np.ceil(np.log(count) / np.log(32))))
    growth = 2.0 ** min(4.0, 44 / levels / 33)

    def cluster(level: int, wanted: int) -> list[tuple[int, int]]:
        """`wanted` pairs of start and pages, in pages."""
        if level == 0:
            return [(0, int(random.integers(1, 3)))]
        parts = [len(part) for part in np.array_split(np.arange(wanted), 32) if len(part)]
        gaps = [growth**number for number in range(len(parts))]
        if random.random() < 0.5:
            gaps.reverse()
        found: list[tuple[int, int]] = []
        at = 0
        for part, gap in zip(parts, gaps, strict=True):
            inner = cluster(level - 1, part)
            found += [(at + start, pages) for start, pages in inner]
            span = inner[-1][0] + inner[-1][1]
            at += max(span + 1, int(gap * span))
        return found

    pairs = cluster(levels, count)
    starts = np.array([start for start, _ in pairs], np.uint64) * np.uint64(PAGE)
    sizes = np.array([pages for _, pages in pairs], np.uint64) * np.uint64(PAGE)
    return starts + np.uint64(2**32), sizes


LAYOUTS: dict[str, Callable[[Random, int], tuple[Numbers, Numbers]]] = {
    "A": memslots,
    "B": iotlb,
    "adversarial": adversarial,
}


def layout(name: str, count: int, seed: int = 1) -> Layout:
    """A layout of `count` regions."""
    random = np.random.default_rng([seed, count, sum(name.encode())])
    starts, sizes = LAYOUTS[name](random, count)
    regions = np.zeros(count, REGION)
    regions["start"], regions["last"] = starts, starts + sizes - np.uint64(1)
    assert len(starts) == count and (regions["start"][1:] > regions["last"][:-1]).all(), "regions in order, and apart"
    # Host memory in another order, a page (or unit) apart: no two regions are one by accident.
    apart = np.uint64(UNIT if name == "A" else PAGE)
    shuffled = random.permutation(count)
    places = np.concatenate((np.zeros(1, np.uint64), np.cumsum(sizes[shuffled] + apart)[:-1]))
    regions["host"][shuffled] = np.uint64(2**40) + places
    order = random.permutation(count).astype(np.uint32)
    regions["id"][order] = np.arange(count)
    return Layout(name, regions, order)


# ---- Queries ----


def uniform(random: Random, count: int) -> npt.NDArray[np.int64]:
    return random.integers(0, count, QUERIES)


def zipf(random: Random, count: int) -> npt.NDArray[np.int64]:
    """The k-th most popular region is asked for in proportion to 1 / k; which region that is is random."""
    weights = 1 / np.arange(1, count + 1)
    ranks = np.searchsorted(np.cumsum(weights) / weights.sum(), random.random(QUERIES))
    return random.permutation(count)[np.minimum(ranks, count - 1)]


def within(random: Random, layout: Layout, chosen: npt.NDArray[np.int64]) -> Work:
    """A random byte of each region that was chosen."""
    regions = layout.regions[chosen]
    sizes = regions["last"] - regions["start"] + np.uint64(1)
    addresses = regions["start"] + random.integers(0, 2**63, len(chosen), np.uint64) % sizes
    return Work(addresses, chosen.astype(np.uint32))


def sequential(random: Random, layout: Layout) -> Work:
    """Page after page through all that is mapped, from a random page on, and over again."""
    pages = ((layout.regions["last"] - layout.regions["start"] + np.uint64(1)) // np.uint64(PAGE)).astype(np.int64)
    ends = np.cumsum(pages)
    numbers = (random.integers(0, ends[-1]) + np.arange(QUERIES)) % ends[-1]
    chosen = np.searchsorted(ends, numbers, side="right")
    inside = (numbers - (ends - pages)[chosen]).astype(np.uint64) * np.uint64(PAGE)
    return Work(layout.regions["start"][chosen] + inside, chosen.astype(np.uint32))


KINDS = ("uniform", "zipf", "sequential", "hot")


def queries(layout: Layout, kind: str, seed: int = 2) -> Work:
    """QUERIES questions, each answered by some region."""
    count = len(layout.regions)
    random = np.random.default_rng([seed, count, sum(kind.encode())])
    if kind == "sequential":
        return sequential(random, layout)
    if kind == "hot":
        return within(random, layout, np.full(QUERIES, random.integers(0, count)))
    return within(random, layout, {"uniform": uniform, "zipf": zipf}[kind](random, count))


def each_once(layout: Layout) -> Work:
    """A question for each region, in ascending order."""
    return Work(layout.regions["start"].copy(), np.arange(len(layout.regions), dtype=np.uint32))


def edges(layout: Layout) -> Work:
    """The first and last byte of each region, and the bytes before and after it: some of them in holes."""
    starts, lasts = layout.regions["start"], layout.regions["last"]
    one = np.uint64(1)
    addresses = np.concatenate((starts, lasts, starts - one, lasts + one))
    chosen = np.searchsorted(starts, addresses, side="right") - 1
    mapped = (chosen >= 0) & (addresses <= lasts[np.maximum(chosen, 0)])
    return Work(addresses, np.where(mapped, chosen, 2**32 - 1).astype(np.uint32))
