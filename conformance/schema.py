"""The JSON Schema of vector files, made from the same table of fields that the codec uses."""

from __future__ import annotations

from functools import cache
from typing import Any

from conformance import backings
from conformance.fields import FIELDS, FILES_BY_WORD, LONGEST_WRITE, OPERATIONS_BY_NAME, encode
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
}


def operation_schema(name: str) -> dict[str, Any]:
    fields = {field.name: {**KINDS[field.kind], "default": encode(field.kind, field.default)} for field in FIELDS[name]}
    answers = [ref(answer) for answer in ANSWERS[name]]
    if OPERATIONS_BY_NAME[name].checks:
        answers.append(ref("rejected"))
    expect = answers[0] if len(answers) == 1 else {"anyOf": answers}
    return record({"op": {"const": name}, "expect": expect}, fields)


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
        description="A fresh VM, and then these steps in order.",
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
