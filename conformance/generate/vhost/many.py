"""Stories of many: of more entries, segments and misses than an implementation may have thought of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conformance.generate.build import Draft
from conformance.generate.cases import family_of
from conformance.generate.vhost.libraries import INTO, NEXT, OWNER, PAGE, SEEN, A, B, C, D, ask, full, span, table
from conformance.generate.vhost.scene import invalidate, update
from spec.profile import Profile
from spec.vhost.address_map import WRITE
from spec.vhost.features import SetBackendFeatures
from spec.vhost.owner import ResetOwner
from spec.vhost.translate import MOST_SEGMENTS

SMALL = 0x40  # bytes of an entry of which there are many
FIRST = 0x100000  # where a row of entries begins


def row(count: int) -> list[Any]:
    """Updates of `count` small entries, each beginning where another ends; those in the middle come first."""
    order = sorted(range(count), key=lambda n: (abs(2 * n - count), n))
    return [update(FIRST + SMALL * n, SMALL, (A, B, C, D)[n % 4] + SMALL * n) for n in order]


def drafts(p: Profile) -> Iterator[Draft]:
    for group in (segments, entries, misses, uses):
        for title, (rule, requests) in group(p).items():
            because = "what is right for few may be wrong for many"
            yield Draft(title, family_of(rule), tuple(requests), because, "library")


Stories = dict[str, tuple[str, list[Any]]]


def segments(p: Profile) -> Stories:
    """Room for exactly as many segments as there are, for one less, and for one more."""
    found: Stories = {}
    for count in (9, 17, 33, 65, 257, MOST_SEGMENTS):
        if count >= p.iotlb_limit:
            continue
        size = SMALL * count
        found[f"{count} segments, and room for one less"] = (
            "XLATE.ROOM",
            [
                INTO,
                *row(count),
                ask(FIRST, size, room=count - 1),
                ask(FIRST, size, room=count),
                ask(FIRST + 1, size - 2, access=WRITE, room=count),
                ask(FIRST, size - SMALL, room=count - 1),
            ],
        )
    if p.iotlb_limit > 65:
        size = 65 * SMALL
        found["65 segments and a byte that is missing"] = (
            "XLATE.IN_IOTLB",
            [INTO, *row(65), ask(FIRST, size + 1, room=66), ask(FIRST, size + 1, room=65), ask(FIRST - 1, size), NEXT],
        )
    if min(p.max_regions, p.iotlb_limit) >= 32:
        regions = [(FIRST + SMALL * n, SMALL, (A, B, C, D)[n % 4] + SMALL * n) for n in range(p.max_regions)]
        size = SMALL * len(regions)
        asks = [ask(FIRST, size, room=len(regions) - less) for less in (0, 1)]
        found["a full table in one translation"] = ("XLATE.ROOM", [OWNER, table(*regions), *asks])
    return found


def entries(p: Profile) -> Stories:
    """Many entries that go at once, and some that stay between and around them."""
    if p.iotlb_limit < 64:
        return {}
    pages = full(28)  # 0x10000, 0x20000, … 0x1c0000
    found: Stories = {
        "an invalidation takes 24 of 28 entries": (
            "IOTLB.INVALIDATE",
            [INTO, *pages, invalidate(0x30FFF, 0x1A0000 - 0x30FFF + 1), SEEN, ask(0x30000), ask(0x1A0000)],
        ),
        "an invalidation takes every entry of 28": ("IOTLB.INVALIDATE", [INTO, *pages, invalidate(0, 2**63), SEEN]),
        "an invalidation over its end takes 12 entries and 12": (
            "IOTLB.INVALIDATE",
            [INTO, *pages, invalidate(0x110000, 2**64 - 0x110000 + 0xC0001), SEEN],
        ),
        "an invalidation of one byte takes the 20 of 22 entries that have it": (
            "IOTLB.INVALIDATE",
            [INTO, *(update(0x10000 - 16 * n, 0x1000, A + 16 * n) for n in range(22)), invalidate(0x10EC0, 1), SEEN],
        ),
        "an invalidation leaves 20 entries between those that go": (
            "IOTLB.INVALIDATE",
            [
                INTO,
                *(update(0x10000 + 0x20 * n, 0x10 if n % 2 else 0x800, B + 0x20 * n) for n in range(40)),
                invalidate(0x106F0, 1),
                SEEN,
            ],
        ),
    }
    if p.max_regions >= 32:
        regions = [(0x10000 * (n + 1), PAGE, (A, B, C, D)[n % 4] + PAGE * n) for n in range(28)]
        found["a range takes 24 of 28 regions"] = (
            "VHOST.REGION.THERE",
            [OWNER, table(*regions), span(0x30FFF, 0x1A0000), SEEN],
        )
    return found


def misses(p: Profile) -> Stories:
    """Many misses that nobody has read."""
    places = [0x10000 * (7 * n % 20 + 1) for n in range(20)]
    asked = [ask(place, access=1 + n % 2) for n, place in enumerate(places)]
    return {
        "20 misses are read in their order": ("IOTLB.MISS.WAITING", [INTO, *asked, *[NEXT] * 20, SEEN]),
        "20 misses, read while others come": (
            "IOTLB.MISS.WAITING",
            [
                INTO,
                *asked[:12],
                *[NEXT] * 5,
                *asked[12:],
                SetBackendFeatures(features=2),
                *asked[:3],
                *[NEXT] * 18,
                SEEN,
            ],
        ),
        "20 misses are kept when the mode is entered again": (
            "VHOST.FEATURES.OFFERED",
            [INTO, *asked, *[NEXT] * 10, INTO, *[NEXT] * 10, SEEN],
        ),
        "20 misses end with the owner": (
            "VHOST.OWNER.FREE",
            [OWNER, INTO, *asked, *[NEXT] * 10, ResetOwner(), OWNER, INTO, NEXT, ask(0x10000), NEXT, SEEN],
        ),
    }


def uses(p: Profile) -> Stories:
    """A translation by four entries that came in another order, and which of them go after it."""
    if p.iotlb_limit >= 8:
        return {}
    most = p.iotlb_limit
    came = [update(FIRST + PAGE * n, PAGE, (A, B, C, D)[n % 4] + PAGE * n) for n in reversed(range(most))]
    more = [update(0x900000 + n * 0x10000, PAGE, A + n * PAGE) for n in range(most)]
    shown = [one for each in more for one in (each, SEEN)]
    return {
        "which go after a translation by all": ("IOTLB.LIMIT", [INTO, *came, ask(FIRST, most * PAGE), *shown]),
        "which go after a translation by the last two": (
            "IOTLB.LIMIT",
            [INTO, *came, ask(FIRST + (most - 2) * PAGE, 2 * PAGE), *shown],
        ),
        "which go after a translation by all, stopped by room": (
            "IOTLB.LIMIT",
            [INTO, *came, ask(FIRST, most * PAGE, room=most - 1), *shown],
        ),
        "which go after a translation by all and a byte": (
            "IOTLB.LIMIT",
            [INTO, *came, ask(FIRST, most * PAGE + 1), *shown],
        ),
    }
