"""The C library in a program of its own, which is told requests as lines of numbers: `programs/player.c`.

So the vectors come to builds that Python cannot load: for 32 bits, with another libc, for another processor.
"""

from __future__ import annotations

import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.target import Answer, Crashed, Environment, Refused, Results, StepResult, Trial
from conformance.targets.c import build
from conformance.targets.c.binding import OWNER, STRANGER, errno_name
from conformance.targets.c.device import RETIREMENTS, UnexpectedMessage
from conformance.targets.c.target import CALLS, LIBRARY_PROFILE, VERSION, WITHOUT_RINGS
from spec.memslots.access import GuestWrite, VcpuRead, VcpuWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.lookup import FindSlot, HvaRange, Lookup, Observe
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import id_of, space_of
from spec.outcome import (
    DirtyPages,
    Done,
    EntryView,
    Faulted,
    GuestRange,
    GuestRanges,
    Located,
    MapsView,
    MessageTaken,
    MissRead,
    Mmio,
    NothingRead,
    Ran,
    Segment,
    Slots,
    SlotView,
    Touched,
    Translated,
    Written,
)
from spec.pages import NO_PAGES, Pages, pages_in
from spec.profile import Profile
from spec.step import MEMSLOTS, OPERATIONS, subject_of
from spec.units import U64_MAX
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import SetMemTable
from spec.vhost.messages import MESSAGE_BYTES, MISS, ReadMessage, WriteMessage
from spec.vhost.observe import ObserveMaps
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.regions import AddRegion, RemoveRange, RemoveRegion
from spec.vhost.translate import Translate

PROGRAMS = Path(__file__).parent / "programs"
MOST_CRASHES = 5  # then the rest is not asked for any more


# ---- What a request is in numbers ----


def flat(ranges: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(number for one in ranges for number in one)


def line_of(request: Any, profile: Profile) -> tuple[str, tuple[int, ...]]:
    """The name by which the player knows a request, and its numbers."""
    match request:
        case SetRegion():
            fields = (request.slot, request.flags, request.gpa, request.size, request.hva)
            return "set_region", (request.version, request.readable, *fields)
        case CreateGuestMemfd():
            return "create_guest_memfd", ()
        case GetDirtyLog():
            return "get_dirty_log", (request.readable, request.buffer_ok, request.slot)
        case ClearDirtyLog():
            log = (request.slot, request.first_page, request.num_pages)
            return "clear_dirty_log", (request.readable, request.buffer_ok, *log, *flat(request.cleared.ranges))
        case EnableManualProtect():
            return "enable_manual_protect", (request.readable, request.flags, request.options)
        case EnableDirtyRing():
            return "enable_dirty_ring", (request.readable, 0, request.size)
        case GuestWrite():
            return "access", (True, request.gpa, request.length)
        case VcpuRead() | VcpuWrite():
            return "access", (isinstance(request, VcpuWrite), request.gpa, 1)
        case Lookup():
            return "lookup", (request.space, request.gpa, request.write)
        case FindSlot():
            return "find_slot", (request.slot,)
        case HvaRange():
            return "hva_range", (request.first, request.last)
        case Observe():
            return "observe", ()
        case SetOwner():
            return "set_owner", ()
        case ResetOwner():
            return "reset_owner", ()
        case SetFeatures():
            return "set_features", (request.readable, request.features)
        case SetBackendFeatures():
            return "set_backend_features", (request.readable, request.features)
        case SetMemTable():
            regions = flat([(one.gpa, one.size, one.hva) for one in request.regions])
            return "set_mem_table", (request.readable, request.padding, request.regions_readable, *regions)
        case AddRegion():
            return "add_region", (request.gpa, request.size, request.hva)
        case RemoveRegion():
            return "remove_region", (request.gpa, request.size, request.hva)
        case RemoveRange():
            return "remove_range", (request.first, request.last)
        case WriteMessage():
            where = (request.framing, request.asid, request.iova, request.size, request.uaddr)
            return "write_message", (request.length, *where, request.perm, request.kind)
        case ReadMessage():
            return "read_message", (request.length,)
        case Translate():
            # No translation has more segments than there are entries: room for more is as good as this.
            room = min(request.room, max(profile.max_regions, profile.iotlb_limit) + 1)
            return "translate", (request.queue, request.addr, request.length, request.access, room)
        case ObserveMaps():
            return "observe_maps", ()
    raise TypeError(f"the player has no request for {type(request).__name__}")


def lines_of(trial: Trial, profile: Profile) -> list[str]:
    """A trial as the player is told it: a new map or device, the requests, and the end of both."""
    config: tuple[int, ...]
    subject = "map" if subject_of(trial.requests) is MEMSLOTS else "device"
    if subject == "map":
        last_gfn = U64_MAX if profile.max_gfn is None else profile.max_gfn
        sizes = (profile.user_slots, profile.address_spaces, profile.user_limit, last_gfn)
        config = (*sizes, profile.dirty_ring, profile.smallest_dirty_ring)
    else:
        limits = (profile.max_regions, profile.iotlb_limit, profile.user_limit, profile.features)
        config = (*limits, RETIREMENTS[profile.retirement], profile.iotlb_mode == "follows")
    told: list[tuple[str, tuple[int, ...]]] = [("caller", (OWNER,)), (subject, config)]
    for request in trial.requests:
        told.append(("caller", (OWNER if getattr(request, "from_owner", True) else STRANGER,)))
        told.append(line_of(request, profile))
    told += [(f"end_{subject}", ()), ("end", ())]
    return [" ".join([name, *(str(int(number)) for number in numbers)]) for name, numbers in told]


# ---- What an answer says ----


def triples(numbers: list[int]) -> Iterator[tuple[int, int, int]]:
    yield from zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)


def pairs(numbers: list[int]) -> tuple[tuple[int, int], ...]:
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def segments(numbers: list[int]) -> tuple[Segment, ...]:
    return tuple(Segment(*one) for one in triples(numbers))


def slots(numbers: list[int]) -> Slots:
    found = []
    while numbers:
        word, first, last, host, flags, logged, runs, *numbers = numbers
        dirty = Pages(pairs(numbers[: 2 * runs])) if logged else None
        found.append(SlotView(space_of(word), id_of(word), first, last, host, flags, dirty))
        numbers = numbers[2 * runs :]
    return Slots(tuple(found))


def entries(numbers: list[int]) -> tuple[tuple[EntryView, ...] | None, list[int]]:
    """The entries that come first, and the numbers after them."""
    there, count, *numbers = numbers
    found = tuple(EntryView(*numbers[at : at + 4]) for at in range(0, 4 * count, 4))
    return found if there else None, numbers[4 * count :]


def miss(numbers: list[int], order: str) -> MissRead:
    """Raises UnexpectedMessage."""
    framing, asid, iova, size, uaddr, perm, kind = struct.unpack(f"{order}IIQQQBB38x", bytes(numbers))
    if kind != MISS or asid or size or uaddr:
        raise UnexpectedMessage(bytes(numbers).hex())
    return MissRead(framing, iova, perm)


def outcome_of(request: Any, numbers: list[int], order: str) -> StepResult:
    """What the player's answer says, in the terms of the spec."""
    if isinstance(request, Observe):
        return slots(numbers)
    if isinstance(request, ObserveMaps):
        table, rest = entries(numbers)
        return MapsView(table, entries(rest)[0])
    if isinstance(request, HvaRange):
        ranges = [GuestRange(space_of(word), id_of(word), first, last) for word, first, last in triples(numbers)]
        return GuestRanges(tuple(sorted(ranges, key=lambda one: (one.space, one.first))))
    if isinstance(request, GuestWrite | VcpuRead | VcpuWrite):
        *pieces, error = numbers
        done = segments(pieces)
        if isinstance(request, GuestWrite):
            return Written(done, Refused(errno_name(error)) if error else None)  # type: ignore[arg-type]
        return Mmio(request.gpa) if error else Touched(done[0].host)
    error, *rest = numbers
    if isinstance(request, Translate) and error and errno_name(error) not in ("EINVAL", "ENOMEM"):
        return Faulted(Refused(errno_name(error)), request.addr + rest[0])  # type: ignore[arg-type]
    if error < 0:
        return Refused(errno_name(error))
    match request:
        case GetDirtyLog():
            return DirtyPages(pages_in(pairs(rest[1:])), rest[0])
        case Lookup():
            return Located(*rest)
        case FindSlot():
            return slots(rest)
        case WriteMessage():
            return MessageTaken(error, Ran((), NO_PAGES))
        case ReadMessage():
            return miss(rest, order) if error == MESSAGE_BYTES else NothingRead()
        case Translate():
            return Translated(segments(rest[1:]))
    return Done()


# ---- The target ----


@dataclass
class Player:
    """The C library as a target: compiled by the compiler that `words` call, and started by the words of `starter`.

    `words` are the compiler and its options, for example `gcc -m32`. `order` is `>` where a number's first byte is its
    largest.
    """

    words: str
    profile: Profile = LIBRARY_PROFILE
    base: Path = build.HERE
    starter: tuple[str, ...] = ()
    order: str = "<"
    name: str = "c"
    seconds: float = 300
    program: Path | None = None
    bits: int = field(default=0, init=False)

    def start(self) -> Environment:
        """Compile it. Raises TargetUnavailable when that fails."""
        cc, *flags = self.words.split()
        files = [*sorted(PROGRAMS.glob("player*.c")), *build.sources(self.base)]
        includes = (self.base / "include", PROGRAMS, self.base / "src")
        flags = [*build.WARNINGS, "-O1", "-g", *flags]
        self.program = build.compile_cached("player", cc, flags, files, includes)
        self.bits = 8 * int(self.played([])[0][0])
        names = tuple(operation.name for operation in OPERATIONS if operation.request in CALLS)
        facts = {"build": self.words, "bits": str(self.bits), "not_compared": WITHOUT_RINGS}
        return Environment(self.name, VERSION, self.profile, names, facts)

    def stop(self) -> None:
        """Nothing runs between two calls."""

    def played(self, told: list[str]) -> tuple[list[str], str]:
        """What the player answers to these lines, and its last words if it did not end well."""
        assert self.program is not None, "start the target before it is run"
        with tempfile.TemporaryFile("w+") as asked:
            asked.write("".join(f"{line}\n" for line in told))
            asked.seek(0)
            command = [*self.starter, str(self.program)]
            done = subprocess.run(
                command, stdin=asked, capture_output=True, text=True, timeout=self.seconds, check=False
            )
        report = f"exit code {done.returncode}\n{done.stderr}" if done.returncode or done.stderr else ""
        return done.stdout.splitlines(), report

    def run(self, trials: Sequence[Trial]) -> Iterator[Answer]:
        """Each trial on a fresh map, or a new device, all in one process. One that crashes is followed by another."""
        left = list(trials)
        for _ in range(MOST_CRASHES):
            told = [lines_of(trial, self.profile) for trial in left]
            answers, report = self.played([line for lines in told for line in lines])
            at = 1
            answered = 0
            for trial, lines in zip(left, told, strict=True):
                if at + len(lines) > len(answers):
                    break
                # Two lines begin a trial, and two end it. Before each request is its caller.
                steps = [answers[at + 3 + 2 * number].split() for number in range(len(trial.requests))]
                at += len(lines)
                answered += 1
                yield Results(
                    trial.id,
                    tuple(
                        outcome_of(request, [int(word) for word in words], self.order)
                        for request, words in zip(trial.requests, steps, strict=True)
                    ),
                )
            left = left[answered:]
            if not left:
                return
            yield Crashed(left.pop(0).id, report or "it ended before it answered")
        for trial in left:
            yield Crashed(trial.id, f"not asked any more, after {MOST_CRASHES} crashes")
