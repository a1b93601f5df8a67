"""Forwarding through an IOTLB: `python -m bench.l2fwd [--packets N] [--seed S] [--docs]`.

A guest forwards packets. For each one the device looks up the receive ring, writes the packet into a buffer, and the
guest copies it into another buffer, from which the device sends it after it looked up the transmit ring: four accesses.
What the IOTLB does not have is a miss, which userspace answers with the page that the byte is in.

* *fixed*: the pool stays mapped, page by page. Buffers come from it in random order, as they do after a while of
  traffic. An entry goes only when the IOTLB is full and gives it up.
* *dynamic*: each buffer is mapped for its packet alone, at an I/O virtual page of its own, and unmapped by an
  invalidation when the pool's other buffers have been used. The whole pool is mapped at a time.

Counted are accesses of the measured part, after a warm-up in which pages were touched until the IOTLB had all of them
or was full twice: hits, misses, and entries given up. The model and the C library do all of it; their counts must be
equal.

Writes out/l2fwd.json, out/l2fwd.md and out/l2fwd.svg; with --docs also docs/l2fwd.md and its plot. Ends with status 1
where the two differ or the numbers are not what they must be.
"""

from __future__ import annotations

import argparse
import errno
import json
import random
import shutil
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from conformance.targets.c.binding import Library
from model.vhost.iotlb import Iotlb
from model.vhost.translate import translate
from spec.outcome import Faulted
from spec.vhost.address_map import READ, WRITE
from spec.vhost.translate import IN_IOTLB, MOST_SEGMENTS

KIB, MIB, GIB = 2**10, 2**20, 2**30
PAGES = (4 * KIB, 2 * MIB, GIB)
LIMITS = (64, 128, 256, 512, 1024, 2048)
RETIREMENTS = ("fifo", "lru")
MAPPINGS = ("fixed", "dynamic")
WORKING_SETS = tuple(128 * KIB * 4**power for power in range(9))  # bytes in the pool: 128 KiB .. 8 GiB

BUFFER = 2 * KIB  # bytes
PACKET = 1514  # bytes of it that are used
RING = 400  # bytes of a ring that are looked up
RINGS = (0, 4 * KIB)  # I/O virtual addresses of the receive ring and of the transmit ring
POOL = 2**40
HOST = 2**44  # I/O virtual address 0 is at this host address
PACKETS = 1000


class Table(Protocol):
    """An IOTLB, of whatever make."""

    def missing(self, addr: int, length: int, access: int) -> int | None:
        """The first byte of a range that is not there, or None: then all entries of the range were used."""

    def add(self, first: int, last: int, host: int) -> bool:
        """One more entry. Whether another was given up for it."""

    def remove_range(self, first: int, last: int) -> None:
        """Take out every entry with a byte in first..last."""

    def close(self) -> None:
        """No longer needed."""


class ModelTable:
    """The kernel's container as modelled."""

    def __init__(self, limit: int, retirement: str) -> None:
        self.iotlb = Iotlb(limit, lru=retirement == "lru")

    def missing(self, addr: int, length: int, access: int) -> int | None:
        answer = translate(self.iotlb.find, IN_IOTLB, addr, length, access, MOST_SEGMENTS, self.iotlb.touch)
        return answer.at if isinstance(answer, Faulted) else None

    def add(self, first: int, last: int, host: int) -> bool:
        before = self.iotlb.retired
        assert self.iotlb.add(first, last, host, READ + WRITE)
        return self.iotlb.retired > before

    def remove_range(self, first: int, last: int) -> None:
        self.iotlb.delete_range(first, last)

    def close(self) -> None:
        self.iotlb.free()


class CTable:
    """The C library's table."""

    def __init__(self, library: Library, limit: int, retirement: str) -> None:
        self.lib, new = library.functions, library.ffi.new
        kinds = {"fifo": self.lib.GPAMAP_FIFO, "lru": self.lib.GPAMAP_LRU}
        made = new("struct gpamap_table **")
        config = new("struct gpamap_table_config *", {"limit": limit, "retirement": kinds[retirement]})
        self.check(self.lib.gpamap_table_create(config, made))
        self.table, self.null = made[0], library.ffi.NULL
        self.segments: Any = new("struct gpamap_segment[]", 4)
        self.reach: Any = new("struct gpamap_reach *")
        self.entry: Any = new("struct gpamap_entry *", {"perm": READ + WRITE})

    def check(self, error: int) -> None:
        if error:
            raise RuntimeError(f"the C library: {errno.errorcode[-error]}")

    def missing(self, addr: int, length: int, access: int) -> int | None:
        error = self.lib.gpamap_table_translate(self.table, addr, length, access, self.segments, 4, self.reach)
        if error == -errno.EFAULT:
            return addr + int(self.reach.bytes)
        self.check(error)
        return None

    def add(self, first: int, last: int, host: int) -> bool:
        before = self.lib.gpamap_table_entries(self.table, self.null, 0)
        self.entry.first, self.entry.last, self.entry.host = first, last, host
        self.check(self.lib.gpamap_table_add(self.table, self.entry))
        return int(self.lib.gpamap_table_entries(self.table, self.null, 0)) == int(before)

    def remove_range(self, first: int, last: int) -> None:
        self.check(self.lib.gpamap_table_remove_range(self.table, first, last))

    def close(self) -> None:
        self.lib.gpamap_table_destroy(self.table)


@dataclass(frozen=True)
class Setting:
    """One cell of the experiment. `page` and `working_set` in bytes, `limit` in entries."""

    mapping: str
    page: int
    limit: int
    retirement: str
    working_set: int

    def pool_pages(self) -> int:
        """How many pages the pool is mapped by: one for each buffer where each is mapped alone."""
        return max(1, self.working_set // (self.page if self.mapping == "fixed" else BUFFER))

    def pages(self) -> int:
        """How many pages the pool and the rings have."""
        return self.pool_pages() + len({at // self.page for at in RINGS})


@dataclass(frozen=True)
class Counts:
    """What was counted in the measured part. Each access that needed a miss is no hit. Half of the accesses are to
    buffers; `buffer_hits` are the hits among these.
    """

    accesses: int
    hits: int
    buffer_hits: int
    misses: int
    retirements: int


class Forwarder:
    """The device, its userspace and the guest's traffic over one table."""

    def __init__(self, setting: Setting, table: Table, seed: int) -> None:
        self.setting, self.table = setting, table
        self.dice = random.Random(f"{seed} {setting.page} {setting.working_set}")  # the same traffic for all tables
        self.mapped: deque[int] = deque()  # where buffers are that were mapped one by one
        self.next_place = 0
        self.accesses = self.hits = self.buffer_hits = self.misses = self.retirements = 0

    def access(self, addr: int, length: int, access: int) -> None:
        """One access of the device, with as many misses as it takes."""
        self.accesses += 1
        missing = self.table.missing(addr, length, access)
        self.hits += missing is None
        self.buffer_hits += missing is None and addr >= POOL
        while missing is not None:
            self.misses += 1
            first = missing // self.setting.page * self.setting.page
            self.retirements += self.table.add(first, first + self.setting.page - 1, HOST + first)
            missing = self.table.missing(addr, length, access)

    def buffer(self) -> int:
        """A buffer from the pool, mapped."""
        if self.setting.mapping == "fixed":
            return POOL + self.dice.randrange(self.setting.working_set // BUFFER) * BUFFER
        if len(self.mapped) == self.setting.pool_pages():
            old = self.mapped.popleft()
            self.table.remove_range(old, old + self.setting.page - 1)
        self.mapped.append(POOL + self.next_place * self.setting.page)
        self.next_place = (self.next_place + 1) % self.setting.pool_pages()
        return self.mapped[-1]

    def warm_up(self) -> None:
        """Touch pages, each once, until all were or the IOTLB was full twice; the rings last."""
        pages = self.setting.pool_pages()
        for page in self.dice.sample(range(pages), min(pages, 2 * self.setting.limit)):
            dynamic = self.setting.mapping == "dynamic"
            self.access(self.buffer() if dynamic else POOL + page * self.setting.page, PACKET, READ)
        for ring in RINGS:
            self.access(ring, RING, READ)

    def forward(self) -> None:
        """One packet."""
        self.access(RINGS[0], RING, WRITE)
        self.access(self.buffer(), PACKET, WRITE)
        self.access(RINGS[1], RING, WRITE)
        self.access(self.buffer(), PACKET, READ)

    def run(self, packets: int) -> Counts:
        """Warm up, forward, count."""
        self.warm_up()
        self.accesses = self.hits = self.buffer_hits = self.misses = self.retirements = 0
        for _ in range(packets):
            self.forward()
        self.table.close()
        return Counts(self.accesses, self.hits, self.buffer_hits, self.misses, self.retirements)


def settings() -> Iterator[Setting]:
    """All cells."""
    for mapping in MAPPINGS:
        for page in PAGES:
            for limit in LIMITS:
                for retirement in RETIREMENTS:
                    for working_set in WORKING_SETS:
                        yield Setting(mapping, page, limit, retirement, working_set)


Results = dict[Setting, Counts]


def measured(packets: int, seed: int, library: Library) -> tuple[Results, list[str]]:
    """Every cell by the model and by the C library, and a sentence for each in which they differ."""
    results: Results = {}
    differences = []
    for setting in settings():
        model = Forwarder(setting, ModelTable(setting.limit, setting.retirement), seed).run(packets)
        c = Forwarder(setting, CTable(library, setting.limit, setting.retirement), seed).run(packets)
        if model != c:
            differences.append(f"{setting}: the model counts {model}, the C library {c}")
        results[setting] = model
    return results, differences


def violations(results: Results) -> list[str]:
    """A sentence for each number that is not what it must be."""
    wrong = []
    for setting, counts in results.items():
        fits = setting.pages() <= setting.limit
        if counts.hits + counts.misses < counts.accesses or (fits and counts.retirements):
            wrong.append(f"{setting}: {counts} cannot be")
        if setting.mapping == "dynamic" and (counts.buffer_hits or (fits and counts.misses != counts.accesses // 2)):
            wrong.append(f"{setting}: a buffer that was mapped anew was no miss, or a ring was one")
        if setting.mapping == "fixed":
            if setting.page == GIB and counts.misses:
                wrong.append(f"{setting}: a miss after the warm-up")
            if fits and counts.misses:
                wrong.append(f"{setting}: all pages fit, and there are misses")
            if setting.pages() >= 4 * setting.limit and counts.buffer_hits > 0.3 * counts.accesses / 2:
                wrong.append(f"{setting}: no cliff, {counts.buffer_hits} accesses to buffers hit")
    cliffs = {
        (setting.limit, setting.retirement)
        for setting in results
        if setting.mapping == "fixed" and setting.page == 4 * KIB and setting.pages() >= 4 * setting.limit
    }
    wrong += [f"no working set is far above a limit of {limit}" for limit in LIMITS if (limit, "lru") not in cliffs]
    return wrong


# WHAT IS WRITTEN ---------------------------------------------------------------------------------------------------


def named(size: int) -> str:
    """A size in words."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= unit:
            return f"{size // unit} {name}"
    return f"{size} bytes"


def table_of(results: Results, mapping: str, page: int, cell: Any) -> list[str]:
    """A table: working sets down, limits across, in each cell both ways to retire."""
    all_cells = {cell(counts) for at, counts in results.items() if (at.mapping, at.page) == (mapping, page)}
    if len(all_cells) == 1:
        return [f"{all_cells.pop()} everywhere."]
    lines = [
        "| working set | " + " | ".join(str(limit) for limit in LIMITS) + " |",
        "|---|" + "---|" * len(LIMITS),
    ]
    for working_set in WORKING_SETS:
        cells = []
        for limit in LIMITS:
            both = [cell(results[Setting(mapping, page, limit, kind, working_set)]) for kind in RETIREMENTS]
            cells.append(both[0] if both[0] == both[1] else " / ".join(both))
        lines.append(f"| {named(working_set)} | " + " | ".join(cells) + " |")
    return lines


def hit_rate(counts: Counts) -> str:
    return f"{100 * counts.hits / counts.accesses:.1f}"


def buffer_hit_rate(counts: Counts) -> str:
    return f"{200 * counts.buffer_hits / counts.accesses:.1f}"


def per_packet(counts: Counts) -> str:
    packets = counts.accesses / 4
    return f"{counts.misses / packets:.2f}, {counts.retirements / packets:.2f}"


TEXT = """\
# Forwarding through an IOTLB

Made by `python -m bench.l2fwd --packets {packets} --seed {seed} --docs`. What is measured stands at the top of
`bench/l2fwd.py`. The model and the C library gave the same counts in every cell.

Each packet is four accesses: two rings, a buffer to write, a buffer to read. Where two values stand in a cell, the
first is for an IOTLB that gives up what came first (fifo), the second for one that gives up what is least recently
used (lru).

* With fixed mappings of 1 GiB every access after the warm-up hits.
* With fixed mappings of 4 KiB there is a cliff: where the pool has more pages than the IOTLB has entries, hits fall,
  and soon nearly every buffer is a miss. What remains are the rings. Lru keeps them; fifo gives them up though each
  packet needs them.
* With dynamic mappings no page size helps: each buffer is new to the IOTLB, and a miss. Where more buffers are mapped
  at a time than there are entries, each miss costs an entry too, maybe that of a ring.
"""


def document(results: Results, packets: int, seed: int, plot: str | None) -> str:
    """The page of results."""
    lines = [*TEXT.format(packets=packets, seed=seed).splitlines(), ""]
    if plot:
        lines += [f"![hit rate by working set]({plot})", ""]
    for mapping in MAPPINGS:
        for page in PAGES:
            lines += [f"## {mapping} mappings, pages of {named(page)}", "", "Hits in % of accesses, by limit:", ""]
            lines += [*table_of(results, mapping, page, hit_rate), ""]
            lines += ["Hits in % of accesses to buffers alone:", ""]
            lines += [
                *table_of(results, mapping, page, buffer_hit_rate),
                "",
                "Misses, retirements for each packet:",
                "",
            ]
            lines += [*table_of(results, mapping, page, per_packet), ""]
    return "\n".join(lines).rstrip() + "\n"


def draw(results: Results, path: Path) -> None:
    """The plot: hit rate by working set. Raises ImportError without matplotlib."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "l2fwd"  # the same picture from the same numbers
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(MAPPINGS), len(PAGES), figsize=(12, 6.5), sharex=True, sharey=True)
    for row, mapping in enumerate(MAPPINGS):
        for column, page in enumerate(PAGES):
            axis = axes[row][column]
            for number, limit in enumerate(LIMITS):
                for kind, style in zip(RETIREMENTS, ("-", "--"), strict=True):
                    rates = []
                    for working_set in WORKING_SETS:
                        counts = results[Setting(mapping, page, limit, kind, working_set)]
                        rates.append(100 * counts.hits / counts.accesses)
                    label = f"{limit}" if kind == "fifo" else None
                    axis.plot(WORKING_SETS, rates, style, color=f"C{number}", label=label, linewidth=1.2)
            axis.set_xscale("log", base=2)
            axis.set_ylim(-3, 103)
            axis.set_title(f"{mapping}, {named(page)}", fontsize=10)
            axis.set_xticks(WORKING_SETS[::2], [named(size) for size in WORKING_SETS[::2]], fontsize=8)
            axis.grid(alpha=0.3)
    for row in axes:
        row[0].set_ylabel("hits, % of accesses")
    figure.supxlabel("bytes in the pool", fontsize=10)
    axes[0][2].legend(title="limit (solid fifo, dashed lru)", fontsize=8, title_fontsize=8, loc="lower left", ncols=2)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.l2fwd", description="Forwarding through an IOTLB.")
    parser.add_argument("--packets", type=int, default=PACKETS, help=f"packets of a cell ({PACKETS})")
    parser.add_argument("--seed", type=int, default=1, help="of the traffic (1)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="directory for results (out)")
    parser.add_argument("--docs", action="store_true", help="write docs/l2fwd.md and docs/l2fwd.svg too")
    options = parser.parse_args()
    if options.packets < 1:
        parser.error("--packets: at least 1")

    began = time.monotonic()
    results, wrong = measured(options.packets, options.seed, Library())
    wrong += violations(results)
    seconds = time.monotonic() - began

    options.out.mkdir(parents=True, exist_ok=True)
    rows = [{**asdict(setting), **asdict(counts)} for setting, counts in results.items()]
    found = {"packets": options.packets, "seed": options.seed, "wrong": wrong, "results": rows}
    (options.out / "l2fwd.json").write_text(json.dumps(found, indent=1) + "\n")
    plot: Path | None = options.out / "l2fwd.svg"
    try:
        draw(results, options.out / "l2fwd.svg")
    except ImportError:
        plot = None
        print("no plot: matplotlib is missing (pip install matplotlib)", file=sys.stderr)
    page = document(results, options.packets, options.seed, plot.name if plot else None)
    (options.out / "l2fwd.md").write_text(page)
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    if options.docs and not wrong:
        docs = Path(__file__).parent.parent / "docs"
        (docs / "l2fwd.md").write_text(page)
        if plot:
            shutil.copyfile(plot, docs / plot.name)
    accesses = 2 * sum(counts.accesses for counts in results.values())
    told = f"{len(results)} cells, {accesses} measured accesses in {seconds:.0f} s; {len(wrong)} wrong"
    print(f"{told}; {options.out / 'l2fwd.md'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
