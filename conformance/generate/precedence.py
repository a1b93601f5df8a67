"""For each two rules that one request can break together: which error wins.

Requests are built from a good one by changing one or two fields to values of a small pool, in several situations. For
each pair of rules the request that breaks the fewest others is kept. That no pair was missed is what
`tests/conformance/test_rule_pairs.py` checks against the proofs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from conformance.backings import place
from conformance.generate.build import Draft, broken_rules, state_after
from conformance.generate.by_rule import CANARY, CREATE, FILE, LOGGED, NEIGHBOUR, ON_FILE
from conformance.generate.cases import family_of
from conformance.generate.readback import read_back
from spec.memslots.access import GuestWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.slot import FILE_OF_ANOTHER_VM, GUEST_MEMFD, NO_FILE, NOT_A_GUEST_MEMFD, READONLY, Vm
from spec.pages import NO_PAGES
from spec.profile import Profile
from spec.step import operation_of
from spec.units import PAGE_SIZE, U64_MAX

P = PAGE_SIZE
SPACE = 2**16
MOST_FIELDS = 2  # changed at the same time


@dataclass(frozen=True)
class Situation:
    """Where to start from: what was done before, and a request that could be done next."""

    setup: tuple[Any, ...]
    good: Any


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


def requests_from(p: Profile, good: Any, most_fields: int) -> Iterator[Any]:
    """The good request with up to so many fields changed."""
    names = [name for name in vars(good) if values(p, name, good)]
    for count in range(most_fields + 1):
        for chosen in combinations(names, count):
            yield from with_values(p, good, chosen)


def with_values(p: Profile, request: Any, names: Sequence[str]) -> Iterator[Any]:
    if not names:
        yield request
        return
    for value in values(p, names[0], request):
        if value != getattr(request, names[0]):
            yield from with_values(p, replace(request, **{names[0]: value}), names[1:])


Pair = tuple[str, str, str]  # operation and two rules, the one that is checked first in front
Example = tuple[int, int, tuple[Any, ...], Any]  # rules broken, fields changed, what was done before, the request


def pairs_in(operation: str, broken: Sequence[str]) -> Iterator[Pair]:
    for first, second in combinations(broken, 2):
        yield operation, first, second


def examples(p: Profile, most_fields: int = MOST_FIELDS) -> dict[Pair, Example]:
    """For each pair of rules that requests of these situations break together, the request that breaks fewest."""
    found: dict[Pair, Example] = {}
    for situation in situations(p):
        vm = state_after(p, situation.setup)
        operation = operation_of(situation.good).name
        for request in requests_from(p, situation.good, most_fields):
            consider(p, vm, situation.setup, operation, situation.good, request, found)
    return found


def consider(
    p: Profile,
    vm: Vm,
    setup: tuple[Any, ...],
    operation: str,
    good: Any,
    request: Any,
    found: dict[Pair, Example],
) -> None:
    if isinstance(request, ClearDirtyLog):
        request = replace(request, cleared=NO_PAGES)
    broken = tuple(rule.id for rule in broken_rules(p, vm, request))
    if len(broken) < 2:
        return
    changed = sum(1 for name in vars(good) if getattr(good, name) != getattr(request, name))
    for pair in pairs_in(operation, broken):
        best = found.get(pair)
        if best is None or (len(broken), changed) < best[:2]:
            found[pair] = (len(broken), changed, setup, request)


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
