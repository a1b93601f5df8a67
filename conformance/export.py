"""The vectors in other forms, for people who want no tool chain: JSON Lines, a C header, a flat binary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from conformance.codec import canonical, outcome_json, request_json
from conformance.export_vhost import STRUCTS, c_chain, c_device_outcome, c_host, c_number, c_place, c_regions, c_text
from conformance.fields import BACKENDS, FIELDS
from conformance.files import spec_version, vector_json
from conformance.runner import trial_of
from conformance.vector import Step, Vector
from spec.memslots.slot import FILE_OF_ANOTHER_VM
from spec.outcome import (
    DirtyPages,
    Done,
    GuestRanges,
    Located,
    Mmio,
    Outcome,
    Rejected,
    Slots,
    Touched,
    Written,
)
from spec.pages import Pages
from spec.step import OPERATIONS, operation_of

NAMES = {"jsonl": "gpaspec.jsonl", "c": "gpaspec_vectors.h", "flat": "gpaspec.flat"}


def write_export(form: str, vectors: list[Vector], directory: Path) -> list[Path]:
    """Write one form; returns the files. Raises OSError when the disk says no."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / NAMES[form]
    if form == "flat":
        return write_flat(vectors, path)
    lines = json_lines(vectors) if form == "jsonl" else c_header(vectors)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines)
    return [path]


def json_lines(vectors: Iterable[Vector]) -> Iterator[str]:
    """One vector on each line, with every field of each request."""
    for vector in vectors:
        document = {"spec": spec_version(), "licence": "CC0-1.0", "family": vector.family, **vector_json(vector)}
        document["steps"] = [
            {**request_json(step.request, complete=True), "expect": outcome_json(step.expected)}
            for step in vector.steps
        ]
        yield canonical(document)


def write_flat(vectors: list[Vector], path: Path) -> list[Path]:
    """Requests in the flat binary form (docs/linux.md), and beside it, line for line, id and expectations."""
    from conformance.targets.linux import flat
    from conformance.targets.linux.flat_step import Unsuitable

    records: list[bytes] = []
    index = path.with_suffix(".expected.jsonl")
    with index.open("w", encoding="utf-8") as file:
        for vector in vectors:
            try:
                record = flat.encode_vector(len(records), trial_of(vector))
            except Unsuitable:
                continue  # the kernel's structures have no room for it, nor has this form
            records.append(record)
            document = vector_json(vector)
            expected = [outcome_json(step.expected) for step in vector.steps]
            entry = {"id": vector.id, "switches": document["requires"]["switches"], "expect": expected}
            file.write(canonical(entry) + "\n")
    path.write_bytes(flat.encode_file(records))
    return [path, index]


# C header --------------------------------------------------------------------------------------------------------

HEADER = (
    """\
/* Test vectors of gpaspec {version}: how guest memory is mapped on Linux. CC0-1.0. Generated, do not edit.
 *
 * Each vector is a fresh VM, or a new vhost device, and then its steps. Each step has the request's fields in v, in the
 * order that the comment at its operation gives, and the expected outcome. A host address is a backing (0 for A, 1 for
 * B, ...) and an offset, or backing -1 and an address. A backend is 0 tap, 1 none, 2 no socket. Ranges include both
 * ends. A vector applies where all switches in `switches` ("name=value,...") have these values. Files: -1 closed, -2 of
 * another kind, -3 of another VM.
 */
#ifndef GPASPEC_VECTORS_H
#define GPASPEC_VECTORS_H
#include <stddef.h>
#include <stdint.h>

struct gpaspec_host {{ int backing; uint64_t offset; }};
struct gpaspec_range {{ uint64_t first, last; }};
struct gpaspec_item {{ uint32_t space, id, flags; int has_log; uint64_t first, last; struct gpaspec_host host;
	size_t ranges; const struct gpaspec_range *range; }};

"""
    + STRUCTS
    + """
enum gpaspec_op {{
{operations}
}};

enum gpaspec_outcome {{
	GPASPEC_DONE, GPASPEC_REJECTED, GPASPEC_DIRTY, GPASPEC_WRITTEN, GPASPEC_TOUCHED, GPASPEC_MMIO,
	GPASPEC_LOCATED, GPASPEC_SLOTS, GPASPEC_RANGES,
	GPASPEC_TRANSLATED, GPASPEC_FAULTED, GPASPEC_RAN, GPASPEC_TAKEN, GPASPEC_MISS, GPASPEC_NOTHING_READ, GPASPEC_MAPS,
}};

struct gpaspec_step {{
	enum gpaspec_op op;
	uint64_t v[{width}];
	int backing[3];                    /* of the request's host addresses, in order; v has the offset */
	size_t ranges;                     /* pages in the request's bitmap */
	const struct gpaspec_range *range;
	size_t regions;                    /* of a memory table */
	const struct gpaspec_region *region;
	size_t descriptors;                /* of a chain */
	const struct gpaspec_descriptor *descriptor;
	enum gpaspec_outcome outcome;
	const char *error, *rule;          /* REJECTED, FAULTED; rule also for a WRITTEN that was stopped */
	/* DIRTY: bytes of bitmap; MMIO: address; LOCATED: last byte of the slot; FAULTED: guest byte (0 for 2^64);
	TAKEN: bytes; MAPS: 1 table + 2 IOTLB */
	uint64_t value;
	struct gpaspec_host host;          /* TOUCHED, LOCATED */
	/* WRITTEN, TRANSLATED: pieces; SLOTS, RANGES; DIRTY: one item with the pages; RAN, TAKEN: one with the marked
	pages, if there are any; MISS: one, its id the framing; MAPS: entries (space 0 table, 1 IOTLB; flags: perm) */
	size_t items;
	const struct gpaspec_item *item;
	size_t events;                     /* RAN, TAKEN */
	const struct gpaspec_event *event;
}};

struct gpaspec_vector {{
	const char *id, *family, *title, *switches;
	size_t steps;
	const struct gpaspec_step *step;
}};
"""
)


class Pool:
    """Arrays that steps point to, each content once."""

    def __init__(self, kind: str, prefix: str) -> None:
        self.kind = kind
        self.prefix = prefix
        self.names: dict[str, str] = {}

    def name(self, members: list[str]) -> str:
        if not members:
            return "NULL"
        text = ",".join(members)
        return self.names.setdefault(text, f"gpaspec_{self.prefix}{len(self.names)}")

    def lines(self) -> Iterator[str]:
        for text, name in self.names.items():
            yield f"static const struct {self.kind} {name}[] = {{{text}}};"


APART = ("pages", "regions", "chain")  # kinds of fields that have arrays of their own


class Arrays:
    """All arrays of a header, in the order in which they point to each other."""

    def __init__(self) -> None:
        self.ranges = Pool("gpaspec_range", "r")
        self.items = Pool("gpaspec_item", "i")
        self.regions = Pool("gpaspec_region", "g")
        self.descriptors = Pool("gpaspec_descriptor", "d")
        self.events = Pool("gpaspec_event", "e")


def c_header(vectors: Iterable[Vector]) -> Iterator[str]:
    """The header: arrays first, then the vectors that point into them."""
    operations = []
    width = 0
    for operation in OPERATIONS:
        names = [field.name for field in FIELDS[operation.name] if field.kind not in APART]
        width = max(width, len(names))
        operations.append(f"\tGPASPEC_{operation.name.upper()}, /* {', '.join(names) or 'nothing'} */")
    yield HEADER.format(version=spec_version(), operations="\n".join(operations), width=width)
    arrays = Arrays()
    steps: list[str] = []
    table: list[str] = []
    for number, vector in enumerate(vectors):
        lines = [c_step(step, arrays) for step in vector.steps]
        steps.append(f"static const struct gpaspec_step gpaspec_s{number}[] = {{\n" + ",\n".join(lines) + "\n};")
        switches = ",".join(f"{k}={v}" for k, v in vector_json(vector)["requires"]["switches"].items())
        texts = ",".join(c_text(text) for text in (vector.id, vector.family, vector.title, switches))
        table.append(f"{{{texts},{len(lines)},gpaspec_s{number}}}")
    for pool in (arrays.ranges, arrays.items, arrays.regions, arrays.descriptors, arrays.events):
        yield from pool.lines()
    yield from steps
    yield "static const struct gpaspec_vector gpaspec_vectors[] = {\n" + ",\n".join(table) + "\n};"
    yield f"#define GPASPEC_VECTORS {len(table)}\n#endif"


def c_pages(pages: Pages, ranges: Pool) -> tuple[int, str]:
    members = [f"{{{first}ull,{last}ull}}" for first, last in pages.ranges]
    return len(members), ranges.name(members)


def c_step(step: Step, arrays: Arrays) -> str:
    operation = operation_of(step.request)
    values: list[str] = []
    places: list[int] = []
    bitmap = regions = descriptors = (0, "NULL")
    for field in FIELDS[operation.name]:
        value = getattr(step.request, field.name)
        if field.kind == "pages":
            bitmap = c_pages(value, arrays.ranges)
        elif field.kind == "regions":
            regions = c_regions(value, arrays.regions.name)
        elif field.kind == "chain":
            descriptors = c_chain(value, arrays.descriptors.name)
        elif field.kind == "backend":
            values.append(c_number(BACKENDS.index(value)))
        elif field.kind == "host":
            backing, offset = c_place(value)
            places.append(backing)
            values.append(c_number(offset))
        else:
            assert field.kind != "memfd" or value >= FILE_OF_ANOTHER_VM
            values.append(c_number(value))
    backing_of = ",".join(str(place) for place in (*places, -1, -1, -1)[:3])
    request = f"GPASPEC_{operation.name.upper()},{{{','.join(values) or '0'}}},{{{backing_of}}}"
    apart = ",".join(f"{count},{name}" for count, name in (bitmap, regions, descriptors))
    return f"{{{request},{apart},{c_outcome(step.expected, arrays)}}}"


def c_outcome(outcome: Outcome, arrays: Arrays) -> str:
    """outcome, error, rule, value, host, items, events"""
    found = c_device_outcome(outcome, arrays.items.name, arrays.ranges.name, arrays.events.name)
    return f"{c_vm_outcome(outcome, arrays.ranges, arrays.items)},0,NULL" if found is None else found


def c_vm_outcome(outcome: Outcome, ranges: Pool, items: Pool) -> str:
    """outcome, error, rule, value, host, items"""
    nothing = '"",""'
    nowhere = "{-1,0}"
    match outcome:
        case Done():
            return f"GPASPEC_DONE,{nothing},0,{nowhere},0,NULL"
        case Rejected(rule):
            return f"GPASPEC_REJECTED,{c_text(rule.errno)},{c_text(rule.id)},0,{nowhere},0,NULL"
        case DirtyPages(pages, size):
            count, name = c_pages(pages, ranges)
            item = f"{{0,0,0,1,0,0,{nowhere},{count},{name}}}"
            return f"GPASPEC_DIRTY,{nothing},{c_number(size)},{nowhere},1,{items.name([item])}"
        case Written(segments, stopped_by):
            pieces = [f"{{0,0,0,0,{c_number(s.first)},{c_number(s.last)},{c_host(s.host)},0,NULL}}" for s in segments]
            rule_id = c_text(stopped_by.id if stopped_by else "")
            return f'GPASPEC_WRITTEN,"",{rule_id},0,{nowhere},{len(pieces)},{items.name(pieces)}'
        case Touched(host):
            return f"GPASPEC_TOUCHED,{nothing},0,{c_host(host)},0,NULL"
        case Mmio(gpa):
            return f"GPASPEC_MMIO,{nothing},{c_number(gpa)},{nowhere},0,NULL"
        case Located(host, last):
            return f"GPASPEC_LOCATED,{nothing},{c_number(last)},{c_host(host)},0,NULL"
        case Slots(slots):
            shown = []
            for slot in slots:
                count, name = (0, "NULL") if slot.dirty is None else c_pages(slot.dirty, ranges)
                log = int(slot.dirty is not None)
                place = f"{c_number(slot.first)},{c_number(slot.last)},{c_host(slot.host)}"
                shown.append(f"{{{slot.space},{slot.id},{slot.flags},{log},{place},{count},{name}}}")
            return f"GPASPEC_SLOTS,{nothing},0,{nowhere},{len(shown)},{items.name(shown)}"
        case GuestRanges(found):
            parts = [f"{{{r.space},{r.id},0,0,{c_number(r.first)},{c_number(r.last)},{nowhere},0,NULL}}" for r in found]
            return f"GPASPEC_RANGES,{nothing},0,{nowhere},{len(parts)},{items.name(parts)}"
    raise TypeError(f"{type(outcome).__name__} is not an outcome")
