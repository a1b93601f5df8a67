"""Ask CrossHair to confirm the contracts in `proofs.contracts`, one module at a time.

CrossHair says "Confirmed" where it has looked at all paths, "Not confirmed" where it ran out of time, and both with
exit status 0. So each contract must be reported, and reported as confirmed; anything else fails.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import time
from dataclasses import dataclass

import proofs.contracts

SECONDS_EACH = 40  # for one contract, on a busy machine; idle, the longest takes two
SECONDS_MODULE = 100  # for one module, starting up included
CONFIRMED = "confirmed"
REPORT = re.compile(r"^.*?:(?P<line>\d+): \w+: (?P<text>.*)$")


@dataclass(frozen=True)
class ContractVerdict:
    """What CrossHair says of one contract. `status` is "confirmed" or what it said instead."""

    id: str
    status: str
    seconds: float
    kept: bool = False  # found in an earlier run, of the same text


def contract_modules() -> tuple[str, ...]:
    """The modules with contracts."""
    found = pkgutil.iter_modules(proofs.contracts.__path__)
    return tuple(sorted(f"proofs.contracts.{module.name}" for module in found))


def contracts_of(module_name: str) -> dict[str, range]:
    """The functions of a module that have a contract, with the source lines that they take."""
    module = importlib.import_module(module_name)
    lines = {}
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ == module_name and "post:" in (function.__doc__ or ""):
            source, first = inspect.getsourcelines(function)
            lines[name] = range(first, first + len(source))
    return lines


def check_contracts(module_name: str) -> tuple[ContractVerdict, ...]:
    """CrossHair's verdict on each contract of a module. A contract that it does not mention is not confirmed."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "crosshair", "check", "--analysis_kind=PEP316", "--report_all"]
    command += [f"--per_condition_timeout={SECONDS_EACH}", module_name]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MODULE, check=False)
        output = ran.stdout
        silence = f"not reported ({ran.stderr.strip().splitlines()[-1]})" if ran.stderr.strip() else "not reported"
    except subprocess.TimeoutExpired:
        output, silence = "", f"no answer within {SECONDS_MODULE} seconds"
    said: dict[int, str] = {}
    for report in filter(None, map(REPORT.match, output.splitlines())):
        said[int(report["line"])] = report["text"]
    contracts = contracts_of(module_name)
    seconds = (time.perf_counter() - started) / max(1, len(contracts))
    return tuple(
        ContractVerdict(f"{module_name}.{name}", _status(said, lines, silence), seconds)
        for name, lines in contracts.items()
    )


def _status(said: dict[int, str], lines: range, silence: str) -> str:
    texts = [text for line, text in said.items() if line in lines]
    if not texts:
        return silence
    return CONFIRMED if all(text.startswith("Confirmed over all paths") for text in texts) else "; ".join(texts)
