"""Effects of vhost requests that are wrong in one point each are refuted by theorems that say what effects are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import proofs.theorems.vhost.translations as translations
import spec.vhost.chain as chain
import spec.vhost.messages as messages
import spec.vhost.regions as regions
import spec.vhost.translate as translate
from proofs.bugs import with_effect
from proofs.catalogue import theorem_named
from proofs.prover import REFUTED, judge
from proofs.theorem import Patch, patched
from spec.operation import Operation
from spec.outcome import Faulted, Outcome, Translated
from spec.profile import Profile
from spec.sets import kept, removed
from spec.vhost.address_map import AddressMap, oldest, with_entry
from spec.vhost.backend import SET_BACKEND
from spec.vhost.chain import Broken, Buffers, Event
from spec.vhost.device import Descriptor, Device
from spec.vhost.features import SET_FEATURES
from spec.vhost.mem_table import SET_MEM_TABLE, Region
from spec.vhost.regions import REMOVE_RANGE, REMOVE_REGION
from spec.vhost.ring import SET_RING_SIZE

Changed = Callable[[Device, Device, Any], Device]  # (before, after, request) -> what the device is then instead


def and_then(operation: Operation, changed: Changed) -> Patch:
    """The operation, after which something else is done."""

    def effect(profile: Profile, device: Device, request: Any) -> tuple[Device, Outcome]:
        after, answer = operation.effect(profile, device, request)
        return changed(device, after, request), answer

    return with_effect(operation, effect)


def added_as(region_of: Callable[[AddressMap, Region], AddressMap]) -> Patch:
    """A region is added in another way."""
    return Patch(regions, "with_region", region_of)


def is_short(table: AddressMap, region: Region) -> AddressMap:
    return with_entry(table, region.gpa, region.gpa + region.size - 2, region.hva, 3)


def may_only_be_read(table: AddressMap, region: Region) -> AddressMap:
    return with_entry(table, region.gpa, region.gpa + region.size - 1, region.hva, 1)


def takes_the_place_of_the_oldest(table: AddressMap, region: Region) -> AddressMap:
    """Two new ones for an old one: the number is right."""
    rest = replace(table, entries=removed(table.entries, oldest(table)))
    return ADDED(ADDED(rest, region), region)


ADDED = regions.with_region


def ends_early(before: Device, after: Device, request: Any) -> Device:
    """A region that begins with the last byte of the range stays."""
    if before.table is None:
        return after
    rest = kept(before.table.entries, lambda entry: not entry.touches(request.first, request.last - 1))
    return replace(after, table=replace(before.table, entries=rest))


def oldest_goes(before: Device, after: Device, request: Any) -> Device:
    table = before.table
    return (
        after if table is None else replace(after, table=replace(table, entries=removed(table.entries, oldest(table))))
    )


def both_queues(**changes: Any) -> Changed:
    """Both queues are changed, too."""
    return lambda before, after, request: replace(
        after, queues=(replace(after.queues[0], **changes), replace(after.queues[1], **changes))
    )


def this_queue(**changes: Any) -> Changed:
    """The queue that the request names is changed in another way, too."""

    def changed(before: Device, after: Device, request: Any) -> Device:
        receive, transmit = after.queues
        if request.queue == 0:
            return replace(after, queues=(replace(receive, **changes), transmit))
        return replace(after, queues=(receive, replace(transmit, **changes)))

    return changed


def takes_nothing(iotlb: AddressMap, request: Any) -> AddressMap:
    return iotlb


def maps_nothing(profile: Profile, iotlb: AddressMap, request: Any) -> AddressMap:
    return iotlb


def has_room_for_one(
    profile: Profile, device: Device, addr: int, length: int, access: int, room: int
) -> tuple[Device, Translated | Faulted]:
    """A second segment is refused for want of room, however much there is."""
    device, answer = translate.translation(profile, device, addr, length, access, room)
    if isinstance(answer, Translated) and len(answer.segments) > 1:
        return device, Faulted(translate.ROOM, answer.segments[1].first)
    return device, answer


def writes_before_it_reads(
    profile: Profile, device: Device, queue: int, one: Descriptor, buffers: Buffers
) -> tuple[Device, Buffers | Event]:
    """A chain that begins with what is written may go on with what is read."""
    device, answer = WITH_DESCRIPTOR(profile, device, queue, one, buffers)
    if isinstance(answer, Broken) and answer.rule is chain.READ_FIRST and len(buffers.readable) == 0:
        device, answer = WITH_DESCRIPTOR(profile, device, queue, one, Buffers())
        return device, Buffers(answer.readable, buffers.writable) if isinstance(answer, Buffers) else answer
    return device, answer


WITH_DESCRIPTOR = chain.with_descriptor

EFFECTS = (
    ("INVALIDATE.NOTHING_LEFT", Patch(messages, "invalidated", takes_nothing)),
    ("INVALIDATE.EXACT", Patch(messages, "invalidated", takes_nothing)),
    ("UPDATE.PROGRESS", Patch(messages, "updated", maps_nothing)),
    ("XLATE.WHOLE", Patch(translations, "translation", has_room_for_one)),
    ("CHAIN.BOUNDS", Patch(chain, "with_descriptor", writes_before_it_reads)),
    ("DEVICE.ADDREGION.EFFECT", added_as(is_short)),
    ("DEVICE.ADDREGION.EFFECT", added_as(may_only_be_read)),
    ("DEVICE.ADDREGION.EFFECT", added_as(takes_the_place_of_the_oldest)),
    ("DEVICE.REMOVERANGE.EFFECT", and_then(REMOVE_RANGE, ends_early)),
    ("DEVICE.REMOVERANGE.EFFECT", and_then(REMOVE_RANGE, lambda before, after, request: replace(after, log_base=7))),
    ("DEVICE.REMOVEREGION.EFFECT", and_then(REMOVE_REGION, oldest_goes)),
    ("DEVICE.SETFEATURES.MODE", and_then(SET_FEATURES, both_queues(quiet=True, listening=False, chains=()))),
    ("DEVICE.SETFEATURES.RINGS", and_then(SET_FEATURES, both_queues(chains=()))),
    ("DEVICE.SETFEATURES.RINGS", and_then(SET_FEATURES, both_queues(packets=()))),
    ("DEVICE.SETMEMTABLE.REPLACED", and_then(SET_MEM_TABLE, lambda before, after, request: before)),
    ("DEVICE.SETRINGSIZE.EFFECT", and_then(SET_RING_SIZE, this_queue(quiet=True))),
    ("DEVICE.SETBACKEND.DETACH", and_then(SET_BACKEND, this_queue(done=0))),
)


@pytest.mark.slow
@pytest.mark.parametrize(("theorem_id", "patch"), EFFECTS)
def test_a_wrong_effect_is_refuted(theorem_id: str, patch: Patch) -> None:
    with patched((patch,)):
        assert judge(theorem_named(theorem_id)).status == REFUTED
