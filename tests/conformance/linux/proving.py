"""Modules of Debian's kernels, verdicts about them, and places in their code where bugs are planted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import pypcode
import pytest

from conformance.target import TargetUnavailable
from conformance.targets.linux.proved.files import Chosen, chosen, layout_of
from conformance.targets.linux.proved.layout import Layout
from conformance.targets.linux.proved.modules import Verdict, judge, subjects_of
from proofs.objectcode.elf import ObjectFile, read_object
from proofs.objectcode.flow import graph_of
from proofs.objectcode.image import Image
from proofs.objectcode.instructions import decode

VERSIONS = ["5.10", "6.1", "6.12", "7.2", "7.3"]
Patches = dict[tuple[str, int], bytes]


@lru_cache
def module(name: str, version: str) -> tuple[Chosen, ObjectFile, Layout]:
    try:
        [one] = chosen(name, (version,))
    except TargetUnavailable as missing:
        pytest.skip(f"the modules of {version} cannot be had: {missing}")
    return one, read_object(one.module.image), layout_of(one)


def judged(name: str, version: str, function: str, patches: Patches | None = None) -> Verdict:
    [subject] = subjects_of(name, function)
    _, file, layout = module(f"{name}.ko", version)
    return judge(subject, file, layout, patches=patches, deviations=False)


# PLACES IN CODE --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """An instruction: where in its function, its bytes, and as an assembler has it."""

    at: int
    code: bytes
    words: str

    def looks_at(self, distance: int) -> bool:
        """Whether it names memory at this distance from a register."""
        return re.search(rf"\[R\w+ \+ {distance:#x}\]", self.words) is not None

    def with_distance(self, old: int, new: int) -> bytes:
        """The same with another distance in its memory operand."""
        for bytes_ in (4, 1):
            was, becomes = (one.to_bytes(bytes_, "little") for one in (old, new))
            if was in self.code:
                head, tail = self.code.rsplit(was, 1)
                return head + becomes + tail
        raise AssertionError(self)

    def strict(self) -> bytes | None:
        """A jump behind a comparison that also takes the case "equal", or no longer does; None for any other."""
        where = 1 if self.code[0] == 0x0F else 0
        condition = self.code[where] & 15 if self.code[where] >> 4 == (8 if where else 7) else 0
        if condition not in STRICT:
            return None
        return self.code[:where] + bytes([self.code[where] & 0xF0 | STRICT[condition]]) + self.code[where + 1 :]

    def nothing(self) -> bytes:
        return b"\x90" * len(self.code)


STRICT = {2: 6, 6: 2, 3: 7, 7: 3, 15: 13, 13: 15, 14: 12, 12: 14}  # jb - jbe, jae - ja, jg - jge, jle - jl


def listing(name: str, version: str, function: str) -> list[Line]:
    """The code of a function."""
    image = Image(module(f"{name}.ko", version)[1])
    found = image.function(function)
    return list(_lines(image, sorted(graph_of(image, found)), found.start))


def _lines(image: Image, addresses: Iterable[int], start: int) -> Iterator[Line]:
    context = pypcode.Context("x86:LE:64:default")
    for address in addresses:
        code = image.code(address)[: decode(image, address).length]
        [one] = context.disassemble(code, address).instructions
        yield Line(address - start, code, f"{one.mnem} {one.body}")
