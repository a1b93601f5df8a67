"""For each rule of the vhost line: requests that break it and nothing else, and the same requests repaired.

Cases for kernels end with what a real device can be asked; where maps are at stake, the same requests come a second
time for targets that translate (`conformance.generate.vhost.readback`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from conformance import rings
from conformance.backings import place
from conformance.generate import cases
from conformance.generate.build import Draft
from conformance.generate.vhost import readback, scene, stops
from conformance.generate.vhost.scene import (
    FEATURES,
    IOTLB_FEATURES,
    IOTLB_LIVE,
    IOTLB_READY,
    LIVE,
    LOW,
    OWNED,
    READY,
    RECEIVED,
    RINGS,
    STOPPED,
    P,
    table,
)
from spec.profile import Profile
from spec.units import U32_MAX, U64_MAX
from spec.vhost.backend import NO_SOCKET, SetBackend
from spec.vhost.device import LOG_ALL, RECEIVE, TRANSMIT
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import ReadMessage
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.regions import AddRegion, RemoveRange, RemoveRegion
from spec.vhost.ring import SetLogBase, SetRingAddresses, SetRingSize

GOOD_TABLE = table(LOW, RECEIVED)
OTHER = Region(0x20000, 2 * P, place("B", 0x3000))


@dataclass(frozen=True)
class Case(cases.Case):
    """A case about a vhost device: unless it says otherwise, its transmit queue is at work."""

    setup: tuple[object, ...] = LIVE


def call_cases(p: Profile) -> Iterator[Case]:
    """What all calls are checked for."""
    live = (
        GOOD_TABLE,
        SetLogBase(base=rings.dirty_log()),
        scene.ring_addresses(RECEIVE),
        SetRingSize(queue=RECEIVE, size=16),
        SetBackend(queue=TRANSMIT),
        SetBackend(queue=TRANSMIT, backend="none"),
    )
    for request in live:
        yield Case("VHOST.CALL.OWNER", request, "from_owner", False)
        yield Case("VHOST.CALL.POINTER", request, "readable", False)
        lost = (*LIVE, *scene.ring(RECEIVE), ResetOwner())
        if not isinstance(request, SetBackend):
            yield Case("VHOST.CALL.OWNER", request, setup=lost, without=len(lost) - 1, word="of a device without one")
    yield Case("VHOST.CALL.OWNER", ResetOwner(), "from_owner", False)
    yield Case("VHOST.CALL.OWNER", ResetOwner(), setup=(*LIVE, ResetOwner()), without=len(LIVE), word="twice")
    yield Case("VHOST.CALL.POINTER", SetFeatures(features=FEATURES), "readable", False)
    yield Case("VHOST.CALL.POINTER", SetBackendFeatures(features=2), "readable", False)
    yield Case("VHOST.OWNER.FREE", SetOwner(), setup=OWNED, without=0)
    yield Case("VHOST.OWNER.FREE", SetOwner(), setup=(*OWNED, ResetOwner(), SetOwner()), without=2, word="again")
    queues = (
        SetRingSize(queue=RECEIVE, size=16),
        scene.ring_addresses(RECEIVE),
        scene.detach(TRANSMIT),
    )
    for request in queues:
        for queue in (2, 3, 255, 2**31, U32_MAX):
            yield Case("VHOST.CALL.QUEUE", request, "queue", queue)


def table_cases(p: Profile) -> Iterator[Case]:
    """VHOST_SET_MEM_TABLE."""
    yield from (Case("VHOST.TABLE.PADDING", GOOD_TABLE, "padding", word) for word in (1, 2**31, U32_MAX))
    yield Case("VHOST.TABLE.POINTER", GOOD_TABLE, "regions_readable", False)
    most = min(p.max_regions, p.iotlb_limit)
    regions = tuple(Region(0x100000 + n * P, P, place("AB"[n % 2], n % 200 * P)) for n in range(70))
    full = table(*regions[: most - 1])
    rule = "VHOST.TABLE.COUNT" if p.max_regions <= p.iotlb_limit else "VHOST.TABLE.FITS"
    for count in (most, most + 4) if abs(p.max_regions - p.iotlb_limit) > 5 else (most,):
        yield Case(rule, full, "regions", (*full.regions, *regions[most - 1 : count]))
    for gpa in (0x20000, 1, U64_MAX):
        yield Case(
            "VHOST.TABLE.EMPTY",
            table(LOW, replace(OTHER, gpa=gpa, size=1)),
            "regions",
            table(LOW, replace(OTHER, gpa=gpa, size=0)).regions,
        )
    for good, gpa, size in ((2**64 - P, 2**64 - P, P + 1), (U64_MAX, U64_MAX, 2), (2**64 - 2 * P, 2**64 - P, 2 * P)):
        near = replace(OTHER, gpa=good, size=2**64 - good)
        yield Case(
            "VHOST.TABLE.WRAPS", table(LOW, near), "regions", table(LOW, replace(near, gpa=gpa, size=size)).regions
        )
    end = Region(OTHER.gpa, P, p.user_limit - P)
    for hva, size in (
        (p.user_limit - P + 1, P),
        (p.user_limit, 1),
        (2**63, P),
        (2**64 - P, P),
        (p.user_limit - P, P + 1),
    ):
        bad = table(LOW, replace(end, hva=hva, size=size))
        yield Case("VHOST.TABLE.HOST", table(LOW, end), "regions", bad.regions)
        yield Case("VHOST.TABLE.HOST", bad, setup=LIVE, without=len(LIVE) - 1, word="while a backend is attached")
    yield Case(
        "VHOST.TABLE.HOST",
        table(end),
        "regions",
        table(LOW, replace(end, hva=2**64 - P, size=2 * P)).regions,
        word="that wraps",
    )


def feature_cases(p: Profile) -> Iterator[Case]:
    """VHOST_SET_FEATURES and VHOST_SET_BACKEND_FEATURES."""
    for bit in (0, 5, 25, 41, 62, 63):
        yield Case("VHOST.FEATURES.OFFERED", SetFeatures(features=FEATURES), "features", FEATURES + 2**bit)
    for bit, offered in ((40, p.features // 2**40 % 2), (35, p.features // 2**35 % 2)):
        if not offered:
            yield Case("VHOST.FEATURES.OFFERED", SetFeatures(features=FEATURES), "features", FEATURES + 2**bit)
        else:
            word = f"with bit {bit}"
            yield Case("VHOST.FEATURES.OFFERED", SetFeatures(features=FEATURES + 2**bit), accepted=True, word=word)
    for features in (1, 3, 4, 6, 2**32, 2**63):
        yield Case("VHOST.FEATURES.MESSAGES", SetBackendFeatures(features=2), "features", features)
    for base in (p.user_limit - 1, p.user_limit, 2**63):
        small = (*STOPPED, SetLogBase(base=base), scene.attach(TRANSMIT))
        yield Case("VHOST.FEATURES.LOGGABLE", SetFeatures(features=FEATURES), "features", FEATURES + LOG_ALL, small)


def log_cases(p: Profile) -> Iterator[Case]:
    """Where the log has room. LOW's last page has bit 3 of byte 2; backing R's has bit 7 of byte 0x10020 - 1."""
    needed = (RINGS + 256 * P) // P // 8
    good = p.user_limit - needed
    for base in (good + 1, good + 2, p.user_limit, 2**63):
        logs = scene.logging(good)
        yield Case("VHOST.LOG.BASE", SetLogBase(base=good), "base", base, logs)
        late = (*READY, SetLogBase(base=base), table(LOW), *scene.ring(TRANSMIT))
        attached = (*late[:1], SetFeatures(features=FEATURES + LOG_ALL), *late[2:])
        yield Case("VHOST.BACKEND.LOG", scene.attach(TRANSMIT), setup=attached, without=1)
        high = Region(RINGS + 256 * P, P, place("B", 0))
        if base == good + 1:
            yield Case("VHOST.TABLE.LOG", table(LOW), "regions", table(LOW, high).regions, logs)
            yield Case("VHOST.TABLE.LOG", table(replace(high, gpa=0)), "regions", table(high).regions, logs)
    used_logged = scene.ring_addresses(TRANSMIT, flags=1, log=0x5000)
    with_used = (*READY, SetLogBase(base=rings.dirty_log()), *STOPPED[2:], used_logged, scene.attach(TRANSMIT))
    for base in (p.user_limit, 2**63):
        request = SetLogBase(base=rings.dirty_log())
        yield Case("VHOST.LOG.BASE", request, "base", base, with_used, word="for the used ring alone")
    # A used ring that is logged, by guest addresses for which the log has no room: 2^15 of them for each of its bytes.
    far = (p.user_limit - rings.dirty_log()) * 2**15
    if far < 2**64:
        moved = scene.ring_addresses(TRANSMIT, flags=1, log=0)
        with_log = (*READY, SetLogBase(base=rings.dirty_log()), *STOPPED[2:], scene.attach(TRANSMIT))
        for log in (far, 2**63, 2**64 - 4 * P):
            yield Case("VHOST.RING.LOG", replace(moved, log=far - 2**15), "log", log, with_log)
            unlogged = (*with_log[:-1], replace(moved, log=log))
            yield Case("VHOST.BACKEND.LOG", scene.attach(TRANSMIT), setup=unlogged, without=len(unlogged) - 1)


def ring_cases(p: Profile) -> Iterator[Case]:
    """Sizes and addresses of rings."""
    for size in (0, 3, 6, 17, 2**15 + 1, 2**15 - 1, 2**16, 2**16 + 16, 2**31, U32_MAX):
        yield Case("VHOST.RING.SIZE", SetRingSize(queue=TRANSMIT, size=16), "size", size, STOPPED)
    for size in (16, scene.RING_SIZE, 2**15):
        request = SetRingSize(queue=TRANSMIT, size=size)
        yield Case("VHOST.RING.STOPPED", request, setup=LIVE, without=len(LIVE) - 1)
    for setup in (STOPPED, LIVE):
        word = "while a backend is attached" if setup is LIVE else ""
        good = scene.ring_addresses(TRANSMIT)
        for flags in (2, 3, 4, 2**31, U32_MAX):
            yield Case("VHOST.RING.FLAGS", good, "flags", flags, setup, word=word)
        for part, odd in (("avail", (1, 3)), ("used", (1, 2, 3)), ("log", (1, 2, 3))):
            for more in odd:
                yield Case("VHOST.RING.ALIGNED", good, part, getattr(good, part) + more, setup, word=word)
    sizes = {"desc": 16 * scene.RING_SIZE, "avail": 4 + 2 * scene.RING_SIZE, "used": 4 + 8 * scene.RING_SIZE}
    for part, size in sizes.items():
        good = scene.ring_addresses(TRANSMIT)
        step = 4 if part == "used" else 2
        for address in (p.user_limit - size + step, p.user_limit, 2**63, 2**64 - 4):
            yield Case("VHOST.RING.HOST", good, part, address, LIVE)
            bad = (*STOPPED, replace(good, **{part: address}))  # type: ignore[arg-type]
            yield Case("VHOST.BACKEND.RING", scene.attach(TRANSMIT), setup=bad, without=len(bad) - 1)


def backend_cases(p: Profile) -> Iterator[Case]:
    """VHOST_NET_SET_BACKEND."""
    no_table = (*READY, *scene.ring(TRANSMIT))
    yield Case("VHOST.BACKEND.TABLE", scene.attach(TRANSMIT), setup=no_table)
    yield Case("VHOST.BACKEND.TABLE", scene.detach(TRANSMIT), setup=READY)
    end = Region(OTHER.gpa, P, p.user_limit - P)
    for hva, size in ((end.hva + 1, P), (p.user_limit, 1), (2**63, P), (2**64 - P, 2 * P)):
        foreign = (*STOPPED, table(LOW, replace(end, hva=hva, size=size)))
        yield Case("VHOST.BACKEND.TABLE", scene.attach(TRANSMIT), setup=foreign, without=len(STOPPED))
        yield Case("VHOST.BACKEND.TABLE", scene.detach(TRANSMIT), setup=foreign, without=len(STOPPED))
    for setup in (STOPPED, LIVE):
        yield Case("VHOST.BACKEND.SOCKET", scene.attach(TRANSMIT), "backend", NO_SOCKET, setup)
    stopped = (*IOTLB_READY, *scene.ring(TRANSMIT, True))
    used = scene.in_rings(rings.used_of(TRANSMIT))
    gone = (*stopped, scene.invalidate(RINGS, 1))
    yield Case("VHOST.BACKEND.USED", scene.attach(TRANSMIT), setup=gone, without=len(stopped))
    no_ring = (*STOPPED, SetRingAddresses(queue=TRANSMIT))
    yield Case("VHOST.BACKEND.USED", scene.attach(TRANSMIT), setup=no_ring, without=len(STOPPED), word="without a ring")
    around = scene.update(RINGS, used - RINGS, place("R", 0))
    index = scene.update(used + 2, 2, rings.used_of(TRANSMIT) + 2)
    for perm, word in ((1, "that can only be read"), (0, "that allows nothing")):
        flags = scene.update(used, 2, rings.used_of(TRANSMIT), perm)
        yield Case("VHOST.BACKEND.USED", scene.attach(TRANSMIT), setup=(*gone, around, flags, index), word=word)


def message_cases(p: Profile) -> Iterator[Case]:
    """What userspace writes to, and reads from, the device's file."""
    good = scene.update_of(OTHER)
    for length in (0, 1, 3):
        yield Case("IOTLB.MESSAGE.FRAMING_WORD", good, "length", length, IOTLB_LIVE, also=("IOTLB.MESSAGE.WHOLE",))
    for framing in (0, 3, 256, 2**31, U32_MAX):
        yield Case("IOTLB.MESSAGE.FRAMING", good, "framing", framing, IOTLB_LIVE)
    for framing in (1, 2):
        for length in (4, 8, 39):
            yield Case("IOTLB.MESSAGE.WHOLE", replace(good, framing=framing), "length", length, IOTLB_LIVE)
    for iova in (0x20000, 1, U64_MAX):
        yield Case("IOTLB.UPDATE.EMPTY", replace(good, iova=iova, size=1), "size", 0, IOTLB_LIVE)
    yield Case("IOTLB.UPDATE.EMPTY", replace(good, iova=0), "size", 0, IOTLB_READY, word="at address 0")
    for kind in (0, 1, 4, 5, 6, 7, 9, 128, 255):
        yield Case("IOTLB.MESSAGE.KIND", good, "kind", kind, IOTLB_LIVE)
    left = (SetOwner(), SetFeatures(features=IOTLB_FEATURES), ResetOwner())
    for request in (good, scene.invalidate(0, P)):
        yield Case("IOTLB.MESSAGE.MODE", request, setup=left, without=2)
    if p.iotlb_mode == "follows":
        plain = (SetOwner(), SetFeatures(features=IOTLB_FEATURES), SetFeatures(features=FEATURES))
        yield Case("IOTLB.MESSAGE.MODE", good, setup=plain, without=2, word="after the feature was left out")
    unusable = replace(good, perm=0)
    for uaddr in (2**64 - P, U64_MAX):
        yield Case("IOTLB.UPDATE.HOST_WRAPS", unusable, "uaddr", uaddr, IOTLB_LIVE)
    yield Case("IOTLB.UPDATE.HOST_WRAPS", replace(unusable, size=P, uaddr=2**64 - P), "size", P + 1, IOTLB_LIVE)
    end = replace(good, uaddr=p.user_limit - good.size)
    for perm in (1, 2, 3, 7):
        for uaddr in (end.uaddr + 1, p.user_limit, 2**63):
            yield Case("IOTLB.UPDATE.HOST", replace(end, perm=perm), "uaddr", uaddr, IOTLB_LIVE)
    for perm in (1, 2, 3, 255):
        foreign = replace(good, uaddr=2**63, perm=0)
        yield Case("IOTLB.UPDATE.HOST", foreign, "perm", perm, IOTLB_LIVE, word="but for an entry of no use")
    for iova in (2**64 - P, U64_MAX):
        yield Case("IOTLB.UPDATE.WRAPS", replace(good, iova=2**64 - 2 * P), "iova", iova, IOTLB_LIVE)
    yield Case("IOTLB.UPDATE.WRAPS", replace(good, iova=U64_MAX, size=1), "size", 2, IOTLB_LIVE)
    for length in (72, 73, 4096):
        yield Case("IOTLB.MISS.WAITING", ReadMessage(length=71), "length", length, IOTLB_LIVE)
    missing = (*IOTLB_LIVE, scene.send(scene.read(OTHER.gpa, 16)), ReadMessage())
    yield Case("IOTLB.MISS.WAITING", ReadMessage(), setup=missing, without=len(missing) - 1, word="a second time")


def added(region: Region) -> AddRegion:
    return AddRegion(gpa=region.gpa, size=region.size, hva=region.hva)


def region_cases(p: Profile) -> Iterator[Case]:
    """One region at a time. Linux has no call for it."""
    setup = (*OWNED, SetMemTable(regions=(LOW, RECEIVED)))
    add = added(OTHER)
    remove = RemoveRegion(gpa=LOW.gpa, size=LOW.size, hva=LOW.hva)
    span = RemoveRange(first=0, last=LOW.gpa)
    for request in (add, remove, span):
        yield Case("VHOST.CALL.OWNER", request, "from_owner", False, setup)
    yield Case("VHOST.TABLE.EMPTY", add, "size", 0, setup)
    yield Case("VHOST.TABLE.WRAPS", replace(add, gpa=2**64 - 2 * P), "gpa", 2**64 - P, setup)
    yield Case("VHOST.TABLE.WRAPS", replace(add, gpa=U64_MAX, size=1), "size", 2, setup)
    most = min(p.max_regions, p.iotlb_limit)
    many = tuple(Region(0x100000 + n * P, P, place("AB"[n % 2], n * P)) for n in range(most))
    full = (*OWNED, SetMemTable(regions=many[:-1]), added(many[-1]))
    yield Case("VHOST.REGION.ROOM", add, setup=full, without=2)
    for name, values in (("gpa", (LOW.gpa + 1, LOW.gpa - 1)), ("size", (LOW.size - 1, LOW.size + 1, 0)), ("hva", (0,))):
        for value in values:
            yield Case("VHOST.REGION.THERE", remove, name, value, setup)
    yield Case("VHOST.REGION.THERE", remove, setup=(*setup, remove), without=2, word="twice")
    for last in (0, LOW.gpa - 1):
        yield Case("VHOST.REGION.ORDERED", replace(span, first=LOW.gpa, last=LOW.gpa), "last", last, setup)
    end = replace(add, size=P, hva=p.user_limit - P)
    for hva in (end.hva + 1, p.user_limit, 2**63):
        yield Case("VHOST.TABLE.HOST", end, "hva", hva, LIVE)
    base = p.user_limit - (RINGS + 256 * P) // P // 8
    logs = scene.logging(base)
    yield Case("VHOST.TABLE.LOG", add, "gpa", RINGS + 256 * P, logs)


GROUPS: tuple[Callable[[Profile], Iterator[Case]], ...] = (
    call_cases,
    table_cases,
    feature_cases,
    log_cases,
    ring_cases,
    backend_cases,
    message_cases,
)
# Their cases come, or come again, for targets that translate.
FOR_LIBRARIES: tuple[Callable[[Profile], Iterator[Case]], ...] = (table_cases, message_cases, region_cases)


def without_rings(case: Case) -> Case:
    """The case for targets that have no rings, where it does without them."""
    if case.rule not in ("VHOST.TABLE.HOST", "VHOST.TABLE.LOG"):
        if case.setup is LIVE:
            return replace(case, setup=STOPPED[:3])
        if case.setup is IOTLB_LIVE:
            return replace(case, setup=IOTLB_READY)
    return case


def drafts(profile: Profile) -> Iterator[Draft]:
    """A bad and a repaired vector for each case that this profile has."""
    for group in GROUPS:
        for case in group(profile):
            yield from cases.drafts_of(profile, case, readback.observed)
    for group in FOR_LIBRARIES:
        for case in group(profile):
            yield from cases.drafts_of(profile, without_rings(case), readback.translated)
    yield from stops.drafts(profile)
