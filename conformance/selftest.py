"""Is an adapter in order? Judged before the implementation behind it: here no result can be wrong, only its form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from conformance import rings
from conformance.backings import place
from conformance.codec import outcome_json
from conformance.protocol import BATCH, AdapterTarget
from conformance.schema import ANSWERS
from conformance.target import Answer, Crashed, Environment, Errored, Results, TargetFailed, TargetUnavailable, Trial
from spec.memslots.access import GuestWrite, VcpuRead, VcpuWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import FindSlot, HvaRange, Lookup, Observe
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import SetRegion
from spec.operation import Subject
from spec.step import SUBJECTS, operation_of, subject_of
from spec.units import PAGE_SIZE
from spec.vhost.backend import SetBackend
from spec.vhost.device import ACCESS_PLATFORM, TRANSMIT, VERSION_1, Descriptor
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import ReadMessage, WriteMessage
from spec.vhost.observe import ObserveMaps
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.queue_io import Kick, Offer, Packet, Transmit
from spec.vhost.regions import AddRegion, RemoveRange, RemoveRegion
from spec.vhost.ring import SetLogBase, SetRingAddresses, SetRingSize
from spec.vhost.translate import Translate

P = PAGE_SIZE
REGION = Region(P, P, place("A", 0))
EXAMPLES: dict[str, Any] = {
    "set_region": SetRegion(gpa=P, size=P, hva=place("A", 0), flags=1),
    "create_guest_memfd": CreateGuestMemfd(size=P),
    "get_dirty_log": GetDirtyLog(),
    "clear_dirty_log": ClearDirtyLog(),
    "enable_manual_protect": EnableManualProtect(options=1),
    "enable_dirty_ring": EnableDirtyRing(size=2**16),
    "guest_write": GuestWrite(gpa=P),
    "vcpu_read": VcpuRead(gpa=P),
    "vcpu_write": VcpuWrite(gpa=P),
    "lookup": Lookup(gpa=P),
    "find_slot": FindSlot(),
    "hva_range": HvaRange(first=place("A", 0), last=place("A", P - 1)),
    "observe": Observe(),
    "set_owner": SetOwner(),
    "reset_owner": ResetOwner(),
    "set_features": SetFeatures(features=VERSION_1 + ACCESS_PLATFORM),
    "set_backend_features": SetBackendFeatures(features=2),
    "set_mem_table": SetMemTable(regions=(REGION,)),
    "add_region": AddRegion(gpa=P, size=P, hva=place("B", 0)),
    "remove_region": RemoveRegion(gpa=P, size=P, hva=place("B", 0)),
    "remove_range": RemoveRange(first=0, last=P),
    "set_log_base": SetLogBase(base=rings.dirty_log()),
    "set_ring_size": SetRingSize(queue=TRANSMIT, size=16),
    "set_ring_addresses": SetRingAddresses(
        queue=TRANSMIT, desc=rings.desc_of(TRANSMIT), avail=rings.avail_of(TRANSMIT), used=rings.used_of(TRANSMIT)
    ),
    "set_backend": SetBackend(queue=TRANSMIT),
    "write_message": WriteMessage(iova=P, size=P, uaddr=place("A", 0), perm=3),
    "read_message": ReadMessage(),
    "translate": Translate(addr=P, length=P),
    "transmit": Transmit((Descriptor(P, 64),)),
    "offer": Offer((Descriptor(P, 64, writable=True),)),
    "packet": Packet(),
    "kick": Kick(),
    "observe_maps": ObserveMaps(),
}
FIRST = {"memslots": ("set_region",), "vhost": ("set_owner", "set_mem_table")}  # what other operations follow upon


@dataclass(frozen=True)
class Finding:
    """One check: its sentence, and what was wrong, or nothing."""

    check: str
    problem: str

    def passed(self) -> bool:
        return not self.problem


class Wrong(Exception):
    """A check failed; the text says how."""


def selftest(command: str, seconds: float = 20.0) -> Iterator[Finding]:
    """Run all checks, in an order in which the first failure is the most useful one; stops where the adapter cannot
    go on."""
    try:
        target = AdapterTarget(command, seconds=seconds)
    except ValueError as error:
        yield Finding("starts, and says who it is", str(error))
        return
    try:
        yield from findings(target)
    finally:
        target.stop()


def findings(target: AdapterTarget) -> Iterator[Finding]:
    try:
        environment = target.start()
        yield Finding(f"starts, and says who it is: {environment.name} {environment.version}", "")
    except (TargetFailed, TargetUnavailable) as error:
        yield Finding("starts, and says who it is", str(error))
        return
    checks: list[tuple[str, Callable[[AdapterTarget, Environment], None]]] = [
        ("offers at least set_region, or set_mem_table", offers_a_beginning),
        ("closes an empty batch", empty_batch),
        ("answers each operation that it offers with a result of its kind", kinds),
        ("answers many vectors in order", many),
        ("gives each vector a fresh VM", fresh),
        ("says the same when it is asked again", same_again),
    ]
    for sentence, check in checks:
        try:
            check(target, environment)
            yield Finding(sentence, "")
        except Wrong as error:
            yield Finding(sentence, str(error))
        except TargetFailed as error:
            yield Finding(sentence, str(error))
            return
    try:
        target.farewell()
        yield Finding("ends with status 0 when it is told to stop", "")
    except TargetFailed as error:
        yield Finding("ends with status 0 when it is told to stop", str(error))


def offers_a_beginning(target: AdapterTarget, environment: Environment) -> None:
    if not {"set_region", "set_mem_table"} & set(environment.operations):
        raise Wrong("nothing can be tested without either")


def beginning(environment: Environment, subject: Subject) -> tuple[Any, ...]:
    """What vectors of a subject begin with here, as far as it is offered."""
    return tuple(EXAMPLES[name] for name in FIRST[subject.name] if name in environment.operations)


def empty_batch(target: AdapterTarget, environment: Environment) -> None:
    target.run_alone([])


def answers_to(target: AdapterTarget, trials: list[Trial]) -> list[Answer]:
    answers = target.run_alone(trials)
    for answer in answers:
        if isinstance(answer, Errored):
            raise Wrong(f"errored at {answer.id}: {answer.trace}")
        if isinstance(answer, Crashed):
            raise Wrong(f"crashed at {answer.id}: {answer.report}")
    return answers


def kinds(target: AdapterTarget, environment: Environment) -> None:
    """A fresh VM with one slot, or a device with one region, and then each operation."""
    for name in environment.operations:
        subject = subject_of((EXAMPLES[name],))
        first = beginning(environment, subject) if name not in FIRST[subject.name] else ()
        (answer,) = answers_to(target, [Trial(f"selftest-{name}", (*first, EXAMPLES[name]))])
        if not isinstance(answer, Results):
            continue
        request, result = EXAMPLES[name], outcome_json(answer.steps[-1])
        allowed = {*ANSWERS[name], "error"}
        if not operation_of(request).changes_state:
            allowed.add("unobservable")
        if not allowed & set(result):
            raise Wrong(f"{name} was answered with {result}; it is one of {', '.join(sorted(allowed))}")


def many(target: AdapterTarget, environment: Environment) -> None:
    name = "set_region" if "set_region" in environment.operations else "set_mem_table"
    answers_to(target, [Trial(f"selftest-{n}", (EXAMPLES[name],)) for n in range(BATCH)])


def fresh(target: AdapterTarget, environment: Environment) -> None:
    """Another size for the same slot is an error only in a VM that has the slot already."""
    if "set_region" not in environment.operations:
        return fresh_device(target, environment)
    small = EXAMPLES["set_region"]
    larger = SetRegion(gpa=P, size=2 * P, hva=place("A", 0), flags=1)
    first, second = answers_to(target, [Trial("selftest-a", (small,)), Trial("selftest-b", (larger,))])
    if isinstance(first, Results) and isinstance(second, Results):
        shown = [outcome_json(answer.steps[0]) for answer in (first, second)]
        if shown[0] == {"done": True} and shown[1] != {"done": True}:
            raise Wrong(f"a slot of one vector is still there in the next: {shown[1]}")


def fresh_device(target: AdapterTarget, environment: Environment) -> None:
    """A device that has an owner refuses another; a new one does not."""
    if "set_owner" not in environment.operations:
        return
    trials = [Trial(f"selftest-{name}", (EXAMPLES["set_owner"],)) for name in ("a", "b")]
    shown = [outcome_json(one.steps[0]) for one in answers_to(target, trials) if isinstance(one, Results)]
    if len(shown) == 2 and shown[0] == {"done": True} and shown[1] != {"done": True}:
        raise Wrong(f"a device's owner of one vector is still there in the next: {shown[1]}")


def same_again(target: AdapterTarget, environment: Environment) -> None:
    for subject in SUBJECTS:
        names = [one.name for one in subject.operations if one.name in environment.operations]
        requests = tuple(EXAMPLES[name] for name in names)
        answers = [answers_to(target, [Trial("selftest-again", requests)])[0] for _ in range(2)] if requests else []
        if answers and answers[0] != answers[1]:
            raise Wrong("the same vector was answered in two ways")
