"""The head of `docs/theorems.md`: one theorem as an example, and the words that the page uses, a sentence each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from proofs.catalogue import theorem_named
from proofs.entry import link, rules
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import Slot, Vm
from spec.profile import Profile
from spec.units import page_of

EXAMPLE = "MEMSLOT.DISJOINT"
PAGE = 0x1000
OLD = Slot(space=0, id=0, base_gfn=4, npages=4, hva=0x7F0000000000, flags=0)
APART = SetRegion(slot=1, gpa=2 * PAGE, size=2 * PAGE, hva=0x7F0000100000)
OVERLAPPING = replace(APART, gpa=3 * PAGE)
WITNESS: dict[str, Any] = {"profile": Profile(), "vm": Vm(slots=frozenset({OLD})), "request": APART}
COUNTEREXAMPLE: dict[str, Any] = {**WITNESS, "request": OVERLAPPING}

WORDS = {
    "slot, gfn, gpa, hva, iova": "A slot maps guest pages to host memory; gfn is a guest page's number, gpa a guest "
    "address, hva a host address, iova the address that a device uses.",
    "rule, accepted": "A rule is a reason to refuse a request, with its errno; a request that breaks none is accepted.",
    "profile": "What differs between kernels: how many slots, how many address bits, which calls.",
    "theorem": "A sentence about what the code does, true for every input and not only for those that were tried.",
    "hypothesis (*Given*)": "What an input must be like for the theorem to speak about it.",
    "proved": "The code ran on unknown values, and on each way through it z3, a program that decides whether a formula "
    "can be true, found no input that meets the hypotheses and breaks the claim.",
    "witness": "One concrete input that meets the hypotheses: without one a theorem would be about nothing.",
    "planted bug": "One function of the code made wrong on purpose, to see that the proof then fails: one that still "
    "goes through does not depend on that function, and does not count.",
    "counterexample, case": "One concrete input that meets the hypotheses and breaks the claim, here with the bug in.",
    "bound": "How far a proof reaches that does not reach everything, for example lists of at most two entries.",
    "linear, bits": "The two kinds of formulas that numbers become: sums that never wrap, which most theorems use, or "
    "words of a machine, where `&` and `|` matter.",
    "step, pass, round": "One turn of a loop, or one call of a function that calls itself: loops of any length are "
    "proved turn by turn.",
    "told, not run": "That turns follow each other is an argument in English, in [proofs.md](proofs.md), and no "
    "program checks it.",
    "measure": "A number from 0 on that falls with each step, so that there is a last one.",
    "stand-in": "What takes the place of a part of the code in a proof, and does what other theorems say of that part.",
    "model, machine": "How a kernel does it: trees, arrays, caches, in steps that another CPU could see. The *tree "
    "machine* is Linux from 5.17 on, the *array machine* what was before; a machine is *idle* between two requests.",
    "refines, commuting square": "Whether the model does a request and its slots are then read off, or its slots are "
    "read off and the specification does the request, the result is the same.",
    "step of a change, INVALID, generation": "KVM changes a slot in two sets of slots, one of which readers use; while "
    "it is moved or deleted its copy is marked INVALID, and a number, the generation, tells readers that sets changed.",
    "the entry that counts, lives, had": "Of overlapping entries of a vhost table the one that starts first counts; a "
    "guest byte lives where that entry says; a byte can be had if that entry is there and permits the access.",
    "well formed, summary, exact": "A red-black tree is well formed if its colours are as they must be; a summary is "
    "the largest end below a node (`__subtree_last`), and exact if it is right.",
    "contract": "The same for a small function, proved by another program, CrossHair.",
    "vector": "A list of requests with the answers that the specification expects: what implementations are asked.",
}


def pages(request: SetRegion) -> str:
    """The guest pages that a request asks for."""
    return f"pages {page_of(request.gpa)} and {page_of(request.gpa + request.size - 1)}"


def glossary() -> list[str]:
    """The example, and the words, as lines of the page."""
    theorem = theorem_named(EXAMPLE)
    parts = [
        "\n## An example\n",
        f"`{EXAMPLE}` says: {theorem.sentence} ({rules([theorem]).rstrip('.')}.)\n",
        f"* **Hypothesis** ({link('code', theorem.given)}): the VM is valid, and the request breaks no rule.",
        f"* **Claim** ({link('code', theorem.holds)}): in the VM after the request, no two slots share a page.",
        f"* **Witness**: slot 0 has guest pages {OLD.base_gfn} to {OLD.last_gfn()}. The request makes slot 1 at guest "
        f"address {APART.gpa:#x}, {APART.size:#x} bytes long: {pages(APART)}. It is accepted, and the claim is true.",
        f"* **Planted bug**: {theorem.bug.sentence}.",
        f"* **Counterexample**, with the bug in: the same VM, and slot 1 is asked for at {OVERLAPPING.gpa:#x}: "
        f"{pages(OVERLAPPING)}. The faulty check looks at page {page_of(OVERLAPPING.gpa)} alone and lets it pass, both "
        f"slots have page {OLD.base_gfn}, and the claim is false. Without the bug the answer is EEXIST, and the "
        "theorem does not speak of the request.\n",
        f"`gpaspec prove --explain {EXAMPLE}` proves it again, and shows the cases that the solver finds, the "
        "bug's also as a test vector where requests lead to it.",
        "\n## Words\n",
        "| | |\n|---|---|",
        *(f"| {word} | {meaning} |" for word, meaning in WORDS.items()),
    ]
    return parts
