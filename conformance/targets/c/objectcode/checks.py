"""The checks of requests and messages, against the rules of the specification: the first that is broken decides."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import z3

from conformance.targets.c.objectcode.compiling import layout
from conformance.targets.c.objectcode.straight import Straight
from conformance.targets.c.verify.harness import Plant
from proofs.objectcode.machine import Machine
from proofs.objectcode.models import Names, as_int
from spec.memslots.set_region import CHECKS, SetRegion
from spec.memslots.slot import EMPTY_VM, Slot, Vm, id_of, space_of
from spec.profile import Profile
from spec.rule import Check, first_broken
from spec.vhost.address_map import EMPTY_MAP
from spec.vhost.device import Device
from spec.vhost.messages import WRITE_CHECKS, WriteMessage

REQUEST_RULES = tuple(
    one
    for one in CHECKS
    if one.rule.id.removeprefix("KVM.SLOT.")
    in ("NUMBER", "FLAGS", "SIZE_ALIGNED", "GPA_ALIGNED", "HVA_ALIGNED", "HVA_LIMIT", "SPACE", "GPA_WRAP", "PAGES")
)
OLD_RULES = tuple(
    one for one in CHECKS if one.rule.id.removeprefix("KVM.SLOT.") in ("HVA_FIXED", "SIZE_FIXED", "READONLY_FIXED")
)
REQUEST = {"slot": 32, "flags": 32, "gpa": 64, "size": 64, "hva": 64}
MESSAGE = {"framing": 32, "iova": 64, "size": 64, "uaddr": 64, "perm": 8, "kind": 8}


@dataclass(frozen=True)
class One:
    """A set of one member at most, which the specification may ask what it asks of any set."""

    members: tuple[Any, ...]

    def only(self, holds: Callable[[Any], bool]) -> Any:
        return next((one for one in self.members if holds(one)), None)

    def some(self, holds: Callable[[Any], bool]) -> bool:
        return any(holds(one) for one in self.members)

    def least(self, holds: Callable[[Any], bool], rank: Callable[[Any], tuple[int, ...]]) -> Any:
        return self.only(holds)


def error_of(checks: tuple[Check, ...], profile: Profile, state: Any, request: Any) -> int:
    """What a call returns that makes these checks: 0, or the negative number of the first error."""
    broken = first_broken(checks, profile, state, request)
    return 0 if broken is None else -int(getattr(errno, broken.errno))


def area(kind: str, widths: Mapping[str, int], names: Names) -> dict[str, tuple[int, Any]]:
    """The fields of a structure of the library, each with an unknown of its name."""
    return {field: (layout()[f"{kind}.{field}"], names.term(field, bits)) for field, bits in widths.items()}


def filled(kind: str, widths: Mapping[str, int], case: Mapping[str, int], prefix: str = "") -> Any:
    """A structure in memory with the values of a case."""
    made = bytearray(layout()[f"{kind}.sizeof"])
    for field, bits in widths.items():
        at = layout()[f"{kind}.{field}"]
        made[at : at + bits // 8] = case.get(prefix + field, 0).to_bytes(bits // 8, "little")
    return ctypes.create_string_buffer(bytes(made), len(made))


def numbers(names: Names, widths: Mapping[str, int], prefix: str = "") -> dict[str, Any]:
    """The unknowns as ints, for the specification."""
    return {field: as_int(names.term(prefix + field, bits)) for field, bits in widths.items()}


# ---- Requests for slots -----------------------------------------------------------------------------------------

CONFIG = {"user_slots": 32, "address_spaces": 32, "user_limit": 64}


def request_arguments(machine: Machine, names: Names) -> dict[str, Any]:
    config, region = z3.BitVecs("config region", 64)
    machine.world.declare(config, "config", area("gpamap_config", CONFIG, names), frozenset())
    machine.world.declare(region, "region", area("gpamap_region", REQUEST, names), frozenset())
    return {"RDI": config, "RSI": region}


def request_says(names: Names) -> int:
    profile = Profile(**numbers(names, CONFIG))
    return error_of(REQUEST_RULES, profile, EMPTY_VM, SetRegion(**numbers(names, REQUEST)))


def request_calls(library: ctypes.CDLL, case: Mapping[str, int]) -> int:
    return int(library.check_request(filled("gpamap_config", CONFIG, case), filled("gpamap_region", REQUEST, case)))


# ---- Slots that there are ---------------------------------------------------------------------------------------

OLD = {"first": 64, "host": 64, "flags": 32, "item.span": 64}


def old_arguments(machine: Machine, names: Names) -> dict[str, Any]:
    region, old = z3.BitVecs("region old", 64)
    fields = {field: (layout()[f"slot.{field}"], names.term(f"old.{field}", bits)) for field, bits in OLD.items()}
    machine.world.declare(region, "region", area("gpamap_region", REQUEST, names), frozenset())
    machine.world.declare(old, "old", fields, frozenset())
    return {"RDI": region, "RSI": old}


def old_given(names: Names) -> list[Any]:
    """What holds of a slot, and of a request that passed the checks before: whole pages, and at least one."""
    size, span = names.term("size"), names.term("old.item.span")
    return [size != 0, size & 4095 == 0, span & 4095 == 4095, span != 2**64 - 1]


def old_says(names: Names) -> int:
    request = SetRegion(**numbers(names, REQUEST))
    old = numbers(names, OLD, "old.")
    slot = Slot(
        space_of(request.slot),
        id_of(request.slot),
        old["first"] // 4096,
        (old["item.span"] + 1) // 4096,
        old["host"],
        old["flags"],
    )
    return error_of(OLD_RULES, Profile(), Vm(slots=One((slot,))), request)  # type: ignore[arg-type]


def old_calls(library: ctypes.CDLL, case: Mapping[str, int]) -> int:
    return int(library.check_against_old(filled("gpamap_region", REQUEST, case), filled("slot", OLD, case, "old.")))


# ---- Messages ---------------------------------------------------------------------------------------------------

DEVICE = {"has_iotlb": 8, "config.user_limit": 64}


def message_arguments(machine: Machine, names: Names) -> dict[str, Any]:
    device, message = z3.BitVecs("device message", 64)
    machine.world.declare(device, "device", area("gpamap_device", DEVICE, names), frozenset())
    machine.world.declare(message, "message", area("message", MESSAGE, names), frozenset())
    return {"RDI": device, "RSI": message, "RDX": names.term("length")}


def message_given(names: Names) -> list[Any]:
    return [z3.ULE(names.term("has_iotlb", 8), 1)]  # a C bool


def message_says(names: Names) -> int:
    device = Device(iotlb=EMPTY_MAP if as_int(names.term("has_iotlb", 8)) == 1 else None)
    request = WriteMessage(length=as_int(names.term("length")), **numbers(names, MESSAGE))
    return error_of(WRITE_CHECKS, Profile(user_limit=as_int(names.term("config.user_limit"))), device, request)


def message_calls(library: ctypes.CDLL, case: Mapping[str, int]) -> int:
    device, message = filled("gpamap_device", DEVICE, case), filled("message", MESSAGE, case)
    return int(library.check_message(device, message, ctypes.c_size_t(case["length"])))


PROBLEMS = (
    Straight(
        "object-request",
        "Object code refuses a request for a slot by the specification's first broken rule of what needs no slots.",
        "region.c",
        "check_request",
        request_arguments,
        request_says,
        request_calls,
        (
            Plant(
                "the end of the host range is a sum that wraps",
                "region.c",
                "region->size > config->user_limit || region->hva > config->user_limit - region->size",
                "region->hva + region->size > config->user_limit",
            ),
            Plant(
                "a slot may have 2^31 pages",
                "region.c",
                "pages_in(region->size) > GPAMAP_MAX_SLOT_PAGES",
                "pages_in(region->size) > GPAMAP_MAX_SLOT_PAGES + 1",
            ),
        ),
    ),
    Straight(
        "object-kept",
        "Object code refuses what an existing slot keeps, by the specification's first broken rule of that.",
        "region.c",
        "check_against_old",
        old_arguments,
        old_says,
        old_calls,
        (
            Plant(
                "another flag counts",
                "region.c",
                "(region->flags ^ old->flags) & GPAMAP_READONLY",
                "(region->flags ^ old->flags) & GPAMAP_LOG_DIRTY_PAGES",
            ),
        ),
        given=old_given,
    ),
    Straight(
        "object-message",
        "Object code refuses a message by the specification's first broken rule, in its order.",
        "message.c",
        "check_message",
        message_arguments,
        message_says,
        message_calls,
        (
            Plant(
                "the end of a host range is a sum that wraps",
                "message.c",
                "return size <= limit && host <= limit - size;",
                "return host + size <= limit;",
            ),
            Plant(
                "a range up to the last address is refused",
                "message.c",
                "if (!is_range(message->iova, message->size))",
                "if (!is_range(message->iova, message->size + 1))",
            ),
        ),
        given=message_given,
    ),
)
