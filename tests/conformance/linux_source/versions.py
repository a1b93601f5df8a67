"""Which kernels' sources these tests compile.

6.1 and 5.10 always: their sources are fetched where they are not in the cache, as kernels are. Of the other versions
those whose sources are there when the tests are collected, in the cache or in $GPASPEC_LINUX_SOURCE.
"""

from __future__ import annotations

from functools import cache

import pytest
from _pytest.mark.structures import ParameterSet

from conformance.target import TargetUnavailable
from conformance.targets.linux_source.sources import VERSIONS, cached_sources, named_source, sources_for

FETCHED = ("5.10", "6.1")


def are_there(version: str) -> bool:
    return cached_sources(version) is not None or named_source(version) is not None


def parameter(version: str) -> ParameterSet:
    """A version as parameter of `target`. What has to be fetched first is not for the inner loop."""
    return pytest.param(version, marks=[] if are_there(version) else [pytest.mark.slow])


def parameters() -> list[ParameterSet]:
    return [parameter(version) for version in VERSIONS if version in FETCHED or are_there(version)]


@cache  # what cannot be fetched is not asked for again by each test
def missing(version: str) -> str:
    """Why the sources of this version cannot be had, or nothing."""
    try:
        sources_for(version)
    except TargetUnavailable as unavailable:
        return str(unavailable)
    return ""
