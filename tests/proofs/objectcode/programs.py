"""Random small C functions, as they run on this machine and as the engine runs them."""

from __future__ import annotations

import ctypes
import random
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import z3

from proofs.objectcode.elf import read_object
from proofs.objectcode.image import Image
from proofs.objectcode.machine import Machine
from proofs.objectcode.state import ARGUMENTS, RETURNED, State

TYPES = ("uint64_t", "int64_t", "uint32_t", "int32_t", "uint16_t", "int16_t", "uint8_t", "int8_t")
WORDS = 8  # of the buffer that a function may read and write
BUFFER = 0x5000_0000_0000  # where the engine takes it to be
HEAD = """
#include <stdint.h>
typedef unsigned __int128 u128;
uint64_t run(uint64_t a, uint64_t b, uint64_t c, uint64_t *m)
{
    uint64_t x = a, y = b, z = c;
"""
EDGES = (
    0,
    1,
    2,
    3,
    7,
    8,
    31,
    32,
    63,
    64,
    127,
    128,
    255,
    256,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**63 - 1,
    2**63,
    2**64 - 1,
)


class Writer:
    """Writes the text of a function without undefined behaviour. A plain one takes no index that is not known."""

    def __init__(self, seed: int, plain: bool = False) -> None:
        self.random = random.Random(seed)
        self.plain = plain

    def expression(self, depth: int) -> str:
        pick = self.random.choice
        if depth == 0:
            return pick(["x", "y", "z", "a", "b", f"m[{self.random.randrange(WORDS)}]", f"{pick(EDGES)}ull"])
        one, other = self.expression(depth - 1), self.expression(depth - 1)
        kind = pick(TYPES)
        wide = f"(({kind})({one}))"
        shift = f"(({other}) & {pick((7, 15, 31))})" if "64" not in kind else f"(({other}) & 63)"
        unsigned = "u" + kind.lstrip("u") if kind[0] != "u" else kind
        return pick(
            [
                f"(({one}) + ({other}))",
                f"(({one}) - ({other}))",
                f"(({one}) * ({other}))",
                f"(({one}) {pick('&|^')} ({other}))",
                f"(uint64_t)(({unsigned})({wide}) << ({shift} & {8 * size_of(kind) - 1}))"
                if size_of(kind) >= 4
                else f"~({one})",
                f"(uint64_t)({wide} >> ({shift} & {8 * size_of(kind) - 1}))",
                f"(uint64_t)({wide} {pick(('<', '<=', '==', '!='))} ({kind})({other}))",
                f"(({wide} {pick(('<', '>', '=='))} ({kind})({other})) ? ({one}) : ({other}))",
                f"(uint64_t)(({unsigned})({one}) / (({unsigned})({other}) | 1))",
                f"(uint64_t)(({unsigned})({one}) % (({unsigned})({other}) | 1))",
                f"(uint64_t)(((int32_t)({one}) >> 1) / ((({kind})({other}) & 15) + 2))",
                f"(uint64_t)((u128)({one}) * ({other}) >> 64)",
                f"(uint64_t){wide}",
                f"(uint64_t)__builtin_bswap64({one})",
                f"(uint64_t)__builtin_popcountll({one})",
                f"-({one})",
            ]
        )

    def statement(self, depth: int) -> str:
        pick = self.random.choice
        targets = ["x", "y", "z", f"m[{self.random.randrange(WORDS)}]"]
        target = pick(targets if self.plain else [*targets, f"m[{pick('xyz')} & {WORDS - 1}]"])
        value = self.expression(1 if self.plain else self.random.randrange(1, 4))
        if depth == 0:
            narrow = pick(["", "(uint32_t)", "(uint8_t)", "(int16_t)"])
            return f"{target} = {narrow}({value});"
        times = self.random.randrange(1, 5)
        return pick(
            [
                f"if ({value}) {{ {self.statement(depth - 1)} }} else {{ {self.statement(depth - 1)} }}",
                f"for (int i{depth} = 0; i{depth} < {times}; i{depth}++) {{ {self.statement(depth - 1)} }}",
                f"{self.statement(depth - 1)} {self.statement(depth - 1)}",
                f"((uint{pick((8, 16, 32))}_t *)m)[{self.random.randrange(WORDS)}] = ({value});",
            ]
        )

    def function(self) -> str:
        body = "\n    ".join(self.statement(self.random.randrange(3)) for _ in range(4))
        return f"{HEAD}    {body}\n    return x ^ y + z;\n}}\n"


def comparisons() -> str:
    """A function that compares two numbers in every way, in every type: each answer is a bit."""
    body = ""
    for at, kind in enumerate(TYPES):
        for operator in ("<", "<=", "==", "!=", ">", ">="):
            body += (
                f"    x = x * 2 + (({kind})b {operator} ({kind})c); y += (({kind})a {operator} ({kind})b) << {at};\n"
            )
    return f"{HEAD}    x = 0; y = 0;\n{body}    m[0] = x; return y;\n}}\n"


def size_of(kind: str) -> int:
    return int("".join(one for one in kind if one.isdigit()) or 0) // 8 if "_t" in kind else 8


@dataclass(frozen=True)
class Program:
    """A function: as object code, and as it runs here."""

    text: str
    image: Image
    native: ctypes.CDLL

    def runs_here(self, arguments: tuple[int, int, int], words: list[int]) -> tuple[int, list[int]]:
        """What it returns, and the buffer afterwards."""
        buffer = (ctypes.c_uint64 * WORDS)(*words)
        run = self.native.run
        run.restype, run.argtypes = ctypes.c_uint64, [ctypes.c_uint64] * 3 + [ctypes.c_void_p]
        return run(*arguments, ctypes.addressof(buffer)), list(buffer)


def compiled(text: str, directory: Path, compiler: str, flags: tuple[str, ...]) -> Program:
    """A function, compiled once for both. As the kernel and the C library are: without vector registers."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not here: install it")
    directory = Path(tempfile.mkdtemp(dir=directory))  # what was loaded from one file is not loaded anew
    source = directory / "run.c"
    source.write_text(text)
    flags = (*flags, "-mno-sse", "-mpopcnt", "-fwrapv", "-fno-strict-aliasing", "-w")
    subprocess.run([compiler, *flags, "-fPIC", "-c", source.name, "-o", "run.o"], cwd=directory, check=True, timeout=60)
    subprocess.run([compiler, "-shared", "run.o", "-o", "run.so"], cwd=directory, check=True, timeout=60)
    return Program(text, Image(read_object((directory / "run.o").read_bytes())), ctypes.CDLL(str(directory / "run.so")))


def word(value: int) -> z3.BitVecRef:
    return z3.BitVecVal(value, 64)


def runs_in_engine(program: Program, arguments: tuple[int, int, int], words: list[int]) -> tuple[int, list[int]]:
    """The same in the engine, on plain numbers."""
    machine = Machine(program.image, {})
    content = b"".join(one.to_bytes(8, "little") for one in words)

    def initial(base: z3.BitVecRef | None, distance: int, size: int) -> z3.BitVecRef | None:
        at = distance - BUFFER
        inside = base is None and 0 <= at <= len(content) - size
        return z3.BitVecVal(int.from_bytes(content[at : at + size], "little"), 8 * size) if inside else None

    machine.world.initial.append(initial)
    values = dict(zip(ARGUMENTS, [*map(word, arguments), word(BUFFER)], strict=False))
    [end] = machine.run(machine.start(program.image.function("run"), values))
    assert end.end is not None and end.end.kind == RETURNED
    return end.get("RAX").as_long(), [machine.load(end, word(BUFFER + 8 * at), 8).as_long() for at in range(WORDS)]


SYMBOLS = z3.BitVecs("a b c", 64)
POINTER = z3.BitVec("m", 64)
CELLS = [z3.BitVec(f"m.{at}", 64) for at in range(WORDS)]


def paths_in_engine(program: Program) -> tuple[Machine, list[State]]:
    """All ways through the function, for any numbers. Raises Cannot."""
    machine = Machine(program.image, {})
    machine.world.declare(POINTER, "m", {str(at): (8 * at, cell) for at, cell in enumerate(CELLS)}, frozenset())
    values = dict(zip(ARGUMENTS, [*SYMBOLS, POINTER], strict=False))
    return machine, machine.run(machine.start(program.image.function("run"), values))


def on_the_paths(
    machine: Machine, ends: list[State], arguments: tuple[int, int, int], words: list[int]
) -> tuple[int, list[int]]:
    """What the one path says on which these numbers go."""
    known = [*zip(SYMBOLS, map(word, arguments), strict=True), *zip(CELLS, map(word, words), strict=True)]

    def value(term: z3.ExprRef) -> z3.ExprRef:
        return z3.simplify(z3.substitute(term, *known))

    [end] = [one for one in ends if all(z3.is_true(value(each)) for each in one.conditions)]
    return value(end.get("RAX")).as_long(), [
        value(machine.load(end, POINTER + word(8 * at), 8)).as_long() for at in range(WORDS)
    ]
