"""Which rules have a theorem, and what is not proved."""

from __future__ import annotations

from fnmatch import fnmatchcase

from proofs.catalogue import THEOREMS
from proofs.theorem import Theorem
from spec.step import OPERATIONS, VHOST_OPERATIONS, all_rules

# A rule that no theorem speaks about by itself needs a reason here, by its id.
NEVER_BROKEN = "its question is never answered with yes: what it is about is not specified here."
WITHOUT_THEOREM: dict[str, str] = {
    "KVM.SLOT.TOTAL_KEPT": "its question is never answered with yes: the kernel guards itself against a wrong sum.",
    "KVM.SLOT.MOVE_TRACKED": NEVER_BROKEN,
    "KVM.SLOT.GFN_ALIAS": NEVER_BROKEN,
}

# Theorems of these kinds are about whatever rules there are, and say nothing of what any of them demands.
ABOUT_WHATEVER_RULES = ("one outcome", "valid", "refines the spec", "keeps what the spec says")

NOT_PROVED: tuple[str, ...] = (
    "That a walk over the slots with a page in a range (`TREE.SLOTS.RANGE`) is right in trees of more than two levels; "
    "and that the table of slot numbers, which is a Python dict, finds what was put there. What trees find otherwise "
    "is proved step by step (`TREE.SLOTS.*`, `ITREE.*`).",
    "That the steps of a tree (`RBTREE.*`, `ITREE.*`), one after the other, do what each is proved to do: the "
    "induction over the way up or down is told in docs/proofs.md and not run. Whole runs are proved for trees of two "
    "levels.",
    "That a run of a queue changes nothing that its metadata cache depends on: `CACHE.KEPT.*` are about requests, with "
    "what stands in for the containers and without the runs that they start; attaching a backend, taking out a single "
    "region and memory tables with regions are tested.",
    "Whole runs of a queue: `DEVICE.*` take a run to do nothing, and of a run are proved its steps (`CHAIN.*`, "
    "`RING.*`, `LOG.*`). The order of events, packets, and what is reported as used are tested. `REFINES.*` say that "
    "the vhost model asks for the same runs, marks and translations from the same state; that its runs do the same is "
    "tested.",
    "That a round of the vhost model's translation leaves the same map as a step of the specification's. `LOOP.*` and "
    "`XLATE.*` prove which entry and which segment each takes; how entries are used, and the whole, are tested.",
    "What the kernel's loop does in a range that goes on past the last address (`XLATE.LAST_ADDRESS`): "
    "`LOOP.BYTEWISE`, `LOOP.REST` and `LOOP.PASS` are about others. There kernels are known to do otherwise "
    "than specified, which vectors show.",
    "That operations without rules (`translate`, and those that run queues) keep what `REFINES.*` take as given of an "
    "attached device, as `DEVICE.*.ACTIVE` say of those with rules: they change no table, no log and no owner, which "
    "is read off the specification.",
    "That the vhost model's containers do what stands in for them in `REFINES.*`: a search finds the leftmost entry, "
    "the list is in order of use. `ITREE.*`, `RBTREE.*` and `CONTAINER.*` prove the parts; that they fit is told.",
    "That a chain has no more than 1024 segments: `CHAIN.BOUNDS` has 3 in their place, and three descriptors.",
    "Memory tables with more than two regions in one request, region by region (`ENTRY.ADD_*` say what one more "
    "region does to a table of any size), and updates that answer more than two misses.",
    "That the clocks of maps, which count what was added and used, never pass 2^128.",
    "That the steps of the sorted array of the older kernels (`ARRAY.BACKWARD` to `ARRAY.FOUND`, of any length), one "
    "after the other, do what each is proved to do: the induction is told in docs/proofs.md. Whole changes are proved "
    "for at most four slots.",
    "Requests one after the other: `REFINES.*` are about one, from an idle machine. That the caches from which it "
    "starts are right is what `TWOSETS.SEARCH`, `TWOSETS.CACHE.*` and `TWOSETS.VCPU.*` keep; that requests follow each "
    "other is the induction told in docs/proofs.md.",
    "A write by the kernel across pages, as the machines do it (`REFINES.GUEST_WRITE.*` are about one page). It is "
    "tested.",
    "That machines come to the specification's effect of `enable_manual_protect`, `enable_dirty_ring` and "
    "`create_guest_memfd` by code of their own: they have none, and take the specification's step (`KEEPS.*`).",
    "That the sets of slots of kernels with trees do what stands in for them in `REFINES.*`: `TREE.INDEX.*` prove that "
    "all three indexes get and lose the same slots, `TREE.SLOTS.*`, `ITREE.*` and `RBTREE.*` what trees do and find; "
    "that they fit is told.",
    "That a machine's trees of guest memory files find what is in the way: `REFINES.*` take the answer from the slots, "
    "as `ITREE.*` say that a tree gives it.",
    "`hva_range`, `observe` and `observe_maps`, which list all slots or entries in order: the engine asks questions of "
    "sets and does not sort.",
    "Writes by the kernel of more than 12 bytes (what it writes for the guest's clock); they are "
    "longer loops of the same step.",
    "Several changes at once: a VM has one writer at a time, by a lock that is taken for granted.",
    "Memory ordering. A step of the model is seen by all virtual CPUs at once; that a real machine keeps the order is "
    "what the kernel's barriers and grace periods are for, and not a subject here.",
    "That generations never pass 2^63: it takes more changes than there is time for.",
    "The C library and the kernels themselves, here: vectors judge them, and proofs of their own reach as far as "
    "docs/c_verification.md and docs/objectcode.md say.",
)

# Which of these sentences stand beside which subjects (modules of theorems), by a piece of the sentence, where it names
# no theorem of theirs. `EVERYWHERE` are those that belong to no subject.
BESIDE: dict[str, tuple[str, ...]] = {
    "the clocks of maps": ("entries",),
    "which list all slots or entries": ("lookups", "entries"),
    "Writes by the kernel of more than": ("dirty",),
    "A write by the kernel across pages": ("dirty",),
    "generations never pass": ("two_sets",),
}
EVERYWHERE = ("Several changes at once", "Memory ordering", "The C library and the kernels")


# Both lines have theorems `REFINES.*`: which sentences about these are about vhost alone, and which about memory slots.
REFINES = "REFINES.*"
OF_VHOST = ("Whole runs of a queue", "That each vhost request keeps", "That the vhost model's containers")
OF_MEMSLOTS = (
    "Requests one after the other",
    "That the sets of slots of kernels with trees",
    "That a machine's trees of guest memory files",
)


def not_proved_beside(module: str, theorems: tuple[Theorem, ...]) -> list[str]:
    """What is not proved of a subject: the sentences that name one of its theorems, or that `BESIDE` puts there."""
    return [sentence for sentence in NOT_PROVED if _names_one(sentence, theorems) or module in _subjects_of(sentence)]


def _names_one(sentence: str, theorems: tuple[Theorem, ...]) -> bool:
    patterns = [word for word in sentence.split("`")[1::2] if word.replace(".", "").replace("*", "").isupper()]
    if sentence.startswith(OF_MEMSLOTS if _are_about_vhost(theorems) else OF_VHOST):
        patterns = [word for word in patterns if word != REFINES]
    return any(fnmatchcase(theorem.id, pattern) for theorem in theorems for pattern in patterns)


def _are_about_vhost(theorems: tuple[Theorem, ...]) -> bool:
    vhost = {operation.name for operation in VHOST_OPERATIONS}
    return any(vhost & set(theorem.operations) for theorem in theorems)


def _subjects_of(sentence: str) -> tuple[str, ...]:
    return tuple(module for piece, modules in BESIDE.items() if piece in sentence for module in modules)


def rules_without_theorem() -> list[str]:
    """The ids of rules that have neither a theorem of which they are the subject nor a reason for having none."""
    spoken_of = {rule for theorem in THEOREMS for rule in rules_by_name(theorem)}
    return [rule.id for rule in all_rules() if rule.id not in spoken_of and rule.id not in WITHOUT_THEOREM]


def rules_by_name(theorem: Theorem) -> tuple[str, ...]:
    """The rules that a theorem speaks about by itself: none where its kind is about whatever rules there are, and none
    where it names all rules of an operation, as a new rule would be among them by itself.
    """
    names = set(theorem.rules)
    checks = [operation.checks for operation in OPERATIONS if operation.name in theorem.operations]
    names_all = any(len(some) > 1 and names >= {check.rule.id for check in some} for some in checks)
    return () if names_all or theorem.invariant in ABOUT_WHATEVER_RULES else theorem.rules


def unknown_rules() -> list[tuple[str, str]]:
    """(theorem, rule) for each rule id that a theorem names and the specification does not have."""
    known = {rule.id for rule in all_rules()}
    return [(theorem.id, rule) for theorem in THEOREMS for rule in theorem.rules if rule not in known]


def theorems_about(rule_id: str) -> list[Theorem]:
    """The theorems that speak about a rule by itself."""
    return [theorem for theorem in THEOREMS if rule_id in rules_by_name(theorem)]
