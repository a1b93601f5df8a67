"""What a breakage is: one edit of a source file, as a person makes it, and who should notice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree, ignore_patterns
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent.parent
ROOMS = ("spec", "model", "proofs", "conformance")
LEFT_OUT = ignore_patterns("__pycache__", "vectors", "build")  # nothing that is proved reads these


@dataclass(frozen=True)
class Breakage:
    """In `file` (from the root of the checkout) the text `old`, which is there exactly once, becomes `new`.

    `sentence` says what is wrong then. `expected` are the ids of those that one would expect to refute it: theorems,
    contracts (`proofs.contracts.MODULE.FUNCTION`), or harnesses of `make prove-c` (`c:NAME`). At least one of them
    has to. The first is the one that one would look at first.

    With `hole`, none of them does, and this says why. Then it is an error if one does all the same.
    """

    name: str
    file: str
    old: str
    new: str
    sentence: str
    expected: tuple[str, ...]
    hole: str = ""


class DoesNotApply(Exception):
    """The old text is not there exactly once: the list is older than the sources."""


def edited(breakage: Breakage, text: str) -> str:
    """The text of the file after the edit. Raises DoesNotApply."""
    if text.count(breakage.old) != 1:
        times = text.count(breakage.old)
        raise DoesNotApply(f"{breakage.name}: {breakage.file} has this {times} times:\n{breakage.old}")
    return text.replace(breakage.old, breakage.new)


@contextmanager
def tree_with(breakage: Breakage | None, root: Path = ROOT) -> Iterator[Path]:
    """A copy of the rooms in a directory of its own, with the edit. Raises DoesNotApply."""
    with TemporaryDirectory(prefix="gpaspec-breakage-") as directory:
        copy = Path(directory)
        for room in ROOMS:
            copytree(root / room, copy / room, ignore=LEFT_OUT)
        if breakage is not None:
            file = copy / breakage.file
            file.write_text(edited(breakage, file.read_text()))
        yield copy
