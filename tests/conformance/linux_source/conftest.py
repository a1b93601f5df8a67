"""The sources of a kernel for these tests: from the cache or $GPASPEC_LINUX_SOURCE; nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance.target import TargetUnavailable
from conformance.targets.linux_source.sources import VERSIONS, cached_sources, named_source
from conformance.targets.linux_source.target import LinuxSource


def there(version: str) -> bool:
    return cached_sources(version) is not None or named_source(version) is not None


@pytest.fixture(params=list(VERSIONS))
def target(request: pytest.FixtureRequest) -> Iterator[LinuxSource]:
    """The target for each version whose sources are here, started."""
    if not there(request.param):
        pytest.skip(f"the sources of {request.param} are not in the cache: `gpaspec check linux-source` fetches them")
    one = LinuxSource(request.param)
    try:
        one.start()
    except TargetUnavailable as missing:
        pytest.fail(str(missing))
    yield one
    one.stop()
