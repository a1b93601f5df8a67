"""The C library through the protocol: `python -m conformance.targets.c.adapter`.

What the library does wrong, up to a crash, then happens in a process of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from conformance.adapter import serve
from conformance.targets.c import build
from conformance.targets.c.target import CInProcess


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Speak the gpaspec protocol for libgpamap.")
    parser.add_argument("--base", type=Path, default=build.HERE, help="where the library's src and include lie")
    parser.add_argument("--sanitize", default="", help="sanitizers to compile the library with, such as undefined")
    chosen = parser.parse_args(arguments)
    return serve(CInProcess(base=chosen.base, sanitizers=chosen.sanitize))


if __name__ == "__main__":
    sys.exit(main())
