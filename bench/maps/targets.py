"""The targets: what libgpamap must reach, and whether this run shows that it does.

A ratio is the median of the rounds' ratios. A target of which a part was not measured is neither met nor unmet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table

from bench.maps.contestants import CONTESTANTS, JUDGE, LIBRARY, YARDSTICK
from bench.maps.lookups import LOOPS
from bench.maps.results import Key, Results

SIZES = (8, 64, 509, 4096, 32764)
TWO_SETS = "kvm"
TABLE_2MIB = "spdk"
STATIC = "s+tree"

# Against the yardstick, at least: throughput and latency for each of SIZES.
UNIFORM_A = ((8, 2.4), (20, 5.5), (14, 7), (22, 7), (26, 7.5))
UNIFORM_B = ((7, 2.3), (9, 4.5), (12, 6), (8, 4.5), (11, 5.5))
ZIPF = ((6, 2), (9, 4), (8, 4.5), (10, 5), (10, 6))
ADVERSARIAL = ((1.5, 1.5),) * 5
TRANSLATIONS = {509: 4, 4096: 12, 32764: 12}
CHANGES = {8: 1.3, 64: 1.3, 509: 1.7, 4096: 2, 32764: 3}
BYTES_A_REGION = 50


@dataclass(frozen=True)
class Verdict:
    """One cell. `limit` is the least that `value` may be, or, with `at_most`, the most. None: not measured."""

    target: str
    size: int
    measure: str
    limit: float
    value: float | None
    at_most: bool = False

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def shown(self) -> str:
        if self.value is None:
            return "not measured"
        return f"{self.value:.3g} {'met' if self.met else 'NOT MET'}"


def median(results: Results, key: Key, slower: str, faster: str) -> float | None:
    found = results.ratio(key, slower, faster)
    return found.median if found else None


def verdicts(results: Results) -> Iterator[Verdict]:
    for name, layouts, kind, limits in (
        ("layout A uniform", ("A",), "uniform", UNIFORM_A),
        ("layout B uniform", ("B",), "uniform", UNIFORM_B),
        ("layout {} Zipf", ("A", "B"), "zipf", ZIPF),
        ("layout adversarial uniform", ("adversarial",), "uniform", ADVERSARIAL),
    ):
        for layout in layouts:
            for size, pair in zip(SIZES, limits, strict=True):
                for loop, limit in zip(LOOPS, pair, strict=True):
                    key = Key("lookups", layout, size, kind, loop)
                    target = f"{name.format(layout)}: times the yardstick"
                    yield Verdict(target, size, loop, limit, median(results, key, YARDSTICK, LIBRARY))
    yield from peers(results)
    yield from table_of_units(results)
    for layout in ("A", "B"):
        for size, limit in TRANSLATIONS.items():
            key = Key("translations", layout, size, "1 MiB")
            value = median(results, key, YARDSTICK, LIBRARY)
            yield Verdict(f"layout {layout} translations of 1 MiB: times the yardstick", size, "", limit, value)
    yield from changes(results)
    for layout in ("A", "B"):
        for size in SIZES[1:]:
            value = results.memory.get((layout, size), {}).get("gpamap-index")
            yield Verdict(f"layout {layout} bytes a region, index alone", size, "", BYTES_A_REGION, value, True)


def peers(results: Results) -> Iterator[Verdict]:
    """Ahead of every peer that takes arbitrary ranges and changes; the static tree by itself."""
    others = [
        name
        for name, one in CONTESTANTS.items()
        if one.arbitrary and not name.startswith(LIBRARY) and name not in (STATIC, JUDGE)
    ]
    for title, names in (("the fastest peer", others), ("the static S+tree with SIMD", [STATIC])):
        for layout in ("A", "B", "adversarial"):
            for size in SIZES:
                for loop in LOOPS:
                    key = Key("lookups", layout, size, "uniform", loop)
                    found = [median(results, key, name, LIBRARY) for name in names]
                    values = [value for value in found if value is not None]
                    value = min(values) if values else None
                    yield Verdict(f"layout {layout} uniform: times {title}", size, loop, 1, value)


def table_of_units(results: Results) -> Iterator[Verdict]:
    """Within 1.3 of the 2 MiB table where all is aligned to it, with a tenth of its memory at 509."""
    for size in SIZES:
        for loop in LOOPS:
            key = Key("lookups", "A", size, "uniform", loop)
            value = median(results, key, LIBRARY, TABLE_2MIB)
            yield Verdict("layout A uniform: time, in times of the 2 MiB table's", size, loop, 1.3, value, True)
    found = results.memory.get(("A", 509), {})
    share = found[LIBRARY] / found[TABLE_2MIB] if LIBRARY in found and TABLE_2MIB in found else None
    yield Verdict("layout A: bytes, in those of the 2 MiB table", 509, "", 0.1, share, True)


def changes(results: Results) -> Iterator[Verdict]:
    """With the full set of indexes, against two sets of trees with the same."""
    for layout in ("A", "B"):
        for kind in ("insert", "remove", "move", "growth, random", "growth, ascending"):
            for size, wanted in CHANGES.items():
                limit = 1 if kind == "growth, ascending" else wanted
                value = median(results, Key("changes", layout, size, kind), TWO_SETS, LIBRARY)
                yield Verdict(f"layout {layout} {kind}: times KVM-like two sets", size, "", limit, value)


def table(found: Sequence[Verdict]) -> Table:
    """A row for each target, a column for each size."""
    made = Table(title="targets: value (median of the rounds' ratios), and what it must be", title_justify="left")
    made.add_column("target")
    for size in SIZES:
        made.add_column(str(size), justify="right")
    for target in dict.fromkeys(one.target for one in found):
        for measure in dict.fromkeys(one.measure for one in found if one.target == target):
            row = [f"{target}{', ' + measure if measure else ''}"]
            for size in SIZES:
                here = [one for one in found if (one.target, one.measure, one.size) == (target, measure, size)]
                row.append("\n".join(f"{one.shown()} ({'≤' if one.at_most else '≥'} {one.limit:g})" for one in here))
            made.add_row(*row)
    return made


def summary(found: Sequence[Verdict]) -> str:
    states = [one.met for one in found]
    return (
        f"targets: {states.count(True)} met, {states.count(False)} not met, {states.count(None)} not measured, "
        f"of {len(states)}"
    )
