"""Random operations on several targets at once, each judged by the specification.

A *stream* is a profile and a kind of sequence, for the targets that can be asked it: anything at all for those that
compute (models, C library), what reaches real rings for the kernel's code in user space, what reaches real memory for
booted kernels. The same seed gives the same sequences. A step at which a target does otherwise and that is no known
deviation (`conformance.known`) is a finding: `conformance.shrink` makes it as short as it goes, and a vector.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, pairwise
from multiprocessing import get_context
from typing import Any

from conformance.generate.sequences import Walk as MemslotWalk
from conformance.generate.sequences import is_suitable, with_reading_back
from conformance.generate.vhost.random_requests import operations_of_kernels, sequence
from conformance.generate.vhost.runnable import SOURCE_REQUESTS, is_runnable
from conformance.known import known_here
from conformance.registry import KERNELS, SpecTarget, UnknownTarget, imported
from conformance.target import (
    Answer,
    Crashed,
    Environment,
    Results,
    Skipped,
    StepResult,
    Target,
    TargetFailed,
    Trial,
)
from conformance.verdict import steps_that_differ
from spec.memslots.slot import EMPTY_VM
from spec.outcome import MessageTaken, Outcome, Ran
from spec.profile import PROFILES, Profile
from spec.step import VHOST_OPERATIONS, step
from spec.vhost.backend import SetBackend
from spec.vhost.device import NEW_DEVICE
from spec.vhost.features import SetBackendFeatures
from spec.vhost.messages import ReadMessage, WriteMessage
from spec.vhost.queue_io import Kick, Offer, Packet, Transmit
from spec.vhost.ring import SetLogBase, SetRingAddresses, SetRingSize

OPERATIONS = 20_000  # for each target, if nobody says otherwise
LENGTH = 60  # requests of a sequence
CHUNK = 50  # sequences between two looks at clock and keyboard
KERNEL_CHUNK = 300  # for a target that has to boot
OPEN_SEQUENCES = 10  # one in so many may meet situations that are known; the others are kept away from them

# Kinds of sequences: anything; maps and messages without rings; tables without overlaps and without an IOTLB; what the
# kernel's code in user space, a booted kernel can be asked; and those of the other subject.
ANY, MAPS, ARRAY, SOURCE, KERNEL, MEMSLOTS = "any", "maps", "array", "source", "kernel", "memslots"
LIMITS: tuple[dict[str, int], ...] = ({}, {"iotlb_limit": 4}, {"max_regions": 3})
SOURCE_VERSIONS = ("6.1", "5.10")
RING_REQUESTS = (SetLogBase, SetRingSize, SetRingAddresses, SetBackend, Transmit, Offer, Packet, Kick)
MAP_OPERATIONS = frozenset(one.name for one in VHOST_OPERATIONS if one.request not in RING_REQUESTS)
ARRAY_OPERATIONS = frozenset(
    one.name for one in VHOST_OPERATIONS if one.request not in (SetBackendFeatures, WriteMessage, ReadMessage)
)
SOURCE_OPERATIONS = operations_of_kernels() | {
    operation.name for operation in VHOST_OPERATIONS if operation.request in SOURCE_REQUESTS
}


@dataclass(frozen=True)
class Stream:
    """One kind of sequence for one profile, and the targets that are asked it."""

    kind: str
    profile: Profile
    targets: tuple[str, ...]

    def name(self) -> str:
        usual = Profile()
        switches = [f"{n}={v}" for n, v in vars(self.profile).items() if v != getattr(usual, n)]
        return " ".join((self.kind, *switches))


@dataclass(frozen=True)
class Finding:
    """A target that did otherwise: at which sequence and step, what it was asked, and what was expected and seen."""

    stream: Stream
    target: str
    seed: int
    requests: tuple[Any, ...]
    step: int
    expected: Outcome | None
    seen: StepResult | None
    trouble: str = ""  # it crashed, or its harness failed


@dataclass
class Tally:
    """By target: operations compared, what devices did in them, sequences asked and skipped, known situations."""

    compared: Counter[str] = field(default_factory=Counter)
    events: dict[str, Counter[str]] = field(default_factory=dict)  # that were compared, by name
    asked: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    known: dict[str, Counter[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)  # why a sequence was skipped, the last one
    interrupted: bool = False

    def add(self, other: Tally) -> None:
        self.compared += other.compared
        self.asked += other.asked
        self.skipped += other.skipped
        for target, counts in other.events.items():
            self.events.setdefault(target, Counter()).update(counts)
        for target, counts in other.known.items():
            self.known.setdefault(target, Counter()).update(counts)
        self.findings += other.findings
        self.reasons |= other.reasons


# Streams and their sequences --------------------------------------------------------------------------------------


def streams(names: Sequence[str], kernel_profiles: dict[str, Profile], memslots: bool) -> list[Stream]:
    """What is asked of the targets with these names. `kernel_profiles` are those of booted kernels, as probed."""
    inside = tuple(name for name in names if not name.startswith("linux"))
    if memslots:
        both = [Stream(MEMSLOTS, PROFILES[one], inside) for one in ("tree", "array")]
        return [one for one in (replace(one, targets=targets_for(one)) for one in both) if one.targets]
    rings = tuple(name for name in inside if name in ("spec", "model-tree"))
    maps = tuple(name for name in inside if name in ("spec", "model-tree", "c"))
    limited = [Profile(**limits) for limits in LIMITS]  # type: ignore[arg-type]
    others = [
        Profile(retirement="lru"),
        Profile(retirement="lru", iotlb_limit=4),
        Profile(iotlb_mode="follows", features=0x10B3D008000),
    ]
    found = [Stream(ANY, profile, rings) for profile in (*limited, *others)]
    found += [Stream(MAPS, profile, maps) for profile in (*limited, *others)]
    if "model-array" in inside:
        found += [Stream(ARRAY, profile, (*rings, "model-array")) for profile in limited]
    for name in names:
        if name.startswith("linux-source-"):
            profile = imported("conformance.targets.linux_source.target").profile_of(name.removeprefix("linux-source-"))
            small = [replace(profile, **limits) for limits in LIMITS]
            found += [Stream(SOURCE, one, (*rings, name)) for one in small]
            found += [Stream(MAPS, one, (*maps, name)) for one in small]
    found += [Stream(KERNEL, profile, (name,)) for name, profile in kernel_profiles.items()]
    return [one for one in found if one.targets]


def targets_for(stream: Stream) -> tuple[str, ...]:
    """Of a memslot stream: those targets that can be of its profile."""
    array = stream.profile == PROFILES["array"]
    return tuple(name for name in stream.targets if name != ("model-tree" if array else "model-array"))


def requests_of(stream: Stream, seed: int) -> tuple[Any, ...]:
    """The sequence of a stream with this seed."""
    profile = stream.profile
    if stream.kind == MEMSLOTS:
        return tuple(with_reading_back(profile, MemslotWalk(profile, seed).go(26)))
    if stream.kind == ARRAY:
        return sequence(profile, seed, LENGTH, operations=ARRAY_OPERATIONS, unwanted=is_not_for_an_array)
    unwanted = None if seed % OPEN_SEQUENCES == 0 else partial(is_known_to_some, stream.targets)
    if stream.kind == KERNEL:
        return sequence(profile, seed, LENGTH, kernel=True, unwanted=unwanted)
    in_source = any(name.startswith("linux-source-") for name in stream.targets)
    operations = MAP_OPERATIONS if stream.kind == MAPS else None
    if in_source:
        operations = SOURCE_OPERATIONS if operations is None else SOURCE_OPERATIONS & operations
    return sequence(profile, seed, LENGTH, operations=operations, unwanted=unwanted, in_source=in_source)


def is_not_for_an_array(profile: Profile, device: Any, request: Any) -> bool:
    """Whether kernels that kept their tables in an array have no answer to this, or another one: they have no IOTLB,
    and of regions that overlap they find the one that starts last.
    """
    after, _ = step(profile, device, request)
    if after.iotlb is not None:
        return True
    entries = sorted((one.first, one.last) for one in (after.table.entries if after.table is not None else ()))
    return any(one[1] >= other[0] for one, other in pairwise(entries))


def is_known_to_some(targets: tuple[str, ...], profile: Profile, device: Any, request: Any) -> bool:
    """Whether one of these targets is known to do otherwise here."""
    _, outcome = step(profile, device, request)
    return bool(known_here(targets, profile, device, request, outcome))


def can_be_asked(stream: Stream, requests: Sequence[Any]) -> bool:
    """Whether a sequence, of which something was left out, is still one that the stream's targets can be asked."""
    state: Any = EMPTY_VM if stream.kind == MEMSLOTS else NEW_DEVICE
    for request in requests:
        if stream.kind == MEMSLOTS and not is_suitable(state, request):
            return False
        if stream.kind == ARRAY and is_not_for_an_array(stream.profile, state, request):
            return False
        if any(name.startswith("linux") for name in stream.targets) and not is_runnable(
            stream.profile, state, request, in_source=stream.kind != KERNEL
        ):
            return False
        state, _ = step(stream.profile, state, request)
    return True


# Judging ------------------------------------------------------------------------------------------------------------


def expected(stream: Stream, requests: Sequence[Any]) -> tuple[list[Outcome], dict[str, tuple[int, str]]]:
    """What the specification expects, and for each target the first step from which on nothing is said, and why."""
    state: Any = EMPTY_VM if stream.kind == MEMSLOTS else NEW_DEVICE
    outcomes: list[Outcome] = []
    known: dict[str, tuple[int, str]] = {}
    asks = stream.kind != MEMSLOTS and any(name.startswith("linux") for name in stream.targets)
    for number, request in enumerate(requests):
        before = state
        state, outcome = step(stream.profile, before, request)
        outcomes.append(outcome)
        if asks:
            for name, one in known_here(stream.targets, stream.profile, before, request, outcome).items():
                known.setdefault(name, (number, one.id))
    return outcomes, known


def first_difference(
    requests: Sequence[Any],
    outcomes: Sequence[Outcome],
    results: Sequence[StepResult],
    environment: Environment | None,
) -> int | None:
    return next(steps_that_differ(requests, outcomes, results, environment), None)


def judged(
    stream: Stream,
    seed: int,
    name: str,
    requests: Sequence[Any],
    outcomes: Sequence[Outcome],
    answer: Answer,
    tally: Tally,
    environment: Environment | None = None,
) -> None:
    """Compare a target's answer. `requests` end where something known begins. `environment` is the target's, None for
    one that sees everything.
    """
    tally.asked[name] += 1
    match answer:
        case Skipped(_, reason):
            tally.skipped[name] += 1
            tally.reasons[name] = reason
        case Results(_, results) if len(results) == len(requests):
            at = first_difference(requests, outcomes, results, environment)
            end = len(requests) if at is None else at
            tally.compared[name] += end
            tally.events.setdefault(name, Counter()).update(events_of(outcomes[:end]))
            if at is not None:
                tally.findings.append(Finding(stream, name, seed, tuple(requests), at, outcomes[at], results[at]))
        case _:
            text = getattr(answer, "report", "") or getattr(answer, "trace", "") or "not all steps were answered"
            kind = "crashed" if isinstance(answer, Crashed) else "errored"
            tally.findings.append(
                Finding(stream, name, seed, tuple(requests), len(requests) - 1, None, None, f"{kind}: {text}")
            )


def events_of(outcomes: Sequence[Outcome]) -> Counter[str]:
    """What a device did, by the names of events; `marked` is each step that marked pages."""
    found: Counter[str] = Counter()
    for outcome in outcomes:
        ran = outcome.ran if isinstance(outcome, MessageTaken) else outcome
        if isinstance(ran, Ran):
            found.update(type(event).__name__.lower() for event in ran.events)
            found["marked"] += bool(ran.marked.ranges)
    return +found


def make_target(name: str, profile: Profile) -> Target:
    """A target by name. Raises UnknownTarget."""
    match name:
        case "spec":
            return SpecTarget(profile)
        case "model-tree":
            return imported("conformance.targets.model").tree_target(profile)  # type: ignore[no-any-return]
        case "model-array":
            return imported("conformance.targets.model").array_target(profile)  # type: ignore[no-any-return]
        case "c":
            return imported("conformance.targets.c.target").CInProcess(profile)  # type: ignore[no-any-return]
    if name.startswith("linux-source-"):
        version = name.removeprefix("linux-source-")
        return imported("conformance.targets.linux_source.target").LinuxSource(version, profile)  # type: ignore[no-any-return]
    if name.startswith("linux-"):
        version = name.removeprefix("linux-")
        return imported("conformance.targets.linux.vm").LinuxVm(version, jobs=2)  # type: ignore[no-any-return]
    raise UnknownTarget(f"there is no target {name!r} for random operations; see `gpaspec fuzz --help`")


def names_meant(names: Sequence[str], kernels: Sequence[str] = ()) -> list[str]:
    """The targets that names on the command line stand for, each once. Raises UnknownTarget."""
    found: list[str] = []
    for name in names:
        if name == "model":
            found += ["model-tree", "model-array"]
        elif name == "linux":
            found += [f"linux-{version}" for version in kernels or KERNELS]
        elif name == "linux-source":
            found += [f"linux-source-{version}" for version in kernels or SOURCE_VERSIONS]
        elif name in ("spec", "model-tree", "model-array", "c") or name.startswith("linux-"):
            found.append(name)
        else:
            raise UnknownTarget(f"there is no target {name!r} for random operations; `gpaspec fuzz --help` names them")
    return list(dict.fromkeys(found))


STARTED: dict[tuple[str, Profile], Target] = {}  # of this process
ENVIRONMENTS: dict[tuple[str, Profile], Environment] = {}  # what they said of themselves


def started(name: str, profile: Profile) -> Target:
    """The target, started once in each process."""
    key = (name, profile)
    if key not in STARTED:
        target = make_target(name, profile)
        ENVIRONMENTS[key] = target.start()
        STARTED[key] = target
    return STARTED[key]


def stop_all() -> None:
    """End all targets that this process started."""
    for key in list(STARTED):
        STARTED.pop(key).stop()


def run_chunk(stream: Stream, seeds: Sequence[int]) -> Tally:
    """All sequences of these seeds, on all targets of the stream."""
    tally = Tally()
    asked: dict[str, list[tuple[int, tuple[Any, ...], list[Outcome]]]] = {name: [] for name in stream.targets}
    for seed in seeds:
        requests = requests_of(stream, seed)
        outcomes, known = expected(stream, requests)
        for name in stream.targets:
            end, reason = known.get(name, (len(requests), ""))
            if reason:
                tally.known.setdefault(name, Counter())[reason] += 1
            if end:
                asked[name].append((seed, requests[:end], outcomes))
    for name, sequences in asked.items():
        trials = [Trial(f"{stream.kind}-{seed}", requests) for seed, requests, _ in sequences]
        answers = started(name, stream.profile).run(trials)
        for (seed, requests, outcomes), answer in zip(sequences, answers, strict=True):
            judged(stream, seed, name, requests, outcomes, answer, tally, ENVIRONMENTS.get((name, stream.profile)))
    return tally


# All of it ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Budget:
    """How much: operations for each target, and seconds for all of them (None: as long as it takes)."""

    operations: int = OPERATIONS
    seconds: float | None = None


def run(
    all_streams: Sequence[Stream],
    seed: int,
    budget: Budget,
    jobs: int = 2,
    advance: Callable[[int], None] = lambda operations: None,
    most_findings: int = 5,
) -> Tally:
    """Run streams until each had its operations, the time is over, or enough was found.

    Streams of booted kernels run in this process, one after the other; the rest in `jobs` processes.
    """
    until = None if budget.seconds is None else time.monotonic() + budget.seconds
    total = Tally()
    computed = [one for one in all_streams if one.kind != KERNEL]
    booted = [one for one in all_streams if one.kind == KERNEL]

    def over() -> bool:
        return (until is not None and time.monotonic() > until) or len(total.findings) >= most_findings

    try:
        if computed:
            with contextlib.closing(computed_chunks(computed, seed, budget.operations, jobs)) as chunks:
                for done, operations in chunks:
                    total.add(done)
                    advance(operations)
                    if over():
                        break
        for stream in booted:
            for done, operations in booted_chunks(stream, seed, budget.operations):
                total.add(done)
                advance(operations)
                if over():
                    break
    except KeyboardInterrupt:
        total.interrupted = True  # what was compared up to here is kept
    return total


def booted_chunks(stream: Stream, seed: int, operations: int) -> Iterator[tuple[Tally, int]]:
    """The results of chunks of one stream, one after the other in this process, with the operations of each."""
    done = 0
    for chunk in count():
        if done >= operations:
            return
        first = seed * 1_000_000 + chunk * KERNEL_CHUNK
        seeds = range(first, first + min(KERNEL_CHUNK, (operations - done) // LENGTH + 1))
        yield run_chunk(stream, seeds), len(seeds) * LENGTH
        done += len(seeds) * LENGTH


def share(stream: Stream, all_streams: Sequence[Stream], operations: int) -> int:
    """How many operations a stream has, if each target is to have that many in all of its streams together."""
    return max(-(-operations // sum(name in one.targets for one in all_streams)) for name in stream.targets)


def computed_chunks(
    all_streams: Sequence[Stream], seed: int, operations: int, jobs: int
) -> Generator[tuple[Tally, int], None, None]:
    """The results of chunks of all streams in turn, in processes, as they come, with the operations of each."""
    counts = {stream: -(-share(stream, all_streams, operations) // (CHUNK * LENGTH)) for stream in all_streams}
    work = (
        (stream, range(first, first + CHUNK))
        for number in range(max(counts.values()))
        for stream in all_streams
        for first in (seed * 1_000_000 + number * CHUNK,)
        if number < counts[stream]
    )
    context = get_context("fork")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        waiting: set[Future[Tally]] = set()
        try:
            for stream, seeds in work:
                waiting.add(pool.submit(run_chunk, stream, seeds))
                if len(waiting) >= 2 * jobs:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from ((one.result(), CHUNK * LENGTH) for one in done)
            for one in waiting:
                yield one.result(), CHUNK * LENGTH
        except BrokenProcessPool:
            raise TargetFailed(
                "a target ended the process that it ran in (the C library's is `c`): run it alone, through the protocol"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
