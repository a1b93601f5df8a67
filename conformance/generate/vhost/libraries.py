"""Stories for targets that have maps and messages and no rings: each is one thing that an implementation gets wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from conformance.backings import place
from conformance.generate.build import Draft
from conformance.generate.cases import family_of
from conformance.generate.vhost.scene import IOTLB_FEATURES, invalidate, update
from spec.profile import Profile
from spec.units import U64_MAX
from spec.vhost.address_map import READ, WRITE
from spec.vhost.device import VERSION_1
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import ReadMessage
from spec.vhost.observe import ObserveMaps
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.regions import AddRegion, RemoveRange, RemoveRegion
from spec.vhost.translate import Translate

A, B, C, D = (place(name, 0) for name in "ABCD")
PAGE = 0x1000
TOP = 2**64 - PAGE
OWNER, SEEN, NEXT = SetOwner(), ObserveMaps(), ReadMessage()
INTO, OUT_OF = SetFeatures(features=IOTLB_FEATURES), SetFeatures(features=VERSION_1)


def table(*regions: tuple[int, int, int]) -> SetMemTable:
    return SetMemTable(regions=tuple(Region(*one) for one in regions))


def ask(addr: int, length: int = 1, access: int = READ, **more: int) -> Translate:
    return Translate(addr=addr, length=length, access=access, **more)


def add(gpa: int, size: int, hva: int) -> AddRegion:
    return AddRegion(gpa=gpa, size=size, hva=hva)


def remove(gpa: int, size: int, hva: int) -> RemoveRegion:
    return RemoveRegion(gpa=gpa, size=size, hva=hva)


def span(first: int, last: int) -> RemoveRange:
    return RemoveRange(first=first, last=last)


def full(count: int) -> list[Any]:
    """Updates of `count` pages, apart."""
    return [update(0x10000 * (n + 1), PAGE, (A, B, C, D)[n % 4] + n // 4 * PAGE) for n in range(count)]


def drafts(p: Profile) -> Iterator[Draft]:
    for group in (lookups, removals, tables, messages, permissions, modes, lives):
        for title, (rule, requests) in group(p).items():
            because = "a mistake that implementations make shows here"
            yield Draft(title, family_of(rule), (*requests, SEEN), because, "library")


Stories = dict[str, tuple[str, list[Any]]]


def lookups(p: Profile) -> Stories:
    over = table((0x10000, 8 * PAGE, A), (0x11000, PAGE, B), (0x14000, PAGE, C))
    ends = table((0, PAGE, A), (TOP, PAGE, B))
    two = (2**64 - 2 * PAGE, PAGE, A), (TOP, PAGE, B)
    return {
        "of equal starts the one listed first counts, also where it is the shorter one": (
            "XLATE.MAPPED",
            [OWNER, table((0x10000, PAGE, A), (0x10000, 4 * PAGE, B)), SEEN, ask(0x10000, 4 * PAGE)],
        ),
        "of equal starts in an IOTLB the one that came first counts": (
            "XLATE.IN_IOTLB",
            [INTO, update(0x10000, PAGE, A), update(0x10000, 4 * PAGE, B), ask(0x10000, 4 * PAGE)],
        ),
        "an early entry reaches over later ones": (
            "XLATE.MAPPED",
            [OWNER, over, ask(0x13000, PAGE), ask(0x15000, 3 * PAGE), ask(0x17FFF, 2)],
        ),
        "past the last address there is nothing, though 0 is mapped": (
            "XLATE.LAST_ADDRESS",
            [OWNER, ends, ask(TOP + 0x800, PAGE), ask(TOP, PAGE), ask(U64_MAX, 2)],
        ),
        "past the last address nothing is asked for": (
            "XLATE.LAST_ADDRESS",
            [INTO, update(TOP, PAGE, B), ask(TOP + 0x800, PAGE), NEXT],
        ),
        "two regions at the end of the space, over their border": (
            "XLATE.LAST_ADDRESS",
            [OWNER, table(*two), ask(2**64 - 0x1040, 0x1040), ask(2**64 - 0x1040, 0x1041), ask(2**64 - 0x1001, 0x1001)],
        ),
        "two updates at the end of the space, over their border": (
            "XLATE.LAST_ADDRESS",
            [INTO, *(update(*one) for one in two), ask(2**64 - 0x1040, 0x1040), ask(2**64 - 0x1001, 2)],
        ),
        "host memory that goes on does not join segments": (
            "XLATE.MAPPED",
            [OWNER, table((0x10000, PAGE, A), (0x11000, PAGE, A + PAGE)), ask(0x10800, PAGE)],
        ),
        "the memory table does not stand in for the IOTLB": (
            "XLATE.IN_IOTLB",
            [OWNER, table((0x10000, PAGE, A)), INTO, ask(0x10000), NEXT],
        ),
        "no room where nothing is mapped": ("XLATE.ROOM", [INTO, ask(0x10000, room=0), NEXT]),
        "no room for no bytes": ("XLATE.ROOM", [INTO, ask(0x10000, 0, room=0), NEXT]),
        "room used up before a byte that is missing": (
            "XLATE.ROOM",
            [INTO, update(0x10000, PAGE, A), ask(0x10000, 2 * PAGE, room=1), NEXT],
        ),
    }


def removals(p: Profile) -> Stories:
    row = table((0x10000, 2 * PAGE, A), (0x12000, PAGE, B), (0x13000, 2 * PAGE, C))
    over = table((0x10000, 8 * PAGE, A), (0x11000, PAGE, B), (0x20000, PAGE, C))
    inside = table((0x10000, 8 * PAGE, A), (0x11000, PAGE, B), (0x14000, PAGE, C))
    thrice = table((0x10000, PAGE, A), (0x10000, PAGE, B), (0x10000, PAGE, A))
    out = remove(0x10000, PAGE, A)
    return {
        "of what reached over others nothing is left": (
            "VHOST.REGION.THERE",
            [OWNER, over, span(0x10000, 0x10000), ask(0x14000), ask(0x11000, PAGE), ask(0x20000)],
        ),
        "regions over both ends of a range go, neighbours stay": (
            "VHOST.REGION.THERE",
            [OWNER, row, span(0x11FFF, 0x12FFF)],
        ),
        "only the last byte of a range touches": (
            "VHOST.REGION.THERE",
            [OWNER, table((0x10000, PAGE, A), (0x11000, PAGE, B)), span(0xF000, 0x10000)],
        ),
        "a region between two that go stays": (
            "VHOST.REGION.THERE",
            [OWNER, inside, span(0x12000, 0x14000), SEEN, ask(0x11000, PAGE), ask(0x14000)],
        ),
        "of equal regions the first goes, and the second can be found": (
            "VHOST.REGION.THERE",
            [OWNER, thrice, out, SEEN, out, SEEN, out],
        ),
        "a region that is there is added again": (
            "VHOST.REGION.ROOM",
            [OWNER, add(0x10000, PAGE, A), add(0x10000, PAGE, A)],
        ),
        "a region may end at the last address": (
            "VHOST.REGION.ROOM",
            [OWNER, add(TOP, PAGE, A), SEEN, ask(U64_MAX), ask(U64_MAX, 2)],
        ),
        "only the owner takes ranges out": (
            "VHOST.REGION.THERE",
            [OWNER, table((0x10000, PAGE, A)), replace(span(0, U64_MAX), from_owner=False)],
        ),
        "a range is taken out of no table": ("VHOST.REGION.THERE", [OWNER, span(0, U64_MAX), ask(0)]),
        "a region is taken out of no table": ("VHOST.REGION.THERE", [OWNER, out, ask(0)]),
        "an invalidation that wraps": (
            "IOTLB.INVALIDATE",
            [INTO, update(0, PAGE, A), update(TOP, PAGE, B), update(PAGE, PAGE, C), invalidate(TOP + 0x800, PAGE)],
        ),
        "invalidations of no bytes": (
            "IOTLB.INVALIDATE",
            [INTO, update(0, PAGE, A), update(0x10000, PAGE, B), invalidate(0x10000, 0), SEEN, invalidate(0, 0)],
        ),
    }


def tables(p: Profile) -> Stories:
    first = table((0x10000, PAGE, A))
    most = min(p.max_regions, p.iotlb_limit)
    many = table(*((PAGE * n, PAGE, A + n * PAGE) for n in range(most + 1)))
    whole = table(*((PAGE * n, PAGE, A + n * PAGE) for n in range(most)))
    return {
        "a refused table leaves the one before": (
            "VHOST.TABLE.WRAPS",
            [OWNER, first, table((0x20000, PAGE, B), (TOP, PAGE + 1, C))],
        ),
        "a second table replaces the first": (
            "VHOST.TABLE.WRAPS",
            [OWNER, first, table((0x20000, PAGE, B)), SEEN, ask(0x10000)],
        ),
        "padding and too many regions": ("VHOST.TABLE.PADDING", [OWNER, replace(many, padding=1)]),
        "too many regions that cannot be read": ("VHOST.TABLE.COUNT", [OWNER, replace(many, regions_readable=False)]),
        "no regions that cannot be read": (
            "VHOST.TABLE.POINTER",
            [OWNER, first, replace(table(), regions_readable=False)],
        ),
        "an empty region for a full table": ("VHOST.REGION.ROOM", [OWNER, whole, add(0x1000000, 0, A)]),
        "a region for a full table": ("VHOST.REGION.ROOM", [OWNER, whole, add(0x1000000, 1, A), remove(0, PAGE, A)]),
        "room again in a full table": (
            "VHOST.REGION.ROOM",
            [OWNER, whole, remove(0, PAGE, A), add(0x1000000, 1, A), ask(0x1000000), ask(0)],
        ),
    }


def messages(p: Profile) -> Stories:
    found: Stories = {
        "an empty update outside IOTLB mode": ("IOTLB.UPDATE.EMPTY", [update(0x10000, 0, A)]),
        "a miss asks for the first missing byte, for the access": (
            "IOTLB.MISS.WAITING",
            [INTO, update(0x10000, PAGE, A), ask(0x10800, PAGE, WRITE), NEXT, NEXT],
        ),
        "misses are read in their order, each as often as it came": (
            "IOTLB.MISS.WAITING",
            [INTO, ask(0x20000), ask(0x10000), ask(0x10000), NEXT, NEXT, NEXT, NEXT],
        ),
        "a miss has the framing of its time": (
            "IOTLB.MISS.WAITING",
            [INTO, ask(0x20000), SetBackendFeatures(features=2), ask(0x10000), NEXT, NEXT],
        ),
        "a read without room leaves the miss": (
            "IOTLB.MISS.WAITING",
            [INTO, ask(0x20000), ReadMessage(length=71), NEXT, ReadMessage(length=71)],
        ),
        "an update does not answer what nobody has read": (
            "IOTLB.MISS.WAITING",
            [INTO, ask(0x20000), update(0x20000, PAGE, A), NEXT, NEXT],
        ),
        "no padding written": (
            "IOTLB.MESSAGE.WHOLE",
            [
                INTO,
                replace(update(0x10000, PAGE, A), length=40),
                replace(update(0x20000, PAGE, A), length=39),
            ],
        ),
    }
    if p.iotlb_limit < 8:
        most = p.iotlb_limit
        used = [ask(0x40000), *full(most + 2)[most:]]
        in_row = [update(0x10000 + n * PAGE, PAGE, (A, B, C, D)[n % 4]) for n in range(most)]
        more = [update(0x90000 + n * PAGE, PAGE, A + n * PAGE) for n in range(3)]
        shown = [one for each in more for one in (each, SEEN)]
        found |= {
            "which of a full IOTLB's entries go, one of them used": ("IOTLB.LIMIT", [INTO, *full(most), *used]),
            "which go after a translation by two of them": (
                "IOTLB.LIMIT",
                [INTO, *in_row, ask(0x10000, 2 * PAGE), *shown],
            ),
            "which goes after a translation that stopped": (
                "IOTLB.LIMIT",
                [INTO, *full(most), ask(0x10000, 2 * PAGE), more[0]],
            ),
            "a refused update gives nothing up": (
                "IOTLB.LIMIT",
                [INTO, *full(most), update(TOP, 2 * PAGE, A), SEEN, more[0]],
            ),
        }
    return found


def permissions(p: Profile) -> Stories:
    limit = p.user_limit
    return {
        "no other entry is asked for permission": (
            "XLATE.PERMITTED",
            [INTO, update(0x10000, PAGE, A, READ), update(0x10000, PAGE, B, WRITE), ask(0x10000, access=WRITE), NEXT],
        ),
        "what may be written may not be read": (
            "XLATE.PERMITTED",
            [INTO, update(0x10000, PAGE, A, WRITE), ask(0x10000), ask(0x10000, access=WRITE)],
        ),
        "bits of a permission that say nothing": (
            "XLATE.PERMITTED",
            [
                INTO,
                update(0x10000, PAGE, A, 7),
                update(0x20000, PAGE, A, 252),
                ask(0x10000, access=WRITE),
                ask(0x20000),
            ],
        ),
        "up to the user limit": (
            "IOTLB.UPDATE.HOST",
            [INTO, update(0x10000, PAGE, limit - PAGE), update(0x20000, PAGE, limit - PAGE + 1)],
        ),
        "host memory without permission": (
            "IOTLB.UPDATE.HOST",
            [INTO, update(0x10000, PAGE, limit, 0), update(0x20000, PAGE, TOP, 0), update(0x30000, PAGE + 1, TOP, 0)],
        ),
    }


def modes(p: Profile) -> Stories:
    one = update(0x10000, PAGE, A)
    return {
        "the mode is entered again": ("VHOST.FEATURES.OFFERED", [INTO, one, INTO, SEEN, ask(0x10000)]),
        "the mode is left, or stays": ("VHOST.FEATURES.OFFERED", [INTO, one, OUT_OF, SEEN, ask(0x10000)]),
        "the mode is left, or stays, with a miss": (
            "VHOST.FEATURES.OFFERED",
            [INTO, ask(0x10000), OUT_OF, SEEN, INTO, NEXT],
        ),
        "the mode is entered again with misses": (
            "VHOST.FEATURES.OFFERED",
            [INTO, ask(0x10000), ask(0x20000), NEXT, INTO, NEXT, update(0x10000, 0x20000, A), NEXT],
        ),
    }


def lives(p: Profile) -> Stories:
    return {
        "misses end with the owner": (
            "VHOST.OWNER.FREE",
            [OWNER, INTO, ask(0x10000), ResetOwner(), SEEN, INTO, NEXT],
        ),
        "the framing ends with the owner": (
            "VHOST.OWNER.FREE",
            [OWNER, INTO, SetBackendFeatures(features=2), ResetOwner(), SEEN, INTO, ask(0x10000), NEXT],
        ),
        "a table ends with the owner": (
            "VHOST.OWNER.FREE",
            [OWNER, table((0x10000, PAGE, A)), ask(0x10000), ResetOwner(), SEEN, ask(0x10000), OWNER, SEEN],
        ),
    }
