"""A machine of the vhost model in any state that the specification's device can be in, and whether both are the same.

Its containers are replaced by what is proved of them: a search finds the leftmost entry that touches the range
(`ITREE.*`), what comes is the youngest, a full one gives up the head of its list first (`CONTAINER.*`), and the list is
in order of use. Walks through a list, and translations, are subjects of their own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import model.vhost.machine as machines
import spec.vhost.address_map
from model.vhost.access import GuardedDevice
from model.vhost.machine import DeviceMachine
from model.vhost.queue import Virtqueue
from proofs.sets import are_equal
from proofs.symbolic.boolean import all_of, merged, merged_anew, negation
from proofs.symbolic.sequence import AnySequence, Untouched
from proofs.theorem import Patch, patched
from spec.profile import Profile
from spec.rule import Check, Rule
from spec.sets import added, count, every, kept, least, removed
from spec.units import U64_MAX
from spec.vhost.address_map import AddressMap, Entry, search_rank
from spec.vhost.device import Device, Queue, is_host_range, is_log_range
from spec.vhost.ring import is_power_of_two


@dataclass(frozen=True)
class Found:
    """An entry of a container, as the model's code looks at it."""

    entry: Entry
    freed: bool = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.entry, name)

    @property
    def size(self) -> Any:
        return self.entry.last - self.entry.first + 1


class Contained:
    """A container by its contract: entries, in a list of at most `limit` of them, and a clock."""

    def __init__(self, entries: Any, clock: Any, limit: Any, retirement: Any) -> None:
        self.entries, self.clock, self.limit, self.retirement = entries, clock, limit, retirement
        self.freed = False

    def add(self, first: Any, last: Any, host: Any, perm: Any) -> bool:
        """The head of the list goes where there is no room. The whole space, which no request can name, is left out."""
        if last < first:
            return False
        assert first != 0 or last != U64_MAX
        if count(self.entries) == self.limit:
            head = least(self.entries, lambda entry: True, lambda entry: (entry.used,))
            self.entries = removed(self.entries, head)
        self.entries = added(self.entries, Entry(first, last, host, perm, self.clock, self.clock))
        self.clock = self.clock + 1
        return True

    def find(self, first: Any, last: Any) -> Found | None:
        assert not self.freed
        found = least(self.entries, lambda entry: entry.touches(first, last), search_rank)
        return None if found is None else Found(found)

    def touch(self, found: Found) -> None:
        if self.retirement == "lru":
            self.entries = added(removed(self.entries, found.entry), replace(found.entry, used=self.clock))
            self.clock = self.clock + 1

    def remove(self, found: Found) -> None:
        self.entries = removed(self.entries, found.entry)

    def delete_range(self, first: Any, last: Any) -> None:
        self.entries = kept(self.entries, lambda entry: not entry.touches(first, last))

    def free(self) -> None:
        self.freed = True

    def has_room_for_one(self, most: Any) -> Any:
        assert not self.freed
        return count(self.entries) < most

    def first_with(self, holds: Callable[[Any], Any]) -> Found | None:
        """The first in order of search of which something is true."""
        found = least(self.entries, holds, search_rank)
        return None if found is None else Found(found)

    def address_map(self) -> AddressMap:
        return AddressMap(self.entries, self.clock)


def empty(machine: Any) -> Any:
    """A new container."""
    return container_of(machine.profile, spec.vhost.address_map.EMPTY_MAP)


def container_of(profile: Profile, table: AddressMap | None) -> Any:
    if table is None:
        return None
    return Contained(table.entries, table.clock, profile.iotlb_limit, profile.retirement)


def machine_of(profile: Profile, device: Device, asked: str = "") -> DeviceMachine:
    """The machine in the state of a device. `asked` are the sequences of which the first member may be asked for."""
    machine = DeviceMachine(profile)
    machine.settings = device
    machine.table, machine.iotlb = container_of(profile, device.table), container_of(profile, device.iotlb)
    machine.misses.read_list, machine.misses.pending_list = (
        opened(device.unread, asked == "unread"),
        members(device.pending),
    )
    for queue, state in zip(machine.queues, device.queues, strict=True):
        _set_up(queue, state, asked)
        queue.umem, queue.iotlb = machine.table, machine.iotlb
    return machine


def _set_up(queue: Virtqueue, state: Queue, asked: str) -> None:
    queue.num, queue.desc, queue.avail, queue.used, queue.log_addr = (
        state.size,
        state.desc,
        state.avail,
        state.used,
        state.log,
    )
    queue.backend, queue.no_notify, queue.polls_socket = state.attached, state.quiet, state.listening
    queue.last_avail_idx = queue.last_used_idx = state.done
    queue.chains, queue.packets = deque(members(state.chains)), deque(opened(state.packets, asked == "packets"))


def opened(sequence: Any, is_asked: bool) -> list[Any]:
    """The members of a sequence of which the first may be taken: it, and one thing for all behind it."""
    if not is_asked or not isinstance(sequence, AnySequence) or sequence.first is None:
        return members(sequence)
    return [sequence.first, sequence[1:].members] if sequence else []


def members(sequence: Any) -> list[Any]:
    """The members of a sequence; one thing stands for all of one that is not looked into."""
    if isinstance(sequence, Untouched):
        return [sequence]
    return list(sequence)


# THE SAME STATE --------------------------------------------------------------------------------------------------


def same_state(device: Device, machine: DeviceMachine, asked: str = "") -> Any:
    """Whether the specification's device and the machine are in the same state, as far as both know it."""
    settings = machine.settings
    containers: tuple[Any, ...] = (machine.table, machine.iotlb)
    plain = ("owned", "features", "message_version")
    return all_of(
        *(getattr(device, name) == getattr(settings, name) for name in plain),
        same_number(device.log_base, settings.log_base),
        same_map(device.table, machine.table),
        same_map(device.iotlb, machine.iotlb),
        same_members(opened(device.unread, asked == "unread"), machine.misses.read_list),
        same_members(members(device.pending), machine.misses.pending_list),
        *(same_queue(one, other, asked) for one, other in zip(device.queues, machine.queues, strict=True)),
        *(queue.umem is machine.table and queue.iotlb is machine.iotlb for queue in machine.queues),
        *(container is None or not container.freed for container in containers),
    )


def same_number(one: Any, other: Any) -> Any:
    """Whether two numbers, or None, are the same."""
    if one is None or other is None:
        return one is None and other is None
    return one == other


def same_map(table: AddressMap | None, container: Any) -> Any:
    """Whether a map and a container have the same entries, and the same next tick."""
    if table is None or container is None:
        return table is None and container is None
    return all_of(are_equal(table.entries, container.entries), table.clock == container.clock)


def same_members(one: list[Any], other: Any) -> Any:
    """Whether two rows have the same members in the same order."""
    return len(one) == len(other) and all_of(True, *(same_thing(a, b) for a, b in zip(one, other, strict=True)))


def same_thing(one: Any, other: Any) -> Any:
    return True if one is other else one == other


def same_queue(state: Queue, queue: Virtqueue, asked: str) -> Any:
    """Whether a queue is in the same state in both."""
    pairs = (
        (state.size, queue.num),
        (state.desc, queue.desc),
        (state.avail, queue.avail),
        (state.used, queue.used),
        (state.log, queue.log_addr),
        (state.attached, queue.backend),
        (state.quiet, queue.no_notify),
        (state.listening, queue.polls_socket),
        (state.done, queue.last_used_idx),
        (state.done, queue.last_avail_idx),
    )
    rows = (
        same_members(members(state.chains), queue.chains),
        same_members(opened(state.packets, asked == "packets"), queue.packets),
    )
    return all_of(*(same_thing(one, other) for one, other in pairs), *rows)


# WHAT THE MODEL'S CODE RUNS ON -----------------------------------------------------------------------------------


def first_broken(checks: tuple[Check, ...], profile: Profile, device: Device, request: Any) -> Rule | None:
    """Each rule's question as one formula."""
    return next((check.rule for check in checks if merged(check.is_broken)(profile, device, request)), None)


def bad_memory(machine: GuardedDevice, table: Any, log_all: Any, log_base: Any) -> str:
    """What `REFINES.ACCESSWALK` says of the walk through a table's list."""
    if table is None or not every(table.entries, lambda one: is_user_memory(machine.profile, one)):
        return "host"
    if all_of(log_all, negation(every(table.entries, lambda one: is_loggable(machine.profile, log_base, one)))):
        return "log"
    return ""


def is_user_memory(profile: Profile, entry: Entry) -> Any:
    return is_host_range(profile, entry.host, entry.last - entry.first + 1)


def is_loggable(profile: Profile, log_base: Any, entry: Entry) -> Any:
    return is_log_range(profile, log_base, entry.first, entry.last - entry.first + 1)


def region_with(machine: DeviceMachine, request: Any) -> Any:
    """What `REFINES.REGIONWALK` says of the walk in order: the first that has these three values."""
    last = request.gpa + request.size - 1
    table: Any = machine.table
    if table is None:
        return None
    return table.first_with(lambda one: any_values(one, request.gpa, last, request.hva))


def any_values(entry: Any, first: Any, last: Any, host: Any) -> Any:
    return all_of(entry.first == first, entry.last == last, entry.host == host)


def has_one_bit(num: Any) -> Any:
    """What `REFINES.ONEBIT` says of it."""
    return merged(is_power_of_two)(num)


def in_one_formula(owner: type, name: str) -> Patch:
    """A question that a method answers, asked as one formula: each time anew, for a machine changes."""
    ask = merged_anew(getattr(owner, name))
    return Patch(owner, name, ask)


@contextmanager
def by_contract() -> Iterator[None]:
    """The model runs on containers by their contract, and walks are what is proved of them."""
    patches = (
        Patch(DeviceMachine, "new_iotlb", empty),
        Patch(DeviceMachine, "new_table", empty),
        Patch(GuardedDevice, "bad_memory", bad_memory),
        Patch(DeviceMachine, "_region_with", region_with),
        *(in_one_formula(GuardedDevice, name) for name in ("is_active", "ring_is_user_memory", "ring_is_loggable")),
        in_one_formula(Virtqueue, "has_no_ring"),
        Patch(machines, "has_one_bit", has_one_bit),
        Patch(machines, "first_broken", first_broken),
    )
    with patched(patches):
        yield
