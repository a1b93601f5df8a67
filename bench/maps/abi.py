"""Load contestants into this process, and hand them arrays."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cffi
import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.uint64]
Indexes = npt.NDArray[np.uint32]

HERE = Path(__file__).parent
REGION = np.dtype([("start", "<u8"), ("last", "<u8"), ("host", "<u8"), ("id", "<u8")])

MISS = 2**64 - 1
FAILED = 2**64 - 1


def declarations() -> str:
    """What `abi.h` declares, for cffi: without comments and preprocessor lines."""
    text = re.sub(r"/\*.*?\*/", "", (HERE / "c" / "abi.h").read_text(), flags=re.DOTALL)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return "\n".join(lines).replace("BENCH_LINKAGE ", "")


ffi: Any = cffi.FFI()
ffi.cdef(declarations())


def pointer(kind: str, array: npt.NDArray[Any]) -> Any:
    """A C pointer to the first element. The array must outlive it."""
    return ffi.cast(f"{kind} *", array.ctypes.data)


class CannotHold(Exception):
    """A contestant cannot hold these regions; the text says why."""


@dataclass
class Work:
    """Questions: addresses, and the index of the region that holds each (for the floor alone)."""

    addresses: Numbers
    indexes: Indexes

    def part(self, first: int, count: int) -> Any:
        """`count` of the questions from number `first` on, as `struct work`."""
        assert first + count <= len(self.addresses)
        work = ffi.new("struct work *")
        work.addresses = pointer("uint64_t", self.addresses) + first
        work.indexes = pointer("uint32_t", self.indexes) + first
        work.count = count
        return work


class Map:
    """One contestant's map of some regions."""

    def __init__(self, loaded: Loaded, regions: npt.NDArray[Any], order: Indexes) -> None:
        self.ops = loaded.ops
        self.regions, self.order = regions, order
        before = self.ops.bytes(ffi.NULL)
        made = self.ops.create(pointer("struct region", regions), pointer("uint32_t", order), len(regions))
        if made == ffi.NULL:
            raise CannotHold(ffi.string(self.ops.why()).decode() or "it has no memory for these regions")
        self.made = made
        self.bytes = self.ops.bytes(made) - before

    def answers(self, work: Work, first: int = 0, count: int | None = None) -> Numbers:
        """What it says to questions."""
        count = len(work.addresses) - first if count is None else count
        found = np.zeros(count, np.uint64)
        part = work.part(first, count)
        part.answers = pointer("uint64_t", found)
        self.ops.answer(self.made, part)
        return found

    def close(self) -> None:
        self.ops.destroy(self.made)


class Loaded:
    """A contestant that was compiled: its shared object in this process."""

    def __init__(self, path: Path) -> None:
        self.library = ffi.dlopen(str(path), ffi.RTLD_NOW | ffi.RTLD_LOCAL)
        self.ops = self.library.contestant()

    def map(self, regions: npt.NDArray[Any], order: Indexes) -> Map:
        """A map of these regions, added in this order. Raises CannotHold."""
        return Map(self, regions, order)
