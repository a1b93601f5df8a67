"""The plots: ns over the number of regions, both logarithmic, one line a contestant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib

from bench.maps.contestants import CONTESTANTS, JUDGE, YARDSTICK
from bench.maps.lookups import LOOPS
from bench.maps.results import Key, Results
from bench.maps.tables import TITLES

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "gpaspec"  # the same plot is the same file
matplotlib.rcParams["svg.fonttype"] = "none"  # letters, not their outlines
import matplotlib.pyplot as plt  # noqa: E402

MARKS = "osv^Dxp*<>hPX+d1"
OURS = {
    "gpamap": "#d00000",
    "gpamap-call": "#ff7b54",
    "gpamap-again": "#8f2d56",
    "gpamap-512": "#b5838d",
    "gpamap-index": "#ffb703",
    "gpamap-table": "#6a040f",
}
KNOWN = {**OURS, JUDGE: "#000000", YARDSTICK: "#003f88"}


def plots(results: Results, directory: Path) -> list[Path]:
    """Draw all that has more than one size, as PNG and SVG. Returns the SVG files."""
    directory.mkdir(parents=True, exist_ok=True)
    return [
        draw(results, name, title, keys, directory)
        for name, title, keys in wanted(results)
        if sum(key in results.cells for key in keys) > 1
    ]


def wanted(results: Results) -> Iterator[tuple[str, str, list[Key]]]:
    for layout in results.layouts("lookups"):
        for kind in results.kinds("lookups"):
            for loop in LOOPS:
                keys = [Key("lookups", layout, size, kind, loop) for size in results.sizes("lookups")]
                yield f"{layout}-{kind}-{loop}", f"layout {layout}, {kind}: ns a lookup, {loop}", keys
    for subject, what in (("translations", "a translation of {}"), ("changes", "a change: {}")):
        for layout in results.layouts(subject):
            for kind in results.kinds(subject):
                keys = [Key(subject, layout, size, kind) for size in results.sizes(subject)]
                name = f"{layout}-{subject}-{kind}".replace(" ", "-").replace(",", "")
                yield name, f"layout {layout}: ns {what.format(kind)}", keys


def draw(results: Results, name: str, title: str, keys: list[Key], directory: Path) -> Path:
    figure: Any
    axes: Any
    figure, axes = plt.subplots(figsize=(8, 5))
    for number, contestant in enumerate(CONTESTANTS):
        points = [
            (key.size, results.cells[key][contestant].p10()) for key in keys if contestant in results.cells.get(key, {})
        ]
        if points:
            axes.plot(
                *zip(*points, strict=True),
                label=TITLES[contestant],
                marker=MARKS[number % len(MARKS)],
                markersize=4,
                linewidth=2 if contestant in KNOWN else 1,
                linestyle="--" if contestant == JUDGE else "-",
                color=KNOWN.get(contestant, plt.get_cmap("tab20")(number)),
            )
    axes.set(xscale="log", yscale="log", xlabel="regions", ylabel="ns (p10 of the rounds)", title=title)
    sizes = sorted({key.size for key in keys})
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    for suffix in ("png", "svg"):
        metadata = {"Date": None} if suffix == "svg" else None
        figure.savefig(directory / f"{name}.{suffix}", bbox_inches="tight", dpi=120, metadata=metadata)
    plt.close(figure)
    return directory / f"{name}.svg"
