"""What the numbers were measured on and with. A machine is described by what it is, never by a name."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from bench.maps import kernel
from conformance.target import TargetUnavailable
from conformance.targets.c.build import compiler, version_of


def described() -> dict[str, Any]:
    """Processor, number of cores, caches, compilers, and which kernel's source the kernel's trees are."""
    facts: dict[str, Any] = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "compiler": version_of(compiler()).partition("\n")[0],
        "flags": "-O2 for all; S+tree alone -march=native",
        "date": time.strftime("%Y-%m-%d"),
        "load at the start": f"{os.getloadavg()[0]:.1f}",
        "commit": commit(),
    }
    for name in ("rustc", "pkg-config"):
        found = shutil.which(name)
        if found and name == "rustc":
            facts["rust"] = said([found, "--version"])
        elif found:
            facts["glib"] = said([found, "--modversion", "glib-2.0"])
    for what, tree in (("kernel source", kernel.trees), ("maple tree", kernel.maple)):
        try:
            facts[what] = tree().description
        except TargetUnavailable:
            facts[what] = "not there"
    return facts


def commit() -> str:
    """What was measured; with a mark if it is not as it was committed. What docs/ says makes no number another."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        found = said([*git, "describe", "--always"])
        changed = said([*git, "status", "--porcelain", "--", ":/", ":(top,exclude)docs"])
    except OSError:
        return "unknown"
    return f"{found}-dirty" if found and changed else found or "unknown"


def said(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.strip()


def processor() -> str:
    """The model as the kernel knows it, with family and model number, which tell generations of one name apart."""
    try:
        with open("/proc/cpuinfo") as file:
            lines = file.read().split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or "unknown"
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return (
        f"{facts.get('model name', 'unknown')} (family {facts.get('cpu family', '?')}, model {facts.get('model', '?')})"
    )
