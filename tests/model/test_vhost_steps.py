"""What another CPU can see while a table or an IOTLB is replaced: the old or the new one, and never one that is gone.

At each visible step every queue does what it may do at any time: it looks its ring up, asks where a buffer is, marks
pages. The structures answer from memory that is still there, and a translation is that of before or of after.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from typing import Any

import pytest

from model.vhost.iotlb import Regions
from model.vhost.log import Marks, log_write_hva
from model.vhost.machine import FREE, PUBLISH, SHOW, DeviceMachine, Step
from model.vhost.run import Run
from spec.outcome import Done, Faulted, Rejected, Translated
from spec.profile import Profile
from spec.step import step
from spec.vhost import mem_table
from spec.vhost.address_map import READ, WRITE
from spec.vhost.backend import SetBackend
from spec.vhost.device import ACCESS_PLATFORM, NEW_DEVICE, Device
from spec.vhost.features import SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import WriteMessage
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.ring import SetRingAddresses
from spec.vhost.translate import MOST_SEGMENTS, translation
from tests.model.vhost_checks import assert_between
from tests.model.vhost_requests import small_requests

RINGS = 0x1000
TABLE = SetMemTable(regions=(Region(0, 0x8000, 0x100000), Region(0x8000, 0x1000, 0x200000)))
OTHER_TABLE = SetMemTable(regions=(Region(0, 0x800, 0x300000), Region(0x4000, 0x8000, 0x100800)))
IOTLB = SetFeatures(features=ACCESS_PLATFORM)
MAP_ALL = WriteMessage(iova=0, size=0x10000, uaddr=0x100000, perm=3)
PROBES = (0, 0x7FF, 0x800, 0x3FFF, 0x4000, 0x7FFF, 0x8000, 0x9000)


def ring(queue: int) -> SetRingAddresses:
    at = RINGS + 0x400 * queue
    return SetRingAddresses(queue=queue, desc=at, avail=at + 0x100, used=at + 0x200)


RUNNING = (SetOwner(), TABLE, ring(0), ring(1), SetBackend(queue=0), SetBackend(queue=1))
WITH_IOTLB = (SetOwner(), IOTLB, TABLE, MAP_ALL, *RUNNING[2:])

SCENES: dict[str, tuple[tuple[Any, ...], Any]] = {
    "a table replaces another": (RUNNING, OTHER_TABLE),
    "a table in IOTLB mode": (WITH_IOTLB, OTHER_TABLE),
    "the first table": ((SetOwner(),), TABLE),
    "an empty table": (RUNNING, SetMemTable()),
    "the first IOTLB": (RUNNING, IOTLB),
    "an IOTLB replaces another": (WITH_IOTLB, IOTLB),
    "an IOTLB is left": (WITH_IOTLB, SetFeatures()),
}


def answers(profile: Profile, device: Device) -> list[Translated | Faulted]:
    """What the specification says of the probes."""
    return [translation(profile, device, probe, 16, READ, MOST_SEGMENTS)[1] for probe in PROBES]


def watched(machine: DeviceMachine, device: Device, request: Any) -> list[Step]:
    """Do a request and let every queue act at each step. What it found is judged."""
    after, expected = step(machine.profile, device, request)
    before_that, after_that = answers(machine.profile, device), answers(machine.profile, after)
    seen = []
    steps = machine.steps(request)
    try:
        while True:
            seen.append(next(steps))
            found = [machine.translate_for_ring(probe, 16, READ) for probe in PROBES]
            assert found in (before_that, after_that)
            for number, queue in enumerate(machine.queues):
                if not queue.has_no_ring():
                    Run(machine).prefetch(number)
                if queue.umem is not None:
                    log_write_hva(Marks(), queue.umem, 0x100000, 0x2000)
    except StopIteration as done:
        assert done.value == expected
    machine.misses.clear()
    assert_between(machine)
    assert answers(machine.profile, machine.device()) == after_that
    return seen


def in_scene(name: str, mode: str) -> tuple[DeviceMachine, Device, Any]:
    profile = Profile(iotlb_mode=mode)
    machine, device = DeviceMachine(profile), NEW_DEVICE
    made, request = SCENES[name]
    for one in made:
        device, expected = step(profile, device, one)
        assert machine.apply(one) == expected and not isinstance(expected, Rejected)
    for number, queue in enumerate(machine.queues):
        if not queue.has_no_ring():
            Run(machine).prefetch(number)  # fills the cache
    return machine, device, request


@pytest.mark.parametrize("mode", ["stays", "follows"])
@pytest.mark.parametrize("name", SCENES)
def test_a_queue_sees_the_old_or_the_new(name: str, mode: str) -> None:
    watched(*in_scene(name, mode))


def test_the_steps() -> None:
    machine, device, request = in_scene("a table replaces another", "stays")
    assert watched(machine, device, request) == [Step(PUBLISH), Step(SHOW, 0), Step(SHOW, 1), Step(FREE)]
    machine, device, request = in_scene("the first IOTLB", "stays")
    assert watched(machine, device, request) == [Step(PUBLISH), Step(SHOW, 0), Step(SHOW, 1)]


def test_what_is_refused_publishes_nothing() -> None:
    machine, device, _ = in_scene("a table replaces another", "stays")
    table = machine.table
    foreign = SetMemTable(regions=(Region(0, 0x1000, 2**47),))
    assert watched(machine, device, foreign) == [] and machine.table is table
    assert machine.apply(foreign) == Rejected(mem_table.HOST)


def test_containers_that_were_given_back_are_not_used_again() -> None:
    """Random requests: whatever was replaced is free, and nothing that is free is reachable (the structures look)."""
    given_back = 0
    for seed in range(60):
        machine = DeviceMachine(Profile(iotlb_limit=5, retirement=("fifo", "lru")[seed % 2]))
        held: list[Regions] = []
        for request in small_requests(random.Random(seed), 100):
            machine.apply(request)
            held += [one for one in (machine.table, machine.iotlb) if one is not None and one not in held]
        given_back += len(held)
        assert all(one in (machine.table, machine.iotlb) or len(one) == 0 for one in held)
    assert given_back > 200


def test_the_owner_leaves() -> None:
    machine, _, _ = in_scene("an IOTLB is left", "stays")
    old_table, old_iotlb = machine.table, machine.iotlb
    assert machine.apply(ResetOwner()) == Done()
    assert old_table is not None and len(old_table) == 0 and old_iotlb is not None and old_iotlb.freed
    assert machine.iotlb is None and machine.table is not None and len(machine.table) == 0
    assert_between(machine)


# PLANTED BUGS ----------------------------------------------------------------------------------------------------

Steps = Generator[Step, None, None]


class FreesTheTableTooEarly(DeviceMachine):
    def _publish_table(self, new: Regions) -> Steps:
        old, self.table = self.table, new
        if old is not None:
            old.free()
        yield Step(PUBLISH)
        for number, queue in enumerate(self.queues):
            queue.umem = new
            yield Step(SHOW, number)


class ForgetsAQueue(DeviceMachine):
    def _publish_table(self, new: Regions) -> Steps:
        old, self.table = self.table, new
        yield Step(PUBLISH)
        self.queues[0].umem = new
        yield Step(SHOW, 0)
        if old is not None:
            old.free()
            yield Step(FREE)


class FillsThePublishedTable(DeviceMachine):
    def _set_mem_table(self, request: SetMemTable) -> Any:
        new = self.new_table()
        yield from self._publish_table(new)
        for region in request.regions:
            new.add(region.gpa, region.gpa + region.size - 1, region.hva, READ + WRITE)
        return Done()


class FreesTheIotlbTooEarly(DeviceMachine):
    def _replace_iotlb(self, forget_rings: bool) -> Steps:
        old, self.iotlb = self.iotlb, self.new_iotlb()
        if old is not None:
            old.free()
        yield Step(PUBLISH)
        for number, queue in enumerate(self.queues):
            queue.iotlb = self.iotlb
            queue.metadata.reset()
            yield Step(SHOW, number)


class KeepsTheCache(DeviceMachine):
    def _replace_iotlb(self, forget_rings: bool) -> Steps:
        old, self.iotlb = self.iotlb, self.new_iotlb()
        yield Step(PUBLISH)
        for number, queue in enumerate(self.queues):
            queue.iotlb = self.iotlb
            yield Step(SHOW, number)
        if old is not None:
            old.free()
            yield Step(FREE)


class DropsTheCacheBeforeTheQueueIsTold(DeviceMachine):
    def _replace_iotlb(self, forget_rings: bool) -> Steps:
        old, self.iotlb = self.iotlb, self.new_iotlb()
        for queue in self.queues:
            queue.metadata.reset()
        yield Step(PUBLISH)
        for number, queue in enumerate(self.queues):
            queue.iotlb = self.iotlb
            yield Step(SHOW, number)
        if old is not None:
            old.free()
            yield Step(FREE)


BUGS = (
    (FreesTheTableTooEarly, "a table replaces another"),
    (ForgetsAQueue, "a table replaces another"),
    (FillsThePublishedTable, "a table replaces another"),
    (FreesTheIotlbTooEarly, "an IOTLB replaces another"),
    (KeepsTheCache, "an IOTLB replaces another"),
    (DropsTheCacheBeforeTheQueueIsTold, "an IOTLB replaces another"),
)


@pytest.mark.parametrize(("bug", "scene"), BUGS)
def test_each_of_these_bugs_is_seen(bug: type[DeviceMachine], scene: str) -> None:
    machine, device, request = in_scene(scene, "stays")
    machine.__class__ = bug  # it goes wrong from here on
    with pytest.raises(AssertionError):
        watched(machine, device, request)
