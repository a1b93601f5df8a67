"""Which rules have a theorem, and what is not proved."""

from __future__ import annotations

from proofs.catalogue import THEOREMS
from proofs.theorem import Theorem
from spec.step import all_rules

# A rule that no theorem speaks about needs a reason here, by its id.
WITHOUT_THEOREM: dict[str, str] = {}

NOT_PROVED: tuple[str, ...] = (
    "That the memslot model's trees find what a search through all slots finds. The protocol is proved over sets that "
    "are searched as a whole; the trees are tested against such sets. `exchange`, which only they use, is tested too.",
    "That the steps of a tree (`RBTREE.*`, `ITREE.*`), one after the other, do what each is proved to do: the "
    "induction over the way up or down is told in docs/proofs.md and not run. Whole runs are proved for trees of two "
    "levels.",
    "That a run of a queue changes nothing that its metadata cache depends on: `CACHE.KEPT.*` are about requests, with "
    "what stands in for the containers and without the runs that they start; attaching a backend, taking out a single "
    "region and memory tables with regions are tested.",
    "Whole runs of a queue: `DEVICE.*` take a run to do nothing, and of a run are proved its steps (`CHAIN.*`, "
    "`RING.*`, `LOG.*`). The order of events, packets, and what is reported as used are tested.",
    "Whole translations of more than two segments. The steps of all of them are proved (`XLATE.STEP` to `XLATE.USE`); "
    "the induction over steps is told in docs/proofs.md and not run.",
    "That a chain has no more than 1024 segments: `CHAIN.BOUNDS` has 3 in their place, and three descriptors.",
    "The dirty log with an IOTLB, where host addresses are looked for in the memory table. It is tested.",
    "Memory tables with more than three regions in one request, region by region (`ENTRY.ADD_*` say what one more "
    "region does to a table of any size), and devices with more than two misses of a kind.",
    "What `VHOST.FEATURES.OFFERED` says of each bit: of `|` of two words a proof knows little. It is tested.",
    "That the clocks of maps, which count what was added and used, never pass 2^128.",
    "That the sorted array of the older kernels stays sorted and that its search finds what is there, beyond four "
    "slots (`ARRAY.*`). Its steps are proved over sets that are searched as a whole.",
    "That the machines of the model keep logs right through a change (`REFINES.*` leave logs out). It is tested.",
    "The bookkeeping of `model/memslots/machine.py`: allocation, bitmaps' lifetimes, guest memory file bindings. It is "
    "tested against the specification, step by step.",
    "`hva_range`, `observe` and `observe_maps`, which list all slots or entries in order: the engine asks questions of "
    "sets and does not sort.",
    "Writes by the kernel of more than 12 bytes (what it writes for the guest's clock); they are "
    "longer loops of the same step.",
    "Several changes at once: a VM has one writer at a time, by a lock that is taken for granted.",
    "Memory ordering. A step of the model is seen by all virtual CPUs at once; that a real machine keeps the order is "
    "what the kernel's barriers and grace periods are for, and not a subject here.",
    "That generations never pass 2^63: it takes more changes than there is time for.",
    "The C library and the kernels themselves: they are judged by vectors.",
)


def rules_without_theorem() -> list[str]:
    """The ids of rules that have neither a theorem nor a reason for having none."""
    spoken_of = {rule for theorem in THEOREMS for rule in theorem.rules}
    return [rule.id for rule in all_rules() if rule.id not in spoken_of and rule.id not in WITHOUT_THEOREM]


def unknown_rules() -> list[tuple[str, str]]:
    """(theorem, rule) for each rule id that a theorem names and the specification does not have."""
    known = {rule.id for rule in all_rules()}
    return [(theorem.id, rule) for theorem in THEOREMS for rule in theorem.rules if rule not in known]


def theorems_about(rule_id: str) -> list[Theorem]:
    """The theorems that speak about a rule."""
    return [theorem for theorem in THEOREMS if rule_id in theorem.rules]
