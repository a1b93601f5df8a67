"""A kernel of the user's, on the command line: image and modules, one module alone, and one vector of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from conformance.cli import main
from conformance.files import load_vectors
from conformance.targets.linux.fetch import Kernel, kernel_for
from conformance.targets.linux.modules import index, unpacked

pytestmark = [pytest.mark.vm, pytest.mark.slow]


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    return kernel_for("6.1")


def gpaspec(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_an_image_and_its_modules(tmp_path: Path, kernel: Kernel) -> None:
    own = ["--kernel", str(kernel.image), "--modules", str(kernel.modules), "--out", str(tmp_path)]
    vector = next(vector.id for vector in load_vectors() if vector.family == "KVM.SLOT" and not vector.switches)
    result = gpaspec("check", "linux", *own, "--vector", vector, "--json")
    (target,) = json.loads(result.output)["targets"]
    assert result.exit_code == 0 and target["passed"] == 1
    assert target["target"] == f"linux-own-{kernel.image.name}"
    shown = gpaspec("explain", vector, "--target", target["target"], "--out", str(tmp_path))
    assert shown.exit_code == 0 and f"{target['target']}: passed  [the run of" in shown.output
    shown = gpaspec("explain", vector, "--target", "linux", *own)
    assert shown.exit_code == 0 and f"{target['target']}: passed  [run now]" in shown.output


def test_one_unpacked_module_in_place_of_the_distributions(tmp_path: Path, kernel: Kernel) -> None:
    assert kernel.modules is not None
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kvm.ko").write_bytes(unpacked(index(kernel.modules)["kvm"]))
    vector = next(vector.id for vector in load_vectors() if vector.family == "KVM.SLOT" and not vector.switches)
    own = ["--modules", str(tmp_path / "mine"), "--vector", vector, "--out", str(tmp_path), "--json"]
    result = gpaspec("check", "linux-6.1", *own)
    (target,) = json.loads(result.output)["targets"]
    assert result.exit_code == 0 and target["passed"] == 1 and target["target"] == "linux-6.1-own-modules"
    assert "kvm.ko" in target["environment"]["own_modules"]
