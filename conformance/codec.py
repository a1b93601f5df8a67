"""Requests, outcomes and answers as canonical JSON, and back.

    request     {"op": "set_region", "slot": 0, "gpa": "0x1000", ...}
    outcome     {"done": true}
                {"error": "EEXIST", "rule": "KVM.SLOT.OVERLAP"}
                {"dirty": [{"first": 0, "last": 3}], "bitmap_bytes": 8}
                {"written": [{"first": "0x1000", "last": "0x100b", "host": HOST}], "complete": true}
                {"touched": HOST}      {"mmio": "0x5000"}      {"located": {"host": HOST, "last": "0x1fff"}}
                {"slots": [{"space": 0, "id": 0, "first": ..., "last": ..., "host": HOST, "flags": 1, "dirty": []}]}
                {"ranges": [{"space": 0, "id": 0, "first": ..., "last": ...}]}
                {"unobservable": "why"}                          only in answers, only to queries
                and those of a vhost device: conformance/codec_vhost.py
    HOST        {"backing": "A", "offset": "0x3000"} or "0x7f0000000000"

Ranges include both ends. Decoding raises FormatError with the JSON path of what is wrong.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, cast

from conformance.codec_vhost import (
    device_json,
    device_outcome_from,
    device_outcome_json,
    names_no_rule,
    segments_from,
    segments_json,
)
from conformance.fields import (
    FIELDS,
    OPERATIONS_BY_NAME,
    FormatError,
    decode,
    decode_bool,
    decode_hex,
    decode_host,
    decode_int,
    decode_list,
    decode_object,
    decode_pages,
    decode_text,
    encode,
    encode_host,
    encode_pages,
)
from conformance.rules import rule_named
from conformance.target import Answer, Crashed, Errored, Refused, Results, Skipped, StepResult, Trial, Unobservable
from spec.memslots.slot import Vm
from spec.outcome import (
    DirtyPages,
    Done,
    GuestRange,
    GuestRanges,
    Located,
    Mmio,
    Outcome,
    Rejected,
    Slots,
    SlotView,
    Touched,
    Written,
)
from spec.pages import Pages
from spec.profile import Profile
from spec.rule import Rule
from spec.step import operation_of
from spec.units import U32_MAX


def canonical(value: Any) -> str:
    """JSON on one line, members in the order in which they were put: the same value is always the same text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# Requests --------------------------------------------------------------------------------------------------------


def request_json(request: Any, complete: bool = False) -> dict[str, Any]:
    """A request as JSON. Fields that have their default are left out, unless a `complete` form is asked for."""
    operation = operation_of(request)
    document: dict[str, Any] = {"op": operation.name}
    for field in FIELDS[operation.name]:
        value = getattr(request, field.name)
        if complete or value != field.default:
            document[field.name] = encode(field.kind, value)
    return document


def request_from(document: Any, where: str = "$") -> Any:
    """The request that JSON describes. Fields left out have their default."""
    if not isinstance(document, dict):
        raise FormatError(where, f"expected an object, found {type(document).__name__}")
    name = document.get("op")
    if not isinstance(name, str) or name not in OPERATIONS_BY_NAME:
        raise FormatError(f"{where}.op", f"unknown operation {name!r}; there are: {', '.join(OPERATIONS_BY_NAME)}")
    fields = FIELDS[name]
    decode_object(where, document, ("op",), tuple(field.name for field in fields))
    values = {
        field.name: decode(field.kind, f"{where}.{field.name}", document[field.name])
        for field in fields
        if field.name in document
    }
    return OPERATIONS_BY_NAME[name].request(**values)


# Outcomes --------------------------------------------------------------------------------------------------------


def outcome_json(outcome: StepResult) -> dict[str, Any]:
    """An expected outcome, or what a target reported, as JSON."""
    document = device_outcome_json(outcome)
    if document is not None:
        return document
    match outcome:
        case Done():
            return {"done": True}
        case Rejected(rule):
            return {"error": rule.errno, "rule": rule.id}
        case Refused(errno):
            return {"error": errno}
        case Unobservable(reason):
            return {"unobservable": reason}
        case DirtyPages(pages, bitmap_bytes):
            return {"dirty": encode_pages(pages), "bitmap_bytes": bitmap_bytes}
        case Written(segments, stopped_by):
            document = {"written": segments_json(segments), "complete": stopped_by is None}
            if isinstance(stopped_by, Rule):
                document["rule"] = stopped_by.id
            return document
        case Touched(host):
            return {"touched": encode_host(host)}
        case Mmio(gpa):
            return {"mmio": hex(gpa)}
        case Located(host, last):
            return {"located": {"host": encode_host(host), "last": hex(last)}}
        case Slots(slots):
            return {"slots": [slot_json(slot) for slot in slots]}
        case GuestRanges(ranges):
            return {"ranges": [range_json(guest_range) for guest_range in ranges]}
    raise TypeError(f"{type(outcome).__name__} is not an outcome")


def slot_json(slot: SlotView) -> dict[str, Any]:
    return {
        "space": slot.space,
        "id": slot.id,
        "first": hex(slot.first),
        "last": hex(slot.last),
        "host": encode_host(slot.host),
        "flags": slot.flags,
        "dirty": None if slot.dirty is None else encode_pages(slot.dirty),
    }


def range_json(guest_range: GuestRange) -> dict[str, Any]:
    return {
        "space": guest_range.space,
        "id": guest_range.id,
        "first": hex(guest_range.first),
        "last": hex(guest_range.last),
    }


def expected_from(document: Any, where: str = "$") -> Outcome:
    """An expected outcome from JSON: a rejection has to name its rule."""
    if isinstance(document, dict) and "unobservable" in document:
        raise FormatError(f"{where}.unobservable", "an expectation is always an outcome")
    result = result_from(document, where)
    if isinstance(result, Refused):
        raise FormatError(where, "an expected rejection names its rule")
    if isinstance(result, Written) and isinstance(result.stopped_by, Refused):
        raise FormatError(where, "an expected write that is not complete names the rule that stopped it")
    if names_no_rule(result):
        raise FormatError(where, "an expectation has events as the specification has them, with their rules")
    return cast(Outcome, result)


def result_from(document: Any, where: str = "$") -> StepResult:
    """What a target reported for one step, from JSON."""
    if not isinstance(document, dict):
        raise FormatError(where, f"expected an object, found {type(document).__name__}")
    if "done" in document:
        decode_object(where, document, ("done",))
        if document["done"] is not True:
            raise FormatError(f"{where}.done", "is true, or is not there")
        return Done()
    found = device_outcome_from(document, where)
    if found is not None:
        return cast(StepResult, found)
    if "error" in document:
        decode_object(where, document, ("error",), ("rule",))
        errno = decode_text(f"{where}.error", document["error"])
        if "rule" not in document:
            return Refused(errno)
        rule = rule_named(f"{where}.rule", document["rule"])
        if rule.errno != errno:
            raise FormatError(f"{where}.error", f"{rule.id} gives {rule.errno}, not {errno}")
        return Rejected(rule)
    if "unobservable" in document:
        decode_object(where, document, ("unobservable",))
        return Unobservable(decode_text(f"{where}.unobservable", document["unobservable"]))
    if "dirty" in document:
        decode_object(where, document, ("dirty", "bitmap_bytes"))
        pages = decode_pages(f"{where}.dirty", document["dirty"])
        return DirtyPages(pages, decode_int(f"{where}.bitmap_bytes", document["bitmap_bytes"], 0, 2**32))
    if "written" in document:
        return written_from(document, where)
    if "touched" in document:
        decode_object(where, document, ("touched",))
        return Touched(decode_host(f"{where}.touched", document["touched"]))
    if "mmio" in document:
        decode_object(where, document, ("mmio",))
        return Mmio(decode_hex(f"{where}.mmio", document["mmio"]))
    if "located" in document:
        decode_object(where, document, ("located",))
        place = decode_object(f"{where}.located", document["located"], ("host", "last"))
        return Located(
            decode_host(f"{where}.located.host", place["host"]),
            decode_hex(f"{where}.located.last", place["last"]),
        )
    if "slots" in document:
        decode_object(where, document, ("slots",))
        items = decode_list(f"{where}.slots", document["slots"])
        return Slots(tuple(slot_from(item, f"{where}.slots[{index}]") for index, item in enumerate(items)))
    if "ranges" in document:
        decode_object(where, document, ("ranges",))
        items = decode_list(f"{where}.ranges", document["ranges"])
        return GuestRanges(tuple(range_from(item, f"{where}.ranges[{index}]") for index, item in enumerate(items)))
    known = "done, error, unobservable, dirty, written, touched, mmio, located, slots, ranges, translated, faulted, "
    known += "ran, taken, miss, nothing_read, table"
    raise FormatError(where, f"no outcome has the members {', '.join(document) or '(none)'}; one of {known} is needed")


def written_from(document: dict[str, Any], where: str) -> Written:
    decode_object(where, document, ("written", "complete"), ("rule", "error"))
    segments = segments_from(document["written"], f"{where}.written")
    if decode_bool(f"{where}.complete", document["complete"]):
        return Written(segments)
    if "rule" in document:
        return Written(segments, stopped_by=rule_named(f"{where}.rule", document["rule"]))
    stopped_by = Refused(decode_text(f"{where}.error", document.get("error", "")))
    return Written(segments, stopped_by=cast(Rule, stopped_by))


def slot_from(document: Any, where: str) -> SlotView:
    decode_object(where, document, ("space", "id", "first", "last", "host", "flags", "dirty"))
    dirty: Pages | None = None
    if document["dirty"] is not None:
        dirty = decode_pages(f"{where}.dirty", document["dirty"])
    return SlotView(
        space=decode_int(f"{where}.space", document["space"], 0, U32_MAX),
        id=decode_int(f"{where}.id", document["id"], 0, U32_MAX),
        first=decode_hex(f"{where}.first", document["first"]),
        last=decode_hex(f"{where}.last", document["last"]),
        host=decode_host(f"{where}.host", document["host"]),
        flags=decode_int(f"{where}.flags", document["flags"], 0, U32_MAX),
        dirty=dirty,
    )


def range_from(document: Any, where: str) -> GuestRange:
    decode_object(where, document, ("space", "id", "first", "last"))
    return GuestRange(
        space=decode_int(f"{where}.space", document["space"], 0, U32_MAX),
        id=decode_int(f"{where}.id", document["id"], 0, U32_MAX),
        first=decode_hex(f"{where}.first", document["first"]),
        last=decode_hex(f"{where}.last", document["last"]),
    )


# Trials, answers, profiles ---------------------------------------------------------------------------------------


def trial_json(trial: Trial) -> dict[str, Any]:
    """A trial as it goes to an adapter: every field is there, so that no adapter has to know a default."""
    return {"id": trial.id, "steps": [request_json(request, complete=True) for request in trial.requests]}


def trial_from(document: Any, where: str = "$") -> Trial:
    decode_object(where, document, ("id", "steps"))
    steps = decode_list(f"{where}.steps", document["steps"])
    requests = tuple(request_from(item, f"{where}.steps[{index}]") for index, item in enumerate(steps))
    return Trial(decode_text(f"{where}.id", document["id"]), requests)


def answer_json(answer: Answer) -> dict[str, Any]:
    match answer:
        case Results(name, steps):
            return {"id": name, "results": [outcome_json(result) for result in steps]}
        case Skipped(name, reason):
            return {"id": name, "skipped": reason}
        case Errored(name, trace):
            return {"id": name, "errored": trace}
        case Crashed(name, report):
            return {"id": name, "crashed": report}


def answer_from(document: Any, where: str = "$") -> Answer:
    if not isinstance(document, dict):
        raise FormatError(where, f"expected an object, found {type(document).__name__}")
    name = decode_text(f"{where}.id", document.get("id"))
    if "results" in document:
        decode_object(where, document, ("id", "results"))
        results = decode_list(f"{where}.results", document["results"])
        return Results(name, tuple(result_from(item, f"{where}.results[{i}]") for i, item in enumerate(results)))
    for kind, make in (("skipped", Skipped), ("errored", Errored), ("crashed", Crashed)):
        if kind in document:
            decode_object(where, document, ("id", kind))
            return cast(Answer, make(name, decode_text(f"{where}.{kind}", document[kind])))
    raise FormatError(where, "an answer has results, skipped, errored or crashed")


HEX_SWITCHES = ("user_limit", "max_gfn", "features")
DEVICE_SWITCHES = ("max_regions", "iotlb_limit", "retirement", "features", "iotlb_mode")


def switch_json(name: str, value: Any) -> Any:
    """The value of a profile switch; addresses and page numbers as hexadecimal strings."""
    return hex(value) if name in HEX_SWITCHES and value is not None else value


def switch_from(name: str, value: Any, where: str) -> Any:
    """The value of a profile switch from JSON."""
    defaults = Profile()
    if not hasattr(defaults, name):
        known = ", ".join(field.name for field in dataclasses.fields(Profile))
        raise FormatError(where, f"{name!r} is not a profile switch; there are: {known}")
    if name == "max_gfn" and value is None:
        return None
    if name in HEX_SWITCHES:
        return decode_hex(where, value)
    example = getattr(defaults, name)
    if isinstance(example, bool):
        return decode_bool(where, value)
    if isinstance(example, int):
        return decode_int(where, value, 0, 2**63)
    return decode_text(where, value)


def profile_json(profile: Profile) -> dict[str, Any]:
    return {field.name: switch_json(field.name, getattr(profile, field.name)) for field in dataclasses.fields(Profile)}


def profile_from(document: Any, where: str = "$") -> Profile:
    """A profile from JSON. All switches must be there, for a target knows what it is; but those of vhost devices may be
    left out, all together, by one that has none.
    """
    names = tuple(field.name for field in dataclasses.fields(Profile))
    if isinstance(document, dict) and not any(name in document for name in DEVICE_SWITCHES):
        names = tuple(name for name in names if name not in DEVICE_SWITCHES)
    decode_object(where, document, names)
    return Profile(**{name: switch_from(name, document[name], f"{where}.{name}") for name in names})


def state_json(state: Any) -> dict[str, Any]:
    """All of a VM's or a device's state, for people who follow a vector step by step."""
    return vm_json(state) if isinstance(state, Vm) else device_json(state)


def vm_json(vm: Vm) -> dict[str, Any]:
    from spec.memslots.lookup import in_order, view

    return {
        "slots": [slot_json(view(slot)) for slot in in_order(vm)],
        "manual_protect": vm.manual_protect,
        "initially_dirty": vm.initially_dirty,
        "dirty_ring": vm.dirty_ring,
        "has_vcpu": vm.has_vcpu,
        "memfds": [{"file": memfd.file, "npages": memfd.npages} for memfd in sorted(vm.memfds, key=lambda m: m.file)],
    }
