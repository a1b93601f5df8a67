"""Instructions a lookup, counted by valgrind's callgrind in a process of its own: a reason where time is none."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.maps.build import STRICT, C, in_short
from bench.maps.contestants import Contestant
from bench.maps.results import Results
from bench.maps.workloads import layout, queries
from conformance.target import TargetUnavailable
from conformance.targets.c import build as library

# Those of interest, and none that valgrind has no instructions for.
COUNTED = ("floor", "itree", "kvm", "maple", "std-map", "vm-memory", "sorted", "gpamap", "gpamap-call", "gpamap-again")
LOOKUPS = 20_000
SECONDS = 120


def runner() -> Path:
    """The program that does nothing but the loop."""
    flags = (*STRICT, "-O2", "-g", "-Wl,--no-as-needed", "-ldl")
    return library.compile_cached("runner", library.compiler(), flags, [C / "runner.c"], [C])


def count(contestants: Mapping[str, Contestant], which: str, size: int, results: Results) -> None:
    """Into `results`."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        results.cannot["instructions"] = "it needs valgrind: install the package valgrind (or run tools/setup bench)"
        return
    regions = layout(which, size)
    work = queries(regions, "uniform")
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="gpaspec-") as scratch:
        directory = Path(scratch)
        for name, array in (
            ("regions", regions.regions),
            ("order", regions.order),
            ("addresses", work.addresses[:LOOKUPS]),
            ("indexes", work.indexes[:LOOKUPS].astype(np.uint32)),
        ):
            (directory / name).write_bytes(array.tobytes())
        for name, one in contestants.items():
            command = [valgrind, "--tool=callgrind", f"--callgrind-out-file={directory}/out"]
            command += ["--toggle-collect=loop_throughput", "--toggle-collect=rust_throughput"]
            command += [str(runner()), str(one.build()), str(directory)]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
            except subprocess.TimeoutExpired:
                results.cannot[f"instructions of {name}"] = f"valgrind did not end within {SECONDS} s"
                continue
            except TargetUnavailable as reason:
                results.cannot[f"instructions of {name}"] = in_short(reason)
                continue
            counted = re.search(r"Collected : (\d+)", done.stderr)
            if done.returncode or counted is None or not int(counted[1]):
                results.cannot[f"instructions of {name}"] = f"valgrind says: {done.stderr.strip()[-200:]}"
            else:
                found[name] = int(counted[1]) / LOOKUPS
    results.instructions[which, size] = found
