"""For each two rules that one request can break together: which error wins.

The search is that of `conformance.generate.pair_search`. That no pair was missed is what
`tests/conformance/test_vectors.py` checks against the proofs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from conformance.backings import place
from conformance.generate import pair_search
from conformance.generate.build import Draft, broken_rules, state_after
from conformance.generate.by_rule import CANARY, CREATE, FILE, LOGGED, NEIGHBOUR, ON_FILE
from conformance.generate.cases import family_of
from conformance.generate.pair_search import MOST_FIELDS, Example, Pair, Search, Situation
from conformance.generate.readback import read_back
from spec.memslots.access import GuestWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.slot import FILE_OF_ANOTHER_VM, GUEST_MEMFD, NO_FILE, NOT_A_GUEST_MEMFD, READONLY
from spec.pages import NO_PAGES
from spec.profile import Profile
from spec.step import operation_of
from spec.units import PAGE_SIZE, U64_MAX

P = PAGE_SIZE
SPACE = 2**16


def situations(p: Profile) -> list[Situation]:
    beside = (CANARY, NEIGHBOUR)
    read_only = replace(CREATE, flags=READONLY)
    found = [
        Situation(beside, CREATE),
        Situation((*beside, CREATE), CREATE),
        Situation((*beside, CREATE), replace(CREATE, gpa=20 * P)),
        Situation((*beside, CREATE), replace(CREATE, size=0)),
        Situation((*beside, read_only), read_only),
        Situation((CANARY, LOGGED), GetDirtyLog(slot=1)),
        Situation((CANARY, NEIGHBOUR, LOGGED), ClearDirtyLog(slot=1, num_pages=2)),
        Situation((CANARY,), EnableManualProtect(options=1)),
        Situation((CANARY,), CreateGuestMemfd(size=P)),
        Situation((CANARY,), EnableDirtyRing(size=2**16)),
        Situation((CANARY, GuestWrite(gpa=P)), EnableDirtyRing(size=2**16)),
    ]
    if not p.region2:
        found.append(Situation(beside, replace(CREATE, version=2, flags=GUEST_MEMFD)))
    if p.dirty_ring:
        ring = EnableDirtyRing(size=2**16)
        found += [
            Situation((CANARY, LOGGED, ring), GetDirtyLog(slot=1)),
            Situation((CANARY, NEIGHBOUR, LOGGED, ring), ClearDirtyLog(slot=1, num_pages=2)),
            Situation((CANARY, ring), ring),
            Situation((CANARY, ring, GuestWrite(gpa=P)), ring),
        ]
    if p.guest_memfd == "bind":
        taken = (*beside, FILE, replace(ON_FILE, slot=3, gpa=48 * P, memfd_offset=4 * P))
        found += [
            Situation(taken, ON_FILE),
            Situation((*taken, ON_FILE), ON_FILE),
            Situation((*taken, CREATE), replace(CREATE, version=2, memfd=0)),
            Situation((*taken, ON_FILE), replace(ON_FILE, size=0)),
        ]
    return found


def values(p: Profile, name: str, request: Any) -> Sequence[Any]:
    """A few values of a field: the good one is the request's own."""
    end = (p.max_gfn + 1) * P if p.max_gfn is not None else 2**63
    kind = operation_of(request).name
    if kind == "enable_dirty_ring" and name == "size":
        return (1, 3, 2**10, 3 * 2**20, 2**21)
    if kind == "create_guest_memfd" and name in ("size", "flags"):
        return (0, 1, 2**63) if name == "size" else (2**31,)
    pool: dict[str, Sequence[Any]] = {
        "from_owner": (False,),
        "readable": (False,),
        "buffer_ok": (False,),
        "slot": (2, 4, p.user_slots, p.address_spaces * SPACE + 1, p.address_spaces * SPACE + p.user_slots),
        "flags": (1, 2, 4, 5, 8, 12),
        "gpa": (1, 32 * P, 32 * P + 1, end - P, end, 2**64 - P, U64_MAX),
        "size": (0, 1, P, P + 1, 5 * P, 32 * P, 2**31 * P, 2**64 - P, U64_MAX),
        "hva": (1, place("C", 0), p.user_limit, 2**63, U64_MAX),
        "version": (1, 2),
        "memfd": (NO_FILE, NOT_A_GUEST_MEMFD, FILE_OF_ANOTHER_VM, 0),
        "memfd_offset": (1, 4 * P, 4 * P + 1, 15 * P, 2**64 - P, U64_MAX),
        "first_page": (1, 64, 65, 2**63, U64_MAX),
        "num_pages": (0, 1, 64, 65, 2**32 - 1),
        "options": (2, 2**63),
    }
    return pool.get(name, ())


def without_bits(request: Any) -> Any:
    """A clear with nothing in its bitmap: the pool's counts of pages are for no bitmap in particular."""
    return replace(request, cleared=NO_PAGES) if isinstance(request, ClearDirtyLog) else request


SEARCH = Search(situations, values, without_bits)


def requests_from(p: Profile, good: Any, most_fields: int) -> Iterator[Any]:
    """The good request with up to so many fields changed."""
    return pair_search.requests_from(p, SEARCH, good, most_fields)


def examples(p: Profile, most_fields: int = MOST_FIELDS) -> dict[Pair, Example]:
    """For each pair of rules that requests of these situations break together, the request that breaks fewest."""
    return pair_search.examples(p, SEARCH, most_fields)


def drafts(p: Profile) -> Iterator[Draft]:
    """One vector for each pair that this profile allows."""
    for (operation, first, second), (_, _, setup, request) in sorted(examples(p).items(), key=lambda item: item[0]):
        vm = state_after(p, setup)
        broken = [rule.id for rule in broken_rules(p, vm, request)]
        also = [rule for rule in broken if rule not in (first, second)]
        others = f", and also {', '.join(also)}" if also else ""
        yield Draft(
            title=f"{operation}: {first} and {second} broken together",
            family=family_of(first),
            requests=(*setup, request, *read_back(vm, about=getattr(request, "slot", 0))),
            because=f"breaks {first} and {second}{others}; the first one checked wins",
            generator="precedence",
            rules=(first, second),
        )
