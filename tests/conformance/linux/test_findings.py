"""The programs that show a finding by themselves compile, and end with a status that means something."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import conformance.targets.linux

FINDINGS = Path(conformance.targets.linux.__file__).parent / "findings"
FLAGS = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-static", "-pthread"]


@pytest.mark.parametrize("source", sorted(FINDINGS.glob("*.c")), ids=lambda path: path.stem)
def test_a_finding_compiles_and_says_what_it_saw(source: Path, tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    assert compiler, "install gcc"
    program = tmp_path / source.stem
    subprocess.run([compiler, *FLAGS, "-o", str(program), str(source)], check=True, timeout=60)
    ended = subprocess.run([program], check=False, capture_output=True, text=True, timeout=30)
    # 2: it could not be tried here, with a reason; 0 and 1: the guest did not or did notice.
    assert ended.returncode in (0, 1, 2)
    if ended.returncode == 2:
        assert ended.stderr
    else:
        assert source.stem != "vhost_edges", "it may lock a kernel up, and ran on this one"
        assert "moves refused" in ended.stdout


def test_there_are_findings() -> None:
    assert list(FINDINGS.glob("*.c"))
