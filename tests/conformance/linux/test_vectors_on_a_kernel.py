"""The vectors as committed, on a real kernel in a VM: what `gpaspec check linux-6.1` does."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.deviations import all_deviations
from conformance.files import load_vectors
from conformance.registry import plans_for
from conformance.runner import run_plan


@pytest.mark.vm
@pytest.mark.slow
@pytest.mark.parametrize("target", ["linux-6.1", "linux-5.10"])
def test_the_committed_vectors_on_a_kernel(target: str, tmp_path: Path) -> None:
    (plan,) = plans_for(target)
    vectors = load_vectors()
    report = run_plan(plan, vectors, all_deviations(), out=tmp_path)
    if report.unavailable:
        pytest.skip(f"no kernel can be booted here: {report.unavailable}")
    assert not report.failure
    assert report.exit_code() == 0, report.counts()
    assert report.counts()["passed"] > len(vectors) // 2
