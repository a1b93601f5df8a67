"""The kernel's files that contestants are built around: from the distribution's source package, in the cache."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from conformance.targets.linux.cache import cache_directory, cache_lock
from conformance.targets.linux_source.build import leave_out_other_headers
from conformance.targets.linux_source.sources import sources_for

VERSION = "6.1"
SHIM = Path(__file__).parents[2] / "conformance" / "targets" / "linux_source" / "shim.h"
CODE = ("drivers/vhost/iotlb.c", "lib/rbtree.c")
HEADERS = (
    "include/linux/rbtree.h",
    "include/linux/rbtree_types.h",
    "include/linux/rbtree_augmented.h",
    "include/linux/interval_tree_generic.h",
    "include/linux/vhost_iotlb.h",
)


@dataclass(frozen=True)
class Tree:
    """Where the files are, and what kernel they are of."""

    include: Path
    code: Path
    description: str


@cache
def tree() -> Tree:
    """The kernel's files, unmodified, with an empty file for each other header. Raises TargetUnavailable."""
    sources = sources_for(VERSION)
    digest = hashlib.sha256(SHIM.read_bytes())
    for name in (*CODE, *HEADERS):
        digest.update((sources.directory / name).read_bytes())
    place = cache_directory("bench") / f"kernel-{digest.hexdigest()[:24]}"
    with cache_lock("bench-kernel"):
        if not place.exists():
            unfinished = place.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            (unfinished / "include" / "linux").mkdir(parents=True)
            (unfinished / "code").mkdir()
            for name in (*CODE, *HEADERS):
                below = unfinished / "include" / "linux" if name in HEADERS else unfinished / "code"
                shutil.copyfile(sources.directory / name, below / Path(name).name)
            leave_out_other_headers(unfinished / "include", unfinished / "code")
            unfinished.rename(place)
    return Tree(place / "include", place / "code", sources.description)
