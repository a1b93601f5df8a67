"""What a target that sees only what userspace sees may report for a run, and what it may not."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from conformance.backings import place
from conformance.generate.build import states
from conformance.generate.vhost import scene
from conformance.payload import bytes_of, digest
from conformance.seen import ERRNO
from conformance.signals import times_of
from conformance.target import Environment, ErrorSeen, MissSeen, NothingSeen, ReceivedAt, Refused, SentBytes
from conformance.verdict import agrees, steps_that_differ
from spec.outcome import (
    Blocked,
    Broken,
    Discarded,
    Faulted,
    MessageTaken,
    Missed,
    Ran,
    Received,
    Segment,
    Sent,
    Translated,
)
from spec.pages import NO_PAGES, pages_in
from spec.profile import Profile
from spec.vhost.address_map import WRITE
from spec.vhost.chain import READ_FIRST
from spec.vhost.messages import WriteMessage
from spec.vhost.queue_io import Kick, Transmit
from spec.vhost.translate import MAPPED, PERMITTED, ROOM, Translate

TWO = (Segment(0x1000, 0x101F, place("A", 0x40)), Segment(0x1020, 0x102F, place("B", 0)))
JOINED = (Segment(0, 9, place("C", 0)), Segment(10, 19, place("C", 10)), Segment(20, 29, place("D", 0)))
CONTENT = bytes_of(TWO)


def run(*events: Any, marked: Any = NO_PAGES) -> Ran:
    return Ran(tuple(events), marked)


@pytest.mark.parametrize(
    ("expected", "seen"),
    [
        (Sent(TWO), SentBytes(48, digest(CONTENT))),
        (Received(JOINED), ReceivedAt(((place("C", 0), 20), (place("D", 0), 10)))),
        (Received(JOINED), ReceivedAt(((place("C", 0), 7), (place("C", 7), 13), (place("D", 0), 10)))),
        (Missed(0x5000, 1), MissSeen()),
        (Broken(MAPPED, 0x2000), ErrorSeen("EFAULT")),
        (Broken(READ_FIRST), ErrorSeen(None)),
        (Broken(MAPPED, 0x2000), Broken(Refused("EFAULT"), 0x2000)),  # type: ignore[arg-type]
        (Blocked(), NothingSeen()),
        (Discarded(), NothingSeen()),
    ],
)
def test_what_an_event_looks_like_from_outside(expected: Any, seen: Any) -> None:
    assert agrees(Transmit(), run(expected), run(seen))
    assert agrees(Transmit(), run(expected), run(expected))
    taken, reported = MessageTaken(72, run(expected)), MessageTaken(72, run(seen))
    assert agrees(WriteMessage(), taken, reported)
    assert not agrees(WriteMessage(), taken, MessageTaken(40, run(seen)))


@pytest.mark.parametrize(
    ("expected", "seen"),
    [
        (Sent(TWO), SentBytes(47, digest(CONTENT))),
        (Sent(TWO), SentBytes(48, digest(CONTENT[::-1]))),
        (Sent(TWO), Sent(TWO[:1])),
        (Received(JOINED), ReceivedAt(((place("C", 0), 20), (place("D", 1), 10)))),
        (Missed(0x5000, 1), Missed(0x5000, 2)),
        (Missed(0x5000, 1), NothingSeen()),
        (Broken(MAPPED, 0x2000), ErrorSeen("EPERM")),
        (Broken(MAPPED, 0x2000), ErrorSeen(None)),
        (Broken(READ_FIRST), ErrorSeen("EINVAL")),
        (Broken(ROOM, 0x2000), ErrorSeen(None)),
        (Broken(MAPPED, 0x2000), Broken(MAPPED, 0x2001)),
        (Broken(MAPPED, 0x2000), Broken(PERMITTED, 0x2000)),
        (Broken(MAPPED, 0x2000), MissSeen()),
        (Blocked(), MissSeen()),
        (Blocked(), Discarded()),
    ],
)
def test_what_no_target_may_report_instead(expected: Any, seen: Any) -> None:
    assert not agrees(Transmit(), run(expected), run(seen))


def test_only_what_a_target_cannot_see_may_be_left_out() -> None:
    both = ("Blocked", "Discarded")
    assert agrees(Transmit(), run(Blocked()), run(), both)
    assert agrees(Transmit(), run(Discarded(), Sent(TWO), Discarded()), run(Sent(TWO)), both)
    assert agrees(WriteMessage(), MessageTaken(72, run(Blocked())), MessageTaken(72, run()), both)
    assert agrees(Transmit(), run(Discarded(), Blocked()), run(Discarded()), ("Blocked",))
    assert not agrees(Transmit(), run(Discarded(), Blocked()), run(Blocked()), ("Blocked",))
    for event in (Sent(TWO), Missed(0, 1), Broken(MAPPED, 0)):
        assert not agrees(Transmit(), run(event), run(), both)
    for silent in (Blocked(), Discarded()):
        assert not agrees(Transmit(), run(silent), run())
        assert not agrees(WriteMessage(), MessageTaken(72, run(silent)), MessageTaken(72, run()))


@pytest.mark.parametrize("unseen", [(), ("Blocked",), ("Blocked", "Discarded")])
@pytest.mark.parametrize("event", [Sent(TWO), Missed(0, 1), Broken(MAPPED, 0), Blocked(), Discarded(), NothingSeen()])
def test_nothing_may_be_added(event: Any, unseen: tuple[str, ...]) -> None:
    assert not agrees(Transmit(), run(), run(event), unseen)
    assert not agrees(Transmit(), run(Sent(TWO)), run(event, Sent(TWO), event), unseen)


def test_marked_pages_are_exactly_those() -> None:
    marked = pages_in(((3, 4),))
    assert agrees(Transmit(), run(marked=marked), run(marked=marked))
    assert not agrees(Transmit(), run(marked=marked), run())
    assert not agrees(Transmit(), run(), run(marked=marked))


def test_a_translation_stops_at_the_same_byte_for_the_same_reason() -> None:
    stopped = Faulted(MAPPED, 0x2000)
    assert agrees(Translate(), stopped, Faulted(Refused("EFAULT"), 0x2000))  # type: ignore[arg-type]
    assert not agrees(Translate(), stopped, Faulted(Refused("EPERM"), 0x2000))  # type: ignore[arg-type]
    assert not agrees(Translate(), stopped, Faulted(MAPPED, 0x2001))
    assert not agrees(Translate(), stopped, Translated(()))
    assert not agrees(Translate(), Translated(TWO), Translated(TWO[:1]))


def test_without_errnos_there_are_none() -> None:
    """A kernel whose log cannot be read must not be believed to have said one."""
    for rule in (MAPPED, READ_FIRST):
        assert agrees(Transmit(), run(Broken(rule)), run(ErrorSeen(None)), (ERRNO,))
        assert not agrees(Transmit(), run(Broken(rule)), run(ErrorSeen(rule.errno)), (ERRNO,))


def test_an_error_is_signalled_as_often_as_it_should() -> None:
    both = run(Broken(MAPPED, 0), Broken(READ_FIRST))
    for first, second in product((1, 2, 3), repeat=2):
        seen = run(ErrorSeen("EFAULT", first), ErrorSeen(None, second))
        assert agrees(Transmit(), both, seen, times=(2, 1)) == ((first, second) == (2, 1))
        assert agrees(Transmit(), both, seen, times=(None, 1)) == (second == 1)
        assert agrees(Transmit(), both, seen)


SCENE = (*scene.iotlb_live(scene.update_of(scene.LOW, WRITE)),)
INSIDE = scene.indirect(scene.read(scene.LOW.gpa, 16))


@pytest.mark.parametrize(
    ("part", "often"),
    [
        (scene.read(scene.LOW.gpa, 16), 1),
        (INSIDE, 2),
        (scene.indirect(scene.read(0, 0), length=17), 2),
        (scene.indirect(INSIDE), 2),
        (scene.written(scene.LOW.gpa, 16), 1),  # nothing that is sent may be written
        (scene.indirect(scene.written(scene.LOW.gpa, 16)), 1),  # which is seen once the chain was read
    ],
)
def test_what_is_wrong_in_a_table_is_signalled_twice(part: Any, often: int) -> None:
    requests = (*SCENE, scene.send(part), Kick(queue=1))
    found = times_of(Profile(), requests)
    assert found[-2:] == [(often,), (often,)]  # it stays, and fails once more
    assert all(one == () for one in found[:-2])


def test_a_verdict_counts_signals() -> None:
    """Through the verdict: an error in a table that is signalled once, or three times, differs."""
    requests = (*SCENE, scene.send(INSIDE))
    outcomes = [outcome for _, outcome in states(Profile(), requests)]
    environment = Environment("x", "1", Profile(), ())
    for often in (1, 2, 3):
        results = [*outcomes[:-1], run(ErrorSeen("EPERM", often))]
        found = list(steps_that_differ(requests, outcomes, results, environment))
        assert found == ([] if often == 2 else [len(requests) - 1])
