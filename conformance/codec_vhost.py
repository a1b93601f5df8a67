"""What a vhost device answers, as canonical JSON, and back.

    {"translated": [{"first": "0x1000", "last": "0x101f", "host": HOST}]}
    {"faulted": "0x2000", "error": "EFAULT", "rule": "XLATE.MAPPED"}      where it stopped; 2^64 behind the last byte
    {"ran": [EVENT, ...], "marked": [{"first": 0, "last": 3}]}            pages marked in the dirty log
    {"taken": 72, "ran": [EVENT, ...], "marked": []}                      a message
    {"miss": {"version": 1, "iova": "0x5000", "access": 1}}      {"nothing_read": true}
    {"table": [{"first": ..., "last": ..., "host": HOST, "perm": 3}], "iotlb": null}
    EVENT       {"sent": [SEGMENT, ...]}    {"received": [SEGMENT, ...]}    {"missed": "0x5000", "access": 1}
                {"blocked": true}    {"discarded": true}
                {"broken": "EFAULT", "rule": "XLATE.MAPPED", "at": "0x2000"}       at: only where a byte is concerned

A target that sees only what userspace sees says instead, for an event:

                {"sent_bytes": 58, "digest": "0x..."}    {"received_at": [{"host": HOST, "length": 60}]}
                {"miss_seen": true}    {"error_seen": "EFAULT" or null}    {"nothing_seen": true}
                {"error_seen": "EFAULT", "times": 2}                       times: only where more than once
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from conformance.fields import (
    FormatError,
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
from conformance.target import ErrorSeen, MissSeen, NothingSeen, ReceivedAt, Refused, SentBytes
from spec.outcome import (
    Blocked,
    Broken,
    Discarded,
    EntryView,
    Faulted,
    MapsView,
    MessageTaken,
    Missed,
    MissRead,
    NothingRead,
    Ran,
    Received,
    Segment,
    Sent,
    Translated,
)
from spec.rule import Rule
from spec.units import U32_MAX, U64
from spec.vhost.device import NO_LOG, Device, Miss, Queue
from spec.vhost.observe import view

# Segments --------------------------------------------------------------------------------------------------------


def segment_json(segment: Segment) -> dict[str, Any]:
    return {"first": hex(segment.first), "last": hex(segment.last), "host": encode_host(segment.host)}


def segments_json(segments: tuple[Segment, ...]) -> list[dict[str, Any]]:
    return [segment_json(segment) for segment in segments]


def segments_from(document: Any, where: str) -> tuple[Segment, ...]:
    segments = []
    for index, item in enumerate(decode_list(where, document)):
        here = f"{where}[{index}]"
        decode_object(here, item, ("first", "last", "host"))
        first, last = decode_hex(f"{here}.first", item["first"]), decode_hex(f"{here}.last", item["last"])
        segments.append(Segment(first, last, decode_host(f"{here}.host", item["host"])))
    return tuple(segments)


# Rules: a target of the specification's kind names them, any other gives an errno. ----------------------------------


def rule_json(rule: Rule | Refused) -> dict[str, Any]:
    return {"error": rule.errno, "rule": rule.id} if isinstance(rule, Rule) else {"error": rule.errno}


def rule_from(document: dict[str, Any], name: str, where: str) -> Rule:
    """The rule that a member `rule` names; without one, what stands in for it: the errno in the member `name`."""
    errno = decode_text(f"{where}.{name}", document[name])
    if "rule" not in document:
        return cast(Rule, Refused(errno))
    rule = rule_named(f"{where}.rule", document["rule"])
    if rule.errno != errno:
        raise FormatError(f"{where}.{name}", f"{rule.id} gives {rule.errno}, not {errno}")
    return rule


# Events ----------------------------------------------------------------------------------------------------------


def event_json(event: Any) -> dict[str, Any]:
    """An event of a device's run, or what stands for it at a target that sees less."""
    match event:
        case Sent(segments):
            return {"sent": segments_json(segments)}
        case Received(segments):
            return {"received": segments_json(segments)}
        case Missed(at, access):
            return {"missed": hex(at), "access": access}
        case Blocked():
            return {"blocked": True}
        case Discarded():
            return {"discarded": True}
        case Broken(rule, at):
            named = rule_json(rule)
            document = {"broken": named.pop("error"), **named}
            return document if at is None else {**document, "at": hex(at)}
        case SentBytes(length, digest):
            return {"sent_bytes": length, "digest": hex(digest)}
        case ReceivedAt(pieces):
            return {"received_at": [{"host": encode_host(host), "length": length} for host, length in pieces]}
        case MissSeen():
            return {"miss_seen": True}
        case ErrorSeen(errno, times):
            return {"error_seen": errno} if times == 1 else {"error_seen": errno, "times": times}
        case NothingSeen():
            return {"nothing_seen": True}
    raise TypeError(f"{type(event).__name__} is not an event")


def broken_from(document: dict[str, Any], where: str) -> Broken:
    decode_object(where, document, ("broken",), ("rule", "at"))
    at = decode_hex(f"{where}.at", document["at"], U64) if "at" in document else None
    return Broken(rule_from(document, "broken", where), at)


def missed_from(document: dict[str, Any], where: str) -> Missed:
    decode_object(where, document, ("missed", "access"))
    at = decode_hex(f"{where}.missed", document["missed"])
    return Missed(at, decode_int(f"{where}.access", document["access"], 1, 2))


def sent_bytes_from(document: dict[str, Any], where: str) -> SentBytes:
    decode_object(where, document, ("sent_bytes", "digest"))
    length = decode_int(f"{where}.sent_bytes", document["sent_bytes"], 0, U32_MAX)
    return SentBytes(length, decode_hex(f"{where}.digest", document["digest"]))


def received_at_from(document: dict[str, Any], where: str) -> ReceivedAt:
    decode_object(where, document, ("received_at",))
    pieces = []
    for index, item in enumerate(decode_list(f"{where}.received_at", document["received_at"])):
        here = f"{where}.received_at[{index}]"
        decode_object(here, item, ("host", "length"))
        pieces.append(
            (decode_host(f"{here}.host", item["host"]), decode_int(f"{here}.length", item["length"], 0, U32_MAX))
        )
    return ReceivedAt(tuple(pieces))


def error_seen_from(document: dict[str, Any], where: str) -> ErrorSeen:
    decode_object(where, document, ("error_seen",), ("times",))
    errno = document["error_seen"]
    times = decode_int(f"{where}.times", document.get("times", 1), 1, U32_MAX)
    return ErrorSeen(None if errno is None else decode_text(f"{where}.error_seen", errno), times)


def flag(make: Callable[[], Any], name: str) -> Callable[[dict[str, Any], str], Any]:
    """A reader of what has nothing to say but that it is so."""

    def read(document: dict[str, Any], where: str) -> Any:
        decode_object(where, document, (name,))
        if document[name] is not True:
            raise FormatError(f"{where}.{name}", "is true, or is not there")
        return make()

    return read


def listed(make: Callable[[tuple[Segment, ...]], Any], name: str) -> Callable[[dict[str, Any], str], Any]:
    """A reader of what has segments and nothing else."""

    def read(document: dict[str, Any], where: str) -> Any:
        decode_object(where, document, (name,))
        return make(segments_from(document[name], f"{where}.{name}"))

    return read


EVENTS: dict[str, Callable[[dict[str, Any], str], Any]] = {
    "sent": listed(Sent, "sent"),
    "received": listed(Received, "received"),
    "missed": missed_from,
    "blocked": flag(Blocked, "blocked"),
    "discarded": flag(Discarded, "discarded"),
    "broken": broken_from,
    "sent_bytes": sent_bytes_from,
    "received_at": received_at_from,
    "miss_seen": flag(MissSeen, "miss_seen"),
    "error_seen": error_seen_from,
    "nothing_seen": flag(NothingSeen, "nothing_seen"),
}


def event_from(document: Any, where: str) -> Any:
    if not isinstance(document, dict):
        raise FormatError(where, f"expected an object, found {type(document).__name__}")
    for name, read in EVENTS.items():
        if name in document:
            return read(document, where)
    raise FormatError(where, f"no event has the members {', '.join(document) or '(none)'}; one of {', '.join(EVENTS)}")


def ran_from(document: dict[str, Any], where: str) -> Ran:
    events = [
        event_from(item, f"{where}.ran[{index}]")
        for index, item in enumerate(decode_list(f"{where}.ran", document["ran"]))
    ]
    return Ran(tuple(events), decode_pages(f"{where}.marked", document["marked"]))


# Outcomes --------------------------------------------------------------------------------------------------------


def ran_json(ran: Ran) -> dict[str, Any]:
    return {"ran": [event_json(event) for event in ran.events], "marked": encode_pages(ran.marked)}


def entry_json(entry: EntryView) -> dict[str, Any]:
    return {"first": hex(entry.first), "last": hex(entry.last), "host": encode_host(entry.host), "perm": entry.perm}


def entries_json(entries: tuple[EntryView, ...] | None) -> list[dict[str, Any]] | None:
    return None if entries is None else [entry_json(entry) for entry in entries]


def device_outcome_json(outcome: Any) -> dict[str, Any] | None:
    """An outcome of the vhost line as JSON, or None where it is none."""
    match outcome:
        case Translated(segments):
            return {"translated": segments_json(segments)}
        case Faulted(rule, at):
            return {"faulted": hex(at), **rule_json(rule)}
        case Ran():
            return ran_json(outcome)
        case MessageTaken(length, ran):
            return {"taken": length, **ran_json(ran)}
        case MissRead(version, iova, access):
            return {"miss": {"version": version, "iova": hex(iova), "access": access}}
        case NothingRead():
            return {"nothing_read": True}
        case MapsView(table, iotlb):
            return {"table": entries_json(table), "iotlb": entries_json(iotlb)}
    return None


def faulted_from(document: dict[str, Any], where: str) -> Faulted:
    decode_object(where, document, ("faulted", "error"), ("rule",))
    at = decode_hex(f"{where}.faulted", document["faulted"], U64)
    return Faulted(rule_from(document, "error", where), at)


def run_from(document: dict[str, Any], where: str) -> Ran:
    decode_object(where, document, ("ran", "marked"))
    return ran_from(document, where)


def taken_from(document: dict[str, Any], where: str) -> MessageTaken:
    decode_object(where, document, ("taken", "ran", "marked"))
    return MessageTaken(decode_int(f"{where}.taken", document["taken"], 0, U32_MAX), ran_from(document, where))


def miss_from(document: dict[str, Any], where: str) -> MissRead:
    decode_object(where, document, ("miss",))
    miss, here = document["miss"], f"{where}.miss"
    decode_object(here, miss, ("version", "iova", "access"))
    return MissRead(
        decode_int(f"{here}.version", miss["version"], 0, U32_MAX),
        decode_hex(f"{here}.iova", miss["iova"]),
        decode_int(f"{here}.access", miss["access"], 0, 255),
    )


def entries_from(document: Any, where: str) -> tuple[EntryView, ...] | None:
    if document is None:
        return None
    entries = []
    for index, item in enumerate(decode_list(where, document)):
        here = f"{where}[{index}]"
        decode_object(here, item, ("first", "last", "host", "perm"))
        entries.append(
            EntryView(
                decode_hex(f"{here}.first", item["first"]),
                decode_hex(f"{here}.last", item["last"]),
                decode_host(f"{here}.host", item["host"]),
                decode_int(f"{here}.perm", item["perm"], 0, 255),
            )
        )
    return tuple(entries)


def maps_from(document: dict[str, Any], where: str) -> MapsView:
    decode_object(where, document, ("table", "iotlb"))
    return MapsView(
        entries_from(document["table"], f"{where}.table"), entries_from(document["iotlb"], f"{where}.iotlb")
    )


# By the member that tells them apart; "taken" comes before "ran", for it has that as well.
OUTCOMES: dict[str, Callable[[dict[str, Any], str], Any]] = {
    "faulted": faulted_from,
    "translated": listed(Translated, "translated"),
    "taken": taken_from,
    "ran": run_from,
    "miss": miss_from,
    "nothing_read": flag(NothingRead, "nothing_read"),
    "table": maps_from,
}


def device_outcome_from(document: dict[str, Any], where: str) -> Any:
    """An outcome of the vhost line from JSON, or None where the members are those of no such outcome."""
    for name, read in OUTCOMES.items():
        if name in document:
            return read(document, where)
    return None


def names_no_rule(outcome: Any) -> bool:
    """Whether an outcome has an errno, or what else only a target sees, where an expectation has a rule or an event."""
    if isinstance(outcome, MessageTaken):
        outcome = outcome.ran
    if isinstance(outcome, Faulted):
        return isinstance(outcome.rule, Refused)
    if not isinstance(outcome, Ran):
        return False
    seen = (SentBytes, ReceivedAt, MissSeen, ErrorSeen, NothingSeen)
    return any(
        isinstance(event, seen) or (isinstance(event, Broken) and isinstance(event.rule, Refused))
        for event in outcome.events
    )


# States ----------------------------------------------------------------------------------------------------------


def miss_json(miss: Miss) -> dict[str, Any]:
    return {"queue": miss.queue, "iova": hex(miss.iova), "access": miss.access, "version": miss.version}


def queue_json(queue: Queue) -> dict[str, Any]:
    return {
        "size": queue.size,
        "desc": encode_host(queue.desc),
        "avail": encode_host(queue.avail),
        "used": encode_host(queue.used),
        "log": None if queue.log == NO_LOG else hex(queue.log),
        "attached": queue.attached,
        "done": queue.done,
        "quiet": queue.quiet,
        "listening": queue.listening,
        "chains": [encode("chain", chain) for chain in queue.chains],
        "packets": list(queue.packets),
    }


def device_json(device: Device) -> dict[str, Any]:
    """All of a device's state, for people who follow a vector step by step. Entries are as a lookup prefers them."""
    return {
        "owned": device.owned,
        "features": hex(device.features),
        "message_version": device.message_version,
        "table": entries_json(view(device.table)),
        "iotlb": entries_json(view(device.iotlb)),
        "unread": [miss_json(miss) for miss in device.unread],
        "pending": [miss_json(miss) for miss in device.pending],
        "log_base": None if device.log_base is None else encode_host(device.log_base),
        "queues": [queue_json(queue) for queue in device.queues],
    }
