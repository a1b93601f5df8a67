"""A vhost device as a kernel makes one: requests in, outcomes out, and each visible step can be watched.

Checks that look at the request alone are those of the spec. What concerns the containers, the misses and the queues the
machine finds out with structures of its own.

Facts: drivers/vhost/vhost.c vhost_set_memory, vhost_process_iotlb_msg, vhost_init_device_iotlb, vhost_dev_reset_owner,
vhost_vring_set_num_addr; drivers/vhost/net.c vhost_net_set_backend, vhost_net_set_features.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from model.vhost.access import GuardedDevice
from model.vhost.iotlb import Iotlb, Map, Regions
from model.vhost.queue import Virtqueue
from model.vhost.run import Run
from spec.outcome import Done, EntryView, Faulted, MapsView, MessageTaken, MissRead, NothingRead, Outcome, Ran, Rejected
from spec.pages import NO_PAGES
from spec.rule import Check, Rule, first_broken
from spec.units import U64, U64_MAX
from spec.vhost import backend, features, mem_table, messages, owner, regions, ring
from spec.vhost.address_map import READ, WRITE
from spec.vhost.call import OWNER_CHECK, POINTER_CHECK, QUEUE_CHECK
from spec.vhost.device import (
    ACCESS_PLATFORM,
    LOG_ALL,
    NEW_DEVICE,
    NO_LOG,
    RECEIVE,
    TRANSMIT,
    Device,
    has_feature,
    is_host_range,
)
from spec.vhost.dirty_log import USED_FLAGS, USED_INDEX
from spec.vhost.observe import ObserveMaps
from spec.vhost.queue_io import Kick, Offer, Packet, Transmit
from spec.vhost.translate import Translate

PUBLISH = "the device has the new container"
SHOW = "a queue has the new container"
FREE = "the old container is freed"


@dataclass(frozen=True)
class Step:
    """One thing that another CPU could see. `queue` is the one concerned, None for the device."""

    name: str
    queue: int | None = None


Watched = Generator[Step, None, Outcome]  # yields the visible steps of a request, returns its outcome


def before(checks: tuple[Check, ...], rule: Rule) -> tuple[Check, ...]:
    """The checks that come before that of a rule."""
    return tuple(takewhile(lambda check: check.rule is not rule, checks))


# The rules about the request alone: all that come before the device is looked at.
TABLE_ARGUMENTS = before(mem_table.CHECKS, mem_table.HOST)
REGION_ARGUMENTS = before(regions.ADD_CHECKS, regions.ROOM)
FEATURE_ARGUMENTS = before(features.FEATURES_CHECKS, features.LOGGABLE)
ADDRESS_ARGUMENTS = before(ring.ADDRESS_CHECKS, ring.HOST)
SIZE_ARGUMENTS = before(ring.SIZE_CHECKS, ring.STOPPED)
MESSAGE_ARGUMENTS = before(messages.WRITE_CHECKS, messages.MODE)
LOG_BASE_ARGUMENTS = (OWNER_CHECK, POINTER_CHECK)
BACKEND_ARGUMENTS = (POINTER_CHECK, OWNER_CHECK, QUEUE_CHECK)


class DeviceMachine(GuardedDevice):
    """A device that takes requests."""

    def apply(self, request: Any) -> Outcome:
        """One request from start to end."""
        watched = self.steps(request)
        while True:
            try:
                next(watched)
            except StopIteration as done:
                outcome: Outcome = done.value
                return outcome

    def steps(self, request: Any) -> Watched:
        """One request step by step: a queue may run whenever it yields. Run it to its end.

        What is done with the locks of all queues held is no step: nobody can look meanwhile.
        """
        match request:
            case mem_table.SetMemTable():
                return (yield from self._set_mem_table(request))
            case features.SetFeatures():
                return (yield from self._set_features(request))
        return self._at_once(request)

    def _at_once(self, request: Any) -> Outcome:
        """A request that replaces no container."""
        match request:
            case Translate():
                return self._translate(request)
            case Transmit():
                self.queues[TRANSMIT].chains.append(request.chain)
                return self._ran(TRANSMIT)
            case Offer():
                self.queues[RECEIVE].chains.append(request.chain)
                return Ran((), NO_PAGES)
            case Packet():
                return self._packet(request)
            case Kick():
                return self._ran(request.queue)
            case messages.WriteMessage():
                return self._write_message(request)
            case messages.ReadMessage():
                return self._read_message(request)
            case ObserveMaps():
                return MapsView(view(self.table), view(self.iotlb))
            case regions.AddRegion():
                return self._add_region(request)
            case regions.RemoveRegion():
                return self._remove_region(request)
            case regions.RemoveRange():
                return self._remove_range(request)
            case ring.SetLogBase():
                return self._set_log_base(request)
            case ring.SetRingSize():
                return self._set_ring_size(request)
            case ring.SetRingAddresses():
                return self._set_ring_addresses(request)
            case backend.SetBackend():
                return self._set_backend(request)
            case features.SetBackendFeatures():
                return self._set_backend_features(request)
            case owner.SetOwner():
                return self._set_owner(request)
            case owner.ResetOwner():
                return self._reset_owner(request)
        raise TypeError(f"{type(request).__name__} is not the request of any operation of a device")

    def device(self) -> Device:
        """The state as the spec has it. To be asked only between requests."""
        receive, transmit = self.queues
        return replace(
            self.settings,
            table=None if self.table is None else self.table.address_map(),
            iotlb=None if self.iotlb is None else self.iotlb.address_map(),
            unread=tuple(self.misses.read_list),
            pending=tuple(self.misses.pending_list),
            queues=(receive.as_spec(), transmit.as_spec()),
        )

    def _rule(self, checks: tuple[Check, ...], request: Any) -> Rule | None:
        """The first rule about the request alone that it breaks."""
        return first_broken(checks, self.profile, self.settings, request)

    # Owner and features ------------------------------------------------------------------------------------------

    def _set_owner(self, request: owner.SetOwner) -> Outcome:
        if self.settings.owned:
            return Rejected(owner.FREE)
        self.settings = replace(self.settings, owned=True)
        return Done()

    def _reset_owner(self, request: owner.ResetOwner) -> Outcome:
        """Queues are stopped before anything is freed, so nobody can look meanwhile."""
        rule = self._rule(owner.RESET_CHECKS, request)
        if rule is not None:
            return Rejected(rule)
        for container in (self.table, self.iotlb):
            if container is not None:
                container.free()
        self.settings = NEW_DEVICE
        self.iotlb, self.table = None, self.new_table()
        self.misses.clear()
        receive, transmit = self.queues
        self.queues = (Virtqueue(receive.packets), Virtqueue(transmit.packets))
        for queue in self.queues:
            queue.umem = self.table
        return Done()

    def _set_features(self, request: features.SetFeatures) -> Watched:
        rule = self._rule(FEATURE_ARGUMENTS, request)
        if rule is not None:
            return Rejected(rule)
        log_all = has_feature(request.features, LOG_ALL)
        if log_all and self.is_active() and self.bad_memory(self.table, True, self.settings.log_base) == "log":
            return Rejected(features.LOGGABLE)
        wanted = has_feature(request.features, ACCESS_PLATFORM)
        follows = self.profile.iotlb_mode == "follows"
        if wanted:
            yield from self._replace_iotlb(forget_rings=follows and self.iotlb is None)
        elif follows and self.iotlb is not None:
            self._clear_iotlb()
        self.settings = replace(self.settings, features=request.features)
        return Done()

    def _replace_iotlb(self, forget_rings: bool) -> Generator[Step, None, None]:
        """A new IOTLB, also where there is one: the device first, then queue by queue, with its cache dropped.

        The old one is freed when no queue can have an entry of it.
        """
        old, new = self.iotlb, self.new_iotlb()
        self.iotlb = new
        yield Step(PUBLISH)
        for number, queue in enumerate(self.queues):
            queue.iotlb = new
            queue.metadata.reset()
            if forget_rings:
                queue.forget_ring()
            yield Step(SHOW, number)
        if old is not None:
            old.free()
            yield Step(FREE)

    def _clear_iotlb(self) -> None:
        """No IOTLB any more: with the locks of all queues held, as a queue must not see half of it."""
        old, self.iotlb = self.iotlb, None
        for queue in self.queues:
            queue.iotlb = None
            queue.metadata.reset()
            queue.forget_ring()
        self.misses.clear()
        if old is not None:
            old.free()

    def _set_backend_features(self, request: features.SetBackendFeatures) -> Outcome:
        rule = self._rule(features.MESSAGES_CHECKS, request)
        if rule is not None:
            return Rejected(rule)
        version = 2 if request.features == features.MESSAGE_V2 else 1
        self.settings = replace(self.settings, message_version=version)
        return Done()

    # Memory table ------------------------------------------------------------------------------------------------

    def _set_mem_table(self, request: mem_table.SetMemTable) -> Watched:
        rule = self._rule(TABLE_ARGUMENTS, request)
        if rule is not None:
            return Rejected(rule)
        new = self.new_table()
        for region in request.regions:
            added = new.add(region.gpa, (region.gpa + region.size - 1) % U64, region.hva, READ + WRITE)
            assert added, "a region that ends before it begins came through"
        rule = self.table_trouble(new, mem_table.HOST, mem_table.LOG)
        if rule is not None:
            new.free()
            return Rejected(rule)
        yield from self._publish_table(new)
        return Done()

    def _publish_table(self, new: Regions) -> Generator[Step, None, None]:
        """The device first, then queue by queue, each under its lock. Then nobody can have the old one any more."""
        old, self.table = self.table, new
        yield Step(PUBLISH)
        for number, queue in enumerate(self.queues):
            queue.umem = new
            yield Step(SHOW, number)
        if old is not None:
            old.free()
            yield Step(FREE)

    def _table_to_change(self) -> Regions:
        """The table, to be changed with the locks of all queues held. A device without one gets an empty one."""
        if self.table is None:
            self.table = self.new_table()
            for queue in self.queues:
                queue.umem = self.table
        return self.table

    def _add_region(self, request: regions.AddRegion) -> Outcome:
        rule = self._rule(REGION_ARGUMENTS, request)
        if rule is not None:
            return Rejected(rule)
        most = min(self.profile.max_regions, self.profile.iotlb_limit)
        if not (most > 0 if self.table is None else self.table.has_room_for_one(most)):
            return Rejected(regions.ROOM)
        if self.is_active():
            # The others were good when they came: only the new one is looked at, in a table of its own.
            alone = self.new_table()
            alone.add(request.gpa, request.gpa + request.size - 1, request.hva, READ + WRITE)
            rule = self.table_trouble(alone, mem_table.HOST, mem_table.LOG)
            if rule is not None:
                return Rejected(rule)
        added = self._table_to_change().add(
            request.gpa, (request.gpa + request.size - 1) % U64, request.hva, READ + WRITE
        )
        assert added, "a region that ends before it begins came through"
        return Done()

    def _remove_region(self, request: regions.RemoveRegion) -> Outcome:
        rule = self._rule((OWNER_CHECK,), request)
        if rule is not None:
            return Rejected(rule)
        found = self._region_with(request)
        if found is None:
            return Rejected(regions.THERE)
        assert self.table is not None
        self.table.remove(found)
        return Done()

    def _region_with(self, request: regions.RemoveRegion) -> Map | None:
        """The first entry in order that has these three values."""
        if self.table is None:
            return None
        last = request.gpa + request.size - 1
        for entry in self.table.in_order():
            if has_values(entry, request.gpa, last, request.hva):
                return entry
        return None

    def _remove_range(self, request: regions.RemoveRange) -> Outcome:
        rule = self._rule(regions.RANGE_CHECKS, request)
        if rule is not None:
            return Rejected(rule)
        if self.table is not None:
            self.table.delete_range(request.first, request.last)
        return Done()

    # Rings and log -----------------------------------------------------------------------------------------------

    def _set_log_base(self, request: ring.SetLogBase) -> Outcome:
        """All queues or none. Kernels tell each queue for which it is well, also when it is not for another."""
        rule = self._rule(LOG_BASE_ARGUMENTS, request)
        if rule is not None:
            return Rejected(rule)
        for queue in self.queues:
            if not queue.backend:
                continue
            if self.bad_memory(queue.umem, self.settings.logs_all(), request.base) == "log":
                return Rejected(ring.LOG_BASE)
            if not self.ring_is_loggable(queue, queue.log_addr, request.base):
                return Rejected(ring.LOG_BASE)
        self.settings = replace(self.settings, log_base=request.base)
        return Done()

    def _set_ring_size(self, request: ring.SetRingSize) -> Outcome:
        rule = self._rule(SIZE_ARGUMENTS, request)
        if rule is not None:
            return Rejected(rule)
        queue, num = self.queues[request.queue], request.size
        queue.metadata.reset()  # whatever becomes of the request
        if queue.backend:
            return Rejected(ring.STOPPED)
        if num == 0 or num > ring.LARGEST_RING or not has_one_bit(num):
            return Rejected(ring.SIZE)
        queue.num = num
        return Done()

    def _set_ring_addresses(self, request: ring.SetRingAddresses) -> Outcome:
        rule = self._rule(ADDRESS_ARGUMENTS, request)
        if rule is not None:
            return Rejected(rule)
        queue = self.queues[request.queue]
        queue.metadata.reset()
        log_addr = request.log if request.flags == ring.LOG_USED_RING else NO_LOG
        if queue.backend:
            if not self.ring_is_user_memory(queue, (request.desc, request.avail, request.used)):
                return Rejected(ring.HOST)
            if not self.ring_is_loggable(queue, log_addr, self.settings.log_base):
                return Rejected(ring.LOG)
        queue.desc, queue.avail, queue.used, queue.log_addr = request.desc, request.avail, request.used, log_addr
        return Done()

    # Backend -----------------------------------------------------------------------------------------------------

    def _set_backend(self, request: backend.SetBackend) -> Outcome:
        """Kernels forget the misses of a queue that is detached also when the request is refused."""
        rule = self._rule(BACKEND_ARGUMENTS, request)
        if rule is not None:
            return Rejected(rule)
        queue = self.queues[request.queue]
        rule = self._backend_trouble(queue)
        if rule is not None:
            return Rejected(rule)
        if request.backend == backend.NO_SOCKET:
            return Rejected(backend.SOCKET)
        if request.backend == backend.NONE:
            queue.backend = queue.polls_socket = False
            self.misses.clear()
            return Ran((), NO_PAGES)
        if queue.backend:
            return Ran((), NO_PAGES)
        if not self._init_access(queue):
            return Rejected(backend.USED)
        run = Run(self)
        self.log_used(run.marks, queue, *USED_FLAGS)
        queue.backend, queue.polls_socket = True, request.queue == RECEIVE
        if request.queue == TRANSMIT or queue.packets:
            run.run_queue(request.queue)
        return Ran(tuple(run.events), run.marks.pages())

    def _backend_trouble(self, queue: Virtqueue) -> Rule | None:
        """What keeps a queue from being started, in the order of the walk: memory, log, ring."""
        bad = self.bad_memory(queue.umem, self.settings.logs_all(), self.settings.log_base)
        if bad == "host":
            return backend.TABLE
        if bad == "log" or not self.ring_is_loggable(queue, queue.log_addr, self.settings.log_base):
            return backend.LOG
        if not self.ring_is_user_memory(queue, (queue.desc, queue.avail, queue.used)):
            return backend.RING
        return None

    def _init_access(self, queue: Virtqueue) -> bool:
        """Whether there is a ring, and its used flags can be written and its index read, each in one entry.

        Kernels ask for READ both times, and take what the metadata cache says.
        """
        if queue.has_no_ring():
            return False  # kernels write to address 0, and fail unless the IOTLB has it
        if queue.iotlb is None:
            return True
        for (offset, length), access in ((USED_FLAGS, WRITE), (USED_INDEX, READ)):
            answer = self.translate_for_ring(queue.used + offset, length, access)
            if isinstance(answer, Faulted) or len(answer.segments) > 1:
                return False
        return True

    # Messages ----------------------------------------------------------------------------------------------------

    def _write_message(self, request: messages.WriteMessage) -> Outcome:
        rule = self._rule(MESSAGE_ARGUMENTS, request)
        if rule is not None:
            return Rejected(rule)
        if self.iotlb is None:
            return Rejected(messages.MODE)
        if request.kind == messages.INVALIDATE:
            self._reset_metadata()
            self._invalidate(self.iotlb, request)
            return MessageTaken(messages.MESSAGE_BYTES, Ran((), NO_PAGES))
        if request.uaddr > U64_MAX - request.size + 1:
            return Rejected(messages.HOST_WRAPS)
        if request.perm % 4 != 0 and not is_host_range(self.profile, request.uaddr, request.size):
            return Rejected(messages.HOST)
        self._reset_metadata()
        last = (request.iova + request.size - 1) % U64
        if not self.iotlb.add(request.iova, last, request.uaddr, request.perm % 4):
            return Rejected(messages.WRAPS)
        run = Run(self)
        for number in self.misses.answer(request.iova, last):
            run.run_queue(number)
        return MessageTaken(messages.MESSAGE_BYTES, Ran(tuple(run.events), run.marks.pages()))

    def _reset_metadata(self) -> None:
        for queue in self.queues:
            queue.metadata.reset()

    def _invalidate(self, iotlb: Iotlb, request: messages.WriteMessage) -> None:
        """Kernels search from first to last as they come: an empty range takes out what goes on over its place, and one
        that wraps only what contains all that it does not.
        """
        if request.size == 0:
            return
        last = (request.iova + request.size - 1) % U64
        if last < request.iova:
            iotlb.delete_range(0, last)
            last = U64_MAX
        iotlb.delete_range(request.iova, last)

    def _read_message(self, request: messages.ReadMessage) -> Outcome:
        if request.length < messages.MESSAGE_BYTES:
            return NothingRead()
        miss = self.misses.read()
        if miss is None:
            return Rejected(messages.WAITING)
        return MissRead(miss.version, miss.iova, miss.access)

    # Queues ------------------------------------------------------------------------------------------------------

    def _translate(self, request: Translate) -> Outcome:
        answer = self.translate(request.addr, request.length, request.access, request.room)
        if isinstance(answer, Faulted):
            self.ask(request.queue, answer, request.access)
        return answer

    def _packet(self, request: Packet) -> Outcome:
        queue = self.queues[RECEIVE]
        queue.packets.append(request.length)
        return self._ran(RECEIVE) if queue.polls_socket else Ran((), NO_PAGES)

    def _ran(self, number: int) -> Ran:
        run = Run(self)
        run.run_queue(number)
        return Ran(tuple(run.events), run.marks.pages())


def has_values(entry: Any, first: int, last: int, host: int) -> bool:
    """Whether an entry is this range at this place in host memory."""
    return bool(entry.first == first and entry.last == last and entry.host == host)


def has_one_bit(num: int) -> bool:
    """Whether a number that is not 0 is a power of two."""
    return num & (num - 1) == 0


def view(container: Regions | None) -> tuple[EntryView, ...] | None:
    """All entries of a container, in the order in which lookups prefer them."""
    if container is None:
        return None
    return tuple(EntryView(one.first, one.last, one.host, one.perm) for one in container.in_order())
