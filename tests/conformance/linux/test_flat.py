"""The flat binary form: what goes in comes out, and garbage is refused with words."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.target import ErrorSeen, MissSeen, ReceivedAt, Refused, SentBytes, Trial, Unobservable
from conformance.targets.linux import flat
from conformance.targets.linux.build import guest_program
from conformance.targets.linux.flat_step import Garbled, Unsuitable
from conformance.targets.linux.flat_vhost import FOREIGN
from spec.memslots.access import GuestWrite, VcpuRead, VcpuWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import FindSlot, HvaRange, Lookup, Observe
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import SetRegion
from spec.outcome import (
    DirtyPages,
    Done,
    MessageTaken,
    MissRead,
    Mmio,
    NothingRead,
    Ran,
    Segment,
    Touched,
    Written,
)
from spec.pages import pages_in
from spec.step import OPERATIONS
from spec.vhost.backend import NO_SOCKET, NONE, TAP, SetBackend
from spec.vhost.device import Descriptor
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import ReadMessage, WriteMessage
from spec.vhost.observe import ObserveMaps
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.queue_io import Kick, Offer, Packet, Transmit
from spec.vhost.ring import SetLogBase, SetRingAddresses, SetRingSize

u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
files = st.integers(-3, 63)
call = {"from_owner": st.booleans(), "readable": st.booleans()}
page_ranges = st.lists(st.tuples(st.integers(0, 2**31), st.integers(0, 100)), max_size=4).map(
    lambda starts: pages_in(tuple((first, first + more) for first, more in starts))
)
u8 = st.integers(0, 255)
plain = st.builds(Descriptor, u64, u32, st.booleans())
tables = st.lists(plain, max_size=3).map(tuple)
indirect = st.builds(Descriptor, u64, u32, st.booleans(), tables, u64)
nested = st.builds(Descriptor, u64, u32, st.booleans(), st.lists(indirect, max_size=2).map(tuple), u64)
chains = st.lists(st.one_of(plain, indirect, nested), max_size=3).map(tuple)

REQUESTS = {
    SetRegion: st.builds(
        SetRegion,
        **call,
        slot=u32,
        flags=u32,
        gpa=u64,
        size=u64,
        hva=u64,
        version=st.sampled_from([1, 2]),
        memfd=files,
        memfd_offset=u64,
    ),
    CreateGuestMemfd: st.builds(CreateGuestMemfd, **call, file=files, size=u64, flags=u64),
    GetDirtyLog: st.builds(GetDirtyLog, **call, slot=u32, buffer_ok=st.booleans()),
    ClearDirtyLog: st.builds(
        ClearDirtyLog,
        **call,
        slot=u32,
        buffer_ok=st.booleans(),
        first_page=u64,
        num_pages=u32,
        cleared=page_ranges,
    ),
    EnableManualProtect: st.builds(EnableManualProtect, **call, options=u64, flags=u32),
    EnableDirtyRing: st.builds(EnableDirtyRing, **call, size=u64),
    GuestWrite: st.builds(GuestWrite, gpa=u64, length=u64),
    VcpuRead: st.builds(VcpuRead, gpa=u64),
    VcpuWrite: st.builds(VcpuWrite, gpa=u64),
    Lookup: st.builds(Lookup, space=u32, gpa=u64, write=st.booleans()),
    FindSlot: st.builds(FindSlot, slot=u32),
    HvaRange: st.builds(HvaRange, first=u64, last=u64),
    Observe: st.just(Observe()),
    SetOwner: st.just(SetOwner()),
    ResetOwner: st.builds(ResetOwner, st.booleans()),
    SetFeatures: st.builds(SetFeatures, u64, st.booleans()),
    SetBackendFeatures: st.builds(SetBackendFeatures, u64, st.booleans()),
    SetMemTable: st.builds(
        SetMemTable,
        **call,
        regions=st.lists(st.builds(Region, u64, u64, u64), max_size=3).map(tuple),
        padding=u32,
        regions_readable=st.booleans(),
    ),
    SetLogBase: st.builds(SetLogBase, **call, base=u64),
    SetRingSize: st.builds(SetRingSize, **call, queue=u32, size=u32),
    SetRingAddresses: st.builds(SetRingAddresses, **call, queue=u32, flags=u32, desc=u64, used=u64, avail=u64, log=u64),
    SetBackend: st.builds(SetBackend, **call, queue=u32, backend=st.sampled_from([TAP, NONE, NO_SOCKET])),
    WriteMessage: st.builds(WriteMessage, u32, u32, u8, u64, u64, u64, u8, u32),
    ReadMessage: st.builds(ReadMessage, u64),
    Transmit: st.builds(Transmit, chains),
    Offer: st.builds(Offer, chains),
    Packet: st.builds(Packet, u64),
    Kick: st.builds(Kick, u32),
    ObserveMaps: st.just(ObserveMaps()),
}
trials = st.lists(
    st.builds(
        Trial,
        id=st.text("0123456789abcdef", min_size=1, max_size=40),
        requests=st.lists(st.one_of(*REQUESTS.values()), max_size=6).map(tuple),
    ),
    max_size=5,
)
events = st.one_of(
    st.builds(SentBytes, u64, u64),
    st.builds(ReceivedAt, st.lists(st.tuples(u64, u64), max_size=3).map(tuple)),
    st.just(MissSeen()),
    st.builds(ErrorSeen, st.sampled_from([None, "EFAULT", "EOPNOTSUPP", "ENOBUFS"])),
)
runs = st.builds(Ran, st.lists(events, max_size=4).map(tuple), page_ranges)
results = st.lists(
    st.one_of(
        st.just(Done()),
        st.sampled_from(["EINVAL", "EEXIST", "ENOTTY", "EFAULT"]).map(Refused),
        st.builds(DirtyPages, page_ranges, u64),
        st.builds(
            Written,
            st.lists(st.builds(Segment, u64, u64, u64), max_size=3).map(tuple),
            st.sampled_from([None, Refused("EFAULT")]),
        ),
        st.builds(Touched, u64),
        st.builds(Mmio, u64),
        st.just(Unobservable(flat.NO_QUERY)),
        runs,
        st.builds(MessageTaken, u64, runs),
        st.builds(MissRead, u64, u64, u64),
        st.just(NothingRead()),
    ),
    max_size=6,
)


def test_every_operation_has_a_flat_form() -> None:
    assert {operation.request for operation in OPERATIONS} - set(FOREIGN) == set(flat.ENCODERS) == set(REQUESTS)
    for request in FOREIGN:
        with pytest.raises(Unsuitable, match="Linux has no call"):
            flat.encode_step(request())


@given(trials)
def test_vectors_come_back_as_they_went(written: list[Trial]) -> None:
    assert flat.decode(flat.encode(written)) == written


@given(results)
def test_results_come_back_as_they_went(written: list[object]) -> None:
    payload = b"".join(flat.encode_result(result) for result in written)  # type: ignore[arg-type]
    assert list(flat.decode_results(payload)) == written


@given(st.lists(st.tuples(st.integers(1, 8), u32, st.binary(max_size=50)), max_size=5), st.integers(1, 40))
def test_frames_come_back_however_the_bytes_arrive(sent: list[tuple[int, int, bytes]], portion: int) -> None:
    frames = [flat.Frame(*frame) for frame in sent]
    line = b"".join(flat.encode_frame(frame) for frame in frames)
    reader = flat.FrameReader()
    came = [frame for at in range(0, len(line), portion) for frame in reader.feed(line[at : at + portion])]
    assert came == frames
    assert reader.pending() == 0


@given(st.binary(max_size=60), st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_in_a_frame_is_seen(payload: bytes, where: int, bits: int) -> None:
    line = bytearray(flat.encode_frame(flat.Frame(flat.RESULTS, 7, payload)))
    line[where % len(line)] ^= bits
    reader = flat.FrameReader()
    try:
        frames = list(reader.feed(bytes(line)))
    except Garbled:
        return
    # A longer length is waited for; the end of the line then shows that the frame never came.
    assert frames == [] and reader.pending() > 0


@pytest.mark.parametrize(
    "request_",
    [
        SetRegion(slot=2**32),
        SetRegion(flags=2**32),
        SetRegion(gpa=2**64),
        SetRegion(gpa=-1),
        SetRegion(version=3),
        ClearDirtyLog(num_pages=2**32),
        object(),
    ],
)
def test_what_the_kernel_has_no_room_for_is_unsuitable(request_: object) -> None:
    with pytest.raises(Unsuitable):
        flat.encode_step(request_)


GOOD = flat.encode([Trial("0a", (SetRegion(size=4096), ClearDirtyLog(num_pages=64, cleared=pages_in(((0, 3),)))))])

MALFORMED = {
    "empty": b"",
    "short": GOOD[:10],
    "magic": b"X" + GOOD[1:],
    "version": GOOD[:8] + b"\x09" + GOOD[9:],
    "cut": GOOD[:-8],
    "too long": GOOD + b"\0" * 8,
    "operation": GOOD.replace(b"\x01\x03\0\0", b"\x63\x03\0\0", 1),
    "more vectors": GOOD[:12] + b"\x02" + GOOD[13:],
    "more steps": GOOD[:84] + b"\x07" + GOOD[85:],
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_refused_in_python(case: str) -> None:
    with pytest.raises(Garbled):
        flat.decode(MALFORMED[case])


@pytest.mark.slow
@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_refused_by_the_guest_program(case: str, tmp_path: Path) -> None:
    file = tmp_path / "vectors"
    file.write_bytes(MALFORMED[case])
    done = subprocess.run([str(guest_program()), str(file)], check=False, capture_output=True, timeout=20)
    assert done.returncode == 2
    assert b"gpaspec-guest: " in done.stderr
    (frame,) = flat.FrameReader().feed(done.stdout)
    assert frame.kind == flat.FATAL and str(file) in frame.payload.decode()


@settings(max_examples=200)
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_changed_byte_in_a_file_never_breaks_the_decoder(where: int, bits: int) -> None:
    changed = bytearray(GOOD)
    changed[where] ^= bits
    try:
        decoded = flat.decode(bytes(changed))
    except Garbled:
        return
    assert all(dataclasses.is_dataclass(request) for trial in decoded for request in trial.requests)


@pytest.mark.parametrize("payload", [b"\x01", flat.RESULT.pack(99, 0, 0, 0), flat.RESULT.pack(flat.TOUCHED, 0, 0, 0)])
def test_garbled_results_are_refused(payload: bytes) -> None:
    with pytest.raises(Garbled):
        flat.decode_results(payload)
