"""What tests of this room share."""

from __future__ import annotations

import pytest

from conformance.generate import write
from tests.conformance.committed import committed


@pytest.fixture
def generated_as_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is generated is taken from the committed files."""
    monkeypatch.setattr(write, "texts", lambda seed=write.SEED: committed())
