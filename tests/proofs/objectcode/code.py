"""Small pieces of code for tests: C as object files."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from proofs.objectcode.elf import ObjectFile, read_object


def object_of(text: str, directory: Path, *flags: str, compiler: str = "gcc") -> ObjectFile:
    """C, compiled as kernels are: no vector registers."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not here: install it")
    (directory / "code.c").write_text(text)
    command = [compiler, "-c", "-mno-sse", "-w", *(flags or ("-O2",)), "code.c", "-o", "code.o"]
    subprocess.run(command, cwd=directory, check=True, timeout=60)
    return read_object((directory / "code.o").read_bytes())
