"""Ranges that begin and end at, before and behind the ends of entries, over every layout of entries.

Libraries are asked for all of them, many in a vector. Devices are sent those that can be had, many packets in a
vector; each that cannot be had gets a vector of its own, in which userspace then maps what was missing, and the chain
that was stuck goes out after all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from conformance.backings import place
from conformance.generate.boundary import in_parts
from conformance.generate.build import Draft, rules_met, state_after
from conformance.generate.vhost import readback, scene
from conformance.generate.vhost.answering import answered
from conformance.generate.vhost.layouts import LAYOUTS, Layout, points
from conformance.generate.vhost.scene import iotlb_live, live, read, send, table, update_of
from spec.outcome import Faulted, Translated
from spec.profile import Profile
from spec.step import step
from spec.units import U32_MAX, U64_MAX
from spec.vhost.address_map import READ, WRITE
from spec.vhost.device import Device
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.observe import ObserveMaps
from spec.vhost.queue_io import Kick, Transmit
from spec.vhost.translate import Translate, translation

MOST_SENT = 12  # packets in one vector
MOST_STOPPED = 3  # vectors of a layout whose packet stops
LONG = (0, 4095, 4096, 2**16, 2**32 - 1, 2**32, 2**63, U64_MAX)


def drafts(p: Profile) -> Iterator[Draft]:
    for layout in LAYOUTS:
        if len(layout.regions) + 1 > min(p.max_regions, p.iotlb_limit):
            continue
        for iotlb in (False, True):
            yield from library_sweep(p, layout, iotlb)
            yield from device_sweep(p, layout, iotlb)
    yield from permissions(p)


def ranges(layout: Layout) -> list[tuple[int, int]]:
    """(address, length) of every range from one point to another, and of no bytes, and of very many."""
    ends = points(layout)
    found = [(first, last - first + 1) for first in ends for last in ends if first <= last]
    found += [(address, 0) for address in ends[:3]]
    found += [(address, length) for address in ends[1:2] + ends[-1:] for length in LONG]
    return [(address, length) for address, length in dict.fromkeys(found) if length <= U64_MAX]


def family(iotlb: bool) -> str:
    return "XLATE.IN_IOTLB" if iotlb else "XLATE.MAPPED"


def mode(iotlb: bool) -> str:
    return "by an IOTLB" if iotlb else "by a memory table"


def library_setup(layout: Layout, iotlb: bool) -> tuple[Any, ...]:
    if iotlb:
        return (*scene.IOTLB_READY[:3], *(update_of(region) for region in layout.regions))
    return (*scene.OWNED, SetMemTable(regions=layout.regions))


def library_sweep(p: Profile, layout: Layout, iotlb: bool) -> Iterator[Draft]:
    """All ranges, with all the room there is; then those over several entries with less."""
    setup = library_setup(layout, iotlb)
    device = state_after(p, setup)
    attempts: list[Translate] = []
    for number, (addr, length) in enumerate(ranges(layout)):
        request = Translate(addr=addr, length=length, access=WRITE if number % 3 == 1 else READ)
        attempts.append(request)
        answer = step(p, device, request)[1]
        if isinstance(answer, Translated) and len(answer.segments) > 1:
            needed = len(answer.segments)
            attempts += [replace(request, room=room) for room in (needed, needed - 1, 0)]
    for part in in_parts(attempts, 60):
        yield Draft(
            f"{layout.name}: ranges over it {mode(iotlb)}",
            family(iotlb),
            (*setup, *part, ObserveMaps()),
            "every range between the ends of entries, and a byte to either side",
            "boundary",
        )


def device_sweep(p: Profile, layout: Layout, iotlb: bool) -> Iterator[Draft]:
    regions = layout.regions
    setup = iotlb_live(*(update_of(region) for region in regions)) if iotlb else live(*regions)
    device = state_after(p, setup)
    good: list[Transmit] = []
    stopped: dict[tuple[str, int], tuple[int, int]] = {}
    for addr, length in ranges(layout):
        if length > U32_MAX:
            continue
        answer = translation(p, device, addr, length, READ, 1024)[1]
        if isinstance(answer, Faulted):
            stopped.setdefault((answer.rule.id, min(answer.at, addr + 1)), (addr, length))
        elif length <= 8192 and readback.is_sent(p, device, send(read(addr, length))):
            good.append(send(read(addr, length)))
    for part in in_parts(good, MOST_SENT):
        yield Draft(
            f"{layout.name}: packets from it {mode(iotlb)}",
            family(iotlb),
            (*setup, *part, ObserveMaps()),
            "every range between the ends of entries that can be had",
            "boundary",
        )
    for addr, length in list(stopped.values())[:MOST_STOPPED]:
        request = send(read(addr, length))
        yield Draft(
            f"{layout.name}: a packet that stops {mode(iotlb)}",
            family(iotlb),
            (*setup, request, *repaired(p, state_after(p, (*setup, request)), layout, iotlb), ObserveMaps()),
            "what is missing is mapped, and the chain goes out",
            "boundary",
        )


def repaired(p: Profile, device: Device, layout: Layout, iotlb: bool) -> Sequence[Any]:
    """What userspace does so that a stuck chain can be had: maps what is missing, where that is possible."""
    if iotlb:
        return answered(p, device)
    one = device.queues[1].chains[0][1]
    if one.addr + one.length > 2**64 or one.length > 2**15:
        return ()
    spare = Region(one.addr, one.length, place("B", 0xC0000))
    return (table(*layout.regions[: p.max_regions - 2], spare), Kick(queue=1))


def permissions(p: Profile) -> Iterator[Draft]:
    """Entries of an IOTLB that permit different things, beside and over each other, for either access."""
    if p.iotlb_limit < 8:
        return
    some = ("beside each other", "three entries in a row", "over the end", "range twice")
    for layout in (one for one in LAYOUTS if any(word in one.name for word in some)):
        for first in range(4):
            for second in range(4):
                updates = [update_of(one, (first, second)[n % 2]) for n, one in enumerate(layout.regions)]
                setup = (*scene.IOTLB_READY[:3], *updates)
                attempts = [
                    Translate(addr=addr, length=length, access=access)
                    for addr, length in ranges(layout)
                    if length < 4096
                    for access in (READ, WRITE)
                ]
                yield Draft(
                    f"{layout.name}, which permit {first} and {second}",
                    "XLATE.PERMITTED",
                    (*setup, *attempts[:: max(1, len(attempts) // 40)], ObserveMaps()),
                    "the entry that counts says what is permitted; no other is asked",
                    "boundary",
                )
                yield from permitted_packets(p, layout, (first, second))


def permitted_packets(p: Profile, layout: Layout, perms: tuple[int, int]) -> Iterator[Draft]:
    setup = iotlb_live(*(update_of(one, perms[n % 2]) for n, one in enumerate(layout.regions)))
    device = state_after(p, setup)
    tries = [send(read(addr, length)) for addr, length in ranges(layout) if 0 < length < 4096]
    good = [request for request in tries if readback.is_sent(p, device, request)]
    refused = [request for request in tries if rules_met(step(p, device, request)[1]) == ("XLATE.PERMITTED",)]
    requests = [*good[:: max(1, len(good) // 4)], *refused[len(refused) // 2 :][:1]]
    if requests:
        yield Draft(
            f"{layout.name}, which permit {perms[0]} and {perms[1]}: packets",
            "XLATE.PERMITTED",
            (*setup, *requests, ObserveMaps()),
            "the entry that counts says what is permitted; no other is asked",
            "boundary",
        )
