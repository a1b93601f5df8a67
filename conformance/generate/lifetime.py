"""Directed stories: what a slot, its log and its accesses go through, one thing at a time.

They reach what single requests do not: writes that cross from one slot into another, the log through moves, changes of
flags and failures, rings beside logs, files of which parts are taken and given back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations, product
from typing import Any

from conformance.backings import place
from conformance.generate.build import Draft, state_after
from conformance.generate.by_rule import CANARY, CREATE, FILE, LOGGED, NEIGHBOUR, ON_FILE, READ_ONLY, SPACE
from conformance.generate.readback import read_back
from spec.memslots.access import GuestWrite, VcpuRead, VcpuWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import HvaRange, Lookup, Observe
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import LOG_DIRTY_PAGES, READONLY
from spec.pages import pages_in
from spec.profile import Profile
from spec.units import PAGE_SIZE

P = PAGE_SIZE
RING = EnableDirtyRing(size=2**16)
MANUAL = EnableManualProtect(options=1)
MANUAL_ALL = EnableManualProtect(options=3)
GET = GetDirtyLog(slot=1)
CLEAR_TWO = ClearDirtyLog(slot=1, num_pages=2, cleared=pages_in(((0, 63),)))
DELETE = SetRegion(slot=1)
FIRST, SECOND = GuestWrite(gpa=16 * P), GuestWrite(gpa=17 * P)


def story(p: Profile, family: str, title: str, requests: Sequence[Any], because: str) -> Draft:
    """Requests, and what the VM looks like after them."""
    return Draft(title, family, (*requests, *read_back(state_after(p, requests))), because, "lifetime")


def drafts(p: Profile) -> Iterator[Draft]:
    for group in (crossing, offsets, virtual_cpus, logs, rings, clearing, changes, host_ranges, spaces, files):
        yield from group(p)


def crossing(p: Profile) -> Iterator[Draft]:
    """A write over the border between two pages, for each kind of memory on either side."""
    kinds: dict[str, int | None] = {"nothing": None, "memory": 0, "logged memory": 1, "read-only memory": 2}
    kinds["logged read-only memory"] = 3
    for (left, left_flags), (right, right_flags) in product(kinds.items(), kinds.items()):
        setup: list[Any] = []
        if left_flags is not None:
            setup.append(SetRegion(slot=1, gpa=16 * P, size=P, hva=place("A", 4 * P), flags=left_flags))
        if right_flags is not None:
            setup.append(SetRegion(slot=2, gpa=17 * P, size=P, hva=place("B", 0), flags=right_flags))
        writes: list[Any] = [GuestWrite(gpa=17 * P - before) for before in (12, 11, 6, 5, 4)] + [GuestWrite(gpa=17 * P)]
        yield story(
            p, "KVM.ACCESS", f"writes from {left} into {right}", [*setup, *writes], "page by page, each on its own"
        )
    inside: list[Any] = [
        replace(LOGGED, size=3 * P),
        GuestWrite(gpa=17 * P - 6),
        GET,
        GuestWrite(gpa=18 * P - 1 - 3),
        GET,
    ]
    yield story(p, "KVM.ACCESS", "writes over a border inside a slot", inside, "both pages are logged")
    swapped: list[Any] = [
        SetRegion(slot=1, gpa=16 * P, size=P, hva=place("A", P)),
        SetRegion(slot=2, gpa=17 * P, size=P, hva=place("A", 0)),
        GuestWrite(gpa=17 * P - 6),
        HvaRange(first=place("A", 0), last=place("A", 2 * P - 1)),
    ]
    yield story(
        p, "KVM.ACCESS", "neighbours whose memory lies the other way round", swapped, "each page is looked up anew"
    )
    same: list[Any] = [
        replace(LOGGED, size=P),
        replace(LOGGED, slot=2, gpa=17 * P, size=P),
        GuestWrite(gpa=17 * P - 6),
        GET,
        GetDirtyLog(slot=2),
    ]
    yield story(p, "KVM.ACCESS", "two slots on the same memory", same, "each has its own log")


def offsets(p: Profile) -> Iterator[Draft]:
    """Writes at every kind of offset in a page."""
    setup: list[Any] = [replace(LOGGED, size=4 * P)]
    for offset in (0, 1, 8, 2048, 4083, 4084, 4085, 4091, 4092):
        setup += [GuestWrite(gpa=17 * P + offset), GET]
    yield story(p, "KVM.ACCESS", "writes at every kind of offset", setup, "where a write of 12 bytes begins to cross")


def virtual_cpus(p: Profile) -> Iterator[Draft]:
    """Guest code that reads and writes."""
    for flags in (0, READONLY):
        accesses: list[Any] = [replace(CREATE, flags=flags, size=4 * P)]
        for gpa in (16 * P, 17 * P + 4089, 19 * P, 19 * P + 4089, 15 * P, 15 * P + 4089, 20 * P, 64 * P + 5):
            accesses += [VcpuRead(gpa=gpa), VcpuWrite(gpa=gpa)]
        what = "read-only slot" if flags else "slot"
        yield story(
            p, "KVM.ACCESS", f"guest code at a {what} and around it", accesses, "reaches memory, or leaves as MMIO"
        )
    logged = [replace(LOGGED, size=4 * P), VcpuWrite(gpa=17 * P), GET, GET, VcpuWrite(gpa=19 * P + 7), GET]
    yield story(p, "KVM.DIRTY", "guest code writes a slot with a log", logged, "a page written by guest code is logged")
    manual = [MANUAL, *logged, ClearDirtyLog(slot=1, num_pages=4, cleared=pages_in(((1, 1),))), GET]
    again = [*manual, VcpuWrite(gpa=17 * P), GET]
    yield story(p, "KVM.DIRTY", "guest code writes again after a clear", again, "a cleared page is logged anew")
    moved = [CREATE, VcpuWrite(gpa=16 * P), replace(CREATE, gpa=24 * P), VcpuWrite(gpa=16 * P), VcpuWrite(gpa=24 * P)]
    yield story(p, "KVM.SLOT", "guest code follows a move", moved, "nothing old is remembered")
    deleted = [CREATE, VcpuWrite(gpa=16 * P), DELETE, VcpuWrite(gpa=16 * P), replace(CREATE, hva=place("C", 0))]
    deleted += [VcpuWrite(gpa=16 * P), VcpuRead(gpa=17 * P)]
    yield story(
        p, "KVM.SLOT", "guest code after a delete, and after a new slot there", deleted, "nothing old is remembered"
    )
    read = [LOGGED, VcpuRead(gpa=16 * P), GET]
    yield story(p, "KVM.DIRTY", "guest code reads a slot with a log", read, "a read makes no page dirty")


def logs(p: Profile) -> Iterator[Draft]:
    """The life of a log."""
    off = CREATE
    other = replace(LOGGED, slot=2, gpa=24 * P, hva=place("B", 0))
    moved = replace(LOGGED, gpa=24 * P)
    stories: dict[str, Sequence[Any]] = {
        "is reported once": [LOGGED, FIRST, GET, GET, SECOND, GET],
        "stays where userspace clears": [MANUAL, LOGGED, FIRST, GET, GET, SECOND, GET],
        "starts empty when it is turned on": [CREATE, FIRST, LOGGED, GET, FIRST, GET],
        "is lost when it is turned off": [LOGGED, FIRST, off, GET, LOGGED, GET],
        "is lost with its slot": [LOGGED, FIRST, DELETE, LOGGED, GET],
        "moves with its slot": [LOGGED, SECOND, moved, GET, GuestWrite(gpa=24 * P), GET],
        "survives a move onto its own pages": [LOGGED, SECOND, replace(LOGGED, gpa=17 * P), GET],
        "is turned on by a move": [CREATE, FIRST, moved, GET, GuestWrite(gpa=25 * P), GET],
        "is turned off by a move": [LOGGED, FIRST, replace(CREATE, gpa=24 * P), GET, moved, GET],
        "survives a call that changes nothing": [LOGGED, FIRST, LOGGED, GET],
        "survives a failed move": [LOGGED, NEIGHBOUR, FIRST, replace(LOGGED, gpa=33 * P), GET],
        "survives a failed move that would turn it off": [LOGGED, NEIGHBOUR, FIRST, replace(CREATE, gpa=33 * P), GET],
        "survives a failed change of size": [LOGGED, FIRST, replace(LOGGED, size=P), GET],
        "survives a failed delete": [LOGGED, FIRST, replace(DELETE, gpa=1), GET],
        "survives a change of another slot": [LOGGED, NEIGHBOUR, FIRST, replace(NEIGHBOUR, gpa=64 * P), GET],
        "survives a failed reading": [LOGGED, FIRST, replace(GET, buffer_ok=False), GET],
        "survives a change of mode": [LOGGED, FIRST, MANUAL_ALL, GET, EnableManualProtect(options=0), GET, GET],
        "of a read-only slot stays empty": [replace(READ_ONLY, flags=3), FIRST, VcpuWrite(gpa=16 * P), GET],
        "starts full where that was asked for": [MANUAL_ALL, LOGGED, GET, GET],
        "starts full again when turned off and on": [MANUAL_ALL, LOGGED, CLEAR_TWO, GET, off, LOGGED, GET],
        "starts empty once the mode is off again": [MANUAL_ALL, EnableManualProtect(options=0), LOGGED, GET],
        "that was full is kept by a move": [MANUAL_ALL, LOGGED, moved, GET],
        "that was empty is not filled by a move": [LOGGED, MANUAL_ALL, moved, GET],
        "of another slot is its own": [LOGGED, other, FIRST, GetDirtyLog(slot=2), GET],
    }
    for what, requests in stories.items():
        yield story(p, "KVM.DIRTY", f"a log {what}", requests, "the lifetime of a log")
    for npages in (1, 2, 63, 64, 65, 127, 128, 129, 256):
        full = replace(LOGGED, size=npages * P)
        last = GuestWrite(gpa=(16 + npages) * P - 12)
        yield story(p, "KVM.DIRTY", f"a full log of {npages} pages", [MANUAL_ALL, full, GET], "bits past the end are 0")
        yield story(p, "KVM.DIRTY", f"the last of {npages} pages", [full, last, GET], "how many bytes are written")


def rings(p: Profile) -> Iterator[Draft]:
    """A ring beside logs: what has a log keeps it unused, what comes later gets none."""
    if not p.dirty_ring:
        return
    stories: dict[str, Sequence[Any]] = {
        "after a slot with a log": [LOGGED, RING, FIRST, Observe(), GET],
        "after a slot with a full log": [MANUAL_ALL, LOGGED, RING, FIRST, Observe(), GET],
        "before a slot with a log": [RING, LOGGED, FIRST, Observe(), GET],
        "before a full log": [MANUAL_ALL, RING, LOGGED, Observe(), GET],
        "and logs turned off and on": [LOGGED, RING, CREATE, Observe(), LOGGED, Observe()],
        "and a move": [LOGGED, RING, replace(LOGGED, gpa=24 * P), Observe()],
        "and a clear": [LOGGED, RING, ClearDirtyLog(slot=1, num_pages=2), Observe()],
        "and guest code": [LOGGED, RING, VcpuWrite(gpa=16 * P), Observe()],
        "and a second ring": [RING, replace(RING, size=2**17), RING],
    }
    for what, requests in stories.items():
        yield story(p, "KVM.RING", f"a ring {what}", requests, "bitmaps are neither written nor read beside a ring")


def clearing(p: Profile) -> Iterator[Draft]:
    """Which pages a clear takes."""
    slot = replace(LOGGED, size=200 * P)
    patterns = {
        "nothing": (),
        "one page": ((3, 3),),
        "the first word": ((0, 63),),
        "over a word's border": ((60, 70),),
        "several runs": ((0, 0), (2, 2), (4, 9), (63, 64), (127, 127)),
        "all": ((0, 199),),
        "all, and bits past the end": ((0, 255),),
    }
    for what, bits in patterns.items():
        for first, count in ((0, 200), (64, 136), (0, 128), (128, 72), (64, 64), (192, 8)):
            words = -(-count // 64) * 64
            inside = tuple((a, min(b, words - 1)) for a, b in bits if a < words)
            clear = ClearDirtyLog(slot=1, first_page=first, num_pages=count, cleared=pages_in(inside))
            yield story(
                p,
                "KVM.CLEAR",
                f"clears {what} of {count} pages from {first}",
                [MANUAL_ALL, slot, clear, GET],
                "exactly the pages whose bits are set are clean",
            )
    for count, first, last in ((0, 0, 63), (64, 60, 70), (64, 64, 127)):
        beyond = ClearDirtyLog(slot=1, num_pages=count, cleared=pages_in(((first, last),)))
        yield story(
            p,
            "KVM.CLEAR",
            f"clears {count} pages, bits {first} to {last} set",
            [MANUAL_ALL, slot, beyond, GET],
            "bits past the last whole word are not read",
        )
    none = replace(GET, buffer_ok=True)
    empty = ClearDirtyLog(slot=1, num_pages=0, buffer_ok=False)
    yield story(
        p, "KVM.CLEAR", "clears no pages, from nowhere", [MANUAL_ALL, slot, empty, none], "nothing is read for them"
    )
    end = ClearDirtyLog(slot=1, first_page=64, num_pages=0)
    sixty_four = [MANUAL_ALL, replace(LOGGED, size=64 * P), end, GET]
    yield story(p, "KVM.CLEAR", "clears no pages at the very end", sixty_four, "the first page may be the slot's end")
    clean = ClearDirtyLog(slot=1, num_pages=2, cleared=pages_in(((0, 0),)))
    yield story(
        p, "KVM.CLEAR", "clears without the mode", [LOGGED, FIRST, SECOND, clean, GET], "it works in every mode"
    )
    moved = [LOGGED, FIRST, SECOND, replace(LOGGED, gpa=24 * P), clean, GET]
    yield story(p, "KVM.CLEAR", "clears after a move", moved, "pages are those of the slot, not of the guest")


def changes(p: Profile) -> Iterator[Draft]:
    """What becomes of slots."""
    top = (p.max_gfn + 1) * P if p.max_gfn is not None else 2**64 - P
    last = SetRegion(slot=p.user_slots - 1, gpa=top - 2 * P, size=2 * P, hva=place("C", 0), flags=LOG_DIRTY_PAGES)
    beside = [replace(NEIGHBOUR, slot=3, gpa=30 * P, size=2 * P), NEIGHBOUR]
    stories: dict[str, Sequence[Any]] = {
        "the last number at the last pages": [last, GuestWrite(gpa=top - 12), GetDirtyLog(slot=p.user_slots - 1)],
        "a number used again": [CREATE, DELETE, NEIGHBOUR, replace(NEIGHBOUR, slot=1, gpa=64 * P)],
        "a place used again": [CREATE, DELETE, replace(CREATE, slot=2, hva=place("B", 0)), Lookup(gpa=16 * P)],
        "a move up by a page": [replace(CREATE, size=4 * P), replace(CREATE, size=4 * P, gpa=17 * P)],
        "a move down by a page": [replace(CREATE, size=4 * P), replace(CREATE, size=4 * P, gpa=15 * P)],
        "a move far and back": [CREATE, replace(CREATE, gpa=2**30), CREATE],
        "a move to the first page": [CREATE, replace(CREATE, gpa=0)],
        "a move to the last page": [CREATE, replace(CREATE, gpa=top - 2 * P)],
        "a move between two others": [*beside, replace(CREATE, size=P), replace(CREATE, size=P, gpa=29 * P)],
        "a place freed by a move": [CREATE, replace(CREATE, gpa=64 * P), replace(CREATE, slot=2)],
        "two slots change places": [
            CREATE,
            replace(CREATE, slot=2, gpa=20 * P, hva=place("B", 0)),
            replace(CREATE, gpa=64 * P),
            replace(CREATE, slot=2, hva=place("B", 0)),
            replace(CREATE, gpa=20 * P),
        ],
        "the same memory in two slots": [CREATE, replace(CREATE, slot=2, gpa=24 * P), HvaRange(CREATE.hva, CREATE.hva)],
        "memory that overlaps in two slots": [CREATE, replace(CREATE, slot=2, gpa=24 * P, hva=CREATE.hva + P)],
        "a delete with the fields of another slot": [CREATE, NEIGHBOUR, replace(NEIGHBOUR, slot=1, size=0)],
        "a delete that says read-only": [CREATE, replace(DELETE, flags=READONLY)],
        "a delete twice": [CREATE, DELETE, DELETE],
        "flags on and off": [CREATE, LOGGED, CREATE, LOGGED],
        "many slots in a row": [
            SetRegion(slot=n, gpa=(16 + n) * P, size=P, hva=place("ABCD"[n % 4], n * P)) for n in range(24)
        ],
        "many slots, last first": [
            SetRegion(slot=n, gpa=(64 - 2 * n) * P, size=P, hva=place("ABCD"[n % 4], n * P)) for n in range(24)
        ],
        "many slots with some gone": [
            *(SetRegion(slot=n, gpa=(16 + 2 * n) * P, size=2 * P, hva=place("A", n * P)) for n in range(16)),
            *(SetRegion(slot=n) for n in (3, 7, 8, 15, 0)),
            replace(CREATE, slot=40, gpa=22 * P),
            replace(CREATE, slot=41, gpa=21 * P),
        ],
    }
    for what, requests in stories.items():
        yield story(p, "KVM.SLOT", what, requests, "what becomes of slots")


def host_ranges(p: Profile) -> Iterator[Draft]:
    """Host ranges that lie in, over and beside each other, made in every order, and asked for piece by piece."""
    a = place("A", 0)
    kinds = {"around": (0, 10), "inside": (2, 2), "across": (3, 4), "behind": (8, 1)}
    numbers = {name: number for number, name in enumerate(kinds, start=1)}
    pieces = [(0, 0), (1, 2), (2, 2), (4, 5), (5, 5), (7, 7), (8, 8), (9, 9), (10, 10), (0, 10)]
    questions = [HvaRange(first=a + first * P, last=a + (last + 1) * P - 1) for first, last in pieces]
    for order in permutations(kinds):
        made = [
            SetRegion(
                slot=numbers[name], gpa=32 * numbers[name] * P, size=kinds[name][1] * P, hva=a + kinds[name][0] * P
            )
            for name in order
        ]
        gone = SetRegion(slot=numbers[order[1]])
        moved = replace(made[2], gpa=512 * P)
        yield Draft(
            f"host ranges made in the order {', '.join(order)}",
            "KVM.LOOKUP",
            (*made, *questions, gone, moved, *questions, Observe()),
            "the guest ranges of host memory, also after a delete and a move",
            "lifetime",
        )


def spaces(p: Profile) -> Iterator[Draft]:
    """Two address spaces."""
    if p.address_spaces < 2:
        return
    other = replace(CREATE, slot=SPACE + 1, hva=place("B", 0))
    stories: dict[str, Sequence[Any]] = {
        "the same place in both address spaces": [CREATE, other, Lookup(gpa=16 * P), Lookup(space=1, gpa=16 * P)],
        "a delete in one address space": [CREATE, other, SetRegion(slot=SPACE + 1), Lookup(space=1, gpa=16 * P)],
        "a move in one address space": [CREATE, other, replace(other, gpa=17 * P), Lookup(space=1, gpa=18 * P)],
        "the same number in both address spaces": [
            CREATE,
            replace(other, gpa=64 * P),
            DELETE,
            Lookup(space=1, gpa=64 * P),
        ],
        "memory seen from both address spaces": [CREATE, replace(other, hva=CREATE.hva), HvaRange(0, 2**46)],
        "a log in the other address space": [replace(other, flags=1), CREATE, FIRST, GetDirtyLog(slot=SPACE + 1)],
        "an overlap in the other address space": [other, replace(other, slot=SPACE + 2, gpa=17 * P), NEIGHBOUR],
    }
    for what, requests in stories.items():
        yield story(p, "KVM.SLOT", what, requests, "address spaces know nothing of each other")


def files(p: Profile) -> Iterator[Draft]:
    """Slots on guest memory files."""
    if p.guest_memfd != "bind":
        return
    rest = replace(ON_FILE, slot=2, gpa=32 * P, memfd_offset=2 * P)
    stories: dict[str, Sequence[Any]] = {
        "two slots on one file": [FILE, ON_FILE, rest],
        "a file taken again after a delete": [FILE, ON_FILE, replace(ON_FILE, size=0), replace(ON_FILE, slot=2)],
        "a file freed by the first form of the call": [FILE, ON_FILE, DELETE, replace(ON_FILE, slot=2)],
        "a file kept by a failed delete": [FILE, ON_FILE, replace(DELETE, gpa=1), replace(ON_FILE, slot=2, gpa=32 * P)],
        "a file not taken by a failed creation": [FILE, NEIGHBOUR, replace(ON_FILE, gpa=33 * P), ON_FILE],
        "two files": [FILE, replace(FILE, file=1), ON_FILE, replace(rest, memfd=1, memfd_offset=0)],
        "all of a file": [FILE, replace(ON_FILE, size=16 * P), replace(rest, memfd_offset=15 * P, size=P)],
        "a slot on a file beside others": [FILE, ON_FILE, NEIGHBOUR, replace(NEIGHBOUR, gpa=18 * P), NEIGHBOUR],
        "a move onto a slot on a file": [FILE, ON_FILE, CANARY, replace(CANARY, gpa=16 * P)],
    }
    for what, requests in stories.items():
        yield Draft(what, "KVM.MEMFD", (*requests, Observe()), "who has which pages of a file", "lifetime")
