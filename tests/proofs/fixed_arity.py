"""Which functions of spec/ and model/ can have a contract: those that look at a fixed number of scalars.

A parameter counts by what the function reads of it. One that it does not read is anything; of one of which it reads
fields, only those count, and of a method only what that reads. A scalar is an int, a bool, a word or None; a frozen
dataclass of scalars is as good as they are. A set, a sequence, a function or an object that changes is not.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
ROOMS = ("spec", "model")
SCALARS = (int, bool, str, type(None))


def functions() -> Iterator[tuple[str, Any, type | None]]:
    """All functions and methods of the two rooms: full name, function, and class of a method."""
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            if file.name in ("__init__.py", "__main__.py"):
                continue
            module = importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
            for name, value in vars(module).items():
                if getattr(value, "__module__", None) != module.__name__:
                    continue
                if inspect.isfunction(value) and has_body(value):
                    yield f"{module.__name__}.{name}", value, None
                elif inspect.isclass(value):
                    for method, function in vars(value).items():
                        if inspect.isfunction(function) and not method.startswith("__") and has_body(function):
                            yield f"{module.__name__}.{name}.{method}", function, value


def has_body(function: Any) -> bool:
    """Whether there is more to a function than what it is for."""
    definition = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(definition, ast.FunctionDef)
    return len(definition.body) > 1 or ast.get_docstring(definition) is None


def with_fixed_arity() -> list[str]:
    """The full names of all functions that look at a fixed number of scalars."""
    return [name for name, function, owner in functions() if not in_the_way(function, owner)]


def in_the_way(function: Any, owner: type | None) -> list[str]:
    """The parameters that are no fixed number of scalars, of which the function reads them."""
    hints = typing.get_type_hints(function)
    found = []
    for parameter in inspect.signature(function).parameters.values():
        kind = owner if parameter.name == "self" and owner is not None else hints.get(parameter.name)
        is_fixed = parameter.kind is not parameter.VAR_POSITIONAL and _reads_scalars(function, parameter.name, kind)
        if not is_fixed:
            found.append(parameter.name)
    return found


def _reads_scalars(function: Any, parameter: str, kind: Any) -> bool:
    fields = _fields_read(function, parameter)
    if fields is not None and dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return all(_field_is_fixed(kind, field) for field in fields)
    return fields == set() or _is_fixed(kind)


def _fields_read(function: Any, parameter: str) -> set[str] | None:
    """The fields that a function reads of a parameter; None where it does something else with it."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    fields, others = set(), 0
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == parameter:
            fields.add(node.attr)
            others -= 1
        if isinstance(node, ast.Name) and node.id == parameter:
            others += 1
    return None if others else fields


def _field_is_fixed(kind: type, field: str) -> bool:
    value = inspect.getattr_static(kind, field, None)
    if inspect.isfunction(value):
        return not in_the_way(value, kind)
    return _is_frozen(kind) and _is_fixed(typing.get_type_hints(kind).get(field))


def _is_frozen(kind: type) -> bool:
    return bool(kind.__dataclass_params__.frozen)  # type: ignore[attr-defined]


def _is_fixed(kind: Any) -> bool:
    if kind in SCALARS:
        return True
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return all(map(_is_fixed, typing.get_args(kind)))
    if typing.get_origin(kind) is tuple:
        return Ellipsis not in typing.get_args(kind) and all(map(_is_fixed, typing.get_args(kind)))
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and _is_frozen(kind):
        return all(map(_is_fixed, typing.get_type_hints(kind).values()))
    return False
