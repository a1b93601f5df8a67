"""What must be true of a device between two requests."""

from __future__ import annotations

from model.vhost.iotlb import Iotlb, Map, Regions
from model.vhost.machine import DeviceMachine
from model.vhost.metadata import ACCESS_OF
from model.vhost.sorted_array import SortedArray
from spec.outcome import Translated
from spec.vhost.address_map import may
from spec.vhost.device import Device
from spec.vhost.translate import MOST_RING_SEGMENTS, translation
from tests.model.model_checks import assert_intervals


def assert_container(container: Regions) -> None:
    """Tree and list hold the same entries, each in its order, and no more than there may be."""
    assert isinstance(container, Iotlb | SortedArray) and not container.freed
    entries = list(container.in_list())
    assert not any(entry.freed for entry in entries)
    assert all(entry.first <= entry.last and entry.size == entry.last - entry.first + 1 for entry in entries)
    if isinstance(container, SortedArray):
        assert [entry.first for entry in entries] == sorted((entry.first for entry in entries), reverse=True)
        return
    assert_intervals(container.tree)
    assert container.tree.leftmost is container.tree.tree.first()
    in_order = list(container.in_order())
    assert len(entries) == len(in_order) <= container.limit
    assert {id(entry) for entry in entries} == {id(entry) for entry in in_order}
    assert in_order == sorted(in_order, key=lambda entry: (entry.first, entry.born))
    assert entries == sorted(entries, key=lambda entry: entry.used)
    assert all(entry.node is not None and entry.node.value.of is entry for entry in entries)
    assert all((one.node.value.first, one.node.value.last) == (one.first, one.last) for one in entries if one.node)
    assert container.clock > max((entry.used for entry in entries), default=-1)


def assert_metadata(machine: DeviceMachine, device: Device) -> None:
    """What the metadata cache serves is what the specification finds for each byte of that part of the ring."""
    for queue in machine.queues:
        for part, address, size in queue.areas():
            entry = queue.metadata.fetch(part)
            if entry is None:
                continue
            assert machine.iotlb is not None and any(entry is one for one in machine.iotlb.in_list())
            assert may(entry.perm, ACCESS_OF[part])
            answer = translation(machine.profile, device, address, size, ACCESS_OF[part], MOST_RING_SEGMENTS)[1]
            assert isinstance(answer, Translated) and len(answer.segments) == 1
            assert answer.segments[0].host == cached_host(entry, address)


def cached_host(entry: Map, address: int) -> int:
    """Where the cache says that an address is."""
    return entry.host + address - entry.first


def assert_between(machine: DeviceMachine) -> None:
    """All structures are sound, and all queues have what the device has."""
    for container in (machine.table, machine.iotlb):
        if container is not None:
            assert_container(container)
    for queue in machine.queues:
        assert queue.umem is machine.table and queue.iotlb is machine.iotlb
    assert_metadata(machine, machine.device())
