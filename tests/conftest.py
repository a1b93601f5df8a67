"""For all tests: where nothing is to be skipped, a skipped test is a failed one."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

NO_SKIP = "GPASPEC_NO_SKIP"
HOST_KERNEL = (
    "/dev/kvm"  # of the host: an extra, since a virtual machine has one. All else can be installed or fetched.
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get(NO_SKIP):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        if HOST_KERNEL not in reason:
            report.outcome = "failed"
            report.longrepr = f"skipped, and {NO_SKIP} is set: {reason}"
    return report
