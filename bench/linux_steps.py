"""How many vector steps a minute a kernel target does: `python -m bench.linux_steps [--target linux-6.1] [--steps N]`.

The vectors are a fixed, seeded mix: four steps in ten change slots, two write through the kernel, two through guest
code, two read or clear the log; eight steps a vector, each vector in a fresh VM. The boot of the machine is counted,
and shown apart.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from typing import Any

from conformance.backings import place
from conformance.target import Results, TargetUnavailable, Trial
from conformance.targets.linux.host import LinuxHost
from conformance.targets.linux.vm import LinuxVm
from spec.memslots.access import GuestWrite, VcpuRead, VcpuWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.set_region import SetRegion
from spec.pages import pages_in

WANTED = 50_000  # steps a minute, in one virtual machine without hardware virtualisation
STEPS_PER_VECTOR = 8


def request(chance: random.Random) -> Any:
    """One step of the mix."""
    slot, page = chance.randrange(4), chance.randrange(64)
    kind = chance.randrange(10)
    if kind < 4:
        size = chance.choice((0, 4096, 4096, 0x4000, 0x10000))
        return SetRegion(
            slot=slot, flags=chance.randrange(2), gpa=page * 4096, size=size, hva=place("A", slot * 0x10000)
        )
    if kind < 6:
        return GuestWrite(page * 4096 + 8, 12)
    if kind < 8:
        return chance.choice((VcpuRead, VcpuWrite))(page * 4096 + chance.randrange(4096))
    if kind == 8:
        return GetDirtyLog(slot=slot)
    return ClearDirtyLog(slot=slot, num_pages=16, cleared=pages_in(((0, 3),)))


def trials(steps: int, seed: int) -> list[Trial]:
    """So many steps, in vectors."""
    chance = random.Random(seed)
    first = SetRegion(slot=0, flags=1, gpa=0, size=0x10000, hva=place("A", 0))
    return [
        Trial(f"b{number}", (first, *(request(chance) for _ in range(STEPS_PER_VECTOR - 1))))
        for number in range(max(2, steps // STEPS_PER_VECTOR))
    ]


def measure(name: str, steps: int, seed: int, jobs: int) -> dict[str, Any]:
    """Run the mix once."""
    target = LinuxHost() if name == "linux-host" else LinuxVm(name.removeprefix("linux-"), jobs=jobs)
    try:
        target.start()
        vectors = trials(steps, seed)
        began = time.monotonic()
        first = done = 0.0
        count = 0
        for answer in target.run(vectors):
            if not isinstance(answer, Results):
                raise SystemExit(f"vector {answer.id} was not answered: {answer}")
            count += len(answer.steps)
            done = time.monotonic()
            first = first or done
    finally:
        target.stop()
    return {
        "target": name,
        "jobs": jobs,
        "steps": count,
        "seconds": round(done - began, 2),
        "seconds_to_first_answer": round(first - began, 2),
        "steps_per_minute": round(count / (done - began) * 60),
        "steps_per_minute_after_boot": round((count - STEPS_PER_VECTOR) / max(done - first, 1e-9) * 60),
        "wanted": WANTED,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", default="linux-6.1", help="linux-VERSION or linux-host")
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="virtual machines at the same time")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    try:
        result = measure(chosen.target, chosen.steps, chosen.seed, chosen.jobs)
    except TargetUnavailable as missing:
        print(missing, file=sys.stderr)
        return 2
    if chosen.json:
        print(json.dumps(result))
    else:
        print(
            f"{result['target']}, {result['jobs']} at a time: {result['steps']} steps in {result['seconds']} s = "
            f"{result['steps_per_minute']} a minute ({result['steps_per_minute_after_boot']} after the boot of "
            f"{result['seconds_to_first_answer']} s); wanted: {WANTED}"
        )
    return 0 if result["steps_per_minute"] >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
