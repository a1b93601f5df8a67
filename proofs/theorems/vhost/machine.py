"""The model refines the specification, request by request: the square commutes.

From the same state, for any request, the model's own code and the specification's step come to the same outcome and the
same state: owner, features, both maps with their clocks, misses in their order, every field of both queues.

Containers are replaced by what is proved of them (`proofs/machines_vhost.py`). What other theorems are about does not
run here: translations (`LOOP.*`, `XLATE.*`), which misses an update answers (`REFINES.ANSWER`), marks (`LOG.*`), and
runs of queues. One stand-in takes the place of both sides' own. So of these it is claimed that both sides ask for the
same, in the same order, from the same state, and do the same with the answer and the state that is left; not that they
are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import spec.step
import spec.vhost.address_map
import spec.vhost.backend
import spec.vhost.mem_table
import spec.vhost.messages
import spec.vhost.queue_io
import spec.vhost.run
import spec.vhost.translate
from model.vhost.device import KernelDevice
from model.vhost.machine import DeviceMachine
from model.vhost.misses import MissQueue
from model.vhost.run import Run
from proofs import invariants_vhost
from proofs.invariants_vhost import map_is_in_order
from proofs.machines_vhost import by_contract, machine_of, same_state
from proofs.requests_vhost import VHOST_REQUESTS, set_mem_table
from proofs.symbolic.boolean import all_of
from proofs.symbolic.record import kind_of
from proofs.theorem import UNBOUNDED, Bug, Patch, Theorem, patched
from proofs.world import World
from proofs.world_vhost import any_device, any_map
from spec.outcome import Faulted, MessageTaken, Ran, Rejected, Segment, Translated
from spec.pages import Pages, pages_in
from spec.profile import Profile
from spec.sets import count
from spec.step import VHOST_OPERATIONS
from spec.units import U64, U64_MAX
from spec.vhost.address_map import AddressMap
from spec.vhost.backend import SetBackend
from spec.vhost.device import Device, Miss
from spec.vhost.messages import ReadMessage
from spec.vhost.translate import MAPPED, RULES

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_request(operation: str, world: World) -> dict[str, Any]:
    """Any device and any request of an operation; two addresses at which a ring's fields are out of reach, to be read
    and to be written; and where translations stop, if they do, by which rule.
    """
    return {
        "profile": world.profile(),
        "device": any_device(world, has_chains=operation in ("transmit", "offer")),
        "request": VHOST_REQUESTS[operation](world),
        "holes": tuple(world.integer(f"hole{i}", 0, U64_MAX + 4) for i in range(2)),
        "stops": world.integer("stops", 0, len(RULES)),
        "at": world.integer("at", 0, U64),
    }


def any_table(world: World) -> dict[str, Any]:
    """The same for a memory table: one region or none, on top of what regions before it made."""
    return {
        **any_request("set_mem_table", world),
        "request": set_mem_table(world, 1),
        "so_far": any_map(world, "so_far"),
    }


def can_be_reached(profile: Profile, device: Device, **rest: Any) -> Any:
    """The device is as every device is that requests lead to: maps are in order, and what an active one maps is user
    memory and, where writes are logged, in the log.
    """
    return invariants_vhost.can_be_reached(profile, device)


def has_room_so_far(profile: Profile, device: Device, so_far: AddressMap, **rest: Any) -> Any:
    """The same; and what regions before this one made is in order, and has fewer entries than can be held."""
    made = all_of(map_is_in_order(so_far), count(so_far.entries) < profile.iotlb_limit)
    return all_of(can_be_reached(profile, device), made)


# WHAT IS THE SAME ON BOTH SIDES ----------------------------------------------------------------------------------


def as_method(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that takes the place of a method: it is given the object first."""

    def method(*asked: Any) -> Any:
        return function(*asked)

    return method


class Shared:
    """Stands in for runs, marks and translations on both sides, and notes what was asked, in order, and in which state.

    The specification has to go first: where the model asks, its state is compared with that in which the specification
    asked. A run, and a translation, leaves a trace in the state, and a run, and a mark, one in what is marked.
    """

    def __init__(
        self, holes: tuple[Any, Any], stops: Any, at: Any, so_far: AddressMap | None, looked_into: str
    ) -> None:
        self.holes, self.stops, self.at, self.so_far, self.looked_into = holes, stops, at, so_far, looked_into
        self.by_spec: list[Any] = []
        self.by_model: list[Any] = []
        self.devices: list[Device | None] = []  # in which the specification asked; None where it is not said
        self.claims: list[Any] = []

    def in_state_of_spec(self, machine: Any) -> None:
        """The model is about to ask: it is in the state in which the specification asked."""
        number = len(self.by_model)
        device = self.devices[number] if number < len(self.devices) else None
        if device is not None:
            self.claims.append(same_state(device, machine, self.looked_into))

    def is_in_reach(self, address: Any, length: int, access: int) -> Any:
        return length == 2 and address != self.holes[access - 1]

    def translated(self) -> Translated | Faulted:
        rule = next((rule for number, rule in enumerate(RULES) if self.stops == number), None)
        return Translated((Segment(1, 2, 3),)) if rule is None else Faulted(rule, self.at)

    # Of the specification

    def run_queue(self, profile: Profile, device: Device, number: int) -> tuple[Device, Ran]:
        self.devices.append(device)
        self.by_spec.append(("run", number))
        trace = len(self.by_spec)
        return with_trace(device, trace), Ran((number,), pages_in(((4 * trace, 4 * trace),)))  # type: ignore[arg-type]

    def marked_by_ring(self, profile: Profile, device: Device, queue: Any, offset: int, length: int) -> Pages:
        self.devices.append(device)
        self.by_spec.append(("mark", queue.used, queue.log, offset, length))
        trace = len(self.by_spec)
        return pages_in(((4 * trace, 4 * trace),))

    def field_is_out_of_reach(self, profile: Profile, device: Device, address: Any, length: int, access: int) -> Any:
        return not self.is_in_reach(address, length, access)

    def answered(self, pending: Any, request: Any) -> tuple[Any, tuple[int, ...]]:
        self.devices.append(None)
        self.by_spec.append(("answer", request.iova, request.iova + request.size - 1))
        return pending, (0, 1)

    def translation(self, profile: Profile, device: Device, *asked: Any) -> Any:
        self.devices.append(device)
        self.by_spec.append(("translate", *asked))
        return with_trace(device, len(self.by_spec)), self.translated()

    # Of the model

    def run_of_model(self, run: Run, number: int) -> None:
        machine: Any = run.device
        self.in_state_of_spec(machine)
        self.by_model.append(("run", number))
        trace = len(self.by_model)
        run.events.append(number)  # type: ignore[arg-type]
        run.marks.set_bit(4 * trace)
        machine.settings = with_trace(machine.settings, trace)

    def log_used(self, machine: Any, marks: Any, queue: Any, offset: int, length: int) -> None:
        self.in_state_of_spec(machine)
        self.by_model.append(("mark", queue.used, queue.log_addr, offset, length))
        marks.set_bit(4 * len(self.by_model))

    def translate_for_ring(self, machine: Any, address: Any, length: int, access: int) -> Any:
        if self.is_in_reach(address, length, access):
            return Translated((Segment(0, 0, 0),))
        return Faulted(MAPPED, 0)

    def answer(self, misses: Any, first: Any, last: Any) -> list[int]:
        self.by_model.append(("answer", first, last))
        return [0, 1]

    def translate(self, machine: Any, *asked: Any) -> Any:
        self.in_state_of_spec(machine)
        self.by_model.append(("translate", *asked))
        machine.settings = with_trace(machine.settings, len(self.by_model))
        return self.translated()

    @contextmanager
    def on_both_sides(self) -> Iterator[None]:
        start: tuple[Patch, ...] = ()
        if self.so_far is not None:
            knowing = (spec.vhost.address_map, spec.vhost.mem_table)
            start = tuple(Patch(module, "EMPTY_MAP", self.so_far) for module in knowing)
        patches = (
            Patch(spec.vhost.run, "run_queue", self.run_queue),
            Patch(spec.vhost.backend, "run_queue", self.run_queue),
            Patch(spec.vhost.queue_io, "run_queue", self.run_queue),
            Patch(spec.vhost.backend, "marked_by_ring", self.marked_by_ring),
            Patch(spec.vhost.backend, "field_is_out_of_reach", self.field_is_out_of_reach),
            Patch(spec.vhost.messages, "answered", self.answered),
            Patch(spec.vhost.translate, "translation", self.translation),
            Patch(Run, "run_queue", as_method(self.run_of_model)),
            Patch(KernelDevice, "log_used", as_method(self.log_used)),
            Patch(KernelDevice, "translate_for_ring", as_method(self.translate_for_ring)),
            Patch(KernelDevice, "translate", as_method(self.translate)),
            Patch(MissQueue, "answer", as_method(self.answer)),
            *start,
        )
        with patched(patches):
            yield

    def was_asked_alike(self) -> Any:
        """Whether the model asked what the specification asked, in the same order and the same states."""
        one, other = self.by_spec, self.by_model
        if [(kind, len(asked)) for kind, *asked in one] != [(kind, len(asked)) for kind, *asked in other]:
            return False
        pairs = [pair for mine, theirs in zip(one, other, strict=True) for pair in zip(mine, theirs, strict=True)]
        return all_of(True, *(mine == theirs for mine, theirs in pairs), *self.claims)


def with_trace(device: Device, trace: int) -> Device:
    """A device on which something was done that can be told from everything else."""
    return replace(device, features=device.features + trace)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def square_commutes(
    profile: Profile,
    device: Device,
    request: Any,
    holes: tuple[Any, Any],
    stops: Any,
    at: Any,
    so_far: AddressMap | None = None,
) -> Any:
    """The model's outcome and state are those of the specification's step, where runs, marks, translations, and which
    misses are answered are the same on both sides; and both ask for these alike.
    """
    asked = {ReadMessage: "unread", SetBackend: "packets"}.get(kind_of(request), "")
    shared = Shared(holes, stops, at, so_far, asked)
    with by_contract(), shared.on_both_sides():
        machine = machine_of(profile, device, asked)
        after, wanted = spec.step.step(profile, device, request)
        outcome = machine.apply(request)
    return all_of(same_outcome(wanted, outcome), same_state(after, machine, asked), shared.was_asked_alike())


def same_outcome(wanted: Any, outcome: Any) -> Any:
    """Whether two outcomes are the same, for the same rule if they are rejections."""
    if type(wanted) is not type(outcome):
        return False
    if isinstance(wanted, Rejected):
        return wanted.rule is outcome.rule
    if isinstance(wanted, Ran):
        return wanted.events == outcome.events and wanted.marked == outcome.marked
    if isinstance(wanted, MessageTaken):
        return all_of(wanted.length == outcome.length, same_outcome(wanted.ran, outcome.ran))
    if isinstance(wanted, Faulted):
        return all_of(wanted.rule is outcome.rule, wanted.at == outcome.at)
    return all_of(True, *(value == getattr(outcome, name) for name, value in vars(wanted).items()))


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def after_it(name: str, wrong: Callable[[DeviceMachine, Any], None]) -> tuple[Patch, ...]:
    """Something else happens behind a handler of the machine."""
    handle = getattr(DeviceMachine, name)

    def handler(machine: DeviceMachine, request: Any) -> Any:
        outcome = handle(machine, request)
        wrong(machine, request)
        return outcome

    return (Patch(DeviceMachine, name, handler),)


def with_settings(**fields: Any) -> Callable[[DeviceMachine, Any], None]:
    def wrong(machine: DeviceMachine, request: Any) -> None:
        machine.settings = replace(machine.settings, **fields)

    return wrong


def keeps_the_rings(machine: DeviceMachine) -> None:
    """The rings are where they were."""
    rings = [(queue.desc, queue.avail, queue.used, queue.log_addr) for queue in machine.queues]
    CLEAR(machine)
    for queue, ring in zip(machine.queues, rings, strict=True):
        queue.desc, queue.avail, queue.used, queue.log_addr = ring


def not_for_the_last_queue(machine: DeviceMachine, new: Any) -> Iterator[Any]:
    """The last queue is not told of a new table."""
    old = machine.queues[-1].umem
    yield from PUBLISH(machine, new)
    machine.queues[-1].umem = old


def a_table_of_its_own(machine: DeviceMachine) -> Any:
    return machine.new_table()


def takes_more(machine: DeviceMachine, request: Any) -> None:
    if machine.table is not None:
        machine.table.delete_range(request.gpa, request.gpa)


def takes_what_is_next(machine: DeviceMachine, request: Any) -> None:
    if machine.table is not None:
        machine.table.delete_range(request.last + 1, request.last + 1)


def sets_the_size(machine: DeviceMachine, request: Any) -> None:
    if request.queue < 2:
        machine.queues[request.queue].num = request.size


def swaps_two(machine: DeviceMachine, request: Any) -> None:
    for queue in machine.queues:
        queue.avail, queue.used = queue.used, queue.avail


def loses_the_miss(machine: DeviceMachine, request: Any) -> None:
    if machine.misses.pending_list:
        machine.misses.pending_list.pop()


def as_kernels_do(machine: DeviceMachine, iotlb: Any, request: Any) -> None:
    """What is invalidated ends where 64 bits say: a range that wraps, or has no byte, is taken for a gap."""
    iotlb.delete_range(request.iova, (request.iova + request.size - 1) % U64)


def forgets_misses(machine: DeviceMachine, request: Any) -> None:
    machine.misses.clear()


def asks_for_each(machine: Any, number: int, fault: Faulted, access: int) -> None:
    machine.misses.ask(Miss(number, fault.at, access, machine.settings.message_version))


def in_the_other_queue(machine: DeviceMachine, number: int) -> Ran:
    return RAN(machine, 1 - number)


def with_one_more(machine: DeviceMachine, request: Any) -> Any:
    machine.queues[0].packets.append(0)
    return PACKET(machine, request)


def into_both(machine: DeviceMachine, request: Any) -> Any:
    machine.queues[1].chains.append(request.chain)
    return AT_ONCE(machine, request)


CLEAR, PUBLISH = DeviceMachine._clear_iotlb, DeviceMachine._publish_table
RAN, PACKET, AT_ONCE = DeviceMachine._ran, DeviceMachine._packet, DeviceMachine._at_once
BUGS = {
    "set_owner": Bug("the owner is not noted", after_it("_set_owner", with_settings(owned=False))),
    "reset_owner": Bug("the device still has an owner", after_it("_reset_owner", with_settings(owned=True))),
    "set_features": Bug("going out, rings are not forgotten", (Patch(DeviceMachine, "_clear_iotlb", keeps_the_rings),)),
    "set_backend_features": Bug(
        "misses are always written in the first framing",
        after_it("_set_backend_features", with_settings(message_version=1)),
    ),
    "set_mem_table": Bug(
        "the last queue is not told of a new table", (Patch(DeviceMachine, "_publish_table", not_for_the_last_queue),)
    ),
    "add_region": Bug(
        "the region goes into a table that nobody has", (Patch(DeviceMachine, "_table_to_change", a_table_of_its_own),)
    ),
    "remove_region": Bug("all regions at its first byte go", after_it("_remove_region", takes_more)),
    "remove_range": Bug("the byte after the range counts too", after_it("_remove_range", takes_what_is_next)),
    "set_log_base": Bug("the log is forgotten", after_it("_set_log_base", with_settings(log_base=None))),
    "set_ring_size": Bug("the size is set also when it is refused", after_it("_set_ring_size", sets_the_size)),
    "set_ring_addresses": Bug("two parts are mixed up", after_it("_set_ring_addresses", swaps_two)),
    "set_backend": Bug(
        "misses are forgotten also when it is refused, as kernels do", after_it("_set_backend", forgets_misses)
    ),
    "write_message": Bug(
        "a range that wraps, or has no byte, is taken for a gap, as kernels do",
        (Patch(DeviceMachine, "_invalidate", as_kernels_do),),
    ),
    "read_message": Bug("a miss that was read is lost", after_it("_read_message", loses_the_miss)),
    "translate": Bug("each byte that cannot be had is asked for", (Patch(KernelDevice, "ask", asks_for_each),)),
    "transmit": Bug("the other queue runs", (Patch(DeviceMachine, "_ran", in_the_other_queue),)),
    "offer": Bug("the chain goes into both queues", (Patch(DeviceMachine, "_at_once", into_both),)),
    "packet": Bug("a packet comes twice", (Patch(DeviceMachine, "_packet", with_one_more),)),
    "kick": Bug("the other queue runs", (Patch(DeviceMachine, "_ran", in_the_other_queue),)),
}

# THEOREMS --------------------------------------------------------------------------------------------------------

ASK = "From the same state, by any {operation}, the model and the specification "
SENTENCES = {
    "set_backend": ASK + "find the same fields of a used ring out of reach if both translate alike, ask for the same "
    "marks and the same run, from the same state, and do the same with what these come to.",
    "write_message": ASK
    + "come to the same outcome and state, but for what is asked for: which misses are answered is asked about the "
    "same range, the same runs are asked for from the same state, and with what these come to the same is done.",
    "translate": ASK + "ask for the same translation, from the same state, and do the same with its answer. What a "
    "translation answers is no part of the claim.",
    **dict.fromkeys(
        ("transmit", "packet", "kick"),
        ASK + "ask for the same run of a queue, if any, from the same state, and do the same with what it comes to. "
        "What a run does is no part of the claim.",
    ),
}
ONE_STAND_IN = {
    "set_backend": "one stand-in on both sides for the reach of a ring's fields, marks and runs",
    "write_message": "one stand-in on both sides for which misses are answered, two of them, and for runs",
    "translate": "one stand-in on both sides for translations",
    **dict.fromkeys(("transmit", "packet", "kick"), "one stand-in on both sides for runs of a queue"),
}
ELSEWHERE = "these are what other theorems are about, and tests where none is"
ALIKE = "From the same state, the model and the specification come to the same outcome and state by any {operation}."
ONE_BY_ONE = "one region on top of a table that any number of regions made: the induction over regions is told, not run"


def bound_of(operation: str) -> str:
    if operation == "set_mem_table":
        return ONE_BY_ONE
    return f"{ONE_STAND_IN[operation]}: {ELSEWHERE}" if operation in ONE_STAND_IN else UNBOUNDED


def about(operation: str) -> Theorem:
    is_table = operation == "set_mem_table"
    rules = next(known.checks for known in VHOST_OPERATIONS if known.name == operation)
    return Theorem(
        f"REFINES.{operation.upper().replace('_', '')}",
        SENTENCES.get(operation, ALIKE).format(operation=operation),
        tuple(check.rule.id for check in rules),
        (operation,),
        "refines the spec",
        any_table if is_table else partial(any_request, operation),
        has_room_so_far if is_table else can_be_reached,
        square_commutes,
        BUGS[operation],
        bound_of(operation),
    )


THEOREMS = tuple(about(operation) for operation in BUGS)
