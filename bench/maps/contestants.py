"""Who takes part, and how each is compiled. Flags are the same for all, but for what is said."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.maps import kernel
from conformance.targets.c import build as library
from conformance.targets.linux.cache import cache_directory

HERE = Path(__file__).parent
C = HERE / "c"
FLAGS = ("-O2", "-g", "-fPIC", "-shared", "-fvisibility=hidden", "-Wl,-Bsymbolic", "-pthread")
STRICT = ("-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function")


@dataclass(frozen=True)
class Contestant:
    """`build` compiles it (or finds it in the cache), and raises TargetUnavailable with the reason if it cannot."""

    name: str
    title: str
    build: Callable[[], Path]
    takes: str = "any ranges"  # or what it is restricted to


def own(file: str, flags: Sequence[str] = ()) -> Path:
    """A contestant that needs nothing but a C compiler."""
    return library.compile_cached(
        f"{Path(file).stem}.so", library.compiler(), (*STRICT, *FLAGS, *flags), [C / file], [C]
    )


def with_kernel(file: str, flags: Sequence[str] = ()) -> Path:
    """A contestant around the kernel's own files."""
    tree = kernel.tree()
    flags = ("-std=gnu11", "-w", "-fno-strict-aliasing", "-fwrapv", *FLAGS, "-include", str(kernel.SHIM), *flags)
    files = [C / file, tree.code / "rbtree.c"]
    return library.compile_cached(
        f"{Path(file).stem}.so", library.compiler(), flags, files, [C, tree.include, tree.code]
    )


def all_sources() -> Path:
    """A file that includes all sources of libgpamap. Functions of the same name in two files get names of their own."""
    files = library.sources()
    texts = {file: file.read_text() for file in files}
    local = {
        file: set(re.findall(r"^static [^=;{}]*?\b(\w+)\(", text, flags=re.MULTILINE)) for file, text in texts.items()
    }
    lines = []
    for file in files:
        others = set().union(*(names for other, names in local.items() if other != file))
        twice = sorted(local[file] & others)
        lines += [f"#define {name} {name}_of_{file.stem}" for name in twice]
        lines += [f'#include "{file}"']
        lines += [f"#undef {name}" for name in twice]
    content = "\n".join(lines) + "\n"
    digest = hashlib.sha256((content + "".join(texts.values())).encode()).hexdigest()[:24]
    path = cache_directory("bench", "sources") / f"{digest}.h"
    if not path.exists():
        path.write_text(content)
    return path


def includes() -> list[Path]:
    return [C, library.HERE / "include", library.HERE / "src"]


def slots_inline(flags: Sequence[str] = ()) -> Path:
    flags = (*STRICT, "-Wno-unused-macros", *FLAGS, f'-DGPAMAP_SOURCES="{all_sources()}"', *flags)
    return library.compile_cached("gpamap.so", library.compiler(), flags, [C / "gpamap_slots.c"], includes())


def slots_called() -> Path:
    shared = library.shared_library()
    flags = (*STRICT, *FLAGS, f"-Wl,-rpath,{shared.parent}", f"-L{shared.parent}", "-Wl,--no-as-needed", "-lgpamap")
    return library.compile_cached("gpamap-call.so", library.compiler(), flags, [C / "gpamap_slots.c"], includes())


CONTESTANTS: dict[str, Contestant] = {
    one.name: one
    for one in (
        Contestant("floor", "floor: the index is given", lambda: own("floor.c")),
        Contestant("itree", "vhost interval tree (kernel)", lambda: with_kernel("itree.c")),
        Contestant("gpamap", "libgpamap slots", slots_inline),
        Contestant("gpamap-call", "libgpamap slots, shared library", slots_called),
        Contestant("sorted", "sorted array, binary search", lambda: own("sorted.c")),
    )
}

JUDGE = "floor"
YARDSTICK = "itree"
