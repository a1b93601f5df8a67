"""Every theorem, by subject."""

from __future__ import annotations

from proofs.theorem import Theorem
from proofs.theorems import (
    changes,
    dirty,
    interval_tree,
    iotlb_container,
    lookups,
    metadata_cache,
    red_black,
    red_black_erase,
    refinement,
    settings,
    slots,
    sorted_array,
    sorted_array_vhost,
    translate_2016,
    trees,
    two_sets,
)
from proofs.theorems.vhost import devices, entries, limits, loops, messages, queues, translations
from proofs.theorems.vhost import settings as vhost_settings

SUBJECTS = (
    slots,
    changes,
    lookups,
    dirty,
    settings,
    two_sets,
    sorted_array,
    refinement,
    entries,
    limits,
    translations,
    devices,
    vhost_settings,
    messages,
    queues,
    loops,
    trees,
    red_black,
    interval_tree,
    red_black_erase,
    sorted_array_vhost,
    translate_2016,
    metadata_cache,
    iotlb_container,
)

THEOREMS: tuple[Theorem, ...] = tuple(theorem for subject in SUBJECTS for theorem in subject.THEOREMS)


def theorem_named(theorem_id: str) -> Theorem:
    """The theorem with this id. Raises KeyError, with the ids that come near, if there is none."""
    for theorem in THEOREMS:
        if theorem.id == theorem_id:
            return theorem
    subject = theorem_id.split(".")[0].upper()
    near = [theorem.id for theorem in THEOREMS if theorem.id.startswith(subject)] or [t.id for t in THEOREMS]
    raise KeyError(f"there is no theorem {theorem_id}; there are: {', '.join(near)}")
