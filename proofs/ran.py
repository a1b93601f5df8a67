"""Which functions of the rooms ran: while a theorem was judged, or while modules were imported.

Of the functions that modules and classes have, each gets other code in front of its own: it notes that the function was
called, puts the function's own code back for good, and calls it. So from its second call on a function is as it was,
and what is not ours (z3 most of all) is never slowed down. A function that could not be prepared counts as one that
ran: what is noted may be too much and never too little.
"""

from __future__ import annotations

import gc
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from proofs.sources import ROOMS, ROOT, digest

JUDGE = "proofs.run"  # imports all that a worker has
# Of these nothing is noted: they hand theorems to the judge. No theorem may need them (`proofs.cache` looks).
UNSEEN = ("proofs.catalogue", "proofs.crosshair", "proofs.ran", "proofs.run", "proofs.selection")
IMPORT_SECONDS = 60
OPTIMIZED = 0x1  # the code of a function, as opposed to that of a module or a class (CO_OPTIMIZED)
PLACE = 6.02e-23  # stands in a stub for the function that is called


def _stub(*arguments: Any, **named: Any) -> Any:
    noted = 6.02e-23
    return noted(*arguments, **named)  # type: ignore[operator]


STUB = _stub.__code__


class Recorder:
    """Notes which functions run from now on, in this process. `ran` are their names by module."""

    def __init__(self) -> None:
        self.ran: dict[str, set[str]] = {}
        prepared = set()
        for function in gc.get_objects():
            if type(function) is FunctionType and is_seen(module := module_of(function)):
                code = function.__code__
                if "<" not in code.co_qualname and not code.co_freevars:
                    self._prepare(function, module, code)
                    prepared.add((module, code.co_qualname, code.co_firstlineno))
        self._known = {name for name, _ in our_modules()}
        for name, imported in our_modules():
            for code in codes_of_functions(imported) if is_seen(name) else ():
                if (name, code.co_qualname, code.co_firstlineno) not in prepared:
                    self.note(name, code.co_qualname)

    def until_now(self) -> dict[str, list[str]]:
        """The functions that ran, by module; of modules that were imported since, all."""
        for name, module in our_modules():
            if name not in self._known and is_seen(name):
                for code in codes_of_functions(module):
                    self.note(name, code.co_qualname)
        return {module: sorted(functions) for module, functions in self.ran.items()}

    def note(self, module: str, function: str) -> None:
        """This function ran."""
        self.ran.setdefault(module, set()).add(function)

    def _prepare(self, function: FunctionType, module: str, code: CodeType) -> None:
        def noted(*arguments: Any, **named: Any) -> Any:
            function.__code__ = code
            self.note(module, code.co_qualname)
            return function(*arguments, **named)

        function.__code__ = STUB.replace(
            co_consts=tuple(noted if const == PLACE else const for const in STUB.co_consts),
            co_name=code.co_name,
            co_qualname=code.co_qualname,
            co_filename=code.co_filename,
            co_firstlineno=code.co_firstlineno,
        )


def module_of(function: FunctionType) -> str:
    """The module that a function was defined in, and looks its names up in."""
    return str(function.__globals__.get("__name__"))


def is_ours(module: str) -> bool:
    """Whether a module belongs to the rooms."""
    return module.split(".")[0] in ROOMS


def is_seen(module: str) -> bool:
    """Whether it is noted which functions of a module run."""
    return is_ours(module) and module not in UNSEEN


def our_modules() -> Iterator[tuple[str, ModuleType]]:
    """The modules of the rooms that are imported."""
    return ((name, module) for name, module in list(sys.modules.items()) if is_ours(name))


def code_of(module: ModuleType) -> CodeType | None:
    """The code that made a module, as Python keeps it."""
    spec = module.__spec__
    code = spec.loader.get_code(spec.name) if spec is not None and spec.loader is not None else None  # type: ignore[attr-defined]
    assert code is None or isinstance(code, CodeType)
    return code


def codes_of_functions(module: ModuleType) -> Iterator[CodeType]:
    """The code of each function that a module or a class in it has."""
    code = code_of(module)
    waiting = [] if code is None else [code]
    while waiting:
        for inner in waiting.pop().co_consts:
            if isinstance(inner, CodeType):
                if not inner.co_flags & OPTIMIZED:
                    waiting.append(inner)
                elif "<" not in inner.co_qualname:
                    yield inner


# IMPORTS ---------------------------------------------------------------------------------------------------------


class WatchedImport:
    """The judge is imported in a new process, which says what ran meanwhile."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", "from proofs.ran import watch_imports; watch_imports()"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
        self._seen: tuple[dict[str, list[str]], dict[str, str]] | None = None

    def seen(self) -> tuple[dict[str, list[str]], dict[str, str]]:
        """The functions that ran, and the digests of the texts that were imported, by module. Raises ImportError."""
        if self._seen is None:
            try:
                output, complaints = self._process.communicate(timeout=IMPORT_SECONDS)
            except subprocess.TimeoutExpired as error:
                self.end()
                raise ImportError(f"the judge was not imported within {IMPORT_SECONDS} seconds") from error
            if self._process.returncode:
                raise ImportError(f"the judge was not imported: {complaints.strip().splitlines()[-1:]}")
            functions, texts = json.loads(output)
            self._seen = functions, texts
        return self._seen

    def end(self) -> None:
        """Nobody wants to know any more."""
        self._process.kill()
        self._process.communicate()


def watch_imports() -> None:
    """Import the judge and print what ran meanwhile, and from which texts; to be called first in a process.

    Python takes a module's code from where it keeps code, and goes by the time of the text to the second. So it is
    looked at whether that code is what the text says.
    """
    seen: set[CodeType] = set()

    def see(frame: FrameType, *_: Any) -> None:
        seen.add(frame.f_code)

    sys.settrace(see)
    importlib.import_module(JUDGE)
    sys.settrace(None)
    functions: dict[str, set[str]] = {}
    for name, module in our_modules():
        code = code_of(module)
        if code is not None and code != compile(text_of(module), code.co_filename, "exec", dont_inherit=True):
            raise ImportError(f"{name}: the code that Python keeps is not that of the text")
        for of_function in codes_of_functions(module):
            if of_function in seen:
                functions.setdefault(name, set()).add(of_function.co_qualname)
    print(json.dumps([{name: sorted(names) for name, names in functions.items()}, digests_of_texts()]))


def digests_of_texts() -> dict[str, str]:
    """What is in the files of our modules now, by module, as `Source.text` has it."""
    return {name: digest(text_of(module)) for name, module in our_modules()}


def text_of(module: ModuleType) -> str:
    """The text of a module's file."""
    spec = module.__spec__
    return Path(spec.origin).read_text(encoding="utf-8") if spec is not None and spec.origin is not None else ""
