"""For all tests: where kernels have to boot, a test that was skipped for want of one is a failed test."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

NO_SKIP = "GPASPEC_NO_SKIP"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get(NO_SKIP) and item.get_closest_marker("vm"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        if "/dev/kvm" in reason:  # the host's own is an extra: a virtual machine has one
            return report
        report.outcome = "failed"
        report.longrepr = f"skipped, and {NO_SKIP} is set: {reason}"
    return report
