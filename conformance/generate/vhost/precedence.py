"""For each two rules of the vhost line that one request can break together: which error wins.

The search is that of `conformance.generate.pair_search`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from conformance import rings
from conformance.backings import place
from conformance.generate.build import Draft, broken_rules, state_after
from conformance.generate.cases import family_of
from conformance.generate.pair_search import Example, Pair, Search, Situation, examples
from conformance.generate.vhost import readback, scene
from conformance.generate.vhost.scene import (
    FEATURES,
    IOTLB_LIVE,
    IOTLB_READY,
    LIVE,
    LOW,
    OWNED,
    READY,
    RINGS,
    STOPPED,
    P,
    table,
    update_of,
)
from spec.profile import Profile
from spec.step import step
from spec.units import U64_MAX
from spec.vhost.backend import SetBackend
from spec.vhost.device import LOG_ALL, TRANSMIT
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import WriteMessage
from spec.vhost.regions import AddRegion, RemoveRange, RemoveRegion
from spec.vhost.ring import SetLogBase, SetRingAddresses, SetRingSize

MOST_FIELDS = 3  # changed at the same time
OTHER = Region(0x20000, 2 * P, place("B", 0x3000))
HIGH = RINGS + 256 * P  # the first guest byte that a log which ends with backing R has no room for


def exact_base(p: Profile) -> int:
    """The log base with which the log ends where user memory does, when backing R is the last that it is for."""
    return p.user_limit - HIGH // P // 8


def situations(p: Profile) -> list[Situation]:
    logged = scene.logging(exact_base(p))
    small = (*STOPPED, SetLogBase(base=exact_base(p) + 1), scene.attach(TRANSMIT))
    with_base = (*READY, SetLogBase(base=rings.dirty_log()), *LIVE[2:])
    used_logged = scene.ring_addresses(TRANSMIT, flags=1, log=0)
    foreign = Region(OTHER.gpa, P, 2**63)
    most = min(p.max_regions, p.iotlb_limit)
    many = tuple(Region(0x100000 + n * P, P, place("A", n * P)) for n in range(most - 1))
    add = AddRegion(gpa=OTHER.gpa, size=OTHER.size, hva=OTHER.hva)
    found = [
        Situation(logged, table(LOW)),
        Situation(small, SetFeatures(features=FEATURES)),
        Situation(LIVE, SetBackendFeatures(features=2)),
        Situation(logged, SetLogBase(base=exact_base(p))),
        Situation(LIVE, SetRingSize(queue=TRANSMIT, size=16)),
        Situation(STOPPED, SetRingSize(queue=TRANSMIT, size=16)),
        Situation(LIVE, scene.ring_addresses(TRANSMIT)),
        Situation(with_base, used_logged),
        Situation(IOTLB_LIVE, update_of(OTHER)),
        Situation((*OWNED, SetFeatures(features=FEATURES)), update_of(OTHER)),
        Situation(LIVE, add),
        Situation(logged, add),
        Situation(scene.logging(exact_base(p), *many), add),
        Situation((*OWNED, SetMemTable(regions=(LOW,))), RemoveRegion(gpa=LOW.gpa, size=LOW.size, hva=LOW.hva)),
        Situation((*OWNED, SetMemTable(regions=(LOW,))), RemoveRange(first=0, last=LOW.gpa)),
    ]
    return [*found, *backend_situations(p, foreign)]


def backend_situations(p: Profile, foreign: Region) -> list[Situation]:
    """Everything that can be wrong when a backend comes, two things at a time."""
    attach = scene.attach(TRANSMIT)
    log_all = SetFeatures(features=FEATURES + LOG_ALL)
    owner, size, addresses = OWNED[0], STOPPED[-2], STOPPED[-1]
    wrong: dict[str, tuple[Any, Any]] = {
        "table": (table(LOW), table(LOW, foreign)),
        "no table": (table(LOW), None),
        "log": (SetLogBase(base=rings.dirty_log()), SetLogBase(base=exact_base(p) + 1)),
        "ring": (addresses, replace(addresses, used=p.user_limit)),
        "no ring": (addresses, None),
    }
    names = ((), *((name,) for name in wrong), *combinations(wrong, 2))
    found = []
    for chosen in names:
        if {"table", "no table"} <= set(chosen) or {"ring", "no ring"} <= set(chosen):
            continue
        parts = [wrong[name][1] if name in chosen else None for name in wrong]
        usual = [
            wrong["table"][0] if not {"table", "no table"} & set(chosen) else None,
            wrong["log"][0] if "log" not in chosen else None,
            wrong["ring"][0] if not {"ring", "no ring"} & set(chosen) else None,
        ]
        setup = (owner, log_all, size, *(one for one in (*usual, *parts) if one is not None))
        found.append(Situation(setup, attach))
    found.append(Situation((*IOTLB_READY[:3], *scene.ring(TRANSMIT, True)), attach))
    in_iotlb = (*IOTLB_READY[:2], table(foreign), *scene.ring(TRANSMIT, True))
    return [*found, Situation(in_iotlb, attach)]


def tables(p: Profile) -> list[tuple[Region, ...]]:
    """Tables with everything that can be wrong with one, in every combination of up to three."""
    wrong: dict[str, tuple[Region, ...]] = {
        "empty": (replace(OTHER, size=0),),
        "wraps": (Region(2**64 - P, 2 * P, OTHER.hva),),
        "foreign": (replace(OTHER, hva=2**63),),
        "not logged": (replace(OTHER, gpa=HIGH),),
        "more than can be held": tuple(Region(0x100000 + n * P, P, place("A", n * P)) for n in range(p.iotlb_limit + 1))
        if p.iotlb_limit < p.max_regions
        else (),
        "too many": tuple(Region(0x100000 + n * P, P, place("A", n * P)) for n in range(p.max_regions + 1)),
    }
    found = []
    for count in (1, 2, 3):
        for chosen in combinations(wrong, count):
            found.append(tuple(region for name in chosen for region in wrong[name]))
    return found


def values(p: Profile, name: str, request: Any) -> Sequence[Any]:
    """A few values of a field: the good one is the request's own."""
    if name == "regions":
        return tables(p)
    by_request: dict[tuple[type, str], Sequence[Any]] = {
        (SetFeatures, "features"): (FEATURES + 2**63, FEATURES + LOG_ALL, FEATURES + LOG_ALL + 2**63),
        (SetBackendFeatures, "features"): (1,),
        (SetRingSize, "size"): (0, 3),
        (WriteMessage, "size"): (0, 1, U64_MAX),
        (WriteMessage, "length"): (0, 39),
        (WriteMessage, "framing"): (0,),
        (WriteMessage, "kind"): (3, 9),
        (WriteMessage, "iova"): (U64_MAX,),
        (WriteMessage, "uaddr"): (2**63, U64_MAX),
        (WriteMessage, "perm"): (0,),
        (AddRegion, "size"): (0,),
        (AddRegion, "gpa"): (HIGH, U64_MAX),
        (AddRegion, "hva"): (2**63,),
        (RemoveRegion, "gpa"): (0,),
        (RemoveRange, "first"): (U64_MAX,),
        (SetRingAddresses, "flags"): (2, 1, 3),
        (SetRingAddresses, "desc"): (2**63,),
        (SetRingAddresses, "used"): (1,),
        (SetRingAddresses, "log"): (2**63, 1),
        (SetLogBase, "base"): (2**63,),
        (SetBackend, "backend"): ("no-socket", "none"),
    }
    pool: dict[str, Sequence[Any]] = {
        "from_owner": (False,),
        "readable": (False,),
        "regions_readable": (False,),
        "padding": (1,),
        "queue": (2,),
    }
    return by_request.get((type(request), name)) or pool.get(name, ())


SEARCH = Search(situations, values)


def all_examples(p: Profile) -> dict[Pair, Example]:
    """For each pair of rules that requests of these situations break together, the request that breaks fewest."""
    return examples(p, SEARCH, MOST_FIELDS)


def drafts(p: Profile) -> Iterator[Draft]:
    """One vector for each pair that this profile allows."""
    found = all_examples(p)
    for (operation, first, second), (_, _, setup, request) in sorted(found.items(), key=lambda item: item[0]):
        state = state_after(p, setup)
        broken = [rule.id for rule in broken_rules(p, state, request)]
        also = [rule for rule in broken if rule not in (first, second)]
        others = f", and also {', '.join(also)}" if also else ""
        look = readback.translated if isinstance(request, AddRegion | RemoveRegion | RemoveRange) else readback.observed
        yield Draft(
            title=f"{operation}: {first} and {second} broken together",
            family=family_of(first),
            requests=(*setup, request, *look(p, step(p, state, request)[0], request)),
            because=f"breaks {first} and {second}{others}; the first one checked wins",
            generator="precedence",
            rules=(first, second),
        )
