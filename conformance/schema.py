"""The JSON Schema of vector files, made from the same table of fields that the codec uses."""

from __future__ import annotations

from functools import cache
from typing import Any

from conformance import backings
from conformance.fields import BACKENDS, FIELDS, FILES_BY_WORD, LONGEST_WRITE, OPERATIONS_BY_NAME, encode
from spec.profile import SWITCHES
from spec.step import all_rules

U32 = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}

# What each operation can answer; every one with rules can be rejected as well.
ANSWERS: dict[str, tuple[str, ...]] = {
    "set_region": ("done",),
    "create_guest_memfd": ("done",),
    "get_dirty_log": ("dirty",),
    "clear_dirty_log": ("done",),
    "enable_manual_protect": ("done",),
    "enable_dirty_ring": ("done",),
    "guest_write": ("written",),
    "vcpu_read": ("touched", "mmio"),
    "vcpu_write": ("touched", "mmio"),
    "lookup": ("located",),
    "find_slot": ("slots",),
    "hva_range": ("ranges",),
    "observe": ("slots",),
    "set_owner": ("done",),
    "reset_owner": ("done",),
    "set_features": ("done",),
    "set_backend_features": ("done",),
    "set_mem_table": ("done",),
    "add_region": ("done",),
    "remove_region": ("done",),
    "remove_range": ("done",),
    "set_log_base": ("done",),
    "set_ring_size": ("done",),
    "set_ring_addresses": ("done",),
    "set_backend": ("ran",),
    "write_message": ("taken",),
    "read_message": ("miss", "nothing_read"),
    "translate": ("translated", "faulted"),
    "transmit": ("ran",),
    "offer": ("ran",),
    "packet": ("ran",),
    "kick": ("ran",),
    "observe_maps": ("table",),
}


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def record(required: dict[str, Any], optional: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """An object with exactly these members."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


def array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


KINDS: dict[str, dict[str, Any]] = {
    "bool": {"type": "boolean"},
    "u64": ref("u64"),
    "u32": U32,
    "host": ref("host"),
    "version": {"enum": [1, 2]},
    "count": U32,
    "memfd": {"anyOf": [U32, {"enum": list(FILES_BY_WORD)}]},
    "length": {"type": "integer", "minimum": 1, "maximum": LONGEST_WRITE},
    "pages": ref("pages"),
    "byte": {"type": "integer", "minimum": 0, "maximum": 255},
    "access": {"enum": [1, 2]},
    "backend": {"enum": list(BACKENDS)},
    "regions": array(ref("region")),
    "chain": array(ref("descriptor")),
}


def operation_schema(name: str) -> dict[str, Any]:
    fields = {field.name: {**KINDS[field.kind], "default": encode(field.kind, field.default)} for field in FIELDS[name]}
    answers = [ref(answer) for answer in ANSWERS[name]]
    if OPERATIONS_BY_NAME[name].checks:
        answers.append(ref("rejected"))
    expect = answers[0] if len(answers) == 1 else {"anyOf": answers}
    return record({"op": {"const": name}, "expect": expect}, fields)


def device_answers(rule: dict[str, Any]) -> dict[str, Any]:
    """What a vhost device answers."""
    errno = {"enum": sorted({rule.errno for rule in all_rules()})}
    segment = record({"first": ref("u64"), "last": ref("u64"), "host": ref("host")})
    entry = record({"first": ref("u64"), "last": ref("u64"), "host": ref("host"), "perm": KINDS["byte"]})
    entries = {"anyOf": [{"type": "null"}, array(entry)]}
    true = {"const": True}
    run = {"ran": array(ref("event")), "marked": ref("pages")}
    return {
        "translated": record({"translated": array(segment)}),
        "faulted": record(
            {"faulted": ref("end"), "error": errno, "rule": rule},
            description="The first guest byte that could not be had.",
        ),
        "ran": record(run, description="What the device did, and the guest pages that it marked in the dirty log."),
        "taken": record({"taken": U32, **run}),
        "miss": record({"miss": record({"version": U32, "iova": ref("u64"), "access": KINDS["access"]})}),
        "nothing_read": record({"nothing_read": true}),
        "table": record({"table": entries, "iotlb": entries}),
        "end": {
            "type": "string",
            "pattern": "^0x(0|[1-9a-f][0-9a-f]{0,15}|10000000000000000)$",
            "description": "A guest byte, or 2^64: what would come after the last.",
        },
        "event": {
            "anyOf": [
                record({"sent": array(segment)}),
                record({"received": array(segment)}),
                record({"missed": ref("u64"), "access": KINDS["access"]}),
                record({"blocked": true}),
                record({"discarded": true}),
                record({"broken": errno, "rule": rule}, {"at": ref("end")}),
            ]
        },
    }


@cache
def schema() -> dict[str, Any]:
    """The schema of a whole vector file."""
    rule = {"enum": [rule.id for rule in all_rules()]}
    guest = {"first": ref("u64"), "last": ref("u64")}
    definitions: dict[str, Any] = {
        "u64": {"type": "string", "pattern": "^0x(0|[1-9a-f][0-9a-f]{0,15})$"},
        "host": {
            "anyOf": [ref("u64"), record({"backing": {"enum": list(backings.BASES)}, "offset": ref("u64")})],
            "description": "A host address: in a backing, or as it is.",
        },
        "pages": array(
            record(
                {"first": {"type": "integer", "minimum": 0}, "last": {"type": "integer", "minimum": 0}},
                description="Page numbers, both ends included.",
            )
        ),
        "slot": record(
            {
                "space": U32,
                "id": U32,
                **guest,
                "host": ref("host"),
                "flags": U32,
                "dirty": {"anyOf": [{"type": "null"}, ref("pages")]},
            }
        ),
        "region": record({"gpa": ref("u64"), "size": ref("u64"), "hva": ref("host")}),
        "descriptor": record(
            {"addr": ref("u64"), "length": U32, "writable": {"type": "boolean"}},
            {"table": array(ref("descriptor")), "table_host": ref("host")},
            dependentRequired={"table": ["table_host"], "table_host": ["table"]},
            description="Bytes for the device; one that is indirect has the descriptors of its table.",
        ),
        "done": record({"done": {"const": True}}),
        "rejected": record({"error": {"enum": sorted({rule.errno for rule in all_rules()})}, "rule": rule}),
        "dirty": record({"dirty": ref("pages"), "bitmap_bytes": U32}),
        "written": record(
            {"written": array(record({**guest, "host": ref("host")})), "complete": {"type": "boolean"}},
            {"rule": rule},
        ),
        "touched": record({"touched": ref("host")}),
        "mmio": record({"mmio": ref("u64")}),
        "located": record({"located": record({"host": ref("host"), "last": ref("u64")})}),
        "slots": record({"slots": array(ref("slot"))}),
        "ranges": record({"ranges": array(record({"space": U32, "id": U32, **guest}))}),
        **device_answers(rule),
    }
    for name in FIELDS:
        definitions[f"op.{name}"] = operation_schema(name)
    definitions["step"] = {
        "type": "object",
        "required": ["op", "expect"],
        "properties": {"op": {"enum": list(FIELDS)}},
        "allOf": [{"if": {"properties": {"op": {"const": name}}}, "then": ref(f"op.{name}")} for name in FIELDS],
    }
    definitions["repair"] = {
        "description": "What makes the rejected step acceptable: one field otherwise, or an earlier step left out.",
        "anyOf": [
            record({"step": U32, "field": {"type": "string"}, "value": {}}),
            record({"step": U32, "without": U32}),
        ],
    }
    definitions["switches"] = {
        "type": "object",
        "description": "The profile switches that the expectations depend on.",
        "properties": {switch.name: {"description": switch.sentence} for switch in SWITCHES},
        "additionalProperties": False,
    }
    definitions["vector"] = record(
        {
            "id": {"type": "string", "pattern": "^[0-9a-f]{12}$", "description": "A hash of the content."},
            "title": {"type": "string"},
            "rules": {"type": "array", "items": rule, "description": "The rules that the vector is about."},
            "requires": record(
                {"operations": array({"enum": list(FIELDS)}), "switches": ref("switches")},
                description="What a target must be able to do, and must be, for this vector to apply.",
            ),
            "because": {"type": "string", "description": "Why the vector exists."},
            "generator": {"type": "string"},
            "seed": ref("u64"),
            "steps": {"type": "array", "items": ref("step"), "minItems": 1},
        },
        {"repair": ref("repair")},
        description="A fresh VM, or a new vhost device, and then these steps in order.",
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gpaspec test vectors, format 1",
        "description": "Numbers that can need 64 bits are hexadecimal strings. Ranges include both ends. "
        "A field that is left out has its default.",
        **record(
            {
                "$schema": {"type": "string"},
                "format": {"const": 1},
                "family": {"type": "string"},
                "spec": {"type": "string"},
                "licence": {"const": "CC0-1.0"},
                "vectors": array(ref("vector")),
            }
        ),
        "$defs": definitions,
    }
