"""Every theorem, by subject."""

from __future__ import annotations

from proofs.theorem import Theorem
from proofs.theorems import (
    admission,
    array_readers,
    changes,
    demands,
    dirty,
    dirty_life,
    gfn_tree,
    interval_tree,
    iotlb_container,
    lookups,
    metadata_cache,
    red_black,
    red_black_erase,
    refinement,
    refinement_accesses,
    settings,
    slot_indexes,
    slots,
    sorted_array,
    sorted_array_steps,
    sorted_array_vhost,
    termination,
    translate_2016,
    trees,
    two_sets,
)
from proofs.theorems.vhost import (
    backend,
    devices,
    dirty_log,
    entries,
    features,
    limits,
    loops,
    machine,
    messages,
    publication,
    queues,
    translations,
    walks,
)
from proofs.theorems.vhost import demands as vhost_demands
from proofs.theorems.vhost import settings as vhost_settings

SUBJECTS = (
    slots,
    admission,
    changes,
    demands,
    lookups,
    dirty,
    dirty_life,
    settings,
    two_sets,
    sorted_array,
    sorted_array_steps,
    array_readers,
    refinement,
    refinement_accesses,
    entries,
    limits,
    translations,
    devices,
    vhost_demands,
    vhost_settings,
    backend,
    features,
    messages,
    queues,
    dirty_log,
    machine,
    walks,
    publication,
    loops,
    trees,
    red_black,
    interval_tree,
    gfn_tree,
    slot_indexes,
    red_black_erase,
    termination,
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


def module_of(theorem_id: str) -> str:
    """The name of the module that a theorem is in. Raises KeyError if there is none."""
    for subject in SUBJECTS:
        if any(theorem.id == theorem_id for theorem in subject.THEOREMS):
            return subject.__name__
    raise KeyError(theorem_id)
