"""What a queue may see while a table or an IOTLB is replaced: the old one or the new one, whole, never a mixture.

At each step of a request that another CPU can see, the device and each queue have a container. It is the one from
before or the one that is published; neither changes while somebody may look, and none that was freed is seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from model.vhost.machine import FREE, PUBLISH, SHOW, DeviceMachine, Step
from proofs.machines_vhost import by_contract, machine_of
from proofs.requests_vhost import FEW_REGIONS, VHOST_REQUESTS
from proofs.theorem import UNBOUNDED, Bug, Patch, Theorem
from proofs.theorems.vhost.machine import can_be_reached
from proofs.world import World
from proofs.world_vhost import any_device
from spec.profile import Profile
from spec.vhost.device import Device

# INPUTS ----------------------------------------------------------------------------------------------------------


def any_request(operation: str, world: World) -> dict[str, Any]:
    """Any device and any request of an operation."""
    return {
        "profile": world.profile(),
        "device": any_device(world),
        "request": VHOST_REQUESTS[operation](world),
    }


# CLAIMS ----------------------------------------------------------------------------------------------------------


def seen(machine: DeviceMachine) -> list[tuple[Any, ...]]:
    """The tables that the device and its queues have, and the IOTLBs."""
    tables: tuple[Any, ...] = (machine.table, *(queue.umem for queue in machine.queues))
    return [tables, (machine.iotlb, *(queue.iotlb for queue in machine.queues))]


class Watching:
    """Notes what each container had when it was first seen."""

    def __init__(self, machine: DeviceMachine) -> None:
        self.machine = machine
        self.before: tuple[Any, Any] = (machine.table, machine.iotlb)
        self.had: dict[int, tuple[Any, Any, Any]] = {}
        self.is_well()

    def is_well(self) -> bool:
        """Each that is seen is the old or the published one, has what it had when first seen, and was not freed."""
        for old, kind in zip(self.before, seen(self.machine), strict=True):
            for container in kind:
                if container is None:
                    continue
                if container.freed or (container is not old and container is not kind[0]):
                    return False
                first = self.had.setdefault(id(container), (container, container.entries, container.clock))
                if container.entries is not first[1] or container.clock is not first[2]:
                    return False
        return True


def old_or_new_is_seen(profile: Profile, device: Device, request: Any) -> Any:
    """At each step all is well, and at the end nobody has the old one."""
    with by_contract():
        machine = machine_of(profile, device)
        watching = Watching(machine)
        steps = machine.steps(request)
        while True:
            try:
                next(steps)
            except StopIteration:
                break
            if not watching.is_well():
                return False
    return watching.is_well() and all(one is kind[0] for kind in seen(machine) for one in kind)


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def frees_first(machine: DeviceMachine, new: Any) -> Iterator[Step]:
    """The old table is freed as soon as the device has the new one."""
    old, machine.table = machine.table, new
    if old is not None:
        old.free()
    yield Step(FREE)
    for number, queue in enumerate(machine.queues):
        queue.umem = new
        yield Step(SHOW, number)


def empties_it(machine: DeviceMachine, forget_rings: bool) -> Iterator[Step]:
    """The IOTLB that is there is emptied and used on."""
    if machine.iotlb is None:
        yield from REPLACE(machine, forget_rings)
    else:
        machine.iotlb.delete_range(0, 2**64 - 1)
        yield Step(PUBLISH)


REPLACE = DeviceMachine._replace_iotlb

# THEOREMS --------------------------------------------------------------------------------------------------------


def about(operation: str, what: str, bug: Bug, bound: str = UNBOUNDED) -> Theorem:
    return Theorem(
        f"REFINES.PUBLISH.{operation.upper().replace('_', '')}",
        f"At each visible step of {operation}, the device and each queue have the old {what} or the new one, complete, "
        "and none that was freed; at its end all have the same.",
        (),
        (operation,),
        "publication",
        partial(any_request, operation),
        can_be_reached,
        old_or_new_is_seen,
        bug,
        bound,
    )


THEOREMS = (
    about(
        "set_mem_table",
        "table",
        Bug(
            "the old table is freed when the device has the new one",
            (Patch(DeviceMachine, "_publish_table", frees_first),),
        ),
        f"requests of at most {FEW_REGIONS} regions: they go into the new table before anybody sees it",
    ),
    about(
        "set_features",
        "IOTLB",
        Bug("an IOTLB is emptied while queues use it", (Patch(DeviceMachine, "_replace_iotlb", empties_it),)),
    ),
)
