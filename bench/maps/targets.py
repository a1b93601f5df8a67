"""The targets: what libgpamap must reach, and whether this run shows that it does.

A ratio is the median of the rounds' ratios, with their spread from p10 to p90. A target is met, or not met, where all
of the spread is on one side of the limit; where the limit lies within it, the difference is within the noise. A target
of which a part was not measured is none of these: where the fastest of several counts, each of them must have been
measured that can be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from bench.maps.contestants import CONTESTANTS, JUDGE, LIBRARY, STATIC, TWO_SETS, YARDSTICK
from bench.maps.lookups import LOOPS, cannot_hold, is_too_slow
from bench.maps.results import ROUNDS, Key, Ratio, Results

SIZES = (8, 64, 509, 4096, 32764)
TABLE_2MIB = "spdk"

# Against the yardstick, at least: throughput and latency for each of SIZES.
UNIFORM_A = ((8, 2.4), (20, 5.5), (14, 7), (22, 7), (26, 7.5))
UNIFORM_B = ((7, 2.3), (9, 4.5), (12, 6), (8, 4.5), (11, 5.5))
ZIPF = ((6, 2), (9, 4), (8, 4.5), (10, 5), (10, 6))
ADVERSARIAL = ((1.5, 1.5),) * 5
TRANSLATIONS = {509: 4, 4096: 12, 32764: 12}
CHANGES = {8: 1.3, 64: 1.3, 509: 1.7, 4096: 2, 32764: 3}
BYTES_A_REGION = 50


MET, NOT_MET, NOISE, NOT_MEASURED = "met", "not met", "within the noise", "not measured"


@dataclass(frozen=True)
class Verdict:
    """One cell. `limit` is the least that the value may be, or, with `at_most`, the most. No spread: not measured.
    `against` is whom the library was compared with."""

    target: str
    size: int
    measure: str
    limit: float
    spread: Ratio | None
    at_most: bool = False
    against: str = ""

    @property
    def value(self) -> float | None:
        return self.spread.median if self.spread else None

    @property
    def state(self) -> str:
        if self.spread is None:
            return NOT_MEASURED
        low, high = self.spread.low, self.spread.high
        if low < self.limit < high:
            return NOISE
        return MET if (high <= self.limit if self.at_most else low >= self.limit) else NOT_MET

    @property
    def met(self) -> bool | None:
        """None where it was not measured, or cannot be told."""
        return {MET: True, NOT_MET: False}.get(self.state)

    @property
    def short(self) -> bool:
        """Whether fewer rounds than those of a whole run are behind it."""
        return self.spread is not None and 0 < self.spread.rounds < ROUNDS

    def share(self) -> float:
        """How much of what is wanted there is: 1 and more where the target is met. Only of what was measured."""
        assert self.value is not None
        return self.limit / self.value if self.at_most else self.value / self.limit

    def shown(self) -> str:
        if self.spread is None:
            return NOT_MEASURED
        between = "" if self.spread.low == self.spread.high else f" ({self.spread.low:.3g}..{self.spread.high:.3g})"
        rounds = f", {self.spread.rounds} rounds" if self.short else ""
        return f"{self.value:.3g}{between} {'NOT MET' if self.state == NOT_MET else self.state}{rounds}"

    def as_json(self) -> dict[str, Any]:
        fields = {name: value for name, value in vars(self).items() if name not in ("spread", "against")}
        found: dict[str, Any] = {**fields, "value": None, "verdict": self.state}
        if self.spread:
            found |= {name: round(value, 3) for name, value in vars(self.spread).items() if name != "median"}
            found["value"] = round(self.spread.median, 3)
        return found | ({"against": self.against} if self.against else {})


def exactly(value: float | None) -> Ratio | None:
    """What is counted has no spread, and no rounds."""
    return None if value is None else Ratio(value, value, value, 0)


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
                    yield Verdict(target, size, loop, limit, results.ratio(key, YARDSTICK, LIBRARY))
    yield from peers(results)
    yield from table_of_units(results)
    for layout in ("A", "B"):
        for size, limit in TRANSLATIONS.items():
            key = Key("translations", layout, size, "1 MiB")
            value = results.ratio(key, YARDSTICK, LIBRARY)
            yield Verdict(f"layout {layout} translations of 1 MiB: times the yardstick", size, "", limit, value)
    yield from changes(results)
    for layout in ("A", "B"):
        for size in SIZES[1:]:
            value = exactly(results.memory.get((layout, size), {}).get("gpamap-index"))
            yield Verdict(f"layout {layout} bytes a region, index alone", size, "", BYTES_A_REGION, value, True)


def peers(results: Results) -> Iterator[Verdict]:
    """Ahead of every peer that takes arbitrary ranges; the static tree by itself."""
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
                    against, value = times_the_fastest(results, key, names)
                    yield Verdict(f"layout {layout} uniform: times {title}", size, loop, 1, value, against=against)


def times_the_fastest(results: Results, key: Key, names: Sequence[str]) -> tuple[str, Ratio | None]:
    """Against the one that is nearest or ahead, and who it is. None if none, or not all that can be, were measured."""
    asked = [n for n in names if not is_too_slow(n, key.size) and not cannot_hold(results, n, key.layout)]
    found = {name: results.ratio(key, name, LIBRARY) for name in asked}
    values = {name: value for name, value in found.items() if value is not None}
    if not values or len(values) < len(found):
        return "", None
    return min(values.items(), key=lambda item: item[1].median)


def table_of_units(results: Results) -> Iterator[Verdict]:
    """Within 1.3 of the 2 MiB table where all is aligned to it, with a tenth of its memory at 509."""
    for size in SIZES:
        for loop in LOOPS:
            key = Key("lookups", "A", size, "uniform", loop)
            value = results.ratio(key, LIBRARY, TABLE_2MIB)
            yield Verdict("layout A uniform: time, in times of the 2 MiB table's", size, loop, 1.3, value, True)
    found = results.memory.get(("A", 509), {})
    share = found[LIBRARY] / found[TABLE_2MIB] if LIBRARY in found and TABLE_2MIB in found else None
    yield Verdict("layout A: bytes, in those of the 2 MiB table", 509, "", 0.1, exactly(share), True)


def changes(results: Results) -> Iterator[Verdict]:
    """With the full set of indexes, against two sets of trees with the same."""
    for layout in ("A", "B"):
        for kind in ("insert", "remove", "move", "growth, random", "growth, ascending"):
            for size, wanted in CHANGES.items():
                limit = 1 if kind == "growth, ascending" else wanted
                value = results.ratio(Key("changes", layout, size, kind), TWO_SETS, LIBRARY)
                yield Verdict(f"layout {layout} {kind}: times KVM-like two sets", size, "", limit, value)


def table(found: Sequence[Verdict]) -> Table:
    """A row for each target, a column for each size."""
    made = Table(title="targets: median (p10..p90) of the rounds' ratios, and what it must be", title_justify="left")
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


def unmet(found: Sequence[Verdict]) -> Table:
    """Which targets are not met, in how many of their cells, and how near the farthest of these comes."""
    made = Table(title="targets that are not met", title_justify="left")
    for column in ("target", "cells", NOT_MET, NOISE, "at", "the farthest has, of what it must have"):
        made.add_column(column, justify="left" if column in ("target", "at") else "right")
    for target in dict.fromkeys(one.target for one in found):
        cells = [one for one in found if one.target == target and one.spread is not None]
        missed = [one for one in cells if one.state != MET]
        if missed:
            sizes = ", ".join(dict.fromkeys(str(one.size) for one in missed))
            each = [str(sum(one.state == state for one in missed)) for state in (NOT_MET, NOISE)]
            made.add_row(target, str(len(cells)), *each, sizes, f"{min(one.share() for one in missed):.0%}")
    return made


def summary(found: Sequence[Verdict]) -> str:
    states = [one.state for one in found]
    counts = ", ".join(f"{states.count(state)} {state}" for state in (MET, NOT_MET, NOISE, NOT_MEASURED))
    short = sum(one.short for one in found)
    return f"targets: {counts}, of {len(states)}" + (
        f"; {short} of them by fewer than {ROUNDS} rounds" if short else ""
    )
