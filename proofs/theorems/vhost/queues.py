"""Chains and fields of a ring, as far as they are proved."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import combinations, pairwise
from typing import Any

import spec.vhost.chain
import spec.vhost.run
from proofs.invariants_vhost import iotlb_is_valid, map_is_in_order
from proofs.symbolic.boolean import all_merged, all_of, any_of, merged, negation
from proofs.theorem import UNBOUNDED, Bug, Patch, Theorem, patched
from proofs.theorems.vhost.translations import access_of
from proofs.world import World
from proofs.world_vhost import any_device
from spec.outcome import Broken, Faulted, Segment, Translated
from spec.profile import Profile
from spec.units import U32_MAX, U64_MAX
from spec.vhost.address_map import entry_at
from spec.vhost.chain import (
    DESCRIPTOR_BYTES,
    NESTED,
    READ_FIRST,
    TABLE_COUNT,
    TABLE_LENGTH,
    TABLE_SIZE,
    Buffers,
    buffers_of,
    with_descriptor,
)
from spec.vhost.device import NEW_DEVICE, TRANSMIT, Descriptor, Device, Queue
from spec.vhost.run import RECEIVES, SENDS, field_in_pieces, receive_one, send_one
from spec.vhost.translate import ROOM, byte_stops_at, map_in_use

CHAIN, RUN, THIS = spec.vhost.chain, spec.vhost.run, sys.modules[__name__]
FEW_SEGMENTS = 3  # of a chain, in place of 1024
DESCRIPTORS = 3  # of a chain that is looked at
INNER = 2  # of an indirect table that is looked at
PIECES = 4  # that the bytes of one descriptor may take

# TRANSLATIONS THAT ARE ONLY COUNTED ------------------------------------------------------------------------------


@contextmanager
def counted(pieces: tuple[Any, ...]) -> Iterator[None]:
    """Translations take so many segments each, one after the other; one that has no room for them stops."""
    left = list(pieces)

    def translation(
        profile: Profile, device: Device, addr: int, length: int, access: int, room: int
    ) -> tuple[Device, Translated | Faulted]:
        wanted = left.pop(0)
        count = next(number for number in range(PIECES + 1) if number == PIECES or wanted == number)
        if count > room:
            return device, Faulted(ROOM, addr)
        return device, Translated(tuple(Segment(addr, addr, 0) for _ in range(count)))

    with patched((Patch(CHAIN, "translation", translation), Patch(CHAIN, "MOST_SEGMENTS", FEW_SEGMENTS))):
        yield


# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def a_descriptor(world: World, name: str) -> Descriptor:
    return Descriptor(
        addr=world.integer(f"{name}.addr", 0, U64_MAX),
        length=world.integer(f"{name}.length", 0, U32_MAX),
        writable=world.boolean(f"{name}.writable"),  # type: ignore[arg-type]
    )


def a_chain(world: World) -> dict[str, Any]:
    """A chain, and how many segments each descriptor takes."""
    return {
        "profile": world.profile(),
        "chain": tuple(a_descriptor(world, f"descriptor{i}") for i in range(DESCRIPTORS)),
        "pieces": tuple(world.integer(f"pieces{i}", 0, PIECES) for i in range(DESCRIPTORS)),
    }


def an_indirect_chain(world: World) -> dict[str, Any]:
    """An indirect descriptor, whose table has two descriptors, and whether the second of them is indirect."""
    return {
        "profile": world.profile(),
        "length": world.integer("length", 0, U32_MAX),
        "inner": tuple(a_descriptor(world, f"inner{i}") for i in range(INNER)),
        "nests": world.boolean("nests"),
    }


def a_field(world: World) -> dict[str, Any]:
    return {
        "profile": world.profile(),
        "device": any_device(world),
        "address": world.integer("address", 0, U64_MAX),
        "writes": world.boolean("writes"),
    }


def buffers(world: World) -> dict[str, Any]:
    return {
        "profile": world.profile(),
        "readable": world.integer("readable", 0, 1),
        "writable": world.integer("writable", 0, 1),
        "sends": world.boolean("sends"),
    }


def anything(**rest: Any) -> Any:
    """Nothing is assumed."""
    return True


def map_in_order(profile: Profile, device: Device) -> Any:
    """The map in use is in order."""
    return map_is_in_order(map_in_use(device))


def map_is_valid(profile: Profile, device: Device, **rest: Any) -> Any:
    """The map in use is in order, and an IOTLB within its limit."""
    return all_merged((map_in_order, iotlb_is_valid), profile, device)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def chain_is_in_bounds(profile: Profile, chain: tuple[Descriptor, ...], pieces: tuple[int, ...]) -> Any:
    """A chain that can be taken has no more segments than any may have, and reads before it writes."""
    with counted(pieces):
        _, answer = buffers_of(profile, NEW_DEVICE, TRANSMIT, chain)
    in_order = all_of(*(any_of(negation(one.writable), other.writable) for one, other in pairwise(chain)))
    if isinstance(answer, Buffers):
        total = len(answer.readable) + len(answer.writable)
        reads_first = [
            any_of(negation(chain[one].writable), pieces[one] == 0, chain[other].writable)
            for one, other in combinations(range(len(chain)), 2)
        ]
        return all_of(total == sum(pieces), total <= FEW_SEGMENTS, *reads_first)
    if isinstance(answer, Broken) and answer.rule is READ_FIRST:
        return negation(in_order)
    return all_of(isinstance(answer, Broken) and answer.rule is ROOM, sum(pieces) > FEW_SEGMENTS)


def table_is_as_said(profile: Profile, length: int, inner: tuple[Descriptor, ...], nests: Any) -> Any:
    """Why an indirect table is refused: its length, its size, more descriptors than it holds, or one that nests."""
    last = Descriptor(0, 16, table=()) if nests else inner[1]
    one = Descriptor(0, length, table=(inner[0], last))
    with counted((1,) * (INNER + 1)):
        _, answer = buffers_of(profile, NEW_DEVICE, TRANSMIT, (one,))
    rule = answer.rule if isinstance(answer, Broken) else None
    held = length // DESCRIPTOR_BYTES
    if length % DESCRIPTOR_BYTES != 0:
        return rule is TABLE_LENGTH
    if held > 2**16:
        return rule is TABLE_SIZE
    if held < 1:
        return rule is TABLE_COUNT
    if held < INNER:
        return rule is TABLE_COUNT
    if nests:
        return rule is NESTED
    if inner[0].writable and not inner[1].writable:
        return rule is READ_FIRST
    return isinstance(answer, Buffers)


def pieces_are_seen(profile: Profile, device: Device, address: int, writes: Any) -> Any:
    """A field is in pieces exactly if both bytes can be had in IOTLB mode and the entry of the first ends there."""
    access = access_of(writes)
    with patched((Patch(RUN, "MOST_RING_SEGMENTS", 2),)):
        found = field_in_pieces(profile, device, ((address, access),))
    in_pieces = merged(entry_ends_between)(device, address, access)
    return negation(in_pieces) if found is None else all_of(in_pieces, found == address)


def entry_ends_between(device: Device, address: int, access: int) -> bool:
    """In IOTLB mode both bytes can be had, and the entry of the first ends there."""
    if device.iotlb is None:
        return False
    entry = entry_at(device.iotlb, address)
    had = byte_stops_at(device, address, access) is None and byte_stops_at(device, address + 1, access) is None
    return had and entry is not None and entry.last == address


def direction_is_seen(profile: Profile, readable: int, writable: int, sends: Any) -> Any:
    """To send, a chain has bytes to read and none to write; to receive, the other way round."""
    segment = Segment(0, 99, 0)
    made = Buffers((segment,) if readable == 1 else (), (segment,) if writable == 1 else ())

    def buffers_of(*_: Any) -> tuple[Device, Buffers]:
        return waiting, made

    queue = Queue(chains=((),), packets=(50,))
    waiting = Device(queues=(queue, queue))
    with patched((Patch(RUN, "buffers_of", buffers_of),)):
        take = send_one if sends else receive_one
        _, event, _ = take(profile, waiting, 1 if sends else 0)
    is_broken = isinstance(event, Broken) and event.rule is (SENDS if sends else RECEIVES)
    is_fit = len(made.readable) > 0 and len(made.writable) == 0
    if not sends:
        is_fit = len(made.writable) > 0 and len(made.readable) == 0
    return is_broken != is_fit


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def reads_after_writes(
    profile: Profile, device: Device, queue: int, one: Descriptor, buffers: Buffers
) -> tuple[Device, Any]:
    """Nobody asks what came before."""
    device, alone = with_descriptor(profile, device, queue, one, Buffers())
    if not isinstance(alone, Buffers):
        return device, alone
    return device, Buffers(buffers.readable + alone.readable, buffers.writable + alone.writable)


def never_in_pieces(profile: Profile, device: Device, fields: Any) -> None:
    return None


# THEOREMS --------------------------------------------------------------------------------------------------------


def about(
    theorem_id: str,
    sentence: str,
    rules: tuple[str, ...],
    operations: tuple[str, ...],
    inputs: Callable[[World], dict[str, Any]],
    given: Callable[..., Any],
    holds: Callable[..., Any],
    bug: Bug,
    bound: str = UNBOUNDED,
) -> Theorem:
    return Theorem(theorem_id, sentence, rules, operations, "queues", inputs, given, holds, bug, bound)


RUNS = ("transmit", "packet", "kick")
THEOREMS = (
    about(
        "CHAIN.BOUNDS",
        "A chain that is taken has all its segments and no more than any chain may have, and what it reads comes "
        "before what it writes.",
        ("VHOST.CHAIN.READ_FIRST", "XLATE.ROOM"),
        RUNS,
        a_chain,
        anything,
        chain_is_in_bounds,
        Bug("each descriptor is taken as if it were alone", (Patch(CHAIN, "with_descriptor", reads_after_writes),)),
        f"chains of {DESCRIPTORS} descriptors, {FEW_SEGMENTS} segments in place of 1024: the walk is run as it is",
    ),
    about(
        "CHAIN.TABLE",
        "An indirect table is taken exactly if its length is that of whole descriptors, of 1 to 2^16, no fewer than "
        "are used, and none of them is indirect.",
        ("VHOST.CHAIN.TABLE_LENGTH", "VHOST.CHAIN.TABLE_SIZE", "VHOST.CHAIN.TABLE_COUNT", "VHOST.CHAIN.NESTED"),
        RUNS,
        an_indirect_chain,
        anything,
        table_is_as_said,
        Bug("a descriptor is 8 bytes long", (Patch(CHAIN, "DESCRIPTOR_BYTES", 8),)),
        f"tables with {INNER} descriptors, of any length: a table is a list of them",
    ),
    about(
        "CHAIN.DIRECTION",
        "A chain is sent only if it has bytes to read and none to write, and received into only if it has bytes to "
        "write and none to read.",
        ("VHOST.CHAIN.SENDS", "VHOST.CHAIN.RECEIVES"),
        RUNS,
        buffers,
        anything,
        direction_is_seen,
        Bug("the rules are mixed up", (Patch(RUN, "SENDS", RECEIVES),)),
        "chains of at most one segment for each direction: what is put together is a list of them",
    ),
    about(
        "RING.WHOLE_FIELD",
        "A two-byte field is refused exactly where both bytes can be had, by different entries of the IOTLB.",
        ("VHOST.RING.WHOLE_FIELD",),
        RUNS,
        a_field,
        map_is_valid,
        pieces_are_seen,
        Bug("nobody looks", (Patch(THIS, "field_in_pieces", never_in_pieces),)),
    ),
)
