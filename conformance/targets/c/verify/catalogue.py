"""All harnesses, in the order in which they are shown."""

from __future__ import annotations

from conformance.targets.c.verify.catalogue_calls import CALLS
from conformance.targets.c.verify.catalogue_index import EDIT, SEARCH
from conformance.targets.c.verify.catalogue_parts import LOGS, MESSAGES, REGIONS, TRANSLATE
from conformance.targets.c.verify.harness import Harness

HARNESSES: tuple[Harness, ...] = (*SEARCH, *EDIT, *TRANSLATE, *MESSAGES, *REGIONS, *LOGS, *CALLS)


def harness_named(name: str) -> Harness:
    """The harness with this name. Raises KeyError."""
    return {one.name: one for one in HARNESSES}[name]
