"""What a verdict depends on, by content: the key under which it may be kept.

A run of the judge is decided by the statements that modules run when they are imported, and by the bodies of the
functions that are called. So a module has an *outline*, which is all of it but the bodies of its functions, and its
*functions*. The key of a verdict is made from the outline of every module that is imported on the way, and from the
functions that ran. What did not run can change without a difference. Comments, docstrings and places in the file never
make one: nothing that is judged may read them (tests/proofs/test_sources.py).

A function is one that a module or a class has; what is defined inside of a function belongs to it. A lambda or a
comprehension outside of functions belongs to the outline.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("spec", "model", "proofs")

Functions = Mapping[str, Iterable[str]]  # names of functions, such as "Slot.contains", by module


def digest(*parts: str) -> str:
    """One name for some texts. Different lists of texts have different names."""
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()


def is_part_of(module: str, packages: Iterable[str]) -> bool:
    """Whether a module is one of these or inside of one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@dataclass(frozen=True)
class Source:
    """One module: its text, its outline, its functions and the names that it imports, each but the last as a digest.

    Functions with the same name (a property's getter and setter, say) are one.
    """

    text: str
    outline: str
    functions: Mapping[str, str]
    imports: frozenset[str]


def read_source(text: str, module: str, is_package: bool = False) -> Source:
    """What a module's text says. Raises SyntaxError."""
    tree = ast.parse(text)
    imports = frozenset(_imported(tree, module, is_package))
    _drop_docstrings(tree)
    bodies: dict[str, list[str]] = {}
    _take_out_functions(tree, "", bodies)
    functions = {name: digest(*parts) for name, parts in bodies.items()}
    return Source(digest(text), digest(ast.dump(tree)), functions, imports)


def _imported(tree: ast.Module, module: str, is_package: bool) -> Iterator[str]:
    """The full names of what may be modules among what is imported, anywhere in the text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".") if is_package else module.split(".")[:-1]
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def _drop_docstrings(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and type(first.value.value) is str:
                node.body = node.body[1:] or [ast.Pass()]


def _take_out_functions(node: ast.AST, prefix: str, bodies: dict[str, list[str]]) -> None:
    """Move the bodies of functions from the tree to `bodies`, by the functions' names."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            body = ast.Module(child.body, [])
            bodies.setdefault(f"{prefix}{child.name}", []).append(ast.dump(body))
            child.body = []
        elif isinstance(child, ast.ClassDef):
            _take_out_functions(child, f"{prefix}{child.name}.", bodies)
        elif not isinstance(child, ast.Lambda):
            _take_out_functions(child, prefix, bodies)


@dataclass
class Sources:
    """The modules of the rooms, read from their files once, when they are first asked for."""

    root: Path = ROOT
    known: dict[str, Source | None] = field(default_factory=dict)

    def module(self, name: str) -> Source | None:
        """A module of the rooms, None for any other name."""
        if name not in self.known:
            self.known[name] = self._read(name) if name.split(".")[0] in ROOMS else None
        return self.known[name]

    def _read(self, name: str) -> Source | None:
        path = self.root.joinpath(*name.split("."))
        for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
            if file.is_file():
                return read_source(file.read_text(encoding="utf-8"), name, file.name == "__init__.py")
        return None

    def on_the_way(self, names: Iterable[str]) -> list[str]:
        """The modules of the rooms that are imported when these are: themselves, their packages, and what they and
        these import, at once or later. In order of their names.
        """
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            source = self.module(name)
            if name in found or source is None:
                continue
            found.add(name)
            words = name.split(".")
            waiting += [".".join(words[:count]) for count in range(1, len(words))]
            waiting += source.imports
        return sorted(found)

    def digests(self, start: Iterable[str]) -> dict[str, str]:
        """The texts of the modules on the way."""
        return {name: source.text for name in self.on_the_way(start) if (source := self.module(name))}

    def key(self, start: Iterable[str], ran: Functions, whole: Iterable[str]) -> str | None:
        """The key of a verdict: `start` are the modules that were imported for it, `ran` the functions that ran, and of
        `whole` modules everything counts. None if a function that ran, or its module, is not there any more.
        """
        taken_whole = set(whole)
        parts = []
        for name in self.on_the_way([*start, *ran, *taken_whole]):
            source = self.module(name)
            assert source is not None
            parts.append(f"{name} {source.text if name in taken_whole else source.outline}")
        for name in sorted(ran):
            source = self.module(name)
            for function in sorted(set(ran[name])):
                if source is None or function not in source.functions:
                    return None
                parts.append(f"{name} {function} {source.functions[function]}")
        return digest(*parts)

    def texts(self, start: Iterable[str]) -> str:
        """The key of what depends on every word of the modules on the way, comments included."""
        return digest(*(f"{name} {text}" for name, text in self.digests(start).items()))
