"""Plain values as JSON and back: what witnesses and counterexamples are made of. Nothing but values comes back."""

from __future__ import annotations

import importlib
from dataclasses import fields, is_dataclass
from typing import Any

from proofs.sources import ROOMS


class NotPlain(ValueError):
    """A value that has no form in JSON, or JSON that is no value's."""


def as_json(value: Any) -> Any:
    """A value as JSON: None, bools, numbers, strings, tuples, lists, frozensets, dicts, and dataclasses of the
    rooms. Raises NotPlain for anything else.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) in (tuple, list):
        return {type(value).__name__: [as_json(part) for part in value]}
    if type(value) is frozenset:
        return {"frozenset": sorted((as_json(member) for member in value), key=repr)}
    if type(value) is dict and all(type(name) is str for name in value):
        return {"dict": {name: as_json(part) for name, part in value.items()}}
    if type(value) is dict:
        return {"pairs": [[as_json(key), as_json(part)] for key, part in value.items()]}
    if is_dataclass(value) and type(value).__module__.split(".")[0] in ROOMS:
        known = {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
        return {"record": f"{type(value).__module__} {type(value).__qualname__}", "fields": known}
    raise NotPlain(f"a {type(value).__name__}")


def from_json(document: Any) -> Any:
    """The value. Raises NotPlain for what `as_json` does not make."""
    if document is None or type(document) in (bool, int, float, str):
        return document
    if isinstance(document, dict) and len(document) == 1:
        ((kind, parts),) = document.items()
        if kind == "dict" and isinstance(parts, dict):
            return {name: from_json(part) for name, part in parts.items()}
        if (
            kind == "pairs"
            and isinstance(parts, list)
            and all(isinstance(pair, list) and len(pair) == 2 for pair in parts)
        ):
            return {from_json(key): from_json(part) for key, part in parts}
        if kind in ("tuple", "list", "frozenset") and isinstance(parts, list):
            made = [from_json(part) for part in parts]
            return made if kind == "list" else tuple(made) if kind == "tuple" else frozenset(made)
    if isinstance(document, dict) and set(document) == {"record", "fields"}:
        known = {name: from_json(part) for name, part in document["fields"].items()}
        try:
            return _record_class(str(document["record"]))(**known)
        except TypeError as error:
            raise NotPlain(str(error)) from error
    raise NotPlain(f"{str(document)[:60]} is no value")


def _record_class(name: str) -> type:
    module, _, word = name.partition(" ")
    if module.split(".")[0] not in ROOMS:
        raise NotPlain(f"{module} is none of our modules")
    try:
        found = getattr(importlib.import_module(module), word, None)
    except ImportError as error:
        raise NotPlain(str(error)) from error
    if not (isinstance(found, type) and is_dataclass(found)):
        raise NotPlain(f"{module} has no record {word}")
    return found
