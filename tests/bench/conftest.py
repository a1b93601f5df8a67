"""What the bench's tests need of a machine."""

from __future__ import annotations

import pytest

from conformance.target import TargetUnavailable
from conformance.targets.c.build import compiler


@pytest.fixture(scope="session")
def compiles() -> None:
    """Contestants can be built here, or the test is skipped."""
    try:
        compiler()
    except TargetUnavailable as reason:
        pytest.skip(f"a contestant of the bench cannot be built here: {reason}")
