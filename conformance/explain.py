"""One vector, step by step: the address space before and after, the rule, what is expected, what was observed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from conformance.codec import canonical, outcome_json, request_json, state_json, switch_json
from conformance.explain_vhost import device_lines, notes
from conformance.files import repair_json
from conformance.rules import RULES
from conformance.vector import Vector, named_in_full
from spec.memslots.lookup import in_order
from spec.memslots.slot import LOG_DIRTY_PAGES, READONLY, Slot, Vm
from spec.outcome import Rejected
from spec.profile import SWITCHES, Profile, with_switches
from spec.step import operation_of, step, subject_of


class NoSuchVector(Exception):
    """No vector, or more than one, has an id that begins like this."""


def find(vectors: list[Vector], name: str) -> Vector:
    """The vector with this id, or with the only id that begins with it."""
    found = [vector for vector in vectors if vector.id.startswith(name)]
    if not found:
        raise NoSuchVector(f"there is no vector {name!r}: {named_in_full(vectors, name)}")
    if len(found) > 1:
        raise NoSuchVector(f"{name!r} is the beginning of {len(found)} ids: {', '.join(v.id for v in found[:5])}")
    return found[0]


def profile_of(vector: Vector) -> Profile:
    """A profile in which the vector's expectations hold."""
    return with_switches(Profile(), dict(vector.switches))


def pages_text(slot: Slot) -> str:
    if slot.dirty is None:
        return ""
    runs = ", ".join(f"{a}" if a == b else f"{a}..{b}" for a, b in slot.dirty.ranges)
    return f"  dirty pages: {runs or 'none'}"


def slot_text(slot: Slot) -> str:
    flags = [name for flag, name in ((LOG_DIRTY_PAGES, "log"), (READONLY, "read-only")) if slot.flags & flag]
    file = f" file {slot.memfd} page {slot.memfd_page}" if slot.memfd >= 0 else ""
    return (
        f"slot {slot.space}:{slot.id}  gpa {slot.first_gpa():#x}..{slot.last_gpa():#x}  "
        f"hva {slot.hva:#x}{' ' + ' '.join(flags) if flags else ''}{file}{pages_text(slot)}"
    )


def state_lines(state: Any) -> list[str]:
    """The state for people."""
    return vm_lines(state) if isinstance(state, Vm) else device_lines(state)


def vm_lines(vm: Vm) -> list[str]:
    """One line a slot, and the modes that are not at rest."""
    lines = [slot_text(slot) for slot in in_order(vm)]
    modes = []
    if vm.manual_protect:
        modes.append("userspace clears the log")
    if vm.initially_dirty:
        modes.append("new logs start full")
    if vm.dirty_ring:
        modes.append(f"dirty ring of {vm.dirty_ring} bytes")
    for memfd in sorted(vm.memfds, key=lambda one: one.file):
        modes.append(f"file {memfd.file} of {memfd.npages} pages")
    if modes:
        lines.append("; ".join(modes))
    return lines or ["no slots"]


def head_lines(vector: Vector) -> Iterator[str]:
    yield f"{vector.id}  {vector.title}"
    yield f"  because: {vector.because}"
    for rule in vector.rules:
        yield f"  {rule}: {RULES[rule].sentence} ({RULES[rule].errno}; {RULES[rule].source})"
    sentences = {switch.name: switch.sentence for switch in SWITCHES}
    for name, value in vector.switches:
        yield f"  only where {name} = {switch_json(name, value)}: {sentences[name]}"
    if vector.repair:
        yield f"  repaired by: {canonical(repair_json(vector))}"


def explain_lines(
    vector: Vector, observed: dict[str, dict[str, Any]], origins: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The explanation. `observed` has the stored result line of each target that has one, `origins` its run."""
    yield from head_lines(vector)
    for target, entry in observed.items():
        reason = f" ({entry['reason']})" if entry.get("reason") else ""
        origin = f"  [{origins[target]}]" if origins and target in origins else ""
        yield f"  {target}: {entry['verdict']}{reason}{origin}"
    profile = profile_of(vector)
    state = subject_of([one.request for one in vector.steps]).fresh
    for index, one in enumerate(vector.steps):
        after, outcome = step(profile, state, one.request)
        request = request_json(one.request)
        yield ""
        yield f"step {index}: {request.pop('op')} {canonical(request) if request else ''}".rstrip()
        if operation_of(one.request).changes_state:
            yield from (f"    before  {line}" for line in state_lines(state))
            if after == state:
                yield "    after   as before"
            else:
                yield from (f"    after   {line}" for line in state_lines(after))
        if isinstance(outcome, Rejected):
            yield f"    rule    {outcome.rule.id}: {outcome.rule.sentence} ({outcome.rule.source})"
        yield from (f"    {note}" for note in notes(outcome))
        yield f"    expected  {canonical(outcome_json(one.expected))}"
        for target, entry in observed.items():
            results = entry.get("results")
            if results:
                differs = any(difference["step"] == index for difference in entry.get("differences", ()))
                yield f"    observed  {canonical(results[index])}  by {target}{'   <-- differs' if differs else ''}"
        state = after


def explain_json(
    vector: Vector, observed: dict[str, dict[str, Any]], origins: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The same for scripts."""
    profile = profile_of(vector)
    state = subject_of([one.request for one in vector.steps]).fresh
    steps = []
    for one in vector.steps:
        after, outcome = step(profile, state, one.request)
        steps.append(
            {
                "request": request_json(one.request, complete=True),
                "before": state_json(state),
                "after": state_json(after),
                "rule": outcome.rule.id if isinstance(outcome, Rejected) else None,
                "expected": outcome_json(one.expected),
            }
        )
        state = after
    return {
        "id": vector.id,
        "title": vector.title,
        "rules": list(vector.rules),
        "because": vector.because,
        "steps": steps,
        "observed": observed,
        "origins": dict(origins or {}),
    }
