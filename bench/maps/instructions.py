"""Instructions and wrong guesses of a lookup or a change, and what a change allocates: a reason where time is none.

Counted by valgrind's callgrind in a process of its own. Guesses are those of callgrind's model of a processor, which is
simpler than real ones: they say where guessing is hard, not how often a machine is wrong.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.maps.build import STRICT, C, in_short
from bench.maps.changes import Places
from bench.maps.contestants import LIBRARY, Contestant
from bench.maps.results import Counted, Results
from bench.maps.workloads import layout, queries
from conformance.target import TargetUnavailable
from conformance.targets.c import build as library

# Those that a target is about, and none with instructions that valgrind may not have (as the S+tree's).
COUNTED = ("floor", "itree", "kvm", "vm-memory", "qemu", "spdk", "gpamap", "gpamap-512")
KINDS = ("uniform", "zipf")
LOOKUPS, FEWER = 20_000, 20  # so many times fewer translations: see runner.c
CHANGES, BATCHES = 64, 8  # of each kind, at most
SECONDS = 900  # for one contestant; a machine may have other work
SHOWN = 6  # functions that most of a change is spent in


def runner() -> Path:
    """The program that does nothing but what is counted."""
    flags = (*STRICT, "-O2", "-g", "-rdynamic", "-Wl,--no-as-needed", "-ldl")
    return library.compile_cached("runner", library.compiler(), flags, [C / "runner.c"], [C])


def count(contestants: Mapping[str, Contestant], which: str, size: int, results: Results) -> None:
    """Into `results`."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        results.cannot["instructions"] = "it needs valgrind: install the package valgrind (or run tools/setup bench)"
        return
    found: dict[str, dict[str, Counted]] = {}
    with tempfile.TemporaryDirectory(prefix="gpaspec-") as scratch:
        directory = Path(scratch)
        changed = arrays(directory, which, size)
        for name, one in contestants.items():
            for old in directory.glob("out*"):
                old.unlink()
            command = [valgrind, "--tool=callgrind", f"--callgrind-out-file={directory}/out", "--collect-atstart=no"]
            command += ["--branch-sim=yes", "--dump-line=no", "--compress-strings=no", "--compress-pos=no"]
            try:
                command += [str(runner()), str(one.build()), str(directory)]
                done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
            except subprocess.TimeoutExpired:
                results.cannot[f"instructions of {name}, layout {which}, {size} regions"] = (
                    f"valgrind did not end within {SECONDS} s"
                )
                continue
            except TargetUnavailable as reason:
                results.cannot[f"instructions of {name}"] = in_short(reason)
                continue
            if done.returncode:
                said = re.search(r"^runner: (.*)$", done.stderr, flags=re.MULTILINE)
                why = said[1] if said else f"valgrind says: {done.stderr.strip()[-200:]}"
                results.cannot[f"instructions of {name}, layout {which}, {size} regions"] = why
                continue
            found[name] = read(directory, done.stdout, changed, name == LIBRARY)
    results.instructions[which, size] = found


def arrays(directory: Path, which: str, size: int) -> int:
    """The runner's input: a layout and its queries; and places, and what is changed there, batch after batch. Returns
    how many regions that are."""
    regions, places = layout(which, size), Places(which, size)
    batch = max(2, min(size // 4, CHANGES))
    batches = [places.some(batch) for _ in range(min(BATCHES, CHANGES // batch))]
    files = {
        "regions": regions.regions,
        "order": regions.order,
        "places": places.layout.regions,
        "places-order": places.layout.order,
        "batch": np.array([batch], np.uint64),
        "back": np.concatenate([away["start"] for away, *_ in batches]),
    }
    for number, name in enumerate(("away", "again", "to", "moved")):
        files[name] = np.concatenate([parts[number] for parts in batches])
    for kind in KINDS:
        work = queries(regions, kind)
        files[f"{kind}-addresses"] = work.addresses[:LOOKUPS]
        files[f"{kind}-indexes"] = work.indexes[:LOOKUPS].astype(np.uint32)
    for name, array in files.items():
        (directory / name).write_bytes(array.tobytes())
    return batch * len(batches)


def read(directory: Path, printed: str, changed: int, where: bool) -> dict[str, Counted]:
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
        change = name in ("insert", "remove", "move")
        times = changed * (2 if name == "move" else 1) if change else LOOKUPS // (FEWER if name == "1 MiB" else 1)
        nothing = totals["no change" if change else "nothing"]
        if name not in ("nothing", "no change"):
            made[name] = Counted(
                (total["Ir"] - nothing["Ir"] * dumps[name]) / times,
                (total["Bcm"] + total["Bim"] - (nothing["Bcm"] + nothing["Bim"]) * dumps[name]) / times,
                allocated[name] / times,
                {one: cost / total["Ir"] for one, cost in functions.get(name, Counter()).most_common(SHOWN)}
                if change
                else {},
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
