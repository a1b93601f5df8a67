"""What a device's run looks like from outside, and whether a target that sees only that saw what is expected.

A kernel shows a packet's bytes and not where they were, where a packet was written and not by which guest address, that
there is a miss (userspace reads it to learn which), and how often an error was signalled and not its rule. Only errors
of translations come with an errno. A queue that waits in silence shows nothing.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from conformance.payload import bytes_of, digest
from conformance.signals import Times
from conformance.target import ErrorSeen, MissSeen, NothingSeen, ReceivedAt, Refused, SentBytes
from spec.outcome import Blocked, Broken, Discarded, Event, Faulted, MessageTaken, Missed, Ran, Received, Segment, Sent
from spec.rule import Rule

ERRNO = "errno"  # what a target that cannot read errnos names beside the events that it cannot see
NUMBERED = "XLATE."  # rules whose errors come with an errno

Pieces = tuple[tuple[int, int], ...]


def joined(pieces: Pieces) -> Pieces:
    """Pieces of host memory, as (address, bytes); those that continue each other are one."""
    found: list[tuple[int, int]] = []
    for host, length in pieces:
        if length == 0:
            continue
        if found and found[-1][0] + found[-1][1] == host:
            found[-1] = (found[-1][0], found[-1][1] + length)
        else:
            found.append((host, length))
    return tuple(found)


def pieces_of(segments: tuple[Segment, ...]) -> Pieces:
    """Where the bytes of segments are in host memory."""
    return joined(tuple((one.host, one.last - one.first + 1) for one in segments))


def is_sent(segments: tuple[Segment, ...], seen: SentBytes) -> bool:
    """Whether a packet that came out has the bytes of these segments."""
    content = bytes_of(segments)
    return seen == SentBytes(len(content), digest(content))


def same_error(expected: Rule, seen: Rule | Refused) -> bool:
    """Whether an error is the expected one: by its rule where it names one, else by errno."""
    return seen == expected if isinstance(seen, Rule) else seen.errno == expected.errno


def error_agrees(expected: Rule, seen: ErrorSeen, unseen: tuple[str, ...], times: int | None) -> bool:
    """Whether an error was signalled as expected: with its errno where it has one, and as often as it should."""
    if times is not None and seen.times != times:
        return False
    if expected.id.startswith(NUMBERED) and ERRNO not in unseen:
        return seen.errno == expected.errno
    return seen.errno is None


def event_agrees(expected: Event, seen: Any, unseen: tuple[str, ...] = (), times: int | None = None) -> bool:
    """Whether what was reported for an event is what it looks like there."""
    match expected, seen:
        case Sent(segments), SentBytes():
            return is_sent(segments, seen)
        case Received(segments), ReceivedAt(pieces):
            return joined(pieces) == pieces_of(segments)
        case Missed(), MissSeen():
            return True
        case Broken(), Broken(rule, at):
            return at == expected.at and same_error(expected.rule, rule)
        case Broken(rule), ErrorSeen():
            return error_agrees(rule, seen, unseen, times)
        case ((Blocked() | Discarded()), NothingSeen()):
            return True
    return bool(seen == expected)


def run_agrees(expected: Ran, seen: Any, unseen: tuple[str, ...] = (), times: Times = ()) -> bool:
    """Whether a run went as expected: each event in order, and the marked pages.

    Only events whose names are in `unseen` may be left out, and nothing may be added. `times` says of each expected
    event how often it is signalled; what it does not say is not compared.
    """
    if not isinstance(seen, Ran) or seen.marked != expected.marked:
        return False
    reported = list(seen.events)
    for event, often in zip_longest(expected.events, times[: len(expected.events)]):
        if reported and event_agrees(event, reported[0], unseen, often):
            reported.pop(0)
        elif type(event).__name__ not in unseen:
            return False
    return not reported


def device_answer_agrees(expected: Any, seen: Any, unseen: tuple[str, ...] = (), times: Times = ()) -> bool | None:
    """Whether an answer of the vhost line is the expected one; None where another line's is expected."""
    match expected:
        case Ran():
            return run_agrees(expected, seen, unseen, times)
        case MessageTaken(length, ran):
            return isinstance(seen, MessageTaken) and seen.length == length and run_agrees(ran, seen.ran, unseen, times)
        case Faulted(rule, at):
            return isinstance(seen, Faulted) and seen.at == at and same_error(rule, seen.rule)
    return None
