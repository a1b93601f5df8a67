"""How often a device signals an error, for targets that see the signals and not the rule.

An error in an indirect table is signalled where it is found, and again by who had the table read; so is one at a field
of a ring. Each other error of a chain is signalled once (drivers/vhost/vhost.c get_indirect, vhost_get_vq_desc,
__vhost_get_user_slow).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spec.outcome import Broken, MessageTaken, Ran
from spec.profile import Profile
from spec.step import step, subject_of
from spec.vhost.chain import Buffers, with_descriptor, with_table
from spec.vhost.device import QUEUES, Device
from spec.vhost.run import RECEIVES, SENDS, WHOLE_FIELD

Times = tuple[int | None, ...]  # for each event of a run: how often it is signalled, None where that is not said


def times_of(profile: Profile, requests: Sequence[Any]) -> list[Times]:
    """For each request, how often the events of what ran because of it are signalled."""
    state = subject_of(requests).fresh
    found = []
    for request in requests:
        state, outcome = step(profile, state, request)
        ran = outcome.ran if isinstance(outcome, MessageTaken) else outcome
        events = ran.events if isinstance(ran, Ran) else ()
        found.append(tuple(times(profile, state, one) if isinstance(one, Broken) else None for one in events))
    return found


def times(profile: Profile, after: Device, event: Broken) -> int | None:
    """How often an error is signalled. `after` is the device after the run, which has the chain in error still there.

    None where two queues are stuck by what looks the same, and one of them in a table.
    """
    if event.rule is WHOLE_FIELD:
        return 2
    if event.rule in (SENDS, RECEIVES):
        return 1
    found = {times_in_chain(profile, after, number, event) for number in range(QUEUES)} - {None}
    return found.pop() if len(found) == 1 else None


def times_in_chain(profile: Profile, device: Device, number: int, event: Broken) -> int | None:
    """How often an error of a queue's first chain is signalled, None where that chain is not in this error."""
    buffers = Buffers()
    for one in (*device.queues[number].chains, ())[0]:
        add = with_descriptor if one.table is None else with_table
        device, after = add(profile, device, number, one, buffers)
        if not isinstance(after, Buffers):
            return (1 if one.table is None else 2) if after == event else None
        buffers = after
    return None
