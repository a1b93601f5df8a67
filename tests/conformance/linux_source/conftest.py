"""The kernel's code, compiled and started, for these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance.target import TargetUnavailable
from conformance.targets.linux_source.target import LinuxSource

from .versions import missing, parameters


@pytest.fixture(params=parameters())
def target(request: pytest.FixtureRequest) -> Iterator[LinuxSource]:
    """The target for each version, started. Skipped where its sources cannot be had."""
    if missing(request.param):
        pytest.skip(f"the code of {request.param} cannot be compiled here: {missing(request.param)}")
    one = LinuxSource(request.param)
    try:
        one.start()
    except TargetUnavailable as broken:
        pytest.fail(str(broken))
    yield one
    one.stop()
