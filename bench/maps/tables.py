"""The tables that are printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from rich.table import Table

from bench.maps.contestants import BESIDE, CONTESTANTS, FOR_VALGRIND, YARDSTICK
from bench.maps.lookups import LOOPS
from bench.maps.results import Counted, Key, Rate, Results, ratio

Counts = dict[int, dict[str, dict[str, Counted]]]
TITLES = {name: one.title for name, one in (CONTESTANTS | BESIDE | FOR_VALGRIND).items()}


def grid(title: str, sizes: Sequence[int], names: Sequence[str], cell: Callable[[str, int], str]) -> Table:
    """A row for each contestant, a column for each size."""
    made = Table(title=title, title_justify="left", min_width=len(title))
    made.add_column("contestant")
    for size in sizes:
        made.add_column(str(size), justify="right")
    for name in names:
        made.add_row(TITLES[name], *(cell(name, size) for size in sizes))
    return made


def in_order(names: set[str]) -> list[str]:
    return [name for name in TITLES if name in names]


def tables(results: Results) -> Iterator[Table]:
    for layout in results.layouts("lookups"):
        for kind in results.kinds("lookups"):
            yield from pair(results, "lookups", layout, kind, LOOPS, "ns a lookup, throughput / latency")
    for layout in results.layouts("translations"):
        for kind in results.kinds("translations"):
            yield from pair(results, "translations", layout, kind, ("",), f"ns a translation of {kind}")
    for layout in results.layouts("changes"):
        for kind in results.kinds("changes"):
            yield from pair(results, "changes", layout, kind, ("",), f"ns a change: {kind}")
    if results.memory:
        yield from memory(results)
    for (layout, size), found in results.beside.items():
        made = Table(title=f"one reader beside one writer, layout {layout}, {size} regions", title_justify="left")
        for column in ("contestant", "lookups a second", "of what it does alone", "moves a second"):
            made.add_column(column, justify="left" if column == "contestant" else "right")
        for name, one in found.items():
            # On a busy machine the reader may get no turn at all.
            share = f"{one.lookups.median / one.alone.median:.0%}" if one.alone.median else "-"
            made.add_row(TITLES[name], rate(one.lookups), share, rate(one.moves))
        yield made
    yield from instructions(results)


def rate(one: Rate) -> str:
    return f"{one.median:,.0f} ({one.low:,.0f}..{one.high:,.0f})"


def pair(results: Results, subject: str, layout: str, kind: str, measures: Sequence[str], what: str) -> Iterator[Table]:
    """Times, and how many times the yardstick. Nothing where nothing was measured."""
    sizes = results.sizes(subject)
    cells = {
        size: [results.cells.get(Key(subject, layout, size, kind, measure), {}) for measure in measures]
        for size in sizes
    }
    names = in_order({name for parts in cells.values() for part in parts for name in part})

    def time(name: str, size: int) -> str:
        if not all(name in part for part in cells[size]):
            return "-"
        return " / ".join(f"{part[name].p10():.3g}" for part in cells[size])

    def times_yardstick(name: str, size: int) -> str:
        if not all(name in part and YARDSTICK in part for part in cells[size]):
            return "-"
        each = [ratio(part[YARDSTICK], part[name]) for part in cells[size]]
        return "\n".join(f"{one.median:.2f} ({one.low:.2f}..{one.high:.2f})" for one in each)

    if names:
        title = f"layout {layout}" + (f", {kind}" if subject == "lookups" else "")
        yield grid(f"{title}: {what} (p10 of the rounds)", sizes, names, time)
    others = [name for name in names if name != YARDSTICK]
    if others and YARDSTICK in names:
        title = f"{title}{'' if subject == 'lookups' else ', ' + kind}: times the yardstick"
        yield grid(f"{title}, median (p10..p90) of the rounds' ratios", sizes, others, times_yardstick)


def memory(results: Results) -> Iterator[Table]:
    for layout in dict.fromkeys(layout for layout, _ in results.memory):
        by_size: Mapping[int, Mapping[str, float]] = {
            size: found for (which, size), found in results.memory.items() if which == layout
        }
        names = in_order({name for found in by_size.values() for name in found})

        def cell(name: str, size: int, found: Mapping[int, Mapping[str, float]] = by_size) -> str:
            return f"{found[size][name]:.0f}" if name in found[size] else "-"

        yield grid(f"layout {layout}: bytes a region that were asked of the allocator", sorted(by_size), names, cell)


def instructions(results: Results) -> Iterator[Table]:
    for layout in dict.fromkeys(layout for layout, _ in results.instructions):
        by_size = {size: found for (which, size), found in results.instructions.items() if which == layout}
        names = in_order({name for found in by_size.values() for name in found})
        kinds = list(dict.fromkeys(kind for found in by_size.values() for one in found.values() for kind in one))
        for kind in kinds:

            def cell(name: str, size: int, kind: str = kind, found: Counts = by_size) -> str:
                one = found[size].get(name, {}).get(kind)
                if one is None:
                    return "-"
                if one.guesses is None or one.misses is None:
                    return f"{one.instructions:,.1f}"
                return f"{one.instructions:,.1f} ({one.guesses:.2f}; {one.misses[0]:.2f} / {one.misses[1]:.2f})"

            title = f"layout {layout}, {kind}: instructions (wrong guesses; cache misses, first / last), loop included"
            yield grid(title, sorted(by_size), names, cell)
