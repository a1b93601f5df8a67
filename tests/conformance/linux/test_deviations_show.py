"""Each listed difference of vhost is shown by a C program: the one that `gpaspec explain` writes for its vector."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conformance.deviations import Deviation, load_deviations
from conformance.files import load_vectors
from conformance.target import TargetUnavailable
from conformance.targets.linux.qemu import MachineOptions
from conformance.targets.linux.reproduce import program
from conformance.targets.linux.vm import LinuxVm
from conformance.vector import Vector
from tests.conformance.linux.test_reproduce import compiled

LISTED = Path("conformance/targets/linux/deviations.json")
PARAMETERS = {"iotlb_limit": "max_iotlb_entries", "max_regions": "max_mem_regions"}

pytestmark = [pytest.mark.vm, pytest.mark.slow]


def of_vhost(version: str) -> list[Deviation]:
    listed = load_deviations(LISTED)
    return [one for one in listed if not one.rule.startswith("KVM.") and one.is_of(f"linux-{version}")]


def options_for(vector: Vector) -> MachineOptions:
    """The limits that the vector is for, as parameters of the module."""
    told = [(PARAMETERS[name], value) for name, value in vector.switches if name in PARAMETERS]
    small = [("vhost", f"{name}={value}") for name, value in told if value not in (2048, 64)]
    return MachineOptions(module_parameters=tuple(small))


def lines_of(vector: Vector, version: str, directory: Path) -> list[str]:
    target = LinuxVm(version, options=options_for(vector))
    try:
        target.start()
        return target.output_of(compiled(program(vector), directory)).splitlines()
    except TargetUnavailable as missing:
        pytest.skip(f"no kernel can be booted here: {missing}")
    finally:
        target.stop()


def differs(line: str) -> bool:
    """Whether a program got something else than it expected; the rule of a refusal is ours, not a kernel's."""
    expected, got = line.split(" expected ", 1)[1].split(" got ", 1)
    expected = re.sub(r"\([A-Z_.]+\)", "", expected)
    return expected.split() != got.split()


@pytest.mark.parametrize("version", ["5.10", "6.1"])
def test_a_program_shows_each_difference_of_vhost(version: str, tmp_path: Path) -> None:
    vectors = {vector.id: vector for vector in load_vectors()}
    shown, listed = {}, {}
    for deviation in of_vhost(version):
        case = deviation.cases[0]
        vector = vectors[case.vectors[0]]
        directory = tmp_path / deviation.id
        directory.mkdir()
        lines = lines_of(vector, version, directory)
        shown[deviation.id] = [step for step, line in enumerate(lines) if differs(line)]
        listed[deviation.id] = [step for step, _ in case.differences]
    assert shown == listed and shown
