"""What makes a queue run: the driver offers a chain and kicks, a packet comes, the driver kicks again.

A chain's bytes must be a packet: the header (12 bytes of 0 say nothing) and an Ethernet frame, 26 bytes at the least.
The network stack throws away what is shorter; that is not specified here. A received packet is written with its header,
of which the last two bytes are not specified (virtio wants 1 there, kernels before 7.2 do not write them).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from spec.operation import Operation
from spec.outcome import Ran
from spec.pages import NO_PAGES
from spec.profile import Profile
from spec.vhost.device import RECEIVE, TRANSMIT, Chain, Device, with_queue
from spec.vhost.run import run_queue

SHORTEST_PACKET = 26  # bytes, header included

# REQUEST ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Transmit:
    """The driver offers a chain in the transmit queue and kicks."""

    chain: Chain = ()


@dataclass(frozen=True)
class Offer:
    """The driver offers a chain in the receive queue; it does not kick."""

    chain: Chain = ()


@dataclass(frozen=True)
class Packet:
    """A packet comes for the receive queue: `length` bytes, header included, at least SHORTEST_PACKET."""

    length: int = SHORTEST_PACKET


@dataclass(frozen=True)
class Kick:
    """The driver kicks a queue that there is."""

    queue: int = TRANSMIT


# RULES: none. What the device finds wrong it reports as an event of the run. --------------------------------------

# EFFECT ----------------------------------------------------------------------------------------------------------


def with_chain(device: Device, number: int, chain: Chain) -> Device:
    """The device with one more chain waiting in a queue."""
    queue = device.queues[number]
    return with_queue(device, number, replace(queue, chains=(*queue.chains, chain)))


def transmit(profile: Profile, device: Device, request: Transmit) -> tuple[Device, Ran]:
    return run_queue(profile, with_chain(device, TRANSMIT, request.chain), TRANSMIT)


def offer(profile: Profile, device: Device, request: Offer) -> tuple[Device, Ran]:
    return with_chain(device, RECEIVE, request.chain), Ran((), NO_PAGES)


def packet(profile: Profile, device: Device, request: Packet) -> tuple[Device, Ran]:
    """The packet waits in the tap. A queue that is listening runs; one that stopped half-way must be kicked."""
    queue = device.queues[RECEIVE]
    device = with_queue(device, RECEIVE, replace(queue, packets=(*queue.packets, request.length)))
    if not queue.listening:
        return device, Ran((), NO_PAGES)
    return run_queue(profile, device, RECEIVE)


def kick(profile: Profile, device: Device, request: Kick) -> tuple[Device, Ran]:
    return run_queue(profile, device, request.queue)


TRANSMIT_CHAIN = Operation("transmit", Transmit, (), transmit, changes_state=True)
OFFER_CHAIN = Operation("offer", Offer, (), offer, changes_state=True)
PACKET_COMES = Operation("packet", Packet, (), packet, changes_state=True)
KICK = Operation("kick", Kick, (), kick, changes_state=True)
