"""What the C header says of a vhost device: regions and chains of requests, events of runs, entries of maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance import backings
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
from spec.vhost.device import Chain, Descriptor
from spec.vhost.mem_table import Region

STRUCTS = """\
struct gpaspec_region {{ uint64_t gpa, size; struct gpaspec_host host; }};
struct gpaspec_descriptor {{ uint64_t addr; uint32_t length; int writable, indirect; size_t inner;
	const struct gpaspec_descriptor *table; struct gpaspec_host table_host; }};
enum gpaspec_event_kind {{
	GPASPEC_SENT, GPASPEC_RECEIVED, GPASPEC_MISSED, GPASPEC_BLOCKED, GPASPEC_BROKEN, GPASPEC_DISCARDED,
}};
struct gpaspec_event {{
	enum gpaspec_event_kind kind;
	uint64_t at;                       /* MISSED, BROKEN: the guest byte concerned, if any */
	int has_at, access;                /* access: MISSED (1 read, 2 write) */
	const char *error, *rule;          /* BROKEN */
	size_t items;                      /* SENT, RECEIVED: segments */
	const struct gpaspec_item *item;
}};
"""

NOTHING = '"",""'
NOWHERE = "{-1,0}"


def c_text(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def c_number(value: Any) -> str:
    return f"{int(value) % 2**64:#x}ull"


def c_place(address: int) -> tuple[int, int]:
    named = backings.name(address)
    return (-1, address) if named is None else (list(backings.BASES).index(named[0]), named[1])


def c_host(address: int) -> str:
    backing, offset = c_place(address)
    return f"{{{backing},{c_number(offset)}}}"


Named = Callable[[list[str]], str]  # the name of an array with these members


def c_regions(regions: tuple[Region, ...], array: Named) -> tuple[int, str]:
    members = [f"{{{c_number(one.gpa)},{c_number(one.size)},{c_host(one.hva)}}}" for one in regions]
    return len(members), array(members)


def c_chain(chain: Chain, array: Named) -> tuple[int, str]:
    members = [c_descriptor(one, array) for one in chain]
    return len(members), array(members)


def c_descriptor(one: Descriptor, array: Named) -> str:
    inner, table = (0, "NULL") if one.table is None else c_chain(one.table, array)
    indirect = int(one.table is not None)
    where = c_host(one.table_host) if indirect else NOWHERE
    return f"{{{c_number(one.addr)},{one.length}u,{int(one.writable)},{indirect},{inner},{table},{where}}}"


def c_segments(segments: tuple[Segment, ...], items: Named) -> tuple[int, str]:
    pieces = [f"{{0,0,0,0,{c_number(s.first)},{c_number(s.last)},{c_host(s.host)},0,NULL}}" for s in segments]
    return len(pieces), items(pieces)


def c_entries(entries: tuple[EntryView, ...] | None, space: int, items: Named) -> list[str]:
    """Entries as items: `flags` is the permission, `space` 0 the memory table, 1 the IOTLB."""
    return [
        f"{{{space},0,{one.perm},0,{c_number(one.first)},{c_number(one.last)},{c_host(one.host)},0,NULL}}"
        for one in entries or ()
    ]


def c_event(event: Any, items: Named) -> str:
    match event:
        case Sent(segments):
            count, name = c_segments(segments, items)
            return f"{{GPASPEC_SENT,0,0,0,{NOTHING},{count},{name}}}"
        case Received(segments):
            count, name = c_segments(segments, items)
            return f"{{GPASPEC_RECEIVED,0,0,0,{NOTHING},{count},{name}}}"
        case Missed(at, access):
            return f"{{GPASPEC_MISSED,{c_number(at)},1,{access},{NOTHING},0,NULL}}"
        case Broken(rule, at):
            texts = f"{c_text(rule.errno)},{c_text(rule.id)}"
            return f"{{GPASPEC_BROKEN,{c_number(at or 0)},{int(at is not None)},0,{texts},0,NULL}}"
        case Blocked():
            return f"{{GPASPEC_BLOCKED,0,0,0,{NOTHING},0,NULL}}"
        case Discarded():
            return f"{{GPASPEC_DISCARDED,0,0,0,{NOTHING},0,NULL}}"
    raise TypeError(f"{type(event).__name__} is not an event")


def c_device_outcome(outcome: Any, items: Named, ranges: Named, events: Named) -> str | None:
    """outcome, error, rule, value, host, items, events; None where the outcome is of another line."""
    match outcome:
        case Translated(segments):
            count, name = c_segments(segments, items)
            return f"GPASPEC_TRANSLATED,{NOTHING},0,{NOWHERE},{count},{name},0,NULL"
        case Faulted(rule, at):
            texts = f"{c_text(rule.errno)},{c_text(rule.id)}"
            return f"GPASPEC_FAULTED,{texts},{c_number(at)},{NOWHERE},0,NULL,0,NULL"
        case Ran():
            return f"GPASPEC_RAN,{NOTHING},0,{NOWHERE},{c_run(outcome, items, ranges, events)}"
        case MessageTaken(length, ran):
            return f"GPASPEC_TAKEN,{NOTHING},{length},{NOWHERE},{c_run(ran, items, ranges, events)}"
        case MissRead(version, iova, access):
            item = items([f"{{0,{version},{access},0,{c_number(iova)},{c_number(iova)},{NOWHERE},0,NULL}}"])
            return f"GPASPEC_MISS,{NOTHING},{c_number(iova)},{NOWHERE},1,{item},0,NULL"
        case NothingRead():
            return f"GPASPEC_NOTHING_READ,{NOTHING},0,{NOWHERE},0,NULL,0,NULL"
        case MapsView(table, iotlb):
            shown = c_entries(table, 0, items) + c_entries(iotlb, 1, items)
            there = int(table is not None) + 2 * int(iotlb is not None)
            return f"GPASPEC_MAPS,{NOTHING},{there},{NOWHERE},{len(shown)},{items(shown)},0,NULL"
    return None


def c_run(ran: Ran, items: Named, ranges: Named, events: Named) -> str:
    """items (one, with the marked pages, where there are any), events"""
    pages = [f"{{{first}ull,{last}ull}}" for first, last in ran.marked.ranges]
    item = [f"{{0,0,0,1,0,0,{NOWHERE},{len(pages)},{ranges(pages)}}}"] if pages else []
    return f"{len(item)},{items(item)},{len(ran.events)},{events([c_event(event, items) for event in ran.events])}"
