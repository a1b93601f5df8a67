"""Instructions, wrong guesses and cache misses of a lookup or a change, and what a change allocates: a reason where
time is none.

Counted by valgrind's callgrind in a process of its own; where valgrind does not know a contestant's instructions, by
stepping from one to the next. Guesses and misses are those of callgrind's model of a
processor, which is simpler than real ones: they say where guessing is hard, not how often a machine is wrong. The
caches of the model have sizes that are set here: what is counted does not depend on the machine that counts.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from bench.maps.build import STRICT, C, in_short
from bench.maps.changes import DECIDING, Places, numbered
from bench.maps.contestants import CONTESTANTS, FOR_VALGRIND, LIBRARY, STATIC, Contestant
from bench.maps.results import ALLOCATING, GROWTHS, Counted, Results
from bench.maps.workloads import each_once, layout, queries
from conformance.target import TargetUnavailable
from conformance.targets.c import build as library

# Those that a target is about.
COUNTED = ("floor", "itree", "kvm", "vm-memory", "qemu", "spdk", "s+tree-avx2", "gpamap", "gpamap-512")
STEPPED = (STATIC,)  # as it is timed: its lookups' instructions alone
KINDS = ("uniform", "zipf")
LOOKUPS, FEWER, WARM = 20_000, 20, 5  # of so many is one a translation, or asked before: see runner.c
CHANGED, BATCHES = 64, 8  # of each kind, at most
GROWN = 512  # regions that are inserted into small maps from nothing on, at least: so many maps grow
SECONDS = 900  # for one contestant; a machine may have other work
SHOWN = 6  # functions that most of a change is spent in
# Bytes, ways, bytes of a line. The first and second level that a core of the machine in docs/bench.md has for itself.
CACHES = {"I1": (2**15, 8, 64), "D1": (3 * 2**14, 12, 64), "LL": (2**21, 16, 64)}


LINKED = ("-O2", "-g", "-rdynamic", "-Wl,--no-as-needed", "-ldl")


def runner() -> Path:
    """The program that does nothing but what is counted."""
    return library.compile_cached("runner", library.compiler(), (*STRICT, *LINKED), [C / "runner.c"], [C])


def wanted(names: Collection[str]) -> dict[str, Contestant]:
    """Who is counted of those that take part."""
    return {
        name: (CONTESTANTS | FOR_VALGRIND)[name]
        for name in (*COUNTED, *STEPPED)
        if name in names or (name in FOR_VALGRIND and STATIC in names)
    }


def caches() -> str:
    """The simulated ones, in words."""
    (_, _, _), (size, ways, line), (large, more, _) = CACHES.values()
    return (
        f"the first level for data has {size // 1024} KiB in {ways} ways, the last one {large // 1024} KiB in {more} "
        f"ways, with lines of {line} bytes"
    )


def stepper() -> Path:
    """The program that goes through lookups instruction by instruction."""
    return library.compile_cached("stepped", library.compiler(), (*STRICT, *LINKED), [C / "stepped.c"], [C])


def count(contestants: Mapping[str, Contestant], which: str, size: int, results: Results) -> None:
    """Into `results`."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        results.cannot["instructions"] = "it needs valgrind: install the package valgrind (or run tools/setup bench)"
        return
    results.machine["simulated caches"] = caches()
    found: dict[str, dict[str, Counted]] = {}
    with tempfile.TemporaryDirectory(prefix="gpaspec-") as scratch:
        directory = Path(scratch)
        times = arrays(directory, which, size)
        for name, one in contestants.items():
            for old in directory.glob("out*"):
                old.unlink()
            grow = ["grow"] if name in DECIDING else []
            try:
                program = [str(stepper())] if name in STEPPED else [*callgrind(valgrind, directory), str(runner())]
                command = [*program, str(one.build()), str(directory), *grow]
                done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
            except subprocess.TimeoutExpired:
                results.cannot[f"instructions of {name}, layout {which}, {size} regions"] = (
                    f"counting did not end within {SECONDS} s"
                )
                continue
            except TargetUnavailable as reason:
                results.cannot[f"instructions of {name}"] = in_short(reason)
                continue
            if done.returncode:
                said = re.search(r"^runner: (.*)$", done.stderr, flags=re.MULTILINE)
                why = said[1] if said else f"valgrind says: {done.stderr.strip()[-200:]}"
                results.cannot[f"instructions of {name}, layout {which}, {size} regions"] = why
            elif name in STEPPED:
                found[name] = steps(done.stdout)
            else:
                found[name] = read(directory, done.stdout, times, name == LIBRARY)
    results.instructions[which, size] = found


def callgrind(valgrind: str, directory: Path) -> list[str]:
    """The command that counts a program."""
    command = [valgrind, "--tool=callgrind", f"--callgrind-out-file={directory}/out", "--collect-atstart=no"]
    command += ["--branch-sim=yes", "--dump-line=no", "--compress-strings=no", "--compress-pos=no"]
    return [*command, "--cache-sim=yes", *(f"--{cache}={','.join(map(str, of))}" for cache, of in CACHES.items())]


def steps(printed: str) -> dict[str, Counted]:
    """What the stepper says: a name of two words, how many lookups, how many instructions."""
    lines = [line.split() for line in printed.splitlines()]
    return {f"{kind} {loop}": Counted(int(number) / int(lookups)) for kind, loop, lookups, number in lines}


def arrays(directory: Path, which: str, size: int) -> dict[str, int]:
    """The runner's input: a layout and its queries; places, and what is changed there, batch after batch; and what is
    inserted into map after map. Returns how often is done what is not done LOOKUPS times."""
    regions, places = layout(which, size), Places(which, size)
    batch = max(2, min(size // 4, CHANGED))
    batches = [places.some(batch) for _ in range(min(BATCHES, CHANGED // batch))]
    maps = max(1, GROWN // size)
    once = each_once(regions)
    files = {
        "regions": regions.regions,
        "order": regions.order,
        "places": places.layout.regions,
        "places-order": places.layout.order,
        "batch": np.array([batch], np.uint64),
        "back": np.concatenate([away["start"] for away, *_ in batches]),
        "grown": np.array([size], np.uint64),
        "grown-random": np.concatenate([numbered(places, places.random.permutation(size)) for _ in range(maps)]),
        "grown-ascending": np.concatenate([numbered(places, np.arange(size))] * maps),
        "each-addresses": once.addresses,
        "each-indexes": once.indexes,
    }
    for number, name in enumerate(("away", "again", "to", "moved")):
        files[name] = np.concatenate([parts[number] for parts in batches])
    asked = LOOKUPS * WARM // (WARM - 1)
    for kind in KINDS:
        work = queries(regions, kind)
        files[f"{kind}-addresses"] = work.addresses[:asked]
        files[f"{kind}-indexes"] = work.indexes[:asked].astype(np.uint32)
    for name, array in files.items():
        (directory / name).write_bytes(array.tobytes())
    changed = batch * len(batches)
    times = {"insert": changed, "remove": changed, "move": 2 * changed, "1 MiB": LOOKUPS // FEWER}
    return times | dict.fromkeys(GROWTHS, maps * size)


def read(directory: Path, printed: str, times: Mapping[str, int], where: bool) -> dict[str, Counted]:
    """What one lookup or change took: all dumps of one name together, less what doing nothing takes."""
    totals: dict[str, Counter[str]] = {}
    functions: dict[str, Counter[str]] = {}
    dumps: Counter[str] = Counter()
    for file in directory.glob("out.*"):
        text = file.read_text()
        named = re.search(r"^desc: Trigger: Client Request: (.*)$", text, flags=re.MULTILINE)
        if named is None:
            continue
        events = re.search(r"^events: (.*)$", text, flags=re.MULTILINE)
        numbers = re.search(r"^(?:totals|summary): (.*)$", text, flags=re.MULTILINE)
        assert events is not None and numbers is not None, "callgrind's format"
        found = dict(zip(events[1].split(), map(int, numbers[1].split()), strict=False))
        totals.setdefault(named[1], Counter()).update(found)
        dumps[named[1]] += 1
        if where:
            functions.setdefault(named[1], Counter()).update(own_instructions(text))
    allocated: Counter[str] = Counter()
    for line in printed.splitlines():
        name, _, number = line.rpartition(" ")
        allocated[name] += int(number)
    made = {}
    for name, total in totals.items():
        if name in ("nothing", "no change"):
            continue
        change, often = name in ALLOCATING, times.get(name, LOOKUPS)
        less = {event: cost * dumps[name] for event, cost in totals["no change" if change else "nothing"].items()}

        def each(*events: str, total: Counter[str] = total, less: dict[str, int] = less, often: int = often) -> float:
            return sum(total[event] - less.get(event, 0) for event in events) / often

        made[name] = Counted(
            each("Ir"),
            each("Bcm", "Bim"),
            allocated[name] / often,
            {one: cost / total["Ir"] for one, cost in functions.get(name, Counter()).most_common(SHOWN)}
            if change
            else {},
            (max(0.0, each("D1mr")), max(0.0, each("DLmr"))),
        )
    return made


def own_instructions(text: str) -> Counter[str]:
    """How many instructions each function of a dump has itself, without those that it calls."""
    found: Counter[str] = Counter()
    function, called = "", False
    for line in text.splitlines():
        if line.startswith("fn="):
            function = line[3:]
        elif line.startswith("calls="):
            called = True  # the next line is what the call took
        elif line[:1].isdigit():
            if not called:
                found[function] += int(line.split()[1])
            called = False
    return found
