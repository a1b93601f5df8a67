"""How a law is tried: with random values, or (`make laws`) with symbolic ones, for which CrossHair finds the values.

A symbolic example is one way through the code, and takes seconds; `EXAMPLES` of them are a matter of minutes.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

BACKEND = os.environ.get("GPASPEC_LAWS", "hypothesis")  # or "crosshair"
EXAMPLES = int(os.environ.get("GPASPEC_LAWS_EXAMPLES", "100"))


def tried(times: int, backend: str = BACKEND) -> settings:
    """The settings of a law: so many random examples, or `EXAMPLES` symbolic ones if those are fewer."""
    if backend == "hypothesis":
        return settings(max_examples=times, deadline=None)
    return settings(
        backend=backend,
        max_examples=min(times, EXAMPLES),
        deadline=None,
        database=None,  # what one backend found is not for the other
        suppress_health_check=list(HealthCheck),  # they are about how random values are made
    )
