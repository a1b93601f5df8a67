"""The compilers that the C library is tested with, and how they are asked for 32 bits."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from functools import cache

import pytest

CXX = {"gcc": "g++", "clang": "clang++"}
THIRTY_TWO = ["gcc -m32", "clang -m32"] if platform.machine() == "x86_64" else []  # others have no such option
BUILDS = ["gcc", "clang", *THIRTY_TWO]
LEVELS = ["-O0", "-O2", "-O3"]
PROGRAM = '#include <stdio.h>\nint main(void) { return puts("") < 0; }\n'
PROGRAM_CXX = "#include <string>\nint main(int n, char **) { return static_cast<int>(std::to_string(n).size()); }\n"


def said(command: list[str], text: str | None = None, seconds: float = 120) -> tuple[int, str]:
    """How a command ended, and what it said on stderr."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=seconds, check=False)
    return done.returncode, done.stderr


@cache
def makes_programs(words: str, language: str) -> bool:
    command = words.split()
    if shutil.which(command[0]) is None:
        return False
    program = PROGRAM_CXX if language == "c++" else PROGRAM
    return said([*command, "-x", language, "-", "-o", os.devnull], program)[0] == 0


def need(words: str, language: str = "c") -> list[str]:
    """These words, with which a compiler is called. Skips the test where they make no program, libraries and all."""
    if not makes_programs(words, language):
        pytest.skip(f"`{words}` makes no {language} program here: `make setup` installs what it needs")
    return words.split()


def cxx_of(cc: str) -> str:
    """The C++ compiler beside a C compiler, with the same options."""
    name, *flags = cc.split()
    return " ".join([CXX[name], *flags])
