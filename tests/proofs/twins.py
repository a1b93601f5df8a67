"""False twins of contracts: the same contract, asked while a fault is planted. CrossHair must refute each.

A twin has the body of its contract, not a call of it: CrossHair swallows a violated contract of a function that is
called.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from tests.proofs.contract_fault import Fault
from tests.proofs.contract_faults import FAULTS

PLANTED = "planted"
NO_FAULT = -1
TRUE = "_as_it_is"
PREAMBLE = f"from {__name__} import {PLANTED}"


@cache
def function_and_owner(name: str) -> tuple[Any, Any]:
    """A function by its full name; for a method also its class, else None."""
    module, owner, parts = name, None, []
    while module not in sys.modules and "." in module:
        module, _, part = module.rpartition(".")
        parts.append(part)
        try:
            importlib.import_module(module)
        except ModuleNotFoundError:
            continue
    value: Any = sys.modules[module]
    for part in reversed(parts):
        owner, value = value, getattr(value, part)
    return value, owner if inspect.isclass(owner) else None


@cache
def places_of(name: str) -> list[tuple[Any, str]]:
    """Where a function is bound: the class of a method, or every module of the rooms and of twins that has it."""
    function, owner = function_and_owner(name)
    if owner is not None:
        return [(owner, name.rpartition(".")[2])]
    modules = [module for known, module in sys.modules.items() if known.split(".")[0] in ("spec", "model", "proofs")]
    modules += [module for known, module in sys.modules.items() if known.startswith("twins_of_")]
    return [(module, bound) for module in modules for bound, value in vars(module).items() if value is function]


@contextmanager
def planted(number: int) -> Iterator[None]:
    """The fault of this number is there inside; nothing is for NO_FAULT."""
    if number == NO_FAULT:
        yield
        return
    fault = FAULTS[number]
    before = function_and_owner(fault.broken)[0]
    places = places_of(fault.broken)
    try:
        for place, bound in places:
            setattr(place, bound, fault.value)
        yield
    finally:
        for place, bound in places:
            setattr(place, bound, before)


def twins_of(module: str, faults: list[tuple[int, Fault]]) -> str:
    """The source of a module with a false twin for each fault, and nothing else that has a contract. The first contract
    has a twin without a fault, too: that one is true.
    """
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    body: list[ast.stmt] = []
    for node in tree.body:
        if not (isinstance(node, ast.FunctionDef) and "post:" in (ast.get_docstring(node) or "")):
            body.append(node)
            continue
        if not any(isinstance(one, ast.FunctionDef) and one.name.endswith(TRUE) for one in body):
            body.append(_twin(node, NO_FAULT, TRUE))
        for number, fault in faults:
            if fault.contract == f"{module.rpartition('.')[2]}.{node.name}":
                body.append(_twin(node, number, f"_{number}"))
    is_import = [isinstance(node, ast.Import | ast.ImportFrom) for node in body]
    after_imports = len(is_import) - is_import[::-1].index(True)
    body[after_imports:after_imports] = ast.parse(PREAMBLE).body
    return ast.unparse(ast.fix_missing_locations(ast.Module(body, [])))


def _twin(contract: ast.FunctionDef, number: int, suffix: str) -> ast.FunctionDef:
    document, *rest = contract.body
    with_fault = ast.With([ast.withitem(ast.parse(f"{PLANTED}({number})", mode="eval").body)], rest)
    return ast.FunctionDef(
        name=contract.name + suffix,
        args=contract.args,
        body=[document, with_fault],
        decorator_list=[],
        returns=contract.returns,
    )
