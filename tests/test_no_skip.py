"""Where nothing is to be skipped, a skipped test fails: whatever skipped it, and with its reason."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

@pytest.fixture
def kernel():
    pytest.skip("no kernel can be booted here")

def test_that_runs(): pass
def test_in_a_fixture(kernel): pass
def test_in_its_body(): pytest.skip("gcc is not here")
@pytest.mark.skipif(True, reason="g++ is not here")
def test_by_a_mark(): pass
@pytest.mark.skipif(True, reason="an extra: no /dev/kvm here")
def test_of_the_hosts_kernel(): pass
@pytest.mark.xfail(reason="known")
def test_that_is_known_to_fail(): assert False
"""
MODULE = "import pytest\npytest.skip('a whole file', allow_module_level=True)\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("set_to", "outcome", "status"),
    [("", "1 passed, 5 skipped, 1 xfailed", 0), ("1", "1 failed, 1 passed, 1 skipped, 1 xfailed, 3 errors", 1)],
)
def test_a_skipped_test_fails_if_nothing_may_be_skipped(set_to: str, outcome: str, status: int, tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "test_whole.py").write_text(MODULE)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--continue-on-collection-errors", "-rA"]
    environment = {**os.environ, "GPASPEC_NO_SKIP": set_to}
    done = subprocess.run(
        [*command, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
        cwd=tmp_path,
    )
    assert outcome in done.stdout, done.stdout
    assert done.returncode == status
    for reason in ("no kernel can be booted here", "gcc is not here", "g++ is not here", "a whole file"):
        assert reason in done.stdout
