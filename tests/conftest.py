"""For all tests: with GPASPEC_NO_SKIP a test that was skipped is a failed one.

Most of what tests need can be installed or fetched by root on Debian. Where nothing is to be skipped, that was done. A
reason that begins with "an extra: " says what else a machine may have: a /dev/kvm of its own, for example.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
import z3

NO_SKIP = "GPASPEC_NO_SKIP"
EXTRA = "Skipped: an extra: "


def fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail") or not os.environ.get(NO_SKIP):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    if not reason.startswith(EXTRA):
        report.outcome = "failed"
        report.longrepr = f"skipped, and {NO_SKIP} is set: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    fail_if_skipped(report)
    return report


AT_FIRST = z3.main_ctx()


@pytest.fixture(autouse=True)
def same_solver() -> None:
    """Each test finds the solver that was there at first: modules keep terms that belong to it.

    Tests, and what is set up for a whole module of them, may begin with an empty one.
    """
    z3.z3._main_ctx = AT_FIRST
