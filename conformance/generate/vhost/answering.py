"""Userspace's part in IOTLB mode: it reads misses and answers them, until the queue has what it needs."""

from __future__ import annotations

from typing import Any

from conformance.backings import BACKING_SIZE, place
from conformance.generate.vhost import scene
from spec.outcome import MissRead
from spec.profile import Profile
from spec.step import step
from spec.vhost.address_map import READ
from spec.vhost.device import Device
from spec.vhost.messages import ReadMessage, WriteMessage

MOST_ANSWERS = 6
ANSWER_BYTES = 0x100


def answer_to(miss: MissRead, number: int) -> WriteMessage:
    """An update that maps what was missed: backing R at its place, else some bytes of data from there on."""
    if scene.RINGS <= miss.iova < scene.RINGS + BACKING_SIZE:
        return scene.RING_UPDATE
    backing = "B" if miss.access == READ else "D"
    size = min(ANSWER_BYTES, 2**64 - miss.iova)
    return scene.update(miss.iova, size, place(backing, 0xC0000 + number * 0x1000), miss.access)


def answered(profile: Profile, device: Device, most: int = MOST_ANSWERS) -> list[Any]:
    """Read each miss and answer it, as long as there are any."""
    requests: list[Any] = []
    for number in range(most):
        if not device.unread:
            break
        device, miss = step(profile, device, ReadMessage())
        assert isinstance(miss, MissRead)
        answer = answer_to(miss, number)
        device, _ = step(profile, device, answer)
        requests += [ReadMessage(), answer]
    return requests
