"""Laws of the vhost line that hold after any sequence of operations, found by Hypothesis or not at all."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spec.outcome import Faulted, Rejected, Translated
from spec.profile import Profile
from spec.step import step
from spec.units import U64
from spec.vhost.address_map import READ, WRITE, AddressMap, may
from spec.vhost.backend import NO_SOCKET, NONE, TAP, SetBackend
from spec.vhost.device import ACCESS_PLATFORM, LOG_ALL, NEW_DEVICE, VERSION_1, Descriptor, Device
from spec.vhost.features import SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import INVALIDATE, UPDATE, ReadMessage, WriteMessage
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.queue_io import Kick, Offer, Packet, Transmit
from spec.vhost.regions import AddRegion, RemoveRange
from spec.vhost.ring import SetLogBase, SetRingAddresses, SetRingSize
from spec.vhost.translate import Translate, byte_stops_at, host_of_byte
from tests.spec.laws import tried

ADDRESS = st.one_of(st.integers(0, 40), st.integers(U64 - 40, U64 - 1), st.sampled_from([2**63 - 1, 2**63]))
SIZE = st.one_of(st.integers(0, 24), st.sampled_from([2**63, U64 - 1]))
HOST = st.one_of(st.integers(0, 200).map(lambda n: 2**44 + n), st.sampled_from([2**47 - 4096 - 8, 2**62, U64 - 4]))
QUEUE = st.integers(0, 2)
REGION = st.builds(Region, gpa=ADDRESS, size=SIZE, hva=HOST)
DESCRIPTOR = st.builds(Descriptor, addr=ADDRESS, length=st.integers(0, 30), writable=st.booleans())
CHAIN = st.lists(DESCRIPTOR, min_size=1, max_size=4).map(tuple)
FEATURES = st.sampled_from([VERSION_1, VERSION_1 + ACCESS_PLATFORM, VERSION_1 + LOG_ALL, ACCESS_PLATFORM + LOG_ALL, 1])
REQUEST = st.one_of(
    st.builds(SetOwner),
    st.builds(ResetOwner),
    st.builds(SetFeatures, features=FEATURES),
    st.builds(SetMemTable, regions=st.lists(REGION, max_size=5).map(tuple)),
    st.builds(AddRegion, gpa=ADDRESS, size=SIZE, hva=HOST),
    st.builds(RemoveRange, first=ADDRESS, last=ADDRESS),
    st.builds(SetLogBase, base=HOST),
    st.builds(SetRingSize, queue=QUEUE, size=st.sampled_from([1, 2, 3])),
    st.builds(SetRingAddresses, queue=QUEUE, flags=st.integers(0, 1), desc=ADDRESS, used=ADDRESS, avail=ADDRESS),
    st.builds(SetBackend, queue=QUEUE, backend=st.sampled_from([TAP, TAP, NONE, NO_SOCKET])),
    st.builds(
        WriteMessage,
        kind=st.sampled_from([UPDATE, UPDATE, UPDATE, INVALIDATE, 1]),
        iova=ADDRESS,
        size=SIZE,
        uaddr=HOST,
        perm=st.integers(0, 3),
    ),
    st.builds(ReadMessage),
    st.builds(Translate, addr=ADDRESS, length=st.integers(0, 60), access=st.sampled_from([READ, WRITE])),
    st.builds(Transmit, chain=CHAIN),
    st.builds(Offer, chain=CHAIN),
    st.builds(Packet, length=st.integers(26, 60)),
    st.builds(Kick, queue=st.integers(0, 1)),
)
SEQUENCE = st.lists(REQUEST, max_size=30).map(lambda requests: [SetOwner(), SetFeatures(VERSION_1), *requests])
PROFILE = st.builds(
    Profile,
    iotlb_limit=st.integers(2, 5),
    retirement=st.sampled_from(["fifo", "lru"]),
    iotlb_mode=st.sampled_from(["stays", "follows"]),
)


def assert_sound(profile: Profile, device: Device, table: AddressMap | None) -> None:
    if table is None:
        return
    assert len(table.entries) <= profile.iotlb_limit
    assert (
        len({entry.born for entry in table.entries})
        == len({entry.used for entry in table.entries})
        == len(table.entries)
    )
    for entry in table.entries:
        assert 0 <= entry.first <= entry.last < U64
        assert entry.born <= entry.used < table.clock


def after(profile: Profile, requests: list[Any]) -> Device:
    device = NEW_DEVICE
    for request in requests:
        before = device
        device, outcome = step(profile, device, request)
        if isinstance(outcome, Rejected):
            assert device == before
        assert_sound(profile, device, device.table)
        assert_sound(profile, device, device.iotlb)
        assert all(not queue.attached or device.table is not None for queue in device.queues)
    return device


@tried(300)
@given(PROFILE, SEQUENCE)
def test_maps_stay_sound_and_a_refused_operation_changes_nothing(profile: Profile, requests: list[Any]) -> None:
    after(profile, requests)


@tried(300)
@given(PROFILE, SEQUENCE, ADDRESS, st.integers(0, 60), st.sampled_from([READ, WRITE]), st.integers(0, 6))
def test_segments_say_what_the_bytes_say(
    profile: Profile, requests: list[Any], addr: int, length: int, access: int, room: int
) -> None:
    device = after(profile, requests)
    _, answer = step(profile, device, Translate(addr, length, access, room))
    bad = [at for at in range(addr, addr + length) if byte_stops_at(device, at, access) is not None]
    if isinstance(answer, Faulted):
        assert answer.rule.id == "XLATE.ROOM" or answer.at == bad[0]
        assert answer.rule.id != "XLATE.ROOM" or not bad or answer.at <= bad[0]
        return
    assert isinstance(answer, Translated) and not bad and len(answer.segments) <= room
    reached = [(at, s.host + at - s.first) for s in answer.segments for at in range(s.first, s.last + 1)]
    assert [at for at, _ in reached] == list(range(addr, addr + length))
    assert all(host % U64 == host_of_byte(device, at) for at, host in reached)


@tried(300)
@given(PROFILE, SEQUENCE, ADDRESS, SIZE)
def test_an_invalidation_leaves_no_byte_of_its_range(
    profile: Profile, requests: list[Any], iova: int, size: int
) -> None:
    device = after(profile, [*requests, SetFeatures(ACCESS_PLATFORM), *requests])
    device, _ = step(profile, device, WriteMessage(kind=INVALIDATE, iova=iova, size=size))
    ends = [iova, iova + size // 2, iova + size - 1] if size else []
    for at in {*ends, *range(iova, iova + min(size, 50))}:
        assert device.iotlb is None or byte_stops_at(device, at % U64, READ) is not None


@tried(200)
@given(PROFILE, SEQUENCE, ADDRESS, SIZE, HOST, st.integers(1, 3))
def test_an_update_of_an_empty_iotlb_maps_its_bytes(
    profile: Profile, requests: list[Any], iova: int, size: int, host: int, perm: int
) -> None:
    device = after(profile, [*requests, SetFeatures(ACCESS_PLATFORM)])
    device, outcome = step(profile, device, WriteMessage(iova=iova, size=size, uaddr=host, perm=perm))
    if isinstance(outcome, Rejected) or device.iotlb is None:
        return
    for at in (iova, iova + size - 1):
        for access in (READ, WRITE):
            assert (byte_stops_at(device, at, access) is None) == may(perm, access)
            assert host_of_byte(device, at) == (host + at - iova) % U64
