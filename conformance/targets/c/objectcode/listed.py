"""`object-insert` and `object-remove`: the proofs, and small lists on which compiled code and definition are run.

The definition is a list: one entry more at its spot, or one less, and each reach the largest last byte so far.
"""

from __future__ import annotations

import ctypes
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from conformance.targets.c.objectcode.compiling import layout
from conformance.targets.c.objectcode.edited import Edit, PutIn, ReachAnew, TakeFrom
from conformance.targets.c.objectcode.edits import NAMES, define_insertion, define_removal
from conformance.targets.c.objectcode.verdict import Difference, Shown
from conformance.targets.c.verify.harness import Plant
from proofs.objectcode.cannot import Cannot
from proofs.objectcode.image import Image
from proofs.objectcode.passes import Proof, Prover

CASES = 3000  # of small lists, always the same
MOST = 5  # entries of a small list
LAST = 6  # the last byte of all, so that entries overlap
GUARD = 0x5A  # what is in the bytes behind the room, before and after


@dataclass(frozen=True)
class Entry:
    """A range, with the number of its item: that is who it is."""

    start: int
    last: int
    delta: int
    item: int


Listed = tuple[tuple[int, int, int, int], ...]  # start, reach, delta, item


@dataclass(frozen=True)
class Case:
    """A list, a spot, and the entry that is put there, if it is not taken from there."""

    entries: tuple[Entry, ...]
    at: int
    new: Entry | None = None

    def named(self) -> dict[str, int]:
        of_all = {
            f"{name}[{at}]": value
            for at, one in enumerate(self.entries)
            for name, value in (("start", one.start), ("last", one.last))
        }
        of_new = {} if self.new is None else {"new.start": self.new.start, "new.last": self.new.last}
        return {**of_all, "at": self.at, **of_new}


def listed(entries: Sequence[Entry]) -> Listed:
    """A list of entries with what each of them must say."""
    reaches = accumulate((one.last for one in entries), max)
    return tuple((one.start, reach, one.delta, one.item) for one, reach in zip(entries, reaches, strict=True))


def after(case: Case) -> Listed:
    """The definition."""
    entries = list(case.entries)
    if case.new is None:
        del entries[case.at]
    else:
        entries.insert(case.at, case.new)
    return listed(entries)


def cases(inserts: bool) -> Iterator[Case]:
    """Small lists. Entries are not in the order of their starts: an edit does not ask for it."""
    choose = random.Random(2)

    def entry(number: int) -> Entry:
        start = choose.randrange(LAST)
        return Entry(start, choose.randrange(start, LAST + 1), choose.randrange(2**64), number)

    for _ in range(CASES):
        count = choose.randrange(0 if inserts else 1, MOST + 1)
        entries = tuple(entry(number) for number in range(count))
        at = choose.randrange(count + 1 if inserts else count)
        yield Case(entries, at, entry(MOST) if inserts else None)


class _Item(ctypes.Structure):
    _fields_ = (("rank", ctypes.c_uint64), ("span", ctypes.c_uint64))


class _Entry(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in NAMES)


def compiled(library: ctypes.CDLL, case: Case) -> tuple[Listed, int, bool]:
    """The list afterwards, what was returned, and whether nothing was written behind the room."""
    assert ctypes.sizeof(_Entry) == layout()["entry.sizeof"]
    items = (_Item * (MOST + 1))()
    room = len(case.entries) + (case.new is not None)
    memory = (_Entry * (room + 1))()
    ctypes.memset(memory, GUARD, ctypes.sizeof(memory))
    size, first = ctypes.sizeof(_Item), ctypes.addressof(items)

    def filled(one: Entry, reach: int) -> _Entry:
        items[one.item].span = one.last - one.start
        return _Entry(one.start, reach, one.delta, first + size * one.item)

    for number, (one, (_, reach, _, _)) in enumerate(zip(case.entries, listed(case.entries), strict=True)):
        memory[number] = filled(one, reach)
    count, at = ctypes.c_uint64(len(case.entries)), ctypes.c_uint64(case.at)
    if case.new is not None:
        library.put_in.restype = None
        library.put_in(memory, count, at, filled(case.new, case.new.last))
        many, returned = room, 0
    else:
        library.take_from.restype = ctypes.c_uint64
        returned = int(library.take_from(memory, count, at))
        many = room - 1
    found = tuple((one.start, one.reach, one.delta, (one.item - first) // size) for one in memory[:many])
    return found, returned, bytes(memory[room]) == bytes([GUARD]) * ctypes.sizeof(_Entry)


def tried(library: ctypes.CDLL, inserts: bool) -> Difference | None:
    """The first small list for which the two differ."""
    for case in cases(inserts):
        gone = 0 if inserts else listed(case.entries)[case.at][1]
        machine, said = compiled(library, case), (after(case), gone, True)
        if machine != said:
            return Difference(case.named(), str(machine), str(said))
    return None


def witnesses(inserts: bool) -> int:
    """How many cases there are, once those are among them that must be. Raises Cannot for one that is not."""
    seen = dict.fromkeys(("at the front", "behind the last", "several reaches change", "none changes"), 0)
    for case in cases(inserts):
        before, now = listed(case.entries), after(case)
        others = [one for number, one in enumerate(before) if inserts or number != case.at]
        changed = len(set(others) - set(now))
        seen["at the front"] += case.at == 0
        seen["behind the last"] += case.at == (len(before) if inserts else len(before) - 1)
        seen["several reaches change"] += changed > 1
        seen["none changes"] += changed == 0
    for kind, many in seen.items():
        if not many:
            raise Cannot(f"there is no small list in which {kind}")
    return CASES


def proved(image: Image, kind: type[Edit]) -> tuple[Proof | None, str]:
    """The proof of a function, or why there is none. A compiler begins a loop before it asks whether there are more
    entries, or behind that.
    """
    reasons = []
    for asked in (1, 0):
        try:
            problem = kind(image, asked)
            proof = Prover(problem).prove()
        except Cannot as reason:
            reasons.append(str(reason))
            continue
        needed = {fact.name for fact in problem.facts}
        if any(needed - {fact.name for fact in cut.facts} for cut in proof.cuts):
            reasons.append("what the model takes to hold where the loop is cut does not")
        elif proof.difference is None:
            return proof, ""
        else:
            reasons.append(proof.difference.sentence)
    return None, ", or ".join(reasons)


@dataclass(frozen=True)
class Listing:
    """See `straight.Straight`: functions that edit a list of entries, and what defines that."""

    name: str
    shows: str
    inserts: bool
    functions: tuple[type[Edit], ...]
    define: Callable[[], None]
    plants: tuple[Plant, ...]
    source: str = "edits.c"

    def prove(self, image: Image, library: ctypes.CDLL) -> Shown:
        """Raises Cannot."""
        self.define()
        shown, reasons = Shown(0, 0), list[str]()
        for kind in self.functions:
            proof, why = proved(image, kind)
            if proof is None:
                reasons.append(f"{kind.name}: {why}")
            else:
                shown = Shown(shown.machine_ways + proof.machine_paths, shown.model_ways + proof.model_ways)
        found = tried(library, self.inserts)
        if reasons and found is None:
            raise Cannot(f"machine and model differ ({'; '.join(reasons)}), but no small list shows it")
        if found is not None and not reasons:
            raise Cannot(f"proved equal, and yet {found}")
        return replace(shown, witnesses=0 if found else witnesses(self.inserts), difference=found)


PROBLEMS = (
    Listing(
        "object-insert",
        "Object code puts an entry at its spot among any number, and each reach is the largest last byte so far.",
        True,
        (PutIn,),
        define_insertion,
        (
            Plant(
                "the entry behind the new one is not told how far that reaches",
                "edit.c",
                "for (next = at + 1; next <= count",
                "for (next = at + 2; next <= count",
            ),
            Plant(
                "the last entry is not told how far the new one reaches",
                "edit.c",
                "next <= count && entries[next].reach < new.reach",
                "next < count && entries[next].reach < new.reach",
            ),
            Plant(
                "the new entry does not know how far those before it reach",
                "edit.c",
                "if (at && new.reach < entries[at - 1].reach)",
                "if (at > 1 && new.reach < entries[at - 1].reach)",
            ),
            Plant(
                "the last entry is not moved",
                "edit.c",
                "(count - at) * sizeof(new)",
                "(count - at - (count > at)) * sizeof(new)",
            ),
        ),
    ),
    Listing(
        "object-remove",
        "Object code takes an entry out of any number, and each reach is the largest last byte so far.",
        False,
        (TakeFrom, ReachAnew),
        define_removal,
        (
            Plant(
                "what follows keeps the reach that it has from the entry that is gone",
                "edit.c",
                "\treach_anew(entries, at, count - 1, removed, reach);\n",
                "",
            ),
            Plant(
                "how far the entries before reach is forgotten",
                "edit.c",
                "uint64_t reach = at ? entries[at - 1].reach : 0;",
                "uint64_t reach = 0;",
            ),
            Plant(
                "the last entry keeps the reach that it has from the entry that is gone",
                "edit.c",
                "from < count && entries[from].reach == stale",
                "from + 1 < count && entries[from].reach == stale",
            ),
            Plant(
                "a reach is that of the entry alone",
                "edit.c",
                "\t\tif (reach < last)\n\t\t\treach = last;\n",
                "\t\treach = last;\n",
            ),
        ),
    ),
)
