"""All breakages."""

from __future__ import annotations

from tests.breakages import (
    edits_of_memslots,
    edits_of_the_c_library,
    edits_of_the_models,
    edits_of_the_vhost_models,
    edits_of_vhost,
)
from tests.breakages.breakage import Breakage

BREAKAGES: tuple[Breakage, ...] = (
    *edits_of_memslots.EDITS,
    *edits_of_vhost.EDITS,
    *edits_of_the_models.EDITS,
    *edits_of_the_vhost_models.EDITS,
    *edits_of_the_c_library.EDITS,
)
