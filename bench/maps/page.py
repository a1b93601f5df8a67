"""Write the parts of pages that follow from docs/bench/*.json: `python -m bench.maps.page`.

A part stands between two comments, `<!-- bench: NAME -->` and `<!-- bench: end -->`. A test compares page and files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.maps.contestants import CONTESTANTS, FOR_VALGRIND, LIBRARY, STATIC, TWO_SETS, YARDSTICK
from bench.maps.instructions import KINDS, STEPPED
from bench.maps.lookups import LOOPS
from bench.maps.results import ALLOCATING, CHANGES, GROWTHS
from bench.maps.targets import MET, NOISE, NOT_MEASURED, NOT_MET, SIZES

DOCS = Path(__file__).parents[2] / "docs"
PAGES = (DOCS / "bench.md", DOCS / "libgpamap.md")
LAYOUTS = ("A", "B", "adversarial")
PART = re.compile(r"(<!-- bench: (?!end)([a-z-]+) -->\n).*?(<!-- bench: end -->)", re.DOTALL)
TITLES = {name: one.title for name, one in (CONTESTANTS | FOR_VALGRIND).items()}
VARIANTS = ("gpamap-again", "gpamap-512")


def read(name: str) -> Any:
    return json.loads((DOCS / "bench" / f"{name}.json").read_text())


def grid(head: str, sizes: Sequence[int], rows: Mapping[str, Sequence[str]]) -> str:
    lines = [f"| {head} | {' | '.join(map(str, sizes))} |", "|---" * (len(sizes) + 1) + "|"]
    return "\n".join([*lines, *(f"| {title} | {' | '.join(cells)} |" for title, cells in rows.items())]) + "\n"


def run() -> str:
    """What the numbers were measured on."""
    times = read("times")
    machine = times["machine"]
    took = f", {machine['measuring took']}" if "measuring took" in machine else ""
    note = f" {times['note']}" if "note" in times else ""
    return (
        f"`make bench ARGS=--docs` on {machine['processor']}, {machine['cores']} cores, load "
        f"{machine['load at the start']} at the start; {machine['compiler']}; "
        f"{machine['kernel source']}; commit {machine['commit']}{took}.{note}\n\n{absent(times)}\n"
    )


def absent(document: Mapping[str, Any]) -> str:
    """Which contestants a run was without, and why."""
    each = [f"{TITLES.get(name, name)}: {reason}" for name, reason in document["absent"].items()]
    return f"Not built: {'; '.join(each)}." if each else "Every contestant was built, and takes part."


def lookups() -> str:
    """ns a lookup of each contestant: p10 of the rounds."""
    parts = [("uniform", loop) for loop in LOOPS]
    return "\n".join(grid(titled(layout), SIZES, timed("lookups", layout, parts)) for layout in LAYOUTS)


def change_times() -> str:
    """ns a change of each contestant that can be changed: p10 of the rounds."""
    tables = []
    for layout in LAYOUTS:
        for kinds, what in ((CHANGES, "insert / remove / move"), (GROWTHS, "growth, random / ascending")):
            rows = timed("changes", layout, [(kind, "") for kind in kinds])
            tables.append(grid(f"{titled(layout)}: {what}", SIZES, rows))
    return "\n".join(tables)


def titled(layout: str) -> str:
    return layout if layout == "adversarial" else f"layout {layout}"


def timed(subject: str, layout: str, parts: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """A row for each contestant that was timed; in each cell all `parts`: kind and measure."""
    found: dict[tuple[int, str, str], dict[str, list[float]]] = {
        (cell["size"], cell["kind"], cell["measure"]): cell["ns"]
        for cell in read("times")["cells"]
        if (cell["subject"], cell["layout"]) == (subject, layout)
    }

    def cell(name: str, size: int) -> str:
        each = [found.get((size, kind, measure), {}).get(name) for kind, measure in parts]
        return " / ".join(short(one[0]) if one else "-" for one in each) if any(each) else "-"

    rows = {title: [cell(name, size) for size in SIZES] for name, title in TITLES.items()}
    return {title: cells for title, cells in rows.items() if set(cells) != {"-"}}


def short(ns: float) -> str:
    """Three digits, and never an exponent."""
    return f"{ns:,.0f}" if ns >= 100 else f"{ns:.3g}"


def memory() -> str:
    """Bytes a region of each contestant."""
    tables = []
    for layout in LAYOUTS:
        found = {one["size"]: one["bytes"] for one in read("times")["memory"] if one["layout"] == layout}
        rows = {
            title: [f"{found[size][name]:,.0f}" if name in found.get(size, {}) else "-" for size in SIZES]
            for name, title in TITLES.items()
            if any(name in cell for cell in found.values())
        }
        tables.append(grid(titled(layout), SIZES, rows))
    return "\n".join(tables)


def inlined() -> str:
    """What a lookup takes that is put into its caller's loop, in times of the call's."""
    found: dict[tuple[str, int], dict[str, list[float]]] = {
        (cell["measure"], cell["size"]): cell["ns"]
        for cell in read("times")["cells"]
        if (cell["subject"], cell["layout"], cell["kind"]) == ("lookups", "A", "uniform")
    }
    titles = dict(zip(LOOPS, ("independent lookups", "each waits for the one before"), strict=True))
    rows = {
        title: [f"{found[loop, size][LIBRARY][0] / found[loop, size]['gpamap-call'][0]:.0%}" for size in SIZES]
        for loop, title in titles.items()
    }
    return grid("slots; the time, of that of a call", SIZES, rows)


def behind() -> str:
    """Where something is ahead of libgpamap on layouts A and B."""
    found = read("targets")["targets"]
    sentences = []
    for title, what in (
        ("times the fastest peer", "Beside the fastest peer of each cell"),
        ("times the static S+tree with SIMD", "Beside the static S+tree"),
    ):
        cells = [one for one in found if re.fullmatch(f"layout [AB] uniform: {re.escape(title)}", one["target"])]
        slower = [one for one in cells if one["value"] is not None and one["value"] < 1]
        each = [
            f"{one['target'].split()[1]} {one['size']} {one['measure']} {one['value']:.3g} times"
            + (f" ({whom(one)})" if whom(one) else "")
            for one in slower
        ]
        sentences.append(
            f"{what} libgpamap is ahead in {len(cells) - len(slower)} of {len(cells)} cells of layouts A and B, uniform"
            + (f"; not ahead: {', '.join(each)}." if each else ".")
        )
    return "\n".join(sentences) + "\n"


def whom(one: Mapping[str, Any]) -> str:
    """With whom a cell was compared, where its target does not say so."""
    return CONTESTANTS[one["against"]].title if one.get("against", STATIC) != STATIC else ""


def met() -> str:
    """How many targets are met, and what the others reach."""
    document = read("targets")
    found = document["targets"]
    counts = {state: sum(one["verdict"] == state for one in found) for state in (MET, NOT_MET, NOISE, NOT_MEASURED)}
    said = ", ".join(f"{count} {'are ' if state == MET else ''}{state}" for state, count in counts.items())
    note = f" {document['note']}" if "note" in document else ""
    head = ("target", "cells", MET, NOISE, NOT_MET, "value and limit where it is not met")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for target in dict.fromkeys(one["target"] for one in found):
        cells = [one for one in found if one["target"] == target]
        missed = [
            f"{one['size']}{' ' + one['measure'] if one['measure'] else ''}: {one['value']:.3g}"
            f" ({'≤' if one['at_most'] else '≥'} {one['limit']:g}{'; ' + whom(one) if whom(one) else ''})"
            for one in cells
            if one["verdict"] == NOT_MET
        ]
        states = [str(sum(one["verdict"] == state for one in cells)) for state in (MET, NOISE, NOT_MET)]
        lines.append(f"| {target} | {len(cells)} | {' | '.join(states)} | {', '.join(missed)} |")
    return f"Of {len(found)} targets {said}.{note}\n\n" + "\n".join(lines) + "\n"


def variants() -> str:
    """What was tried for lookups and is a contestant: its time in times of the library's own, by p10 of the rounds."""
    rows: dict[str, dict[int, str]] = {}
    for cell in read("times")["cells"]:
        if cell["subject"] != "lookups" or cell["kind"] not in KINDS:
            continue
        for name in VARIANTS:
            if {name, LIBRARY} <= set(cell["ns"]):
                title = f"{name}, layout {cell['layout']}, {cell['kind']}, {cell['measure']}"
                share = cell["ns"][name][0] / cell["ns"][LIBRARY][0]
                rows.setdefault(title, {})[cell["size"]] = f"{share:.2f}"
    table = {title: [rows[title].get(size, "-") for size in SIZES] for title in sorted(rows)}
    return grid(f"time, in times of `{LIBRARY}`'s", SIZES, table)


def segments() -> str:
    """How many segments a translation has."""
    found = [cell for cell in read("times")["cells"] if cell["kind"] == "1 MiB" and "segments" in cell]
    if not found:
        return "Segments of a translation of 1 MiB: `times.json` has no numbers of them yet.\n"
    rows = {
        f"layout {layout}": [
            next((f"{c['segments']:.1f}" for c in found if (c["layout"], c["size"]) == (layout, size)), "-")
            for size in SIZES
        ]
        for layout in LAYOUTS
    }
    return grid("segments of a translation of 1 MiB", SIZES, rows)


def moves() -> str:
    """What a move would take if the directory cost nothing."""
    size = max(SIZES)
    sentences = []
    for layout in ("A", "B"):
        found = counted(layout)[size]
        move, theirs = found[LIBRARY]["move"], found[TWO_SETS]["move"]["instructions"]
        share = sum(part for name, part in move["in"].items() if "memcpy" in name or name.startswith("index_seal"))
        left = move["instructions"] * (1 - share)
        sentences.append(
            f"On layout {layout} `memcpy` and `index_seal` are {share:.0%} of a move's instructions at {size} regions. "
            f"Without them {left:,.0f} are left, {left / theirs:.1f} times those of {CONTESTANTS[TWO_SETS].title}."
        )
    return "\n".join(sentences) + "\n"


def beside() -> str:
    found = read("times")["beside"]
    if not found:
        return "One reader beside one writer: `times.json` has no numbers of it yet.\n"
    names = list(dict.fromkeys(name for one in found for name in one["contestants"]))
    lines = ["| layout, regions | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for one in found:
        cells = []
        for name in names:
            rates = one["contestants"].get(name)
            alone = rates["alone"]["median"] if rates else 0
            share = f" ({rates['lookups']['median'] / alone:.0%})" if rates and alone else ""
            cells.append(f"{rates['lookups']['median'] / 1e6:.3g}{share}" if rates else "-")
        lines.append(f"| {one['layout']}, {one['size']} | {' | '.join(cells)} |")
    return (
        "Millions of lookups a second, each with its own enter and leave (or lock), beside a writer that moves slots "
        "without a pause; in brackets, of what the reader does alone:\n\n" + "\n".join(lines) + "\n"
    )


def counted(layout: str) -> dict[int, dict[str, dict[str, dict[str, Any]]]]:
    return {
        one["size"]: one["contestants"]
        for one in sorted(read("counts")["instructions"], key=lambda one: int(one["size"]))
        if one["layout"] == layout
    }


def counts() -> str:
    """Instructions of a lookup."""
    tables = []
    for layout in LAYOUTS:
        by_size = counted(layout)
        names = [name for name in TITLES if any(name in found for found in by_size.values())]

        def cell(name: str, kind: str, found: dict[str, dict[str, dict[str, Any]]]) -> str:
            both = [found.get(name, {}).get(f"{kind} {loop}") for loop in LOOPS]
            if both[0] is None or both[1] is None:
                return "-"
            numbers = " / ".join(dict.fromkeys(f"{one['instructions']:.0f}" for one in both if one))
            return f"{numbers} ({max(0, both[0]['wrong guesses']):.1f})" if "wrong guesses" in both[0] else numbers

        rows = {
            f"{TITLES[name]}, {kind}": [cell(name, kind, found) for found in by_size.values()]
            for name in names
            for kind in KINDS
        }
        for name in (YARDSTICK, LIBRARY):
            found = [by_size[size].get(name, {}).get("1 MiB") for size in by_size]
            cells = [f"{one['instructions']:,.0f} ({one['wrong guesses']:.1f})" if one else "-" for one in found]
            rows[f"{CONTESTANTS[name].title}, translation of 1 MiB"] = cells
        tables.append(grid(f"layout {layout}: a lookup", list(by_size), rows))
    document = read("counts")
    note = f" {document['note']}" if "note" in document else ""
    return f"Commit {document['machine']['commit']}; {document['machine']['compiler']}.{note}\n\n" + "\n".join(tables)


def misses() -> str:
    """Reads of a lookup that miss the simulated caches."""
    tables = []
    for layout in LAYOUTS:
        by_size = counted(layout)
        rows = {
            f"{title}, {kind}": [missed(found.get(name, {}).get(f"{kind} throughput")) for found in by_size.values()]
            for name, title in TITLES.items()
            if name not in STEPPED and any(name in found for found in by_size.values())
            for kind in KINDS
        }
        tables.append(grid(f"layout {layout}: reads that miss, of a lookup", list(by_size), rows))
    return f"In the model {read('counts')['machine']['simulated caches']}.\n\n" + "\n".join(tables)


def missed(one: Mapping[str, Any] | None) -> str:
    """Of the first level, and of the last one."""
    return " / ".join(f"{max(0, misses):.2f}" for misses in one["misses"]) if one else "-"


def of_changes(head: str, cell: Callable[[Mapping[str, Any] | None], str]) -> str:
    """A row for each change and growth of the two ways with all indexes."""
    tables = []
    for layout in LAYOUTS:
        by_size = counted(layout)
        rows = {
            f"{what}, {TITLES[name]}": [cell(found.get(name, {}).get(what)) for found in by_size.values()]
            for what in ALLOCATING
            for name in (TWO_SETS, LIBRARY)
        }
        tables.append(grid(f"layout {layout}: {head}", list(by_size), rows))
    return "\n".join(tables)


def changes() -> str:
    """Instructions and allocations of a change, beside KVM's way."""
    return of_changes("a change", lambda one: f"{one['instructions']:,.0f} ({one['allocations']:.1f})" if one else "-")


def change_misses() -> str:
    """Wrong guesses of a change, and reads that miss the simulated caches, beside KVM's way."""
    return of_changes(
        "wrong guesses; reads that miss, of a change",
        lambda one: f"{one['wrong guesses']:.1f}; {missed(one)}" if one else "-",
    )


def change_reasons() -> str:
    """What a change of libgpamap's takes: time, instructions and wrong guesses in times of KVM's way, and how many more
    of its reads miss the first simulated cache."""
    times: dict[tuple[str, str, int], dict[str, list[float]]] = {
        (cell["layout"], cell["kind"], cell["size"]): cell["ns"]
        for cell in read("times")["cells"]
        if cell["subject"] == "changes"
    }
    rows = {}
    for layout in ("A", "B"):
        by_size = counted(layout)
        for what in ALLOCATING:
            cells = []
            for size, found in by_size.items():
                ours, theirs = (found.get(name, {}).get(what) for name in (LIBRARY, TWO_SETS))
                took = times.get((layout, what, size), {})
                if not ours or not theirs or not {LIBRARY, TWO_SETS} <= set(took):
                    cells.append("-")
                    continue
                time = took[LIBRARY][0] / took[TWO_SETS][0]
                counts = [ours[event] / theirs[event] for event in ("instructions", "wrong guesses")]
                more = round(ours["misses"][0] - theirs["misses"][0])
                shown = [f"{one:.2f}" if one < 1 else f"{one:.1f}" for one in (time, *counts)]
                cells.append(f"{' / '.join(shown)} / {f'{more:+,}' if more else 0}")
            rows[f"{what}, layout {layout}"] = cells
    return grid("libgpamap beside KVM-like: time / instructions / wrong guesses / misses", SIZES, rows)


def where() -> str:
    """What functions most of a change's instructions are in."""
    tables = []
    for layout in ("A", "B"):
        for what in ALLOCATING:
            by_size = counted(layout)
            cells = [found.get(LIBRARY, {}).get(what, {}).get("in", {}) for found in by_size.values()]
            names = list(dict.fromkeys(name for cell in cells for name in list(cell)[:4]))
            rows = {f"`{name}`": [f"{cell[name]:.0%}" if name in cell else "" for cell in cells] for name in names}
            tables.append(grid(f"{what}, layout {layout}", list(by_size), rows))
    return "\n".join(tables)


PARTS: dict[str, Callable[[], str]] = {
    "run": run,
    "lookups": lookups,
    "change-times": change_times,
    "memory": memory,
    "inlined": inlined,
    "behind": behind,
    "beside": beside,
    "targets": met,
    "variants": variants,
    "segments": segments,
    "moves": moves,
    "counts": counts,
    "misses": misses,
    "changes": changes,
    "change-misses": change_misses,
    "change-reasons": change_reasons,
    "where": where,
}


def written(text: str) -> str:
    """The page with all of its parts anew. KeyError for a part that nothing makes."""
    return PART.sub(lambda found: found[1] + "\n" + PARTS[found[2]]() + "\n" + found[3], text)


def parts_of(text: str) -> Iterator[str]:
    return (found[2] for found in PART.finditer(text))


def write() -> None:
    for page in PAGES:
        page.write_text(written(page.read_text()))


if __name__ == "__main__":
    write()
