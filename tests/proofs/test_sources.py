"""What a verdict's key is made of: what may change without a difference, and what may not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from proofs.sources import ROOT, Sources, read_source

TEXT = '''"""A module."""

import proofs.world
from spec import units
from ..memslots.slot import Slot

LIMIT = 4  # pages


@wrapped(lambda: 1)
def outer(first: int = LIMIT) -> int:
    """What it does."""

    def inner() -> int:
        return first

    return inner() + 1


class Kind:
    """A class."""

    size = len([word for word in "abc"])

    @property
    def value(self) -> int:
        return self._value

    @value.setter
    def value(self, new: int) -> None:
        self._value = new


if LIMIT:

    def sometimes() -> None:
        """Nothing but this."""
'''
BEFORE = read_source(TEXT, "spec.vhost.here")


def changed(old: str, new: str) -> set[str]:
    """What of a module is another when a piece of its text is."""
    assert TEXT.count(old) == 1
    after = read_source(TEXT.replace(old, new), "spec.vhost.here")
    functions = {
        name
        for name in {*BEFORE.functions, *after.functions}
        if BEFORE.functions.get(name) != after.functions.get(name)
    }
    return functions | ({"outline"} if after.outline != BEFORE.outline else set())


def test_the_functions_are_those_of_modules_and_classes() -> None:
    assert set(BEFORE.functions) == {"outer", "Kind.value", "sometimes"}


def test_imports_are_full_names() -> None:
    assert BEFORE.imports >= {"proofs.world", "spec.units", "spec.memslots.slot"}


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("A module.", "Another text.", set()),
        ("What it does.", "Something else.", set()),
        ('    """Nothing but this."""', "    pass", set()),
        ("# pages", "# bytes", set()),
        ("return first", "return first + 1", {"outer"}),
        ("return inner() + 1", "return inner() + 2", {"outer"}),
        ("return self._value", "return 2", {"Kind.value"}),
        ("self._value = new", "self._value = 2", {"Kind.value"}),
        ("LIMIT = 4", "LIMIT = 5", {"outline"}),
        ("lambda: 1", "lambda: 2", {"outline"}),
        ("first: int = LIMIT", "first: int = 4", {"outline"}),
        ("first: int", "first: str", {"outline"}),
        ('"abc"', '"abcd"', {"outline"}),
        ("if LIMIT", "if not LIMIT", {"outline"}),
        ("def sometimes", "def always", {"outline", "sometimes", "always"}),
        ("import proofs.world", "import proofs.claims", {"outline"}),
    ],
)
def test_what_a_change_changes(old: str, new: str, what: set[str]) -> None:
    assert changed(old, new) == what


def test_what_is_on_the_way() -> None:
    way = Sources().on_the_way(["spec.memslots.lookup"])
    assert {"spec", "spec.memslots", "spec.memslots.lookup", "spec.memslots.slot", "spec.units"} <= set(way)
    assert not [name for name in way if not name.startswith("spec")]


def test_a_function_that_is_gone_has_no_key() -> None:
    sources = Sources()
    assert sources.key(["spec.units"], {"spec.units": ["page_of"]}, []) is not None
    assert sources.key(["spec.units"], {"spec.units": ["no_such_function"]}, []) is None
    assert sources.key(["spec.units"], {"spec.no_such_module": ["page_of"]}, []) is None


def judged_files() -> list[Path]:
    sources = Sources()
    names = sources.on_the_way(["proofs.catalogue"])
    return [
        ROOT / f"{name.replace('.', '/')}.py" for name in names if (ROOT / f"{name.replace('.', '/')}.py").is_file()
    ]


@pytest.mark.parametrize("file", judged_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_that_is_judged_reads_itself(file: Path) -> None:
    """A key leaves out docstrings, comments and places, and what does not run. So no code may look at those, nor import
    by a name that it has made up.
    """
    refused = {"__doc__", "__code__", "inspect", "linecache", "importlib", "exec", "compile"}
    for node in ast.walk(ast.parse(file.read_text())):
        names = {getattr(node, "id", ""), getattr(node, "attr", "")}
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.name.split(".")[0] for alias in node.names} | {getattr(node, "module", "") or ""}
        assert not names & refused, f"line {getattr(node, 'lineno', 0)}"


@pytest.mark.parametrize("file", judged_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_only_names_things_when_it_is_imported(file: Path) -> None:
    """Then it makes no difference what else was imported, and in which order."""
    for statement in ast.parse(file.read_text()).body:
        is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        kinds = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef | ast.AnnAssign | ast.Assign
        assert is_text or isinstance(statement, kinds), f"line {statement.lineno}"
        for target in statement.targets if isinstance(statement, ast.Assign) else []:
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            assert all(isinstance(name, ast.Name) for name in names), f"line {statement.lineno}"
